/*
 * login.c - a SASL exchange, or APOP, from the request to its last reply.
 *
 * Runs on the loop of authd-core; only saslx_check() of a password that is not
 * in the success cache runs on a thread of the pool, and then the exchange is
 * left alone until login_checked(). The other mechanisms cost microseconds
 * (saslx_step()). Every failure goes the same way, whatever it was: same
 * verdict, same delay. Passwords are zeroed as soon as they were checked, and
 * are in no log line.
 *
 *	START ──> WANT_FIRST, WANT_USER, WANT_PASS, WANT_NEXT ──> STEP …
 *	  └─────────> CHECKING (thread) ──> reply, gone
 *	                  └──> DELAYED (a failure waits) ──> reply, gone
 */
#include <stdlib.h>
#include <string.h>

#include "auth/apop.h"
#include "auth/fair.h"
#include "auth/guess.h"
#include "auth/mechs.h"
#include "auth/ops.h"
#include "auth/policy.h"
#include "auth/rekey.h"
#include "auth/sasl.h"
#include "auth/scram.h"
#include "auth/verify.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/str.h"

#define LOGIN_DELAYED_MAX 4096u		/* failures that wait, in all */
#define LOGIN_SESSION_MAX 4u		/* exchanges of one session */

/* States in which the client is to speak; then the others. */
enum login_state {
	LOGIN_WANT_FIRST,	/* the response that could have been initial */
	LOGIN_WANT_USER,	/* LOGIN */
	LOGIN_WANT_PASS,	/* LOGIN */
	LOGIN_WANT_NEXT,	/* SCRAM, CRAM-MD5 go on */
	LOGIN_CHECKING,
	LOGIN_DELAYED,
};

struct login {
	struct peer		*peer;		/* NULL: gone while checking */
	unsigned int		 slot;
	struct login		*same;		/* bucket of peer->sessions */
	uint32_t		 exchange;
	enum login_state	 state;
	uint16_t		 type;		/* request to be answered */
	uint32_t		 id;
	struct ticket_handle	 handle;
	char			 tls[AUTHP_TLS_MAX + 1];
	struct conf		*conf;
	struct saslx		 x;
	enum saslx_result	 result;
	char			*password;	/* prepared */
	struct fair_job		 job;
	bool			 known;		/* has logged in here before */
	bool			 judged;	/* blocked is decided */
	bool			 blocked;	/* it fails, unseen */
	bool			 has_cert;	/* EXTERNAL */
	uint8_t			 cert[AUTHP_CERT_SIZE];	/* its SHA-256 */
	struct timer		 delay;
	int64_t			 born_ms;
	int64_t			 asked_ms;	/* the last request came */
};

static unsigned int login_n_delayed;

/* Sessions */

static struct login **
login_session(struct peer *p, const char *sid)
{
	uint32_t h = 2166136261u;	/* a worker harms only itself by it */

	for (; *sid != '\0'; sid++)
		h = (h ^ (unsigned char)*sid) * 16777619u;
	return &p->sessions[h % OPS_SESSIONS];
}

/* False: that session has as many exchanges as it may. */
static bool
login_join(struct login *l, const struct ticket_handle *h)
{
	struct login **head = login_session(l->peer, h->sid);
	unsigned int n = 0;

	for (struct login *o = *head; o != NULL; o = o->same)
		n += strcmp(o->handle.sid, h->sid) == 0;
	l->handle = *h;
	l->same = *head;
	*head = l;
	return n < LOGIN_SESSION_MAX;
}

static void
login_leave(struct login *l)
{
	struct login **at = login_session(l->peer, l->handle.sid);

	while (*at != NULL && *at != l)
		at = &(*at)->same;
	if (*at != NULL)
		*at = l->same;
	l->peer->logins[l->slot] = NULL;
	l->peer->n_logins--;
	l->peer = NULL;
}

