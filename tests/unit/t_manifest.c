/*
 * t_manifest.c - lib/manifest.c: what is written is read back, and what is not
 * a whole manifest is refused.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "lib/manifest.h"
#include "tests/unit/unit.h"

#define HEAD "submitd-backup 1\nmade 7\nformat 2\nusers 3\n"
#define H8 "01234567"
#define HASH H8 H8 H8 H8 H8 H8 H8 "89abcdef"

static void
test_round_trip(void **state)
{
	static struct manifest m, got;
	struct err e = { 0 };
	char *text;

	(void)state;
	m = (struct manifest){ .made_s = 1700000000, .format = 2, .users = 9,
	    .n = 2, .v = { { .name = "users.db", .octets = 1ull << 40,
	    .sha256 = { 1, 0xff } }, { .name = "log.0000000001" } } };
	assert_non_null(text = manifest_text(&m));
	if (manifest_parse(text, &got, &e) != 0)
		fail_msg("%s", e.text);
	assert_int_equal(got.n, 2);
	assert_int_equal(got.made_s, m.made_s);
	assert_int_equal(got.users, 9);
	assert_string_equal(got.v[0].name, "users.db");
	assert_int_equal(got.v[0].octets, m.v[0].octets);
	assert_memory_equal(got.v[0].sha256, m.v[0].sha256, 32);
	/* Cut anywhere, it is refused. */
	for (size_t i = strlen(text); i-- > 0; ) {
		text[i] = '\0';
		ROW_EQ(text, manifest_parse(text, &got, &e), ERR_FORMAT);
	}
	free(text);
}

static void
test_refused(void **state)
{
	static struct manifest got;
	static const struct {
		const char	*name, *text;
		int		 r;
	} rows[] = {
		{ "good", HEAD "file a.db 5 " HASH "\nend 1\n", 0 },
		{ "empty", HEAD "end 0\n", 0 },
		{ "version", "submitd-backup 2\nmade 7\nformat 2\nusers 3\n"
		    "end 0\n", ERR_FORMAT },
		{ "twice", HEAD "file a 5 " HASH "\nfile a 5 " HASH
		    "\nend 2\n", ERR_FORMAT },
		{ "slash", HEAD "file ../a 5 " HASH "\nend 1\n", ERR_FORMAT },
		{ "lock", HEAD "file lock 5 " HASH "\nend 1\n", ERR_FORMAT },
		{ "short hash", HEAD "file a 5 " H8 "\nend 1\n", ERR_FORMAT },
		{ "capitals", HEAD "file a 5 ABCDEF00" HASH "\nend 1\n",
		    ERR_FORMAT },
		{ "no size", HEAD "file a " HASH "\nend 1\n", ERR_FORMAT },
		{ "large", HEAD "file a 9999999999999999999 " HASH "\nend 1\n",
		    ERR_FORMAT },
		{ "count", HEAD "file a 5 " HASH "\nend 2\n", ERR_FORMAT },
		{ "more", HEAD "end 0\nmore", ERR_FORMAT },
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		ROW_EQ(rows[i].name, manifest_parse(rows[i].text, &got, &e),
		    rows[i].r);
}

static void
test_names(void **state)
{
	static const struct { const char *name; int ok, db, key; } rows[] = {
		{ "users.db", 1, 1, 0 }, { "ticket.key", 1, 0, 1 },
		{ "log.0000000001", 1, 0, 0 }, { "__db.001", 1, 0, 0 },
		{ "__db.x.db", 1, 0, 0 }, { ".db", 0, 0, 0 },
		{ "", 0, 0, 0 }, { "..", 0, 0, 0 }, { "a/b.db", 0, 1, 0 },
		{ "MANIFEST", 0, 0, 0 }, { "reserve", 0, 0, 0 },
		{ "a b", 0, 0, 0 }, { "\xc3\xa4", 0, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		ROW_EQ(rows[i].name, manifest_is_name(rows[i].name),
		    rows[i].ok);
		ROW_EQ(rows[i].name, manifest_is_database(rows[i].name),
		    rows[i].db);
		ROW_EQ(rows[i].name, manifest_is_key(rows[i].name),
		    rows[i].key);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
