/*
 * t_flush.c - batches of the journal and of files that run at a time, on a disk
 * that takes as long for each write and flush as the test says, and fails where
 * it says so.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/fio.h"
#include "lib/log.h"
#include "submitd/spool/flush.h"
#include "submitd/spool/journal.h"
#include "submitd/spool/spool.h"
#include "tests/unit/unit.h"

#define SEGMENT (128u * 1024)
#define WAIT_MS 10000
#define MOMENT_MS 5		/* longer than the step */
#define STUCK_MS 5000		/* until what failed is tried again */
#define FAILURES 140u		/* more than segments are wished for */
#define FEW 5u			/* that are kept for use */
#define CALLS_MAX 64u
#define LETTERS_MAX 16u
#define PENDING INT32_MAX

/* -------------------------------------------------------------- the disk -- */

struct call {			/* of a flush or a write, that is held */
	int		 fd;
	ino_t		 ino;
	int		 error;
	bool		 let;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static bool hold_flushes, hold_writes, hold_files, fail_flushes;
static struct call calls[CALLS_MAX];
static unsigned int n_calls;

static int
disk_call(const bool *hold, int fd)
{
	struct call *c;
	struct stat sb;
	int error = 0;

	pthread_mutex_lock(&lock);
	if (*hold && n_calls < CALLS_MAX && fstat(fd, &sb) == 0) {
		c = &calls[n_calls++];
		*c = (struct call){ .fd = fd, .ino = sb.st_ino };
		while (!c->let)
			pthread_cond_wait(&wake, &lock);
		error = c->error;
	}
	if (hold == &hold_flushes && fail_flushes)
		error = EIO;
	pthread_mutex_unlock(&lock);
	errno = error;
	return error == 0 ? 0 : -1;
}

/* Instead of the C library's. */
int
fdatasync(int fd)
{
	return disk_call(&hold_flushes, fd);
}

int
fsync(int fd)
{
	return disk_call(&hold_files, fd);
}

ssize_t
pwritev(int fd, const struct iovec *iov, int n, off_t off)
{
	ssize_t done = 0;

	if (disk_call(&hold_writes, fd) != 0)
		return -1;
	for (int i = 0; i < n; i++) {
		ssize_t got = pwrite(fd, iov[i].iov_base, iov[i].iov_len, off);

		if (got < 0)
			return -1;
		off += got;
		done += got;
	}
	return done;
}

static void
disk_hold(bool flushes, bool writes)
{
	pthread_mutex_lock(&lock);
	hold_flushes = flushes;
	hold_writes = writes;
	hold_files = false;
	n_calls = 0;
	pthread_mutex_unlock(&lock);
}

static void
disk_fail(bool fail)
{
	pthread_mutex_lock(&lock);
	fail_flushes = fail;
	pthread_mutex_unlock(&lock);
}

/* The flushes of files and of the folder that they are in. */
static void
disk_hold_files(void)
{
	disk_hold(false, false);
	pthread_mutex_lock(&lock);
	hold_files = true;
	pthread_mutex_unlock(&lock);
}

static unsigned int
disk_held(void)
{
	unsigned int n;

	pthread_mutex_lock(&lock);
	n = n_calls;
	pthread_mutex_unlock(&lock);
	return n;
}

/* Number `i` ends; the last one, and nothing is held any more. */
static void
disk_let(unsigned int i, int error, bool last)
{
	pthread_mutex_lock(&lock);
	assert_true(i < n_calls && !calls[i].let);
	calls[i].error = error;
	calls[i].let = true;
	if (last)
		hold_flushes = hold_writes = hold_files = false;
	pthread_cond_broadcast(&wake);
	pthread_mutex_unlock(&lock);
}

/* ------------------------------------------------------------- the spool -- */

struct letter {
	struct store_place place;
	struct store_op	 op;
	char		 id[STR_ID_SIZE];
	int		 r;
	size_t		 when;		/* it was answered, as a number */
};

static char root[] = "/tmp/t_flush.XXXXXX", path[64];
static struct loop *loop;
static struct spool spool;
static struct letter letters[LETTERS_MAX];
static size_t n_letters, n_answers;
static char body[70000];

static void
told(void *ctx)
{
	(void)ctx;
}

static void
left(void *ctx, struct queue_msg *m)
{
	(void)ctx;
	(void)m;
}

static void
tick(void *ctx)
{
	(void)ctx;
	loop_stop(loop);
}

static void
run_ms(int64_t ms)
{
	struct timer t = { 0 };

	assert_int_equal(timer_init(&t, loop, tick, NULL), 0);
	timer_arm(&t, ms);
	loop_run(loop);
	timer_free(&t);
}

static void
run_to_held(const char *name, unsigned int n)
{
	int64_t end = clock_mono_ms() + WAIT_MS;

	while (disk_held() < n && clock_mono_ms() < end)
		run_ms(1);
	ROW_EQ(name, disk_held(), n);
}

static void
run_to_answers(const char *name, size_t n)
{
	int64_t end = clock_mono_ms() + WAIT_MS;

	while (n_answers < n && clock_mono_ms() < end)
		run_ms(1);
	ROW_EQ(name, n_answers, n);
}

static void
spool_begin(void)
{
	static const struct queue_hooks hooks = { .told = told,
		.left = left };
	struct err err;

	memset(&spool, 0, sizeof(spool));
	spool.loop = loop;
	assert_int_equal(store_open(&spool.store, path, getuid(), getgid(),
	    &err), 0);
	journal_set_size(spool.store.journal, SEGMENT);
	spool.flush = flush_new(loop, &spool.store);
	spool.queue = queue_new(loop, spool.flush, &hooks, &spool);
	assert_int_equal(recover_run(&spool, &err), 0);
}

static void
spool_end(void)
{
	flush_free(spool.flush);
	queue_free(spool.queue);
	store_close(&spool.store);
}

static void
letter_done(struct store_op *op)
{
	struct letter *l = op->ctx;

	l->r = op->r;
	l->when = n_answers++;
}

static void
letter_add(size_t octets)
{
	static char nothing[] = "";
	struct envelope e = { .sender = (char[]){ "a@example.org" },
		.user = (char[]){ "u" }, .n_rcpts = 1,
		.rcpts = (char *[]){ (char[]){ "b@example.com" } } };
	char **const empty[] = { &e.peer, &e.tls, &e.mech, &e.sid, &e.helo,
	    &e.envid };
	struct letter *l = &letters[n_letters++];

	assert_true(n_letters <= LETTERS_MAX);
	for (size_t i = 0; i < ROWS(empty); i++)
		*empty[i] = nothing;
	memset(l, 0, sizeof(*l));
	str_id(l->id);
	memcpy(e.id, l->id, sizeof(e.id));
	l->r = PENDING;
	l->op.kind = STORE_COMMIT;
	memcpy(l->op.id, l->id, sizeof(l->op.id));
	assert_int_equal(store_file_new(&e, "", 0, &l->op.file), 0);
	l->op.place = &l->place;
	l->op.data = body;
	l->op.len = octets;
	l->op.done = letter_done;
	l->op.ctx = l;
	flush_add(spool.flush, &l->op);
}

/* A segment is ready. */
static void
settle(void)
{
	struct journal_status status;

	do {
		run_ms(1);
		journal_status(spool.store.journal, &status);
	} while (status.ready < 1);
}

/* A spool with a segment, and the first batch in it. */
static void
begin(size_t octets)
{
	char cmd[100];

	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", path);
	assert_int_equal(system(cmd), 0);
	n_letters = n_answers = 0;
	disk_hold(false, false);
	spool_begin();
	settle();
	if (octets == 0)
		return;
	letter_add(octets);
	run_to_answers("the first", 1);
	assert_int_equal(letters[0].r, 0);
	settle();
}

/* What is there after a crash is what was acknowledged. */
static void
end(const char *name)
{
	size_t n = 0;

	disk_hold(false, false);
	run_to_answers(name, n_letters);
	spool_end();
	spool_begin();
	for (size_t i = 0; i < n_letters; i++) {
		ROW_EQ(name, queue_find(spool.queue, letters[i].id) != NULL,
		    letters[i].r == 0);
		n += letters[i].r == 0;
	}
	ROW_EQ(name, queue_count(spool.queue), n);
	spool_end();
}

/* ----------------------------------------------------------------- tests -- */

#define RUNNING 3

struct order_case {
	const char	*name;
	unsigned int	 order[RUNNING];	/* in which the flushes end */
	int		 error[RUNNING];	/* of each */
	size_t		 good;			/* so many are acknowledged */
};

static const struct order_case order_cases[] = {
	{ "forwards", { 0, 1, 2 }, { 0, 0, 0 }, 3 },
	{ "backwards", { 2, 1, 0 }, { 0, 0, 0 }, 3 },
	{ "the first fails at once", { 0, 1, 2 }, { EIO, 0, 0 }, 0 },
	{ "the first fails, the others were flushed", { 2, 1, 0 },
	  { EIO, 0, 0 }, 0 },
	{ "the second fails while the first runs", { 1, 2, 0 },
	  { 0, EIO, 0 }, 1 },
	{ "the second fails while the third runs", { 0, 1, 2 },
	  { 0, EIO, 0 }, 1 },
	{ "the last fails first", { 2, 1, 0 }, { 0, 0, EIO }, 2 },
	{ "the last fails last", { 1, 0, 2 }, { 0, 0, EIO }, 2 },
	{ "two fail", { 1, 0, 2 }, { EIO, EIO, 0 }, 0 },
	{ "all fail", { 2, 0, 1 }, { EIO, EIO, EIO }, 0 },
};

/* Their flushes run, side by side, each on a description of its own. */
static void
order_begin(const char *name)
{
	for (unsigned int i = 0; i < RUNNING; i++) {
		letter_add(1000 + i);
		run_to_held(name, i + 1);
		for (unsigned int k = 0; k < i; k++) {
			ROW_EQ(name, calls[k].ino, calls[i].ino);
			ROW_EQ(name, calls[k].fd == calls[i].fd, false);
		}
	}
	ROW_EQ(name, n_answers, 1);
}

/* Answers come in order: those in front of all that still run. */
static size_t
order_answered(const bool ended[RUNNING])
{
	size_t n = 0;

	while (n < RUNNING && ended[n])
		n++;
	return n;
}

static void
order_check(const struct order_case *c)
{
	for (size_t i = 0; i < RUNNING; i++) {
		ROW_EQ(c->name, letters[1 + i].r, i < c->good ? 0 :
		    ERR_SYSTEM);
		ROW_EQ(c->name, letters[1 + i].when, 1 + i);
	}
	ROW_EQ(c->name, letters[1 + RUNNING].r, 0);
}

static void
test_order(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(order_cases); i++) {
		const struct order_case *c = &order_cases[i];
		bool ended[RUNNING] = { false };

		begin(500);
		disk_hold(true, false);
		order_begin(c->name);
		for (unsigned int k = 0; k < RUNNING; k++) {
			unsigned int n = c->order[k];
			size_t answers;

			disk_let(n, c->error[n], k + 1 == RUNNING);
			ended[n] = true;
			answers = order_answered(ended);
			if (k + 1 == RUNNING)
				break;
			run_to_answers(c->name, 1 + answers);
			run_ms(MOMENT_MS);
			ROW_EQ(c->name, n_answers, 1 + answers);
			/* After a failure all end before the next begins. */
			if (answers > c->good && n_letters == 1 + RUNNING) {
				letter_add(700);
				run_ms(MOMENT_MS);
				ROW_EQ(c->name, disk_held(), RUNNING);
			}
		}
		run_to_answers(c->name, n_letters);
		if (n_letters == 1 + RUNNING)
			letter_add(700);
		run_to_answers(c->name, n_letters);
		order_check(c);
		end(c->name);
	}
}

