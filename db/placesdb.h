/*
 * placesdb.h - who logged in last, when and from where; the places where each
 * user has logged in before; and what guessing has come to.
 *
 * None of it is worth a write that somebody waits for: notes are put into a
 * bounded memory, where a later one takes the place of an earlier one of the
 * same thing, and placesdb_flush() writes them, without sync, a few in each
 * transaction. Look-ups see what waits, too. While the database can't be
 * written all goes on from memory; when that is full the oldest notes go.
 *
 *	logins	user [ NUL label ]	-> the last success
 *	places	user NUL ip (16)	-> first and last success there; the first
 *				   is 0 while he was a stranger each time
 *	guess	place in its table	-> a count or block (auth/guess.h)
 *
 * An IPv6 place is a /64. Of a user PLACESDB_MAX places are kept, each for
 * PLACESDB_KEEP_S after its last success.
 */
#ifndef SUBMITD_DB_PLACESDB_H
#define SUBMITD_DB_PLACESDB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/dbenv.h"
#include "lib/addr.h"
#include "lib/mailbox.h"

#define PLACESDB_MAX		32u
#define PLACESDB_KEEP_S		(90 * 86400)
#define PLACESDB_FRESH_S	3600	/* a place is not written more often */
#define PLACESDB_WAITING_MAX	8192u	/* notes in memory */
#define PLACESDB_LABEL_SIZE	33
#define PLACESDB_MAIN		"#"	/* the main password's place among the
					 * labels; none of them is like it */
#define PLACESDB_MECH_SIZE	33
#define PLACESDB_TLS_SIZE	96

struct placesdb;

struct placesdb_login {
	int64_t	at_s;
	uint8_t	ip[16];				/* as in struct addr */
	uint8_t	service;			/* AUTHP_SMTP, AUTHP_POP */
	bool	stranger;			/* the place alone has it: see
						 * placesdb_was_there() */
	char	mech[PLACESDB_MECH_SIZE];
	char	tls[PLACESDB_TLS_SIZE];
};

/* One entry of guess.c's tables; `used` false: that place is empty. */
struct placesdb_guess {
	uint32_t	slot;
	bool		used;
	uint8_t		ip[16];
	uint8_t		bits;			/* of 128 */
	uint8_t		strikes;
	char		user[MAILBOX_SIZE];	/* "": a network's */
	uint64_t	level;
	int64_t		at_s;
	uint64_t	spread;
	uint32_t	count;
	uint32_t	refused;
	int64_t		since_s;
	int64_t		until_s;
};

int	placesdb_open(struct dbenv *env, struct placesdb **ret,
	    struct err *reterr);
void	placesdb_close(struct placesdb *p);	/* placesdb_flush() first */

/* A success: the user's last login, the credential's (a label, PLACESDB_MAIN,
 * or "" for none of both), and the place. Never waits, never fails. */
void	placesdb_note(struct placesdb *p, const char *user,
	    const char *label, const struct placesdb_login *login);

/* The last login of the user ("") or one of his credentials. ERR_NOTFOUND. */
int	placesdb_login_get(struct placesdb *p, const char *user,
	    const char *label, struct placesdb_login *ret,
	    struct err *reterr);
/* Has he logged in from there since `since_s` (when he was made), and within
 * PLACESDB_KEEP_S? Microseconds. */
bool	placesdb_is_known(struct placesdb *p, const char *user,
	    const struct addr *a, int64_t since_s, int64_t now_s);
/* The same, but not when the place looked shared by strangers whenever he came,
 * and he was one of them (`stranger` in all notes of it). */
bool	placesdb_was_there(struct placesdb *p, const char *user,
	    const struct addr *a, int64_t since_s, int64_t now_s);
/* He was deleted: nothing of him stays. Waits for the database. */
int	placesdb_forget(struct placesdb *p, const char *user,
	    struct err *reterr);

/* On the upkeep thread, every few seconds and at the end: writes what waits.
 * What could not be written waits on. */
int	placesdb_flush(struct placesdb *p, struct err *reterr);
/* On the upkeep thread: looks at `budget` places further on and forgets those
 * whose time is over. */
int	placesdb_sweep(struct placesdb *p, int64_t now_s, unsigned int budget,
	    uint64_t *ret_removed, struct err *reterr);

/* The state of guess.c, in one transaction; and all of it, at the start. */
int	placesdb_guess_put(struct placesdb *p, const struct placesdb_guess *v,
	    size_t n, struct err *reterr);
int	placesdb_guess_each(struct placesdb *p,
	    void (*each)(void *ctx, const struct placesdb_guess *v), void *ctx,
	    struct err *reterr);

/* The encodings: versioned, bounded, wholly consumed. Pure; fuzzed. The length,
 * or ERR_LIMIT; 0, or ERR_CORRUPT. */
#define PLACESDB_RECORD_MAX	512u
int	placesdb_login_encode(const struct placesdb_login *l, uint8_t *dst,
	    size_t size);
int	placesdb_login_decode(const void *p, size_t len,
	    struct placesdb_login *ret);
int	placesdb_guess_encode(const struct placesdb_guess *g, uint8_t *dst,
	    size_t size);
int	placesdb_guess_decode(const void *p, size_t len,
	    struct placesdb_guess *ret);

#endif
