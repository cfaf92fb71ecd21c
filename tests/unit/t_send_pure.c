/*
 * t_send_pure.c - submitd-send's pure parts: replies of a next hop, texts from
 * outside, dot stuffing, DNS answers, routes.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/buf.h"
#include "lib/conf_route.h"
#include "lib/err.h"
#include "submitd/send/content.h"
#include "submitd/send/hop_reply.h"
#include "submitd/send/route.h"

/* --------------------------------------------------------------- replies -- */

struct reply_row {
	const char	*name;
	const char	*in;
	size_t		 len;		/* 0: strlen */
	enum hop_reply_result want;
	int		 code;
	const char	*text;
	size_t		 left;		/* behind the reply */
};

/* clang-format off */
static const struct reply_row reply_rows[] = {
	{ "one line", "250 2.0.0 ok\r\n", 0, HOP_REPLY_DONE, 250, "250 2.0.0 ok", 0 },
	{ "code alone", "250\r\n", 0, HOP_REPLY_DONE, 250, "250", 0 },
	{ "code and space", "354 \r\n", 0, HOP_REPLY_DONE, 354, "354", 0 },
	{ "three lines", "250-a\r\n250-b c\r\n250 d\r\n", 0, HOP_REPLY_DONE, 250, "250 a b c d", 0 },
	{ "the next reply stays", "250 a\r\n550 b\r\n", 0, HOP_REPLY_DONE, 250, "250 a", 7 },
	{ "continuation alone", "250-a\r\n", 0, HOP_REPLY_MORE, 250, "250 a", 0 },
	{ "codes differ", "250-a\r\n550 b\r\n", 0, HOP_REPLY_BAD, 0, NULL, 0 },
	{ "no code", "hello\r\n", 0, HOP_REPLY_BAD, 0, NULL, 0 },
	{ "two digits", "25\r\n", 0, HOP_REPLY_BAD, 0, NULL, 0 },
	{ "four digits", "2500 ok\r\n", 0, HOP_REPLY_BAD, 0, NULL, 0 },
	{ "tab behind the code", "250\tok\r\n", 0, HOP_REPLY_BAD, 0, NULL, 0 },
	{ "1xx", "150 ok\r\n", 0, HOP_REPLY_BAD, 0, NULL, 0 },
	{ "6xx", "650 ok\r\n", 0, HOP_REPLY_BAD, 0, NULL, 0 },
	{ "empty line", "\r\n", 0, HOP_REPLY_BAD, 0, NULL, 0 },
	{ "bare LF", "250 ok\n", 0, HOP_REPLY_BAD, 0, NULL, 0 },
	{ "bare LF inside", "250 o\nk\r\n", 0, HOP_REPLY_BAD, 0, NULL, 0 },
	{ "NUL", "250 o\0k\r\n", 9, HOP_REPLY_BAD, 0, NULL, 0 },
	{ "controls and 8 bits are shown", "250 \x1b[2J\xff\r\n", 0, HOP_REPLY_DONE, 250, "250 \\x1B[2J\\xFF", 0 },
	{ "nothing", "", 0, HOP_REPLY_MORE, 0, "", 0 },
	{ "CR alone", "250 ok\r", 0, HOP_REPLY_MORE, 0, "", 0 },
};
/* clang-format on */

/* Fed in two pieces, cut at `cut`. */
static enum hop_reply_result
reply_run(const struct reply_row *row, size_t len, size_t cut,
    struct hop_reply *r, struct buf *b)
{
	enum hop_reply_result result;

	hop_reply_init(r);
	buf_init(b, 8192);
	assert_int_equal(buf_append(b, row->in, cut), 0);
	result = hop_reply_read(r, b, NULL, NULL);
	if (result != HOP_REPLY_MORE)
		return result;
	assert_int_equal(buf_append(b, row->in + cut, len - cut), 0);
	return hop_reply_read(r, b, NULL, NULL);
}

