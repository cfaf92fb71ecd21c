/*
 * t_smtp_session.c - dialogues with a whole session, without a network: what is
 * answered, what is taken, what is left open.
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

#define PLAIN "AGFsaWNlAHNlY3JldA=="	/* \0alice\0secret */
#define WRONG "AGFsaWNlAHdyb25n"	/* \0alice\0wrong */

#define S50 "                                                  "
#define X50 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define S600 S50 S50 S50 S50 S50 S50 S50 S50 S50 S50 S50 S50
#define S300 X50 X50 X50 X50 X50 X50

#define WHOLE	1u	/* only in one piece: what it shows depends on that */
#define CLOSED	2u	/* the session is over after it */
#define SENDS	3u	/* turns a row may have */

struct dialogue {
	const char	*name;
	enum fake_begin	 begin;
	const char	*send[SENDS];
	const char	*want;
	unsigned int	 flags;
};

static const struct dialogue dialogues[] = {
	/* before TLS (RFC 3207 section 4) */
	{ "EHLO in clear", CLEAR, { "EHLO a.example\r\n" }, "250", 0 },
	{ "QUIT", CLEAR, { "QUIT\r\n" }, "221", CLOSED },
	{ "NOOP", CLEAR, { "noop\r\nNOOP x\r\n" }, "250 250", 0 },
	{ "AUTH in clear", CLEAR, { "EHLO a\r\nAUTH PLAIN " PLAIN "\r\n" },
	    "250 530", 0 },
	{ "all else in clear", CLEAR, { "MAIL FROM:<>\r\nRCPT TO:<a@b.example>"
	    "\r\nDATA\r\nRSET\r\nVRFY a\r\nHELP\r\n" },
	    "530 530 530 530 530 530", 0 },
	{ "unknown in clear", CLEAR, { "FOO\r\n" }, "500", 0 },
	/* STARTTLS */
	{ "STARTTLS", CLEAR, { "STARTTLS\r\n", "EHLO a\r\nSTARTTLS\r\n" },
	    "220 250 503", 0 },
	{ "STARTTLS forgets EHLO", CLEAR, { "EHLO a\r\n", "STARTTLS\r\n",
	    "MAIL FROM:<>\r\n" }, "250 220 503", 0 },
	{ "STARTTLS with an argument", CLEAR, { "STARTTLS now\r\n" }, "501", 0 },
	{ "injection", CLEAR, { "STARTTLS\r\nEHLO a\r\n" }, "503",
	    WHOLE | CLOSED },
	/* lines */
	{ "empty line", EHLOED, { "\r\n" }, "500", 0 },
	{ "space in front", EHLOED, { " NOOP\r\n" }, "500", 0 },
	{ "spaces behind", EHLOED, { "RSET  \r\n" }, "250", 0 },
	{ "bare LF", EHLOED, { "NOOP\nNOOP\r\nNOOP\r\n" }, "500 250", WHOLE },
	{ "bare CR", EHLOED, { "NO\rOP\r\n" }, "500", 0 },
	{ "too many errors", EHLOED, { "a\r\na\r\na\r\na\r\na\r\na\r\na\r\n"
	    "a\r\na\r\na\r\na\r\n" },
	    "500 500 500 500 500 500 500 500 500 500 421", CLOSED },
	/* order */
	{ "MAIL before EHLO", TLS, { "MAIL FROM:<alice@example.org>\r\n" },
	    "503", 0 },
	{ "EHLO without a name", TLS, { "EHLO\r\n" }, "501", 0 },
	{ "RCPT before MAIL", LOGGED_IN, { "RCPT TO:<bob@example.org>\r\n" },
	    "503", 0 },
	{ "DATA before MAIL", LOGGED_IN, { "DATA\r\n" }, "503", 0 },
	{ "DATA before RCPT", LOGGED_IN, {
	    "MAIL FROM:<alice@example.org>\r\nDATA\r\n" }, "250 503", 0 },
	{ "DATA with an argument", LOGGED_IN, { "DATA x\r\n" TX "DATA x\r\n" },
	    "501 250 250 501", 0 },
	{ "nested MAIL", LOGGED_IN, { TX TX }, "250 250 503 250", 0 },
	{ "RSET ends a transaction", LOGGED_IN, { TX "RSET\r\nDATA\r\n" },
	    "250 250 250 503", 0 },
	{ "EHLO ends a transaction", LOGGED_IN, { TX "EHLO b\r\nDATA\r\n" },
	    "250 250 250 503", 0 },
	{ "the login stays after RSET and EHLO", LOGGED_IN, {
	    "RSET\r\nEHLO b\r\n" TX }, "250 250 250 250", 0 },
	/* AUTH (RFC 4954) */
	{ "PLAIN", EHLOED, { "AUTH PLAIN " PLAIN "\r\n" }, "235", 0 },
	{ "mechanism in any case", EHLOED, { "auth plain " PLAIN "\r\n" },
	    "235", 0 },
	{ "PLAIN in two steps", EHLOED, { "AUTH PLAIN\r\n", PLAIN "\r\n" },
	    "334 235", 0 },
	{ "LOGIN", EHLOED, { "AUTH LOGIN\r\n", "YWxpY2U=\r\n",
	    "c2VjcmV0\r\n" }, "334 334 235", 0 },
	{ "LOGIN with the name at once", EHLOED, { "AUTH LOGIN YWxpY2U=\r\n",
	    "c2VjcmV0\r\n" }, "334 235", 0 },
	{ "wrong password", EHLOED, { "AUTH PLAIN " WRONG "\r\n" }, "535", 0 },
	{ "and then the right one", EHLOED, { "AUTH PLAIN " WRONG "\r\n"
	    "AUTH PLAIN " PLAIN "\r\n" }, "535 235", 0 },
	{ "too many logins", EHLOED, { "AUTH PLAIN " WRONG "\r\nAUTH PLAIN "
	    WRONG "\r\nAUTH PLAIN " WRONG "\r\nAUTH PLAIN " WRONG
	    "\r\nAUTH PLAIN " WRONG "\r\n" }, "535 535 535 535 535 421",
	    CLOSED },
	{ "cancelled", EHLOED, { "AUTH LOGIN\r\n", "*\r\n", "NOOP\r\n" },
	    "334 501 250", 0 },
	{ "bad base64", EHLOED, { "AUTH PLAIN !!!\r\n", "AUTH PLAIN YQ\r\n",
	    "AUTH PLAIN Y=Q=\r\n" }, "501 501 501", 0 },
	{ "bad base64 in an answer", EHLOED, { "AUTH LOGIN\r\n", "a b\r\n",
	    "NOOP\r\n" }, "334 501 250", 0 },
	{ "empty initial response", EHLOED, { "AUTH PLAIN =\r\n" }, "535", 0 },
	{ "unknown mechanism", EHLOED, { "AUTH GSSAPI\r\n" }, "504", 0 },
	{ "prefix of a mechanism", EHLOED, { "AUTH PLAI\r\n" }, "504", 0 },
	{ "APOP is POP3's", EHLOED, { "AUTH APOP\r\n" }, "504", 0 },
	{ "configured elsewhere", EHLOED, { "AUTH EXTERNAL =\r\n"
	    "AUTH SCRAM-SHA-1 =\r\nAUTH ANONYMOUS\r\n" }, "504 504 504", 0 },
	{ "PLUS of a mechanism that has none", EHLOED, { "AUTH PLAIN-PLUS "
	    PLAIN "\r\n" }, "504", 0 },
	{ "the first challenge is ours", EHLOED, {
	    "AUTH SCRAM-SHA-256-PLUS\r\n", PLAIN "\r\n", "NOOP\r\n" },
	    "334 535 250", 0 },
	{ "and given up", EHLOED, { "AUTH scram-sha-256-plus\r\n", "*\r\n",
	    "AUTH PLAIN " PLAIN "\r\n" }, "334 501 235", 0 },
	{ "and bad base64", EHLOED, { "AUTH SCRAM-SHA-256-PLUS\r\n",
	    "YQ\r\n", "AUTH PLAIN " PLAIN "\r\n" }, "334 501 235", 0 },
	{ "answer sent before it", EHLOED, {
	    "AUTH SCRAM-SHA-256-PLUS\r\nYWxpY2U=\r\n" }, "503",
	    WHOLE | CLOSED },
	{ "PLUS with an empty response", EHLOED, {
	    "AUTH SCRAM-SHA-256-PLUS =\r\n" }, "535", 0 },
	{ "two mechanisms", EHLOED, { "AUTH PLAIN LOGIN x\r\n" }, "501", 0 },
	{ "AUTH without a mechanism", EHLOED, { "AUTH\r\n" }, "501", 0 },
	{ "second AUTH", LOGGED_IN, { "AUTH PLAIN " PLAIN "\r\n" }, "503", 0 },
	{ "AUTH in a transaction", LOGGED_IN, { "MAIL FROM:<alice@example.org>"
	    "\r\nAUTH PLAIN " PLAIN "\r\n" }, "250 503", 0 },
	{ "answer sent before the challenge", EHLOED, {
	    "AUTH LOGIN\r\nYWxpY2U=\r\n" }, "503", WHOLE | CLOSED },
	{ "AUTH and MAIL in one group", EHLOED, { "AUTH PLAIN " PLAIN "\r\n"
	    TX }, "235 250 250", 0 },
	{ "AUTH before EHLO", TLS, { "AUTH PLAIN " PLAIN "\r\n" }, "503", 0 },
	/* MAIL */
	{ "MAIL without AUTH", EHLOED, { "MAIL FROM:<alice@example.org>\r\n"
	    "MAIL FROM:<>\r\nMAIL FROM:<bob@other.example>\r\n"
	    "MAIL FROM:<\xc3\xa4@x.example>\r\nMAIL FROM:<a@b\r\n"
	    "MAIL FROM:<a@b.example> SIZE=999999999\r\n"
	    "MAIL FROM:<@x.example:alice@example.org> AUTH=<>\r\n" },
	    "530 530 530 530 530 530 530", 0 },
	{ "another's sender", LOGGED_IN, { "MAIL FROM:<bob@example.org>\r\n" },
	    "553", 0 },
	{ "null sender", LOGGED_IN, { "MAIL FROM:<>\r\n" }, "250", 0 },
	{ "space after the colon", LOGGED_IN, {
	    "MAIL FROM: <alice@example.org> \r\nRCPT TO:  <bob@example.org>"
	    "  \r\n" }, "250 250", 0 },
	{ "no FROM", LOGGED_IN, { "MAIL <alice@example.org>\r\n" }, "501", 0 },
	{ "bad sender", LOGGED_IN, { "MAIL FROM:alice@example.org\r\n"
	    "MAIL FROM:<alice@example.org>x\r\n" }, "501 501", 0 },
	{ "sender not qualified", LOGGED_IN, { "MAIL FROM:<alice@example>\r\n"
	    "MAIL FROM:<postmaster>\r\n" }, "554 554", 0 },
	{ "parameters", LOGGED_IN, { "MAIL FROM:<alice@example.org> SIZE=1000 "
	    "BODY=8BITMIME AUTH=<>\r\n" }, "250", 0 },
	{ "size over the limit", LOGGED_IN, {
	    "MAIL FROM:<alice@example.org> SIZE=100001\r\n" }, "552", 0 },
	{ "unknown parameter", LOGGED_IN, {
	    "MAIL FROM:<alice@example.org> FOO=1\r\n" }, "555", 0 },
	/* RCPT */
	{ "unknown user", LOGGED_IN, { "MAIL FROM:<alice@example.org>\r\n"
	    "RCPT TO:<nobody@example.org>\r\nDATA\r\n" }, "250 550 554", 0 },
	{ "percent hack", LOGGED_IN, { "MAIL FROM:<alice@example.org>\r\n"
	    "RCPT TO:<a%b.example@example.org>\r\n"
	    "RCPT TO:<b.example!a@example.org>\r\n" }, "250 550 550", 0 },
	{ "postmaster", LOGGED_IN, { "MAIL FROM:<alice@example.org>\r\n"
	    "RCPT TO:<Postmaster>\r\n" }, "250 250", 0 },
	{ "not local, no next_hop", LOGGED_IN, {
	    "MAIL FROM:<alice@example.org>\r\nRCPT TO:<a@b.example>\r\n" },
	    "250 550", 0 },
	{ "a route that is none", LOGGED_IN, {
	    "MAIL FROM:<alice@example.org>\r\nRCPT TO:<a@none.example>\r\n" },
	    "250 550", 0 },
	{ "source route goes nowhere else", LOGGED_IN, {
	    "MAIL FROM:<alice@example.org>\r\n"
	    "RCPT TO:<@example.org:a@b.example>\r\n" }, "250 550", 0 },
	{ "null recipient", LOGGED_IN, { "MAIL FROM:<alice@example.org>\r\n"
	    "RCPT TO:<>\r\n" }, "250 501", 0 },
	{ "recipient parameter", LOGGED_IN, { "MAIL FROM:<alice@example.org>"
	    "\r\nRCPT TO:<bob@example.org> NOTIFY=NEVER\r\nRCPT TO:"
	    "<bob@example.org> FOO=1\r\nRCPT TO:<alice@example.org> NOTIFY=X"
	    "\r\n" }, "250 250 555 501", 0 },
	/* DATA */
	{ "a message", LOGGED_IN, { TX "DATA\r\n", MSG, "NOOP\r\n" },
	    "250 250 354 250 250", 0 },
	{ "two messages", LOGGED_IN, { TX "DATA\r\n", MSG TX "DATA\r\n", MSG },
	    "250 250 354 250 250 250 354 250", 0 },
	{ "bare LF in content", LOGGED_IN, { TX "DATA\r\n",
	    "a\n.\nMAIL FROM:<x@y.example>\r\n.\r\n", "NOOP\r\n" },
	    "250 250 354 550 250", 0 },
	{ "content before the 354", LOGGED_IN, { TX "DATA\r\n" MSG },
	    "250 250 503", WHOLE | CLOSED },
	/* the header */
	{ "another's From", LOGGED_IN, { TX "DATA\r\n", "From: bob@x.example\r\n"
	    "\r\nx\r\n.\r\nNOOP\r\n" }, "250 250 354 550 250", 0 },
	{ "an own From", LOGGED_IN, { TX "DATA\r\n", "From: alice+x@example.org"
	    "\r\n\r\nx\r\n..\r\nx\r\n.\r\nNOOP\r\n" }, "250 250 354 250 250",
	    0 },
	{ "a From alone", LOGGED_IN, { TX "DATA\r\n", "From: alice+x@example.org"
	    "\r\n.\r\nNOOP\r\n" }, "250 250 354 250 250", 0 },
	{ "two From", LOGGED_IN, { TX "DATA\r\n", HEAD HEAD
	    "\r\nx\r\n.\r\nNOOP\r\n" }, "250 250 354 550 250", 0 },
	{ "no From, no sender", LOGGED_IN, { "MAIL FROM:<>\r\nRCPT TO:"
	    "<bob@example.org>\r\nDATA\r\n", "X: y\r\n\r\n.\r\nNOOP\r\n" },
	    "250 250 354 550 250", 0 },
	{ "an own From in chunks", LOGGED_IN, { TX "BDAT 32\r\nFrom: "
	    "alice+x@example.org\r\n\r\nx\r\nBDAT 3 LAST\r\ny\r\nNOOP\r\n" },
	    "250 250 250 250 250", 0 },
	{ "with an end to be added", LOGGED_IN, { TX "BDAT 30 LAST\r\nFrom: "
	    "alice+x@example.org\r\nhi!NOOP\r\n" }, "250 250 250 250", 0 },
	{ "its header ends with the chunk", LOGGED_IN, { TX "BDAT 29\r\nFrom: "
	    "alice+x@example.org\r\n\r\nBDAT 0 LAST\r\nNOOP\r\n" },
	    "250 250 250 250 250", 0 },
	{ "a bad header in chunks", LOGGED_IN, { TX "BDAT 12\r\nX : y\r\n\r\nx\r\n"
	    "BDAT 3 LAST\r\ny\r\nNOOP\r\n" }, "250 250 550 503 250", 0 },
	{ "another's From in chunks", LOGGED_IN, { TX "BDAT 26 LAST\r\nFrom: "
	    "bob@x.example\r\n\r\nx\r\nNOOP\r\n" }, "250 250 550 250", 0 },
	/* the rest */
	{ "VRFY, EXPN, HELP", EHLOED, { "VRFY alice\r\nEXPN x\r\nHELP\r\n" },
	    "252 252 214", 0 },
	{ "not on this port", LOGGED_IN, { "ETRN a\r\nATRN a\r\nTURN\r\n"
	    "SEND FROM:<a@b.example>\r\n" }, "502 502 502 502", 0 },
	/* SMTPUTF8 (RFC 6531) */
	{ "UTF-8 without SMTPUTF8", LOGGED_IN, {
	    "MAIL FROM:<\xc3\xa4@example.org>\r\n"
	    "MAIL FROM:<alice@example.org>\r\n"
	    "RCPT TO:<\xc3\xa4@example.org>\r\n" }, "553 250 553", 0 },
	{ "no UTF-8", LOGGED_IN, {
	    "MAIL FROM:<\xe4@example.org> SMTPUTF8\r\n" }, "501", 0 },
	{ "SMTPUTF8", LOGGED_IN, { "MAIL FROM:<alice@example.org> SMTPUTF8\r\n"
	    "RCPT TO:<\xc3\xa4@example.org>\r\n" }, "250 550", 0 },
	/* BDAT (RFC 3030) */
	{ "chunks", LOGGED_IN, { TX "BDAT 6\r\nA: b\r\n", "BDAT 6 LAST\r\n",
	    "\r\nhi\r\n" }, "250 250 250 250", 0 },
	{ "a CR at the very end", LOGGED_IN, { TX "BDAT 5 LAST\r\n\r\nhi\r" },
	    "250 250 550", 0 },
	{ "all in one group", LOGGED_IN, { TX "BDAT 6\r\nA: b\r\nBDAT 6 last"
	    "\r\n\r\nhi\r\nNOOP\r\n" TX "BDAT 3 LAST\r\nx\r\nQUIT\r\n" },
	    "250 250 250 250 250 250 250 250 221", CLOSED },
	{ "an empty last chunk", LOGGED_IN, { TX "BDAT 3\r\nx\r\nBDAT 0 LAST"
	    "\r\nNOOP\r\n" }, "250 250 250 250 250", 0 },
	{ "an empty message", LOGGED_IN, { TX "BDAT 0 LAST\r\nNOOP\r\n" },
	    "250 250 250 250", 0 },
	{ "empty chunks", LOGGED_IN, { TX "BDAT 0\r\nBDAT 0\r\nBDAT 1\r\nx"
	    "BDAT 0 LAST\r\n" }, "250 250 250 250 250 250", 0 },
	{ "a CR in one chunk, its LF in the next", LOGGED_IN, { TX
	    "BDAT 2\r\nx\rBDAT 1 LAST\r\n\n" }, "250 250 250 250", 0 },
	{ "a bare LF ends it", LOGGED_IN, { TX "BDAT 2\r\nx\nBDAT 5 LAST\r\n"
	    "QUITxNOOP\r\n" }, "250 250 550 503 250", 0 },
	{ "bare CR and LF in the last chunk", LOGGED_IN, { TX "BDAT 7 LAST\r\n.\r\n\r\r\n"
	    "\n" "NOOP\r\n" }, "250 250 550 250", 0 },
	{ "no DATA between chunks", LOGGED_IN, { TX "BDAT 3\r\nx\r\nDATA\r\n"
	    "MAIL FROM:<>\r\nRCPT TO:<bob@example.org>\r\nBDAT 0 LAST\r\n" },
	    "250 250 250 503 503 503 250", 0 },
	{ "NOOP and VRFY between chunks", LOGGED_IN, { TX "BDAT 3\r\nx\r\n"
	    "NOOP\r\nVRFY a\r\nBDAT 0 LAST\r\n" },
	    "250 250 250 250 252 250", 0 },
	{ "RSET between chunks", LOGGED_IN, { TX "BDAT 3\r\nx\r\nRSET\r\n"
	    "BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n" }, "250 250 250 250 503 250",
	    0 },
	{ "EHLO between chunks", LOGGED_IN, { TX "BDAT 3\r\nx\r\nEHLO a\r\n"
	    "BDAT 0 LAST\r\n" }, "250 250 250 250 503", 0 },
	{ "octets of a refused BDAT do not run", LOGGED_IN, {
	    "BDAT 12 LAST\r\nQUIT\r\nQUIT\r\nNOOP\r\n" }, "503 250", 0 },
	{ "nor before TLS", CLEAR, {
	    "BDAT 12 LAST\r\nQUIT\r\nQUIT\r\nNOOP\r\n" }, "530 250", 0 },
	{ "no recipient", LOGGED_IN, { "MAIL FROM:<alice@example.org>\r\n"
	    "RCPT TO:<nobody@example.org>\r\nBDAT 6 LAST\r\nQUIT\r\n"
	    "MAIL FROM:<alice@example.org>\r\n" }, "250 550 554 250", 0 },
	{ "BDAT that overflows", LOGGED_IN, {
	    "BDAT 18446744073709551617\r\n" }, "501", CLOSED },
	{ "BDAT that nobody can send", LOGGED_IN, { TX
	    "BDAT 9223372036854775808 LAST\r\n" }, "250 250 501", CLOSED },
	{ "BDAT without a number", LOGGED_IN, { TX "BDAT LAST\r\n" },
	    "250 250 501", CLOSED },
	{ "BDAT with a wrong word", LOGGED_IN, { TX "BDAT 6 FIRST\r\nQUIT\r\n"
	    "BDAT 0 LAST\r\n" }, "250 250 501 503", 0 },
	{ "BDAT in a long line", LOGGED_IN, { TX "BDAT 6" S600 " LAST\r\n"
	    "QUIT\r\nNOOP\r\n" }, "250 250 500 250", 0 },
	{ "BDAT with a bare LF", LOGGED_IN, { TX "BDAT 6 LAST\nQUIT\r\n\r\n" },
	    "250 250 501", WHOLE | CLOSED },
	/* names */
	{ "any name", EHLOED, { "EHLO my own (pc)\r\nEHLO \xc3\xa4\r\n"
	    "HELO !\r\n" }, "250 250 250", 0 },
	{ "no name", EHLOED, { "EHLO a\tb\r\nEHLO a\x7f\r\nHELO \x01\r\n"
	    "EHLO " S300 "\r\n" }, "501 501 501 501", 0 },
	{ "a browser", CLEAR, { "GET / HTTP/1.1\r\nHost: x\r\n\r\n" }, "",
	    CLOSED },
	{ "a browser with TLS", TLS, { "POST / HTTP/1.1\r\nHost: x\r\n\r\n" },
	    "", CLOSED },
	{ "GET behind EHLO is only unknown", EHLOED, { "GET / HTTP/1.1\r\n" },
	    "500", 0 },
};

