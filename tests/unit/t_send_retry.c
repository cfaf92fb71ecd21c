/*
 * t_send_retry.c - retry times, and the heap of what is due.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "submitd/send/job_heap.h"
#include "submitd/send/retry.h"

struct delay_row {
	const char	*name;
	uint64_t	 min_s, max_s;
	uint32_t	 tries;
	int64_t		 want_ms;	/* without jitter */
};

/* clang-format off */
static const struct delay_row delay_rows[] = {
	{ "first",		300, 3600, 0, 300000 },
	{ "second",		300, 3600, 1, 600000 },
	{ "third",		300, 3600, 2, 1200000 },
	{ "fourth",		300, 3600, 3, 2400000 },
	{ "at the top",		300, 3600, 4, 3600000 },
	{ "stays there",	300, 3600, 5, 3600000 },
	{ "for ever",		300, 3600, UINT32_MAX, 3600000 },
	{ "one second",		1, 1, 0, 1000 },
	{ "max below min",	300, 60, 3, 300000 },
	{ "no overflow",	1ull << 31, 1ull << 33, 40, (1ll << 33) * 1000 },
};
/* clang-format on */

static void
test_delay(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(delay_rows) / sizeof(*delay_rows); i++) {
		const struct delay_row *row = &delay_rows[i];
		struct retry_policy p = { row->min_s, row->max_s, 432000 };
		int64_t most = 0;

		if (retry_delay_ms(&p, row->tries, 0) != row->want_ms)
			print_error("%s\n", row->name);
		assert_int_equal(retry_delay_ms(&p, row->tries, 0),
		    row->want_ms);
		for (uint32_t random = 1; random != 0 && random < 1u << 31;
		    random = random * 3 + 7) {
			int64_t d = retry_delay_ms(&p, row->tries, random);

			assert_true(d >= row->want_ms);
			assert_true(d <= row->want_ms + row->want_ms / 4);
			if (d > most)
				most = d;
		}
		assert_true(most > row->want_ms);
	}
}

static void
test_next(void **state)
{
	struct retry_policy p = { 300, 3600, 86400 };
	int64_t arrived_s = 1000000, start = arrived_s * 1000;
	int64_t end = start + 86400000;

	(void)state;
	assert_int_equal(retry_next_ms(&p, start, arrived_s, 0, 0),
	    start + 300000);
	/* The last try is at the end of its life. */
	assert_int_equal(retry_next_ms(&p, end - 60000, arrived_s, 9, 0), end);
	assert_int_equal(retry_next_ms(&p, end - 1, arrived_s, 9, 0), end);
	assert_int_equal(retry_next_ms(&p, end, arrived_s, 9, 0), RETRY_NEVER);
	assert_int_equal(retry_next_ms(&p, end + 1, arrived_s, 0, 0),
	    RETRY_NEVER);
}

static void
test_gate(void **state)
{
	struct retry_policy p = { 300, 3600, 86400 }, quick = { 1, 1, 86400 };
	static const int64_t want_s[] = { 1, 1, 2, 4, 8, 16, 32, 60, 60 };

	(void)state;
	for (unsigned int i = 0; i < 9; i++)
		assert_int_equal(retry_gate_ms(&p, i), want_s[i] * 1000);
	assert_int_equal(retry_gate_ms(&p, UINT32_MAX), 60000);
	assert_int_equal(retry_gate_ms(&quick, 20), 1000);
}

static void
test_due(void **state)
{
	struct retry_policy p = { 300, 3600, 86400 };
	int64_t now = 5000000000;

	(void)state;
	/* New: in the order of arrival, and never later than now. */
	assert_int_equal(retry_due_ms(&p, now, 4999999, 0), 4999999000);
	assert_int_equal(retry_due_ms(&p, now, 5000090, 0), now);
	/* Deferred: when the spool says. */
	assert_int_equal(retry_due_ms(&p, now, 4990000, 5000100), 5000100000);
	assert_int_equal(retry_due_ms(&p, now, 4990000, 4995000), 4995000000);
	/* The clock was set back by a day. */
	assert_int_equal(retry_due_ms(&p, now, 5080000, 5086400),
	    now + 3600000 + 900000);
}

static void
test_heap(void **state)
{
	enum { N = 500 };
	static struct job_heap_item items[N];
	static char ids[N][16];
	struct job_heap h = { 0 };
	const struct job_heap_item *last = NULL;
	size_t n = 0;

	(void)state;
	srandom(1);
	assert_null(job_heap_top(&h, 0));
	for (int i = 0; i < N; i++) {
		snprintf(ids[i], sizeof(ids[i]), "%04d", i);
		items[i].id = ids[i];
		assert_int_equal(job_heap_set(&h, &items[i], random() % 100),
		    0);
	}
	for (int i = 0; i < N; i += 3)		/* moved, both ways */
		job_heap_set(&h, &items[i], random() % 200 - 50);
	for (int i = 1; i < N; i += 5)
		job_heap_remove(&h, &items[i]);
	job_heap_remove(&h, &items[1]);		/* twice does no harm */
	while (h.waiting.n + h.ready.n > 0) {
		struct job_heap_item *top = job_heap_top(&h, 40);

		if (last != NULL)
			assert_true(last->due_ms < top->due_ms ||
			    (last->due_ms == top->due_ms &&
			    last->id < top->id));
		last = top;
		job_heap_remove(&h, top);
		assert_int_equal(top->at, 0);
		n++;
	}
	assert_int_equal(n, N - N / 5);
	job_heap_free(&h);
}

/* RFC 6710: priority counts among those that are due, time among the others. */
static void
test_heap_priority(void **state)
{
	struct job_heap_item items[] = {
		{ .id = "a", .priority = 0 }, { .id = "b", .priority = 9 },
		{ .id = "c", .priority = -9 }, { .id = "d", .priority = 9 },
		{ .id = "e", .priority = 9 }, { .id = "f", .priority = 4 },
	};
	static const int64_t due[] = { 20, 30, 10, 25, 99, 98 };
	static const char order[] = "dbacfe";
	struct job_heap h = { 0 };

	(void)state;
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(job_heap_set(&h, &items[i], due[i]), 0);
	assert_string_equal(job_heap_top(&h, 9)->id, "c");
	for (size_t i = 0; i < 6; i++) {
		struct job_heap_item *top = job_heap_top(&h, 30);

		assert_int_equal(top->id[0], order[i]);
		/* What is put off waits again, whatever its priority. */
		if (i == 0) {
			job_heap_set(&h, top, 50);
			assert_string_equal(job_heap_top(&h, 30)->id, "b");
			job_heap_set(&h, top, 25);
			assert_ptr_equal(job_heap_top(&h, 30), top);
		}
		job_heap_remove(&h, top);
	}
	job_heap_free(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_delay),
		cmocka_unit_test(test_next),
		cmocka_unit_test(test_gate),
		cmocka_unit_test(test_due),
		cmocka_unit_test(test_heap),
		cmocka_unit_test(test_heap_priority),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
