/*
 * t_mailbox.c - RFC 5321 mailboxes: what is one, and that two spellings of the
 * same one compare equal.
 */
#include "lib/mailbox.h"

#include <string.h>

#include "lib/err.h"
#include "tests/unit/unit.h"

#define L64 "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd"
#define D63 "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccddddddddddddddd"

static bool
is_ascii(const char *s)
{
	while (*s > 0)
		s++;
	return *s == '\0';
}

static void
test_rows(void **state)
{
	static const struct {
		const char *s;
		int r;
		const char *canon;
	} rows[] = {
		{ "anna@example.org", 0, "anna@example.org" },
		{ "Anna.B@Example.ORG", 0, "anna.b@example.org" },
		{ "\"anna\"@example.org", 0, "anna@example.org" },
		{ "\"an\\na\"@example.org", 0, "anna@example.org" },
		{ "\"a..b\"@example.org", 0, "\"a..b\"@example.org" },
		{ "\"A\\\"b\"@example.org", 0, "\"a\\\"b\"@example.org" },
		{ "\"\\\"a\\\"\"@example.org", 0,
		  "\"\\\"a\\\"\"@example.org" },
		{ "\"a\\\\b\\c\"@example.org", 0,
		  "\"a\\\\bc\"@example.org" },
		{ "!#$%&'*+-/=?^_`{|}~@example.org", 0,
		  "!#$%&'*+-/=?^_`{|}~@example.org" },
		{ "a%b@example.org", 0, "a%b@example.org" },
		{ "a@[192.0.2.1]", 0, "a@[192.0.2.1]" },
		{ "a@[ipv6:2001:DB8:0::1]", 0, "a@[ipv6:2001:db8::1]" },
		{ "a@x_y.example.org", 0, "a@x_y.example.org" },
		{ L64 "@example.org", 0, L64 "@example.org" },
		{ L64 "x@example.org", ERR_LIMIT, NULL },
		{ "a@" D63 ".example.org", 0, "a@" D63 ".example.org" },
		{ "a@x" D63 ".example.org", ERR_FORMAT, NULL },
		{ "", ERR_FORMAT, NULL },
		{ "anna", ERR_FORMAT, NULL },
		{ "@example.org", ERR_FORMAT, NULL },
		{ "\"\"@example.org", ERR_FORMAT, NULL },
		{ "anna@", ERR_FORMAT, NULL },
		{ "anna@localhost", ERR_FORMAT, NULL },
		{ "anna@example.org.", ERR_FORMAT, NULL },
		{ "anna@.example.org", ERR_FORMAT, NULL },
		{ "anna@example..org", ERR_FORMAT, NULL },
		{ "anna@-example.org", ERR_FORMAT, NULL },
		{ "anna@example-.org", ERR_FORMAT, NULL },
		{ "anna@192.0.2.1", ERR_FORMAT, NULL },
		{ ".anna@example.org", ERR_FORMAT, NULL },
		{ "anna.@example.org", ERR_FORMAT, NULL },
		{ "an..na@example.org", ERR_FORMAT, NULL },
		{ "an na@example.org", ERR_FORMAT, NULL },
		{ "\"an na\"@example.org", 0, "\"an na\"@example.org" },
		{ "\"an@na\"@example.org", 0, "\"an@na\"@example.org" },
		{ "\"an\\@na\"@example.org", 0, "\"an@na\"@example.org" },
		{ "\"an\tna\"@example.org", ERR_FORMAT, NULL },
		{ "\"anna@example.org", ERR_FORMAT, NULL },
		{ "\"anna\"x@example.org", ERR_FORMAT, NULL },
		{ "\"anna\\", ERR_FORMAT, NULL },
		{ "a@b@example.org", ERR_FORMAT, NULL },
		{ "anna@example.org ", ERR_FORMAT, NULL },
		{ "anna@example.org>", ERR_FORMAT, NULL },
		{ "<anna@example.org", ERR_FORMAT, NULL },
		{ "anna@example.org\r", ERR_FORMAT, NULL },
		/* RFC 6531 section 3.3 */
		{ "\xc3\xa4@example.org", 0, "\xc3\xa4@example.org" },
		{ "\xc3\x84nne@Example.org", 0, "\xc3\xa4nne@example.org" },
		{ "A\xcc\x88nne@example.org", 0, "\xc3\xa4nne@example.org" },
		{ "\xd0\x96\xd0\x90@\xd0\xbf\xd1\x80.\xd1\x80\xd1\x84", 0,
		  "\xd0\xb6\xd0\xb0@xn--o1ac.xn--p1ai" },
		{ "a@B\xc3\x9c" "CHER.example", 0, "a@xn--bcher-kva.example" },
		{ "a@XN--Bcher-KVA.example", 0, "a@xn--bcher-kva.example" },
		{ "a@b\xe3\x80\x82" "example", 0, "a@b.example" },
		{ "\"\xc3\xa4 b\"@example.org", 0,
		  "\"\xc3\xa4 b\"@example.org" },
		{ "\"\xc3\xa4\"@example.org", 0, "\xc3\xa4@example.org" },
		{ "\"a\\\\\xc3\xa4\"@example.org", 0,
		  "\"a\\\\\xc3\xa4\"@example.org" },
		{ "\"\\\xc3\xa4\"@example.org", ERR_FORMAT, NULL },
		{ "\xc3@example.org", ERR_FORMAT, NULL },
		{ "\xc0\xaf@example.org", ERR_FORMAT, NULL },
		{ "\xed\xa0\x80@example.org", ERR_FORMAT, NULL },
		{ "\xe4nna@example.org", ERR_FORMAT, NULL },
		{ "a\xc2\x85" "b@example.org", ERR_FORMAT, NULL },
		{ "a\xe2\x80\xa8" "b@example.org", ERR_FORMAT, NULL },
		{ "a@\xc3\xa4", ERR_FORMAT, NULL },
		{ "a@\xef\xbc\xa0.example", ERR_FORMAT, NULL },
		{ "a@\xe2\x80\x8b.example", ERR_FORMAT, NULL },
		{ "a@-\xc3\xa4.example", ERR_FORMAT, NULL },
		{ "@a.example,@b.example:c@d.example", ERR_FORMAT, NULL },
		{ "a@[192.0.2.1", ERR_FORMAT, NULL },
		{ "a@[192.0.2.1]x", ERR_FORMAT, NULL },
		{ "a@[2001:db8::1]", ERR_FORMAT, NULL },
		{ "a@[IPv6:192.0.2.1]", ERR_FORMAT, NULL },
		{ "a@[x400:foo]", ERR_FORMAT, NULL },
		{ "a@[]", ERR_FORMAT, NULL },
	};
	struct mailbox mb;
	size_t i;

	(void)state;
	for (i = 0; i < ROWS(rows); i++) {
		ROW_EQ(rows[i].s, mailbox_parse(rows[i].s, strlen(rows[i].s),
		    &mb), rows[i].r);
		ROW_STR(rows[i].s, mb.text, rows[i].r == 0 ? rows[i].s : "");
		if (rows[i].r != 0)
			continue;
		ROW_STR(rows[i].s, mb.canon, rows[i].canon);
		ROW_EQ(rows[i].s, mb.canon[mb.local_len], '@');
		ROW_EQ(rows[i].s, mb.utf8, !is_ascii(rows[i].s));
		ROW_EQ(rows[i].s, mb.literal, strchr(rows[i].s, '[') != NULL);
		ROW_EQ(rows[i].s, mailbox_domain(mb.canon) - mb.canon,
		    mb.local_len + 1);
	}
}

