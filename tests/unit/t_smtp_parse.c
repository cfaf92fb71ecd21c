/*
 * t_smtp_parse.c - paths and parameters of MAIL and RCPT, and the replies.
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

#include "submitd/smtp/address.h"
#include "submitd/smtp/params.h"
#include "submitd/smtp/reply.h"

/* ------------------------------------------------------------------ paths -- */

struct path_case {
	const char		*name;
	const char		*input;
	enum smtp_path_result	 want;
	const char		*address;	/* OK: "" is <>, "*" postmaster */
	const char		*rest;		/* what is left */
};

static const struct path_case path_cases[] = {
	{ "plain", "<a@b.example>", SMTP_PATH_OK, "a@b.example", "" },
	{ "null", "<>", SMTP_PATH_OK, "", "" },
	{ "spaces in front", "   <a@b.example>", SMTP_PATH_OK, "a@b.example", "" },
	{ "parameters", "<a@b.example> SIZE=1", SMTP_PATH_OK, "a@b.example",
	    " SIZE=1" },
	{ "postmaster", "<PostMaster>", SMTP_PATH_OK, "*", "" },
	{ "quoted", "<\"a>b\"@c.example>", SMTP_PATH_OK, "\"a>b\"@c.example", "" },
	{ "quoted pair", "<\"a\\\"b\"@c.example>", SMTP_PATH_OK,
	    "\"a\\\"b\"@c.example", "" },
	{ "literal", "<a@[192.0.2.1]>", SMTP_PATH_OK, "a@[192.0.2.1]", "" },
	{ "IPv6 literal", "<a@[IPv6:2001:db8::1]>", SMTP_PATH_OK,
	    "a@[IPv6:2001:db8::1]", "" },
	{ "source route", "<@x.example,@y.example:a@b.example>", SMTP_PATH_OK,
	    "a@b.example", "" },
	{ "route of literals", "<@[192.0.2.1]:a@b.example>", SMTP_PATH_OK,
	    "a@b.example", "" },
	{ "percent hack is a local part", "<a%x.example@b.example>",
	    SMTP_PATH_OK, "a%x.example@b.example", "" },
	{ "bang path is a local part", "<x!a@b.example>", SMTP_PATH_OK,
	    "x!a@b.example", "" },
	{ "nothing", "", SMTP_PATH_SYNTAX, NULL, NULL },
	{ "no brackets", "a@b.example", SMTP_PATH_SYNTAX, NULL, NULL },
	{ "not closed", "<a@b.example", SMTP_PATH_SYNTAX, NULL, NULL },
	{ "closed in a quote", "<\"a@b.example>", SMTP_PATH_SYNTAX, NULL, NULL },
	{ "text behind", "<a@b.example>x", SMTP_PATH_SYNTAX, NULL, NULL },
	{ "two addresses", "<a@b.example,c@d.example>", SMTP_PATH_SYNTAX, NULL,
	    NULL },
	{ "space inside", "<a @b.example>", SMTP_PATH_SYNTAX, NULL, NULL },
	{ "control inside", "<a\tb@c.example>", SMTP_PATH_SYNTAX, NULL, NULL },
	{ "CR inside", "<a\rb@c.example>", SMTP_PATH_SYNTAX, NULL, NULL },
	{ "two @", "<a@b@c.example>", SMTP_PATH_SYNTAX, NULL, NULL },
	{ "no domain", "<alice>", SMTP_PATH_SYNTAX, NULL, NULL },
	{ "empty domain", "<alice@>", SMTP_PATH_SYNTAX, NULL, NULL },
	{ "empty local part", "<@b.example>", SMTP_PATH_SYNTAX, NULL, NULL },
	{ "route without mailbox", "<@x.example:>", SMTP_PATH_SYNTAX, NULL,
	    NULL },
	{ "route of nothing", "<@:a@b.example>", SMTP_PATH_SYNTAX, NULL, NULL },
	{ "route with a trailing comma", "<@x.example,:a@b.example>",
	    SMTP_PATH_SYNTAX, NULL, NULL },
	{ "bad literal", "<a@[1.2.3]>", SMTP_PATH_SYNTAX, NULL, NULL },
	{ "one label", "<a@localhost>", SMTP_PATH_UNQUALIFIED, NULL, NULL },
	{ "one label behind a route", "<@x.example:a@localhost>",
	    SMTP_PATH_UNQUALIFIED, NULL, NULL },
	{ "UTF-8", "<\xc3\xa4@b.example>", SMTP_PATH_OK,
	    "\xc3\xa4@b.example", "" },
	{ "UTF-8, not qualified", "<\xc3\xa4@b>", SMTP_PATH_UNQUALIFIED, NULL,
	    NULL },
	{ "no UTF-8", "<\xe4@b.example>", SMTP_PATH_SYNTAX, NULL, NULL },
	{ "underscore in the domain", "<a_b@c_d.example>", SMTP_PATH_SYNTAX, NULL, NULL },
	{ "underscore in the local part", "<a_b@c.example>", SMTP_PATH_OK, "a_b@c.example", "" },
	{ "angle in angle", "<<a@b.example>>", SMTP_PATH_SYNTAX, NULL, NULL },
};