struct write_case {
	const char	*name;
	int		 error[2];	/* of the writes */
	size_t		 good;
};

static const struct write_case write_cases[] = {
	{ "both are written", { 0, 0 }, 2 },
	{ "the first cannot be written", { ENOSPC, 0 }, 0 },
	{ "the second cannot be written", { 0, ENOSPC }, 1 },
};

/* The second is written when the first was; if that failed, not at all. */
static void
test_writes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(write_cases); i++) {
		const struct write_case *c = &write_cases[i];

		begin(500);
		disk_hold(false, true);
		letter_add(1000);
		run_to_held(c->name, 1);
		letter_add(2000);
		run_ms(MOMENT_MS);
		ROW_EQ(c->name, disk_held(), 1);
		disk_let(0, c->error[0], c->error[0] != 0);
		if (c->error[0] == 0) {
			run_to_held(c->name, 2);
			disk_let(1, c->error[1], true);
		}
		run_to_answers(c->name, 3);
		ROW_EQ(c->name, disk_held(), c->error[0] != 0 ? 1 : 2);
		for (size_t k = 0; k < 2; k++)
			ROW_EQ(c->name, letters[1 + k].r, k < c->good ? 0 :
			    ERR_NOSPACE);
		letter_add(700);
		run_to_answers(c->name, 4);
		ROW_EQ(c->name, letters[3].r, 0);
		end(c->name);
	}
}

