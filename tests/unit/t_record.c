/*
 * t_record.c - db/record.c: what is encoded comes back, what is damaged or
 * out of bounds is refused.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "db/record.h"
#include "lib/err.h"

static struct user_record
user_sample(void)
{
	struct user_record r = { .flags = USER_MAY_POP | USER_MAY_SUBMIT,
	    .seq = 0x0102030405060708u, .created_s = 1700000000,
	    .changed_s = -1, .note = "a note", .salt_len = 20,
	    .hash = "{BLF-CRYPT}$2y$10$x", .secret_len = 40,
	    .secret_generation = 12, .quota_octets = 1ull << 40,
	    .class = "staff", .limits = { 1, 2, 3, 4, 5 },
	    .maildir = "example.org/alice" };
	struct user_credential *c;

	memset(r.salt, 0x11, r.salt_len);
	memset(r.import_id, 0x12, sizeof(r.import_id));
	memset(r.secret, 0x13, r.secret_len);
	c = user_credential_add(&r, CREDENTIAL_PASSWORD, "phone");
	c->generation = 9;
	c->keys = CREDENTIAL_KEYS_ALL;
	c->iterations = 10000;
	c->expires_s = 1800000000;
	memset(c->stored_key, 0x22, sizeof(c->stored_key));
	memset(c->server_key, 0x33, sizeof(c->server_key));
	memset(c->stored_key1, 0x44, sizeof(c->stored_key1));
	memset(c->server_key1, 0x55, sizeof(c->server_key1));
	c = user_credential_add(&r, CREDENTIAL_CERTIFICATE, "laptop");
	c->generation = 10;
	c->scope = CREDENTIAL_SMTP;
	memset(c->stored_key, 0x66, sizeof(c->stored_key));
	c = user_credential_add(&r, CREDENTIAL_PASSWORD, "");
	c->generation = 7;
	return r;
}

/* As version 1 wrote it. */
static size_t
user1_sample(uint8_t *v)
{
	static const uint8_t head[] = { 1, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 42,
	    0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0,
	    0, 6, 0, 0, 0x27, 0x10 };
	size_t n = sizeof(head);

	memcpy(v, head, n);
	memset(v + n, 0x11, RECORD_SALT);
	n += RECORD_SALT;
	memset(v + n, 0x22, RECORD_KEY);
	n += RECORD_KEY;
	memset(v + n, 0x33, RECORD_KEY);
	n += RECORD_KEY;
	memcpy(v + n, "\0\1n\0\3d/u", 8);
	return n + 8;
}

static struct grant_record
grant_sample(void)
{
	return (struct grant_record){ .ip = { 1, 2, 3 }, .bits = 64,
	    .user = "alice@example.org", .granted_s = 5, .refreshed_s = 6,
	    .expires_s = 7, .generation = 8, .uses = 9,
	    .protocol = GRANT_PROTO_POP3, .source = GRANT_POP, .tls = true,
	    .login_s = 10, .first_use_s = 11, .last_use_s = 12,
	    .messages = 13, .recipients = 14, .max_messages = 15,
	    .max_recipients = 16 };
}

static void
t_user_round(void **state)
{
	struct user_record r = user_sample(), got;
	uint8_t v[RECORD_MAX];
	int n;

	(void)state;
	n = record_user_encode(&r, v, sizeof(v));
	assert_true(n > 0);
	assert_int_equal(record_user_decode(v, (size_t)n, &got), 0);
	assert_memory_equal(&got, &r, sizeof(r));
}

static void
t_user_version1(void **state)
{
	uint8_t v[RECORD_MAX];
	size_t n = user1_sample(v);
	struct user_record got;

	(void)state;
	assert_int_equal(record_user_decode(v, n, &got), 0);
	assert_int_equal(got.flags, USER_DISABLED | USER_FLAGS_NEW);
	assert_int_equal(got.seq, 3);
	assert_true(got.created_s == 5 && got.changed_s == 6);
	assert_int_equal(got.n_credentials, 1);
	assert_int_equal(got.credentials[0].generation, 42);
	assert_int_equal(got.credentials[0].iterations, 10000);
	assert_int_equal(got.salt_len, RECORD_SALT);
	assert_int_equal(got.credentials[0].server_key[31], 0x33);
	assert_string_equal(got.note, "n");
	assert_string_equal(got.maildir, "d/u");
	assert_true(user_record_holds(&got, 42, 1));
	assert_int_equal(record_user_decode(v, n - 1, &got), ERR_CORRUPT);
	v[4] = 8;		/* a flag that version 1 had not */
	assert_int_equal(record_user_decode(v, n, &got), ERR_CORRUPT);
}