static void
login_free(struct login *l)
{
	if (l->peer != NULL)
		login_leave(l);
	if (l->state == LOGIN_DELAYED)
		login_n_delayed--;
	timer_free(&l->delay);
	saslx_clear(&l->x);
	scram_free_password(l->password);
	conf_unref(l->conf);
	free(l);
}

static struct login *
login_find(struct peer *p, uint32_t exchange)
{
	struct login *l = p->logins[exchange % AUTHP_EXCHANGES_MAX];

	return l != NULL && l->exchange == exchange ? l : NULL;
}

/* The last reply but the one of success. */
static void
login_end(struct login *l, enum authp_verdict v)
{
	if (l->peer != NULL)
		ops_reply_verdict(l->peer, l->type, l->id, v);
	login_free(l);
}

/* Who lets us wait, or waits for his delay to be over, must not shut others out
 * by the hundreds: the oldest of them goes. Its client hears TEMP. */
static void
login_make_room(struct peer *p)
{
	struct login *oldest = NULL;

	for (unsigned int i = 0; i < AUTHP_EXCHANGES_MAX; i++) {
		struct login *l = p->logins[i];

		if (l != NULL && l->state != LOGIN_CHECKING &&
		    (oldest == NULL || l->born_ms < oldest->born_ms))
			oldest = l;
	}
	if (oldest == NULL)
		return;
	if (oldest->state == LOGIN_DELAYED)
		login_end(oldest, AUTHP_TEMP);
	else
		login_free(oldest);
}

static struct login *
login_new(struct peer *p, enum conf_mech mech)
{
	struct login *l;
	unsigned int slot = p->serial % AUTHP_EXCHANGES_MAX;

	if (p->n_logins >= AUTHP_EXCHANGES_MAX)
		login_make_room(p);
	if (p->n_logins >= AUTHP_EXCHANGES_MAX)
		return NULL;
	while (p->logins[slot] != NULL)
		slot = (slot + 1) % AUTHP_EXCHANGES_MAX;
	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return NULL;
	l->peer = p;
	l->slot = slot;
	l->exchange = ++p->serial * AUTHP_EXCHANGES_MAX + slot;
	l->born_ms = clock_mono_ms();
	l->conf = conf_ref(p->core->conf);
	saslx_init(&l->x, p->core, l->conf, mech, p->role == ROLE_POP);
	l->state = mech == CONF_LOGIN ? LOGIN_WANT_USER : LOGIN_WANT_FIRST;
	p->logins[slot] = l;
	p->n_logins++;
	return l;
}

static void
login_ask(struct login *l, enum login_state next, const void *challenge,
    size_t len)
{
	struct msg_out m;

	l->state = next;
	ops_reply_begin(&m, l->type, l->id, AUTHP_CONTINUE);
	msg_put_u32(&m, l->exchange);
	msg_put_blob(&m, challenge, len);
	ops_reply(l->peer, &m);
}

/* Failure */

static void
login_delay_over(void *ctx)
{
	login_end(ctx, AUTHP_BADCRED);
}

static bool
login_is_exempt(const struct login *l)
{
	const struct conf_nets *nets = &l->x.core->conf->guessing_exempt;

	for (size_t i = 0; i < nets->n; i++)
		if (net_has(&nets->v[i], &l->handle.peer))
			return true;
	return false;
}

static void
login_log(const struct login *l, int level, const char *ev, const char *why)
{
	char rip[ADDR_STRLEN], cert[2 * AUTHP_CERT_SIZE + 1];
	char name[MAILBOX_SIZE + RECORD_LABEL_SIZE];
	const struct saslx *x = &l->x;
	const char *user = x->user[0] != '\0' ? x->user : x->login;

	if (x->label[0] == '\0')
		str_copy(name, sizeof(name), x->login);
	else
		str_format(name, sizeof(name), "%s#%s", x->login, x->label);
	str_hex(cert, l->cert, sizeof(l->cert));
	LOG_EV(level, ev, l->handle.sid, KV_S("user", user),
	    KV_S("login", strcmp(name, user) == 0 ? NULL : name),
	    KV_A("method", conf_mech_name(x->mech)),
	    KV_A("rip", addr_ip_text(&l->handle.peer, rip)),
	    KV_A("service", x->service), KV_A("why", why),
	    KV_A("cert", l->has_cert ? cert : NULL),
	    KV_A("tls", why == NULL ? l->tls : NULL));
}

