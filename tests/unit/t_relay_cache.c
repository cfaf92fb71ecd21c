/*
 * t_relay_cache.c - db/relay_cache.c: the life of a grant, as its header's
 * invariants say.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "db/relay_cache.h"
#include "tests/unit/db_scratch.h"

#define T0 1700000000

static struct dbenv *env;
static struct relay_cache *rc;

static int
t_open(unsigned int prefix)
{
	struct err e = { 0 };

	if (dbenv_open(scratch_dir, &env, &e) != 0 ||
	    relay_cache_open(env, prefix, &rc, &e) != 0) {
		print_error("%s\n", e.text);
		return -1;
	}
	return 0;
}

static int
t_setup(void **state)
{
	(void)state;
	return scratch_make() == 0 ? t_open(128) : -1;
}

static int
t_teardown(void **state)
{
	(void)state;
	relay_cache_close(rc);
	dbenv_close(env);
	return scratch_remove();
}

static struct addr
ip(const char *s)
{
	struct addr a;

	assert_int_equal(addr_parse_ip(s, &a), 0);
	return a;
}

static void
grant(const char *where, const char *user, int64_t now_s)
{
	const struct relay_grant_args args = { .ttl_s = 1800, .generation = 3,
	    .protocol = GRANT_PROTO_POP3, .source = GRANT_POP, .tls = true };
	struct addr a = ip(where);
	struct err e;

	assert_int_equal(relay_cache_grant(rc, &a, user, &args, now_s, NULL,
	    &e), 0);
}

static int
lookup(const char *where, const char *user, int64_t now_s)
{
	struct addr a = ip(where);
	struct grant_record g;
	struct err e;

	return relay_cache_lookup(rc, &a, user, now_s, &g, &e);
}

static struct grant_record
get(const char *where, const char *user)
{
	struct addr a = ip(where);
	struct grant_record g;
	struct err e;

	assert_int_equal(relay_cache_get(rc, &a, user, &g, &e), 0);
	return g;
}

static uint64_t
take_away(const char *net, const char *user)
{
	struct relay_filter f = { .user = user };
	struct net n;
	struct err e;
	uint64_t removed;

	if (net != NULL) {
		assert_int_equal(net_parse(net, &n), 0);
		f.net = &n;
	}
	assert_int_equal(relay_cache_revoke(rc, &f, &removed, &e), 0);
	return removed;
}

static size_t
count_all(void)
{
	struct grant_record g = { 0 };
	struct err e;
	size_t n = 0;

	while (relay_cache_next(rc, &g, &e) == 0)
		n++;
	return n;
}

static void
t_who_and_where(void **state)
{
	static const struct {
		const char	*name, *where, *user;
		int64_t		 at;
		int		 want;
	} rows[] = {
		{ "at once", "192.0.2.1", "a@x.org", T0, 0 },
		{ "mapped", "::ffff:192.0.2.1", "a@x.org", T0, 0 },
		{ "last second", "192.0.2.1", "a@x.org", T0 + 1799, 0 },
		{ "expired", "192.0.2.1", "a@x.org", T0 + 1800, ERR_NOTFOUND },
		{ "clock ran back", "192.0.2.1", "a@x.org", T0 - 1,
		    ERR_NOTFOUND },
		{ "other user", "192.0.2.1", "b@x.org", T0, ERR_NOTFOUND },
		{ "prefix of user", "192.0.2.1", "a@x.or", T0, ERR_NOTFOUND },
		{ "neighbour", "192.0.2.2", "a@x.org", T0, ERR_NOTFOUND },
		{ "IPv6", "2001:db8::1", "a@x.org", T0, 0 },
		{ "IPv6 neighbour", "2001:db8::2", "a@x.org", T0,
		    ERR_NOTFOUND },
	};

	(void)state;
	grant("192.0.2.1", "a@x.org", T0);
	grant("2001:db8::1", "a@x.org", T0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (lookup(rows[i].where, rows[i].user, rows[i].at) !=
		    rows[i].want)
			fail_msg("%s", rows[i].name);
}

static void
t_refresh(void **state)
{
	struct grant_record g;

	(void)state;
	grant("192.0.2.1", "a@x.org", T0);
	grant("192.0.2.1", "a@x.org", T0 + 100);
	g = get("192.0.2.1", "a@x.org");
	assert_true(g.granted_s == T0 && g.refreshed_s == T0 + 100 &&
	    g.expires_s == T0 + 1900 && g.generation == 3 && g.tls);
	/* A clock that ran back: not valid longer than its own ttl. */
	grant("192.0.2.1", "a@x.org", T0 - 500);
	g = get("192.0.2.1", "a@x.org");
	assert_true(g.granted_s == T0 - 500 && g.expires_s == T0 + 1300);
	assert_int_equal(lookup("192.0.2.1", "a@x.org", T0 - 500), 0);
	/* Revoked and made anew: another grant. */
	assert_int_equal(take_away("192.0.2.1", NULL), 1);
	grant("192.0.2.1", "a@x.org", T0 + 200);
	assert_true(get("192.0.2.1", "a@x.org").granted_s == T0 + 200);
	assert_int_equal(count_all(), 1);
}

