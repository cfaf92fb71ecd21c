/*
 * fuzz_msg.c - a packet read by a plan that is its own first octets: nothing
 * outside the packet is touched, and errors stay.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "lib/msg.h"

static void
fuzz_msg_take(struct msg_in *m, uint8_t kind)
{
	const char *s;
	const void *blob;
	size_t n;
	uint8_t u8;
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;
	int before = m->error;

	switch (kind % 6) {
	case 0:
		FUZZ_CHECK(msg_get_u8(m, &u8) == 0 || u8 == 0);
		break;
	case 1:
		FUZZ_CHECK(msg_get_u16(m, &u16) == 0 || u16 == 0);
		break;
	case 2:
		FUZZ_CHECK(msg_get_u32(m, &u32) == 0 || u32 == 0);
		break;
	case 3:
		FUZZ_CHECK(msg_get_u64(m, &u64) == 0 || u64 == 0);
		break;
	case 4:
		if (msg_get_str(m, &s, kind) != 0)
			FUZZ_CHECK(*s == '\0');
		FUZZ_CHECK(strlen(s) <= kind);
		break;
	default:
		if (msg_get_blob(m, &blob, &n, kind) != 0)
			FUZZ_CHECK(n == 0);
		FUZZ_CHECK(n <= kind);
		break;
	}
	FUZZ_CHECK(before == 0 || m->error == before);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct msg_in m;
	size_t i;

	if (size < 8)
		return 0;
	msg_open(&m, data + 8, size - 8);
	for (i = 0; i < 8; i++)
		fuzz_msg_take(&m, data[i]);
	if (msg_get_end(&m) == 0)
		FUZZ_CHECK(m.left == 0);
	return 0;
}
