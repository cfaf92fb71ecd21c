/*
 * t_store.c - the spool's invariants (S1 to S5 of submitd/spool/store.c) with
 * every single file operation failing once in turn, and the Maildir writer's.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fio.h"
#include "submitd/local/deliver.h"
#include "submitd/spool/store.h"
#include "tests/unit/spares_here.h"
#include "tests/unit/unit.h"

#define TOP "Received: by us\r\n"
#define BODY "Subject: hello\r\n\r\n.text\r\n"
#define MSGS 3

static char root[] = "/tmp/t_store.XXXXXX";

static void
wipe(const char *dir)
{
	char cmd[300];

	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
	assert_int_equal(system(cmd), 0);
}

static size_t
count(int dir)
{
	DIR *d = fdopendir(openat(dir, ".", O_RDONLY | O_DIRECTORY));
	struct dirent *e;
	size_t n = 0;

	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static size_t
count_at(const char *path, const char *name)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY);
	int dir = openat(fd, name, O_RDONLY | O_DIRECTORY);
	size_t n = count(dir);

	close(dir);
	close(fd);
	return n;
}

static struct envelope
sample(unsigned int i)
{
	static char sender[] = "a@example.org", user[] = "u@example.org",
	    empty[] = "", rcpt1[] = "b@example.com", rcpt2[] = "c@example.com";
	static char *rcpts[] = { rcpt1, rcpt2 };
	struct envelope e = { .sender = sender, .user = user, .kind = 1,
		.peer = empty, .tls = empty, .mech = empty, .sid = empty,
		.helo = empty, .arrived_s = 1, .rcpts = rcpts, .n_rcpts = 2 };

	snprintf(e.id, sizeof(e.id), "abcdefghijklmno%c", 'a' + (char)i);
	return e;
}

struct seen {
	unsigned int	n;
	struct envelope_result last;
};

static void
see(void *ctx, const struct envelope_result *r)
{
	struct seen *s = ctx;

	s->n++;
	s->last = *r;
}

/* So many count. */
static unsigned int
check_records(const struct store *st, const char *id)
{
	struct seen seen = { 0 };
	struct envelope_header h;
	struct envelope e;
	struct err err;
	uint64_t end;
	int fd = store_read_fd(st, id, &err);

	assert_int_equal(store_read_envelope(fd, &h, &e, &err), 0);
	assert_int_equal(store_read_results(fd, &h, see, &seen, &end, &err),
	    0);
	envelope_free(&e);
	close(fd);
	return seen.n;
}

/* The file in queue/ is whole; returns its records. */
static struct seen
check_file(const struct store *st, const char *id, uint64_t *ret_end)
{
	struct seen seen = { 0 };
	struct envelope_header h;
	struct envelope e;
	char content[200];
	struct err err;
	int fd = store_read_fd(st, id, &err);

	assert_true(fd >= 0);
	assert_int_equal(store_read_envelope(fd, &h, &e, &err), 0);
	assert_string_equal(e.id, id);
	assert_int_equal(e.n_rcpts, 2);
	assert_int_equal(h.content_len, strlen(TOP BODY));
	assert_int_equal(pread(fd, content, h.content_len,
	    (off_t)h.content_offset), h.content_len);
	assert_memory_equal(content, TOP BODY, h.content_len);
	assert_int_equal(store_read_results(fd, &h, see, &seen, ret_end, &err),
	    0);
	envelope_free(&e);
	close(fd);
	return seen;
}

static bool
exists(int dir, const char *name)
{
	return faccessat(dir, name, F_OK, 0) == 0;
}

static struct store_place places[MSGS];

