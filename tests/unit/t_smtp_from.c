/*
 * t_smtp_from.c - the addresses that a From field has: RFC 5322's examples, what
 * programs really send, and what must not be understood in two ways.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/err.h"
#include "submitd/smtp/from.h"

static const struct {
	const char	*name;
	const char	*field;
	const char	*want;		/* "a b", NULL: cannot be read */
} cases[] = {
	{ "an address", "anna@example.org", "anna@example.org" },
	{ "white space", " \t anna@example.org ", "anna@example.org" },
	{ "angle", "<anna@example.org>", "anna@example.org" },
	{ "a name", "Anna Muster <anna@example.org>", "anna@example.org" },
	{ "a quoted name", "\"Muster, Anna\" <a@b.example>", "a@b.example" },
	{ "an @ in a quoted name", "\"ceo@bank.example\" <a@b.example>",
	    "a@b.example" },
	{ "an escaped quote", "\"x\\\"y@z.example>\\\"\" <a@b.example>",
	    "a@b.example" },
	{ "encoded words", "=?utf-8?Q?M=C3=BCller?= =?UTF-8?B?w6Q=?= "
	    "<a@b.example>", "a@b.example" },
	{ "UTF-8", "M\xc3\xbcller <m\xc3\xbc@b\xc3\xbc" "cher.example>",
	    "m\xc3\xbc@b\xc3\xbc" "cher.example" },
	{ "8 bits in the name", "M\xfcller <a@b.example>", "a@b.example" },
	{ "dots in a name", "John Q. Public Jr. <a@b.example>",
	    "a@b.example" },
	{ "a dot first", ". <a@b.example>", "a@b.example" },
	{ "glued", "Anna<a@b.example>", "a@b.example" },
	{ "folded", "Anna\r\n Muster\r\n\t<a@b.example>", "a@b.example" },
	{ "folded in the quotes", "\"Anna\r\n Muster\" <a@b.example>",
	    "a@b.example" },
	{ "two", "a@b.example, Bob <c@d.example>", "a@b.example c@d.example" },
	{ "empty elements", ", a@b.example,, ,c@d.example,",
	    "a@b.example c@d.example" },
	{ "comments", "(x) a(y)@(z (nested\\) ))b.example (w)",
	    "a@b.example" },
	{ "a comment with an address", "a@b.example (c@d.example)",
	    "a@b.example" },
	{ "RFC 5322 A.5", "Pete(A nice \\) chap) <pete(his account)@silly.test"
	    "(his host)>", "pete@silly.test" },
	{ "RFC 5322 A.6.1", "Joe Q. Public <john.q.public@example.com>",
	    "john.q.public@example.com" },
	{ "RFC 5322 A.6.3", "John Doe <jdoe@machine(comment).  example>",
	    "jdoe@machine.example" },
	{ "white space around dots", "a . b @ c . example", "a.b@c.example" },
	{ "a quoted local part", "\"a b\"@c.example", "\"a b\"@c.example" },
	{ "quotes without need", "\"anna\"@c.example", "\"anna\"@c.example" },
	{ "quoted in part", "\"a\".b@c.example", "\"a.b\"@c.example" },
	{ "a backslash", "\"a\\\\b\\\"\"@c.example",
	    "\"a\\\\b\\\"\"@c.example" },
	{ "a literal", "a@[192.0.2.1]", "a@[192.0.2.1]" },
	{ "spaces in a literal", "a@[ 192.0.2.1 ]", "a@[192.0.2.1]" },
	{ "IPv6", "<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]" },
	{ "the address is the name", "a@b.example <a@b.example>",
	    "a@b.example a@b.example" },
	{ "another's is", "ceo@bank.example <a@b.example>",
	    "ceo@bank.example a@b.example" },
	{ "an apostrophe", "O'Neil <o'neil@b.example>", "o'neil@b.example" },
	/* no mailbox-list */
	{ "nothing", "", NULL },
	{ "white space only", "  ", NULL },
	{ "commas only", ", ,", NULL },
	{ "a name only", "Anna", NULL },
	{ "no domain", "anna", NULL },
	{ "no domain in the angle", "Anna <anna>", NULL },
	{ "empty angle", "<>", NULL },
	{ "a name and an empty angle", "Mailer <>", NULL },
	{ "no local part", "@b.example", NULL },
	{ "empty domain", "a@", NULL },
	{ "two domains", "a@b.example@c.example", NULL },
	{ "a group", "Team: a@b.example, c@d.example;", NULL },
	{ "an empty group", "undisclosed:;", NULL },
	{ "a route", "<@x.example:a@b.example>", NULL },
	{ "a route without angle", "@x.example:a@b.example", NULL },
	{ "angle not closed", "Anna <a@b.example", NULL },
	{ "angle closed twice", "<a@b.example>>", NULL },
	{ "angle in the angle", "<<a@b.example>>", NULL },
	{ "two angles", "<a@b.example> <c@d.example>", NULL },
	{ "a name behind", "<a@b.example> Anna", NULL },
	{ "two without a comma", "a@b.example c@d.example", NULL },
	{ "a name before an address", "Anna a@b.example", NULL },
	{ "quotes not closed", "\"Anna <a@b.example>", NULL },
	{ "a comment not closed", "a@b.example (x", NULL },
	{ "a comment not closed at the end", "a@b.example, (x", NULL },
	{ "a comment not opened", "a@b.example x)", NULL },
	{ "a semicolon", "a@b.example; c@d.example", NULL },
	{ "double dot", "a..b@c.example", NULL },
	{ "a dot at the end", "a.@c.example", NULL },
	{ "dot at the domain's end", "a@c.example.", NULL },
	{ "a control", "a\x01@c.example", NULL },
	{ "a control in quotes", "\"a\x01\" <a@c.example>", NULL },
	{ "CR LF without a fold", "a@b.example\r\nc@d.example", NULL },
	{ "literal not closed", "a@[192.0.2.1", NULL },
	{ "an angle in a literal", "<a@[>192.0.2.1]>", NULL },
	{ "a literal in a literal", "a@[[192.0.2.1]]", NULL },
	{ "one of them", "a@b.example, Bob", NULL },
	{ "a backslash at the end", "\"a\\", NULL },
};

