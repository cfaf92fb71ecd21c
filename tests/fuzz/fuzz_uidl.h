/*
 * fuzz_uidl.h - an old list of UIDLs as popd-mbox takes it over: what got into
 * the map must be fit for POP3, and must come back out of its own file.
 */
#ifndef SUBMITD_FUZZ_UIDL_H
#define SUBMITD_FUZZ_UIDL_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "popd/mbox/maildrop.h"
#include "popd/mbox/uidl_import.h"
#include "popd/mbox/uidl_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static inline int
fuzz_uidl_row(void *ctx, const char *name, const char *uidl, size_t uidl_len)
{
	struct uidl_map **m = ctx;
	size_t unique = maildrop_name_unique(name);
	int r = uidl_add(m, name, unique, uidl, uidl_len);
	const char *has;

	if (r == 0 && ((has = uidl_find(*m, name, unique)) == NULL ||
	    strlen(has) != uidl_len || memcmp(has, uidl, uidl_len) != 0 ||
	    !uidl_is_fit(has, uidl_len) || !uidl_is_taken(*m, has)))
		abort();
	return r == 0 || r == ERR_EXISTS || r == ERR_FORMAT ? 0 : r;
}

/* What is written is what is read. */
static inline void
fuzz_uidl_round(const struct uidl_map *m)
{
	struct uidl_map *again = NULL;
	size_t len, len2;
	char *text, *text2;

	if (uidl_format(m, &text, &len) != 0)
		return;
	if ((text2 = malloc(len + 1)) == NULL)
		abort();
	memcpy(text2, text, len);
	if (uidl_parse(text2, len, &again, NULL) != 0 ||
	    uidl_count(again) != uidl_count(m) ||
	    uidl_format(again, &text2, &len2) != 0 || len2 != len ||
	    memcmp(text, text2, len) != 0)
		abort();
	uidl_free(again);
	free(text);
	free(text2);
}

static inline char *
fuzz_uidl_copy(const uint8_t *data, size_t len)
{
	char *text = malloc(len + 1);

	if (text == NULL)
		abort();
	if (len > 0)
		memcpy(text, data, len);
	return text;
}

static inline int
fuzz_uidl_list(const uint8_t *data, size_t len,
    int (*read)(struct uidl_list *l, struct err *reterr))
{
	struct uidl_map *m = NULL;
	struct uidl_list l = { .text = fuzz_uidl_copy(data, len), .len = len,
		.row = fuzz_uidl_row, .ctx = &m };
	struct err err = { 0 };

	if (read(&l, &err) != 0 && err.text[0] == '\0')
		abort();
	fuzz_uidl_round(m);
	uidl_free(m);
	free(l.text);
	return 0;
}

#endif
