/*
 * hop.c - a next hop as a destination: how many connections it has, whether it
 * is up, and its share of all connections.
 *
 * Runs in submitd-send. Nothing here looks at all hops: who waits for a
 * connection stands in a list, and is woken when there is one.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "submitd/send/hop_private.h"

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/str.h"
#include "submitd/send/retry.h"
#include "submitd/send/schedule.h"

/* ----------------------------------------------------------- the hop's own -- */

static size_t
hop_most(const struct hop *h)
{
	return (size_t)h->dest->route->connections;
}

/* How many links it may have now. */
static size_t
hop_limit(struct hop *h)
{
	int64_t now_ms;

	if (h->limit == 0)
		return hop_most(h);
	for (now_ms = clock_mono_ms(); h->limit < hop_most(h) &&
	    now_ms >= h->grow_ms; h->grow_ms += HOP_GROW_MS)
		h->limit++;
	if (h->limit < hop_most(h))
		return h->limit;
	h->limit = 0;
	return hop_most(h);
}

static void
hop_set_limit(struct hop *h, size_t limit)
{
	h->limit = limit > 0 ? limit : 1;
	h->grow_ms = clock_mono_ms() + HOP_GROW_MS;
	if (h->limit >= hop_most(h))
		h->limit = 0;
}

bool
hop_is_over(struct hop *h)
{
	return h->limit > 0 && h->n_links > hop_limit(h);
}

/* Many connections that hear it at once are one time. */
void
hop_is_busy(struct hop *h)
{
	int64_t now_ms = clock_mono_ms();
	size_t limit = hop_limit(h);

	/* One that was not up has one connection anyway. */
	if (!h->up || (h->halved_ms > 0 && now_ms - h->halved_ms < HOP_BUSY_MS))
		return;
	h->halved_ms = now_ms;
	hop_set_limit(h, (h->n_links < limit ? h->n_links : limit) / 2);
	LOG_EV(LOG_NOTICE, "hop.busy", NULL, KV_S("dest", h->dest->key),
	    KV_U("connections", hop_limit(h)));
}

void
hop_is_up(struct hop *h, const struct smtp_client *client)
{
	h->up = true;
	h->last_good = *smtp_client_addr(client);
	if (h->fails > 0)
		LOG_EV(LOG_INFO, "hop.up", NULL, KV_S("dest", h->dest->key),
		    KV_A("relay", smtp_client_relay(client)));
	h->fails = 0;
	sched_dest_up(h->dest);
}

static void
hop_is_down(struct hop *h, const char *why)
{
	struct retry_policy p = { .min_s =
	    sched_conf(h->dest->sched)->retry_min_s };

	h->up = false;
	h->fails++;
	h->not_before_ms = sched_now_ms() + retry_gate_ms(&p, h->fails);
	LOG_EV(LOG_WARNING, "hop.down", NULL, KV_S("dest", h->dest->key),
	    KV_U("fails", h->fails), KV_T("why", why));
}

/* With other connections at work the next hop has only enough of them; else it
 * is down. */
void
hop_has_failed(struct hop *h, struct attempt *a, bool remote, const char *why)
{
	struct dest *d = h->dest;

	if (d->retired || (h->up && h->n_good > 0)) {
		if (!d->retired)
			hop_set_limit(h, h->n_good);
		if (a != NULL)
			attempt_done(a);
		return;
	}
	/* Connections that fail together are one failure. */
	if (h->up || sched_now_ms() >= h->not_before_ms)
		hop_is_down(h, why);
	if (a != NULL) {
		outcome_set_all(a->rcpts, a->n_rcpts, OUTCOME_NONE,
		    OUTCOME_DEFER, remote, why);
		a->held = true;
		attempt_done(a);
	}
	sched_dest_failed(d->sched, d, remote, why);
}

/* ------------------------------------------------------------ among the hops -- */

static size_t
hops_most(const struct hop *h)
{
	return (size_t)sched_conf(h->dest->sched)->send_connections;
}

/* A hop that has failed may have a connection as far as all of these are
 * concerned. */
static bool
hops_may_doubt(const struct hop *h)
{
	return h->hops->n_doubtful < (hops_most(h) + 1) / 2;
}

static void
hop_starve_over(struct hop *h)
{
	if (h->starving != NULL) {
		TAILQ_REMOVE(h->starving, h, starve);
		h->hops->n_starving--;
	}
	h->starving = NULL;
}

/* Who stands in the list already keeps his place. */
static void
hop_starve(struct hop *h, struct hop_list *list)
{
	if (h->starving == list)
		return;
	hop_starve_over(h);
	h->starving = list;
	h->hops->n_starving++;
	TAILQ_INSERT_TAIL(list, h, starve);
}

static void
hop_feed(struct hop *h)
{
	if (h == NULL)
		return;
	hop_starve_over(h);
	dest_wake(h->dest);
}

void
hops_feed(struct hops *hs)
{
	struct hop *bare = TAILQ_FIRST(&hs->bare), *h = bare;

	if (h == NULL)
		h = TAILQ_FIRST(&hs->more);
	if (bare != NULL && hs->n_links < hops_most(bare))
		hs->fed = bare;
	if (h != NULL && (hs->n_links < hops_most(h) ||
	    !TAILQ_EMPTY(&hs->resting)))
		hop_feed(h);
	h = TAILQ_FIRST(&hs->doubtful);
	if (h != NULL && hops_may_doubt(h))
		hop_feed(h);
}

bool
hop_gives_way(const struct hop *h, unsigned int n_sent)
{
	return !TAILQ_EMPTY(&h->hops->bare) && (h->n_links > 1 ||
	    n_sent >= HOP_MESSAGES_TURN);
}

