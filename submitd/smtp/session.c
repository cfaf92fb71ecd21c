/*
 * session.c - the session object: its life, its lines, its answers.
 *
 * Runs in submitd-smtp, on the loop. Close marks, the reaper frees: after
 * smtp_session_close() the struct lives to the end of the turn, so every caller
 * may still look at its state.
 */
#include "config.h"
#include "submitd/smtp/session.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/mailbox.h"
#include "submitd/smtp/command.h"
#include "submitd/smtp/limits.h"

static void session_input(void *ctx);
static void session_drained(void *ctx);
static void session_gone(void *ctx, const char *why);

const struct conn_ops smtp_session_conn_ops = {
	.input = session_input,
	.drained = session_drained,
	.secured = smtp_begin_secured,
	.gone = session_gone,
};

const char *
smtp_state_name(enum smtp_state st)
{
	static const char *const names[] = {
		"greet", "clear", "handshake", "secure", "hello", "auth",
		"ready", "mail", "rcpt", "data", "chunk", "closed",
	};
	_Static_assert(sizeof(names) / sizeof(names[0]) == SMTP_ST__COUNT,
	    "each state has a name");

	return names[st];
}

void
smtp_session_enter(struct smtp_session *s, enum smtp_state next)
{
	LOG_EV(LOG_DEBUG, "smtp.state", s->sid,
	    KV_A("from", smtp_state_name(s->state)),
	    KV_A("to", smtp_state_name(next)));
	s->state = next;
	switch (next) {
	case SMTP_ST_HANDSHAKE:
		conn_deadline(s->conn, SMTP_HANDSHAKE_MS);
		break;
	case SMTP_ST_GREET:
	case SMTP_ST_SECURE:
		/* Clients that never authorise themselves do not stay. */
		conn_deadline(s->conn, smtp_limits_stranger_ms(s));
		break;
	case SMTP_ST_READY:
	case SMTP_ST_MAIL:
		conn_deadline(s->conn, 0);
		break;
	default:
		break;
	}
}

enum smtp_state
smtp_session_rest(const struct smtp_session *s)
{
	if (s->tls == NULL)
		return s->hello == NULL ? SMTP_ST_GREET : SMTP_ST_CLEAR;
	if (s->hello == NULL)
		return SMTP_ST_SECURE;
	return s->ticket == NULL ? SMTP_ST_HELLO : SMTP_ST_READY;
}

/* --------------------------------------------------------------- answers -- */

void
smtp_send(struct smtp_session *s, const void *p, size_t len)
{
	if (s->state != SMTP_ST_CLOSED && conn_write(s->conn, p, len) != 0)
		smtp_session_close(s, "output");
}

/* The key that sets the limit, where the answer is about one. */
static const char *
session_detail(const struct smtp_session *s, enum smtp_reply r,
    const char *detail, char buf[SMTP_LIMIT_TEXT])
{
	const char *limit = smtp_limit_text(s->settings->conf, r, buf);

	return limit != NULL ? limit : detail;
}

static void
session_send_reply(struct smtp_session *s, enum smtp_reply r,
    const char *detail)
{
	char text[SMTP_REPLY_SIZE], buf[SMTP_LIMIT_TEXT];
	size_t len;

	detail = session_detail(s, r, detail, buf);
	len = smtp_reply_format(text, r, detail, s->settings->conf->help_text,
	    s->sid, s->utf8);
	smtp_send(s, text, len);
}

/* RFC 2033 section 4.2: to a message one for each recipient that was taken. */
static void
session_send_replies(struct smtp_session *s, enum smtp_reply r,
    const char *detail)
{
	uint64_t n = s->replies;

	s->replies = 0;
	if (smtp_reply_row(r)->flags & SMTP_R_CLOSE)
		n = 0;
	do
		session_send_reply(s, r, detail);
	while (n > 0 && --n > 0);
}

