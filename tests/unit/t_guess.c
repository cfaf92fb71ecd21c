/*
 * t_guess.c - what guessing passwords costs, and whom it does not cost.
 */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "auth/guess.h"

#define NOW 1700000000

static const uint8_t key[32] = "not so secret";

static struct addr
ip(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse_ip(text, &a), 0);
	return a;
}

static struct guess_who
who(const char *text, const char *user)
{
	return (struct guess_who){ .addr = ip(text), .user = user };
}

static bool
wrong(struct guess *g, const struct guess_who *w, int64_t now_s)
{
	struct guess_block b;

	return guess_failed(g, w, NULL, now_s, &b);
}

/* n failures of as many users. */
static void
wrong_many(struct guess *g, struct guess_who w, unsigned int n, int64_t now_s)
{
	char user[32];

	w.user = user;
	for (unsigned int i = 0; i < n; i++) {
		snprintf(user, sizeof(user), "user%u", i);
		wrong(g, &w, now_s);
	}
}

static bool
blocked(struct guess *g, const char *text, const char *user, int64_t now_s)
{
	struct guess_who w = who(text, user);

	return guess_blocked(g, &w, now_s) != GUESS_OPEN;
}

static void
t_delay_doubles(void **state)
{
	static const uint32_t want[] = { 300, 600, 1200, 2400, 4800, 8000,
	    8000, 8000 };
	struct guess *g = guess_new(key);
	struct guess_who a = who("192.0.2.1", "alice");
	struct guess_who b = who("192.0.2.1", "bob");
	struct guess_who c = who("192.0.2.2", "alice");

	(void)state;
	assert_int_equal(guess_delay_ms(g, &a, NOW), 300);
	for (size_t i = 0; i < ROWS(want); i++) {
		wrong(g, &a, NOW);
		assert_int_equal(guess_delay_ms(g, &a, NOW), want[i]);
	}
	/* Another user there, but not another network. */
	wrong(g, &b, NOW);
	assert_int_equal(guess_delay_ms(g, &b, NOW), 8000);
	wrong(g, &c, NOW);
	assert_int_equal(guess_delay_ms(g, &c, NOW), 300);
	/* It leaks away, not at once. */
	assert_int_equal(guess_delay_ms(g, &b, NOW + 6), 8000);
	assert_int_equal(guess_delay_ms(g, &a, NOW + GUESS_PAIR_S), 300);
	/* The right password ends it for him. */
	guess_succeeded(g, &c, NOW);
	a.exempt = true;
	assert_int_equal(guess_delay_ms(g, &a, NOW), GUESS_BASE_MS);
	guess_free(g);
}

