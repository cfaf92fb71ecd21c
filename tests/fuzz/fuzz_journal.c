/*
 * fuzz_journal.c - what recovery reads of a journal segment. Once as it is, and
 * once with the sums made right wherever a head begins, so that what is behind
 * them is reached.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "lib/crc32c.h"
#include "submitd/spool/journal_record.h"

struct fuzz_journal {
	const uint8_t	*p;
	uint32_t	 len, at;
};

static bool
fuzz_journal_each(void *ctx, const struct journal_record *r, uint32_t offset,
    const uint8_t *payload)
{
	struct fuzz_journal *f = ctx;
	uint8_t head[JOURNAL_HEAD];

	FUZZ_CHECK(offset % 8 == 0 && offset >= f->at);
	FUZZ_CHECK(payload == f->p + offset + JOURNAL_HEAD);
	FUZZ_CHECK(r->len <= f->len - offset - JOURNAL_HEAD);
	FUZZ_CHECK(r->type != JOURNAL_MESSAGE || str_is_id(r->id));
	f->at = offset + journal_record_octets(r->len);
	/* What was understood is written the same; ids of others are free. */
	journal_record_pack(r, 0, head);
	FUZZ_CHECK(memcmp(head, f->p + offset, 32) == 0);
	return true;
}

static void
fuzz_journal_scan(const uint8_t *p, uint32_t len, uint32_t limit)
{
	struct fuzz_journal f = { .p = p, .len = len };
	struct journal_scan s;
	uint32_t at = 0;

	if (journal_scan_begin(p, len, 0, &s) != 0)
		return;
	journal_scan_run(&s, p, len, limit, fuzz_journal_each, &f);
	FUZZ_CHECK(s.end <= len && s.n_gaps <= JOURNAL_GAPS);
	FUZZ_CHECK(s.oldest <= s.seq);
	for (size_t i = 0; i < s.n_gaps; i++) {
		FUZZ_CHECK(s.gaps[i].from >= at);
		FUZZ_CHECK(s.gaps[i].to > s.gaps[i].from);
		at = s.gaps[i].to;
	}
	FUZZ_CHECK(at <= len);
}

/* Wherever a magic number stands. */
static void
fuzz_journal_sums(uint8_t *p, uint32_t len)
{
	for (uint32_t at = 0; len - at >= JOURNAL_HEAD && at < len; at += 8) {
		uint32_t n = journal_get32(p + at + 16);

		if (memcmp(p + at, "SJr1", 4) != 0)
			continue;
		if (n <= len - at - JOURNAL_HEAD)
			journal_put32(p + at + 20,
			    crc32c(0, p + at + JOURNAL_HEAD, n));
		journal_put32(p + at + JOURNAL_HEAD - 4,
		    crc32c(0, p + at, JOURNAL_HEAD - 4));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t len = (uint32_t)size & ~7u, limit = UINT32_MAX;
	uint8_t *copy;

	if (size > 1024 * 1024)
		return 0;
	fuzz_journal_scan(data, len, UINT32_MAX);
	if (len < 8 || (copy = malloc(len)) == NULL)
		return 0;
	memcpy(copy, data, len);
	limit = journal_get32(copy + len - 4);
	/* Later ones may hold earlier ones: from the end. */
	for (int i = 0; i < 2; i++)
		fuzz_journal_sums(copy, len);
	fuzz_journal_scan(copy, len, UINT32_MAX);
	fuzz_journal_scan(copy, len, limit);
	free(copy);
	return 0;
}