static void
t_uses(void **state)
{
	struct addr a = ip("192.0.2.1");
	struct err e;

	(void)state;
	assert_int_equal(relay_cache_use(rc, &a, "a@x.org", &e),
	    ERR_NOTFOUND);
	grant("192.0.2.1", "a@x.org", T0);
	assert_int_equal(relay_cache_use(rc, &a, "a@x.org", &e), 0);
	grant("192.0.2.1", "a@x.org", T0 + 1);
	assert_int_equal(relay_cache_use(rc, &a, "a@x.org", &e), 0);
	assert_true(get("192.0.2.1", "a@x.org").uses == 2);
}

static void
t_owners(void **state)
{
	struct grant_record v[2];
	struct addr a = ip("192.0.2.1");
	struct err e;
	size_t n;

	(void)state;
	grant("192.0.2.1", "a@x.org", T0);
	grant("192.0.2.1", "b@x.org", T0 + 900);
	grant("192.0.2.1", "c@x.org", T0 + 900);
	grant("192.0.2.2", "d@x.org", T0);
	assert_int_equal(relay_cache_owners(rc, &a, T0 + 900, v, 2, &n, &e),
	    0);
	assert_int_equal(n, 2);
	assert_string_equal(v[0].user, "a@x.org");
	assert_int_equal(relay_cache_owners(rc, &a, T0 + 1800, v, 2, &n, &e),
	    0);
	assert_int_equal(n, 2);
	assert_string_equal(v[0].user, "b@x.org");
	assert_int_equal(relay_cache_owners(rc, &a, T0 + 9000, v, 2, &n, &e),
	    0);
	assert_int_equal(n, 0);
}

