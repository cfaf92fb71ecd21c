/*
 * t_tls_alert.c - the table of alerts and hints, and what first octets are.
 */
#include "lib/tls_alert.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "tests/unit/unit.h"

static void
test_table(void **state)
{
	const struct tls_alert *a, *b;

	(void)state;
	for (size_t i = 0; (a = tls_alert_row(i)) != NULL; i++) {
		ROW_EQ(a->word, strcspn(a->word, " =\"") == strlen(a->word),
		    true);
		ROW_EQ(a->word, a->hint[strlen(a->hint) - 1] != '.', true);
		ROW_EQ(a->word, a->tell[strlen(a->tell) - 1], '.');
		assert_ptr_equal(tls_alert_find(a->word), a);
		for (size_t k = 0; k < i; k++) {
			b = tls_alert_row(k);
			ROW_EQ(a->word, a->reason != 0 &&
			    a->reason == b->reason, false);
		}
	}
}

static void
test_codes(void **state)
{
	static const struct {
		const char *word;
		int lib, reason;
	} rows[] = {
		{ "unknown_ca", ERR_LIB_SSL, SSL_R_TLSV1_ALERT_UNKNOWN_CA },
		{ "certificate_expired", ERR_LIB_SSL,
		  SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED },
		{ "protocol_version", ERR_LIB_SSL,
		  SSL_R_TLSV1_ALERT_PROTOCOL_VERSION },
		{ "no_shared_cipher", ERR_LIB_SSL, SSL_R_NO_SHARED_CIPHER },
		{ "old_protocol", ERR_LIB_SSL, SSL_R_UNSUPPORTED_PROTOCOL },
		{ "not_tls", ERR_LIB_SSL, SSL_R_WRONG_VERSION_NUMBER },
		{ TLS_ALERT_OTHER, ERR_LIB_SSL, SSL_R_BAD_VALUE },
		{ TLS_ALERT_OTHER, ERR_LIB_X509, SSL_R_NO_SHARED_CIPHER },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		ROW_STR(rows[i].word, tls_alert_of(ERR_PACK(rows[i].lib, 0,
		    rows[i].reason))->word, rows[i].word);
	assert_string_equal(tls_alert_of(0)->word, TLS_ALERT_OTHER);
	assert_string_equal(tls_alert_find("tls:unknown_ca")->word,
	    "unknown_ca");
	assert_null(tls_alert_find("eof"));
	assert_null(tls_alert_find(""));
}

#define TEXT(s) s, sizeof(s) - 1

static void
test_first(void **state)
{
	static const struct {
		const char *name, *p;
		size_t len;
		enum tls_first what;
	} rows[] = {
		{ "nothing", TEXT(""), TLS_FIRST_TEXT },
		{ "EHLO", TEXT("EHLO x\r\n"), TLS_FIRST_TEXT },
		{ "a part", TEXT("EHL"), TLS_FIRST_TEXT },
		{ "an empty line", TEXT("\r\n"), TLS_FIRST_TEXT },
		{ "QUIT", TEXT("QUIT\r\n"), TLS_FIRST_TEXT },
		{ "GET", TEXT("GET / HTTP/1.1\r\n"), TLS_FIRST_HTTP },
		{ "five of it", TEXT("GET /"), TLS_FIRST_HTTP },
		{ "POST", TEXT("POST "), TLS_FIRST_HTTP },
		{ "HTTP/2", TEXT("PRI * HTTP/2.0\r\n"), TLS_FIRST_HTTP },
		{ "GETTER", TEXT("GETTER x"), TLS_FIRST_TEXT },
		{ "get", TEXT("get / x"), TLS_FIRST_TEXT },
		{ "ClientHello", TEXT("\x16\x03\x01\x02\x00\x01"),
		  TLS_FIRST_HELLO },
		{ "its first octet", TEXT("\x16"), TLS_FIRST_HELLO },
		{ "SSL 2", TEXT("\x80\x2e\x01\x03\x01"), TLS_FIRST_HELLO },
		{ "RDP", TEXT("\x03\x00\x00\x13"), TLS_FIRST_OTHER },
		{ "NUL", TEXT("\0"), TLS_FIRST_OTHER },
		{ "UTF-8", TEXT("\xc3\xa4h\r\n"), TLS_FIRST_OTHER },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		ROW_EQ(rows[i].name, tls_first_look(
		    (const uint8_t *)rows[i].p, rows[i].len), rows[i].what);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_codes),
		cmocka_unit_test(test_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
