/*
 * t_fair.c - who is checked next, who is shed, and how long it takes; with a
 * pool that runs nothing by itself and a clock that is moved.
 */
#include "unit.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "auth/fair.h"

#define JOBS 8192

struct pool {				/* the fake one */
	void	(*work[JOBS])(void *);
	loop_fn	*done[JOBS];
	void	*ctx[JOBS];
	size_t	 n;			/* taken */
	size_t	 at;			/* ended */
	int	 error;
};

struct test_job {
	struct fair_job	 j;
	int		 id;
	int		 order;		/* of its start; -1 */
	int		 end;		/* enum fair_end; -1 */
};

static struct pool pool;
static int64_t now_ms;
static int started;
static struct test_job jobs[JOBS];

static int
fake_submit(struct pool *p, void (*work)(void *), loop_fn *done, void *ctx)
{
	if (p->error != 0)
		return p->error;
	p->work[p->n] = work;
	p->done[p->n] = done;
	p->ctx[p->n++] = ctx;
	return 0;
}

static int64_t
fake_now(void)
{
	return now_ms;
}

static void
job_work(void *ctx)
{
	((struct test_job *)ctx)->order = started++;
}

static void
job_end(void *ctx, enum fair_end how)
{
	((struct test_job *)ctx)->end = (int)how;
}

static struct fair *
start(unsigned int threads)
{
	struct fair *f;

	memset(&pool, 0, sizeof(pool));
	memset(jobs, 0, sizeof(jobs));
	now_ms = 1000;
	started = 0;
	f = fair_new(&pool, threads, fake_submit, fake_now);
	assert_non_null(f);
	fair_set_wait(f, 20000);
	return f;
}

/* The next check that was started ends. False: none runs. */
static bool
finish(void)
{
	size_t i = pool.at;

	if (i == pool.n)
		return false;
	pool.at++;
	pool.work[i](pool.ctx[i]);
	pool.done[i](pool.ctx[i]);
	return true;
}

static struct addr
net(unsigned int i)
{
	struct addr a = { .ip = { [10] = 0xff, 0xff, 10, (uint8_t)(i >> 16),
	    (uint8_t)(i >> 8), (uint8_t)i } };

	return a;
}

static int
put(struct fair *f, int id, struct addr a, bool known, unsigned int failures)
{
	struct test_job *t = &jobs[id];

	*t = (struct test_job){ .id = id, .order = -1, .end = -1,
	    .j = { .addr = a, .known = known, .failures = failures,
	    .work = job_work, .end = job_end, .ctx = t } };
	return fair_submit(f, &t->j);
}

static void
t_one_for_a_network(void **state)
{
	struct fair *f = start(4);

	(void)state;
	for (int i = 0; i < 5; i++)
		assert_int_equal(put(f, i, net(1), false, 0), 0);
	assert_int_equal(pool.n, 1);
	put(f, 5, net(2), false, 0);
	assert_int_equal(pool.n, 2);
	while (finish())
		assert_true(pool.n - pool.at <= 2);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(jobs[i].end, FAIR_CHECKED);
		assert_true(i == 0 || jobs[i].order > jobs[i - 1].order);
	}
	assert_int_equal(fair_waiting(f), 0);
	fair_free(f);
}

static void
t_ipv6_network(void **state)
{
	struct fair *f = start(4);
	struct addr a = { .ip = { 0x20, 1, 0xd, 0xb8, 0, 0, 0, 1 } };

	(void)state;
	put(f, 0, a, false, 0);
	a.ip[15] = 9;
	put(f, 1, a, false, 0);		/* the same /64 */
	assert_int_equal(pool.n, 1);
	a.ip[7] = 2;
	put(f, 2, a, false, 0);
	assert_int_equal(pool.n, 2);
	while (finish())
		;
	fair_free(f);
}

static void
t_exempt_runs_many(void **state)
{
	struct fair *f = start(4);

	(void)state;
	for (int i = 0; i < 4; i++) {
		jobs[i] = (struct test_job){ .order = -1, .end = -1, .j = {
		    .addr = net(1), .exempt = true, .work = job_work,
		    .end = job_end, .ctx = &jobs[i] } };
		assert_int_equal(fair_submit(f, &jobs[i].j), 0);
	}
	assert_int_equal(pool.n, 4);
	while (finish())
		;
	fair_free(f);
}

