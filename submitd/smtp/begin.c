/*
 * begin.c - how a session begins: from the accepted descriptor to the greeting,
 * or to the end of the handshake on the port of implicit TLS.
 *
 * Runs in submitd-smtp, on the loop.
 */
#include "config.h"
#include "submitd/smtp/limits.h"

#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/log.h"

static void
begin_log(const struct smtp_session *s)
{
	char rip[ADDR_STRLEN], lip[ADDR_STRLEN], via[ADDR_STRLEN];

	LOG_EV(LOG_INFO, "smtp.open", s->sid,
	    KV_A("rip", addr_ip_text(&s->peer, rip)),
	    KV_U("rport", s->peer.port),
	    KV_A("lip", addr_ip_text(conn_local(s->conn), lip)),
	    KV_U("lport", conn_local(s->conn)->port),
	    KV_A("via", s->claimed ? addr_ip_text(&s->via, via) : NULL));
}

void
smtp_begin_greet(struct smtp_session *s)
{
	char text[300];

	if (str_format(text, sizeof(text), "%s %s submitd",
	    s->settings->conf->hostname, s->lmtp ? "LMTP" : "ESMTP") != 0)
		text[0] = '\0';
	smtp_reply_with(s, SMTP_R_GREETING, text);
}

void
smtp_begin_secured(void *ctx)
{
	struct smtp_session *s = ctx;
	char desc[TLS_DESC_SIZE], ip[ADDR_STRLEN];

	tls_describe(conn_ssl(s->conn), desc);
	if ((s->tls = strdup(desc)) == NULL) {
		smtp_session_close(s, "memory");
		return;
	}
	LOG_EV(LOG_INFO, "smtp.tls", s->sid,
	    KV_A("rip", addr_ip_text(&s->peer, ip)), KV_A("tls", s->tls));
	smtp_session_enter(s, SMTP_ST_SECURE);
	if (conf_listener_is_tls(s->settings->conf, s->listener))
		smtp_begin_greet(s);
}

static void
begin_link(struct smtp_session *s)
{
	struct smtp_worker *w = s->worker;

	s->next = w->sessions;
	if (s->next != NULL)
		s->next->prev = &s->next;
	s->prev = &w->sessions;
	w->sessions = s;
}

static void
begin_lmtp(struct smtp_session *s)
{
	if ((s->tls = strdup("")) == NULL) {
		smtp_session_close(s, "memory");
		return;
	}
	smtp_session_enter(s, SMTP_ST_SECURE);
	smtp_begin_greet(s);
}

/* The silence is over, if there was to be one. */
static void
begin_clear(void *ctx)
{
	struct smtp_session *s = ctx;

	greet_wait_end(&s->silence);
	if (!smtp_hint_early(s))
		smtp_begin_greet(s);
}

int
smtp_session_new(struct smtp_worker *w, int fd, const struct acceptor_client *c)
{
	SSL_CTX *tls = w->settings->tls.ctx[c->listener];
	bool is_tls = conf_listener_is_tls(w->settings->conf, c->listener);
	struct smtp_session *s;

	if (is_tls && tls == NULL)
		return ERR_CONFIG;
	if ((s = calloc(1, sizeof(*s))) == NULL)
		return ERR_NOMEM;
	s->worker = w;
	s->peer = c->peer;
	s->via = c->via;
	s->listener = c->listener;
	s->claimed = c->claimed;
	s->lmtp = c->local;
	s->opened_ms = clock_mono_ms();
	str_id(s->sid);
	s->conn = conn_new(w->loop, fd, SMTP_IN_MAX, &smtp_session_conn_ops, s);
	if (s->conn == NULL) {
		free(s);
		return ERR_NOMEM;
	}
	s->settings = smtp_settings_ref(w->settings);
	begin_link(s);
	begin_log(s);
	smtp_limits_enter(s);
	if (s->lmtp) {
		begin_lmtp(s);
	} else if (!is_tls) {
		smtp_session_enter(s, SMTP_ST_GREET);
		if (!greet_wait_begin(&s->silence, w->loop, w->table,
		    addr_place(&s->peer, &s->via), begin_clear, s))
			begin_clear(s);
	} else if (conn_start_server_tls(s->conn, tls) == 0) {
		smtp_session_enter(s, SMTP_ST_HANDSHAKE);
	} else {
		smtp_session_close(s, "memory");
	}
	return 0;
}
