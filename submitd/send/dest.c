/*
 * dest.c - destinations: found by key, woken, dropped when nobody needs them.
 *
 * Runs in submitd-send. A destination that waits costs nothing: the schedule's
 * heap has it at the time at which it is next looked at, or not at all.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "submitd/send/dest.h"

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/siphash.h"
#include "lib/str.h"
#include "submitd/send/hop.h"
#include "submitd/send/route.h"
#include "submitd/send/schedule_private.h"

#define DEST_BUCKETS_MIN 64u
#define DEST_KEY_SIZE	(64 + 1 + MAILBOX_SIZE + 1)

/* -------------------------------------------------------------- the table -- */

static struct dest **
dest_find(const struct sched *s, const char *key)
{
	struct dest **d = &s->dests[siphash(s->dest_key, key, strlen(key)) &
	    (s->n_dest_buckets - 1)];

	while (*d != NULL && strcmp((*d)->key, key) != 0)
		d = &(*d)->next;
	return d;
}

static void
dests_grow(struct sched *s)
{
	struct dest **old = s->dests, *d, *next;
	size_t n = s->n_dest_buckets;
	void *v = calloc(n * 2, sizeof(*s->dests));

	if (v == NULL)
		return;			/* longer chains, then */
	s->dests = v;
	s->n_dest_buckets = n * 2;
	for (size_t i = 0; i < n; i++)
		for (d = old[i]; d != NULL; d = next) {
			struct dest **at = dest_find(s, d->key);

			next = d->next;
			d->next = NULL;
			*at = d;
		}
	free(old);
}

static void
dest_unlink(struct dest *d)
{
	struct dest **at = dest_find(d->sched, d->key);

	if (*at == d) {
		*at = d->next;
		d->sched->n_dests--;
	}
}

static void
dest_free(struct dest *d)
{
	hop_free(d->hop);		/* its links are still counted */
	if (d->is_idle)
		TAILQ_REMOVE(&d->sched->idle_dests, d, idle);
	else if (d->retired)
		TAILQ_REMOVE(&d->sched->retired_dests, d, idle);
	if (d->sched->local == d)
		d->sched->local = NULL;
	job_heap_remove(&d->sched->looks, &d->item);
	job_heap_free(&d->jobs);
	conf_unref(d->conf);
	free(d->domain);
	free(d);
}

/* ------------------------------------------------------------------ making -- */

static void
dest_key(const struct conf_route *r, const char *domain, bool tls_optional,
    char key[DEST_KEY_SIZE])
{
	bool mx = r != NULL && r->via == CONF_VIA_MX;

	if (r == NULL || r->via == CONF_VIA_NONE)
		(void)str_copy(key, DEST_KEY_SIZE, "none");
	else if (r->via == CONF_VIA_LOCAL)
		(void)str_copy(key, DEST_KEY_SIZE, "local");
	else
		(void)str_format(key, DEST_KEY_SIZE, "%s%s%s%s", r->item.name,
		    mx ? "/" : "", mx ? domain : "", tls_optional ? "!" : "");
}

static int
dest_set_ops(struct dest *d)
{
	struct sched *s = d->sched;

	if (strcmp(d->key, "none") == 0)
		return 0;
	if (d->route->via == CONF_VIA_LOCAL) {
		d->ops = s->local_ops;
		d->ctx = s->local_ctx;
		s->local = d;
		return 0;
	}
	d->hop = hop_new(s->hops, d);
	d->ops = &hop_dest;
	d->ctx = d->hop;
	return d->hop == NULL ? ERR_NOMEM : 0;
}

static struct dest *
dest_new(struct sched *s, const char *key, const struct conf_route *route,
    const char *domain, bool tls_optional)
{
	size_t len = strlen(key) + 1;
	struct dest *d = calloc(1, sizeof(*d) + len);

	if (d == NULL)
		return NULL;
	memcpy(d->key, key, len);
	d->item.id = d->key;
	d->sched = s;
	d->conf = conf_ref(s->conf);
	d->route = route;
	d->tls_optional = tls_optional;
	d->domain = strdup(route != NULL && route->via == CONF_VIA_MX ?
	    domain : "");
	if (d->domain == NULL || dest_set_ops(d) != 0) {
		dest_free(d);
		return NULL;
	}
	return d;
}

struct dest *
dest_for(struct sched *s, const char *address, bool tls_optional)
{
	char domain[MAILBOX_SIZE], key[DEST_KEY_SIZE];
	const struct conf_route *r = route_of(s->conf, address, domain);
	struct dest **at;

	tls_optional = tls_optional && r != NULL && r->tls >= CONF_TLS_VERIFY;
	dest_key(r, domain, tls_optional, key);
	if (*(at = dest_find(s, key)) != NULL)
		return *at;
	if ((*at = dest_new(s, key, r, domain, tls_optional)) == NULL)
		return NULL;
	if (++s->n_dests > s->n_dest_buckets) {
		dests_grow(s);
		at = dest_find(s, key);
	}
	return *at;
}

/* ------------------------------------------------------------------- times -- */

void
dest_look(struct dest *d, int64_t at_ms)
{
	struct sched *s = d->sched;

	if (d->item.at != 0 && d->item.due_ms <= at_ms)
		return;
	if (job_heap_set(&s->looks, &d->item, at_ms) != 0)
		LOG_EV(LOG_ERR, "send.nomem", NULL, KV_S("dest", d->key));
	sched_arm(s, at_ms);
}

/* As of the last turn: behind what was due before that. */
void
dest_wake(struct dest *d)
{
	dest_look(d, d->sched->last_ms);
}

