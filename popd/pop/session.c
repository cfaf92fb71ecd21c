/*
 * session.c - the life of a POP3 session: its connection, TLS, lines, states
 * and end. Runs in popd-pop. Commands are in command.c and what it calls.
 *
 * Whatever ends a session but a QUIT in TRANSACTION deletes nothing.
 */
#include "config.h"
#include "popd/pop/session.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/line.h"
#include "lib/log.h"
#include "popd/pop/command.h"
#include "popd/pop/limits.h"
#include "popd/pop/past.h"
#include "popd/pop/reply.h"
#include "popd/pop/transfer.h"

#define POP_INPUT_MAX		(16u * 1024)	/* > POP_LINE_AUTH_MAX */

static const char *const pop_state_names[] = {
	[POP_ST_HANDSHAKE] = "handshake",
	[POP_ST_CLEAR] = "clear",
	[POP_ST_AUTH] = "auth",
	[POP_ST_USER] = "user",
	[POP_ST_SASL] = "sasl",
	[POP_ST_TRANS] = "trans",
	[POP_ST_UPDATE] = "update",
	[POP_ST_CLOSED] = "closed",
};
_Static_assert(sizeof(pop_state_names) / sizeof(pop_state_names[0]) ==
    POP_ST__COUNT, "a name for each state");

const char *
pop_state_name(enum pop_state st)
{
	return pop_state_names[st];
}

/* --------------------------------------------------- states and waiting -- */

void
pop_session_enter(struct pop_session *s, enum pop_state next)
{
	if (s->state == POP_ST_CLOSED)
		return;
	LOG_EV(LOG_DEBUG, "pop3.state", s->id,
	    KV_A("from", pop_state_name(s->state)),
	    KV_A("to", pop_state_name(next)));
	s->state = next;
	if (next != POP_ST_CLOSED)
		pop_session_alive(s);
}

/* The deadline moves with whole commands and with progress of a transfer, not
 * with single octets: who dribbles is gone after idle_timeout. */
void
pop_session_alive(struct pop_session *s)
{
	s->alive_ms = clock_mono_ms();
	conn_deadline(s->conn, pop_limits_time_ms(s));
}

void
pop_session_wait(struct pop_session *s)
{
	s->waiting = true;
	conn_pause(s->conn);
}

void
pop_session_go_on(struct pop_session *s)
{
	if (s->state == POP_ST_CLOSED)
		return;
	s->waiting = false;
	if (s->crowded != 0) {
		pop_limits_make_room(s);
		return;
	}
	pop_session_alive(s);
	conn_resume(s->conn);
}

void
pop_session_bad(struct pop_session *s)
{
	if (s->state == POP_ST_CLOSED || ++s->bad < s->conf->error_limit)
		return;
	pop_err_help(s, POP_CODE_NONE, "Too many bad commands: error_limit = %"
	    PRIu64, s->conf->error_limit);
	pop_session_close(s, "bad", true);
}

/* ---------------------------------------------------------------- lines -- */

size_t
pop_line_max(enum pop_state st, const uint8_t *p, size_t len)
{
	if (st == POP_ST_SASL || (len >= 5 &&
	    str_ieq_n("AUTH ", (const char *)p, 5)))
		return POP_LINE_AUTH_MAX;
	return POP_LINE_MAX;
}

/* A line that does not run: too long, or not made of CR LF and text. */
static void
pop_session_refuse_line(struct pop_session *s, const char *why)
{
	if (s->state == POP_ST_SASL) {
		pop_login_abort(s, why);
		return;
	}
	pop_err(s, POP_CODE_NONE, "%s", why);
	pop_session_bad(s);
}

static void
pop_session_line(struct pop_session *s, const struct line *ln)
{
	/* Used up before it runs: STLS looks for what stands behind it. */
	buf_consume(conn_input(s->conn), ln->used);
	pop_session_alive(s);
	if (s->state == POP_ST_SASL)
		pop_login_response(s, ln->text, ln->len);
	else
		pop_command_line(s, ln->text);
	/* It may have held a password. The octets stay until the next read. */
	explicit_bzero(ln->text, ln->len);
}

/* False: nothing more to do with what has come so far. */
static bool
pop_session_step(struct pop_session *s)
{
	struct buf *in = conn_input(s->conn);
	bool was_skipping = s->skipping;
	struct line ln;

	if (s->state == POP_ST_CLEAR && pop_hint_hello(s))
		return false;
	switch (line_next(in, pop_line_max(s->state, buf_data(in),
	    buf_len(in)), s->skipping, &ln)) {
	case LINE_MORE:
		return false;
	case LINE_OK:
		pop_session_line(s, &ln);
		return true;
	case LINE_BARE:
		explicit_bzero(ln.text, ln.len);
		buf_consume(in, ln.used);
		pop_session_refuse_line(s,
		    "Lines end with CR LF and hold no NUL");
		return true;
	case LINE_LONG:
		explicit_bzero(buf_data(in), ln.used);
		buf_consume(in, ln.used);
		s->skipping = !ln.ended;
		if (!was_skipping)
			pop_session_refuse_line(s, "That line is too long");
		return true;
	}
	return false;
}

