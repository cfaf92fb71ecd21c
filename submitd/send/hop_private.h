/*
 * hop_private.h - what hop.c (the destination) and hop_link.c (one connection)
 * share.
 */
#ifndef SUBMITD_SEND_HOP_PRIVATE_H
#define SUBMITD_SEND_HOP_PRIVATE_H

#include <sys/queue.h>

#include "submitd/send/dest.h"
#include "submitd/send/hop.h"
#include "submitd/send/hosts.h"
#include "submitd/send/smtp_client.h"

enum hop_link_state {
	HOP_RESERVED,		/* no connection yet; its message is opened */
	HOP_CONNECTING,		/* and finding hosts */
	HOP_IDLE,		/* ready; an attempt may be reserved for it */
	HOP_BUSY,		/* in a transaction, or just behind it */
	HOP_ENDING,		/* QUIT; counts for all hops only */
};

struct hop_link {
	TAILQ_ENTRY(hop_link)	 link;
	TAILQ_ENTRY(hop_link)	 rest, rest_all;
	struct hop		*hop;
	enum hop_link_state	 state;
	struct attempt		*attempt;
	struct hosts_query	*query;
	struct smtp_client	*client;
	struct smtp_client_txn	 txn;
	unsigned int		 n_sent;
	bool			 resting;	/* idle, and without attempt */
	bool			 doubtful;	/* the hop had failed before */
	struct timer		 idle;
};

struct hop {
	struct hops		*hops;
	struct dest		*dest;
	TAILQ_HEAD(, hop_link)	 links;
	TAILQ_HEAD(, hop_link)	 resting;	/* last used first */
	size_t			 n_links;	/* that count */
	size_t			 n_good;	/* of these: idle or busy */
	size_t			 n_connecting;
	bool			 up;
	unsigned int		 fails;		/* in a row */
	int64_t			 not_before_ms;
	size_t			 limit;		/* of links; 0: the route's */
	int64_t			 grow_ms;	/* when it is one more */
	int64_t			 halved_ms;
	struct addr		 last_good;
	struct hop_list		*starving;	/* the list it is in, or NULL */
	TAILQ_ENTRY(hop)	 starve;
};

TAILQ_HEAD(hop_list, hop);

struct hops {
	struct loop		*loop;
	struct resolve		*resolve;
	SSL_CTX			*tls;
	struct child		*child;
	TAILQ_HEAD(, hop_link)	 resting;	/* longest first */
	size_t			 n_links;
	size_t			 n_ending;	/* of these: in QUIT */
	size_t			 n_starving;	/* hops in the lists below */
	size_t			 n_doubtful;
	/* Those that want a connection: they have none; they have some; they
	 * have failed, and enough of those have one. */
	struct hop_list		 bare, more, doubtful;
	struct hop		*fed;		/* the last of bare that was told
						 * of a free place; or NULL */
};

/* -------------------------------------------------------------- hop_link.c -- */

/* NULL: no memory. */
struct hop_link *hop_link_new(struct hop *h);
void	hop_link_free(struct hop_link *k);
void	hop_link_connect(struct hop_link *k);
void	hop_link_send(struct hop_link *k);
/* QUIT: it counts no more for its hop. */
void	hop_link_end(struct hop_link *k);
/* Its attempt, or NULL, leaves it; a reserved one is taken. */
struct attempt *hop_link_release(struct hop_link *k);
void	hop_link_take(struct hop_link *k, struct attempt *a);
/* Idle, without an attempt: for the next one, or for HOP_IDLE_MS. */
void	hop_link_rest(struct hop_link *k);

/* ------------------------------------------------------------------- hop.c -- */

/* A connection was ready for the first time. */
void	hop_is_up(struct hop *h, const struct smtp_client *client);
/* One failed with this attempt (or NULL) before it was ready. */
void	hop_has_failed(struct hop *h, struct attempt *a, bool remote,
	    const char *why);
/* It has too much to do. */
void	hop_is_busy(struct hop *h);
/* It has more links than it may. */
bool	hop_is_over(struct hop *h);
/* Another hop without any connection should have this one. */
bool	hop_gives_way(const struct hop *h, unsigned int n_sent);
/* A connection is gone, or rests: whoever waits for one may look. */
void	hops_feed(struct hops *hs);

#endif
