/*
 * t_placesdb.c - last logins and places: in memory, written, found again,
 * forgotten; and the state of guess.c.
 */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "db/placesdb_private.h"
#include "db_fixture.h"

#define NOW 1700000000

static struct placesdb *db;

static void
open_all(void)
{
	struct err e = { 0 };

	open_env();
	assert_int_equal(placesdb_open(env, &db, &e), 0);
}

static void
close_all(void)
{
	placesdb_close(db);
	dbenv_close(env);
}

static void
flush(void)
{
	struct err e = { 0 };

	assert_int_equal(placesdb_flush(db, &e), 0);
}

static struct addr
ip(unsigned int i)
{
	struct addr a = { .ip = { [10] = 0xff, 0xff, 192, 0,
	    (uint8_t)(i >> 8), (uint8_t)i } };

	return a;
}

static void
note(const char *user, const char *label, unsigned int at, int64_t when_s)
{
	struct placesdb_login l = { .at_s = when_s, .service = 1,
	    .mech = "PLAIN", .tls = "TLSv1.3" };

	memcpy(l.ip, ip(at).ip, sizeof(l.ip));
	placesdb_note(db, user, label, &l);
}

static bool
known(const char *user, unsigned int at, int64_t now_s)
{
	struct addr a = ip(at);

	return placesdb_is_known(db, user, &a, NOW - 1000, now_s);
}

static void
t_login(void **state)
{
	struct placesdb_login l;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(placesdb_login_get(db, "a@x", "", &l, &e),
	    ERR_NOTFOUND);
	note("a@x", "phone", 1, NOW);
	for (int round = 0; round < 3; round++) {
		assert_int_equal(placesdb_login_get(db, "a@x", "", &l, &e), 0);
		assert_int_equal(l.at_s, NOW);
		assert_string_equal(l.mech, "PLAIN");
		assert_string_equal(l.tls, "TLSv1.3");
		assert_int_equal(placesdb_login_get(db, "a@x", "phone", &l,
		    &e), 0);
		assert_int_equal(placesdb_login_get(db, "a@x", "tablet", &l,
		    &e), ERR_NOTFOUND);
		if (round == 0) {
			flush();
			assert_int_equal(waiting_count(db->waiting), 0);
		} else if (round == 1) {
			close_all();
			open_all();
		}
	}
	/* What waits is newer. */
	note("a@x", "", 1, NOW + 5);
	assert_int_equal(placesdb_login_get(db, "a@x", "", &l, &e), 0);
	assert_int_equal(l.at_s, NOW + 5);
	assert_int_equal(placesdb_login_get(db, "a@x", "phone", &l, &e), 0);
	assert_int_equal(l.at_s, NOW);
}

static bool
was_there(unsigned int at)
{
	struct addr a = ip(at);

	return placesdb_was_there(db, "a@x", &a, NOW - 1000, NOW + 5);
}

/* Who came as a stranger only is known, but was not there; in memory and on
 * disk alike. What he was once he stays. */
static void
t_strangers(void **state)
{
	static const struct {
		const char	*name;
		const char	*notes;		/* S: as a stranger */
		bool		 was_there;
	} rows[] = {
		{ "one of us", ".", true },
		{ "a stranger", "S", false },
		{ "a stranger twice", "SS", false },
		{ "a stranger who got one", "S.", true },
		{ "one of us first", ".S", true },
	};
	struct placesdb_login l = { .service = 1 };

	(void)state;
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memcpy(l.ip, ip(i).ip, sizeof(l.ip));
		for (int k = 0; rows[i].notes[k] != '\0'; k++) {
			l.at_s = NOW + k;
			l.stranger = rows[i].notes[k] == 'S';
			placesdb_note(db, "a@x", "", &l);
			if (rows[i].notes[k + 1] == '\0')
				ROW_EQ(rows[i].name, l.stranger ? 0 : 1,
				    was_there(i));
			flush();
		}
		ROW_EQ(rows[i].name, was_there(i), rows[i].was_there);
		ROW_EQ(rows[i].name, known("a@x", i, NOW + 5), true);
	}
}

