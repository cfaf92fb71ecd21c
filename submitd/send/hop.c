/*
 * hop.c - the next hop as a destination.
 *
 * Runs in submitd-send. A link is one connection with the attempt that it works
 * for; it is reserved when an attempt starts and connects when the message is
 * open. What fails before the next hop was ready to take a message is the
 * host's failure, what fails later the message's.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "submitd/send/hop.h"

#include "lib/log.h"
#include "lib/str.h"
#include "submitd/send/retry.h"
#include "submitd/send/schedule.h"
#include "submitd/spool/client.h"

#define HOP_PORT	25

enum hop_link_state {
	HOP_RESERVED,		/* no connection yet; its message is opened */
	HOP_CONNECTING,		/* and resolving */
	HOP_IDLE,		/* ready; an attempt may be reserved for it */
	HOP_BUSY,		/* in a transaction, or just behind it */
	HOP_ENDING,		/* QUIT; counts no more */
};

struct hop_link {
	TAILQ_ENTRY(hop_link)	 link;
	struct hop		*hop;
	enum hop_link_state	 state;
	struct attempt		*attempt;
	struct hosts_query	*query;
	struct smtp_client	*client;
	struct smtp_client_txn	 txn;
	unsigned int		 n_sent;
	bool			 old;		/* of an earlier next_hop */
	struct timer		 idle;
};

struct hop {
	struct loop		*loop;
	const struct conf	*conf;
	SSL_CTX			*tls;
	struct resolve		*resolve;
	struct sched		*sched;
	TAILQ_HEAD(, hop_link)	 links;
	char			 host[256];
	uint16_t		 port;
	bool			 up;
	unsigned int		 fails;		/* in a row */
	int64_t			 not_before_ms;
	size_t			 fewer;		/* connections that it took */
	int64_t			 fewer_until_ms;
	struct addr		 last_good;
};

static void hop_link_connect(struct hop_link *k);

/* ----------------------------------------------------------------- links -- */

static void hop_link_idle_over(void *ctx);

static struct hop_link *
hop_link_new(struct hop *h)
{
	struct hop_link *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return NULL;
	if (timer_init(&k->idle, h->loop, hop_link_idle_over, k) != 0) {
		free(k);
		return NULL;
	}
	k->hop = h;
	TAILQ_INSERT_TAIL(&h->links, k, link);
	return k;
}

static void
hop_link_free(struct hop_link *k)
{
	TAILQ_REMOVE(&k->hop->links, k, link);
	hosts_cancel(k->query);
	smtp_client_abort(k->client);
	timer_free(&k->idle);
	free(k);
}

static struct hop_link *
hop_link_idle(struct hop *h)
{
	struct hop_link *k;

	TAILQ_FOREACH(k, &h->links, link)
		if (k->state == HOP_IDLE && k->attempt == NULL && !k->old)
			return k;
	return NULL;
}

/* Links that count, and those among them that are good for messages. */
static size_t
hop_count(const struct hop *h, size_t *ret_good)
{
	const struct hop_link *k;
	size_t n = 0;

	*ret_good = 0;
	TAILQ_FOREACH(k, &h->links, link) {
		if (k->state == HOP_ENDING || k->old)
			continue;
		n++;
		if (k->state == HOP_IDLE || k->state == HOP_BUSY)
			++*ret_good;
	}
	return n;
}

static void
hop_link_end(struct hop_link *k)
{
	timer_stop(&k->idle);
	k->state = HOP_ENDING;
	smtp_client_quit(k->client);
}

static void
hop_link_idle_over(void *ctx)
{
	struct hop_link *k = ctx;

	if (k->state == HOP_IDLE && k->attempt == NULL)
		hop_link_end(k);
}

/* -------------------------------------------------------------- attempts -- */

static void
hop_link_take_names(struct hop_link *k)
{
	struct attempt *a = k->attempt;

	str_copy(a->relay, sizeof(a->relay), smtp_client_relay(k->client));
	str_copy(a->tls, sizeof(a->tls), smtp_client_tls(k->client));
}

static void
hop_link_send(struct hop_link *k)
{
	struct attempt *a = k->attempt;
	const struct spoolq_msg *m = attempt_msg(a);

	timer_stop(&k->idle);
	hop_link_take_names(k);
	k->state = HOP_BUSY;
	k->n_sent++;
	k->txn = (struct smtp_client_txn){
		.sender = m->sender, .rcpts = a->rcpts, .n_rcpts = a->n_rcpts,
		.fd = a->fd, .offset = a->offset, .octets = m->octets,
		.eightbit = m->eightbit, .smtputf8 = m->smtputf8,
		.ret = m->ret, .envid = m->envid, .wishes = &m->wishes,
	};
	smtp_client_send(k->client, &k->txn);
}

