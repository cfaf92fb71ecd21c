/*
 * fuzz_pop_session.c - a whole session on a connection without a network
 * (tests/unit/pop_fake.h). The first octet says how it begins and how the input
 * is cut; the rest is what the client sends.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>

#include "lib/log.h"
#include "tests/unit/pop_fake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const size_t pieces[] = { 1, 5, 100, 100000 };
	static int quiet;

	if (len < 1)
		return 0;
	if (!quiet++)
		log_open("fuzz", "fuzz", "/dev/null");
	if (data[0] & 16)
		fake_new_with_secrets(data[0] & 1 ? FAKE_POP3S : FAKE_POP3);
	else
		fake_new(data[0] & 1 ? FAKE_POP3S : FAKE_POP3);
	if (data[0] & 2)
		fake_login();
	fake_send(data + 1, len - 1, pieces[data[0] >> 2 & 3]);
	fake_check();
	if (data[0] & 32)
		fake_kick("");
	fake_free();
	return 0;
}
