/*
 * control.c - the serving side of a control socket. See control.h.
 *
 * Who may connect is decided by the socket's file mode and group; here only
 * sizes and counts are bounded, and what changes something is logged with the
 * caller's uid.
 */
#include "lib/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/ipc.h"
#include "lib/log.h"
#include "lib/priv.h"
#include "lib/str.h"

#define CONTROL_PEERS_MAX	32u
#define CONTROL_PACKET_MAX	(192u * 1024)
#define CONTROL_WAITING_MAX	(64u * 1024 * 1024)

struct control {
	struct loop			*loop;
	const char			*name;
	const struct control_verb	*verbs;
	void				*ctx;
	unsigned int			 peers;
};

struct control_packet {
	struct control_packet	*next;
	int			 fd;		/* goes with it, or -1 */
	size_t			 len;
	char			 data[];
};

/* One connection carries one request: `submitctl` connects for each. */
struct control_call {
	struct control		*control;
	int			 fd;
	uid_t			 uid;
	struct watch		*watch;
	struct control_packet	*first, **last;
	size_t			 waiting;	/* octets */
	bool			 asked;		/* the request was taken */
	bool			 finished;	/* the last packet is queued */
	bool			 broken;	/* the caller is gone */
	bool			 lost;		/* a record could not wait */
};

static void
control_packet_free(struct control_packet *k)
{
	if (k->fd >= 0)
		close(k->fd);
	free(k);
}

static void
control_free(void *ctx)
{
	struct control_call *c = ctx;

	while (c->first != NULL) {
		struct control_packet *next = c->first->next;

		control_packet_free(c->first);
		c->first = next;
	}
	free(c);
}

/* The connection ends. While a verb still works on it the struct stays, and is
 * freed by its control_done() or control_fail(). */
static void
control_close(struct control_call *c)
{
	if (c->fd >= 0) {
		watch_free(c->watch);
		c->watch = NULL;
		close(c->fd);
		c->fd = -1;
		c->control->peers--;
	}
	c->broken = true;
	if (!c->asked || c->finished)
		loop_defer(c->control->loop, control_free, c);
}