static void
t_revoke(void **state)
{
	static const struct {
		const char	*name, *net, *user;
		uint64_t	 want;
	} rows[] = {
		{ "address", "192.0.2.1", NULL, 2 },
		{ "address and user", "192.0.2.1", "a@x.org", 1 },
		{ "user", NULL, "a@x.org", 3 },
		{ "network", "192.0.2.0/24", NULL, 3 },
		{ "all IPv4", "0.0.0.0/0", NULL, 3 },
		{ "IPv6 network", "2001:db8::/32", NULL, 2 },
		{ "IPv6 address", "2001:db8:1::1", NULL, 1 },
		{ "other address", "192.0.2.9", NULL, 0 },
		{ "other user", NULL, "z@x.org", 0 },
		{ "all", NULL, NULL, 5 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		grant("192.0.2.1", "a@x.org", T0);
		grant("192.0.2.1", "b@x.org", T0);
		grant("192.0.2.7", "a@x.org", T0);
		grant("2001:db8::1", "a@x.org", T0);
		grant("2001:db8:1::1", "b@x.org", T0);
		if (take_away(rows[i].net, rows[i].user) != rows[i].want)
			fail_msg("%s", rows[i].name);
		assert_int_equal(count_all(), 5 - rows[i].want);
	}
}

static void
t_prefix(void **state)
{
	struct err e;

	(void)state;
	relay_cache_set_prefix(rc, 64);
	grant("2001:db8::1", "a@x.org", T0);
	assert_int_equal(lookup("2001:db8::ffff", "a@x.org", T0), 0);
	assert_int_equal(lookup("2001:db8:0:1::1", "a@x.org", T0),
	    ERR_NOTFOUND);
	/* The prefix was changed: what was granted for more holds no more. */
	relay_cache_set_prefix(rc, 128);
	assert_int_equal(lookup("2001:db8::", "a@x.org", T0), ERR_NOTFOUND);
	assert_int_equal(take_away("2001:db8::77", NULL), 1);
	(void)e;
}

static void
t_sweep_purge(void **state)
{
	char user[MAILBOX_SIZE];
	struct err e;
	uint64_t n;

	(void)state;
	for (int i = 0; i < 600; i++) {
		(void)snprintf(user, sizeof(user), "u%d@x.org", i);
		grant("192.0.2.1", user, i < 500 ? T0 : T0 + 5000);
	}
	grant("192.0.2.1", "u1@x.org", T0 + 5000);	/* refreshed */
	assert_int_equal(relay_cache_sweep(rc, T0 + 1800 + 3600, 1000, &n,
	    &e), 0);
	assert_true(n == 0);
	assert_int_equal(relay_cache_sweep(rc, T0 + 1801 + 3600, 300, &n,
	    &e), 0);
	assert_true(n == 300);
	assert_int_equal(relay_cache_sweep(rc, T0 + 1801 + 3600, 1000, &n,
	    &e), 0);
	assert_true(n == 199);
	assert_int_equal(count_all(), 101);
	assert_int_equal(lookup("192.0.2.1", "u1@x.org", T0 + 5001), 0);
	assert_int_equal(relay_cache_purge(rc, T0 + 5001, &n, &e), 0);
	assert_true(n == 0);
	grant("192.0.2.9", "future@x.org", T0 + 6000);
	assert_int_equal(relay_cache_purge(rc, T0 + 5001, &n, &e), 0);
	assert_true(n == 1);
	assert_int_equal(relay_cache_purge(rc, T0 + 9000, &n, &e), 0);
	assert_true(n == 101);
	assert_int_equal(count_all(), 0);
	assert_int_equal(relay_cache_sweep(rc, T0 + 90000, 1000, &n, &e), 0);
	assert_true(n == 0);			/* the index is empty too */
}

static void
t_many(void **state)
{
	char user[MAILBOX_SIZE];

	for (int i = 0; i < 2000; i++) {
		(void)snprintf(user, sizeof(user), "u%d@x.org", i % 1000);
		grant(i < 1000 ? "192.0.2.1" : "192.0.2.3", user, T0);
	}
	assert_true(take_away(NULL, "u7@x.org") == 2);
	assert_true(take_away("192.0.2.1", NULL) == 999);
	relay_cache_close(rc);
	dbenv_close(env);
	assert_int_equal(t_open(128), 0);
	assert_int_equal(count_all(), 999);
	assert_true(take_away(NULL, NULL) == 999);
	(void)state;
}

int
main(void)
{
#define ROW(f) cmocka_unit_test_setup_teardown(f, t_setup, t_teardown)
	static const struct CMUnitTest tests[] = {
		ROW(t_who_and_where),
		ROW(t_refresh),
		ROW(t_uses),
		ROW(t_owners),
		ROW(t_revoke),
		ROW(t_prefix),
		ROW(t_sweep_purge),
		ROW(t_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
