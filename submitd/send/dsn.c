/*
 * dsn.c - the report to a sender that a message could not be delivered.
 *
 * Runs in submitd-send. It is written for a person first: what happened, to
 * whom, in the other server's words, and what to do now. See dsn.h.
 */
#include "config.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "submitd/send/dsn.h"

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/str.h"

#define DSN_COLUMNS	72u
#define DSN_LINE_MAX	990u		/* RFC 5322 section 2.1.1: 998 */
#define DSN_RCPTS_MAX	20000u		/* octets that recipients may take, in
					 * each of the two parts */
#define DSN_TAIL	200u		/* the closing boundary */

/* ---------------------------------------------------------------- pieces -- */

/* Where the line that begins at `s` is best broken. */
static size_t
dsn_break(const char *s, size_t len, size_t room)
{
	size_t at = 0;

	if (len <= room)
		return len;
	for (size_t i = 1; i < len && i <= DSN_LINE_MAX; i++) {
		if (s[i] != ' ')
			continue;
		if (i > room && at > 0)
			break;
		at = i;
		if (i > room)
			break;
	}
	if (at == 0)
		at = len < DSN_LINE_MAX ? len : DSN_LINE_MAX;
	return at;
}

int
dsn_put_folded(struct buf *b, const char *text, const char *indent)
{
	size_t left = strlen(text);
	int r = 0;

	while (left > 0 && r == 0) {
		size_t n = dsn_break(text, left, DSN_COLUMNS - 12);

		for (size_t i = 0; i < n && r == 0; i++) {
			char c = text[i];

			if (c < 0x20 || c > 0x7e)
				c = '?';
			r = buf_append(b, &c, 1);
		}
		text += n;
		left -= n;
		while (left > 0 && *text == ' ') {
			text++;
			left--;
		}
		if (left > 0 && r == 0)
			r = buf_printf(b, "\r\n%s", indent);
	}
	return r != 0 ? r : buf_append(b, "\r\n", 2);
}

static int
dsn_put_header_line(struct buf *b, const char *p, size_t len)
{
	char line[DSN_LINE_MAX + 2];

	if (len > DSN_LINE_MAX)
		len = DSN_LINE_MAX;
	for (size_t i = 0; i < len; i++)
		line[i] = (p[i] >= 0x20 && p[i] < 0x7f) || p[i] == '\t' ?
		    p[i] : '?';
	memcpy(line + len, "\r\n", 2);
	return buf_append(b, line, len + 2);
}

int
dsn_put_headers(struct buf *b, const char *p, size_t len, size_t max)
{
	size_t begin = buf_len(b);

	while (len > 0) {
		const char *end = memchr(p, '\n', len);
		size_t n, whole;
		int r;

		if (end == NULL)
			break;		/* the cut went through this line */
		whole = (size_t)(end - p) + 1;
		n = whole - 1;
		if (n > 0 && p[n - 1] == '\r')
			n--;
		if (n == 0 || buf_len(b) - begin + n + 2 > max)
			break;
		if ((r = dsn_put_header_line(b, p, n)) != 0)
			return r;
		p += whole;
		len -= whole;
	}
	return 0;
}

char *
dsn_read_headers(int fd, uint64_t offset, uint64_t octets, size_t *ret_len)
{
	size_t want = octets < DSN_HEADERS_MAX ? (size_t)octets :
	    DSN_HEADERS_MAX, n = 0;
	char *p = malloc(want + 1), *end;
	ssize_t got = 1;

	*ret_len = 0;
	if (p == NULL)
		return NULL;
	while (n < want && got > 0) {
		got = pread(fd, p + n, want - n, (off_t)(offset + n));
		if (got > 0)
			n += (size_t)got;
	}
	if ((end = memmem(p, n, "\r\n\r\n", 4)) != NULL)
		n = (size_t)(end - p) + 2;
	*ret_len = n;
	return p;
}

/* ---------------------------------------------------------------- report -- */

/* "HOST" of "HOST[IP]:PORT". */
static size_t
dsn_relay_host(const char *relay)
{
	size_t n = strcspn(relay, "[");

	return n > 0 ? n : strlen(relay);
}

static int
dsn_put_person(const struct dsn *d, const struct outcome_rcpt *r,
    struct buf *b)
{
	int e;

	if ((e = buf_printf(b, "\r\n  <%s>\r\n", r->address)) != 0)
		return e;
	if (r->remote && d->relay[0] != '\0' &&
	    (e = buf_printf(b, "    the answer of %s:\r\n", d->relay)) != 0)
		return e;
	if ((e = buf_append(b, "    ", 4)) != 0)
		return e;
	return dsn_put_folded(b, outcome_text(r), "    ");
}

static int
dsn_put_status(const struct dsn *d, const struct outcome_rcpt *r,
    struct buf *b)
{
	char status[OUTCOME_STATUS_SIZE];
	int e;

	if (!outcome_status(outcome_text(r), '5', status) &&
	    !outcome_status(outcome_text(r), '4', status))
		strcpy(status, "5.0.0");
	e = buf_printf(b, "\r\nFinal-Recipient: rfc822; %s\r\nAction: failed\r\n"
	    "Status: %s\r\n", r->address, status);
	if (e == 0 && r->remote && d->relay[0] != '\0')
		e = buf_printf(b, "Remote-MTA: dns; %.*s\r\n",
		    (int)dsn_relay_host(d->relay), d->relay);
	if (e == 0)
		e = buf_printf(b, "Diagnostic-Code: %s; ",
		    r->remote ? "smtp" : "x-submitd");
	return e != 0 ? e : dsn_put_folded(b, outcome_text(r), "    ");
}

