/*
 * t_smtp_message.c - the messages of a session, without a network: what comes to
 * submitd-spool of content and envelope, and what does not.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/smtp_fake.h"

/* What chunks give is what they held, with an end of line at the end. */
static void
test_chunks(void **state)
{
	static const char head[] = HEAD "\r\n";
	struct fake *f = fake_begin(LOGGED_IN);
	char text[200];

	(void)state;
	fake_say(f, TX);
	snprintf(text, sizeof(text), "BDAT %zu\r\n%sBDAT 9 LAST\r\n.\r\n..\r\nhi",
	    strlen(head), head);
	fake_say(f, text);
	assert_int_equal(fake_commits(f), 1);
	snprintf(text, sizeof(text), "%s.\r\n..\r\nhi\r\n", head);
	assert_string_equal(fake_message(f), text);
	assert_non_null(strstr(fake_output(f), "250 2.0.0 Octets received: 53"));
	/* Too large: read to the end of the chunk, and refused. */
	fake_say(f, TX);
	fake_say(f, "BDAT 200000 LAST\r\n");
	fake_clear(f);
	for (int i = 0; i < 20000; i++)
		fake_say(f, "QUIT\r\n1234");
	assert_string_equal(fake_codes(f), "552");
	assert_int_equal(fake_commits(f), 1);
	assert_false(fake_is_closed(f));
	fake_free(f);
}

/* submitd-spool says no, at once or in the end; it is slow. */
static void
test_chunks_spool(void **state)
{
	static const char slow[] = TX "BDAT 9\r\nx: y\r\n\r\nzBDAT 2 LAST\r\n"
	    "\r\nNOOP\r\n";
	struct fake *f = fake_begin(LOGGED_IN);

	(void)state;
	fake_set_spool(f, SPOOLC_NOSPACE, SPOOLC_OK);
	fake_say(f, TX "BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n");
	assert_string_equal(fake_codes(f), "250 250 452 250");
	fake_clear(f);
	fake_set_spool(f, SPOOLC_OK, SPOOLC_TEMP);
	fake_say(f, TX "BDAT 3\r\nx\r\nBDAT 0 LAST\r\nNOOP\r\n");
	assert_string_equal(fake_codes(f), "250 250 250 451 250");
	fake_clear(f);
	fake_set_spool(f, SPOOLC_OK, SPOOLC_OK);
	fake_set_slow_spool(f);
	fake_send(f, slow, strlen(slow), 3);
	assert_string_equal(fake_codes(f), "250 250 250 250 250");
	assert_int_equal(fake_commits(f), 1);
	/* Nothing at all, from nobody: refused as soon as it has begun. */
	fake_clear(f);
	fake_say(f, "MAIL FROM:<>\r\nRCPT TO:<bob@example.org>\r\n"
	    "BDAT 0 LAST\r\nNOOP\r\n");
	assert_string_equal(fake_codes(f), "250 250 550 250");
	assert_int_equal(fake_commits(f), 1);
	fake_check(f);
	fake_free(f);
}

/* What was asked for goes to submitd-spool, of each recipient his own. */
static void
test_asked(void **state)
{
	struct fake *f = fake_begin(LOGGED_IN);

	(void)state;
	fake_say(f, TX "DATA\r\n");
	assert_string_equal(fake_asked(f), "ret=0 envid=");
	fake_say(f, MSG);
	fake_say(f, "MAIL FROM:<alice@example.org> SMTPUTF8 RET=HDRS ENVID=Q+2B\r\n"
	    "RCPT TO:<bob@example.org>\r\n"
	    "RCPT TO:<nobody@example.org> NOTIFY=NEVER ORCPT=rfc822;n@o\r\n"
	    "RCPT TO:<alice@example.org> NOTIFY=SUCCESS ORCPT=utf-8;\xc3\xa4\r\n"
	    "RCPT TO:<alice@example.org> NOTIFY=NEVER\r\n"
	    "RCPT TO:<postmaster> NOTIFY=DELAY,FAILURE\r\nDATA\r\n");
	assert_string_equal(fake_asked(f), "utf8 ret=2 envid=Q+2B 0, "
	    "2,utf-8;\\x{E4} 12,");
	fake_free(f);
}