static void
t_credentials(void **state)
{
	struct user_record r = user_sample();
	struct user_credential *c;

	(void)state;
	assert_string_equal(r.credentials[0].label, "");
	assert_true(user_record_holds(&r, 9, 1799999999));
	assert_false(user_record_holds(&r, 9, 1800000000));
	assert_true(user_record_holds(&r, 12, 0));
	assert_false(user_record_holds(&r, 11, 0));
	assert_null(user_credential_find(&r, CREDENTIAL_PASSWORD, "laptop"));
	c = user_credential_find(&r, CREDENTIAL_CERTIFICATE, "laptop");
	assert_non_null(c);
	user_credential_remove(&r, c);
	assert_false(user_record_holds(&r, 10, 0));
	assert_true(user_record_holds(&r, 7, 0));
	while (r.n_credentials < RECORD_CREDENTIALS_MAX)
		assert_non_null(user_credential_add(&r, CREDENTIAL_PASSWORD,
		    "x"));
	assert_null(user_credential_add(&r, CREDENTIAL_PASSWORD, "x"));
}

/* The second version had no class. */
static void
t_user_version2(void **state)
{
	static const char class[] = "\005staff";
	struct user_record r = user_sample(), got;
	uint8_t v[RECORD_MAX], *at;
	int n;

	(void)state;
	n = record_user_encode(&r, v, sizeof(v));
	at = memmem(v, (size_t)n, class, 6);
	assert_non_null(at);
	memmove(at, at + 6, (size_t)(v + n - (at + 6)));
	v[0] = 2;
	assert_int_equal(record_user_decode(v, (size_t)n - 6, &got), 0);
	memset(r.class, 0, sizeof(r.class));
	assert_memory_equal(&got, &r, sizeof(r));
	v[0] = 3;
	assert_int_equal(record_user_decode(v, (size_t)n - 6, &got),
	    ERR_CORRUPT);
}

static void
t_user_cut(void **state)
{
	struct user_record r = user_sample(), got;
	uint8_t v[RECORD_MAX];
	int n;

	(void)state;
	n = record_user_encode(&r, v, sizeof(v));
	for (int i = 0; i < n; i++) {
		assert_int_equal(record_user_decode(v, (size_t)i, &got),
		    ERR_CORRUPT);
		assert_int_equal(record_user_encode(&r, v, (size_t)i),
		    ERR_LIMIT);
		assert_int_equal(record_user_encode(&r, v, sizeof(v)), n);
	}
	assert_int_equal(record_user_decode(v, (size_t)n + 1, &got),
	    ERR_CORRUPT);
}

static void
t_user_bounds(void **state)
{
	static const struct {
		const char	*name;
		uint32_t	 flags, iterations;
		int		 want;
	} rows[] = {
		{ "least", 0, RECORD_ITERATIONS_MIN, 0 },
		{ "all flags", USER_FLAGS_ALL, RECORD_ITERATIONS_MAX, 0 },
		{ "unknown flag", USER_FLAGS_ALL + 1, 4096, ERR_LIMIT },
		{ "few iterations", 0, RECORD_ITERATIONS_MIN - 1, ERR_LIMIT },
		{ "many iterations", 0, RECORD_ITERATIONS_MAX + 1, ERR_LIMIT },
	};
	struct user_record r = user_sample(), got;
	uint8_t v[RECORD_MAX];
	int n;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		r.flags = rows[i].flags;
		r.credentials[1].iterations = rows[i].iterations;
		n = record_user_encode(&r, v, sizeof(v));
		if ((n < 0 ? n : 0) != rows[i].want)
			fail_msg("%s: %d", rows[i].name, n);
	}
	r = user_sample();
	n = record_user_encode(&r, v, sizeof(v));
	v[0] = RECORD_USER_VERSION + 1;
	assert_int_equal(record_user_decode(v, (size_t)n, &got), ERR_CORRUPT);
	r.credentials[0].label[0] = 'x';	/* a hash without its password */
	assert_int_equal(record_user_encode(&r, v, sizeof(v)), ERR_LIMIT);
	r = user_sample();
	memset(r.note, 'x', sizeof(r.note));
	assert_int_equal(record_user_encode(&r, v, sizeof(v)), ERR_LIMIT);
}

