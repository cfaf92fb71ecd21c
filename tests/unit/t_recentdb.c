/*
 * t_recentdb.c - past sessions: in memory, written, found again, their rings
 * and their forgetting.
 */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "db/recentdb.h"
#include "db_fixture.h"
#include "lib/str.h"

#define NOW 1700000000

static struct recentdb *db;

static void
open_all(void)
{
	struct err e = { 0 };

	open_env();
	assert_int_equal(recentdb_open(env, &db, &e), 0);
}

static void
close_all(void)
{
	recentdb_close(db);
	dbenv_close(env);
}

static void
flush(void)
{
	struct err e = { 0 };

	assert_int_equal(recentdb_flush(db, &e), 0);
}

static void
sweep(int64_t before_s)
{
	struct err e = { 0 };

	assert_int_equal(recentdb_sweep(db, before_s, 10000, &e), 0);
}

static struct recent_record *
record(const char *sid, const char *user, int64_t at_s)
{
	static struct recent_record r;

	memset(&r, 0, sizeof(r));
	r = (struct recent_record){ .began_s = at_s - 1, .at_s = at_s,
	    .ms = 1000, .n = 1, .bits = 128, .port = 587, .service = 1 };
	str_copy(r.sid, sizeof(r.sid), sid);
	str_copy(r.user, sizeof(r.user), user);
	return &r;
}

static uint64_t
put(enum recent_share share, const char *user, int64_t at_s)
{
	uint64_t serial = 0;

	recentdb_put(db, share, record("aaaaaaaaaaaaaaaa", user, at_s),
	    &serial);
	return serial;
}

/* "user user …", newest first, a share after the other. */
static char listed[16384];

static bool
list_one(void *ctx, enum recent_share share, const struct recent_record *r)
{
	(void)ctx;
	(void)share;
	if (listed[0] != '\0')
		strcat(listed, " ");
	strcat(listed, r->user);
	return true;
}

static const char *
list(int64_t since_s)
{
	struct err e = { 0 };

	listed[0] = '\0';
	assert_int_equal(recentdb_each(db, since_s, list_one, NULL, &e), 0);
	return listed;
}

static void
test_order(void **state)
{
	(void)state;
	assert_string_equal(list(0), "");
	put(RECENT_STRANGERS, "s1", NOW);
	put(RECENT_OWNERS, "o1", NOW + 1);
	put(RECENT_OWNERS, "o2", NOW + 2);
	put(RECENT_NAMED, "n1", NOW + 3);
	assert_string_equal(list(0), "o2 o1 n1 s1");
	assert_string_equal(list(NOW + 2), "o2 n1");
	close_all();
	open_all();
	assert_string_equal(list(0), "o2 o1 n1 s1");
	put(RECENT_OWNERS, "o3", NOW + 4);
	assert_string_equal(list(0), "o3 o2 o1 n1 s1");
}

/* A later form takes the place of the first, before and after it was written. */
static void
test_replaced(void **state)
{
	uint64_t serial = put(RECENT_OWNERS, "a", NOW);

	(void)state;
	recentdb_put(db, RECENT_OWNERS, record("x", "b", NOW), &serial);
	assert_string_equal(list(0), "b");
	recentdb_put(db, RECENT_OWNERS, record("x", "c", NOW), &serial);
	put(RECENT_OWNERS, "d", NOW);
	assert_string_equal(list(0), "d c");
}

static void
test_rings(void **state)
{
	char name[16];

	(void)state;
	recentdb_set_max(db, 64);	/* 41, 17 and 9 */
	put(RECENT_OWNERS, "owner", NOW);
	put(RECENT_NAMED, "named", NOW);
	for (unsigned int i = 0; i < 1000; i++) {
		(void)str_format(name, sizeof(name), "s%u", i);
		put(RECENT_STRANGERS, name, NOW + i);
		if (i % 7 == 0)
			flush();
	}
	assert_string_equal(list(0), "owner named s999 s998 s997 s996 s995 "
	    "s994 s993 s992 s991");
	/* Less room: the sweep removes what has none any more. */
	recentdb_set_max(db, 8);
	sweep(0);
	assert_string_equal(list(0), "owner named s999 s998");
	close_all();
	open_all();
	recentdb_set_max(db, 8);
	put(RECENT_STRANGERS, "s", NOW + 1000);
	assert_string_equal(list(0), "owner named s s999");
}

