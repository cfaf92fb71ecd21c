/*
 * t_maildir.c - paths of users' Maildirs and names in them.
 */
#include "lib/maildir.h"

#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "tests/unit/unit.h"

static void
test_expand(void **state)
{
	static const struct {
		const char *template, *user;
		int r;
		const char *path;
	} rows[] = {
		{ "%d/%n", "anna@example.org", 0, "example.org/anna" },
		{ "%u/Maildir", "anna@example.org", 0,
		  "anna@example.org/Maildir" },
		{ "%%%n", "anna@example.org", 0, "%anna" },
		{ "%d/%n", "../x@example.org", 0, "example.org/..%2Fx" },
		{ "%d/%n", "a/b@example.org", 0, "example.org/a%2Fb" },
		{ "%d/%n", "a%2fb@example.org", 0, "example.org/a%252fb" },
		{ "%d/%n", "..@example.org", ERR_FORMAT, "" },
		{ "%d/%n", ".@example.org", ERR_FORMAT, "" },
		{ "%d/%n", "anna", ERR_FORMAT, "" },
		{ "/%d/%n", "anna@example.org", ERR_FORMAT, "" },
		{ "%d//%n", "anna@example.org", ERR_FORMAT, "" },
		{ "../%n", "anna@example.org", ERR_FORMAT, "" },
		{ "%n/", "anna@example.org", ERR_FORMAT, "" },
		{ "%x", "anna@example.org", ERR_FORMAT, "" },
		{ "%", "anna@example.org", ERR_FORMAT, "" },
		{ "", "anna@example.org", ERR_FORMAT, "" },
		{ "%d/%n/and/more", "anna@long.example.org", ERR_LIMIT, "" },
	};
	char path[30];
	size_t i;

	(void)state;
	for (i = 0; i < ROWS(rows); i++) {
		ROW_EQ(rows[i].user, maildir_expand(rows[i].template,
		    rows[i].user, path, sizeof(path)), rows[i].r);
		ROW_STR(rows[i].user, path, rows[i].path);
	}
}

static void
test_name(void **state)
{
	char a[MAILDIR_NAME_MAX + 1], b[MAILDIR_NAME_MAX + 1];
	uint64_t n;

	(void)state;
	assert_int_equal(maildir_name("a/b:c.example", a, sizeof(a)), 0);
	assert_int_equal(maildir_name("a/b:c.example", b, sizeof(b)), 0);
	assert_string_not_equal(a, b);
	assert_non_null(strstr(a, ".a\\057b\\072c.example"));
	assert_int_equal(maildir_name_sizes(a, sizeof(a), 100, 107), 0);
	assert_true(maildir_get_size(a, &n) && n == 100);
	assert_true(maildir_get_wire_size(a, &n) && n == 107);
	assert_int_equal(maildir_name_sizes(a, strlen(a) + 3, 1, 1),
	    ERR_LIMIT);
	assert_int_equal(maildir_name("host.example", b, 10), ERR_LIMIT);
}

static void
test_sizes(void **state)
{
	static const struct {
		const char *name;
		bool s, w;
		uint64_t s_value, w_value;
		size_t base;
	} rows[] = {
		{ "1.2.h", false, false, 0, 0, 5 },
		{ "1.2.h,S=5,W=6:2,S", true, true, 5, 6, 13 },
		{ "1.2.h,W=6,S=5", true, true, 5, 6, 13 },
		{ "1.2.h,S=5", true, false, 5, 0, 9 },
		{ "1.2.h:2,S=9", false, false, 0, 0, 5 },
		{ "1.2.h,S=:2,", false, false, 0, 0, 8 },
		{ "1.2.h,S=x", false, false, 0, 0, 9 },
		{ "1.2.h,S=99999999999999999999999", false, false, 0, 0, 31 },
		{ "", false, false, 0, 0, 0 },
	};
	uint64_t n;
	size_t i;

	(void)state;
	for (i = 0; i < ROWS(rows); i++) {
		ROW_EQ(rows[i].name, maildir_get_size(rows[i].name, &n),
		    rows[i].s);
		ROW_EQ(rows[i].name, n, rows[i].s_value);
		ROW_EQ(rows[i].name, maildir_get_wire_size(rows[i].name, &n),
		    rows[i].w);
		ROW_EQ(rows[i].name, n, rows[i].w_value);
		ROW_EQ(rows[i].name, maildir_base_len(rows[i].name),
		    rows[i].base);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_expand),
		cmocka_unit_test(test_name),
		cmocka_unit_test(test_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
