/*
 * login_mech.c - what the client's messages mean, by mechanism.
 *
 * Runs on the loop of authd-core; login_check() runs on a thread of the pool, and
 * then the exchange is left alone until login_checked(). Passwords are zeroed as
 * soon as they were checked.
 */
#include "config.h"

#include "auth/login_private.h"

#include <string.h>

#include "auth/rekey.h"
#include "auth/scram.h"
#include "auth/verify.h"
#include "lib/clock.h"
#include "lib/log.h"

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

/* Another user who had that name before does not make him known. */
bool
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

void
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
