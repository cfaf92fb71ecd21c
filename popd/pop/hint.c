/*
 * hint.c - POP3's part of what submitd/smtp/hint.c does for submission: clients
 * that begin in the wrong mode, and handshakes that fail. None of it is a failed
 * login.
 *
 * Runs in popd-pop, on the loop.
 */
#include "config.h"
#include "popd/pop/session.h"

#include <string.h>

#include "lib/hint.h"
#include "lib/log.h"
#include "popd/pop/reply.h"

static void
pop_hint_log(struct pop_session *s, const struct tls_alert *a)
{
	char ip[ADDR_STRLEN];

	s->alert = a;
	LOG_EV(LOG_NOTICE, hint_is_wrong_mode(a) ? "pop3.wrongmode" :
	    "tls.failed", s->id,
	    KV_A("rip", addr_ip_text(&s->peer, ip)),
	    KV_U("lport", conn_local(s->conn)->port),
	    KV_A("why", a->word), KV_T("hint", a->hint));
}

void
pop_hint_http(struct pop_session *s)
{
	char ip[ADDR_STRLEN];

	s->alert = tls_alert_find(TLS_ALERT_HTTP);
	LOG_EV(LOG_NOTICE, "pop3.http", s->id,
	    KV_A("rip", addr_ip_text(&s->peer, ip)));
	pop_session_close(s, "http", false);
}

bool
pop_hint_hello(struct pop_session *s)
{
	if (!hint_is_hello(s->conn))
		return false;
	pop_hint_log(s, tls_alert_find(TLS_ALERT_TLS_ON_CLEAR));
	sessions_note_hello(s->server->table,
	    addr_place(&s->peer, &s->via));
	pop_write(s, TLS_ALERT_RECORD, TLS_ALERT_RECORD_LEN);
	pop_session_close(s, "wrongmode", true);
	return true;
}

bool
pop_hint_early(struct pop_session *s)
{
	struct buf *in = conn_input(s->conn);

	if (conn_look(s->conn) == 0)
		return false;
	if (pop_hint_hello(s))
		return true;
	if (tls_first_look(buf_data(in), buf_len(in)) == TLS_FIRST_HTTP) {
		pop_hint_http(s);
		return true;
	}
	pop_hint_log(s, tls_alert_find(TLS_ALERT_EARLY));
	pop_err(s, POP_CODE_NONE, "Wait for the greeting before you send "
	    "anything");
	pop_session_close(s, "early", true);
	return true;
}

void
pop_hint_gone(struct pop_session *s, const char *why)
{
	const struct tls_alert *a = hint_of_end(s->conn, why, s->implicit_tls);

	if (a != NULL && strcmp(a->word, TLS_ALERT_HTTP) == 0) {
		pop_hint_http(s);
		return;
	}
	if (a != NULL)
		pop_hint_log(s, a);
	if (a == NULL || !hint_is_wrong_mode(a)) {
		pop_session_close(s, why, false);
		return;
	}
	pop_err_help(s, POP_CODE_NONE, "This port begins with TLS: set SSL/TLS "
	    "in your mail program, or port 110 with STARTTLS");
	pop_session_close(s, "wrongmode", true);
}
