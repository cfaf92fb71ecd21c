/*
 * t_ipc.c - messages between processes: calls and replies, descriptors, a peer
 * that goes away and comes back, a malformed packet, a full queue.
 */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/ipc.h"

enum { ECHO = 1, HOLD = 2, INODE = 3 };

struct world {
	struct loop		*loop;
	struct ipc_client	*client;
	struct ipc_listener	*listener;
	char			 dir[64];
	int			 dir_fd, listen_fd;
	int			 replies, away, ups, downs, gone;
	char			 text[64];
	uint64_t		 inode;
};

static struct msg_out out;

static int
server_packet(void *ctx, struct ipc *p, struct msg_in *m, int fd)
{
	struct stat st = { 0 };
	const char *s;

	(void)ctx;
	if (m->type == HOLD)
		return 0;
	msg_begin(&out, m->type, m->id);
	if (m->type == INODE) {
		assert_int_equal(fstat(fd, &st), 0);
		close(fd);
		msg_put_u64(&out, st.st_ino);
		return ipc_send(p, &out, -1);
	}
	if (m->type != ECHO || msg_get_str(m, &s, 100) != 0 ||
	    msg_get_end(m) != 0)
		return ERR_FORMAT;
	msg_put_str(&out, s);
	return ipc_send(p, &out, -1);
}

static void
server_gone(void *ctx, struct ipc *p)
{
	struct world *w = ctx;

	w->gone++;
	ipc_close(p);
}

static const struct ipc_ops server_ops = {
	.packet = server_packet, .gone = server_gone,
};

static void
accepted(void *ctx, int fd, uid_t uid, pid_t pid)
{
	struct world *w = ctx;

	assert_int_equal(uid, geteuid());
	assert_int_equal(pid, getpid());
	assert_non_null(ipc_new(w->loop, fd, "server", &server_ops, w));
}

static int
reply_echo(void *ctx, int rc, struct msg_in *m, int fd)
{
	struct world *w = ctx;
	const char *s;

	assert_int_equal(fd, -1);
	if (rc != 0) {
		assert_int_equal(rc, ERR_AWAY);
		assert_null(m);
		w->away++;
		return 0;
	}
	assert_int_equal(msg_get_str(m, &s, 100), 0);
	assert_int_equal(msg_get_end(m), 0);
	snprintf(w->text, sizeof w->text, "%.60s", s);
	w->replies++;
	loop_stop(w->loop);
	return 0;
}

static int
reply_inode(void *ctx, int rc, struct msg_in *m, int fd)
{
	struct world *w = ctx;

	assert_int_equal(rc, 0);
	assert_int_equal(fd, -1);
	assert_int_equal(msg_get_u64(m, &w->inode), 0);
	loop_stop(w->loop);
	return 0;
}

static void
client_up(void *ctx)
{
	struct world *w = ctx;

	w->ups++;
	loop_stop(w->loop);
}

static void
client_down(void *ctx)
{
	struct world *w = ctx;

	w->downs++;
	loop_stop(w->loop);
}

static const struct ipc_client_ops client_ops = {
	.up = client_up, .down = client_down,
};

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	struct err e;

	strcpy(w->dir, "/tmp/t_ipc.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	assert_int_equal(chdir(w->dir), 0);
	w->loop = loop_new();
	w->dir_fd = open(".", O_RDONLY | O_DIRECTORY);
	w->listen_fd = ipc_bind(w->dir_fd, "sock", 0600, geteuid(), getegid(),
	    &e);
	assert_true(w->listen_fd >= 0);
	w->listener = ipc_listen(w->loop, w->listen_fd, geteuid(), "sock",
	    accepted, w);
	assert_non_null(w->listener);
	w->client = ipc_client_new(w->loop, "sock", "client", &client_ops, w);
	assert_non_null(w->client);
	loop_run(w->loop);
	assert_int_equal(w->ups, 1);
	*state = w;
	return 0;
}

static void
stop(void *ctx)
{
	loop_stop(ctx);
}

/* A listener is for the process's life: nothing frees it. */
const char *__lsan_default_suppressions(void);
const char *
__lsan_default_suppressions(void)
{
	return "leak:ipc_listen\n";
}

/* Lets both ends go before the loop does. */
static int
teardown(void **state)
{
	struct world *w = *state;
	struct timer t;

	ipc_client_free(w->client);
	assert_int_equal(timer_init(&t, w->loop, stop, w->loop), 0);
	timer_arm(&t, 50);
	loop_run(w->loop);
	timer_free(&t);
	loop_free(w->loop);
	unlinkat(w->dir_fd, "sock", 0);
	assert_int_equal(chdir("/"), 0);
	rmdir(w->dir);
	close(w->dir_fd);
	close(w->listen_fd);
	free(w);
	return 0;
}

static void
call(struct world *w, uint16_t type, const char *text)
{
	msg_begin(&out, type, ipc_client_id(w->client));
	msg_put_str(&out, text);
	assert_int_equal(ipc_client_call(w->client, &out, -1, reply_echo, w),
	    0);
}

