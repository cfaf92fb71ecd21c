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

#include "db/relay_cache_private.h"
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
	const struct relay_filter all = { 0 };
	struct grant_record g = { 0 };
	struct err e;
	size_t n = 0;

	while (relay_cache_next(rc, &all, &g, &e) == 0)
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

/* A clock that was far ahead when a grant was renewed: nothing of that holds
 * once it is right again, and the next login makes it good. */
static void
t_wrong_clock(void **state)
{
	static const struct {
		const char	*name;
		bool		 alive;		/* renewed so, and not by a login */
	} rows[] = { { "login", false }, { "alive", true } };
	const int64_t ahead_s = (int64_t)10 * 365 * 86400;
	struct addr a = ip("192.0.2.1");
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		(void)take_away(NULL, NULL);
		grant("192.0.2.1", "a@x.org", T0);
		if (!rows[i].alive)
			grant("192.0.2.1", "a@x.org", T0 + ahead_s);
		else
			assert_int_equal(relay_cache_renew(rc, &a, "a@x.org",
			    (uint64_t)ahead_s, T0 + 1000, &e), 0);
		if (lookup("192.0.2.1", "a@x.org", T0 + 500) != ERR_NOTFOUND)
			fail_msg("%s: it lives", rows[i].name);
		grant("192.0.2.1", "a@x.org", T0 + 600);
		if (lookup("192.0.2.1", "a@x.org", T0 + 601) != 0 ||
		    lookup("192.0.2.1", "a@x.org", T0 + 2400) != ERR_NOTFOUND)
			fail_msg("%s: the next login", rows[i].name);
	}
}

static void
t_uses(void **state)
{
	struct addr a = ip("192.0.2.1");
	struct grant_record g;
	struct err e;

	(void)state;
	assert_int_equal(relay_cache_use(rc, &a, "a@x.org", T0, &e),
	    ERR_NOTFOUND);
	grant("192.0.2.1", "a@x.org", T0);
	assert_true(get("192.0.2.1", "a@x.org").first_use_s == 0);
	assert_int_equal(relay_cache_use(rc, &a, "a@x.org", T0 + 5, &e), 0);
	grant("192.0.2.1", "a@x.org", T0 + 6);
	assert_int_equal(relay_cache_use(rc, &a, "a@x.org", T0 + 7, &e), 0);
	g = get("192.0.2.1", "a@x.org");
	assert_true(g.uses == 2 && g.first_use_s == T0 + 5 &&
	    g.last_use_s == T0 + 7 && g.login_s == T0 + 6);
}

/* Messages of so many recipients, one after the other: what each is answered. */
static void
t_budget(void **state)
{
	static const struct {
		const char	*name;
		uint64_t	 max_messages, max_recipients;
		uint64_t	 recipients[4];
		int		 want[4];
	} rows[] = {
		{ "none", 0, 0, { 9, 9, 9, 9 }, { 0, 0, 0, 0 } },
		{ "messages", 2, 0, { 9, 9, 1, 1 }, { 0, 0, ERR_LIMIT,
		    ERR_LIMIT } },
		{ "recipients", 0, 10, { 4, 7, 6, 1 }, { 0, ERR_LIMIT, 0,
		    ERR_LIMIT } },
		{ "both", 2, 10, { 1, 20, 9, 1 }, { 0, ERR_LIMIT, 0,
		    ERR_LIMIT } },
		{ "more than can be counted", 0, UINT64_MAX, { 1, UINT64_MAX,
		    1, 1 }, { 0, ERR_LIMIT, 0, 0 } },
	};
	struct relay_grant_args args = { .ttl_s = 1800, .generation = 3,
	    .protocol = GRANT_PROTO_POP3, .source = GRANT_POP };
	struct addr a = ip("192.0.2.1");
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		args.max_messages = rows[i].max_messages;
		args.max_recipients = rows[i].max_recipients;
		assert_int_equal(relay_cache_grant(rc, &a, "a@x.org", &args,
		    T0, NULL, &e), 0);
		for (size_t k = 0; k < 4; k++)
			if (relay_cache_book(rc, &a, "a@x.org", T0,
			    rows[i].recipients[k], T0 + 9, &e) !=
			    rows[i].want[k])
				fail_msg("%s: %zu", rows[i].name, k);
	}
	/* Another grant than the one that MAIL saw pays nothing. */
	assert_int_equal(relay_cache_book(rc, &a, "a@x.org", T0 + 1, 1, T0,
	    &e), ERR_NOTFOUND);
}

