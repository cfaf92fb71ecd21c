/*
 * notify.c - see notify.h. Runs on the loop of authd-core. It must never write a
 * grant but through auth/grant.h, nor let a feeder that does not read, or writes
 * without end, take more than its share of memory, time or log.
 */
#include "config.h"

#include "auth/notify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "auth/grant.h"
#include "auth/names.h"
#include "auth/notify_line.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/str.h"

#define NOTIFY_PEERS_MAX	32u
#define NOTIFY_IN_MAX		640u	/* a line, or some at once: then
					 * others have their turn */
#define NOTIFY_OUT_MAX		(4u * 1024)
#define NOTIFY_ANSWER_MAX	128u
#define NOTIFY_PACE_MS		5
#define NOTIFY_BURST		60u	/* lines at once: some ms */
#define NOTIFY_LOG_WINDOW_S	10
#define NOTIFY_LOG_MAX		20u	/* complaints of a kind in it */

struct notify_peer {
	struct notify		*notify;
	struct notify_peer	*next;
	int			 fd;
	uid_t			 uid;
	pid_t			 pid;
	char			 feed[16];	/* the uid, as text */
	struct watch		*watch;
	struct buf		 in, out;
	bool			 skips;		/* the rest of a long line */
	bool			 ended;		/* no more comes from him */
	bool			 closed;
	uint64_t		 lines;
};

enum notify_complaint { NOTIFY_BAD, NOTIFY_NO, NOTIFY_REFUSED,
    NOTIFY_COMPLAINTS };

struct notify_logged {		/* of a kind */
	int64_t		 began_s;
	unsigned int	 n, left_out;
};

struct notify {
	struct core		*core;
	struct watch		*listener;
	int			 fd;
	struct notify_peer	*peers;
	unsigned int		 n_peers;
	unsigned int		 may;		/* lines until the next tick */
	bool			 ticks;
	int64_t			 ticked_ms;
	struct timer		 pace;
	struct notify_logged	 logged[NOTIFY_COMPLAINTS];
};

/* ------------------------------------------------------------ complaints -- */

/* Bounded: a feeder's words fill no log. *ret_left: how many of the kind were
 * left out since the last one. */
static bool
notify_may_log(struct notify *n, enum notify_complaint kind, char ret_left[24])
{
	struct notify_logged *l = &n->logged[kind];
	int64_t now_s = clock_now_s();

	if (now_s < l->began_s || now_s - l->began_s >= NOTIFY_LOG_WINDOW_S) {
		l->began_s = now_s;
		l->n = 0;
	}
	if (l->n >= NOTIFY_LOG_MAX) {
		l->left_out++;
		return false;
	}
	l->n++;
	ret_left[0] = '\0';
	if (l->left_out > 0)
		(void)str_format(ret_left, 24, "%u", l->left_out);
	l->left_out = 0;
	return true;
}

static const char *
notify_or_null(const char *s)
{
	return s[0] != '\0' ? s : NULL;
}

static void
notify_log_bad(struct notify_peer *p, const char *flaw)
{
	char left[24];

	if (notify_may_log(p->notify, NOTIFY_BAD, left))
		LOG_EV(LOG_WARNING, "notify.bad", NULL, KV_U("uid", p->uid),
		    KV_A("unlogged", notify_or_null(left)), KV_T("why", flaw));
}

static void
notify_log_no(struct notify_peer *p, const struct notify_line *l,
    const char *user, const char *why)
{
	char left[24], rip[ADDR_STRLEN];

	if (notify_may_log(p->notify, NOTIFY_NO, left))
		LOG_EV(LOG_NOTICE, "notify.no", NULL, KV_S("user", user),
		    KV_A("rip", addr_ip_text(&l->addr, rip)),
		    KV_U("uid", p->uid), KV_A("why", why),
		    KV_A("unlogged", notify_or_null(left)));
}

/* --------------------------------------------------------------- answers -- */

static void
notify_answer(struct notify_peer *p, const char *word, const char *text)
{
	/* Room was seen to be there before the line was read. */
	(void)buf_printf(&p->out, "%s %s\n", word, text);
}

