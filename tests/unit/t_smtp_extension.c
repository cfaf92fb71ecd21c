/*
 * t_smtp_extension.c - the extensions that ask something of the delivery: to the
 * letter where they are switched on, and unknown where they are not.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "submitd/smtp/params.h"
#include "tests/unit/smtp_fake.h"

#define NOW 1795000000		/* 2026-11-18T11:06:40Z */
#define DAYS_30 (30 * 86400)

enum {
	H = SMTP_EXT_FUTURERELEASE,
	B = SMTP_EXT_DELIVERBY,
	P = SMTP_EXT_MT_PRIORITY,
	T = SMTP_EXT_REQUIRETLS
};

#define BAD SMTP_R_PARAM_VALUE

struct row {
	const char		*input;
	unsigned int		 on;
	enum smtp_reply		 want;
	struct spool_wishes	 wishes;
};

static const struct row rows[] = {
	/* RFC 4865 section 4 and erratum 2040 */
	{ " HOLDFOR=1", H, SMTP_R_NONE, { .hold_until_s = NOW + 1 } },
	{ " holdfor=2592000", H, SMTP_R_NONE, { .hold_until_s = NOW + DAYS_30 } },
	{ " HOLDFOR=2592001", H, SMTP_R_HOLD_TOO_LONG, { 0 } },
	{ " HOLDFOR=999999999", H, SMTP_R_HOLD_TOO_LONG, { 0 } },
	{ " HOLDFOR=1234567890", H, BAD, { 0 } },
	{ " HOLDFOR=0", H, BAD, { 0 } },
	{ " HOLDFOR=01", H, BAD, { 0 } },
	{ " HOLDFOR=-1", H, BAD, { 0 } },
	{ " HOLDFOR=", H, BAD, { 0 } },
	{ " HOLDFOR", H, BAD, { 0 } },
	{ " HOLDFOR=1s", H, BAD, { 0 } },
	{ " HOLDFOR=1 HOLDFOR=1", H, SMTP_R_PARAM_TWICE, { 0 } },
	{ " HOLDFOR=1 HOLDUNTIL=2026-11-19T00:00:00Z", H, SMTP_R_PARAM_TWICE, { 0 } },
	{ " HOLDFOR=1", B | P | T, SMTP_R_PARAM_UNKNOWN, { 0 } },
	{ " HOLDUNTIL=2026-11-18T11:06:41Z", H, SMTP_R_NONE, { .hold_until_s = NOW + 1 } },
	{ " HOLDUNTIL=2026-11-19t12:00:00.25+01:30", H, SMTP_R_NONE, { .hold_until_s = 1795084200 } },
	{ " HOLDUNTIL=2026-11-19T12:00:00-00:00", H, SMTP_R_NONE, { .hold_until_s = 1795089600 } },
	{ " HOLDUNTIL=1999-12-31T23:59:60Z", H, SMTP_R_NONE, { .hold_until_s = NOW } },
	{ " HOLDUNTIL=2027-11-18T11:06:41Z", H, SMTP_R_HOLD_TOO_LONG, { 0 } },
	{ " HOLDUNTIL=9999-12-31T23:59:59Z", H, SMTP_R_HOLD_TOO_LONG, { 0 } },
	{ " HOLDUNTIL=2026-11-19", H, BAD, { 0 } },
	{ " HOLDUNTIL=2026-11-19T12:00:00", H, BAD, { 0 } },
	{ " HOLDUNTIL=2026-11-19T12:00:00.Z", H, BAD, { 0 } },
	{ " HOLDUNTIL=2026-11-19T12:00:00ZZ", H, BAD, { 0 } },
	{ " HOLDUNTIL=2026-11-31T12:00:00Z", H, BAD, { 0 } },
	{ " HOLDUNTIL=2027-02-29T12:00:00Z", H, BAD, { 0 } },
	{ " HOLDUNTIL=2026-13-01T12:00:00Z", H, BAD, { 0 } },
	{ " HOLDUNTIL=2026-00-01T12:00:00Z", H, BAD, { 0 } },
	{ " HOLDUNTIL=2026-11-19T24:00:00Z", H, BAD, { 0 } },
	{ " HOLDUNTIL=2026-11-19T12:60:00Z", H, BAD, { 0 } },
	{ " HOLDUNTIL=2026-11-19T12:00:61Z", H, BAD, { 0 } },
	{ " HOLDUNTIL=2026-11-19T12:00:00+24:00", H, BAD, { 0 } },
	{ " HOLDUNTIL=2026-11-19T12:00:00+0100", H, BAD, { 0 } },
	/* RFC 2852 section 4 */
	{ " BY=120;R", B, SMTP_R_NONE, { .by_mode = SPOOL_BY_RETURN, .by_s = NOW + 120 } },
	{ " by=+120;nt", B, SMTP_R_NONE, { .by_mode = SPOOL_BY_NOTIFY, .by_trace = true, .by_s = NOW + 120 } },
	{ " BY=-120;N", B, SMTP_R_NONE, { .by_mode = SPOOL_BY_NOTIFY, .by_s = NOW - 120 } },
	{ " BY=0;N", B, SMTP_R_NONE, { .by_mode = SPOOL_BY_NOTIFY, .by_s = NOW } },
	{ " BY=999999999;RT", B, SMTP_R_NONE, { .by_mode = SPOOL_BY_RETURN, .by_trace = true, .by_s = NOW + 999999999LL } },
	{ " BY=10;R", B, SMTP_R_NONE, { .by_mode = SPOOL_BY_RETURN, .by_s = NOW + 10 } },
	{ " BY=9;R", B, SMTP_R_BY_TOO_SOON, { 0 } },
	{ " BY=9;N", B, SMTP_R_NONE, { .by_mode = SPOOL_BY_NOTIFY, .by_s = NOW + 9 } },
	{ " BY=0;R", B, BAD, { 0 } },
	{ " BY=-1;R", B, BAD, { 0 } },
	{ " BY=1234567890;N", B, BAD, { 0 } },
	{ " BY=120", B, BAD, { 0 } },
	{ " BY=120;", B, BAD, { 0 } },
	{ " BY=;N", B, BAD, { 0 } },
	{ " BY=+;N", B, BAD, { 0 } },
	{ " BY=--1;N", B, BAD, { 0 } },
	{ " BY=120;X", B, BAD, { 0 } },
	{ " BY=120;TR", B, BAD, { 0 } },
	{ " BY=120;RR", B, BAD, { 0 } },
	{ " BY=120;RTT", B, BAD, { 0 } },
	{ " BY=", B, BAD, { 0 } },
	{ " BY=120;R BY=120;R", B, SMTP_R_PARAM_TWICE, { 0 } },
	{ " BY=120;R", H | P | T, SMTP_R_PARAM_UNKNOWN, { 0 } },
	/* RFC 6710 section 4.1 */
	{ " MT-PRIORITY=0", P, SMTP_R_NONE, { 0 } },
	{ " mt-priority=9", P, SMTP_R_NONE, { .priority = 9 } },
	{ " MT-PRIORITY=-9", P, SMTP_R_NONE, { .priority = -9 } },
	{ " MT-PRIORITY=-0", P, BAD, { 0 } },
	{ " MT-PRIORITY=+1", P, BAD, { 0 } },
	{ " MT-PRIORITY=10", P, BAD, { 0 } },
	{ " MT-PRIORITY=-", P, BAD, { 0 } },
	{ " MT-PRIORITY=", P, BAD, { 0 } },
	{ " MT-PRIORITY", P, BAD, { 0 } },
	{ " MT-PRIORITY=1", H | B | T, SMTP_R_PARAM_UNKNOWN, { 0 } },
	/* RFC 8689 section 3 */
	{ " REQUIRETLS", T, SMTP_R_NONE, { .requiretls = true } },
	{ " REQUIRETLS=1", T, BAD, { 0 } },
	{ " REQUIRETLS=", T, BAD, { 0 } },
	{ " REQUIRETLS REQUIRETLS", T, SMTP_R_PARAM_TWICE, { 0 } },
	{ " REQUIRETLS", H | B | P, SMTP_R_PARAM_UNKNOWN, { 0 } },
	{ " REQUIRETLS BY=60;N MT-PRIORITY=-3 HOLDFOR=60", SMTP_EXT_ALL, SMTP_R_NONE,
	    { .hold_until_s = NOW + 60, .by_mode = SPOOL_BY_NOTIFY, .by_s = NOW + 120,
	    .priority = -3, .requiretls = true } },
};

