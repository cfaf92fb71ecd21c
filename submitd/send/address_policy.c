/*
 * address_policy.c - which addresses mail by MX may go to.
 *
 * Runs in submitd-send. Translators and relays on the way would make an IPv4
 * address of what looks like an IPv6 one: the one inside counts too.
 */
#include "config.h"

#include <ifaddrs.h>
#include <stdlib.h>
#include <string.h>

#include "submitd/send/address_policy.h"

#include "lib/conf.h"

#define V4(a, b, bits) \
	{ { [10] = 0xff, [11] = 0xff, [12] = (a), [13] = (b) }, 96 + (bits) }

static const struct net address_loopback = V4(127, 0, 8);

static const struct net address_forbidden[] = {
	V4(0, 0, 8),		/* this network (RFC 1122) */
	V4(10, 0, 8),		/* private (RFC 1918) */
	V4(100, 64, 10),	/* shared (RFC 6598) */
	V4(127, 0, 8),		/* loopback */
	V4(169, 254, 16),	/* link-local (RFC 3927) */
	V4(172, 16, 12),
	V4(192, 168, 16),
	V4(224, 0, 4),		/* multicast */
	V4(240, 0, 4),		/* reserved, and broadcast */
	{ { 0 }, 128 },					/* unspecified */
	{ { [15] = 1 }, 128 },				/* loopback */
	{ { 0xfc }, 7 },				/* ULA (RFC 4193) */
	{ { 0xfe, 0x80 }, 10 },				/* link-local */
	{ { 0xfe, 0xc0 }, 10 },				/* site-local */
	{ { 0xff }, 8 },				/* multicast */
};

/* Where each kind of prefix has the octets of an IPv4 address. */
struct address_form {
	struct net	net;
	unsigned int	zero;		/* octets from here on must be zero */
	uint8_t		at[4];
};

static const struct address_form address_forms[] = {
	/* IPv4-compatible (RFC 4291 section 2.5.5.1) */
	{ { { 0 }, 96 }, 16, { 12, 13, 14, 15 } },
	{ { { 0x00, 0x64, 0xff, 0x9b }, 96 }, 16, { 12, 13, 14, 15 } },
	/* RFC 8215: a site's own prefix within it, of a length that only the
	 * zeros behind the address give away (RFC 6052 section 2.2). */
	{ { { 0x00, 0x64, 0xff, 0x9b, 0, 1 }, 48 }, 11, { 6, 7, 9, 10 } },
	{ { { 0x00, 0x64, 0xff, 0x9b, 0, 1 }, 48 }, 12, { 7, 9, 10, 11 } },
	{ { { 0x00, 0x64, 0xff, 0x9b, 0, 1 }, 48 }, 13, { 9, 10, 11, 12 } },
	{ { { 0x00, 0x64, 0xff, 0x9b, 0, 1 }, 48 }, 16, { 12, 13, 14, 15 } },
	{ { { 0x20, 0x02 }, 16 }, 16, { 2, 3, 4, 5 } },
	/* IPv4-translated (RFC 2765 section 2.1) */
	{ { { [8] = 0xff, [9] = 0xff }, 96 }, 16, { 12, 13, 14, 15 } },
};

static bool
address_ends_zero(const struct addr *a, unsigned int from)
{
	while (from < 16)
		if (a->ip[from++] != 0)
			return false;
	return true;
}

struct addr
address_inner(const struct addr *a)
{
	const struct address_form *f;
	struct addr in = { .ip = { [10] = 0xff, [11] = 0xff },
		.port = a->port };

	for (f = address_forms; f < address_forms +
	    sizeof(address_forms) / sizeof(address_forms[0]); f++) {
		if (!net_has(&f->net, a) || !address_ends_zero(a, f->zero))
			continue;
		for (size_t i = 0; i < 4; i++)
			in.ip[12 + i] = a->ip[f->at[i]];
		return in;
	}
	return *a;
}

static bool
address_in(const struct net *nets, size_t n, const struct addr *a)
{
	for (size_t i = 0; i < n; i++)
		if (net_has(&nets[i], a))
			return true;
	return false;
}

enum address_verdict
address_check(const struct address_policy *p, const struct addr *a)
{
	const struct addr in = address_inner(a);

	for (size_t i = 0; i < p->n_own; i++)
		if (addr_ip_eq(&p->own[i], &in) || addr_ip_eq(&p->own[i], a))
			return ADDRESS_OWN;
	if (p->own_loopback && net_has(&address_loopback, &in))
		return ADDRESS_OWN;
	if (address_in(p->allow, p->n_allow, a) ||
	    address_in(p->allow, p->n_allow, &in))
		return ADDRESS_OK;
	if (address_in(address_forbidden, sizeof(address_forbidden) /
	    sizeof(address_forbidden[0]), a) ||
	    address_in(address_forbidden, sizeof(address_forbidden) /
	    sizeof(address_forbidden[0]), &in))
		return ADDRESS_FORBIDDEN;
	return ADDRESS_OK;
}

/* ---------------------------------------------------------- our listeners -- */

static int
address_add_own(struct address_policy *p, const struct addr *a)
{
	struct addr *more = reallocarray(p->own, p->n_own + 1, sizeof(*more));

	if (more == NULL)
		return ERR_NOMEM;
	more[p->n_own++] = *a;
	p->own = more;
	return 0;
}

/* All addresses of the machine that a listener on this wildcard has. */
static int
address_add_machine(struct address_policy *p, bool v4_only)
{
	struct ifaddrs *all, *i;
	struct addr a;
	int r = 0;

	p->own_loopback = true;		/* no interface lists all of it */
	if (getifaddrs(&all) != 0)
		return ERR_NOMEM;
	for (i = all; i != NULL && r == 0; i = i->ifa_next) {
		if (i->ifa_addr == NULL ||
		    addr_from_sockaddr(i->ifa_addr, &a) != 0 ||
		    (v4_only && !addr_is_v4(&a)))
			continue;
		r = address_add_own(p, &a);
	}
	freeifaddrs(all);
	return r;
}

static int
address_add_listener(struct address_policy *p, const struct conf_addrs *l,
    uint16_t port)
{
	int r = 0;

	for (size_t i = 0; i < l->n && r == 0; i++) {
		if (l->v[i].port != port)
			continue;
		r = addr_is_none(&l->v[i]) ?
		    address_add_machine(p, addr_is_v4(&l->v[i])) :
		    address_add_own(p, &l->v[i]);
	}
	return r;
}

int
address_policy_make(const struct conf *conf, uint16_t port,
    struct address_policy *ret)
{
	const struct conf_nets *allow = &conf->mx_allow_networks;
	int r = 0;

	memset(ret, 0, sizeof(*ret));
	if (allow->n > 0) {
		ret->allow = calloc(allow->n, sizeof(*ret->allow));
		if (ret->allow == NULL)
			return ERR_NOMEM;
		memcpy(ret->allow, allow->v, allow->n * sizeof(*ret->allow));
		ret->n_allow = allow->n;
	}
	for (size_t l = 0; l < conf_listener_count(conf) && r == 0; l++)
		r = address_add_listener(ret, conf_listener_addrs(conf, l),
		    port);
	if (r != 0)
		address_policy_free(ret);
	return r;
}

void
address_policy_free(struct address_policy *p)
{
	free(p->allow);
	free(p->own);
	memset(p, 0, sizeof(*p));
}
