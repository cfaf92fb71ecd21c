/*
 * fuzz_pop_command.c - one command line in each state: it gets one status line
 * of at most 512 octets (RFC 2449 section 4), and the next command works unless
 * the session has ended. The first octet picks the state.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "tests/unit/pop_fake.h"

#define LINE_MAX_OCTETS	12200

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
fuzz_must(int ok)
{
	if (!ok)
		abort();
}

static void
fuzz_begin(unsigned int state)
{
	if (state & 4)
		fake_new_with_secrets(state & 1 ? FAKE_POP3S : FAKE_POP3);
	else
		fake_new(state & 1 ? FAKE_POP3S : FAKE_POP3);
	if (state & 8)
		fake_say("UTF8\r\n");
	if (state & 2)
		fake_login();
	fake_clear();
}

static void
fuzz_check_answer(const char *out)
{
	const char *end = strstr(out, "\r\n");

	fuzz_must(end != NULL && end + 2 - out <= 512);
	fuzz_must(strncmp(out, "+OK", 3) == 0 || strncmp(out, "-ERR ", 5) == 0 ||
	    strncmp(out, "+ ", 2) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static char line[LINE_MAX_OCTETS + 3];
	static int quiet;
	size_t n;

	if (len < 1 || len > LINE_MAX_OCTETS)
		return 0;
	if (!quiet++)
		log_open("fuzz", "fuzz", "/dev/null");
	for (n = 0; n + 1 < len && data[n + 1] != '\n'; n++)
		line[n] = (char)data[n + 1];
	memcpy(line + n, "\r\n", 2);
	fuzz_begin(data[0]);
	fake_send(line, n + 2, sizeof(line));
	fake_check();
	/* Octets that begin a handshake or a request of HTTP end it. */
	if (!fake_is_closed() || fake_output()[0] != '\0') {
		if (fake_output()[0] != '\x15')
			fuzz_check_answer(fake_output());
	}
	if (!fake_is_closed()) {
		fake_clear();
		fake_say("CAPA\r\n");	/* or a response, and no good one */
		fuzz_check_answer(fake_output());
	}
	fake_free();
	return 0;
}
