/*
 * t_exchange.c - what an exchange tells authd: which channel binding, which
 * certificate, in which message. authd is played here; TLS is real.
 */
#include "config.h"

#include "auth/exchange.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "lib/err.h"
#include "lib/str.h"
#include "lib/tls.h"
#include "tests/unit/unit.h"

static struct {
	authc_fn	*fn;
	void		*ctx;
	uint16_t	 type;			/* of the question that is open */
	char		 mech[AUTHP_MECH_MAX + 1];
	bool		 has_ir;
	char		 ir[512];
	size_t		 ir_len;
	char		 binding[AUTHP_BINDING_MAX + 1];
	uint8_t		 data[AUTHP_BINDING_DATA_MAX];
	size_t		 data_len;
	bool		 has_cert;
	uint8_t		 cert[AUTHP_CERT_SIZE];
	char		 name[AUTHP_NAME_MAX + 1], challenge[64];
	uint8_t		 digest[AUTHP_DIGEST_SIZE];
	unsigned int	 cancelled;
} authd;

static int
asked(uint16_t type, authc_fn *fn, void *ctx, uint32_t *ret_call)
{
	authd.type = type;
	authd.fn = fn;
	authd.ctx = ctx;
	*ret_call = 1;
	return 0;
}

int
authc_session(struct authc *a, int sock_fd, enum authp_service service,
    const char *sid, const struct addr *claim, authc_fn *fn, void *ctx,
    uint32_t *ret_call)
{
	(void)claim;
	(void)a, (void)service, (void)sid;
	assert_int_equal(sock_fd, 9);
	return asked(AUTHP_SESSION, fn, ctx, ret_call);
}

int
authc_sasl_start(struct authc *a, const struct authc_handle *handle,
    const struct authc_start *st, authc_fn *fn, void *ctx, uint32_t *ret_call)
{
	(void)a;
	assert_int_equal(handle->len, 0);
	assert_int_equal(st->sock_fd, 9);
	assert_string_equal(st->sid, "sid");
	assert_string_equal(st->tls, "TLS");
	strcpy(authd.mech, st->mech);
	authd.has_ir = st->ir != NULL;
	authd.ir_len = st->ir_len;
	memcpy(authd.ir, st->ir == NULL ? "" : st->ir, st->ir_len);
	strcpy(authd.binding, st->binding);
	authd.data_len = st->binding_len;
	memcpy(authd.data, st->binding_data, st->binding_len);
	authd.has_cert = st->cert != NULL;
	if (authd.has_cert)
		memcpy(authd.cert, st->cert, AUTHP_CERT_SIZE);
	return asked(AUTHP_SASL_START, fn, ctx, ret_call);
}

int
authc_sasl_step(struct authc *a, uint32_t exchange, const void *resp,
    size_t len, authc_fn *fn, void *ctx, uint32_t *ret_call)
{
	(void)a, (void)exchange, (void)resp, (void)len;
	return asked(AUTHP_SASL_STEP, fn, ctx, ret_call);
}

int
authc_apop(struct authc *a, const struct authc_handle *handle, const char *tls,
    const char *name, const char *challenge,
    const uint8_t digest[AUTHP_DIGEST_SIZE], authc_fn *fn, void *ctx,
    uint32_t *ret_call)
{
	(void)a, (void)handle, (void)tls;
	strcpy(authd.name, name);
	strcpy(authd.challenge, challenge);
	memcpy(authd.digest, digest, sizeof(authd.digest));
	return asked(AUTHP_APOP, fn, ctx, ret_call);
}

void
authc_sasl_cancel(struct authc *a, uint32_t exchange)
{
	(void)a, (void)exchange;
	authd.cancelled++;
}

void
authc_cancel(struct authc *a, uint32_t call)
{
	(void)a, (void)call;
	authd.fn = NULL;
}

static void
answer(enum authp_verdict v)
{
	struct authc_reply r = { .verdict = v, .blob = "HANDLE", .blob_len = 6,
	    .user = "anna", .exchange = 3 };
	authc_fn *fn = authd.fn;

	authd.fn = NULL;
	fn(authd.ctx, &r);
}

/* ------------------------------------------------------------------- TLS -- */

static SSL *server_ssl, *client_ssl;

static X509 *
certificate(EVP_PKEY *key)
{
	X509 *x = X509_new();

	X509_set_version(x, 2);
	X509_gmtime_adj(X509_getm_notBefore(x), -60);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, key);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	return x;
}

static int
take_any(int ok, X509_STORE_CTX *store)
{
	(void)ok;
	(void)store;
	return 1;
}