static int
note(void *ctx, const char *address)
{
	char *to = ctx;

	if (*to != '\0')
		strcat(to, " ");
	strcat(to, address);
	return 0;
}

static void
test_parse(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char got[1000] = "", *field = strdup(cases[i].field);
		size_t len = strlen(field);
		char *exact = malloc(len + 1);
		int r;

		/* Exactly as long as it is, for the sanitizer. */
		memcpy(exact, field, len);
		exact = realloc(exact, len > 0 ? len : 1);
		print_message("from: %s\n", cases[i].name);
		r = smtp_from_parse(exact, len, note, got);
		assert_int_equal(r, cases[i].want == NULL ? ERR_FORMAT : 0);
		if (cases[i].want != NULL)
			assert_string_equal(got, cases[i].want);
		free(exact);
		free(field);
	}
}

static int
count(void *ctx, const char *address)
{
	(void)address;
	++*(unsigned int *)ctx;
	return 0;
}

static void
test_limits(void **state)
{
	static char text[SMTP_FROM_OCTETS_MAX + 1];
	unsigned int n = 0;
	size_t len = 0;

	(void)state;
	for (unsigned int i = 0; i < SMTP_FROM_MAX; i++)
		len += (size_t)sprintf(text + len, "a%u@b.example,", i);
	assert_int_equal(smtp_from_parse(text, len, count, &n), 0);
	assert_int_equal(n, SMTP_FROM_MAX);
	strcpy(text + len, "x@b.example");
	assert_int_equal(smtp_from_parse(text, strlen(text), count, &n),
	    ERR_LIMIT);
	memset(text, 'x', 300);
	strcpy(text + 300, "@b.example");
	assert_int_equal(smtp_from_parse(text, strlen(text), count, &n),
	    ERR_FORMAT);
	memset(text, '(', sizeof(text));
	assert_int_equal(smtp_from_parse(text, sizeof(text) - 1, count, &n),
	    ERR_FORMAT);
	assert_int_equal(smtp_from_parse(text, sizeof(text), count, &n),
	    ERR_LIMIT);
}

static void
test_eq(void **state)
{
	static const struct {
		const char	*a, *b;
		bool		 eq;
	} rows[] = {
		{ "a@b.example", "a@b.example", true },
		{ "A@B.Example", "a@b.example", true },
		{ "\"a\"@b.example", "a@b.example", true },
		{ "a@b\xc3\xbc" "cher.example", "a@xn--bcher-kva.example",
		    true },
		{ "a@b\xc3\xbc" "cher.example", "a@bu\xcc\x88" "cher.example",
		    true },
		{ "a+x@b.example", "a@b.example", false },
		{ "\"a b\"@b.example", "ab@b.example", false },
		{ "a@localhost", "a@localhost", true },
		{ "a@localhost", "A@localhost", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(smtp_from_eq(rows[i].a, rows[i].b),
		    rows[i].eq);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_eq),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
