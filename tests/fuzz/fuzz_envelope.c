/*
 * fuzz_envelope.c - what recovery reads: a queue file's header, envelope and
 * records. The CRCs are made right, so that what is behind them is reached; and
 * what was understood is packed and understood again.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "submitd/spool/envelope.h"
#include "submitd/spool/header.h"

static void
fuzz_envelope_one(const uint8_t *data, size_t len)
{
	char received[HEADER_RECEIVED_SIZE];
	struct envelope e, back;
	uint8_t *p;
	size_t n;
	int r;

	if (envelope_unpack(data, len, &e) != 0)
		return;
	FUZZ_CHECK(str_is_id(e.id) && e.n_rcpts > 0);
	FUZZ_CHECK(envelope_pack(&e, &p, &n) == 0);
	FUZZ_CHECK(envelope_unpack(p, n, &back) == 0);
	FUZZ_CHECK(back.n_rcpts == e.n_rcpts);
	FUZZ_CHECK(strcmp(back.sender, e.sender) == 0);
	/* Whatever stands in it, it makes one field and nothing else. */
	r = header_received(&e, "mx.example.org", "", received, sizeof(received));
	for (int i = 0; i + 1 < r; i++) {
		FUZZ_CHECK(received[i] != '\0');
		if (received[i] == '\r' || received[i] == '\n')
			FUZZ_CHECK(received[i] == '\r' ?
			    received[i + 1] == '\n' && (i + 2 == r ||
			    received[i + 2] == '\t') : received[i - 1] == '\r');
	}
	envelope_free(&back);
	envelope_free(&e);
	free(p);
}

static void
fuzz_envelope_header(const uint8_t *data)
{
	uint8_t header[ENVELOPE_HEADER_SIZE];
	struct envelope_header h;
	uint32_t crc;

	memcpy(header, data, sizeof(header));
	crc = envelope_crc(header, ENVELOPE_HEADER_SIZE - 4);
	for (unsigned int i = 0; i < 4; i++)
		header[ENVELOPE_HEADER_SIZE - 4 + i] =
		    (uint8_t)(crc >> (24 - 8 * i));
	if (envelope_header_unpack(header, &h) != 0)
		return;
	FUZZ_CHECK(h.content_offset >= ENVELOPE_HEADER_SIZE);
	FUZZ_CHECK(h.content_offset + h.content_len >= h.content_offset);
}

static void
fuzz_envelope_results(const uint8_t *data, size_t len)
{
	struct envelope_result res;
	uint8_t p[ENVELOPE_RESULT_MAX];
	int n;

	while ((n = envelope_result_unpack(data, len, &res)) > 0) {
		FUZZ_CHECK((size_t)n <= len);
		FUZZ_CHECK(envelope_result_pack(&res, p) == (size_t)n);
		data += n;
		len -= (size_t)n;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct header_scan scan;

	fuzz_envelope_one(data, size);
	if (size >= ENVELOPE_HEADER_SIZE)
		fuzz_envelope_header(data);
	fuzz_envelope_results(data, size);
	header_scan_init(&scan);
	header_scan_feed(&scan, data, size);
	FUZZ_CHECK(scan.received <= size / 9);
	return 0;
}
