/*
 * fuzz_smtp_command.c - one command line in every state of a session: it gets one
 * reply, whatever it holds, and the session goes on or ends. The first octet says
 * where the session is.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/log.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/smtp_fake.h"

#define MAIL "MAIL FROM:<alice@example.org> SMTPUTF8\r\n"
#define RCPT "RCPT TO:<bob@example.org>\r\n"

static const struct {
	bool		 login;
	const char	*said;
} states[] = {
	{ false, "" }, { false, "EHLO a\r\n" }, { true, "" }, { true, MAIL },
	{ true, MAIL RCPT }, { true, MAIL RCPT "BDAT 3\r\na\r\n" },
};

/* BDAT is answered when its octets are there, and HTTP never. */
static void
check_replies(struct fake *f, const char *line)
{
	size_t codes = strlen(fake_codes(f));

	FUZZ_CHECK(codes == 3 || fake_is_closed(f) ||
	    (codes == 0 && strncasecmp(line, "BDAT", 4) == 0));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static char line[20000];
	static int quiet;
	size_t n = 0;
	struct fake *f;

	if (len < 1)
		return 0;
	if (!quiet++)
		log_open("fuzz", "fuzz", "/dev/null");
	f = fake_new(data[0] & 1 ? FAKE_SUBMISSIONS : FAKE_SUBMISSION);
	fake_set_extensions(f, data[0] >> 4);
	n = (data[0] >> 1 & 7) % (sizeof(states) / sizeof(states[0]));
	if (states[n].login)
		fake_login(f);
	fake_send(f, states[n].said, strlen(states[n].said), 1000);
	fake_clear(f);
	for (n = 0; n + 1 < len && n < sizeof(line) - 3 &&
	    data[n + 1] != '\n'; n++)
		line[n] = (char)data[n + 1];
	while (n > 0 && line[n - 1] == '\r')
		n--;
	memcpy(line + n, "\r\n", 3);
	fake_send(f, line, n + 2, 30000);
	fake_check(f);
	check_replies(f, line);
	fake_free(f);
	return 0;
}