static void
dialogue_run(const struct dialogue *d, size_t piece)
{
	struct fake *f = fake_begin(d->begin);

	for (unsigned int i = 0; i < SENDS && d->send[i] != NULL; i++)
		fake_send(f, d->send[i], strlen(d->send[i]), piece);
	fake_check(f);
	assert_string_equal(fake_codes(f), d->want);
	assert_int_equal(fake_is_closed(f), (d->flags & CLOSED) != 0);
	fake_free(f);
}

static void
test_dialogues(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(dialogues) / sizeof(dialogues[0]); i++) {
		const struct dialogue *d = &dialogues[i];

		print_message("session: %s\n", d->name);
		dialogue_run(d, 100000);
		for (size_t piece = 1; !(d->flags & WHOLE) && piece < 8;
		    piece++)
			dialogue_run(d, piece);
	}
}

#define EXTENSIONS "250-PIPELINING\r\n250-SIZE 100000\r\n250-8BITMIME\r\n" \
	"250-SMTPUTF8\r\n250-CHUNKING\r\n250-DSN\r\n" \
	"250-LIMITS RCPTMAX=10\r\n"

/* Section 3.7.4.1 of RFC 6531: UTF-8 only to who has said SMTPUTF8. */
static void
test_utf8_replies(void **state)
{
	static const char rcpt[] = "RCPT TO:<\xc3\xa4@example.org>\r\n";
	struct fake *f = fake_begin(LOGGED_IN);

	(void)state;
	fake_say(f, "MAIL FROM:<alice@example.org> SMTPUTF8\r\n");
	fake_say(f, rcpt);
	assert_non_null(strstr(fake_output(f), "550 5.1.1 No such user here: "
	    "\xc3\xa4@example.org"));
	fake_say(f, "RSET\r\nMAIL FROM:<alice@example.org>\r\n");
	fake_clear(f);
	fake_say(f, rcpt);
	for (const char *p = fake_output(f); *p != '\0'; p++)
		assert_true((unsigned char)*p < 0x80);
	fake_free(f);
}

