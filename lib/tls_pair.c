/*
 * tls_pair.c - certificates with their keys: read, checked, told about. Files
 * are read in parents and in submitctl only; what is sent to the processes that
 * face the network is parsed there once more. Keys are zeroed wherever they are
 * let go.
 */
#include "lib/tls_private.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "lib/fio.h"
#include "lib/str.h"

#define TLS_FILE_MAX (256u * 1024)

/* ---------------------------------------------------------------- parsing -- */

/* No passphrase is ever asked for: a daemon has nobody to ask. */
static int
pair_no_passphrase(char *buf, int size, int rwflag, void *ctx)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	(void)ctx;
	return -1;
}

/* The own certificate, then the chain. */
static bool
pair_parse_cert(const char *pem, struct tls_loaded *ret)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	unsigned long code;
	X509 *x;

	ret->cert = bio == NULL ? NULL :
	    PEM_read_bio_X509_AUX(bio, NULL, pair_no_passphrase, NULL);
	ret->chain = ret->cert == NULL ? NULL : sk_X509_new_null();
	while (ret->chain != NULL && (x = PEM_read_bio_X509(bio, NULL,
	    pair_no_passphrase, NULL)) != NULL) {
		if (sk_X509_push(ret->chain, x) > 0)
			continue;
		X509_free(x);
		BIO_free(bio);
		return false;
	}
	BIO_free(bio);
	/* The end of the file is an error like any other to OpenSSL. */
	code = ERR_peek_last_error();
	if (ret->chain == NULL || (code != 0 &&
	    ERR_GET_REASON(code) != PEM_R_NO_START_LINE))
		return false;
	ERR_clear_error();
	return true;
}

static bool
pair_parse_key(const char *pem, struct tls_loaded *ret)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);

	ret->key = bio == NULL ? NULL :
	    PEM_read_bio_PrivateKey(bio, NULL, pair_no_passphrase, NULL);
	BIO_free(bio);
	return ret->key != NULL;
}

void
tls_unload(struct tls_loaded *l)
{
	X509_free(l->cert);
	sk_X509_pop_free(l->chain, X509_free);
	EVP_PKEY_free(l->key);
	*l = (struct tls_loaded){ NULL, NULL, NULL };
}

enum tls_bad
tls_load(const struct tls_pair *p, struct tls_loaded *ret)
{
	enum tls_bad bad = TLS_BAD_NONE;

	*ret = (struct tls_loaded){ NULL, NULL, NULL };
	ERR_clear_error();
	if (!pair_parse_cert(p->cert, ret))
		bad = TLS_BAD_CERT;
	else if (!pair_parse_key(p->key, ret))
		bad = TLS_BAD_KEY;
	else if (X509_check_private_key(ret->cert, ret->key) != 1)
		bad = TLS_BAD_MATCH;
	if (bad != TLS_BAD_NONE)
		tls_unload(ret);
	return bad;
}

/* ------------------------------------------------------------------ names -- */

/* A DNS name in lower case; false for what is none. */
static bool
pair_copy_name(const ASN1_STRING *from, char dst[TLS_NAME_SIZE])
{
	const unsigned char *p = ASN1_STRING_get0_data(from);
	int len = ASN1_STRING_length(from);

	if (len < 1 || len >= TLS_NAME_SIZE)
		return false;
	for (int i = 0; i < len; i++) {
		if (p[i] <= ' ' || p[i] >= 0x7f)
			return false;
		dst[i] = p[i] >= 'A' && p[i] <= 'Z' ?
		    (char)(p[i] - 'A' + 'a') : (char)p[i];
	}
	dst[len] = '\0';
	return true;
}

static int
pair_common_name(X509 *cert, int (*fn)(void *ctx, const char *name), void *ctx)
{
	const X509_NAME *subject = X509_get_subject_name(cert);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	const X509_NAME_ENTRY *e = at < 0 ? NULL :
	    X509_NAME_get_entry(subject, at);
	char name[TLS_NAME_SIZE];

	if (e == NULL || !pair_copy_name(X509_NAME_ENTRY_get_data(e), name))
		return 0;
	return fn(ctx, name);
}

int
tls_each_name(X509 *cert, int (*fn)(void *ctx, const char *name), void *ctx)
{
	GENERAL_NAMES *alt = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL,
	    NULL);
	char name[TLS_NAME_SIZE];
	bool any = false;
	int r = 0;

	for (int i = 0; r == 0 && i < sk_GENERAL_NAME_num(alt); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(alt, i);

		if (g->type != GEN_DNS)
			continue;
		any = true;
		if (pair_copy_name(g->d.dNSName, name))
			r = fn(ctx, name);
	}
	GENERAL_NAMES_free(alt);
	return any ? r : pair_common_name(cert, fn, ctx);
}