/* As guess.c and fair.c see him. */
static struct guess_who
login_who(const struct login *l)
{
	return (struct guess_who){
		.addr = l->handle.peer, .user = l->x.login,
		.known = l->known, .exempt = login_is_exempt(l),
	};
}

static void
login_log_block(const struct login *l, const struct guess_block *b)
{
	char net[ADDR_STRLEN];

	LOG_EV(LOG_WARNING, "auth.block", l->handle.sid,
	    KV_S("user", b->user[0] != '\0' ? b->user : NULL),
	    KV_A("network", net_text(&b->net, net)),
	    KV_A("why", guess_why_name(b->why)), KV_U("count", b->count),
	    KV_I("until", b->until_s));
}

/* Counts it, unless it was not looked at, and returns when the reply is due. */
static int64_t
login_count(struct login *l)
{
	struct guess *g = l->x.core->guess;
	int64_t now_s = clock_now_s();
	uint32_t delay_ms, pace = pace_ms(&l->x.core->pace);
	struct guess_who w = login_who(l);
	struct guess_block b;

	if (!l->blocked && guess_failed(g, &w, l->password, now_s, &b))
		login_log_block(l, &b);
	delay_ms = guess_delay_ms(g, &w, now_s);
	return guess_reply_at(l->asked_ms, clock_mono_ms(),
	    delay_ms > pace ? delay_ms : pace);
}

static void
login_failed(struct login *l)
{
	struct core *core = l->x.core;
	int64_t at_ms = login_count(l);

	scram_free_password(l->password);
	l->password = NULL;
	core->stats.auth_fail++;
	login_log(l, LOG_NOTICE, "auth.fail", l->blocked ? "blocked" :
	    l->x.why == NULL ? "badpass" : l->x.why);
	if (l->peer == NULL || login_n_delayed >= LOGIN_DELAYED_MAX ||
	    timer_init(&l->delay, core->loop, login_delay_over, l) != 0) {
		login_end(l, AUTHP_TEMP);	/* says nothing, costs nothing */
		return;
	}
	l->state = LOGIN_DELAYED;
	login_n_delayed++;
	timer_arm(&l->delay, at_ms - clock_mono_ms());
}

/* Success */

/* POP-before-SMTP: whoever has shown under TLS, with a credential that is good
 * for SMTP too, who he is may for a while send from where he is. Not whoever
 * reads another one's mail: a grant hangs on its own user's credential. */
static bool
login_may_grant(const struct login *l)
{
	const uint32_t need = USER_MAY_SUBMIT | USER_MAY_OPEN_RELAY;

	return (l->x.found_scope & CREDENTIAL_SMTP) &&
	    strcmp(l->x.user, l->x.login) == 0 &&
	    (l->x.rec.flags & need) == need &&
	    !(l->x.rec.flags & USER_SENDING_DISABLED) &&
	    !policy_grant_excluded(l->x.core->conf, &l->handle.peer);
}

