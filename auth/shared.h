/*
 * shared.h - does it look as if strangers shared an address: a NAT of many, or
 * a carrier's (CGNAT)? A grant there would be one for the neighbours too, as far
 * as they know whose it is.
 *
 * Noted are logins that failed, by who it was: SHARED_USERS users with
 * SHARED_FAILURES failures among them within SHARED_KEEP_S, none of whom got in
 * since, are no household. The same wrong password for the same user counts
 * once: a device that was forgotten is nobody new.
 *
 * A table of fixed size; who shares a set in it is chosen by a keyed hash. Of
 * passwords only a keyed hash is kept, under a key that nobody else has and that
 * ends with the process: what outlives it is which addresses looked shared, by
 * how many users, and when (beside the table of guess.h). May be used from
 * several threads. Times are the caller's.
 */
#ifndef SUBMITD_AUTH_SHARED_H
#define SUBMITD_AUTH_SHARED_H

#include <stdbool.h>
#include <stdint.h>

#include "db/placesdb.h"
#include "lib/addr.h"

#define SHARED_KEEP_S	3600
#define SHARED_USERS	3u
#define SHARED_FAILURES	5u
#define SHARED_SLOT	0x40000000u	/* behind those of guess.h */

struct shared;

struct shared *shared_new(void);		/* NULL: no memory */
void	shared_free(struct shared *s);		/* NULL is fine */

/* A login failed there; `password` may be NULL where it was not seen. */
void	shared_failed(struct shared *s, const struct addr *a,
	    const char *user, const char *password, int64_t now_s);
/* He got in: what he failed by before was a slip. */
void	shared_succeeded(struct shared *s, const struct addr *a,
	    const char *user, int64_t now_s);
/* How many users failed there so, if they are enough; else 0. */
unsigned int shared_strangers(struct shared *s, const struct addr *a,
	    int64_t now_s);

/* On the upkeep thread, every few seconds and at the end: notes what changed. */
int	shared_write(struct shared *s, struct placesdb *places, int64_t now_s,
	    struct err *reterr);
/* At the start, with each that placesdb_guess_each() tells; others are passed
 * over. */
void	shared_load(struct shared *s, const struct placesdb_guess *v,
	    int64_t now_s);

#endif
