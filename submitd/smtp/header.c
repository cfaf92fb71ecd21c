/*
 * header.c - see header.h. Pure; runs in submitd-smtp on hostile input.
 *
 *   START -> LINE	a field's name and its colon, or a folded line
 *   LINE -> START	the LF
 *   START -> BODY	the empty line, or a line that is no field
 */
#include "config.h"
#include "submitd/smtp/header.h"

#include <string.h>

#include "lib/clock.h"
#include "lib/str.h"

void
smtp_header_begin(struct smtp_header *h, int64_t now_s, const char *id,
    const char *host, smtp_header_fn *emit, void *ctx)
{
	memset(h, 0, sizeof(*h));
	h->now_s = now_s;
	h->id = id;
	h->host = host;
	h->emit = emit;
	h->ctx = ctx;
}

static void
header_emit_str(struct smtp_header *h, const char *s)
{
	h->emit(h->ctx, s, strlen(s));
}

static void
header_add_missing(struct smtp_header *h)
{
	char date[CLOCK_DATE_SIZE];

	if (!h->has_date) {
		clock_date(h->now_s, date);
		header_emit_str(h, "Date: ");
		header_emit_str(h, date);
		header_emit_str(h, "\r\n");
	}
	if (!h->has_message_id) {
		header_emit_str(h, "Message-ID: <");
		header_emit_str(h, h->id);
		header_emit_str(h, "@");
		header_emit_str(h, h->host);
		header_emit_str(h, ">\r\n");
	}
}

static void
header_release_held(struct smtp_header *h)
{
	if (h->n_held > 0)
		h->emit(h->ctx, h->held, h->n_held);
	h->n_held = 0;
}

/* The held octets, and what follows, are no header any more. */
static void
header_leave(struct smtp_header *h, bool empty_line)
{
	header_add_missing(h);
	/* Content without any header: its first line must not become one, or
	 * be read as part of what we add. */
	if (!h->in_section && !empty_line)
		header_emit_str(h, "\r\n");
	header_release_held(h);
	h->state = SMTP_HEADER_BODY;
}

/* held[] is "Name:", perhaps with white space before the colon, as old
 * programs have it (RFC 5322 section 4.5). */
static void
header_note_name(struct smtp_header *h)
{
	size_t n = h->n_held - 1;

	while (n > 0 && (h->held[n - 1] == ' ' || h->held[n - 1] == '\t'))
		n--;
	if (str_ieq_n("Date", (const char *)h->held, n))
		h->has_date = true;
	else if (str_ieq_n("Message-ID", (const char *)h->held, n))
		h->has_message_id = true;
	h->in_section = true;
	h->state = SMTP_HEADER_LINE;
}

static bool
header_in_name(const struct smtp_header *h, uint8_t c)
{
	uint8_t prev = h->n_held > 1 ? h->held[h->n_held - 2] : 'x';

	if (h->n_held > SMTP_HEADER_NAME_MAX)
		return false;
	if (c == ' ' || c == '\t')
		return h->n_held > 1;
	return c > ' ' && c < 0x7f && prev != ' ' && prev != '\t';
}

/* One more octet at the start of a line. */
static void
header_start(struct smtp_header *h, uint8_t c)
{
	h->held[h->n_held++] = c;
	if (h->n_held == 1 && c == '\r')
		return;
	if (h->n_held == 2 && h->held[0] == '\r') {
		header_leave(h, c == '\n');
	} else if (h->n_held == 1 && (c == ' ' || c == '\t') &&
	    h->in_section) {
		h->state = SMTP_HEADER_LINE;
		header_release_held(h);
	} else if (c == ':' && h->n_held > 1) {
		header_note_name(h);
		header_release_held(h);
	} else if (!header_in_name(h, c)) {
		header_leave(h, false);
	}
}

/* Within a header line: up to and with its LF. */
static size_t
header_line(struct smtp_header *h, const uint8_t *p, size_t len)
{
	const uint8_t *nl = memchr(p, '\n', len);
	size_t n = nl != NULL ? (size_t)(nl - p) + 1 : len;

	h->emit(h->ctx, p, n);
	if (nl != NULL)
		h->state = SMTP_HEADER_START;
	return n;
}

void
smtp_header_put(struct smtp_header *h, const uint8_t *p, size_t len)
{
	size_t n;

	while (len > 0) {
		switch (h->state) {
		case SMTP_HEADER_START:
			header_start(h, *p);
			n = 1;
			break;
		case SMTP_HEADER_LINE:
			n = header_line(h, p, len);
			break;
		default:
			h->emit(h->ctx, p, len);
			return;
		}
		p += n;
		len -= n;
	}
}

void
smtp_header_end(struct smtp_header *h)
{
	if (h->state == SMTP_HEADER_BODY)
		return;
	/* A complete message ends with a line end, so that START with nothing
	 * held is what is met here; the rest is for cut ones in tests. */
	if (h->state == SMTP_HEADER_LINE)
		header_emit_str(h, "\r\n");
	if (h->n_held > 0)
		header_leave(h, false);
	else
		header_add_missing(h);
	h->state = SMTP_HEADER_BODY;
}
