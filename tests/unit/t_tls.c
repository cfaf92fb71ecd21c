/*
 * t_tls.c - certificate pairs, and what our contexts agree to.
 */
#include "lib/tls.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "tests/unit/unit.h"

static char dir[] = "/tmp/t_tls.XXXXXX";

static const char *
path(const char *name)
{
	static char text[4][64];
	static int i;

	i = (i + 1) % 4;
	snprintf(text[i], sizeof(text[i]), "%s/%s", dir, name);
	return text[i];
}

static void
make_pair(const char *cert_file, const char *key_file, EVP_PKEY *key)
{
	X509 *x = X509_new();
	FILE *fp;

	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -60);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN",
	    MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	fp = fopen(path(cert_file), "w");
	assert_non_null(fp);
	PEM_write_X509(fp, x);
	fclose(fp);
	fp = fopen(path(key_file), "w");
	assert_non_null(fp);
	PEM_write_PrivateKey(fp, key, NULL, NULL, 0, NULL, NULL);
	fclose(fp);
	X509_free(x);
	EVP_PKEY_free(key);
}

static int
setup(void **state)
{
	FILE *fp;

	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	make_pair("ec.pem", "ec.key", EVP_EC_gen("P-256"));
	make_pair("ec2.pem", "ec2.key", EVP_EC_gen("P-256"));
	make_pair("rsa.pem", "rsa.key", EVP_RSA_gen(2048));
	fp = fopen(path("junk"), "w");
	if (fp == NULL)
		return -1;
	fputs("no PEM\n", fp);
	return fclose(fp);
}

static int
teardown(void **state)
{
	static const char *const names[] = { "ec.pem", "ec.key", "ec2.pem",
	    "ec2.key", "rsa.pem", "rsa.key", "junk" };
	size_t i;

	(void)state;
	for (i = 0; i < ROWS(names); i++)
		unlink(path(names[i]));
	return rmdir(dir);
}

static void
test_pairs(void **state)
{
	static const struct {
		const char *name, *cert, *key, *text;
		int r;
	} rows[] = {
		{ "EC", "ec.pem", "ec.key", NULL, 0 },
		{ "RSA", "rsa.pem", "rsa.key", NULL, 0 },
		{ "another key", "ec.pem", "ec2.key", "does not belong",
		  ERR_CONFIG },
		{ "another kind", "ec.pem", "rsa.key", "", ERR_CONFIG },
		{ "junk certificate", "junk", "ec.key", "junk: ", ERR_CONFIG },
		{ "junk key", "ec.pem", "junk", "junk: ", ERR_CONFIG },
		{ "swapped", "ec.key", "ec.pem", "ec.key: ", ERR_CONFIG },
		{ "missing", "none", "ec.key", "none", ERR_SYSTEM },
	};
	struct tls_pair p;
	int64_t end;
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < ROWS(rows); i++) {
		ROW_EQ(rows[i].name, tls_pair_read(path(rows[i].cert),
		    path(rows[i].key), &p, &end, &e), rows[i].r);
		if (rows[i].r == 0) {
			assert_in_range(end, time(NULL) + 3000,
			    time(NULL) + 3600);
		} else {
			ROW_EQ(rows[i].name, strstr(e.text, rows[i].text) !=
			    NULL, true);
			assert_null(p.key);
		}
		tls_pair_free(&p);
	}
}

static SSL_CTX *
server(const char *const names[][2], size_t n, struct err *e)
{
	struct tls_pair pairs[4] = { 0 };
	SSL_CTX *ctx;
	int64_t end;
	size_t i;

	for (i = 0; i < n; i++)
		assert_int_equal(tls_pair_read(path(names[i][0]),
		    path(names[i][1]), &pairs[i], &end, e), 0);
	tls_server_ctx(pairs, n, "test", &ctx, e);
	for (i = 0; i < n; i++)
		tls_pair_free(&pairs[i]);
	return ctx;
}

static const char *const both[][2] = { { "ec.pem", "ec.key" },
    { "rsa.pem", "rsa.key" } };
static const char *const same[][2] = { { "ec.pem", "ec.key" },
    { "ec2.pem", "ec2.key" } };

static void
test_contexts(void **state)
{
	SSL_CTX *ctx;
	struct err e;

	(void)state;
	assert_int_equal(tls_server_ctx(NULL, 0, "x", &ctx, &e), ERR_CONFIG);
	assert_null(ctx);
	assert_null(server(same, 2, &e));
	assert_string_equal(e.text,
	    "two certificates have the same kind of key");
	ctx = server(both, 2, &e);
	assert_non_null(ctx);
	SSL_CTX_free(ctx);
}

/* A whole handshake in memory; the description, or "" when it failed. */
static void
shake(SSL_CTX *sctx, SSL_CTX *cctx, char desc[TLS_DESC_SIZE], bool *reused)
{
	SSL *s = SSL_new(sctx), *c = SSL_new(cctx);
	BIO *a, *b;
	int i, rs = 0, rc = 0;

	assert_int_equal(BIO_new_bio_pair(&a, 0, &b, 0), 1);
	SSL_set_bio(s, a, a);
	SSL_set_bio(c, b, b);
	SSL_set_accept_state(s);
	SSL_set_connect_state(c);
	for (i = 0; i < 20 && (rs != 1 || rc != 1); i++) {
		rc = SSL_do_handshake(c);
		rs = SSL_do_handshake(s);
	}
	desc[0] = '\0';
	if (rs == 1 && rc == 1)
		tls_describe(s, desc);
	*reused = SSL_session_reused(s);
	SSL_free(s);
	SSL_free(c);
}

static void
test_policy(void **state)
{
	static const struct {
		const char *name;
		int version;
		const char *ciphers, *desc;
	} rows[] = {
		{ "TLS 1.3", TLS1_3_VERSION, NULL, "TLSv1.3:TLS_" },
		{ "TLS 1.2", TLS1_2_VERSION, NULL, "TLSv1.2:ECDHE-ECDSA-" },
		{ "1.2 with RSA", TLS1_2_VERSION, "ECDHE-RSA-AES128-GCM-SHA256",
		  "TLSv1.2:ECDHE-RSA-AES128-GCM-SHA256:X25519" },
		{ "1.2 CBC", TLS1_2_VERSION, "ECDHE-RSA-AES256-SHA", "" },
		{ "1.2 no ECDHE", TLS1_2_VERSION, "AES128-GCM-SHA256", "" },
		{ "TLS 1.1", TLS1_1_VERSION, "ALL:@SECLEVEL=0", "" },
	};
	char desc[TLS_DESC_SIZE];
	SSL_CTX *sctx, *cctx;
	struct err e;
	bool reused;
	size_t i;

	(void)state;
	sctx = server(both, 2, &e);
	assert_non_null(sctx);
	for (i = 0; i < ROWS(rows); i++) {
		assert_int_equal(tls_client_ctx(&cctx, &e), 0);
		SSL_CTX_set_min_proto_version(cctx, rows[i].version);
		SSL_CTX_set_max_proto_version(cctx, rows[i].version);
		if (rows[i].ciphers != NULL)
			SSL_CTX_set_cipher_list(cctx, rows[i].ciphers);
		shake(sctx, cctx, desc, &reused);
		if (*rows[i].desc == '\0')
			ROW_STR(rows[i].name, desc, "");
		else
			ROW_EQ(rows[i].name, strncmp(desc, rows[i].desc,
			    strlen(rows[i].desc)), 0);
		assert_false(reused);
		SSL_CTX_free(cctx);
	}
	SSL_CTX_free(sctx);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_contexts),
		cmocka_unit_test(test_policy),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
