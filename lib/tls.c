/*
 * tls.c - OpenSSL contexts and our TLS policy. Contexts are made in the
 * processes that face the network; certificates and keys are read in parents
 * only. Keys are zeroed wherever they are let go.
 */
#include "lib/tls.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "lib/fio.h"
#include "lib/str.h"

#define TLS_FILE_MAX (256u * 1024)
#define TLS_CLIENT_CHAIN_MAX (16 * 1024)	/* octets that a client may send */

/* TLS 1.2 with forward secrecy and AEAD; the 1.3 suites are all so. */
#define TLS_CIPHERS_12 "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!aPSK"
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

static int
tls_fail(struct err *reterr, int code, const char *what)
{
	char text[128];

	tls_error_text(text, sizeof(text));
	return err_set(reterr, code, "%s: %s", what, text);
}

/* No passphrase is ever asked for: a daemon has nobody to ask. */
static int
tls_no_passphrase(char *buf, int size, int rwflag, void *ctx)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	(void)ctx;
	return -1;
}

static X509 *
tls_read_cert(BIO *bio)
{
	return PEM_read_bio_X509_AUX(bio, NULL, tls_no_passphrase, NULL);
}

/* Loads leaf, chain and key of a PEM pair into the context. */
static int
tls_use_cert(SSL_CTX *ctx, const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *cert = bio == NULL ? NULL : tls_read_cert(bio);
	int ok = cert != NULL && SSL_CTX_use_certificate(ctx, cert) == 1 &&
	    SSL_CTX_clear_chain_certs(ctx) == 1;
	unsigned long code;

	X509_free(cert);
	while (ok && (cert = PEM_read_bio_X509(bio, NULL, tls_no_passphrase,
	    NULL)) != NULL) {
		if (SSL_CTX_add0_chain_cert(ctx, cert) != 1) {
			X509_free(cert);
			ok = 0;
		}
	}
	/* The end of the file is an error like any other to OpenSSL. */
	code = ERR_peek_last_error();
	if (ok && code != 0 && ERR_GET_REASON(code) != PEM_R_NO_START_LINE)
		ok = 0;
	if (ok)
		ERR_clear_error();
	BIO_free(bio);
	return ok;
}

static int
tls_use_key(SSL_CTX *ctx, const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = bio == NULL ? NULL :
	    PEM_read_bio_PrivateKey(bio, NULL, tls_no_passphrase, NULL);
	int ok = key != NULL && SSL_CTX_use_PrivateKey(ctx, key) == 1;

	EVP_PKEY_free(key);
	BIO_free(bio);
	return ok;
}

/* OpenSSL compares a key with the certificate as soon as it has both. */
static bool
tls_is_mismatch(void)
{
	unsigned long code = ERR_peek_last_error();

	return ERR_GET_LIB(code) == ERR_LIB_X509 &&
	    (ERR_GET_REASON(code) == X509_R_KEY_VALUES_MISMATCH ||
	    ERR_GET_REASON(code) == X509_R_KEY_TYPE_MISMATCH);
}

static int64_t
tls_not_after(const X509 *cert)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) != 1)
		return 0;
	return (int64_t)timegm(&tm);
}

/* Tries the pair in a context of its own: what is served later is checked by
 * the very code that will serve it. */
static int
tls_pair_check(const struct tls_pair *p, const char *cert_file,
    const char *key_file, int64_t *ret_not_after, struct err *reterr)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	int r = 0;

	ERR_clear_error();
	if (ctx == NULL) {
		r = tls_fail(reterr, ERR_NOMEM, "TLS");
	} else if (!tls_use_cert(ctx, p->cert)) {
		r = tls_fail(reterr, ERR_CONFIG, cert_file);
	} else if (!tls_use_key(ctx, p->key) && !tls_is_mismatch()) {
		r = tls_fail(reterr, ERR_CONFIG, key_file);
	} else if (SSL_CTX_check_private_key(ctx) != 1) {
		ERR_clear_error();
		r = err_set(reterr, ERR_CONFIG,
		    "%s: the key does not belong to the certificate in %s",
		    key_file, cert_file);
	} else {
		*ret_not_after = tls_not_after(SSL_CTX_get0_certificate(ctx));
	}
	SSL_CTX_free(ctx);
	return r;
}

static int
tls_read_pem(const char *file, char **ret, struct err *reterr)
{
	size_t len;
	int r = fio_read_file(AT_FDCWD, file, TLS_FILE_MAX, ret, &len, reterr);

	if (r == 0 && strlen(*ret) != len)
		r = err_set(reterr, ERR_CONFIG, "%s: expected PEM text", file);
	return r;
}

int
tls_pair_read(const char *cert_file, const char *key_file,
    struct tls_pair *ret, int64_t *ret_not_after, struct err *reterr)
{
	int r;

