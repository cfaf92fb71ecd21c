/*
 * hop_link.c - one connection to a next hop, with the attempt that it works for.
 *
 * Runs in submitd-send. It is reserved when an attempt starts and connects when
 * the message is open. What fails before the next hop was ready to take a message
 * is the host's failure, what fails later the message's.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "submitd/send/hop_private.h"

#include "lib/str.h"
#include "submitd/send/schedule.h"
#include "submitd/spool/client.h"

/* ------------------------------------------------------------------ states -- */

static void
hop_link_count(struct hop_link *k, size_t by)
{
	struct hop *h = k->hop;

	h->hops->n_links += by;
	if (k->state == HOP_ENDING) {
		h->hops->n_ending += by;
		return;
	}
	h->n_links += by;
	if (k->doubtful)
		h->hops->n_doubtful += by;
	if (k->state == HOP_CONNECTING)
		h->n_connecting += by;
	if (k->state == HOP_IDLE || k->state == HOP_BUSY)
		h->n_good += by;
}

static void
hop_link_set(struct hop_link *k, enum hop_link_state state)
{
	hop_link_count(k, (size_t)-1);
	k->state = state;
	hop_link_count(k, 1);
}

static void
hop_link_unrest(struct hop_link *k)
{
	if (!k->resting)
		return;
	k->resting = false;
	timer_stop(&k->idle);
	TAILQ_REMOVE(&k->hop->resting, k, rest);
	TAILQ_REMOVE(&k->hop->hops->resting, k, rest_all);
}

void
hop_link_rest(struct hop_link *k)
{
	hop_link_set(k, HOP_IDLE);
	k->resting = true;
	TAILQ_INSERT_HEAD(&k->hop->resting, k, rest);
	TAILQ_INSERT_TAIL(&k->hop->hops->resting, k, rest_all);
	timer_arm(&k->idle, HOP_IDLE_MS);
	dest_wake(k->hop->dest);
	hops_feed(k->hop->hops);
}

void
hop_link_end(struct hop_link *k)
{
	hop_link_unrest(k);
	hop_link_set(k, HOP_ENDING);
	smtp_client_quit(k->client);
	hops_feed(k->hop->hops);
}

static void
hop_link_idle_over(void *ctx)
{
	struct hop_link *k = ctx;

	if (k->resting)
		hop_link_end(k);
}

struct hop_link *
hop_link_new(struct hop *h)
{
	struct hop_link *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return NULL;
	if (timer_init(&k->idle, h->hops->loop, hop_link_idle_over, k) != 0) {
		free(k);
		return NULL;
	}
	k->hop = h;
	k->doubtful = h->fails > 0;
	k->state = HOP_RESERVED;
	hop_link_count(k, 1);
	TAILQ_INSERT_TAIL(&h->links, k, link);
	h->dest->n_links++;
	dest_count(h->dest);
	return k;
}

void
hop_link_free(struct hop_link *k)
{
	struct hop *h = k->hop;

	hop_link_unrest(k);
	hop_link_count(k, (size_t)-1);
	TAILQ_REMOVE(&h->links, k, link);
	hosts_cancel(k->query);
	smtp_client_abort(k->client);
	timer_free(&k->idle);
	free(k);
	h->dest->n_links--;
	dest_count(h->dest);
	dest_wake(h->dest);
	hops_feed(h->hops);
}

/* -------------------------------------------------------------- attempts -- */

void
hop_link_take(struct hop_link *k, struct attempt *a)
{
	hop_link_unrest(k);
	k->attempt = a;
	a->worker = k;
}

struct attempt *
hop_link_release(struct hop_link *k)
{
	struct attempt *a = k->attempt;

	k->attempt = NULL;
	if (a != NULL)
		a->worker = NULL;
	return a;
}

static void
hop_link_take_names(struct hop_link *k)
{
	struct attempt *a = k->attempt;

	str_copy(a->relay, sizeof(a->relay), smtp_client_relay(k->client));
	str_copy(a->tls, sizeof(a->tls), smtp_client_tls(k->client));
}

void
hop_link_send(struct hop_link *k)
{
	struct attempt *a = k->attempt;
	const struct spoolq_msg *m = attempt_msg(a);

	hop_link_take_names(k);
	hop_link_set(k, HOP_BUSY);
	k->n_sent++;
	k->txn = (struct smtp_client_txn){
		.sender = m->sender, .rcpts = a->rcpts, .n_rcpts = a->n_rcpts,
		.content = a->content, .fd = a->fd, .offset = a->offset,
		.octets = m->octets,
		.eightbit = m->eightbit, .smtputf8 = m->smtputf8,
		.ret = m->ret, .envid = m->envid, .wishes = &m->wishes,
	};
	smtp_client_send(k->client, &k->txn);
}

