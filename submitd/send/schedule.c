/*
 * schedule.c - all that is queued, and when which of it is tried.
 *
 * Runs in submitd-send. It remembers nothing that submitd-spool does not: when
 * that connection is lost all of it is dropped, running attempts too, and told
 * anew. Waits are measured in the time of day, as they stand in the spool.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "submitd/send/schedule_private.h"

#include "lib/clock.h"
#include "lib/log.h"

#define SCHED_BUCKETS_MIN	256u
#define SCHED_STARTS_A_TURN	100u
#define SCHED_FAILED_AT_ONCE	200u	/* deferred with a failed destination */

int64_t
sched_now_ms(void)
{
	/* Only the fraction is real time's: a test may move the rest. */
	return clock_now_s() * 1000 + clock_now_us() / 1000 % 1000;
}

/* -------------------------------------------------------------- the table -- */

static size_t
sched_hash(const struct sched *s, const char *id)
{
	uint64_t h = 14695981039346656037u;	/* FNV-1a; ids are our own */

	while (*id != '\0')
		h = (h ^ (unsigned char)*id++) * 1099511628211u;
	return (size_t)(h ^ h >> 32) & (s->n_buckets - 1);
}

static struct sched_entry **
sched_find(const struct sched *s, const char *id)
{
	struct sched_entry **e = &s->buckets[sched_hash(s, id)];

	while (*e != NULL && strcmp((*e)->msg->id, id) != 0)
		e = &(*e)->next;
	return e;
}

static void
sched_grow(struct sched *s)
{
	struct sched_entry **old = s->buckets, *e, *next;
	size_t n = s->n_buckets;
	void *v = calloc(n * 2, sizeof(*s->buckets));

	if (v == NULL)
		return;			/* longer chains, then */
	s->buckets = v;
	s->n_buckets = n * 2;
	for (size_t i = 0; i < n; i++)
		for (e = old[i]; e != NULL; e = next) {
			struct sched_entry **at = sched_find(s, e->msg->id);

			next = e->next;
			e->next = NULL;
			*at = e;
		}
	free(old);
}

static void
sched_entry_free(struct sched_entry *e)
{
	if (e == NULL)
		return;
	spoolq_msg_free(e->msg);
	free(e->rcpts);
	free(e);
}

/* Takes it out of table and heaps, stops its attempts, and frees it. */
static void
sched_forget(struct sched *s, struct sched_entry *e)
{
	struct sched_entry **at = sched_find(s, e->msg->id);

	for (size_t r = 0; r < ROUTE__COUNT; r++) {
		struct attempt *a = e->jobs[r].attempt;

		job_heap_remove(&s->heaps[r], &e->jobs[r].item);
		e->jobs[r].attempt = NULL;
		if (a != NULL)
			attempt_cancel(a);
	}
	deadline_remove(s, e);
	if (*at == e) {
		*at = e->next;
		s->n_entries--;
	}
	sched_entry_free(e);
}

/* --------------------------------------------------------------- placing -- */

static void
sched_place_job(struct sched *s, struct sched_entry *e, enum route route)
{
	struct sched_job *job = &e->jobs[route];
	int64_t due = INT64_MAX;
	int64_t release = e->msg->wishes.hold_until_s * 1000;

	for (size_t i = 0; i < e->msg->n_rcpts && !e->held; i++)
		if (sched_is_open(e->msg->rcpts[i].state) &&
		    e->rcpts[i].route == route && !e->rcpts[i].busy &&
		    e->rcpts[i].due_ms < due)
			due = e->rcpts[i].due_ms;
	/* RFC 4865: not before that, whatever else would have it tried. */
	if (due < release)
		due = release;
	if (due == INT64_MAX || job->attempt != NULL)
		job_heap_remove(&s->heaps[route], &job->item);
	else if (job_heap_set(&s->heaps[route], &job->item, due) != 0)
		LOG_EV(LOG_ERR, "send.nomem", NULL, KV_A("qid", e->msg->id));
}