/* Commits MSGS messages, one of them written in two pieces. */
static void
commit_all(struct store *st, struct store_op ops[MSGS])
{
	struct store_ops list = TAILQ_HEAD_INITIALIZER(list);

	for (unsigned int i = 0; i < MSGS; i++) {
		struct envelope e = sample(i);
		struct store_op *op = &ops[i];
		size_t early = i == 1 ? 10 : 0;
		int r = 0;

		memset(op, 0, sizeof(*op));
		op->kind = STORE_COMMIT;
		op->place = &places[i];
		places[i] = (struct store_place){ 0 };
		memcpy(op->id, e.id, sizeof(op->id));
		assert_int_equal(store_file_new(&e, TOP, strlen(TOP),
		    &op->file), 0);
		if (early > 0)
			r = store_file_write(st, op->file, BODY, early,
			    &op->err);
		if (r != 0) {
			store_file_discard(st, op->file);
			op->r = r;
			continue;
		}
		op->data = &BODY[early];
		op->len = strlen(BODY) - early;
		TAILQ_INSERT_TAIL(&list, op, link);
	}
	store_flush_files(st, &list);
	store_flush_folder(st, &list);
}

/* Every operation of three commits in one flush fails once: what is OK is
 * there and whole, what is not has left nothing. */
static void
test_commit_faults(void **state)
{
	static const int errors[] = { EIO, ENOSPC };
	unsigned int n, failed;

	(void)state;
	for (n = 1, failed = 1; failed > 0; n++) {
		struct store_op ops[MSGS];
		struct store st;
		struct err err;
		uint64_t end;

		wipe(root);
		assert_int_equal(store_open(&st, root, getuid(), getgid(),
		    &err), 0);
		fio_fail_at(n, errors[n % 2]);
		commit_all(&st, ops);
		fio_fail_at(0, 0);
		failed = 0;
		for (unsigned int i = 0; i < MSGS; i++) {
			assert_int_equal(ops[i].r == 0,
			    exists(st.queue, ops[i].id));
			failed += ops[i].r != 0;
			if (ops[i].r == 0) {
				check_file(&st, ops[i].id, &end);
				assert_int_equal(ops[i].content_len,
				    strlen(TOP BODY));
			} else {
				assert_int_equal(ops[i].r, n % 2 == 1 ?
				    ERR_NOSPACE : ERR_SYSTEM);
			}
		}
		assert_int_equal(count(st.tmp), 0);
		store_close(&st);
	}
#ifdef SUBMITD_TEST_BUILD
	assert_true(n > 12);	/* it did fail, more than a few times */
#endif
}

static struct store_op
results_op(const char *id, uint8_t *buf, uint64_t offset, uint32_t tries)
{
	struct envelope_result r = { .rcpt = 1, .tries = tries,
		.text = "451 4.0.0 later" };
	struct store_op op = { .kind = STORE_RESULTS, .data = buf,
		.offset = offset, .place = &places[0] };

	memcpy(op.id, id, sizeof(op.id));
	op.len = envelope_result_pack(&r, buf);
	return op;
}

static void
flush_one(const struct store *st, struct store_op *op)
{
	struct store_ops list = TAILQ_HEAD_INITIALIZER(list);

	op->r = 0;
	TAILQ_INSERT_TAIL(&list, op, link);
	store_flush_files(st, &list);
	store_flush_folder(st, &list);
}

/* A record that failed is written again at the same place; a torn one is not
 * seen and does not hide what comes after the repetition. */
static void
test_result_faults(void **state)
{
	bool failed = true;

	(void)state;
	for (unsigned int n = 1; failed; n++) {
		uint8_t buf[ENVELOPE_RESULT_MAX];
		struct store_op ops[MSGS], op;
		struct store st;
		struct seen seen;
		struct err err;
		uint64_t end, end2;

		wipe(root);
		assert_int_equal(store_open(&st, root, getuid(), getgid(),
		    &err), 0);
		commit_all(&st, ops);
		check_file(&st, ops[0].id, &end);
		fio_fail_at(n, EIO);
		op = results_op(ops[0].id, buf, end, 1);
		flush_one(&st, &op);
		fio_fail_at(0, 0);
		failed = op.r != 0;
		if (!failed)
			end += op.len;
		op = results_op(ops[0].id, buf, end, 2);
		flush_one(&st, &op);
		assert_int_equal(op.r, 0);
		seen = check_file(&st, ops[0].id, &end2);
		assert_int_equal(end2, end + op.len);
		assert_int_equal(seen.n, failed ? 1 : 2);
		assert_int_equal(seen.last.tries, 2);
		store_close(&st);
	}
}

