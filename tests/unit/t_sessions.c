/*
 * t_sessions.c - the table of sessions: limits, several processes, a worker that
 * dies with the lock, and a table that somebody has written nonsense into.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/sessions_private.h"

#define N_WORKERS 4
#define CAPACITY 512

static struct sessions_fds fds;
static struct sessions *parent, *workers[N_WORKERS];
static struct loop *loop;
static struct timer stop;
static struct conf conf;

struct ended {
	void		*session;
	unsigned int	 limit;
};
static struct ended ended[16];
static size_t n_ended;

static void
on_end(void *session, unsigned int limit)
{
	/* A table of nonsense may name all of them. */
	if (n_ended < sizeof(ended) / sizeof(ended[0]))
		ended[n_ended] = (struct ended){ session, limit };
	n_ended++;
}

static void
stop_loop(void *ctx)
{
	(void)ctx;
	loop_stop(loop);
}

static void
turn(void)
{
	timer_arm(&stop, 20);
	loop_run(loop);
}

static struct sessions *
open_as(unsigned int worker)
{
	struct sessions *t = NULL;
	struct sessions_fds mine = fds;

	mine.worker = worker;
	assert_int_equal(sessions_open(&mine, &t), 0);
	return t;
}

static int
setup(void **state)
{
	struct err e = { 0 };

	(void)state;
	fds = (struct sessions_fds){ .table = -1 };
	assert_int_equal(sessions_make(&fds, N_WORKERS, CAPACITY, &e), 0);
	parent = open_as(N_WORKERS);
	loop = loop_new();
	timer_init(&stop, loop, stop_loop, NULL);
	for (unsigned int i = 0; i < N_WORKERS; i++) {
		workers[i] = open_as(i);
		assert_int_equal(sessions_listen(workers[i], loop, on_end), 0);
	}
	conf = (struct conf){ .sessions_per_address = 3,
	    .sessions_per_network = 5, .sessions_per_user = 2 };
	n_ended = 0;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < N_WORKERS; i++) {
		sessions_close(workers[i]);
		close(fds.wake[i]);
	}
	sessions_close(parent);
	close(fds.table);
	timer_free(&stop);
	loop_free(loop);
	return 0;
}

static unsigned int
enter(unsigned int worker, struct sessions_entry *e, const char *ip)
{
	struct addr a;

	assert_int_equal(addr_parse_ip(ip, &a), 0);
	return sessions_enter(workers[worker], e, e, &a, &conf);
}

static unsigned int
authorise(unsigned int worker, struct sessions_entry *e, const char *user,
    bool *ret_refused)
{
	return sessions_authorise(workers[worker], e, user, &conf,
	    ret_refused);
}

static void
assert_counts(uint64_t open, uint64_t strangers)
{
	struct sessions_counts c;

	sessions_count(parent, &c);
	assert_int_equal(c.open, open);
	assert_int_equal(c.strangers, strangers);
}

/* ---------------------------------------------------------------- limits -- */

static void
test_what_counts_as_one(void **state)
{
	static const struct {
		const char *name, *ip[8];
		unsigned int over;	/* the last of them */
	} rows[] = {
		{ "an address", { "192.0.2.1", "192.0.2.1", "192.0.2.1",
		    "192.0.2.1" }, SESSIONS_PER_ADDRESS },
		{ "two addresses", { "192.0.2.1", "192.0.2.1", "192.0.2.1",
		    "192.0.2.2" }, 0 },
		{ "a /64", { "2001:db8::1", "2001:db8::2", "2001:db8::3",
		    "2001:db8::4" }, SESSIONS_PER_ADDRESS },
		{ "two of /64", { "2001:db8::1", "2001:db8::2", "2001:db8::3",
		    "2001:db8:0:1::4" }, 0 },
		{ "a /24", { "192.0.2.1", "192.0.2.2", "192.0.2.3",
		    "192.0.2.4", "192.0.2.5", "192.0.2.6" },
		    SESSIONS_PER_NETWORK },
		{ "two of /24", { "192.0.2.1", "192.0.2.2", "192.0.2.3",
		    "192.0.2.4", "192.0.2.5", "192.0.3.6" }, 0 },
		{ "a /48", { "2001:db8:0:1::1", "2001:db8:0:2::1",
		    "2001:db8:0:3::1", "2001:db8:0:4::1", "2001:db8:0:5::1",
		    "2001:db8:0:6::1" }, SESSIONS_PER_NETWORK },
		{ "two of /48", { "2001:db8:0:1::1", "2001:db8:0:2::1",
		    "2001:db8:0:3::1", "2001:db8:0:4::1", "2001:db8:0:5::1",
		    "2001:db8:1:6::1" }, 0 },
		{ "one who left makes room in both", { "192.0.2.1", "192.0.2.2", "192.0.2.3",
		    "192.0.2.3", "192.0.2.3", "192.0.2.3" },
		    SESSIONS_PER_ADDRESS },
	};

	(void)state;
	for (size_t r = 0; r < sizeof(rows) / sizeof(*rows); r++) {
		struct sessions_entry e[8] = { 0 };
		unsigned int over = 0;
		size_t n;

		for (n = 0; n < 8 && rows[r].ip[n] != NULL; n++)
			over = enter(n % N_WORKERS, &e[n], rows[r].ip[n]);
		if (over != rows[r].over)
			fail_msg("%s: %u", rows[r].name, over);
		turn();
		while (n-- > 0)
			sessions_leave(workers[n % N_WORKERS], &e[n]);
		assert_counts(0, 0);
	}
}