static void
test_ehlo(void **state)
{
	struct fake *f = fake_begin(CLEAR);

	(void)state;
	fake_say(f, "EHLO a\r\n");
	assert_string_equal(fake_output(f), "250-mail.example.org\r\n"
	    EXTENSIONS
	    "250-STARTTLS\r\n250 ENHANCEDSTATUSCODES\r\n");
	fake_say(f, "STARTTLS\r\n");
	fake_clear(f);
	fake_say(f, "EHLO a\r\n");
	assert_string_equal(fake_output(f), "250-mail.example.org\r\n"
	    EXTENSIONS
	    "250-AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN\r\n"
	    "250 ENHANCEDSTATUSCODES\r\n");
	fake_free(f);
}

static void
test_secrets(void **state)
{
	struct fake *f = fake_begin(EHLOED);

	(void)state;
	fake_set_secrets(f, true);
	fake_say(f, "EHLO a\r\n");
	assert_non_null(strstr(fake_output(f), "250-AUTH SCRAM-SHA-256-PLUS "
	    "SCRAM-SHA-256 PLAIN CRAM-MD5 LOGIN\r\n"));
	fake_free(f);
}

static void
test_kick(void **state)
{
	struct fake *f = fake_begin(EHLOED);

	(void)state;
	assert_string_equal(fake_who(f), ".");
	fake_kick(f, "");
	assert_false(fake_is_closed(f));	/* nobody is logged in */
	fake_login(f);
	assert_string_equal(fake_who(f), "alice@example.org.");
	fake_say(f, TX);
	fake_clear(f);
	fake_kick(f, "bob@example.org");
	assert_false(fake_is_closed(f));
	fake_kick(f, "alice@example.org");
	assert_string_equal(fake_codes(f), "421");
	assert_true(fake_is_closed(f));
	assert_string_equal(fake_who(f), ".");
	fake_free(f);
	/* In the midst of a message: nothing of it is kept. */
	f = fake_begin(LOGGED_IN);
	fake_say(f, TX);
	fake_say(f, "DATA\r\n");
	fake_say(f, "Subject: x\r\n");
	fake_clear(f);
	fake_kick(f, "");
	assert_string_equal(fake_codes(f), "421");
	assert_int_equal(fake_commits(f), 0);
	fake_free(f);
}

