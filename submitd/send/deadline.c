/*
 * deadline.c - by when a message was to be delivered (RFC 2852).
 *
 * Runs in submitd-send. At that time what is still pending goes back to the
 * sender (by-mode R) or he is told of the delay (N). What is being tried just
 * then is judged by its attempt, when that ends (attempt.c).
 */
#include "config.h"

#include <stddef.h>
#include <stdio.h>

#include "submitd/send/schedule_private.h"

#include "lib/clock.h"
#include "lib/log.h"

void
deadline_add(struct sched *s, struct sched_entry *e)
{
	const struct spool_wishes *w = &e->msg->wishes;

	e->deadline.id = e->msg->id;
	/* A deadline that was over when the message came has been told by who
	 * sent it on (section 4). */
	if (w->by_mode == SPOOL_BY_NONE ||
	    (w->by_mode == SPOOL_BY_NOTIFY && w->by_s <= e->msg->arrived_s))
		return;
	if (job_heap_set(&s->deadlines, &e->deadline, w->by_s * 1000) != 0)
		LOG_EV(LOG_ERR, "send.nomem", NULL, KV_A("qid", e->msg->id));
	sched_arm(s, w->by_s * 1000);
}

void
deadline_remove(struct sched *s, struct sched_entry *e)
{
	job_heap_remove(&s->deadlines, &e->deadline);
}

/* The first destination of the message that has not heard of it. False: there
 * is none any more. */
static bool
deadline_start(struct sched *s, struct sched_entry *e)
{
	for (struct sched_job *job = e->jobs; job != NULL && !e->held;
	    job = job->next) {
		struct attempt *a;

		if (job->past_deadline)
			continue;
		job->past_deadline = true;
		if (job->attempt != NULL ||
		    (a = attempt_new_late(s, job)) == NULL)
			continue;
		job_heap_remove(&job->dest->jobs, &job->item);
		job->attempt = a;
		attempt_done(a);	/* `e` may be gone */
		return true;
	}
	return false;
}

int64_t
deadline_run(struct sched *s, int64_t now_ms)
{
	struct job_heap_item *top;

	while ((top = job_heap_top(&s->deadlines, now_ms)) != NULL &&
	    top->due_ms <= now_ms) {
		struct sched_entry *e = (struct sched_entry *)((char *)top -
		    offsetof(struct sched_entry, deadline));

		if (!deadline_start(s, e))
			deadline_remove(s, e);
	}
	return top == NULL ? INT64_MAX : top->due_ms;
}
