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
#include <openssl/x509v3.h>

#include "tests/unit/unit.h"

static char dir[] = "/tmp/t_tls.XXXXXX";

static const char *
path(const char *name)
{
	static char text[4][128];
	static int i;

	i = (i + 1) % 4;
	snprintf(text[i], sizeof(text[i]), "%s/%s", dir, name);
	return text[i];
}

static void
make_pair(const char *cert_file, const char *key_file, EVP_PKEY *key,
    const EVP_MD *md)
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
	assert_true(X509_sign(x, key, md) > 0);
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
	make_pair("ec.pem", "ec.key", EVP_EC_gen("P-256"), EVP_sha256());
	make_pair("ec2.pem", "ec2.key", EVP_EC_gen("P-256"), EVP_sha256());
	make_pair("rsa.pem", "rsa.key", EVP_RSA_gen(2048), EVP_sha256());
	make_pair("s384.pem", "s384.key", EVP_EC_gen("P-384"), EVP_sha384());
	make_pair("sha1.pem", "sha1.key", EVP_RSA_gen(2048), EVP_sha1());
	make_pair("ed.pem", "ed.key", EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"),
	    NULL);
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
	    "ec2.key", "rsa.pem", "rsa.key", "s384.pem", "s384.key",
	    "sha1.pem", "sha1.key", "ed.pem", "ed.key", "junk" };
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
server_with(const char *const names[][2], size_t n,
    struct tls_server_params p, struct err *e)
{
	struct tls_pair pairs[8] = { 0 };
	SSL_CTX *ctx;
	int64_t end;
	size_t i;

	for (i = 0; i < n; i++)
		assert_int_equal(tls_pair_read(path(names[i][0]),
		    path(names[i][1]), &pairs[i], &end, e), 0);
	p.pairs = pairs;
	p.n_pairs = n;
	tls_server_ctx(&p, &ctx, e);
	for (i = 0; i < n; i++)
		tls_pair_free(&pairs[i]);
	return ctx;
}

static SSL_CTX *
server(const char *const names[][2], size_t n, struct err *e)
{
	return server_with(names, n,
	    (struct tls_server_params){ .context_id = "test" }, e);
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
	assert_int_equal(tls_server_ctx(&(struct tls_server_params){
	    .context_id = "x" }, &ctx, &e), ERR_CONFIG);
	assert_null(ctx);
	assert_null(server(same, 2, &e));
	assert_string_equal(e.text,
	    "certificate 2 is never used: those before it have its names and "
	    "the same kind of key");
	ctx = server(both, 2, &e);
	assert_non_null(ctx);
	SSL_CTX_free(ctx);
}

struct ends {
	SSL	*server, *client;
	bool	 done;
};

/* A whole handshake in memory. */
static struct ends
join(SSL_CTX *sctx, SSL_CTX *cctx)
{
	struct ends e = { SSL_new(sctx), SSL_new(cctx), false };
	BIO *a, *b;
	int i, rs = 0, rc = 0;

	assert_int_equal(BIO_new_bio_pair(&a, 0, &b, 0), 1);
	SSL_set_bio(e.server, a, a);
	SSL_set_bio(e.client, b, b);
	SSL_set_accept_state(e.server);
	SSL_set_connect_state(e.client);
	for (i = 0; i < 20 && (rs != 1 || rc != 1); i++) {
		rc = SSL_do_handshake(e.client);
		rs = SSL_do_handshake(e.server);
	}
	e.done = rs == 1 && rc == 1;
	return e;
}

static void
part(struct ends *e)
{
	SSL_free(e->server);
	SSL_free(e->client);
}

