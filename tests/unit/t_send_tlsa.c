/*
 * t_send_tlsa.c - what TLSA records make of a handshake: each row is one, between
 * a client that has them and a server with a certificate made here.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "submitd/send/tlsa.h"

enum cert { GOOD, OLD, OTHER, CERTS };	/* end entities, of the one CA */

static const struct {
	const char	*name;
	int		 days;
} certs[CERTS] = { { "mx.test", 1 }, { "mx.test", -1 }, { "evil.test", 1 } };

static EVP_PKEY	*ca_key, *key[CERTS];
static X509	*ca, *cert[CERTS];

static X509 *
cert_make(const char *name, EVP_PKEY *pkey, int days, bool is_ca)
{
	X509 *x = X509_new();
	X509_NAME *n = X509_get_subject_name(x);
	X509_EXTENSION *ext;
	char san[80];

	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), is_ca ? 1 : 2);
	X509_gmtime_adj(X509_getm_notBefore(x), -10 * 86400);
	X509_gmtime_adj(X509_getm_notAfter(x), days * 86400);
	X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC,
	    (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(x, is_ca ? n : X509_get_subject_name(ca));
	X509_set_pubkey(x, pkey);
	snprintf(san, sizeof(san), is_ca ? "critical,CA:TRUE" : "DNS:%s", name);
	ext = X509V3_EXT_conf_nid(NULL, NULL, is_ca ? NID_basic_constraints :
	    NID_subject_alt_name, san);
	X509_add_ext(x, ext, -1);
	X509_EXTENSION_free(ext);
	assert_true(X509_sign(x, ca_key, EVP_sha256()) > 0);
	return x;
}

static void
certs_make(void)
{
	ca_key = EVP_EC_gen("P-256");
	ca = cert_make("ca", ca_key, 1, true);
	for (int i = 0; i < CERTS; i++) {
		key[i] = EVP_EC_gen("P-256");
		cert[i] = cert_make(certs[i].name, key[i], certs[i].days,
		    false);
	}
}

/* What a record says about a certificate. */
static struct tlsa
tlsa_of(X509 *x, uint8_t usage, uint8_t selector, uint8_t matching)
{
	struct tlsa t = { .usage = usage, .selector = selector,
		.matching = matching };
	uint8_t *der = NULL;
	unsigned int len = 0;
	int n = selector == 0 ? i2d_X509(x, &der) :
	    i2d_PUBKEY(X509_get0_pubkey(x), &der);

	assert_true(n > 0);
	t.data = malloc(n > 64 ? (size_t)n : 64);
	t.len = (uint16_t)n;
	if (matching == 0) {
		memcpy(t.data, der, (size_t)n);
	} else {
		EVP_Digest(der, (size_t)n, t.data, &len, matching == 1 ?
		    EVP_sha256() : EVP_sha512(), NULL);
		t.len = (uint16_t)len;
	}
	OPENSSL_free(der);
	return t;
}

struct row {
	const char	*name;
	enum cert	 server;
	const char	*base, *host, *domain;	/* the host's names */
	uint8_t		 record[3];
	int		 of;		/* whose: a cert, or -1: the CA */
	bool		 want;
};

/* clang-format off */
static const struct row rows[] = {
	{ "key, SHA-256", GOOD, "mx.test", "mx.test", "", { 3, 1, 1 }, GOOD, true },
	{ "key, SHA-512", GOOD, "mx.test", "mx.test", "", { 3, 1, 2 }, GOOD, true },
	{ "key, whole", GOOD, "mx.test", "mx.test", "", { 3, 1, 0 }, GOOD, true },
	{ "certificate", GOOD, "mx.test", "mx.test", "", { 3, 0, 1 }, GOOD, true },
	{ "certificate, whole", GOOD, "mx.test", "mx.test", "", { 3, 0, 0 }, GOOD, true },
	{ "another key", GOOD, "mx.test", "mx.test", "", { 3, 1, 1 }, OTHER, false },
	{ "another certificate", GOOD, "mx.test", "mx.test", "", { 3, 0, 1 }, OLD, false },
	{ "end entity: no name matters", OTHER, "mx.test", "mx.test", "", { 3, 1, 1 }, OTHER, true },
	{ "end entity: no date matters", OLD, "mx.test", "mx.test", "", { 3, 1, 1 }, OLD, true },
	{ "end entity: the CA is none", GOOD, "mx.test", "mx.test", "", { 3, 1, 1 }, -1, false },
	{ "anchor", GOOD, "mx.test", "mx.test", "", { 2, 0, 1 }, -1, true },
	{ "anchor's key", GOOD, "mx.test", "mx.test", "", { 2, 1, 1 }, -1, true },
	{ "anchor, another name", OTHER, "mx.test", "mx.test", "", { 2, 0, 1 }, -1, false },
	{ "anchor, another date", OLD, "mx.test", "mx.test", "", { 2, 0, 1 }, -1, false },
	{ "anchor, the name before the alias", GOOD, "al.test", "mx.test", "", { 2, 0, 1 }, -1, true },
	{ "anchor, the recipients' domain", GOOD, "al.test", "m.test", "mx.test", { 2, 0, 1 }, -1, true },
	{ "anchor, none of three names", GOOD, "al.test", "m.test", "d.test", { 2, 0, 1 }, -1, false },
};
/* clang-format on */