static void
t_known_go_first(void **state)
{
	struct fair *f = start(1);

	(void)state;
	for (int i = 0; i < 20; i++)
		put(f, i, net((unsigned int)i), false, 0);
	for (int i = 20; i < 40; i++)
		put(f, i, net((unsigned int)i), true, 0);
	while (finish())
		;
	/* One runs already; then every eighth turn is the others'. */
	assert_int_equal(jobs[0].order, 0);
	for (int i = 20; i < 40; i++)
		assert_true(jobs[i].order < 26);
	assert_int_equal(jobs[1].order, 7);
	assert_int_equal(jobs[2].order, 15);
	/* In his own network too the known one goes first. */
	put(f, 50, net(1), false, 0);
	put(f, 51, net(1), false, 0);
	put(f, 52, net(1), true, 0);
	while (finish())
		;
	assert_true(jobs[52].order < jobs[51].order);
	fair_free(f);
}

static void
t_turns_and_failures(void **state)
{
	struct fair *f = start(1);

	(void)state;
	put(f, 0, net(9), false, 0);		/* runs */
	for (int i = 1; i < 4; i++)
		put(f, i, net(1), false, 3);
	for (int i = 4; i < 7; i++)
		put(f, i, net(2), false, 0);
	for (int i = 7; i < 10; i++)
		put(f, i, net(3), false, 0);
	while (finish())
		;
	assert_int_equal(jobs[4].order, 1);
	assert_int_equal(jobs[7].order, 2);
	assert_int_equal(jobs[5].order, 3);
	assert_int_equal(jobs[8].order, 4);
	assert_int_equal(jobs[6].order, 5);
	assert_int_equal(jobs[9].order, 6);
	assert_int_equal(jobs[1].order, 7);
	fair_free(f);
}

static void
t_shed(void **state)
{
	struct fair *f = start(1);
	const int others = FAIR_PLACES - FAIR_KEPT;

	(void)state;
	put(f, 0, net(0), false, 0);		/* runs */
	for (int i = 1; i <= others; i++)
		assert_int_equal(put(f, i, net((unsigned int)(i <= 40 ? 1 :
		    i <= 80 ? 2 : i)), false, i <= 40 ? 50 : i <= 80 ? 5 : 0),
		    0);
	assert_int_equal(fair_waiting(f), others);
	/* The newest of the worst network makes room. */
	assert_int_equal(put(f, 5000, net(7000), false, 0), 0);
	assert_int_equal(jobs[40].end, FAIR_SHED);
	assert_int_equal(jobs[39].end, -1);
	/* One as bad as the worst has no place. */
	assert_int_equal(put(f, 5001, net(7001), false, 70), ERR_LIMIT);
	assert_int_equal(put(f, 5002, net(1), false, 50), ERR_LIMIT);
	assert_int_equal(jobs[39].end, -1);
	/* Known ones have theirs kept. */
	for (int i = 0; i < (int)FAIR_KEPT; i++)
		assert_int_equal(put(f, 6000 + i, net(100000 +
		    (unsigned int)i), true, 0), 0);
	assert_int_equal(jobs[39].end, -1);
	assert_int_equal(fair_waiting(f), FAIR_PLACES);
	/* When all are taken, others make room for one. */
	assert_int_equal(put(f, 7999, net(200000), true, 0), 0);
	assert_int_equal(jobs[39].end, FAIR_SHED);
	/* One network's known pairs cannot take them all. */
	for (int i = 0; i < 40; i++)
		assert_int_equal(fair_cancel(&jobs[6000 + i].j), true);
	now_ms += 20001;
	fair_tick(f);
	assert_int_equal(fair_waiting(f), 0);
	assert_int_equal(jobs[7999].end, FAIR_LATE);
	for (int i = 0; i < (int)FAIR_NET_KNOWN; i++)
		assert_int_equal(put(f, 1 + i, net(5), true, 0), 0);
	assert_int_equal(put(f, 5000, net(5), true, 0), ERR_LIMIT);
	fair_free(f);
}

/* Nobody with failures: whoever fills the queue himself is shed. */
static void
t_shed_the_fullest(void **state)
{
	struct fair *f = start(1);
	int i;

	(void)state;
	put(f, 0, net(0), false, 0);
	for (i = 1; i <= (int)(FAIR_PLACES - FAIR_KEPT); i++)
		put(f, i, net(i <= 100 ? (unsigned int)i : 1000), false, 0);
	assert_int_equal(put(f, i, net(1000), false, 0), ERR_LIMIT);
	assert_int_equal(put(f, i + 1, net(2000), false, 0), 0);
	assert_int_equal(jobs[i - 1].end, FAIR_SHED);
	fair_free(f);
}

/* The one that makes room may be the last that waited in the very network for
 * which room is made: the network stays. */
