/*
 * submitctl_password.c - takes a new password from the terminal without echo,
 * or from standard input. It must never take one from the arguments, and zeroes
 * what it read.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

#include "db/submitctl.h"
#include "lib/str.h"

#define CTL_PASSWORD_SIZE 1026	/* 1,024 octets, a CR and the NUL */

static volatile sig_atomic_t ctl_signal;

static void
ctl_on_signal(int signo)
{
	ctl_signal = signo;
}

void
ctl_password_free(char *password)
{
	if (password == NULL)
		return;
	explicit_bzero(password, strlen(password));
	free(password);
}

/* Waits under `mask`, so that a signal that came just before is not slept
 * through; NULL: reads at once. */
static ssize_t
ctl_read_octet(int fd, const sigset_t *mask, char *ret)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (mask != NULL && ppoll(&p, 1, NULL, mask) == -1)
		return -1;
	return read(fd, ret, 1);
}

/* One line, octet by octet: what stands behind it stays for others. 1: a line
 * (in dst); 0: the input ended; -1: it failed, was interrupted, is too long or
 * holds a NUL. */
static int
ctl_read_line(int fd, const sigset_t *mask, char dst[CTL_PASSWORD_SIZE])
{
	size_t len = 0;
	ssize_t n;
	char ch = 0;

	while ((n = ctl_read_octet(fd, mask, &ch)) == 1 && ch != '\n') {
		if (len == CTL_PASSWORD_SIZE - 1 || ch == '\0') {
			errno = EMSGSIZE;
			return -1;
		}
		dst[len++] = ch;
	}
	if (len > 0 && dst[len - 1] == '\r')
		len--;
	dst[len] = '\0';
	return n < 0 ? -1 : n == 0 && len == 0 ? 0 : 1;
}

static const int ctl_signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };
#define CTL_SIGNALS (sizeof(ctl_signals) / sizeof(ctl_signals[0]))

/* As ctl_read_line(), with echo off; a signal that comes meanwhile is
 * delivered once the terminal is as it was. */
static int
ctl_read_silent(int tty, const char *prompt, char dst[CTL_PASSWORD_SIZE])
{
	const struct sigaction sa = { .sa_handler = ctl_on_signal };
	struct sigaction old[CTL_SIGNALS];
	struct termios before, silent;
	sigset_t block, mask;
	int r;

	if (tcgetattr(tty, &before) == -1)
		return -1;
	silent = before;
	silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	ctl_signal = 0;
	sigemptyset(&block);
	for (size_t i = 0; i < CTL_SIGNALS; i++) {
		sigaddset(&block, ctl_signals[i]);
		sigaction(ctl_signals[i], &sa, &old[i]);
	}
	sigprocmask(SIG_BLOCK, &block, &mask);
	r = tcsetattr(tty, TCSAFLUSH, &silent);
	if (r == 0) {
		dprintf(tty, "%s: ", prompt);
		r = ctl_read_line(tty, &mask, dst);
		dprintf(tty, "\n");
		tcsetattr(tty, TCSAFLUSH, &before);
	}
	for (size_t i = 0; i < CTL_SIGNALS; i++)
		sigaction(ctl_signals[i], &old[i], NULL);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	if (ctl_signal != 0)
		raise(ctl_signal);
	return r;
}

static int
ctl_from_terminal(const char *user, bool once, char first[CTL_PASSWORD_SIZE])
{
	char second[CTL_PASSWORD_SIZE] = "", prompt[320], safe[256];
	int code = 0, tty;

	if ((tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)) == -1)
		return ctl_fail(EX_USAGE, "there is no terminal to ask for the "
		    "password on: give it as a line on standard input, with "
		    "--stdin");
	(void)snprintf(prompt, sizeof(prompt), "%s for %s",
	    once ? "Password" : "New password", ctl_safe(user, safe, sizeof(safe)));
	if (ctl_read_silent(tty, prompt, first) != 1 || (!once &&
	    ctl_read_silent(tty, "Once more", second) != 1))
		code = ctl_fail(EX_DATAERR,
		    "no password was given; nothing is changed");
	else if (!once && strcmp(first, second) != 0)
		code = ctl_fail(EX_DATAERR,
		    "the two differ; nothing is changed");
	explicit_bzero(second, sizeof(second));
	close(tty);
	return code;
}

static int
ctl_take_password(struct ctl *c, const char *user, bool once, char **ret)
{
	char line[CTL_PASSWORD_SIZE] = "";
	int code = 0;

	if ((c->given & CTL_STDIN) == 0)
		code = ctl_from_terminal(user, once, line);
	else if (ctl_read_line(STDIN_FILENO, NULL, line) != 1)
		code = ctl_fail(EX_DATAERR, "--stdin: standard input has no "
		    "line of 1 to 1024 octets");
	if (code == 0 && line[0] == '\0')
		code = ctl_fail(EX_DATAERR, "the password is empty");
	if (code == 0 && !str_is_utf8(line, strlen(line)))
		code = ctl_fail(EX_DATAERR, "the password is not valid UTF-8");
	if (code == 0 && (*ret = strdup(line)) == NULL)
		code = ctl_fail(EX_OSERR, "no memory");
	explicit_bzero(line, sizeof(line));
	return code;
}

int
ctl_password(struct ctl *c, const char *user, char **ret)
{
	return ctl_take_password(c, user, false, ret);
}

int
ctl_password_once(struct ctl *c, const char *user, char **ret)
{
	return ctl_take_password(c, user, true, ret);
}