/* Across workers; and who made room is no longer counted. */
static void
test_longest_silent_ends(void **state)
{
	struct sessions_entry e[6] = { 0 };

	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(enter(i, &e[i], "192.0.2.1"), 0);
	sessions_heard(workers[0], &e[0], clock_mono_ms() + 50);
	sessions_heard(workers[1], &e[1], clock_mono_ms() + 20);
	sessions_heard(workers[2], &e[2], clock_mono_ms() + 30);
	assert_int_equal(enter(3, &e[3], "192.0.2.1"), SESSIONS_PER_ADDRESS);
	turn();
	assert_int_equal(n_ended, 1);
	assert_ptr_equal(ended[0].session, &e[1]);
	assert_int_equal(ended[0].limit, SESSIONS_PER_ADDRESS);
	sessions_heard(workers[3], &e[3], clock_mono_ms() + 60);
	assert_int_equal(enter(0, &e[4], "192.0.2.1"), SESSIONS_PER_ADDRESS);
	sessions_leave(workers[1], &e[1]);
	turn();
	assert_int_equal(n_ended, 2);
	assert_ptr_equal(ended[1].session, &e[2]);
	assert_counts(4, 4);
	/* Two have left of their own will: there is room. */
	sessions_leave(workers[0], &e[0]);
	assert_int_equal(enter(1, &e[5], "192.0.2.1"), 0);
	assert_counts(4, 4);
}

static void
test_log_only(void **state)
{
	struct sessions_entry e[5] = { 0 };
	bool refused;

	(void)state;
	conf.sessions_policy = SHADOW_LOG;
	for (unsigned int i = 0; i < 5; i++)
		assert_int_equal(enter(0, &e[i], "192.0.2.1"),
		    i < 3 ? 0 : SESSIONS_PER_ADDRESS);
	for (unsigned int i = 0; i < 5; i++) {
		assert_int_equal(authorise(0, &e[i], "anna@example.test",
		    &refused), i < 2 ? 0 : SESSIONS_PER_USER);
		assert_false(refused);
	}
	turn();
	assert_int_equal(n_ended, 0);
	assert_counts(5, 0);
}

static void
test_user(void **state)
{
	struct sessions_entry e[4] = { 0 };
	bool refused;

	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		enter(i, &e[i], "192.0.2.1");
	assert_int_equal(authorise(0, &e[0], "anna@example.test", &refused), 0);
	assert_int_equal(authorise(0, &e[0], "anna@example.test", &refused), 0);
	assert_int_equal(authorise(1, &e[1], "anna@example.test", &refused), 0);
	assert_int_equal(authorise(2, &e[2], "anna@example.test", &refused),
	    SESSIONS_PER_USER);
	assert_true(refused);
	assert_false(e[2].authorised);
	assert_counts(3, 1);
	/* As somebody else, and as nobody, it may. */
	assert_int_equal(authorise(2, &e[2], "bob@example.test", &refused), 0);
	assert_false(refused);
	assert_int_equal(authorise(2, &e[2], "anna@example.test", &refused),
	    SESSIONS_PER_USER);
	assert_true(refused);
	sessions_leave(workers[0], &e[0]);
	assert_int_equal(authorise(2, &e[2], "anna@example.test", &refused), 0);
	assert_int_equal(authorise(1, &e[1], NULL, &refused), 0);
	assert_int_equal(authorise(1, &e[1], "anna@example.test", &refused), 0);
	/* They do not stand in the way of strangers. */
	for (unsigned int i = 0; i < 2; i++)
		sessions_leave(workers[i + 1], &e[i + 1]);
	assert_counts(0, 0);
}

