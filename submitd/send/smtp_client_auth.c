/*
 * smtp_client_auth.c - our login at the next hop (RFC 4954): PLAIN (RFC 4616),
 * LOGIN and XOAUTH2.
 *
 * Runs in submitd-send. The secret goes out only under TLS with a certificate
 * that was verified, never into a log line, and every copy of it is zeroed. A
 * login that is refused is the configuration's fault and never the message's: it
 * waits.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "submitd/send/smtp_client_private.h"

#include "lib/log.h"
#include "lib/str.h"

#define SMTP_CLIENT_AUTH_MAX	8192u	/* of a token with its frame */
#define SMTP_CLIENT_AUTH_TOLD	(4 + OUTCOME_STATUS_SIZE)

void
smtp_client_auth_free(struct smtp_client_way *w)
{
	if (w->secret != NULL)
		explicit_bzero(w->secret, strlen(w->secret));
	free(w->secret);
	free(w->user);
	w->secret = w->user = NULL;
}

static void
smtp_client_auth_failed(struct smtp_client *c, const char *why)
{
	char text[OUTCOME_TEXT_MAX + 1];

	LOG_EV(LOG_ERR, "hop.auth", NULL, KV_A("relay", c->relay),
	    KV_S("user", c->way.user), KV_T("why", why));
	outcome_print(text, sizeof(text), why, strlen(why));
	/* Not at the next address too: that would be one more bad login. */
	smtp_client_give_up(c, false, text);
}

/* Sends `prefix` and `len` octets in base64. */
static void
smtp_client_auth_say(struct smtp_client *c, const char *prefix,
    const char *p, size_t len)
{
	char line[STR_B64_SIZE(SMTP_CLIENT_AUTH_MAX) + 64];
	size_t n = strlen(prefix);
	int got;

	memcpy(line, prefix, n);
	got = str_b64_encode(line + n, sizeof(line) - n - 2, p, len);
	if (got >= 0) {
		memcpy(line + n + (size_t)got, "\r\n", 2);
		(void)conn_write(c->conn, line, n + (size_t)got + 2);
	}
	explicit_bzero(line, sizeof(line));
}

static void
smtp_client_auth_first(struct smtp_client *c)
{
	const struct smtp_client_way *w = &c->way;
	char frame[SMTP_CLIENT_AUTH_MAX];
	int n;

	if (w->auth == CONF_AUTH_LOGIN) {
		smtp_client_command(c, "AUTH LOGIN");
		return;
	}
	n = w->auth == CONF_AUTH_PLAIN ?
	    snprintf(frame, sizeof(frame), "%c%s%c%s", 0, w->user, 0,
	    w->secret) :
	    snprintf(frame, sizeof(frame), "user=%s\1auth=Bearer %s\1\1",
	    w->user, w->secret);
	if (n > 0 && (size_t)n < sizeof(frame))
		smtp_client_auth_say(c, w->auth == CONF_AUTH_PLAIN ?
		    "AUTH PLAIN " : "AUTH XOAUTH2 ", frame, (size_t)n);
	explicit_bzero(frame, sizeof(frame));
}

bool
smtp_client_auth(struct smtp_client *c)
{
	const struct smtp_client_way *w = &c->way;

	if (w->auth == CONF_AUTH_NONE)
		return false;
	/* A message that may go in clear goes without our login there. */
	if (!c->verified && c->tls_optional)
		return false;
	if (!c->verified)
		smtp_client_auth_failed(c, "4.7.5 the certificate is not "
		    "verified, so the password was not sent");
	else if (w->user == NULL || w->secret == NULL)
		smtp_client_auth_failed(c, "4.7.8 auth_secret_file could not "
		    "be read");
	else if ((c->ext & SMTP_EXT_AUTH) == 0)
		smtp_client_auth_failed(c, "4.7.4 the next hop does not offer "
		    "the mechanism of the route");
	else {
		smtp_client_enter(c, SMTP_CLIENT_AUTH);
		c->auth_step = 0;
		smtp_client_auth_first(c);
	}
	return true;
}

/* Only the codes: who does not understand a command often repeats it, and with it
 * our password, which would go on into the log, the queue and reports. */
static void
smtp_client_auth_told(struct smtp_client *c)
{
	char told[SMTP_CLIENT_AUTH_TOLD], status[OUTCOME_STATUS_SIZE];

	if (!outcome_status(c->reply.text, c->reply.code / 100 == 4 ? '4' : '5',
	    status))
		status[0] = '\0';
	(void)str_format(told, sizeof(told), "%d%s%s", c->reply.code,
	    status[0] != '\0' ? " " : "", status);
	explicit_bzero(c->reply.text, sizeof(c->reply.text));
	(void)str_copy(c->reply.text, sizeof(c->reply.text), told);
}

void
smtp_client_on_auth(struct smtp_client *c)
{
	const struct smtp_client_way *w = &c->way;
	char why[64 + SMTP_CLIENT_AUTH_TOLD];
	const char *say = "";

	if (c->reply.code / 100 == 2) {
		smtp_client_set_ready(c);
		return;
	}
	if (c->reply.code == 334 && w->auth != CONF_AUTH_PLAIN &&
	    c->auth_step < 2) {
		/* LOGIN asks for the name, then for the password. XOAUTH2 tells
		 * why it refuses and wants an empty line before its 535. */
		if (w->auth == CONF_AUTH_LOGIN)
			say = c->auth_step == 0 ? w->user : w->secret;
		c->auth_step++;
		smtp_client_rearm(c);
		smtp_client_auth_say(c, "", say, strlen(say));
		return;
	}
	smtp_client_auth_told(c);
	if (c->reply.code == 421 || c->reply.code == 454) {
		smtp_client_refused(c);
		return;
	}
	(void)str_format(why, sizeof(why), "4.7.8 the next hop refuses our "
	    "login: %s", c->reply.text);
	smtp_client_auth_failed(c, why);
}