static void
login_grant(struct login *l, int64_t now_s)
{
	struct core *core = l->x.core;
	struct relay_grant_args args = {
		.ttl_s = core->conf->grant_ttl_s,
		.generation = l->x.found.generation,
		.protocol = GRANT_PROTO_POP3, .source = GRANT_POP, .tls = true,
	};
	struct grant_record g;
	struct err e = { 0 };
	char rip[ADDR_STRLEN];
	bool renewed;

	if (!login_may_grant(l))
		return;
	addr_ip_text(&l->handle.peer, rip);
	renewed = relay_cache_lookup(core->relay, &l->handle.peer, l->x.user,
	    now_s, &g, NULL) == 0;
	if (relay_cache_grant(core->relay, &l->handle.peer, l->x.user, &args,
	    now_s, &g, &e) != 0) {
		LOG_EV(LOG_ERR, "grant.fail", l->handle.sid,
		    KV_S("user", l->x.user), KV_A("rip", rip),
		    KV_T("why", e.text));
		return;
	}
	if (renewed)
		core->stats.grants_renewed++;
	else
		core->stats.grants_new++;
	LOG_EV(LOG_INFO, renewed ? "grant.renew" : "grant.new",
	    l->handle.sid, KV_S("user", l->x.user), KV_A("rip", rip),
	    KV_U("ttl", args.ttl_s));
}

static int
login_seal(const struct login *l, int64_t now_s, uint8_t *dst)
{
	struct ticket t = {
		.kind = AUTHP_KIND_SASL, .service = l->handle.service,
		.peer = l->handle.peer, .issued_s = now_s,
		.generation = l->x.found.generation,
		.created_s = l->x.rec.created_s,
	};

	str_copy(t.user, sizeof(t.user), l->x.user);
	str_copy(t.login, sizeof(t.login), l->x.login);
	str_copy(t.tls, sizeof(t.tls), l->tls);
	str_copy(t.mech, sizeof(t.mech), conf_mech_name(l->x.mech));
	str_copy(t.sid, sizeof(t.sid), l->handle.sid);
	return ticket_seal(l->x.core->keys.ticket, &t, dst);
}

/* Where and how he came in; his own count there begins anew. */
static void
login_note(const struct login *l, int64_t now_s)
{
	const struct guess_who w = { .addr = l->handle.peer,
	    .user = l->x.login };
	struct placesdb_login note = { .at_s = now_s,
	    .service = l->handle.service };

	guess_succeeded(l->x.core->guess, &w, now_s);
	memcpy(note.ip, l->handle.peer.ip, sizeof(note.ip));
	str_copy(note.mech, sizeof(note.mech), conf_mech_name(l->x.mech));
	str_copy(note.tls, sizeof(note.tls), l->tls);
	placesdb_note(l->x.core->places, l->x.login, l->x.found.label, &note);
}

static void
login_succeeded(struct login *l)
{
	struct core *core = l->x.core;
	uint8_t ticket[AUTHP_TICKET_MAX];
	int64_t now_s = clock_now_s();
	struct msg_out m;
	int len = login_seal(l, now_s, ticket);

	login_note(l, now_s);
	if (len < 0 || l->peer == NULL) {
		login_end(l, AUTHP_TEMP);
		return;
	}
	core->stats.auth_ok++;
	login_log(l, LOG_INFO, "auth.ok", NULL);
	if (l->handle.service == AUTHP_POP)
		login_grant(l, now_s);
	ops_reply_begin(&m, l->type, l->id, AUTHP_OK);
	msg_put_blob(&m, ticket, (size_t)len);
	msg_put_str(&m, l->x.user);
	msg_put_str(&m, strcmp(l->x.user, l->x.login) == 0 ? "" : l->x.login);
	ops_reply(l->peer, &m);
	login_free(l);
}

static void
login_finish(struct login *l)
{
	switch (l->result) {
	case SASLX_OK:
		login_succeeded(l);
		return;
	case SASLX_DENIED:
		login_failed(l);
		return;
	case SASLX_MALFORMED:
		login_log(l, LOG_NOTICE, "auth.malformed", "syntax");
		login_end(l, AUTHP_MALFORMED);
		return;
	case SASLX_TRANSITION:
		l->x.core->stats.auth_fail++;
		login_log(l, LOG_NOTICE, "auth.fail", "transition");
		login_end(l, AUTHP_TRANSITION);
		return;
	case SASLX_CONTINUE:
	case SASLX_TEMP:
		break;
	}
	l->x.core->stats.auth_temp++;
	login_log(l, LOG_ERR, "auth.temp", "database");
	login_end(l, AUTHP_TEMP);
}

