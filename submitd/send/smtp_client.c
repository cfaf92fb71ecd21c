/*
 * smtp_client.c - one connection to a next hop: its life, states and replies.
 *
 * Runs in submitd-send. What comes from the next hop is never trusted: each
 * state has its reply, its bound and its time-out (RFC 5321 section 4.5.3.2);
 * all else ends the connection, which is a failure for now and never one for
 * good. See smtp_client_private.h for the states and the other files.
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "submitd/send/smtp_client_private.h"

#include "lib/log.h"
#include "lib/str.h"

static void smtp_client_on_rset(struct smtp_client *c);
static void smtp_client_on_quit(struct smtp_client *c);

/* clang-format off */
static const struct smtp_client_step {
	const char	*doing;
	int64_t		 timeout_ms;	/* RFC 5321 section 4.5.3.2 */
	void		(*reply)(struct smtp_client *c);
} smtp_client_steps[] = {
	[SMTP_CLIENT_CONNECT]	= { "connecting",		 30000, NULL },
	[SMTP_CLIENT_GREETING]	= { "waiting for the greeting",	300000, smtp_client_on_greeting },
	[SMTP_CLIENT_EHLO]	= { "waiting for the reply to EHLO", 300000, smtp_client_on_ehlo },
	[SMTP_CLIENT_HELO]	= { "waiting for the reply to HELO", 300000, smtp_client_on_helo },
	[SMTP_CLIENT_STARTTLS]	= { "waiting for the reply to STARTTLS", 120000, smtp_client_on_starttls },
	[SMTP_CLIENT_HANDSHAKE]	= { "shaking hands (TLS)",	 60000, NULL },
	[SMTP_CLIENT_AUTH]	= { "logging in",		120000, smtp_client_on_auth },
	[SMTP_CLIENT_READY]	= { "idle",			     0, NULL },
	[SMTP_CLIENT_CHECK]	= { "idle",			     0, NULL },
	[SMTP_CLIENT_ENVELOPE]	= { "waiting for the reply to MAIL or RCPT", 300000, smtp_client_on_envelope },
	[SMTP_CLIENT_DATA]	= { "waiting for the reply to DATA", 120000, smtp_client_on_data },
	[SMTP_CLIENT_CONTENT]	= { "sending the message",	180000, smtp_client_on_content },
	[SMTP_CLIENT_TAIL]	= { "sending the message",	180000, smtp_client_on_content },
	[SMTP_CLIENT_END]	= { "waiting for the reply to the message", 600000, smtp_client_on_end },
	[SMTP_CLIENT_RSET]	= { "waiting for the reply to RSET", 30000, smtp_client_on_rset },
	[SMTP_CLIENT_QUIT]	= { "saying QUIT",		 10000, smtp_client_on_quit },
	[SMTP_CLIENT_CLOSED]	= { "closed",			     0, NULL },
};
/* clang-format on */
_Static_assert(sizeof(smtp_client_steps) / sizeof(smtp_client_steps[0]) ==
    SMTP_CLIENT__COUNT, "a step for each state");

void
smtp_client_rearm(struct smtp_client *c)
{
	conn_deadline(c->conn, smtp_client_steps[c->state].timeout_ms);
}

void
smtp_client_enter(struct smtp_client *c, enum smtp_client_state next)
{
	c->state = next;
	hop_reply_init(&c->reply);
	if (c->conn != NULL)
		smtp_client_rearm(c);
}

void
smtp_client_command(struct smtp_client *c, const char *fmt, ...)
{
	char line[SMTP_CLIENT_LINE_MAX];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line) - 2, fmt, ap);
	va_end(ap);
	/* An address has at most 254 octets, a name 255, ENVID and ORCPT 900. */
	if (n < 0 || (size_t)n >= sizeof(line) - 2)
		n = 0;
	memcpy(line + n, "\r\n", 2);
	/* A failure shows as the time-out; there are no large outputs here. */
	(void)conn_write(c->conn, line, (size_t)n + 2);
}

/* ------------------------------------------------------------ the ending -- */

static void
smtp_client_reap(void *ctx)
{
	free(ctx);
}