/* The attempt leaves its link. */
static struct attempt *
hop_link_release(struct hop_link *k)
{
	struct attempt *a = k->attempt;

	k->attempt = NULL;
	if (a != NULL)
		a->worker = NULL;
	return a;
}

/* It never came to a message. With other connections at work the next hop has
 * only enough of them; else it is down. */
static void
hop_link_failed(struct hop_link *k, bool remote, const char *why)
{
	struct hop *h = k->hop;
	struct attempt *a = hop_link_release(k);
	struct retry_policy p = { .min_s = h->conf->retry_min_s };
	bool old = k->old;
	char text[OUTCOME_TEXT_MAX + 1];
	size_t good;

	str_copy(text, sizeof(text), why);
	hop_link_free(k);
	hop_count(h, &good);
	if (old || (h->up && good > 0)) {
		if (!old) {
			h->fewer = good;
			h->fewer_until_ms = sched_now_ms() + HOP_FEWER_MS;
		}
		if (a != NULL)
			attempt_done(a);
		sched_wake(h->sched);
		return;
	}
	/* Connections that fail together are one failure. */
	if (h->up || sched_now_ms() >= h->not_before_ms) {
		h->up = false;
		h->fails++;
		h->not_before_ms = sched_now_ms() +
		    retry_gate_ms(&p, h->fails);
		LOG_EV(LOG_WARNING, "hop.down", NULL, KV_S("host", h->host),
		    KV_U("port", h->port), KV_U("fails", h->fails),
		    KV_T("why", text));
	}
	if (a != NULL) {
		outcome_set_all(a->rcpts, a->n_rcpts, OUTCOME_NONE,
		    OUTCOME_DEFER, remote, text);
		a->held = true;
		attempt_done(a);
	}
	sched_dest_failed(h->sched, ROUTE_HOP, remote, text);
	sched_wake(h->sched);
}

/* A link that has nothing to do takes an attempt over from one that is still
 * connecting: a next hop may greet slowly, or serve one client at a time. */
static void
hop_link_relieve(struct hop_link *k)
{
	struct hop_link *other;

	TAILQ_FOREACH(other, &k->hop->links, link)
		if (other->state == HOP_CONNECTING && other->attempt != NULL) {
			k->attempt = hop_link_release(other);
			k->attempt->worker = k;
			return;
		}
}

/* ----------------------------------------------------- the client's events -- */

static void
hop_client_ready(void *ctx)
{
	struct hop_link *k = ctx;
	struct hop *h = k->hop;

	k->state = HOP_IDLE;
	if (k->old || (k->attempt == NULL && k->n_sent >= HOP_MESSAGES)) {
		struct attempt *a = hop_link_release(k);

		hop_link_end(k);
		if (a != NULL)
			attempt_done(a);
		return;
	}
	if (!h->up) {
		h->up = true;
		h->last_good = *smtp_client_addr(k->client);
		if (h->fails > 0)
			LOG_EV(LOG_INFO, "hop.up", NULL,
			    KV_A("relay", smtp_client_relay(k->client)));
		h->fails = 0;
		sched_dest_up(h->sched, ROUTE_HOP);
	}
	if (k->attempt == NULL)
		hop_link_relieve(k);
	if (k->attempt != NULL) {
		hop_link_send(k);
		return;
	}
	timer_arm(&k->idle, HOP_IDLE_MS);
	sched_wake(h->sched);
}

static void
hop_client_sent(void *ctx)
{
	struct hop_link *k = ctx;
	struct attempt *a = hop_link_release(k);

	attempt_done(a);
}

static void
hop_client_closed(void *ctx, bool was_ready, bool remote, const char *why)
{
	struct hop_link *k = ctx;
	struct hop *h = k->hop;

	if (k->attempt != NULL && was_ready) {
		/* Reserved while it was idle, and gone before the message was
		 * open: hop_opened() connects anew. */
		k->client = NULL;
		k->state = HOP_RESERVED;
		k->n_sent = 0;
		timer_stop(&k->idle);
		return;
	}
	if (k->attempt != NULL)
		hop_link_take_names(k);
	k->client = NULL;		/* it frees itself */
	if (!was_ready) {
		hop_link_failed(k, remote, why);
		return;
	}
	hop_link_free(k);
	sched_wake(h->sched);
}