void
sched_place(struct sched *s, struct sched_entry *e)
{
	bool wanted = false;

	for (size_t i = 0; i < e->msg->n_rcpts && !wanted && !e->held; i++)
		wanted = sched_is_open(e->msg->rcpts[i].state);
	for (size_t r = 0; r < ROUTE__COUNT && e->held; r++)
		wanted = wanted || e->jobs[r].attempt != NULL;
	if (!wanted) {
		sched_forget(s, e);
		return;
	}
	for (int r = 0; r < ROUTE__COUNT; r++)
		sched_place_job(s, e, (enum route)r);
	sched_wake(s);
}

static void
sched_route(struct sched *s, struct sched_entry *e)
{
	for (size_t i = 0; i < e->msg->n_rcpts; i++)
		if (!e->rcpts[i].busy)
			e->rcpts[i].route = route_of(s->conf,
			    e->msg->rcpts[i].address);
}

/* Takes the spool's times over for those that are not in an attempt. */
static void
sched_take_times(struct sched *s, struct sched_entry *e,
    const struct spoolq_msg *m)
{
	int64_t now_ms = sched_now_ms();

	for (size_t i = 0; i < m->n_rcpts; i++) {
		struct sched_rcpt *r = &e->rcpts[i];

		if (r->busy)
			continue;
		r->due_ms = retry_due_ms(&s->policy, now_ms, m->arrived_s,
		    m->rcpts[i].next_try_s);
		/* Why it was deferred is not known here; at worst it is tried
		 * once too early. */
		r->held = m->rcpts[i].tries > 0;
	}
}

/* -------------------------------------------------------- from the spool -- */

/* The administrator wants it tried now, or released it. */
static void
sched_again(struct sched *s, struct sched_entry *e, struct spoolq_msg *m)
{
	e->held = false;
	if (m->n_rcpts == e->msg->n_rcpts) {
		for (size_t i = 0; i < m->n_rcpts; i++)
			if (!e->rcpts[i].busy)
				e->msg->rcpts[i].state = m->rcpts[i].state;
		sched_take_times(s, e, m);
	}
	spoolq_msg_free(m);
	for (size_t r = 0; r < ROUTE__COUNT; r++)
		if (s->dests[r] != NULL && s->dests[r]->flush != NULL)
			s->dests[r]->flush(s->dest_ctx[r]);
	sched_place(s, e);
}

static void
sched_on_entry(void *ctx, struct spoolq_msg *m)
{
	struct sched *s = ctx;
	struct sched_entry **at = sched_find(s, m->id), *e = *at;

	if (e != NULL) {
		sched_again(s, e, m);
		return;
	}
	if ((e = calloc(1, sizeof(*e))) == NULL ||
	    (e->rcpts = calloc(m->n_rcpts, sizeof(*e->rcpts))) == NULL) {
		/* It stays in the spool, and is told again some day. */
		LOG_EV(LOG_ERR, "send.nomem", NULL, KV_A("qid", m->id));
		free(e);
		spoolq_msg_free(m);
		return;
	}
	e->msg = m;
	for (size_t r = 0; r < ROUTE__COUNT; r++) {
		e->jobs[r].entry = e;
		e->jobs[r].item.id = m->id;
		e->jobs[r].item.priority = m->wishes.priority;
	}
	*at = e;
	if (++s->n_entries > s->n_buckets)
		sched_grow(s);
	sched_take_times(s, e, m);
	sched_route(s, e);
	deadline_add(s, e);
	sched_place(s, e);
}

static void
sched_on_gone(void *ctx, const char *id)
{
	struct sched *s = ctx;
	struct sched_entry *e = *sched_find(s, id);

	if (e != NULL)
		sched_forget(s, e);
	sched_wake(s);
}

static void
sched_on_held(void *ctx, const char *id)
{
	struct sched *s = ctx;
	struct sched_entry *e = *sched_find(s, id);

	if (e == NULL)
		return;
	e->held = true;
	sched_place(s, e);
}