static void
notify_answer_verdict(struct notify_peer *p, const struct notify_line *l,
    const char *user, enum grant_verdict v)
{
	const char *name = grant_verdict_name(v);

	if (v == GRANT_NEW || v == GRANT_RENEWED) {
		notify_answer(p, "ok", name);
	} else if (v == GRANT_FAILED) {
		notify_answer(p, "temp", "database");
	} else {
		notify_answer(p, "no", name);
		if (v != GRANT_NONE)
			notify_log_no(p, l, user, name);
	}
}

/* ----------------------------------------------------------------- lines -- */

/* The user's record, and what the grant is to hang on: the app password that the
 * name has behind its '#', else the main one. 0, ERR_NOTFOUND, or the
 * database's error. */
static int
notify_find(struct core *core, const struct notify_line *l, int64_t now_s,
    struct names *name, struct user_record *rec, uint64_t *ret_generation)
{
	const struct user_credential *c;
	int r;

	r = names_resolve(core->userdb, core->conf, core->keys.fake, l->user,
	    l->user_len, name);
	if (r == 0 && name->nobody)
		r = ERR_NOTFOUND;
	if (r == 0)
		r = userdb_get(core->userdb, name->user, rec, NULL);
	if (r != 0)
		return r;
	*ret_generation = grant_generation(rec);
	if (name->label[0] == '\0')
		return 0;
	c = user_credential_find(rec, CREDENTIAL_PASSWORD, name->label);
	if (c != NULL && grant_scope_may(c->scope) &&
	    user_credential_is_live(c, now_s)) {
		*ret_generation = c->generation;
		return 0;
	}
	record_user_clear(rec);
	return ERR_NOTFOUND;
}

static void
notify_logout(struct notify_peer *p, const struct notify_line *l,
    const char *user, int64_t now_s)
{
	int r = grant_logout(p->notify->core, &l->addr, user, GRANT_NOTIFY,
	    now_s);
	char rip[ADDR_STRLEN];

	if (r == 0) {
		notify_answer(p, "ok", "ended");
		LOG_EV(LOG_INFO, "grant.end", NULL, KV_S("user", user),
		    KV_A("rip", addr_ip_text(&l->addr, rip)),
		    KV_S("feed", p->feed));
	} else if (r == ERR_NOTFOUND)
		notify_answer(p, "no", "none");
	else
		notify_answer(p, "temp", "database");
}

static void
notify_do(struct notify_peer *p, const struct notify_line *l)
{
	struct core *core = p->notify->core;
	int64_t now_s = clock_now_s();
	struct user_record rec;
	struct names name;
	struct grant_login g = {
		.peer = &l->addr, .user = name.user, .rec = &rec,
		.protocol = l->protocol, .source = GRANT_NOTIFY,
		.tls = l->tls == NOTIFY_TLS_YES, .feed = p->feed,
	};
	int r;

	if (l->tls == NOTIFY_TLS_NO) {		/* popd takes none in clear */
		notify_answer(p, "no", "clear");
		notify_log_no(p, l, l->user, "clear");
		return;
	}
	r = notify_find(core, l, now_s, &name, &rec, &g.generation);
	if (r == ERR_NOTFOUND) {
		notify_answer(p, "no", "unknown");
		notify_log_no(p, l, l->user, "unknown");
		return;
	}
	if (r != 0) {
		notify_answer(p, "temp", "database");
		return;
	}
	if (l->verb == NOTIFY_LOGOUT)
		notify_logout(p, l, name.user, now_s);
	else
		notify_answer_verdict(p, l, name.user,
		    l->verb == NOTIFY_LOGIN ? grant_login(core, &g, now_s) :
		    grant_alive(core, &g, now_s));
	record_user_clear(&rec);
}

static void
notify_take_line(struct notify_peer *p, char *text, size_t len)
{
	struct notify_line l;
	const char *flaw;

	if (len > 0 && text[len - 1] == '\r')
		len--;
	p->lines++;
	if ((flaw = notify_line_parse(text, len, &l)) == NULL) {
		notify_do(p, &l);
		return;
	}
	notify_answer(p, "bad", flaw);
	notify_log_bad(p, flaw);
}

/* The start of a line that is too long goes, as if it were one; its end is
 * waited for. */
