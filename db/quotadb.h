/*
 * quotadb.h - what each user has sent of late, as auth/quota.c counts it.
 *
 * None of it is worth a write that somebody waits for: quotadb_put() writes
 * many users in one transaction, without sync. What is older than
 * QUOTADB_KEEP_S counts nowhere and is swept away.
 *
 *	quota.db	user	-> version, then each slot of time in order
 */
#ifndef SUBMITD_DB_QUOTADB_H
#define SUBMITD_DB_QUOTADB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/dbenv.h"
#include "lib/mailbox.h"

#define QUOTADB_SLOTS		192u	/* of one user */
#define QUOTADB_SLOT_SIZE	20u	/* octets of it */
#define QUOTADB_RECORD_MAX	(1u + QUOTADB_SLOTS * QUOTADB_SLOT_SIZE)
#define QUOTADB_KEEP_S		(86400 + 3600)

struct quotadb;

struct quotadb_slot {
	uint32_t	end_min;	/* it was sent before this minute of the
					 * epoch began */
	uint32_t	messages;
	uint32_t	recipients;
	uint64_t	octets;
};

struct quotadb_use {
	char			user[MAILBOX_SIZE];
	size_t			n;
	struct quotadb_slot	v[QUOTADB_SLOTS];	/* end_min rises */
};

int	quotadb_open(struct dbenv *env, struct quotadb **ret,
	    struct err *reterr);
void	quotadb_close(struct quotadb *q);

/* What is stored of ret->user; nothing: n is 0. What cannot be read counts as
 * nothing (ERR_CORRUPT is not returned). Microseconds. */
int	quotadb_get(struct quotadb *q, struct quotadb_use *ret,
	    struct err *reterr);
/* All of them in one transaction, without sync; with n 0 the record goes. */
int	quotadb_put(struct quotadb *q, const struct quotadb_use *v, size_t n,
	    struct err *reterr);
/* On the upkeep thread: looks at `budget` records further on and removes those
 * of which nothing counts any more. */
int	quotadb_sweep(struct quotadb *q, int64_t now_s, unsigned int budget,
	    uint64_t *ret_removed, struct err *reterr);

/* Pure; fuzzed. The length, or ERR_LIMIT; 0, or ERR_CORRUPT. */
int	quotadb_encode(const struct quotadb_use *u, uint8_t *dst,
	    size_t size);
int	quotadb_decode(const void *p, size_t len, struct quotadb_use *ret);

#endif