static void
test_long(void **state)
{
	char s[MAILBOX_MAX + 2];
	struct mailbox mb;
	size_t i;

	(void)state;
	memset(s, 'a', sizeof(s));
	for (i = 62; i < sizeof(s); i += 63)
		s[i] = '.';
	s[40] = '@';
	s[250] = 'a';
	assert_int_equal(mailbox_parse(s, MAILBOX_MAX, &mb), 0);
	assert_int_equal(mailbox_parse(s, MAILBOX_MAX + 1, &mb), ERR_LIMIT);
	assert_int_equal(mailbox_parse("a\0b@c.de", 8, &mb), ERR_FORMAT);
	assert_int_equal(mailbox_parse("\"a\0b\"@c.de", 10, &mb), ERR_FORMAT);
	assert_int_equal(mailbox_parse("a@[1.2.3.4\0]", 12, &mb), ERR_FORMAT);
	assert_int_equal(mailbox_parse("a@\xc3\xa4.example\0x", 14, &mb),
	    ERR_FORMAT);
	assert_null(mailbox_domain("anna"));
}

static void
test_names(void **state)
{
	static const struct {
		const char *s;
		bool domain, local;
	} rows[] = {
		{ "localhost", true, true },
		{ "mail.example.org", true, true },
		{ "_dmarc.example.org", true, true },
		{ "Anna", true, true },
		{ "a+b", false, true },
		{ "", false, false },
		{ ".", false, false },
		{ "a.", false, false },
		{ ".a", false, false },
		{ "a..b", false, false },
		{ "-a", false, true },
		{ "a-", false, true },
		{ "a b", false, false },
		{ "a@b", false, false },
		{ "[1.2.3.4]", false, false },
		{ L64, false, true },
		{ L64 "x", false, false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ROWS(rows); i++) {
		ROW_EQ(rows[i].s, mailbox_is_domain(rows[i].s,
		    strlen(rows[i].s)), rows[i].domain);
		ROW_EQ(rows[i].s, mailbox_is_local(rows[i].s,
		    strlen(rows[i].s)), rows[i].local);
	}
}

static void
test_ascii(void **state)
{
	static const struct {
		const char *s, *ascii;
	} rows[] = {
		{ "Anna@Example.org", "Anna@Example.org" },
		{ "Anna@B\xc3\xbc" "cher.example",
		  "Anna@xn--bcher-kva.example" },
		{ "\"a@b\"@b\xc3\xbc" "cher.example",
		  "\"a@b\"@xn--bcher-kva.example" },
		{ "\xc3\xa4@example.org", NULL },
	};
	char ascii[MAILBOX_SIZE];
	struct mailbox mb;

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		assert_int_equal(mailbox_parse(rows[i].s, strlen(rows[i].s),
		    &mb), 0);
		ROW_EQ(rows[i].s, mailbox_ascii(&mb, ascii),
		    rows[i].ascii == NULL ? ERR_NOTFOUND : 0);
		if (rows[i].ascii != NULL)
			ROW_STR(rows[i].s, ascii, rows[i].ascii);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_ascii),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
