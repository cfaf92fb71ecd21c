/*
 * pace.h - how long a failed login's answer is held back at least, so that a
 * costly check (bcrypt, Argon2, a busy machine) takes no longer than a cheap
 * one: it follows what checks took of late. Pure; belongs to the loop.
 */
#ifndef SUBMITD_AUTH_PACE_H
#define SUBMITD_AUTH_PACE_H

#include <stdint.h>

#define PACE_MIN_MS	300u
#define PACE_MAX_MS	1200u
#define PACE_KEEP_MS	(10 * 60 * 1000)	/* before it goes down a step */

struct pace {			/* zeroed: PACE_MIN_MS */
	uint32_t	ms;
	int64_t		needed_ms;	/* when a check last took that long */
};

/* A check, right or wrong, took that long from request to result. */
void	pace_note(struct pace *p, int64_t took_ms, int64_t now_ms);
uint32_t pace_ms(const struct pace *p);

#endif
