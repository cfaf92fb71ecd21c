/*
 * relay_cache_private.h - what relay_cache.c, _walk.c and _remove.c share: the
 * three files of the grants, and single records in a transaction. Codes as in
 * dbenv_private.h.
 *
 *	relay		ip (16 octets) user		-> record (record.h)
 *	relay_expiry	expires_s (8 octets) ip user	-> nothing
 *	relay_user	user NUL ip (16 octets)		-> nothing
 *
 * Invariant: each record has exactly one entry in each index, written and
 * removed in the same transaction.
 */
#ifndef SUBMITD_DB_RELAY_CACHE_PRIVATE_H
#define SUBMITD_DB_RELAY_CACHE_PRIVATE_H

#include <stdatomic.h>

#include "db/dbenv_private.h"
#include "db/relay_cache.h"

#define RELAY_CACHE_TOLD		64u
#define RELAY_CACHE_PREFIX_MIN	56u
#define RELAY_CACHE_EXPIRY_MAX	(8 + RECORD_GRANT_KEY_MAX)
#define RELAY_CACHE_USER_MAX	(1 + RECORD_GRANT_KEY_MAX)
/* In relay_user: all records that an older version wrote are in it. */
#define RELAY_CACHE_INDEXED	"\0indexed"
#define RELAY_CACHE_INDEXED_LEN	8u

struct relay_cache {
	struct dbenv		*env;
	DB			*grants;
	DB			*expiry;
	DB			*users;
	atomic_uint		 prefix;
	bool			 indexed;	/* users has all */
	relay_cache_flaw_fn	*flaw;
	void			*flaw_ctx;
	pthread_mutex_t		 flaw_mutex;
	uint64_t		 told[RELAY_CACHE_TOLD];	/* of keys */
	unsigned int		 n_told;
};

/* Reads the record that *g names into *g. */
int	relay_cache_read(struct relay_cache *rc, DB_TXN *txn, uint32_t flags,
	    struct grant_record *g);
/* The next of all records. ERR_CORRUPT: *g is the key of one that cannot be
 * decoded (told to relay_cache_on_flaw()), and those behind it follow; one whose
 * key cannot be is told and passed over. */
int	relay_cache_after(struct relay_cache *rc, DB_TXN *txn,
	    struct grant_record *g);
/* The next that matches; ERR_CORRUPT as above. */
int	relay_cache_step(struct relay_cache *rc, DB_TXN *txn,
	    const struct relay_filter *f, struct grant_record *g);
/* Tells of a record that cannot be decoded. */
void	relay_cache_tell(struct relay_cache *rc, const void *key, size_t len);
/* In the index by expiry. */
void	relay_cache_put_time(int64_t t_s, uint8_t dst[8]);
int64_t	relay_cache_get_time(const uint8_t p[8]);
/* The key of the index by user. */
size_t	relay_cache_user_key(const struct grant_record *g,
	    uint8_t dst[RELAY_CACHE_USER_MAX]);
/* What an older version left without its entry in relay_user gets it. */
int	relay_cache_index_users(struct relay_cache *rc, struct err *reterr);

#endif
