/*
 * journal_record.c - what stands in a journal segment. See journal_record.h.
 *
 * Pure. Reads what a crash may have cut, and a disk damaged, anywhere: nothing
 * is believed before its sum fits.
 */
#include "config.h"

#include <string.h>

#include "submitd/spool/journal_record.h"

#include "lib/crc32c.h"
#include "lib/err.h"

#define JOURNAL_MAGIC 0x534a7231u	/* "SJr1" */
#define JOURNAL_SUMMED (JOURNAL_HEAD - 4)
#define JOURNAL_SECTOR 512u	/* is written whole or not at all */

uint32_t
journal_get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	    (uint32_t)p[2] << 8 | p[3];
}

void
journal_put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

uint32_t
journal_record_octets(uint32_t len)
{
	return JOURNAL_HEAD + ((len + 7) & ~7u);
}

void
journal_record_pack(const struct journal_record *r, uint32_t key,
    uint8_t dst[JOURNAL_HEAD])
{
	const uint32_t words[] = { JOURNAL_MAGIC, r->type, r->seq, r->salt,
		r->len, r->crc, r->oldest, r->stable };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		journal_put32(dst + 4 * i, words[i]);
	memset(dst + 32, 0, JOURNAL_HEAD - 32);
	memcpy(dst + 32, r->id, strnlen(r->id, JOURNAL_ID));
	journal_put32(dst + JOURNAL_SUMMED, crc32c(key, dst, JOURNAL_SUMMED));
}

int
journal_record_unpack(const uint8_t src[JOURNAL_HEAD], uint32_t key,
    struct journal_record *ret)
{
	if (journal_get32(src) != JOURNAL_MAGIC ||
	    journal_get32(src + JOURNAL_SUMMED) !=
	    crc32c(key, src, JOURNAL_SUMMED))
		return ERR_FORMAT;
	ret->type = journal_get32(src + 4);
	ret->seq = journal_get32(src + 8);
	ret->salt = journal_get32(src + 12);
	ret->len = journal_get32(src + 16);
	ret->crc = journal_get32(src + 20);
	ret->oldest = journal_get32(src + 24);
	ret->stable = journal_get32(src + 28);
	memcpy(ret->id, src + 32, JOURNAL_ID);
	ret->id[JOURNAL_ID] = '\0';
	if (ret->type < JOURNAL_SEGMENT || ret->type > JOURNAL_GONE ||
	    ret->len > INT32_MAX || ret->oldest > ret->seq ||
	    (ret->type == JOURNAL_MESSAGE && !str_is_id(ret->id)))
		return ERR_FORMAT;
	return 0;
}

/* A head of this segment at `at`; the payload may be damaged. */
static bool
journal_scan_head(const struct journal_scan *s, const uint8_t *p, uint32_t len,
    uint32_t at, struct journal_record *ret)
{
	return len - at >= JOURNAL_HEAD &&
	    journal_record_unpack(p + at, s->key, ret) == 0 && ret->seq == s->seq &&
	    ret->salt == s->salt && ret->stable <= at &&
	    ret->len <= len - at - JOURNAL_HEAD;
}

static bool
journal_scan_whole(const struct journal_record *r, const uint8_t *payload)
{
	return crc32c(0, payload, r->len) == r->crc;
}

int
journal_scan_begin(const uint8_t *p, uint32_t len, uint32_t key,
    struct journal_scan *ret)
{
	struct journal_record r;
	bool found = false;

	memset(ret, 0, sizeof(*ret));
	ret->key = key;
	if (len >= JOURNAL_HEAD && journal_record_unpack(p, key, &r) == 0) {
		ret->seq = r.seq;
		ret->salt = r.salt;
		return 0;
	}
	/* The first record is damaged, or was never there: the others know. */
	for (uint32_t at = 8; len >= JOURNAL_HEAD && at <= len - JOURNAL_HEAD;
	    at += 8) {
		if (journal_record_unpack(p + at, key, &r) != 0 ||
		    (found && r.seq <= ret->seq))
			continue;
		ret->seq = r.seq;
		ret->salt = r.salt;
		found = true;
	}
	return found ? 0 : ERR_NOTFOUND;
}

/* Where the next whole record is, from `at` on; `len` when there is none. */
static uint32_t
journal_scan_next(const struct journal_scan *s, const uint8_t *p, uint32_t len,
    uint32_t at)
{
	struct journal_record r;

	for (; at < len && len - at >= JOURNAL_HEAD; at += 8)
		if (journal_scan_head(s, p, len, at, &r) &&
		    journal_scan_whole(&r, p + at + JOURNAL_HEAD))
			return at;
	return len;
}