static const char *
session_close_word(enum smtp_reply r)
{
	switch (r) {
	case SMTP_R_BYE:
		return "quit";
	case SMTP_R_STOPPING:
		return "stop";
	case SMTP_R_IDLE:
		return "timeout";
	case SMTP_R_STRANGER:
		return "stranger";
	case SMTP_R_CROWDED_ADDRESS:
	case SMTP_R_CROWDED_NETWORK:
	case SMTP_R_CROWDED_USER:
		return "crowded";
	case SMTP_R_CHUNK_SYNTAX:
		return "bdat";
	case SMTP_R_INJECTION:
		return "injection";
	case SMTP_R_EARLY:
		return "early";
	case SMTP_R_TLS_FIRST:
		return "wrongmode";
	case SMTP_R_PIPELINED_RESPONSE:
	case SMTP_R_PIPELINED_DATA:
		return "pipelining";
	case SMTP_R_TOO_MANY_ERRORS:
		return "errors";
	case SMTP_R_TOO_MANY_LOGINS:
		return "logins";
	case SMTP_R_TOO_MANY_CHEAP:
		return "idling";
	case SMTP_R_VOID:
		return "void";
	case SMTP_R_KICKED:
		return "kicked";
	case SMTP_R_TOO_SLOW:
		return "slow";
	default:
		return "refused";
	}
}

void
smtp_reply_with(struct smtp_session *s, enum smtp_reply r, const char *detail)
{
	const struct smtp_reply_row *row = smtp_reply_row(r);
	char buf[SMTP_LIMIT_TEXT];

	if (s->state == SMTP_ST_CLOSED)
		return;
	smtp_past_reply(s, r, session_detail(s, r, detail, buf), NULL);
	session_send_replies(s, r, detail);
	if ((row->flags & SMTP_R_ERROR) &&
	    ++s->sums.errors >= s->settings->conf->error_limit) {
		r = SMTP_R_TOO_MANY_ERRORS;
		session_send_reply(s, r, NULL);
		row = smtp_reply_row(r);
	}
	if (row->flags & SMTP_R_CLOSE)
		smtp_session_close(s, session_close_word(r));
}

void
smtp_reply(struct smtp_session *s, enum smtp_reply r)
{
	smtp_reply_with(s, r, NULL);
}

static void
session_refuse(struct smtp_session *s, enum smtp_reply r, const char *command,
    const char *address, const char *field, const char *detail)
{
	const struct smtp_reply_row *row = smtp_reply_row(r);
	char ip[ADDR_STRLEN];

	LOG_EV(LOG_INFO, "smtp.refused", s->sid,
	    KV_A("rip", addr_ip_text(&s->peer, ip)), KV_A("cmd", command),
	    KV_U("code", row->code), KV_A("status", row->enhanced),
	    KV_S("user", s->user), KV_S("address", address),
	    KV_S("header", field));
	smtp_past_reply(s, r, detail, s->tx != NULL ? s->tx->sender : address);
	smtp_reply_with(s, r, detail);
}

void
smtp_refuse_with(struct smtp_session *s, enum smtp_reply r,
    const char *command, const char *address, const char *detail)
{
	session_refuse(s, r, command, address, NULL, detail);
}

void
smtp_refuse_message(struct smtp_session *s, enum smtp_reply r,
    const char *sender, const char *field, const char *detail)
{
	session_refuse(s, r, "DATA", sender, field, detail);
}

void
smtp_refuse(struct smtp_session *s, enum smtp_reply r, const char *command,
    const char *address)
{
	const char *row = smtp_reply_row(r)->text, *detail = NULL;
	char text[2 * MAILBOX_SIZE + 32];

	if (r == SMTP_R_TOO_BIG && str_format(text, sizeof(text), "%" PRIu64,
	    s->settings->conf->message_size_limit) == 0)
		detail = text;
	else if (row[strlen(row) - 1] == ' ')
		detail = address != NULL && *address == '\0' ? "<>" : address;
	/* Only to who has shown that he is that user. */
	if (r == SMTP_R_NOT_SENDER && s->user != NULL && str_format(text,
	    sizeof(text), "%s; you may send as %s", detail == NULL ? "" :
	    detail, s->user) == 0)
		detail = text;
	smtp_refuse_with(s, r, command, address, detail);
}

/* ----------------------------------------------------------------- input -- */

void
smtp_wait(struct smtp_session *s)
{
	s->waiting = true;
	conn_pause(s->conn);
}

void
smtp_go_on(struct smtp_session *s)
{
	if (s->state == SMTP_ST_CLOSED)
		return;
	s->waiting = false;
	if (s->worker->stopping || s->kicked || s->crowded != SMTP_R_NONE) {
		smtp_reply(s, s->kicked ? SMTP_R_KICKED :
		    s->crowded != SMTP_R_NONE ? s->crowded : SMTP_R_STOPPING);
		return;
	}
	conn_resume(s->conn);
}