/* The third waits for the write of the second, which fails while the first is
 * flushed. */
static void
test_write_between(void **state)
{
	(void)state;
	begin(500);
	disk_hold(true, false);
	letter_add(1000);
	run_to_held("flush", 1);
	pthread_mutex_lock(&lock);
	hold_writes = true;
	pthread_mutex_unlock(&lock);
	letter_add(1001);
	run_to_held("write", 2);
	letter_add(1002);
	run_ms(MOMENT_MS);
	assert_int_equal(disk_held(), 2);
	disk_let(1, ENOSPC, false);
	run_ms(MOMENT_MS);
	assert_int_equal(n_answers, 1);
	disk_let(0, 0, true);
	run_to_answers("all", 4);
	assert_int_equal(disk_held(), 2);
	assert_int_equal(letters[1].r, 0);
	assert_int_equal(letters[2].r, ERR_NOSPACE);
	assert_int_equal(letters[3].r, ERR_NOSPACE);
	end("a write between");
}

/* What the first batch of a segment says is flushed before others begin. */
static void
test_alone(void **state)
{
	(void)state;
	begin(0);
	disk_hold(true, false);
	letter_add(1000);
	run_to_held("first", 1);
	letter_add(1001);
	run_ms(MOMENT_MS);
	assert_int_equal(disk_held(), 1);
	disk_let(0, 0, false);
	run_to_held(".head", 2);
	run_ms(MOMENT_MS);
	assert_int_equal(disk_held(), 2);
	disk_let(1, 0, false);
	run_to_held("second", 3);
	assert_int_equal(n_answers, 1);
	letter_add(1002);
	run_to_held("third", 4);
	disk_let(3, 0, false);
	disk_let(2, 0, true);
	end("alone");
}