static void
host_set(struct hosts_host *h, const struct row *row, struct tlsa *t)
{
	*h = (struct hosts_host){ .dane = true, .tlsa = t, .n_tlsa = 1 };
	strcpy(h->tlsa_base, row->base);
	strcpy(h->name, row->host);
	strcpy(h->domain, row->domain);
}

/* Octets of one side to the other, until neither has any. */
static bool
shake(SSL *client, SSL *server)
{
	int c = 0, s = 0;

	for (int i = 0; i < 10 && (c != 1 || s != 1); i++) {
		c = SSL_do_handshake(client);
		if (c != 1 && SSL_get_error(client, c) != SSL_ERROR_WANT_READ)
			return false;
		s = SSL_do_handshake(server);
	}
	return c == 1 && s == 1;
}

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct row *row = &rows[i];
		SSL_CTX *cc = SSL_CTX_new(TLS_client_method());
		SSL_CTX *sc = SSL_CTX_new(TLS_server_method());
		struct tlsa t = tlsa_of(row->of < 0 ? ca : cert[row->of],
		    row->record[0], row->record[1], row->record[2]);
		struct hosts_host h;
		SSL *client, *server;
		BIO *cb, *sb;
		bool got;

		host_set(&h, row, &t);
		assert_true(SSL_CTX_dane_enable(cc) > 0);
		SSL_CTX_use_certificate(sc, cert[row->server]);
		SSL_CTX_use_PrivateKey(sc, key[row->server]);
		SSL_CTX_add1_chain_cert(sc, ca);
		client = SSL_new(cc);
		server = SSL_new(sc);
		assert_int_equal(BIO_new_bio_pair(&cb, 0, &sb, 0), 1);
		SSL_set_bio(client, cb, cb);
		SSL_set_bio(server, sb, sb);
		SSL_set_connect_state(client);
		SSL_set_accept_state(server);
		assert_int_equal(hosts_dane_setup(&h, client), 1);
		got = shake(client, server) &&
		    SSL_get_verify_result(client) == X509_V_OK;
		if (got != row->want)
			print_error("%s\n", row->name);
		assert_int_equal(got, row->want);
		if (got)
			assert_string_equal(SSL_get_servername(server,
			    TLSEXT_NAMETYPE_host_name), row->base);
		SSL_free(client);
		SSL_free(server);
		SSL_CTX_free(cc);
		SSL_CTX_free(sc);
		free(t.data);
	}
}

/* One that OpenSSL cannot read is left out; of nothing else, nothing is set. */
static void
test_unusable(void **state)
{
	SSL_CTX *cc = SSL_CTX_new(TLS_client_method());
	uint8_t junk[] = { 1, 2, 3 };
	struct tlsa t[2] = { { 3, 0, 0, sizeof(junk), junk } };
	struct hosts_host h;
	SSL *client;

	(void)state;
	SSL_CTX_dane_enable(cc);
	host_set(&h, &rows[0], t);
	h.n_tlsa = 0;
	client = SSL_new(cc);
	assert_int_equal(hosts_dane_setup(&h, client), 0);
	h.n_tlsa = 1;
	assert_int_equal(hosts_dane_setup(&h, client), 0);
	SSL_free(client);
	t[1] = tlsa_of(cert[GOOD], 3, 1, 1);
	h.n_tlsa = 2;
	client = SSL_new(cc);
	assert_int_equal(hosts_dane_setup(&h, client), 1);
	SSL_free(client);
	free(t[1].data);
	SSL_CTX_free(cc);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_unusable),
	};
	int failed;

	certs_make();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	for (int i = 0; i < CERTS; i++) {
		X509_free(cert[i]);
		EVP_PKEY_free(key[i]);
	}
	X509_free(ca);
	EVP_PKEY_free(ca_key);
	return failed;
}
