/*
 * login_end.c - how a login ends: what is logged, counted, granted, and when the
 * reply goes.
 *
 * Runs on the loop of authd-core. Every failure goes the same way, whatever it
 * was. It must never log a password.
 */
#include "config.h"

#include "auth/login_private.h"

#include <inttypes.h>
#include <string.h>

#include "auth/grant.h"
#include "auth/recent.h"
#include "auth/scram.h"
#include "auth/shared.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/str.h"

#define LOGIN_DELAYED_MAX 4096u		/* failures that wait, in all */

static unsigned int login_n_delayed;

void
login_undelay(void)
{
	login_n_delayed--;
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

void
login_log(const struct login *l, int level, const char *ev, const char *why)
{
	char rip[ADDR_STRLEN], cert[2 * AUTHP_CERT_SIZE + 1];
	char name[MAILBOX_SIZE + RECORD_LABEL_SIZE];
	const struct saslx *x = &l->x;
	const char *user = x->user[0] != '\0' ? x->user : x->login;
	char delay[24];

	if (x->label[0] == '\0')
		str_copy(name, sizeof(name), x->login);
	else
		str_format(name, sizeof(name), "%s#%s", x->login, x->label);
	str_hex(cert, l->cert, sizeof(l->cert));
	str_format(delay, sizeof(delay), "%" PRIu32, l->delay_ms);
	LOG_EV(level, ev, l->handle.sid, KV_S("user", user),
	    KV_S("login", strcmp(name, user) == 0 ? NULL : name),
	    KV_A("method", conf_mech_name(x->mech)),
	    KV_A("rip", addr_ip_text(&l->handle.peer, rip)),
	    KV_A("service", x->service), KV_A("why", why),
	    KV_A("delay_ms", l->delay_ms == 0 ? NULL : delay),
	    KV_A("cert", l->has_cert ? cert : NULL),
	    KV_A("tls", why == NULL ? l->tls : NULL));
}

static void
login_refused(const struct login *l, const char *why)
{
	login_log(l, LOG_NOTICE, "auth.fail", why);
	recent_login_failed(l->x.core->recent, l->handle.sid, l->x.login, why);
}

struct guess_who
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
	uint32_t pace = pace_ms(&l->x.core->pace);
	struct guess_who w = login_who(l);
	struct guess_block b;

	if (!l->blocked) {
		shared_failed(l->x.core->shared, &l->handle.peer, l->x.login,
		    l->password, now_s);
		if (guess_failed(g, &w, l->password, now_s, &b))
			login_log_block(l, &b);
	}
	l->delay_ms = guess_delay_ms(g, &w, now_s);
	return guess_reply_at(l->asked_ms, clock_mono_ms(),
	    l->delay_ms > pace ? l->delay_ms : pace);
}

static void
login_failed(struct login *l)
{
	struct core *core = l->x.core;
	int64_t at_ms = login_count(l);

	scram_free_password(l->password);
	l->password = NULL;
	core->stats.auth_fail++;
	login_refused(l, l->blocked ? "blocked" :
	    l->x.why == NULL ? "badpass" : l->x.why);
	if (l->peer == NULL || login_n_delayed >= LOGIN_DELAYED_MAX ||
	    timer_init(&l->delay, core->loop, login_delay_over, l) != 0) {
		login_end(l, AUTHP_TEMP);	/* says nothing, costs nothing */
		return;
	}
	saslx_clear(&l->x);	/* kilobytes, for up to 8 s */
	l->state = LOGIN_DELAYED;
	login_n_delayed++;
	timer_arm(&l->delay, at_ms - clock_mono_ms());
}

/* Success */

/* POP-before-SMTP: whoever has shown under TLS, with a credential that is good
 * for SMTP too, who he is may for a while send from where he is. Not whoever
 * reads another one's mail: a grant hangs on its own user's credential. */
static enum grant_verdict
login_grant(struct login *l, int64_t now_s)
{
	const struct grant_login g = {
		.peer = &l->handle.peer, .user = l->x.user, .rec = &l->x.rec,
		.generation = l->x.found.generation,
		.protocol = GRANT_PROTO_POP3, .source = GRANT_POP,
		.tls = l->tls[0] != '\0', .sid = l->handle.sid,
	};

	if (l->handle.service != AUTHP_POP ||
	    !grant_scope_may(l->x.found_scope) ||
	    strcmp(l->x.user, l->x.login) != 0)
		return GRANT_NONE;
	return grant_login(l->x.core, &g, now_s);
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

/* What placesdb calls the credential that it was; the sealed secret is none. */
static const char *
login_credential(const struct login *l)
{
	if (l->x.mech == CONF_CRAM_MD5 || l->x.mech == CONF_APOP)
		return "";
	return l->x.found.label[0] == '\0' ? PLACESDB_MAIN : l->x.found.label;
}

/* His own counts of failures there begin anew. */
static void
login_forgive(const struct login *l, int64_t now_s)
{
	const struct guess_who w = { .addr = l->handle.peer,
	    .user = l->x.login };

	guess_succeeded(l->x.core->guess, &w, now_s);
	shared_succeeded(l->x.core->shared, &w.addr, l->x.login, now_s);
}

/* Who was refused a grant because the address looks shared is a stranger there
 * until he gets one: a login in between, to send, makes him none the less. */
static bool
login_is_stranger(const struct login *l, enum grant_verdict v, int64_t now_s)
{
	if (v == GRANT_NEW || v == GRANT_RENEWED)
		return false;
	return v == GRANT_SHARED || (l->known && !placesdb_was_there(
	    l->x.core->places, l->x.login, &l->handle.peer,
	    l->x.rec.created_s, now_s));
}

/* Where and how he came in. */
static void
login_note(const struct login *l, enum grant_verdict v, int64_t now_s)
{
	struct placesdb_login note = { .at_s = now_s,
	    .service = l->handle.service,
	    .stranger = login_is_stranger(l, v, now_s) };

	memcpy(note.ip, l->handle.peer.ip, sizeof(note.ip));
	str_copy(note.mech, sizeof(note.mech), conf_mech_name(l->x.mech));
	str_copy(note.tls, sizeof(note.tls), l->tls);
	placesdb_note(l->x.core->places, l->x.login, login_credential(l), &note);
}

static void
login_succeeded(struct login *l)
{
	struct core *core = l->x.core;
	uint8_t ticket[AUTHP_TICKET_MAX], handle[AUTHP_HANDLE_MAX];
	int64_t now_s = clock_now_s();
	struct msg_out m;
	int len = login_seal(l, now_s, ticket), handle_len = 0;

	login_forgive(l, now_s);
	if (l->is_new)
		handle_len = ticket_handle_seal(core->keys.ticket, &l->handle,
		    handle);
	if (len < 0 || handle_len < 0 || l->peer == NULL) {
		login_note(l, GRANT_NONE, now_s);
		login_end(l, AUTHP_TEMP);
		return;
	}
	core->stats.auth_ok++;
	login_log(l, LOG_INFO, "auth.ok", NULL);
	login_note(l, login_grant(l, now_s), now_s);
	ops_reply_begin(&m, l->type, l->id, AUTHP_OK);
	msg_put_blob(&m, ticket, (size_t)len);
	msg_put_str(&m, l->x.user);
	msg_put_str(&m, strcmp(l->x.user, l->x.login) == 0 ? "" : l->x.login);
	if (l->type != AUTHP_APOP)
		msg_put_blob(&m, handle, (size_t)handle_len);
	ops_reply(l->peer, &m);
	login_free(l);
}

void
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
		login_refused(l, "transition");
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
