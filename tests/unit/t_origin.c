/*
 * t_origin.c - auth/origin.c over db/origindb.c: what was sealed opens again,
 * here only, and not for ever.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "auth/origin.h"
#include "lib/str.h"
#include "tests/unit/db_scratch.h"

#define T0	1700000000
#define DAY	86400
#define KEEP	(400 * DAY)

static struct dbenv *env;
static struct origindb *db;
static struct origin *o;

static int
t_open(void)
{
	struct err e = { 0 };

	if (dbenv_open(scratch_dir, &env, &e) != 0 ||
	    origindb_open(env, &db, &e) != 0 || origin_new(db, &o, &e) != 0) {
		print_error("%s\n", e.text);
		return -1;
	}
	return 0;
}

static void
t_close(void)
{
	origin_free(o);
	origindb_close(db);
	dbenv_close(env);
}

static int
t_setup(void **state)
{
	(void)state;
	return scratch_make() == 0 ? t_open() : -1;
}

static int
t_teardown(void **state)
{
	(void)state;
	t_close();
	return scratch_remove();
}

static struct origin_mark
mark(const char *ip, const char *sid, const char *user)
{
	struct origin_mark m = { .at_s = T0 };

	assert_int_equal(addr_parse_ip(ip, &m.peer), 0);
	assert_int_equal(str_copy(m.sid, sizeof(m.sid), sid), 0);
	assert_int_equal(str_copy(m.user, sizeof(m.user), user), 0);
	return m;
}

static void
seal(const struct origin_mark *m, char token[AUTHP_ORIGIN_MAX + 1])
{
	assert_int_equal(origin_seal(o, m, token), 0);
	assert_true(strlen(token) <= AUTHP_ORIGIN_MAX);
}

static void
test_round(void **state)
{
	char user[MAILBOX_SIZE], token[AUTHP_ORIGIN_MAX + 1];
	struct origin_mark rows[4], got;
	struct err e = { 0 };

	(void)state;
	memset(user, 'u', sizeof(user) - 1);
	user[sizeof(user) - 1] = '\0';
	rows[0] = mark("192.0.2.7", "aaaaaaaaaaaaaaaa", "anna@example.org");
	rows[1] = mark("2001:db8::7", "bbbbbbbbbbbbbbbb", "");
	rows[2] = mark("192.0.2.7", "", user);
	rows[3] = mark("192.0.2.7", "aaaaaaaabbbbbbbbccccccccdddddddd", user);
	assert_int_equal(origin_seal(o, &rows[0], token), ERR_AWAY);
	assert_int_equal(origin_upkeep(o, T0, KEEP, &e), 0);
	for (size_t i = 0; i < 4; i++) {
		seal(&rows[i], token);
		assert_int_equal(origin_open(o, token, T0 + 1, KEEP, &got, &e),
		    0);
		assert_int_equal(got.at_s, T0);
		assert_true(addr_ip_eq(&got.peer, &rows[i].peer));
		assert_string_equal(got.sid, rows[i].sid);
		assert_string_equal(got.user, rows[i].user);
	}
}

/* Each octet counts, and two tokens of the same are not alike. */
static void
test_damage(void **state)
{
	struct origin_mark m = mark("192.0.2.7", "s", "a@example.org"), got;
	char token[AUTHP_ORIGIN_MAX + 1], other[AUTHP_ORIGIN_MAX + 1];
	struct err e = { 0 };
	size_t len;

	(void)state;
	assert_int_equal(origin_upkeep(o, T0, KEEP, &e), 0);
	seal(&m, token);
	seal(&m, other);
	assert_string_not_equal(token, other);
	len = strlen(token);
	for (size_t i = 0; i < len; i++) {
		(void)str_copy(other, sizeof(other), token);
		other[i] = other[i] == 'A' ? 'B' : 'A';
		assert_int_not_equal(origin_open(o, other, T0, KEEP, &got, &e),
		    0);
		other[i] = '\0';
		assert_int_not_equal(origin_open(o, other, T0, KEEP, &got, &e),
		    0);
	}
	assert_int_equal(origin_open(o, "", T0, KEEP, &got, &e), ERR_FORMAT);
}

static void
test_time(void **state)
{
	struct origin_mark m = mark("192.0.2.7", "s", "a@example.org"), got;
	char token[AUTHP_ORIGIN_MAX + 1], late[AUTHP_ORIGIN_MAX + 1];
	struct origindb_key keys[8];
	struct err e = { 0 };
	size_t n;

	(void)state;
	assert_int_equal(origin_upkeep(o, T0, KEEP, &e), 0);
	assert_int_equal(origin_upkeep(o, T0 + 29 * DAY, KEEP, &e), 0);
	assert_int_equal(origindb_load(db, keys, 8, &n, &e), 0);
	assert_int_equal(n, 1);
	seal(&m, token);
	assert_int_equal(origin_upkeep(o, T0 + 30 * DAY, KEEP, &e), 0);
	assert_int_equal(origindb_load(db, keys, 8, &n, &e), 0);
	assert_int_equal(n, 2);
	/* A clock that runs back makes no key and removes none. */
	assert_int_equal(origin_upkeep(o, T0 - DAY, KEEP, &e), 0);
	m.at_s = T0 + 31 * DAY;
	seal(&m, late);
	t_close();
	assert_int_equal(t_open(), 0);
	assert_int_equal(origin_open(o, token, T0 + KEEP, KEEP, &got, &e), 0);
	assert_int_equal(origin_open(o, token, T0 + KEEP + 1, KEEP, &got, &e),
	    ERR_NOTFOUND);
	/* Nobody can open it once its key has gone, whatever the clock says. */
	assert_int_equal(origin_upkeep(o, T0 + 31 * DAY + KEEP, KEEP, &e), 0);
	assert_int_equal(origin_open(o, token, T0, KEEP, &got, &e),
	    ERR_NOTFOUND);
	assert_int_equal(origin_open(o, late, T0 + 31 * DAY + KEEP, KEEP, &got,
	    &e), 0);
	assert_int_equal(origindb_load(db, keys, 8, &n, &e), 0);
	assert_int_equal(n, 2);
	assert_int_equal(keys[0].id, 2);
	assert_int_equal(keys[1].id, 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round, t_setup,
		    t_teardown),
		cmocka_unit_test_setup_teardown(test_damage, t_setup,
		    t_teardown),
		cmocka_unit_test_setup_teardown(test_time, t_setup, t_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