	*ret = (struct tls_pair){ NULL, NULL };
	*ret_not_after = 0;
	r = tls_read_pem(cert_file, &ret->cert, reterr);
	if (r == 0)
		r = tls_read_pem(key_file, &ret->key, reterr);
	if (r == 0)
		r = tls_pair_check(ret, cert_file, key_file, ret_not_after,
		    reterr);
	if (r != 0)
		tls_pair_free(ret);
	return r;
}

void
tls_pair_free(struct tls_pair *p)
{
	if (p->key != NULL)
		explicit_bzero(p->key, strlen(p->key));
	free(p->key);
	free(p->cert);
	p->cert = p->key = NULL;
}

/* What servers and clients have in common. */
static SSL_CTX *
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
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
	    SSL_CTX_set1_groups_list(ctx, TLS_GROUPS) == 1)
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

/* OpenSSL keeps one certificate for each kind of key. */
static size_t
tls_count_certs(SSL_CTX *ctx)
{
	size_t n = 0;
	long more = SSL_CTX_set_current_cert(ctx, SSL_CERT_SET_FIRST);

	for (; more == 1; n++)
		more = SSL_CTX_set_current_cert(ctx, SSL_CERT_SET_NEXT);
	return n;
}

static int
tls_server_setup(SSL_CTX *ctx, const struct tls_pair *pairs, size_t n,
    const char *context_id)
{
	unsigned int id_len = (unsigned int)strnlen(context_id,
	    SSL_MAX_SID_CTX_LENGTH);
	size_t i;

	if (SSL_CTX_set_cipher_list(ctx, TLS_CIPHERS_12) != 1 ||
	    SSL_CTX_set_num_tickets(ctx, 0) != 1 ||
	    SSL_CTX_set_max_early_data(ctx, 0) != 1 ||
	    SSL_CTX_set_session_id_context(ctx,
	    (const unsigned char *)context_id, id_len) != 1)
		return 0;
	for (i = 0; i < n; i++) {
		if (!tls_use_cert(ctx, pairs[i].cert) ||
		    !tls_use_key(ctx, pairs[i].key) ||
		    SSL_CTX_check_private_key(ctx) != 1)
			return 0;
	}
	return 1;
}

int
tls_server_ctx(const struct tls_pair *pairs, size_t n,
    const char *context_id, SSL_CTX **ret, struct err *reterr)
{
	SSL_CTX *ctx;

	*ret = NULL;
	if (n == 0)
		return err_set(reterr, ERR_CONFIG, "no certificate is set");
	ERR_clear_error();
	ctx = tls_ctx_new(TLS_server_method());
	if (ctx == NULL)
		return tls_fail(reterr, ERR_NOMEM, "TLS");
	if (!tls_server_setup(ctx, pairs, n, context_id)) {
		SSL_CTX_free(ctx);
		return tls_fail(reterr, ERR_CONFIG, "TLS certificate");
	}
	if (tls_count_certs(ctx) != n) {
		SSL_CTX_free(ctx);
		return err_set(reterr, ERR_CONFIG,
		    "two certificates have the same kind of key");
	}
	*ret = ctx;
	return 0;
}

/* In the place of OpenSSL's own check of a chain: no CA of ours has signed it. */
static int
tls_take_certificate(X509_STORE_CTX *store, void *arg)
{
	(void)store;
	(void)arg;
	return 1;
}

void
tls_server_ask_certificate(SSL_CTX *ctx)
{
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, tls_take_certificate, NULL);
	SSL_CTX_set_max_cert_list(ctx, TLS_CLIENT_CHAIN_MAX);
}

/* `ctx` is the protocol's name. */
static int
tls_choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *outlen,
    const unsigned char *in, unsigned int inlen, void *ctx)
{
	const char *want = ctx;
	size_t len = strlen(want);

	(void)ssl;
	for (unsigned int i = 0; i < inlen; i += 1u + in[i]) {
		if (in[i] != len || inlen - i - 1 < len ||
		    memcmp(in + i + 1, want, len) != 0)
			continue;
		*out = in + i + 1;
		*outlen = in[i];
		return SSL_TLSEXT_ERR_OK;
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

void
tls_server_alpn(SSL_CTX *ctx, const char *protocol)
{
	union { const char *c; void *v; } arg = { .c = protocol };

	SSL_CTX_set_alpn_select_cb(ctx, tls_choose_protocol, arg.v);
}

/* Opportunistic: any certificate is better than clear text, so the next hop's
 * own, perhaps older, choice of key exchange is taken too. */
int
tls_client_ctx(SSL_CTX **ret, struct err *reterr)
{
	ERR_clear_error();
	*ret = tls_ctx_new(TLS_client_method());
	if (*ret == NULL)
		return tls_fail(reterr, ERR_NOMEM, "TLS");
	SSL_CTX_set_security_level(*ret, 1);
	SSL_CTX_set_verify(*ret, SSL_VERIFY_NONE, NULL);
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
