/*
 * log.c - one event, one line. Linked into every process, called from any of
 * its threads; it never waits for a reader that does not read.
 */
#include "lib/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/str.h"

#define LOG_LINE_MAX 2048

enum log_target { LOG_TO_STDERR, LOG_TO_SYSLOG, LOG_TO_FILE };

static struct {
	const char	*ident;
	enum log_target	 target;
	int		 fd;		/* of the file, or -1 */
	bool		 journal;	/* stderr is the journal's */
	bool		 debug;
	atomic_ulong	 lost;		/* lines since the last that got out */
} log_state = { .ident = "submitd", .target = LOG_TO_STDERR, .fd = -1 };

struct log_line {
	char	text[LOG_LINE_MAX + 1];
	size_t	len;
	size_t	max;		/* one octet is kept for the newline */
};

static void
log_put(struct log_line *l, const char *s, size_t n)
{
	if (n > l->max - l->len)
		n = l->max - l->len;
	memcpy(l->text + l->len, s, n);
	l->len += n;
}

static void
log_put_str(struct log_line *l, const char *s)
{
	log_put(l, s, strlen(s));
}

static bool
log_is_plain(enum log_kv_kind kind, unsigned char c)
{
	if (c <= ' ' || c == 0x7f || c == '%')
		return kind == LOG_KV_T && c == ' ';
	if (kind == LOG_KV_A)
		return true;
	if (kind == LOG_KV_T)
		return c != '"';
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	    (c >= 'a' && c <= 'z') || strchr(".@_+-", c) != NULL;
}

/* An encoded octet is put whole or not at all. */
static void
log_put_encoded(struct log_line *l, enum log_kv_kind kind, const char *s)
{
	char code[4];

	for (; *s != '\0'; s++) {
		if (log_is_plain(kind, (unsigned char)*s)) {
			log_put(l, s, 1);
			continue;
		}
		if (l->max - l->len < 3)
			return;
		snprintf(code, sizeof(code), "%%%02X", (unsigned char)*s);
		log_put(l, code, 3);
	}
}

static void
log_put_number(struct log_line *l, enum log_kv_kind kind, uint64_t u)
{
	char text[32];

	if (kind == LOG_KV_I)
		snprintf(text, sizeof(text), "%lld", (long long)u);
	else
		snprintf(text, sizeof(text), "%llu", (unsigned long long)u);
	log_put_str(l, text);
}

static void
log_put_pair(struct log_line *l, const struct log_kv *kv)
{
	bool number = kv->kind == LOG_KV_U || kv->kind == LOG_KV_I;

	if (!number && kv->s == NULL)
		return;
	log_put(l, " ", 1);
	log_put_str(l, kv->key);
	log_put(l, "=", 1);
	if (number)
		log_put_number(l, kv->kind, kv->u);
	if (kv->kind == LOG_KV_T)
		log_put(l, "\"", 1);
	if (!number)
		log_put_encoded(l, kv->kind, kv->s);
	if (kv->kind == LOG_KV_T)
		log_put(l, "\"", 1);
}

static void
log_put_prefix(struct log_line *l, int level)
{
	struct timespec ts;
	struct tm tm;
	char text[128];
	size_t n;

	if (log_state.target == LOG_TO_SYSLOG)
		return;
	if (log_state.target == LOG_TO_STDERR && log_state.journal) {
		snprintf(text, sizeof(text), "<%d>%s: ", level & LOG_PRIMASK,
		    log_state.ident);
		log_put_str(l, text);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, sizeof(text) - n, ".%03ldZ %s[%ld]: ",
	    ts.tv_nsec / 1000000, log_state.ident, (long)getpid());
	log_put_str(l, text);
}

/* One write that does not wait: a socket is told so, a pipe is asked first (a
 * line is shorter than PIPE_BUF). */
static bool
log_write_fd(int fd, const char *p, size_t len, bool hurry)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	ssize_t n;

	if (poll(&pfd, 1, hurry ? 0 : 10) != 1 || !(pfd.revents & POLLOUT))
		return false;
	n = send(fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno == ENOTSOCK) {
		do {
			n = write(fd, p, len);
		} while (n < 0 && errno == EINTR);
	}
	return n >= 0;
}

static void
log_write(int level, struct log_line *l, unsigned long lost)
{
	int fd = log_state.target == LOG_TO_FILE ? log_state.fd : STDERR_FILENO;

	if (log_state.target == LOG_TO_SYSLOG) {
		l->text[l->len] = '\0';
		syslog(level, "%s", l->text);
		return;
	}
	l->text[l->len++] = '\n';
	if (!log_write_fd(fd, l->text, l->len, lost > 0))
		atomic_fetch_add(&log_state.lost, lost + 1);
}

void
log_event(int level, const char *ev, const char *id, const struct log_kv *kv)
{
	int error = errno;
	struct log_line l;
	unsigned long lost;

	if ((level & LOG_PRIMASK) == LOG_DEBUG && !log_state.debug)
		return;
	l.len = 0;
	l.max = LOG_LINE_MAX - 1;
	lost = atomic_exchange(&log_state.lost, 0);
	log_put_prefix(&l, level);
	log_put_str(&l, "ev=");
	log_put_str(&l, ev);
	if (id != NULL)
		log_put_pair(&l, &KV_A("sid", id));
	if (lost > 0)
		log_put_pair(&l, &KV_U("lost", lost));
	for (; kv->key != NULL; kv++)
		log_put_pair(&l, kv);
	log_write(level, &l, lost);
	errno = error;
}

/* systemd names the device and inode of the stream it gave us (sd-daemon). */
static bool
log_is_journal(void)
{
	const char *s = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return s != NULL && sscanf(s, "%llu:%llu", &dev, &ino) == 2 &&
	    fstat(STDERR_FILENO, &st) == 0 &&
	    (unsigned long long)st.st_dev == dev &&
	    (unsigned long long)st.st_ino == ino;
}

/* The number stays the same when a file is opened anew: other threads may be
 * writing to it right now. */
static int
log_take_fd(int fd)
{
	if (log_state.fd < 0) {
		log_state.fd = fd;
		return 0;
	}
	if (fd == log_state.fd)
		return 0;
	if (dup3(fd, log_state.fd, O_CLOEXEC) < 0)
		return ERR_SYSTEM;
	close(fd);
	return 0;
}

int
log_open(const char *ident, const char *facility_ident, const char *target)
{
	int fd;

	log_state.ident = ident;
	log_state.journal = log_is_journal();
	if (strcmp(target, "stderr") == 0) {
		log_state.target = LOG_TO_STDERR;
		return 0;
	}
	if (strcmp(target, "syslog") == 0) {
		openlog(facility_ident, LOG_NDELAY | LOG_PID, LOG_MAIL);
		log_state.target = LOG_TO_SYSLOG;
		return 0;
	}
	fd = open(target, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY |
	    O_NONBLOCK, 0640);
	if (fd < 0)
		return ERR_SYSTEM;
	if (log_take_fd(fd) != 0) {
		close(fd);
		return ERR_SYSTEM;
	}
	log_state.target = LOG_TO_FILE;
	return 0;
}

void
log_use_fd(const char *ident, int fd)
{
	log_state.ident = ident;
	if (log_take_fd(fd) == 0)
		log_state.target = LOG_TO_FILE;
}

int
log_fd(void)
{
	return log_state.target == LOG_TO_FILE ? log_state.fd : -1;
}

void
log_set_debug(int on)
{
	log_state.debug = on != 0;
}
