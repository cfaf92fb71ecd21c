/*
 * fair.h - the bounded, fair queue in front of the pool that checks passwords.
 *
 * A check costs milliseconds to tenths of a second of one core, so whoever may
 * choose what is checked next owns the service. Here:
 *
 *  - one check of a network (an IPv4 address, an IPv6 /64) runs at a time;
 *  - checks of (user, network) pairs that logged in before go first (but every
 *    eighth turn is the others'), and have a quarter of the places kept;
 *  - among the others, networks with fewer recent failures go first, and those
 *    with equally many take turns;
 *  - when all places are taken, the newest waiting check of the network with
 *    the most failures, and among those with the most that waits, is shed;
 *  - what has waited for longer than it may is given up.
 *
 * Everything costs a bounded, small number of steps, whatever waits. It lives
 * on the loop and has no clock and no threads of its own: fair_new() is told
 * both, so that tests can move them.
 */
#ifndef SUBMITD_AUTH_FAIR_H
#define SUBMITD_AUTH_FAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/loop.h"
#include "lib/pool.h"

#define FAIR_PLACES	4096u	/* checks that wait, in all */
#define FAIR_KEPT	1024u	/* of them for pairs that are known */
#define FAIR_NET_KNOWN	256u	/* of a network's known pairs */
#define FAIR_TURN	8u	/* every so many checks, others than known */

enum fair_end {
	FAIR_CHECKED,		/* work() has run */
	FAIR_SHED,		/* made room for others */
	FAIR_LATE,		/* waited too long */
	FAIR_AWAY,		/* the pool would not take it */
	FAIR_REFUSED,		/* start() said no */
};

struct fair_net;

/* One check. The struct is the caller's, and stays where it is until end() is
 * called or fair_cancel() was. */
struct fair_job {
	struct addr	 addr;		/* of the client */
	bool		 known;		/* the pair logged in well before */
	bool		 exempt;	/* of the rule of one at a time */
	unsigned int	 failures;	/* recent ones of the network */
	bool		(*start)(void *ctx);	/* its turn has come: still?
						 * NULL: yes */
	void		(*work)(void *ctx);		/* on a thread */
	void		(*end)(void *ctx, enum fair_end how);	/* on the loop */
	void		*ctx;

	/* fair.c's own */
	struct fair	*fair;
	struct fair_net	*net;
	struct fair_job	*next, *prev;	/* in the network's queue */
	struct fair_job	*younger, *older;
	int64_t		 since_ms;
	bool		 running;
};

typedef int fair_submit_fn(struct pool *p, void (*work)(void *),
	    loop_fn *done, void *ctx);

/* `threads` checks run at a time, by submit(pool, …), which is pool_submit()
 * but for tests; as now_ms is clock_mono_ms(). NULL: no memory. */
struct fair *fair_new(struct pool *pool, unsigned int threads,
	    fair_submit_fn *submit, int64_t (*now_ms)(void));
/* Nothing waits or runs any more, but for what never will end. */
void	fair_free(struct fair *f);		/* NULL is fine */

/* No check starts any more; before the pool goes. */
void	fair_stop(struct fair *f);

/* How long a check may wait. */
void	fair_set_wait(struct fair *f, int64_t wait_ms);

/* Puts it into the queue and starts what may start. ERR_LIMIT: no place; then
 * end() will not be called. end() may be called before this returns. */
int	fair_submit(struct fair *f, struct fair_job *j);
/* True: it waited, and has gone; end() will not be called. False: it runs. */
bool	fair_cancel(struct fair_job *j);
/* Gives up what has waited too long; to be called a few times a second. */
void	fair_tick(struct fair *f);

unsigned int fair_waiting(const struct fair *f);

#endif
