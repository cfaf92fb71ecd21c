/*
 * t_log.c - one event, one line, whatever a client puts into it.
 */
#include "lib/log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static char path[] = "/tmp/t_log.XXXXXX";

static int
setup(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	if (fd < 0)
		return -1;
	close(fd);
	return log_open("t_log", "t_log", path);
}

static int
teardown(void **state)
{
	(void)state;
	return unlink(path);
}

/* The last line of the file, from "ev=" on. */
static char *
last_line(void)
{
	static char text[65536];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof(text) - 1);
	char *nl, *ev;

	close(fd);
	assert_true(n > 0);
	text[n] = '\0';
	assert_int_equal(text[n - 1], '\n');
	text[n - 1] = '\0';
	nl = strrchr(text, '\n');
	ev = strstr(nl == NULL ? text : nl + 1, "ev=");
	assert_non_null(ev);
	return ev;
}

static void
test_kinds(void **state)
{
	(void)state;
	LOG_EV(LOG_INFO, "auth.fail", "k3v9q0", KV_S("user", "b b\"%\n\xc3"),
	    KV_A("rip", "2001:db8::1"), KV_S("none", NULL), KV_U("n", 7),
	    KV_I("d", -7), KV_T("why", "it \"is\"\r\nso"));
	assert_string_equal(last_line(), "ev=auth.fail sid=k3v9q0 "
	    "user=b%20b%22%25%0A%C3 rip=2001:db8::1 n=7 d=-7 "
	    "why=\"it %22is%22%0D%0Aso\"");
	LOG_EV(LOG_INFO, "ready", NULL);
	assert_string_equal(last_line(), "ev=ready");
	LOG_EV(LOG_DEBUG, "quiet", NULL);
	assert_string_equal(last_line(), "ev=ready");
	log_set_debug(1);
	LOG_EV(LOG_DEBUG, "loud", NULL);
	assert_string_equal(last_line(), "ev=loud");
	log_set_debug(0);
}

static void
test_cut(void **state)
{
	char big[5000];
	const char *line;

	(void)state;
	memset(big, '\n', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	LOG_EV(LOG_INFO, "big", NULL, KV_S("a", big), KV_S("b", big));
	line = last_line();
	assert_true(strlen(line) < 2048);
	assert_true(strlen(line) > 1900);
	assert_null(strchr(line, '\n'));
	LOG_EV(LOG_INFO, "next", NULL);
	assert_string_equal(last_line(), "ev=next");
}

/* A reader that does not read costs lines, never time; then they are told. */
static void
test_full_pipe(void **state)
{
	char big[1000], got[4096] = "";
	int fds[2], i, flags, keep = log_fd();
	int copy = fcntl(keep, F_DUPFD_CLOEXEC, 3);
	ssize_t n;

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	log_use_fd("t_log", fds[1]);
	for (i = 0; i < 200; i++)
		LOG_EV(LOG_INFO, "flood", NULL, KV_S("x", big));
	flags = fcntl(fds[0], F_GETFL);
	fcntl(fds[0], F_SETFL, flags | O_NONBLOCK);
	while ((n = read(fds[0], got, sizeof(got) - 1)) > 0)
		;
	LOG_EV(LOG_INFO, "after", NULL);
	n = read(fds[0], got, sizeof(got) - 1);
	assert_true(n > 0);
	got[n] = '\0';
	assert_non_null(strstr(got, "ev=after lost="));
	log_use_fd("t_log", copy);
	assert_int_equal(log_fd(), keep);
	close(fds[0]);
	LOG_EV(LOG_INFO, "back", NULL);
	assert_string_equal(last_line(), "ev=back");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_full_pipe),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