static void
path_check(const struct path_case *c, const char *s, size_t len)
{
	struct smtp_path p;
	size_t used = 0;

	print_message("path: %s\n", c->name);
	assert_int_equal(smtp_path_parse(s, len, &p, &used), c->want);
	if (c->want != SMTP_PATH_OK)
		return;
	assert_string_equal(p.null ? "" : p.postmaster ? "*" : p.mailbox.text,
	    c->address);
	assert_int_equal(len - used, strlen(c->rest));
	assert_memory_equal(s + used, c->rest, len - used);
}

static void
test_path(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(path_cases) / sizeof(path_cases[0]); i++) {
		const struct path_case *c = &path_cases[i];
		size_t len = strlen(c->input);
		char *exact = malloc(len + 1);	/* no NUL behind it */
		struct smtp_path p;
		size_t used;

		memcpy(exact, c->input, len);
		path_check(c, exact, len);
		/* Cut anywhere it must not read on, whatever it says. */
		for (size_t cut = 0; cut < len; cut++) {
			char *part = malloc(cut + 1);

			memcpy(part, c->input, cut);
			smtp_path_parse(part, cut, &p, &used);
			free(part);
		}
		free(exact);
	}
}

static void
test_path_length(void **state)
{
	char s[700];
	struct smtp_path p;
	size_t used;

	(void)state;
	/* 64 octets of local part are taken, 65 are not. */
	snprintf(s, sizeof(s), "<%064d@b.example>", 0);
	assert_int_equal(smtp_path_parse(s, strlen(s), &p, &used),
	    SMTP_PATH_OK);
	snprintf(s, sizeof(s), "<%065d@b.example>", 0);
	assert_int_equal(smtp_path_parse(s, strlen(s), &p, &used),
	    SMTP_PATH_SYNTAX);
	/* A NUL ends nothing. */
	assert_int_equal(smtp_path_parse("<a@b.example\0>", 14, &p, &used),
	    SMTP_PATH_SYNTAX);
	snprintf(s, sizeof(s), "<a@%0600d.example>", 0);
	assert_int_equal(smtp_path_parse(s, strlen(s), &p, &used),
	    SMTP_PATH_SYNTAX);
}

