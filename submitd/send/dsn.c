/*
 * dsn.c - reports to a sender of what became of his message.
 *
 * Runs in submitd-send. It is written for a person first: what happened, to
 * whom, in the other server's words, and what to do now. See dsn.h.
 */
#include "config.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "submitd/send/dsn.h"

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/str.h"
#include "lib/xtext.h"

#define DSN_COLUMNS	72u
#define DSN_LINE_MAX	990u		/* RFC 5322 section 2.1.1: 998 */
#define DSN_WORD_MAX	900u		/* behind a field's name or an indent */
#define DSN_OTHERS_MAX	65536u		/* octets of all but the recipients */
#define DSN_8BIT	"Content-Transfer-Encoding: 8bit\r\n"

/* ---------------------------------------------------------------- pieces -- */

/* Where the line that begins at `s` is best broken. */
static size_t
dsn_break(const char *s, size_t len, size_t room)
{
	size_t at = 0;

	if (len <= room)
		return len;
	for (size_t i = 1; i < len && i <= DSN_WORD_MAX; i++) {
		if (s[i] != ' ')
			continue;
		if (i > room && at > 0)
			break;
		at = i;
		if (i > room)
			break;
	}
	if (at == 0)
		at = len < DSN_WORD_MAX ? len : DSN_WORD_MAX;
	return at;
}

int
dsn_put_folded(struct buf *b, const char *text, const char *indent)
{
	size_t left = strlen(text);
	int r = 0;

	while (left > 0 && r == 0) {
		size_t n = dsn_break(text, left, DSN_COLUMNS - 12);
		char line[DSN_WORD_MAX];

		for (size_t i = 0; i < n; i++)
			line[i] = text[i] >= 0x20 && text[i] <= 0x7e ?
			    text[i] : '?';
		r = buf_append(b, line, n);
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
dsn_put_header_line(struct buf *b, const char *p, size_t len, bool utf8)
{
	char line[DSN_LINE_MAX + 2];

	if (len > DSN_LINE_MAX)
		len = DSN_LINE_MAX;
	utf8 = utf8 && str_is_utf8(p, len);
	for (size_t i = 0; i < len; i++)
		line[i] = (p[i] >= 0x20 && p[i] < 0x7f) || p[i] == '\t' ||
		    (utf8 && (unsigned char)p[i] >= 0x80) ? p[i] : '?';
	memcpy(line + len, "\r\n", 2);
	return buf_append(b, line, len + 2);
}

int
dsn_put_headers(struct buf *b, const char *p, size_t len, size_t max,
    bool utf8)
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
		if ((r = dsn_put_header_line(b, p, n, utf8)) != 0)
			return r;
		p += whole;
		len -= whole;
	}
	return 0;
}

/* The first `want` octets, or what can be read of them. */
static char *
dsn_read(int fd, uint64_t offset, size_t want, size_t *ret_len)
{
	char *p = malloc(want + 1);
	ssize_t got = 1;
	size_t n = 0;

	*ret_len = 0;
	if (p == NULL)
		return NULL;
	while (n < want && got > 0) {
		got = pread(fd, p + n, want - n, (off_t)(offset + n));
		if (got > 0)
			n += (size_t)got;
	}
	*ret_len = n;
	return p;
}

char *
dsn_read_headers(int fd, uint64_t offset, uint64_t octets, size_t *ret_len)
{
	char *p = dsn_read(fd, offset, octets < DSN_HEADERS_MAX ?
	    (size_t)octets : DSN_HEADERS_MAX, ret_len), *end;

	if (p != NULL && (end = memmem(p, *ret_len, "\r\n\r\n", 4)) != NULL)
		*ret_len = (size_t)(end - p) + 2;
	return p;
}

char *
dsn_read_full(int fd, uint64_t offset, uint64_t octets, size_t *ret_len)
{
	char *p = octets > DSN_FULL_MAX ? NULL :
	    dsn_read(fd, offset, (size_t)octets, ret_len);

	if (p != NULL && *ret_len == octets)
		return p;
	free(p);
	*ret_len = 0;
	return NULL;
}

/* ---------------------------------------------------------------- report -- */