static void
smtp_client_drop(struct smtp_client *c)
{
	conn_close(c->conn, false);
	c->conn = NULL;
	c->state = SMTP_CLIENT_CLOSED;
	timer_free(&c->soon);
	smtp_client_hosts_free(c);
	if (loop_defer(c->loop, smtp_client_reap, c) != 0)
		return;		/* leaked: there is no memory for the reaper */
}

void
smtp_client_abort(struct smtp_client *c)
{
	if (c != NULL && c->state != SMTP_CLIENT_CLOSED)
		smtp_client_drop(c);
}

void
smtp_client_lost(struct smtp_client *c, bool remote, const char *why)
{
	char text[OUTCOME_TEXT_MAX + 1];

	str_copy(text, sizeof(text), why);	/* it may lie in c->reply */
	conn_close(c->conn, false);
	c->conn = NULL;
	if (c->walking && smtp_client_next_place(c, text)) {
		smtp_client_enter(c, SMTP_CLIENT_CONNECT);
		smtp_client_soon(c);
		return;
	}
	c->walking = false;
	if (c->txn != NULL && !smtp_client_txn_lost(c, remote, text))
		return;			/* once more, over IPv4 */
	c->ops->closed(c->ctx, c->was_ready, remote, text);
	smtp_client_drop(c);
}

void
smtp_client_give_up(struct smtp_client *c, bool remote, const char *why)
{
	c->walking = false;
	smtp_client_lost(c, remote, why);
}

void
smtp_client_lost_here(struct smtp_client *c, const char *why)
{
	char all[1024], text[OUTCOME_TEXT_MAX + 1];
	/* It may be told to users, whom a socket's path does not concern. */
	int n = snprintf(all, sizeof(all), "4.4.2 %s: %s while %s%s",
	    strncmp(c->relay, "unix:", 5) == 0 ? "the next server" : c->relay,
	    why, smtp_client_steps[c->state].doing,
	    c->state == SMTP_CLIENT_END ? "; it may come twice" : "");

	outcome_print(text, sizeof(text), all, n < 0 ? 0 : strlen(all));
	smtp_client_lost(c, false, text);
}

void
smtp_client_refused(struct smtp_client *c)
{
	/* RFC 5321 section 3.1: 554 instead of a greeting. It is the host's
	 * state, not the message's: for now, whatever the code. */
	smtp_client_lost(c, true, c->reply.text);
}

void
smtp_client_set_ready(struct smtp_client *c)
{
	c->walking = false;
	if (c->txn != NULL) {		/* once more, over IPv4 */
		smtp_client_txn_begin(c);
		return;
	}
	c->was_ready = true;
	smtp_client_enter(c, SMTP_CLIENT_READY);
	c->ops->ready(c->ctx);
}

/* --------------------------------------------------------------- replies -- */

static void
smtp_client_on_rset(struct smtp_client *c)
{
	if (c->reply.code / 100 != 2)
		smtp_client_lost(c, true, c->reply.text);
	else
		smtp_client_set_ready(c);
}

static void
smtp_client_on_quit(struct smtp_client *c)
{
	smtp_client_lost(c, true, c->reply.text);
}

/* 421 and 432 at any time but in parting, 454 to a message: RFC 5321 section
 * 3.8, RFC 3463 (4.3.2, 4.7.x), and what large sites say to too many. To AUTH
 * 432 asks for another password (RFC 4954 section 6), and 454 to STARTTLS says
 * that there is no TLS. */
static void
smtp_client_look_busy(struct smtp_client *c)
{
	int code = c->reply.code;
	bool message = c->state >= SMTP_CLIENT_ENVELOPE &&
	    c->state <= SMTP_CLIENT_END;

	if (c->told_busy || c->ops->busy == NULL ||
	    c->state == SMTP_CLIENT_QUIT || c->state == SMTP_CLIENT_RSET)
		return;
	if (code == 421 || (code == 432 && c->state != SMTP_CLIENT_AUTH) ||
	    (code == 454 && message)) {
		c->told_busy = true;
		c->ops->busy(c->ctx);
	}
}