static void
test_no_certificate(void **state)
{
	struct fake *f = fake_begin(CLEAR);

	(void)state;
	fake_set_no_tls(f);
	fake_say(f, "EHLO a\r\n");
	assert_null(strstr(fake_output(f), "STARTTLS"));
	fake_clear(f);
	fake_say(f, "STARTTLS\r\nMAIL FROM:<>\r\n");
	assert_string_equal(fake_codes(f), "454 530");
	fake_free(f);
}

static void
test_prompts(void **state)
{
	struct fake *f = fake_begin(EHLOED);

	(void)state;
	fake_say(f, "AUTH LOGIN\r\n");
	assert_string_equal(fake_output(f), "334 VXNlcm5hbWU6\r\n");
	fake_clear(f);
	fake_say(f, "YWxpY2U=\r\n");
	assert_string_equal(fake_output(f), "334 UGFzc3dvcmQ6\r\n");
	fake_say(f, "*\r\n");
	assert_int_equal(fake_open_exchanges(f), 0);
	fake_clear(f);
	fake_say(f, "AUTH PLAIN\r\n");
	assert_string_equal(fake_output(f), "334 \r\n");
	fake_free(f);		/* gone in the middle: nothing is left open */
}

static void
test_long_lines(void **state)
{
	struct fake *f = fake_begin(EHLOED);
	static char line[20000];

	(void)state;
	/* 512 octets with CR LF work, 513 do not (RFC 5321 4.5.3.1.4). */
	memset(line, 'x', sizeof(line));
	memcpy(line, "NOOP ", 5);
	memcpy(line + 510, "\r\n", 3);
	fake_say(f, line);
	memset(line + 510, 'x', 3);
	memcpy(line + 511, "\r\n", 3);
	fake_say(f, line);
	assert_string_equal(fake_codes(f), "250 500");
	assert_non_null(strstr(fake_output(f), "may have: 512\r\n"));
	/* Far too long: one answer, nothing of it runs. */
	fake_clear(f);
	memset(line + 511, 'x', 3);
	memcpy(line + sizeof(line) - 9, "QUIT\r\n", 7);
	fake_say(f, line);
	fake_say(f, "NOOP\r\n");
	assert_string_equal(fake_codes(f), "500 250");
	/* In AUTH: 500 5.5.6, and the exchange is over. */
	fake_clear(f);
	fake_say(f, "AUTH LOGIN\r\n");
	memset(line, 'A', sizeof(line) - 9);
	fake_say(f, line);
	fake_say(f, "NOOP\r\n");
	assert_string_equal(fake_codes(f), "334 500 250");
	assert_non_null(strstr(fake_output(f), "500 5.5.6 "));
	assert_int_equal(fake_open_exchanges(f), 0);
	/* An initial response is part of the exchange. */
	fake_clear(f);
	memcpy(line, "auth PLAIN ", 11);
	fake_say(f, line);
	assert_string_equal(fake_codes(f), "500");
	assert_non_null(strstr(fake_output(f), "500 5.5.6 "));
	fake_free(f);
}

