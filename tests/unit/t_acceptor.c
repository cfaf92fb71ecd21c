/*
 * t_acceptor.c - taking clients from a listener: bounds, and the time when
 * descriptors have run out.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/acceptor.h"
#include "lib/log.h"

#define REFUSAL "no room\r\n"

static struct child_fd listener = { .name = "pop3",
    .client_role = -2 };
static struct sockaddr_in listen_at;
static struct loop *loop;
static struct timer stop;
static int taken[8];
static size_t n_taken;

/* lib/child.c is not linked: the listener is ours. */
const struct child_fd *
child_fds(struct child *c, size_t *ret_n)
{
	(void)c;
	*ret_n = 1;
	return &listener;
}

struct conf *
child_conf(struct child *c)
{
	static struct conf conf;

	(void)c;
	return &conf;
}

static int
take(void *ctx, int fd, const struct acceptor_client *c)
{
	assert_null(ctx);
	assert_int_equal(c->listener, CONF_POP3);
	assert_int_equal(c->peer.port > 0, 1);
	assert_true(addr_ip_eq(&c->peer, &c->via) && !c->claimed);
	taken[n_taken++] = fd;
	return 0;
}

static void
stop_loop(void *ctx)
{
	(void)ctx;
	loop_stop(loop);
}

static void
turn(int64_t ms)
{
	timer_arm(&stop, ms);
	loop_run(loop);
}

static int
setup(void **state)
{
	socklen_t len = sizeof(listen_at);

	(void)state;
	listen_at = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	listener.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(listener.fd, (struct sockaddr *)&listen_at, len),
	    0);
	assert_int_equal(listen(listener.fd, 8), 0);
	assert_int_equal(getsockname(listener.fd,
	    (struct sockaddr *)&listen_at, &len), 0);
	loop = loop_new();
	timer_init(&stop, loop, stop_loop, NULL);
	n_taken = 0;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < n_taken; i++)
		close(taken[i]);
	close(listener.fd);
	timer_free(&stop);
	loop_free(loop);
	return 0;
}

static int
dial(const char *from)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(inet_aton(from, &a.sin_addr), 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&listen_at,
	    sizeof(listen_at)), 0);
	return fd;
}

static void
assert_refused(int fd, const char *text)
{
	char got[32] = "";
	size_t n = 0;
	ssize_t r;

	while ((r = recv(fd, got + n, sizeof(got) - 1 - n, 0)) > 0)
		n += (size_t)r;
	assert_string_equal(got, text);
	close(fd);
}

static struct acceptor *
start(rlim_t descriptors, unsigned int fds_each)
{
	struct rlimit old, rl;
	struct acceptor *a;

	getrlimit(RLIMIT_NOFILE, &old);
	rl = old;
	rl.rlim_cur = descriptors;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &rl), 0);
	a = acceptor_new(loop, NULL, fds_each, REFUSAL, take, NULL);
	setrlimit(RLIMIT_NOFILE, &old);
	assert_non_null(a);
	assert_int_equal(acceptor_listen(a), 0);
	return a;
}

static void
test_bounds(void **state)
{
	/* (144 - 64) / 40: two in all. */
	struct acceptor *a = start(144, 40);
	int fd[3];

	(void)state;
	fd[0] = dial("127.0.0.1");
	fd[1] = dial("127.0.0.2");
	turn(50);
	assert_int_equal(n_taken, 2);
	fd[2] = dial("127.0.0.3");
	turn(50);
	assert_refused(fd[2], REFUSAL);
	listener.implicit_tls = 1;	/* clear text would be garbage there */
	assert_int_equal(acceptor_listen(a), 0);
	fd[2] = dial("127.0.0.1");
	turn(50);
	assert_refused(fd[2], "");
	listener.implicit_tls = 0;
	assert_int_equal(acceptor_listen(a), 0);
	assert_int_equal(acceptor_sessions(a), 2);
	acceptor_left(a);
	fd[2] = dial("127.0.0.3");
	turn(50);
	assert_int_equal(n_taken, 3);

	acceptor_left(a);
	acceptor_left(a);
	assert_int_equal(acceptor_sessions(a), 0);
	acceptor_free(a);
	for (int i = 0; i < 3; i++)
		close(fd[i]);
}

static int64_t
cpu_ms(void)
{
	return (int64_t)clock() * 1000 / CLOCKS_PER_SEC;
}

static void
test_out_of_descriptors(void **state)
{
	struct acceptor *a = start(1024, 1);
	struct rlimit old, rl;
	int fd = dial("127.0.0.1"), lowest = dup(0);
	int64_t cpu;

	(void)state;
	close(lowest);
	getrlimit(RLIMIT_NOFILE, &old);
	rl = old;
	rl.rlim_cur = (rlim_t)lowest;
	setrlimit(RLIMIT_NOFILE, &rl);
	cpu = cpu_ms();
	turn(500);
	assert_int_equal(n_taken, 0);
	assert_true(cpu_ms() - cpu < 250);	/* it does not spin */
	setrlimit(RLIMIT_NOFILE, &old);
	turn(500);
	assert_int_equal(n_taken, 1);
	acceptor_left(a);
	acceptor_free(a);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_out_of_descriptors, setup,
		    teardown),
	};

	log_open("test", "test", "/dev/null");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