static void
test_call(void **state)
{
	struct world *w = *state;

	call(w, ECHO, "hello");
	loop_run(w->loop);
	assert_int_equal(w->replies, 1);
	assert_string_equal(w->text, "hello");
}

static void
test_descriptor(void **state)
{
	struct world *w = *state;
	struct stat st;

	msg_begin(&out, INODE, ipc_client_id(w->client));
	assert_int_equal(ipc_client_call(w->client, &out, w->dir_fd,
	    reply_inode, w), 0);
	loop_run(w->loop);
	fstat(w->dir_fd, &st);
	assert_int_equal(w->inode, st.st_ino);
}

static void
test_malformed_drops_and_heals(void **state)
{
	struct world *w = *state;

	call(w, HOLD, "never answered");
	call(w, 77, "no such type");
	loop_run(w->loop);		/* until it is down */
	assert_int_equal(w->downs, 1);
	assert_int_equal(w->away, 2);
	assert_int_equal(w->gone, 1);
	loop_run(w->loop);		/* until it is up again */
	assert_int_equal(w->ups, 2);
	call(w, ECHO, "again");
	loop_run(w->loop);
	assert_string_equal(w->text, "again");
}

static void
test_cancelled(void **state)
{
	struct world *w = *state;
	uint32_t id = ipc_client_id(w->client);

	msg_begin(&out, ECHO, id);
	msg_put_str(&out, "unwanted");
	assert_int_equal(ipc_client_call(w->client, &out, -1, reply_echo, w),
	    0);
	ipc_client_cancel(w->client, id);
	call(w, ECHO, "wanted");
	loop_run(w->loop);
	assert_int_equal(w->replies, 1);
	assert_string_equal(w->text, "wanted");
}

static void
test_queue_keeps_order(void **state)
{
	struct world *w = *state;
	char text[16];

	/* More than the sockets hold: both sides must queue. */
	for (int i = 0; i < 5000; i++) {
		snprintf(text, sizeof text, "%d", i);
		call(w, ECHO, text);
	}
	while (w->replies < 5000)
		loop_run(w->loop);
	assert_string_equal(w->text, "4999");
	assert_int_equal(w->away, 0);
}

static int
open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

/* A peer that sends two descriptors in one packet, which may be empty, as no
 * ipc_send() does. */
static void
send_two_descriptors(int fd, bool empty)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX, .sun_path = "sock" };
	int s = socket(AF_UNIX, SOCK_SEQPACKET, 0), two[2] = { fd, fd };
	char space[CMSG_SPACE(sizeof two)] = { 0 };
	struct cmsghdr *h = (struct cmsghdr *)(void *)space;
	struct iovec iov;
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = space, .msg_controllen = sizeof space };

	assert_int_equal(connect(s, (struct sockaddr *)&sun, sizeof sun), 0);
	msg_begin(&out, HOLD, 1);
	iov = (struct iovec){ out.data, empty ? 0 : out.len };
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof two);
	memcpy(CMSG_DATA(h), two, sizeof two);
	assert_int_equal(sendmsg(s, &mh, 0), (int)iov.iov_len);
	close(s);
}

static void
test_two_descriptors_leave_none(void **state)
{
	struct world *w = *state;
	int before;

	call(w, ECHO, "accepted by now");
	loop_run(w->loop);
	before = open_descriptors();
	for (int i = 0; i < 3; i++) {
		send_two_descriptors(w->dir_fd, i == 1);
		call(w, ECHO, "go on");
		loop_run(w->loop);
	}
	while (w->gone < 3) {
		call(w, ECHO, "go on");
		loop_run(w->loop);
	}
	call(w, ECHO, "go on");
	loop_run(w->loop);
	assert_int_equal(open_descriptors(), before);
}

/* The owner stands in a call of its own then: it is told later. */
static void
test_overflow_is_told_from_the_loop(void **state)
{
	struct world *w = *state;
	static char text[60000];
	int r = 0, n = 0;

	memset(text, 'x', sizeof text - 1);
	for (; r == 0 && n < 1000; n++) {
		msg_begin(&out, HOLD, ipc_client_id(w->client));
		msg_put_str(&out, text);
		r = ipc_client_call(w->client, &out, -1, reply_echo, w);
	}
	assert_int_equal(r, ERR_LIMIT);
	assert_int_equal(w->away, 0);
	assert_int_equal(w->downs, 0);
	loop_run(w->loop);
	assert_int_equal(w->downs, 1);
	assert_int_equal(w->away, n - 1);
}

#define ROW(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(test_call),
		ROW(test_descriptor),
		ROW(test_malformed_drops_and_heals),
		ROW(test_cancelled),
		ROW(test_queue_keeps_order),
		ROW(test_two_descriptors_leave_none),
		ROW(test_overflow_is_told_from_the_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
