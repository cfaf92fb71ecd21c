/*
 * fuzz_send_dns.c - DNS answers: no octet behind the end is read, and no more
 * addresses come out than there is room for.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>

#include "submitd/send/dns_answer.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const unsigned int types[] = { DNS_TYPE_A, DNS_TYPE_AAAA };
	unsigned int rcode;
	size_t n;

	for (size_t i = 0; i < 2; i++) {
		struct addr *got = malloc(3 * sizeof(*got));
		int r;

		if (got == NULL)
			abort();
		r = dns_answer_parse(data, len, types[i], got, 3, &n, &rcode);
		if (n > 3 || (r != 0 && n != 0) ||
		    (r == 0 && rcode != DNS_RCODE_NOERROR && n != 0))
			abort();
		free(got);
	}
	return 0;
}