static void
t_reply_at(void **state)
{
	static const struct {
		const char	*name;
		int64_t		 now;
		uint32_t	 delay;
		int64_t		 want;
	} rows[] = {
		{ "no check", 1000, 300, 1300 },
		{ "PBKDF2", 1005, 300, 1300 },
		{ "just so", 1300, 300, 1300 },
		{ "bcrypt waited", 1301, 300, 1600 },
		{ "long", 5555, 300, 5800 },
		{ "delay counts from arrival", 2000, 4800, 5800 },
		{ "later than the delay", 2200, 1200, 2200 },
		{ "in steps", 2201, 1200, 2500 },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		ROW_EQ(rows[i].name, guess_reply_at(1000, rows[i].now,
		    rows[i].delay), rows[i].want);
}

static void
t_network_blocked(void **state)
{
	struct guess *g = guess_new(key);
	struct guess_who a = who("192.0.2.1", "alice");
	struct guess_who owner = who("192.0.2.1", "owner");
	struct guess_block b;
	size_t pos = 0;

	(void)state;
	wrong_many(g, a, GUESS_NET_LIMIT, NOW);
	assert_false(blocked(g, "192.0.2.1", "alice", NOW));
	assert_true(wrong(g, &a, NOW));
	assert_int_equal(guess_blocked(g, &a, NOW), GUESS_NETWORK);
	assert_false(blocked(g, "192.0.2.2", "alice", NOW));
	/* Who logged in there before is not locked out by the others. */
	assert_true(blocked(g, "192.0.2.1", "owner", NOW));
	owner.known = true;
	assert_int_equal(guess_blocked(g, &owner, NOW), GUESS_OPEN);
	/* An exempt one beats it. */
	a.exempt = true;
	assert_int_equal(guess_blocked(g, &a, NOW), GUESS_OPEN);
	/* It can be seen, with its reason, count and end. */
	assert_true(guess_next(g, &pos, NOW, &b));
	assert_int_equal(b.why, GUESS_NETWORK);
	assert_int_equal(b.net.bits, 128);
	assert_int_equal(b.count, GUESS_NET_LIMIT + 1);
	assert_int_equal(b.refused, 2);
	assert_int_equal(b.since_s, NOW);
	assert_int_equal(b.until_s, NOW + GUESS_BLOCK_S);
	assert_false(guess_next(g, &pos, NOW, &b));
	/* A clock set back neither forgives nor makes it last for days. */
	assert_true(blocked(g, "192.0.2.1", "alice", NOW - 86400));
	assert_false(blocked(g, "192.0.2.1", "alice",
	    NOW - 86400 + GUESS_BLOCK_S));
	guess_free(g);
}

/* The next block lasts twice as long, until it is forgotten. */
static void
t_blocks_grow(void **state)
{
	struct guess *g = guess_new(key);
	struct guess_who a = who("192.0.2.1", "alice");
	int64_t now = NOW, s = GUESS_BLOCK_S;
	struct guess_block b;
	size_t pos;

	(void)state;
	for (unsigned int i = 0; i < 8; i++) {
		while (guess_blocked(g, &a, now) == GUESS_OPEN)
			wrong(g, &a, now);
		pos = 0;
		while (guess_next(g, &pos, now, &b) && b.why != GUESS_USER)
			;
		ROW_EQ("block", b.until_s - now, s);
		assert_string_equal(b.user, "alice");
		now = b.until_s;
		s = s * 2 > GUESS_BLOCK_MAX_S ? GUESS_BLOCK_MAX_S : s * 2;
	}
	now += 86401;
	while (guess_blocked(g, &a, now) == GUESS_OPEN)
		wrong(g, &a, now);
	assert_true(blocked(g, "192.0.2.1", "alice", now + GUESS_BLOCK_S - 1));
	assert_false(blocked(g, "192.0.2.1", "alice", now + GUESS_BLOCK_S));
	guess_free(g);
}

/* His own failures lock the owner out nowhere: one in a while is checked. */
static void
t_known_pair(void **state)
{
	struct guess *g = guess_new(key);
	struct guess_who w = who("192.0.2.1", "owner");
	unsigned int checked = 0;

	(void)state;
	w.known = true;
	for (unsigned int i = 0; i <= GUESS_PAIR_LIMIT; i++)
		wrong(g, &w, NOW);
	assert_int_equal(guess_blocked(g, &w, NOW), GUESS_USER);
	for (int64_t s = 1; s <= 100; s++)
		for (int i = 0; i < 50; i++)
			if (guess_blocked(g, &w, NOW + s) == GUESS_OPEN) {
				wrong(g, &w, NOW + s);
				checked++;
			}
	assert_int_equal(checked, 100 / GUESS_SLOT_S);
	/* From another network he is not known, and not blocked. */
	assert_false(blocked(g, "198.51.100.1", "owner", NOW));
	guess_succeeded(g, &w, NOW + 100);
	assert_int_equal(guess_blocked(g, &w, NOW + 100), GUESS_OPEN);
	guess_free(g);
}

static void
t_same_password(void **state)
{
	struct guess *g = guess_new(key);
	struct guess_who w = who("192.0.2.1", "alice");
	struct guess_who other = who("192.0.2.1", "bob");
	struct guess_block b;

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_false(guess_failed(g, &w, "old password", NOW + i, &b));
	assert_int_equal(guess_failures(g, &w.addr, NOW), 1);
	assert_int_equal(guess_delay_ms(g, &w, NOW), 300);
	guess_failed(g, &w, "other password", NOW, &b);
	guess_failed(g, &other, "old password", NOW, &b);
	assert_int_equal(guess_failures(g, &w.addr, NOW), 3);
	/* For an hour. */
	guess_failed(g, &w, "old password", NOW + GUESS_SAME_S, &b);
	assert_int_equal(guess_failures(g, &w.addr, NOW + GUESS_SAME_S), 1);
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
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct guess *g = guess_new(key);
		struct guess_who a = who(rows[i].a, "alice");
		struct guess_who b = who(rows[i].b, "alice");

		wrong(g, &a, NOW);
		ROW_EQ(rows[i].b, guess_failures(g, &b.addr, NOW) != 0,
		    rows[i].same);
		guess_free(g);
	}
}

