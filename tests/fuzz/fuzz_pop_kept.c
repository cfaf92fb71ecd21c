/*
 * fuzz_pop_kept.c - any octets as a Maildir's "submitd-list": what is taken
 * holds to its rules, names nothing outside new/ and cur/, and comes back out of
 * its own octets. The CRC-32C is put right first, so that more gets past it.
 */
#include "config.h"

#include <string.h>

#include "lib/crc32c.h"
#include "popd/mbox/kept.h"
#include "tests/fuzz/fuzz.h"

#define FUZZ_MESSAGES_MAX 1000

static void
fuzz_check(const struct list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct list_entry *e = &l->entries[i];

		FUZZ_CHECK(e->sub < LIST__SUBS && e->known);
		FUZZ_CHECK(e->octets >= e->size);
		FUZZ_CHECK(e->name[0] != '\0' && e->name[0] != '.');
		FUZZ_CHECK(strchr(e->name, '/') == NULL);
		FUZZ_CHECK(e->unique_len <= strlen(e->name));
		FUZZ_CHECK(i == 0 || list_compare(e - 1, e) < 0);
		FUZZ_CHECK(list_find(l, e) != NULL);
	}
}

static void
fuzz_check_again(const struct list *l)
{
	struct list *again = NULL;
	void *mem, *mem2;
	size_t len, len2;

	FUZZ_CHECK(kept_format(l, &mem, &len) == 0);
	FUZZ_CHECK(kept_parse(mem, len, FUZZ_MESSAGES_MAX, &again) == 0);
	FUZZ_CHECK(again->n == l->n);
	FUZZ_CHECK(kept_format(again, &mem2, &len2) == 0);
	FUZZ_CHECK(len == len2 && memcmp(mem, mem2, len) == 0);
	list_unref(again);
	free(mem);
	free(mem2);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct list *l = NULL;
	uint8_t *mem = malloc(size + 1);
	uint32_t crc;

	FUZZ_CHECK(mem != NULL);
	memcpy(mem, data, size);
	if (size >= sizeof(struct kept_head)) {
		crc = crc32c(0, mem + KEPT_CRC_FROM, size - KEPT_CRC_FROM);
		memcpy(mem + offsetof(struct kept_head, crc), &crc,
		    sizeof(crc));
	}
	if (kept_parse(mem, size, FUZZ_MESSAGES_MAX, &l) == 0) {
		fuzz_check(l);
		(void)kept_is_due(l);
		if (list_make_listing(l, NULL, NULL) == 0)
			fuzz_check_again(l);
		list_unref(l);
	}
	free(mem);
	return 0;
}
