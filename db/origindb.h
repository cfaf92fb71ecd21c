/*
 * origindb.h - the keys under which tokens in Received fields are sealed
 * (auth/origin.h): few, each for a month, and none longer than needed.
 *
 *	origin	id (4)	-> version (1) made_s (8) key (32)
 *
 * A key is on stable storage before a token under it leaves us. One that is
 * removed is overwritten first; the database's log may still hold it until its
 * files are removed, and a backup for as long as it lives.
 */
#ifndef SUBMITD_DB_ORIGINDB_H
#define SUBMITD_DB_ORIGINDB_H

#include <stddef.h>
#include <stdint.h>

#include "db/dbenv.h"

#define ORIGINDB_KEY 32

struct origindb;

struct origindb_key {
	uint32_t	id;		/* never 0, never used again */
	int64_t		made_s;
	uint8_t		key[ORIGINDB_KEY];
};

int	origindb_open(struct dbenv *env, struct origindb **ret,
	    struct err *reterr);
void	origindb_close(struct origindb *p);	/* NULL is fine */
/* All keys, by id; at most `max`. ERR_LIMIT, ERR_CORRUPT. */
int	origindb_load(struct origindb *p, struct origindb_key *v, size_t max,
	    size_t *ret_n, struct err *reterr);
int	origindb_put(struct origindb *p, const struct origindb_key *k,
	    struct err *reterr);
/* ERR_NOTFOUND. */
int	origindb_remove(struct origindb *p, uint32_t id, struct err *reterr);

/* The encoding of a record; ERR_CORRUPT. */
#define ORIGINDB_RECORD (1 + 8 + ORIGINDB_KEY)
int	origindb_decode(const void *key, size_t key_len, const void *p,
	    size_t len, struct origindb_key *ret);

#endif
