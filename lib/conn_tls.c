/*
 * conn_tls.c - a connection's way from clear text to TLS, as server or client,
 * and its failures in words. See conn.h.
 */
#include "lib/conn_private.h"

#include <string.h>

#include <openssl/err.h>

#include "lib/clock.h"
#include "lib/str.h"
#include "lib/tls_alert.h"

#define CONN_ASIDES_MAX	32u	/* messages of TLS between the octets */

/* close_notify (RFC 8314 section 3.4); we don't wait for theirs. */
void
conn_close_notify(struct conn *c)
{
	if (c->ssl == NULL || !SSL_is_init_finished(c->ssl) ||
	    (SSL_get_shutdown(c->ssl) & SSL_SENT_SHUTDOWN))
		return;
	ERR_clear_error();
	SSL_shutdown(c->ssl);
}

/* A client that has not begun TLS reads clear text: the handshake is given up,
 * so that the owner can tell it why. */
void
conn_leave_tls(struct conn *c)
{
	if (c->state != CONN_HANDSHAKE || !c->server ||
	    tls_first_look(c->first, c->n_first) == TLS_FIRST_HELLO)
		return;
	SSL_free(c->ssl);
	c->ssl = NULL;
	c->state = CONN_CLEAR;
	c->can_tell = true;
}

void
conn_tls_failed(struct conn *c)
{
	char why[64];

	if (str_format(why, sizeof why, "tls:%s",
	    tls_alert_of(ERR_peek_error())->word) != 0)
		str_copy(why, sizeof why, "tls:" TLS_ALERT_OTHER);
	ERR_clear_error();
	conn_leave_tls(c);
	conn_gone(c, why);
}

void
conn_handshake(struct conn *c)
{
	uint64_t said = BIO_number_written(SSL_get_wbio(c->ssl));
	int n, e;

	c->wants_write = false;
	ERR_clear_error();
	n = SSL_do_handshake(c->ssl);
	said = BIO_number_written(SSL_get_wbio(c->ssl)) - said;
	if (n == 1) {
		c->state = CONN_TLS;
		c->heard_ms = clock_mono_ms();
		/* The client's first command may wait for that. */
		if (c->server && !SSL_has_pending(c->ssl))
			conn_acknowledge(c);
		c->ops->secured(c->ctx);
		if (c->state == CONN_TLS && !c->gone) {
			if (conn_reads(c) && SSL_has_pending(c->ssl))
				conn_defer(c, conn_run_input, &c->kicked);
			conn_update(c);
		}
		return;
	}
	e = SSL_get_error(c->ssl, n);
	if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE) {
		c->wants_write = e == SSL_ERROR_WANT_WRITE;
		/* GnuTLS sends its change_cipher_spec first, and alone. */
		if (c->server && said == 0)
			conn_acknowledge(c);
		conn_update(c);
	} else if (e == SSL_ERROR_SSL) {
		conn_tls_failed(c);
	} else {
		conn_gone(c, "tls:" TLS_ALERT_CLOSED);
	}
}

/* Tickets, key updates and the wish to shake hands anew do not end a read of
 * OpenSSL's: who sends nothing else would have the whole process to himself. Some
 * of them a connection are enough for anybody; then it reads as if it had ended. */
static void
conn_count_asides(int write_p, int version, int type, const void *p, size_t len,
    SSL *ssl, void *arg)
{
	static const uint8_t asides[] = { SSL3_MT_HELLO_REQUEST,
		SSL3_MT_CLIENT_HELLO, SSL3_MT_NEWSESSION_TICKET,
		SSL3_MT_KEY_UPDATE };
	struct conn *c = arg;

	(void)version;
	if (write_p || type != SSL3_RT_HANDSHAKE || len == 0 ||
	    memchr(asides, *(const uint8_t *)p, sizeof(asides)) == NULL ||
	    ++c->n_asides <= CONN_ASIDES_MAX)
		return;
	SSL_set_shutdown(ssl, SSL_get_shutdown(ssl) | SSL_RECEIVED_SHUTDOWN);
}

static int
conn_start_tls(struct conn *c, SSL_CTX *ctx)
{
	if (c->state != CONN_CLEAR || buf_len(&c->in) > 0 || c->eof)
		return ERR_FORMAT;
	c->ssl = SSL_new(ctx);
	if (c->ssl == NULL || SSL_set_fd(c->ssl, c->fd) != 1)
		return ERR_NOMEM;
	/* The output buffer moves as it grows and is sent piece by piece. */
	SSL_set_mode(c->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	c->state = CONN_FLUSH_THEN_TLS;
	conn_defer(c, conn_run_flush, &c->flushing);
	conn_update(c);
	return 0;
}

/* Called at the first record's header, before OpenSSL judges it: what it has
 * read is not to be had from it afterwards. */
static void
conn_first_record(int write_p, int version, int type, const void *p,
    size_t len, SSL *ssl, void *arg)
{
	struct conn *c = arg;

	(void)version;
	if (write_p)
		return;
	c->n_first = type == SSL3_RT_HEADER && len <= CONN_FIRST ? len : 1;
	c->first[0] = 0x16;		/* what else it parses is a ClientHello */
	if (c->n_first > 1)
		memcpy(c->first, p, len);
	SSL_set_msg_callback(ssl, conn_count_asides);
}

int
conn_start_server_tls(struct conn *c, SSL_CTX *ctx)
{
	int r = conn_start_tls(c, ctx);

	if (r != 0)
		return r;
	c->server = true;
	SSL_set_msg_callback(c->ssl, conn_first_record);
	SSL_set_msg_callback_arg(c->ssl, c);
	SSL_set_accept_state(c->ssl);
	return 0;
}

int
conn_start_client_tls(struct conn *c, SSL_CTX *ctx, const char *sni)
{
	int r = conn_start_tls(c, ctx);

	if (r != 0)
		return r;
	SSL_set_msg_callback(c->ssl, conn_count_asides);
	SSL_set_msg_callback_arg(c->ssl, c);
	SSL_set_connect_state(c->ssl);
	if (sni != NULL && SSL_set_tlsext_host_name(c->ssl, sni) != 1)
		return ERR_NOMEM;
	return 0;
}

bool
conn_is_tls(const struct conn *c)
{
	return c->ssl != NULL && SSL_is_init_finished(c->ssl) == 1;
}

SSL *
conn_ssl(const struct conn *c)
{
	return c->ssl;
}

const uint8_t *
conn_first(const struct conn *c, size_t *ret_len)
{
	*ret_len = c->n_first;
	return c->first;
}