/* Recipients while they fit; *ret is how many. */
static int
dsn_put_rcpts(const struct dsn *d, struct buf *b, size_t n,
    int (*put)(const struct dsn *, const struct outcome_rcpt *, struct buf *),
    size_t *ret)
{
	size_t begin = buf_len(b), i;
	int r;

	for (i = 0; i < n; i++) {
		if (i > 0 && buf_len(b) - begin > DSN_RCPTS_MAX - 2048)
			break;
		if ((r = put(d, &d->rcpts[i], b)) != 0)
			return r;
	}
	*ret = i;
	return 0;
}

static int
dsn_put_top(const struct dsn *d, const char *boundary, struct buf *b)
{
	char date[CLOCK_DATE_SIZE], id[STR_ID_SIZE];

	clock_date(d->now_s, date);
	str_id(id);
	return buf_printf(b,
	    "Date: %s\r\n"
	    "From: Mail Delivery System <MAILER-DAEMON@%s>\r\n"
	    "To: <%s>\r\n"
	    "Subject: Your message could not be delivered\r\n"
	    "Message-ID: <%s.%s@%s>\r\n"
	    "Auto-Submitted: auto-replied\r\n"
	    "MIME-Version: 1.0\r\n"
	    "Content-Type: multipart/report; report-type=delivery-status;\r\n"
	    "    boundary=\"%s\"\r\n"
	    "\r\n"
	    "This is a report in MIME format.\r\n",
	    date, d->hostname, d->sender, d->queue_id, id, d->hostname,
	    boundary);
}

static int
dsn_put_text(const struct dsn *d, const char *boundary, struct buf *b,
    size_t *ret_covered)
{
	char date[CLOCK_DATE_SIZE];
	int r;

	clock_date(d->arrived_s, date);
	if ((r = buf_printf(b,
	    "\r\n--%s\r\n"
	    "Content-Type: text/plain; charset=us-ascii\r\n"
	    "\r\n"
	    "This is the mail server %s.\r\n"
	    "\r\n"
	    "Your message of %s\r\n"
	    "could not be delivered to:\r\n", boundary, d->hostname,
	    date)) != 0 ||
	    (r = dsn_put_rcpts(d, b, d->n_rcpts, dsn_put_person,
	    ret_covered)) != 0 ||
	    (r = buf_printf(b, "\r\n"
	    "No further attempt will be made. Its other recipients, if it has "
	    "any,\r\n"
	    "are not affected. The message's headers are attached; its number "
	    "in our\r\n"
	    "log is %s.\r\n", d->queue_id)) != 0)
		return r;
	if (d->help_text == NULL || d->help_text[0] == '\0')
		return 0;
	if ((r = buf_printf(b, "\r\nHelp: ")) != 0)
		return r;
	return dsn_put_folded(b, d->help_text, "    ");
}

static int
dsn_put_statuses(const struct dsn *d, const char *boundary, struct buf *b,
    size_t *ret_covered)
{
	char date[CLOCK_DATE_SIZE];
	int r;

	clock_date(d->arrived_s, date);
	if ((r = buf_printf(b,
	    "\r\n--%s\r\n"
	    "Content-Type: message/delivery-status\r\n"
	    "\r\n"
	    "Reporting-MTA: dns; %s\r\n"
	    "X-Submitd-Queue-ID: %s\r\n"
	    "Arrival-Date: %s\r\n", boundary, d->hostname, d->queue_id,
	    date)) != 0)
		return r;
	return dsn_put_rcpts(d, b, *ret_covered, dsn_put_status, ret_covered);
}

int
dsn_build(const struct dsn *d, struct buf *ret, size_t *ret_covered)
{
	char boundary[2 * STR_ID_SIZE + 4], a[STR_ID_SIZE], b[STR_ID_SIZE];
	struct buf head;
	size_t covered = d->n_rcpts;
	int r;

	/* 80 random bits that no message could know. */
	str_id(a);
	str_id(b);
	snprintf(boundary, sizeof(boundary), "=_%s.%s", a, b);
	/* Each of the two parts may have room for fewer than the other. */
	buf_init(&head, DSN_MAX);
	r = dsn_put_statuses(d, boundary, &head, &covered);
	buf_free(&head);
	if (r == 0 && (r = dsn_put_top(d, boundary, ret)) == 0) {
		struct dsn part = *d;

		part.n_rcpts = covered;
		r = dsn_put_text(&part, boundary, ret, &covered);
	}
	if (r == 0)
		r = dsn_put_statuses(d, boundary, ret, &covered);
	if (r == 0)
		r = buf_printf(ret, "\r\n--%s\r\n"
		    "Content-Type: text/rfc822-headers\r\n\r\n", boundary);
	if (r == 0 && d->headers != NULL)
		r = dsn_put_headers(ret, d->headers, d->headers_len,
		    DSN_MAX - DSN_TAIL - buf_len(ret));
	if (r == 0)
		r = buf_printf(ret, "\r\n--%s--\r\n", boundary);
	*ret_covered = covered;
	return r;
}
