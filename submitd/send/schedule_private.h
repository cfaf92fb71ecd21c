/*
 * schedule_private.h - what schedule.c, dest.c, deadline.c,
 * attempt.c and report.c share.
 */
#ifndef SUBMITD_SEND_SCHEDULE_PRIVATE_H
#define SUBMITD_SEND_SCHEDULE_PRIVATE_H

#include "lib/siphash.h"
#include "submitd/send/dest.h"
#include "submitd/send/job_heap.h"
#include "submitd/send/report.h"
#include "submitd/send/schedule.h"

#define SCHED_NONE UINT32_MAX
#define SCHED_ALONG_MAX (1024u * 1024)	/* of messages that wait in memory */

struct sched_rcpt {
	int64_t		 due_ms;
	struct sched_job *job;		/* its destination's; NULL: closed */
	uint32_t	 next;		/* recipient of that job */
	bool		 busy;		/* in an attempt */
	bool		 held;		/* deferred because of its destination */
};

struct sched_job {			/* a message for a destination */
	struct job_heap_item	 item;
	struct sched_job	*next;		/* of the same message */
	struct sched_entry	*entry;
	struct dest		*dest;
	struct attempt		*attempt;	/* running, or NULL */
	uint32_t		 first;		/* recipient, or SCHED_NONE */
	bool			 went_away;
	bool			 past_deadline;	/* deadline_run() has seen to it */
};

struct sched_entry {
	struct sched_entry	*next;		/* in its bucket */
	struct spoolq_msg	*msg;		/* owned; states kept current */
	struct sched_rcpt	*rcpts;
	bool			 held;		/* no new try; forgotten when the
						 * last of its attempts is over */
	struct sched_job	*jobs;		/* those with open recipients */
	struct report		*report;	/* or NULL */
	struct job_heap_item	 deadline;	/* of RFC 2852, if it has one */
};

struct sched {
	struct loop		*loop;
	struct conf		*conf;		/* counted */
	struct retry_policy	 policy;
	struct spoolq		*spool;
	struct hops		*hops;
	const struct attempt_dest *local_ops;
	void			*local_ctx;
	struct sched_entry	**buckets;
	size_t			 n_buckets;	/* a power of two */
	size_t			 n_entries;
	uint64_t		 along_octets;	/* of messages that came along
						 * with entries and wait */
	struct job_heap		 deadlines;
	struct timer		 timer;
	int64_t			 timer_ms;	/* set for then; INT64_MAX: no */
	int64_t			 last_ms;	/* of the last pump */
	size_t			 n_running;	/* attempts and reports */

	/* report.c */
	TAILQ_HEAD(, report)	 reports_gather, reports_look, reports_wait;
	size_t			 n_reports;	/* on their way */
	struct timer		 reports;

	/* stop.c */
	bool			 stopping;	/* nothing is begun any more */
	struct timer		 stop_late;
	loop_fn			*stopped;
	void			*stopped_ctx;

	/* dest.c */
	struct dest		**dests;
	uint8_t			 dest_key[SIPHASH_KEY];	/* their names are
							 * anybody's */
	size_t			 n_dest_buckets;
	size_t			 n_dests;
	struct dest		*local;		/* or NULL */
	struct job_heap		 looks;		/* when to look at which */
	TAILQ_HEAD(, dest)	 idle_dests;	/* by idle_ms */
	TAILQ_HEAD(, dest)	 retired_dests;	/* that are not idle yet */
	struct timer		 drop;
	bool			 dropping;	/* that is set */
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

static inline struct sched_job *
sched_job_of(struct job_heap_item *i)
{
	return (struct sched_job *)((char *)i - offsetof(struct sched_job,
	    item));
}

static inline struct dest *
dest_of(struct job_heap_item *i)
{
	return (struct dest *)((char *)i - offsetof(struct dest, item));
}

size_t	sched_hash(const char *key);
/* There is something to be looked at then. */
void	sched_arm(struct sched *s, int64_t at_ms);
/* A job's attempt is over: it gets its place again, or goes when none of its
 * recipients is open any more, and its message with the last job. */
void	sched_place(struct sched *s, struct sched_job *job);
/* The same for all of its jobs that have no attempt. */
void	sched_place_entry(struct sched *s, struct sched_entry *e);

/* An attempt is over: perhaps we can end now. */
void	sched_ended(struct sched *s);
/* The message, if it came along with its entry and nobody has taken it: the
 * caller's to free. Else NULL. */
uint8_t	*sched_take_content(struct sched *s, struct sched_entry *e);
void	sched_stop_late(void *ctx);	/* of the timer stop_late */

/* The deadlines of RFC 2852. The entry has just been told; it is forgotten. */
void	deadline_add(struct sched *s, struct sched_entry *e);
void	deadline_remove(struct sched *s, struct sched_entry *e);
/* Those that are over: the message goes back, or its delay is told, whatever
 * state its destinations are in. When the next one is; INT64_MAX: never. */
int64_t	deadline_run(struct sched *s, int64_t now_ms);

#endif