/* A sign of life prolongs what is alive, and no budget, password or source. */
static void
t_renew(void **state)
{
	static const struct {
		const char	*name;
		int64_t		 at;
		int		 want;
		int64_t		 ends;
	} rows[] = {
		{ "alive", T0 + 900, 0, T0 + 2700 },
		{ "its last second", T0 + 1799, 0, T0 + 3599 },
		{ "over", T0 + 1800, ERR_NOTFOUND, T0 + 1800 },
		{ "a clock that ran back", T0 - 1, ERR_NOTFOUND, T0 + 1800 },
	};
	struct addr a = ip("192.0.2.1");
	struct grant_record g;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		(void)take_away(NULL, NULL);
		grant("192.0.2.1", "a@x.org", T0);
		(void)relay_cache_book(rc, &a, "a@x.org", T0, 3, T0, &e);
		if (relay_cache_renew(rc, &a, "a@x.org", 1800, rows[i].at,
		    &e) != rows[i].want)
			fail_msg("%s", rows[i].name);
		g = get("192.0.2.1", "a@x.org");
		if (g.expires_s != rows[i].ends || g.login_s != T0 ||
		    g.messages != 1 || g.recipients != 3 || g.generation != 3)
			fail_msg("%s: the record", rows[i].name);
	}
	assert_int_equal(relay_cache_renew(rc, &a, "b@x.org", 1800, T0, &e),
	    ERR_NOTFOUND);
}

/* Only who made it last ends it, and that leaves the record behind. */
static void
t_end(void **state)
{
	struct addr a = ip("192.0.2.1");
	struct err e;
	uint64_t n;

	(void)state;
	grant("192.0.2.1", "a@x.org", T0);
	assert_int_equal(relay_cache_end(rc, &a, "a@x.org", GRANT_NOTIFY,
	    T0 + 5, &e), ERR_NOTFOUND);
	assert_int_equal(relay_cache_end(rc, &a, "a@x.org", GRANT_POP, T0 + 5,
	    &e), 0);
	assert_int_equal(lookup("192.0.2.1", "a@x.org", T0 + 5),
	    ERR_NOTFOUND);
	assert_true(get("192.0.2.1", "a@x.org").granted_s == T0);
	assert_int_equal(relay_cache_end(rc, &a, "a@x.org", GRANT_POP, T0 + 5,
	    &e), ERR_NOTFOUND);
	assert_int_equal(relay_cache_sweep(rc, T0 + 6 + 3600, 10, &n, &e), 0);
	assert_true(n == 1 && count_all() == 0);
}

/* What the administrator gave for longer stays as he gave it. */
static void
t_given(void **state)
{
	struct relay_grant_args args = { .ttl_s = 9000, .generation = 3,
	    .source = GRANT_CONTROL, .max_messages = 5, .durable = true };
	struct addr a = ip("192.0.2.1");
	struct grant_record g;
	struct err e;

	(void)state;
	assert_int_equal(relay_cache_grant(rc, &a, "a@x.org", &args, T0, NULL,
	    &e), 0);
	grant("192.0.2.1", "a@x.org", T0 + 10);
	g = get("192.0.2.1", "a@x.org");
	assert_true(g.expires_s == T0 + 9000 && g.max_messages == 5 &&
	    g.source == GRANT_CONTROL && g.login_s == T0 + 10);
	grant("192.0.2.1", "a@x.org", T0 + 8000);
	g = get("192.0.2.1", "a@x.org");
	assert_true(g.expires_s == T0 + 9800 && g.max_messages == 0 &&
	    g.source == GRANT_POP);
}