static void
test_message(void **state)
{
	struct fake *f = fake_begin(LOGGED_IN);

	(void)state;
	fake_say(f, TX "RCPT TO:<bob@example.org>\r\nRCPT TO:<alice@example.org>\r\n"
	    "DATA\r\n");
	fake_say(f, HEAD "\r\n..stuffed\r\n..\r\n.\r\n");
	assert_int_equal(fake_commits(f), 1);
	assert_string_equal(fake_message(f), HEAD "\r\n.stuffed\r\n.\r\n");
	assert_string_equal(fake_rcpts(f), "bob@example.org,alice@example.org");
	assert_non_null(strstr(fake_output(f),
	    "250 2.0.0 queued as aaaaaaaaaaaaaaaa\r\n"));
	/* A client that goes before the end of data leaves nothing. */
	fake_say(f, TX "DATA\r\n");
	fake_say(f, "Date: x\r\n\r\nhalf\r\n");
	fake_gone(f);
	assert_int_equal(fake_commits(f), 1);
	fake_free(f);
}

/* What the header's rules make of it, and what they say. */
static void
test_header(void **state)
{
	struct fake *f = fake_begin(LOGGED_IN);

	(void)state;
	fake_say(f, TX "DATA\r\n");
	fake_say(f, "Bcc: x\r\nSubject: y\r\n\r\nhi\r\n.\r\n");
	assert_non_null(strstr(fake_message(f),
	    "Subject: y\r\nFrom: alice@example.org\r\nDate: "));
	assert_null(strstr(fake_message(f), "Bcc"));
	fake_clear(f);
	fake_say(f, TX "DATA\r\n");
	fake_say(f, "From: bob@x.example\r\n\r\nhi\r\n.\r\n");
	assert_non_null(strstr(fake_output(f), "550 5.7.1 You may not send "
	    "with this address in the message's header: From: "
	    "bob@x.example"));
	fake_say(f, TX "DATA\r\n");
	fake_say(f, "X: y\r\nSubject: y\r\nSubject: z\r\n\r\nhi\r\n.\r\n");
	assert_non_null(strstr(fake_output(f), "550 5.6.0 The message's header "
	    "has more than one field of this name: Subject"));
	/* Octets that come while authd is asked are not lost. */
	fake_conf(f)->sender_policy = SENDER_ADD;
	fake_say(f, TX "DATA\r\n");
	fake_say(f, "From: bob@x.example\r\nDate: x\r\nMessage-ID: <y>\r\n\r\n"
	    "hi\r\n..\r\nhi\r\n.\r\n");
	assert_string_equal(fake_message(f), "From: bob@x.example\r\nDate: x"
	    "\r\nMessage-ID: <y>\r\nSender: alice@example.org\r\n\r\nhi\r\n."
	    "\r\nhi\r\n");
	fake_conf(f)->header_policy = SHADOW_LOG;
	fake_say(f, TX "DATA\r\n");
	fake_say(f, HEAD HEAD "\r\nhi\r\n.\r\n");
	assert_string_equal(fake_message(f), HEAD HEAD "\r\nhi\r\n");
	/* authd went away in between. */
	fake_say(f, TX "DATA\r\n");
	fake_set_authd(f, AUTHP_TEMP);
	fake_clear(f);
	fake_say(f, "From: alice+x@example.org\r\n\r\nhi\r\n.\r\n");
	assert_string_equal(fake_codes(f), "451");
	assert_int_equal(fake_commits(f), 3);
	fake_free(f);
}

