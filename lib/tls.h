/*
 * tls.h - OpenSSL contexts and our TLS policy: TLS 1.2 and 1.3, ECDHE with
 * AEAD suites, no renegotiation, no compression, no 0-RTT, and tickets only
 * where they are wanted.
 */
#ifndef SUBMITD_TLS_H
#define SUBMITD_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "lib/err.h"

/* A certificate chain and its key, both PEM, NUL-terminated. */
struct tls_pair {
	char	*cert;
	char	*key;		/* zeroed before it is freed */
};

#define TLS_PAIRS_MAX 64

/* Reads both files and checks them: they parse, the key belongs to the
 * certificate. `*ret_not_after` is the end of the certificate's life (seconds
 * since the epoch). The pair is the caller's: tls_pair_free(). ERR_CONFIG,
 * ERR_SYSTEM: the text names the file. */
int	tls_pair_read(const char *cert_file, const char *key_file,
	    struct tls_pair *ret, int64_t *ret_not_after, struct err *reterr);
void	tls_pair_free(struct tls_pair *p);

/* What a pair is, for people. */
#define TLS_FACTS_TEXT 256
struct tls_facts {
	int64_t	not_before, not_after;		/* seconds since the epoch */
	char	names[TLS_FACTS_TEXT];		/* with spaces; "..." cut */
	char	kind[32];			/* "EC 256", "RSA 2048" */
	bool	covers;				/* the host name asked about */
	/* The authority that neither the chain nor the system has: clients will
	 * say unknown_ca. "" when all is there, or self-signed. */
	char	missing[TLS_FACTS_TEXT];
};
/* Of a pair that tls_pair_read() took; ERR_CONFIG: it did not. Looks at the
 * system's certificate store. */
int	tls_pair_facts(const struct tls_pair *p, const char *hostname,
	    struct tls_facts *ret);
/* What is wrong with it, worst first, as text for a warning, or "". */
#define TLS_DAYS_LOW 14
void	tls_facts_warning(const struct tls_facts *f, int64_t now_s,
	    char dst[TLS_FACTS_TEXT * 2]);

/* What a listener's handshakes are made with. All is borrowed for the call,
 * but `alpn` for ever. */
struct tls_server_params {
	const struct tls_pair	*pairs;		/* the first is the default */
	size_t			 n_pairs;
	/* Tells programs and listeners apart: no TLS session goes over from one
	 * to another. */
	const char		*context_id;
	/* A client that offers protocols (ALPN) without this one takes us for
	 * another server, and fails. NULL: anything goes. */
	const char		*alpn;
	/* Ask the client for a certificate (RFC 8314 section 4.2: only where it
	 * can log in with one). Any is taken, and none too: what counts is that
	 * the client has its key, which the handshake proves;
	 * tls_peer_fingerprint() tells whose it is. */
	bool			 ask_certificate;
	bool			 legacy;	/* tls_legacy: ECDHE with CBC too */
	/* TLS_TICKET_SEED octets that session tickets are sealed with, or NULL:
	 * no tickets. Where certificates are asked for there are none either. */
	const uint8_t		*ticket_seed;
};
#define TLS_TICKET_SEED 32

/* A server context. The pairs are grouped by the names in their certificates;
 * the server name that the client asks for (SNI) picks the group, a literal name
 * before a wildcard (RFC 6125 section 6.4.3), and none that fits the group of
 * the first pair. In a group there is one pair for each kind of key. ERR_CONFIG:
 * a pair would never be used. */
int	tls_server_ctx(const struct tls_server_params *params, SSL_CTX **ret,
	    struct err *reterr);
/* A client context: it has the system's CAs and can do DANE, and goes on with any
 * certificate (opportunistic TLS) unless SSL_set_verify() asks for a good one. */
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
/* SHA-256 of the certificate that the peer has proven to be its own, in this
 * very handshake; ERR_NOTFOUND: it has shown none. */
int	tls_peer_fingerprint(SSL *ssl, uint8_t dst[TLS_FINGERPRINT_SIZE]);

/* A text for the oldest error in OpenSSL's queue, which is emptied. */
void	tls_error_text(char *dst, size_t size);

#endif
