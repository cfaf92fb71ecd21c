/*
 * tls.h - OpenSSL contexts and our TLS policy: TLS 1.2 and 1.3, ECDHE with
 * AEAD suites, no renegotiation, no compression, no 0-RTT, no tickets.
 */
#ifndef SUBMITD_TLS_H
#define SUBMITD_TLS_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "lib/err.h"

/* A certificate chain and its key, both PEM, NUL-terminated. */
struct tls_pair {
	char	*cert;
	char	*key;		/* zeroed before it is freed */
};

#define TLS_PAIRS_MAX 8

/* Reads both files and checks them: they parse, the key belongs to the
 * certificate. `*ret_not_after` is the end of the certificate's life (seconds
 * since the epoch). The pair is the caller's: tls_pair_free(). ERR_CONFIG,
 * ERR_SYSTEM: the text names the file. */
int	tls_pair_read(const char *cert_file, const char *key_file,
	    struct tls_pair *ret, int64_t *ret_not_after, struct err *reterr);
void	tls_pair_free(struct tls_pair *p);

/* A server context with all pairs (ECDSA beside RSA). `context_id` tells
 * programs and listeners apart (session-id context). */
int	tls_server_ctx(const struct tls_pair *pairs, size_t n,
	    const char *context_id, SSL_CTX **ret, struct err *reterr);
/* Handshakes of this server context ask the client for a certificate from now
 * on (RFC 8314 section 4.2: only where it can log in with one). Any is taken,
 * and none too: what counts is that the client has its key, which the handshake
 * proves; tls_peer_fingerprint() tells whose it is. */
void	tls_server_ask_certificate(SSL_CTX *ctx);
/* Handshakes of this server context fail from now on for a client that offers
 * protocols (ALPN) without this one among them: it takes us for another server.
 * `protocol` is borrowed for ever. */
void	tls_server_alpn(SSL_CTX *ctx, const char *protocol);
/* A client context that does not verify (opportunistic TLS). */
int	tls_client_ctx(SSL_CTX **ret, struct err *reterr);

/* "TLSv1.3:TLS_AES_256_GCM_SHA384:X25519" of an established connection. */
#define TLS_DESC_SIZE 96
void	tls_describe(SSL *ssl, char dst[TLS_DESC_SIZE]);

#define TLS_BINDING_MAX 64
#define TLS_FINGERPRINT_SIZE 32
/* The channel binding of that name of an established connection: "tls-exporter"
 * (RFC 9266; before TLS 1.3 with extended master secret only), "tls-unique"
 * (TLS 1.2) or "tls-server-end-point" (both RFC 5929). ERR_NOTFOUND: unknown, or
 * not to be had here. */
int	tls_channel_binding(SSL *ssl, const char *name,
	    uint8_t dst[TLS_BINDING_MAX], size_t *ret_len);
/* SHA-256 of the certificate that the peer has proven to be its own; ERR_NOTFOUND:
 * it has shown none. */
int	tls_peer_fingerprint(SSL *ssl, uint8_t dst[TLS_FINGERPRINT_SIZE]);

/* A word for the oldest error in OpenSSL's queue, which is emptied. */
void	tls_error_text(char *dst, size_t size);

#endif
