/*
 * hosts.c - the hosts that mail for a domain goes to.
 *
 * Runs in submitd-send. A query asks for the MX records, then for the addresses
 * of all hosts at once, and for each host's TLSA records where DANE is wanted
 * and possible. A host that has none of what it needs is left out; when none is
 * left, the worst that happened to them is the verdict, but what may pass comes
 * before what is for good. Who writes a domain's records must not be able to
 * make us connect to this machine or the networks around it.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "submitd/send/hosts.h"

#include "lib/conf_route.h"
#include "lib/log.h"
#include "lib/str.h"
#include "submitd/send/address_policy.h"
#include "submitd/send/mx.h"
#include "submitd/send/tlsa.h"

#define HOSTS_RECORDS_MAX	128u	/* MX records looked at */

/* What became of a host; the later in this list, the more it says when there is
 * no good one. */
enum hosts_fate {
	HOSTS_GOOD,
	HOSTS_NO_ADDRESS,
	HOSTS_NO_NAME,
	HOSTS_SKIPPED,		/* all its addresses are forbidden */
	HOSTS_OWN,		/* one of them is ours */
	HOSTS_AWAY,
	HOSTS_BOGUS,
	HOSTS_FATES
};

struct hosts_work {			/* one host */
	struct hosts_query	*query;
	struct hosts_host	 host;
	unsigned int		 preference;
	enum hosts_fate		 fate;
	struct resolve_query	*addrs;
	struct tlsa_query	*tlsa;
};

struct hosts_query {
	struct resolve		*resolve;
	struct address_policy	 policy;
	bool			 by_mx;		/* the policy counts */
	bool			 literal;	/* the domain is an address */
	bool			 implicit;	/* no MX records */
	bool			 dane;
	bool			 mx_secure;
	bool			 own;		/* our name was among them */
	unsigned int		 kinds;		/* RESOLVE_A | RESOLVE_AAAA */
	uint16_t		 port;
	char			 hostname[DNS_NAME_SIZE];	/* ours */
	char			 domain[DNS_NAME_SIZE];	/* or the host */
	struct resolve_ask	*ask;		/* for MX records */
	struct hosts_work	 work[HOSTS_MX_MAX];
	size_t			 n;
	size_t			 open;		/* of them, at work */
	hosts_fn		*fn;
	void			*ctx;
	struct timer		 timer;		/* for what needs no answer */
	enum hosts_fate		 early;		/* what it then tells */
};

void
hosts_free(struct hosts *h)
{
	if (h == NULL)
		return;
	for (size_t i = 0; i < h->n; i++)
		tlsa_free(&h->host[i]);
	free(h->host);
	free(h);
}

static void
hosts_query_free(struct hosts_query *q)
{
	resolve_ask_cancel(q->ask);
	for (size_t i = 0; i < q->n; i++) {
		resolve_cancel(q->work[i].addrs);
		tlsa_cancel(q->work[i].tlsa);
		tlsa_free(&q->work[i].host);
	}
	timer_free(&q->timer);
	address_policy_free(&q->policy);
	free(q);
}

void
hosts_cancel(struct hosts_query *q)
{
	if (q != NULL)
		hosts_query_free(q);
}

/* ------------------------------------------------------------ the verdict -- */

static void
hosts_tell(struct hosts_query *q, enum hosts_verdict v, struct hosts *h,
    const char *what)
{
	char text[HOSTS_TEXT_MAX];
	hosts_fn *fn = q->fn;
	void *ctx = q->ctx;

	if (str_format(text, sizeof(text), "%s %s", what, q->domain) != 0)
		str_copy(text, sizeof(text), what);
	hosts_query_free(q);
	fn(ctx, v, h, text);
}

/* A configured host may be put right by its administrator; what a domain's
 * records say is so until its own changes them. */
