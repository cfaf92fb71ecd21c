/*
 * t_hash.c - auth/hash.c against hashes that other programs made: doveadm pw
 * (2.3.19), htpasswd and openssl passwd, crypt(3) by Python, passlib, argon2.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "auth/hash.h"
#include "auth/scram.h"
#include "auth/seal.h"
#include "lib/str.h"

static const struct {
	const char	*name, *text, *hash_class;
} good[] = {
	{ "doveadm CRYPT",
	    "{CRYPT}$2y$05$iny0dyhn31kkOJj0wSb1Tub/zoiduiOkWa86dqU46RDcD3RRR"
	    "pwz.", "BLF-CRYPT/5" },
	{ "doveadm DES", "{DES-CRYPT}RNZmWxxWAbmBk", "DES-CRYPT" },
	{ "doveadm MD5-CRYPT", "{MD5-CRYPT}$1$NBHxNTAV$VNKweU4PVb93tUX3YhdPG.",
	    "MD5-CRYPT" },
	{ "doveadm BLF",
	    "{BLF-CRYPT}$2y$05$QeV2fNgQqf.wbbpIZdmLDeFD/zRXz7.iXIhd4F4DdlMR1"
	    "91j7zJXa", "BLF-CRYPT/5" },
	{ "doveadm SHA256-CRYPT",
	    "{SHA256-CRYPT}$5$ksQPD1svhCk67dbI$dtwowtJxYdxAIskiJvNWwJAfF/T.j"
	    "Rmswp.6wm5auR8", "SHA256-CRYPT/5000" },
	{ "doveadm SHA512-CRYPT",
	    "{SHA512-CRYPT}$6$EHuzHgesqXxbfOIg$TpD.yeXkpy09E8xKSlnckWqYhQafY"
	    "XpA9qfaeemI6cz2d//AZ4xVGw6QAZ8LFwFJHTLbbwoWmGUmCnz53dTUE/",
	    "SHA512-CRYPT/5000" },
	{ "doveadm SHA", "{SHA}L55TUjtiq8FBorTWAZ0jy6g129A=", "SHA" },
	{ "doveadm SSHA", "{SSHA}tGeCsBsGDRLe4Jaq5TBgOdjxcK6//74o", "SSHA" },
	{ "doveadm SHA256",
	    "{SHA256}QQTTb42iwlQ0n4WDZ5Pr4CngyVcGOjTJHC6SAxh7VjE=", "SHA256" },
	{ "doveadm SSHA256",
	    "{SSHA256}6t5rIrLxU3+mqHG+4In4zn3g3XmX3rGxrc58Os4hmZ+nzfg/",
	    "SSHA256" },
	{ "doveadm SHA512",
	    "{SHA512}VraY3v7bWkNbY0r+MyC7rz/c2SC2xQOkRvx7endrKY1HnRumqLYXgI6"
	    "wv1ec6aldZoNHvKtxSQhayTyyeZUZew==", "SHA512" },
	{ "doveadm SSHA512",
	    "{SSHA512}EWXDyNZaxLlhAYhcyUozjJu7PuzbJHwGlMsnPmXOwdn9xZbv8+jLgs"
	    "d/V3E76b0bTcdxunET9lbi9g3FTYGbuU4gyQ8=", "SSHA512" },
	{ "doveadm PLAIN-MD5", "{PLAIN-MD5}3cb4e732631f47e6eb961f34554b7cde",
	    "MD5" },
	{ "doveadm LDAP-MD5", "{LDAP-MD5}PLTnMmMfR+brlh80VUt83g==", "MD5" },
	{ "doveadm MD5", "{MD5}$1$/RM11w3a$hhQQwLwFMP46qrYK1owDr.",
	    "MD5-CRYPT" },
	{ "LDAP's MD5", "{md5}PLTnMmMfR+brlh80VUt83g==", "MD5" },
	{ "doveadm SMD5", "{SMD5}64xKs9mnpcFMO9+uQhMCpnwH2IE=", "SMD5" },
	{ "doveadm PBKDF2",
	    "{PBKDF2}$1$SjsZFkyUnDp7TBbj$5000$3ba37203eaf82de18edce17b5cb911"
	    "46e1aab405", "PBKDF2/5000" },
	{ "doveadm ARGON2ID",
	    "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$9Baisxkrnkx9aHI2p5UvAw"
	    "$tteG+Fxb2kwk+d8UIWNraM/HUmhVAh/TvSo1QO2x/A4",
	    "ARGON2ID/65536,3,1" },
	{ "doveadm ARGON2I",
	    "{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$EP5KkdERgU8F5JcPn00yDw$F"
	    "yZNL0Ijf5kK5rTlbC2zd04YCOAZSLlT6jT2l8uIh3c", "ARGON2I/32768,4,1" },
	{ "doveadm SSHA256.HEX",
	    "{SSHA256.HEX}d91dc822e7c619681c79e4019f2312d87db0986cf080d72a05"
	    "7e49d9c1c19c4eec8441a8", "SSHA256" },
	{ "doveadm SHA1.HEX",
	    "{SHA1.HEX}2f9e53523b62abc141a2b4d6019d23cba835dbd0", "SHA" },
	{ "hexadecimal by its length",
	    "{SHA}2F9E53523B62ABC141A2B4D6019D23CBA835DBD0", "SHA" },
	{ "doveadm SMD5.B64", "{SMD5.B64}70mLsSsQTRUeveHvv40/MONNOiE=",
	    "SMD5" },
	{ "htpasswd -B",
	    "$2y$05$bGQQkLhNMCc5A.PVLI/wDuA///5wNKqYUtk2Ej3vAWeS8VeYm420G",
	    "BLF-CRYPT/5" },
	{ "htpasswd -m", "$apr1$PeTVsV1u$k3x8yr5z/Ou5GGzN2Q7Tq.", "APR1" },
	{ "htpasswd -d", "2HxXUOdiH96mg", "DES-CRYPT" },
	{ "passlib pbkdf2-sha256",
	    "$pbkdf2-sha256$1000$yvnfG6P0HqPUWut977333g$afPW7roApoiYxN06bPp3"
	    "bZcSCk8kLWmdlUPB764GdY4", "PBKDF2-SHA256/1000" },
	{ "passlib pbkdf2-sha512",
	    "$pbkdf2-sha512$1000$47z3vhfi/F8r5Rxj7L1Xig$re7uKOgfo1Qy.fKxu66n"
	    "CFR4VJShKaAw9hx9ye52.P.G88jb4FeCUG2Pm.UDvctUS.Euivky04n5eXECvfS"
	    "QVw", "PBKDF2-SHA512/1000" },
	{ "passlib pbkdf2",
	    "$pbkdf2$1000$i9H6H4Owdq7VGkMo5fyfMw$RPxG4zzHNv9QXzBDfXAPt0efAb8",
	    "PBKDF2/1000" },
	{ "passlib SSHA512",
	    "{SSHA512}DiiinLmWQzeXw+gBCUhQDnArZrUvHpTx5uu0FFWqlf6Fw8R5kD615c"
	    "iQFOWPH+egli2TAOY6mblhuM9x2UKMeUdIqdUaY8y5", "SSHA512" },
	{ "crypt yescrypt, small",
	    "{CRYPT}$y$j75$abcdefghijklmnop./$/V0M.M5jz9K6KSheMDjxGsjxOSVsN6"
	    "aKkJ7.JRgPgT9", "YESCRYPT/10,8" },
	{ "crypt yescrypt",
	    "$y$j9T$LdJMENpBABJJ3hIHjB1Bi.$CbmXE/O/0bCHlsAzIaBSSe6Q31ZVeM4Ox"
	    "kjSOnAQ3C6", "YESCRYPT/12,32" },
	{ "crypt 2a",
	    "{crypt}$2a$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJL"
	    "Qc6e", "BLF-CRYPT/4" },
	{ "crypt 2b",
	    "$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2",
	    "BLF-CRYPT/5" },
	{ "crypt rounds=",
	    "$5$rounds=1000$saltsalt$R6e4P8ccT9iMqkYg7Z8YtpId/lfsIfnuPkp8WXp"
	    "osU8", "SHA256-CRYPT/1000" },
	{ "crypt SHA-512",
	    "$6$saltsalt$hRM5XZ86KXEw9UOmjigeVqFgULtFB2sgpC9lXQDfMib3Zgw7mEi"
	    "UvBJI2EplzfAqxL5Vvwp2scFtv/uamSo5z0", "SHA512-CRYPT/5000" },
	{ "crypt DES", "abhfCpXqd4GrI", "DES-CRYPT" },
	{ "argon2 -id",
	    "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$ZUDqUgMuBMaaeInW9f9JPW"
	    "7gJRYc7LolDNmfiyqbGOo", "ARGON2ID/256,2,2" },
};

static void
t_good(void **state)
{
	char name[HASH_CLASS_SIZE];
	uint8_t seed[HASH_SEED] = { 1, 63, 64, 200 };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct err e = { 0 };

		print_message("%s\n", good[i].name);
		assert_int_equal(hash_is_supported(good[i].text, &e), 0);
		assert_int_equal(hash_class(good[i].text, name), 0);
		assert_string_equal(name, good[i].hash_class);
		assert_int_equal(hash_check(good[i].text, "correct horse",
		    13), 0);
		assert_int_equal(hash_check(good[i].text, "Correct horse",
		    13), ERR_DENIED);
		assert_int_equal(hash_check(good[i].text, "", 0), ERR_DENIED);
		assert_int_equal(hash_check_fake(name, seed, "correct horse",
		    13), ERR_DENIED);
		assert_true(hash_plain(good[i].text) == NULL);
	}
}

static void
t_more(void **state)
{
	static const char longer[] = "ein viel l\xc3\xa4ngeres Kennwort von "
	    "mehr als zweiunddrei\xc3\x9fig Octets";
	char octets[600];

	(void)state;
	assert_int_equal(hash_check("$apr1$0fzbdmUT$Q8j7qsXO8dUs29b/uQzTK/",
	    longer, strlen(longer)), 0);
	assert_int_equal(hash_check("$apr1$abcdefgh$82JubPF2dQkt1tVfvLnXS.",
	    "x", 1), 0);
	/* crypt(3) takes 511 octets; more never fits. */
	memset(octets, 'x', sizeof(octets));
	assert_int_equal(hash_check(good[0].text, octets, sizeof(octets)),
	    ERR_DENIED);
	assert_string_equal(hash_plain("{PLAIN}a{b}"), "a{b}");
	assert_string_equal(hash_plain("{cleartext}"), "");
	assert_true(hash_plain("PLAIN}x") == NULL);
}

