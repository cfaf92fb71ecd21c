/*
 * event.h - EVENT of auth/PROTOCOL, the workers' side: what a session was, on
 * its way to authd. Private to auth/authc.c.
 *
 * Nobody waits for it, so they go together: a packet each time some have come, or
 * a moment has gone by. While authd is away, or does not keep up, they wait here:
 * a bounded number of them, in which the authorised sessions come before those of
 * strangers.
 */
#ifndef SUBMITD_AUTH_EVENT_H
#define SUBMITD_AUTH_EVENT_H

#include <stdbool.h>
#include <sys/queue.h>

#include "auth/authc.h"
#include "lib/ipc.h"
#include "lib/msg.h"

#define EVENT_WAITING_MAX	1024u
#define EVENT_TOGETHER		32u	/* not awaited longer */
#define EVENT_WAIT_MS		100

struct event_waiting;
TAILQ_HEAD(event_list, event_waiting);

struct event_queue {
	struct loop		*loop;
	struct ipc_client	*ipc;
	struct timer		 timer;
	bool			 armed;
	struct event_list	 owners;	/* authorised sessions */
	struct event_list	 others;
	unsigned int		 n;
};

void	event_queue_init(struct event_queue *q, struct loop *l,
	    struct ipc_client *ipc);
/* Sends it soon, or lets it wait. */
void	event_send(struct event_queue *q, const struct authc_event *e);
/* Sends what waits, as far as it goes. */
void	event_drain(struct event_queue *q);
/* Its fields. Pure. */
void	event_put(struct msg_out *m, const struct authc_event *e);

#endif