static ssize_t
control_send(int fd, struct control_packet *k)
{
	struct iovec iov = { .iov_base = k->data, .iov_len = k->len };
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(sizeof(int))];
	} ctl = { 0 };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *h;

	if (k->fd >= 0) {
		mh.msg_control = &ctl;
		mh.msg_controllen = sizeof ctl.space;
		h = CMSG_FIRSTHDR(&mh);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(h), &k->fd, sizeof k->fd);
	}
	return sendmsg(fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void
control_flush(struct control_call *c)
{
	while (c->first != NULL) {
		struct control_packet *k = c->first;

		if (control_send(c->fd, k) < 0) {
			if (errno == EINTR)
				continue;
			if (errno != EAGAIN)
				control_close(c);
			return;
		}
		c->first = k->next;
		if (c->first == NULL)
			c->last = &c->first;
		c->waiting -= k->len;
		control_packet_free(k);
	}
	watch_set(c->watch, WATCH_READ);
	if (c->finished)
		control_close(c);
}

static void
control_queue(struct control_call *c, json_t *record, int fd)
{
	struct control_packet *k;
	size_t len;

	len = record == NULL ? 0 : json_dumpb(record, NULL, 0, JSON_COMPACT);
	if (c->broken || len == 0 || len > CONTROL_PACKET_MAX ||
	    c->waiting + len > CONTROL_WAITING_MAX + CONTROL_PACKET_MAX ||
	    (k = malloc(sizeof *k + len)) == NULL) {
		json_decref(record);
		if (fd >= 0)
			close(fd);
		c->lost = true;
		return;
	}
	k->next = NULL;
	k->fd = fd;
	k->len = json_dumpb(record, k->data, len, JSON_COMPACT);
	json_decref(record);
	*c->last = k;
	c->last = &k->next;
	c->waiting += len;
	watch_set(c->watch, WATCH_READ | WATCH_WRITE);
}

void
control_record(struct control_call *c, json_t *record)
{
	control_record_fd(c, record, -1);
}

void
control_record_fd(struct control_call *c, json_t *record, int fd)
{
	if (c->waiting < CONTROL_WAITING_MAX) {
		control_queue(c, record, fd);
		return;
	}
	c->lost = true;		/* what is left is for the last packet */
	json_decref(record);
	if (fd >= 0)
		close(fd);
}

static void
control_finish(struct control_call *c, json_t *last)
{
	if (c->lost && json_object_get(last, "error") == NULL) {
		json_decref(last);
		last = json_pack("{s:s, s:i}", "error", "the answer is too "
		    "long to wait until it is read; ask for less of it",
		    "code", EX_TEMPFAIL);
	}
	json_object_set_new(last, "done", json_true());
	if (c->broken) {
		json_decref(last);
		c->finished = true;
		loop_defer(c->control->loop, control_free, c);
		return;
	}
	control_queue(c, last, -1);
	c->finished = true;
	watch_set(c->watch, WATCH_READ | WATCH_WRITE);
}

void
control_done(struct control_call *c)
{
	control_finish(c, json_object());
}

void
control_done_with(struct control_call *c, json_t *record)
{
	control_finish(c, record != NULL ? record : json_object());
}

void
control_fail(struct control_call *c, int code, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	str_mend_utf8(text);	/* or JSON would not take it */
	control_finish(c, json_pack("{s:s%, s:i}", "error", text,
	    strlen(text), "code", code));
}

size_t
control_backlog(const struct control_call *c)
{
	return c->broken ? 0 : c->waiting;
}

uid_t
control_uid(const struct control_call *c)
{
	return c->uid;
}

const char *
control_arg(const json_t *args, const char *name)
{
	return json_string_value(json_object_get(args, name));
}

static void
control_run(struct control_call *c, const json_t *args)
{
	const char *verb = control_arg(args, "verb");

	c->asked = true;
	for (const struct control_verb *v = c->control->verbs;
	    verb != NULL && v->name != NULL; v++) {
		if (strcmp(v->name, verb) != 0)
			continue;
		if (v->changes)
			LOG_EV(LOG_NOTICE, "control", NULL,
			    KV_A("verb", v->name), KV_U("uid", c->uid));
		v->run(c->control->ctx, c, args);
		return;
	}
	control_fail(c, EX_USAGE, "%s has no such verb", c->control->name);
}

static void
control_read(struct control_call *c)
{
	static char packet[CONTROL_REQUEST_MAX];
	ssize_t n = recv(c->fd, packet, sizeof packet, MSG_DONTWAIT | MSG_TRUNC);
	json_error_t je;
	json_t *args;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || c->asked) {	/* gone, or it speaks out of turn */
		control_close(c);
		return;
	}
	args = (size_t)n > sizeof packet ? NULL :
	    json_loadb(packet, (size_t)n, JSON_REJECT_DUPLICATES, &je);
	/* A password may have been in it. */
	explicit_bzero(packet, (size_t)n > sizeof packet ? sizeof packet :
	    (size_t)n);
	if (!json_is_object(args)) {
		c->asked = true;
		control_fail(c, EX_PROTOCOL, "malformed request");
	} else {
		control_run(c, args);
	}
	json_decref(args);
}

static void
control_ready(void *ctx, int what)
{
	struct control_call *c = ctx;

	if (c->fd < 0)
		return;
	if (what == WATCH_WRITE)
		control_flush(c);
	else
		control_read(c);
}

static void
control_accepted(void *ctx, int fd, uid_t uid, pid_t pid)
{
	struct control *t = ctx;
	struct control_call *c;
	int size = 1024 * 1024;

	(void)pid;
	if (t->peers >= CONTROL_PEERS_MAX ||
	    (c = calloc(1, sizeof *c)) == NULL) {
		close(fd);
		return;
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	c->control = t;
	c->fd = fd;
	c->uid = uid;
	c->last = &c->first;
	c->watch = watch_new(t->loop, fd, control_ready, c);
	if (c->watch == NULL) {
		close(fd);
		free(c);
		return;
	}
	t->peers++;
	watch_set(c->watch, WATCH_READ);
}

struct control *
control_new(struct loop *l, int fd, const char *name,
    const struct control_verb *verbs, void *ctx)
{
	struct control *t = calloc(1, sizeof *t);
	uid_t uid = priv_is_root() ? (uid_t)-1 : geteuid();

	if (t == NULL)
		return NULL;
	control_zero_json();
	*t = (struct control){ .loop = l, .name = name, .verbs = verbs,
		.ctx = ctx };
	if (ipc_listen(l, fd, uid, name, control_accepted, t) == NULL) {
		free(t);
		return NULL;
	}
	return t;
}
