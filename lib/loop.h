/*
 * loop.h - the event loop: descriptors, timers, signals, deferred calls.
 *
 * One loop a process, one thread on it. libevent stays behind this header,
 * conn.c and ipc.c use it through here; only send/resolve.c needs the base
 * itself (libunbound).
 */
#ifndef SUBMITD_LOOP_H
#define SUBMITD_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct event_base;

typedef void loop_fn(void *ctx);

struct loop *loop_new(void);		/* NULL: no memory */
void	loop_free(struct loop *l);	/* NULL is fine */
void	loop_run(struct loop *l);	/* until loop_stop() */
void	loop_stop(struct loop *l);
struct event_base *loop_base(struct loop *l);

/* Runs fn(ctx) once when the callbacks of this turn are done: the reaper of
 * "close marks, the reaper frees". 0 or ERR_NOMEM. */
int	loop_defer(struct loop *l, loop_fn *fn, void *ctx);

/* A timer fires once. The struct is the caller's; timer_init() first, and
 * timer_stop() before the struct goes. Arming again moves it. */
struct timer {
	void		*ev;
	loop_fn		*fn;
	void		*ctx;
};
int	timer_init(struct timer *t, struct loop *l, loop_fn *fn, void *ctx);
void	timer_arm(struct timer *t, int64_t ms);
void	timer_stop(struct timer *t);	/* stays initialised */
void	timer_free(struct timer *t);	/* a zeroed struct is fine */

/* Watches a descriptor, level-triggered, until watch_free(). */
struct watch;
#define WATCH_READ	1
#define WATCH_WRITE	2
typedef void watch_fn(void *ctx, int what);
struct watch *watch_new(struct loop *l, int fd, watch_fn *fn, void *ctx);
void	watch_set(struct watch *w, int what);	/* WATCH_ bits, 0 pauses */
void	watch_free(struct watch *w);		/* NULL is fine; fd stays open */

/* fn(ctx) on the loop for each signal; for the process's life. 0, ERR_SYSTEM */
int	loop_signal(struct loop *l, int signo, loop_fn *fn, void *ctx);

#endif
