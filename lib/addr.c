/*
 * addr.c - IP addresses and networks in one canonical form. Pure, linked into
 * every process. Client addresses decide about grants: there is one form, and
 * it is made here.
 */
#include "lib/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "lib/str.h"

static const uint8_t addr_v4_prefix[12] = { [10] = 0xff, [11] = 0xff };
static const uint8_t addr_nat64_prefix[12] = { 0x00, 0x64, 0xff, 0x9b };

/* IPv4 behind NAT64 (RFC 6052) is the IPv4 address inside. */
static void
addr_canon(uint8_t ip[16])
{
	if (memcmp(ip, addr_nat64_prefix, 12) == 0)
		memcpy(ip, addr_v4_prefix, 12);
}

static void
addr_set_v4(struct addr *a, const void *four)
{
	memcpy(a->ip, addr_v4_prefix, 12);
	memcpy(a->ip + 12, four, 4);
}

int
addr_from_sockaddr(const struct sockaddr *sa, struct addr *ret)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	memset(ret, 0, sizeof(*ret));
	if (sa->sa_family == AF_INET) {
		memcpy(&in, sa, sizeof(in));
		addr_set_v4(ret, &in.sin_addr);
		ret->port = ntohs(in.sin_port);
		return 0;
	}
	if (sa->sa_family != AF_INET6)
		return ERR_FORMAT;
	memcpy(&in6, sa, sizeof(in6));
	memcpy(ret->ip, &in6.sin6_addr, 16);
	ret->port = ntohs(in6.sin6_port);
	addr_canon(ret->ip);
	return 0;
}

socklen_t
addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *ret)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

	memset(ret, 0, sizeof(*ret));
	if (addr_is_v4(a)) {
		memcpy(&in.sin_addr, a->ip + 12, 4);
		in.sin_port = htons(a->port);
		memcpy(ret, &in, sizeof(in));
		return sizeof(in);
	}
	memcpy(&in6.sin6_addr, a->ip, 16);
	in6.sin6_port = htons(a->port);
	memcpy(ret, &in6, sizeof(in6));
	return sizeof(in6);
}

static const char addr_none_text[] = "unknown";

static const char *
addr_put_ip(const struct addr *a, char dst[ADDR_STRLEN])
{
	dst[0] = '\0';
	if (addr_is_v4(a))
		inet_ntop(AF_INET, a->ip + 12, dst, ADDR_STRLEN);
	else
		inet_ntop(AF_INET6, a->ip, dst, ADDR_STRLEN);
	return dst;
}

const char *
addr_ip_text(const struct addr *a, char dst[ADDR_STRLEN])
{
	if (!addr_is_none(a))
		return addr_put_ip(a, dst);
	str_copy(dst, ADDR_STRLEN, addr_none_text);
	return dst;
}

const struct addr *
addr_place(const struct addr *peer, const struct addr *via)
{
	return addr_is_none(peer) ? via : peer;
}

const char *
addr_text(const struct addr *a, char dst[ADDR_STRLEN])
{
	char ip[ADDR_STRLEN];

	addr_put_ip(a, ip);
	str_format(dst, ADDR_STRLEN, addr_is_v4(a) ? "%s:%u" : "[%s]:%u", ip,
	    a->port);
	return dst;
}

const char *
addr_literal(const struct addr *a, char dst[ADDR_STRLEN])
{
	char ip[ADDR_STRLEN];

	addr_put_ip(a, ip);
	str_format(dst, ADDR_STRLEN, addr_is_v4(a) ? "[%s]" : "[IPv6:%s]", ip);
	return dst;
}

bool
addr_is_none(const struct addr *a)
{
	static const uint8_t none[16];

	return memcmp(a->ip, none, 16) == 0 || (addr_is_v4(a) &&
	    memcmp(a->ip + 12, none, 4) == 0);
}

bool
addr_is_v4(const struct addr *a)
{
	return memcmp(a->ip, addr_v4_prefix, 12) == 0;
}

bool
addr_ip_eq(const struct addr *a, const struct addr *b)
{
	return memcmp(a->ip, b->ip, 16) == 0;
}

int
addr_parse_ip(const char *s, struct addr *ret)
{
	uint8_t ip[16];

	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, s, ip) == 1) {
		addr_set_v4(ret, ip);
		return 0;
	}
	if (inet_pton(AF_INET6, s, ip) != 1)
		return ERR_FORMAT;
	memcpy(ret->ip, ip, 16);
	addr_canon(ret->ip);
	return 0;
}