/* Failures from addresses side by side, and what of it is blocked. */
static void
t_widens(void **state)
{
	static const struct {
		const char	*name;
		const char	*prefix, *suffix;
		unsigned int	 first, n, step;
		unsigned int	 each;
		const char	*near;		/* same /28, /56 */
		const char	*wide;		/* same /24, /48 */
		const char	*far;
		bool		 near_shut, wide_shut;
	} rows[] = {
		{ "one hammers", "192.0.2.", "", 1, 1, 1, 3000,
		    "192.0.2.2", "192.0.2.200", "192.0.3.1", false, false },
		{ "three do", "192.0.2.", "", 1, 3, 1, 3000,
		    "192.0.2.14", "192.0.2.200", "192.0.3.1", false, false },
		{ "many of a /28", "192.0.2.", "", 1, 12, 1, 20,
		    "192.0.2.14", "192.0.2.200", "192.0.3.1", true, false },
		{ "many of a /24", "192.0.2.", "", 0, 120, 2, 3,
		    "192.0.2.1", "192.0.2.255", "192.0.3.1", true, true },
		{ "many of a /56", "2001:db8:0:", "::1", 1, 12, 1, 20,
		    "2001:db8:0:ff::1", "2001:db8:0:ff00::1",
		    "2001:db8:1::1", true, false },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct guess *g = guess_new(key);
		char text[64];

		for (unsigned int k = 0; k < rows[i].each; k++)
			for (unsigned int n = 0; n < rows[i].n; n++) {
				struct guess_who w;

				snprintf(text, sizeof(text),
				    strchr(rows[i].prefix, ':') ? "%s%x%s" :
				    "%s%u%s", rows[i].prefix, rows[i].first +
				    n * rows[i].step, rows[i].suffix);
				w = who(text, "alice");
				if (guess_blocked(g, &w, NOW) == GUESS_OPEN)
					wrong(g, &w, NOW);
			}
		ROW_EQ(rows[i].name, blocked(g, rows[i].near, "bob", NOW),
		    rows[i].near_shut);
		ROW_EQ(rows[i].name, blocked(g, rows[i].wide, "bob", NOW),
		    rows[i].wide_shut);
		ROW_EQ(rows[i].name, blocked(g, rows[i].far, "bob", NOW),
		    false);
		guess_free(g);
	}
}