static const struct dsn_text {
	const char	*subject;
	const char	*what;		/* "Your message of DATE …", "It …" */
	const char	*closing;	/* a sentence or two */
	const char	*action;	/* RFC 3464 section 2.3.3 */
	char		 class;		/* of its status */
} dsn_texts[DSN_KIND__COUNT] = {
	[DSN_FAILED] = { "Your message could not be delivered",
	    "could not be delivered to:",
	    "No further attempt will be made. Its other recipients, if it has "
	    "any,\r\nare not affected.", "failed", '5' },
	[DSN_DELAYED] = { "Your message is delayed",
	    "could not be delivered yet to:",
	    "It will be tried again: there is no need to send it once more.",
	    "delayed", '4' },
	[DSN_DELIVERED] = { "Your message was delivered",
	    "was delivered to:", "You have asked for this report.",
	    "delivered", '2' },
	[DSN_RELAYED] = { "Your message was passed on",
	    "was passed on to the next server, which may send no such "
	    "reports, for:",
	    "You have asked for this report. You will hear more only if the "
	    "message fails.", "relayed", '2' },
};

static bool
dsn_has_high(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)p[i] >= 0x80)
			return true;
	return false;
}

/* Some address is not ASCII. */
static bool
dsn_is_utf8(const struct dsn *d)
{
	bool high = dsn_has_high(d->sender, strlen(d->sender)) ||
	    (d->foreign != NULL && dsn_has_high(d->foreign,
	    strlen(d->foreign)));

	for (size_t i = 0; i < d->n_rcpts && !high; i++)
		high = dsn_has_high(d->rcpts[i].address,
		    strlen(d->rcpts[i].address));
	return high;
}

/* A socket's path is of nobody's concern but this server's, and no name. */
static bool
dsn_has_relay(const struct outcome_rcpt *r)
{
	return r->relay != NULL && r->relay[0] != '\0' &&
	    strncmp(r->relay, "unix:", 5) != 0;
}

/* "HOST" of "HOST[IP]:PORT". */
static size_t
dsn_relay_host(const char *relay)
{
	size_t n = strcspn(relay, "[");

	return n > 0 ? n : strlen(relay);
}

static const struct dsn_text *
dsn_text(const struct outcome_rcpt *r)
{
	return &dsn_texts[r->kind < DSN_KIND__COUNT ? r->kind : DSN_FAILED];
}

/* Goes over from what the sender has read of to this kind of news. */
static int
dsn_put_news(const struct dsn *d, const struct outcome_rcpt *r, struct buf *b)
{
	char date[CLOCK_DATE_SIZE];

	if (r != d->rcpts && r[-1].kind == r->kind)
		return 0;
	clock_date(d->arrived_s, date);
	if (r == d->rcpts && d->foreign != NULL)
		return buf_printf(b, "The message of %s,\r\nsent in your name "
		    "with the sender\r\n  <%s>,\r\n%s\r\n", date, d->foreign,
		    dsn_text(r)->what);
	return r == d->rcpts ?
	    buf_printf(b, "Your message of %s\r\n%s\r\n", date,
	    dsn_text(r)->what) :
	    buf_printf(b, "\r\n%s\r\n\r\nIt %s\r\n",
	    dsn_text(r - 1)->closing, dsn_text(r)->what);
}

/* The address in ORCPT, as text; false: none is given, or it cannot be read. */
static bool
dsn_original(const struct outcome_rcpt *r, char text[SPOOL_ORCPT_MAX + 1])
{
	const char *orcpt = r->dsn.orcpt, *semi = orcpt == NULL ? NULL :
	    strchr(orcpt, ';');

	if (semi == NULL || !str_ieq_n("rfc822", orcpt,
	    (size_t)(semi - orcpt)) || xtext_decode(text, SPOOL_ORCPT_MAX + 1,
	    semi + 1, strlen(semi + 1)) < 0)
		return false;
	return str_is_print(text, strlen(text));
}

/* What was said about him, as much of it as there is room for. */
static int
dsn_put_words(const struct dsn_writer *w, const struct outcome_rcpt *r,
    struct buf *b)
{
	const char *text = outcome_text(r);
	char cut[OUTCOME_TEXT_MAX + 4];

	if (strlen(text) <= w->words)
		return dsn_put_folded(b, text, "    ");
	memcpy(cut, text, w->words);
	strcpy(cut + w->words, "...");
	return dsn_put_folded(b, cut, "    ");
}

