/*
 * resolve_host.c - the addresses of a host: two questions, or none for what is
 * no matter for the DNS.
 *
 * Runs in submitd-send.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "submitd/send/resolve.h"

#include "lib/str.h"

#define RESOLVE_EACH	(RESOLVE_ADDRS_MAX / 2)

struct resolve_half {
	struct resolve_query	*query;
	unsigned int		 type;		/* DNS_TYPE_ */
	struct resolve_ask	*ask;		/* NULL: answered */
	struct resolve_reply	 reply;		/* without the packet */
	struct dns_addr		 found[RESOLVE_EACH];
	size_t			 n;
};

struct resolve_query {
	struct resolve_half	 half[2];	/* AAAA, A */
	unsigned int		 open;		/* halves not yet answered */
	resolve_found_fn	*fn;
	void			*ctx;
	struct timer		 timer;
	struct resolve_found	 found;
};

static void
resolve_query_free(struct resolve_query *q)
{
	for (size_t i = 0; i < 2; i++)
		resolve_ask_cancel(q->half[i].ask);
	timer_free(&q->timer);
	free(q);
}

static void
resolve_query_tell(void *ctx)
{
	struct resolve_query *q = ctx;

	q->fn(q->ctx, &q->found);
	resolve_query_free(q);
}

/* Addresses of one kind will do if the other's question failed; but what a
 * forger could have kept from us must not decide which ones are used. */
static enum resolve_what
resolve_sum(const struct resolve_query *q)
{
	const struct resolve_half *h;
	enum resolve_what what = RESOLVE_NO_DATA;

	if (q->half[0].reply.bogus || q->half[1].reply.bogus)
		return RESOLVE_BOGUS;
	if (q->found.n > 0)
		return RESOLVE_FOUND;
	for (h = q->half; h < q->half + 2; h++) {
		if (h->reply.failed)
			return RESOLVE_AWAY;
		if (h->reply.rcode == DNS_RCODE_NXDOMAIN)
			what = RESOLVE_NO_NAME;
	}
	return what;
}

static void
resolve_collect(struct resolve_query *q)
{
	struct resolve_found *f = &q->found;
	const struct resolve_half *h;

	f->secure = true;
	for (h = q->half; h < q->half + 2; h++) {
		for (size_t i = 0; i < h->n; i++) {
			f->addrs[f->n++] = h->found[i].addr;
			str_copy(f->name, sizeof(f->name), h->found[i].owner);
		}
		if (h->type != 0 && !h->reply.secure)
			f->secure = false;
	}
	f->what = resolve_sum(q);
}

static void
resolve_half_reply(void *ctx, const struct resolve_reply *a)
{
	struct resolve_half *h = ctx;
	struct resolve_query *q = h->query;
	unsigned int rcode;

	h->ask = NULL;
	h->reply = *a;
	h->reply.packet = NULL;
	if (!a->failed && a->packet != NULL && dns_answer_addrs(a->packet,
	    a->len, h->type, h->found, RESOLVE_EACH, &h->n, &rcode) != 0)
		h->reply.failed = true;
	if (--q->open > 0)
		return;
	resolve_collect(q);
	resolve_query_tell(q);
}

bool
resolve_literal(const char *s, struct addr *ret)
{
	static const char v6[] = "IPv6:";
	char text[ADDR_STRLEN];
	size_t len = strlen(s);

	if (len < 2 || s[0] != '[' || s[len - 1] != ']')
		return addr_parse_ip(s, ret) == 0;
	if (str_istarts(s + 1, v6)) {
		s += sizeof(v6) - 1;
		len -= sizeof(v6) - 1;
	}
	return str_copy_n(text, sizeof(text), s + 1, len - 2) == 0 &&
	    addr_parse_ip(text, ret) == 0;
}

/* Those that need no question; RFC 6761 section 6.3: localhost is none. */
static bool
resolve_known(struct resolve_found *f, const char *host, unsigned int kinds)
{
	struct addr known[2];
	size_t n = 1;

	if (str_ieq(host, "localhost")) {
		addr_parse_ip("127.0.0.1", &known[0]);
		addr_parse_ip("::1", &known[1]);
		n = 2;
	} else if (!resolve_literal(host, &known[0])) {
		return false;
	}
	for (size_t i = 0; i < n; i++) {
		if (kinds & (addr_is_v4(&known[i]) ? RESOLVE_A : RESOLVE_AAAA))
			f->addrs[f->n++] = known[i];
	}
	f->what = f->n > 0 ? RESOLVE_FOUND : RESOLVE_NO_DATA;
	return true;
}

static bool
resolve_halves(struct resolve *r, struct resolve_query *q, const char *host,
    const struct resolve_how *how)
{
	static const unsigned int types[2] = { DNS_TYPE_AAAA, DNS_TYPE_A };
	static const unsigned int kinds[2] = { RESOLVE_AAAA, RESOLVE_A };

	for (size_t i = 0; i < 2; i++) {
		struct resolve_half *h = &q->half[i];

		h->query = q;
		if (!(how->kinds & kinds[i]))
			continue;
		h->type = types[i];
		h->ask = resolve_ask(r, how->validate, host, types[i],
		    resolve_half_reply, h);
		if (h->ask == NULL)
			return false;
		q->open++;
	}
	return true;
}

struct resolve_query *
resolve_addrs(struct resolve *r, const char *host,
    const struct resolve_how *how, resolve_found_fn *fn, void *ctx)
{
	struct resolve_query *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return NULL;
	q->fn = fn;
	q->ctx = ctx;
	if (timer_init(&q->timer, resolve_loop(r), resolve_query_tell,
	    q) != 0) {
		free(q);
		return NULL;
	}
	if (resolve_known(&q->found, host, how->kinds)) {
		timer_arm(&q->timer, 0);
	} else if (!resolve_halves(r, q, host, how)) {
		resolve_query_free(q);
		return NULL;
	}
	return q;
}

void
resolve_cancel(struct resolve_query *q)
{
	if (q != NULL)
		resolve_query_free(q);
}
