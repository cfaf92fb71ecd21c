/*
 * tlsa.h - a host's TLSA records, as RFC 7672 has them used for SMTP.
 */
#ifndef SUBMITD_SEND_TLSA_H
#define SUBMITD_SEND_TLSA_H

#include "submitd/send/hosts.h"
#include "submitd/send/resolve.h"

struct tlsa_query;

enum tlsa_what {
	TLSA_NONE,		/* for sure, or not secure: no DANE */
	TLSA_FOUND,		/* DANE, if with no usable record */
	TLSA_AWAY,		/* no answer, or a bogus one: not this host */
};

typedef void tlsa_fn(void *ctx, enum tlsa_what what);

/*
 * Asks for _port._tcp of the name behind the host's aliases, `f`, and then of
 * h->name (RFC 7672 section 2.2.3). Where the addresses are not secure there is
 * no DANE, unless h->name is itself an alias that is: then that name alone
 * counts (section 2.2.2). What is found goes into *h (dane, tlsa, n_tlsa,
 * tlsa_base), which lasts until then. fn is called once, from the loop, never
 * from within this call, and not after tlsa_cancel(). NULL: no memory, no call.
 */
struct tlsa_query *tlsa_find(struct resolve *r, struct hosts_host *h,
	    const struct resolve_found *f, uint16_t port, tlsa_fn *fn,
	    void *ctx);
void	tlsa_cancel(struct tlsa_query *q);	/* NULL is fine */
void	tlsa_free(struct hosts_host *h);	/* its records */

/* One that can be used, by its octets (RFC 7672 section 3.1). Pure. */
bool	tlsa_is_usable(const struct dns_tlsa *t);

#endif
