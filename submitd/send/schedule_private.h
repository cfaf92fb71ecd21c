/*
 * schedule_private.h - what schedule.c and attempt.c share.
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
};

struct sched_entry {
	struct sched_entry	*next;		/* in its bucket */
	struct spoolq_msg	*msg;		/* owned; states kept current */
	struct sched_rcpt	*rcpts;
	bool			 held;		/* no new try; forgotten when the
						 * last of its attempts is over */
	struct sched_job	 jobs[ROUTE__COUNT];
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

/* Puts the entry's jobs where they belong now; frees it when no recipient is
 * pending any more. */
void	sched_place(struct sched *s, struct sched_entry *e);

#endif