static void
test_grant(void **state)
{
	struct fake *f = fake_begin(EHLOED);

	(void)state;
	fake_set_grant(f, true);
	fake_say(f, "MAIL FROM:<bob@example.org>\r\n" TX "RSET\r\n");
	assert_string_equal(fake_codes(f), "553 250 250 250");
	assert_non_null(strstr(fake_output(f), ": bob@example.org"));
	/* It is asked anew at each MAIL. */
	fake_set_grant(f, false);
	fake_clear(f);
	fake_say(f, TX "DATA\r\n");
	assert_string_equal(fake_codes(f), "530 503 503");
	fake_free(f);
}

static void
test_authd_away(void **state)
{
	struct fake *f = fake_begin(EHLOED);

	(void)state;
	fake_set_authd(f, AUTHP_TEMP);
	fake_say(f, "AUTH PLAIN " PLAIN "\r\n" TX);
	assert_string_equal(fake_codes(f), "454 454 503");
	fake_set_authd(f, AUTHP_OK);	/* it is back; the session stayed */
	fake_clear(f);
	fake_say(f, "AUTH PLAIN " PLAIN "\r\n" TX);
	assert_string_equal(fake_codes(f), "235 250 250");
	fake_set_authd(f, AUTHP_VOID);
	fake_clear(f);
	fake_say(f, "RSET\r\nMAIL FROM:<alice@example.org>\r\nNOOP\r\n");
	assert_string_equal(fake_codes(f), "250 421");
	assert_true(fake_is_closed(f));
	fake_free(f);
}

