/*
 * addr.h - IP addresses and networks in one canonical form.
 *
 * Sixteen octets, IPv4 as ::ffff:a.b.c.d. An address from outside is made
 * canonical by addr_from_sockaddr(): IPv4-mapped and NAT64 (64:ff9b::/96)
 * addresses count as the IPv4 address inside.
 */
#ifndef SUBMITD_ADDR_H
#define SUBMITD_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "lib/err.h"

struct addr {
	uint8_t		ip[16];
	uint16_t	port;		/* host order; 0 where it has no meaning */
};

struct net {
	uint8_t		ip[16];
	uint8_t		bits;		/* of 128: an IPv4 /24 is 120 here */
};

#define ADDR_STRLEN 64			/* "[v6]:port" and its NUL */

/* ERR_FORMAT unless AF_INET or AF_INET6. */
int	addr_from_sockaddr(const struct sockaddr *sa, struct addr *ret);
/* Makes a sockaddr to bind or connect to; returns its length. */
socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *ret);
/* "192.0.2.1" or "2001:db8::1", no port; "unknown" for none. */
const char *addr_ip_text(const struct addr *a, char dst[ADDR_STRLEN]);
/* "192.0.2.1:587" or "[2001:db8::1]:587". */
const char *addr_text(const struct addr *a, char dst[ADDR_STRLEN]);
/* "[192.0.2.1]" or "[IPv6:2001:db8::1]" (RFC 5321 section 4.1.3). */
const char *addr_literal(const struct addr *a, char dst[ADDR_STRLEN]);

bool	addr_is_v4(const struct addr *a);
/* 0.0.0.0 or ::. As a client's it says that nobody knows it: it is in no
 * network. */
bool	addr_is_none(const struct addr *a);
/* Where a client is for counting: at its balancer, if that names nobody. */
const struct addr *addr_place(const struct addr *peer,
	    const struct addr *via);
bool	addr_ip_eq(const struct addr *a, const struct addr *b);

/* An address without port, in text, made canonical. ERR_FORMAT. */
int	addr_parse_ip(const char *s, struct addr *ret);
/* What addr_ip_text() gives, "unknown" too. ERR_FORMAT. */
int	addr_parse_peer(const char *s, struct addr *ret);
/* "127.0.0.1:587", "[::1]:587"; port 0 to 65535. ERR_FORMAT. */
int	addr_parse(const char *s, struct addr *ret);
/* "host:port", "host", "[literal]:port": splits; port is `dflt` where none
 * stands. Host without brackets. ERR_FORMAT, ERR_LIMIT. */
int	addr_split_hostport(const char *s, uint16_t dflt, char *host,
	    size_t host_size, uint16_t *ret_port);

/* "192.0.2.0/24", "2001:db8::/32", or a single address. ERR_FORMAT, also when
 * bits behind the prefix are set. */
int	net_parse(const char *s, struct net *ret);
const char *net_text(const struct net *n, char dst[ADDR_STRLEN]);
bool	net_has(const struct net *n, const struct addr *a);
bool	net_overlaps(const struct net *a, const struct net *b);
/* Clears the octets behind the first `bits` of 128. */
void	addr_mask(uint8_t ip[16], unsigned int bits);

#endif
