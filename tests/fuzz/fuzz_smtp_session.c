/*
 * fuzz_smtp_session.c - a whole session on a connection without a network
 * (tests/unit/smtp_fake.h). The first octet says how it begins and how the
 * input is cut, and whether it is an MX's, by LMTP; the rest is what the client
 * sends.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>

#include "lib/log.h"
#include "tests/unit/smtp_fake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const size_t pieces[] = { 1, 5, 100, 100000 };
	static int quiet;
	struct fake *f;

	if (len < 1)
		return 0;
	if (!quiet++)
		log_open("fuzz", "fuzz", "/dev/null");
	f = fake_new(data[0] & 32 ? FAKE_LMTP : data[0] & 1 ?
	    FAKE_SUBMISSIONS : FAKE_SUBMISSION);
	if (data[0] & 32)
		fake_set_grant(f, true);
	else if (data[0] & 2)
		fake_login(f);
	fake_send(f, data + 1, len - 1, pieces[data[0] >> 2 & 3]);
	fake_check(f);
	if (data[0] & 16)
		fake_kick(f, "");
	fake_free(f);
	return 0;
}
