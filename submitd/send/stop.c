/*
 * stop.c - the end of submitd-send in good order.
 *
 * What a next hop has the whole of is waited for, for some seconds: its answer
 * would be lost with us, and it would get the message again. All else stays
 * queued as it is.
 */
#include "config.h"

#include "submitd/send/schedule_private.h"

#include "lib/log.h"

static void
stop_end(void *ctx)
{
	struct sched *s = ctx;
	loop_fn *fn = s->stopped;

	s->stopped = NULL;
	timer_stop(&s->stop_late);
	if (fn != NULL)
		fn(s->stopped_ctx);
}

void
sched_stop_late(void *ctx)
{
	struct sched *s = ctx;

	LOG_EV(LOG_WARNING, "send.unheard", NULL,
	    KV_U("messages", s->n_running));
	stop_end(s);
}

void
sched_ended(struct sched *s)
{
	s->n_running--;
	if (s->stopping && s->n_running == 0)
		stop_end(s);
}

void
sched_stop(struct sched *s, loop_fn *fn, void *ctx)
{
	if (s->stopping)
		return;
	s->stopping = true;
	s->stopped = fn;
	s->stopped_ctx = ctx;
	for (size_t b = 0; b < s->n_buckets; b++)
		for (struct sched_entry *e = s->buckets[b]; e != NULL;
		    e = e->next) {
			for (struct sched_job *job = e->jobs; job != NULL;
			    job = job->next) {
				struct attempt *a = job->attempt;

				if (a == NULL || attempt_is_ending(a))
					continue;
				job->attempt = NULL;
				attempt_cancel(a);
			}
			report_look(e->report);
		}
	if (s->n_running == 0)
		stop_end(s);
	else
		timer_arm(&s->stop_late, SCHED_STOP_MS);
}
