/*
 * t_spool_queue.c - the verbs of the control socket "queue": what their caller can
 * choose, and a queue of 100,000 messages, listed by a thread that reads slowly
 * while a beat tells how long the loop was ever held up.
 */
#include "config.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/control.h"
#include "tests/unit/spool_fake.h"

#define MESSAGES 100000u
#define USERS 10u

static unsigned int added;
static int64_t last_us, worst_us;
static struct timer beat;

static void
on_beat(void *ctx)
{
	struct timespec ts;
	int64_t now_us;

	(void)ctx;
	/* Of this thread: the machine may be busy with anything. */
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	now_us = ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
	if (last_us != 0 && now_us - last_us > worst_us)
		worst_us = now_us - last_us;
	last_us = now_us;
	timer_arm(&beat, 1);
}

/* In memory alone: what is asked here needs nothing of the disk. */
static void
add(void)
{
	char text[64];
	struct envelope e = { .arrived_s = clock_now_s() - 60 * (added % 10),
		.n_rcpts = 2 };
	struct queue_msg *m;

	str_id(e.id);
	snprintf(text, sizeof(text), "u%u@example.org", added % USERS);
	e.sender = strdup(text);
	e.user = strdup(text);
	e.envid = strdup("");
	e.rcpts = calloc(2, sizeof(*e.rcpts));
	snprintf(text, sizeof(text), "r%u@%s.example", added,
	    added % 100 == 0 ? "rare" : "common");
	e.rcpts[0] = strdup(text);
	e.rcpts[1] = strdup("other@third.example");
	m = queue_msg_new(&e);
	assert_non_null(m);
	envelope_free(&e);
	queue_add(sp->queue, m, 0, 1000, 1000);
	if (added % 1000 == 0)
		m->held = ENVELOPE_HOLD_ADMIN;
	added++;
}

struct asked {
	const char	*request;
	size_t		 records, octets;
	json_t		*last;
	bool		 slow;		/* reads as little as it can */
	int		 code;
	struct err	 err;
};

static void
on_record(void *ctx, const json_t *record, int fd)
{
	struct asked *a = ctx;

	(void)fd;
	if (json_object_get(record, "id") != NULL) {
		a->records++;
		if (a->slow && a->records % 1000 == 0)
			usleep(2000);
		return;
	}
	json_decref(a->last);
	a->last = json_deep_copy(record);
}

static void
on_asked(void *ctx)
{
	(void)ctx;
	called();
}

static void
ask_work(void *ctx)
{
	struct asked *a = ctx;
	json_t *request = json_loads(a->request, 0, NULL);

	a->code = control_ask("./queue", request, 60, on_record, a, &a->err);
	json_decref(request);
}

static struct pool *askers;

static void
ask(struct asked *a)
{
	assert_int_equal(pool_submit(askers, ask_work, on_asked, a), 0);
	wait_for(1);
}

static void
begin(unsigned int n)
{
	spool_begin();
	assert_non_null(control_new(loop, bind_here("queue"), "queue",
	    control_verbs, sp));
	askers = pool_new(loop, 1, 10);
	assert_non_null(askers);
	added = 0;
	while (added < n)
		add();
}

static void
end(void)
{
	pool_free(askers);
	spool_end();
}

struct pick_case {
	const char *name, *args;
	size_t want;		/* of 1,000 */
};

static const struct pick_case pick_cases[] = {
	{ "all", "", 1000 },
	{ "a user", ", \"user\": \"U3@example.org\"", 100 },
	{ "nobody", ", \"user\": \"x@example.org\"", 0 },
	{ "a sender", ", \"from\": \"u3@Example.org\"", 100 },
	{ "a sender's domain", ", \"from\": \"@example.org\"", 1000 },
	{ "no part of a domain", ", \"from\": \"@ample.org\"", 0 },
	{ "the null path", ", \"from\": \"<>\"", 0 },
	{ "a recipient", ", \"to\": \"R7@common.example\"", 1 },
	{ "a recipient's domain", ", \"to\": \"@rare.example\"", 10 },
	{ "any recipient", ", \"to\": \"other@third.example\"", 1000 },
	{ "since", ", \"since_s\": 90", 200 },
	{ "held", ", \"held\": true", 1 },
	{ "two filters", ", \"user\": \"u0@example.org\", "
	  "\"to\": \"@rare.example\"", 10 },
	{ "a limit", ", \"limit\": 7", 7 },
	{ "ids", ", \"ids\": [\"x\", 5]", 0 },
	{ "behind an id that left", ", \"after\": \"2222222222222222\"", 1000 },
	{ "behind all", ", \"after\": \"zzzzzzzzzzzzzzzz\"", 0 },
};

