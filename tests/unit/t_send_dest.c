/*
 * t_send_dest.c - destinations: which one mail has, when it is looked at, and
 * what a reload leaves of it.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "submitd/send/hop.h"
#include "submitd/send/schedule_private.h"

#define MANY 10000

static char text_here[] = "here.test", text_host[] = "hop.test:25",
    text_mx[] = "mx", text_far[] = "far.test", text_one[] = "one.test",
    text_none[] = "none.test", name_far[] = "far", name_one[] = "one",
    name_none[] = "void";
static char *list_here[] = { text_here }, *list_far[] = { text_far },
    *list_one[] = { text_one }, *list_none[] = { text_none };

struct bench {
	struct loop	*loop;
	struct hops	*hops;
	struct sched	*sched;
	struct conf	 conf, next;
	struct conf_route routes[3], next_routes[3];
};

static void
bench_conf(struct conf *c, struct conf_route *r)
{
	r[0] = (struct conf_route){ .item.name = name_far, .domains =
	    { list_far, 1 }, .via = CONF_VIA_MX, .port = 25, .connections = 5,
	    .tls = CONF_TLS_VERIFY };
	r[1] = (struct conf_route){ .item.name = name_one, .domains =
	    { list_one, 1 }, .via = CONF_VIA_SMTP, .host = text_host,
	    .connections = 5, .tls = CONF_TLS_MAY, .messages_per_minute = 600 };
	r[2] = (struct conf_route){ .item.name = name_none, .domains =
	    { list_none, 1 }, .via = CONF_VIA_NONE };
	*c = (struct conf){ .refs = 1, .local_domains = { list_here, 1 },
	    .next_hop = text_mx, .send_connections = 10, .routes = r,
	    .n_routes = 3, .retry_min_s = 1, .retry_max_s = 2,
	    .queue_lifetime_s = 100 };
	assert_int_equal(conf_routes_make(c), 0);
}

static int
setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	bench_conf(&b->conf, b->routes);
	bench_conf(&b->next, b->next_routes);
	b->loop = loop_new();
	b->hops = hops_new(b->loop, NULL, NULL, NULL);
	b->sched = sched_new(b->loop, &b->conf);
	assert_non_null(b->sched);
	sched_set_hops(b->sched, b->hops);
	*state = b;
	return 0;
}

static int
teardown(void **state)
{
	struct bench *b = *state;

	sched_free(b->sched);
	hops_free(b->hops);
	loop_free(b->loop);
	conf_routes_free(&b->conf);
	conf_routes_free(&b->next);
	free(b);
	return 0;
}

static void
test_keys(void **state)
{
	static const struct {
		const char *address;
		bool tls_optional;
		const char *key;
	} rows[] = {
		{ "a@here.test", false, "local" },
		{ "A@HERE.test", true, "local" },
		{ "postmaster", false, "local" },
		{ "someone", false, "none" },
		{ "a@none.test", true, "none" },
		{ "a@one.test", false, "one" },
		{ "a@one.test", true, "one" },
		{ "a@far.test", false, "far/far.test" },
		{ "a@FAR.test", true, "far/far.test!" },
		{ "a@other.test", false, "next_hop/other.test" },
		{ "a@[192.0.2.1]", false, "next_hop/[192.0.2.1]" },
	};
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct dest *d = dest_for(b->sched, rows[i].address,
		    rows[i].tls_optional);

		assert_non_null(d);
		assert_string_equal(d->key, rows[i].key);
		assert_int_equal(d->tls_optional, d->key[strlen(d->key) - 1] ==
		    '!');
		assert_ptr_equal(dest_for(b->sched, rows[i].address,
		    rows[i].tls_optional), d);
	}
}

/* Evenly spread, and counted in no other way. */
static void
test_pace(void **state)
{
	struct bench *b = *state;
	struct dest *d = dest_for(b->sched, "a@one.test", false);
	struct sched_job job = { .item.id = "1", .dest = d };
	int64_t now_ms = sched_now_ms();

	assert_int_equal(dest_next_ms(d, now_ms), INT64_MAX);
	assert_int_equal(job_heap_set(&d->jobs, &job.item, now_ms), 0);
	assert_true(dest_next_ms(d, now_ms) <= now_ms);
	dest_spend(d, now_ms);
	assert_int_equal(dest_next_ms(d, now_ms), now_ms + 100);
	assert_true(dest_next_ms(d, now_ms + 100) <= now_ms + 100);
	job_heap_remove(&d->jobs, &job.item);
	assert_int_equal(job_heap_set(&d->jobs, &job.item, now_ms + 7), 0);
	assert_int_equal(dest_next_ms(d, now_ms), now_ms + 7);
	job_heap_remove(&d->jobs, &job.item);
}

/* What has changed retires, with what is its own; all else stays. */
static void
test_reload(void **state)
{
	struct bench *b = *state;
	struct dest *one = dest_for(b->sched, "a@one.test", false);
	struct dest *far = dest_for(b->sched, "a@far.test", false);
	struct dest *other = dest_for(b->sched, "a@other.test", false);

	b->next_routes[1].connections = 6;
	sched_set_conf(b->sched, &b->next);
	assert_true(one->retired);
	assert_false(far->retired || other->retired);
	assert_ptr_equal(far->route, &b->next_routes[0]);
	assert_ptr_equal(dest_for(b->sched, "a@far.test", false), far);
	assert_ptr_not_equal(dest_for(b->sched, "a@one.test", false), one);
	sched_set_conf(b->sched, &b->conf);
	assert_ptr_equal(far->route, &b->routes[0]);
}

/* Ten thousand that have nothing to do: looking costs nothing. */
static void
test_many(void **state)
{
	struct bench *b = *state;
	char address[64];
	struct dest *d;
	clock_t start;

	for (int i = 0; i < MANY; i++) {
		snprintf(address, sizeof(address), "a@d%d.test", i);
		d = dest_for(b->sched, address, false);
		assert_non_null(d);
		dest_look(d, INT64_MAX - 1);
	}
	assert_int_equal(b->sched->n_dests, MANY);
	start = clock();
	for (int i = 0; i < 1000; i++) {
		dest_wake(d);
		assert_ptr_equal(dest_of(job_heap_top(&b->sched->looks,
		    sched_now_ms())), d);
		job_heap_remove(&b->sched->looks, &d->item);
	}
	assert_true(clock() - start < CLOCKS_PER_SEC / 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pace, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reload, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
