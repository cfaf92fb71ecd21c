/*
 * fuzz_line.c - lines in any pieces: every octet is used once, no line is
 * longer than allowed, and what counts as a line holds no CR, LF or NUL.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "lib/line.h"

static void
fuzz_line_feed(const uint8_t *data, size_t size, size_t step, size_t max)
{
	size_t fed = 0, used = 0, n;
	enum line_result r;
	int skipping = 0;
	struct line l;
	struct buf b;

	buf_init(&b, max + step);
	while (fed < size) {
		n = size - fed < step ? size - fed : step;
		FUZZ_CHECK(buf_append(&b, data + fed, n) == 0);
		fed += n;
		while ((r = line_next(&b, max, skipping, &l)) != LINE_MORE) {
			FUZZ_CHECK(l.used > 0 && l.used <= buf_len(&b));
			if (r != LINE_LONG) {
				FUZZ_CHECK(l.used <= max && l.len < l.used);
				FUZZ_CHECK(l.text[l.len] == '\0');
			}
			if (r == LINE_OK)
				FUZZ_CHECK(strlen(l.text) == l.len &&
				    strpbrk(l.text, "\r\n") == NULL);
			skipping = r == LINE_LONG && !l.ended;
			used += l.used;
			buf_consume(&b, l.used);
		}
		FUZZ_CHECK(buf_len(&b) < max);
		FUZZ_CHECK(used + buf_len(&b) == fed);
	}
	buf_free(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	fuzz_line_feed(data, size, size, 32);
	fuzz_line_feed(data, size, 1, 32);
	fuzz_line_feed(data, size, data[0] % 16 + 1u, 512);
	return 0;
}