static void
t_crowd(void **state)
{
	struct addr a = ip("192.0.2.1");
	char user[MAILBOX_SIZE];
	struct err e;
	size_t n;

	(void)state;
	for (int i = 0; i < 60; i++) {
		(void)snprintf(user, sizeof(user), "u%d@x.org", i);
		grant("192.0.2.1", user, i < 10 ? T0 : T0 + 1800);
	}
	grant("192.0.2.2", "z@x.org", T0 + 1800);
	assert_int_equal(relay_cache_crowd(rc, &a, T0 + 1800, 100, &n, &e), 0);
	assert_int_equal(n, 50);
	assert_int_equal(relay_cache_crowd(rc, &a, T0 + 1800, 20, &n, &e), 0);
	assert_int_equal(n, 20);
	/* Whose grants have ended, and sort first, hide nobody: 60 of late are
	 * as good as 15 now. */
	assert_int_equal(relay_cache_crowd(rc, &a, T0 + 3600, 15, &n, &e), 0);
	assert_int_equal(n, 15);
	assert_int_equal(relay_cache_crowd(rc, &a, T0 + 3600, 16, &n, &e), 0);
	assert_int_equal(n, 0);
}

/* What is gone through by user, by network, and by both: in order, and all. */
static void
t_next(void **state)
{
	static const struct {
		const char	*name, *net, *user, *want;
	} rows[] = {
		{ "all", NULL, NULL, "1a 1b 2a 6b 9a 9b " },
		{ "user", NULL, "a@x.org", "1a 2a 9a " },
		{ "none", NULL, "z@x.org", "" },
		{ "longer name", NULL, "a@x.orga", "" },
		{ "network", "192.0.2.0/30", NULL, "1a 1b 2a " },
		{ "network and user", "192.0.2.0/24", "b@x.org", "1b " },
		{ "behind all", "203.0.113.0/24", NULL, "" },
		{ "prefixes around an address", "2001:db8::5", NULL, "6b " },
		{ "an address among others", "2001:db8:0:9::9", NULL,
		    "9a 9b " },
		{ "the wide network", "2001:db8::/32", "b@x.org", "6b 9b " },
	};
	struct grant_record g;
	struct relay_filter f;
	char got[64];
	struct net n;
	struct err e;

	(void)state;
	grant("192.0.2.1", "a@x.org", T0);
	grant("192.0.2.1", "b@x.org", T0);
	grant("192.0.2.2", "a@x.org", T0);
	grant("2001:db8:0:9::9", "a@x.org", T0);
	grant("2001:db8:0:9::9", "b@x.org", T0);
	relay_cache_set_prefix(rc, 64);
	grant("2001:db8::6", "b@x.org", T0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].net != NULL)
			assert_int_equal(net_parse(rows[i].net, &n), 0);
		f = (struct relay_filter){ .user = rows[i].user,
		    .net = rows[i].net == NULL ? NULL : &n };
		memset(&g, 0, sizeof(g));
		got[0] = '\0';
		while (relay_cache_next(rc, &f, &g, &e) == 0)
			(void)snprintf(got + strlen(got), sizeof(got) -
			    strlen(got), "%c%c ", g.bits == 64 ? '6' :
			    '0' + g.ip[15], g.user[0]);
		if (strcmp(got, rows[i].want) != 0)
			fail_msg("%s: %s", rows[i].name, got);
	}
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

/* An older version wrote no index by user: it is made at the start, and what
 * hangs on it is right from then on. */
static void
t_older(void **state)
{
	char user[MAILBOX_SIZE];
	uint32_t n;

	(void)state;
	for (int i = 0; i < 600; i++) {
		(void)snprintf(user, sizeof(user), "u%d@x.org", i / 2);
		grant(i % 2 ? "192.0.2.1" : "192.0.2.3", user, T0);
	}
	assert_int_equal(rc->users->truncate(rc->users, NULL, &n, 0), 0);
	assert_int_equal(n, 601);
	relay_cache_close(rc);
	dbenv_close(env);
	assert_int_equal(t_open(128), 0);
	assert_true(rc->indexed);
	assert_true(take_away(NULL, "u7@x.org") == 2);
	/* Not made yet, for want of room: all is gone through instead. */
	rc->indexed = false;
	assert_true(take_away(NULL, "u8@x.org") == 2);
	assert_true(take_away("192.0.2.1", "u9@x.org") == 1);
	rc->indexed = true;
	assert_true(take_away(NULL, "u9@x.org") == 1);
	assert_int_equal(count_all(), 594);
}