/* A next segment is begun when nothing runs in the one before. */
static void
test_full(void **state)
{
	(void)state;
	begin(40000);
	disk_hold(true, false);
	letter_add(40000);
	run_to_held("second", 1);
	letter_add(40000);
	run_to_held("third", 2);
	letter_add(40000);		/* has no room */
	run_ms(MOMENT_MS);
	letter_add(100);		/* does not overtake it */
	run_ms(MOMENT_MS);
	disk_let(0, 0, false);
	run_to_answers("second", 2);
	run_ms(MOMENT_MS);
	assert_int_equal(disk_held(), 2);
	disk_let(1, 0, false);
	run_to_held("fourth", 3);
	assert_true(calls[2].ino != calls[1].ino);
	disk_let(2, 0, true);
	end("full");
}

/* More than there are lanes: who waits begins when the oldest has ended. */
static void
test_lanes(void **state)
{
	(void)state;
	begin(500);
	disk_hold(true, false);
	for (unsigned int i = 0; i < JOURNAL_LANES; i++) {
		letter_add(1000);
		run_to_held("a lane", i + 1);
	}
	letter_add(1000);
	run_ms(MOMENT_MS);
	assert_int_equal(disk_held(), JOURNAL_LANES);
	disk_let(1, 0, false);
	run_ms(MOMENT_MS);
	assert_int_equal(disk_held(), JOURNAL_LANES);
	disk_let(0, 0, false);
	run_to_held("the next", JOURNAL_LANES + 1);
	assert_int_equal(n_answers, 3);
	for (unsigned int i = 2; i <= JOURNAL_LANES; i++)
		disk_let(i, 0, i == JOURNAL_LANES);
	end("lanes");
}

/* Without a second descriptor one batch runs at a time. */
static void
test_no_lane(void **state)
{
	(void)state;
#ifndef SUBMITD_TEST_BUILD
	skip();
#endif
	begin(0);
	/* Write, flush, both of .head, and then the open. */
	fio_fail_at(5, EMFILE);
	letter_add(500);
	run_to_answers("the first", 1);
	disk_hold(true, false);
	letter_add(1000);
	run_to_held("the second", 1);
	letter_add(1000);
	run_ms(MOMENT_MS);
	assert_int_equal(disk_held(), 1);
	disk_let(0, 0, true);
	end("no lane");
}

