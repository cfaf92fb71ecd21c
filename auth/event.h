/*
 * event.h - EVENT of auth/PROTOCOL, the workers' side: what a session was, on
 * its way to authd. Private to auth/authc.c.
 *
 * Nobody waits for it. While authd is away, or does not keep up, packets wait
 * here: a bounded number of them, in which the authorised sessions come before
 * those of strangers.
 */
#ifndef SUBMITD_AUTH_EVENT_H
#define SUBMITD_AUTH_EVENT_H

#include <sys/queue.h>

#include "auth/authc.h"
#include "lib/ipc.h"
#include "lib/msg.h"

#define EVENT_WAITING_MAX	1024u

struct event_waiting;
TAILQ_HEAD(event_list, event_waiting);

struct event_queue {
	struct event_list	 owners;	/* authorised sessions */
	struct event_list	 others;
	unsigned int		 n;
};

void	event_queue_init(struct event_queue *q);
/* Sends it, or lets it wait. */
void	event_send(struct event_queue *q, struct ipc_client *ipc,
	    const struct authc_event *e);
/* Sends what waits, as far as it goes. */
void	event_drain(struct event_queue *q, struct ipc_client *ipc);
/* The message. Pure. */
void	event_put(struct msg_out *m, uint32_t id, const struct authc_event *e);

#endif
