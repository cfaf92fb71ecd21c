/*
 * resolve.h - questions to the DNS, by libunbound on our loop.
 *
 * The servers in /etc/resolv.conf are asked, after a look at /etc/hosts; both
 * are read once, by resolve_new(), which has to be called before chroot; when they
 * change the parent starts this process anew (lib/parent_names.c). There
 * are two resolvers with caches of their own, bounded in size: one that believes
 * what it is told, and one that validates by DNSSEC, with the trust anchor of
 * the root zone. Only DANE asks the second: where the site's name servers lose
 * signatures, all other mail must still go out.
 */
#ifndef SUBMITD_SEND_RESOLVE_H
#define SUBMITD_SEND_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/err.h"
#include "lib/loop.h"
#include "submitd/send/dns_answer.h"

#define RESOLVE_ADDRS_MAX	16u
#define RESOLVE_WAIT_MS		20000	/* for one question */
#define RESOLVE_OPEN_MAX	512u	/* questions; more of them wait */

struct resolve;			/* the resolvers */
struct resolve_ask;		/* one question */
struct resolve_query;		/* one host being looked up */

struct resolve *resolve_new(struct loop *l, struct err *reterr);
void	resolve_free(struct resolve *r);
/* There is a trust anchor. Without one, who asks for validation is told that
 * the answer is bogus. */
bool	resolve_validates(const struct resolve *r);
struct loop *resolve_loop(struct resolve *r);

/* ------------------------------------------------------------- questions -- */

struct resolve_reply {
	bool		 failed;	/* no answer, or a bogus one */
	bool		 bogus;
	bool		 secure;
	unsigned int	 rcode;		/* NOERROR or NXDOMAIN, unless failed */
	const uint8_t	*packet;	/* good for the call; NULL if failed */
	size_t		 len;
};
typedef void resolve_reply_fn(void *ctx, const struct resolve_reply *a);

/* fn is called once, from the loop, never from within this call, and not after
 * resolve_ask_cancel(). NULL: no memory, no call. */
struct resolve_ask *resolve_ask(struct resolve *r, bool validate,
	    const char *name, unsigned int type, resolve_reply_fn *fn,
	    void *ctx);
void	resolve_ask_cancel(struct resolve_ask *a);	/* NULL is fine */

/* ----------------------------------------------------- hosts to addresses -- */

#define RESOLVE_A	1u
#define RESOLVE_AAAA	2u

enum resolve_what {
	RESOLVE_FOUND,
	RESOLVE_NO_NAME,		/* NXDOMAIN */
	RESOLVE_NO_DATA,		/* a name without addresses */
	RESOLVE_AWAY,			/* no answer */
	RESOLVE_BOGUS,
};

struct resolve_found {
	enum resolve_what	 what;
	struct addr		 addrs[RESOLVE_ADDRS_MAX];	/* IPv6 first,
							 * with ports 0 */
	size_t			 n;
	bool			 secure;	/* all of it */
	char			 name[DNS_NAME_SIZE];	/* behind aliases */
};
typedef void resolve_found_fn(void *ctx, const struct resolve_found *f);

struct resolve_how {
	bool		 validate;
	unsigned int	 kinds;		/* RESOLVE_A | RESOLVE_AAAA */
};

/* The same for the addresses of a host; IP literals and "localhost" need no
 * resolver. */
struct resolve_query *resolve_addrs(struct resolve *r, const char *host,
	    const struct resolve_how *how, resolve_found_fn *fn, void *ctx);
void	resolve_cancel(struct resolve_query *q);	/* NULL is fine */

/* An address, in brackets or not, also "[IPv6:…]" (RFC 5321 section 4.1.3). */
bool	resolve_literal(const char *s, struct addr *ret);

#endif