static void
t_bad(void **state)
{
	static const struct {
		const char	*name, *text, *why;	/* why: a part of it */
	} rows[] = {
		{ "empty", "", "locked" },
		{ "locked", "!$6$saltsalt$x", "locked" },
		{ "no hash", "*", "locked" },
		{ "in shadow", "x", "locked" },
		{ "unknown scheme", "{NTLM}0123", "scheme NTLM" },
		{ "CRAM-MD5 of Dovecot", "{CRAM-MD5}00", "scheme CRAM-MD5" },
		{ "clear text is no hash", "{PLAIN}x", "scheme PLAIN" },
		{ "an encoding for crypt", "{CRYPT.HEX}00", "scheme CRYPT" },
		{ "scrypt", "$7$CU..../....x$y", "not a form" },
		{ "BSDi", "_J9..CCCCXBrJUJV154M", "not a form" },
		{ "bcrypt's bug", "$2x$05$iny0dyhn31kkOJj0wSb1Tub/zoiduiOkWa86d"
		    "qU46RDcD3RRRpwz.", "not a form" },
		{ "bcrypt cut", "{CRYPT}$2y$05$iny0dyhn31kkOJj0wSb1Tub/zoiduiO",
		    "not a whole hash of BLF-CRYPT" },
		{ "bcrypt cost", "$2y$16$iny0dyhn31kkOJj0wSb1Tub/zoiduiOkWa86dq"
		    "U46RDcD3RRRpwz.", "cost 16 is above 15" },
		{ "bcrypt cost low", "$2y$03$iny0dyhn31kkOJj0wSb1Tub/zoiduiOkWa"
		    "86dqU46RDcD3RRRpwz.", "cost 3 is below 4" },
		{ "sha rounds", "$5$rounds=1000001$saltsalt$R6e4P8ccT9iMqkYg7Z8"
		    "YtpId/lfsIfnuPkp8WXposU8", "rounds 1000001 is above" },
		{ "sha rounds not a number", "$5$rounds=1x$saltsalt$R6e4P8ccT9i"
		    "MqkYg7Z8YtpId/lfsIfnuPkp8WXposU8", "not a whole hash" },
		{ "yescrypt memory", "$y$jCT$LdJMENpBABJJ3hIHjB1Bi.$CbmXE/O/0bC"
		    "HlsAzIaBSSe6Q31ZVeM4OxkjSOnAQ3C6", NULL },
		{ "yescrypt memory", "$y$jFT$LdJMENpBABJJ3hIHjB1Bi.$CbmXE/O/0bC"
		    "HlsAzIaBSSe6Q31ZVeM4OxkjSOnAQ3C6", "more than 256 MiB" },
		{ "yescrypt flavour", "$y$/9T$LdJMENpBABJJ3hIHjB1Bi.$CbmXE/O/0b"
		    "CHlsAzIaBSSe6Q31ZVeM4OxkjSOnAQ3C6", "not a whole hash" },
		{ "argon2 memory", "$argon2id$v=19$m=262145,t=2,p=2$c29tZXNhbHQ"
		    "$ZUDqUgMuBMaaeInW9f9JPW7gJRYc7LolDNmfiyqbGOo",
		    "memory (KiB) 262145 is above 262144" },
		{ "argon2 passes", "$argon2id$v=19$m=256,t=17,p=2$c29tZXNhbHQ$Z"
		    "UDqUgMuBMaaeInW9f9JPW7gJRYc7LolDNmfiyqbGOo",
		    "passes 17 is above 16" },
		{ "argon2 version", "$argon2id$v=16$m=256,t=2,p=2$c29tZXNhbHQ$Z"
		    "UDqUgMuBMaaeInW9f9JPW7gJRYc7LolDNmfiyqbGOo",
		    "not a whole hash" },
		{ "argon2d", "$argon2d$v=19$m=256,t=2,p=2$c29tZXNhbHQ$ZUDqUgMuB"
		    "MaaeInW9f9JPW7gJRYc7LolDNmfiyqbGOo", "not a form" },
		{ "argon2id named argon2i", "{ARGON2I}$argon2id$v=19$m=256,t=2,"
		    "p=2$c29tZXNhbHQ$ZUDqUgMuBMaaeInW9f9JPW7gJRYc7LolDNmfiyqbGOo",
		    "not a whole hash of ARGON2I" },
		{ "PBKDF2 rounds", "{PBKDF2}$1$SjsZFkyUnDp7TBbj$1000001$3ba3720"
		    "3eaf82de18edce17b5cb91146e1aab405", "is above 1000000" },
		{ "PBKDF2 no rounds", "{PBKDF2}$1$SjsZFkyUnDp7TBbj$0$3ba37203ea"
		    "f82de18edce17b5cb91146e1aab405", "rounds 0 is below 1" },
		{ "SHA cut", "{SHA}L55TUjtiq8FBorTWAZ0jy6g129==", "not a whole" },
		{ "SSHA without salt", "{SSHA}L55TUjtiq8FBorTWAZ0jy6g129A=",
		    "not a whole hash of SSHA" },
		{ "SHA with a salt", "{SHA}tGeCsBsGDRLe4Jaq5TBgOdjxcK6//74o",
		    "not a whole hash of SHA" },
	};
	char name[HASH_CLASS_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct err e = { 0 };

		print_message("%s\n", rows[i].name);
		if (rows[i].why == NULL) {	/* just below the bound */
			assert_int_equal(hash_is_supported(rows[i].text, &e),
			    0);
			continue;
		}
		assert_int_equal(hash_is_supported(rows[i].text, &e),
		    ERR_FORMAT);
		if (strstr(e.text, rows[i].why) == NULL)
			fail_msg("\"%s\" has no \"%s\"", e.text, rows[i].why);
		assert_int_equal(hash_class(rows[i].text, name), ERR_FORMAT);
		assert_int_equal(hash_check(rows[i].text, "x", 1), ERR_FORMAT);
	}
}

