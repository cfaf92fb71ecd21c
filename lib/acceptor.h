/*
 * acceptor.h - takes clients from the TCP listeners that a child was given.
 *
 * One accept a wake-up, so that the processes that share a listener share its
 * clients too. When descriptors run out it waits a moment instead of spinning.
 * Sessions are counted; above a bound a client gets one line (in clear only) and
 * is closed. What one address may have is for lib/sessions.h. Where a listener
 * has proxy_from, its clients' headers are waited for here.
 */
#ifndef SUBMITD_ACCEPTOR_H
#define SUBMITD_ACCEPTOR_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/addr.h"
#include "lib/child.h"
#include "lib/loop.h"

struct acceptor;

struct acceptor_client {		/* who has just come */
	struct addr	peer;		/* the client, as far as known */
	struct addr	via;		/* who is connected: it, or a balancer */
	size_t		listener;	/* its number in child_conf() */
	bool		claimed;	/* peer is from a PROXY header */
	bool		local;		/* came by lmtp_listen: peer and via are
					 * nowhere, and listener is no matter */
};

/* A client came. Returns 0 when it has taken over the non-blocking descriptor
 * `fd`: then acceptor_left() is owed once the session is over. Else the acceptor
 * closes it. */
typedef int acceptor_fn(void *ctx, int fd, const struct acceptor_client *c);

/* `refusal` (borrowed) is the whole line for a client above the bound, with
 * CR LF. The bound follows from RLIMIT_NOFILE, of which each session may need
 * `fds_each`. NULL: no memory. */
struct acceptor *acceptor_new(struct loop *l, struct child *ch,
	    unsigned int fds_each, const char *refusal, acceptor_fn *fn,
	    void *ctx);
/* Listens on what child_fds() has now: after child_ready()'s commit too.
 * ERR_NOMEM. */
int	acceptor_listen(struct acceptor *a);
/* No new clients from now on (stop). */
void	acceptor_stop(struct acceptor *a);
void	acceptor_left(struct acceptor *a);
/* Once all sessions have left. NULL is fine. */
void	acceptor_free(struct acceptor *a);
size_t	acceptor_sessions(const struct acceptor *a);

#endif