static void
pop_session_input(void *ctx)
{
	struct pop_session *s = ctx;

	sessions_heard(s->server->table, &s->place, conn_heard_ms(s->conn));
	if (greet_wait_on(&s->silence) && pop_hint_early(s))
		return;
	/* Answers for a client that does not read them are not made. */
	while (!s->waiting && s->state != POP_ST_CLOSED &&
	    !conn_is_full(s->conn) && pop_session_step(s))
		;
	if (s->state != POP_ST_CLOSED)
		buf_release(conn_input(s->conn));
}

/* --------------------------------------------------- connection and TLS -- */

static void
pop_session_greet(struct pop_session *s)
{
	char stamp[AUTHP_CHALLENGE_MAX + 1];

	/* No time-stamp in <> where there is no APOP (RFC 1939 section 7). */
	if (mechs_has_apop(s->conf, s->listener,
	    authc_has_secrets(s->server->authc)))
		s->stamp_s = clock_now_s();
	pop_session_stamp(s, stamp);
	pop_ok(s, "%s POP3 ready%s%s", s->conf->hostname,
	    stamp[0] == '\0' ? "" : " ", stamp);
}

/* --------------------------------------------------------- ways to log in -- */

size_t
pop_session_mechs(const struct pop_session *s, char dst[MECHS_TEXT_SIZE])
{
	uint8_t cert[TLS_FINGERPRINT_SIZE];

	/* Under TLS there is always a channel binding. */
	return mechs_text(s->conf, s->listener,
	    authc_has_secrets(s->server->authc), true,
	    tls_peer_fingerprint(conn_ssl(s->conn), cert) == 0, dst,
	    MECHS_TEXT_SIZE);
}

bool
pop_session_may_try(const struct pop_session *s, enum conf_mech m)
{
	return mechs_may_try(s->conf, s->listener, m);
}

void
pop_session_stamp(const struct pop_session *s,
    char dst[AUTHP_CHALLENGE_MAX + 1])
{
	if (s->stamp_s == 0 || str_format(dst, AUTHP_CHALLENGE_MAX + 1,
	    "<%s.%lld@%s>", s->id, (long long)s->stamp_s,
	    s->conf->hostname) != 0)
		dst[0] = '\0';
}

static void
pop_session_describe(void *session, struct authc_session_info *ret)
{
	const struct pop_session *s = session;

	ret->sid = s->id;
	ret->user = s->user;
	ret->login = s->login;
	ret->peer = &s->peer;
	ret->service = AUTHP_POP;
	ret->mech = s->mech;
	ret->tls = s->tls;
}

/* Nothing is deleted, unless QUIT has asked for it before. */
static void
pop_session_kick(void *session)
{
	struct pop_session *s = session;

	if (s->state != POP_ST_UPDATE)
		pop_session_close(s, "kicked", true);
}

const struct roll_ops pop_session_roll = {
	.describe = pop_session_describe,
	.kick = pop_session_kick,
};

/* ------------------------------------------------------------------ TLS -- */

void
pop_session_start_tls(struct pop_session *s)
{
	s->waiting = true;
	s->utf8 = false;	/* nothing said in clear holds */
	pop_session_enter(s, POP_ST_HANDSHAKE);
	if (conn_start_server_tls(s->conn, s->tls_ctx) != 0)
		pop_session_close(s, "tls", false);
}

static void
pop_session_secured(void *ctx)
{
	struct pop_session *s = ctx;

	tls_describe(conn_ssl(s->conn), s->tls);
	LOG_EV(LOG_INFO, "pop3.tls", s->id, KV_A("tls", s->tls));
	pop_session_enter(s, POP_ST_AUTH);
	if (s->implicit_tls)
		pop_session_greet(s);
	s->waiting = false;
}

static void
pop_session_drained(void *ctx)
{
	struct pop_session *s = ctx;

	pop_transfer_drained(s);
	if (s->state != POP_ST_CLOSED && buf_len(conn_input(s->conn)) > 0)
		conn_kick(s->conn);
}

static void
pop_session_gone(void *ctx, const char *why)
{
	struct pop_session *s = ctx;

	if (s->state == POP_ST_HANDSHAKE) {
		pop_hint_gone(s, why);
		return;
	}
	if (s->crowded != 0 && strcmp(why, "timeout") == 0) {
		pop_limits_make_room(s);
		return;
	}
	/* At its time-out a client gets no reply (RFC 1939 section 3); one that
	 * has ended its own half still gets those that it is owed. */
	pop_session_close(s, why, strcmp(why, "eof") == 0);
}