/* The description, or "" when the handshake failed. */
static void
shake(SSL_CTX *sctx, SSL_CTX *cctx, char desc[TLS_DESC_SIZE], bool *reused)
{
	struct ends e = join(sctx, cctx);

	desc[0] = '\0';
	if (e.done)
		tls_describe(e.server, desc);
	*reused = SSL_session_reused(e.server);
	part(&e);
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

static const char *const s384_only[][2] = { { "s384.pem", "s384.key" } };
static const char *const sha1_only[][2] = { { "sha1.pem", "sha1.key" } };
static const char *const rsa_only[][2] = { { "rsa.pem", "rsa.key" } };
static const char *const ed_only[][2] = { { "ed.pem", "ed.key" } };

/* Both ends of a connection see the same, and the next connection's is
 * another (but for the server's certificate). */
static void
test_bindings(void **state)
{
	static const struct {
		const char *name, *kind;
		int version;
		bool no_ems;
		size_t len;		/* 0: not to be had */
		bool differs;		/* from the next connection's */
		const char *const (*certs)[2];
		size_t n;
	} rows[] = {
		{ "exporter 1.3", "tls-exporter", TLS1_3_VERSION, false, 32,
		  true, both, 2 },
		{ "exporter 1.2", "tls-exporter", TLS1_2_VERSION, false, 32,
		  true, both, 2 },
		{ "exporter 1.2, no EMS", "tls-exporter", TLS1_2_VERSION, true,
		  0, false, both, 2 },
		{ "unique 1.2", "tls-unique", TLS1_2_VERSION, false, 12, true,
		  both, 2 },
		{ "unique 1.2, no EMS", "tls-unique", TLS1_2_VERSION, true, 12,
		  true, both, 2 },
		{ "unique 1.3", "tls-unique", TLS1_3_VERSION, false, 0, false,
		  both, 2 },
		{ "end point 1.3", "tls-server-end-point", TLS1_3_VERSION,
		  false, 32, false, both, 2 },
		{ "end point 1.2", "tls-server-end-point", TLS1_2_VERSION,
		  true, 32, false, rsa_only, 1 },
		{ "end point, SHA-384", "tls-server-end-point", TLS1_3_VERSION,
		  false, 48, false, s384_only, 1 },
		{ "end point, SHA-1", "tls-server-end-point", TLS1_3_VERSION,
		  false, 32, false, sha1_only, 1 },
		{ "end point, no hash", "tls-server-end-point", TLS1_3_VERSION,
		  false, 0, false, ed_only, 1 },
		{ "unknown", "tls-none", TLS1_3_VERSION, false, 0, false,
		  both, 2 },
		{ "empty", "", TLS1_3_VERSION, false, 0, false, both, 2 },
		{ "another case", "TLS-Exporter", TLS1_3_VERSION, false, 0,
		  false, both, 2 },
	};
	uint8_t s[TLS_BINDING_MAX], c[TLS_BINDING_MAX], t[TLS_BINDING_MAX];
	size_t s_len, c_len, t_len;
	struct ends one, two;
	SSL_CTX *sctx, *cctx;
	struct err e;
	size_t i;
	int r;

	(void)state;
	for (i = 0; i < ROWS(rows); i++) {
		sctx = server(rows[i].certs, rows[i].n, &e);
		assert_int_equal(tls_client_ctx(&cctx, &e), 0);
		SSL_CTX_set_security_level(sctx, 0);
		SSL_CTX_set_max_proto_version(cctx, rows[i].version);
		if (rows[i].no_ems)
			SSL_CTX_set_options(cctx,
			    SSL_OP_NO_EXTENDED_MASTER_SECRET);
		one = join(sctx, cctx);
		two = join(sctx, cctx);
		ROW_EQ(rows[i].name, one.done && two.done, true);
		r = tls_channel_binding(one.server, rows[i].kind, s, &s_len);
		ROW_EQ(rows[i].name, r, rows[i].len == 0 ? ERR_NOTFOUND : 0);
		ROW_EQ(rows[i].name, s_len, rows[i].len);
		if (r == 0) {
			assert_int_equal(tls_channel_binding(one.client,
			    rows[i].kind, c, &c_len), 0);
			assert_int_equal(tls_channel_binding(two.server,
			    rows[i].kind, t, &t_len), 0);
			ROW_EQ(rows[i].name, c_len == s_len &&
			    memcmp(c, s, s_len) == 0, true);
			ROW_EQ(rows[i].name, memcmp(t, s, s_len) != 0,
			    rows[i].differs);
		}
		part(&one);
		part(&two);
		SSL_CTX_free(cctx);
		SSL_CTX_free(sctx);
	}
	assert_int_equal(tls_channel_binding(NULL, "tls-unique", s, &s_len),
	    ERR_NOTFOUND);
}

static void
use_own_certificate(SSL_CTX *ctx, const char *cert, const char *key)
{
	assert_int_equal(SSL_CTX_use_certificate_file(ctx, path(cert),
	    SSL_FILETYPE_PEM), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey_file(ctx, path(key),
	    SSL_FILETYPE_PEM), 1);
}

static void
fingerprint_of(const char *file, uint8_t dst[TLS_FINGERPRINT_SIZE])
{
	FILE *fp = fopen(path(file), "r");
	X509 *x;

	assert_non_null(fp);
	x = PEM_read_X509(fp, NULL, NULL, NULL);
	fclose(fp);
	assert_int_equal(X509_digest(x, EVP_sha256(), dst, NULL), 1);
	X509_free(x);
}

static void
test_client_certificate(void **state)
{
	static const struct {
		const char *name;
		int version;
		bool asks;
		const char *cert, *key;
		bool known;
	} rows[] = {
		{ "1.3", TLS1_3_VERSION, true, "ec2.pem", "ec2.key", true },
		{ "1.2", TLS1_2_VERSION, true, "rsa.pem", "rsa.key", true },
		{ "has none", TLS1_3_VERSION, true, NULL, NULL, false },
		{ "1.2 has none", TLS1_2_VERSION, true, NULL, NULL, false },
		{ "not asked", TLS1_3_VERSION, false, "ec2.pem", "ec2.key",
		  false },
		{ "1.2 not asked", TLS1_2_VERSION, false, "ec2.pem",
		  "ec2.key", false },
	};
	uint8_t want[TLS_FINGERPRINT_SIZE], got[TLS_FINGERPRINT_SIZE];
	SSL_CTX *sctx, *cctx;
	struct ends ends;
	struct err e;
	size_t i;
	int r;

	(void)state;
	for (i = 0; i < ROWS(rows); i++) {
		sctx = server_with(both, 2, (struct tls_server_params){
		    .context_id = "test", .ask_certificate = rows[i].asks },
		    &e);
		assert_int_equal(tls_client_ctx(&cctx, &e), 0);
		SSL_CTX_set_max_proto_version(cctx, rows[i].version);
		if (rows[i].cert != NULL)
			use_own_certificate(cctx, rows[i].cert, rows[i].key);
		ends = join(sctx, cctx);
		ROW_EQ(rows[i].name, ends.done, true);
		ROW_EQ(rows[i].name, SSL_session_reused(ends.server), 0);
		/* No list of authorities: it would tell who our users are. */
		if (rows[i].asks)
			ROW_EQ(rows[i].name, sk_X509_NAME_num(
			    SSL_get_client_CA_list(ends.client)) <= 0, true);
		r = tls_peer_fingerprint(ends.server, got);
		ROW_EQ(rows[i].name, r, rows[i].known ? 0 : ERR_NOTFOUND);
		if (r == 0) {
			fingerprint_of(rows[i].cert, want);
			assert_memory_equal(got, want, sizeof(want));
		}
		part(&ends);
		SSL_CTX_free(cctx);
		SSL_CTX_free(sctx);
	}
	assert_int_equal(tls_peer_fingerprint(NULL, got), ERR_NOTFOUND);
}

/* ------------------------------------------------------- names and kinds -- */

/* The certificate by this name in the files; san as of OpenSSL, or NULL. */
static void
make_named(const char *name, const char *san, bool rsa)
{
	EVP_PKEY *key = rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
	X509 *x = X509_new();
	X509_EXTENSION *ext;
	char file[64];
	FILE *fp;

	X509_set_version(x, 2);
	X509_gmtime_adj(X509_getm_notBefore(x), -60);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN",
	    MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	if (san != NULL) {
		ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name,
		    san);
		assert_non_null(ext);
		X509_add_ext(x, ext, -1);
		X509_EXTENSION_free(ext);
	}
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	snprintf(file, sizeof(file), "%s.pem", name);
	assert_non_null(fp = fopen(path(file), "w"));
	PEM_write_X509(fp, x);
	fclose(fp);
	snprintf(file, sizeof(file), "%s.key", name);
	assert_non_null(fp = fopen(path(file), "w"));
	PEM_write_PrivateKey(fp, key, NULL, NULL, 0, NULL, NULL);
	fclose(fp);
	X509_free(x);
	EVP_PKEY_free(key);
}

