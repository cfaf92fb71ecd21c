/*
 * loop.c - the event loop, over libevent. See loop.h.
 *
 * Deferred calls run between two turns of libevent's loop, not as events of a
 * low priority: those could starve under load.
 */
#include "lib/loop.h"

#include <stdlib.h>
#include <sys/time.h>

#include <event2/event.h>

#include "lib/err.h"

#define LOOP_ROUNDS 4		/* of deferred calls a turn */

struct deferred {
	loop_fn		*fn;
	void		*ctx;
	struct deferred	*next;
};

struct loop {
	struct event_base	*base;
	struct deferred		*first, **last;
	struct deferred		*spare;		/* kept for the next defer */
	bool			 stopped;
};

struct watch {
	struct event	*rd, *wr;
	watch_fn	*fn;
	void		*ctx;
	int		 what;
};

struct loop *
loop_new(void)
{
	struct event_config *cfg = event_config_new();
	struct loop *l = calloc(1, sizeof *l);

	if (l != NULL && cfg != NULL) {
		/* One thread a loop: no locks. */
		event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK);
		l->base = event_base_new_with_config(cfg);
		l->last = &l->first;
	}
	if (cfg != NULL)
		event_config_free(cfg);
	if (l != NULL && l->base == NULL) {
		free(l);
		l = NULL;
	}
	return l;
}

static void
loop_free_list(struct deferred *d)
{
	while (d != NULL) {
		struct deferred *next = d->next;

		free(d);
		d = next;
	}
}

void
loop_free(struct loop *l)
{
	if (l == NULL)
		return;
	loop_free_list(l->first);
	loop_free_list(l->spare);
	event_base_free(l->base);
	free(l);
}

struct event_base *
loop_base(struct loop *l)
{
	return l->base;
}

int
loop_defer(struct loop *l, loop_fn *fn, void *ctx)
{
	struct deferred *d = l->spare;

	if (d != NULL)
		l->spare = d->next;
	else if ((d = malloc(sizeof *d)) == NULL)
		return ERR_NOMEM;
	*d = (struct deferred){ .fn = fn, .ctx = ctx };
	*l->last = d;
	l->last = &d->next;
	return 0;
}

/* Only what was deferred before now. */
static void
loop_run_round(struct loop *l)
{
	struct deferred *d = l->first;

	l->first = NULL;
	l->last = &l->first;
	while (d != NULL) {
		struct deferred *next = d->next;

		d->fn(d->ctx);
		d->next = l->spare;
		l->spare = d;
		d = next;
	}
}

/* What a call defers mostly ends a chain (a reply is flushed, the end of a
 * session is reaped) and goes along without a look at the descriptors in
 * between, which is a system call. A call that defers itself again lets them and
 * the timers have their turn. */
static void
loop_run_deferred(struct loop *l)
{
	for (int i = 0; i < LOOP_ROUNDS && l->first != NULL; i++)
		loop_run_round(l);
}

void
loop_run(struct loop *l)
{
	while (!l->stopped) {
		int flags = EVLOOP_ONCE;

		if (l->first != NULL)
			flags |= EVLOOP_NONBLOCK;
		if (event_base_loop(l->base, flags) < 0)
			break;
		loop_run_deferred(l);
	}
	l->stopped = false;
}

void
loop_stop(struct loop *l)
{
	l->stopped = true;
	event_base_loopbreak(l->base);
}

static void
timer_fired(evutil_socket_t fd, short what, void *arg)
{
	struct timer *t = arg;

	(void)fd;
	(void)what;
	t->fn(t->ctx);
}

int
timer_init(struct timer *t, struct loop *l, loop_fn *fn, void *ctx)
{
	t->fn = fn;
	t->ctx = ctx;
	t->ev = evtimer_new(l->base, timer_fired, t);
	return t->ev == NULL ? ERR_NOMEM : 0;
}

void
timer_arm(struct timer *t, int64_t ms)
{
	struct timeval tv;

	if (ms < 0)
		ms = 0;
	tv.tv_sec = (time_t)(ms / 1000);
	tv.tv_usec = (suseconds_t)(ms % 1000 * 1000);
	evtimer_add(t->ev, &tv);
}

void
timer_stop(struct timer *t)
{
	if (t->ev != NULL)
		evtimer_del((struct event *)t->ev);
}

void
timer_free(struct timer *t)
{
	if (t->ev != NULL)
		event_free(t->ev);
	t->ev = NULL;
}

static void
watch_fired(evutil_socket_t fd, short what, void *arg)
{
	struct watch *w = arg;

	(void)fd;
	w->fn(w->ctx, what & EV_WRITE ? WATCH_WRITE : WATCH_READ);
}

struct watch *
watch_new(struct loop *l, int fd, watch_fn *fn, void *ctx)
{
	struct watch *w = calloc(1, sizeof *w);

	if (w == NULL)
		return NULL;
	w->fn = fn;
	w->ctx = ctx;
	w->rd = event_new(l->base, fd, EV_READ | EV_PERSIST, watch_fired, w);
	w->wr = event_new(l->base, fd, EV_WRITE | EV_PERSIST, watch_fired, w);
	if (w->rd == NULL || w->wr == NULL) {
		watch_free(w);
		return NULL;
	}
	return w;
}

static void
watch_set_one(struct event *ev, int was, int is)
{
	if (is && !was)
		event_add(ev, NULL);
	else if (!is && was)
		event_del(ev);
}

void
watch_set(struct watch *w, int what)
{
	watch_set_one(w->rd, w->what & WATCH_READ, what & WATCH_READ);
	watch_set_one(w->wr, w->what & WATCH_WRITE, what & WATCH_WRITE);
	w->what = what;
}

void
watch_free(struct watch *w)
{
	if (w == NULL)
		return;
	if (w->rd != NULL)
		event_free(w->rd);
	if (w->wr != NULL)
		event_free(w->wr);
	free(w);
}

struct loop_signal {
	loop_fn	*fn;
	void	*ctx;
};

static void
loop_signal_fired(evutil_socket_t signo, short what, void *arg)
{
	struct loop_signal *s = arg;

	(void)signo;
	(void)what;
	s->fn(s->ctx);
}

int
loop_signal(struct loop *l, int signo, loop_fn *fn, void *ctx)
{
	struct loop_signal *s = malloc(sizeof *s);
	struct event *ev;

	if (s == NULL)
		return ERR_NOMEM;
	*s = (struct loop_signal){ .fn = fn, .ctx = ctx };
	ev = evsignal_new(l->base, signo, loop_signal_fired, s);
	if (ev == NULL || evsignal_add(ev, NULL) < 0)
		return ERR_SYSTEM;
	return 0;	/* both live as long as the process */
}