int
addr_split_hostport(const char *s, uint16_t dflt, char *host,
    size_t host_size, uint16_t *ret_port)
{
	const char *start = s, *end, *port;
	uint64_t n = dflt;

	if (*s == '[') {
		start = s + 1;
		end = strchr(start, ']');
		if (end == NULL || (end[1] != '\0' && end[1] != ':'))
			return ERR_FORMAT;
		port = end[1] == ':' ? end + 2 : NULL;
	} else {
		end = strchr(s, ':');
		/* A bare IPv6 address: which colon starts the port? */
		if (end != NULL && strchr(end + 1, ':') != NULL)
			return ERR_FORMAT;
		port = end == NULL ? NULL : end + 1;
		if (end == NULL)
			end = s + strlen(s);
	}
	if (end == start)
		return ERR_FORMAT;
	if (port != NULL && str_u64(port, 0, UINT16_MAX, &n) != 0)
		return ERR_FORMAT;
	*ret_port = (uint16_t)n;
	return str_copy_n(host, host_size, start, (size_t)(end - start));
}

int
addr_parse_peer(const char *s, struct addr *ret)
{
	memset(ret, 0, sizeof(*ret));
	return strcmp(s, addr_none_text) == 0 ? 0 : addr_parse_ip(s, ret);
}

int
addr_parse(const char *s, struct addr *ret)
{
	char host[ADDR_STRLEN];
	uint16_t port;
	const char *last = strrchr(s, ':');

	memset(ret, 0, sizeof(*ret));
	if (last == NULL || last[1] == '\0' ||
	    addr_split_hostport(s, 0, host, sizeof(host), &port) != 0 ||
	    (s[0] == '[' && last[-1] != ']') ||
	    addr_parse_ip(host, ret) != 0 ||
	    (s[0] == '[') != (strchr(host, ':') != NULL))
		return ERR_FORMAT;
	ret->port = port;
	return 0;
}

void
addr_mask(uint8_t ip[16], unsigned int bits)
{
	unsigned int i;

	for (i = 0; i < 16; i++) {
		if (bits >= 8 * (i + 1))
			continue;
		if (bits <= 8 * i)
			ip[i] = 0;
		else
			ip[i] &= (uint8_t)(0xff << (8 * (i + 1) - bits));
	}
}

int
net_parse(const char *s, struct net *ret)
{
	const char *slash = strchr(s, '/');
	char host[ADDR_STRLEN];
	uint8_t masked[16];
	struct addr a;
	uint64_t bits, width;
	bool v4;

	memset(ret, 0, sizeof(*ret));
	if (str_copy_n(host, sizeof(host), s,
	    slash == NULL ? strlen(s) : (size_t)(slash - s)) != 0 ||
	    addr_parse_ip(host, &a) != 0)
		return ERR_FORMAT;
	v4 = strchr(host, ':') == NULL;
	width = v4 ? 32 : 128;
	bits = width;
	if (slash != NULL && str_u64(slash + 1, 0, width, &bits) != 0)
		return ERR_FORMAT;
	if (v4)
		bits += 96;
	else if (addr_is_v4(&a) && bits < 96)
		return ERR_FORMAT;	/* a half of the mapped addresses */
	memcpy(masked, a.ip, 16);
	addr_mask(masked, (unsigned int)bits);
	if (memcmp(masked, a.ip, 16) != 0)
		return ERR_FORMAT;
	memcpy(ret->ip, a.ip, 16);
	ret->bits = (uint8_t)bits;
	return 0;
}

const char *
net_text(const struct net *n, char dst[ADDR_STRLEN])
{
	char ip[ADDR_STRLEN];
	struct addr a = { .port = 0 };
	bool v4;

	memcpy(a.ip, n->ip, 16);
	v4 = addr_is_v4(&a) && n->bits >= 96;
	addr_put_ip(&a, ip);
	str_format(dst, ADDR_STRLEN, "%s/%u", ip,
	    v4 ? n->bits - 96u : (unsigned int)n->bits);
	return dst;
}

bool
net_has(const struct net *n, const struct addr *a)
{
	uint8_t masked[16];

	/* ::/0 does not mean IPv4: that is 0.0.0.0/0, ::ffff:0:0/96 inside. */
	if (n->bits < 96 && addr_is_v4(a))
		return false;
	memcpy(masked, a->ip, 16);
	addr_mask(masked, n->bits);
	return memcmp(masked, n->ip, 16) == 0;
}

bool
net_overlaps(const struct net *a, const struct net *b)
{
	struct addr in = { .port = 0 };

	memcpy(in.ip, a->bits < b->bits ? b->ip : a->ip, 16);
	return net_has(a->bits < b->bits ? a : b, &in);
}