static void
join(int version, bool with_cert)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = certificate(key);
	SSL_CTX *s = SSL_CTX_new(TLS_server_method());
	SSL_CTX *c = SSL_CTX_new(TLS_client_method());
	BIO *a, *b;

	SSL_CTX_use_certificate(s, x);
	SSL_CTX_use_PrivateKey(s, key);
	SSL_CTX_set_max_proto_version(c, version);
	SSL_CTX_set_verify(s, SSL_VERIFY_PEER, take_any);
	if (with_cert) {
		SSL_CTX_use_certificate(c, x);
		SSL_CTX_use_PrivateKey(c, key);
	}
	server_ssl = SSL_new(s);
	client_ssl = SSL_new(c);
	assert_int_equal(BIO_new_bio_pair(&a, 0, &b, 0), 1);
	SSL_set_bio(server_ssl, a, a);
	SSL_set_bio(client_ssl, b, b);
	SSL_set_accept_state(server_ssl);
	SSL_set_connect_state(client_ssl);
	for (int i = 0; i < 20; i++) {
		SSL_do_handshake(client_ssl);
		SSL_do_handshake(server_ssl);
	}
	assert_int_equal(SSL_is_init_finished(server_ssl), 1);
	X509_free(x);
	EVP_PKEY_free(key);
	SSL_CTX_free(s);
	SSL_CTX_free(c);
}

static void
part(void)
{
	SSL_free(server_ssl);
	SSL_free(client_ssl);
}

/* ----------------------------------------------------------------- tests -- */

static struct {
	unsigned int		 n;
	enum authp_verdict	 verdict;
} told;

static void
tell(void *ctx, const struct exchange_reply *r)
{
	(void)ctx;
	told.n++;
	told.verdict = r->verdict;
}

static struct exchange *
begun(const char *mech, const char *ir, int want)
{
	struct exchange *x = exchange_new(NULL, AUTHP_SMTP, "sid", NULL);
	struct exchange_client c = { .fd = 9, .tls = "TLS",
	    .ssl = server_ssl };

	memset(&authd, 0, sizeof(authd));
	memset(&told, 0, sizeof(told));
	assert_int_equal(exchange_begin(x, &c, mech, ir, tell, NULL), want);
	return x;
}

static const char *
b64(const char *text, size_t len)
{
	static char out[1024];

	str_b64_encode(out, sizeof(out), text, len);
	return out;
}

/* What the first message says, and which binding authd hears of. */
static void
test_bindings(void **state)
{
	static const struct {
		const char *name, *mech, *first, *binding;
		int version;
		size_t first_len;	/* 0: strlen() */
	} rows[] = {
		{ "exporter", "SCRAM-SHA-256-PLUS", "p=tls-exporter,,n=a,r=b",
		  "tls-exporter", TLS1_3_VERSION, 0 },
		{ "exporter, authzid", "SCRAM-SHA-1-PLUS",
		  "p=tls-exporter,a=x,n=a,r=b", "tls-exporter",
		  TLS1_3_VERSION, 0 },
		{ "unique", "SCRAM-SHA-256-PLUS", "p=tls-unique,,n=a,r=b",
		  "tls-unique", TLS1_2_VERSION, 0 },
		{ "end point", "SCRAM-SHA-256-PLUS",
		  "p=tls-server-end-point,,n=a,r=b", "tls-server-end-point",
		  TLS1_3_VERSION, 0 },
		{ "unique on 1.3", "SCRAM-SHA-256-PLUS",
		  "p=tls-unique,,n=a,r=b", "", TLS1_3_VERSION, 0 },
		{ "unknown", "SCRAM-SHA-256-PLUS", "p=tls-x,,n=a,r=b", "",
		  TLS1_3_VERSION, 0 },
		{ "too long", "SCRAM-SHA-256-PLUS",
		  "p=tls-exportertls-exportertls-exportertls-exporter,,n=a,r=b",
		  "", TLS1_3_VERSION, 0 },
		{ "no comma", "SCRAM-SHA-256-PLUS", "p=tls-exporter", "",
		  TLS1_3_VERSION, 0 },
		{ "NUL for a comma", "SCRAM-SHA-256-PLUS",
		  "p=tls-exporter\0,n=a,r=b", "", TLS1_3_VERSION, 23 },
		{ "n", "SCRAM-SHA-256-PLUS", "n,,n=a,r=b", "", TLS1_3_VERSION,
		  0 },
		{ "y", "SCRAM-SHA-256-PLUS", "y,,n=a,r=b", "", TLS1_3_VERSION,
		  0 },
		{ "p alone", "SCRAM-SHA-256-PLUS", "p", "", TLS1_3_VERSION, 0 },
		{ "not a PLUS", "SCRAM-SHA-256", "p=tls-exporter,,n=a,r=b", "",
		  TLS1_3_VERSION, 0 },
		{ "PLUS alone", "-PLUS", "p=tls-exporter,,n=a,r=b", "",
		  TLS1_3_VERSION, 0 },
	};
	uint8_t want[TLS_BINDING_MAX];

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		size_t len = rows[i].first_len != 0 ? rows[i].first_len :
		    strlen(rows[i].first), want_len = 0;
		const char *first = b64(rows[i].first, len);
		bool plus = strstr(rows[i].mech, "6-PLUS") != NULL;
		struct exchange *x;

		join(rows[i].version, false);
		if (rows[i].binding[0] != '\0')
			assert_int_equal(tls_channel_binding(client_ssl,
			    rows[i].binding, want, &want_len), 0);
		for (int asks = 0; asks <= plus; asks++) {
			if (asks) {
				x = begun(rows[i].mech, NULL, EXCHANGE_ASK);
				ROW_EQ(rows[i].name, authd.fn == NULL, true);
				assert_int_equal(exchange_respond(x, first,
				    strlen(first)), 0);
			} else {
				x = begun(rows[i].mech, first, 0);
			}
			assert_int_equal(authd.type, AUTHP_SASL_START);
			ROW_STR(rows[i].name, authd.mech, rows[i].mech);
			ROW_STR(rows[i].name, authd.binding, rows[i].binding);
			ROW_EQ(rows[i].name, authd.data_len, want_len);
			assert_memory_equal(authd.data, want, want_len);
			ROW_EQ(rows[i].name, authd.has_ir && authd.ir_len == len
			    && memcmp(authd.ir, rows[i].first, len) == 0, true);
			assert_false(authd.has_cert);
			answer(AUTHP_BADCRED);
			assert_int_equal(told.n, 1);
			assert_int_equal(told.verdict, AUTHP_BADCRED);
			exchange_free(x);
		}
		part();
	}
}