static void
hosts_tell_fate(struct hosts_query *q, enum hosts_fate fate)
{
	static const struct {
		enum hosts_verdict	 verdict;
		const char		*by_mx, *host;
	} table[HOSTS_FATES] = {
		[HOSTS_NO_ADDRESS] = { HOSTS_FAIL,
		    "5.4.4 no address is known for the hosts of",
		    "4.4.4 there is no address for host" },
		[HOSTS_NO_NAME] = { HOSTS_FAIL,
		    "5.1.2 there is no domain", "4.4.4 there is no host" },
		[HOSTS_SKIPPED] = { HOSTS_FAIL, "5.4.4 no address that mail "
		    "may be sent to is known for", NULL },
		[HOSTS_OWN] = { HOSTS_FAIL, "5.4.6 mail loop: this server is "
		    "the mail host of", NULL },
		[HOSTS_AWAY] = { HOSTS_TEMP,
		    "4.4.3 the name servers do not answer for",
		    "4.4.3 the name servers do not answer for" },
		[HOSTS_BOGUS] = { HOSTS_TEMP,
		    "4.7.5 DNSSEC or DANE does not verify for",
		    "4.7.5 DNSSEC or DANE does not verify for" },
	};

	if (fate == HOSTS_BOGUS && !resolve_validates(q->resolve))
		hosts_tell(q, HOSTS_TEMP, NULL, "4.7.5 there is no trust "
		    "anchor for DNSSEC, which tls = dane needs; to");
	else
		hosts_tell(q, q->by_mx ? table[fate].verdict : HOSTS_TEMP, NULL,
		    q->by_mx ? table[fate].by_mx : table[fate].host);
}

static void
hosts_early(void *ctx)
{
	struct hosts_query *q = ctx;

	hosts_tell_fate(q, q->early);
}

/* Ours, and those that are not preferred to it, would send it round in circles
 * (RFC 5321 section 5.1). */
static void
hosts_drop_own(struct hosts_query *q)
{
	unsigned int limit = UINT32_MAX;
	size_t i;

	for (i = 0; i < q->n; i++)
		if (q->work[i].fate == HOSTS_OWN &&
		    q->work[i].preference < limit)
			limit = q->work[i].preference;
	for (i = 0; i < q->n; i++)
		if (q->work[i].preference >= limit)
			q->work[i].fate = HOSTS_OWN;
}

static enum hosts_fate
hosts_sum(const struct hosts_query *q, size_t *ret_good)
{
	enum hosts_fate fate = q->own ? HOSTS_OWN : HOSTS_NO_ADDRESS;

	*ret_good = 0;
	for (size_t i = 0; i < q->n; i++) {
		if (q->work[i].fate == HOSTS_GOOD)
			++*ret_good;
		else if (q->work[i].fate > fate)
			fate = q->work[i].fate;
	}
	/* A host named in an MX record is not the domain. */
	if (fate == HOSTS_NO_NAME && !q->implicit && q->by_mx)
		fate = HOSTS_NO_ADDRESS;
	return fate;
}

/* Takes the good ones over, up to as many addresses as there may be. */
static struct hosts *
hosts_take(struct hosts_query *q, size_t good)
{
	struct hosts *h = calloc(1, sizeof(*h));
	size_t left = HOSTS_ADDRS_ALL_MAX;

	if (h == NULL || (h->host = calloc(good, sizeof(*h->host))) == NULL) {
		free(h);
		return NULL;
	}
	h->mx_secure = q->mx_secure;
	for (size_t i = 0; i < q->n && left > 0; i++) {
		struct hosts_host *host = &q->work[i].host;

		if (q->work[i].fate != HOSTS_GOOD)
			continue;
		if (host->n_addrs > left)
			host->n_addrs = left;
		left -= host->n_addrs;
		h->host[h->n++] = *host;
		host->tlsa = NULL;
		host->n_tlsa = 0;
	}
	return h;
}

static void
hosts_done(struct hosts_query *q)
{
	enum hosts_fate fate;
	struct hosts *h;
	size_t good;

	hosts_drop_own(q);
	fate = hosts_sum(q, &good);
	if (good == 0) {
		hosts_tell_fate(q, fate);
		return;
	}
	h = hosts_take(q, good);
	if (h == NULL)
		hosts_tell(q, HOSTS_TEMP, NULL, "4.3.0 out of memory for");
	else
		hosts_tell(q, HOSTS_OK, h, "2.0.0 the hosts are known of");
}

/* ---------------------------------------------------------------- one host -- */

static void
hosts_work_done(struct hosts_work *w, enum hosts_fate fate)
{
	struct hosts_query *q = w->query;

	w->fate = fate;
	if (--q->open == 0)
		hosts_done(q);
}

static void
hosts_tlsa(void *ctx, enum tlsa_what what)
{
	struct hosts_work *w = ctx;

	w->tlsa = NULL;
	hosts_work_done(w, what == TLSA_AWAY ? HOSTS_BOGUS : HOSTS_GOOD);
}