/* Files are flushed while the folder is for those before them. */
static void
test_files(void **state)
{
	static const struct {
		const char	*name;
		int		 error;		/* of the first one's folder */
	} rows[] = {
		{ "both are kept", 0 },
		{ "the first one's folder fails", EIO },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		const char *name = rows[i].name;

		begin(0);
		disk_hold_files();
		letter_add(sizeof(body));
		run_to_held(name, 1);
		disk_let(0, 0, false);
		run_to_held(name, 2);
		letter_add(sizeof(body));
		run_to_held(name, 3);
		disk_let(2, 0, false);
		run_ms(MOMENT_MS);
		/* There is one flush of the folder at a time. */
		ROW_EQ(name, disk_held(), 3);
		ROW_EQ(name, n_answers, 0);
		disk_let(1, rows[i].error, false);
		run_to_answers(name, 1);
		ROW_EQ(name, letters[0].r, rows[i].error == 0 ? 0 :
		    ERR_SYSTEM);
		run_to_held(name, 4);
		ROW_EQ(name, calls[3].ino, calls[1].ino);
		disk_let(3, 0, true);
		run_to_answers(name, 2);
		ROW_EQ(name, letters[1].r, 0);
		end(name);
	}
}

/* A file does not wait for the flush of another one that came before it. */
static void
test_files_apart(void **state)
{
	(void)state;
	begin(0);
	disk_hold_files();
	letter_add(sizeof(body));
	run_to_held("the first", 1);
	letter_add(sizeof(body));
	run_to_held("the second", 2);
	assert_int_not_equal(calls[0].ino, calls[1].ino);
	disk_let(1, 0, false);
	run_to_held("the second's folder", 3);
	disk_let(2, 0, false);
	run_to_answers("the second", 1);
	assert_int_equal(letters[1].r, 0);
	assert_int_equal(letters[0].r, PENDING);
	disk_let(0, 0, true);
	end("files apart");
}

static void
letter_remove(struct letter *l)
{
	memset(&l->op, 0, sizeof(l->op));
	l->op.kind = STORE_REMOVE;
	memcpy(l->op.id, l->id, sizeof(l->op.id));
	l->op.place = &l->place;
	l->op.lazy = true;
	l->op.done = letter_done;
	l->op.ctx = l;
	l->r = PENDING;
	flush_add(spool.flush, &l->op);
}

/* A removal that nobody waits for goes with the folder's next flush, and alone
 * after a moment. */
static void
test_files_removed(void **state)
{
	(void)state;
	begin(0);
	for (unsigned int i = 0; i < 3; i++)
		letter_add(sizeof(body));
	run_to_answers("three", 3);
	disk_hold_files();
	letter_add(sizeof(body));
	run_to_held("the fourth", 1);
	letter_remove(&letters[0]);
	disk_let(0, 0, false);
	run_to_held("the folder", 2);
	letter_remove(&letters[1]);
	run_ms(MOMENT_MS);
	assert_int_equal(disk_held(), 2);
	disk_let(1, 0, false);
	run_to_answers("the fourth, and the first is removed", 5);
	assert_int_equal(letters[0].r, 0);
	assert_int_equal(letters[3].r, 0);
	assert_int_equal(letters[1].r, PENDING);
	run_to_held("the folder, for the second", 3);
	assert_int_equal(calls[2].ino, calls[1].ino);
	disk_let(2, 0, true);
	run_to_answers("the second is removed", 6);
	/* The end does not wait. */
	letter_remove(&letters[2]);
	spool_end();
	assert_int_equal(n_answers, 7);
	assert_int_equal(letters[2].r, 0);
	spool_begin();
	assert_int_equal(queue_count(spool.queue), 1);
	assert_non_null(queue_find(spool.queue, letters[3].id));
	spool_end();
}

/* The end, while some run and one waits. */
static void
test_end(void **state)
{
	(void)state;
	begin(500);
	disk_hold(true, false);
	for (unsigned int i = 0; i < RUNNING; i++) {
		letter_add(1000);
		run_to_held("running", i + 1);
	}
	letter_add(1000);		/* in its step */
	for (unsigned int i = RUNNING; i-- > 0;)
		disk_let(i, 0, i == 0);
	spool_end();
	assert_int_equal(n_answers, n_letters);
	spool_begin();
	end("the end");
}

/* A failure that left no segment to tell its end in: it is told when there is
 * one, also if nothing else comes. */
static void
test_end_late(void **state)
{
	(void)state;
	begin(0);
	disk_hold(true, false);
	pthread_mutex_lock(&lock);
	hold_files = true;
	pthread_mutex_unlock(&lock);
	letter_add(500);
	run_to_held("the first", 1);
	disk_let(0, EIO, false);
	run_to_held("the segment", 2);
	run_to_answers("the first", 1);
	assert_int_equal(letters[0].r, ERR_SYSTEM);
	disk_let(1, 0, true);
	settle();
	for (int64_t until = clock_mono_ms() + WAIT_MS;
	    !flush_idle(spool.flush) && clock_mono_ms() < until;)
		run_ms(1);
	assert_true(flush_idle(spool.flush));
	end("the end late");
}

