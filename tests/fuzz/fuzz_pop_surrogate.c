/*
 * fuzz_pop_surrogate.c - any header in UTF-8 becomes one of ASCII with the same
 * lines' ends where fields end: no field is added, none is lost, and no empty
 * line comes before the end.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "popd/pop/surrogate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
fuzz_must(int ok)
{
	if (!ok)
		abort();
}

/* Lines that begin without a blank. */
static size_t
fuzz_fields(const char *p, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		if ((i == 0 || p[i - 1] == '\n') && p[i] != ' ' && p[i] != '\t')
			n++;
	return n;
}

static int
fuzz_has_empty_line(const char *p, size_t len)
{
	return memmem(p, len, "\n\n", 2) != NULL ||
	    memmem(p, len, "\n\r\n", 3) != NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *in = (const char *)data, *got;
	struct buf out;

	if (len == 0 || len > 1 << 16 || !surrogate_is_needed(in, len, true))
		return 0;
	buf_init(&out, 4u << 20);
	fuzz_must(surrogate_make(in, len, &out) == 0);
	got = (const char *)buf_data(&out);
	for (size_t i = 0; i < buf_len(&out); i++)
		fuzz_must((unsigned char)got[i] < 0x80);
	fuzz_must(fuzz_fields(got, buf_len(&out)) == fuzz_fields(in, len));
	fuzz_must(fuzz_has_empty_line(in, len) ||
	    !fuzz_has_empty_line(got, buf_len(&out)));
	buf_free(&out);
	return 0;
}
