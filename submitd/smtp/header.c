/*
 * header.c - see header.h: the lines of the header section. Pure; runs in
 * submitd-smtp on hostile input.
 *
 *   START -> LINE	a field's name and its colon, or a folded line
 *   LINE -> START	the LF
 *   START -> ASK, BODY	the empty line, or a line that is no field
 *   ASK -> BODY	the answer
 */
#include "config.h"
#include "submitd/smtp/header.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "submitd/smtp/from.h"

void
smtp_header_begin(struct smtp_header *h, const struct smtp_header_rules *rules,
    smtp_header_fn *emit, void *ctx)
{
	memset(h, 0, sizeof(*h));
	h->rules = *rules;
	h->emit = emit;
	h->ctx = ctx;
	buf_init(&h->text, SMTP_FROM_OCTETS_MAX + 2);
	buf_init(&h->late, rules->conf->header_size_limit + 4096);
}

void
smtp_header_free(struct smtp_header *h)
{
	for (size_t i = 0; i < h->n_addresses; i++)
		free(h->addresses[i]);
	free(h->addresses);
	h->addresses = NULL;
	h->n_addresses = 0;
	buf_free(&h->text);
	buf_free(&h->late);
}

void
smtp_header_out(struct smtp_header *h, const void *p, size_t len)
{
	if (!h->holding)
		h->emit(h->ctx, p, len);
	else if (buf_append(&h->late, p, len) != 0)
		smtp_header_fail(h, SMTP_HEADER_MEMORY, "", 0);
}

/* Octets of the field at hand. */
static void
header_pass(struct smtp_header *h, const void *p, size_t len)
{
	if (h->dropping)
		return;
	if (h->reading && buf_append(&h->text, p, len) != 0)
		h->n_in_field = UINT_MAX;	/* too long to be read */
	smtp_header_out(h, p, len);
}

static void
header_release_held(struct smtp_header *h)
{
	size_t n = h->n_held;

	h->n_held = 0;
	header_pass(h, h->held, n);
}

/* The held octets, and what follows, are no header any more. */
static void
header_leave(struct smtp_header *h, bool empty_line)
{
	h->empty_line = empty_line;
	smtp_header_judge(h);
}

static bool
header_in_name(struct smtp_header *h, uint8_t c)
{
	if (h->n_held > SMTP_HEADER_NAME_MAX || c == '\r' || c == ':')
		return false;
	if (c == ' ' || c == '\t') {
		h->space = true;
		return h->n_held > 1;
	}
	if (c < ' ' || c > '~')
		h->odd = true;
	return !h->space;
}

static void
header_name(struct smtp_header *h)
{
	size_t n = h->n_held - 1;

	while (n > 0 && (h->held[n - 1] == ' ' || h->held[n - 1] == '\t'))
		n--;
	if (h->odd)
		smtp_header_fail(h, SMTP_HEADER_NAME, (char *)h->held, n);
	else if (h->space)
		smtp_header_fail(h, SMTP_HEADER_SPACE, (char *)h->held, n);
	if (++h->fields > h->rules.conf->header_count_limit)
		smtp_header_fail(h, SMTP_HEADER_COUNT, "", 0);
	h->in_section = true;
	h->state = SMTP_HEADER_LINE;
	smtp_header_field_begin(h);
}

/* One more octet at the start of a line. */
static void
header_start(struct smtp_header *h, uint8_t c)
{
	h->held[h->n_held++] = c;
	if (h->n_held == 1 && (c == ' ' || c == '\t') && h->in_section) {
		h->state = SMTP_HEADER_LINE;
		header_release_held(h);
		return;
	}
	if (h->n_held == 1) {
		smtp_header_field_end(h);
		h->space = h->odd = false;
		if (c == '\r')
			return;
	}
	if (h->n_held == 2 && h->held[0] == '\r') {
		header_leave(h, c == '\n');
	} else if (c == ':' && h->n_held > 1) {
		header_name(h);
		/* The name is not the field's body. */
		bool reading = h->reading;

		h->reading = false;
		header_release_held(h);
		h->reading = reading;
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

	header_pass(h, p, n);
	if (nl != NULL)
		h->state = SMTP_HEADER_START;
	return n;
}

size_t
smtp_header_put(struct smtp_header *h, const uint8_t *p, size_t len)
{
	size_t n, used = 0;

	while (used < len && h->state < SMTP_HEADER_ASK) {
		n = 1;
		if (h->state == SMTP_HEADER_START)
			header_start(h, p[used]);
		else
			n = header_line(h, p + used, len - used);
		used += n;
		h->octets += n;
		if (h->octets > h->rules.conf->header_size_limit &&
		    h->state < SMTP_HEADER_ASK)
			smtp_header_fail(h, SMTP_HEADER_SIZE, "", 0);
		if (h->found.fault != SMTP_HEADER_OK)
			return len;
	}
	if (h->state == SMTP_HEADER_BODY && used < len) {
		h->emit(h->ctx, p + used, len - used);
		used = len;
	}
	return used;
}

void
smtp_header_end(struct smtp_header *h)
{
	if (h->state >= SMTP_HEADER_ASK || h->found.fault != SMTP_HEADER_OK)
		return;
	/* A complete message ends with a line end, so that START with nothing
	 * held is what is met here; the rest is for cut ones in tests. */
	if (h->state == SMTP_HEADER_LINE)
		header_pass(h, "\r\n", 2);
	if (h->n_held == 0)
		smtp_header_field_end(h);
	header_leave(h, h->n_held == 0);
}
