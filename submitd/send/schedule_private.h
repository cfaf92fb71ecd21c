/*
 * schedule_private.h - what schedule.c, deadline.c and attempt.c share.
 */
#ifndef SUBMITD_SEND_SCHEDULE_PRIVATE_H
#define SUBMITD_SEND_SCHEDULE_PRIVATE_H

#include "submitd/send/job_heap.h"
#include "submitd/send/schedule.h"

struct sched_rcpt {
	int64_t		due_ms;
	enum route	route;
	bool		busy;		/* in an attempt */
	bool		held;		/* deferred because of its destination */
};

struct sched_job {			/* a message for a destination */
	struct job_heap_item	 item;
	struct sched_entry	*entry;
	struct attempt		*attempt;	/* running, or NULL */
	bool			 went_away;
	bool			 past_deadline;	/* deadline_run() has seen to it */
};

struct sched_entry {
	struct sched_entry	*next;		/* in its bucket */
	struct spoolq_msg	*msg;		/* owned; states kept current */
	struct sched_rcpt	*rcpts;
	bool			 held;		/* no new try; forgotten when the
						 * last of its attempts is over */
	struct sched_job	 jobs[ROUTE__COUNT];
	struct job_heap_item	 deadline;	/* of RFC 2852, if it has one */
};

struct sched {
	struct loop		*loop;
	const struct conf	*conf;
	struct retry_policy	 policy;
	struct spoolq		*spool;
	struct sched_entry	**buckets;
	size_t			 n_buckets;	/* a power of two */
	size_t			 n_entries;
	struct job_heap		 heaps[ROUTE__COUNT];
	const struct attempt_dest *dests[ROUTE__COUNT];
	void			*dest_ctx[ROUTE__COUNT];
	struct job_heap		 deadlines;
	struct timer		 timer;
	int64_t			 last_ms;	/* of the last pump */
	bool			 woken;		/* the timer is at 0 */
};

/* There is still something to be done for a recipient in this state. */
static inline bool
sched_is_open(enum spoolq_state state)
{
	return state == SPOOLQ_PENDING || state == SPOOLQ_DELIVERED;
}

/* When its delivery could begin at all: a message may be held (RFC 4865). */
static inline int64_t
sched_since_s(const struct spoolq_msg *m)
{
	return m->wishes.hold_until_s > m->arrived_s ?
	    m->wishes.hold_until_s : m->arrived_s;
}

/* Puts the entry's jobs where they belong now; frees it when no recipient is
 * pending any more. */
void	sched_place(struct sched *s, struct sched_entry *e);

/* The deadlines of RFC 2852. The entry has just been told; it is forgotten. */
void	deadline_add(struct sched *s, struct sched_entry *e);
void	deadline_remove(struct sched *s, struct sched_entry *e);
/* Those that are over: the message goes back, or its delay is told, whatever
 * state its destinations are in. When the next one is; INT64_MAX: never. */
int64_t	deadline_run(struct sched *s, int64_t now_ms);

#endif