static const char *const named[][2] = {
	{ "first.pem", "first.key" },	/* mail.example.org, EC */
	{ "rsa1.pem", "rsa1.key" },	/* mail.example.org, RSA */
	{ "other.pem", "other.key" },	/* mx.example.net smtp.example.net, EC */
	{ "wild.pem", "wild.key" },	/* *.example.net, EC */
	{ "rsaw.pem", "rsaw.key" },	/* *.example.net, RSA */
	{ "cn.example.com.pem", "cn.example.com.key" },	/* no SAN */
};

static void
make_all_named(void)
{
	make_named("first", "DNS:mail.example.org", false);
	make_named("rsa1", "DNS:Mail.Example.ORG", true);
	make_named("other", "DNS:mx.example.net,DNS:smtp.example.net", false);
	make_named("wild", "DNS:*.example.net", false);
	make_named("rsaw", "DNS:*.example.net,IP:192.0.2.1", true);
	make_named("cn.example.com", NULL, false);
}

/* The common name of the certificate that a client of this kind gets. */
static void
served_to(SSL_CTX *sctx, const char *sni, int version, bool rsa, char *dst)
{
	SSL_CTX *cctx;
	struct ends e;
	struct err err;
	BIO *a, *b;

	assert_int_equal(tls_client_ctx(&cctx, &err), 0);
	SSL_CTX_set_min_proto_version(cctx, version);
	SSL_CTX_set_max_proto_version(cctx, version);
	if (rsa)
		SSL_CTX_set1_sigalgs_list(cctx, "RSA-PSS+SHA256");
	e = (struct ends){ SSL_new(sctx), SSL_new(cctx), false };
	if (sni != NULL)
		SSL_set_tlsext_host_name(e.client, sni);
	assert_int_equal(BIO_new_bio_pair(&a, 0, &b, 0), 1);
	SSL_set_bio(e.server, a, a);
	SSL_set_bio(e.client, b, b);
	SSL_set_accept_state(e.server);
	SSL_set_connect_state(e.client);
	for (int i = 0; i < 10; i++) {
		SSL_do_handshake(e.client);
		SSL_do_handshake(e.server);
	}
	strcpy(dst, "none");
	if (SSL_is_init_finished(e.client))
		X509_NAME_get_text_by_NID(X509_get_subject_name(
		    SSL_get0_peer_certificate(e.client)), NID_commonName, dst,
		    64);
	part(&e);
	SSL_CTX_free(cctx);
}

