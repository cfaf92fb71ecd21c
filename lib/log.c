/*
 * log.c - one event, one line. Linked into every process, called from any of
 * its threads; it never waits for a reader that does not read.
 */
#include "lib/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
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
enum log_kind { LOG_TO_PIPE, LOG_TO_SOCKET, LOG_TO_DISK };

static struct {
	const char	*ident;
	enum log_target	 target;
	enum log_kind	 kind;		/* what the descriptor is */
	pid_t		 pid;		/* 0: to be asked for */
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
	if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	    (c >= 'a' && c <= 'z') || (c >= '-' && c <= '.'))
		return true;
	if (c <= ' ' || c == 0x7f || c == '%')
		return kind == LOG_KV_T && c == ' ';
	if (kind == LOG_KV_A)
		return true;
	if (kind == LOG_KV_T)
		return c != '"';
	return c == '@' || c == '_' || c == '+';
}

/* An encoded octet is put whole or not at all. */
static void
log_put_encoded(struct log_line *l, enum log_kv_kind kind, const char *s)
{
	char code[4];

	while (*s != '\0') {
		size_t n = 0;

		while (s[n] != '\0' && log_is_plain(kind, (unsigned char)s[n]))
			n++;
		log_put(l, s, n);
		s += n;
		if (*s == '\0' || l->max - l->len < 3)
			return;
		snprintf(code, sizeof(code), "%%%02X", (unsigned char)*s++);
		log_put(l, code, 3);
	}
}

/* At least so many digits. */
static void
log_put_digits(struct log_line *l, uint64_t u, size_t digits)
{
	char text[20];
	size_t at = sizeof(text);

	while (u > 0 || digits > sizeof(text) - at) {
		text[--at] = (char)('0' + u % 10);
		u /= 10;
	}
	log_put(l, text + at, sizeof(text) - at);
}

static void
log_put_number(struct log_line *l, enum log_kv_kind kind, uint64_t u)
{
	if (kind == LOG_KV_I && u > INT64_MAX) {
		log_put(l, "-", 1);
		u = -u;
	}
	log_put_digits(l, u, 1);
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

/* The second last written, as text. */
struct log_second {
	time_t	s;
	char	text[40];
	size_t	len;
};

static void
log_put_prefix(struct log_line *l, int level)
{
	static _Thread_local struct log_second now = { .s = -1 };
	struct timespec ts;
	struct tm tm;
	char text[128];

	if (log_state.target == LOG_TO_SYSLOG)
		return;
	if (log_state.target == LOG_TO_STDERR && log_state.journal) {
		snprintf(text, sizeof(text), "<%d>%s: ", level & LOG_PRIMASK,
		    log_state.ident);
		log_put_str(l, text);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &ts);
	if (ts.tv_sec != now.s) {
		gmtime_r(&ts.tv_sec, &tm);
		now.len = strftime(now.text, sizeof(now.text),
		    "%Y-%m-%dT%H:%M:%S.", &tm);
		now.s = ts.tv_sec;
	}
	log_put(l, now.text, now.len);
	log_put_digits(l, (uint64_t)ts.tv_nsec / 1000000, 3);
	log_put(l, "Z ", 2);
	log_put_str(l, log_state.ident);
	log_put(l, "[", 1);
	log_put_digits(l, (uint64_t)(log_state.pid != 0 ? log_state.pid :
	    getpid()), 1);
	log_put(l, "]: ", 3);
}

static bool
log_has_room(int fd, bool hurry)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };

	return poll(&pfd, 1, hurry ? 0 : 10) == 1 && (pfd.revents & POLLOUT);
}

static ssize_t
log_write_once(int fd, const char *p, size_t len)
{
	ssize_t n;

	do
		n = log_state.kind == LOG_TO_SOCKET ?
		    send(fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL) :
		    write(fd, p, len);
	while (n < 0 && errno == EINTR);
	return n;
}

/* One write that does not wait: a socket is told so, a pipe is asked first (a
 * line is shorter than PIPE_BUF), a disk takes it or fails. */
static bool
log_write_fd(int fd, const char *p, size_t len, bool hurry)
{
	if (log_state.kind == LOG_TO_PIPE && !log_has_room(fd, hurry))
		return false;
	if (log_write_once(fd, p, len) >= 0)
		return true;
	return log_state.kind == LOG_TO_SOCKET && errno == EAGAIN &&
	    log_has_room(fd, hurry) && log_write_once(fd, p, len) >= 0;
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

static void
log_forked(void)
{
	log_state.pid = 0;
}

/* What the lines go to and who writes them is the same from one to the next. */
static void
log_look(void)
{
	static bool watched;
	struct stat st = { 0 };

	if (!watched)
		watched = pthread_atfork(NULL, NULL, log_forked) == 0;
	(void)fstat(log_state.target == LOG_TO_FILE ? log_state.fd :
	    STDERR_FILENO, &st);
	log_state.kind = S_ISSOCK(st.st_mode) ? LOG_TO_SOCKET :
	    S_ISREG(st.st_mode) ? LOG_TO_DISK : LOG_TO_PIPE;
	log_state.pid = watched ? getpid() : 0;
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
		log_look();
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
	log_look();
	return 0;
}

void
log_use_fd(const char *ident, int fd)
{
	log_state.ident = ident;
	if (log_take_fd(fd) != 0)
		return;
	log_state.target = LOG_TO_FILE;
	log_look();
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