static void
t_places(void **state)
{
	struct addr v6 = { .ip = { 0x20, 1, 0xd, 0xb8 } };
	struct placesdb_login l = { .at_s = NOW, .service = 1 };

	(void)state;
	assert_false(known("a@x", 1, NOW));
	note("a@x", "", 1, NOW);
	for (int round = 0; round < 2; round++) {
		assert_true(known("a@x", 1, NOW));
		assert_false(known("a@x", 2, NOW));
		assert_false(known("a@", 1, NOW));
		assert_true(known("a@x", 1, NOW + PLACESDB_KEEP_S - 1));
		assert_false(known("a@x", 1, NOW + PLACESDB_KEEP_S));
		flush();
	}
	/* Before this user of that name was made: another one. */
	assert_false(placesdb_is_known(db, "a@x", &(struct addr){
	    .ip = { 0 } }, NOW + 1, NOW + 2));
	v6.ip[15] = 1;
	memcpy(l.ip, v6.ip, sizeof(l.ip));
	placesdb_note(db, "a@x", "", &l);
	flush();
	v6.ip[15] = 77;
	assert_true(placesdb_is_known(db, "a@x", &v6, 0, NOW));
	v6.ip[7] = 1;
	assert_false(placesdb_is_known(db, "a@x", &v6, 0, NOW));
}

static void
t_places_bounded(void **state)
{
	unsigned int n = 0;

	(void)state;
	note("b@x", "", 1000, NOW);
	for (unsigned int i = 0; i < PLACESDB_MAX + 10; i++) {
		note("a@x", "", i, NOW + i);
		if (i % 5 == 0)
			flush();
	}
	flush();
	for (unsigned int i = 0; i < PLACESDB_MAX + 10; i++)
		n += known("a@x", i, NOW);
	assert_int_equal(n, PLACESDB_MAX);
	assert_false(known("a@x", 0, NOW));
	assert_false(known("a@x", 9, NOW));
	assert_true(known("a@x", 10, NOW));
	assert_true(known("b@x", 1000, NOW));
}

static void
t_memory_bounded(void **state)
{
	struct placesdb_login l;
	struct err e = { 0 };
	char user[32];

	(void)state;
	for (unsigned int i = 0; i < PLACESDB_WAITING_MAX; i++) {
		snprintf(user, sizeof(user), "u%u@x", i);
		note(user, "", i, NOW);
		note("poll@x", "", 1, NOW + i);
	}
	assert_int_equal(waiting_count(db->waiting), PLACESDB_WAITING_MAX);
	assert_int_equal(placesdb_login_get(db, "u0@x", "", &l, &e),
	    ERR_NOTFOUND);
	assert_int_equal(placesdb_login_get(db, user, "", &l, &e), 0);
	assert_int_equal(placesdb_login_get(db, "poll@x", "", &l, &e), 0);
	flush();
	assert_int_equal(waiting_count(db->waiting), 0);
	assert_int_equal(placesdb_login_get(db, user, "", &l, &e), 0);
}

static void
t_forget(void **state)
{
	struct placesdb_login l;
	struct err e = { 0 };
	char label[32];

	(void)state;
	for (unsigned int i = 0; i < 100; i++) {
		snprintf(label, sizeof(label), "l%u", i);
		note("a@x", label, i, NOW);
	}
	note("a@xy", "", 1, NOW);
	note("a@", "", 1, NOW);
	flush();
	note("a@x", "late", 200, NOW);
	assert_int_equal(placesdb_forget(db, "a@x", &e), 0);
	assert_int_equal(placesdb_login_get(db, "a@x", "", &l, &e),
	    ERR_NOTFOUND);
	assert_int_equal(placesdb_login_get(db, "a@x", "l99", &l, &e),
	    ERR_NOTFOUND);
	assert_int_equal(placesdb_login_get(db, "a@x", "late", &l, &e),
	    ERR_NOTFOUND);
	assert_false(known("a@x", 99, NOW));
	assert_true(known("a@xy", 1, NOW));
	assert_true(known("a@", 1, NOW));
	assert_int_equal(placesdb_login_get(db, "a@xy", "", &l, &e), 0);
}

