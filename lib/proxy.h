/*
 * proxy.h - the PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt):
 * the first octets of a connection in which a balancer says whose it is. The
 * parser is pure and fuzzed; proxy_wait.h reads from a socket.
 */
#ifndef SUBMITD_PROXY_H
#define SUBMITD_PROXY_H

#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/err.h"

#define PROXY_V1_MAX	107u	/* octets, CR LF included (section 2.1) */
#define PROXY_MAX	4096u	/* of version 2 with its TLVs: our bound */

struct proxy_header {
	/* The client; none (addr_is_none) for LOCAL, UNKNOWN and what is no TCP
	 * over IP: then nobody's. */
	struct addr	client;
	uint8_t		version;	/* 1 or 2 */
};

#define PROXY_MORE 1	/* not an error: the header is not complete */

/* Looks at the `len` octets that have come so far. 0: *ret is filled and the
 * header is *ret_used octets long. PROXY_MORE: *ret_used octets, all of them,
 * belong to it. ERR_FORMAT: it is no header, or one that is too long. TLVs are
 * stepped over. */
int	proxy_parse(const uint8_t *p, size_t len, struct proxy_header *ret,
	    size_t *ret_used);

#endif
