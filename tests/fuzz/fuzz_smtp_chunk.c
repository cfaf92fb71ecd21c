/*
 * fuzz_smtp_chunk.c - the content that BDAT brings: cut in pieces it is judged
 * as in one, and what passes is what would have passed behind DATA with its dots
 * stuffed, octet for octet.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "submitd/smtp/reader.h"

static struct smtp_reader
chunk_read(const uint8_t *data, size_t len, size_t piece, bool *ret_open)
{
	struct smtp_reader r = { 0 };

	for (size_t at = 0; at < len; at += piece) {
		size_t n = len - at < piece ? len - at : piece;
		/* Of its own, so that nothing is read beyond it. */
		uint8_t *copy = malloc(n);

		FUZZ_CHECK(copy != NULL);
		memcpy(copy, data + at, n);
		smtp_reader_chunk(&r, copy, n);
		free(copy);
	}
	*ret_open = smtp_reader_chunks_end(&r);
	return r;
}

/* The same content as a client of DATA sends it. */
static size_t
chunk_stuff(const uint8_t *data, size_t len, bool open, uint8_t *dst)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (data[i] == '.' && (i == 0 || data[i - 1] == '\n'))
			dst[n++] = '.';
		dst[n++] = data[i];
	}
	if (open) {
		memcpy(dst + n, "\r\n", 2);
		n += 2;
	}
	memcpy(dst + n, ".\r\n", 3);
	return n + 3;
}

static void
chunk_compare(const uint8_t *data, size_t len, bool open)
{
	uint8_t *wire = malloc(2 * len + 8), *kept = malloc(2 * len + 8);
	size_t n, at = 0, got = 0;
	struct smtp_reader r = { 0 };
	struct smtp_run run;

	FUZZ_CHECK(wire != NULL && kept != NULL);
	n = chunk_stuff(data, len, open, wire);
	while (at < n && r.state != SMTP_READER_END) {
		at += smtp_reader_next(&r, wire + at, n - at, &run);
		memcpy(kept + got, run.p, run.len);
		got += run.len;
	}
	FUZZ_CHECK(r.state == SMTP_READER_END && at == n && !r.broken);
	FUZZ_CHECK(got == len + (open ? 2 : 0) &&
	    (len == 0 || memcmp(kept, data, len) == 0));
	free(wire);
	free(kept);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const size_t pieces[] = { 1, 2, 3, 7 };
	bool open, cut_open;
	struct smtp_reader r = chunk_read(data, len, len + 1, &open), cut;

	FUZZ_CHECK(r.octets == len);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		cut = chunk_read(data, len, pieces[i], &cut_open);
		FUZZ_CHECK(cut.broken == r.broken && cut.octets == len &&
		    cut_open == open);
	}
	if (!r.broken)
		chunk_compare(data, len, open);
	return 0;
}