static int
dsn_put_person(const struct dsn *d, struct dsn_writer *w, struct buf *b)
{
	const struct outcome_rcpt *r = &d->rcpts[w->next];
	char text[SPOOL_ORCPT_MAX + 1];
	int e;

	if ((e = dsn_put_news(d, r, b)) != 0)
		return e;
	if ((e = buf_printf(b, "\r\n  <%s>\r\n", r->address)) != 0)
		return e;
	if (dsn_original(r, text) && !str_ieq(text, r->address) &&
	    ((e = buf_append(b, "    ", 4)) != 0 || (e = buf_printf(b,
	    "for mail to ")) != 0 || (e = dsn_put_folded(b, text,
	    "    ")) != 0))
		return e;
	if (r->remote && (e = buf_printf(b, "    the answer of %s:\r\n",
	    dsn_has_relay(r) ? r->relay : "the next server")) != 0)
		return e;
	if ((e = buf_append(b, "    ", 4)) != 0)
		return e;
	return dsn_put_words(w, r, b);
}

/* The address that the client said it was, and the one that we had (RFC 3464
 * sections 2.3.1 and 2.3.2; with UTF-8 as RFC 6533 section 3 has it). */
static int
dsn_put_addresses(const struct outcome_rcpt *r, struct buf *b)
{
	const char *orcpt = r->dsn.orcpt, *semi;
	char text[SPOOL_ORCPT_MAX + 1];
	bool utf8 = dsn_has_high(r->address, strlen(r->address));
	int e = 0;

	if (orcpt != NULL && (semi = strchr(orcpt, ';')) != NULL) {
		size_t type = (size_t)(semi - orcpt);
		const char *address = semi + 1;

		/* That of type utf-8 stays as it is written. */
		if (!str_ieq_n("utf-8", orcpt, type) && xtext_decode(text,
		    sizeof(text), address, strlen(address)) >= 0)
			address = text;
		e = buf_printf(b, "Original-Recipient: %.*s; %s\r\n",
		    (int)type, orcpt, address);
	}
	if (e == 0 && utf8 && xtext_utf8_write(text, sizeof(text),
	    r->address) >= 0)
		return buf_printf(b, "Final-Recipient: utf-8; %s\r\n", text);
	return e != 0 ? e :
	    buf_printf(b, "Final-Recipient: rfc822; %s\r\n", r->address);
}

static int
dsn_put_status(const struct dsn *d, struct dsn_writer *w, struct buf *b)
{
	const struct outcome_rcpt *r = &d->rcpts[w->next];
	const struct dsn_text *t = dsn_text(r);
	char status[OUTCOME_STATUS_SIZE], until[CLOCK_DATE_SIZE];
	int e;

	if (!outcome_status(outcome_text(r), t->class, status) &&
	    (r->kind != DSN_FAILED ||
	    !outcome_status(outcome_text(r), '4', status)))
		snprintf(status, sizeof(status), "%c.0.0", t->class);
	if ((e = buf_append(b, "\r\n", 2)) != 0 ||
	    (e = dsn_put_addresses(r, b)) != 0 ||
	    (e = buf_printf(b, "Action: %s\r\nStatus: %s\r\n", t->action,
	    status)) != 0)
		return e;
	if (r->remote && dsn_has_relay(r))
		e = buf_printf(b, "Remote-MTA: dns; %.*s\r\n",
		    (int)dsn_relay_host(r->relay), r->relay);
	if (e == 0 && r->kind == DSN_DELAYED) {
		clock_date(d->until_s, until);
		e = buf_printf(b, "Will-Retry-Until: %s\r\n", until);
	}
	if (e == 0)
		e = buf_printf(b, "Diagnostic-Code: %s; ",
		    r->remote ? "smtp" : "x-submitd");
	return e != 0 ? e : dsn_put_words(w, r, b);
}

static int
dsn_put_top(const struct dsn *d, struct dsn_writer *w, struct buf *b)
{
	char date[CLOCK_DATE_SIZE];

	clock_date(d->now_s, date);
	return buf_printf(b,
	    "Date: %s\r\n"
	    "From: Mail Delivery System <MAILER-DAEMON@%s>\r\n"
	    "To: <%s>\r\n"
	    "Subject: %s\r\n"
	    "Message-ID: <%s.%s@%s>\r\n"
	    "Auto-Submitted: auto-replied\r\n"
	    "MIME-Version: 1.0\r\n"
	    "Content-Type: multipart/report; report-type=delivery-status;\r\n"
	    "    boundary=\"%s\"\r\n"
	    "%s\r\n"
	    "This is a report in MIME format.\r\n",
	    date, d->hostname, d->sender, dsn_text(d->rcpts)->subject,
	    d->queue_id, w->id, d->hostname, w->boundary,
	    d->full || d->smtputf8 || w->utf8 ? DSN_8BIT : "");
}