static void
test_limits(void **state)
{
	struct fake *f = fake_begin(LOGGED_IN);
	char line[64];

	(void)state;
	fake_set_limits(f, 300, 3);
	fake_set_next_hop(f, "127.0.0.1:25");
	fake_say(f, "MAIL FROM:<alice@example.org>\r\n");
	for (int i = 0; i < 5; i++) {
		snprintf(line, sizeof(line), "RCPT TO:<u%d@b.example>\r\n", i);
		fake_say(f, line);
	}
	assert_string_equal(fake_codes(f), "250 250 250 250 452 452");
	fake_clear(f);
	fake_say(f, "DATA\r\n");
	for (int i = 0; i < 20; i++)
		fake_say(f, "012345678901234567890123456789\r\n");
	fake_say(f, ".\r\nNOOP\r\n");
	assert_string_equal(fake_codes(f), "354 552 250");
	assert_int_equal(fake_commits(f), 0);
	fake_free(f);
}

static void
test_help_text(void **state)
{
	struct fake *f = fake_begin(EHLOED);

	(void)state;
	fake_set_help(f, "https://example.org/mail");
	fake_say(f, "MAIL FROM:<alice@example.org>\r\n");
	assert_non_null(strstr(fake_output(f),
	    "530 5.7.0 Authentication required: switch on authentication "
	    "(SMTP AUTH) in your mail program"));
	assert_non_null(strstr(fake_output(f), "; https://example.org/mail ["));
	fake_free(f);
}