static void
notify_skip(struct notify_peer *p)
{
	p->notify->may--;
	if (!p->skips) {
		notify_answer(p, "bad", "too long");
		notify_log_bad(p, "too long");
	}
	p->skips = true;
	buf_clear(&p->in);
}

/* One line, if there is one. */
static bool
notify_next(struct notify_peer *p)
{
	uint8_t *at = buf_data(&p->in), *end = NULL;
	size_t len = buf_len(&p->in);

	if (len > 0)
		end = memchr(at, '\n', len);
	if (end == NULL) {
		if (len > NOTIFY_LINE_MAX + 1)
			notify_skip(p);
		return false;
	}
	if (!p->skips)
		notify_take_line(p, (char *)at, (size_t)(end - at));
	p->skips = false;
	buf_consume(&p->in, (size_t)(end + 1 - at));
	return true;
}

/* ----------------------------------------------------------- connections -- */

static void
notify_reap(void *ctx)
{
	struct notify_peer *p = ctx;

	buf_free(&p->in);
	buf_free(&p->out);
	free(p);
}

static void
notify_close(struct notify_peer *p)
{
	struct notify *n = p->notify;
	struct notify_peer **at = &n->peers;

	if (p->closed)
		return;
	p->closed = true;
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	n->n_peers--;
	watch_free(p->watch);
	close(p->fd);
	LOG_EV(LOG_INFO, "notify.close", NULL, KV_U("uid", p->uid),
	    KV_I("pid", p->pid), KV_U("lines", p->lines));
	loop_defer(n->core->loop, notify_reap, p);
}

static bool
notify_has_room(const struct notify_peer *p)
{
	return buf_len(&p->out) + NOTIFY_ANSWER_MAX <= NOTIFY_OUT_MAX;
}

