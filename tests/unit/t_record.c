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
	    .generation = 7, .seq = 0x0102030405060708u, .created_s = 1700000000,
	    .changed_s = -1, .iterations = 10000, .note = "a note",
	    .maildir = "example.org/alice" };

	memset(r.salt, 0x11, sizeof(r.salt));
	memset(r.stored_key, 0x22, sizeof(r.stored_key));
	memset(r.server_key, 0x33, sizeof(r.server_key));
	return r;
}

static struct grant_record
grant_sample(void)
{
	return (struct grant_record){ .ip = { 1, 2, 3 }, .bits = 64,
	    .user = "alice@example.org", .granted_s = 5, .refreshed_s = 6,
	    .expires_s = 7, .generation = 8, .uses = 9,
	    .protocol = GRANT_PROTO_POP3, .source = GRANT_POP, .tls = true };
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
	assert_int_equal(got.flags, r.flags);
	assert_true(got.seq == r.seq && got.generation == r.generation);
	assert_true(got.created_s == r.created_s &&
	    got.changed_s == r.changed_s);
	assert_memory_equal(got.salt, r.salt, sizeof(r.salt));
	assert_memory_equal(got.stored_key, r.stored_key, RECORD_KEY);
	assert_memory_equal(got.server_key, r.server_key, RECORD_KEY);
	assert_string_equal(got.note, r.note);
	assert_string_equal(got.maildir, r.maildir);
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
		r.iterations = rows[i].iterations;
		n = record_user_encode(&r, v, sizeof(v));
		if ((n < 0 ? n : 0) != rows[i].want)
			fail_msg("%s: %d", rows[i].name, n);
	}
	r = user_sample();
	n = record_user_encode(&r, v, sizeof(v));
	v[0] = RECORD_USER_VERSION + 1;
	assert_int_equal(record_user_decode(v, (size_t)n, &got), ERR_CORRUPT);
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
	for (int i = 0; i < n; i++)
		assert_int_equal(record_grant_decode(v, (size_t)i, &got),
		    ERR_CORRUPT);
	for (int i = 0; i <= 16; i++)
		assert_int_equal(record_grant_key_decode(key, (size_t)i, &got),
		    ERR_CORRUPT);
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
	v[n - 1] = 2;			/* tls is 0 or 1 */
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
		cmocka_unit_test(t_user_cut),
		cmocka_unit_test(t_user_bounds),
		cmocka_unit_test(t_grant_round),
		cmocka_unit_test(t_grant_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
