/*
 * fuzz_pop_sizes.c - any octets as a Maildir's "submitd-sizes": what is taken
 * holds to its rules, and comes back out of its own text.
 */
#include "config.h"

#include <string.h>

#include "popd/mbox/sizes.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sizes *z = NULL, *again = NULL;
	struct buf text;
	uint64_t octets;

	if (sizes_parse((const char *)data, size, &z) != 0)
		return 0;
	for (size_t i = 0; i < z->n; i++) {
		const struct sizes_line *l = &z->line[i];

		FUZZ_CHECK(l->octets >= l->size);
		FUZZ_CHECK(sizes_find(z, l, &octets) && octets == l->octets);
	}
	buf_init(&text, SIZES_FILE_MAX);
	if (sizes_format(z->line, z->n, &text) == 0) {
		FUZZ_CHECK(sizes_parse((const char *)buf_data(&text),
		    buf_len(&text), &again) == 0);
		FUZZ_CHECK(again->n == z->n && memcmp(again->line, z->line,
		    z->n * sizeof(z->line[0])) == 0);
	}
	buf_free(&text);
	sizes_free(again);
	sizes_free(z);
	return 0;
}
