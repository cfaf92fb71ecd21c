/*
 * schedule.h - all that is queued, and when which of it is tried.
 *
 * Every message has at most one attempt a destination at a time. What is due
 * starts at once; what is not waits in a heap a destination. A destination that
 * fails as such defers what is due with it, and a first success afterwards
 * makes all due that waited only for the destination.
 */
#ifndef SUBMITD_SEND_SCHEDULE_H
#define SUBMITD_SEND_SCHEDULE_H

#include "lib/conf.h"
#include "lib/loop.h"
#include "submitd/send/attempt.h"
#include "submitd/send/retry.h"
#include "submitd/send/route.h"
#include "submitd/spool/client.h"

/* The time of day in milliseconds; its seconds are clock_now_s()'s. */
int64_t	sched_now_ms(void);

/* `conf` is borrowed until the next sched_set_conf(). NULL: no memory. */
struct sched *sched_new(struct loop *l, const struct conf *conf);
void	sched_free(struct sched *s);
void	sched_set_spool(struct sched *s, struct spoolq *q);
void	sched_set_dest(struct sched *s, enum route route,
	    const struct attempt_dest *dest, void *ctx);
void	sched_set_conf(struct sched *s, const struct conf *conf);

/* For spoolq_new(); its ctx is the struct sched. */
extern const struct spoolq_ops sched_spoolq_ops;

/* A destination may have become ready. Looks in the next turn. */
void	sched_wake(struct sched *s);
/* A destination has failed as such: what else is due there is deferred. */
void	sched_dest_failed(struct sched *s, enum route route, bool remote,
	    const char *why);
/* It works again. */
void	sched_dest_up(struct sched *s, enum route route);

#endif