static const struct smtp_client_ops hop_client_ops = {
	.ready = hop_client_ready,
	.sent = hop_client_sent,
	.closed = hop_client_closed,
};

/* ------------------------------------------------------------- connecting -- */

static void
hop_found(void *ctx, enum hosts_verdict v, struct hosts *hosts,
    const char *text)
{
	struct hop_link *k = ctx;
	struct hop *h = k->hop;
	struct smtp_client_target t = { .hostname = h->conf->hostname,
		.hosts = hosts, .last_good = h->last_good, .tls = h->tls };

	k->query = NULL;
	if (v != HOSTS_OK) {
		hop_link_failed(k, false, text);
		return;
	}
	k->client = smtp_client_new(h->loop, &t, &hop_client_ops, k);
	if (k->client == NULL)
		hop_link_failed(k, false, "4.3.0 out of memory");
}

static void
hop_link_connect(struct hop_link *k)
{
	struct hop *h = k->hop;

	k->state = HOP_CONNECTING;
	(void)str_format(k->attempt->relay, sizeof(k->attempt->relay), "%s:%u",
	    h->host, h->port);
	k->query = hosts_find(h->resolve, h->conf, h->conf->route_next_hop,
	    "", hop_found, k);
	if (k->query == NULL)
		hop_link_failed(k, false, "4.3.0 out of memory");
}

/* ----------------------------------------------------- as a destination -- */

static int64_t
hop_ready_ms(void *ctx)
{
	struct hop *h = ctx;
	size_t n, good, limit = HOP_CONNECTIONS;

	n = hop_count(h, &good);
	if (!h->up)
		return n > 0 ? INT64_MAX : h->not_before_ms;
	if (hop_link_idle(h) != NULL)
		return 0;
	if (h->fewer > 0 && sched_now_ms() < h->fewer_until_ms)
		limit = h->fewer;
	return n < limit ? 0 : INT64_MAX;
}

static void
hop_start(void *ctx, struct attempt *a)
{
	struct hop *h = ctx;
	struct hop_link *k = hop_link_idle(h);

	if (k == NULL)
		k = hop_link_new(h);
	a->worker = k;
	if (k != NULL) {
		k->attempt = a;
		timer_stop(&k->idle);
	}
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
	struct hop *h = ctx;
	struct hop_link *k = a->worker;

	if (k == NULL)
		return;
	hop_link_release(k);
	if (k->state == HOP_IDLE)
		timer_arm(&k->idle, HOP_IDLE_MS);
	else
		hop_link_free(k);	/* what it says to us is of no use */
	sched_wake(h->sched);
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
	.flush = hop_flush,
};

/* ------------------------------------------------------------ the object -- */

void
hop_set_conf(struct hop *h, const struct conf *conf)
{
	struct hop_link *k;
	char host[sizeof(h->host)] = "";
	uint16_t port = HOP_PORT;

	h->conf = conf;
	if (conf->next_hop != NULL && strcmp(conf->next_hop, "mx") != 0)
		(void)addr_split_hostport(conf->next_hop, HOP_PORT, host,
		    sizeof(host), &port);
	if (strcmp(host, h->host) == 0 && port == h->port)
		return;
	str_copy(h->host, sizeof(h->host), host);
	h->port = port;
	h->up = false;
	h->fails = 0;
	h->not_before_ms = 0;
	h->fewer = 0;
	memset(&h->last_good, 0, sizeof(h->last_good));
	TAILQ_FOREACH(k, &h->links, link) {
		k->old = true;
		if (k->state == HOP_IDLE && k->attempt == NULL)
			hop_link_end(k);
	}
}

struct hop *
hop_new(struct loop *l, const struct conf *conf, SSL_CTX *tls,
    struct resolve *resolve, struct sched *sched)
{
	struct hop *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->loop = l;
	h->tls = tls;
	h->resolve = resolve;
	h->sched = sched;
	TAILQ_INIT(&h->links);
	hop_set_conf(h, conf);
	return h;
}

void
hop_free(struct hop *h)
{
	if (h == NULL)
		return;
	while (!TAILQ_EMPTY(&h->links))
		hop_link_free(TAILQ_FIRST(&h->links));
	free(h);
}
