/*
 * fuzz_trace.c - a pasted Received line: whatever it is, what is taken from it
 * are strings that end, and a token found in it is one when it stands alone.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "auth/trace.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = malloc(len + 1), token[AUTHP_ORIGIN_MAX + 1];
	struct trace t = { .token = "" };

	FUZZ_CHECK(text != NULL);
	if (len > 0)
		memcpy(text, data, len);
	text[len] = '\0';
	trace_read(&t, text);
	FUZZ_CHECK(t.at >= text && t.at <= text + strlen(text));
	FUZZ_CHECK(strlen(t.token) < sizeof(t.token));
	FUZZ_CHECK(strlen(t.from) < sizeof(t.from));
	FUZZ_CHECK(strlen(t.by) < sizeof(t.by));
	FUZZ_CHECK(strlen(t.id) < sizeof(t.id));
	FUZZ_CHECK(strlen(t.address) < sizeof(t.address));
	FUZZ_CHECK(strlen(t.user) < sizeof(t.user));
	FUZZ_CHECK(strlen(t.date) < sizeof(t.date));
	if (trace_is_token(text, token))
		FUZZ_CHECK(strpbrk(token, " \t\r\n()") == NULL);
	free(text);
	return 0;
}
