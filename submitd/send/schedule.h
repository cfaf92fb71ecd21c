/*
 * schedule.h - all that is queued, and when which of it is tried.
 *
 * Every message has at most one attempt a destination at a time. What is due
 * starts at once, where its destination takes it; what is not waits in a heap a
 * destination. A destination that fails as such defers what is due with it, and
 * a first success afterwards makes all due that waited only for the destination.
 */
#ifndef SUBMITD_SEND_SCHEDULE_H
#define SUBMITD_SEND_SCHEDULE_H

#include "lib/conf.h"
#include "lib/loop.h"
#include "submitd/send/attempt.h"
#include "submitd/send/retry.h"
#include "submitd/spool/client.h"

struct dest;
struct hops;

/* The time of day in milliseconds; its seconds are clock_now_s()'s. */
int64_t	sched_now_ms(void);

/* A reference to `conf` is taken. NULL: no memory. */
struct sched *sched_new(struct loop *l, struct conf *conf);
void	sched_free(struct sched *s);
/* What it works with; both before the first entry. */
void	sched_set_spool(struct sched *s, struct spoolq *q);
void	sched_set_hops(struct sched *s, struct hops *hops);
void	sched_set_local(struct sched *s, const struct attempt_dest *ops,
	    void *ctx);
/* What is queued goes by the new routes. */
void	sched_set_conf(struct sched *s, struct conf *conf);
const struct conf *sched_conf(const struct sched *s);

/* Begins nothing any more, gives up what can be given up without being delivered
 * twice, and calls fn(ctx), perhaps at once, when the rest is over or has taken
 * SCHED_STOP_MS. */
#define SCHED_STOP_MS	5000
void	sched_stop(struct sched *s, loop_fn *fn, void *ctx);

/* For spoolq_new(); its ctx is the struct sched. */
extern const struct spoolq_ops sched_spoolq_ops;

/* The local Maildirs may have become ready: dest_wake(). */
void	sched_wake_local(struct sched *s);
/* A destination has failed as such: what else is due there is deferred. */
void	sched_dest_failed(struct sched *s, struct dest *d, bool remote,
	    const char *why);
/* It works again. */
void	sched_dest_up(struct dest *d);

#endif
