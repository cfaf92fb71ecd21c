/*
 * paths.h - does STARTTLS get through from a network? Counted by network (/24,
 * /48), so that the administrator can be told which paths remove it: some
 * firewalls write XXXX over what they do not know (Cisco PIX and ASA: fixup
 * protocol smtp, inspect esmtp).
 *
 * Counts fade: what is a day old counts half. Bounded; on the loop of
 * authd-core; the caller's clock.
 */
#ifndef SUBMITD_AUTH_PATHS_H
#define SUBMITD_AUTH_PATHS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/addr.h"

#define PATHS_SLOTS	4096u	/* networks, a power of two */
#define PATHS_FADE_S	86400
#define PATHS_NEVER	5u	/* sessions without STARTTLS that say something */

struct paths;

struct path {
	struct net	net;
	uint32_t	masked;		/* sent XXXX for a command */
	uint32_t	never;		/* said EHLO in clear, and then neither
					 * STARTTLS nor, as guessers do, AUTH */
	uint32_t	tls;		/* got to STARTTLS */
	int64_t		since_s;
	int64_t		last_s;		/* of the first two */
};

struct paths *paths_new(void);			/* NULL: no memory */
void	paths_free(struct paths *p);		/* NULL is fine */
/* A session of SMTP is over; `flags` of enum authp_past. True: it is now
 * damaged, and was not; *ret says what is known. */
bool	paths_note(struct paths *p, const struct addr *a, uint32_t flags,
	    int64_t now_s, struct path *ret);
/* The i-th damaged path; *pos begins with 0. False: there is no more. */
bool	paths_next(struct paths *p, unsigned int *pos, int64_t now_s,
	    struct path *ret);

#endif
