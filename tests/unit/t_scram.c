/*
 * t_scram.c - auth/scram.c: the keys of the example of RFC 7677 section 3, and
 * the preparation of passwords with the examples of RFC 4013 section 3.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "auth/scram.h"
#include "lib/str.h"

/* RFC 7677 section 3. */
#define AUTH_MESSAGE \
	"n=user,r=rOprNGfwEbeRWgbNEkqO," \
	"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0," \
	"s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096," \
	"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define CLIENT_PROOF "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define SERVER_SIGNATURE "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

static void
t_rfc7677(void **state)
{
	uint8_t salt[SCRAM_SALT], stored[SCRAM_KEY], server[SCRAM_KEY];
	uint8_t proof[SCRAM_KEY], sig[SCRAM_KEY], got[SCRAM_KEY];
	const unsigned char *msg = (const unsigned char *)AUTH_MESSAGE;
	unsigned int n;

	(void)state;
	assert_int_equal(str_b64_decode(salt, sizeof(salt),
	    "W22ZaJ0SNY7soEsUEjb6gQ==", 24), SCRAM_SALT);
	assert_int_equal(scram_derive("pencil", 6, salt, sizeof(salt), 4096,
	    stored, server), 0);
	assert_int_equal(str_b64_decode(sig, sizeof(sig), SERVER_SIGNATURE,
	    44), SCRAM_KEY);
	HMAC(EVP_sha256(), server, SCRAM_KEY, msg, strlen(AUTH_MESSAGE), got, &n);
	assert_memory_equal(got, sig, SCRAM_KEY);
	/* H(proof XOR HMAC(StoredKey, message)) is StoredKey. */
	assert_int_equal(str_b64_decode(proof, sizeof(proof), CLIENT_PROOF,
	    44), SCRAM_KEY);
	HMAC(EVP_sha256(), stored, SCRAM_KEY, msg, strlen(AUTH_MESSAGE), got, &n);
	for (unsigned int i = 0; i < SCRAM_KEY; i++)
		got[i] ^= proof[i];
	EVP_Digest(got, SCRAM_KEY, sig, NULL, EVP_sha256(), NULL);
	assert_int_equal(scram_key_cmp(sig, stored), 0);
	assert_int_not_equal(scram_key_cmp(sig, server), 0);
}

/* RFC 5802 section 5; salts of names. */
static void
t_sha1(void **state)
{
	static const char msg[] = "n=user,r=fyko+d2lbbFgONRv9qkxdawL,"
	    "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,"
	    "i=4096,c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j";
	uint8_t salt[SCRAM_SALT], other[SCRAM_SALT], key[32] = { 1 };
	uint8_t stored[SCRAM_KEY1], server[SCRAM_KEY1];
	uint8_t got[SCRAM_KEY1], want[SCRAM_KEY1];
	struct user_credential c = { 0 };
	unsigned int n;
	int salt_len;

	(void)state;
	salt_len = str_b64_decode(salt, sizeof(salt), "QSXCR+Q6sek8bf92", 16);
	assert_int_equal(salt_len, 12);
	assert_int_equal(scram_derive1("pencil", 6, salt, 12, 4096, stored,
	    server), 0);
	HMAC(EVP_sha1(), server, SCRAM_KEY1, (const unsigned char *)msg,
	    strlen(msg), got, &n);
	str_b64_decode(want, sizeof(want), "rmF9pqV8S7suAoZWja4dJRkFsKQ=", 28);
	assert_memory_equal(got, want, SCRAM_KEY1);
	assert_int_equal(scram_set_keys(&c, "pencil", 6, salt, 12, 4096,
	    true), 0);
	assert_memory_equal(c.stored_key1, stored, SCRAM_KEY1);
	assert_int_equal(c.keys, CREDENTIAL_KEYS_ALL);
	assert_int_equal(scram_set_keys(&c, "pencil", 6, salt, 12, 4096,
	    false), 0);
	assert_int_equal(c.keys, CREDENTIAL_SHA256);
	assert_int_equal(scram_salt_of(key, "a@example.org", salt), 0);
	assert_int_equal(scram_salt_of(key, "b@example.org", other), 0);
	assert_memory_not_equal(salt, other, SCRAM_SALT);
	assert_int_equal(scram_salt_of(key, "a@example.org", other), 0);
	assert_memory_equal(salt, other, SCRAM_SALT);
}

static void
t_prepare(void **state)
{
	static const struct {
		const char	*name, *in;
		bool		 stored;
		const char	*want;		/* NULL: refused */
	} rows[] = {
		{ "ASCII", "USER pass~", true, "USER pass~" },
		{ "soft hyphen", "I\xc2\xadX", true, "IX" },
		{ "NFKC letter", "\xc2\xaa", true, "a" },
		{ "NFKC number", "\xe2\x85\xa8", true, "IX" },
		{ "control", "\x07", true, NULL },
		{ "control in query", "\x07", false, NULL },
		{ "bad bidi", "\xd8\xa7\x31", true, NULL },
		{ "umlaut", "p\xc3\xa4ss", true, "p\xc3\xa4ss" },
		{ "decomposed umlaut", "pa\xcc\x88ss", true, "p\xc3\xa4ss" },
		{ "new emoji", "a\xf0\x9f\xa6\x84", true, NULL },
		{ "emoji asked for", "a\xf0\x9f\xa6\x84", false,
		    "a\xf0\x9f\xa6\x84" },
		{ "no UTF-8", "\xff", true, NULL },
		{ "empty", "", true, NULL },
		{ "empty afterwards", "\xc2\xad", true, NULL },
	};
	struct err e;
	char *got;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		got = NULL;
		if (scram_prepare(rows[i].in, strlen(rows[i].in),
		    rows[i].stored, &got, &e) != 0)
			assert_null(got);
		if ((got == NULL) != (rows[i].want == NULL) ||
		    (got != NULL && strcmp(got, rows[i].want) != 0))
			fail_msg("%s: %s", rows[i].name, got);
		scram_free_password(got);
	}
	assert_int_equal(scram_prepare("a\0b", 3, true, &got, &e),
	    ERR_FORMAT);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_rfc7677), cmocka_unit_test(t_sha1),
		cmocka_unit_test(t_prepare),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