static void
test_helo(void **state)
{
	static const struct { const char *s; bool want; } cases[] = {
		{ "client.example", true }, { "localhost", true },
		{ "[192.0.2.1]", true }, { "[IPv6:2001:db8::1]", true },
		{ "[2001:db8::1]", false }, { "[IPv6:192.0.2.1]", false },
		{ "my pc", false }, { "", false }, { "a(b)", false },
		{ "[127.0.0.1", false }, { "-x.example", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("helo: %s\n", cases[i].s);
		assert_int_equal(smtp_helo_is_name(cases[i].s), cases[i].want);
	}
}

/* ------------------------------------------------------------- parameters -- */

#define TEN		"0123456789"
#define ENVID_100	TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

struct param_case {
	const char	*input;
	enum smtp_reply	 want;
	uint64_t	 size;
	bool		 eightbit;
};

static const struct param_case param_cases[] = {
	{ "", SMTP_R_NONE, 0, false },
	{ "   ", SMTP_R_NONE, 0, false },
	{ " SIZE=1000", SMTP_R_NONE, 1000, false },
	{ " size=10  BODY=8bitmime ", SMTP_R_NONE, 10, true },
	{ " BODY=7BIT SIZE=0", SMTP_R_NONE, 0, false },
	{ " AUTH=<>", SMTP_R_NONE, 0, false },
	{ " AUTH=a+2Bb@c.example BODY=8BITMIME", SMTP_R_NONE, 0, true },
	{ " SIZE=1001", SMTP_R_TOO_BIG, 0, false },
	{ " SIZE=18446744073709551615", SMTP_R_TOO_BIG, 0, false },
	{ " SIZE=18446744073709551616", SMTP_R_TOO_BIG, 0, false },
	{ " SIZE=99999999999999999999", SMTP_R_TOO_BIG, 0, false },
	{ " SIZE=999999999999999999999999999999", SMTP_R_TOO_BIG, 0, false },
	{ " SIZE=99999999999999999999999999999x", SMTP_R_PARAM_VALUE, 0, false },
	{ " SIZE=", SMTP_R_PARAM_VALUE, 0, false },
	{ " SIZE", SMTP_R_PARAM_VALUE, 0, false },
	{ " SIZE=-1", SMTP_R_PARAM_VALUE, 0, false },
	{ " SIZE=+1", SMTP_R_PARAM_VALUE, 0, false },
	{ " SIZE=1k", SMTP_R_PARAM_VALUE, 0, false },
	{ " SIZE=1 SIZE=1", SMTP_R_PARAM_TWICE, 0, false },
	{ " BODY=BINARYMIME", SMTP_R_PARAM_VALUE, 0, false },
	{ " BODY=", SMTP_R_PARAM_VALUE, 0, false },
	{ " AUTH=", SMTP_R_PARAM_VALUE, 0, false },
	{ " AUTH=a+2", SMTP_R_PARAM_VALUE, 0, false },
	{ " AUTH=a+2b", SMTP_R_PARAM_VALUE, 0, false },
	{ " AUTH=a=b", SMTP_R_PARAM_VALUE, 0, false },
	{ " SMTPUTF8", SMTP_R_NONE, 0, false },
	{ " SMTPUTF8=1", SMTP_R_PARAM_VALUE, 0, false },
	{ " SMTPUTF8=", SMTP_R_PARAM_VALUE, 0, false },
	{ " RET=HDRS ENVID=QQ+2B1", SMTP_R_NONE, 0, false },
	{ " ret=full", SMTP_R_NONE, 0, false },
	{ " RET=ALL", SMTP_R_PARAM_VALUE, 0, false },
	{ " RET", SMTP_R_PARAM_VALUE, 0, false },
	{ " ENVID=", SMTP_R_PARAM_VALUE, 0, false },
	{ " ENVID=a+0D+0A", SMTP_R_PARAM_VALUE, 0, false },
	{ " ENVID=a+", SMTP_R_PARAM_VALUE, 0, false },
	{ " ENVID=" ENVID_100, SMTP_R_NONE, 0, false },
	{ " ENVID=" ENVID_100 "x", SMTP_R_PARAM_VALUE, 0, false },
	{ " NOTIFY=NEVER", SMTP_R_PARAM_UNKNOWN, 0, false },
	{ " SIZEX=1", SMTP_R_PARAM_UNKNOWN, 0, false },
	{ " =1", SMTP_R_PARAM_SYNTAX, 0, false },
	{ " -A=1", SMTP_R_PARAM_SYNTAX, 0, false },
	{ " \x01=1", SMTP_R_PARAM_SYNTAX, 0, false },
};

static void
test_params(void **state)
{
	const struct smtp_params_limits none = { .size = 1000 };
	struct smtp_params p;

	(void)state;
	for (size_t i = 0; i < sizeof(param_cases) / sizeof(param_cases[0]);
	    i++) {
		const struct param_case *c = &param_cases[i];

		print_message("params:%s\n", c->input);
		assert_int_equal(smtp_params_mail(c->input, strlen(c->input),
		    &none, &p), c->want);
		if (c->want != SMTP_R_NONE)
			continue;
		assert_int_equal(p.size, c->size);
		assert_int_equal(p.eightbit, c->eightbit);
	}
	assert_int_equal(smtp_params_mail(" SMTPUTF8 RET=HDRS ENVID=Q", 26,
	    &none, &p), SMTP_R_NONE);
	assert_true(p.smtputf8);
	assert_int_equal(p.ret, SPOOL_RET_HDRS);
	assert_string_equal(p.envid, "Q");
}

/* LMTP, as its LHLO says, is without AUTH and DSN. */
static void
test_lmtp_params(void **state)
{
	static const struct {
		const char		*input;
		enum smtp_reply		 mail, rcpt;
	} cases[] = {
		{ " SIZE=9 BODY=8BITMIME SMTPUTF8", SMTP_R_NONE,
		    SMTP_R_PARAM_UNKNOWN },
		{ "  ", SMTP_R_NONE, SMTP_R_NONE },
		{ " AUTH=<>", SMTP_R_PARAM_UNKNOWN, SMTP_R_PARAM_UNKNOWN },
		{ " RET=FULL", SMTP_R_PARAM_UNKNOWN, SMTP_R_PARAM_UNKNOWN },
		{ " ENVID=x", SMTP_R_PARAM_UNKNOWN, SMTP_R_PARAM_UNKNOWN },
		{ " NOTIFY=NEVER", SMTP_R_PARAM_UNKNOWN, SMTP_R_PARAM_UNKNOWN },
		{ " ORCPT=rfc822;x", SMTP_R_PARAM_UNKNOWN,
		    SMTP_R_PARAM_UNKNOWN },
		{ " =x", SMTP_R_PARAM_SYNTAX, SMTP_R_PARAM_SYNTAX },
	};
	const struct smtp_params_limits limits = { .size = 1000,
		.lmtp = true };
	struct smtp_params p;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *s = cases[i].input;

		print_message("lmtp:%s\n", s);
		assert_int_equal(smtp_params_mail(s, strlen(s), &limits, &p),
		    cases[i].mail);
		assert_int_equal(smtp_params_rcpt_lmtp(s, strlen(s), p.bad),
		    cases[i].rcpt);
	}
}

