/*
 * address_policy.h - which addresses mail by MX may go to.
 *
 * Whoever writes a domain's MX records, or an address behind an "@", chooses
 * where we connect to. It must be no address of this machine's, nor of the
 * networks around it.
 */
#ifndef SUBMITD_SEND_ADDRESS_POLICY_H
#define SUBMITD_SEND_ADDRESS_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"

struct conf;

enum address_verdict {
	ADDRESS_OK,
	ADDRESS_FORBIDDEN,	/* loopback, private, multicast, … */
	ADDRESS_OWN,		/* submitd listens there */
};

struct address_policy {
	struct net	*allow;		/* mx_allow_networks */
	size_t		 n_allow;
	struct addr	*own;		/* where we listen on that port */
	size_t		 n_own;
	bool		 own_loopback;	/* and all of 127.0.0.0/8 */
};

/* For hosts to which we connect at `port`. Wildcard listeners count as all
 * addresses that the machine has now. ERR_NOMEM. */
int	address_policy_make(const struct conf *conf, uint16_t port,
	    struct address_policy *ret);
void	address_policy_free(struct address_policy *p);

enum address_verdict address_check(const struct address_policy *p,
	    const struct addr *a);

/* The IPv4 address inside: of an IPv4-compatible, NAT64 (RFC 6052, RFC 8215)
 * or 6to4 (RFC 3056) address. Any other: itself. */
struct addr address_inner(const struct addr *a);

#endif
