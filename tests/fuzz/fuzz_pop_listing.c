/*
 * fuzz_pop_listing.c - any octets as the listing that popd-pop maps: all that a
 * sound one says lies within it.
 */
#include "config.h"

#include <string.h>

#include "popd/mbox/listing.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mboxc_message m;
	void *mem = malloc(size + 1);
	size_t n, len;

	FUZZ_CHECK(mem != NULL);
	memcpy(mem, data, size);
	if (listing_check(mem, size, &n) == 0) {
		(void)listing_octets_all(mem);
		for (size_t i = 0; i < n; i++) {
			listing_message(mem, i, &m);
			len = strlen(m.uidl);
			FUZZ_CHECK(len <= MBOXC_UIDL_MAX);
			FUZZ_CHECK(listing_octets(mem, i) == m.octets);
		}
	}
	free(mem);
	return 0;
}