static void
test_idle_commands(void **state)
{
	struct fake *f = fake_begin(EHLOED);

	(void)state;
	for (int i = 0; i < 2000 && !fake_is_closed(f); i++)
		fake_say(f, "NOOP\r\n");
	assert_true(fake_is_closed(f));
	assert_non_null(strstr(fake_output(f), "\r\n421 4.7.0 "));
	fake_free(f);
}

static void
test_timeout(void **state)
{
	struct fake *f = fake_begin(LOGGED_IN);

	(void)state;
	fake_say(f, TX "DATA\r\n");
	fake_say(f, "half a message\r\n");
	fake_clear(f);
	fake_timeout(f);
	assert_string_equal(fake_codes(f), "421");
	assert_true(fake_is_closed(f));
	assert_int_equal(fake_commits(f), 0);
	fake_free(f);
}

/* Before the greeting a client is silent, or never hears it. */
static void
test_silence(void **state)
{
	struct fake *f = fake_new_silent();

	(void)state;
	assert_string_equal(fake_codes(f), "");
	fake_end_silence(f);
	assert_string_equal(fake_codes(f), "220");
	fake_clear(f);
	fake_say(f, "EHLO a\r\n");
	assert_string_equal(fake_codes(f), "250");
	fake_free(f);

	f = fake_new_silent();
	fake_send(f, "\x16\x03\x01\x02\x00\x01", 6, 6);
	assert_string_equal(fake_output(f), "\x15\x03\x01");	/* … and a 0 */
	assert_true(fake_is_closed(f));
	fake_end_silence(f);
	fake_free(f);

	f = fake_new_silent();
	fake_say(f, "EHLO a\r\n");
	assert_string_equal(fake_codes(f), "554");
	assert_true(fake_is_closed(f));
	fake_free(f);

	f = fake_new_silent();
	fake_gone(f);
	assert_string_equal(fake_codes(f), "");
	assert_true(fake_is_closed(f));
	fake_free(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dialogues),
		cmocka_unit_test(test_utf8_replies),
		cmocka_unit_test(test_ehlo),
		cmocka_unit_test(test_secrets),
		cmocka_unit_test(test_kick),
		cmocka_unit_test(test_no_certificate),
		cmocka_unit_test(test_prompts),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_grant),
		cmocka_unit_test(test_authd_away),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_help_text),
		cmocka_unit_test(test_idle_commands),
		cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_silence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