static void
test_names(void **state)
{
	static const struct {
		const char *sni, *ec, *rsa;
	} rows[] = {
		{ NULL, "first", "rsa1" },
		{ "mail.example.org", "first", "rsa1" },
		{ "MAIL.example.ORG", "first", "rsa1" },
		{ "mail.example.org.", "first", "rsa1" },
		{ "mx.example.net", "other", "rsaw" },
		{ "smtp.example.net", "other", "rsaw" },
		{ "pop.example.net", "wild", "rsaw" },
		{ "a.b.example.net", "first", "rsa1" },
		{ "example.net", "first", "rsa1" },
		{ "*.example.net", "wild", "rsaw" },
		{ "cn.example.com", "cn.example.com", "none" },
		{ "unknown.example", "first", "rsa1" },
		{ "x", "first", "rsa1" },
	};
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	char got[64];
	struct err e;
	SSL_CTX *ctx;

	(void)state;
	make_all_named();
	ctx = server(named, ROWS(named), &e);
	assert_non_null(ctx);
	for (size_t i = 0; i < ROWS(rows); i++) {
		const char *name = rows[i].sni == NULL ? "no SNI" : rows[i].sni;

		for (size_t v = 0; v < ROWS(versions); v++) {
			served_to(ctx, rows[i].sni, versions[v], false, got);
			ROW_STR(name, got, rows[i].ec);
			served_to(ctx, rows[i].sni, versions[v], true, got);
			ROW_STR(name, got, rows[i].rsa);
		}
	}
	SSL_CTX_free(ctx);
	for (size_t i = 0; i < ROWS(named); i++) {
		unlink(path(named[i][0]));
		unlink(path(named[i][1]));
	}
}

