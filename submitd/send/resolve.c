/*
 * resolve.c - host names to addresses, by libunbound's event interface.
 *
 * Runs in submitd-send. Nothing here blocks: never getaddrinfo(). A query lives
 * until libunbound has answered both of its halves, for ub_cancel() does not
 * work with the event interface; its owner is answered or cancelled earlier.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <unbound.h>
#include <unbound-event.h>

#include "submitd/send/resolve.h"

#include "lib/str.h"
#include "submitd/send/dns_answer.h"

#define RESOLVE_WAIT_MS	20000
#define RESOLVE_HOST_MAX 255u

struct resolve {
	struct loop	*loop;
	struct ub_ctx	*ub;
};

struct resolve_half {
	struct resolve_query	*query;
	unsigned int		 type;		/* DNS_TYPE_ */
	struct addr		 addrs[RESOLVE_ADDRS_MAX / 2];
	size_t			 n;
	int			 failed;	/* no answer at all */
	unsigned int		 rcode;
};

struct resolve_query {
	struct resolve_half	 half[2];	/* AAAA, A */
	unsigned int		 open;		/* halves not yet answered */
	char			 host[RESOLVE_HOST_MAX + 1];
	resolve_fn		*fn;		/* NULL: answered or cancelled */
	void			*ctx;
	struct timer		 timer;
};

static void
resolve_option(struct ub_ctx *ub, const char *name, const char *value)
{
	/* An option that this libunbound lacks is no reason not to start. */
	(void)ub_ctx_set_option(ub, name, value);
}

static void
resolve_nothing(void *ctx, int rcode, void *packet, int len, int sec,
    char *why, int limited)
{
	(void)ctx;
	(void)rcode;
	(void)packet;
	(void)len;
	(void)sec;
	(void)why;
	(void)limited;
}

/* Where to ask; a test build can be told to ask a server of the test's. */
static int
resolve_servers(struct ub_ctx *ub)
{
#ifdef SUBMITD_TEST_BUILD
	const char *test = getenv("SUBMITD_TEST_DNS");	/* "127.0.0.1@5353" */

	if (test != NULL)
		return ub_ctx_set_fwd(ub, test);
#endif
	return ub_ctx_resolvconf(ub, NULL);
}

struct resolve *
resolve_new(struct loop *l, struct err *reterr)
{
	struct resolve *r = calloc(1, sizeof(*r));

	if (r == NULL ||
	    (r->ub = ub_ctx_create_event(loop_base(l))) == NULL) {
		free(r);
		err_set(reterr, ERR_NOMEM, "libunbound: no context");
		return NULL;
	}
	r->loop = l;
	ub_ctx_debugout(r->ub, NULL);	/* its words have no place in our log */
	resolve_option(r->ub, "do-not-query-localhost:", "no");
	resolve_option(r->ub, "outgoing-range:", "64");
	resolve_option(r->ub, "num-queries-per-thread:", "64");
	resolve_option(r->ub, "msg-cache-size:", "256k");
	resolve_option(r->ub, "rrset-cache-size:", "512k");
	/* libunbound would deny these itself; a site's own name servers may
	 * know hosts there. */
	resolve_option(r->ub, "local-zone:", "test. transparent");
	resolve_option(r->ub, "local-zone:", "home.arpa. transparent");
	/* Without these files libunbound asks the root servers itself. */
	(void)ub_ctx_hosts(r->ub, NULL);
	(void)resolve_servers(r->ub);
	/* The first query makes it open all that it needs: before chroot. */
	if (ub_resolve_event(r->ub, "localhost", DNS_TYPE_A, 1, NULL,
	    resolve_nothing, NULL) != 0) {
		err_set(reterr, ERR_SYSTEM, "libunbound does not start");
		resolve_free(r);
		return NULL;
	}
	return r;
}

void
resolve_free(struct resolve *r)
{
	if (r == NULL)
		return;
	ub_ctx_delete(r->ub);
	free(r);
}

/* Frees it once nobody can call back any more. */
static void
resolve_release(struct resolve_query *q)
{
	if (q->open > 0 || q->fn != NULL)
		return;
	timer_free(&q->timer);
	free(q);
}

