/*
 * t_spool_faults.c - submitd-spool and what goes wrong: workers that break the
 * protocol, a spool that a crash or a careless hand left, disks that fail.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lib/fio.h"
#include "submitd/spool/journal.h"
#include "submitd/spool/wishes.h"
#include "tests/unit/spool_fake.h"

#define SLOW_MS 8		/* of a flush */
#define APART_MS 2		/* between commits: they do not share one */

/* ------------------------------------------------------------ broken peers -- */

static struct msg_out bad_msg;

static void
bad_head(uint16_t type, uint32_t slot)
{
	msg_begin(&bad_msg, type, 1);
	msg_put_u32(&bad_msg, slot);
}

static void
bad_rcpt(const char *address)
{
	msg_put_str(&bad_msg, address);
	msg_put_u8(&bad_msg, 0);
	msg_put_str(&bad_msg, "");
}

/* A BEGIN with these; n recipients are announced and one is given. */
static void
bad_begin(const char *from, const char *to, uint32_t n)
{
	static const struct spool_wishes none;

	bad_head(SPOOL_BEGIN, 0);
	msg_put_blob(&bad_msg, "00", 2);
	msg_put_str(&bad_msg, from);
	msg_put_str(&bad_msg, "helo");
	msg_put_u64(&bad_msg, 0);
	for (int i = 0; i < 3; i++)
		msg_put_u8(&bad_msg, 0);
	msg_put_str(&bad_msg, "");
	spool_wishes_put(&bad_msg, &none);
	msg_put_u32(&bad_msg, n);
	msg_put_u16(&bad_msg, 1);
	bad_rcpt(to);
}

static bool
bad_make(int what, struct ipc *p)
{
	static char chunk[SPOOL_CHUNK + 1];

	switch (what) {
	case 0:		/* what only submitd-send may ask */
		msg_begin(&bad_msg, SPOOLQ_OPEN, 1);
		msg_put_str(&bad_msg, "aaaaaaaaaaaaaaaa");
		msg_put_u8(&bad_msg, 0);
		return true;
	case 1:
		bad_head(SPOOL_COMMIT, 3);
		msg_put_blob(&bad_msg, "", 0);
		return true;
	case 2:
		bad_head(SPOOL_ABORT, SPOOL_SLOTS);
		return true;
	case 3:
		bad_begin("a@example.org", "b@example.com\r\nX: y", 1);
		return true;
	case 4:
		bad_begin("a@example.org>\r\nRCPT TO:<x", "b@example.com", 1);
		return true;
	case 5:
		bad_begin("a@example.org", "b@example.com", 0);
		return true;
	case 6:
		bad_begin("a@example.org", "b@example.com", 1);
		msg_put_u8(&bad_msg, 0);	/* one octet too much */
		return true;
	case 7:		/* twice into one slot */
		bad_begin("a@example.org", "b@example.com", 2);
		ipc_send(p, &bad_msg, -1);
		return true;
	case 8:		/* more than was announced */
		bad_begin("a@example.org", "b@example.com", 2);
		ipc_send(p, &bad_msg, -1);
		bad_head(SPOOL_RCPTS, 0);
		msg_put_u16(&bad_msg, 2);
		bad_rcpt("b@example.com");
		bad_rcpt("b@example.com");
		return true;
	case 9:		/* a window and more without waiting */
		bad_begin("a@example.org", "b@example.com", 2);
		ipc_send(p, &bad_msg, -1);
		bad_head(SPOOL_DATA, 0);
		msg_put_blob(&bad_msg, chunk, SPOOL_CHUNK);
		for (size_t i = 0; i < SPOOL_WINDOW / SPOOL_CHUNK; i++)
			ipc_send(p, &bad_msg, -1);
		return true;
	case 10:
		bad_begin("a@example.org", "b@example.com", 2);
		ipc_send(p, &bad_msg, -1);
		bad_head(SPOOL_DATA, 0);
		msg_put_blob(&bad_msg, chunk, SPOOL_CHUNK + 1);
		return true;
	case 11:	/* a commit before the begin was taken */
		bad_begin("a@example.org", "b@example.com", 2);
		ipc_send(p, &bad_msg, -1);
		bad_head(SPOOL_COMMIT, 0);
		msg_put_blob(&bad_msg, "", 0);
		return true;
	default:
		return false;
	}
}

