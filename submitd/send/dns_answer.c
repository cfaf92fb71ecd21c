/*
 * dns_answer.c - takes the addresses out of a DNS answer. Pure.
 *
 * Runs in submitd-send, on what libunbound hands over. Names are only skipped,
 * so compression pointers are never followed and cannot loop.
 */
#include "config.h"

#include <string.h>

#include "submitd/send/dns_answer.h"

#include "lib/err.h"

#define DNS_HEAD	12u
#define DNS_CLASS_IN	1u
#define DNS_NAME_MAX	255u

struct dns_cursor {
	const uint8_t	*p;
	size_t		 left;
};

static int
dns_skip(struct dns_cursor *c, size_t n)
{
	if (n > c->left)
		return ERR_FORMAT;
	c->p += n;
	c->left -= n;
	return 0;
}

static int
dns_u16(struct dns_cursor *c, unsigned int *ret)
{
	if (c->left < 2)
		return ERR_FORMAT;
	*ret = (unsigned int)c->p[0] << 8 | c->p[1];
	return dns_skip(c, 2);
}

static int
dns_skip_name(struct dns_cursor *c)
{
	size_t total = 0;

	while (c->left > 0) {
		uint8_t label = c->p[0];

		if (label == 0)
			return dns_skip(c, 1);
		if ((label & 0xc0) == 0xc0)
			return dns_skip(c, 2);
		if ((label & 0xc0) != 0 ||
		    (total += label + 1u) > DNS_NAME_MAX ||
		    dns_skip(c, label + 1u) != 0)
			break;
	}
	return ERR_FORMAT;
}

static void
dns_address(unsigned int type, const uint8_t *data, struct addr *ret)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	memset(ret, 0, sizeof(*ret));
	if (type == DNS_TYPE_AAAA) {
		memcpy(ret->ip, data, 16);
		return;
	}
	memcpy(ret->ip, mapped, 12);
	memcpy(ret->ip + 12, data, 4);
}

/* One record; *ret_n grows when it is one that is wanted. */
static int
dns_record(struct dns_cursor *c, unsigned int type, struct addr *ret,
    size_t max, size_t *ret_n)
{
	size_t want = type == DNS_TYPE_A ? 4 : 16;
	unsigned int rr_type, rr_class, rr_len;

	if (dns_skip_name(c) != 0 || dns_u16(c, &rr_type) != 0 ||
	    dns_u16(c, &rr_class) != 0 || dns_skip(c, 4) != 0 ||
	    dns_u16(c, &rr_len) != 0 || rr_len > c->left)
		return ERR_FORMAT;
	if (rr_type == type && rr_class == DNS_CLASS_IN) {
		if (rr_len != want)
			return ERR_FORMAT;
		if (*ret_n < max)
			dns_address(type, c->p, &ret[(*ret_n)++]);
	}
	return dns_skip(c, rr_len);
}

int
dns_answer_parse(const uint8_t *packet, size_t len, unsigned int type,
    struct addr *ret, size_t max, size_t *ret_n, unsigned int *ret_rcode)
{
	struct dns_cursor c = { packet, len };
	unsigned int questions, answers;

	*ret_n = 0;
	if (len < DNS_HEAD)
		return ERR_FORMAT;
	*ret_rcode = packet[3] & 15u;
	questions = (unsigned int)packet[4] << 8 | packet[5];
	answers = (unsigned int)packet[6] << 8 | packet[7];
	dns_skip(&c, DNS_HEAD);
	if (*ret_rcode != DNS_RCODE_NOERROR)
		return 0;
	while (questions-- > 0)
		if (dns_skip_name(&c) != 0 || dns_skip(&c, 4) != 0)
			return ERR_FORMAT;
	while (answers-- > 0)
		if (dns_record(&c, type, ret, max, ret_n) != 0) {
			*ret_n = 0;
			return ERR_FORMAT;
		}
	return 0;
}