static const struct conn_ops pop_conn_ops = {
	.input = pop_session_input,
	.drained = pop_session_drained,
	.secured = pop_session_secured,
	.gone = pop_session_gone,
};

/* ------------------------------------------------------- life and death -- */

static void
pop_session_free(void *ctx)
{
	struct pop_session *s = ctx;

	conf_unref(s->conf);
	SSL_CTX_free(s->tls_ctx);
	free(s);
}

static void
pop_session_log_close(struct pop_session *s, const char *why)
{
	char ip[ADDR_STRLEN];

	LOG_EV(LOG_INFO, "pop3.close", s->id,
	    KV_A("rip", addr_ip_text(&s->peer, ip)),
	    KV_S("user", s->user[0] == '\0' ? NULL : s->user),
	    KV_A("why", why), KV_A("state", pop_state_name(s->state)),
	    KV_U("cmds", s->n_commands), KV_U("bad", s->bad),
	    KV_U("retr", s->n_retr), KV_U("top", s->n_top),
	    KV_U("dele", s->n_removed),
	    KV_U("in", conn_octets_in(s->conn)),
	    KV_U("out", conn_octets_out(s->conn) + conn_pending(s->conn)),
	    KV_I("ms", clock_mono_ms() - s->opened_ms));
}

void
pop_session_close(struct pop_session *s, const char *why, bool flush)
{
	struct pop_server *srv = s->server;

	if (s->state == POP_ST_CLOSED)
		return;
	pop_session_log_close(s, why);
	pop_past_tell(s, why);
	pop_session_enter(s, POP_ST_CLOSED);
	greet_wait_end(&s->silence);
	roll_leave(srv->roll, &s->roll);
	pop_transfer_free(s);
	exchange_free(s->exchange);
	mboxc_close(s->drop);
	free(s->deleted);
	free(s->name);
	free(s->login);
	pop_past_free(s->past);
	s->past = NULL;
	s->exchange = NULL;
	s->drop = NULL;
	s->deleted = NULL;
	s->name = NULL;
	s->login = NULL;
	conn_close(s->conn, flush);
	TAILQ_REMOVE(&srv->sessions, s, link);
	acceptor_left(srv->acceptor);
	sessions_leave(srv->table, &s->place);
	/* The caller may stand in one of our frames. */
	if (loop_defer(srv->loop, pop_session_free, s) != 0)
		return;		/* no memory for the reaper: leaked */
}

static struct pop_session *
pop_session_new(struct pop_server *srv, int fd,
    const struct acceptor_client *c)
{
	struct pop_session *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->conn = conn_new(srv->loop, fd, POP_INPUT_MAX, &pop_conn_ops, s);
	if (s->conn == NULL) {
		free(s);
		return NULL;
	}
	s->server = srv;
	s->conf = conf_ref(srv->conf);
	s->tls_ctx = srv->tls.ctx[c->listener];
	if (s->tls_ctx != NULL)
		SSL_CTX_up_ref(s->tls_ctx);
	s->peer = c->peer;
	s->via = c->via;
	s->claimed = c->claimed;
	s->listener = c->listener;
	s->implicit_tls = conf_listener_is_tls(s->conf, c->listener);
	s->state = POP_ST_CLEAR;
	s->opened_ms = clock_mono_ms();
	str_id(s->id);
	TAILQ_INSERT_TAIL(&srv->sessions, s, link);
	return s;
}

/* The silence is over, if there was to be one. */
static void
pop_session_begin_clear(void *ctx)
{
	struct pop_session *s = ctx;

	greet_wait_end(&s->silence);
	if (!pop_hint_early(s))
		pop_session_greet(s);
}

int
pop_session_accept(void *ctx, int fd, const struct acceptor_client *c)
{
	struct pop_session *s = pop_session_new(ctx, fd, c);
	char ip[ADDR_STRLEN], local[ADDR_STRLEN], via[ADDR_STRLEN];

	if (s == NULL)
		return ERR_NOMEM;
	LOG_EV(LOG_INFO, "pop3.open", s->id,
	    KV_A("rip", addr_ip_text(&s->peer, ip)),
	    KV_U("rport", s->peer.port),
	    KV_A("service", conf_listener_name(s->conf, s->listener)),
	    KV_A("lip", addr_text(conn_local(s->conn), local)),
	    KV_A("via", s->claimed ? addr_ip_text(&s->via, via) : NULL));
	pop_limits_enter(s);
	if (!s->implicit_tls) {
		pop_session_alive(s);
		if (!greet_wait_begin(&s->silence, s->server->loop,
		    s->server->table, addr_place(&s->peer, &s->via),
		    pop_session_begin_clear, s))
			pop_session_begin_clear(s);
	} else if (s->tls_ctx != NULL) {
		pop_session_start_tls(s);
	} else {
		pop_session_close(s, "tls.unavailable", false);
	}
	return 0;
}
