/*
 * t_send_dsn.c - reports of failure: what they say, and that nothing from
 * outside can add a line or a part to them.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/fio.h"
#include "submitd/send/dsn.h"
#include "submitd/spool/protocol.h"

_Static_assert(DSN_MAX <= SPOOL_REPORT_MAX &&
    DSN_PART_MAX <= SPOOL_REPORT_PART_MAX, "the spool refuses our reports");

static char reply_1[] = "550 5.1.1 <nobody@there.test>: no such user here";
static char reply_2[] = "4.4.7 given up after 120 hours; the last attempt: "
    "4.4.2 hop.test[192.0.2.1]:25: Connection refused while connecting";
static char reply_evil[] = "550 \r\n\r\n--=_x\r\nFinal-Recipient: rfc822; evil"
    "\x80\x01";

static char *
dsn_run(const struct dsn *d, size_t *ret_covered)
{
	struct dsn_writer w;
	struct buf b, part;
	char *text;

	buf_init(&b, DSN_MAX);
	buf_init(&part, DSN_PART_MAX);
	assert_int_equal(dsn_begin(d, &w), 0);
	do {
		buf_clear(&part);
		assert_int_equal(dsn_next(d, &w, &part), 0);
		assert_int_equal(buf_append(&b, buf_data(&part),
		    buf_len(&part)), 0);
	} while (buf_len(&part) > 0);
	assert_int_equal(buf_len(&b), w.octets);
	*ret_covered = w.covered;
	dsn_end(&w);
	buf_free(&part);
	text = strndup((char *)buf_data(&b), buf_len(&b));
	assert_non_null(text);
	assert_int_equal(strlen(text), buf_len(&b));	/* no NUL */
	buf_free(&b);
	return text;
}

/* CR LF only, 7 bits, no line over 998. */
static void
dsn_check_lines(const char *text)
{
	const char *line = text;

	for (const char *p = text; *p != '\0'; p++) {
		assert_true((*p >= 0x20 && *p < 0x7f) || *p == '\t' ||
		    *p == '\r' || *p == '\n');
		if (*p == '\r')
			assert_true(p[1] == '\n');
		if (*p == '\n') {
			assert_true(p > text && p[-1] == '\r');
			assert_true(p - line <= 999);
			line = p + 1;
		}
	}
	assert_true(*line == '\0');
}

static size_t
dsn_count(const char *text, const char *what)
{
	size_t n = 0;

	while ((text = strstr(text, what)) != NULL) {
		n++;
		text += strlen(what);
	}
	return n;
}

#define DSN_RELAY "hop.test[192.0.2.1]:25"

static const struct dsn dsn_plain = {
	.hostname = "mx.here.test", .queue_id = "abcdefgh234567ab",
	.sender = "alice@here.test", .arrived_s = 1700000000,
	.now_s = 1700000300,
};