/* PLAIN and LOGIN */

static void
login_check(void *ctx)			/* on a thread */
{
	struct login *l = ctx;

	l->result = saslx_check(&l->x, l->password, strlen(l->password));
}

static void
login_busy(struct login *l, const char *why)
{
	l->x.core->stats.auth_temp++;
	login_log(l, LOG_WARNING, "auth.temp", why);
	login_end(l, AUTHP_TEMP);
}

static void
login_verified(struct login *l)
{
	if (l->result == SASLX_OK)
		rekey_start(l->x.core->rekey, l->x.conf, l->x.login, &l->x.rec,
		    &l->x.found, l->password);
	login_finish(l);
}

static void
login_checked(void *ctx, enum fair_end how)
{
	static const char *const busy[] = {
		[FAIR_SHED] = "shed", [FAIR_LATE] = "late",
		[FAIR_AWAY] = "queuefull",
	};

	struct login *l = ctx;
	int64_t now_ms = clock_mono_ms();

	if (how == FAIR_CHECKED)
		pace_note(&l->x.core->pace, now_ms - l->asked_ms, now_ms);
	if (how == FAIR_CHECKED || how == FAIR_REFUSED)
		login_verified(ctx);
	else
		login_busy(ctx, busy[how]);
}

static bool
login_judge(struct login *l)
{
	int64_t now_s = clock_now_s();
	struct guess_who w = login_who(l);

	l->blocked = guess_blocked(l->x.core->guess, &w, now_s) != GUESS_OPEN;
	l->x.core->stats.auth_blocked += l->blocked;
	return l->blocked;
}

/* When the user is named and has shown what he knows. Another user who had that
 * name before does not make him known. */
static bool
login_is_blocked(struct login *l)
{
	if (l->judged)
		return l->blocked;
	l->judged = true;
	l->known = l->x.login[0] != '\0' &&
	    placesdb_is_known(l->x.core->places, l->x.login, &l->handle.peer,
	    l->x.rec.created_s, clock_now_s());
	return login_judge(l);
}

/* What came before it from there may have led to a block. (A known pair had its
 * turn allowed to it.) */
static bool
login_may_start(void *ctx)
{
	struct login *l = ctx;

	return l->known || !login_judge(l);
}

static void
login_submit(struct login *l)
{
	struct core *core = l->x.core;
	int64_t now_s = clock_now_s();
	struct guess_who w = login_who(l);

	l->job = (struct fair_job){
		.addr = w.addr, .known = w.known, .exempt = w.exempt,
		.failures = guess_failures(core->guess, &w.addr, now_s),
		.start = login_may_start, .work = login_check,
		.end = login_checked, .ctx = l,
	};
	l->state = LOGIN_CHECKING;
	if (fair_submit(core->fair, &l->job) != 0)
		login_busy(l, "queuefull");
}

/* The names are set. Decides where the check runs, if at all. */
static void
login_password(struct login *l, const char *password, size_t len)
{
	struct core *core = l->x.core;
	struct verify_ask a = saslx_ask(&l->x);
	int r = scram_prepare(password, len, false, &l->password, NULL);

	l->result = l->x.temp || r == ERR_NOMEM ? SASLX_TEMP : SASLX_DENIED;
	if (l->result == SASLX_TEMP || login_is_blocked(l) || r != 0) {
		login_finish(l);
		return;
	}
	if (verify_is_cached(core->verify, &a, l->password,
	    strlen(l->password))) {
		core->stats.cache_hits++;
		login_check(l);
		login_verified(l);
		return;
	}
	login_submit(l);
}

