/*
 * t_xtext.c - xtext (RFC 3461 section 4) and addresses with UTF-8 in it (RFC
 * 6533 section 3).
 */
#include "lib/xtext.h"

#include <string.h>

#include "lib/err.h"
#include "tests/unit/unit.h"

static void
test_decode(void **state)
{
	static const struct {
		const char *s;
		int r;
		const char *text;
	} rows[] = {
		{ "", 0, "" },
		{ "QQ314159", 8, "QQ314159" },
		{ "a+2Bb+3Dc", 5, "a+b=c" },
		{ "a+20b", 3, "a b" },
		{ "a=b", ERR_FORMAT, NULL },
		{ "a b", ERR_FORMAT, NULL },
		{ "a+2", ERR_FORMAT, NULL },
		{ "a+", ERR_FORMAT, NULL },
		{ "a+2b", ERR_FORMAT, NULL },
		{ "a+0D+0A", ERR_FORMAT, NULL },
		{ "a+00", ERR_FORMAT, NULL },
		{ "a+7F", ERR_FORMAT, NULL },
		{ "a+FF", ERR_FORMAT, NULL },
		{ "\xc3\xa4", ERR_FORMAT, NULL },
		{ "0123456789abcde", 15, "0123456789abcde" },
		{ "0123456789abcdef", ERR_LIMIT, NULL },
	};
	char text[16];

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		ROW_EQ(rows[i].s, xtext_decode(text, sizeof(text), rows[i].s,
		    strlen(rows[i].s)), rows[i].r);
		if (rows[i].r >= 0)
			ROW_STR(rows[i].s, text, rows[i].text);
	}
}

static void
test_utf8(void **state)
{
	static const struct {
		const char *s;
		bool raw;
		int r;
		const char *text;
	} rows[] = {
		{ "a@b.example", false, 11, "a@b.example" },
		{ "\xc3\xa4@b", true, 8, "\\x{E4}@b" },
		{ "\xf0\x9f\x98\x80", true, 9, "\\x{1F600}" },
		{ "\xc3\xa4@b", false, ERR_FORMAT, NULL },
		{ "\\x{E4}@b", false, 8, "\\x{E4}@b" },
		{ "a+2Bb", false, 8, "a\\x{2B}b" },
		{ "a\\x{2B}b", false, 8, "a\\x{2B}b" },
		{ "\\x{41}", false, 1, "A" },
		{ "\\x{}", false, ERR_FORMAT, NULL },
		{ "\\x{e4}", false, ERR_FORMAT, NULL },
		{ "\\x{E4", false, ERR_FORMAT, NULL },
		{ "\\x{0D}", false, ERR_FORMAT, NULL },
		{ "\\x{85}", false, ERR_FORMAT, NULL },
		{ "\\x{D800}", false, ERR_FORMAT, NULL },
		{ "\\x{110000}", false, ERR_FORMAT, NULL },
		{ "\\x{1000000E4}", false, ERR_FORMAT, NULL },
		{ "\\", false, ERR_FORMAT, NULL },
		{ "a=b", false, ERR_FORMAT, NULL },
		{ "\xc3", true, ERR_FORMAT, NULL },
		{ "\xc2\x85", true, ERR_FORMAT, NULL },
		{ "\xe4" "b", true, ERR_FORMAT, NULL },
	};
	char text[16];

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		ROW_EQ(rows[i].s, xtext_utf8_address(text, sizeof(text),
		    rows[i].s, strlen(rows[i].s), rows[i].raw), rows[i].r);
		if (rows[i].r >= 0)
			ROW_STR(rows[i].s, text, rows[i].text);
	}
	assert_int_equal(xtext_utf8_address(text, sizeof(text),
	    "\xc3\xa4\xc3\xa4\xc3\xa4", 6, true), ERR_LIMIT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode),
		cmocka_unit_test(test_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