static void
test_text(void **state)
{
	static char headers[] = "Received: x\r\nSubject: hi\r\n there\r\n",
	    orcpt[] = "rfc822;list+2B@there.test";
	struct outcome_rcpt rcpts[] = {
		{ .address = "nobody@there.test", .remote = true, .relay = DSN_RELAY,
		    .text = reply_1 },
		{ .address = "late@there.test", .text = reply_2,
		  .dsn = { 0, orcpt } },
	};
	struct dsn d = dsn_plain;
	size_t covered;
	char *text;

	(void)state;
	d.rcpts = rcpts;
	d.n_rcpts = 2;
	d.foreign = "boss@here.test";
	d.help_text = "https://help.test/";
	d.headers = headers;
	d.headers_len = strlen(headers);
	text = dsn_run(&d, &covered);
	dsn_check_lines(text);
	assert_int_equal(covered, 2);
	assert_non_null(strstr(text, "\r\nTo: <alice@here.test>\r\n"));
	assert_non_null(strstr(text, "\r\nsent in your name with the sender\r\n"
	    "  <boss@here.test>,\r\ncould not be delivered to:\r\n"));
	assert_non_null(strstr(text, "\r\n  <late@there.test>\r\n"
	    "    for mail to list+@there.test\r\n"));
	assert_non_null(strstr(text, "\r\nAuto-Submitted: auto-replied\r\n"));
	assert_non_null(strstr(text, "Content-Type: multipart/report; "
	    "report-type=delivery-status;\r\n"));
	assert_non_null(strstr(text, "\r\nReporting-MTA: dns; mx.here.test\r\n"));
	assert_non_null(strstr(text, "\r\nArrival-Date: Tue, 14 Nov 2023 "
	    "22:13:20 +0000\r\n"));
	assert_non_null(strstr(text, "\r\nFinal-Recipient: rfc822; "
	    "nobody@there.test\r\nAction: failed\r\nStatus: 5.1.1\r\n"
	    "Remote-MTA: dns; hop.test\r\nDiagnostic-Code: smtp; 550 5.1.1 "));
	assert_non_null(strstr(text, "\r\nFinal-Recipient: rfc822; "
	    "late@there.test\r\nAction: failed\r\nStatus: 4.4.7\r\n"
	    "Diagnostic-Code: x-submitd; 4.4.7 "));
	assert_non_null(strstr(text, "\r\nReceived: x\r\nSubject: hi\r\n "
	    "there\r\n"));
	assert_non_null(strstr(text, "Help: https://help.test/\r\n"));
	free(text);
}

/* A next hop behind a socket has no name that is of use. */
static void
test_socket(void **state)
{
	static char headers[] = "Subject: hi\r\n";
	struct outcome_rcpt rcpts[] = {
		{ .address = "nobody@there.test", .remote = true,
		  .relay = "unix:/run/secret/lmtp", .text = reply_1 },
	};
	struct dsn d = dsn_plain;
	size_t covered;
	char *text;

	(void)state;
	d.rcpts = rcpts;
	d.n_rcpts = 1;
	d.headers = headers;
	d.headers_len = strlen(headers);
	text = dsn_run(&d, &covered);
	assert_null(strstr(text, "secret"));
	assert_non_null(strstr(text, "the answer of the next server:\r\n"));
	assert_non_null(strstr(text, "\r\nStatus: 5.1.1\r\n"
	    "Diagnostic-Code: smtp; 550 5.1.1 "));
	free(text);
}

static void
test_injection(void **state)
{
	static char headers[] = "Subject: \xc3\xa4\r\nX: a\nbare\r\nY: \r\r\n"
	    "\r\nbody\r\n";
	struct outcome_rcpt rcpts[] = {
		{ .address = "a@there.test", .remote = true, .relay = DSN_RELAY,
		    .text = reply_evil },
	};
	struct dsn d = dsn_plain;
	size_t covered;
	char *text;

	(void)state;
	d.rcpts = rcpts;
	d.n_rcpts = 1;
	d.headers = headers;
	d.headers_len = strlen(headers);
	text = dsn_run(&d, &covered);
	dsn_check_lines(text);
	assert_int_equal(dsn_count(text, "\r\nFinal-Recipient:"), 1);
	assert_int_equal(dsn_count(text, "\r\n--"), 4);
	assert_non_null(strstr(text, "\r\nSubject: ??\r\n"));
	assert_null(strstr(text, "body"));
	free(text);
}

#define MANY 20000

/* More recipients than one report holds, with the longest texts and headers:
 * it never exceeds its size, and the rest goes into further ones. */
