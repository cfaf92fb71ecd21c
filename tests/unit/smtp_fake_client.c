/*
 * smtp_fake_client.c - see smtp_fake.h. What a client says first.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/smtp_fake.h"

struct fake *
fake_begin(enum fake_begin b)
{
	struct fake *f = fake_new(b == CLEAR ? FAKE_SUBMISSION :
	    FAKE_SUBMISSIONS);

	if (strcmp(fake_codes(f), "220") != 0)
		abort();
	if (b == LOGGED_IN)
		fake_login(f);
	if (b == EHLOED)
		fake_send(f, "EHLO a\r\n", 8, 8);
	fake_clear(f);
	return f;
}

void
fake_say(struct fake *f, const char *text)
{
	fake_send(f, text, strlen(text), 100000);
}
