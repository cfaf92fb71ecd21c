/*
 * auth.c - AUTH (RFC 4954). Runs in submitd-smtp.
 *
 * Knows no mechanism and no password: responses pass to authd as opaque octets
 * through auth/exchange.h. Lines that hold them are zeroed after use, and never
 * logged.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "auth/mechs.h"
#include "lib/log.h"
#include "submitd/smtp/command.h"
#include "submitd/smtp/limits.h"

static const enum smtp_reply auth_replies[AUTHP_VERDICT__COUNT] = {
	[AUTHP_OK] = SMTP_R_AUTH_OK,
	[AUTHP_CONTINUE] = SMTP_R_AUTH_LATER,
	[AUTHP_BADCRED] = SMTP_R_AUTH_FAILED,
	[AUTHP_TEMP] = SMTP_R_AUTH_LATER,
	[AUTHP_NOAUTH] = SMTP_R_AUTH_FAILED,
	[AUTHP_NOTSENDER] = SMTP_R_AUTH_FAILED,
	[AUTHP_VOID] = SMTP_R_AUTH_LATER,
	[AUTHP_NOUSER] = SMTP_R_AUTH_FAILED,
	[AUTHP_BADMECH] = SMTP_R_AUTH_MECH,
	[AUTHP_NOINITIAL] = SMTP_R_AUTH_NO_INITIAL,
	[AUTHP_MALFORMED] = SMTP_R_AUTH_BASE64,
	[AUTHP_TRANSITION] = SMTP_R_AUTH_TRANSITION,
};

static void
auth_log(const struct smtp_session *s, const char *user, enum smtp_reply r)
{
	const struct smtp_reply_row *row = smtp_reply_row(r);
	char ip[ADDR_STRLEN];

	LOG_EV(LOG_INFO, "smtp.auth", s->sid,
	    KV_A("rip", addr_ip_text(&s->peer, ip)),
	    KV_A("result", r == SMTP_R_AUTH_OK ? "ok" :
		row->code / 100 == 4 ? "later" : "refused"),
	    KV_U("code", row->code), KV_S("method", s->mech),
	    KV_S("user", user));
}

/* The exchange is over, and not well. */
static void
auth_end(struct smtp_session *s, enum smtp_reply r)
{
	auth_log(s, NULL, r);
	smtp_session_enter(s, smtp_session_rest(s));
	smtp_reply(s, r);
	if (r == SMTP_R_AUTH_FAILED &&
	    ++s->sums.logins >= s->settings->conf->login_limit)
		smtp_reply(s, SMTP_R_TOO_MANY_LOGINS);
}

static void
auth_challenge(struct smtp_session *s, const char *challenge)
{
	/* AUTH is the last of a group (RFC 4954 section 4): what is here
	 * already cannot answer a challenge that was not yet sent. */
	if (conn_has_more(s->conn)) {
		smtp_reply(s, SMTP_R_PIPELINED_RESPONSE);
		return;
	}
	smtp_send(s, "334 ", 4);	/* "334 " too when it is empty */
	smtp_send(s, challenge, strlen(challenge));
	smtp_send(s, "\r\n", 2);
}

static void
auth_succeed(struct smtp_session *s, const struct exchange_reply *r)
{
	if (!smtp_limits_authorise(s, r->user)) {
		auth_log(s, r->user, SMTP_R_CROWDED_USER);
		smtp_reply(s, SMTP_R_CROWDED_USER);
		return;
	}
	s->ticket = smtp_ticket_new(r->ticket->data, r->ticket->len);
	s->user = strdup(r->user);
	s->login = r->login == NULL ? NULL : strdup(r->login);
	if (s->ticket == NULL || s->user == NULL ||
	    (r->login != NULL && s->login == NULL)) {
		smtp_reply(s, SMTP_R_NO_MEMORY);
		return;
	}
	roll_join(s->worker->roll, &s->roll, s);
	auth_log(s, s->user, SMTP_R_AUTH_OK);
	smtp_session_enter(s, smtp_session_rest(s));
	smtp_reply(s, SMTP_R_AUTH_OK);
}

