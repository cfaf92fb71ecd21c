/*
 * t_names.c - which user a login name means, as far as that hangs on no user
 * being there; what APOP's challenge and digest must be.
 */
#include "auth/names.h"

#include <string.h>

#include "auth/apop.h"
#include "lib/err.h"
#include "tests/unit/unit.h"

#define E_ACUTE "\xc3\xa9"

static const struct {
	const char	*in, *separators;	/* separators: NULL for none */
	int		 want;
	const char	*user, *label;
	bool		 bare;
} rows[] = {
	{ "alice@example.org", NULL, 0, "alice@example.org", "", false },
	{ "Alice@EXAMPLE.org", NULL, 0, "alice@example.org", "", false },
	{ "alice", NULL, 0, "alice", "", true },
	{ "ALICE", NULL, 0, "alice", "", true },
	{ "alice.b+c", NULL, 0, "alice.b+c", "", true },
	{ "alice@example.org#phone", NULL, 0, "alice@example.org", "phone",
	    false },
	{ "alice#phone", NULL, 0, "alice", "phone", true },
	{ "alice#Phone", NULL, 0, "alice", "Phone", true },
	{ "alice#a#b", NULL, 0, "alice", "a#b", true },
	{ "a#b@example.org", NULL, 0, "a#b@example.org", "", false },
	{ "a#b@example.org#phone", NULL, 0, "a#b@example.org", "phone",
	    false },
	{ "\"a@b\"@example.org#p", NULL, 0, "\"a@b\"@example.org", "p",
	    false },
	{ "alice%example.org", "%", 0, "alice@example.org", "", false },
	{ "alice%example.org#phone", "%", 0, "alice@example.org", "phone",
	    false },
	{ "a%b%example.org", "%", 0, "a%b@example.org", "", false },
	{ "a!b%example.org", "%!", 0, "a!b@example.org", "", false },
	{ "a%b@example.org", "%", 0, "a%b@example.org", "", false },
	{ "alice%example.org", NULL, 0, "alice%example.org", "", true },
	{ "alice%", "%", ERR_FORMAT, "", "", false },
	{ "alice#", NULL, ERR_FORMAT, "", "", false },
	{ "alice@example.org#", NULL, ERR_FORMAT, "", "", false },
	{ "#phone", NULL, ERR_FORMAT, "", "", false },
	{ "#", NULL, ERR_FORMAT, "", "", false },
	{ "", NULL, ERR_FORMAT, "", "", false },
	{ "@", NULL, ERR_FORMAT, "", "", false },
	{ "alice@", NULL, ERR_FORMAT, "", "", false },
	{ "@example.org", NULL, ERR_FORMAT, "", "", false },
	{ "alice bob", NULL, ERR_FORMAT, "", "", false },
	{ "!0123", NULL, 0, "!0123", "", true },
	{ "a\xff", NULL, ERR_FORMAT, "", "", false },
	{ "a\x07", NULL, ERR_FORMAT, "", "", false },
	{ "\xc2\xad", NULL, ERR_FORMAT, "", "", false },  /* nothing left */
	{ "al\xc2\xadice", NULL, 0, "alice", "", true },
	{ "\xef\xbd\x81lice", NULL, 0, "alice", "", true },	/* full width */
	{ "\xef\xbd\x81lice\xef\xbc\xa0" "example.org", NULL, 0,
	    "alice@example.org", "", false },
	{ E_ACUTE "@example.org", NULL, 0, "\xc3\xa9@example.org", "", false },
	{ "alice#" "123456789012345678901234567890123", NULL, ERR_LIMIT, "",
	    "", false },
};

static void
test_parse(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		char separators[8] = "";
		struct conf c = { .login_separators = NULL };
		struct names n;
		int r;

		if (rows[i].separators != NULL) {
			strcpy(separators, rows[i].separators);
			c.login_separators = separators;
		}
		r = names_parse(&c, rows[i].in, strlen(rows[i].in), &n);
		if (rows[i].want != 0) {
			ROW_EQ(rows[i].in, r != 0, 1);
			continue;
		}
		ROW_EQ(rows[i].in, r, 0);
		ROW_STR(rows[i].in, n.user, rows[i].user);
		ROW_STR(rows[i].in, n.label, rows[i].label);
		ROW_EQ(rows[i].in, n.bare, rows[i].bare);
	}
}

static void
test_length(void **state)
{
	struct conf c = { .login_separators = NULL };
	char in[NAMES_MAX + 2];
	struct names n;

	(void)state;
	memset(in, 'a', sizeof(in));
	assert_int_equal(names_parse(&c, in, 64, &n), 0);
	assert_int_equal(names_parse(&c, in, 65, &n), ERR_FORMAT);
	assert_int_equal(names_parse(&c, in, NAMES_MAX, &n), ERR_FORMAT);
	assert_int_equal(names_parse(&c, in, NAMES_MAX + 1, &n), ERR_FORMAT);
	assert_int_equal(names_parse(&c, "al\0ice", 6, &n), ERR_FORMAT);
}

#define SID "abcdefghij234567"

static void
test_challenge(void **state)
{
	static const struct {
		const char	*s;
		bool		 want;
	} challenges[] = {
		{ "<" SID ".1000@mail.example.org>", true },
		{ "<" SID ".400@mail.example.org>", true },
		{ "<" SID ".399@mail.example.org>", false },
		{ "<" SID ".1300@mail.example.org>", true },
		{ "<" SID ".1301@mail.example.org>", false },
		{ "<" SID ".-1@mail.example.org>", false },
		{ "<" SID ".1000x@mail.example.org>", false },
		{ "<" SID ".@mail.example.org>", false },
		{ "<" SID ".1000@mail.example.orgx>", false },
		{ "<" SID ".1000@mail.example.org>x", false },
		{ "<" SID ".1000@mail.example.org", false },
		{ "<" SID "1000@mail.example.org>", false },
		{ "<abcdefghij234566.1000@mail.example.org>", false },
		{ "<" SID ".1000>", false },
		{ "<>", false }, { "", false }, { ">", false },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(challenges); i++)
		ROW_EQ(challenges[i].s, apop_is_challenge(challenges[i].s, SID,
		    1000, "mail.example.org"), challenges[i].want);
}

/* The example of RFC 1939 section 7. */
static void
test_digest(void **state)
{
	static const char c[] = "<1896.697170952@dbc.mtview.ca.us>";
	static const uint8_t digest[AUTHP_DIGEST_SIZE] = {
		0xc4, 0xc9, 0x33, 0x4b, 0xac, 0x56, 0x0e, 0xcc,
		0x97, 0x9e, 0x58, 0x00, 0x1b, 0x3e, 0x22, 0xfb };

	(void)state;
	assert_int_equal(apop_check(c, "tanstaaf", 8, digest), 0);
	assert_int_equal(apop_check(c, "tanstaag", 8, digest), ERR_DENIED);
	assert_int_equal(apop_check(c, "", 0, digest), ERR_DENIED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_challenge),
		cmocka_unit_test(test_digest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