/* The addresses that may be used; GOOD if there is one. */
static enum hosts_fate
hosts_work_take(struct hosts_work *w, const struct addr *addrs, size_t n)
{
	const struct hosts_query *q = w->query;
	enum hosts_fate fate = HOSTS_NO_ADDRESS;
	char text[ADDR_STRLEN];

	for (size_t i = 0; i < n; i++) {
		struct addr a = addrs[i];
		enum address_verdict v = q->by_mx ?
		    address_check(&q->policy, &a) : ADDRESS_OK;

		if (v == ADDRESS_OWN)
			return HOSTS_OWN;
		if (v == ADDRESS_FORBIDDEN) {
			LOG_EV(LOG_INFO, "mx.skipped", NULL,
			    KV_S("domain", q->domain), KV_S("host", w->host.name),
			    KV_A("addr", addr_ip_text(&a, text)));
			fate = HOSTS_SKIPPED;
			continue;
		}
		if (w->host.n_addrs == HOSTS_ADDRS_MAX)
			break;
		a.port = q->port;
		w->host.addrs[w->host.n_addrs++] = a;
	}
	return w->host.n_addrs > 0 ? HOSTS_GOOD : fate;
}

static void
hosts_found(void *ctx, const struct resolve_found *f)
{
	static const enum hosts_fate fates[] = {
		[RESOLVE_NO_NAME] = HOSTS_NO_NAME,
		[RESOLVE_NO_DATA] = HOSTS_NO_ADDRESS,
		[RESOLVE_AWAY] = HOSTS_AWAY, [RESOLVE_BOGUS] = HOSTS_BOGUS,
	};
	struct hosts_work *w = ctx;
	struct hosts_query *q = w->query;
	enum hosts_fate fate;

	w->addrs = NULL;
	fate = f->what == RESOLVE_FOUND ?
	    hosts_work_take(w, f->addrs, f->n) : fates[f->what];
	w->host.secure = q->mx_secure && f->secure;
	if (fate != HOSTS_GOOD || !q->dane || !q->mx_secure) {
		hosts_work_done(w, fate);
		return;
	}
	w->tlsa = tlsa_find(q->resolve, &w->host, f, q->port, hosts_tlsa, w);
	if (w->tlsa == NULL)
		hosts_work_done(w, HOSTS_AWAY);
}

static void
hosts_work_add(struct hosts_query *q, const char *name, unsigned int preference)
{
	struct hosts_work *w = &q->work[q->n++];

	w->query = q;
	w->preference = preference;
	str_copy(w->host.name, sizeof(w->host.name), name);
	if (q->by_mx)
		str_copy(w->host.domain, sizeof(w->host.domain), q->domain);
}

/* false: no memory; nothing is lost, all is freed with the query. */
static bool
hosts_work_start(struct hosts_query *q)
{
	struct resolve_how how = { .validate = q->dane, .kinds = q->kinds };

	for (size_t i = 0; i < q->n; i++) {
		struct hosts_work *w = &q->work[i];

		w->addrs = resolve_addrs(q->resolve, w->host.name, &how,
		    hosts_found, w);
		if (w->addrs == NULL)
			return false;
		q->open++;
	}
	return true;
}

/* ------------------------------------------------------------- MX records -- */

/* What the domain's MX records make of it: hosts, or a verdict. */
static void
hosts_mx(struct hosts_query *q, struct dns_mx *mx, size_t n)
{
	size_t kept;

	if (mx_is_null(mx, n)) {
		hosts_tell(q, HOSTS_FAIL, NULL,
		    "5.1.10 no mail is taken (null MX) at");
		return;
	}
	q->implicit = n == 0;
	kept = mx_order(mx, n, q->hostname, HOSTS_MX_MAX, &q->own);
	for (size_t i = 0; i < kept; i++)
		hosts_work_add(q, mx[i].host, mx[i].preference);
	if (q->implicit && str_ieq(q->domain, q->hostname))
		q->own = true;
	else if (q->implicit)
		hosts_work_add(q, q->domain, 0);
	if (q->n == 0)
		hosts_tell_fate(q, q->own ? HOSTS_OWN : HOSTS_NO_ADDRESS);
	else if (!hosts_work_start(q))
		hosts_tell(q, HOSTS_TEMP, NULL, "4.3.0 out of memory for");
}