static void
t_grant_round(void **state)
{
	struct grant_record r = grant_sample(), got = { 0 };
	uint8_t key[RECORD_GRANT_KEY_MAX], v[RECORD_MAX];
	int k, n;

	(void)state;
	k = record_grant_key_encode(&r, key, sizeof(key));
	n = record_grant_encode(&r, v, sizeof(v));
	assert_int_equal(k, 16 + strlen(r.user));
	assert_true(n > 0);
	assert_int_equal(record_grant_key_decode(key, (size_t)k, &got), 0);
	assert_int_equal(record_grant_decode(v, (size_t)n, &got), 0);
	assert_memory_equal(got.ip, r.ip, 16);
	assert_string_equal(got.user, r.user);
	assert_true(got.granted_s == 5 && got.refreshed_s == 6 &&
	    got.expires_s == 7 && got.generation == 8 && got.uses == 9 &&
	    got.bits == 64 && got.tls && got.source == GRANT_POP);
	assert_true(got.login_s == 10 && got.first_use_s == 11 &&
	    got.last_use_s == 12 && got.messages == 13 &&
	    got.recipients == 14 && got.max_messages == 15 &&
	    got.max_recipients == 16);
	for (int i = 0; i < n; i++)
		assert_int_equal(record_grant_decode(v, (size_t)i, &got),
		    ERR_CORRUPT);
	for (int i = 0; i <= 16; i++)
		assert_int_equal(record_grant_key_decode(key, (size_t)i, &got),
		    ERR_CORRUPT);
}

/* What the first version wrote ended behind tls. */
static void
t_grant_version1(void **state)
{
	struct grant_record r = grant_sample(), got = r;
	uint8_t v[RECORD_MAX];
	int n;

	(void)state;
	n = record_grant_encode(&r, v, sizeof(v)) - 56;
	v[0] = 1;
	assert_int_equal(record_grant_decode(v, (size_t)n, &got), 0);
	assert_true(got.login_s == 6 && got.expires_s == 7 && got.uses == 9 &&
	    got.first_use_s == 0 && got.messages == 0 &&
	    got.max_messages == 0 && got.max_recipients == 0);
	assert_int_equal(record_grant_decode(v, (size_t)n + 56, &got),
	    ERR_CORRUPT);
	v[0] = RECORD_GRANT_VERSION + 1;
	assert_int_equal(record_grant_decode(v, (size_t)n, &got), ERR_CORRUPT);
}

static void
t_grant_bounds(void **state)
{
	struct grant_record good = grant_sample(), r, got;
	uint8_t v[RECORD_MAX];
	int n;

	(void)state;
	r = good;
	r.bits = 129;
	assert_int_equal(record_grant_encode(&r, v, sizeof(v)), ERR_LIMIT);
	r = good;
	r.source = GRANT_SOURCE__END;
	assert_int_equal(record_grant_encode(&r, v, sizeof(v)), ERR_LIMIT);
	r = good;
	r.expires_s = -1;
	assert_int_equal(record_grant_encode(&r, v, sizeof(v)), ERR_LIMIT);
	n = record_grant_encode(&good, v, sizeof(v));
	v[n - 57] = 2;			/* tls is 0 or 1 */
	assert_int_equal(record_grant_decode(v, (size_t)n, &got), ERR_CORRUPT);
	r = good;
	r.user[0] = '\0';
	assert_int_equal(record_grant_key_encode(&r, v, sizeof(v)), ERR_LIMIT);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_user_round),
		cmocka_unit_test(t_user_version1),
		cmocka_unit_test(t_user_version2),
		cmocka_unit_test(t_credentials),
		cmocka_unit_test(t_user_cut),
		cmocka_unit_test(t_user_bounds),
		cmocka_unit_test(t_grant_round),
		cmocka_unit_test(t_grant_version1),
		cmocka_unit_test(t_grant_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
