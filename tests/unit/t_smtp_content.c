/*
 * t_smtp_content.c - the content behind DATA: where it ends, what is kept, and
 * what is added to its header, with the input cut at every octet.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "submitd/smtp/header.h"
#include "submitd/smtp/reader.h"

struct kept {
	char	p[4096];
	size_t	len;
};

static void
keep(void *ctx, const void *p, size_t len)
{
	struct kept *k = ctx;

	assert_true(k->len + len < sizeof(k->p));
	memcpy(k->p + k->len, p, len);
	k->len += len;
}

/* ----------------------------------------------------------------- reader -- */

#define S(s) (s), sizeof(s) - 1

struct reader_case {
	const char	*name;
	const char	*input;
	size_t		 len;
	const char	*want;		/* kept; NULL: it is broken */
	size_t		 rest;		/* octets behind the end; -1: no end */
};

#define NO_END ((size_t)-1)

static const struct reader_case reader_cases[] = {
	{ "empty", S(".\r\n"), "", 0 },
	{ "one line", S("a\r\n.\r\n"), "a\r\n", 0 },
	{ "what follows stays", S("a\r\n.\r\nQUIT\r\n"), "a\r\n", 6 },
	{ "stuffed dot", S("..\r\n.\r\n"), ".\r\n", 0 },
	{ "stuffed line", S("..a\r\n...\r\n.\r\n"), ".a\r\n..\r\n", 0 },
	{ "dot before text", S(".a\r\n.\r\n"), "a\r\n", 0 },
	{ "dot inside", S("a.b\r\n.\r\n"), "a.b\r\n", 0 },
	{ "dot at the end of a line", S("a.\r\n.\r\n"), "a.\r\n", 0 },
	{ "empty lines", S("\r\n\r\n.\r\n"), "\r\n\r\n", 0 },
	{ "no end", S("a\r\n"), "a\r\n", NO_END },
	{ "dot, no end", S("a\r\n."), "a\r\n", NO_END },
	{ "8 bit", S("\xff\x80\r\n.\r\n"), "\xff\x80\r\n", 0 },
	/* smuggling: none of these ends it, all of them break it */
	{ "LF . LF", S("a\n.\nMAIL\r\n.\r\n"), NULL, 0 },
	{ "LF . CRLF", S("a\n.\r\nMAIL\r\n.\r\n"), NULL, 0 },
	{ "CRLF . LF", S("a\r\n.\nMAIL\r\n.\r\n"), NULL, 0 },
	{ "CR . CR", S("a\r.\rMAIL\r\n.\r\n"), NULL, 0 },
	{ "CR . CRLF", S("a\r.\r\nMAIL\r\n.\r\n"), NULL, 0 },
	{ "CRLF . CR", S("a\r\n.\rMAIL\r\n.\r\n"), NULL, 0 },
	{ "CRLF . CR CR LF", S("a\r\n.\r\r\nMAIL\r\n.\r\n"), NULL, 0 },
	{ "CR CR LF . CRLF", S("a\r\r\n.\r\n"), NULL, 0 },
	{ "LF CR . CRLF", S("a\n\r.\r\n\r\n.\r\n"), NULL, 0 },
	{ "NUL", S("a\0b\r\n.\r\n"), NULL, 0 },
	{ "NUL before the dot", S("a\r\n\0.\r\n\r\n.\r\n"), NULL, 0 },
	{ "NUL behind the dot", S("a\r\n.\0\r\n\r\n.\r\n"), NULL, 0 },
	{ "LF alone", S("\n\r\n.\r\n"), NULL, 0 },
	{ "CR alone", S("\r\r\n.\r\n"), NULL, 0 },
	{ "CR at the end of a line", S("abc\r\r\n.\r\n"), NULL, 0 },
};