static void
test_time(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 300; i++)
		put(RECENT_NAMED, "old", NOW);
	put(RECENT_NAMED, "new", NOW + 100);
	flush();
	sweep(NOW + 1);
	assert_string_equal(list(0), "new");
}

/* More wait than may: the oldest go, but none of another share's. */
static void
test_waiting(void **state)
{
	uint64_t last = 0;

	(void)state;
	put(RECENT_OWNERS, "owner", NOW);
	for (unsigned int i = 0; i < RECENT_WAITING_MAX + 10; i++)
		last = put(RECENT_STRANGERS, "s", NOW);
	assert_int_equal(last, RECENT_WAITING_MAX + 10);
	list(0);
	assert_int_equal(strncmp(listed, "owner s s", 9), 0);
	assert_int_equal(strlen(listed), 5 + 2 * RECENT_WAITING_MAX);
}

static void
test_find(void **state)
{
	static const char sent[] = "aaaaaaaaaaaaaaa2anna@example.org\0"
	    "aaaaaaaaaaaaaaa3\0aaaaaaaaaaaaaaa4<>";
	struct recent_record *r = record("bbbbbbbbbbbbbbbb", "anna", NOW),
	    found;
	struct recent_message m;
	struct err e = { 0 };
	uint64_t serial = 0;
	size_t at = 0;

	(void)state;
	memcpy(r->sent, sent, sizeof(sent));
	r->sent_len = sizeof(sent);
	recentdb_put(db, RECENT_OWNERS, r, &serial);
	for (unsigned int i = 0; i < 500; i++)
		put(RECENT_OWNERS, "other", NOW + i);
	assert_int_equal(recentdb_find(db, "bbbbbbbbbbbbbbbb", &found, &e), 0);
	assert_string_equal(found.user, "anna");
	assert_int_equal(recentdb_find(db, "aaaaaaaaaaaaaaa3", &found, &e), 0);
	assert_string_equal(found.user, "anna");
	assert_int_equal(recentdb_find(db, "aaaaaaaaaaaaaaa5", &found, &e),
	    ERR_NOTFOUND);
	assert_true(recent_next_message(&found, &at, &m));
	assert_string_equal(m.sender, "anna@example.org");
	assert_true(recent_next_message(&found, &at, &m));
	assert_string_equal(m.qid, "aaaaaaaaaaaaaaa3");
	assert_string_equal(m.sender, "anna@example.org");
	assert_true(recent_next_message(&found, &at, &m));
	assert_string_equal(m.sender, "<>");
	assert_false(recent_next_message(&found, &at, &m));
}

static void
test_record(void **state)
{
	struct recent_record *r = record("bbbbbbbbbbbbbbbb", "anna", NOW), back;
	uint8_t v[RECENT_RECORD_MAX];
	int len;

	(void)state;
	memset(r->text, 'x', sizeof(r->text) - 1);
	memset(r->sent, 'y', sizeof(r->sent));
	r->sent_len = sizeof(r->sent);
	len = recent_encode(r, v);
	assert_true(len > 0);
	assert_int_equal(recent_decode(v, (size_t)len, &back), 0);
	assert_string_equal(back.text, r->text);
	assert_int_equal(back.sent_len, r->sent_len);
	for (int i = 0; i < len; i++)
		assert_int_equal(recent_decode(v, (size_t)i, &back),
		    ERR_CORRUPT);
	v[0] = 9;
	assert_int_equal(recent_decode(v, (size_t)len, &back), ERR_CORRUPT);
	r->bits = 129;
	assert_int_equal(recent_encode(r, v), ERR_LIMIT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rings, setup, teardown),
		cmocka_unit_test_setup_teardown(test_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_waiting, setup, teardown),
		cmocka_unit_test_setup_teardown(test_find, setup, teardown),
		cmocka_unit_test(test_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
