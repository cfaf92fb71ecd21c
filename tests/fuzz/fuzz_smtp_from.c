/*
 * fuzz_smtp_from.c - a From field: each address that is found is bounded, has no
 * white space but within quotes, is itself when it is read again, and stays the
 * same when the field is folded.
 */
#include "config.h"

#include <string.h>

#include "lib/mailbox.h"
#include "submitd/smtp/from.h"
#include "tests/fuzz/fuzz.h"

struct found {
	unsigned int	n;
	char		all[SMTP_FROM_MAX][MAILBOX_SIZE];
};

static int
note(void *ctx, const char *address)
{
	struct found *f = ctx;

	FUZZ_CHECK(f->n < SMTP_FROM_MAX);
	FUZZ_CHECK(strlen(address) < MAILBOX_SIZE);
	strcpy(f->all[f->n++], address);
	return 0;
}

static void
check_address(const char *a)
{
	struct found again = { .n = 0 };
	const char *at = strrchr(a, '@');

	FUZZ_CHECK(at != NULL && at > a && at[1] != '\0');
	FUZZ_CHECK(strpbrk(a, "\r\n") == NULL);
	FUZZ_CHECK(strpbrk(at, " \t\"<>(),;:\\") == NULL || at[1] == '[');
	FUZZ_CHECK(*a == '"' || strpbrk(a, " \t\"<>(),;\\") == NULL);
	FUZZ_CHECK(smtp_from_eq(a, a));
	FUZZ_CHECK(smtp_from_parse(a, strlen(a), note, &again) == 0);
	FUZZ_CHECK(again.n == 1 && strcmp(again.all[0], a) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct found f, folded;
	char *text = malloc(size + 6);
	int r;

	if (text == NULL)
		return 0;
	f.n = folded.n = 0;
	r = smtp_from_parse((const char *)data, size, note, &f);
	if (r == 0) {
		FUZZ_CHECK(f.n > 0);
		for (unsigned int i = 0; i < f.n; i++)
			check_address(f.all[i]);
	}
	memcpy(text, "\r\n ", 3);
	if (size > 0)
		memcpy(text + 3, data, size);
	memcpy(text + 3 + size, "\r\n\t", 3);
	if (size + 6 <= SMTP_FROM_OCTETS_MAX) {
		FUZZ_CHECK((smtp_from_parse(text, size + 6, note, &folded) ==
		    0) == (r == 0));
		FUZZ_CHECK(r != 0 || folded.n == f.n);
	}
	free(text);
	return 0;
}
