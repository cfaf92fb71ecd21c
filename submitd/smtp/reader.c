/*
 * reader.c - see reader.h. Pure; runs in submitd-smtp on hostile input.
 */
#include "config.h"
#include "submitd/smtp/reader.h"

#include <string.h>

/* The state behind one octet, outside of the fast path. */
static enum smtp_reader_state
reader_step(struct smtp_reader *r, uint8_t c)
{
	if (c == '\n' && r->state == SMTP_READER_CR)
		return SMTP_READER_START;
	if (c == '\n' && r->state == SMTP_READER_DOT_CR)
		return SMTP_READER_END;
	/* After a CR anything but LF makes it a bare one. */
	if (r->state == SMTP_READER_CR || r->state == SMTP_READER_DOT_CR)
		r->broken = true;
	if (c == '\n' || c == '\0')
		r->broken = true;
	if (c == '\r')
		return r->state == SMTP_READER_DOT ? SMTP_READER_DOT_CR :
		    SMTP_READER_CR;
	if (c == '.' && r->state == SMTP_READER_START)
		return SMTP_READER_DOT;
	return SMTP_READER_TEXT;
}

/* So many octets more are in the line. */
static void
reader_line(struct smtp_reader *r, uint64_t octets)
{
	r->line += octets;
	if (r->line > r->longest)
		r->longest = r->line;
}

/* Whole lines and parts of lines in which nothing is to be left out: from the
 * start or the middle of a line up to a dot at a line's start, an odd CR or LF,
 * or the end. Returns its length, which may be 0. */
static size_t
reader_plain(struct smtp_reader *r, const uint8_t *p, size_t len)
{
	const uint8_t *q = p, *end = p + len, *nl;

	for (;;) {
		if (q == end || (r->state == SMTP_READER_START && *q == '.'))
			break;
		nl = memchr(q, '\n', (size_t)(end - q));
		if (nl == NULL || nl == q || nl[-1] != '\r' ||
		    memchr(q, '\r', (size_t)(nl - 1 - q)) != NULL)
			break;
		reader_line(r, (uint64_t)(nl + 1 - q));
		r->line = 0;
		q = nl + 1;
		r->state = SMTP_READER_START;
	}
	return (size_t)(q - p);
}

size_t
smtp_reader_next(struct smtp_reader *r, const uint8_t *p, size_t len,
    struct smtp_run *ret)
{
	size_t n = 0, keep_from = 0;

	ret->p = p;
	ret->len = 0;
	if (r->state == SMTP_READER_END)
		return 0;
	if (r->state == SMTP_READER_START || r->state == SMTP_READER_TEXT)
		n = reader_plain(r, p, len);
	if (n > 0) {
		if (memchr(p, '\0', n) != NULL)
			r->broken = true;
		ret->len = n;
		r->octets += n;
		return n;
	}
	/* Octet by octet to the end of this line (or of the piece). */
	do {
		r->state = reader_step(r, p[n++]);
		if (r->state == SMTP_READER_DOT ||
		    r->state == SMTP_READER_DOT_CR)
			keep_from = n;		/* dropped, for now at least */
	} while (n < len && r->state != SMTP_READER_START &&
	    r->state != SMTP_READER_END);
	if (r->state == SMTP_READER_END)
		return n;
	/* A CR behind a dot that turned out bare is lost: the message is
	 * broken then and will not be kept. */
	ret->p = p + keep_from;
	ret->len = n - keep_from;
	r->octets += ret->len;
	reader_line(r, ret->len);
	if (r->state == SMTP_READER_START)
		r->line = 0;
	return n;
}

void
smtp_reader_chunk(struct smtp_reader *r, const uint8_t *p, size_t len)
{
	const uint8_t *end = p + len, *from = p, *q;

	r->octets += len;
	if (len == 0)
		return;
	if (memchr(p, '\0', len) != NULL)
		r->broken = true;
	/* A CR and its LF may stand in two pieces. */
	if ((r->state == SMTP_READER_CR) != (*p == '\n'))
		r->broken = true;
	for (q = p; (q = memchr(q, '\r', (size_t)(end - q))) != NULL; q++)
		if (q + 1 < end && q[1] != '\n')
			r->broken = true;
	for (q = p; q < end && (q = memchr(q, '\n',
	    (size_t)(end - q))) != NULL; q++) {
		if (q > p && q[-1] != '\r')
			r->broken = true;
		reader_line(r, (uint64_t)(q + 1 - from));
		r->line = 0;
		from = q + 1;
	}
	reader_line(r, (uint64_t)(end - from));
	r->state = end[-1] == '\r' ? SMTP_READER_CR :
	    end[-1] == '\n' ? SMTP_READER_START : SMTP_READER_TEXT;
}

bool
smtp_reader_chunks_end(struct smtp_reader *r)
{
	if (r->state == SMTP_READER_CR)
		r->broken = true;
	return r->state == SMTP_READER_TEXT;
}