static void
test_first_message(void **state)
{
	static const struct {
		const char *name, *line;
		int r;
	} rows[] = {
		{ "empty", "", 0 },
		{ "given up", "*", ERR_DENIED },
		{ "no base64", "YQ", ERR_FORMAT },
	};

	(void)state;
	join(TLS1_3_VERSION, false);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct exchange *x = begun("SCRAM-SHA-256-PLUS", NULL,
		    EXCHANGE_ASK);
		struct exchange_client c = { .fd = 9, .tls = "TLS" };

		assert_int_equal(exchange_begin(x, &c, "PLAIN", NULL, tell,
		    NULL), ERR_EXISTS);
		ROW_EQ(rows[i].name, exchange_respond(x, rows[i].line,
		    strlen(rows[i].line)), rows[i].r);
		if (rows[i].r == 0) {
			ROW_EQ(rows[i].name, authd.has_ir &&
			    authd.ir_len == 0, true);
		} else {
			/* It is over, and another may begin. */
			ROW_EQ(rows[i].name, exchange_respond(x, "", 0),
			    ERR_NOTFOUND);
			ROW_EQ(rows[i].name, exchange_begin(x, &c, "PLAIN",
			    "=", tell, NULL), 0);
		}
		assert_int_equal(told.n, 0);
		exchange_free(x);
		assert_int_equal(authd.cancelled, 0);
	}
	exchange_free(begun("SCRAM-SHA-256-PLUS", NULL, EXCHANGE_ASK));
	part();
}

static void
test_certificate(void **state)
{
	uint8_t want[TLS_FINGERPRINT_SIZE];
	struct exchange *x;

	(void)state;
	join(TLS1_3_VERSION, true);
	assert_int_equal(tls_peer_fingerprint(server_ssl, want), 0);
	x = begun("EXTERNAL", NULL, 0);
	assert_true(authd.has_cert && !authd.has_ir);
	assert_memory_equal(authd.cert, want, sizeof(want));
	exchange_free(x);
	x = begun("PLAIN", "=", 0);	/* nobody's business there */
	assert_false(authd.has_cert);
	exchange_free(x);
	part();
	join(TLS1_2_VERSION, false);
	x = begun("EXTERNAL", "=", 0);
	assert_true(!authd.has_cert && authd.has_ir && authd.ir_len == 0);
	exchange_free(x);
	part();
}

static void
test_apop(void **state)
{
	struct exchange *x = exchange_new(NULL, AUTHP_POP, "sid", NULL);
	struct exchange_client c = { .fd = 9, .tls = "TLS" };
	char name[AUTHP_NAME_MAX + 2];

	(void)state;
	memset(&told, 0, sizeof(told));
	assert_int_equal(exchange_apop(x, &c, "<a@b>", "an na",
	    "c4c9334bac560ecc979e58001b3e22fb", tell, NULL), 0);
	answer(AUTHP_OK);
	assert_int_equal(authd.type, AUTHP_APOP);
	assert_string_equal(authd.name, "an na");
	assert_string_equal(authd.challenge, "<a@b>");
	assert_int_equal(authd.digest[0], 0xc4);
	assert_int_equal(authd.digest[15], 0xfb);
	answer(AUTHP_OK);
	assert_int_equal(told.n, 1);
	assert_int_equal(exchange_apop(x, &c, "<a@b>", "anna", "c4c9", tell,
	    NULL), ERR_FORMAT);
	memset(name, 'n', sizeof(name));
	name[AUTHP_NAME_MAX + 1] = '\0';
	assert_int_equal(exchange_apop(x, &c, "<a@b>", name,
	    "c4c9334bac560ecc979e58001b3e22fb", tell, NULL), ERR_LIMIT);
	name[AUTHP_NAME_MAX] = '\0';
	assert_int_equal(exchange_apop(x, &c, "<a@b>", name,
	    "c4c9334bac560ecc979e58001b3e22fb", tell, NULL), 0);
	assert_int_equal(authd.type, AUTHP_APOP);
	exchange_free(x);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bindings),
		cmocka_unit_test(test_first_message),
		cmocka_unit_test(test_certificate),
		cmocka_unit_test(test_apop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
