/*
 * dns_answer.c - takes the records wanted out of a DNS answer. Pure.
 *
 * Runs in submitd-send, on what libunbound hands over. Compression pointers are
 * followed backwards only, so they cannot loop; nothing behind the end is read.
 */
#include "config.h"

#include <string.h>

#include "submitd/send/dns_answer.h"

#include "lib/err.h"

#define DNS_HEAD	12u
#define DNS_CLASS_IN	1u
#define DNS_NAME_MAX	255u

struct dns_cursor {
	const uint8_t	*packet;
	size_t		 len;
	size_t		 at;
};

struct dns_rr {
	size_t		 owner;		/* where its name begins */
	unsigned int	 type;
	const uint8_t	*data;
	size_t		 len;
};

/* What is made of the records of one type. */
struct dns_taker {
	unsigned int	 type;
	void		*ret;		/* array of what `take` fills in */
	size_t		 size;		/* of one */
	size_t		 max;
	size_t		 n;
	/* 0; ERR_NOTFOUND: leave it out; ERR_FORMAT. */
	int		(*take)(const struct dns_cursor *c,
			    const struct dns_rr *rr, void *ret);
};

static int
dns_skip(struct dns_cursor *c, size_t n)
{
	if (n > c->len - c->at)
		return ERR_FORMAT;
	c->at += n;
	return 0;
}

static int
dns_u16(struct dns_cursor *c, unsigned int *ret)
{
	const uint8_t *p = c->packet + c->at;

	if (dns_skip(c, 2) != 0)
		return ERR_FORMAT;
	*ret = (unsigned int)p[0] << 8 | p[1];
	return 0;
}

/* ------------------------------------------------------------------- names -- */