/* It never came to a message. */
static void
hop_link_failed(struct hop_link *k, bool remote, const char *why)
{
	struct hop *h = k->hop;
	struct attempt *a = hop_link_release(k);
	char text[OUTCOME_TEXT_MAX + 1];

	str_copy(text, sizeof(text), why);
	hop_link_free(k);
	hop_has_failed(h, a, remote, text);
}

/* A link that has nothing to do takes an attempt over from one that is still
 * connecting: a next hop may greet slowly, or serve one client at a time. */
static void
hop_link_relieve(struct hop_link *k)
{
	struct hop_link *other;

	if (k->hop->n_connecting == 0)
		return;
	TAILQ_FOREACH(other, &k->hop->links, link)
		if (other->state == HOP_CONNECTING && other->attempt != NULL) {
			hop_link_take(k, hop_link_release(other));
			return;
		}
}

/* ----------------------------------------------------- the client's events -- */

static void
hop_client_ready(void *ctx)
{
	struct hop_link *k = ctx;
	struct hop *h = k->hop;
	struct attempt *a;

	hop_link_set(k, HOP_IDLE);
	if (h->dest->retired || (k->attempt == NULL &&
	    (k->n_sent >= HOP_MESSAGES || hop_is_over(h) ||
	    hop_gives_way(h, k->n_sent)))) {
		a = hop_link_release(k);
		hop_link_end(k);
		if (a != NULL)
			attempt_done(a);
		dest_wake(h->dest);
		return;
	}
	if (!h->up)
		hop_is_up(h, k->client);
	if (k->attempt == NULL)
		hop_link_relieve(k);
	if (k->attempt != NULL)
		hop_link_send(k);
	else
		hop_link_rest(k);
}

static void
hop_client_sent(void *ctx)
{
	struct hop_link *k = ctx;
	struct attempt *a;

	hop_link_take_names(k);		/* another address may have taken it */
	a = hop_link_release(k);
	attempt_done(a);
}

static void
hop_client_busy(void *ctx)
{
	struct hop_link *k = ctx;

	hop_is_busy(k->hop);
}

static void
hop_client_closed(void *ctx, bool was_ready, bool remote, const char *why)
{
	struct hop_link *k = ctx;

	if (k->attempt != NULL && was_ready) {
		/* Reserved while it was idle, and gone before the message was
		 * open: hop_opened() connects anew. */
		k->client = NULL;
		k->n_sent = 0;
		hop_link_set(k, HOP_RESERVED);
		return;
	}
	if (k->attempt != NULL)
		hop_link_take_names(k);
	k->client = NULL;		/* it frees itself */
	if (was_ready)
		hop_link_free(k);
	else
		hop_link_failed(k, remote, why);
}

static const struct smtp_client_ops hop_client_ops = {
	.ready = hop_client_ready,
	.sent = hop_client_sent,
	.closed = hop_client_closed,
	.busy = hop_client_busy,
};

/* ------------------------------------------------------------- connecting -- */

static void
hop_link_hosts(void *ctx, enum hosts_verdict v, struct hosts *hosts,
    const char *text)
{
	struct hop_link *k = ctx;
	const struct dest *d = k->hop->dest;
	struct smtp_client_target t = {
		.hostname = sched_conf(d->sched)->hostname, .hosts = hosts,
		.route = d->route, .last_good = k->hop->last_good,
		.tls = k->hop->hops->tls, .child = k->hop->hops->child,
		.tls_optional = d->tls_optional };
	struct attempt *a;

	k->query = NULL;
	if (v == HOSTS_OK) {
		k->client = smtp_client_new(k->hop->hops->loop, &t,
		    &hop_client_ops, k);
		if (k->client == NULL)
			hop_link_failed(k, false, "4.3.0 out of memory");
	} else if (v == HOSTS_TEMP) {
		hop_link_failed(k, false, text);
	} else {
		/* The domain takes no mail: each message learns it. */
		a = hop_link_release(k);
		if (a != NULL)
			outcome_set_all(a->rcpts, a->n_rcpts, OUTCOME_NONE,
			    OUTCOME_FAIL, false, text);
		hop_link_free(k);
		if (a != NULL)
			attempt_done(a);
	}
}

void
hop_link_connect(struct hop_link *k)
{
	const struct dest *d = k->hop->dest;
	struct conf_route as = *d->route;
	char host[256];
	uint16_t port;

	hop_link_set(k, HOP_CONNECTING);
	if (conf_route_host(d->route, host, sizeof(host), &port) == 0)
		(void)str_format(k->attempt->relay, sizeof(k->attempt->relay),
		    "%s:%u", host, port);
	/* RFC 8689 section 5: what DNSSEC says counts no more than TLS. */
	if (d->tls_optional && as.auth == CONF_AUTH_NONE)
		as.tls = CONF_TLS_MAY;
	k->query = hosts_find(k->hop->hops->resolve, d->conf, &as, d->domain,
	    hop_link_hosts, k);
	if (k->query == NULL)
		hop_link_failed(k, false, "4.3.0 out of memory");
}