static void
sched_on_reset(void *ctx)
{
	struct sched *s = ctx;

	for (size_t i = 0; i < s->n_buckets; i++)
		while (s->buckets[i] != NULL)
			sched_forget(s, s->buckets[i]);
}

const struct spoolq_ops sched_spoolq_ops = {
	.entry = sched_on_entry,
	.gone = sched_on_gone,
	.held = sched_on_held,
	.reset = sched_on_reset,
};

/* -------------------------------------------------------------- starting -- */

static struct sched_job *
sched_job_of(struct job_heap_item *i)
{
	return (struct sched_job *)((char *)i - offsetof(struct sched_job,
	    item));
}

/* Takes the first job off the heap and makes an attempt of it. */
static struct attempt *
sched_begin(struct sched *s, enum route route, int64_t now_ms)
{
	struct sched_job *job = sched_job_of(job_heap_top(&s->heaps[route],
	    now_ms));
	struct attempt *a = attempt_new(s, job->entry, route, now_ms);

	if (a == NULL) {
		/* Later, not in this turn again and again. */
		job_heap_set(&s->heaps[route], &job->item, now_ms + 1000);
		return NULL;
	}
	job_heap_remove(&s->heaps[route], &job->item);
	job->attempt = a;
	a->went_away_before = job->went_away;
	return a;
}

static void
sched_start(struct sched *s, enum route route, int64_t now_ms)
{
	struct attempt *a = sched_begin(s, route, now_ms);

	if (a == NULL)
		return;
	if (a->owed || a->deadline) {
		attempt_done(a);
		return;
	}
	if (s->dests[route] == NULL) {
		outcome_set_all(a->rcpts, a->n_rcpts, OUTCOME_NONE,
		    OUTCOME_FAIL, false, "5.4.4 no next_hop is set on this "
		    "server, so mail for this domain goes nowhere");
		attempt_done(a);
		return;
	}
	s->dests[route]->start(s->dest_ctx[route], a);
	attempt_open(a);
}

/* When the first job of this destination can start; INT64_MAX: not known. */
static int64_t
sched_next_ms(struct sched *s, enum route route, int64_t now_ms)
{
	const struct job_heap_item *top = job_heap_top(&s->heaps[route],
	    now_ms);
	int64_t ready;

	if (top == NULL)
		return INT64_MAX;
	if (s->dests[route] == NULL)
		return top->due_ms;
	ready = s->dests[route]->ready_ms(s->dest_ctx[route]);
	return ready > top->due_ms ? ready : top->due_ms;
}

/* The clock was set back: who had to wait a minute still waits a minute. */
static void
sched_clock_back(struct sched *s, int64_t by_ms)
{
	LOG_EV(LOG_NOTICE, "send.clock", NULL, KV_I("back_ms", by_ms));
	for (size_t b = 0; b < s->n_buckets; b++)
		for (struct sched_entry *e = s->buckets[b]; e != NULL;
		    e = e->next) {
			for (size_t i = 0; i < e->msg->n_rcpts; i++)
				e->rcpts[i].due_ms -= by_ms;
			for (int r = 0; r < ROUTE__COUNT; r++)
				sched_place_job(s, e, (enum route)r);
		}
	for (size_t r = 0; r < ROUTE__COUNT; r++)
		if (s->dests[r] != NULL && s->dests[r]->flush != NULL)
			s->dests[r]->flush(s->dest_ctx[r]);
}

