/*
 * t_line.c - lines end with CR LF, are bounded, and come out the same however
 * the octets arrive.
 */
#include "lib/line.h"

#include <string.h>

#include "tests/unit/unit.h"

#define N(s) s, sizeof(s) - 1

static void
test_rows(void **state)
{
	static const struct {
		const char *name, *data;
		size_t len;
		size_t max;
		int skipping;
		enum line_result r;
		const char *text;
		size_t used;
		int ended;
	} rows[] = {
		{ "plain", N("NOOP\r\nX"), 512, 0, LINE_OK, "NOOP", 6, 1 },
		{ "empty line", N("\r\n"), 512, 0, LINE_OK, "", 2, 1 },
		{ "no data", N(""), 512, 0, LINE_MORE, NULL, 0, 0 },
		{ "half", N("NOO"), 512, 0, LINE_MORE, NULL, 0, 0 },
		{ "only CR", N("NOOP\r"), 512, 0, LINE_MORE, NULL, 0, 0 },
		{ "bare LF at the end", N("NOOP\n"), 512, 0, LINE_BARE, "NOOP",
		  5, 1 },
		{ "bare LF hides nothing", N("A\nRCPT TO:<b@c>\r\n"), 512, 0,
		  LINE_BARE, "A\nRCPT TO:<b@c>", 17, 1 },
		{ "bare LF, more to come", N("A\nB"), 512, 0, LINE_MORE, NULL,
		  0, 0 },
		{ "bare CR", N("A\rB\r\n"), 512, 0, LINE_BARE, "A\rB", 5, 1 },
		{ "CR CR LF", N("A\r\r\n"), 512, 0, LINE_BARE, "A\r", 4, 1 },
		{ "NUL", N("A\0B\r\n"), 512, 0, LINE_BARE, "A", 5, 1 },
		{ "just fits", N("12345678\r\n"), 10, 0, LINE_OK, "12345678",
		  10, 1 },
		{ "one too many", N("123456789\r\nX"), 10, 0, LINE_LONG, NULL,
		  11, 1 },
		{ "long, open", N("1234567890"), 10, 0, LINE_LONG, NULL, 10,
		  0 },
		{ "long, CR kept", N("123456789\r"), 10, 0, LINE_LONG, NULL, 9,
		  0 },
		{ "may still fit", N("12345678\r"), 10, 0, LINE_MORE, NULL, 0,
		  0 },
		{ "skip", N("abc"), 10, 1, LINE_LONG, NULL, 3, 0 },
		{ "skip to end", N("\r\nNOOP\r\n"), 10, 1, LINE_LONG, NULL, 2,
		  1 },
		{ "skip, CR only", N("\r"), 10, 1, LINE_MORE, NULL, 0, 0 },
		{ "skip, bare LF", N("abc\n"), 10, 1, LINE_LONG, NULL, 4, 0 },
		{ "long, bare LF", N("1234567890\n"), 10, 0, LINE_LONG, NULL,
		  11, 0 },
		{ "skip, nothing", N(""), 10, 1, LINE_MORE, NULL, 0, 0 },
	};
	struct line l;
	struct buf b;
	size_t i;

	(void)state;
	for (i = 0; i < ROWS(rows); i++) {
		buf_init(&b, 4096);
		assert_int_equal(buf_append(&b, rows[i].data, rows[i].len), 0);
		ROW_EQ(rows[i].name, line_next(&b, rows[i].max,
		    rows[i].skipping, &l), rows[i].r);
		ROW_EQ(rows[i].name, l.used, rows[i].used);
		ROW_EQ(rows[i].name, l.ended, rows[i].ended);
		if (rows[i].text != NULL)
			ROW_STR(rows[i].name, l.text, rows[i].text);
		buf_free(&b);
	}
}

/* Octet by octet, as a dribbling client sends it. */
static void
test_dribble(void **state)
{
	static const char data[] = "EHLO a\r\n0123456789abcdefghij\r\nQUIT\r\n";
	char got[128] = "";
	int skipping = 0;
	struct line l;
	struct buf b;
	const char *p;

	(void)state;
	buf_init(&b, 64);
	for (p = data; *p != '\0'; p++) {
		assert_int_equal(buf_append(&b, p, 1), 0);
		switch (line_next(&b, 16, skipping, &l)) {
		case LINE_OK:
			strcat(got, l.text);
			strcat(got, ";");
			buf_consume(&b, l.used);
			break;
		case LINE_LONG:
			buf_consume(&b, l.used);
			if (l.ended)
				strcat(got, "LONG;");
			skipping = !l.ended;
			break;
		case LINE_MORE:
			break;
		default:
			fail();
		}
	}
	assert_string_equal(got, "EHLO a;LONG;QUIT;");
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_dribble),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
