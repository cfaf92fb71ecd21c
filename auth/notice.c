/*
 * notice.c - what authd-core says to smtp, pop and spool without being asked,
 * the answers of the first two to WHO, and the third's question about users.
 *
 * Runs on the loop of authd-core. A worker that does not answer, or answers
 * what nobody asked, holds nothing up and is not believed more than it should:
 * what it says is shown to the administrator and decides nothing but which of
 * its own sessions end.
 *
 * A KICK that was said while a worker was not connected is said again when it
 * is, as of the time when it was; and for what was changed while authd itself
 * was away, or was ending, the worker is asked for its sessions.
 */
#include "auth/notice.h"

#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/str.h"

/* Workers connect again within a second or few. */
#define NOTICE_KICKS	256u
#define NOTICE_KICK_S	60

struct notice_kick {
	char		 user[AUTHP_USER_MAX + 1];
	struct net	 net;
	int64_t		 at_s;		/* 0: none */
};

static struct notice_kick notice_kicks[NOTICE_KICKS];
static unsigned int notice_next_kick;

/* A question that is out. A worker answers in order, so that the last serial
 * it has finished says enough (peer.who_done). */
struct who {
	struct who		*next;
	struct core		*core;
	uint32_t		 serial;
	struct ops_who_fns	 fns;
	void			*ctx;
	struct timer		 limit;
};

#define NOTICE_CHECK 0u		/* the serial of a new worker's own question */

static struct who *notice_asks;
static unsigned int notice_n_asks;
static uint32_t notice_serial;

/* Only these have sessions. */
static bool
notice_is_for(const struct peer *p)
{
	return !p->closed && (p->role == ROLE_SMTP || p->role == ROLE_POP);
}

static unsigned int
notice_send_all(struct core *core, const struct msg_out *m)
{
	unsigned int n = 0;

	/* A peer that drops in ops_reply() is unlinked, but keeps its next. */
	for (struct peer *p = ops_peers(core), *next; p != NULL; p = next) {
		next = p->next;
		if (!notice_is_for(p))
			continue;
		ops_reply(p, m);
		n++;
	}
	return n;
}

static void
notice_state_put(const struct core *core, struct msg_out *m)
{
	msg_begin(m, AUTHP_STATE, 0);
	msg_put_u8(m, core->has_secrets);
}

/* before_s 0: of whatever age the sessions are. */
static void
notice_kick_put(struct msg_out *m, const char *user, const struct net *net,
    int64_t before_s)
{
	msg_begin(m, AUTHP_KICK, 0);
	msg_put_str(m, user);
	msg_put_blob(m, net->ip, sizeof(net->ip));
	msg_put_u8(m, net->bits);
	msg_put_u64(m, (uint64_t)before_s);
}

/* The worker may have missed it. Of its sessions only older ones end. */
static void
notice_kick_again(struct peer *p, const struct notice_kick *k)
{
	struct msg_out m;

	if (p->closed || k->at_s == 0 ||
	    clock_now_s() - k->at_s > NOTICE_KICK_S)
		return;
	notice_kick_put(&m, k->user, &k->net, k->at_s);
	ops_reply(p, &m);
}

void
notice_peer_new(struct peer *p)
{
	struct msg_out m;

	if (!notice_is_for(p))
		return;
	p->who_done = notice_serial;	/* was not asked what is under way */
	notice_state_put(p->core, &m);
	ops_reply(p, &m);
	for (unsigned int i = 0; i < NOTICE_KICKS; i++)
		notice_kick_again(p, &notice_kicks[(notice_next_kick + i) %
		    NOTICE_KICKS]);
	if (p->closed)
		return;
	p->checking = true;
	msg_begin(&m, AUTHP_WHO, 0);
	msg_put_u32(&m, NOTICE_CHECK);
	ops_reply(p, &m);
}