static int
dsn_put_text(const struct dsn *d, struct dsn_writer *w, struct buf *b)
{
	return buf_printf(b,
	    "\r\n--%s\r\n"
	    "Content-Type: text/plain; charset=%s\r\n"
	    "%s\r\n"
	    "This is the mail server %s.\r\n"
	    "\r\n", w->boundary, w->utf8 ? "utf-8" : "us-ascii",
	    w->utf8 ? DSN_8BIT : "", d->hostname);
}

static int
dsn_put_closing(const struct dsn *d, struct dsn_writer *w, struct buf *b)
{
	int r;

	if ((r = buf_printf(b, "\r\n"
	    "%s\r\n"
	    "The message%s attached; its number in our\r\n"
	    "log is %s.\r\n", dsn_text(&d->rcpts[w->covered - 1])->closing,
	    d->full ? " is" : "'s headers are", d->queue_id)) != 0)
		return r;
	if (d->help_text == NULL || d->help_text[0] == '\0' ||
	    dsn_text(d->rcpts)->class == '2')
		return 0;
	if ((r = buf_printf(b, "\r\nHelp: ")) != 0)
		return r;
	return dsn_put_folded(b, d->help_text, "    ");
}

/* What the sender asked for by time (RFC 4865 and RFC 2852). */
static int
dsn_put_times(const struct dsn *d, struct buf *b)
{
	time_t until = (time_t)d->hold_until_s;
	char date[CLOCK_DATE_SIZE];
	struct tm tm;
	int r;

	if (d->hold_until_s > 0 && gmtime_r(&until, &tm) != NULL &&
	    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &tm) > 0 &&
	    (r = buf_printf(b, "Future-Release-Request: until;%s\r\n",
	    date)) != 0)
		return r;
	clock_date(d->by_s, date);
	return d->by_s <= 0 ? 0 : buf_printf(b, "Deliver-By-Date: %s\r\n",
	    date);
}

/* The fields of the whole message. */
static int
dsn_put_fields(const struct dsn *d, struct dsn_writer *w, struct buf *b)
{
	char date[CLOCK_DATE_SIZE], envid[SPOOL_ENVID_MAX + 1] = "";
	int r;

	clock_date(d->arrived_s, date);
	if ((r = buf_printf(b,
	    "\r\n--%s\r\n"
	    "Content-Type: message/delivery-status\r\n"
	    "\r\n", w->boundary)) != 0)
		return r;
	if (d->envid != NULL && xtext_decode(envid, sizeof(envid), d->envid,
	    strlen(d->envid)) > 0 && (r = buf_printf(b,
	    "Original-Envelope-Id: %s\r\n", envid)) != 0)
		return r;
	if ((r = buf_printf(b,
	    "Reporting-MTA: dns; %s\r\n"
	    "X-Submitd-Queue-ID: %s\r\n"
	    "Arrival-Date: %s\r\n", d->hostname, d->queue_id, date)) != 0)
		return r;
	return dsn_put_times(d, b);
}

/* The message, or its headers. */
static int
dsn_put_message(const struct dsn *d, struct dsn_writer *w, struct buf *b)
{
	int r;

	if (d->full) {
		if ((r = buf_printf(b, "\r\n--%s\r\n"
		    "Content-Type: message/%s\r\n" DSN_8BIT "\r\n",
		    w->boundary, d->smtputf8 ? "global" : "rfc822")) != 0)
			return r;
		return buf_append(b, d->headers, d->headers_len);
	}
	if ((r = buf_printf(b, "\r\n--%s\r\nContent-Type: %s\r\n\r\n",
	    w->boundary, d->smtputf8 ? "message/global-headers\r\n"
	    "Content-Transfer-Encoding: 8bit" : "text/rfc822-headers")) != 0 ||
	    d->headers == NULL)
		return r;
	return dsn_put_headers(b, d->headers, d->headers_len, DSN_HEADERS_MAX,
	    d->smtputf8);
}

static int
dsn_put_last(const struct dsn *d, struct dsn_writer *w, struct buf *b)
{
	(void)d;
	return buf_printf(b, "\r\n--%s--\r\n", w->boundary);
}

