/*
 * resolve.h - host names to addresses, by libunbound on our loop.
 *
 * IP literals and "localhost" need no resolver. Everything else is asked of the
 * servers in /etc/resolv.conf, after a look at /etc/hosts; both are read once,
 * by resolve_new(), which has to be called before chroot. libunbound keeps
 * answers for their TTL, in a cache of bounded size.
 */
#ifndef SUBMITD_SEND_RESOLVE_H
#define SUBMITD_SEND_RESOLVE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/err.h"
#include "lib/loop.h"

#define RESOLVE_ADDRS_MAX	16u

struct resolve;			/* the resolver */
struct resolve_query;		/* one host being looked up */

/* n > 0: the addresses (good for the call), IPv6 first, with ports 0. n 0:
 * none, and `why` says so, beginning with an enhanced status code. */
typedef void resolve_fn(void *ctx, const struct addr *addrs, size_t n,
	    const char *why);

struct resolve *resolve_new(struct loop *l, struct err *reterr);
void	resolve_free(struct resolve *r);

/* fn is called once, from the loop, never from within this call, and not after
 * resolve_cancel(). NULL: no memory, no call. */
struct resolve_query *resolve_host(struct resolve *r, const char *host,
	    resolve_fn *fn, void *ctx);
void	resolve_cancel(struct resolve_query *q);	/* NULL is fine */

#endif