static void
auth_answered(void *ctx, const struct exchange_reply *r)
{
	struct smtp_session *s = ctx;

	if (r->verdict == AUTHP_CONTINUE)
		auth_challenge(s, r->challenge);
	else if (r->verdict == AUTHP_OK && r->ticket != NULL)
		auth_succeed(s, r);
	else
		auth_end(s, auth_replies[r->verdict]);
	smtp_go_on(s);
}

static enum smtp_reply
auth_error(int error)
{
	switch (error) {
	case ERR_FORMAT:
		return SMTP_R_AUTH_BASE64;
	case ERR_LIMIT:
		return SMTP_R_LONG_RESPONSE;
	case ERR_DENIED:
		return SMTP_R_AUTH_CANCELLED;
	default:
		return SMTP_R_AUTH_LATER;
	}
}

/* Whether it can be used just now is for authd to say: that would be no reason
 * to call it unknown. */
static bool
auth_is_offered(const struct smtp_session *s, const char *mech)
{
	int m = conf_mech_find(mech);

	return m >= 0 && m != CONF_APOP && mechs_may_try(s->settings->conf,
	    s->listener, (enum conf_mech)m);
}

/* "MECH" or "MECH ir": cuts arg in place. */
static enum smtp_reply
auth_parse(const struct smtp_session *s, char *arg, char **ret_ir)
{
	char *ir = arg + strcspn(arg, " ");

	*ret_ir = NULL;
	if (*ir != '\0') {
		*ir++ = '\0';
		ir += strspn(ir, " ");
		if (strchr(ir, ' ') != NULL)
			return SMTP_R_AUTH_SYNTAX;
		*ret_ir = ir;
	}
	for (char *p = arg; *p != '\0'; p++)
		if (*p >= 'a' && *p <= 'z')
			*p = (char)(*p - 'a' + 'A');
	return auth_is_offered(s, arg) ? SMTP_R_NONE : SMTP_R_AUTH_MECH;
}

/* Nobody needs to be asked for the first, empty challenge. */
static void
auth_ask(struct smtp_session *s)
{
	/* Used up, so that what stands behind it can be seen. */
	smtp_line_done(s);
	auth_challenge(s, "");
}

void
smtp_cmd_auth(struct smtp_session *s, char *arg)
{
	struct exchange_client client;
	enum smtp_reply r;
	char *ir;
	int e;

	if ((r = auth_parse(s, arg, &ir)) != SMTP_R_NONE) {
		smtp_reply(s, r);
		return;
	}
	free(s->mech);
	s->mech = strdup(arg);
	if (s->mech == NULL || smtp_session_exchange(s) == NULL) {
		smtp_reply(s, SMTP_R_NO_MEMORY);
		return;
	}
	smtp_session_enter(s, SMTP_ST_AUTH);
	client = (struct exchange_client){ .fd = conn_fd(s->conn),
	    .tls = s->tls, .ssl = conn_ssl(s->conn) };
	e = exchange_begin(s->exchange, &client, s->mech, ir, auth_answered,
	    s);
	if (e == EXCHANGE_ASK)
		auth_ask(s);
	else if (e != 0)
		auth_end(s, auth_error(e));
	else
		smtp_wait(s);
}

void
smtp_auth_line(struct smtp_session *s, const char *text, size_t len)
{
	int e = exchange_respond(s->exchange, text, len);

	if (e != 0)
		auth_end(s, auth_error(e));
	else
		smtp_wait(s);
}

void
smtp_auth_long_line(struct smtp_session *s)
{
	/* "*" gives the exchange up, on authd's side too. */
	exchange_respond(s->exchange, "*", 1);
	auth_end(s, SMTP_R_LONG_RESPONSE);
}