static void
smtp_client_input(void *ctx)
{
	struct smtp_client *c = ctx;

	while (c->conn != NULL && buf_len(conn_input(c->conn)) > 0) {
		enum smtp_client_state was = c->state;

		if (was == SMTP_CLIENT_CHECK)
			return;		/* for the envelope to look at */
		if (smtp_client_steps[was].reply == NULL) {
			smtp_client_lost_here(c, "unexpected octets");
			return;
		}
		switch (hop_reply_read(&c->reply, conn_input(c->conn),
		    was == SMTP_CLIENT_EHLO ? smtp_client_keyword : NULL, c)) {
		case HOP_REPLY_MORE:
			return;
		case HOP_REPLY_BAD:
			smtp_client_lost_here(c, "garbage instead of a reply");
			return;
		case HOP_REPLY_DONE:
			smtp_client_look_busy(c);
			smtp_client_steps[was].reply(c);
			hop_reply_init(&c->reply);
		}
	}
}

/* ------------------------------------------------------ the conn's events -- */

static void
smtp_client_connected(void *ctx)
{
	struct smtp_client *c = ctx;

	if (c->way.tls_from_start)
		smtp_client_handshake(c);
	else
		smtp_client_enter(c, SMTP_CLIENT_GREETING);
}

static void
smtp_client_secured(void *ctx)
{
	smtp_client_on_secured(ctx);
}

static void
smtp_client_drained(void *ctx)
{
	struct smtp_client *c = ctx;

	if (c->state == SMTP_CLIENT_CONTENT) {
		smtp_client_rearm(c);
		smtp_client_pump(c);
	} else if (c->state == SMTP_CLIENT_TAIL) {
		smtp_client_tail(c);
	}
}

static void
smtp_client_gone(void *ctx, const char *why)
{
	struct smtp_client *c = ctx;

	if (c->state == SMTP_CLIENT_HANDSHAKE && strncmp(why, "tls:", 4) == 0) {
		smtp_client_tls_failed(c, why);
		return;
	}
	if (strcmp(why, "eof") == 0)
		why = "the connection was closed";
	else if (strcmp(why, "reset") == 0)
		why = "the connection was reset";
	else if (strcmp(why, "timeout") == 0)
		why = "time-out";
	smtp_client_lost_here(c, why);
}

const struct conn_ops smtp_client_conn_ops = {
	.input = smtp_client_input,
	.drained = smtp_client_drained,
	.secured = smtp_client_secured,
	.connected = smtp_client_connected,
	.gone = smtp_client_gone,
};

static void
smtp_client_run(void *ctx)
{
	struct smtp_client *c = ctx;

	if (c->state == SMTP_CLIENT_CONNECT)
		smtp_client_connect(c);
	else if (c->state == SMTP_CLIENT_CHECK)
		smtp_client_on_check(c);
	else if (c->state == SMTP_CLIENT_TAIL)
		smtp_client_tail(c);
}

void
smtp_client_soon(struct smtp_client *c)
{
	if (loop_defer(c->loop, smtp_client_run, c) != 0)
		timer_arm(&c->soon, 0);
}

/* ------------------------------------------------------------ the object -- */

struct smtp_client *
smtp_client_new(struct loop *l, const struct smtp_client_target *to,
    const struct smtp_client_ops *ops, void *ctx)
{
	struct smtp_client *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		hosts_free(to->hosts);
		return NULL;
	}
	c->loop = l;
	c->ops = ops;
	c->ctx = ctx;
	if (smtp_client_hosts_take(c, to) != 0 ||
	    timer_init(&c->soon, l, smtp_client_run, c) != 0) {
		smtp_client_hosts_free(c);
		free(c);
		return NULL;
	}
	c->state = SMTP_CLIENT_CONNECT;
	c->walking = true;
	smtp_client_soon(c);
	return c;
}

void
smtp_client_quit(struct smtp_client *c)
{
	if (c->state != SMTP_CLIENT_READY)
		return;
	smtp_client_enter(c, SMTP_CLIENT_QUIT);
	smtp_client_command(c, "QUIT");
}

bool
smtp_client_is_ending(const struct smtp_client *c)
{
	return c->state == SMTP_CLIENT_END && c->txn != NULL;
}

const char *
smtp_client_relay(const struct smtp_client *c)
{
	return c->relay;
}

const char *
smtp_client_tls(const struct smtp_client *c)
{
	return c->tls;
}

const struct addr *
smtp_client_addr(const struct smtp_client *c)
{
	return &c->places[c->place].addr;
}

bool
smtp_client_is_lowered(const struct smtp_client *c)
{
	return c->lowered;
}