static void
reader_check(const struct reader_case *c, size_t cut1, size_t cut2)
{
	size_t ends[] = { cut1, cut2, c->len }, used = 0, n;
	struct smtp_reader r = { 0 };
	struct kept k = { .len = 0 };
	struct smtp_run run;
	char *piece;

	for (int i = 0; i < 3; i++) {
		while (used < ends[i] && r.state != SMTP_READER_END) {
			piece = malloc(ends[i] - used);
			memcpy(piece, c->input + used, ends[i] - used);
			n = smtp_reader_next(&r, (uint8_t *)piece,
			    ends[i] - used, &run);
			assert_true(n > 0 && n <= ends[i] - used);
			keep(&k, run.p, run.len);
			used += n;
			free(piece);
		}
	}
	assert_int_equal(r.state == SMTP_READER_END, c->rest != NO_END);
	assert_int_equal(r.broken, c->want == NULL);
	if (c->rest != NO_END)
		assert_int_equal(c->len - used, c->rest);
	if (c->want == NULL)
		return;
	assert_int_equal(k.len, strlen(c->want));
	assert_memory_equal(k.p, c->want, k.len);
	assert_int_equal(r.octets, k.len);
}

static void
test_reader(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(reader_cases) / sizeof(reader_cases[0]);
	    i++) {
		const struct reader_case *c = &reader_cases[i];

		print_message("reader: %s\n", c->name);
		for (size_t a = 0; a <= c->len; a++)
			for (size_t b = a; b <= c->len; b++)
				reader_check(c, a, b);
	}
}

/* --------------------------------------------------------- chunks (BDAT) -- */

static const struct {
	const char	*name;
	const char	*input;
	size_t		 len;
	bool		 broken;
	bool		 open;		/* the last line has no end */
} chunk_cases[] = {
	{ "empty", S(""), false, false },
	{ "lines", S("a\r\n\r\n.\r\nb\r\n"), false, false },
	{ "no end", S("a\r\nb"), false, true },
	{ "a dot", S("."), false, true },
	{ "8 bits", S("\xff\r\n"), false, false },
	{ "bare LF", S("a\nb\r\n"), true, false },
	{ "bare LF at the start", S("\na\r\n"), true, false },
	{ "bare CR", S("a\rb\r\n"), true, false },
	{ "CR CR LF", S("a\r\r\n"), true, false },
	{ "CR at the end", S("a\r"), true, false },
	{ "NUL", S("a\0b\r\n"), true, false },
};

static void
chunk_check(size_t row, size_t cut1, size_t cut2)
{
	const size_t at[] = { 0, cut1, cut2, chunk_cases[row].len };
	struct smtp_reader r = { 0 };
	bool open;

	for (int i = 0; i < 3; i++) {
		size_t n = at[i + 1] - at[i];
		uint8_t *piece = malloc(n + 1);

		memcpy(piece, chunk_cases[row].input + at[i], n);
		smtp_reader_chunk(&r, piece, n);
		free(piece);
	}
	open = smtp_reader_chunks_end(&r);
	assert_int_equal(r.broken, chunk_cases[row].broken);
	if (!r.broken)
		assert_int_equal(open, chunk_cases[row].open);
	assert_int_equal(r.octets, chunk_cases[row].len);
}

static void
test_chunks(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(chunk_cases) / sizeof(chunk_cases[0]);
	    i++) {
		print_message("chunk: %s\n", chunk_cases[i].name);
		for (size_t a = 0; a <= chunk_cases[i].len; a++)
			for (size_t b = a; b <= chunk_cases[i].len; b++)
				chunk_check(i, a, b);
	}
}

/* ----------------------------------------------------------------- header -- */

#define DATE "Date: Sun, 22 Nov 2026 05:13:48 +0000\r\n"
#define MSGID "Message-ID: <id@host.example>\r\n"

struct header_case {
	const char	*name;
	const char	*input;
	const char	*want;
};