static void
test_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *c = &rows[i];
		const struct smtp_params_limits limits = { .size = 1000,
			.extensions = c->on, .now_s = NOW };
		const struct spool_wishes *w;
		struct smtp_params p;

		print_message("extension:%s\n", c->input);
		assert_int_equal(smtp_params_mail(c->input, strlen(c->input),
		    &limits, &p), c->want);
		if (c->want != SMTP_R_NONE)
			continue;
		w = &p.wishes;
		assert_int_equal(w->hold_until_s, c->wishes.hold_until_s);
		assert_int_equal(w->by_mode, c->wishes.by_mode);
		assert_int_equal(w->by_trace, c->wishes.by_trace);
		assert_int_equal(w->by_s, c->wishes.by_s);
		assert_int_equal(w->priority, c->wishes.priority);
		assert_int_equal(w->requiretls, c->wishes.requiretls);
	}
}

#define KEYWORDS "FUTURERELEASE", "DELIVERBY", "MT-PRIORITY", "REQUIRETLS"

/* What is switched off is unknown. */
static void
test_off(void **state)
{
	static const char *const words[] = { KEYWORDS };
	struct fake *f = fake_new(FAKE_SUBMISSIONS);

	(void)state;
	assert_int_equal(smtp_extensions_on(), SMTP_EXT_ALL);
	fake_set_extensions(f, 0);
	fake_clear(f);
	fake_send(f, "EHLO a\r\n", 8, 100);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		assert_null(strstr(fake_output(f), words[i]));
	fake_login(f);
	fake_clear(f);
#define MAIL "MAIL FROM:<alice@example.org> HOLDFOR=1\r\n" \
	"MAIL FROM:<alice@example.org> BY=1;N\r\n" \
	"MAIL FROM:<alice@example.org> MT-PRIORITY=0\r\n" \
	"MAIL FROM:<alice@example.org> REQUIRETLS\r\n"
	fake_send(f, MAIL, strlen(MAIL), 1000);
	assert_string_equal(fake_codes(f), "555 555 555 555");
	fake_free(f);
}