static void
t_class(void **state)
{
	static const char *const rows[] = {
		"", "BLF-CRYPT", "BLF-CRYPT/", "BLF-CRYPT/16", "BLF-CRYPT/5,5",
		"BLF-CRYPT/5 ", "SSHA/1", "NOSUCH", "ARGON2ID/256,2",
		"ARGON2ID/8,1,16", "PBKDF2/1000001",
	};
	uint8_t seed[HASH_SEED] = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_int_equal(hash_check_fake(rows[i], seed, "x", 1),
		    ERR_FORMAT);
}

static void
t_scram_keys(void **state)
{
	static const char sha256[] = "4096,ryq8+g/XeJofOKLWYpdUUg==,"
	    "X1JhERISO6KSXEFdj4vTCOSr7zpnLbZZ2v17b3Yms8k=,"
	    "8/oaIPUCr2/Kk/pYq86awUajClLreN1BD5KoLLaiDIQ=";
	static const char *const bad[] = {
		"{SCRAM-SHA-256}", "{SCRAM-SHA-256}4096,ryq8", "{SHA}4096,",
		"SCRAM-SHA-256$4095:ryq8$X1JhERISO6KSXEFdj4vTCOSr7zpnLbZZ2v17b"
		"3Yms8k=:8/oaIPUCr2/Kk/pYq86awUajClLreN1BD5KoLLaiDIQ=",
		"SCRAM-SHA-1$4096:ryq8$X1JhERISO6KSXEFdj4vTCOSr7zpnLbZZ2v17b"
		"3Yms8k=:8/oaIPUCr2/Kk/pYq86awUajClLreN1BD5KoLLaiDIQ=",
	};
	char text[256];
	struct hash_scram k;
	uint8_t stored[32], server[32];
	struct err e;

	(void)state;
	str_format(text, sizeof(text), "{SCRAM-SHA-256}%s", sha256);
	assert_true(hash_is_scram(text));
	assert_int_equal(hash_scram_parse(text, &k, &e), 0);
	assert_true(k.sha256);
	assert_int_equal(k.iterations, 4096);
	assert_int_equal(k.salt_len, 16);
	assert_int_equal(scram_derive("correct horse", 13, k.salt, 16,
	    4096, stored, server), 0);
	assert_memory_equal(stored, k.stored_key, 32);
	assert_memory_equal(server, k.server_key, 32);
	assert_int_equal(hash_scram_parse("scram-sha-256$4096:ryq8+g/XeJofOKL"
	    "WYpdUUg==$X1JhERISO6KSXEFdj4vTCOSr7zpnLbZZ2v17b3Yms8k=:8/oaIPUCr"
	    "2/Kk/pYq86awUajClLreN1BD5KoLLaiDIQ=", &k, &e), 0);
	assert_memory_equal(server, k.server_key, 32);
	assert_int_equal(hash_scram_parse("{SCRAM-SHA-1}4096,4aCu4w7VMnEEKAUL"
	    "QpupYw==,V/cruIMu+203cfxVXo1fiy3mUQ0=,18SxwngFFtFYnhlNVE92/ACvpd"
	    "0=", &k, &e), 0);
	assert_false(k.sha256);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(hash_scram_parse(bad[i], &k, &e), ERR_FORMAT);
	assert_false(hash_is_scram("{SSHA}x"));
}

