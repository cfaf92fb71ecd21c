/*
 * login.c - USER, PASS, APOP and AUTH (RFC 1939, RFC 5034), and the opening of
 * the maildrop. Runs in popd-pop. It decides nothing: authd checks and, when the
 * login has succeeded inside it, writes the grant. Passwords and responses are
 * passed on and zeroed, never logged.
 */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "auth/exchange.h"
#include "lib/err.h"
#include "lib/log.h"
#include "popd/pop/command.h"
#include "popd/pop/limits.h"
#include "popd/pop/past.h"
#include "popd/pop/reply.h"

struct pop_login_failure {
	enum pop_code	 code;
	const char	*text;
	const char	*log;
};

/* RFC 3206: [AUTH] for credentials, [SYS/TEMP] for us, and none for a client
 * that does not speak the protocol. */
static const struct pop_login_failure pop_login_failures[] = {
	[AUTHP_BADCRED] = { POP_CODE_AUTH,
	    "User name or password is wrong", "badcred" },
	[AUTHP_TEMP] = { POP_CODE_SYS_TEMP,
	    "The login cannot be checked at the moment, try again later",
	    "temp" },
	[AUTHP_BADMECH] = { POP_CODE_NONE,
	    "Authentication mechanism not offered: choose another one in your "
	    "mail program, as a rule \"normal password\"", "badmech" },
	[AUTHP_NOINITIAL] = { POP_CODE_NONE,
	    "This mechanism takes no initial response", "noinitial" },
	[AUTHP_MALFORMED] = { POP_CODE_NONE,
	    "The response cannot be read", "malformed" },
	[AUTHP_TRANSITION] = { POP_CODE_AUTH,
	    "A password transition is needed: log in once with USER and PASS",
	    "transition" },
	[AUTHP_VERDICT__COUNT] = { POP_CODE_NONE, NULL, NULL },
};

static void
pop_login_forget_name(struct pop_session *s)
{
	free(s->name);
	s->name = NULL;
}

/* Back to where a login may begin, with nothing left of this one. */
static void
pop_login_reset(struct pop_session *s)
{
	roll_leave(s->server->roll, &s->roll);
	pop_login_forget_name(s);
	s->user[0] = '\0';
	free(s->login);
	s->login = NULL;
	if (s->state != POP_ST_AUTH)
		pop_session_enter(s, POP_ST_AUTH);
}

static void
pop_login_failed(struct pop_session *s, enum authp_verdict v)
{
	const struct pop_login_failure *f = &pop_login_failures[v];
	char ip[ADDR_STRLEN];

	if (f->text == NULL)
		f = &pop_login_failures[AUTHP_TEMP];
	LOG_EV(LOG_NOTICE, "pop3.auth.fail", s->id,
	    KV_A("rip", addr_ip_text(&s->peer, ip)), KV_S("mech", s->mech),
	    KV_S("user", s->name), KV_A("why", f->log));
	pop_past_login(s, s->name);
	pop_err_help(s, f->code, "%s", f->text);
	pop_login_reset(s);
	if (f->code == POP_CODE_AUTH && ++s->failures >=
	    s->conf->login_limit) {
		pop_session_close(s, "failures", true);
		return;
	}
	if (f->code == POP_CODE_NONE)
		pop_session_bad(s);
	pop_session_go_on(s);
}

/* The question could not even be asked. */
static void
pop_login_not_begun(struct pop_session *s, int r)
{
	enum authp_verdict v = AUTHP_TEMP;

	if (r == ERR_FORMAT || r == ERR_LIMIT)
		v = AUTHP_MALFORMED;
	pop_login_failed(s, v);
}

/* ---------------------------------------------------------- the maildrop -- */

/* The password was right. */
static const struct pop_login_failure pop_login_no_drops[] = {
	[MBOXC_INUSE] = { POP_CODE_IN_USE, "Your mailbox is open in another "
	    "session, try again later", "inuse" },
	[MBOXC_DELAY] = { POP_CODE_LOGIN_DELAY, "You have logged in a moment "
	    "ago: set your mail program to look for mail less often",
	    "delay" },
	[MBOXC_PERM] = { POP_CODE_SYS_PERM, "Your mailbox cannot be opened: "
	    "the administrator must mend it", "perm" },
	[MBOXC_TEMP] = { POP_CODE_SYS_TEMP, "Your mailbox cannot be opened at "
	    "the moment, try again later", "temp" },
	[MBOXC_VERDICT__COUNT] = { POP_CODE_NONE, NULL, NULL },
};