void
smtp_line_done(struct smtp_session *s)
{
	struct buf *in = conn_input(s->conn);

	if (s->line_used == 0)
		return;
	if (s->secret_line)
		explicit_bzero(buf_data(in), s->line_used);
	buf_consume(in, s->line_used);
	s->line_used = 0;
	s->secret_line = false;
}

/* Whether the line that begins in the input is this command. AUTH's initial
 * response is part of the exchange (RFC 4954 section 4). */
static bool
session_is_verb(const struct smtp_session *s, const char *verb)
{
	struct buf *in = conn_input(s->conn);
	size_t len = strlen(verb);

	return buf_len(in) > len && buf_data(in)[len] == ' ' &&
	    str_ieq_n(verb, (const char *)buf_data(in), len);
}

/* Whose line it is that begins in the input; NULL: no command's. */
static const struct smtp_command *
session_command(const struct smtp_session *s)
{
	struct buf *in = conn_input(s->conn);
	size_t len = 0;

	while (len < buf_len(in) && len < 16 && buf_data(in)[len] != ' ')
		len++;
	return smtp_command_find((const char *)buf_data(in), len);
}

static void
session_long_line(struct smtp_session *s, const struct line *ln)
{
	bool first = !s->skipping;

	s->skipping = !ln->ended;
	if (!first)
		return;
	if (s->state == SMTP_ST_AUTH) {
		smtp_auth_long_line(s);
	} else {
		s->sums.commands++;
		/* How many octets follow this one nobody can tell. */
		if (session_is_verb(s, "BDAT"))
			smtp_reply(s, SMTP_R_CHUNK_SYNTAX);
		else if (session_is_verb(s, "AUTH"))
			smtp_reply(s, SMTP_R_LONG_RESPONSE);
		else
			smtp_command_long(s, session_command(s));
	}
}

/* A line holding a bare CR, a bare LF or a NUL: nothing of it runs. */
static void
session_bare_line(struct smtp_session *s, const struct line *ln)
{
	char ip[ADDR_STRLEN];

	LOG_EV(LOG_WARNING, "smtp.smuggling", s->sid, KV_A("in", "command"),
	    KV_A("rip", addr_ip_text(&s->peer, ip)), KV_S("user", s->user));
	if (s->state == SMTP_ST_AUTH) {
		smtp_auth_line(s, ln->text, ln->len);
	} else {
		s->sums.commands++;
		smtp_reply(s, session_is_verb(s, "BDAT") ?
		    SMTP_R_CHUNK_SYNTAX : SMTP_R_BARE_LINE);
	}
}

/* One line; false when there is none yet. */
static bool
session_line(struct smtp_session *s)
{
	struct line ln;
	enum line_result r;

	r = line_next(conn_input(s->conn), SMTP_AUTH_LINE_MAX, s->skipping,
	    &ln);
	if (r == LINE_MORE)
		return false;
	s->line_used = ln.used;
	s->secret_line = s->state == SMTP_ST_AUTH;
	if (r == LINE_LONG)
		session_long_line(s, &ln);
	else if (r == LINE_BARE)
		session_bare_line(s, &ln);
	else if (s->state == SMTP_ST_AUTH)
		smtp_auth_line(s, ln.text, ln.len);
	else
		smtp_command_line(s, ln.text, ln.len, ln.used);
	if (s->state != SMTP_ST_CLOSED)
		smtp_line_done(s);
	return true;
}

/* The octets of a chunk that BDAT announced and that nobody wanted. */
static bool
session_waste(struct smtp_session *s)
{
	struct buf *in = conn_input(s->conn);
	size_t n = buf_len(in);

	if (n > s->waste)
		n = (size_t)s->waste;
	buf_consume(in, n);
	s->waste -= n;
	return n > 0;
}

static bool
session_step(struct smtp_session *s)
{
	/* Answers for a client that does not read them are not made. */
	if (s->waiting || s->state == SMTP_ST_CLOSED || conn_is_full(s->conn))
		return false;
	switch (s->state) {
	case SMTP_ST_CLOSED:
	case SMTP_ST_HANDSHAKE:
		return false;
	case SMTP_ST_DATA:
		return smtp_data_input(s);
	case SMTP_ST_CHUNK:
		return s->tx->content->chunk ? smtp_chunk_input(s) :
		    session_line(s);
	default:
		if (s->waste > 0)
			return session_waste(s);
		return (s->tls != NULL || !smtp_hint_hello(s)) &&
		    session_line(s);
	}
}