struct rcpt_case {
	const char	*input;
	bool		 smtputf8;
	enum smtp_reply	 want;
	unsigned int	 notify;
	const char	*orcpt;
};

static const struct rcpt_case rcpt_cases[] = {
	{ "  ", false, SMTP_R_NONE, 0, "" },
	{ " SIZE=1", false, SMTP_R_PARAM_UNKNOWN, 0, "" },
	{ " RET=HDRS", false, SMTP_R_PARAM_UNKNOWN, 0, "" },
	/* RFC 3461 section 4.1 */
	{ " NOTIFY=NEVER", false, SMTP_R_NONE, 1, "" },
	{ " notify=success,Failure,DELAY", false, SMTP_R_NONE, 14, "" },
	{ " NOTIFY=FAILURE,FAILURE", false, SMTP_R_NONE, 4, "" },
	{ " NOTIFY=NEVER,SUCCESS", false, SMTP_R_PARAM_VALUE, 0, "" },
	{ " NOTIFY=SUCCESS,", false, SMTP_R_PARAM_VALUE, 0, "" },
	{ " NOTIFY=,SUCCESS", false, SMTP_R_PARAM_VALUE, 0, "" },
	{ " NOTIFY=", false, SMTP_R_PARAM_VALUE, 0, "" },
	{ " NOTIFY", false, SMTP_R_PARAM_VALUE, 0, "" },
	{ " NOTIFY=ALWAYS", false, SMTP_R_PARAM_VALUE, 0, "" },
	{ " NOTIFY=NEVER NOTIFY=NEVER", false, SMTP_R_PARAM_TWICE, 0, "" },
	/* section 4.2 */
	{ " ORCPT=rfc822;a+2Bb@c.example", false, SMTP_R_NONE, 0,
	    "rfc822;a+2Bb@c.example" },
	{ " ORCPT=RFC822;a@b NOTIFY=NEVER", false, SMTP_R_NONE, 1,
	    "RFC822;a@b" },
	{ " ORCPT=x400;/C=+20", false, SMTP_R_PARAM_VALUE, 0, "" },
	{ " ORCPT=rfc822;a+0Db", false, SMTP_R_PARAM_VALUE, 0, "" },
	{ " ORCPT=rfc822;", false, SMTP_R_PARAM_VALUE, 0, "" },
	{ " ORCPT=;a@b", false, SMTP_R_PARAM_VALUE, 0, "" },
	{ " ORCPT=a@b", false, SMTP_R_PARAM_VALUE, 0, "" },
	{ " ORCPT=a@b;c", false, SMTP_R_PARAM_VALUE, 0, "" },
	{ " ORCPT=", false, SMTP_R_PARAM_VALUE, 0, "" },
	{ " ORCPT=rfc822;\xc3\xa4@b", true, SMTP_R_PARAM_VALUE, 0, "" },
	/* RFC 6533 section 3 */
	{ " ORCPT=utf-8;\xc3\xa4@b", true, SMTP_R_NONE, 0,
	    "utf-8;\\x{E4}@b" },
	{ " ORCPT=utf-8;\xc3\xa4@b", false, SMTP_R_PARAM_VALUE, 0, "" },
	{ " ORCPT=utf-8;\\x{E4}@b", false, SMTP_R_NONE, 0,
	    "utf-8;\\x{E4}@b" },
};