static void
sched_pump(void *ctx)
{
	struct sched *s = ctx;
	int64_t now_ms = sched_now_ms(), next, first;
	unsigned int starts = 0;

	s->woken = false;
	/* A second may be seen twice: its number and its fraction are read one
	 * after the other. */
	if (now_ms < s->last_ms - 2000)
		sched_clock_back(s, s->last_ms - now_ms);
	s->last_ms = now_ms;
	first = deadline_run(s, now_ms);
	for (int i = 0; i < ROUTE__COUNT; i++) {
		enum route r = (enum route)i;

		while ((next = sched_next_ms(s, r, now_ms)) <= now_ms &&
		    starts++ < SCHED_STARTS_A_TURN)
			sched_start(s, r, now_ms);
		if (next < first)
			first = next;
	}
	if (s->woken || first <= now_ms)
		timer_arm(&s->timer, 0);
	else if (first < INT64_MAX)
		timer_arm(&s->timer, clock_timer_ms(first - now_ms));
}

void
sched_wake(struct sched *s)
{
	if (!s->woken)
		timer_arm(&s->timer, 0);
	s->woken = true;
}

/* ---------------------------------------------------------- destinations -- */

void
sched_dest_failed(struct sched *s, enum route route, bool remote,
    const char *why)
{
	int64_t now_ms = sched_now_ms();
	const struct job_heap_item *top;

	for (unsigned int i = 0; i < SCHED_FAILED_AT_ONCE; i++) {
		struct attempt *a;

		top = job_heap_top(&s->heaps[route], now_ms);
		if (top == NULL || top->due_ms > now_ms)
			break;
		if ((a = sched_begin(s, route, now_ms)) == NULL)
			break;
		outcome_set_all(a->rcpts, a->n_rcpts, OUTCOME_NONE,
		    OUTCOME_DEFER, remote, why);
		a->held = true;
		attempt_done(a);
	}
}

/* What waited for the destination only is due. */
void
sched_dest_up(struct sched *s, enum route route)
{
	int64_t now_ms = sched_now_ms();

	for (size_t b = 0; b < s->n_buckets; b++)
		for (struct sched_entry *e = s->buckets[b]; e != NULL;
		    e = e->next) {
			for (size_t i = 0; i < e->msg->n_rcpts; i++) {
				struct sched_rcpt *r = &e->rcpts[i];

				if (r->route != route || !r->held || r->busy)
					continue;
				r->held = false;
				if (r->due_ms > now_ms)
					r->due_ms = now_ms;
			}
			sched_place_job(s, e, route);
		}
	sched_wake(s);
}

/* ------------------------------------------------------------ the object -- */

void
sched_set_conf(struct sched *s, const struct conf *conf)
{
	s->conf = conf;
	s->policy = (struct retry_policy){ .min_s = conf->retry_min_s,
	    .max_s = conf->retry_max_s,
	    .lifetime_s = conf->queue_lifetime_s };
	for (size_t b = 0; b < s->n_buckets; b++)
		for (struct sched_entry *e = s->buckets[b]; e != NULL;
		    e = e->next) {
			sched_route(s, e);
			for (int r = 0; r < ROUTE__COUNT; r++)
				sched_place_job(s, e, (enum route)r);
		}
	sched_wake(s);
}

void
sched_set_spool(struct sched *s, struct spoolq *q)
{
	s->spool = q;
}

void
sched_set_dest(struct sched *s, enum route route,
    const struct attempt_dest *dest, void *ctx)
{
	s->dests[route] = dest;
	s->dest_ctx[route] = ctx;
}

struct sched *
sched_new(struct loop *l, const struct conf *conf)
{
	struct sched *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->loop = l;
	s->n_buckets = SCHED_BUCKETS_MIN;
	s->buckets = calloc(s->n_buckets, sizeof(*s->buckets));
	if (s->buckets == NULL || timer_init(&s->timer, l, sched_pump, s) != 0) {
		free(s->buckets);
		free(s);
		return NULL;
	}
	sched_set_conf(s, conf);
	return s;
}

void
sched_free(struct sched *s)
{
	if (s == NULL)
		return;
	sched_on_reset(s);
	for (size_t r = 0; r < ROUTE__COUNT; r++)
		job_heap_free(&s->heaps[r]);
	job_heap_free(&s->deadlines);
	timer_free(&s->timer);
	free(s->buckets);
	free(s);
}