/* ---------------------------------------------------------------- writing -- */

/* What it is written of, each small enough for a part. */
static const struct dsn_stage {
	int	(*put)(const struct dsn *d, struct dsn_writer *w,
		    struct buf *b);
	bool	 each;			/* of the recipients */
} dsn_stages[] = {
	{ dsn_put_top, false },
	{ dsn_put_text, false },
	{ dsn_put_person, true },
	{ dsn_put_closing, false },
	{ dsn_put_fields, false },
	{ dsn_put_status, true },
	{ dsn_put_message, false },
	{ dsn_put_last, false },
};

#define DSN_STAGES (sizeof(dsn_stages) / sizeof(dsn_stages[0]))

/* Octets of the stages of one kind, for the recipient w->next. */
static int
dsn_measure(const struct dsn *d, struct dsn_writer *w, bool each,
    size_t *ret)
{
	int r = 0;

	for (size_t i = 0; i < DSN_STAGES && r == 0; i++)
		if (dsn_stages[i].each == each)
			r = dsn_stages[i].put(d, w, &w->piece);
	*ret = buf_len(&w->piece);
	buf_clear(&w->piece);
	return r;
}

/* As many recipients as fit with so many words about each; their octets. */
static int
dsn_cover_with(const struct dsn *d, struct dsn_writer *w, size_t words,
    size_t *ret)
{
	size_t n;
	int r;

	w->words = words;
	*ret = 0;
	for (w->next = 0; w->next < d->n_rcpts; w->next++) {
		if ((r = dsn_measure(d, w, true, &n)) != 0)
			return r;
		if (w->next > 0 && *ret + n > DSN_MAX - DSN_OTHERS_MAX)
			break;
		*ret += n;
	}
	w->covered = w->next;
	w->next = 0;
	return 0;
}

/* All recipients, if they fit: rather fewer words about each than a report
 * more. */
static int
dsn_cover(const struct dsn *d, struct dsn_writer *w)
{
	static const size_t words[] = { OUTCOME_TEXT_MAX, 256, DSN_WORDS_MIN };
	size_t octets = 0, n;
	int r = 0;

	for (size_t i = 0; r == 0 && w->covered < d->n_rcpts &&
	    i < sizeof(words) / sizeof(words[0]); i++)
		r = dsn_cover_with(d, w, words[i], &octets);
	if (r == 0 && (r = dsn_measure(d, w, false, &n)) == 0)
		w->octets = (uint32_t)(octets + n);
	/* What is cleared is zeroed: from here on small pieces, again. */
	buf_free(&w->piece);
	return r;
}

int
dsn_begin(const struct dsn *d, struct dsn_writer *w)
{
	char a[STR_ID_SIZE], b[STR_ID_SIZE];
	int r;

	memset(w, 0, sizeof(*w));
	w->utf8 = dsn_is_utf8(d);
	str_id(w->id);
	/* 80 random bits that no message could know. */
	str_id(a);
	str_id(b);
	snprintf(w->boundary, sizeof(w->boundary), "=_%s.%s", a, b);
	buf_init(&w->piece, DSN_OTHERS_MAX);
	if ((r = dsn_cover(d, w)) != 0)
		dsn_end(w);
	return r;
}

/* Fills w->piece, unless all has been written. */
static int
dsn_load(const struct dsn *d, struct dsn_writer *w)
{
	const struct dsn_stage *stage = &dsn_stages[w->stage];
	int r;

	if (buf_len(&w->piece) > 0 || w->stage == DSN_STAGES)
		return 0;
	if ((r = stage->put(d, w, &w->piece)) != 0)
		return r;
	if (stage->each && ++w->next < w->covered)
		return 0;
	w->next = 0;
	w->stage++;
	return 0;
}

int
dsn_next(const struct dsn *d, struct dsn_writer *w, struct buf *ret)
{
	int r;

	while ((r = dsn_load(d, w)) == 0 && buf_len(&w->piece) > 0) {
		if (buf_len(ret) + buf_len(&w->piece) > DSN_PART_MAX)
			return 0;
		if ((r = buf_append(ret, buf_data(&w->piece),
		    buf_len(&w->piece))) != 0)
			return r;
		buf_clear(&w->piece);
	}
	return r;
}

void
dsn_end(struct dsn_writer *w)
{
	buf_free(&w->piece);
}