static void
session_input(void *ctx)
{
	struct smtp_session *s = ctx;

	sessions_heard(s->worker->table, &s->place, conn_heard_ms(s->conn));
	if (greet_wait_on(&s->silence) && smtp_hint_early(s))
		return;
	while (session_step(s))
		;
	/* An idle session keeps no buffer. */
	if (s->state != SMTP_ST_CLOSED)
		buf_release(conn_input(s->conn));
}

static void
session_drained(void *ctx)
{
	struct smtp_session *s = ctx;

	if (s->state != SMTP_ST_CLOSED && buf_len(conn_input(s->conn)) > 0)
		conn_kick(s->conn);
}

/* ------------------------------------------------------------------ life -- */

static void
session_log_close(const struct smtp_session *s, const char *why)
{
	char ip[ADDR_STRLEN];

	LOG_EV(LOG_INFO, "smtp.close", s->sid,
	    KV_A("rip", addr_ip_text(&s->peer, ip)), KV_A("why", why),
	    KV_A("state", smtp_state_name(s->state)), KV_S("user", s->user),
	    KV_U("msgs", s->sums.messages), KV_U("cmds", s->sums.commands),
	    KV_U("errors", s->sums.errors), KV_U("logins", s->sums.logins),
	    KV_U("in", conn_octets_in(s->conn)),
	    KV_U("out", conn_octets_out(s->conn)),
	    KV_I("ms", clock_mono_ms() - s->opened_ms));
}

static void
session_gone(void *ctx, const char *why)
{
	struct smtp_session *s = ctx;

	if (s->state == SMTP_ST_HANDSHAKE) {
		smtp_hint_gone(s, why);
		return;
	}
	if (strcmp(why, "timeout") == 0)
		smtp_reply(s, smtp_limits_timeout(s));
	smtp_session_close(s, why);
}

static void
session_free(void *ctx)
{
	struct smtp_session *s = ctx;

	free(s->hello);
	free(s->tls);
	free(s->ticket);
	free(s->user);
	free(s->login);
	free(s->mech);
	smtp_past_free(s->past);
	smtp_settings_unref(s->settings);
	free(s);
}

static void
session_unlink(struct smtp_session *s)
{
	*s->prev = s->next;
	if (s->next != NULL)
		s->next->prev = s->prev;
	acceptor_left(s->worker->acceptor);
	sessions_leave(s->worker->table, &s->place);
	if (s->worker->stopping && s->worker->sessions == NULL)
		smtp_worker_idle(s->worker);
}

void
smtp_session_close(struct smtp_session *s, const char *why)
{
	if (s->state == SMTP_ST_CLOSED)
		return;
	session_log_close(s, why);
	smtp_past_tell(s, why);
	smtp_line_done(s);	/* no octet of it is taken for one that waits */
	smtp_tx_drop(s);
	s->state = SMTP_ST_CLOSED;
	greet_wait_end(&s->silence);
	roll_leave(s->worker->roll, &s->roll);
	if (s->has_call)
		authc_cancel(s->worker->authc, s->call);
	s->has_call = false;
	exchange_free(s->exchange);
	s->exchange = NULL;
	conn_close(s->conn, true);
	s->conn = NULL;
	session_unlink(s);
	loop_defer(s->worker->loop, session_free, s);
}

/* -------------------------------------------------------------- the roll -- */

static void
session_describe(void *session, struct authc_session_info *ret)
{
	const struct smtp_session *s = session;

	ret->sid = s->sid;
	ret->user = s->user;
	ret->login = s->login;
	ret->peer = &s->peer;
	ret->service = AUTHP_SMTP;
	ret->mech = s->mech;
	ret->tls = s->tls;
}

/* Who waits for an answer gets it first: the commands before this are done. */
static void
session_kick(void *session)
{
	struct smtp_session *s = session;

	s->kicked = true;
	if (!s->waiting)
		smtp_reply(s, SMTP_R_KICKED);
}

const struct roll_ops smtp_session_roll = {
	.describe = session_describe,
	.kick = session_kick,
};

struct exchange *
smtp_session_exchange(struct smtp_session *s)
{
	if (s->exchange == NULL)
		s->exchange = exchange_new(s->worker->authc, AUTHP_SMTP,
		    s->sid, s->claimed ? &s->peer : NULL);
	return s->exchange;
}
