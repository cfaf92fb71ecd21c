/*
 * guess.h - what guessing passwords costs: time first, then access.
 *
 * Failures are counted by network (an IPv4 address, an IPv6 /64) and by
 * (network, user) in two bounded tables in memory, and leak away. A failed
 * login's reply comes late; above a limit a network, or one user's attempts
 * from it, get that reply without a check. A user who has logged in from a
 * network before is not locked out there by what others do. A login that
 * succeeds is never slowed. Pure but for its memory: times are the caller's.
 */
#ifndef SUBMITD_AUTH_GUESS_H
#define SUBMITD_AUTH_GUESS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/addr.h"

#define GUESS_BASE_MS	300u	/* the first failure's delay */
#define GUESS_MAX_MS	8000u
#define GUESS_LIMIT	100u	/* failures within GUESS_WINDOW_S */
#define GUESS_WINDOW_S	600
#define GUESS_BLOCK_S	300	/* how long a block lasts */
#define GUESS_RUNNING	64u	/* checks of one network at a time */

struct guess;

struct guess *guess_new(void);		/* NULL: no memory */
void	guess_free(struct guess *g);	/* NULL is fine */

/* True: answer without a check. `user` is canonical. */
bool	guess_is_blocked(struct guess *g, const struct addr *a,
	    const char *user, int64_t now_s);
/* A check begins, and ends. False: as many as may be are under way from that
 * network, so that none fills the queue for all; guess_end() is not due then. */
bool	guess_begin(struct guess *g, const struct addr *a, int64_t now_s);
void	guess_end(struct guess *g, const struct addr *a, int64_t now_s);
/* Counts a failure (or an attempt that was blocked) and returns how long its
 * reply is to wait. */
uint32_t guess_failed(struct guess *g, const struct addr *a,
	    const char *user, int64_t now_s);
/* He knew his password: his own count there begins anew. */
void	guess_succeeded(struct guess *g, const struct addr *a,
	    const char *user, int64_t now_s);

#endif
