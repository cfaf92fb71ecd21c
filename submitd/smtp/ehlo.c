/*
 * ehlo.c - EHLO, HELO and STARTTLS (RFC 5321 section 4.1.1.1, RFC 3207).
 * Runs in submitd-smtp.
 */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "auth/mechs.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "submitd/smtp/command.h"

/* Anything goes that can be written down: machines are called what their owners
 * please. Only a domain or literal stands in Received. */
static bool
ehlo_is_name(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)name[i] < ' ' || name[i] == 0x7f)
			return false;
	return len <= SMTP_HELO_MAX;
}

/* Keeps what the client calls itself; a transaction ends (section 4.1.4). */
static bool
ehlo_take(struct smtp_session *s, const char *name, bool esmtp)
{
	struct smtp_hello *h;
	size_t len = strlen(name);

	if (!ehlo_is_name(name, len)) {
		smtp_reply(s, SMTP_R_BAD_NAME);
		return false;
	}
	if ((h = calloc(1, sizeof(*h) + len + 1)) == NULL) {
		smtp_reply(s, SMTP_R_NO_MEMORY);
		return false;
	}
	h->esmtp = esmtp;
	memcpy(h->name, name, len);
	free(s->hello);
	s->hello = h;
	s->utf8 = false;
	smtp_tx_drop(s);
	smtp_session_enter(s, smtp_session_rest(s));
	return true;
}

void
smtp_cmd_helo(struct smtp_session *s, char *arg)
{
	if (ehlo_take(s, arg, false))
		smtp_reply_with(s, SMTP_R_HELLO, s->settings->conf->hostname);
}

/* "250-AUTH" and what this client may use; "" when that is nothing. Under TLS
 * there is always a channel binding. */
static void
ehlo_auth(const struct smtp_session *s, char *dst, size_t size)
{
	uint8_t cert[TLS_FINGERPRINT_SIZE];
	char mechs[MECHS_TEXT_SIZE];

	dst[0] = '\0';
	if (mechs_text(s->settings->conf, s->listener,
	    authc_has_secrets(s->worker->authc), true,
	    tls_peer_fingerprint(conn_ssl(s->conn), cert) == 0, mechs,
	    sizeof(mechs)) > 0)
		(void)str_format(dst, size, "250-AUTH %s\r\n", mechs);
}

void
smtp_cmd_ehlo(struct smtp_session *s, char *arg)
{
	const struct conf *conf = s->settings->conf;
	char text[1024], auth[MECHS_TEXT_SIZE + 16] = "", more[256] = "";
	const char *xclient = "";

	if (!ehlo_take(s, arg, true))
		return;
	/* Only what spool and delivery obey. AUTH under TLS alone, and
	 * STARTTLS only where it can work (RFC 8314 section 4). */
	if (s->tls != NULL) {
		ehlo_auth(s, auth, sizeof(auth));
		(void)smtp_extensions_text(s->settings->extensions,
		    clock_now_s(), more, sizeof(more));
	} else if (s->settings->tls.ctx[s->listener] != NULL) {
		str_copy(auth, sizeof(auth), "250-STARTTLS\r\n");
	}
	if (conf_listener_takes_xclient(conf, s->listener, &s->via))
		xclient = "250-XCLIENT NAME ADDR PORT PROTO HELO\r\n";
	if (str_format(text, sizeof(text), "250-%s\r\n250-PIPELINING\r\n"
	    "250-SIZE %" PRIu64 "\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"
	    "250-CHUNKING\r\n250-DSN\r\n250-LIMITS RCPTMAX=%" PRIu64
	    "\r\n%s%s%s250 ENHANCEDSTATUSCODES\r\n", conf->hostname,
	    conf->message_size_limit, conf->recipient_limit, more,
	    auth, xclient) == 0)
		smtp_send(s, text, strlen(text));
	else
		smtp_reply(s, SMTP_R_NO_MEMORY);
}

/* RFC 2033 section 4.1. */
void
smtp_cmd_lhlo(struct smtp_session *s, char *arg)
{
	const struct conf *conf = s->settings->conf;
	char text[512];

	if (!ehlo_take(s, arg, true))
		return;
	if (str_format(text, sizeof(text), "250-%s\r\n250-PIPELINING\r\n"
	    "250-SIZE %" PRIu64 "\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"
	    "250 ENHANCEDSTATUSCODES\r\n", conf->hostname,
	    conf->message_size_limit) == 0)
		smtp_send(s, text, strlen(text));
	else
		smtp_reply(s, SMTP_R_NO_MEMORY);
}

void
smtp_cmd_starttls(struct smtp_session *s, char *arg)
{
	SSL_CTX *tls = s->settings->tls.ctx[s->listener];
	char ip[ADDR_STRLEN];

	(void)arg;
	if (tls == NULL) {
		smtp_reply(s, SMTP_R_NO_TLS);
		return;
	}
	smtp_line_done(s);
	/* What came in clear behind STARTTLS may be an attacker's: it would
	 * run as the client's inside TLS. */
	if (buf_len(conn_input(s->conn)) > 0) {
		LOG_EV(LOG_WARNING, "starttls.injection", s->sid,
		    KV_A("rip", addr_ip_text(&s->peer, ip)),
		    KV_U("octets", buf_len(conn_input(s->conn))));
		smtp_reply(s, SMTP_R_INJECTION);
		return;
	}
	smtp_reply(s, SMTP_R_READY_TLS);
	if (s->state == SMTP_ST_CLOSED)
		return;
	free(s->hello);			/* RFC 3207 section 4.2 */
	s->hello = NULL;
	if (conn_start_server_tls(s->conn, tls) != 0) {
		smtp_session_close(s, "tls");
		return;
	}
	smtp_session_enter(s, SMTP_ST_HANDSHAKE);
}
