/*
 * t_pop_surrogate.c - headers in UTF-8 as a client gets them that has not said
 * UTF8.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "popd/pop/surrogate.h"

#define GONE SURROGATE_ADDRESS

static const struct row {
	const char	*name;
	const char	*in;
	const char	*want;		/* NULL: none is needed */
} rows[] = {
	{ "ascii", "Subject: x\r\n\r\n", NULL },
	{ "latin-1", "Subject: \xe9\r\n\r\n", NULL },
	{ "cut character", "Subject: \xc3\r\n\r\n", NULL },
	{ "a word", "Subject: caf\u00e9 au lait\r\nX: y\r\n\r\n",
	    "Subject: =?utf-8?Q?caf=C3=A9?= au lait\r\nX: y\r\n\r\n" },
	{ "words in a row", "Subject: a \u00e9  \u00fc b\n\n",
	    "Subject: a =?utf-8?Q?=C3=A9__=C3=BC?= b\n\n" },
	{ "no space", "Subject:\u00e9\n\n", "Subject: =?utf-8?Q?=C3=A9?=\n\n" },
	{ "folded", "Subject: a\r\n \u00e9\r\n\t\u00fc\r\nX: y\r\n\r\n",
	    "Subject: a\r\n =?utf-8?Q?=C3=A9_=C3=BC?=\r\nX: y\r\n\r\n" },
	{ "long", "Subject: "
	    "\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4"
	    "\u00e4\u00e4\u00e4\u00e4\n\n",
	    "Subject: =?utf-8?Q?=C3=A4=C3=A4=C3=A4=C3=A4=C3=A4=C3=A4=C3=A4"
	    "=C3=A4=C3=A4=C3=A4?=\r\n =?utf-8?Q?=C3=A4=C3=A4=C3=A4=C3=A4?="
	    "\n\n" },
	{ "a line that is full", "Subject: 123456789 123456789 123456789 "
	    "123456789 123456789 123456789 \u00e9\n\n",
	    "Subject: 123456789 123456789 123456789 "
	    "123456789 123456789 123456789\r\n =?utf-8?Q?=C3=A9?=\n\n" },
	{ "display name", "From: J\u00fcrgen M\u00fcller <a@b.test>\n\n",
	    "From: =?utf-8?Q?J=C3=BCrgen_M=C3=BCller?= <a@b.test>\n\n" },
	{ "half a display name", "From: Hans M\u00fcller Jr <a@b.test>\n\n",
	    "From: Hans =?utf-8?Q?M=C3=BCller?= Jr <a@b.test>\n\n" },
	{ "quoted name", "To: \"M\u00fcller, J.\" <a@b.test>, c@d.test\n\n",
	    "To: =?utf-8?Q?M=C3=BCller=2C_J=2E?= <a@b.test>, c@d.test\n\n" },
	{ "no space behind it", "To: \u00e9<a@b.test>,\u00fc<c@d.test>\n\n",
	    "To: =?utf-8?Q?=C3=A9?= <a@b.test>, =?utf-8?Q?=C3=BC?= "
	    "<c@d.test>\n\n" },
	{ "address", "From: \u00e9@b.test\n\n",
	    "From: =?utf-8?Q?=C3=A9=40b=2Etest?= " GONE "\n\n" },
	{ "address in brackets", "Cc: E <\u00e9@b.test>, F <f@b.test>\n\n",
	    "Cc: E =?utf-8?Q?=C3=A9=40b=2Etest?= " GONE ", F <f@b.test>\n\n" },
	{ "name and address", "Cc: \u00c9 <\u00e9@b>\n\n",
	    "Cc: =?utf-8?Q?=C3=89?= =?utf-8?Q?_=C3=A9=40b?= " GONE "\n\n" },
	{ "quoted local part", "To: \"\u00e9 x\"@b.test\n\n",
	    "To: =?utf-8?Q?=22=C3=A9_x=22=40b=2Etest?= " GONE "\n\n" },
	{ "comment", "To: a@b.test (J\u00fc (x) y)\n\n",
	    "To: a@b.test (=?utf-8?Q?J=C3=BC_=28x=29_y?=)\n\n" },
	{ "group", "To: \u00e9: a@b.test;\n\n",
	    "To: =?utf-8?Q?=C3=A9?= : a@b.test;\n\n" },
	{ "nothing closes", "To: \"\u00e9\nCc: (\u00e9\nBcc: <\u00e9\n\n",
	    "To: =?utf-8?Q?=C3=A9?=\nCc: (=?utf-8?Q?=C3=A9?=)\n"
	    "Bcc: =?utf-8?Q?=C3=A9?= " GONE "\n\n" },
	{ "message-id", "message-id: <\u00e9@b.test>\n\n",
	    "message-id: <?@b.test>\n\n" },
	{ "parameter", "Content-Type: text/plain;\n name=\"\u20ac.txt\"\n\n",
	    "Content-Type: text/plain;\n name=\"?.txt\"\n\n" },
	{ "no field", "\u00e9\u00e9\nX\u00e9: y\n\n", "??\nX?: y\n\n" },
	{ "space before the colon", "From : \u00e9 <a@b.test>\n\n",
	    "From : =?utf-8?Q?=C3=A9?= <a@b.test>\n\n" },
	{ "only a header", "Subject: \u00e9", "Subject: =?utf-8?Q?=C3=A9?=" },
};

static void
test_rows(void **state)
{
	char got[2048];
	struct buf out;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t len = strlen(rows[i].in);

		print_message("%s\n", rows[i].name);
		assert_int_equal(surrogate_is_needed(rows[i].in, len, true),
		    rows[i].want != NULL);
		if (rows[i].want == NULL)
			continue;
		buf_init(&out, sizeof(got) - 1);
		assert_int_equal(surrogate_make(rows[i].in, len, &out), 0);
		memcpy(got, buf_data(&out), buf_len(&out));
		got[buf_len(&out)] = '\0';
		assert_string_equal(got, rows[i].want);
		buf_free(&out);
	}
}

/* A header that is longer than what was read of it. */
static void
test_cut(void **state)
{
	(void)state;
	assert_true(surrogate_is_needed("S: \xe2\x82\xac \xe2\x82", 9, false));
	assert_false(surrogate_is_needed("S: \xe2\x82\xac \xe2\x82", 9, true));
	assert_true(surrogate_is_needed("S: \xe2", 4, false));
	assert_false(surrogate_is_needed("S: \xe2 x", 6, false));
	assert_false(surrogate_is_needed("", 0, false));
}

static void
test_limit(void **state)
{
	const char *in = "To: <\u00e9>,<\u00e9>,<\u00e9>\n\n";
	struct buf out;

	(void)state;
	buf_init(&out, 64);
	assert_int_not_equal(surrogate_make(in, strlen(in), &out), 0);
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
