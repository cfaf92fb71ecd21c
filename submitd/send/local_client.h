/*
 * local_client.h - the local users' Maildirs as a destination: submitd-local,
 * over the socket "local" (submitd/local/protocol.h).
 */
#ifndef SUBMITD_SEND_LOCAL_CLIENT_H
#define SUBMITD_SEND_LOCAL_CLIENT_H

#include "lib/loop.h"
#include "submitd/send/attempt.h"

#define LOCAL_IN_FLIGHT	50u		/* deliveries at a time */

struct local_client;

struct local_client *local_client_new(struct loop *l, const char *path,
	    struct sched *sched);

extern const struct attempt_dest local_dest;	/* its ctx: the client */

#endif