void
core_secrets_changed(struct core *core)
{
	struct err e = { 0 };
	struct msg_out m;
	uint64_t n;

	if (userdb_count(core->userdb, USERDB_COUNT_SECRETS, &n, &e) != 0) {
		LOG_EV(LOG_ERR, "db.count.fail", NULL, KV_T("why", e.text));
		return;
	}
	if (core->has_secrets == (n > 0))
		return;
	core->has_secrets = n > 0;
	notice_state_put(core, &m);
	(void)notice_send_all(core, &m);
}

unsigned int
ops_kick(struct core *core, const char *user, const struct net *net)
{
	struct notice_kick *k = &notice_kicks[notice_next_kick++ %
	    NOTICE_KICKS];
	static const struct net any;
	struct msg_out m;

	if (net == NULL)
		net = &any;
	k->at_s = str_copy(k->user, sizeof(k->user), user) == 0 ?
	    clock_now_s() : 0;
	k->net = *net;
	notice_kick_put(&m, user, net, 0);
	return notice_send_all(core, &m);
}

/* WHO */

static unsigned int
notice_silent(const struct who *w)
{
	unsigned int n = 0;

	for (struct peer *p = ops_peers(w->core); p != NULL; p = p->next)
		if (notice_is_for(p) && p->who_done < w->serial)
			n++;
	return n;
}

static void
notice_who_over(void *ctx)
{
	struct who *w = ctx, **at = &notice_asks;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	notice_n_asks--;
	timer_free(&w->limit);
	w->fns.end(w->ctx, notice_silent(w));
	free(w);
}

/* Who has all answers need not wait any longer; from the loop, as always. */
static void
notice_look(void)
{
	for (struct who *w = notice_asks; w != NULL; w = w->next)
		if (notice_silent(w) == 0)
			timer_arm(&w->limit, 0);
}

int
ops_who(struct core *core, const struct ops_who_fns *fns, void *ctx)
{
	struct msg_out m;
	struct who *w;

	if (notice_n_asks >= NOTICE_WHO_ASKS)
		return ERR_LIMIT;
	w = calloc(1, sizeof(*w));
	if (w == NULL || timer_init(&w->limit, core->loop, notice_who_over,
	    w) != 0) {
		free(w);
		return ERR_NOMEM;
	}
	w->core = core;
	w->fns = *fns;
	w->ctx = ctx;
	w->serial = ++notice_serial;
	w->next = notice_asks;
	notice_asks = w;
	notice_n_asks++;
	msg_begin(&m, AUTHP_WHO, 0);
	msg_put_u32(&m, w->serial);
	(void)notice_send_all(core, &m);
	timer_arm(&w->limit, NOTICE_WHO_MS);
	notice_look();
	return 0;
}

void
notice_peer_gone(struct core *core)
{
	(void)core;
	notice_look();
}

/* His record was changed since the session began, so that it might not be let
 * in now; or he is gone. */
static bool
notice_is_changed(struct core *core, const char *user, int64_t since_s)
{
	struct user_record rec;
	bool changed;
	int r;

	if (user[0] == '\0')
		return false;
	if ((r = userdb_get(core->userdb, user, &rec, NULL)) != 0)
		return r == ERR_NOTFOUND;
	changed = (rec.flags & USER_DISABLED) != 0 || rec.changed_s > since_s;
	record_user_clear(&rec);
	return changed;
}

/* A session of a worker that has just connected. */
static void
notice_check(struct peer *p, const struct ops_session *s)
{
	static const struct net any;
	struct msg_out m;
	const char *const users[] = { s->user, s->login };

	for (size_t i = 0; i < 2 && p->checking && !p->closed; i++)
		if (notice_is_changed(p->core, users[i], s->since_s)) {
			notice_kick_put(&m, users[i], &any, s->since_s);
			ops_reply(p, &m);
		}
}