static void
test_many(void **state)
{
	static struct outcome_rcpt rcpts[MANY];
	static char addresses[MANY][255], text[OUTCOME_TEXT_MAX + 1];
	static char headers[DSN_HEADERS_MAX];
	struct dsn d = dsn_plain;
	size_t done = 0, covered, reports = 0;

	(void)state;
	memset(text, 'x', OUTCOME_TEXT_MAX);
	memset(headers, 'h', sizeof(headers));
	for (size_t i = 0; i < sizeof(headers); i += 80)
		memcpy(headers + i, "\r\nX-Test: ", 10);
	memcpy(headers, "X-First: x", 10);
	for (size_t i = 0; i < MANY; i++) {
		memset(addresses[i], 'a', 254);
		snprintf(addresses[i] + 230, 25, "%zu@there.test", i);
		rcpts[i] = (struct outcome_rcpt){ .address = addresses[i],
			.remote = true, .relay = DSN_RELAY, .text = text };
	}
	while (done < MANY) {
		char *report;

		d.rcpts = rcpts + done;
		d.n_rcpts = MANY - done;
		d.headers = headers;
		d.headers_len = sizeof(headers);
		report = dsn_run(&d, &covered);
		dsn_check_lines(report);
		assert_true(covered > 0 && covered <= MANY - done);
		assert_int_equal(dsn_count(report, "\r\nFinal-Recipient:"),
		    covered);
		assert_int_equal(dsn_count(report, "\r\n  <"), covered);
		/* All there is about a few, and else what fits. */
		assert_true((strstr(report, "xxx...\r\n") != NULL) ==
		    (covered > 3000));
		free(report);
		done += covered;
		reports++;
	}
	assert_int_equal(reports, 2);
}

static void
test_headers(void **state)
{
	static const char message[] = "junkA: 1\r\nB: 2\r\n\r\nbody\r\n";
	char big[DSN_HEADERS_MAX + 100];
	size_t len;
	char *p;
	int fd;

	(void)state;
	fd = fio_memfd("message", message, sizeof(message) - 1);
	assert_true(fd >= 0);
	p = dsn_read_headers(fd, 4, sizeof(message) - 5, &len);
	assert_non_null(p);
	assert_int_equal(len, 12);
	assert_memory_equal(p, "A: 1\r\nB: 2\r\n", 12);
	free(p);
	/* Fewer octets than said: what there is. */
	p = dsn_read_headers(fd, 4, 100000, &len);
	assert_int_equal(len, 12);
	free(p);
	memset(big, 'x', sizeof(big));
	fd = fio_memfd("big", big, sizeof(big));
	p = dsn_read_headers(fd, 0, sizeof(big), &len);
	assert_int_equal(len, DSN_HEADERS_MAX);
	free(p);
}

struct fold_row {
	const char	*in;
	const char	*want;
};

static const struct fold_row fold_rows[] = {
	{ "", "\r\n" },
	{ "short", "short\r\n" },
	{ "a\r\nb", "a??b\r\n" },
	{ "123456789 123456789 123456789 123456789 123456789 123456789 "
	  "123456789",
	  "123456789 123456789 123456789 123456789 123456789 123456789\r\n"
	  "  123456789\r\n" },
	{ "1234567890123456789012345678901234567890123456789012345678901234567"
	  "890 x",
	  "1234567890123456789012345678901234567890123456789012345678901234567"
	  "890\r\n  x\r\n" },
};

