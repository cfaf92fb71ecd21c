/*
 * dns_answer.h - takes the records wanted out of a DNS answer (RFC 1035 section
 * 4.1; MX; TLSA: RFC 6698 section 2.1). Pure; fuzzed.
 */
#ifndef SUBMITD_SEND_DNS_ANSWER_H
#define SUBMITD_SEND_DNS_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"

#define DNS_TYPE_A	1
#define DNS_TYPE_CNAME	5
#define DNS_TYPE_MX	15
#define DNS_TYPE_AAAA	28
#define DNS_TYPE_TLSA	52

#define DNS_RCODE_NOERROR	0
#define DNS_RCODE_SERVFAIL	2
#define DNS_RCODE_NXDOMAIN	3

#define DNS_NAME_SIZE	256u		/* as text, with its NUL */

struct dns_addr {
	struct addr	 addr;		/* port 0 */
	char		 owner[DNS_NAME_SIZE];	/* behind all aliases */
};

struct dns_mx {
	unsigned int	 preference;
	char		 host[DNS_NAME_SIZE];	/* "" for the root */
};

struct dns_tlsa {
	uint8_t		 usage, selector, matching;
	uint16_t	 len;
	const uint8_t	*data;		/* in the packet */
};

/*
 * The records of that type (class IN) in the answer section, at most `max` of
 * them, in *ret_n; of more than that, the first ones. Records under any name
 * count: the resolver followed the aliases and has thrown out what doesn't
 * belong to them. Names come out in lower case, without the dot behind; a record
 * with a name that no host can have (RFC 1123 section 2.1, but "_" is fine) is
 * left out. *ret_rcode is the answer's RCODE; with an RCODE there are no
 * records. 0 or ERR_FORMAT.
 */
int	dns_answer_addrs(const uint8_t *packet, size_t len, unsigned int type,
	    struct dns_addr *ret, size_t max, size_t *ret_n,
	    unsigned int *ret_rcode);
int	dns_answer_mx(const uint8_t *packet, size_t len, struct dns_mx *ret,
	    size_t max, size_t *ret_n, unsigned int *ret_rcode);
int	dns_answer_tlsa(const uint8_t *packet, size_t len,
	    struct dns_tlsa *ret, size_t max, size_t *ret_n,
	    unsigned int *ret_rcode);
/* Whether there is a record of that type. */
int	dns_answer_has(const uint8_t *packet, size_t len, unsigned int type,
	    bool *ret);

#endif