static int
bad_packet(void *ctx, struct ipc *p, struct msg_in *m, int fd)
{
	(void)ctx;
	(void)p;
	(void)fd;
	if (m->type == SPOOL_ROOM)
		return 0;
	assert_int_equal(m->type, SPOOL_BEGIN | SPOOL_REPLY);
	called();
	return 0;
}

static void
bad_gone(void *ctx, struct ipc *p)
{
	(void)ctx;
	ipc_close(p);
	called();
}

static const struct ipc_ops bad_ops = {
	.packet = bad_packet,
	.gone = bad_gone,
};

static struct ipc *
bad_connect(const char *name)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	strcpy(sun.sun_path, name);
	assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	return ipc_new(loop, fd, "bad", &bad_ops, NULL);
}

/* A worker that breaks the protocol is dropped, and leaves nothing. */
static void
test_broken_peers(void **state)
{
	struct ipc *p;

	(void)state;
	spool_begin();
	client_begin();
	/* What these break is well-formed without that. */
	p = bad_connect("smtp");
	bad_begin("a@example.org", "b@example.com", 1);
	ipc_send(p, &bad_msg, -1);
	wait_for(1);
	assert_int_equal(sp->n_txns, 1);
	bad_head(SPOOL_ABORT, 0);
	ipc_send(p, &bad_msg, -1);
	ipc_close(p);
	for (int i = 0;; i++) {
		p = bad_connect("smtp");
		if (!bad_make(i, p)) {
			ipc_close(p);
			break;
		}
		ipc_send(p, &bad_msg, -1);
		wait_for(1);
		assert_int_equal(sp->n_txns, 0);
	}
	p = bad_connect("send");	/* which may not begin */
	bad_begin("a@example.org", "b@example.com", 1);
	ipc_send(p, &bad_msg, -1);
	wait_for(1);
	assert_null(sp->sender);
	assert_int_equal(files_in("spool/tmp"), 0);
	assert_true(spoolc_is_up(client));
	spool_end();
}

/* What a crash or a careless hand leaves never stops the rest. */
static void
test_recovery(void **state)
{
	struct put p = { .body = BODY }, q = { .body = BODY };
	char path[100];
	int fd;

	(void)state;
	segment_octets = 0;
	spool_begin();
	client_begin();
	put_one(&p);
	put_one(&q);
	spool_end();
	snprintf(path, sizeof(path), "spool/queue/%.16s", p.id);
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "X", 1, 60), 1);
	close(fd);
	assert_int_equal(symlink("/etc/passwd", "spool/queue/bbbbbbbbbbbbbbbb"),
	    0);
	assert_int_equal(mkdir("spool/queue/cccccccccccccccc", 0700), 0);
	assert_int_equal(mkfifo("spool/queue/dddddddddddddddd", 0600), 0);
	assert_int_equal(symlink("x", "spool/queue/readme"), 0);
	close(open("spool/tmp/left", O_CREAT | O_WRONLY, 0600));
	spool_begin();
	assert_int_equal(queue_count(sp->queue), 1);
	assert_non_null(queue_find(sp->queue, q.id));
	assert_int_equal(files_in("spool/bad"), 5);
	assert_int_equal(files_in("spool/tmp"), 0);
	queue_delete(queue_find(sp->queue, q.id), NULL, NULL);
	spool_end();
}

/* Flips an octet where `text` stands first in the journal; how often it is
 * there. */
static unsigned int
flip_in_journal(const char *text)
{
	DIR *d = opendir("spool/journal");
	size_t len = strlen(text);
	unsigned int n = 0;
	struct dirent *e;

	while ((e = readdir(d)) != NULL) {
		static char buf[256 * 1024];
		int fd = openat(dirfd(d), e->d_name, O_RDWR);
		ssize_t got = fd < 0 ? -1 : read(fd, buf, sizeof(buf));

		for (ssize_t i = 0; i + (ssize_t)len <= got; i++)
			if (memcmp(buf + i, text, len) == 0 && n++ == 0)
				assert_int_equal(pwrite(fd, "#", 1, i), 1);
		if (fd >= 0)
			close(fd);
	}
	closedir(d);
	return n;
}

/* A message of the journal that the disk has damaged is set aside, once, and the
 * others are queued. */