static void
test_torn_tail(void **state)
{
	uint8_t buf[ENVELOPE_RESULT_MAX];
	struct store_op ops[MSGS], op;
	struct store st;
	struct err err;
	uint64_t end, end2;
	int fd;

	(void)state;
	wipe(root);
	assert_int_equal(store_open(&st, root, getuid(), getgid(), &err), 0);
	commit_all(&st, ops);
	check_file(&st, ops[0].id, &end);
	for (uint32_t i = 1; i <= 60; i++) {	/* more than one read's worth */
		op = results_op(ops[0].id, buf, end, i);
		flush_one(&st, &op);
		end += op.len;
	}
	fd = openat(st.queue, ops[0].id, O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, buf, op.len - 1), op.len - 1);
	close(fd);
	assert_int_equal(check_file(&st, ops[0].id, &end2).n, 60);
	assert_int_equal(end2, end);
	/* The content cut: corrupt, not half a message. */
	fd = openat(st.queue, ops[0].id, O_RDWR);
	assert_int_equal(ftruncate(fd, (off_t)(ops[0].content_offset +
	    ops[0].content_len - 1)), 0);
	struct envelope_header h;
	struct envelope e;
	struct seen seen = { 0 };
	assert_int_equal(store_read_envelope(fd, &h, &e, &err), 0);
	assert_int_equal(store_read_results(fd, &h, see, &seen, &end, &err),
	    ERR_CORRUPT);
	envelope_free(&e);
	close(fd);
	store_close(&st);
}

static void
test_remove(void **state)
{
	struct store_op ops[MSGS], op = { .kind = STORE_REMOVE };
	struct store st;
	struct err err;

	(void)state;
	wipe(root);
	assert_int_equal(store_open(&st, root, getuid(), getgid(), &err), 0);
	commit_all(&st, ops);
	memcpy(op.id, ops[1].id, sizeof(op.id));
	op.place = &places[1];
	fio_fail_at(2, EIO);		/* the folder's flush */
	flush_one(&st, &op);
	fio_fail_at(0, 0);
#ifdef SUBMITD_TEST_BUILD
	assert_int_not_equal(op.r, 0);
#endif
	flush_one(&st, &op);		/* again: it is gone by now, that is fine */
	assert_int_equal(op.r, 0);
	assert_false(exists(st.queue, ops[1].id));
	assert_int_equal(count(st.queue), MSGS - 1);
	store_close(&st);
}

static void
remove_one(const struct store *st, const char *id, int expect)
{
	struct store_place place = { .filed = true };
	struct store_op op = { .kind = STORE_REMOVE, .place = &place };

	memcpy(op.id, id, sizeof(op.id));
	flush_one(st, &op);
	assert_int_equal(op.r, expect);
}

/* Returns its number; it is whole, and has no records. */
static ino_t
commit_one(const struct store *st, unsigned int i, const char *body)
{
	struct envelope e = sample(i);
	struct store_place place = { 0 };
	struct store_op op = { .kind = STORE_COMMIT, .place = &place,
		.data = body + 1, .len = strlen(body) - 1 };
	struct stat sb;

	memcpy(op.id, e.id, sizeof(op.id));
	assert_int_equal(store_file_new(&e, TOP, strlen(TOP), &op.file), 0);
	assert_int_equal(store_file_write(st, op.file, body, 1, &op.err), 0);
	flush_one(st, &op);
	assert_int_equal(op.r, 0);
	assert_int_equal(fstatat(st->queue, e.id, &sb, 0), 0);
	assert_int_equal(sb.st_size, op.content_offset + op.content_len);
	return sb.st_ino;
}

