/*
 * guess.h - what guessing passwords costs: time first, then access.
 *
 * Failures are counted for (user, network) and for the network, a network being
 * an IPv4 address or an IPv6 /64. What fails from several networks that are
 * neighbours counts for the /28 (/56) around them as well, and for the /24
 * (/48) around several of those, never for more. A failed login's reply comes
 * the later the more there were; above a limit there is a block: for a while
 * attempts get that reply without a check.
 *
 *  - Nobody is locked out everywhere: nothing is counted by user alone.
 *  - The same wrong password for the same user from the same network counts
 *    once an hour: a device that was forgotten guesses nothing.
 *  - A pair that logged in well before ("known") is untouched by blocks of its
 *    network or of what is around it, and has a budget of its own; when that is
 *    used up, one attempt is checked every GUESS_SLOT_S.
 *  - "exempt" beats every block, and is not counted.
 *  - A login that succeeds is never slowed.
 *
 * All tables are bounded; who shares a set in them is chosen by a keyed hash.
 * Times are the caller's: a clock that is set back neither forgives nor makes a
 * block longer than it was. May be used from several threads at once.
 */
#ifndef SUBMITD_AUTH_GUESS_H
#define SUBMITD_AUTH_GUESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/placesdb.h"
#include "lib/addr.h"

#define GUESS_BASE_MS	300u	/* the first failure's delay, and the step */
#define GUESS_MAX_MS	8000u
#define GUESS_SLOT_S	10	/* between checks of a known pair over its
				 * limit */
#define GUESS_BLOCK_S	300	/* the first block; each further one is twice */
#define GUESS_BLOCK_MAX_S 3600	/* … up to this */
#define GUESS_SAME_S	3600	/* a wrong password is known for so long */
#define GUESS_SPREAD	4u	/* networks that fail make it their neighbours' */

/* Failures that may be, and how long it takes until they are forgotten. */
#define GUESS_PAIR_LIMIT	20u
#define GUESS_PAIR_S		1800
#define GUESS_NET_LIMIT		100u	/* /32, /64 */
#define GUESS_NET_S		600
#define GUESS_NEAR_LIMIT	150u	/* /28, /56 */
#define GUESS_NEAR_S		600
#define GUESS_WIDE_LIMIT	300u	/* /24, /48 */
#define GUESS_WIDE_S		600

struct guess;

struct guess_who {
	struct addr	 addr;
	const char	*user;		/* canonical; "" where none is known */
	bool		 known;		/* logged in from there well before */
	bool		 exempt;
};

enum guess_why {
	GUESS_OPEN,		/* no block */
	GUESS_USER,		/* this user's failures from this network */
	GUESS_NETWORK,
	GUESS_NEIGHBOURS,	/* of several networks around it */
	GUESS_WHY__COUNT
};

struct guess_block {
	enum guess_why	why;
	struct net	net;
	char		user[MAILBOX_SIZE];	/* "" but for GUESS_USER */
	uint32_t	count;		/* failures that led to it */
	uint32_t	refused;	/* attempts since that were not checked */
	int64_t		since_s;
	int64_t		until_s;
};

/* `key` marks wrong passwords. NULL: no memory. */
struct guess *guess_new(const uint8_t key[32]);
void	guess_free(struct guess *g);	/* NULL is fine */

/* Not GUESS_OPEN: answer without a check. To be asked once an attempt. */
enum guess_why guess_blocked(struct guess *g, const struct guess_who *w,
	    int64_t now_s);

/* Counts a failure that was checked. `password` may be NULL where it was not
 * seen. True: a block begins, *ret_block says which. */
bool	guess_failed(struct guess *g, const struct guess_who *w,
	    const char *password, int64_t now_s,
	    struct guess_block *ret_block);
/* How late a failure's reply (one of a blocked attempt too) is to come. */
uint32_t guess_delay_ms(struct guess *g, const struct guess_who *w,
	    int64_t now_s);
/* When that is, for a request that arrived at `from_ms`: never before the
 * delay is over, and if that has passed already, in full steps, so that it
 * does not show what kind of check it was, or whether there was one. */
int64_t	guess_reply_at(int64_t from_ms, int64_t now_ms, uint32_t delay_ms);
/* He knew his password: his own count there begins anew. */
void	guess_succeeded(struct guess *g, const struct guess_who *w,
	    int64_t now_s);

/* "user", "network", "neighbours": for logs and lists. */
const char *guess_why_name(enum guess_why why);

/* Recent failures of his network. */
unsigned int guess_failures(struct guess *g, const struct addr *a,
	    int64_t now_s);

/* Walks over the blocks: *pos begins with 0. False: that was the last. */
bool	guess_next(struct guess *g, size_t *pos, int64_t now_s,
	    struct guess_block *ret);
/* Forgets counts and blocks that have to do with the network (within it, or
 * around it), or with this user everywhere; both NULL: all. Returns how many
 * blocks there were among them. */
size_t	guess_clear(struct guess *g, const struct net *net, const char *user,
	    int64_t now_s);

/* The networks have addresses in common. */
bool	guess_nets_meet(const struct net *x, const struct net *y);

/* What changed since it was last taken: at most `max`, 0 when that was all.
 * guess_save_again() if it could not be written. */
size_t	guess_save(struct guess *g, struct placesdb_guess *v, size_t max);
void	guess_save_again(struct guess *g, const struct placesdb_guess *v,
	    size_t n);
/* Writes all that changed; on a thread that may wait. */
int	guess_write(struct guess *g, struct placesdb *places,
	    struct err *reterr);
/* At the start, with all that was written. */
void	guess_load(struct guess *g, const struct placesdb_guess *v,
	    int64_t now_s);

#endif