/* A login that succeeds just now is not thrown out. */
static void
test_asked_and_authorised(void **state)
{
	struct sessions_entry e[4] = { 0 };
	bool refused;

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		enter(0, &e[i], "192.0.2.1");
		sessions_heard(workers[0], &e[i], 1000 + i);
	}
	assert_int_equal(enter(1, &e[3], "192.0.2.1"), SESSIONS_PER_ADDRESS);
	authorise(0, &e[0], "anna@example.test", &refused);
	turn();
	assert_int_equal(n_ended, 0);
	assert_counts(4, 3);
	/* One that leaves while it is asked is not told either, nor is who
	 * takes its place. */
	for (unsigned int i = 1; i < 3; i++)
		sessions_heard(workers[0], &e[i], i);
	assert_int_equal(enter(2, &e[0], "192.0.2.9"), 0);
	sessions_leave(workers[0], &e[0]);
	memset(&e[0], 0, sizeof(e[0]));
	assert_int_equal(enter(2, &e[0], "192.0.2.1"), SESSIONS_PER_ADDRESS);
	sessions_leave(workers[0], &e[1]);
	assert_int_equal(enter(3, &e[1], "198.51.100.1"), 0);
	turn();
	assert_int_equal(n_ended, 0);
}

static void
test_no_address_and_no_room(void **state)
{
	static struct sessions_entry e[CAPACITY + 1];
	struct sessions_counts c;

	(void)state;
	memset(e, 0, sizeof(e));
	for (unsigned int i = 0; i <= CAPACITY; i++)
		assert_int_equal(sessions_enter(workers[0], &e[i], &e[i], NULL,
		    &conf), 0);
	assert_int_equal(e[CAPACITY].slot, 0);
	sessions_count(parent, &c);
	assert_int_equal(c.open, CAPACITY);
	assert_int_equal(c.uncounted, 1);
	for (unsigned int i = 0; i <= CAPACITY; i++)
		sessions_leave(workers[0], &e[i]);
	assert_counts(0, 0);
	assert_int_equal(enter(1, &e[0], "192.0.2.1"), 0);
	assert_int_not_equal(e[0].slot, 0);
	/* No table at all. */
	memset(&e[1], 0, sizeof(e[1]));
	assert_int_equal(sessions_enter(NULL, &e[1], NULL, NULL, &conf), 0);
	sessions_heard(NULL, &e[1], 1);
	sessions_leave(NULL, &e[1]);
}

/* ------------------------------------------------------ who begins with TLS -- */

/* A session begins there and ends: does it not wait for its greeting? */
static bool
is_plain(unsigned int worker, const char *ip)
{
	struct addr a;

	assert_int_equal(addr_parse_ip(ip, &a), 0);
	if (!sessions_hello_wait(workers[worker], &a))
		return true;
	/* One at a time waits. */
	assert_false(sessions_hello_wait(workers[!worker], &a));
	sessions_hello_waited(workers[worker], &a);
	return false;
}

static void
note(unsigned int worker, const char *ip,
    void (*how)(struct sessions *t, const struct addr *peer))
{
	struct addr a;

	assert_int_equal(addr_parse_ip(ip, &a), 0);
	how(workers[worker], &a);
}

static void
hours_later(void)
{
	const uint64_t minutes = 0xffffff;
	uint64_t *w = parent->head->hello;

	for (unsigned int i = 0; i < SESSIONS_HELLOS; i++)
		if (w[i] != 0)
			w[i] = (w[i] & ~minutes) | ((w[i] - 241) & minutes);
}