static void
check_content(int fd, const char *body)
{
	struct envelope_header h;
	struct envelope e;
	static char got[100000];
	struct err err;
	size_t len = strlen(TOP) + strlen(body);

	assert_int_equal(store_read_envelope(fd, &h, &e, &err), 0);
	assert_int_equal(h.content_len, len);
	assert_int_equal(pread(fd, got, len, (off_t)h.content_offset), len);
	assert_memory_equal(got, TOP, strlen(TOP));
	assert_memory_equal(got + strlen(TOP), body, strlen(body));
	envelope_free(&e);
	close(fd);
}

#define LARGE 80000u
#define SPARE_CALLS_MAX 16u	/* of a commit into one, more or less */

static void
skip_without_spares(void)
{
	bool here;

	assert_int_equal(mkdir(root, 0700), 0);
	here = spares_here(root);
	assert_int_equal(rmdir(root), 0);
	if (!here)
		skip();
}

/* A body of so many octets, of one letter. */
static const char *
large(char letter, size_t len)
{
	static char body[LARGE + 1];

	memset(body, letter, len);
	body[len] = '\0';
	return body;
}

/* A file is written again for another message: when the former is gone for good,
 * nobody reads it any more, and with nothing left of it. */
static void
test_spares(void **state)
{
	uint8_t buf[ENVELOPE_RESULT_MAX];
	struct store_op op;
	struct store st;
	struct stat sb;
	struct err err;
	ino_t ino;
	int fd;

	(void)state;
	wipe(root);
	skip_without_spares();
	assert_int_equal(store_open(&st, root, getuid(), getgid(), &err), 0);
	ino = commit_one(&st, 0, large('a', LARGE));
	assert_int_equal(fstatat(st.queue, sample(0).id, &sb, 0), 0);
	op = results_op(sample(0).id, buf, (uint64_t)sb.st_size, 1);
	flush_one(&st, &op);
	assert_int_equal(check_records(&st, sample(0).id), 1);
	remove_one(&st, sample(0).id, 0);
	assert_int_equal(count(st.tmp), 1);
	assert_int_equal(commit_one(&st, 1, large('b', LARGE - 10000)), ino);
	check_content(store_read_fd(&st, sample(1).id, &err),
	    large('b', LARGE - 10000));
	assert_int_equal(check_records(&st, sample(1).id), 0);
	remove_one(&st, sample(1).id, 0);
	assert_int_equal(commit_one(&st, 2, large('c', LARGE)), ino);
	check_content(store_read_fd(&st, sample(2).id, &err),
	    large('c', LARGE));
	/* Somebody still reads it. */
	fd = store_read_fd(&st, sample(2).id, &err);
	remove_one(&st, sample(2).id, 0);
	assert_int_not_equal(commit_one(&st, 3, large('d', LARGE)), ino);
	check_content(fd, large('c', LARGE));
	assert_int_equal(count(st.tmp), 0);
	remove_one(&st, sample(3).id, 0);
	assert_int_equal(count(st.tmp), 1);
	store_close(&st);
	assert_int_equal(count_at(root, "tmp"), 0);
}

/* A commit into a spare, of which the n-th operation fails: it is OK all the same,
 * or has left nothing. */