static void
test_reply(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(reply_rows) / sizeof(*reply_rows); i++) {
		const struct reply_row *row = &reply_rows[i];
		size_t len = row->len > 0 ? row->len : strlen(row->in);

		for (size_t cut = 0; cut <= len; cut++) {
			struct hop_reply r;
			struct buf b;
			enum hop_reply_result result = reply_run(row, len, cut,
			    &r, &b);

			if (result != row->want)
				print_error("%s, cut at %zu\n", row->name, cut);
			assert_int_equal(result, row->want);
			if (row->text != NULL) {
				assert_string_equal(r.text, row->text);
				assert_int_equal(r.code, row->code);
			}
			/* What was not fed yet counts as left. */
			if (result == HOP_REPLY_DONE && cut == len)
				assert_int_equal(buf_len(&b), row->left);
			buf_free(&b);
		}
	}
}

static void
test_reply_bounds(void **state)
{
	char line[HOP_REPLY_LINE_MAX + 16];
	struct hop_reply r;
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 20);
	/* The longest line, of which the text keeps the beginning. */
	memset(line, 'x', sizeof(line));
	memcpy(line, "250 ", 4);
	memcpy(line + HOP_REPLY_LINE_MAX - 2, "\r\n", 2);
	hop_reply_init(&r);
	buf_append(&b, line, HOP_REPLY_LINE_MAX);
	assert_int_equal(hop_reply_read(&r, &b, NULL, NULL), HOP_REPLY_DONE);
	assert_int_equal(strlen(r.text), OUTCOME_TEXT_MAX);
	/* One more, with and without its end. */
	memset(line + HOP_REPLY_LINE_MAX - 2, 'x', 2);
	memcpy(line + HOP_REPLY_LINE_MAX - 1, "\r\n", 2);
	hop_reply_init(&r);
	buf_append(&b, line, HOP_REPLY_LINE_MAX + 1);
	assert_int_equal(hop_reply_read(&r, &b, NULL, NULL), HOP_REPLY_BAD);
	buf_clear(&b);
	hop_reply_init(&r);
	buf_append(&b, line, HOP_REPLY_LINE_MAX - 1);
	assert_int_equal(hop_reply_read(&r, &b, NULL, NULL), HOP_REPLY_MORE);
	buf_append(&b, "x", 1);
	assert_int_equal(hop_reply_read(&r, &b, NULL, NULL), HOP_REPLY_BAD);
	buf_clear(&b);
	/* As many lines as may be, and one more. */
	hop_reply_init(&r);
	for (unsigned int i = 0; i < HOP_REPLY_LINES_MAX; i++)
		buf_append(&b, "250-x\r\n", 7);
	assert_int_equal(hop_reply_read(&r, &b, NULL, NULL), HOP_REPLY_MORE);
	buf_append(&b, "250-x\r\n", 7);
	assert_int_equal(hop_reply_read(&r, &b, NULL, NULL), HOP_REPLY_BAD);
	buf_free(&b);
}

/* ----------------------------------------------------------------- texts -- */

struct status_row {
	const char	*text;
	char		 class;
	const char	*want;		/* NULL: none */
};

/* clang-format off */
static const struct status_row status_rows[] = {
	{ "550 5.1.1 no such user", '5', "5.1.1" },
	{ "5.4.4 no route", '5', "5.4.4" },
	{ "4.4.7 given up", '4', "4.4.7" },
	{ "450 4.2.1", '4', "4.2.1" },
	{ "550 5.1.1 no", '4', NULL },
	{ "550 5.123.999 x", '5', "5.123.999" },
	{ "550 5.1234.1 x", '5', NULL },
	{ "550 5.1.1.1 x", '5', NULL },
	{ "550 5.1.x", '5', NULL },
	{ "550 5..1 x", '5', NULL },
	{ "550 no such user", '5', NULL },
	{ "550", '5', NULL },
	{ "", '5', NULL },
};
/* clang-format on */

static void
test_status(void **state)
{
	char got[OUTCOME_STATUS_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(status_rows) / sizeof(*status_rows);
	    i++) {
		const struct status_row *row = &status_rows[i];
		bool ok = outcome_status(row->text, row->class, got);

		if (ok != (row->want != NULL))
			print_error("%s\n", row->text);
		assert_int_equal(ok, row->want != NULL);
		if (ok)
			assert_string_equal(got, row->want);
	}
}