static void
notify_flush(struct notify_peer *p)
{
	ssize_t n;

	while (buf_len(&p->out) > 0) {
		n = send(p->fd, buf_data(&p->out), buf_len(&p->out),
		    MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			notify_close(p);
		if (n < 0)
			return;
		buf_consume(&p->out, (size_t)n);
	}
	buf_release(&p->out);
}

/* Reads on when there is room for lines and their answers, and their time has
 * come. */
static void
notify_wait(struct notify_peer *p)
{
	int what = 0;

	if (p->closed)
		return;
	if (buf_len(&p->out) > 0)
		what |= WATCH_WRITE;
	if (!p->ended && p->notify->may > 0 && notify_has_room(p))
		what |= WATCH_READ;
	watch_set(p->watch, what);
}

static void
notify_tick_later(struct notify *n)
{
	if (!n->ticks)
		timer_arm(&n->pace, NOTIFY_PACE_MS);
	n->ticks = true;
}

/* What has come is done, as far as it may be now. */
static void
notify_run(struct notify_peer *p)
{
	struct notify *n = p->notify;
	bool more = true;

	notify_tick_later(n);
	while (more && n->may > 0 && notify_has_room(p)) {
		more = notify_next(p);
		n->may -= more;
		if (!more || n->may == 0 || !notify_has_room(p))
			notify_flush(p);
		if (p->closed)
			return;
	}
	buf_release(&p->in);
	if (p->ended && !more && buf_len(&p->out) == 0)
		notify_close(p);
	else
		notify_wait(p);
}

static void
notify_read(struct notify_peer *p)
{
	size_t room = NOTIFY_IN_MAX - buf_len(&p->in);
	uint8_t *at;
	ssize_t n;

	if (room == 0 || buf_reserve(&p->in, room, &at) != 0)
		return;
	n = recv(p->fd, at, room, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		notify_close(p);
		return;
	}
	p->ended = n == 0;
	buf_commit(&p->in, (size_t)n);
}

static void
notify_ready(void *ctx, int what)
{
	struct notify_peer *p = ctx;

	if (p->closed)
		return;
	if (what & WATCH_READ)
		notify_read(p);
	if (!p->closed && (what & WATCH_WRITE))
		notify_flush(p);
	if (!p->closed)
		notify_run(p);
}

/* As many new lines as are due; after a long time no more than a burst. */
static void
notify_allow(struct notify *n)
{
	int64_t now_ms = clock_mono_ms(), due;

	due = (now_ms - n->ticked_ms) * (int64_t)NOTIFY_RATE / 1000 + n->may;
	n->ticked_ms = now_ms;
	n->may = due < (int64_t)NOTIFY_BURST ? (unsigned int)due :
	    NOTIFY_BURST;
}

/* New lines may be read; the next time another peer is the first. */
static void
notify_tick(void *ctx)
{
	struct notify *n = ctx;
	struct notify_peer *p = n->peers, *next, **last = &n->peers;
	bool idle = n->may == NOTIFY_BURST;

	n->ticks = false;
	notify_allow(n);
	if (idle)
		return;
	if (p != NULL && p->next != NULL) {
		while (*last != NULL)
			last = &(*last)->next;
		n->peers = p->next;
		p->next = NULL;
		*last = p;
	}
	for (p = n->peers; p != NULL; p = next) {
		next = p->next;
		notify_run(p);
	}
}

static void
notify_refuse(struct notify *n, int fd, const struct ucred *who,
    const char *why)
{
	char left[24];

	if (notify_may_log(n, NOTIFY_REFUSED, left))
		LOG_EV(LOG_WARNING, "notify.refused", NULL,
		    KV_U("uid", who->uid), KV_I("pid", who->pid),
		    KV_A("unlogged", notify_or_null(left)), KV_T("why", why));
	close(fd);
}

static void
notify_begin(struct notify *n, int fd, const struct ucred *who)
{
	struct notify_peer *p = calloc(1, sizeof(*p));

	if (p != NULL)
		p->watch = watch_new(n->core->loop, fd, notify_ready, p);
	if (p == NULL || p->watch == NULL) {
		free(p);
		notify_refuse(n, fd, who, "no memory");
		return;
	}
	p->notify = n;
	p->fd = fd;
	p->uid = who->uid;
	p->pid = who->pid;
	(void)str_format(p->feed, sizeof(p->feed), "%u",
	    (unsigned int)who->uid);
	buf_init(&p->in, NOTIFY_IN_MAX);
	buf_init(&p->out, NOTIFY_OUT_MAX);
	p->next = n->peers;
	n->peers = p;
	n->n_peers++;
	LOG_EV(LOG_INFO, "notify.open", NULL, KV_U("uid", p->uid),
	    KV_I("pid", p->pid));
	notify_wait(p);
	if (n->may == 0)
		notify_tick_later(n);
}

static void
notify_accept(void *ctx, int what)
{
	struct notify *n = ctx;
	struct ucred who = { .uid = UINT32_MAX };
	socklen_t len = sizeof(who);
	int fd = accept4(n->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)what;
	if (fd < 0)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0 ||
	    !conf_notify_takes(n->core->conf, who.uid))
		notify_refuse(n, fd, &who, "not in notify_uids");
	else if (n->n_peers >= NOTIFY_PEERS_MAX)
		notify_refuse(n, fd, &who, "too many connections");
	else
		notify_begin(n, fd, &who);
}

/* ------------------------------------------------------------------ life -- */

struct notify *
notify_new(struct core *core)
{
	struct notify *n = calloc(1, sizeof(*n));

	if (n == NULL)
		return NULL;
	n->core = core;
	n->fd = -1;
	n->may = NOTIFY_BURST;
	if (timer_init(&n->pace, core->loop, notify_tick, n) != 0) {
		free(n);
		return NULL;
	}
	return n;
}

int
notify_listen(struct notify *n, int fd)
{
	struct notify_peer *p, *next;

	watch_free(n->listener);
	n->listener = NULL;
	n->fd = fd;
	for (p = n->peers; p != NULL; p = next) {
		next = p->next;
		if (fd < 0 || !conf_notify_takes(n->core->conf, p->uid))
			notify_close(p);
	}
	if (fd < 0)
		return 0;
	n->listener = watch_new(n->core->loop, fd, notify_accept, n);
	if (n->listener == NULL)
		return ERR_NOMEM;
	watch_set(n->listener, WATCH_READ);
	return 0;
}

void
notify_free(struct notify *n)
{
	if (n == NULL)
		return;
	watch_free(n->listener);
	while (n->peers != NULL)
		notify_close(n->peers);
	timer_free(&n->pace);
	free(n);
}