static int
commit_into_spare(unsigned int n)
{
	struct envelope e = sample(1);
	struct store_place place = { 0 };
	struct store_op op = { .kind = STORE_COMMIT, .place = &place };
	struct store st;
	struct err err;
	int r;

	wipe(root);
	assert_int_equal(store_open(&st, root, getuid(), getgid(), &err), 0);
	(void)commit_one(&st, 0, large('a', LARGE));
	remove_one(&st, sample(0).id, 0);
	assert_int_equal(count(st.tmp), 1);
	memcpy(op.id, e.id, sizeof(op.id));
	assert_int_equal(store_file_new(&e, TOP, strlen(TOP), &op.file), 0);
	fio_fail_at(n, EIO);
	r = store_file_write(&st, op.file, "b", 1, &op.err);
	if (r != 0)
		store_file_discard(&st, op.file);
	else
		flush_one(&st, &op);
	fio_fail_at(0, 0);
	r = r != 0 ? r : op.r;
	assert_int_equal(count(st.tmp), 0);
	assert_int_equal(count(st.queue), r == 0);
	if (r == 0)
		check_content(store_read_fd(&st, e.id, &err), "b");
	store_close(&st);
	return r;
}

static void
test_spare_faults(void **state)
{
	unsigned int failed = 0;

	(void)state;
	wipe(root);
	skip_without_spares();
	for (unsigned int n = 1; n <= SPARE_CALLS_MAX; n++)
		failed += commit_into_spare(n) != 0;
#ifdef SUBMITD_TEST_BUILD
	/* Writing, cutting, flushing, queueing; not opening and naming. */
	assert_true(failed > 4 && failed + 2 < SPARE_CALLS_MAX);
#endif
	assert_int_equal(commit_into_spare(0), 0);
}

/* These are not worth it, or not ours alone. */
static void
test_no_spares(void **state)
{
	struct store_place place = { .filed = true };
	struct store_op op = { .kind = STORE_REMOVE, .place = &place,
		.no_spare = true };
	struct store st;
	struct err err;

	(void)state;
	wipe(root);
	skip_without_spares();
	assert_int_equal(store_open(&st, root, getuid(), getgid(), &err), 0);
	for (unsigned int i = 0; i < 5; i++)
		(void)commit_one(&st, i, large('a', LARGE));
	(void)commit_one(&st, 5, "small");
	memcpy(op.id, sample(0).id, sizeof(op.id));
	flush_one(&st, &op);
	assert_int_equal(op.r, 0);
	assert_int_equal(linkat(st.queue, sample(1).id, st.bad, "link", 0), 0);
	remove_one(&st, sample(1).id, 0);
	assert_int_equal(fchmodat(st.queue, sample(2).id, 0640, 0), 0);
	remove_one(&st, sample(2).id, 0);
	remove_one(&st, sample(5).id, 0);
#ifdef SUBMITD_TEST_BUILD
	fio_fail_at(2, EIO);		/* the folder's flush */
	remove_one(&st, sample(3).id, ERR_SYSTEM);
	fio_fail_at(1, ENOSPC);		/* the other name */
	remove_one(&st, sample(4).id, 0);
	fio_fail_at(0, 0);
	assert_int_equal(count(st.queue), 0);
#endif
	assert_int_equal(count(st.tmp), 0);
	store_close(&st);
}

static void
test_space(void **state)
{
	struct store st;
	struct err err;

	(void)state;
	wipe(root);
	assert_int_equal(store_open(&st, root, getuid(), getgid(), &err), 0);
	assert_int_equal(store_space(&st, 1, 1, 1, &err), 0);
	assert_int_equal(store_space(&st, 1, 1ull << 62, 1, &err),
	    ERR_NOSPACE);
	assert_int_equal(store_space(&st, 1ull << 62, 1, 1, &err),
	    ERR_NOSPACE);
	store_close(&st);
}

/* --------------------------------------------------------------- Maildirs -- */

/* The only message in `dir`, read into buf; its length. */
static size_t
read_only_file(const char *dir, char *buf, size_t size, char *name)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	char path[800];
	ssize_t n;
	int fd;

	name[0] = '\0';
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.') {
			assert_string_equal(name, "");
			snprintf(name, MAILDIR_NAME_MAX + 1, "%s", e->d_name);
		}
	closedir(d);
	if (name[0] == '\0')
		return 0;
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY);
	n = read(fd, buf, size);
	close(fd);
	return (size_t)n;
}