static void
test_rcpt_params(void **state)
{
	struct smtp_rcpt_params p;
	char big[600];

	(void)state;
	for (size_t i = 0; i < sizeof(rcpt_cases) / sizeof(rcpt_cases[0]);
	    i++) {
		const struct rcpt_case *c = &rcpt_cases[i];

		print_message("rcpt:%s\n", c->input);
		assert_int_equal(smtp_params_rcpt(c->input, strlen(c->input),
		    c->smtputf8, &p), c->want);
		if (c->want != SMTP_R_NONE)
			continue;
		assert_int_equal(p.notify, c->notify);
		assert_string_equal(p.orcpt, c->orcpt);
	}
	assert_int_equal(smtp_params_rcpt(" NOTIFY=NEVER nOtify=x", 22, false,
	    &p), SMTP_R_PARAM_TWICE);
	assert_string_equal(p.bad, "nOtify");
	assert_int_equal(smtp_params_rcpt(" A-VERY-LONG-KEYWORD-OF-40-LETTERS-INDEED",
	    41, false, &p), SMTP_R_PARAM_UNKNOWN);
	assert_string_equal(p.bad, "A-VERY-LONG-KEYWORD-OF-40-LETTE");
	memset(big, 'a', sizeof(big));
	memcpy(big, " ORCPT=rfc822;", 14);
	assert_int_equal(smtp_params_rcpt(big, 507, false, &p), SMTP_R_NONE);
	assert_int_equal(smtp_params_rcpt(big, 508, false, &p),
	    SMTP_R_PARAM_VALUE);
}

/* ---------------------------------------------------------------- replies -- */

static const char *
format(enum smtp_reply r, const char *detail, const char *help)
{
	static char dst[SMTP_REPLY_SIZE + 1];
	size_t len = smtp_reply_format(dst, r, detail, help, "sid", false);

	assert_true(len <= SMTP_REPLY_SIZE);
	dst[len] = '\0';
	return dst;
}

