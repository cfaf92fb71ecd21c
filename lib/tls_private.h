/*
 * tls_private.h - shared by tls.c, tls_pair.c and tls_server.c. For these files
 * only.
 */
#ifndef SUBMITD_TLS_PRIVATE_H
#define SUBMITD_TLS_PRIVATE_H

#include "lib/tls.h"

#define TLS_NAME_SIZE 256

/* What has gone wrong, with the text of OpenSSL's queue; returns `code`. */
int	tls_fail(struct err *reterr, int code, const char *what);
/* Version, groups, options and modes that we want of any context. */
SSL_CTX	*tls_ctx_new(const SSL_METHOD *method);

/* A pair, parsed. */
struct tls_loaded {
	X509		*cert;
	STACK_OF(X509)	*chain;
	EVP_PKEY	*key;
};

/* What of a pair cannot be used. */
enum tls_bad { TLS_BAD_NONE, TLS_BAD_CERT, TLS_BAD_KEY, TLS_BAD_MATCH };

/* Parses both and sees that they belong together; on failure OpenSSL's queue
 * tells more, and *ret is empty. */
enum tls_bad tls_load(const struct tls_pair *p, struct tls_loaded *ret);
void	tls_unload(struct tls_loaded *l);

/* Calls `fn` for each DNS name of the certificate, in lower case: those of
 * subjectAltName, or the common name where there are none (RFC 6125 section
 * 6.4.4). Stops at the first result that is not 0, and returns it. */
int	tls_each_name(X509 *cert, int (*fn)(void *ctx, const char *name),
	    void *ctx);

#endif