/* What one worker has seen all know. */
static void
test_plain(void **state)
{
	static const struct addr nowhere;

	(void)state;
	assert_false(is_plain(0, "192.0.2.1"));
	note(0, "192.0.2.1", sessions_note_plain);
	note(0, "192.0.2.1", sessions_note_plain);
	note(1, "2001:db8::1", sessions_note_plain);
	assert_true(is_plain(1, "192.0.2.1"));
	assert_false(is_plain(1, "192.0.2.2"));
	assert_true(is_plain(0, "2001:db8::ffff:1"));
	assert_false(is_plain(0, "2001:db8:0:1::1"));
	/* A hello counts until seven have come without, or its time is over. */
	for (int i = 0; i < 7; i++) {
		note(i & 1, "192.0.2.1", i == 0 ? sessions_note_hello :
		    sessions_note_plain);
		assert_false(is_plain(0, "192.0.2.1"));
	}
	note(0, "192.0.2.1", sessions_note_plain);
	assert_true(is_plain(1, "192.0.2.1"));
	note(1, "192.0.2.1", sessions_note_hello);
	note(0, "192.0.2.1", sessions_note_plain);
	hours_later();
	assert_false(is_plain(0, "2001:db8::1"));
	note(0, "192.0.2.1", sessions_note_plain);
	assert_true(is_plain(1, "192.0.2.1"));
	/* Nobody waits for what cannot be known. */
	sessions_note_plain(workers[0], &nowhere);
	sessions_note_hello(workers[0], &nowhere);
	assert_false(sessions_hello_wait(workers[0], &nowhere));
	sessions_note_hello(NULL, &nowhere);
	assert_false(sessions_hello_wait(NULL, &nowhere));
}

/* Bounded: of many the last ones are known; and what a worker wrote over them
 * harms nobody. */
static void
test_plain_bounds(void **state)
{
	unsigned int known = 0;
	char ip[40];

	(void)state;
	for (unsigned int i = 0; i < 8 * SESSIONS_HELLOS; i++) {
		snprintf(ip, sizeof(ip), "10.%u.%u.1", i >> 8, i & 0xff);
		note(0, ip, sessions_note_plain);
		assert_true(is_plain(1, ip));
	}
	for (unsigned int i = 0; i < 8 * SESSIONS_HELLOS; i++) {
		snprintf(ip, sizeof(ip), "10.%u.%u.1", i >> 8, i & 0xff);
		known += is_plain(1, ip);
	}
	assert_in_range(known, SESSIONS_HELLOS / 2, SESSIONS_HELLOS);
	memset(workers[1]->head->hello, 0xff, sizeof(parent->head->hello));
	note(0, "192.0.2.1", sessions_note_plain);
	assert_true(is_plain(1, "192.0.2.1"));
}

/* ------------------------------------------------------------- processes -- */

static void
child_loop(unsigned int worker, int told)
{
	struct sessions_entry e[100] = { 0 };
	struct sessions *t = open_as(worker);
	struct addr a;
	char ip[32];
	bool refused;

	conf.sessions_per_address = conf.sessions_per_network = 100000;
	conf.sessions_per_user = 100000;
	for (unsigned int round = 0; round < 200; round++)
		for (unsigned int i = 0; i < 100; i++) {
			snprintf(ip, sizeof(ip), "10.0.%u.%u", i % 4, i % 8);
			addr_parse_ip(ip, &a);
			if (e[i].slot != 0)
				sessions_leave(t, &e[i]);
			sessions_enter(t, &e[i], &e[i], &a, &conf);
			if (i % 3 == 0)
				sessions_authorise(t, &e[i], ip, &conf,
				    &refused);
		}
	(void)!write(told, "x", 1);
	pause();
}

static void
test_processes(void **state)
{
	pid_t pid[N_WORKERS];
	int told[2];
	char x;

	(void)state;
	assert_int_equal(pipe(told), 0);
	for (unsigned int i = 0; i < N_WORKERS; i++)
		if ((pid[i] = fork()) == 0) {
			child_loop(i, told[1]);
			_exit(0);
		}
	for (unsigned int i = 0; i < N_WORKERS; i++)
		assert_int_equal(read(told[0], &x, 1), 1);
	assert_counts(400, 400 - 4 * 34);
	for (unsigned int i = 0; i < N_WORKERS; i++) {
		kill(pid[i], SIGKILL);
		waitpid(pid[i], NULL, 0);
		sessions_clear(parent, i);
		assert_counts(400 - 100 * (i + 1),
		    (400 - 4 * 34) - (100 - 34) * (i + 1));
	}
	for (uint32_t i = 0; i < parent->n_buckets; i++)
		assert_int_equal(parent->buckets[i], 0);
	close(told[0]);
	close(told[1]);
}