#define WANT "Return-Path: <a@example.org>\nDelivered-To: b@example.com\n" \
	"Subject: x\n\nline\n\rodd\r"

static void
test_deliver(void **state)
{
	static const char text[] = "junkSubject: x\r\n\r\nline\r\n\rodd\rtail";
	char buf[1000], name[MAILDIR_NAME_MAX + 1], new[300], dir[300];
	struct deliver_message m = { .offset = 4,
		.octets = sizeof(text) - 1 - 4 - 4, .sender = "a@example.org",
		.address = "b@example.com", .path = "example.com/b" };
	struct deliver_place p = { .gid = getgid(), .host = "mx/1" };
	struct stat sb;
	struct err err;
	uint64_t octets;
	int failed = 1;

	(void)state;
	snprintf(new, sizeof(new), "%s/example.com/b/new", root);
	snprintf(dir, sizeof(dir), "%s/example.com/b/tmp", root);
	m.fd = fio_memfd("msg", text, sizeof(text) - 1);
	for (unsigned int n = 1; failed; n++) {
		wipe(root);
		assert_int_equal(mkdir(root, 0700), 0);
		p.root = open(root, O_RDONLY | O_DIRECTORY);
		fio_fail_at(n, ENOSPC);
		failed = deliver(&p, &m, name, &octets, &err) != 0;
		fio_fail_at(0, 0);
		if (failed && stat(new, &sb) == 0)
			assert_int_equal(read_only_file(new, buf, sizeof(buf),
			    name), 0);
		if (failed && stat(dir, &sb) == 0)
			assert_int_equal(read_only_file(dir, buf, sizeof(buf),
			    name), 0);
		close(p.root);
	}
	assert_int_equal(octets, strlen(WANT));
	assert_int_equal(read_only_file(new, buf, sizeof(buf), name), octets);
	assert_memory_equal(buf, WANT, octets);
	snprintf(buf, sizeof(buf), ",S=%zu,W=%zu", strlen(WANT),
	    strlen(WANT) + 5);
	assert_non_null(strstr(name, buf));
	assert_non_null(strstr(name, "mx\\0571"));
	assert_int_equal(stat(new, &sb), 0);
	assert_int_equal(sb.st_mode & 07777, 02770);
	close(m.fd);
}

static void
test_deliver_beneath(void **state)
{
	static const char *const paths[] = { "../x", "a/../../x", "link/x",
		"", "/etc" };
	struct deliver_message m = { .octets = 1, .sender = "",
		.address = "b@example.com" };
	struct deliver_place p = { .gid = getgid(), .host = "h" };
	char name[MAILDIR_NAME_MAX + 1], path[300];
	struct err err;
	uint64_t octets;

	(void)state;
	wipe(root);
	assert_int_equal(mkdir(root, 0700), 0);
	snprintf(path, sizeof(path), "%s/link", root);
	assert_int_equal(symlink("/tmp", path), 0);
	p.root = open(root, O_RDONLY | O_DIRECTORY);
	m.fd = fio_memfd("msg", "x", 1);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		m.path = paths[i];
		assert_true(deliver(&p, &m, name, &octets, &err) < 0);
	}
	close(p.root);
	close(m.fd);
}

static int
setup(void **state)
{
	(void)state;
	umask(0007);
	return mkdtemp(root) == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	wipe(root);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commit_faults),
		cmocka_unit_test(test_result_faults),
		cmocka_unit_test(test_torn_tail),
		cmocka_unit_test(test_remove),
		cmocka_unit_test(test_spares),
		cmocka_unit_test(test_spare_faults),
		cmocka_unit_test(test_no_spares),
		cmocka_unit_test(test_space),
		cmocka_unit_test(test_deliver),
		cmocka_unit_test(test_deliver_beneath),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
