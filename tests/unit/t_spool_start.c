/*
 * t_spool_start.c - the start of submitd-spool with a long queue: how long it
 * takes, and how much memory a message; and what a message cannot make it do.
 *
 *	t_spool_start journal|files MESSAGES OCTETS DIR
 * measures it with the disk's cache emptied of what is on the disk.
 */
#include "config.h"

#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "submitd/spool/journal.h"
#include "submitd/spool/spool.h"
#include "tests/unit/unit.h"

#define AT_ONCE 200u
#define MEMORY_MAX 1024u	/* octets of a message in the queue */

struct one {
	struct store_op	 op;
	struct store_place place;
	char		*body;
};

static struct loop *loop;
static unsigned int left;

static void
op_done(struct store_op *op)
{
	struct one *o = op->ctx;

	assert_int_equal(op->r, 0);
	o->place = (struct store_place){ 0 };
	if (--left == 0)
		loop_stop(loop);
}

static struct store_file *
file_new(void)
{
	static char sender[] = "anna.sender@example.org",
	    user[] = "anna.sender@example.org", empty[] = "",
	    rcpt[] = "bob.recipient@example.com";
	static char *rcpts[] = { rcpt };
	struct envelope e = { .sender = sender, .user = user, .kind = 1,
		.peer = empty, .tls = empty, .mech = empty, .sid = empty,
		.helo = empty, .envid = empty, .arrived_s = 1,
		.rcpts = rcpts, .n_rcpts = 1 };
	struct store_file *f;

	str_id(e.id);
	assert_int_equal(store_file_new(&e, "", 0, &f), 0);
	return f;
}

static void
add_one(struct flush *f, struct one *o, size_t octets)
{
	memset(&o->op, 0, sizeof(o->op));
	o->op.kind = STORE_COMMIT;
	o->op.file = file_new();
	memcpy(o->op.id, o->op.file->id, sizeof(o->op.id));
	o->op.place = &o->place;
	o->op.data = o->body;
	o->op.len = octets;
	o->op.done = op_done;
	o->op.ctx = o;
	left++;
	flush_add(f, &o->op);
}

/* As files, without all the flushing. */
static void
fill_files(const char *path, unsigned int messages, size_t octets)
{
	char *body = calloc(1, octets);
	struct store st;
	struct err err;

	assert_int_equal(store_open(&st, path, getuid(), getgid(), &err), 0);
	while (messages-- > 0) {
		struct store_file *f = file_new();
		int fd = openat(st.queue, f->id, O_CREAT | O_WRONLY, 0600);

		store_file_seal(f, octets);
		assert_int_equal(write(fd, f->front, f->front_len),
		    f->front_len);
		assert_int_equal(write(fd, body, octets), octets);
		close(fd);
		store_file_discard(&st, f);
	}
	free(body);
	store_close(&st);
}

static void
tick(void *ctx)
{
	(void)ctx;
	loop_stop(loop);
}

/* A queue of so many, in a spool that is then left. The places of those that
 * are in the journal are forgotten, which keeps them there. */
static void
fill(const char *path, unsigned int messages, size_t octets,
    void (*write)(char *body, size_t octets))
{
	static struct one ones[AT_ONCE];
	struct journal_status status;
	struct timer t = { 0 };
	struct store st;
	struct flush *f;
	struct err err;

	assert_int_equal(store_open(&st, path, getuid(), getgid(), &err), 0);
	f = flush_new(loop, &st);
	flush_start(f);
	assert_int_equal(timer_init(&t, loop, tick, NULL), 0);
	for (unsigned int i = 0; i < AT_ONCE; i++) {
		ones[i].body = malloc(octets);
		memset(ones[i].body, 'x', octets);
		if (write != NULL)
			write(ones[i].body, octets);
	}
	while (messages > 0) {
		do {
			journal_status(st.journal, &status);
			timer_arm(&t, 1);
			if (status.ready == 0)
				loop_run(loop);
		} while (status.ready == 0);
		timer_stop(&t);
		for (unsigned int i = 0; i < AT_ONCE && messages > 0;
		    i++, messages--)
			add_one(f, &ones[i], octets);
		loop_run(loop);
	}
	timer_free(&t);
	for (unsigned int i = 0; i < AT_ONCE; i++)
		free(ones[i].body);
	flush_free(f);
	store_close(&st);
}