static void
test_damaged_record(void **state)
{
	static char body[3][32];
	struct put p[3] = { 0 };
	char path[100];

	(void)state;
	spool_begin_journal();
	client_begin();
	for (int i = 0; i < 3; i++) {
		snprintf(body[i], sizeof(body[i]), "A: b\r\n\r\nnumber%d\r\n",
		    i);
		p[i].body = body[i];
		put_one(&p[i]);
	}
	assert_int_equal(in_journal(), 3);
	spool_end();
	assert_int_equal(flip_in_journal("number1"), 1);
	snprintf(path, sizeof(path), "spool/bad/%.16s", p[1].id);
	for (int i = 0; i < 2; i++) {
		spool_begin();
		assert_int_equal(queue_count(sp->queue), 2);
		assert_non_null(queue_find(sp->queue, p[0].id));
		assert_null(queue_find(sp->queue, p[1].id));
		assert_non_null(queue_find(sp->queue, p[2].id));
		assert_int_equal(access(path, F_OK), 0);
		assert_int_equal(files_in("spool/bad"), 1);
		spool_end();
	}
	assert_int_equal(system("test $(grep -c ev=spool.bad log) = 1"), 0);
}

/* Waits until the journal has what it wants, and nothing runs. */
static void
settle(void)
{
	struct journal_status status;

	do {
		wait_ms(1);
		journal_status(sp->store.journal, &status);
	} while (segment_octets != 0 &&
	    (status.ready < 2 || !flush_idle(sp->flush)));
}

static atomic_bool slow;
static unsigned int n_over;

static void
put_over(struct put *p)
{
	(void)p;
	n_over++;
}

/* Instead of the C library's; here a crash loses nothing that was written. */
int
fdatasync(int fd)
{
	const struct timespec t = { .tv_nsec = SLOW_MS * 1000000 };

	(void)fd;
	if (slow)
		nanosleep(&t, NULL);
	return 0;
}

/* Every file operation of eight commits fails in turn, of all at once or with
 * flushes that run side by side: what got its OK is there after a restart, and
 * nothing else is. */
static void
commits_fail(const char *body, bool apart)
{
	enum { N = 8 };
	unsigned int failed = 1, n;

	for (n = 1; failed > 0; n++) {
		struct put p[N], first = { .body = BODY };

		assert_int_equal(system("rm -rf spool"), 0);
		spool_begin_journal();
		client_begin();
		put_one(&first);
		settle();
		n_over = 0;
		slow = apart;
		fio_fail_at(n, n % 2 == 0 ? ENOSPC : EIO);
		for (int i = 0; i < N; i++) {
			p[i] = (struct put){ .ticket = "00", .body = body,
				.len = strlen(body), .rcpts = one_rcpt,
				.n_rcpts = 1 };
			p[i].then = put_over;
			put(&p[i]);
			if (apart)
				wait_ms(APART_MS);
		}
		slow = false;
		while (n_over < N)
			wait_ms(1);
		fio_fail_at(0, 0);
		assert_int_equal(files_in("spool/tmp"), 0);
		spool_end();
		spool_begin();
		failed = 0;
		for (int i = 0; i < N; i++) {
			failed += p[i].verdict != SPOOLC_OK;
			if (p[i].verdict == SPOOLC_OK)
				assert_non_null(queue_find(sp->queue, p[i].id));
			else
				assert_int_equal(p[i].verdict, n % 2 == 0 ?
				    SPOOLC_NOSPACE : SPOOLC_TEMP);
		}
		assert_non_null(queue_find(sp->queue, first.id));
		assert_int_equal(queue_count(sp->queue), N + 1 - failed);
		spool_end();
	}
#ifdef SUBMITD_TEST_BUILD
	assert_true(n > 2);
#endif
}

static void
test_faults(void **state)
{
	char *large = malloc(JOURNAL_MESSAGE_MAX + 1);

	(void)state;
	commits_fail(BODY, false);
	commits_fail(BODY, true);
	memset(large, 'x', JOURNAL_MESSAGE_MAX);
	large[JOURNAL_MESSAGE_MAX] = '\0';
	commits_fail(large, false);
	commits_fail(large, true);
	segment_octets = 0;
	commits_fail(BODY, false);
	free(large);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_broken_peers,
		    fake_setup, fake_clean),
		cmocka_unit_test_setup_teardown(test_recovery,
		    fake_setup, fake_clean),
		cmocka_unit_test_setup_teardown(test_damaged_record,
		    fake_setup, fake_clean),
		cmocka_unit_test_setup_teardown(test_faults,
		    fake_setup, fake_clean),
	};
	int r;

	if (fake_enter("/tmp") != 0)
		return 1;
	r = cmocka_run_group_tests(tests, NULL, NULL);
	return fake_leave() != 0 ? 1 : r;
}
