/*
 * hint.c - clients that begin in the wrong mode, and handshakes that fail: told
 * to the client in a form that it can read, and to the log with what it means.
 * None of it is a failed login.
 *
 * Runs in submitd-smtp, on the loop.
 */
#include "config.h"
#include "submitd/smtp/session.h"

#include <string.h>

#include "lib/hint.h"
#include "lib/log.h"

static void
hint_log(struct smtp_session *s, const struct tls_alert *a)
{
	char ip[ADDR_STRLEN];

	s->alert = a;
	LOG_EV(LOG_NOTICE, hint_is_wrong_mode(a) ? "smtp.wrongmode" :
	    "tls.failed", s->sid,
	    KV_A("rip", addr_ip_text(&s->peer, ip)),
	    KV_U("lport", conn_local(s->conn)->port),
	    KV_A("why", a->word), KV_T("hint", a->hint));
}

/* A browser that somebody has sent here, or HTTP/2: never answered, so that no
 * answer of ours is taken for one of its server's. */
void
smtp_hint_http(struct smtp_session *s)
{
	char ip[ADDR_STRLEN];

	s->alert = tls_alert_find(TLS_ALERT_HTTP);
	LOG_EV(LOG_NOTICE, "smtp.http", s->sid,
	    KV_A("rip", addr_ip_text(&s->peer, ip)));
	smtp_session_close(s, "http");
}

bool
smtp_hint_hello(struct smtp_session *s)
{
	if (!hint_is_hello(s->conn))
		return false;
	hint_log(s, tls_alert_find(TLS_ALERT_TLS_ON_CLEAR));
	sessions_note_hello(s->worker->table,
	    addr_place(&s->peer, &s->via));
	smtp_send(s, TLS_ALERT_RECORD, TLS_ALERT_RECORD_LEN);
	smtp_session_close(s, "wrongmode");
	return true;
}

bool
smtp_hint_early(struct smtp_session *s)
{
	if (conn_look(s->conn) == 0)
		return false;
	if (smtp_hint_hello(s))
		return true;
	if (tls_first_look(buf_data(conn_input(s->conn)),
	    buf_len(conn_input(s->conn))) == TLS_FIRST_HTTP) {
		smtp_hint_http(s);
		return true;
	}
	hint_log(s, tls_alert_find(TLS_ALERT_EARLY));
	smtp_reply(s, SMTP_R_EARLY);
	return true;
}

void
smtp_hint_gone(struct smtp_session *s, const char *why)
{
	const struct tls_alert *a = hint_of_end(s->conn, why,
	    conf_listener_is_tls(s->settings->conf, s->listener));

	if (a != NULL && strcmp(a->word, TLS_ALERT_HTTP) == 0) {
		smtp_hint_http(s);
		return;
	}
	if (a != NULL)
		hint_log(s, a);
	if (a != NULL && hint_is_wrong_mode(a))
		smtp_reply(s, SMTP_R_TLS_FIRST);
	else
		smtp_session_close(s, why);
}