/* Out of the cache, as far as that is ours to say. */
static void
cool(const char *path, const char *folder)
{
	char dir[600];
	struct dirent *e;
	DIR *d;

	snprintf(dir, sizeof(dir), "%s/%s", path, folder);
	d = opendir(dir);
	while ((e = readdir(d)) != NULL) {
		int fd = openat(dirfd(d), e->d_name, O_RDONLY);

		if (fd >= 0) {
			(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
			close(fd);
		}
	}
	closedir(d);
}

static void
told(void *ctx)
{
	(void)ctx;
}

static void
gone(void *ctx, struct queue_msg *m)
{
	(void)ctx;
	(void)m;
}

struct started {
	size_t	 messages, octets;
	int64_t	 us;
};

static struct started
start(const char *path)
{
	static const struct queue_hooks hooks = { .told = told,
		.left = gone };
	struct started s = { 0 };
	size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
	struct spool sp = { .loop = loop };
	struct err err;

	s.us = clock_now_us();
	assert_int_equal(store_open(&sp.store, path, getuid(), getgid(),
	    &err), 0);
	sp.flush = flush_new(loop, &sp.store);
	sp.queue = queue_new(loop, sp.flush, &hooks, &sp);
	assert_int_equal(recover_run(&sp, &err), 0);
	s.us = clock_now_us() - s.us;
	s.messages = queue_count(sp.queue);
	s.octets = mallinfo2().uordblks + mallinfo2().hblkhd - before;
	flush_free(sp.flush);
	queue_free(sp.queue);
	store_close(&sp.store);
	return s;
}

static struct started
measure(bool files, unsigned int messages, size_t octets, const char *parent)
{
	char root[256], cmd[300];
	struct started s;

	snprintf(root, sizeof(root), "%s/t_start.XXXXXX", parent);
	assert_non_null(mkdtemp(root));
	if (files)
		fill_files(root, messages, octets);
	else
		fill(root, messages, octets, NULL);
	cool(root, files ? "queue" : "journal");
	s = start(root);
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", root);
	assert_int_equal(system(cmd), 0);
	return s;
}

static void
test_start(void **state)
{
	static const unsigned int messages = 5000;

	(void)state;
	for (int files = 0; files < 2; files++) {
		struct started s = measure(files, messages, 1000, "/tmp");

		assert_int_equal(s.messages, messages);
		/* Without what a sanitizer adds. */
#ifndef __SANITIZE_ADDRESS__
		assert_true(s.octets / messages <= MEMORY_MAX);
#endif
	}
}

/* What a sender would write, who knows how a segment is laid out: wherever his
 * message comes to lie, one of the copies is where a record may begin. It says
 * that nothing lives in any segment but one that comes much later. */
static void
forge(char *body, size_t octets)
{
	const struct journal_record r = { .type = JOURNAL_SEGMENT,
		.seq = 0xfffffff0, .salt = 1, .oldest = 0xfffffff0 };

	for (size_t at = 0; at + JOURNAL_HEAD <= octets;
	    at += JOURNAL_HEAD + 1)
		journal_record_pack(&r, 0, (uint8_t *)body + at);
}

/* The first octets of all segments, which are those of a record. */
static void
damage(const char *path)
{
	char dir[600];
	struct dirent *e;
	DIR *d;
	int n = 0;

	snprintf(dir, sizeof(dir), "%s/journal", path);
	d = opendir(dir);
	while ((e = readdir(d)) != NULL) {
		int fd = openat(dirfd(d), e->d_name, O_RDWR);
		char was = 0;

		if (fd < 0)
			continue;
		assert_int_equal(pread(fd, &was, 1, 0), 1);
		if (was != 0) {
			was ^= 1;
			assert_int_equal(pwrite(fd, &was, 1, 0), 1);
			n++;
		}
		close(fd);
	}
	closedir(d);
	assert_int_equal(n, 1);
}

static void
test_forged(void **state)
{
	char root[] = "/tmp/t_start.XXXXXX", cmd[64];
	struct started s;

	(void)state;
	assert_non_null(mkdtemp(root));
	fill(root, 3, 4000, forge);
	damage(root);
	s = start(root);
	assert_int_equal(s.messages, 3);
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", root);
	assert_int_equal(system(cmd), 0);
}

static void
kept(struct store_op *op)
{
	assert_int_equal(op->r, 0);
	if (--left == 0)
		loop_stop(loop);
}

static void
commit_kept(struct flush *f, struct one *o)
{
	static char body[] = "x";

	o->body = body;
	add_one(f, o, 1);
	o->op.done = kept;
	loop_run(loop);
}

static void
await_segment(const struct store *st)
{
	struct journal_status status;
	struct timer t = { 0 };

	assert_int_equal(timer_init(&t, loop, tick, NULL), 0);
	for (journal_status(st->journal, &status); status.ready == 0;
	    journal_status(st->journal, &status)) {
		timer_arm(&t, 1);
		loop_run(loop);
	}
	timer_free(&t);
}

/* For a moment nothing lived in a segment to which more was then appended. Twice
 * a crash: what the first start makes of it, the second one reads. */
static void
test_twice(void **state)
{
	static const struct queue_hooks hooks = { .told = told,
		.left = gone };
	static struct one a, b, c;
	char root[] = "/tmp/t_start.XXXXXX", cmd[64];
	struct spool sp = { .loop = loop };
	struct flush *f;
	struct err err;

	(void)state;
	assert_non_null(mkdtemp(root));
	assert_int_equal(store_open(&sp.store, root, getuid(), getgid(),
	    &err), 0);
	f = flush_new(loop, &sp.store);
	flush_start(f);
	await_segment(&sp.store);
	commit_kept(f, &a);
	a.op.kind = STORE_REMOVE;
	left = 1;
	flush_add(f, &a.op);
	loop_run(loop);
	commit_kept(f, &b);
	flush_free(f);
	store_close(&sp.store);

	assert_int_equal(store_open(&sp.store, root, getuid(), getgid(),
	    &err), 0);
	sp.flush = flush_new(loop, &sp.store);
	sp.queue = queue_new(loop, sp.flush, &hooks, &sp);
	assert_int_equal(recover_run(&sp, &err), 0);
	assert_int_equal(queue_count(sp.queue), 1);
	await_segment(&sp.store);
	commit_kept(sp.flush, &c);
	flush_free(sp.flush);
	queue_free(sp.queue);
	store_close(&sp.store);

	assert_int_equal(start(root).messages, 2);
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", root);
	assert_int_equal(system(cmd), 0);
}

/* Removes the segment of that sequence number. */
static void
remove_segment(const char *root, uint32_t seq)
{
	uint8_t head[JOURNAL_HEAD];
	struct journal_record r;
	char dir[600];
	struct dirent *e;
	bool found = false;
	DIR *d;

	snprintf(dir, sizeof(dir), "%s/journal", root);
	d = opendir(dir);
	while ((e = readdir(d)) != NULL) {
		int fd = openat(dirfd(d), e->d_name, O_RDONLY);

		if (fd >= 0 && strlen(e->d_name) > 9 &&
		    pread(fd, head, sizeof(head), 0) == sizeof(head) &&
		    journal_record_unpack(head, (uint32_t)strtoul(e->d_name +
		    9, NULL, 16), &r) == 0 && r.seq == seq) {
			assert_int_equal(unlinkat(dirfd(d), e->d_name, 0), 0);
			found = true;
		}
		if (fd >= 0)
			close(fd);
	}
	closedir(d);
	assert_true(found);
}

/* A start that takes a message into a segment of its own. */
static void
start_and_commit(const char *root, struct one *o)
{
	static const struct queue_hooks hooks = { .told = told,
		.left = gone };
	struct spool sp = { .loop = loop };
	struct err err;

	assert_int_equal(store_open(&sp.store, root, getuid(), getgid(),
	    &err), 0);
	sp.flush = flush_new(loop, &sp.store);
	sp.queue = queue_new(loop, sp.flush, &hooks, &sp);
	assert_int_equal(recover_run(&sp, &err), 0);
	await_segment(&sp.store);
	commit_kept(sp.flush, o);
	flush_free(sp.flush);
	queue_free(sp.queue);
	store_close(&sp.store);
}

/* What a start says of the segment with this number, or of none. */
static bool
start_tells(const char *root, size_t messages, const char *what)
{
	char log[80], cmd[300];
	bool found;

	snprintf(log, sizeof(log), "%s/log", root);
	assert_int_equal(log_open("t_spool_start", "t_spool_start", log), 0);
	assert_int_equal(start(root).messages, messages);
	log_open("t_spool_start", "t_spool_start", "/dev/null");
	snprintf(cmd, sizeof(cmd), "grep -q '%s' %s", what, log);
	found = system(cmd) == 0;
	assert_int_equal(unlink(log), 0);
	return found;
}

/* A segment that somebody has removed: that is told, and of the newest once. */
static void
test_missing(void **state)
{
	static struct one ones[4];
	char root[] = "/tmp/t_start.XXXXXX", cmd[80];

	(void)state;
	assert_non_null(mkdtemp(root));
	for (size_t i = 0; i < 3; i++)
		start_and_commit(root, &ones[i]);
	assert_false(start_tells(root, 3, "missing"));
	remove_segment(root, 2);
	assert_true(start_tells(root, 2, "file=sequence-2 op=recover "
	    "why=\"1 segments of the journal are"));
	remove_segment(root, 3);
	assert_true(start_tells(root, 1, "file=sequence-2 op=recover "
	    "why=\"2 segments of the journal, the newest, are"));
	start_and_commit(root, &ones[3]);
	assert_false(start_tells(root, 2, "missing"));
	/* Without what tells it nothing is told, and nothing else is wrong. */
	snprintf(cmd, sizeof(cmd), "echo junk > %s/journal/.head", root);
	assert_int_equal(system(cmd), 0);
	assert_false(start_tells(root, 2, "missing"));
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", root);
	assert_int_equal(system(cmd), 0);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start),
		cmocka_unit_test(test_forged),
		cmocka_unit_test(test_twice),
		cmocka_unit_test(test_missing),
	};
	struct started s;

	umask(077);
	loop = loop_new();
	log_open("t_spool_start", "t_spool_start", "/dev/null");
	if (argc != 5)
		return cmocka_run_group_tests(tests, NULL, NULL);
	s = measure(strcmp(argv[1], "files") == 0,
	    (unsigned int)atoi(argv[2]), (size_t)atol(argv[3]), argv[4]);
	printf("%zu messages: %.2f s, %zu octets of memory each\n",
	    s.messages, (double)s.us / 1e6, s.octets / (s.messages + !s.messages));
	return 0;
}