int
notice_op_who_entry(struct peer *p, struct msg_in *m, int fd)
{
	struct ops_session s;
	const char *peer;
	uint32_t serial;
	uint64_t since_s;
	uint8_t service;

	(void)fd;
	msg_get_u32(m, &serial);
	msg_get_str(m, &s.sid, AUTHP_SID_MAX);
	msg_get_str(m, &s.user, AUTHP_USER_MAX);
	msg_get_str(m, &s.login, AUTHP_USER_MAX);
	msg_get_str(m, &peer, AUTHP_ADDRESS_MAX);
	msg_get_u8(m, &service);
	msg_get_str(m, &s.mech, AUTHP_MECH_MAX);
	msg_get_str(m, &s.tls, AUTHP_TLS_MAX);
	msg_get_u64(m, &since_s);
	if (msg_get_end(m) != 0 || !str_is_id(s.sid) ||
	    !str_is_utf8(s.user, strlen(s.user)) ||
	    !str_is_utf8(s.login, strlen(s.login)) ||
	    addr_parse_peer(peer, &s.peer) != 0 ||
	    service != (p->role == ROLE_POP ? AUTHP_POP : AUTHP_SMTP) ||
	    !ops_is_tls_text(s.mech) || !ops_is_tls_text(s.tls) ||
	    since_s > INT64_MAX)
		return ERR_FORMAT;
	s.service = (enum authp_service)service;
	s.since_s = (int64_t)since_s;
	if (serial == NOTICE_CHECK)
		notice_check(p, &s);
	/* An answer that comes too late is nobody's. */
	for (struct who *w = notice_asks; w != NULL; w = w->next)
		if (w->serial == serial && p->who_done < serial) {
			w->fns.entry(w->ctx, &s);
			break;
		}
	return 0;
}

int
notice_op_who_end(struct peer *p, struct msg_in *m, int fd)
{
	uint32_t serial;

	(void)fd;
	msg_get_u32(m, &serial);
	if (msg_get_end(m) != 0 || serial > notice_serial)
		return ERR_FORMAT;
	if (serial == NOTICE_CHECK)
		p->checking = false;
	if (serial > p->who_done)
		p->who_done = serial;
	notice_look();
	return 0;
}

/* USER, USERS */

static enum authp_user
notice_user_state(struct core *core, const char *user)
{
	struct user_record rec;
	uint32_t flags;
	int r;

	if ((r = userdb_get(core->userdb, user, &rec, NULL)) != 0)
		return r == ERR_NOTFOUND ? AUTHP_USER_NONE :
		    AUTHP_USER_UNKNOWN;
	flags = rec.flags;
	record_user_clear(&rec);
	return flags & (USER_DISABLED | USER_SENDING_DISABLED) ?
	    AUTHP_USER_DISABLED : AUTHP_USER_MAY;
}

void
ops_user_changed(struct core *core, const char *user)
{
	struct msg_out m;

	msg_begin(&m, AUTHP_USER, 0);
	msg_put_str(&m, user);
	msg_put_u8(&m, (uint8_t)(user[0] == '\0' ? AUTHP_USER_UNKNOWN :
	    notice_user_state(core, user)));
	for (struct peer *p = ops_peers(core), *next; p != NULL; p = next) {
		next = p->next;
		if (!p->closed && p->role == ROLE_SPOOL)
			ops_reply(p, &m);
	}
}

int
notice_op_users(struct peer *p, struct msg_in *m, int fd)
{
	uint8_t states[AUTHP_USERS_MAX];
	struct msg_out out;
	const char *user;
	uint16_t n;

	(void)fd;
	if (msg_get_u16(m, &n) != 0 || n == 0 || n > AUTHP_USERS_MAX)
		return ERR_FORMAT;
	for (uint16_t i = 0; i < n; i++) {
		if (msg_get_str(m, &user, AUTHP_USER_MAX) != 0)
			return ERR_FORMAT;
		states[i] = (uint8_t)notice_user_state(p->core, user);
	}
	if (msg_get_end(m) != 0)
		return ERR_FORMAT;
	ops_reply_begin(&out, AUTHP_USERS, m->id, AUTHP_OK);
	msg_put_blob(&out, states, n);
	ops_reply(p, &out);
	return 0;
}
