/*
 * fuzz_send_dns.c - DNS answers: no octet behind the end is read, no more
 * records come out than there is room for, and names hold what names may.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "submitd/send/dns_answer.h"
#include "submitd/send/mx.h"
#include "submitd/send/tlsa.h"

#define ROOM 3u

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
dns_check(int r, size_t n, unsigned int rcode)
{
	if (n > ROOM || (r != 0 && n != 0) ||
	    (r == 0 && rcode != DNS_RCODE_NOERROR && n != 0))
		abort();
}

static void
dns_check_name(const char *name)
{
	size_t len = strlen(name);

	if (len >= DNS_NAME_SIZE || strspn(name,
	    "abcdefghijklmnopqrstuvwxyz0123456789-_.") != len)
		abort();
}

static void
dns_addrs(const uint8_t *data, size_t len, unsigned int type)
{
	struct dns_addr *got = malloc(ROOM * sizeof(*got));
	unsigned int rcode;
	size_t n;
	int r;

	if (got == NULL)
		abort();
	r = dns_answer_addrs(data, len, type,
	    got, ROOM, &n, &rcode);
	dns_check(r, n, rcode);
	while (n-- > 0)
		dns_check_name(got[n].owner);
	free(got);
}

static void
dns_mx(const uint8_t *data, size_t len)
{
	struct dns_mx *got = malloc(ROOM * sizeof(*got));
	unsigned int rcode;
	bool own;
	size_t n;
	int r;

	if (got == NULL)
		abort();
	r = dns_answer_mx(data, len, got, ROOM, &n, &rcode);
	dns_check(r, n, rcode);
	for (size_t i = 0; i < n; i++)
		dns_check_name(got[i].host);
	if (mx_order(got, n, "mx", 2, &own) > 2)
		abort();
	free(got);
}

static void
dns_tlsa(const uint8_t *data, size_t len)
{
	struct dns_tlsa *got = malloc(ROOM * sizeof(*got));
	unsigned int rcode, sum = 0;
	size_t n;
	int r;

	if (got == NULL)
		abort();
	r = dns_answer_tlsa(data, len, got, ROOM, &n, &rcode);
	dns_check(r, n, rcode);
	while (n-- > 0) {
		if (got[n].data < data || got[n].data + got[n].len > data + len)
			abort();
		for (size_t i = 0; i < got[n].len; i++)
			sum += got[n].data[i];
		(void)tlsa_is_usable(&got[n]);
	}
	(void)sum;
	free(got);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	bool has;

	(void)dns_answer_has(data, len, DNS_TYPE_CNAME, &has);
	dns_addrs(data, len, DNS_TYPE_A);
	dns_addrs(data, len, DNS_TYPE_AAAA);
	dns_mx(data, len);
	dns_tlsa(data, len);
	return 0;
}
