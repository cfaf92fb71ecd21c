/*
 * hop.h - a mail server, or those of a domain, as a destination: its
 * connections, and whether it is up.
 *
 * At most the route's `connections`, each used for several messages and closed
 * after a second without one. A next hop that says it has too much to do (421,
 * 432, 454), or that takes no further connection, has half of them, or those it
 * took, and one more each minute. While it is not known to be up there is one
 * connection only; when that fails, it is left alone for retry_gate_ms().
 *
 * All together have send_connections. When these are used up, a hop without any
 * is the first to get one that becomes free; hops that have failed before have no
 * more than half of them together.
 */
#ifndef SUBMITD_SEND_HOP_H
#define SUBMITD_SEND_HOP_H

#include <openssl/ssl.h>

#include "lib/conf.h"
#include "lib/loop.h"
#include "submitd/send/attempt.h"
#include "submitd/send/resolve.h"

#define HOP_MESSAGES	100u		/* over one connection */
#define HOP_MESSAGES_TURN 10u		/* while others have no connection */
#define HOP_IDLE_MS	1000
#define HOP_GROW_MS	60000		/* one connection more */
#define HOP_BUSY_MS	1000		/* halved once in so long */

struct child;
struct dest;
struct hop;
struct hops;

/* What all of them share. Borrowed; `tls` and `child` may be NULL. */
struct hops *hops_new(struct loop *l, struct resolve *resolve, SSL_CTX *tls,
	    struct child *child);
void	hops_free(struct hops *hs);	/* after the last hop */

/* For the destination, whose route has the settings. NULL: no memory. */
struct hop *hop_new(struct hops *hs, struct dest *d);
void	hop_free(struct hop *h);	/* NULL is fine */
/* Connections end after their message. */
void	hop_retire(struct hop *h);

/* Once it has retired and its jobs have other ways: what waits for a connection
 * goes those too. */
void	hop_let_go(struct hop *h);

extern const struct attempt_dest hop_dest;	/* its ctx: the hop */

#endif