static void
login_feed_plain(struct login *l, const void *p, size_t len)
{
	struct saslx_plain parts;

	if (p == NULL) {
		login_ask(l, LOGIN_WANT_FIRST, NULL, 0);
	} else if (saslx_plain_parse(p, len, &parts) != 0) {
		l->result = SASLX_MALFORMED;
		login_finish(l);
	} else {
		saslx_set_login(&l->x, parts.user, parts.user_len);
		if (parts.authzid_len > 0)
			saslx_set_user(&l->x, parts.authzid,
			    parts.authzid_len);
		login_password(l, parts.password, parts.password_len);
	}
}

/* LOGIN never became an RFC; this is what its clients do: the initial response
 * is the user name, the prompts are exactly these. */
static void
login_feed_login(struct login *l, const void *p, size_t len)
{
	if (p != NULL && memchr(p, '\0', len) != NULL) {
		l->result = SASLX_MALFORMED;
		login_finish(l);
	} else if (l->state == LOGIN_WANT_PASS) {
		login_password(l, p, len);
	} else if (p == NULL) {
		login_ask(l, LOGIN_WANT_USER, "Username:", 9);
	} else {
		saslx_set_login(&l->x, p, len);
		login_ask(l, LOGIN_WANT_PASS, "Password:", 9);
	}
}

/* What libsasl does by itself, a message at a time. */
static void
login_step(struct login *l, const void *p, size_t len)
{
	const void *out;
	size_t out_len;

	l->result = saslx_step(&l->x, p, len, &out, &out_len);
	/* Whoever is blocked fails where a wrong password would. */
	if ((l->state == LOGIN_WANT_NEXT || l->result != SASLX_CONTINUE) &&
	    l->result != SASLX_TEMP && l->result != SASLX_MALFORMED &&
	    l->x.named && login_is_blocked(l))
		l->result = SASLX_DENIED;
	if (l->result == SASLX_CONTINUE)
		login_ask(l, LOGIN_WANT_NEXT, out, out_len);
	else
		login_finish(l);
}

static void
login_feed_scram(struct login *l, const void *p, size_t len)
{
	if (p == NULL)
		login_ask(l, LOGIN_WANT_FIRST, NULL, 0);
	else
		login_step(l, p, len);
}

/* The server speaks first (RFC 2195). */
static void
login_feed_cram(struct login *l, const void *p, size_t len)
{
	if (p != NULL && l->state == LOGIN_WANT_FIRST)
		login_end(l, AUTHP_NOINITIAL);
	else
		login_step(l, p, len);
}

/* RFC 4422 appendix A: the message is the name of whom to act for, or empty.
 * libsasl gets it in its canonical form. */
static void
login_feed_external(struct login *l, const void *p, size_t len)
{
	if (p == NULL) {
		login_ask(l, LOGIN_WANT_FIRST, NULL, 0);
		return;
	}
	saslx_set_certificate(&l->x, l->has_cert ? l->cert : NULL);
	if (len > 0)
		saslx_set_user(&l->x, p, len);
	login_step(l, l->x.user, strlen(l->x.user));
}

/* `p` NULL: no initial response was given. */
static void
login_feed(struct login *l, const void *p, size_t len)
{
	static void (*const feed[CONF_MECH__COUNT])(struct login *l,
	    const void *p, size_t len) = {
		[CONF_SCRAM_SHA_256_PLUS] = login_feed_scram,
		[CONF_SCRAM_SHA_1_PLUS] = login_feed_scram,
		[CONF_SCRAM_SHA_256] = login_feed_scram,
		[CONF_SCRAM_SHA_1] = login_feed_scram,
		[CONF_EXTERNAL] = login_feed_external,
		[CONF_PLAIN] = login_feed_plain,
		[CONF_CRAM_MD5] = login_feed_cram,
		[CONF_LOGIN] = login_feed_login,
	};

	feed[l->x.mech](l, p, len);
}

/* Requests */