static int
dns_skip_name(struct dns_cursor *c)
{
	size_t total = 0;

	while (c->at < c->len) {
		uint8_t label = c->packet[c->at];

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

/* Appends a label in lower case; false: no host's name has such a one. */
static bool
dns_put_label(char *dst, size_t *n, const uint8_t *label, size_t len)
{
	bool good = true;

	if (*n > 0)
		dst[(*n)++] = '.';
	for (size_t i = 0; i < len; i++) {
		uint8_t ch = label[i];

		if (ch >= 'A' && ch <= 'Z')
			ch = (uint8_t)(ch - 'A' + 'a');
		if (!((ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') ||
		    ch == '-' || ch == '_'))
			good = false;
		dst[(*n)++] = (char)ch;
	}
	return good;
}

/* The name at `at` as text. ERR_NOTFOUND: well-formed, but no host's. */
static int
dns_name(const struct dns_cursor *c, size_t at, char dst[DNS_NAME_SIZE])
{
	size_t n = 0, before = at;
	bool good = true;

	for (;;) {
		uint8_t label;

		if (at >= c->len)
			break;
		label = c->packet[at];
		if (label == 0) {
			dst[n] = '\0';
			return good ? 0 : ERR_NOTFOUND;
		}
		if ((label & 0xc0) == 0xc0) {
			if (c->len - at < 2)
				break;
			at = (size_t)(label & 0x3f) << 8 | c->packet[at + 1];
			if (at < DNS_HEAD || at >= before)
				break;
			before = at;
			continue;
		}
		if ((label & 0xc0) != 0 || c->len - at < label + 1u ||
		    n + label + 2u > DNS_NAME_MAX)
			break;
		if (!dns_put_label(dst, &n, c->packet + at + 1, label))
			good = false;
		at += label + 1u;
	}
	return ERR_FORMAT;
}

/* ----------------------------------------------------------------- records -- */

static int
dns_take_addr(const struct dns_cursor *c, const struct dns_rr *rr, void *ret)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct dns_addr *a = ret;
	size_t want = rr->type == DNS_TYPE_A ? 4 : 16;

	memset(a, 0, sizeof(*a));
	if (rr->len != want)
		return ERR_FORMAT;
	memcpy(a->addr.ip, mapped, 12);
	memcpy(a->addr.ip + 16 - want, rr->data, want);
	/* An alias may lead to a name of any kind: it is known as none then. */
	if (dns_name(c, rr->owner, a->owner) != 0)
		a->owner[0] = '\0';
	return 0;
}

static int
dns_take_mx(const struct dns_cursor *c, const struct dns_rr *rr, void *ret)
{
	struct dns_cursor data = *c;
	struct dns_mx *mx = ret;
	size_t end;

	data.at = (size_t)(rr->data - c->packet);
	end = data.at + rr->len;
	if (rr->len < 3 || dns_u16(&data, &mx->preference) != 0)
		return ERR_FORMAT;
	data.len = end;
	if (dns_skip_name(&data) != 0 || data.at != end)
		return ERR_FORMAT;
	return dns_name(c, end - rr->len + 2, mx->host);
}

static int
dns_take_tlsa(const struct dns_cursor *c, const struct dns_rr *rr, void *ret)
{
	struct dns_tlsa *t = ret;

	(void)c;
	if (rr->len < 3)
		return ERR_FORMAT;
	*t = (struct dns_tlsa){ rr->data[0], rr->data[1], rr->data[2],
		(uint16_t)(rr->len - 3), rr->data + 3 };
	return 0;
}

static int
dns_take_any(const struct dns_cursor *c, const struct dns_rr *rr, void *ret)
{
	(void)c;
	(void)rr;
	(void)ret;
	return 0;
}

static int
dns_record(struct dns_cursor *c, struct dns_taker *t)
{
	struct dns_rr rr = { .owner = c->at };
	unsigned int rr_class, len;
	int r;

	if (dns_skip_name(c) != 0 || dns_u16(c, &rr.type) != 0 ||
	    dns_u16(c, &rr_class) != 0 || dns_skip(c, 4) != 0 ||
	    dns_u16(c, &len) != 0)
		return ERR_FORMAT;
	rr.data = c->packet + c->at;
	rr.len = len;
	if (dns_skip(c, len) != 0)
		return ERR_FORMAT;
	if (rr.type != t->type || rr_class != DNS_CLASS_IN || t->n >= t->max)
		return 0;
	r = t->take(c, &rr, (char *)t->ret + t->n * t->size);
	if (r == 0)
		t->n++;
	return r == ERR_NOTFOUND ? 0 : r;
}

static int
dns_records(struct dns_cursor *c, struct dns_taker *t)
{
	unsigned int questions = (unsigned int)c->packet[4] << 8 | c->packet[5];
	unsigned int answers = (unsigned int)c->packet[6] << 8 | c->packet[7];

	dns_skip(c, DNS_HEAD);
	while (questions-- > 0)
		if (dns_skip_name(c) != 0 || dns_skip(c, 4) != 0)
			return ERR_FORMAT;
	while (answers-- > 0)
		if (dns_record(c, t) != 0)
			return ERR_FORMAT;
	return 0;
}

static int
dns_answer(const uint8_t *packet, size_t len, struct dns_taker *t,
    size_t *ret_n, unsigned int *ret_rcode)
{
	struct dns_cursor c = { packet, len, 0 };

	*ret_n = 0;
	*ret_rcode = DNS_RCODE_SERVFAIL;
	if (len < DNS_HEAD)
		return ERR_FORMAT;
	*ret_rcode = packet[3] & 15u;
	if (*ret_rcode != DNS_RCODE_NOERROR)
		return 0;
	if (dns_records(&c, t) != 0)
		return ERR_FORMAT;
	*ret_n = t->n;
	return 0;
}

int
dns_answer_addrs(const uint8_t *packet, size_t len, unsigned int type,
    struct dns_addr *ret, size_t max, size_t *ret_n, unsigned int *ret_rcode)
{
	struct dns_taker t = { .type = type, .ret = ret, .size = sizeof(*ret),
		.max = max, .take = dns_take_addr };

	return dns_answer(packet, len, &t, ret_n, ret_rcode);
}

int
dns_answer_mx(const uint8_t *packet, size_t len, struct dns_mx *ret,
    size_t max, size_t *ret_n, unsigned int *ret_rcode)
{
	struct dns_taker t = { .type = DNS_TYPE_MX, .ret = ret,
		.size = sizeof(*ret), .max = max, .take = dns_take_mx };

	return dns_answer(packet, len, &t, ret_n, ret_rcode);
}

int
dns_answer_tlsa(const uint8_t *packet, size_t len, struct dns_tlsa *ret,
    size_t max, size_t *ret_n, unsigned int *ret_rcode)
{
	struct dns_taker t = { .type = DNS_TYPE_TLSA, .ret = ret,
		.size = sizeof(*ret), .max = max, .take = dns_take_tlsa };

	return dns_answer(packet, len, &t, ret_n, ret_rcode);
}

int
dns_answer_has(const uint8_t *packet, size_t len, unsigned int type, bool *ret)
{
	struct dns_taker t = { .type = type, .ret = ret, .max = 1,
		.take = dns_take_any };
	unsigned int rcode;
	size_t n;
	int r = dns_answer(packet, len, &t, &n, &rcode);

	*ret = n > 0;
	return r;
}
