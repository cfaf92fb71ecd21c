/*
 * fuzz_send_dsn.c - reports: whatever a next hop says and a message has for
 * headers, the report has CR LF lines of bounded length, 7-bit unless UTF-8 was
 * asked for, one group of fields a recipient, and no part that we did not write.
 */
#include "config.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "submitd/send/dsn.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static size_t
fuzz_count(const char *text, const char *what)
{
	size_t n = 0;

	while ((text = strstr(text, what)) != NULL) {
		n++;
		text += strlen(what);
	}
	return n;
}

static void
fuzz_check_lines(const char *text, bool utf8)
{
	size_t column = 0;

	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '\r' && p[1] == '\n') {
			p++;
			column = 0;
			continue;
		}
		if ((*p < 0x20 || *p > 0x7e) && *p != '\t' &&
		    !(utf8 && (unsigned char)*p >= 0x80))
			abort();
		if (++column > 998)
			abort();
	}
	if (column != 0)
		abort();
}

/* The part of the report that the input can't have written by its headers. */
static void
fuzz_check_fields(char *text, size_t covered, bool global)
{
	char *end = strstr(text, global ?
	    "\r\nContent-Type: message/global" :
	    "\r\nContent-Type: text/rfc822-headers\r\n");

	if (end == NULL)
		abort();
	*end = '\0';
	if (fuzz_count(text, "\r\nFinal-Recipient:") != covered ||
	    fuzz_count(text, "\r\nAction:") != covered ||
	    fuzz_count(text, "\r\n--") != 3)
		abort();
}

/* All of it, from its parts. */
static void
fuzz_build(const struct dsn *d, struct buf *b)
{
	struct dsn_writer w;
	struct buf part;

	buf_init(&part, DSN_PART_MAX);
	if (dsn_begin(d, &w) != 0 || w.covered != d->n_rcpts)
		abort();
	do {
		buf_clear(&part);
		if (dsn_next(d, &w, &part) != 0 || buf_append(b,
		    buf_data(&part), buf_len(&part)) != 0)
			abort();
	} while (buf_len(&part) > 0);
	if (buf_len(b) != w.octets)
		abort();
	dsn_end(&w);
	buf_free(&part);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	/* The input: the kind and more, the reply, NUL, the headers. */
	static char orcpt[] = "rfc822;a+2B@there.test",
	    utf8[] = "utf-8;\\x{E4}@there.test";
	uint8_t how = len > 0 ? *data : 0;
	size_t n = len > 0 ? strnlen((const char *)data, len) : 0;
	char reply[OUTCOME_TEXT_MAX + 1], *raw = strndup((const char *)data, n);
	char *headers = malloc(len - n + 1), *text;
	struct outcome_rcpt rcpts[2] = {
		{ .address = how & 4 ? "\xc3\xa4@there.test" : "a@there.test",
		  .dsn = { 0, how & 8 ? orcpt : utf8 }, .remote = true,
		  .relay = "hop.test[192.0.2.1]:25",
		  .text = reply, .kind = how % DSN_KIND__COUNT / 2 },
		{ .address = "b@there.test", .remote = false, .text = raw,
		  .kind = how % DSN_KIND__COUNT },
	};
	struct dsn d = { .hostname = "mx.here.test", .queue_id = "q",
		.sender = "s@here.test",
		.rcpts = rcpts, .n_rcpts = 2, .headers = headers,
		.headers_len = len - n, .by_s = how,
		.envid = how & 16 ? "Q+2B" : NULL, .smtputf8 = how & 32,
		.full = (how & 96) == 96 };
	struct buf b;

	if (raw == NULL || headers == NULL || len > DSN_HEADERS_MAX)
		goto out;
	if (len > n)
		memcpy(headers, data + n, len - n);
	outcome_print(reply, sizeof(reply), raw, n);
	buf_init(&b, DSN_MAX);
	/* Texts as they come from elsewhere than outcome_print() are not longer
	 * than that either. */
	if (n > OUTCOME_TEXT_MAX)
		raw[OUTCOME_TEXT_MAX] = '\0';
	fuzz_build(&d, &b);
	text = strndup((const char *)buf_data(&b), buf_len(&b));
	if (text == NULL || (!d.full && strlen(text) != buf_len(&b)))
		abort();
	/* What comes back whole is the sender's own, whatever it is. */
	if (!d.full)
		fuzz_check_lines(text, d.smtputf8 || how & 4);
	fuzz_check_fields(text, d.n_rcpts, d.smtputf8);
	free(text);
	buf_free(&b);
out:
	free(raw);
	free(headers);
	return 0;
}