static void
pop_login_no_drop(struct pop_session *s, enum mboxc_verdict v)
{
	const struct pop_login_failure *f = v < MBOXC_VERDICT__COUNT &&
	    pop_login_no_drops[v].text != NULL ? &pop_login_no_drops[v] :
	    &pop_login_no_drops[MBOXC_TEMP];

	mboxc_close(s->drop);
	s->drop = NULL;
	LOG_EV(LOG_NOTICE, "pop3.open.fail", s->id, KV_S("user", s->user),
	    KV_A("why", f->log));
	pop_past_login(s, s->user);
	pop_login_reset(s);
	pop_err_help(s, f->code, "%s", f->text);
	pop_session_go_on(s);
}

static void
pop_login_drop_opened(void *ctx, enum mboxc_verdict v)
{
	struct pop_session *s = ctx;

	if (v != MBOXC_OK || !pop_drop_opened(s)) {
		pop_login_no_drop(s, v == MBOXC_OK ? MBOXC_TEMP : v);
		return;
	}
	pop_login_forget_name(s);
	pop_past_opened(s);
	pop_session_enter(s, POP_ST_TRANS);
	pop_ok(s, "%zu messages (%llu octets)", s->n_left,
	    (unsigned long long)s->octets_left);
	pop_session_go_on(s);
}

static void
pop_login_done(struct pop_session *s, const struct exchange_reply *r)
{
	char ip[ADDR_STRLEN];

	s->login = r->login == NULL ? NULL : strdup(r->login);
	if ((r->login != NULL && s->login == NULL) ||
	    str_copy(s->user, sizeof(s->user), r->user) != 0) {
		pop_login_failed(s, AUTHP_TEMP);
		return;
	}
	if (!pop_limits_authorise(s)) {
		pop_err_help(s, POP_CODE_SYS_TEMP, "You have too many sessions "
		    "open; close some: sessions_per_user = %" PRIu64,
		    s->conf->sessions_per_user);
		pop_session_close(s, "crowded", true);
		return;
	}
	roll_join(s->server->roll, &s->roll, s);
	LOG_EV(LOG_INFO, "pop3.auth", s->id,
	    KV_A("rip", addr_ip_text(&s->peer, ip)), KV_S("user", s->user),
	    KV_S("mech", s->mech));
	s->drop = mboxc_open(s->server->mboxc, r->ticket->data, r->ticket->len,
	    pop_login_drop_opened, pop_drop_lost, s);
	exchange_free(s->exchange);	/* an idle session keeps little */
	s->exchange = NULL;
	if (s->drop == NULL)
		pop_login_no_drop(s, MBOXC_TEMP);
}

/* ---------------------------------------------------------- the exchange -- */

static void
pop_login_ask(struct pop_session *s, const char *challenge)
{
	pop_session_enter(s, POP_ST_SASL);
	pop_write(s, "+ ", 2);		/* RFC 5034 section 4 */
	pop_line(s, challenge);
	pop_session_go_on(s);
}

static void
pop_login_reply(void *ctx, const struct exchange_reply *r)
{
	struct pop_session *s = ctx;

	switch (r->verdict) {
	case AUTHP_CONTINUE:
		pop_login_ask(s, r->challenge);
		break;
	case AUTHP_OK:
		pop_login_done(s, r);
		break;
	default:
		pop_login_failed(s, r->verdict);
	}
}

static struct exchange *
pop_login_exchange(struct pop_session *s)
{
	if (s->exchange == NULL)
		s->exchange = exchange_new(s->server->authc, AUTHP_POP, s->id,
		    s->claimed ? &s->peer : NULL);
	return s->exchange;
}

static struct exchange_client
pop_login_client(const struct pop_session *s)
{
	return (struct exchange_client){ .fd = conn_fd(s->conn),
	    .tls = s->tls, .ssl = conn_ssl(s->conn) };
}

void
pop_login_abort(struct pop_session *s, const char *why)
{
	(void)exchange_respond(s->exchange, "*", 1);
	pop_err(s, POP_CODE_NONE, "%s", why);
	pop_login_reset(s);
	pop_session_bad(s);
}

void
pop_login_response(struct pop_session *s, const char *line, size_t len)
{
	int r;

	if (len == 1 && line[0] == '*') {
		pop_login_abort(s, "Given up, as you asked");
		return;
	}
	pop_session_wait(s);
	r = exchange_respond(s->exchange, line, len);
	if (r != 0)
		pop_login_not_begun(s, r);
}

