/*
 * t_smtp_content.c - the content behind DATA: where it ends and what is kept,
 * with the input cut at every octet.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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

/* The longest line, however it comes. */
static void
test_longest(void **state)
{
	static const struct {
		const char	*input;
		uint64_t	 data, chunk;
	} cases[] = {
		{ "\r\n.\r\n", 2, 3 },
		{ "a\r\nabc\r\nab\r\n.\r\n", 5, 5 },
		{ "abc\r\n.\r\n", 5, 5 },
		{ "..abcd\r\na\r\n.\r\n", 7, 8 },
		{ "abcdef", 6, 6 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const uint8_t *in = (const uint8_t *)cases[i].input;
		size_t len = strlen(cases[i].input), n;

		for (size_t piece = 1; piece <= len; piece++) {
			struct smtp_reader a = { 0 };
			struct smtp_run run;

			for (size_t at = 0; at < len; at += n) {
				n = len - at < piece ? len - at : piece;
				n = smtp_reader_next(&a, in + at, n, &run);
			}
			assert_int_equal(a.longest, cases[i].data);
		}
		for (size_t piece = 1; piece <= len; piece++) {
			struct smtp_reader b = { 0 };

			for (size_t at = 0; at < len; at += piece)
				smtp_reader_chunk(&b, in + at,
				    len - at < piece ? len - at : piece);
			assert_int_equal(b.longest, cases[i].chunk);
		}
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reader),
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_longest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