/* Killed again and again, wherever it stood, half of the time with the lock. */
static void
test_killed_anywhere(void **state)
{
	struct sessions_entry e = { 0 };
	unsigned int held = 0;
	int told[2];

	(void)state;
	assert_int_equal(pipe(told), 0);
	assert_int_equal(enter(0, &e, "192.0.2.1"), 0);
	for (unsigned int round = 0; round < 60; round++) {
		pid_t pid = fork();

		if (pid == 0) {
			for (;;)
				child_loop(1, told[1]);
		}
		usleep(500 + round * 37);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		held += parent->head->lock != 0;
		sessions_clear(parent, 1);
		assert_counts(1, 1);
		assert_int_equal(parent->head->lock, 0);
	}
	print_message("%u of 60 died with the lock\n", held);
	close(told[0]);
	close(told[1]);
	sessions_leave(workers[0], &e);
	assert_counts(0, 0);
}

/* Who waits for a dead holder goes on as soon as the parent has cleared. */
static void
test_killed_holder(void **state)
{
	struct sessions_entry e[2] = { 0 };
	int ready[2];
	pid_t holder, waiter;
	int status;
	char x;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	assert_int_equal(enter(1, &e[0], "192.0.2.1"), 0);
	if ((holder = fork()) == 0) {
		struct sessions *t = open_as(2);

		enter(2, &e[1], "192.0.2.1");
		sessions_lock(t);
		/* In the middle of a change. */
		t->slots[1].link[LIST_ADDRESS].next = 99999;
		t->head->free = 1;
		t->groups[1].head = 7;
		(void)!write(ready[1], "x", 1);
		pause();
	}
	assert_int_equal(read(ready[0], &x, 1), 1);
	if ((waiter = fork()) == 0) {
		(void)!write(ready[1], "x", 1);
		enter(3, &e[1], "192.0.2.1");
		_exit(e[1].slot != 0 ? 0 : 1);
	}
	assert_int_equal(read(ready[0], &x, 1), 1);
	usleep(30000);
	kill(holder, SIGKILL);
	waitpid(holder, NULL, 0);
	sessions_clear(parent, 2);
	assert_int_equal(waitpid(waiter, &status, 0), waiter);
	assert_int_equal(status, 0);
	assert_counts(2, 2);
	sessions_clear(parent, 3);
	assert_counts(1, 1);
	sessions_leave(workers[1], &e[0]);
	assert_counts(0, 0);
	close(ready[0]);
	close(ready[1]);
}

/* A worker that keeps the lock and lives: the others serve, uncounted. */
static void
test_kept_lock(void **state)
{
	struct sessions_entry e[3] = { 0 };
	int64_t began_ms = clock_mono_ms(), waited_ms;
	struct sessions_counts c;

	(void)state;
	assert_true(sessions_lock(workers[0]));
	assert_int_equal(enter(1, &e[0], "192.0.2.1"), 0);
	assert_int_equal(e[0].slot, 0);
	waited_ms = clock_mono_ms() - began_ms;
	began_ms = clock_mono_ms();
	assert_int_equal(enter(1, &e[1], "192.0.2.1"), 0);
	assert_true(clock_mono_ms() - began_ms < waited_ms);
	sessions_unlock(workers[0]);
	assert_int_equal(enter(1, &e[2], "192.0.2.1"), 0);
	assert_int_not_equal(e[2].slot, 0);
	sessions_count(parent, &c);
	assert_int_equal(c.uncounted, 2);
}

/* Who left meanwhile is not counted for ever. */
static void
test_left_while_locked(void **state)
{
	struct sessions_entry e[3] = { 0 };
	struct sessions_counts c;

	(void)state;
	assert_int_equal(enter(1, &e[0], "192.0.2.1"), 0);
	assert_int_equal(enter(1, &e[1], "192.0.2.2"), 0);
	assert_true(sessions_lock(workers[0]));
	sessions_leave(workers[1], &e[0]);
	sessions_unlock(workers[0]);
	sessions_count(parent, &c);
	assert_int_equal(c.open, 2);
	assert_int_equal(enter(1, &e[2], "192.0.2.3"), 0);
	sessions_count(parent, &c);
	assert_int_equal(c.open, 2);
	sessions_leave(workers[1], &e[1]);
	sessions_leave(workers[1], &e[2]);
	sessions_count(parent, &c);
	assert_int_equal(c.open, 0);
	assert_int_equal(c.strangers, 0);
}