static void
t_seal(void **state)
{
	static const char text[] = "open sesame";
	uint8_t key[SEAL_KEY] = { 7 }, a[SEAL_MAX], b[SEAL_MAX];
	char out[SEAL_TEXT_MAX + 1], longest[SEAL_TEXT_MAX + 1];
	int n = seal_make(key, "a@example.org", text, 11, a);

	(void)state;
	assert_int_equal(n, 11 + 28);
	assert_int_equal(seal_make(key, "a@example.org", text, 11, b), n);
	assert_memory_not_equal(a, b, (size_t)n);
	assert_int_equal(seal_open(key, "a@example.org", a, (size_t)n, out),
	    11);
	assert_string_equal(out, text);
	assert_int_equal(seal_open(key, "b@example.org", a, (size_t)n, out),
	    ERR_CORRUPT);
	assert_string_equal(out, "");
	for (int i = 0; i < n; i++) {
		a[i] ^= 1;
		assert_int_equal(seal_open(key, "a@example.org", a, (size_t)n,
		    out), ERR_CORRUPT);
		a[i] ^= 1;
		assert_int_equal(seal_open(key, "a@example.org", a, (size_t)i,
		    out), ERR_CORRUPT);
	}
	key[31] = 1;
	assert_int_equal(seal_open(key, "a@example.org", a, (size_t)n, out),
	    ERR_CORRUPT);
	assert_int_equal(seal_make(key, "a", text, 0, a), ERR_LIMIT);
	memset(longest, 'x', sizeof(longest));
	assert_int_equal(seal_make(key, "a", longest, 256, a), ERR_LIMIT);
	assert_int_equal(seal_make(key, "a", longest, 255, a), SEAL_MAX);
	assert_int_equal(seal_open(key, "a", a, SEAL_MAX, out), 255);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_good), cmocka_unit_test(t_more),
		cmocka_unit_test(t_bad), cmocka_unit_test(t_class),
		cmocka_unit_test(t_scram_keys), cmocka_unit_test(t_seal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
