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
#define SCHED_STARTS_A_VISIT	20u
#define SCHED_FAILED_AT_ONCE	200u	/* deferred with a failed destination */

int64_t
sched_now_ms(void)
{
	/* Only the fraction is real time's: a test may move the rest. */
	return clock_now_s() * 1000 + clock_now_us() / 1000 % 1000;
}

/* -------------------------------------------------------------- the table -- */

size_t
sched_hash(const char *key)
{
	uint64_t h = 14695981039346656037u;	/* FNV-1a; ids are our own */

	while (*key != '\0')
		h = (h ^ (unsigned char)*key++) * 1099511628211u;
	return (size_t)(h ^ h >> 32);
}

static struct sched_entry **
sched_find(const struct sched *s, const char *id)
{
	struct sched_entry **e = &s->buckets[sched_hash(id) &
	    (s->n_buckets - 1)];

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

/* Takes the job from its destination and its message. */
static void
sched_job_free(struct sched_job *job)
{
	struct sched_job **at = &job->entry->jobs;

	while (*at != job)
		at = &(*at)->next;
	*at = job->next;
	job_heap_remove(&job->dest->jobs, &job->item);
	job->dest->n_jobs--;
	dest_count(job->dest);
	free(job);
}

uint8_t *
sched_take_content(struct sched *s, struct sched_entry *e)
{
	uint8_t *content = e->msg->content;

	if (content != NULL)
		s->along_octets -= e->msg->octets;
	e->msg->content = NULL;
	return content;
}

/* What came along is kept for the first try, while there is not too much. */
static void
sched_keep_content(struct sched *s, struct spoolq_msg *m)
{
	if (m->content == NULL)
		return;
	if (s->along_octets + m->octets > SCHED_ALONG_MAX) {
		free(m->content);
		m->content = NULL;
	} else {
		s->along_octets += m->octets;
	}
}

static void
sched_entry_free(struct sched *s, struct sched_entry *e)
{
	free(sched_take_content(s, e));
	spoolq_msg_free(e->msg);
	free(e->rcpts);
	free(e);
}

/* Takes it out of table and heaps, stops its attempts, and frees it. */
static void
sched_forget(struct sched *s, struct sched_entry *e)
{
	struct sched_entry **at = sched_find(s, e->msg->id);
	struct sched_job *job;

	while ((job = e->jobs) != NULL) {
		struct attempt *a = job->attempt;

		job->attempt = NULL;
		if (a != NULL)
			attempt_cancel(a);
		sched_job_free(job);
	}
	deadline_remove(s, e);
	report_cancel(e->report);
	if (*at == e) {
		*at = e->next;
		s->n_entries--;
	}
	sched_entry_free(s, e);
}

/* --------------------------------------------------------------- routing -- */

static struct sched_job *
sched_job_new(struct sched_entry *e, struct dest *d)
{
	struct sched_job *job = calloc(1, sizeof(*job));

	if (job == NULL)
		return NULL;
	job->entry = e;
	job->dest = d;
	job->first = SCHED_NONE;
	job->item.id = e->msg->id;
	job->item.priority = e->msg->wishes.priority;
	job->next = e->jobs;
	e->jobs = job;
	d->n_jobs++;
	dest_count(d);
	return job;
}

/* The entry's job for the recipient's destination. */
static struct sched_job *
sched_job_for(struct sched *s, struct sched_entry *e, size_t rcpt)
{
	struct dest *d = dest_for(s, e->msg->rcpts[rcpt].address,
	    e->msg->wishes.tls_optional);
	struct sched_job *job;

	if (d == NULL)
		return NULL;
	if (d->seen == e)
		return d->seen_job;
	for (job = e->jobs; job != NULL && job->dest != d; job = job->next)
		;
	if (job == NULL && (job = sched_job_new(e, d)) == NULL)
		return NULL;
	d->seen = e;
	d->seen_job = job;
	return job;
}

/* Gives each open recipient that is in no attempt to the job of its destination,
 * as routes are now; jobs without recipients go. False: no memory. */
static bool
sched_route(struct sched *s, struct sched_entry *e)
{
	struct sched_job *job, *next;
	bool ok = true;

	for (job = e->jobs; job != NULL; job = job->next)
		job->first = SCHED_NONE;
	for (size_t i = e->msg->n_rcpts; i-- > 0;) {
		struct sched_rcpt *r = &e->rcpts[i];

		bool wanted = !e->held &&
		    sched_is_open(e->msg->rcpts[i].state);

		if (!r->busy)
			r->job = wanted ? sched_job_for(s, e, i) : NULL;
		if (r->job == NULL) {
			ok &= !wanted;
			continue;
		}
		r->next = r->job->first;
		r->job->first = (uint32_t)i;
	}
	for (job = e->jobs; job != NULL; job = next) {
		next = job->next;
		job->dest->seen = NULL;
		if (job->first == SCHED_NONE && job->attempt == NULL)
			sched_job_free(job);
	}
	return ok;
}

/* ---------------------------------------------------------------- placing -- */

/* Puts the job where it belongs now. False: nobody in it is open any more. */
static bool
sched_place_job(struct sched_job *job)
{
	const struct sched_entry *e = job->entry;
	int64_t due = INT64_MAX, release = e->msg->wishes.hold_until_s * 1000;
	bool open = false;

	for (uint32_t i = job->first; i != SCHED_NONE; i = e->rcpts[i].next) {
		if (!sched_is_open(e->msg->rcpts[i].state))
			continue;
		open = true;
		if (!e->rcpts[i].busy && e->rcpts[i].due_ms < due)
			due = e->rcpts[i].due_ms;
	}
	if (due == INT64_MAX || job->attempt != NULL)
		job_heap_remove(&job->dest->jobs, &job->item);
	/* RFC 4865: not before that, whatever else would have it tried. */
	else if (due < release)
		dest_put(job->dest, job, release);
	else
		dest_put(job->dest, job, due);
	return open;
}

static void
sched_place_all(struct sched_entry *e)
{
	for (struct sched_job *job = e->jobs; job != NULL; job = job->next)
		(void)sched_place_job(job);
}

/* False: the job is gone, nobody in it is open any more. */
static bool
sched_place_or_end(struct sched_job *job)
{
	struct sched_entry *e = job->entry;

	if (sched_place_job(job))
		return true;
	for (uint32_t i = job->first; i != SCHED_NONE; i = e->rcpts[i].next)
		e->rcpts[i].job = NULL;
	sched_job_free(job);
	return false;
}

static void
sched_reroute(struct sched *s, struct sched_entry *e)
{
	/* Those that stay without one are told anew some day. */
	(void)sched_route(s, e);
	sched_place_all(e);
}

void
sched_place(struct sched *s, struct sched_job *job)
{
	struct sched_entry *e = job->entry;

	if (job->dest->retired || e->held)
		sched_reroute(s, e);
	else if (sched_place_or_end(job))
		dest_wake(job->dest);
	if (e->jobs == NULL)
		sched_forget(s, e);
}

void
sched_place_entry(struct sched *s, struct sched_entry *e)
{
	struct sched_job *job, *next;
	bool reroute = e->held;

	for (job = e->jobs; job != NULL && !reroute; job = job->next)
		reroute = job->dest->retired;
	if (reroute)
		sched_reroute(s, e);
	for (job = reroute ? NULL : e->jobs; job != NULL; job = next) {
		next = job->next;
		if (job->attempt == NULL && sched_place_or_end(job))
			dest_wake(job->dest);
	}
	if (e->jobs == NULL)
		sched_forget(s, e);
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
	struct sched_job *job;

	e->held = false;
	if (m->n_rcpts == e->msg->n_rcpts) {
		for (size_t i = 0; i < m->n_rcpts; i++)
			if (!e->rcpts[i].busy)
				e->msg->rcpts[i].state = m->rcpts[i].state;
		sched_take_times(s, e, m);
		(void)sched_route(s, e);
	}
	spoolq_msg_free(m);
	for (job = e->jobs; job != NULL; job = job->next)
		if (job->dest->ops != NULL && job->dest->ops->flush != NULL)
			job->dest->ops->flush(job->dest->ctx);
	sched_place_all(e);
	if (e->jobs == NULL)
		sched_forget(s, e);
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
	sched_keep_content(s, m);
	*at = e;
	if (++s->n_entries > s->n_buckets)
		sched_grow(s);
	sched_take_times(s, e, m);
	if (!sched_route(s, e))
		LOG_EV(LOG_ERR, "send.nomem", NULL, KV_A("qid", m->id));
	deadline_add(s, e);
	sched_place_all(e);
	if (e->jobs == NULL)
		sched_forget(s, e);
}

static void
sched_on_gone(void *ctx, const char *id)
{
	struct sched *s = ctx;
	struct sched_entry *e = *sched_find(s, id);

	if (e != NULL)
		sched_forget(s, e);
}

static void
sched_on_held(void *ctx, const char *id)
{
	struct sched *s = ctx;
	struct sched_entry *e = *sched_find(s, id);

	if (e == NULL)
		return;
	e->held = true;
	(void)sched_route(s, e);
	if (e->jobs == NULL)
		sched_forget(s, e);
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

/* Takes the first job and makes an attempt of it. */
static struct attempt *
sched_begin(struct sched *s, struct dest *d, int64_t now_ms)
{
	struct sched_job *job = sched_job_of(job_heap_top(&d->jobs, now_ms));
	struct attempt *a = attempt_new(s, job, now_ms);

	if (a == NULL) {
		/* Later, not in this turn again and again. */
		job_heap_set(&d->jobs, &job->item, now_ms + 1000);
		return NULL;
	}
	job_heap_remove(&d->jobs, &job->item);
	job->attempt = a;
	a->went_away_before = job->went_away;
	return a;
}

static void
sched_start(struct sched *s, struct dest *d, int64_t now_ms)
{
	struct attempt *a = sched_begin(s, d, now_ms);

	if (a == NULL)
		return;
	if (a->owed || a->deadline) {
		attempt_done(a);
		return;
	}
	if (d->ops == NULL) {
		outcome_set_all(a->rcpts, a->n_rcpts, OUTCOME_NONE,
		    OUTCOME_FAIL, false, "5.4.4 mail for this domain goes "
		    "nowhere: no next_hop is set on this server, or the "
		    "domain's route is none");
		attempt_done(a);
		return;
	}
	dest_spend(d, now_ms);
	d->ops->start(d->ctx, a);
	attempt_open(a);
}

/* Starts what it takes now, but not so much that others wait long; how many. */
static unsigned int
sched_visit(struct sched *s, struct dest *d, int64_t now_ms)
{
	unsigned int n = 0;
	int64_t next;

	job_heap_remove(&s->looks, &d->item);
	while ((next = dest_next_ms(d, now_ms)) <= now_ms &&
	    n < SCHED_STARTS_A_VISIT) {
		sched_start(s, d, now_ms);
		n++;
	}
	if (next < INT64_MAX)
		dest_look(d, next < now_ms ? now_ms : next);
	return n;
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
			sched_place_all(e);
		}
	for (size_t b = 0; b < s->n_dest_buckets; b++)
		for (struct dest *d = s->dests[b]; d != NULL; d = d->next) {
			d->rate_ms = 0;
			if (d->ops != NULL && d->ops->flush != NULL)
				d->ops->flush(d->ctx);
			dest_wake(d);
		}
}

void
sched_arm(struct sched *s, int64_t at_ms)
{
	int64_t now_ms;

	if (at_ms >= s->timer_ms)
		return;
	s->timer_ms = at_ms;
	if (at_ms > 0 && at_ms > (now_ms = sched_now_ms()))
		timer_arm(&s->timer, clock_timer_ms(at_ms - now_ms));
	else
		timer_arm(&s->timer, 0);
}

static void
sched_pump(void *ctx)
{
	struct sched *s = ctx;
	int64_t now_ms = sched_now_ms(), first;
	struct job_heap_item *i;
	unsigned int starts = 0;

	if (s->stopping)
		return;
	/* Nothing arms it before the end of the turn. */
	s->timer_ms = INT64_MIN;
	/* A second may be seen twice: its number and its fraction are read one
	 * after the other. */
	if (now_ms < s->last_ms - 2000)
		sched_clock_back(s, s->last_ms - now_ms);
	s->last_ms = now_ms;
	first = deadline_run(s, now_ms);
	while ((i = job_heap_top(&s->looks, now_ms)) != NULL &&
	    i->due_ms <= now_ms && starts < SCHED_STARTS_A_TURN)
		starts += sched_visit(s, dest_of(i), now_ms);
	s->timer_ms = INT64_MAX;
	sched_arm(s, first);
	if (i != NULL)
		sched_arm(s, i->due_ms);
}

void
sched_wake_local(struct sched *s)
{
	if (s->local != NULL)
		dest_wake(s->local);
}

/* ---------------------------------------------------------- destinations -- */

void
sched_dest_failed(struct sched *s, struct dest *d, bool remote,
    const char *why)
{
	int64_t now_ms = sched_now_ms();

	for (unsigned int i = 0; i < SCHED_FAILED_AT_ONCE; i++) {
		const struct job_heap_item *top = job_heap_top(&d->jobs,
		    now_ms);
		struct attempt *a;

		if (top == NULL || top->due_ms > now_ms ||
		    (a = sched_begin(s, d, now_ms)) == NULL)
			break;
		outcome_set_all(a->rcpts, a->n_rcpts, OUTCOME_NONE,
		    OUTCOME_DEFER, remote, why);
		a->held = true;
		attempt_done(a);
	}
}

static void
sched_job_up(struct sched_job *job, int64_t now_ms)
{
	struct sched_entry *e = job->entry;

	for (uint32_t i = job->first; i != SCHED_NONE; i = e->rcpts[i].next) {
		if (!e->rcpts[i].held || e->rcpts[i].busy)
			continue;
		e->rcpts[i].held = false;
		if (e->rcpts[i].due_ms > now_ms)
			e->rcpts[i].due_ms = now_ms;
	}
	job->item.at = 0;		/* the heap is a new one */
	(void)sched_place_job(job);
}

/* What waited for the destination only is due. */
void
sched_dest_up(struct dest *d)
{
	int64_t now_ms = sched_now_ms();
	struct job_heap old = d->jobs;

	d->jobs = (struct job_heap){ 0 };
	for (size_t i = 0; i < old.waiting.n; i++)
		sched_job_up(sched_job_of(old.waiting.v[i]), now_ms);
	for (size_t i = 0; i < old.ready.n; i++)
		sched_job_up(sched_job_of(old.ready.v[i]), now_ms);
	job_heap_free(&old);
	dest_wake(d);
}

/* ------------------------------------------------------------ the object -- */

static void
sched_take_conf(struct sched *s, struct conf *conf)
{
	conf_ref(conf);
	conf_unref(s->conf);
	s->conf = conf;
	s->policy = (struct retry_policy){ .min_s = conf->retry_min_s,
	    .max_s = conf->retry_max_s,
	    .lifetime_s = conf->queue_lifetime_s };
}

void
sched_set_conf(struct sched *s, struct conf *conf)
{
	struct sched_entry *e, *next;

	dests_set_conf(s, conf);
	sched_take_conf(s, conf);
	for (size_t b = 0; b < s->n_buckets; b++)
		for (e = s->buckets[b]; e != NULL; e = next) {
			next = e->next;
			if (!sched_route(s, e))
				LOG_EV(LOG_ERR, "send.nomem", NULL,
				    KV_A("qid", e->msg->id));
			sched_place_all(e);
		}
	dests_let_go(s);
	for (size_t b = 0; b < s->n_dest_buckets; b++)
		for (struct dest *d = s->dests[b]; d != NULL; d = d->next)
			dest_wake(d);
}

const struct conf *
sched_conf(const struct sched *s)
{
	return s->conf;
}

void
sched_set_spool(struct sched *s, struct spoolq *q)
{
	s->spool = q;
}

void
sched_set_hops(struct sched *s, struct hops *hops)
{
	s->hops = hops;
}

void
sched_set_local(struct sched *s, const struct attempt_dest *ops, void *ctx)
{
	s->local_ops = ops;
	s->local_ctx = ctx;
}

struct sched *
sched_new(struct loop *l, struct conf *conf)
{
	struct sched *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->loop = l;
	s->timer_ms = INT64_MAX;
	TAILQ_INIT(&s->reports_gather);
	TAILQ_INIT(&s->reports_look);
	TAILQ_INIT(&s->reports_wait);
	s->n_buckets = SCHED_BUCKETS_MIN;
	s->buckets = calloc(s->n_buckets, sizeof(*s->buckets));
	if (s->buckets == NULL || dests_init(s) != 0 ||
	    timer_init(&s->timer, l, sched_pump, s) != 0 ||
	    timer_init(&s->stop_late, l, sched_stop_late, s) != 0 ||
	    timer_init(&s->reports, l, report_run, s) != 0) {
		dests_free(s);
		free(s->buckets);
		free(s);
		return NULL;
	}
	sched_take_conf(s, conf);
	return s;
}

void
sched_free(struct sched *s)
{
	if (s == NULL)
		return;
	sched_on_reset(s);
	dests_free(s);
	job_heap_free(&s->deadlines);
	timer_free(&s->timer);
	timer_free(&s->stop_late);
	timer_free(&s->reports);
	conf_unref(s->conf);
	free(s->buckets);
	free(s);
}
