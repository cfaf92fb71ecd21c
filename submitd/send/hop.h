/*
 * hop.h - the next hop as a destination: its connections, and whether it is up.
 *
 * At most HOP_CONNECTIONS connections, each used for several messages and closed
 * after a second without one. While the next hop is not known to be up there is
 * one connection only; when that fails, the next hop is left alone for
 * retry_gate_ms().
 */
#ifndef SUBMITD_SEND_HOP_H
#define SUBMITD_SEND_HOP_H

#include "lib/conf.h"
#include "lib/loop.h"
#include "submitd/send/attempt.h"
#include "submitd/send/resolve.h"

#define HOP_CONNECTIONS	20u
#define HOP_MESSAGES	100u		/* over one connection */
#define HOP_IDLE_MS	1000
#define HOP_FEWER_MS	60000		/* as many as it took, for so long */

struct hop;

/* All borrowed; `conf` until hop_set_conf(). `tls` may be NULL. */
struct hop *hop_new(struct loop *l, const struct conf *conf, SSL_CTX *tls,
	    struct resolve *resolve, struct sched *sched);
void	hop_free(struct hop *h);
/* Connections to the old next_hop end after their message. */
void	hop_set_conf(struct hop *h, const struct conf *conf);

extern const struct attempt_dest hop_dest;	/* its ctx: the hop */

#endif