static size_t
live(void)
{
	struct journal_status status;

	journal_status(spool.store.journal, &status);
	return status.messages;
}

static size_t
segments(void)
{
	struct journal_status status;

	journal_status(spool.store.journal, &status);
	return status.segments + status.ready;
}

static void
letter_alone(void)
{
	n_letters = n_answers = 0;
	letter_add(500);
	run_to_answers("alone", 1);
	run_ms(1);
}

/* However many segments failures have closed, there is one in which to go on:
 * only what is written in it frees the others. */
static void
test_many_ends(void **state)
{
	int64_t end_ms = clock_mono_ms() + WAIT_MS;

	(void)state;
	begin(0);
	disk_fail(true);
	while (segments() < FAILURES && clock_mono_ms() < end_ms)
		letter_alone();
	assert_int_equal(segments(), FAILURES);
	disk_fail(false);
	while (live() == 0 && clock_mono_ms() < end_ms)
		letter_alone();
	assert_int_equal(live(), 1);
	while (segments() > FEW && clock_mono_ms() < end_ms)
		run_ms(1);
	assert_in_range(segments(), 1, FEW);
	spool_end();
}

static void
gone(void *ctx, const char *id, int r)
{
	(void)id;
	*(int *)ctx = r;
	n_answers++;
}

/* A removal on a disk that fails. */
static void
remove_failing(const struct letter *l)
{
	int r = PENDING;

	n_answers = 0;
	disk_hold(true, false);
	queue_delete(queue_find(spool.queue, l->id), gone, &r);
	run_to_held(l->id, 1);
	disk_let(0, EIO, true);
	run_to_answers(l->id, 1);
	assert_int_equal(r, ERR_SYSTEM);
}

static void
remove_begin(size_t n)
{
	begin(500);
	while (n_letters < n)
		letter_add(1000);
	run_to_answers("letters", n);
	spool_end();
	spool_begin();
	settle();
	assert_int_equal(queue_count(spool.queue), n);
}

static void
remove_end(const char *name)
{
	spool_end();
	spool_begin();
	ROW_EQ(name, queue_count(spool.queue), 0);
	spool_end();
}

/* What failed is tried again at the end, or a restart delivered it twice. */
static void
test_retry(void **state)
{
	(void)state;
	remove_begin(1);
	assert_false(queue_retry(spool.queue));
	remove_failing(&letters[0]);
	assert_int_equal(live(), 1);
	assert_true(queue_retry(spool.queue));
	while (!flush_idle(spool.flush))
		run_ms(1);
	assert_false(queue_retry(spool.queue));
	remove_end("retry");
}

/* Failures that go on do not put off those before. */
static void
test_retry_in_time(void **state)
{
	int64_t begun_ms;

	(void)state;
	remove_begin(2);
	begun_ms = clock_mono_ms();
	remove_failing(&letters[0]);
	run_ms(STUCK_MS / 2);
	remove_failing(&letters[1]);
	while (live() > 0 && clock_mono_ms() - begun_ms < WAIT_MS)
		run_ms(10);
	assert_int_equal(live(), 0);
	/* Put off it would have been a half longer, at the least. */
	assert_true(clock_mono_ms() - begun_ms < STUCK_MS * 3 / 2);
	remove_end("retry in time");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_writes),
		cmocka_unit_test(test_write_between),
		cmocka_unit_test(test_alone),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_lanes),
		cmocka_unit_test(test_no_lane),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_files_apart),
		cmocka_unit_test(test_files_removed),
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_end_late),
		cmocka_unit_test(test_many_ends),
		cmocka_unit_test(test_retry),
		cmocka_unit_test(test_retry_in_time),
	};
	char cmd[100];
	int r;

	umask(077);
	if (mkdtemp(root) == NULL)
		return 1;
	snprintf(path, sizeof(path), "%s/spool", root);
	memset(body, 'x', sizeof(body));
	loop = loop_new();
	log_open("t_flush", "t_flush", "/dev/null");
	r = cmocka_run_group_tests(tests, NULL, NULL);
	run_ms(1);		/* what was deferred ends */
	loop_free(loop);
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", root);
	return system(cmd) == 0 ? r : 1;
}