/* ------------------------------------------------------------------- life -- */

static int64_t
pair_time(const ASN1_TIME *t)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(t, &tm) != 1)
		return 0;
	return (int64_t)timegm(&tm);
}

/* What is served later is checked by the very code that will serve it. */
static int
pair_check(const struct tls_pair *p, const char *cert_file,
    const char *key_file, int64_t *ret_not_after, struct err *reterr)
{
	struct tls_loaded l;

	switch (tls_load(p, &l)) {
	case TLS_BAD_NONE:
		break;
	case TLS_BAD_CERT:
		return tls_fail(reterr, ERR_CONFIG, cert_file);
	case TLS_BAD_KEY:
		return tls_fail(reterr, ERR_CONFIG, key_file);
	case TLS_BAD_MATCH:
		ERR_clear_error();
		return err_set(reterr, ERR_CONFIG,
		    "%s: the key does not belong to the certificate in %s",
		    key_file, cert_file);
	}
	*ret_not_after = pair_time(X509_get0_notAfter(l.cert));
	tls_unload(&l);
	return 0;
}

static int
pair_read_pem(const char *file, char **ret, struct err *reterr)
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
	r = pair_read_pem(cert_file, &ret->cert, reterr);
	if (r == 0)
		r = pair_read_pem(key_file, &ret->key, reterr);
	if (r == 0)
		r = pair_check(ret, cert_file, key_file, ret_not_after, reterr);
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

/* ------------------------------------------------------------------ facts -- */

static int
pair_list_name(void *ctx, const char *name)
{
	char *names = ctx;
	size_t len = strlen(names);

	if (len + strlen(name) + 6 > TLS_FACTS_TEXT) {
		str_copy(names + len, TLS_FACTS_TEXT - len, " ...");
		return ERR_LIMIT;
	}
	if (len > 0)
		names[len++] = ' ';
	str_copy(names + len, TLS_FACTS_TEXT - len, name);
	return 0;
}

/* No clocks and no purposes: only whether clients can find the way up. */
static void
pair_find_missing(const struct tls_loaded *l, char *dst, size_t size)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	const X509 *top;

	dst[0] = '\0';
	if (store != NULL && ctx != NULL &&
	    X509_STORE_set_default_paths(store) == 1 &&
	    X509_STORE_CTX_init(ctx, store, l->cert, l->chain) == 1) {
		X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_NO_CHECK_TIME);
		(void)X509_verify_cert(ctx);
		switch (X509_STORE_CTX_get_error(ctx)) {
		case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
		case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
		case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
			top = X509_STORE_CTX_get_current_cert(ctx);
			X509_NAME_oneline(X509_get_issuer_name(top == NULL ?
			    l->cert : top), dst, (int)size);
			break;
		}
	}
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	ERR_clear_error();
}

int
tls_pair_facts(const struct tls_pair *p, const char *hostname,
    struct tls_facts *ret)
{
	struct tls_loaded l;
	const char *kind;

	*ret = (struct tls_facts){ 0 };
	if (tls_load(p, &l) != TLS_BAD_NONE) {
		ERR_clear_error();
		return ERR_CONFIG;
	}
	ret->not_before = pair_time(X509_get0_notBefore(l.cert));
	ret->not_after = pair_time(X509_get0_notAfter(l.cert));
	(void)tls_each_name(l.cert, pair_list_name, ret->names);
	kind = EVP_PKEY_get0_type_name(l.key);
	(void)str_format(ret->kind, sizeof(ret->kind), "%s %d",
	    kind == NULL ? "key" : kind, EVP_PKEY_get_bits(l.key));
	ret->covers = X509_check_host(l.cert, hostname, 0, 0, NULL) == 1;
	pair_find_missing(&l, ret->missing, sizeof(ret->missing));
	tls_unload(&l);
	return 0;
}

void
tls_facts_warning(const struct tls_facts *f, int64_t now_s,
    char dst[TLS_FACTS_TEXT * 2])
{
	const size_t size = TLS_FACTS_TEXT * 2;
	int64_t left_s = f->not_after - now_s;

	dst[0] = '\0';
	if (left_s < 0)
		str_copy(dst, size, "it has expired: clients refuse it");
	else if (f->not_before > now_s)
		str_copy(dst, size, "it is not valid yet: clients refuse it");
	else if (f->missing[0] != '\0')
		(void)str_format(dst, size, "the chain in its file is "
		    "incomplete: add the certificate of %s, or many clients "
		    "will refuse it", f->missing);
	else if (left_s < (int64_t)TLS_DAYS_LOW * 86400)
		(void)str_format(dst, size, "it expires in %lld days",
		    (long long)(left_s / 86400));
}