static void
test_facts(void **state)
{
	static const struct {
		const char *name;
		int64_t before_s, after_s;
		const char *missing, *text;
	} rows[] = {
		{ "fine", -10, 30 * 86400, "", "" },
		{ "soon", -10, 3 * 86400 + 5, "", "expires in 3 days" },
		{ "over", -10, -5, "CN=x", "has expired" },
		{ "not yet", 10, 30 * 86400, "", "not valid yet" },
		{ "chain", -10, 86400, "/CN=R3", "certificate of /CN=R3" },
	};
	struct tls_facts f;
	struct tls_pair p;
	char text[TLS_FACTS_TEXT * 2];
	int64_t end;
	struct err e;

	(void)state;
	make_named("first", "DNS:mail.example.org,DNS:*.example.org", false);
	assert_int_equal(tls_pair_read(path("first.pem"), path("first.key"),
	    &p, &end, &e), 0);
	assert_int_equal(tls_pair_facts(&p, "smtp.example.org", &f), 0);
	assert_string_equal(f.names, "mail.example.org *.example.org");
	assert_string_equal(f.kind, "EC 256");
	assert_true(f.covers);
	assert_string_equal(f.missing, "");	/* self-signed */
	assert_int_equal(f.not_after, end);
	assert_int_equal(tls_pair_facts(&p, "example.org", &f), 0);
	assert_false(f.covers);
	tls_pair_free(&p);
	unlink(path("first.pem"));
	unlink(path("first.key"));
	for (size_t i = 0; i < ROWS(rows); i++) {
		f.not_before = 1000000000 + rows[i].before_s;
		f.not_after = 1000000000 + rows[i].after_s;
		strcpy(f.missing, rows[i].missing);
		tls_facts_warning(&f, 1000000000, text);
		if (*rows[i].text == '\0')
			ROW_STR(rows[i].name, text, "");
		else
			ROW_EQ(rows[i].name, strstr(text, rows[i].text) !=
			    NULL, true);
	}
}

static void
test_legacy(void **state)
{
	static const char *const suites[] = { "ECDHE-RSA-AES128-SHA",
	    "ECDHE-ECDSA-AES256-SHA", "AES128-SHA", "DHE-RSA-AES128-SHA",
	    "ECDHE-RSA-AES128-SHA256" };
	static const bool taken[] = { true, true, false, false, false };
	char desc[TLS_DESC_SIZE];
	SSL_CTX *sctx, *cctx;
	struct err e;
	bool reused;

	(void)state;
	sctx = server_with(both, 2, (struct tls_server_params){
	    .context_id = "test", .legacy = true }, &e);
	for (size_t i = 0; i < ROWS(suites); i++) {
		assert_int_equal(tls_client_ctx(&cctx, &e), 0);
		SSL_CTX_set_max_proto_version(cctx, TLS1_2_VERSION);
		SSL_CTX_set_cipher_list(cctx, suites[i]);
		shake(sctx, cctx, desc, &reused);
		ROW_EQ(suites[i], desc[0] != '\0', taken[i]);
		SSL_CTX_free(cctx);
	}
	SSL_CTX_free(sctx);
}

/* ---------------------------------------------------------------- tickets -- */

static SSL_SESSION *kept;

static int
keep_session(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	SSL_SESSION_free(kept);
	kept = session;
	return 1;
}