/* It is offered at the listener by which this session came. */
static bool
login_is_offered(const struct core *core, const struct ticket_handle *h,
    enum conf_mech m, const char *tls)
{
	enum conf_listener l = conf_listener_of(core->conf,
	    h->service == AUTHP_POP, &h->local);

	if (tls[0] == '\0' || !mechs_may_try(core->conf, l, m))
		return false;
	return (m != CONF_CRAM_MD5 && m != CONF_APOP) || core->has_secrets;
}

/* The -PLUS of this one is offered there too. */
static bool
login_has_plus(const struct login *l)
{
	enum conf_listener at = conf_listener_of(l->conf,
	    l->handle.service == AUTHP_POP, &l->handle.local);

	return (l->x.mech == CONF_SCRAM_SHA_256 &&
	    mechs_may_try(l->conf, at, CONF_SCRAM_SHA_256_PLUS)) ||
	    (l->x.mech == CONF_SCRAM_SHA_1 &&
	    mechs_may_try(l->conf, at, CONF_SCRAM_SHA_1_PLUS));
}

/* NULL: the request is answered. */
static struct login *
login_open(struct peer *p, const struct msg_in *m,
    const struct ticket_handle *h, int mech, const char *tls)
{
	struct login *l;

	if (mech < 0 || !login_is_offered(p->core, h, (enum conf_mech)mech,
	    tls)) {
		ops_reply_verdict(p, m->type, m->id, AUTHP_BADMECH);
		return NULL;
	}
	if ((l = login_new(p, (enum conf_mech)mech)) == NULL) {
		ops_reply_verdict(p, m->type, m->id, AUTHP_TEMP);
		return NULL;
	}
	l->type = m->type;
	l->id = m->id;
	if (!login_join(l, h)) {
		login_end(l, AUTHP_TEMP);
		return NULL;
	}
	l->asked_ms = l->born_ms;
	str_copy(l->tls, sizeof(l->tls), tls);
	l->x.plus_offered = login_has_plus(l);
	return l;
}

int
login_op_start(struct peer *p, struct msg_in *m, int fd)
{
	const void *handle, *ir, *binding_data, *cert;
	size_t handle_len, ir_len, binding_len, cert_len;
	const char *tls, *name, *binding;
	struct ticket_handle h;
	struct login *l;
	uint8_t has_ir;
	int mech;

	(void)fd;
	msg_get_blob(m, &handle, &handle_len, AUTHP_HANDLE_MAX);
	msg_get_str(m, &tls, AUTHP_TLS_MAX);
	msg_get_str(m, &name, AUTHP_MECH_MAX);
	msg_get_u8(m, &has_ir);
	msg_get_blob(m, &ir, &ir_len, AUTHP_RESP_MAX);
	msg_get_str(m, &binding, AUTHP_BINDING_MAX);
	msg_get_blob(m, &binding_data, &binding_len, AUTHP_BINDING_DATA_MAX);
	msg_get_blob(m, &cert, &cert_len, AUTHP_CERT_SIZE);
	if (msg_get_end(m) != 0 || !ops_is_tls_text(tls) || has_ir > 1 ||
	    (!has_ir && ir_len != 0) ||
	    (cert_len != 0 && cert_len != AUTHP_CERT_SIZE))
		return ERR_FORMAT;
	if (ops_get_handle(p, handle, handle_len, &h) != 0) {
		ops_reply_verdict(p, m->type, m->id, AUTHP_VOID);
		return 0;
	}
	mech = conf_mech_find(name);
	if (mech == CONF_APOP)		/* has a request of its own */
		mech = -1;
	if ((l = login_open(p, m, &h, mech, tls)) == NULL)
		return 0;
	saslx_set_binding(&l->x, binding, binding_data, binding_len);
	l->has_cert = cert_len > 0;
	if (l->has_cert)
		memcpy(l->cert, cert, cert_len);
	login_feed(l, has_ir ? (ir_len > 0 ? ir : "") : NULL, ir_len);
	return 0;
}

