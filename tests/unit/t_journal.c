/*
 * t_journal.c - what is made of a segment whose end is not as it was written: a
 * crash that cut it, or damage.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "lib/crc32c.h"
#include "submitd/spool/journal_record.h"
#include "tests/unit/unit.h"

#define SIZE	16384u
#define KEY	77u
#define OCTETS	1000u		/* of a message */
#define RECORD	(JOURNAL_HEAD + OCTETS)
#define NOWHERE	UINT32_MAX

static uint8_t segment[SIZE];
static uint32_t starts[4], end;

static uint32_t
put(uint32_t at, uint32_t type, uint32_t stable, uint32_t len)
{
	struct journal_record r = { .type = type, .seq = 5, .salt = 9,
		.oldest = 5, .stable = stable, .len = len };

	memset(segment + at + JOURNAL_HEAD, 'x', len);
	r.crc = crc32c(0, segment + at + JOURNAL_HEAD, len);
	if (type == JOURNAL_MESSAGE)
		memcpy(r.id, "abcdefgh234567ab", STR_ID_SIZE);
	journal_record_pack(&r, KEY, segment + at);
	return at + journal_record_octets(len);
}

/* One batch with one message, and one with three; or three more with one each,
 * which ran at a time, for that looks the same. */
static void
make(uint8_t stale)
{
	memset(segment, stale, sizeof(segment));
	starts[0] = put(0, JOURNAL_SEGMENT, 0, 0);
	starts[1] = put(starts[0], JOURNAL_MESSAGE, 0, OCTETS);
	starts[2] = put(starts[1], JOURNAL_MESSAGE, starts[1], OCTETS);
	starts[3] = put(starts[2], JOURNAL_MESSAGE, starts[1], OCTETS);
	end = put(starts[3], JOURNAL_MESSAGE, starts[1], OCTETS);
}

struct end_case {
	const char	*name;
	uint32_t	 record;	/* starts[] */
	uint32_t	 flip;		/* an octet of it, or NOWHERE */
	uint32_t	 cut;		/* from its octet on nothing came, */
	uint32_t	 cut_len;	/* so many octets; 0: to the end */
	uint8_t		 stale;		/* what was there before */
	size_t		 whole;		/* messages */
	size_t		 gaps;
	bool		 last;		/* of that gap */
	bool		 torn, holes;
};

static const struct end_case end_cases[] = {
	{ "as it was", 0, NOWHERE, NOWHERE, 0, 0, 4, 0, false, false, false },
	{ "damage in an earlier batch", 0, 100, NOWHERE, 0, 0, 3, 1, false,
	  false, false },
	{ "damage in the last record", 3, 100, NOWHERE, 0, 0, 3, 1, true, true,
	  false },
	{ "in its head", 3, 3, NOWHERE, 0, 0, 3, 1, true, true, false },
	{ "in its length", 3, 17, NOWHERE, 0, 0, 3, 1, true, true, false },
	{ "in one before it", 2, 100, NOWHERE, 0, 0, 3, 1, true, true, true },
	{ "cut in the last record", 3, NOWHERE, 300, 0, 0, 3, 0, false, true,
	  false },
	{ "cut in front of it", 3, NOWHERE, 0, 0, 0, 3, 0, false, false,
	  false },
	{ "a hole in one before it", 2, NOWHERE, 0, OCTETS, 0, 3, 0, false,
	  true, true },
	{ "a batch of three is missing", 1, NOWHERE, 0, RECORD, 0, 3, 0, false,
	  true, true },
	{ "two of them", 1, NOWHERE, 0, 2 * RECORD, 0, 2, 0, false, true,
	  true },
	{ "the same where other words stood", 1, NOWHERE, 0, 2 * RECORD, 'y', 2,
	  1, true, true, true },
	{ "all three", 1, NOWHERE, 0, 3 * RECORD, 0, 1, 0, false, false,
	  false },
	{ "damage in front of a missing one", 0, 100, RECORD, RECORD, 0, 2, 1,
	  false, false, false },
	{ "cut where other words stood", 3, NOWHERE, 300, 0, 'y', 3, 1,
	  true, true, false },
};

static bool
count(void *ctx, const struct journal_record *r, uint32_t offset,
    const uint8_t *payload)
{
	(void)offset;
	(void)payload;
	*(size_t *)ctx += r->type == JOURNAL_MESSAGE;
	return true;
}

static void
test_ends(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(end_cases); i++) {
		const struct end_case *c = &end_cases[i];
		struct journal_scan s;
		size_t whole = 0;
		uint32_t at;

		make(c->stale);
		at = starts[c->record];
		if (c->flip != NOWHERE)
			segment[at + c->flip] ^= 4;
		if (c->cut != NOWHERE)
			memset(segment + at + c->cut, c->stale, c->cut_len != 0 ?
			    c->cut_len : end - at - c->cut);
		ROW_EQ(c->name, journal_scan_begin(segment, SIZE, KEY, &s), 0);
		journal_scan_run(&s, segment, SIZE, UINT32_MAX, count, &whole);
		ROW_EQ(c->name, whole, c->whole);
		ROW_EQ(c->name, s.n_gaps, c->gaps);
		ROW_EQ(c->name, s.torn > 0, c->torn);
		ROW_EQ(c->name, s.holes, c->holes);
		if (c->gaps == 0)
			continue;
		ROW_EQ(c->name, s.gaps[0].last, c->last);
		ROW_EQ(c->name, s.gaps[0].from, at);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