static void
resolve_answer(struct resolve_query *q)
{
	struct addr all[RESOLVE_ADDRS_MAX];
	resolve_fn *fn = q->fn;
	char why[RESOLVE_HOST_MAX + 80];
	const char *what = "4.4.3 the name servers do not answer for";
	size_t n = 0;

	for (size_t i = 0; i < 2; i++) {
		memcpy(all + n, q->half[i].addrs,
		    q->half[i].n * sizeof(all[0]));
		n += q->half[i].n;
	}
	if (q->half[0].rcode == DNS_RCODE_NXDOMAIN ||
	    q->half[1].rcode == DNS_RCODE_NXDOMAIN)
		what = "4.4.4 there is no host";
	else if (q->open == 0 && !q->half[0].failed && !q->half[1].failed)
		what = "4.4.4 there is no address for host";
	str_format(why, sizeof(why), "%s %s", what, q->host);
	q->fn = NULL;
	fn(q->ctx, all, n, why);
	resolve_release(q);
}

static void
resolve_timeout(void *ctx)
{
	struct resolve_query *q = ctx;

	if (q->fn != NULL)
		resolve_answer(q);
}

static void
resolve_packet(void *ctx, int rcode, void *packet, int len, int sec,
    char *why, int limited)
{
	struct resolve_half *h = ctx;
	struct resolve_query *q = h->query;

	(void)sec;
	(void)why;
	(void)limited;
	h->rcode = (unsigned int)rcode;
	h->failed = rcode != 0 && rcode != DNS_RCODE_NXDOMAIN;
	if (rcode == 0 && (packet == NULL || len < 0 ||
	    dns_answer_parse(packet, (size_t)len, h->type, h->addrs,
	    RESOLVE_ADDRS_MAX / 2, &h->n, &h->rcode) != 0 ||
	    (h->rcode != DNS_RCODE_NOERROR && h->rcode != DNS_RCODE_NXDOMAIN)))
		h->failed = 1;
	/* From here on by the timer: local data are answered at once, within
	 * resolve_host(). */
	if (--q->open == 0 && q->fn != NULL)
		timer_arm(&q->timer, 0);
	else
		resolve_release(q);
}

/* What is no matter for DNS: literals, and RFC 6761's localhost. */
static bool
resolve_known(struct resolve_query *q)
{
	char literal[RESOLVE_HOST_MAX + 1];
	struct addr *a = q->half[0].addrs;
	size_t len = strlen(q->host);

	if (str_ieq(q->host, "localhost")) {
		addr_parse_ip("127.0.0.1", &a[0]);
		addr_parse_ip("::1", &a[1]);
		q->half[0].n = 2;
		return true;
	}
	if (len > 2 && q->host[0] == '[' && q->host[len - 1] == ']')
		str_copy_n(literal, sizeof(literal), q->host + 1, len - 2);
	else
		str_copy(literal, sizeof(literal), q->host);
	if (addr_parse_ip(literal, &a[0]) != 0)
		return false;
	q->half[0].n = 1;
	return true;
}

struct resolve_query *
resolve_host(struct resolve *r, const char *host, resolve_fn *fn, void *ctx)
{
	struct resolve_query *q = calloc(1, sizeof(*q));

	if (q == NULL || str_copy(q->host, sizeof(q->host), host) != 0 ||
	    timer_init(&q->timer, r->loop, resolve_timeout, q) != 0) {
		free(q);
		return NULL;
	}
	q->fn = fn;
	q->ctx = ctx;
	if (resolve_known(q)) {
		timer_arm(&q->timer, 0);
		return q;
	}
	timer_arm(&q->timer, RESOLVE_WAIT_MS);
	q->half[0] = (struct resolve_half){ .query = q, .type = DNS_TYPE_AAAA };
	q->half[1] = (struct resolve_half){ .query = q, .type = DNS_TYPE_A };
	q->open = 2;
	for (int i = 0; i < 2; i++)
		if (ub_resolve_event(r->ub, host, (int)q->half[i].type, 1,
		    &q->half[i], resolve_packet, NULL) != 0)
			resolve_packet(&q->half[i], DNS_RCODE_SERVFAIL, NULL, 0,
			    0, NULL, 0);
	return q;
}

void
resolve_cancel(struct resolve_query *q)
{
	if (q == NULL || q->fn == NULL)
		return;
	q->fn = NULL;
	timer_stop(&q->timer);
	resolve_release(q);
}