/* What cannot be decoded: passed over by each walk, told once, and removed by
 * each command that would remove it if it could be. */
static unsigned int told;
static char told_key[320];

static void
on_flaw(void *ctx, const char *key)
{
	(void)ctx;
	told++;
	(void)snprintf(told_key, sizeof(told_key), "%s", key);
}

static void
spoil(const char *where, const char *user)
{
	uint8_t key[RECORD_GRANT_KEY_MAX];
	struct addr a = ip(where);
	size_t len = strlen(user);

	memcpy(key, a.ip, sizeof(a.ip));
	memcpy(key + sizeof(a.ip), user, len);
	assert_int_equal(dbenv_put(rc->grants, NULL, key, sizeof(a.ip) + len,
	    "\2junk", 5, 0), 0);
}

static void
t_unreadable(void **state)
{
	struct grant_record v[4];
	struct addr a = ip("192.0.2.1");
	struct err e = { 0 };
	uint64_t removed;
	size_t n;

	(void)state;
	told = 0;
	relay_cache_on_flaw(rc, on_flaw, NULL);
	grant("192.0.2.1", "a@x.org", T0);
	grant("192.0.2.1", "b@x.org", T0);
	grant("192.0.2.1", "c@x.org", T0);
	grant("192.0.2.2", "b@x.org", T0);
	spoil("192.0.2.1", "b@x.org");
	assert_int_equal(count_all(), 3);
	assert_int_equal(told, 1);
	assert_string_equal(told_key, "192.0.2.1 b@x.org");
	assert_int_equal(relay_cache_owners(rc, &a, T0, v, 4, &n, &e), 0);
	assert_int_equal(n, 2);
	assert_int_equal(relay_cache_crowd(rc, &a, T0, 9, &n, &e), 0);
	assert_int_equal(n, 2);
	assert_int_equal(lookup("192.0.2.1", "b@x.org", T0), ERR_CORRUPT);
	/* By its key it is his. */
	assert_true(take_away(NULL, "b@x.org") == 2);
	assert_int_equal(lookup("192.0.2.1", "b@x.org", T0), ERR_NOTFOUND);
	/* A key that is none, in the midst and at the end. */
	spoil("192.0.2.1", "");
	spoil("192.0.2.9", "");
	spoil("192.0.2.1", "c@x.org");
	assert_int_equal(count_all(), 1);
	assert_int_equal(told, 4);
	assert_int_equal(count_all(), 1);
	assert_int_equal(told, 4);
	assert_int_equal(relay_cache_purge(rc, T0, &removed, &e), 0);
	assert_int_equal(removed, 3);
	/* A login makes it anew; cleaning takes it away with its entries. */
	spoil("192.0.2.1", "a@x.org");
	grant("192.0.2.1", "a@x.org", T0 + 1);
	assert_int_equal(lookup("192.0.2.1", "a@x.org", T0 + 1), 0);
	spoil("192.0.2.1", "a@x.org");
	assert_int_equal(relay_cache_sweep(rc, T0 + 9000, 100, &removed, &e),
	    0);
	assert_int_equal(removed, 1);
	assert_int_equal(lookup("192.0.2.1", "a@x.org", T0), ERR_NOTFOUND);
	assert_true(take_away(NULL, "a@x.org") == 0);
}

int
main(void)
{
#define ROW(f) cmocka_unit_test_setup_teardown(f, t_setup, t_teardown)
	static const struct CMUnitTest tests[] = {
		ROW(t_who_and_where),
		ROW(t_refresh),
		ROW(t_wrong_clock),
		ROW(t_uses),
		ROW(t_budget),
		ROW(t_renew),
		ROW(t_end),
		ROW(t_given),
		ROW(t_crowd),
		ROW(t_next),
		ROW(t_owners),
		ROW(t_revoke),
		ROW(t_prefix),
		ROW(t_sweep_purge),
		ROW(t_many),
		ROW(t_older),
		ROW(t_unreadable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