static void
t_clear(void **state)
{
	static const struct {
		const char	*name, *net, *user;
		size_t		 want;
		bool		 one, two;	/* still blocked */
	} rows[] = {
		{ "all", NULL, NULL, 2, false, false },
		{ "address", "192.0.2.1", NULL, 1, false, true },
		{ "network around", "192.0.0.0/16", NULL, 1, false, true },
		{ "another", "203.0.113.1", NULL, 0, true, true },
		{ "user", NULL, "alice", 1, true, false },
		{ "other user", NULL, "bob", 0, true, true },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct guess *g = guess_new(key);
		struct guess_who one = who("192.0.2.1", "x");
		struct guess_who two = who("198.51.100.1", "alice");
		struct net net;

		wrong_many(g, one, GUESS_NET_LIMIT + 1, NOW);
		for (unsigned int k = 0; k <= GUESS_PAIR_LIMIT; k++)
			wrong(g, &two, NOW);
		if (rows[i].net != NULL)
			assert_int_equal(net_parse(rows[i].net, &net), 0);
		ROW_EQ(rows[i].name, guess_clear(g, rows[i].net != NULL ?
		    &net : NULL, rows[i].user, NOW), rows[i].want);
		ROW_EQ(rows[i].name, blocked(g, "192.0.2.1", "x", NOW),
		    rows[i].one);
		ROW_EQ(rows[i].name, blocked(g, "198.51.100.1", "alice",
		    NOW), rows[i].two);
		guess_free(g);
	}
}

/* All that was saved makes another one that says the same. */
static void
t_saved(void **state)
{
	static struct placesdb_guess store[2 * 16384], v[64];
	struct guess *g = guess_new(key), *h;
	struct guess_who one = who("192.0.2.1", "x");
	struct guess_who two = who("198.51.100.1", "alice");
	size_t n;

	(void)state;
	memset(store, 0, sizeof(store));
	wrong_many(g, one, GUESS_NET_LIMIT + 1, NOW);
	for (unsigned int k = 0; k <= GUESS_PAIR_LIMIT; k++)
		wrong(g, &two, NOW);
	for (int round = 0; round < 3; round++) {
		/* A write that failed is made up for. */
		n = guess_save(g, v, ROWS(v));
		guess_save_again(g, v, n);
		while ((n = guess_save(g, v, ROWS(v))) > 0)
			for (size_t i = 0; i < n; i++)
				store[v[i].slot] = v[i];
		h = guess_new(key);
		for (size_t i = 0; i < ROWS(store); i++)
			if (store[i].used)
				guess_load(h, &store[i], NOW + 10);
		ROW_EQ("net", blocked(h, "192.0.2.1", "y", NOW + 10), true);
		ROW_EQ("pair", blocked(h, "198.51.100.1", "alice", NOW + 10),
		    true);
		ROW_EQ("other", blocked(h, "198.51.100.1", "bob", NOW + 10),
		    false);
		guess_free(g);
		g = h;
	}
	/* What is cleared is gone from there as well. */
	guess_clear(g, NULL, NULL, NOW);
	while ((n = guess_save(g, v, ROWS(v))) > 0)
		for (size_t i = 0; i < n; i++)
			store[v[i].slot] = v[i];
	for (size_t i = 0; i < ROWS(store); i++)
		assert_false(store[i].used);
	guess_free(g);
}

/* A flood of networks and names stays within the tables, frees no guesser, and
 * takes microseconds. */
static void
t_bounded(void **state)
{
	struct guess *g = guess_new(key);
	struct guess_who b = who("198.51.100.1", "x");
	char user[32];

	(void)state;
	wrong_many(g, who("192.0.2.1", ""), GUESS_NET_LIMIT + 1, NOW);
	b.user = user;
	for (unsigned int i = 0; i < 200000; i++) {
		memcpy(b.addr.ip + 12, &i, 4);
		snprintf(user, sizeof(user), "u%u", i);
		wrong(g, &b, NOW);
	}
	assert_true(blocked(g, "192.0.2.1", "alice", NOW));
	guess_free(g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_delay_doubles),
		cmocka_unit_test(t_reply_at),
		cmocka_unit_test(t_network_blocked),
		cmocka_unit_test(t_blocks_grow),
		cmocka_unit_test(t_known_pair),
		cmocka_unit_test(t_same_password),
		cmocka_unit_test(t_networks),
		cmocka_unit_test(t_widens),
		cmocka_unit_test(t_clear),
		cmocka_unit_test(t_saved),
		cmocka_unit_test(t_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