static void
t_shed_own(void **state)
{
	static const struct {
		const char	*name;
		bool		 known;
		unsigned int	 failures;
	} rows[] = {
		{ "a known pair there", true, 0 },
		{ "its failures are forgotten by now", false, 0 },
	};

	(void)state;
	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
		struct fair *f = start(1);
		int i;

		put(f, 0, net(0), false, 0);		/* runs */
		for (i = 1; i <= (int)(FAIR_PLACES - FAIR_KEPT); i++)
			put(f, i, net((unsigned int)i), false,
			    i == 1 ? 50 : 0);
		for (; i <= (int)FAIR_PLACES; i++)
			put(f, i, net((unsigned int)i), true, 0);
		assert_int_equal(put(f, 5000, net(1), rows[k].known,
		    rows[k].failures), 0);
		assert_int_equal(jobs[1].end, FAIR_SHED);
		/* A network that comes now has a place of its own. */
		put(f, 5001, net(300000), true, 0);
		while (finish())
			;
		if (jobs[5000].end != FAIR_CHECKED)
			fail_msg("%s: it was lost", rows[k].name);
		assert_int_equal(jobs[5001].end, FAIR_CHECKED);
		assert_int_equal(fair_waiting(f), 0);
		fair_free(f);
	}
}

static void
t_late_and_away(void **state)
{
	struct fair *f = start(1);

	(void)state;
	put(f, 0, net(0), false, 0);
	put(f, 1, net(1), false, 0);
	now_ms += 15000;
	put(f, 2, net(2), false, 0);
	now_ms += 5001;
	fair_tick(f);
	assert_int_equal(jobs[1].end, FAIR_LATE);
	assert_int_equal(jobs[2].end, -1);
	assert_false(fair_cancel(&jobs[0].j));
	pool.error = ERR_LIMIT;
	assert_true(finish());
	assert_int_equal(jobs[2].end, FAIR_AWAY);
	pool.error = 0;
	put(f, 3, net(1), false, 0);
	put(f, 4, net(1), false, 0);
	assert_true(fair_cancel(&jobs[4].j));
	assert_true(finish());
	assert_false(finish());
	assert_int_equal(jobs[3].end, FAIR_CHECKED);
	assert_int_equal(jobs[4].end, -1);
	fair_free(f);
}

static bool
job_refuse(void *ctx)
{
	return ((struct test_job *)ctx)->id % 2 == 0;
}

/* What is refused when its turn comes leaves the thread to the next. */
static void
t_refused(void **state)
{
	struct fair *f = start(1);

	(void)state;
	put(f, 0, net(0), false, 0);
	for (int i = 1; i < 6; i++) {
		jobs[i] = (struct test_job){ .id = i, .order = -1, .end = -1,
		    .j = { .addr = net(1), .start = job_refuse,
		    .work = job_work, .end = job_end, .ctx = &jobs[i] } };
		assert_int_equal(fair_submit(f, &jobs[i].j), 0);
	}
	while (finish())
		;
	for (int i = 1; i < 6; i++)
		assert_int_equal(jobs[i].end, i % 2 == 0 ? FAIR_CHECKED :
		    FAIR_REFUSED);
	assert_int_equal(pool.n, 3);
	fair_free(f);
}

/* Whatever comes and goes, no thread idles while something may run, and nothing
 * is lost. */
static void
t_random(void **state)
{
	struct fair *f = start(3);
	unsigned int seed = 1, waiting = 0, ended = 0, n = 0;
	struct timespec a, b;
	double us;

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 0; i < JOBS; i++) {
		unsigned int r = (unsigned int)rand_r(&seed);

		if (put(f, i, net(r % 700), r % 5 == 0, r % 90) != 0)
			jobs[i].end = FAIR_SHED;
		n++;
		if (r % 3 == 0)
			finish();
		if (r % 11 == 0 && jobs[r % n].end == -1 &&
		    fair_cancel(&jobs[r % n].j))
			jobs[r % n].end = FAIR_SHED;
		if (r % 7 == 0)
			now_ms += 5;
		assert_true(fair_waiting(f) <= FAIR_PLACES);
		waiting = fair_waiting(f);
		/* 700 networks: some of them always may. */
		assert_true(waiting < 700 || pool.n - pool.at == 3);
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	us = ((double)(b.tv_sec - a.tv_sec) * 1e6 +
	    (double)(b.tv_nsec - a.tv_nsec) / 1e3) / JOBS;
	print_message("%.2f us for each check, %u wait\n", us, waiting);
	while (finish())
		;
	for (int i = 0; i < JOBS; i++)
		ended += jobs[i].end != -1;
	assert_int_equal(ended, JOBS);
	assert_int_equal(fair_waiting(f), 0);
	fair_free(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_one_for_a_network),
		cmocka_unit_test(t_ipv6_network),
		cmocka_unit_test(t_exempt_runs_many),
		cmocka_unit_test(t_known_go_first),
		cmocka_unit_test(t_turns_and_failures),
		cmocka_unit_test(t_shed),
		cmocka_unit_test(t_shed_the_fullest),
		cmocka_unit_test(t_shed_own),
		cmocka_unit_test(t_late_and_away),
		cmocka_unit_test(t_refused),
		cmocka_unit_test(t_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