/* USER and PASS are PLAIN by another name. */
void
pop_cmd_user(struct pop_session *s, char *arg)
{
	if (!pop_session_may_try(s, CONF_PLAIN)) {
		pop_err_help(s, POP_CODE_NONE, "Passwords are not taken here: "
		    "set your mail program to use a mechanism of CAPA's SASL");
		pop_session_bad(s);
		return;
	}
	pop_login_forget_name(s);
	if (*arg == '\0' || (s->name = strdup(arg)) == NULL) {
		pop_err(s, POP_CODE_NONE, "USER needs a name");
		pop_login_reset(s);
		pop_session_bad(s);
		return;
	}
	if (s->state != POP_ST_USER)
		pop_session_enter(s, POP_ST_USER);
	pop_ok(s, "Send the password");	/* whoever it is: no hint */
}

void
pop_cmd_pass(struct pop_session *s, char *arg)
{
	struct exchange_client client = pop_login_client(s);
	char plain[2 * POP_LINE_MAX];
	size_t name_len = strlen(s->name), len = strlen(arg);
	struct exchange *x = pop_login_exchange(s);
	int r = ERR_NOMEM;

	str_copy(s->mech, sizeof(s->mech), "PLAIN");
	pop_session_wait(s);
	/* RFC 4616: [authzid] NUL authcid NUL passwd. Both came in lines of
	 * POP_LINE_MAX, so they fit. */
	plain[0] = '\0';
	memcpy(plain + 1, s->name, name_len + 1);
	memcpy(plain + 2 + name_len, arg, len);
	len += 2 + name_len;
	if (x != NULL)
		r = exchange_begin_raw(x, &client, s->mech, plain, len,
		    pop_login_reply, s);
	explicit_bzero(plain, sizeof(plain));
	if (r != 0)
		pop_login_not_begun(s, r);
}

/* AUTH alone: what old clients ask before there was CAPA. */
static void
pop_login_list(struct pop_session *s)
{
	char mechs[MECHS_TEXT_SIZE], *m, *save = NULL;

	(void)pop_session_mechs(s, mechs);
	pop_ok(s, "Mechanisms follow");
	for (m = strtok_r(mechs, " ", &save); m != NULL;
	    m = strtok_r(NULL, " ", &save))
		pop_line(s, m);
	pop_line(s, ".");
}

/* Whether it can be used just now is for authd to say. */
static bool
pop_login_is_offered(const struct pop_session *s, const char *mech)
{
	int m = conf_mech_find(mech);

	return m >= 0 && m != CONF_APOP &&
	    pop_session_may_try(s, (enum conf_mech)m);
}

void
pop_cmd_auth(struct pop_session *s, char *arg)
{
	struct exchange_client client = pop_login_client(s);
	struct exchange *x;
	char *ir;
	int r;

	if (*arg == '\0') {
		pop_login_list(s);
		return;
	}
	if ((ir = strchr(arg, ' ')) != NULL)
		*ir++ = '\0';
	pop_login_forget_name(s);
	pop_session_wait(s);
	for (char *c = arg; *c != '\0'; c++)
		if (*c >= 'a' && *c <= 'z')
			*c = (char)(*c - 'a' + 'A');
	if (str_copy(s->mech, sizeof(s->mech), arg) != 0 ||
	    !pop_login_is_offered(s, arg)) {
		pop_login_failed(s, AUTHP_BADMECH);
		return;
	}
	if ((x = pop_login_exchange(s)) == NULL) {
		pop_login_failed(s, AUTHP_TEMP);
		return;
	}
	r = exchange_begin(x, &client, s->mech, ir, pop_login_reply, s);
	if (r == EXCHANGE_ASK)
		pop_login_ask(s, "");
	else if (r != 0)
		pop_login_not_begun(s, r);
}

/* APOP NAME DIGEST; a name may hold spaces. */
void
pop_cmd_apop(struct pop_session *s, char *arg)
{
	struct exchange_client client = pop_login_client(s);
	char stamp[AUTHP_CHALLENGE_MAX + 1];
	char *digest = strrchr(arg, ' ');
	struct exchange *x;
	int r = ERR_NOMEM;

	pop_login_forget_name(s);
	pop_session_wait(s);
	str_copy(s->mech, sizeof(s->mech), "APOP");
	pop_session_stamp(s, stamp);
	if (stamp[0] == '\0' || !pop_session_may_try(s, CONF_APOP)) {
		pop_login_failed(s, AUTHP_BADMECH);
		return;
	}
	if (digest == NULL || digest == arg) {
		pop_login_failed(s, AUTHP_MALFORMED);
		return;
	}
	*digest++ = '\0';
	if ((x = pop_login_exchange(s)) != NULL)
		r = exchange_apop(x, &client, stamp, arg, digest,
		    pop_login_reply, s);
	if (r != 0)
		pop_login_not_begun(s, r);
}