/* A handshake with the session kept, if any; true when it was resumed. */
static bool
resumes(SSL_CTX *sctx, SSL_CTX *cctx, uint8_t cert[TLS_FINGERPRINT_SIZE],
    bool *has_cert)
{
	struct ends e = { SSL_new(sctx), SSL_new(cctx), false };
	BIO *a, *b;
	uint8_t c;
	bool r;

	if (kept != NULL)
		SSL_set_session(e.client, kept);
	BIO_new_bio_pair(&a, 0, &b, 0);
	SSL_set_bio(e.server, a, a);
	SSL_set_bio(e.client, b, b);
	SSL_set_accept_state(e.server);
	SSL_set_connect_state(e.client);
	for (int i = 0; i < 10; i++) {
		SSL_do_handshake(e.client);
		SSL_do_handshake(e.server);
	}
	assert_true(SSL_is_init_finished(e.client));
	(void)SSL_read(e.client, &c, 1);	/* the ticket of TLS 1.3 */
	r = SSL_session_reused(e.server);
	*has_cert = tls_peer_fingerprint(e.server, cert) == 0;
	SSL_shutdown(e.client);
	SSL_shutdown(e.server);
	part(&e);
	return r;
}

static void
test_tickets(void **state)
{
	static const uint8_t one[TLS_TICKET_SEED] = { 1 };
	static const uint8_t two[TLS_TICKET_SEED] = { 2 };
	static const struct {
		const char *name;
		int version;
		const uint8_t *seed, *next_seed;
		const char *next_id;
		bool asks, resumed;
	} rows[] = {
		{ "1.3", TLS1_3_VERSION, one, one, "a", false, true },
		{ "1.2", TLS1_2_VERSION, one, one, "a", false, true },
		{ "1.3 off", TLS1_3_VERSION, NULL, NULL, "a", false, false },
		{ "1.2 off", TLS1_2_VERSION, NULL, NULL, "a", false, false },
		{ "1.3 other listener", TLS1_3_VERSION, one, one, "b", false,
		  false },
		{ "1.2 other listener", TLS1_2_VERSION, one, one, "b", false,
		  false },
		{ "1.3 other keys", TLS1_3_VERSION, one, two, "a", false,
		  false },
		{ "1.2 other keys", TLS1_2_VERSION, one, two, "a", false,
		  false },
		{ "1.3 certificates", TLS1_3_VERSION, one, one, "a", true,
		  false },
		{ "1.2 certificates", TLS1_2_VERSION, one, one, "a", true,
		  false },
	};
	uint8_t cert[TLS_FINGERPRINT_SIZE];
	SSL_CTX *a, *b, *cctx;
	struct err e;
	bool has_cert;

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		a = server_with(both, 2, (struct tls_server_params){
		    .context_id = "a", .ticket_seed = rows[i].seed,
		    .ask_certificate = rows[i].asks }, &e);
		b = server_with(both, 2, (struct tls_server_params){
		    .context_id = rows[i].next_id,
		    .ticket_seed = rows[i].next_seed,
		    .ask_certificate = rows[i].asks }, &e);
		assert_int_equal(tls_client_ctx(&cctx, &e), 0);
		SSL_CTX_clear_options(cctx, SSL_OP_NO_TICKET);
		SSL_CTX_set_session_cache_mode(cctx, SSL_SESS_CACHE_CLIENT);
		SSL_CTX_sess_set_new_cb(cctx, keep_session);
		SSL_CTX_set_max_proto_version(cctx, rows[i].version);
		use_own_certificate(cctx, "ec2.pem", "ec2.key");
		ROW_EQ(rows[i].name, resumes(a, cctx, cert, &has_cert), false);
		ROW_EQ(rows[i].name, has_cert, rows[i].asks);
		ROW_EQ(rows[i].name, resumes(b, cctx, cert, &has_cert),
		    rows[i].resumed);
		ROW_EQ(rows[i].name, has_cert, rows[i].asks);
		SSL_SESSION_free(kept);
		kept = NULL;
		SSL_CTX_free(cctx);
		SSL_CTX_free(a);
		SSL_CTX_free(b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_contexts),
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_bindings),
		cmocka_unit_test(test_client_certificate),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_facts),
		cmocka_unit_test(test_legacy),
		cmocka_unit_test(test_tickets),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