static void
hosts_mx_reply(void *ctx, const struct resolve_reply *a)
{
	struct hosts_query *q = ctx;
	unsigned int rcode;
	struct dns_mx *mx;
	size_t n = 0;

	q->ask = NULL;
	if (a->bogus || (a->failed && q->dane)) {
		hosts_tell_fate(q, HOSTS_BOGUS);
		return;
	}
	if (!a->failed && a->rcode == DNS_RCODE_NXDOMAIN) {
		hosts_tell_fate(q, HOSTS_NO_NAME);
		return;
	}
	mx = calloc(HOSTS_RECORDS_MAX, sizeof(*mx));
	if (mx == NULL || a->failed || a->packet == NULL ||
	    dns_answer_mx(a->packet, a->len, mx, HOSTS_RECORDS_MAX, &n,
	    &rcode) != 0) {
		free(mx);
		hosts_tell_fate(q, HOSTS_AWAY);
		return;
	}
	q->mx_secure = a->secure;
	hosts_mx(q, mx, n);
	free(mx);
}

/* -------------------------------------------------------------- the query -- */

/* An address as domain: no name is looked up, none is in the certificate. */
static bool
hosts_begin_literal(struct hosts_query *q)
{
	struct addr a;

	if (!resolve_literal(q->domain, &a))
		return false;
	hosts_work_add(q, q->domain, 0);
	addr_ip_text(&a, q->work[0].host.name);
	return true;
}

static bool
hosts_begin(struct hosts_query *q)
{
	if (q->by_mx && q->domain[0] != '[') {
		q->ask = resolve_ask(q->resolve, q->dane, q->domain,
		    DNS_TYPE_MX, hosts_mx_reply, q);
		return q->ask != NULL;
	}
	if (!q->by_mx) {
		hosts_work_add(q, q->domain, 0);
		q->mx_secure = true;	/* no record led to it */
		return hosts_work_start(q);
	}
	if (hosts_begin_literal(q))
		return hosts_work_start(q);
	q->early = HOSTS_NO_ADDRESS;
	timer_arm(&q->timer, 0);
	return true;
}

static int
hosts_settings(struct hosts_query *q, const struct conf *conf,
    const struct conf_route *route, const char *domain)
{
	static const unsigned int kinds[] = {
		[CONF_FAMILY_ANY] = RESOLVE_A | RESOLVE_AAAA,
		[CONF_FAMILY_IPV4] = RESOLVE_A,
		[CONF_FAMILY_IPV6] = RESOLVE_AAAA,
	};

	q->by_mx = route->via == CONF_VIA_MX;
	q->kinds = kinds[route->address_family];
	q->dane = route->tls == CONF_TLS_DANE;
	q->port = (uint16_t)route->port;
	str_copy(q->hostname, sizeof(q->hostname), conf->hostname);
	if (!q->by_mx)
		return conf_route_host(route, q->domain, sizeof(q->domain),
		    &q->port);
	if (str_copy(q->domain, sizeof(q->domain), domain) != 0)
		return ERR_LIMIT;
	return address_policy_make(conf, q->port, &q->policy);
}

/* "unix:/path" is no host's name, but it stands for one. */
static void
hosts_unix(void *ctx)
{
	struct hosts_query *q = ctx;

	q->work[0].fate = HOSTS_GOOD;
	hosts_done(q);
}

static bool
hosts_begin_unix(struct hosts_query *q, struct resolve *r, const char *host)
{
	if (timer_init(&q->timer, resolve_loop(r), hosts_unix, q) != 0 ||
	    str_copy(q->domain, sizeof(q->domain), host) != 0)
		return false;
	hosts_work_add(q, host, 0);
	timer_arm(&q->timer, 0);
	return true;
}

struct hosts_query *
hosts_find(struct resolve *r, const struct conf *conf,
    const struct conf_route *route, const char *domain, hosts_fn *fn, void *ctx)
{
	struct hosts_query *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return NULL;
	q->resolve = r;
	q->fn = fn;
	q->ctx = ctx;
	if (conf_route_unix(route) != NULL ?
	    hosts_begin_unix(q, r, route->host) :
	    timer_init(&q->timer, resolve_loop(r), hosts_early, q) == 0 &&
	    hosts_settings(q, conf, route, domain) == 0 && hosts_begin(q))
		return q;
	hosts_query_free(q);
	return NULL;
}