static void
t_sweep(void **state)
{
	struct err e = { 0 };
	uint64_t removed, total = 0;
	char user[32];

	(void)state;
	for (unsigned int i = 0; i < 100; i++) {
		snprintf(user, sizeof(user), "u%u@x", i);
		note(user, "", 1, i % 2 == 0 ? NOW : NOW + PLACESDB_KEEP_S);
	}
	flush();
	for (int i = 0; i < 12; i++) {
		assert_int_equal(placesdb_sweep(db, NOW + PLACESDB_KEEP_S + 1,
		    10, &removed, &e), 0);
		total += removed;
	}
	assert_int_equal(total, 50);
	assert_true(known("u1@x", 1, NOW + PLACESDB_KEEP_S));
	assert_false(known("u2@x", 1, NOW));
}

static unsigned int seen;

static void
each(void *ctx, const struct placesdb_guess *v)
{
	memcpy(ctx, v, sizeof(*v));
	seen++;
}

static void
t_guess_state(void **state)
{
	struct placesdb_guess v[2] = {
		{ .slot = 7, .used = true, .ip = { 1, 2, 3 }, .bits = 64,
		  .strikes = 2, .user = "a@x", .level = 5, .at_s = NOW,
		  .spread = UINT64_MAX, .count = 3, .refused = 4,
		  .since_s = -1, .until_s = NOW },
		{ .slot = 70000, .used = true, .bits = 128 },
	}, got;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(placesdb_guess_put(db, v, 2, &e), 0);
	v[1].used = false;
	assert_int_equal(placesdb_guess_put(db, v + 1, 1, &e), 0);
	assert_int_equal(placesdb_guess_put(db, v + 1, 1, &e), 0);
	seen = 0;
	assert_int_equal(placesdb_guess_each(db, each, &got, &e), 0);
	assert_int_equal(seen, 1);
	assert_memory_equal(&got, &v[0], sizeof(got));
}

static void
t_records(void **state)
{
	struct placesdb_guess g = { .bits = 129 }, again;
	struct placesdb_login l = { .service = 2 };
	uint8_t buf[PLACESDB_RECORD_MAX];
	int n;

	(void)state;
	assert_int_equal(placesdb_guess_encode(&g, buf, sizeof(buf)),
	    ERR_LIMIT);
	g.bits = 128;
	n = placesdb_guess_encode(&g, buf, sizeof(buf));
	assert_true(n > 0);
	for (int i = 0; i < n; i++) {
		assert_int_equal(placesdb_guess_decode(buf, (size_t)i, &again),
		    ERR_CORRUPT);
		assert_int_equal(placesdb_guess_encode(&g, buf + 256,
		    (size_t)i), ERR_LIMIT);
	}
	buf[n] = 0;
	assert_int_equal(placesdb_guess_decode(buf, (size_t)n + 1, &again),
	    ERR_CORRUPT);
	buf[0] = 2;
	assert_int_equal(placesdb_guess_decode(buf, (size_t)n, &again),
	    ERR_CORRUPT);
	memset(l.mech, 'x', sizeof(l.mech));
	assert_int_equal(placesdb_login_encode(&l, buf, sizeof(buf)),
	    ERR_LIMIT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(t_login, setup, teardown),
		cmocka_unit_test_setup_teardown(t_places, setup, teardown),
		cmocka_unit_test_setup_teardown(t_strangers, setup, teardown),
		cmocka_unit_test_setup_teardown(t_places_bounded, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(t_memory_bounded, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(t_forget, setup, teardown),
		cmocka_unit_test_setup_teardown(t_sweep, setup, teardown),
		cmocka_unit_test_setup_teardown(t_guess_state, setup,
		    teardown),
		cmocka_unit_test(t_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
