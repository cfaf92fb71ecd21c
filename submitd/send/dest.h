/*
 * dest.h - a destination: what has connections, a state and a queue of its own.
 *
 * The local Maildirs ("local"); nowhere ("none"); each route to a host ("ROUTE");
 * each domain of a route by MX ("ROUTE/domain"). With tls = verify or dane there is a
 * second one, ending in "!", for messages with "TLS-Required: No" (RFC 8689), so
 * that neither kind travels by the other's connections.
 *
 * It is made when a message needs it, and dropped when it has had no job and no
 * connection for DEST_KEEP_MS. A reload retires those whose route has changed:
 * they finish what they have begun, and their jobs go to new ones.
 */
#ifndef SUBMITD_SEND_DEST_H
#define SUBMITD_SEND_DEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "lib/conf_route.h"
#include "submitd/send/attempt.h"
#include "submitd/send/job_heap.h"

#define DEST_KEEP_MS	(5 * 60 * 1000)

struct hop;
struct sched;
struct sched_entry;
struct sched_job;

struct dest {
	struct dest		*next;		/* in its bucket */
	struct sched		*sched;
	struct conf		*conf;		/* of its route; counted */
	const struct conf_route	*route;
	char			*domain;	/* by MX; else "" */
	bool			 tls_optional;
	bool			 retired;
	const struct attempt_dest *ops;		/* NULL: nowhere */
	void			*ctx;
	struct hop		*hop;		/* or NULL */
	struct job_heap_item	 item;		/* when it is looked at */
	struct job_heap		 jobs;		/* that are not running */
	size_t			 n_jobs;	/* running ones too */
	size_t			 n_links;	/* the hop's, ending ones too */
	int64_t			 rate_ms;	/* nothing starts before */
	bool			 is_idle;	/* in the list of these */
	int64_t			 idle_ms;	/* when it is dropped */
	TAILQ_ENTRY(dest)	 idle;
	/* The job of the entry that is being routed. */
	const struct sched_entry *seen;
	struct sched_job	*seen_job;
	char			 key[];
};

/* The destination of mail for `address`, made where there is none yet. NULL: no
 * memory. */
struct dest *dest_for(struct sched *s, const char *address,
	    bool tls_optional);
/* Looks at it in the next turn, or at that time (of day). */
void	dest_wake(struct dest *d);
void	dest_look(struct dest *d, int64_t at_ms);
/* When its first job can start: INT64_MAX while that is not known. */
int64_t	dest_next_ms(struct dest *d, int64_t now_ms);
/* The job is due then. */
void	dest_put(struct dest *d, struct sched_job *job, int64_t due_ms);
/* A message is begun: messages_per_minute counts it. */
void	dest_spend(struct dest *d, int64_t now_ms);
/* Jobs or connections have become fewer or more. */
void	dest_count(struct dest *d);

/* Takes the new routes over. The schedule's entries are routed anew after it. */
void	dests_set_conf(struct sched *s, struct conf *conf);
/* After that: the retired ones let go what they have not begun. */
void	dests_let_go(struct sched *s);
int	dests_init(struct sched *s);
void	dests_free(struct sched *s);

#endif
