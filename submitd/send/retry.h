/*
 * retry.h - when to try again. Pure functions; times of day in milliseconds
 * since the epoch.
 */
#ifndef SUBMITD_SEND_RETRY_H
#define SUBMITD_SEND_RETRY_H

#include <stdint.h>

struct retry_policy {
	uint64_t	min_s;		/* retry_min */
	uint64_t	max_s;		/* retry_max */
	uint64_t	lifetime_s;	/* queue_lifetime */
};

#define RETRY_NEVER (-1)

/* How long to wait after the failure that follows `tries` earlier ones: min_s,
 * doubling to max_s, and up to a quarter more by `random`. */
int64_t	retry_delay_ms(const struct retry_policy *p, uint32_t tries,
	    uint32_t random);

/* When a recipient that has just failed for now is due again. The last try is
 * at the end of the message's life, which begins at since_s; after it
 * RETRY_NEVER. */
int64_t	retry_next_ms(const struct retry_policy *p, int64_t now_ms,
	    int64_t since_s, uint32_t tries, uint32_t random);

/* How long a next hop that has failed `fails` times in a row is left alone
 * whatever becomes due: from 1 s doubling to a minute, never above min_s. A
 * message waits for its own time anyway; this only spaces out the probes that
 * many messages would make. */
int64_t	retry_gate_ms(const struct retry_policy *p, unsigned int fails);

/* When what submitd-spool remembers as due at `next_s` (0: at once) is due. A
 * clock that was set back never makes anybody wait longer than the longest
 * delay. */
int64_t	retry_due_ms(const struct retry_policy *p, int64_t now_ms,
	    int64_t arrived_s, int64_t next_s);

#endif
