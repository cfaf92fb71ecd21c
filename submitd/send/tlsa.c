/*
 * tlsa.c - a host's TLSA records, and what they have a TLS connection verify.
 *
 * Runs in submitd-send. All here came by the validating resolver; a host whose
 * answer is bogus or missing is not used at all (RFC 7672 section 2.1.2), for
 * without its records nobody could tell it from an impostor.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "submitd/send/tlsa.h"

#include "lib/err.h"
#include "lib/str.h"

#define TLSA_PREFIX_MAX	sizeof("_65535._tcp.")

struct tlsa_query {
	struct resolve		*resolve;
	struct resolve_ask	*ask;
	struct hosts_host	*host;
	uint16_t		 port;
	char			 base[DNS_NAME_SIZE];
	tlsa_fn			*fn;
	void			*ctx;
};

/* ---------------------------------------------------------------- records -- */

bool
tlsa_is_usable(const struct dns_tlsa *t)
{
	static const uint16_t digest[] = { [1] = 32, [2] = 64 };

	/* PKIX-TA and PKIX-EE name authorities that nobody agreed on for SMTP
	 * (section 3.1.3). */
	if ((t->usage != 2 && t->usage != 3) || t->selector > 1 ||
	    t->matching > 2 || t->len == 0)
		return false;
	return t->matching == 0 || t->len == digest[t->matching];
}

void
tlsa_free(struct hosts_host *h)
{
	for (size_t i = 0; i < h->n_tlsa; i++)
		free(h->tlsa[i].data);
	free(h->tlsa);
	h->tlsa = NULL;
	h->n_tlsa = 0;
}

static int
tlsa_keep(struct hosts_host *h, const struct dns_tlsa *found, size_t n)
{
	h->tlsa = calloc(n, sizeof(*h->tlsa));
	if (h->tlsa == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < n; i++) {
		struct tlsa *t = &h->tlsa[h->n_tlsa];

		if (!tlsa_is_usable(&found[i]))
			continue;
		*t = (struct tlsa){ found[i].usage, found[i].selector,
			found[i].matching, found[i].len,
			malloc(found[i].len) };
		if (t->data == NULL) {
			tlsa_free(h);
			return ERR_NOMEM;
		}
		memcpy(t->data, found[i].data, t->len);
		h->n_tlsa++;
	}
	return 0;
}

/* --------------------------------------------------------------- question -- */

static void
tlsa_tell(struct tlsa_query *q, enum tlsa_what what)
{
	tlsa_fn *fn = q->fn;
	void *ctx = q->ctx;

	free(q);
	fn(ctx, what);
}

static enum tlsa_what
tlsa_take(struct tlsa_query *q, const struct resolve_reply *a)
{
	struct dns_tlsa found[HOSTS_TLSA_MAX];
	unsigned int rcode;
	size_t n = 0;

	if (a->failed || (a->packet != NULL && dns_answer_tlsa(a->packet,
	    a->len, found, HOSTS_TLSA_MAX, &n, &rcode) != 0))
		return TLSA_AWAY;
	if (n == 0 || !a->secure)
		return TLSA_NONE;
	if (tlsa_keep(q->host, found, n) != 0)
		return TLSA_AWAY;
	q->host->dane = true;
	str_copy(q->host->tlsa_base, sizeof(q->host->tlsa_base), q->base);
	return TLSA_FOUND;
}

static bool tlsa_ask(struct tlsa_query *q, const char *base);

static void
tlsa_reply(void *ctx, const struct resolve_reply *a)
{
	struct tlsa_query *q = ctx;
	enum tlsa_what what = tlsa_take(q, a);

	q->ask = NULL;
	if (what != TLSA_NONE || str_ieq(q->base, q->host->name)) {
		tlsa_tell(q, what);
		return;
	}
	if (!tlsa_ask(q, q->host->name))
		tlsa_tell(q, TLSA_AWAY);
}

static bool
tlsa_ask(struct tlsa_query *q, const char *base)
{
	char name[DNS_NAME_SIZE + TLSA_PREFIX_MAX];

	str_copy(q->base, sizeof(q->base), base);
	/* resolve_ask() fails what is too long for a name. */
	(void)str_format(name, sizeof(name), "_%u._tcp.%s", q->port, base);
	q->ask = resolve_ask(q->resolve, true, name, DNS_TYPE_TLSA, tlsa_reply,
	    q);
	return q->ask != NULL;
}

/* An alias that is secure, or not. */
static void
tlsa_alias_reply(void *ctx, const struct resolve_reply *a)
{
	struct tlsa_query *q = ctx;
	bool found = false;

	q->ask = NULL;
	if (a->failed || (a->packet != NULL && dns_answer_has(a->packet,
	    a->len, DNS_TYPE_CNAME, &found) != 0))
		tlsa_tell(q, TLSA_AWAY);
	else if (!found || !a->secure)
		tlsa_tell(q, TLSA_NONE);
	else if (!tlsa_ask(q, q->host->name))
		tlsa_tell(q, TLSA_AWAY);
}

struct tlsa_query *
tlsa_find(struct resolve *r, struct hosts_host *h,
    const struct resolve_found *f, uint16_t port, tlsa_fn *fn, void *ctx)
{
	struct tlsa_query *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return NULL;
	*q = (struct tlsa_query){ .resolve = r, .host = h, .port = port,
		.fn = fn, .ctx = ctx };
	if (!f->secure)
		q->ask = resolve_ask(r, true, h->name, DNS_TYPE_CNAME,
		    tlsa_alias_reply, q);
	else
		(void)tlsa_ask(q, f->name[0] != '\0' ? f->name : h->name);
	if (q->ask == NULL) {
		free(q);
		return NULL;
	}
	return q;
}

void
tlsa_cancel(struct tlsa_query *q)
{
	if (q == NULL)
		return;
	resolve_ask_cancel(q->ask);
	free(q);
}

/* -------------------------------------------------------------------- TLS -- */

/* Names of a certificate count only below a trust anchor (usage 2); that of an
 * end entity is vouched for by its record (section 3.1.1). */
static int
tlsa_names(const struct hosts_host *h, SSL *ssl)
{
	const char *const names[] = { h->name, h->domain };

	SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	for (size_t i = 0; i < 2; i++) {
		if (names[i][0] != '\0' && !str_ieq(names[i], h->tlsa_base) &&
		    SSL_add1_host(ssl, names[i]) != 1)
			return ERR_FORMAT;
	}
	return 0;
}

int
hosts_dane_setup(const struct hosts_host *h, SSL *ssl)
{
	int in = 0;

	if (h->n_tlsa == 0)
		return 0;
	ERR_clear_error();
	if (SSL_dane_enable(ssl, h->tlsa_base) <= 0 || tlsa_names(h, ssl) != 0)
		return ERR_FORMAT;
	for (size_t i = 0; i < h->n_tlsa; i++) {
		const struct tlsa *t = &h->tlsa[i];
		int r = SSL_dane_tlsa_add(ssl, t->usage, t->selector,
		    t->matching, t->data, t->len);

		if (r < 0)
			return ERR_NOMEM;
		in += r;
	}
	ERR_clear_error();	/* of a key that could not be read */
	if (in == 0)
		return 0;
	SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
	return 1;
}
