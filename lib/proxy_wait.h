/*
 * proxy_wait.h - a client of a listener with proxy_from, between accept and the
 * end of its PROXY header.
 *
 * From the socket exactly the header's octets are taken: what stands behind it
 * (a ClientHello, most likely) stays there for who serves the client.
 */
#ifndef SUBMITD_PROXY_WAIT_H
#define SUBMITD_PROXY_WAIT_H

#include "lib/addr.h"
#include "lib/loop.h"

#define PROXY_WAIT_MS	5000

/* What becomes of it, once, from the loop, unless proxy_wait() failed. With
 * `client` the header has come and the descriptor is the callee's; NULL: it
 * was refused, logged and closed. `name` is the listener's. */
typedef void proxy_wait_fn(void *ctx, int fd, const struct addr *via,
	    const struct addr *client, const char *name);

/* Takes over the non-blocking descriptor of `via`. ERR_NOMEM: it is the
 * caller's still, and nothing is called. */
int	proxy_wait(struct loop *l, int fd, const struct addr *via,
	    const char *name, proxy_wait_fn *fn, void *ctx);
/* Says in the log why such a client is not served. */
void	proxy_log_refused(const struct addr *via, const char *name,
	    const char *why);

#endif