/* --------------------------------------------------------------- nonsense -- */

static void
spoil(void)
{
	uint8_t *p = (uint8_t *)parent->head;
	size_t n = (size_t)random() % 400;

	for (size_t i = 0; i < n; i++) {
		/* Mostly where something is. */
		size_t at = (size_t)random() % 4 == 0 ?
		    (size_t)random() % parent->octets :
		    (size_t)random() % 8192;

		p[at] = (uint8_t)(random() % 2 == 0 ? random() & 0xff :
		    random() % 4);
	}
	parent->head->lock = 0;
}

static void
test_nonsense(void **state)
{
	static struct sessions_entry e[64];
	char ip[32];
	bool refused;

	(void)state;
	memset(e, 0, sizeof(e));
	srandom(1);
	for (unsigned int round = 0; round < 3000; round++) {
		unsigned int i = (unsigned int)random() % 64, w = i % 4;

		if (round % 16 == 0)
			spoil();
		snprintf(ip, sizeof(ip), "10.0.0.%u", i % 5);
		if (e[i].slot != 0 && random() % 2 == 0)
			sessions_leave(workers[w], &e[i]);
		else if (e[i].slot == 0)
			(void)enter(w, &e[i], ip);
		else
			(void)authorise(w, &e[i], ip, &refused);
		if (round % 50 == 0) {
			n_ended = 0;
			turn();
		}
		if (round % 97 == 0)
			sessions_clear(parent, w);
		n_ended = 0;
	}
}

static void
test_no_table(void **state)
{
	struct sessions_fds none = { .table = -1 };
	struct sessions *t = NULL;

	(void)state;
	assert_int_equal(sessions_open(&none, &t), ERR_FORMAT);
	none.table = memfd_create("x", MFD_CLOEXEC);
	assert_int_equal(sessions_open(&none, &t), ERR_FORMAT);
	assert_int_equal(ftruncate(none.table, 100001), 0);
	assert_int_equal(sessions_open(&none, &t), ERR_FORMAT);
	close(none.table);
	assert_int_equal(ftruncate(fds.table, 0), -1);
	assert_int_equal(errno, EPERM);
}

/* --------------------------------------------------------------- threads -- */

static void *
thread_main(void *arg)
{
	unsigned int n = *(unsigned int *)arg;
	struct sessions_entry e[20] = { 0 };
	char ip[32];
	struct addr a;
	bool refused;

	snprintf(ip, sizeof(ip), "10.0.0.%u", n);
	addr_parse_ip(ip, &a);
	for (unsigned int round = 0; round < 300; round++)
		for (unsigned int i = 0; i < 20; i++) {
			sessions_leave(workers[0], &e[i]);
			sessions_enter(workers[0], &e[i], &e[i], &a, &conf);
			sessions_heard(workers[0], &e[i], round);
			if (i % 4 == 0)
				sessions_authorise(workers[0], &e[i], ip,
				    &conf, &refused);
		}
	for (unsigned int i = 0; i < 20; i++)
		sessions_leave(workers[0], &e[i]);
	return NULL;
}

static void
test_threads(void **state)
{
	pthread_t th[4];
	unsigned int n[4] = { 0, 1, 0, 1 };

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&th[i], NULL, thread_main,
		    &n[i]), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(th[i], NULL);
	assert_counts(0, 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
		T(test_what_counts_as_one),
		T(test_longest_silent_ends),
		T(test_log_only),
		T(test_user),
		T(test_asked_and_authorised),
		T(test_no_address_and_no_room),
		T(test_plain),
		T(test_plain_bounds),
		T(test_processes),
		T(test_killed_anywhere),
		T(test_killed_holder),
		T(test_kept_lock),
		T(test_left_while_locked),
		T(test_nonsense),
		T(test_no_table),
		T(test_threads),
	};

	clock_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