static void
test_picks(void **state)
{
	struct asked page = { .request = "{\"verb\": \"queue.flush\", \"user\": "
	    "\"u0@example.org\"}" };

	(void)state;
	begin(1000);
	for (size_t i = 0; i < ROWS(pick_cases); i++) {
		char request[256];
		struct asked a = { .request = request };

		snprintf(request, sizeof(request), "{\"verb\": \"queue.list\"%s}",
		    pick_cases[i].args);
		ask(&a);
		if (a.code != 0)
			fail_msg("%s: %s", pick_cases[i].name, a.err.text);
		ROW_EQ(pick_cases[i].name, a.records, pick_cases[i].want);
		ROW_EQ(pick_cases[i].name, json_array_size(json_object_get(
		    a.last, "unknown")), strstr(request, "ids") ? 2 : 0);
		json_decref(a.last);
	}
	/* The one that is held stays. */
	ask(&page);
	assert_int_equal(json_integer_value(json_object_get(page.last,
	    "flushed")), 99);
	json_decref(page.last);
	end();
}

static void
test_changes_must_choose(void **state)
{
	static const char *const requests[] = {
		"{\"verb\": \"queue.hold\"}", "{\"verb\": \"queue.release\"}",
		"{\"verb\": \"queue.delete\"}",
		"{\"verb\": \"queue.delete\", \"all\": 1}",
		"{\"verb\": \"queue.delete\", \"ids\": \"x\"}",
		"{\"verb\": \"queue.delete\", \"limit\": 1}",
	};

	(void)state;
	begin(10);
	for (size_t i = 0; i < ROWS(requests); i++) {
		struct asked a = { .request = requests[i] };

		ask(&a);
		ROW_EQ(requests[i], a.code, 64);
		ROW_EQ(requests[i], queue_count(sp->queue), 10);
		json_decref(a.last);
	}
	end();
}

static size_t backlog_most;

static void
on_watch(void *ctx)
{
	struct timer *t = ctx;
	FILE *f = fopen("/proc/self/statm", "r");
	size_t pages = 0;

	if (f != NULL) {
		(void)!fscanf(f, "%*u %zu", &pages);
		fclose(f);
	}
	if (pages > backlog_most)
		backlog_most = pages;
	timer_arm(t, 5);
}

/* A list of very many is read slowly while messages come and go. */
static void
test_long(void **state)
{
	struct asked a = { .request = "{\"verb\": \"queue.list\"}",
		.slow = true };
	struct timer watch = { 0 };
	size_t before;

	(void)state;
	begin(MESSAGES);
	assert_int_equal(timer_init(&beat, loop, on_beat, NULL), 0);
	assert_int_equal(timer_init(&watch, loop, on_watch, &watch), 0);
	on_watch(&watch);
	before = backlog_most;
	last_us = worst_us = 0;
	timer_arm(&beat, 1);
	ask(&a);
	assert_int_equal(a.code, 0);
	assert_int_equal(a.records, MESSAGES);
	printf("%u messages of %zu octets in memory: the loop was held %.1f ms at most, "
	    "%zu KiB more memory\n", MESSAGES, sizeof(struct queue_msg),
	    (double)worst_us / 1e3, (backlog_most - before) * 4);
#ifndef __SANITIZE_ADDRESS__	/* which keeps what was freed for a while */
	assert_true(worst_us < 20000);
	assert_true((backlog_most - before) * 4 < 8 * 1024);
#endif
	timer_free(&beat);
	timer_free(&watch);
	json_decref(a.last);
	end();
}

/* What a cursor stands before is removed. */
static void
test_cursor(void **state)
{
	struct queue_cursor c, d;
	struct queue_msg *m;

	(void)state;
	begin(5);
	queue_cursor_begin(sp->queue, &c, queue_first(sp->queue));
	queue_cursor_begin(sp->queue, &d, NULL);
	m = queue_cursor_next(&c);
	queue_delete(queue_next(m), NULL, NULL);
	queue_delete(m, NULL, NULL);
	m = queue_cursor_next(&c);
	assert_ptr_equal(m, queue_first(sp->queue));
	assert_non_null(queue_cursor_next(&c));
	m = queue_cursor_next(&c);
	assert_null(queue_next(m));
	assert_null(queue_cursor_next(&c));
	assert_null(queue_cursor_next(&d));
	queue_cursor_end(&c);
	queue_cursor_end(&d);
	end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_picks,
		    fake_setup, fake_clean),
		cmocka_unit_test_setup_teardown(test_changes_must_choose,
		    fake_setup, fake_clean),
		cmocka_unit_test_setup_teardown(test_long,
		    fake_setup, fake_clean),
		cmocka_unit_test_setup_teardown(test_cursor,
		    fake_setup, fake_clean),
	};
	int r;

	if (fake_enter("/tmp") != 0)
		return 1;
	r = cmocka_run_group_tests(tests, NULL, NULL);
	return fake_leave() != 0 ? 1 : r;
}
