/*
 * t_pop_wire.c - what a stored message becomes on the wire, cut at every octet.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "popd/wire.h"

#define WHOLE -1

static const struct wire_case {
	const char	*name;
	const char	*in;
	int		 top;		/* lines, or WHOLE */
	const char	*want;
	unsigned int	 stuffed;	/* dots not counted */
} wire_cases[] = {
	{ "empty", "", WHOLE, "", 0 },
	{ "one line", "a\n", WHOLE, "a\r\n", 0 },
	{ "no end", "a", WHOLE, "a\r\n", 0 },
	{ "only LF", "\n", WHOLE, "\r\n", 0 },
	{ "two LF", "\n\n", WHOLE, "\r\n\r\n", 0 },
	{ "CR LF stays", "a\r\nb\r\n", WHOLE, "a\r\nb\r\n", 0 },
	{ "mixed", "a\r\nb\nc\r\n", WHOLE, "a\r\nb\r\nc\r\n", 0 },
	{ "ends in CR", "a\r", WHOLE, "a\r\n", 0 },
	{ "bare CR inside", "a\rb\n", WHOLE, "a\rb\r\n", 0 },
	{ "CR CR LF", "a\r\r\n", WHOLE, "a\r\r\n", 0 },
	{ "dot line", ".\n", WHOLE, "..\r\n", 1 },
	{ "dot CR LF", ".\r\n", WHOLE, "..\r\n", 1 },
	{ "dots", "..a\nb.\n.c", WHOLE, "...a\r\nb.\r\n..c\r\n", 2 },
	{ "dot behind CR", "\r.\n", WHOLE, "\r.\r\n", 0 },
	{ "dot at the end", "a\n.", WHOLE, "a\r\n..\r\n", 1 },
	{ "top 0", "H: 1\n\nb1\nb2\n", 0, "H: 1\r\n\r\n", 0 },
	{ "top 1", "H: 1\n\nb1\nb2\n", 1, "H: 1\r\n\r\nb1\r\n", 0 },
	{ "top 2", "H: 1\n\nb1\nb2\n", 2, "H: 1\r\n\r\nb1\r\nb2\r\n", 0 },
	{ "top 9", "H: 1\n\nb1\nb2\n", 9, "H: 1\r\n\r\nb1\r\nb2\r\n", 0 },
	{ "top CR LF", "H: 1\r\n\r\nb1\r\nb2", 1, "H: 1\r\n\r\nb1\r\n", 0 },
	{ "top no body", "H: 1\n", 5, "H: 1\r\n", 0 },
	{ "top no end", "H: 1\n\nb", 5, "H: 1\r\n\r\nb\r\n", 0 },
	{ "top empty lines", "H: 1\n\n\n\nx\n", 2, "H: 1\r\n\r\n\r\n\r\n", 0 },
	{ "top dot", "H: 1\n\n.\n.\n", 1, "H: 1\r\n\r\n..\r\n", 1 },
	{ "top without header", "\nb1\nb2\n", 1, "\r\nb1\r\n", 0 },
	{ "top CR in header", "H\r\r\n\nb\n", 0, "H\r\r\n\r\n", 0 },
};

static void
wire_start(struct wire *w, int top)
{
	if (top == WHOLE)
		wire_init(w);
	else
		wire_init_top(w, (uint64_t)top);
}

/* The input in two pieces, `cut` octets the first. */
static void
wire_try(const struct wire_case *c, size_t cut)
{
	const uint8_t *in = (const uint8_t *)c->in;
	size_t len = strlen(c->in), n;
	uint8_t out[WIRE_OUT_SIZE(64) + 1];
	struct wire w, counted;

	wire_start(&w, c->top);
	n = wire_put(&w, in, cut, out);
	n += wire_put(&w, in + cut, len - cut, out + n);
	n += wire_end(&w, out + n);
	out[n] = '\0';
	assert_string_equal(out, c->want);
	assert_int_equal(w.octets, n - c->stuffed);

	wire_start(&counted, c->top);
	wire_put(&counted, in, cut, NULL);
	wire_put(&counted, in + cut, len - cut, NULL);
	wire_end(&counted, NULL);
	assert_int_equal(counted.octets, w.octets);
}

static void
test_every_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(wire_cases) / sizeof(wire_cases[0]);
	    i++) {
		print_message("%s\n", wire_cases[i].name);
		for (size_t cut = 0; cut <= strlen(wire_cases[i].in); cut++)
			wire_try(&wire_cases[i], cut);
	}
}

/* All strings of 6 octets over the ones that matter, octet by octet. */
static void
test_octet_by_octet(void **state)
{
	static const uint8_t alphabet[] = { '\r', '\n', '.', 'x' };
	uint8_t in[6], whole[32], piece[32];

	(void)state;
	for (unsigned int k = 0; k < 4096; k++) {
		struct wire a, b;
		size_t n, m = 0;

		for (size_t i = 0; i < sizeof(in); i++)
			in[i] = alphabet[k >> 2 * i & 3];
		wire_init(&a);
		n = wire_put(&a, in, sizeof(in), whole);
		n += wire_end(&a, whole + n);
		wire_init(&b);
		for (size_t i = 0; i < sizeof(in); i++)
			m += wire_put(&b, in + i, 1, piece + m);
		m += wire_end(&b, piece + m);
		assert_int_equal(n, m);
		assert_memory_equal(whole, piece, n);
		assert_int_equal(a.octets, b.octets);
		/* Nothing ends the reply early, and each line is ended. */
		assert_memory_equal(whole + n - 2, "\r\n", 2);
		assert_false(n >= 3 && memcmp(whole, ".\r\n", 3) == 0);
		whole[n] = '\0';
		assert_null(strstr((char *)whole, "\r\n.\r\n"));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_octet_by_octet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