static void
test_reply(void **state)
{
	char big[2000];

	(void)state;
	assert_string_equal(format(SMTP_R_OK, NULL, "help"), "250 2.0.0 OK\r\n");
	assert_string_equal(format(SMTP_R_QUEUED, "xyz", NULL),
	    "250 2.0.0 queued as xyz\r\n");
	assert_string_equal(format(SMTP_R_NO_USER, "a@b.example", "call 123"),
	    "550 5.1.1 No such user here: a@b.example; call 123 [sid]\r\n");
	/* No text begins a line of its own. */
	assert_string_equal(format(SMTP_R_NO_USER, "a\r\nb\x80", NULL),
	    "550 5.1.1 No such user here: a??b? [sid]\r\n");
	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	assert_int_equal(strlen(format(SMTP_R_NO_USER, big, NULL)), 512);
	assert_non_null(strstr(format(SMTP_R_NO_USER, big, NULL), "x [sid]\r\n"));
	assert_true(strlen(format(SMTP_R_NO_USER, big, big)) <= 1024);
	assert_non_null(strstr(format(SMTP_R_NO_USER, big, big), "x [sid]\r\n"));
	assert_memory_equal(format(SMTP_R_NO_USER, big, "y"), "550-5.1.1 ", 10);
	assert_non_null(strstr(format(SMTP_R_NO_USER, big, "y"),
	    "\r\n550 5.1.1 y [sid]\r\n"));
}

/* RFC 6531 section 3.7.4.1: UTF-8 where the client has said SMTPUTF8, whole
 * characters of it, and no controls. */
static void
test_reply_utf8(void **state)
{
	static const struct {
		const char *detail, *want;
	} rows[] = {
		{ "\xc3\xa4@\xe2\x82\xac.\xf0\x9f\x98\x80", "\xc3\xa4@\xe2\x82\xac.\xf0\x9f\x98\x80" },
		{ "a\xc2\x85" "b\xc2\x9f", "a??b??" },
		{ "\xc3", "?" },
		{ "\xed\xa0\x80", "???" },
		{ "\xc0\xaf", "??" },
		{ "x\r\n\xe2\x82", "x????" },
	};
	char dst[SMTP_REPLY_SIZE + 1], big[600] = "", want[100];
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		len = smtp_reply_format(dst, SMTP_R_NO_USER, rows[i].detail,
		    NULL, NULL, true);
		dst[len] = '\0';
		snprintf(want, sizeof(want), "550 5.1.1 No such user here: "
		    "%s\r\n", rows[i].want);
		assert_string_equal(dst, want);
	}
	/* A character that has no room is left out whole. */
	for (size_t i = 0; i < 298; i++)
		strcat(big, "\xc3\xa4");
	for (size_t cut = 0; cut < 2; cut++) {
		len = smtp_reply_format(dst, SMTP_R_NO_USER, big + 2 * cut,
		    NULL, NULL, true);
		assert_true(len >= 511 && len <= 512);
		assert_true(str_is_utf8(dst, len));
	}
}

/* RFC 2034: the enhanced code's class is the code's; 521 is never used (RFC
 * 6409 section 7); a session is closed by 421, 221 and a few 503 only. */
static void
test_reply_rows(void **state)
{
	(void)state;
	for (int i = 0; i < SMTP_R__COUNT; i++) {
		const struct smtp_reply_row *row =
		    smtp_reply_row((enum smtp_reply)i);

		assert_true(row->code >= 200 && row->code < 600);
		assert_int_not_equal(row->code, 521);
		assert_non_null(row->text);
		if (row->enhanced != NULL)
			assert_int_equal(row->enhanced[0] - '0',
			    row->code / 100);
		else
			assert_true(row->code == 220 || row->code == 250 ||
			    row->code == 354);
		if (row->code == 421)
			assert_true(row->flags & SMTP_R_CLOSE);
		if (row->flags & SMTP_R_ERROR)
			assert_true(row->code >= 500);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_path_length),
		cmocka_unit_test(test_helo),
		cmocka_unit_test(test_params),
		cmocka_unit_test(test_lmtp_params),
		cmocka_unit_test(test_rcpt_params),
		cmocka_unit_test(test_reply),
		cmocka_unit_test(test_reply_utf8),
		cmocka_unit_test(test_reply_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
