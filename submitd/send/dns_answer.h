/*
 * dns_answer.h - takes the addresses out of a DNS answer (RFC 1035 section 4.1).
 * Pure; fuzzed.
 */
#ifndef SUBMITD_SEND_DNS_ANSWER_H
#define SUBMITD_SEND_DNS_ANSWER_H

#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"

#define DNS_TYPE_A	1
#define DNS_TYPE_AAAA	28

#define DNS_RCODE_NOERROR	0
#define DNS_RCODE_SERVFAIL	2
#define DNS_RCODE_NXDOMAIN	3

/*
 * The records of `type` (class IN) in the answer section, at most `max` of
 * them, ports 0. Records under any name count: the resolver followed the
 * aliases and has thrown out what doesn't belong to them. *ret_rcode is the
 * answer's RCODE; with an RCODE there are no addresses. 0 or ERR_FORMAT.
 */
int	dns_answer_parse(const uint8_t *packet, size_t len, unsigned int type,
	    struct addr *ret, size_t max, size_t *ret_n,
	    unsigned int *ret_rcode);

#endif
