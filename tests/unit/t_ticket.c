/*
 * t_ticket.c - handles and tickets: what was sealed opens, anything else not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/ticket.h"
#include "lib/err.h"

#define NOW 1700000000

static const uint8_t key[TICKET_KEY_SIZE] = { 1, 2, 3 };
static const uint8_t other_key[TICKET_KEY_SIZE] = { 1, 2, 4 };

static struct ticket
a_ticket(void)
{
	struct ticket t = {
		.kind = AUTHP_KIND_GRANT, .service = AUTHP_SMTP,
		.user = "alice@example.org", .login = "bob@example.org",
		.tls = "TLSv1.3:TLS_AES_256_GCM_SHA384:X25519",
		.mech = "SCRAM-SHA-256", .sid = "abcdefghij234567",
		.issued_s = NOW, .generation = 1ull << 63, .created_s = 5,
		.granted_s = NOW - 60,
	};

	assert_int_equal(addr_parse_ip("2001:db8::1", &t.peer), 0);
	t.peer.port = 4711;
	return t;
}

static void
t_round_trip(void **state)
{
	struct ticket t = a_ticket(), got;
	uint8_t blob[AUTHP_TICKET_MAX];
	int len = ticket_seal(key, &t, blob);

	(void)state;
	assert_true(len > 0);
	memset(&got, 0xff, sizeof(got));
	assert_int_equal(ticket_open(key, blob, (size_t)len, NOW, 60, &got), 0);
	assert_int_equal(got.kind, t.kind);
	assert_int_equal(got.service, t.service);
	assert_string_equal(got.user, t.user);
	assert_string_equal(got.login, t.login);
	assert_string_equal(got.tls, t.tls);
	assert_string_equal(got.mech, t.mech);
	assert_string_equal(got.sid, t.sid);
	assert_true(addr_ip_eq(&got.peer, &t.peer));
	assert_int_equal(got.peer.port, 4711);
	assert_true(got.issued_s == t.issued_s);
	assert_true(got.generation == t.generation);
	assert_true(got.created_s == t.created_s);
	assert_true(got.granted_s == t.granted_s);
}

static void
t_largest(void **state)
{
	struct ticket t = a_ticket(), got;
	uint8_t blob[AUTHP_TICKET_MAX];
	int len;

	(void)state;
	memset(t.user, 'u', sizeof(t.user) - 1);
	memset(t.login, 'v', sizeof(t.login) - 1);
	memset(t.tls, 't', sizeof(t.tls) - 1);
	memset(t.mech, 'm', sizeof(t.mech) - 1);
	memset(t.sid, 's', sizeof(t.sid) - 1);
	len = ticket_seal(key, &t, blob);
	assert_true(len > 0);
	assert_int_equal(ticket_open(key, blob, (size_t)len, NOW, 60, &got), 0);
	assert_string_equal(got.user, t.user);
}

/* Any bit changed, anything cut or added: denied, never read. */
static void
t_forged(void **state)
{
	struct ticket t = a_ticket(), got;
	uint8_t blob[AUTHP_TICKET_MAX + 1] = { 0 };
	int len = ticket_seal(key, &t, blob);

	(void)state;
	for (int i = 0; i < len * 8; i++) {
		blob[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_int_equal(ticket_open(key, blob, (size_t)len, NOW, 60,
		    &got), ERR_DENIED);
		blob[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	for (int i = 0; i < len; i++)
		assert_int_equal(ticket_open(key, blob, (size_t)i, NOW, 60,
		    &got), ERR_DENIED);
	assert_int_equal(ticket_open(key, blob, (size_t)len + 1, NOW, 60,
	    &got), ERR_DENIED);
	assert_int_equal(ticket_open(other_key, blob, (size_t)len, NOW, 60,
	    &got), ERR_DENIED);
}

static void
t_age(void **state)
{
	static const struct {
		const char	*name;
		int64_t		 now;
		int		 want;
	} rows[] = {
		{ "new", NOW, 0 }, { "at its end", NOW + 60, 0 },
		{ "over", NOW + 61, ERR_LIMIT },
		{ "the clock went back a little", NOW - 300, 0 },
		{ "from the future", NOW - 301, ERR_LIMIT },
	};
	struct ticket t = a_ticket(), got;
	struct ticket_handle h = { .issued_s = NOW }, got_h;
	uint8_t blob[AUTHP_TICKET_MAX], handle[AUTHP_HANDLE_MAX];
	int len = ticket_seal(key, &t, blob);
	int h_len = ticket_handle_seal(key, &h, handle);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (ticket_open(key, blob, (size_t)len, rows[i].now, 60,
		    &got) != rows[i].want || ticket_handle_open(key, handle,
		    (size_t)h_len, rows[i].now, 60, &got_h) != rows[i].want)
			fail_msg("%s", rows[i].name);
	}
}

/* A handle is no ticket and the other way round, though the key is the same. */
static void
t_types(void **state)
{
	struct ticket t = a_ticket();
	struct ticket_handle h = { .sid = "abcdefghij234567",
	    .service = AUTHP_POP, .issued_s = NOW }, got;
	uint8_t blob[AUTHP_TICKET_MAX], handle[AUTHP_HANDLE_MAX];
	int len = ticket_seal(key, &t, blob);
	int h_len = ticket_handle_seal(key, &h, handle);

	(void)state;
	assert_int_equal(ticket_handle_open(key, handle, (size_t)h_len, NOW,
	    60, &got), 0);
	assert_string_equal(got.sid, h.sid);
	assert_int_equal(got.service, AUTHP_POP);
	assert_int_equal(ticket_handle_open(key, blob, (size_t)len, NOW, 60,
	    &got), ERR_DENIED);
	assert_int_equal(ticket_open(key, handle, (size_t)h_len, NOW, 60,
	    &t), ERR_DENIED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_round_trip),
		cmocka_unit_test(t_largest),
		cmocka_unit_test(t_forged),
		cmocka_unit_test(t_age),
		cmocka_unit_test(t_types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
