/*
 * fuzz_proxy.c - PROXY headers. What is a header, is one however it arrives,
 * and of its octets none but its own are used. Behind it, or without one, what
 * XCLIENT is told.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "lib/proxy.h"
#include "submitd/smtp/xclient_params.h"

static void
fuzz_xclient(const uint8_t *data, size_t size)
{
	char *arg = strndup((const char *)data, size);
	struct smtp_xclient x;
	enum smtp_reply r;

	FUZZ_CHECK(arg != NULL);
	r = smtp_xclient_parse(arg, &x);
	FUZZ_CHECK(r == SMTP_R_NONE || r == SMTP_R_XCLIENT_SYNTAX ||
	    r == SMTP_R_XCLIENT_LOGIN);
	for (const char *p = x.helo; *p != '\0'; p++)
		FUZZ_CHECK(*p >= ' ' && *p <= '~');
	free(arg);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_header h, again;
	size_t used, part, i;
	int r = proxy_parse(data, size, &h, &used);

	FUZZ_CHECK(r == 0 || r == PROXY_MORE || r == ERR_FORMAT);
	FUZZ_CHECK(used <= size && used <= PROXY_MAX);
	if (r == PROXY_MORE)
		FUZZ_CHECK(used == size);
	for (i = 0; r == 0 && i < used; i++)
		FUZZ_CHECK(proxy_parse(data, i, &again, &part) ==
		    PROXY_MORE && part == i);
	if (r == 0) {
		FUZZ_CHECK(proxy_parse(data, used, &again, &part) == 0);
		FUZZ_CHECK(part == used &&
		    memcmp(&h, &again, sizeof(h)) == 0);
		data += used;
		size -= used;
	}
	fuzz_xclient(data, size);
	return 0;
}