static void
journal_scan_gap(struct journal_scan *s, const uint8_t *p, uint32_t len,
    uint32_t from, uint32_t to)
{
	struct journal_gap *g = &s->gaps[s->n_gaps];
	struct journal_record r;

	if (s->n_gaps == JOURNAL_GAPS) {	/* all the rest is one */
		g[-1].to = to;
		g[-1].id[0] = '\0';
		return;
	}
	g->from = from;
	g->to = to;
	g->last = false;
	g->id[0] = '\0';
	if (journal_scan_head(s, p, len, from, &r) &&
	    from + journal_record_octets(r.len) == to)
		memcpy(g->id, r.id, sizeof(g->id));
	s->n_gaps++;
}

static bool
journal_scan_is_zero(const uint8_t *p, uint32_t from, uint32_t to)
{
	while (from < to && p[from] == 0)
		from++;
	return from == to;
}

/* A sector in it was never written: a crash was quicker than the disk. In a
 * segment that is used again there is something else, and no telling. */
static bool
journal_scan_is_cut(const uint8_t *p, uint32_t from, uint32_t to)
{
	uint32_t next;

	for (uint32_t at = from; at < to; at = next) {
		next = (at / JOURNAL_SECTOR + 1) * JOURNAL_SECTOR;
		if (next > to)
			next = to;
		if ((next - at >= JOURNAL_HEAD || next - at == to - from) &&
		    journal_scan_is_zero(p, at, next))
			return true;
	}
	return false;
}

/* What may have been begun at the end; its octets, or 0. */
static uint32_t
journal_scan_tail(const struct journal_scan *s, const uint8_t *p,
    uint32_t limit)
{
	const uint8_t *tail = p + s->end;
	struct journal_record r;
	uint32_t len;

	if (s->end >= limit || limit - s->end < JOURNAL_HEAD)
		return 0;
	if (journal_scan_head(s, p, limit, s->end, &r))
		return journal_record_octets(r.len);
	/* Not so by chance, in a segment that is used again. */
	if (journal_get32(tail + 8) != s->seq ||
	    journal_get32(tail + 12) != s->salt)
		return 0;
	len = journal_get32(tail + 16);
	return len > limit - s->end - JOURNAL_HEAD ? JOURNAL_HEAD :
	    journal_record_octets(len);
}

/* Batches are written while earlier ones are flushed. What is lacking behind what
 * the last record knew to be on stable storage a crash has cut, a whole batch or
 * any sectors of several; where it did not only leave something out, that is still
 * told. */
static void
journal_scan_last(struct journal_scan *s, const uint8_t *p, uint32_t limit,
    uint32_t stable)
{
	uint32_t tail = journal_scan_tail(s, p, limit);
	size_t n = 0;

	s->holes = s->n_gaps > 0 && s->gaps[s->n_gaps - 1].from >= stable;
	if (tail > limit - s->end)
		tail = limit - s->end;
	if (tail > 0)
		journal_scan_gap(s, p, limit, s->end, s->end + tail);
	for (size_t i = 0; i < s->n_gaps; i++) {
		struct journal_gap *g = &s->gaps[i];

		g->last = g->from >= stable;
		if (g->last)
			s->torn += g->to - g->from;
		if (!g->last || !journal_scan_is_cut(p, g->from, g->to))
			s->gaps[n++] = *g;
	}
	s->n_gaps = n;
}

void
journal_scan_run(struct journal_scan *s, const uint8_t *p, uint32_t len,
    uint32_t limit, journal_scan_fn *each, void *ctx)
{
	uint32_t at = 0, stable = 0;
	bool known = limit <= len && (limit & JOURNAL_TORN) == 0;
	struct journal_record r;

	limit = limit > len ? len : limit & ~7u;
	while (at < limit) {
		uint32_t next = journal_scan_next(s, p, limit, at);

		if (next > at && next < limit)
			journal_scan_gap(s, p, limit, at, next);
		if (next == limit)
			break;
		(void)journal_record_unpack(p + next, s->key, &r);
		at = next + journal_record_octets(r.len);
		s->end = at;
		stable = r.stable;
		if (r.oldest > s->oldest)
			s->oldest = r.oldest;
		if (!each(ctx, &r, next, p + next + JOURNAL_HEAD))
			return;
	}
	if (known) {
		/* Everything in front of the limit was on stable storage. */
		if (s->end < limit)
			journal_scan_gap(s, p, limit, s->end, limit);
		s->end = limit;
		return;
	}
	journal_scan_last(s, p, limit, stable);
}