void
dest_put(struct dest *d, struct sched_job *job, int64_t due_ms)
{
	if (job_heap_set(&d->jobs, &job->item, due_ms) != 0)
		LOG_EV(LOG_ERR, "send.nomem", NULL, KV_A("qid",
		    job->entry->msg->id));
	dest_look(d, due_ms);
}

int64_t
dest_next_ms(struct dest *d, int64_t now_ms)
{
	const struct job_heap_item *i = job_heap_top(&d->jobs, now_ms);

	if (i == NULL)
		return INT64_MAX;
	if (i->due_ms > now_ms)
		return i->due_ms;
	if (d->ops == NULL)
		return 0;
	if (d->rate_ms > now_ms)
		return d->rate_ms;
	return d->ops->ready_ms(d->ctx);
}

void
dest_spend(struct dest *d, int64_t now_ms)
{
	uint64_t rate = d->route == NULL ? 0 : d->route->messages_per_minute;

	/* Evenly spread, so that no minute sees more however it is cut. */
	if (rate > 0)
		d->rate_ms = now_ms + (int64_t)((60000 + rate - 1) / rate);
}

/* ------------------------------------------------------------- the dropping -- */

void
dest_count(struct dest *d)
{
	struct sched *s = d->sched;
	bool idle = d->n_jobs == 0 && d->n_links == 0;

	if (idle == d->is_idle)
		return;
	d->is_idle = idle;
	if (!idle) {
		TAILQ_REMOVE(&s->idle_dests, d, idle);
		if (d->retired)
			TAILQ_INSERT_TAIL(&s->retired_dests, d, idle);
		return;
	}
	if (d->retired)
		TAILQ_REMOVE(&s->retired_dests, d, idle);
	d->idle_ms = clock_mono_ms() + (d->retired ? 0 : DEST_KEEP_MS);
	if (d->retired)
		TAILQ_INSERT_HEAD(&s->idle_dests, d, idle);
	else
		TAILQ_INSERT_TAIL(&s->idle_dests, d, idle);
	if (d->retired || !s->dropping)
		timer_arm(&s->drop, d->retired ? 0 : DEST_KEEP_MS);
	s->dropping = true;
}

static void
dests_drop(void *ctx)
{
	struct sched *s = ctx;
	int64_t now_ms = clock_mono_ms();
	struct dest *d;

	s->dropping = false;
	while ((d = TAILQ_FIRST(&s->idle_dests)) != NULL &&
	    d->idle_ms <= now_ms) {
		dest_unlink(d);
		dest_free(d);
	}
	if (d == NULL)
		return;
	s->dropping = true;
	timer_arm(&s->drop, d->idle_ms - now_ms);
}

/* ------------------------------------------------------------- the object -- */

/* The same route in the new configuration, or NULL. */
static const struct conf_route *
dest_route_in(const struct dest *d, const struct conf *conf)
{
	const struct conf_route *r;

	if (d->route == NULL)
		return NULL;
	r = conf_route_named(conf, d->route->item.name);
	return r != NULL && conf_route_eq(r, d->route) ? r : NULL;
}

static void
dest_retire(struct dest *d)
{
	if (d->is_idle)
		TAILQ_REMOVE(&d->sched->idle_dests, d, idle);
	TAILQ_INSERT_TAIL(&d->sched->retired_dests, d, idle);
	d->is_idle = false;
	d->retired = true;
	d->next = NULL;
	job_heap_remove(&d->sched->looks, &d->item);
	if (d->hop != NULL)
		hop_retire(d->hop);
	dest_count(d);
}

void
dests_set_conf(struct sched *s, struct conf *conf)
{
	const struct conf_route *r;

	for (size_t i = 0; i < s->n_dest_buckets; i++)
		for (struct dest **at = &s->dests[i], *d; (d = *at) != NULL;) {
			r = dest_route_in(d, conf);
			if (r != NULL || d->ops == NULL) {
				conf_ref(conf);
				conf_unref(d->conf);
				d->conf = conf;
				d->route = r;
				at = &d->next;
				continue;
			}
			*at = d->next;
			s->n_dests--;
			dest_retire(d);
		}
}

void
dests_let_go(struct sched *s)
{
	struct dest *d, *next;

	for (d = TAILQ_FIRST(&s->retired_dests); d != NULL; d = next) {
		next = TAILQ_NEXT(d, idle);
		if (d->hop != NULL)
			hop_let_go(d->hop);
	}
}

int
dests_init(struct sched *s)
{
	if (getrandom(s->dest_key, sizeof(s->dest_key), 0) !=
	    sizeof(s->dest_key))
		return ERR_SYSTEM;
	TAILQ_INIT(&s->idle_dests);
	TAILQ_INIT(&s->retired_dests);
	s->n_dest_buckets = DEST_BUCKETS_MIN;
	s->dests = calloc(s->n_dest_buckets, sizeof(*s->dests));
	if (s->dests == NULL)
		return ERR_NOMEM;
	return timer_init(&s->drop, s->loop, dests_drop, s);
}

void
dests_free(struct sched *s)
{
	struct dest *d;

	for (size_t i = 0; s->dests != NULL && i < s->n_dest_buckets; i++)
		while ((d = s->dests[i]) != NULL) {
			s->dests[i] = d->next;
			dest_free(d);
		}
	while ((d = TAILQ_FIRST(&s->idle_dests)) != NULL ||
	    (d = TAILQ_FIRST(&s->retired_dests)) != NULL)
		dest_free(d);
	job_heap_free(&s->looks);
	timer_free(&s->drop);
	free(s->dests);
}
