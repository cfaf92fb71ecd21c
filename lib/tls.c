/*
 * tls.c - what servers' and clients' contexts have in common, and clients'. See
 * tls.h; tls_pair.c reads certificates, tls_server.c makes servers' contexts.
 */
#include "lib/tls_private.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "lib/str.h"

#define TLS_GROUPS "X25519:P-256:P-384"

void
tls_error_text(char *dst, size_t size)
{
	unsigned long code = ERR_get_error();
	const char *reason = code == 0 ? NULL : ERR_reason_error_string(code);

	if (size == 0)
		return;
	dst[0] = '\0';
	if (reason == NULL)
		reason = code == 0 ? "no error told" : "unknown error";
	if (strlen(reason) < size)
		str_copy(dst, size, reason);
	ERR_clear_error();
}

int
tls_fail(struct err *reterr, int code, const char *what)
{
	char text[128];

	tls_error_text(text, sizeof(text));
	return err_set(reterr, code, "%s: %s", what, text);
}

SSL_CTX *
tls_ctx_new(const SSL_METHOD *method)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	if (ctx == NULL)
		return NULL;
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION |
	    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
	    SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS |
	    SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	/* One read(2) takes what has come, not two for each record. */
	SSL_CTX_set_read_ahead(ctx, 1);
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
	    SSL_CTX_set1_groups_list(ctx, TLS_GROUPS) == 1)
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

/* All at once into memory, for submitd-send is chrooted before it verifies; where
 * the system has none, nobody is verified by it. */
static void
tls_system_cas(SSL_CTX *ctx)
{
	const char *files[] = { getenv(X509_get_default_cert_file_env()),
		X509_get_default_cert_file(),
		"/etc/ssl/certs/ca-certificates.crt",
		"/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem" };

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (files[i] != NULL &&
		    SSL_CTX_load_verify_file(ctx, files[i]) == 1)
			break;
	ERR_clear_error();
}

/* Most connections are opportunistic: any certificate is better than clear text,
 * so the next hop's own, perhaps older, choice of key exchange is taken too. Who
 * wants more asks it of the connection. */
int
tls_client_ctx(SSL_CTX **ret, struct err *reterr)
{
	ERR_clear_error();
	*ret = tls_ctx_new(TLS_client_method());
	if (*ret == NULL || SSL_CTX_dane_enable(*ret) != 1) {
		SSL_CTX_free(*ret);
		*ret = NULL;
		return tls_fail(reterr, ERR_NOMEM, "TLS");
	}
	SSL_CTX_set_security_level(*ret, 1);
	SSL_CTX_set_verify(*ret, SSL_VERIFY_NONE, NULL);
	tls_system_cas(*ret);
	return 0;
}

static const char *
tls_group_name(SSL *ssl)
{
	int nid = (int)SSL_get_negotiated_group(ssl);
	const char *name;

	switch (nid) {
	case NID_X25519:
		return "X25519";
	case NID_X9_62_prime256v1:
		return "P-256";
	case NID_secp384r1:
		return "P-384";
	default:
		name = nid == NID_undef || (nid & TLSEXT_nid_unknown) != 0 ?
		    NULL : OBJ_nid2sn(nid);
		return name == NULL ? "-" : name;
	}
}

void
tls_describe(SSL *ssl, char dst[TLS_DESC_SIZE])
{
	const char *cipher = SSL_get_cipher_name(ssl);

	if (str_format(dst, TLS_DESC_SIZE, "%s:%s:%s", SSL_get_version(ssl),
	    cipher, tls_group_name(ssl)) != 0)
		str_copy(dst, TLS_DESC_SIZE, "TLS");
}