int
login_op_apop(struct peer *p, struct msg_in *m, int fd)
{
	const void *handle, *digest;
	size_t handle_len, digest_len;
	const char *tls, *name, *challenge;
	struct ticket_handle h;
	struct login *l;

	(void)fd;
	msg_get_blob(m, &handle, &handle_len, AUTHP_HANDLE_MAX);
	msg_get_str(m, &tls, AUTHP_TLS_MAX);
	msg_get_str(m, &name, AUTHP_NAME_MAX);
	msg_get_str(m, &challenge, AUTHP_CHALLENGE_MAX);
	msg_get_blob(m, &digest, &digest_len, AUTHP_DIGEST_SIZE);
	if (msg_get_end(m) != 0 || !ops_is_tls_text(tls) ||
	    digest_len != AUTHP_DIGEST_SIZE)
		return ERR_FORMAT;
	if (ops_get_handle(p, handle, handle_len, &h) != 0) {
		ops_reply_verdict(p, m->type, m->id, AUTHP_VOID);
		return 0;
	}
	if ((l = login_open(p, m, &h, CONF_APOP, tls)) == NULL)
		return 0;
	saslx_set_login(&l->x, name, strlen(name));
	l->result = saslx_apop(&l->x, challenge, digest);
	if (!apop_is_challenge(challenge, h.sid, h.issued_s,
	    l->conf->hostname)) {
		l->x.why = "challenge";
		l->result = SASLX_DENIED;
	}
	if (l->result != SASLX_TEMP && login_is_blocked(l))
		l->result = SASLX_DENIED;
	login_finish(l);
	return 0;
}

int
login_op_step(struct peer *p, struct msg_in *m, int fd)
{
	const void *resp;
	size_t len;
	uint32_t exchange;
	struct login *l;

	(void)fd;
	msg_get_u32(m, &exchange);
	msg_get_blob(m, &resp, &len, AUTHP_RESP_MAX);
	if (msg_get_end(m) != 0)
		return ERR_FORMAT;
	if ((l = login_find(p, exchange)) == NULL) {
		ops_reply_verdict(p, m->type, m->id, AUTHP_TEMP);
		return 0;
	}
	if (l->state >= LOGIN_CHECKING)
		return ERR_FORMAT;	/* one request at a time */
	l->type = m->type;
	l->id = m->id;
	l->asked_ms = clock_mono_ms();
	login_feed(l, len > 0 ? resp : "", len);
	return 0;
}

/* True: its check waited, and will not be. */
static bool
login_unqueue(struct login *l)
{
	return l->state == LOGIN_CHECKING && fair_cancel(&l->job);
}

int
login_op_cancel(struct peer *p, struct msg_in *m, int fd)
{
	uint32_t exchange;
	struct login *l;

	(void)fd;
	msg_get_u32(m, &exchange);
	if (msg_get_end(m) != 0)
		return ERR_FORMAT;
	l = login_find(p, exchange);
	/* One that is being checked goes on to its reply. */
	if (l != NULL && l->state < LOGIN_CHECKING)
		login_free(l);
	else if (l != NULL && login_unqueue(l))
		login_end(l, AUTHP_TEMP);
	return 0;
}

void
login_end_all(struct peer *p)
{
	for (unsigned int i = 0; i < AUTHP_EXCHANGES_MAX; i++) {
		struct login *l = p->logins[i];

		if (l == NULL)
			continue;
		if (l->state != LOGIN_CHECKING || login_unqueue(l))
			login_free(l);
		else
			login_leave(l);	/* login_checked() frees it */
	}
}

void
login_expire(struct peer *p, int64_t now_ms)
{
	for (unsigned int i = 0; i < AUTHP_EXCHANGES_MAX; i++) {
		struct login *l = p->logins[i];

		if (l != NULL && l->state < LOGIN_CHECKING &&
		    now_ms - l->born_ms > AUTHP_EXCHANGE_S * 1000)
			login_free(l);
	}
}