static void
test_print(void **state)
{
	char long_text[2000], got[OUTCOME_TEXT_MAX + 1], small[8];

	(void)state;
	assert_int_equal(outcome_print(got, sizeof(got), "a\r\nb\0c", 6), 15);
	assert_string_equal(got, "a\\x0D\\x0Ab\\x00c");
	memset(long_text, 'x', sizeof(long_text));
	assert_int_equal(outcome_print(got, sizeof(got), long_text,
	    sizeof(long_text)), OUTCOME_TEXT_MAX);
	memset(long_text, 0xff, sizeof(long_text));
	assert_int_equal(outcome_print(got, sizeof(got), long_text,
	    sizeof(long_text)), OUTCOME_TEXT_MAX);
	/* Never half of a \xHH. */
	assert_int_equal(outcome_print(small, sizeof(small), "abcd\n", 5), 4);
	assert_string_equal(small, "abcd");
}

/* --------------------------------------------------------------- content -- */

struct content_row {
	const char	*in;
	const char	*want;
};

/* clang-format off */
static const struct content_row content_rows[] = {
	{ "", ".\r\n" },
	{ "a\r\n", "a\r\n.\r\n" },
	{ "a", "a\r\n.\r\n" },
	{ ".", "..\r\n.\r\n" },
	{ ".\r\n", "..\r\n.\r\n" },
	{ "a\r\n.\r\nb\r\n", "a\r\n..\r\nb\r\n.\r\n" },
	{ "a\r\n..\r\n", "a\r\n...\r\n.\r\n" },
	{ "a.b\r\n", "a.b\r\n.\r\n" },
	{ "a\n.b\r\n", "a\n.b\r\n.\r\n" },
	{ "a\r.b\r\n", "a\r.b\r\n.\r\n" },
	{ "a\r\r\n.\r\n", "a\r\r\n..\r\n.\r\n" },
	{ "a\r", "a\r\r\n.\r\n" },
};
/* clang-format on */

static void
test_content(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(content_rows) / sizeof(*content_rows);
	    i++) {
		const struct content_row *row = &content_rows[i];
		size_t len = strlen(row->in);

		for (size_t cut = 0; cut <= len; cut++) {
			uint8_t out[128];
			struct content c;
			size_t n;

			content_init(&c);
			n = content_stuff(&c, (const uint8_t *)row->in, cut,
			    out);
			n += content_stuff(&c, (const uint8_t *)row->in + cut,
			    len - cut, out + n);
			n += content_end(&c, out + n);
			assert_int_equal(n, strlen(row->want));
			assert_memory_equal(out, row->want, n);
		}
	}
}

/* ---------------------------------------------------------------- routes -- */

struct route_row {
	const char	*address;
	bool		 hop;		/* a next_hop is set */
	const char	*route;	/* NULL: nowhere */
	const char	*domain;
};

/* clang-format off */
static const struct route_row route_rows[] = {
	{ "a@here.test",		true,	"local_domains", "here.test" },
	{ "A@HERE.test",		true,	"local_domains", "here.test" },
	{ "\"x@y\"@here.test",		true,	"local_domains", "here.test" },
	{ "a@sub.here.test",		true,	"next_hop", "sub.here.test" },
	{ "a@THERE.test",		true,	"next_hop", "there.test" },
	{ "a@\303\274.test",		true,	"next_hop", "xn--tda.test" },
	{ "a@there.test",		false,	"next_hop", "there.test" },
	{ "a@[192.0.2.1]",		true,	"next_hop", "[192.0.2.1]" },
	{ "postmaster",			false,	"local_domains", "" },
	{ "PostMaster",			true,	"local_domains", "" },
	{ "postmaster@there.test",	true,	"next_hop", "there.test" },
	{ "someone",			true,	NULL, "" },
};
/* clang-format on */

static void
test_route(void **state)
{
	static char here[] = "here.test", hop[] = "hop.test:25";
	char *domains[] = { here }, domain[MAILBOX_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(route_rows) / sizeof(*route_rows); i++) {
		const struct route_row *row = &route_rows[i];
		struct conf conf = { .local_domains = { domains, 1 },
			.next_hop = row->hop ? hop : NULL };
		const struct conf_route *r;

		assert_int_equal(conf_routes_make(&conf), 0);
		r = route_of(&conf, row->address, domain);
		if ((r == NULL) != (row->route == NULL))
			fail_msg("%s", row->address);
		if (r != NULL)
			assert_string_equal(r->item.name, row->route);
		assert_string_equal(domain, row->domain);
		conf_routes_free(&conf);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reply),
		cmocka_unit_test(test_reply_bounds),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_content),
		cmocka_unit_test(test_route),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
