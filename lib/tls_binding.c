/*
 * tls_binding.c - what ties a login to its TLS connection: channel bindings and
 * the client's certificate. See tls.h. Runs in the processes that face the
 * network.
 *
 * What comes out here is compared with what the client has seen: if somebody
 * stands between with a connection to each side, the two differ.
 */
#include "lib/tls.h"

#include <stdbool.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#define TLS_EXPORTER_LABEL "EXPORTER-Channel-Binding"	/* RFC 9266 */
#define TLS_EXPORTER_SIZE 32

/* Without the extended master secret (RFC 7627) two connections can be brought
 * to have the same secrets. TLS 1.3 has it in itself. */
static bool
tls_has_own_secret(SSL *ssl)
{
	return SSL_version(ssl) >= TLS1_3_VERSION ||
	    SSL_get_extms_support(ssl) == 1;
}

static int
tls_bind_exporter(SSL *ssl, uint8_t *dst, size_t *ret_len)
{
	static const unsigned char empty[1];

	if (!tls_has_own_secret(ssl) || SSL_export_keying_material(ssl, dst,
	    TLS_EXPORTER_SIZE, TLS_EXPORTER_LABEL,
	    sizeof(TLS_EXPORTER_LABEL) - 1, empty, 0, 1) != 1)
		return ERR_NOTFOUND;
	*ret_len = TLS_EXPORTER_SIZE;
	return 0;
}

/* The first Finished of the handshake: the client's, or the server's when a
 * session was resumed (RFC 5929 section 3.1). */
static int
tls_bind_unique(SSL *ssl, uint8_t *dst, size_t *ret_len)
{
	bool resumed = SSL_session_reused(ssl) == 1;
	bool ours = (SSL_is_server(ssl) == 1) == resumed;

	if (SSL_version(ssl) != TLS1_2_VERSION ||
	    (resumed && !tls_has_own_secret(ssl)))
		return ERR_NOTFOUND;
	*ret_len = ours ? SSL_get_finished(ssl, dst, TLS_BINDING_MAX) :
	    SSL_get_peer_finished(ssl, dst, TLS_BINDING_MAX);
	return *ret_len > 0 && *ret_len <= TLS_BINDING_MAX ? 0 : ERR_NOTFOUND;
}

/* The server's certificate, hashed with its own signature's hash, but never with
 * MD5 or SHA-1 (RFC 5929 section 4.1). A signature without a hash of its own,
 * such as Ed25519's, leaves it undefined. */
static int
tls_bind_end_point(SSL *ssl, uint8_t *dst, size_t *ret_len)
{
	X509 *cert = SSL_is_server(ssl) == 1 ? SSL_get_certificate(ssl) :
	    SSL_get0_peer_certificate(ssl);
	const EVP_MD *md;
	unsigned int len;
	int nid;

	if (cert == NULL ||
	    X509_get_signature_info(cert, &nid, NULL, NULL, NULL) != 1)
		return ERR_NOTFOUND;
	if (nid == NID_md5 || nid == NID_sha1 || nid == NID_md5_sha1)
		nid = NID_sha256;
	md = nid == NID_undef ? NULL : EVP_get_digestbynid(nid);
	if (md == NULL || EVP_MD_get_size(md) > TLS_BINDING_MAX ||
	    X509_digest(cert, md, dst, &len) != 1)
		return ERR_NOTFOUND;
	*ret_len = len;
	return 0;
}

int
tls_channel_binding(SSL *ssl, const char *name, uint8_t dst[TLS_BINDING_MAX],
    size_t *ret_len)
{
	static const struct {
		const char *name;
		int (*get)(SSL *ssl, uint8_t *dst, size_t *ret_len);
	} kinds[] = {
		{ "tls-exporter", tls_bind_exporter },
		{ "tls-unique", tls_bind_unique },
		{ "tls-server-end-point", tls_bind_end_point },
	};
	int r = ERR_NOTFOUND;

	*ret_len = 0;
	if (ssl == NULL || SSL_is_init_finished(ssl) != 1)
		return ERR_NOTFOUND;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].name, name) == 0)
			r = kinds[i].get(ssl, dst, ret_len);
	if (r != 0)
		*ret_len = 0;
	ERR_clear_error();
	return r;
}

int
tls_peer_fingerprint(SSL *ssl, uint8_t dst[TLS_FINGERPRINT_SIZE])
{
	/* A resumed session has proven nothing but that it knows the old one. */
	X509 *cert = ssl == NULL || SSL_is_init_finished(ssl) != 1 ||
	    SSL_session_reused(ssl) == 1 ? NULL :
	    SSL_get0_peer_certificate(ssl);
	unsigned int len = TLS_FINGERPRINT_SIZE;

	if (cert == NULL || X509_digest(cert, EVP_sha256(), dst, &len) != 1)
		return ERR_NOTFOUND;
	return 0;
}
