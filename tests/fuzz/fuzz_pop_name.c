/*
 * fuzz_pop_name.c - what popd-mbox reads from any name in a Maildir.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "popd/mbox/maildrop.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char name[256], uidl[MBOXC_UIDL_MAX + 1];
	uint64_t octets;
	size_t n;

	if (len > 255 || memchr(data, '\0', len) != NULL)
		return 0;
	memcpy(name, data, len);
	name[len] = '\0';
	maildrop_name_uidl(name, uidl);
	n = strlen(uidl);
	if (n < 1 || n > MBOXC_UIDL_MAX)
		abort();
	for (size_t i = 0; i < n; i++)
		if (uidl[i] < 0x21 || uidl[i] > 0x7E)
			abort();
	maildrop_name_time(name);
	if (maildrop_name_octets(name, 1000, &octets) &&
	    (octets < 1000 || octets > 2000))
		abort();
	return 0;
}
