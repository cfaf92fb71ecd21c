/*
 * smtp_client_tls.c - TLS to the next hop: what the route asks for, and whether
 * the other side has shown who it is.
 *
 *	none	never			may	where it is offered; unverified
 *	encrypt	must be, unverified	verify	by a CA, for the host's name
 *	dane	by the TLSA records of the host (RFC 7672); a host without any: may
 *
 * Runs in submitd-send. Only "none" and "may" ever let a message go in clear.
 */
#include "config.h"

#include <string.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "submitd/send/smtp_client_private.h"

#include "lib/log.h"
#include "lib/str.h"

enum conf_tls_level
smtp_client_level(const struct smtp_client *c)
{
	enum conf_tls_level level = c->way.tls;

	if (c->places[c->place].is_unix)
		return CONF_TLS_NONE;
	if (level == CONF_TLS_DANE && !smtp_client_host(c)->dane)
		return CONF_TLS_MAY;
	/* RFC 8689 section 5: the sender wants it delivered all the same. */
	if (level >= CONF_TLS_VERIFY && c->tls_optional)
		return CONF_TLS_MAY;
	return level;
}

/* Of what the route asks for, at the wish of the message. */
static bool
smtp_client_falls_short(const struct smtp_client *c)
{
	return c->tls_optional && !c->verified &&
	    (c->way.tls == CONF_TLS_VERIFY ||
	    (c->way.tls == CONF_TLS_DANE && smtp_client_host(c)->dane));
}

/* --------------------------------------------------------------- STARTTLS -- */

bool
smtp_client_wants_tls(struct smtp_client *c)
{
	enum conf_tls_level level = smtp_client_level(c);
	char text[OUTCOME_TEXT_MAX + 1];

	if (conn_is_tls(c->conn) || level == CONF_TLS_NONE)
		return false;
	if (c->tls_ctx != NULL && (c->ext & SMTP_EXT_STARTTLS) != 0 &&
	    !c->no_tls) {
		smtp_client_enter(c, SMTP_CLIENT_STARTTLS);
		smtp_client_command(c, "STARTTLS");
		return true;
	}
	if (level == CONF_TLS_MAY) {
		c->lowered = smtp_client_falls_short(c);
		return false;
	}
	(void)str_format(text, sizeof(text), "4.7.4 %s does not offer STARTTLS, "
	    "without which nothing may go to it", c->relay);
	smtp_client_lost(c, false, text);
	return true;
}

void
smtp_client_on_starttls(struct smtp_client *c)
{
	if (c->reply.code == 421) {
		smtp_client_refused(c);
		return;
	}
	if (c->reply.code != 220) {
		c->no_tls = true;
		if (smtp_client_level(c) > CONF_TLS_MAY)
			smtp_client_refused(c);
		else if (!smtp_client_wants_tls(c) && !smtp_client_auth(c))
			smtp_client_set_ready(c);	/* without, then */
		return;
	}
	/* RFC 3207 section 5: what came in clear behind the 220 must not be
	 * taken for the peer's words under TLS. */
	if (buf_len(conn_input(c->conn)) > 0) {
		smtp_client_lost_here(c, "unexpected octets");
		return;
	}
	smtp_client_handshake(c);
}

/* -------------------------------------------------------------- handshake -- */

/* The route's own CAs, instead of the system's. */
static int
smtp_client_own_cas(const char *pem, SSL *ssl)
{
	X509_STORE *store = X509_STORE_new();
	BIO *bio = BIO_new_mem_buf(pem, -1);
	int n = 0;
	X509 *x;

	while (store != NULL && bio != NULL &&
	    (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		n += X509_STORE_add_cert(store, x) == 1;
		X509_free(x);
	}
	if (n > 0)
		n = SSL_set1_verify_cert_store(ssl, store) == 1;
	X509_STORE_free(store);
	BIO_free(bio);
	return n > 0 ? 0 : ERR_CONFIG;
}

static const char *
smtp_client_tls_name(const struct smtp_client *c)
{
	return c->way.tls_name[0] != '\0' ? c->way.tls_name :
	    smtp_client_host(c)->name;
}

/* The name is looked for at every level, so that we know whom we have talked to
 * even where it does not decide: REQUIRETLS asks. */
static int
smtp_client_expect(struct smtp_client *c, SSL *ssl)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	const char *name = smtp_client_tls_name(c);
	struct addr ip;

	if (c->way.tls_ca != NULL && smtp_client_own_cas(c->way.tls_ca,
	    ssl) != 0)
		return ERR_CONFIG;
	X509_VERIFY_PARAM_set_hostflags(param,
	    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (addr_parse_ip(name, &ip) == 0)
		return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1 ? 0 :
		    ERR_NOMEM;
	return SSL_set1_host(ssl, name) == 1 &&
	    SSL_set_tlsext_host_name(ssl, name) == 1 ? 0 : ERR_NOMEM;
}

/* What the handshake must end with, by the level. */
static int
smtp_client_demand(struct smtp_client *c, SSL *ssl)
{
	enum conf_tls_level level = smtp_client_level(c);
	int r;

	if (level == CONF_TLS_DANE) {
		r = hosts_dane_setup(smtp_client_host(c), ssl);
		if (r == 1)
			SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
		return r < 0 ? r : 0;
	}
	r = smtp_client_expect(c, ssl);
	if (level != CONF_TLS_VERIFY)
		return r == ERR_CONFIG ? 0 : r;
	SSL_set_security_level(ssl, 2);
	SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
	return r;
}

void
smtp_client_handshake(struct smtp_client *c)
{
	smtp_client_enter(c, SMTP_CLIENT_HANDSHAKE);
	if (c->tls_ctx == NULL ||
	    conn_start_client_tls(c->conn, c->tls_ctx, NULL) != 0 ||
	    smtp_client_demand(c, conn_ssl(c->conn)) != 0)
		smtp_client_lost_here(c, "TLS did not start");
}

void
smtp_client_on_secured(struct smtp_client *c)
{
	SSL *ssl = conn_ssl(c->conn);
	bool dane = smtp_client_level(c) == CONF_TLS_DANE;

	c->verified = SSL_get_verify_result(ssl) == X509_V_OK &&
	    (!dane || smtp_client_host(c)->n_tlsa > 0);
	c->lowered = smtp_client_falls_short(c);
	c->pix = false;
	tls_describe(ssl, c->tls);
	/* RFC 3207 section 4.2: what was said before is forgotten. */
	if (c->greeted)
		smtp_client_ehlo(c);
	else
		smtp_client_enter(c, SMTP_CLIENT_GREETING);
}

void
smtp_client_tls_failed(struct smtp_client *c, const char *word)
{
	SSL *ssl = conn_ssl(c->conn);
	long result = ssl == NULL ? X509_V_OK : SSL_get_verify_result(ssl);
	char all[1024], text[OUTCOME_TEXT_MAX + 1];

	if (ssl == NULL || result == X509_V_OK ||
	    (SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER) == 0) {
		smtp_client_lost_here(c, word);
		return;
	}
	(void)str_format(all, sizeof(all), "4.7.5 %s: the certificate is not "
	    "valid for %s: %s", c->relay, smtp_client_level(c) ==
	    CONF_TLS_DANE ? "the host's TLSA records" :
	    smtp_client_tls_name(c), X509_verify_cert_error_string(result));
	outcome_print(text, sizeof(text), all, strlen(all));
	smtp_client_lost(c, false, text);
}
