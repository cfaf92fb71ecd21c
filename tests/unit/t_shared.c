/*
 * t_shared.c - auth/shared.c: which failures make an address look shared.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "auth/shared.h"
#include "tests/unit/db_fixture.h"

#define T0 1700000000

static struct placesdb *places;

static void
open_all(void)
{
	struct err e = { 0 };

	open_env();
	assert_int_equal(placesdb_open(env, &places, &e), 0);
}

static void
close_all(void)
{
	placesdb_close(places);
	dbenv_close(env);
}

/* "a1" is user a's wrong password 1; "a+" his success; "@" other address; "~"
 * half an hour passes. */
static const struct {
	const char	*name, *what;
	unsigned int	 want;
} rows[] = {
	{ "nothing", "", 0 },
	{ "one who guesses", "a1 a2 a3 a4 a5 a6 a7 a8 a9", 0 },
	{ "two of them", "a1 a2 a3 b1 b2 b3 b4", 0 },
	{ "three", "a1 a2 b1 b2 c1", 3 },
	{ "three slips", "a1 b1 c1", 0 },
	{ "old passwords in three devices", "a1 a1 a1 b1 b1 b1 c1 c1", 0 },
	{ "the same password for several users", "a1 b1 c1 d1 e1", 5 },
	{ "one got in", "a1 a2 b1 b2 c1 a+", 0 },
	{ "one got in before", "a+ a1 a2 b1 b2 c1", 3 },
	{ "a stranger got in", "a1 a2 b1 b2 c1 z+", 3 },
	{ "elsewhere", "@a1 @a2 @b1 @b2 @c1", 0 },
	{ "spread over addresses", "a1 a2 b1 @b2 @c1", 0 },
	{ "within the hour", "a1 a2 b1 ~ b2 c1", 3 },
	{ "longer ago", "a1 a2 b1 ~ ~ b2 c1", 0 },
	{ "the first ones again", "a1 a2 b1 ~ ~ b2 c1 a1 a2 b1", 3 },
	{ "more than are kept", "a1 b1 c1 d1 e1 f1 g1 h1 i1 j1 k1 l1 m1 n1 o1 "
	    "p1 q1 r1 s1 t1", 16 },
};

static void
play(struct shared *s, const char *what, const struct addr *here,
    const struct addr *there, int64_t *now_s)
{
	char user[8], password[2] = "?";
	const struct addr *a;

	for (const char *p = what; *p != '\0'; p += strcspn(p, " "),
	    p += *p == ' ') {
		if (*p == '~') {
			*now_s += 1800;
			continue;
		}
		a = *p == '@' ? there : here;
		p += *p == '@';
		(void)snprintf(user, sizeof(user), "%c@x.org", p[0]);
		password[0] = p[1];
		if (p[1] == '+')
			shared_succeeded(s, a, user, *now_s);
		else
			shared_failed(s, a, user, password, *now_s);
	}
}

static void
t_rows(void **state)
{
	struct addr here, there, again;
	int64_t now_s;

	(void)state;
	assert_int_equal(addr_parse_ip("2001:db8::1", &here), 0);
	assert_int_equal(addr_parse_ip("2001:db8::2", &again), 0);
	assert_int_equal(addr_parse_ip("2001:db8:0:1::1", &there), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct shared *s = shared_new();

		assert_non_null(s);
		now_s = T0;
		play(s, rows[i].what, &here, &there, &now_s);
		if (shared_strangers(s, &again, now_s) != rows[i].want)
			fail_msg("%s: %u", rows[i].name,
			    shared_strangers(s, &again, now_s));
		/* A clock that was set back: nothing is of now. */
		assert_int_equal(shared_strangers(s, &again, T0 - 1), 0);
		shared_free(s);
	}
}

static void
t_no_password(void **state)
{
	struct shared *s = shared_new();
	struct addr a;

	(void)state;
	assert_int_equal(addr_parse_ip("192.0.2.1", &a), 0);
	for (int i = 0; i < 9; i++) {
		shared_failed(s, &a, i % 2 ? "a@x.org" : "b@x.org", NULL, T0);
		shared_failed(s, &a, "", NULL, T0);
	}
	assert_int_equal(shared_strangers(s, &a, T0), 0);
	shared_free(s);
}

/* Many addresses: bounded, and the last ones are there. */
static void
t_many(void **state)
{
	struct shared *s = shared_new();
	struct addr a;
	char ip[32];
	int64_t now_s = T0;

	(void)state;
	for (int i = 0; i < 50000; i++) {
		(void)snprintf(ip, sizeof(ip), "10.%d.%d.1", i / 250, i % 250);
		assert_int_equal(addr_parse_ip(ip, &a), 0);
		play(s, "a1 a2 b1 b2 c1", &a, &a, &now_s);
	}
	assert_int_equal(shared_strangers(s, &a, T0), 3);
	shared_free(s);
}

static void
load(void *ctx, const struct placesdb_guess *v)
{
	shared_load(ctx, v, T0 + 60);
}

static unsigned int n_kept;

static void
count(void *ctx, const struct placesdb_guess *v)
{
	(void)ctx;
	n_kept += v->used;
}

/* Another process, with another key. */
static struct shared *
restart(struct shared *s, int64_t now_s)
{
	struct err e = { 0 };

	assert_int_equal(shared_write(s, places, now_s, &e), 0);
	shared_free(s);
	close_all();
	open_all();
	s = shared_new();
	assert_non_null(s);
	assert_int_equal(placesdb_guess_each(places, load, s, &e), 0);
	n_kept = 0;
	assert_int_equal(placesdb_guess_each(places, count, NULL, &e), 0);
	return s;
}

static void
t_restart(void **state)
{
	struct shared *s = shared_new();
	struct addr many, few;
	int64_t now_s = T0;

	(void)state;
	assert_int_equal(addr_parse_ip("192.0.2.1", &many), 0);
	assert_int_equal(addr_parse_ip("192.0.2.2", &few), 0);
	play(s, "a1 a2 b1 b2 c1 @a1 @b1", &many, &few, &now_s);
	for (int i = 0; i < 3; i++) {
		s = restart(s, T0);
		assert_int_equal(n_kept, 1);
		assert_int_equal(shared_strangers(s, &many, T0 + 60), 3);
		assert_int_equal(shared_strangers(s, &few, T0 + 60), 0);
	}
	assert_int_equal(shared_strangers(s, &many, T0 + SHARED_KEEP_S), 0);
	/* It is counted on: more than before. */
	play(s, "a1 b1 c1 d1 e1", &many, &few, &now_s);
	assert_int_equal(shared_strangers(s, &many, T0 + 60), 5);
	s = restart(s, T0);
	assert_int_equal(shared_strangers(s, &many, T0 + 60), 5);
	/* What is over goes out of the database too. */
	s = restart(s, T0 + 2 * SHARED_KEEP_S);
	s = restart(s, T0 + 2 * SHARED_KEEP_S);
	assert_int_equal(n_kept, 0);
	shared_free(s);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_rows),
		cmocka_unit_test(t_no_password),
		cmocka_unit_test(t_many),
		cmocka_unit_test_setup_teardown(t_restart, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
