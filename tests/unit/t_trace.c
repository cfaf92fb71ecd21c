/*
 * t_trace.c - auth/trace.c reads what submitd/spool/header.c writes, and shrugs
 * at everything else.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "auth/trace.h"

#define BY "by mail.example.org with ESMTPSA id 5f2ffnv6lv67plpu "

static const struct trace_case {
	const char *name, *text;
	const char *from, *by, *id, *address, *user, *date, *token;
} trace_cases[] = {
	{ "SASL", "Received: from box.example.net ([192.0.2.7])\r\n\t" BY
	  "(authenticated as anna@example.org)\r\n\tfor <b@example.com>; Sun, "
	  "22 Nov 2026 11:30:53 +0000\r\n", "box.example.net",
	  "mail.example.org", "5f2ffnv6lv67plpu", "192.0.2.7",
	  "anna@example.org", "Sun, 22 Nov 2026 11:30:53 +0000", "" },
	{ "grant, IPv6", "from unknown ([IPv6:2001:db8::7]) " BY
	  "(relay grant of a@b.example); x", "unknown", "mail.example.org",
	  "5f2ffnv6lv67plpu", "2001:db8::7", "a@b.example", "x", "" },
	{ "network", "from a ([192.0.2.7]) " BY "(trusted network, owner "
	  "c@example.org); x", "a", "mail.example.org", "5f2ffnv6lv67plpu",
	  "192.0.2.7", "c@example.org", "x", "" },
	{ "quoted user", "from a " BY "(authenticated as \"x\\(\\)\\\\"
	  "\"@b.example); x", "a", "mail.example.org", "5f2ffnv6lv67plpu", "",
	  "\"x()\\\"@b.example", "x", "" },
	{ "token", "from unknown (origin\r\n\tAAAA\r\n\tBB==) " BY "; x",
	  "unknown", "mail.example.org", "5f2ffnv6lv67plpu", "", "", "x",
	  "AAAABB==" },
	{ "a name is no word of ours", "from by by id id from; x", "by", "id",
	  "from", "", "", "x", "" },
	{ "the first counts", "from a from b by c by d id e id f; x", "a", "c",
	  "e", "", "", "x", "" },
	{ "open comment", "from a (origin AAAA", "a", "", "", "", "", "",
	  "AAAA" },
	{ "ends in a backslash", "from a (x \\", "a", "", "", "", "", "", "" },
	{ "nothing", "", "", "", "", "", "", "", "" },
};

static void
test_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(trace_cases) / sizeof(trace_cases[0]);
	    i++) {
		const struct trace_case *c = &trace_cases[i];
		struct trace t = { .token = "" };

		print_message("%s\n", c->name);
		trace_read(&t, c->text);
		assert_string_equal(t.from, c->from);
		assert_string_equal(t.by, c->by);
		assert_string_equal(t.id, c->id);
		assert_string_equal(t.address, c->address);
		assert_string_equal(t.user, c->user);
		assert_string_equal(t.date, c->date);
		assert_string_equal(t.token, c->token);
	}
}

static void
test_token(void **state)
{
	char dst[AUTHP_ORIGIN_MAX + 1], big[2 * AUTHP_ORIGIN_MAX];

	(void)state;
	memset(big, 'A', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	assert_false(trace_is_token(big, dst));
	big[AUTHP_ORIGIN_MAX] = '\0';
	assert_true(trace_is_token(big, dst));
	big[60] = '\n';
	assert_true(trace_is_token(big, dst));
	assert_int_equal(strlen(dst), AUTHP_ORIGIN_MAX - 1);
	big[61] = '(';
	assert_false(trace_is_token(big, dst));
	assert_false(trace_is_token("AAAA", dst));
	assert_false(trace_is_token("", dst));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_token),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
