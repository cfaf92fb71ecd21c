/*
 * recent_rate.h - how many sessions of people whom nobody knows are kept, by
 * network: so that a scanner is seen and does not fill the store.
 *
 * A network is an IPv4 /24 or an IPv6 /48. In RATE_WINDOW_S one has so many
 * records that name nobody, and so many that claim to be somebody; what comes
 * above is counted, and told of as one. All networks together have a rate, too.
 * Bounded; on the loop of authd-core; the caller's clock.
 */
#ifndef SUBMITD_AUTH_RECENT_RATE_H
#define SUBMITD_AUTH_RECENT_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/addr.h"

#define RATE_WINDOW_S	600
#define RATE_PLAIN	10u	/* a network's, naming nobody */
#define RATE_NAMED	60u	/* a network's, with a name or a sender */
#define RATE_ALL	100u	/* of all, a second; half may name nobody */
#define RATE_SLOTS	4096u	/* networks, a power of two */

struct rate;

/* What was left out of a network, since when. */
struct rate_left {
	struct net	net;
	uint32_t	n;
	int64_t		since_s;
};
typedef void rate_left_fn(void *ctx, const struct rate_left *left);

/* `fn` hears of what was left out, RATE_PLAIN at least, when its time is over or its place is
 * needed. NULL: no memory. */
struct rate *rate_new(rate_left_fn *fn, void *ctx);
void	rate_free(struct rate *r);		/* NULL is fine; tells all */
/* May a session from there be kept? A no is counted. */
bool	rate_take(struct rate *r, const struct addr *a, bool named,
	    int64_t now_s);
/* Every few seconds: tells of what is over. */
void	rate_tick(struct rate *r, int64_t now_s);

/* The /24 or /48 around an address. */
void	rate_net(const struct addr *a, struct net *ret);

#endif