static const struct header_case header_cases[] = {
	{ "both are there", "Date: x\r\nMessage-ID: <y>\r\n\r\nbody\r\n",
	    "Date: x\r\nMessage-ID: <y>\r\n\r\nbody\r\n" },
	{ "in any case", "DATE: x\r\nmessage-id : <y>\r\n\r\nbody\r\n",
	    "DATE: x\r\nmessage-id : <y>\r\n\r\nbody\r\n" },
	{ "both missing", "Subject: x\r\n\r\nbody\r\n",
	    "Subject: x\r\n" DATE MSGID "\r\nbody\r\n" },
	{ "date missing", "Message-ID: <y>\r\n\r\n",
	    "Message-ID: <y>\r\n" DATE "\r\n" },
	{ "id missing", "Date: x\r\n\r\n", "Date: x\r\n" MSGID "\r\n" },
	{ "folded lines are passed", "Subject: x\r\n Date: y\r\n\r\n",
	    "Subject: x\r\n Date: y\r\n" DATE MSGID "\r\n" },
	{ "a tab folds", "Subject: x\r\n\tDate: y\r\n\r\n",
	    "Subject: x\r\n\tDate: y\r\n" DATE MSGID "\r\n" },
	{ "longer names are others", "Dates: x\r\nMessage-IDs: y\r\n\r\n",
	    "Dates: x\r\nMessage-IDs: y\r\n" DATE MSGID "\r\n" },
	{ "resent fields do not count", "Resent-Date: x\r\n\r\n",
	    "Resent-Date: x\r\n" DATE MSGID "\r\n" },
	{ "the body does not count", "Subject: x\r\n\r\nDate: y\r\n",
	    "Subject: x\r\n" DATE MSGID "\r\nDate: y\r\n" },
	{ "no header", "hello there\r\n", DATE MSGID "\r\nhello there\r\n" },
	{ "header is empty", "\r\nbody\r\n", DATE MSGID "\r\nbody\r\n" },
	{ "nothing at all", "", DATE MSGID },
	{ "header only", "Subject: x\r\n", "Subject: x\r\n" DATE MSGID },
	{ "first line is folded", " x\r\n", DATE MSGID "\r\n x\r\n" },
	{ "a line that is no field ends it", "Subject: x\r\nhello\r\n\r\nb\r\n",
	    "Subject: x\r\n" DATE MSGID "hello\r\n\r\nb\r\n" },
	{ "a colon alone is no field", ": x\r\n\r\n",
	    DATE MSGID "\r\n: x\r\n\r\n" },
	{ "empty field", "Date:\r\nMessage-ID:\r\n\r\n",
	    "Date:\r\nMessage-ID:\r\n\r\n" },
	{ "8-bit name is no field", "D\xc3\xa4te: x\r\n\r\n",
	    DATE MSGID "\r\nD\xc3\xa4te: x\r\n\r\n" },
};

static void
header_check(const struct header_case *c, size_t a, size_t b)
{
	size_t len = strlen(c->input);
	struct kept k = { .len = 0 };
	struct smtp_header h;

	smtp_header_begin(&h, 1795324428, "id", "host.example", keep, &k);
	smtp_header_put(&h, (const uint8_t *)c->input, a);
	smtp_header_put(&h, (const uint8_t *)c->input + a, b - a);
	smtp_header_put(&h, (const uint8_t *)c->input + b, len - b);
	smtp_header_end(&h);
	k.p[k.len] = '\0';
	assert_string_equal(k.p, c->want);
}

static void
test_header(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(header_cases) / sizeof(header_cases[0]);
	    i++) {
		const struct header_case *c = &header_cases[i];
		size_t len = strlen(c->input);

		print_message("header: %s\n", c->name);
		for (size_t a = 0; a <= len; a++)
			for (size_t b = a; b <= len; b++)
				header_check(c, a, b);
	}
}

static void
test_header_long_name(void **state)
{
	char in[1000] = "", want[1200] = DATE MSGID "\r\n";
	struct kept k = { .len = 0 };
	struct smtp_header h;

	(void)state;
	memset(in, 'x', 600);
	strcat(in, ": y\r\n\r\n");
	strcat(want, in);
	smtp_header_begin(&h, 1795324428, "id", "host.example", keep, &k);
	smtp_header_put(&h, (const uint8_t *)in, strlen(in));
	smtp_header_end(&h);
	k.p[k.len] = '\0';
	assert_string_equal(k.p, want);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reader),
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_header_long_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
