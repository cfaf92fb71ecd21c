/*
 * census.h - how the users' passwords are kept, in numbers, so that a name that
 * is nobody's can be answered as one of them would be.
 *
 * A user's class is what his main password costs to check: a count of
 * iterations with a length of salt, or a class of imported hash
 * (hash_class()). Sixty-four slots are shared out among the classes in use by
 * their numbers, one at least for each; a name always draws the same slot. May
 * be used from several threads at once.
 */
#ifndef SUBMITD_AUTH_CENSUS_H
#define SUBMITD_AUTH_CENSUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/hash.h"
#include "db/userdb.h"

struct census;

struct census_class {
	char		hash[HASH_CLASS_SIZE];	/* "" for keys of SCRAM */
	uint32_t	iterations;		/* of keys */
	uint8_t		salt_len;
};

/* `iterations`: what new keys have, for while there are no users. NULL: no
 * memory. */
struct census *census_new(uint32_t iterations);
void	census_free(struct census *c);		/* NULL is fine */
void	census_set_default(struct census *c, uint32_t iterations);

/* Hears of each change of a user (userdb_set_watch()); `ctx` is the census. One
 * that is given up after all leaves the numbers off by one until they are
 * counted anew. */
void	census_changed(void *ctx, const char *user,
	    const struct user_record *before, const struct user_record *after);

/* Counts anew, the next `budget` users; what was counted before answers until
 * the last of them. 0: there are more; ERR_NOTFOUND: done. Other errors: the
 * count begins anew with the next call. */
int	census_walk(struct census *c, struct userdb *db, unsigned int budget,
	    struct err *reterr);

/* Keeps the shares in the file "census" of the current folder (and reads them,
 * at start), so that a restart changes no answer while the users are counted.
 * Without sync; census_save() writes only what changed. */
void	census_load(struct census *c);
int	census_save(struct census *c, struct err *reterr);

/* What a name costs in PLAIN and what it shows in SCRAM (keys in any case), by
 * two octets that stand for the name. */
void	census_pick(struct census *c, const uint8_t draw[2],
	    struct census_class *ret_plain, struct census_class *ret_scram);

/* The class of one user; false: he has no password. */
bool	census_class_of(const struct user_record *r, struct census_class *ret);

#endif