/* The last place was freed for one that has none, and it is about to take it. */
static bool
hops_keep_for_fed(const struct hop *h)
{
	struct hops *hs = h->hops;
	int64_t now_ms = sched_now_ms();

	if (hs->fed == NULL || hs->fed == h || h->n_links == 0 ||
	    hs->n_links + 1 < hops_most(h))
		return false;
	if (hs->fed->n_links > 0 ||
	    dest_next_ms(hs->fed->dest, now_ms) > now_ms)
		hs->fed = NULL;
	return hs->fed != NULL;
}

/* There is room for one connection more; where there is none one that has nothing
 * to do ends for it, and its place is free when it has. */
static bool
hops_have_room(const struct hop *h)
{
	struct hops *hs = h->hops;
	struct hop_link *k;

	if (hs->n_links < hops_most(h))
		return !hops_keep_for_fed(h);
	/* One ends for each who waits. */
	if (hs->n_ending <= hs->n_starving &&
	    (k = TAILQ_FIRST(&hs->resting)) != NULL)
		hop_link_end(k);
	return false;
}

/* ----------------------------------------------------- as a destination -- */

static int64_t
hop_ready_ms(void *ctx)
{
	struct hop *h = ctx;

	if (h->dest->retired)
		return INT64_MAX;
	if (!h->up) {
		if (h->n_links > 0)
			return INT64_MAX;
		if (h->not_before_ms > sched_now_ms())
			return h->not_before_ms;
	} else if (!TAILQ_EMPTY(&h->resting)) {
		return 0;
	} else if (h->n_links >= hop_limit(h)) {
		return INT64_MAX;
	}
	if (h->fails > 0 && !hops_may_doubt(h)) {
		hop_starve(h, &h->hops->doubtful);
	} else if (!hops_have_room(h)) {
		hop_starve(h, h->n_links == 0 ? &h->hops->bare :
		    &h->hops->more);
	} else {
		hop_starve_over(h);
		return 0;
	}
	return INT64_MAX;
}

static void
hop_start(void *ctx, struct attempt *a)
{
	struct hop *h = ctx;
	struct hop_link *k = TAILQ_FIRST(&h->resting);

	if (k == NULL)
		k = hop_link_new(h);
	a->worker = NULL;
	if (k != NULL)
		hop_link_take(k, a);
}

static void
hop_opened(void *ctx, struct attempt *a)
{
	struct hop_link *k = a->worker;

	(void)ctx;
	if (k == NULL)
		attempt_done(a);		/* no memory: again */
	else if (k->state == HOP_IDLE)
		hop_link_send(k);
	else
		hop_link_connect(k);
}

static void
hop_cancel(void *ctx, struct attempt *a)
{
	struct hop_link *k = a->worker;

	(void)ctx;
	if (k == NULL)
		return;
	hop_link_release(k);
	if (k->state == HOP_IDLE)
		hop_link_rest(k);
	else
		hop_link_free(k);	/* what it says to us is of no use */
}

static bool
hop_ending(void *ctx, const struct attempt *a)
{
	const struct hop_link *k = a->worker;

	(void)ctx;
	return k != NULL && k->client != NULL &&
	    smtp_client_is_ending(k->client);
}

static void
hop_flush(void *ctx)
{
	struct hop *h = ctx;

	h->not_before_ms = 0;
}

const struct attempt_dest hop_dest = {
	.ready_ms = hop_ready_ms,
	.start = hop_start,
	.opened = hop_opened,
	.cancel = hop_cancel,
	.ending = hop_ending,
	.flush = hop_flush,
	.keeps_fd = true,	/* smtp_client_put() copies */
};

/* ------------------------------------------------------------- the objects -- */

void
hop_retire(struct hop *h)
{
	struct hop_link *k;

	hop_starve_over(h);
	while ((k = TAILQ_FIRST(&h->resting)) != NULL)
		hop_link_end(k);
}

void
hop_let_go(struct hop *h)
{
	struct hop_link *k, *next;
	struct attempt *a;

	for (k = TAILQ_FIRST(&h->links); k != NULL; k = next) {
		next = TAILQ_NEXT(k, link);
		if (k->state != HOP_CONNECTING)
			continue;
		a = hop_link_release(k);
		hop_link_free(k);
		if (a != NULL)
			attempt_done(a);
	}
}

struct hop *
hop_new(struct hops *hs, struct dest *d)
{
	struct hop *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->hops = hs;
	h->dest = d;
	TAILQ_INIT(&h->links);
	TAILQ_INIT(&h->resting);
	return h;
}

void
hop_free(struct hop *h)
{
	if (h == NULL)
		return;
	while (!TAILQ_EMPTY(&h->links))
		hop_link_free(TAILQ_FIRST(&h->links));
	hop_starve_over(h);
	if (h->hops->fed == h)
		h->hops->fed = NULL;
	free(h);
}

struct hops *
hops_new(struct loop *l, struct resolve *resolve, SSL_CTX *tls,
    struct child *child)
{
	struct hops *hs = calloc(1, sizeof(*hs));

	if (hs == NULL)
		return NULL;
	hs->loop = l;
	hs->resolve = resolve;
	hs->tls = tls;
	hs->child = child;
	TAILQ_INIT(&hs->resting);
	TAILQ_INIT(&hs->bare);
	TAILQ_INIT(&hs->more);
	TAILQ_INIT(&hs->doubtful);
	return hs;
}

void
hops_free(struct hops *hs)
{
	free(hs);
}