/* Limits that a message meets, each named. */
static void
test_message_limits(void **state)
{
	struct fake *f = fake_begin(LOGGED_IN);
	char line[1200];

	(void)state;
	fake_conf(f)->line_limit = 1000;
	for (size_t len = 998; len < 1000; len++) {
		fake_say(f, TX "DATA\r\n");
		fake_clear(f);
		memset(line, 'x', len);
		strcpy(line + len, "\r\n.\r\n");
		fake_say(f, HEAD "\r\n");
		fake_say(f, line);
		assert_string_equal(fake_codes(f), len == 998 ? "250" : "550");
	}
	assert_non_null(strstr(fake_output(f), "550 5.6.0 A line of the message "
	    "is longer than line_limit, in octets: 1000"));
	fake_set_own_limit(f, 500);
	fake_clear(f);
	fake_say(f, "MAIL FROM:<alice@example.org> SIZE=501\r\n");
	assert_non_null(strstr(fake_output(f), "552 5.3.4 The message is larger "
	    "than you may send, in octets: 500"));
	fake_clear(f);
	fake_set_room(f, 400);
	fake_say(f, "MAIL FROM:<alice@example.org> SIZE=401\r\n");
	assert_non_null(strstr(fake_output(f), "452 4.3.1 No room for the "
	    "message now"));
	fake_clear(f);
	fake_say(f, "MAIL FROM:<alice@example.org> SIZE=400\r\nRSET\r\n");
	assert_string_equal(fake_codes(f), "250 250");
	fake_clear(f);
	fake_say(f, TX "DATA\r\n");
	fake_say(f, line);
	assert_string_equal(fake_codes(f), "250 250 354 552");
	fake_free(f);
}

static void
test_rate(void **state)
{
	struct fake *f = fake_begin(LOGGED_IN);

	(void)state;
	fake_set_rate(f, 100, 300);
	fake_say(f, TX "DATA\r\n");
	fake_clear(f);
	usleep(400000);
	/* A window's worth, and the end of a message. */
	fake_say(f, HEAD "\r\n0123456789\r\n");
	usleep(400000);
	fake_say(f, "x\r\n.\r\n");
	assert_string_equal(fake_codes(f), "250");
	fake_say(f, TX "DATA\r\n");
	fake_say(f, "Subject: x\r\n");
	usleep(400000);
	fake_clear(f);
	fake_say(f, "\r\n");
	assert_non_null(strstr(fake_output(f), "421 4.4.2 "));
	assert_true(fake_is_closed(f));
	assert_int_equal(fake_commits(f), 1);
	fake_free(f);
	f = fake_begin(LOGGED_IN);
	fake_set_rate(f, 100, 300);
	fake_say(f, TX "BDAT 100\r\n");
	usleep(400000);
	fake_clear(f);
	fake_say(f, "X");
	assert_string_equal(fake_codes(f), "421");
	fake_free(f);
}

static void
test_spool_verdicts(void **state)
{
	static const struct {
		enum spoolc_verdict	 begin, commit;
		const char		*want;
	} cases[] = {
		{ SPOOLC_NOSPACE, SPOOLC_OK, "250 250 452" },
		{ SPOOLC_TEMP, SPOOLC_OK, "250 250 451" },
		{ SPOOLC_VOID, SPOOLC_OK, "250 250 421" },
		{ SPOOLC_NOTSENDER, SPOOLC_OK, "250 250 553" },
		{ SPOOLC_TOOBIG, SPOOLC_OK, "250 250 552" },
		{ SPOOLC_OK, SPOOLC_NOSPACE, "250 250 354 452" },
		{ SPOOLC_OK, SPOOLC_TEMP, "250 250 354 451" },
		{ SPOOLC_OK, SPOOLC_VOID, "250 250 354 421" },
		{ SPOOLC_OK, SPOOLC_LOOP, "250 250 354 554" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fake *f = fake_begin(LOGGED_IN);

		fake_set_spool(f, cases[i].begin, cases[i].commit);
		fake_say(f, TX "DATA\r\n");
		if (cases[i].begin == SPOOLC_OK)
			fake_say(f, MSG);
		assert_string_equal(fake_codes(f), cases[i].want);
		assert_int_equal(fake_commits(f), 0);
		fake_free(f);
	}
}

static void
test_slow_spool(void **state)
{
	struct fake *f = fake_begin(LOGGED_IN);

	(void)state;
	fake_set_slow_spool(f);
	fake_say(f, TX "DATA\r\n");
	for (int i = 0; i < 1000; i++)
		fake_send(f, "0123456789 0123456789 0123456789\r\n", 34, 7);
	fake_say(f, ".\r\n");
	assert_string_equal(fake_codes(f), "250 250 354 250");
	assert_int_equal(fake_commits(f), 1);
	assert_non_null(strstr(fake_message(f), "0123456789\r\n0123456789 "));
	fake_free(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_chunks_spool),
		cmocka_unit_test(test_asked),
		cmocka_unit_test(test_message),
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_message_limits),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_spool_verdicts),
		cmocka_unit_test(test_slow_spool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
