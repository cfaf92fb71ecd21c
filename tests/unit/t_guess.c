/*
 * t_guess.c - what guessing passwords costs, and whom it does not cost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/guess.h"

#define NOW 1700000000

static struct addr
ip(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse_ip(text, &a), 0);
	return a;
}

static void
t_delay_doubles(void **state)
{
	static const uint32_t want[] = { 300, 600, 1200, 2400, 4800, 8000,
	    8000, 8000 };
	struct guess *g = guess_new();
	struct addr a = ip("192.0.2.1"), b = ip("192.0.2.2");

	(void)state;
	for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++)
		assert_int_equal(guess_failed(g, &a, "alice", NOW), want[i]);
	/* Another user there, but not another network. */
	assert_int_equal(guess_failed(g, &a, "bob", NOW), 8000);
	assert_int_equal(guess_failed(g, &b, "alice", NOW), 300);
	/* It leaks away, not at once. */
	assert_int_equal(guess_failed(g, &a, "bob", NOW + 6), 8000);
	assert_int_equal(guess_failed(g, &a, "alice", NOW + 600), 300);
	guess_free(g);
}

static void
fail_many(struct guess *g, const struct addr *a, const char *name, bool same,
    unsigned n)
{
	char user[32];

	for (unsigned i = 0; i < n; i++) {
		snprintf(user, sizeof(user), "%s%u", name, i);
		guess_failed(g, a, same ? name : user, NOW);
	}
}

static void
t_network_blocked(void **state)
{
	struct guess *g = guess_new();
	struct addr a = ip("192.0.2.1"), b = ip("192.0.2.2");

	(void)state;
	guess_succeeded(g, &a, "owner", NOW - 3600);
	fail_many(g, &a, "user", false, GUESS_LIMIT);
	assert_false(guess_is_blocked(g, &a, "alice", NOW));
	fail_many(g, &a, "more", false, 1);
	assert_true(guess_is_blocked(g, &a, "alice", NOW));
	assert_false(guess_is_blocked(g, &b, "alice", NOW));
	/* Who logged in there before is not locked out by the others. */
	assert_false(guess_is_blocked(g, &a, "owner", NOW));
	/* Attempts meanwhile do not prolong it. */
	fail_many(g, &a, "again", false, 500);
	assert_false(guess_is_blocked(g, &a, "alice", NOW + GUESS_BLOCK_S));
	/* A clock set back does not make it last for days. */
	assert_true(guess_is_blocked(g, &a, "alice", NOW - 86400));
	assert_false(guess_is_blocked(g, &a, "alice",
	    NOW - 86400 + GUESS_BLOCK_S));
	guess_free(g);
}

static void
t_pair_blocked(void **state)
{
	struct guess *g = guess_new();
	struct addr a = ip("192.0.2.1");

	(void)state;
	guess_succeeded(g, &a, "owner", NOW - 10);
	fail_many(g, &a, "owner", true, GUESS_LIMIT + 1);
	assert_true(guess_is_blocked(g, &a, "owner", NOW));
	guess_succeeded(g, &a, "owner", NOW);	/* by another exchange */
	assert_false(guess_is_blocked(g, &a, "owner", NOW));
	guess_free(g);
}

static void
t_networks(void **state)
{
	static const struct {
		const char	*a, *b;
		bool		 same;
	} rows[] = {
		{ "2001:db8::1", "2001:db8::ffff:1:2:3", true },
		{ "2001:db8::1", "2001:db8:0:1::1", false },
		{ "192.0.2.1", "192.0.2.2", false },
		{ "::ffff:192.0.2.1", "192.0.2.1", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct guess *g = guess_new();
		struct addr a = ip(rows[i].a), b = ip(rows[i].b);

		guess_failed(g, &a, "alice", NOW);
		if ((guess_failed(g, &b, "alice", NOW) != 300) != rows[i].same)
			fail_msg("%s %s", rows[i].a, rows[i].b);
		guess_free(g);
	}
}

/* A flood of networks stays within the tables and frees no guesser. */
static void
t_bounded(void **state)
{
	struct guess *g = guess_new();
	struct addr a = ip("192.0.2.1"), b = ip("198.51.100.1");

	(void)state;
	fail_many(g, &a, "user", false, GUESS_LIMIT + 1);
	for (unsigned i = 0; i < 200000; i++) {
		memcpy(b.ip + 13, &i, 3);
		guess_failed(g, &b, "x", NOW);
	}
	assert_true(guess_is_blocked(g, &a, "alice", NOW));
	guess_free(g);
}

/* One network has its share of the checks under way, and no more. */
static void
t_running(void **state)
{
	struct guess *g = guess_new();
	struct addr a = ip("192.0.2.1"), b = ip("192.0.2.2");

	(void)state;
	for (unsigned i = 0; i < GUESS_RUNNING; i++)
		assert_true(guess_begin(g, &a, NOW));
	assert_false(guess_begin(g, &a, NOW));
	assert_true(guess_begin(g, &b, NOW));
	guess_end(g, &a, NOW);
	assert_true(guess_begin(g, &a, NOW));
	guess_free(g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_delay_doubles),
		cmocka_unit_test(t_network_blocked),
		cmocka_unit_test(t_pair_blocked),
		cmocka_unit_test(t_networks),
		cmocka_unit_test(t_bounded),
		cmocka_unit_test(t_running),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