static void
test_on(void **state)
{
	static const char *const words[] = { KEYWORDS };
	struct fake *f = fake_new(FAKE_SUBMISSION);
	char line[2000];

	(void)state;
	fake_set_extensions(f, SMTP_EXT_ALL);
	/* RFC 8689 section 2: under TLS alone; and so is MAIL here. */
	fake_clear(f);
	fake_send(f, "EHLO a\r\n", 8, 100);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		assert_null(strstr(fake_output(f), words[i]));
	fake_send(f, "STARTTLS\r\n", 10, 100);
	fake_clear(f);
	fake_send(f, "EHLO a\r\n", 8, 100);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		assert_non_null(strstr(fake_output(f), words[i]));
	assert_non_null(strstr(fake_output(f), "250-FUTURERELEASE 2592000 20"));
	assert_non_null(strstr(fake_output(f), "250-DELIVERBY 10\r\n"));
	fake_login(f);
	fake_clear(f);
#define ALL "MAIL FROM:<alice@example.org> REQUIRETLS MT-PRIORITY=-2 BY=90;RT\r\n" \
	"RCPT TO:<bob@example.org>\r\nBDAT 8 LAST\r\na: b\r\n\r\n"
	fake_send(f, ALL, strlen(ALL), 1000);
	assert_string_equal(fake_codes(f), "250 250 250");
	assert_non_null(strstr(fake_asked(f), "requiretls"));
	assert_non_null(strstr(fake_asked(f), "priority=-2"));
	assert_non_null(strstr(fake_asked(f), "by=1t"));
#define RAISED "RSET\r\nMAIL FROM:<alice@example.org> MT-PRIORITY=4\r\n" \
	"RCPT TO:<bob@example.org>\r\nBDAT 8 LAST\r\na: b\r\n\r\n"
	/* RFC 6710 section 4.1: who may not raise it has 0, and is told. */
	for (int granted = 0; granted < 2; granted++) {
		fake_clear(f);
		fake_send(f, RAISED, strlen(RAISED), 1000);
		assert_string_equal(fake_codes(f), "250 250 250 250");
		assert_int_equal(strstr(fake_output(f), "250 2.3.6 0 ") != NULL,
		    granted);
		assert_int_equal(strstr(fake_asked(f), "priority=4") != NULL,
		    !granted);
		fake_free(f);
		f = fake_new(FAKE_SUBMISSIONS);
		fake_set_extensions(f, SMTP_EXT_ALL);
		fake_set_grant(f, true);
		fake_send(f, "EHLO a\r\n", 8, 100);
	}
	fake_login(f);
	/* Each makes the line of MAIL longer by its octets. */
	for (unsigned int more = 0; more < 2; more++) {
		unsigned int octets = 512 + 26 + 17 + 500 + 10 + 107 + 34 +
		    17 + 15 + 11 + more;

		fake_clear(f);
		snprintf(line, sizeof(line), "MAIL FROM:<alice@example.org>"
		    "%*s SIZE=1\r\n", (int)(octets - 38), "");
		assert_int_equal(strlen(line), octets);
		fake_send(f, line, strlen(line), 3000);
		assert_string_equal(fake_codes(f), more ? "500" : "250");
	}
	fake_free(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_off),
		cmocka_unit_test(test_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
