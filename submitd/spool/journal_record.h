/*
 * journal_record.h - the octets of a journal segment.
 *
 * A segment is a file of one fixed size: records, each on a multiple of 8,
 * the first of them JOURNAL_SEGMENT. Behind the last there may be anything, for
 * segments are used again: a record counts only with the sequence number and
 * the salt of its segment, and with both of its sums right.
 *
 *	u32 magic, u32 type, u32 sequence, u32 salt
 *	u32 length of the payload, u32 its CRC-32C
 *	u32 oldest: no message lives in a segment before that sequence number
 *	u32 stable: up to here the segment was on stable storage when this was
 *	    written
 *	16 octets: the queue id of a MESSAGE, else zeros
 *	u32 0, u32 CRC-32C of the 52 octets before, begun with the file's key
 *	the payload, and zeros up to a multiple of 8
 *
 * The key is random, and part of the file's name: nobody who sends mail can
 * write a message that holds a record, for the day when damage to the first one
 * makes us look for others.
 *
 * Payloads: SEGMENT: pairs u32 sequence, u32 end of earlier segments, behind
 * which nothing was ever acknowledged (JOURNAL_TORN). MESSAGE: the octets of a file of queue/.
 * GONE: queue ids, 16 octets each. All integers are big-endian. Pure; fuzzed.
 */
#ifndef SUBMITD_SPOOL_JOURNAL_RECORD_H
#define SUBMITD_SPOOL_JOURNAL_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/str.h"

#define JOURNAL_HEAD	56u	/* octets in front of a payload */
#define JOURNAL_ID	16u	/* of a queue id, without NUL */
#define JOURNAL_END	8u	/* of a pair in SEGMENT */
#define JOURNAL_TORN	1u	/* of an end: what is before it is torn */
#define JOURNAL_GAPS	16u	/* told apart in one segment */

enum journal_type {
	JOURNAL_SEGMENT = 1,
	JOURNAL_MESSAGE = 2,
	JOURNAL_GONE = 3,
};

struct journal_record {
	uint32_t type;		/* enum journal_type */
	uint32_t seq, salt;	/* of the segment */
	uint32_t oldest;
	uint32_t stable;
	uint32_t len;
	uint32_t crc;
	char	 id[STR_ID_SIZE];	/* MESSAGE */
};

/* What a record with so much payload takes. */
uint32_t journal_record_octets(uint32_t len);
void	journal_record_pack(const struct journal_record *r, uint32_t key,
	    uint8_t dst[JOURNAL_HEAD]);
/* ERR_FORMAT: no head. The payload is not looked at. */
int	journal_record_unpack(const uint8_t src[JOURNAL_HEAD], uint32_t key,
	    struct journal_record *ret);

uint32_t journal_get32(const uint8_t *p);
void	journal_put32(uint8_t *p, uint32_t v);

/* Octets that hold no record although there must have been one. */
struct journal_gap {
	uint32_t	 from, to;
	char		 id[STR_ID_SIZE];	/* "" unless its head is right */
	bool		 last;		/* of the last batches: a crash may have
					 * cut it before anybody was told */
};

struct journal_scan {
	uint32_t	 key, seq, salt;
	uint32_t	 end;		/* behind the last record */
	uint32_t	 oldest;	/* the highest that a record names */
	struct journal_gap gaps[JOURNAL_GAPS];
	size_t		 n_gaps;	/* damage; by where they are */
	uint32_t	 torn;		/* octets begun that nobody was told of;
					 * those in gaps are worth a look: they
					 * are not just missing */
	bool		 holes;		/* in front of the end, that is */
};

/* One whole record; false stops the scan. */
typedef bool journal_scan_fn(void *ctx, const struct journal_record *r,
	    uint32_t offset, const uint8_t *payload);
/* Which segment these octets are: seq and salt. ERR_NOTFOUND: none, it was
 * never used. */
int	journal_scan_begin(const uint8_t *p, uint32_t len, uint32_t key,
	    struct journal_scan *ret);
/* Gives all records up to `limit` (this segment's end, as a later one names it;
 * UINT32_MAX: none does), passing over what is damaged. */
void	journal_scan_run(struct journal_scan *s, const uint8_t *p, uint32_t len,
	    uint32_t limit, journal_scan_fn *each, void *ctx);

#endif