static void
test_fold(void **state)
{
	char word[3000];
	struct buf b;

	(void)state;
	for (size_t i = 0; i < sizeof(fold_rows) / sizeof(*fold_rows); i++) {
		buf_init(&b, 4096);
		assert_int_equal(dsn_put_folded(&b, fold_rows[i].in, "  "), 0);
		assert_int_equal(buf_len(&b), strlen(fold_rows[i].want));
		assert_memory_equal(buf_data(&b), fold_rows[i].want,
		    buf_len(&b));
		buf_free(&b);
	}
	/* A word longer than a line may be is cut. */
	memset(word, 'w', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	buf_init(&b, 8192);
	assert_int_equal(dsn_put_folded(&b, word, "  "), 0);
	buf_append(&b, "", 1);
	dsn_check_lines((char *)buf_data(&b));
	buf_free(&b);
}

/* One report for all that a try has led to: each recipient under its heading,
 * with its own action. */
static void
test_mixed(void **state)
{
	static char deferred[] = "451 4.2.1 later", sent[] = "250 2.0.0 ok";
	struct outcome_rcpt rcpts[] = {
		{ .address = "nobody@there.test", .remote = true, .relay = DSN_RELAY,
		    .text = reply_1, .kind = DSN_FAILED },
		{ .address = "none@there.test", .remote = true, .relay = DSN_RELAY,
		    .text = reply_1, .kind = DSN_FAILED },
		{ .address = "late@there.test", .remote = true, .relay = DSN_RELAY,
		    .text = deferred, .kind = DSN_DELAYED },
		{ .address = "ok@there.test", .remote = true, .relay = DSN_RELAY,
		    .text = sent, .kind = DSN_RELAYED },
	};
	struct dsn d = dsn_plain;
	size_t covered;
	char *text;

	(void)state;
	d.rcpts = rcpts;
	d.n_rcpts = 4;
	d.until_s = 1700400000;
	d.by_s = 1700000600;
	d.hold_until_s = 1700000500;
	text = dsn_run(&d, &covered);
	dsn_check_lines(text);
	assert_int_equal(covered, 4);
	assert_non_null(strstr(text, "Subject: Your message could not be "));
	assert_int_equal(dsn_count(text, "could not be delivered to:"), 1);
	assert_int_equal(dsn_count(text, "\r\nIt could not be delivered yet "
	    "to:\r\n"), 1);
	assert_int_equal(dsn_count(text, "\r\nIt was passed on"), 1);
	assert_int_equal(dsn_count(text, "\r\nAction: failed\r\nStatus: "
	    "5.1.1"), 2);
	assert_non_null(strstr(text, "\r\nAction: delayed\r\nStatus: 4.2.1"));
	assert_int_equal(dsn_count(text, "Will-Retry-Until:"), 1);
	assert_non_null(strstr(text, "\r\nAction: relayed\r\nStatus: 2.0.0"));
	assert_non_null(strstr(text, "\r\nFuture-Release-Request: until;"
	    "2023-11-14T22:21:40Z\r\n"));
	assert_non_null(strstr(text, "\r\nDeliver-By-Date: Tue, 14 Nov 2023 "
	    "22:23:20 +0000\r\n"));
	free(text);
}

/* Thousands, refused alike, are one report. */
static void
test_one_report(void **state)
{
	static struct outcome_rcpt rcpts[10000];
	static char headers[] = "Subject: x\r\n";
	struct dsn d = dsn_plain;
	size_t covered;
	char *text;

	(void)state;
	for (size_t i = 0; i < 10000; i++)
		rcpts[i] = (struct outcome_rcpt){ .remote = true, .relay = DSN_RELAY,
			.address = "somebody@elsewhere.test", .text = reply_1 };
	d.rcpts = rcpts;
	d.n_rcpts = 10000;
	d.headers = headers;
	d.headers_len = strlen(headers);
	text = dsn_run(&d, &covered);
	assert_int_equal(covered, 10000);
	assert_int_equal(dsn_count(text, "\r\nFinal-Recipient:"), 10000);
	assert_non_null(strstr(text, "\r\nSubject: x\r\n"));
	free(text);
}

/* 50 KiB come back whole, however many recipients there are. */
static void
test_full(void **state)
{
	static struct outcome_rcpt rcpts[100];
	static char message[DSN_FULL_MAX];
	struct dsn d = dsn_plain;
	size_t covered;

	(void)state;
	memset(message, 'x', sizeof(message));
	memcpy(message, "A: 1\r\n\r\n", 8);
	for (size_t i = 72; i + 2 < sizeof(message); i += 72)
		memcpy(message + i, "\r\n", 2);
	memcpy(message + sizeof(message) - 2, "\r\n", 2);
	for (size_t i = 0; i < 100; i++)
		rcpts[i] = (struct outcome_rcpt){ .address = "a@there.test",
			.remote = true, .relay = DSN_RELAY, .text = reply_1 };
	for (size_t n = 1; n <= 100; n += 99) {
		char *text;

		d.rcpts = rcpts;
		d.n_rcpts = n;
		d.headers = message;
		d.headers_len = sizeof(message);
		d.full = true;
		text = dsn_run(&d, &covered);
		dsn_check_lines(text);
		assert_int_equal(dsn_count(text, "\r\nContent-Type: "
		    "message/rfc822\r\n"), 1);
		assert_int_equal(covered, n);
		free(text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_socket),
		cmocka_unit_test(test_injection),
		cmocka_unit_test(test_mixed),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_one_report),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_fold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
