/*
 * t_smtp_past.c - what authd is told of a submission session that is over.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/str.h"
#include "tests/unit/smtp_fake.h"

#define PLAIN "AGFsaWNlAHNlY3JldA=="	/* \0alice\0secret */
#define WRONG "AGFsaWNlAHdyb25n"	/* \0alice\0wrong */
#define ALICE "MAIL FROM:<alice@example.org>\r\n"
#define LETTER "RCPT TO:<bob@example.org>\r\n", "DATA\r\n", \
	"Date: x\r\nMessage-ID: <y>\r\n\r\nhi\r\n.\r\n"
#define TLS "EHLO a.example\r\n", "STARTTLS\r\n", "EHLO b.example\r\n"

/* flags of enum authp_past, in hexadecimal */
#define EHLO_CLEAR "2"
#define STARTTLS "80"

static const struct past {
	const char	*name;
	const char	*send[12];
	const char	*want;		/* WHY CODE STATUS USER KIND SENDER
					 * HELO FLAGS MESSAGES */
} pasts[] = {
	{ "nothing", { "" }, "eof 0 - - 0 - - 0 0" },
	{ "QUIT", { "QUIT\r\n" }, "quit 0 - - 0 - - 0 0" },
	{ "EHLO alone", { "EHLO a\r\n", "QUIT\r\n" },
	    "quit 0 - - 0 - a " EHLO_CLEAR " 0" },
	{ "MAIL in clear", { "EHLO a\r\n", ALICE, "QUIT\r\n" },
	    "quit 530 5.7.0 - 0 alice@example.org a " EHLO_CLEAR " 0" },
	{ "AUTH in clear", { "EHLO a\r\n", "AUTH PLAIN " PLAIN "\r\n" },
	    "eof 530 5.7.0 - 0 - a a 0" },
	{ "STARTTLS masked", { "EHLO a\r\n", "XXXXXXXX\r\n", "QUIT\r\n" },
	    "quit 500 5.5.2 - 0 - a 6 0" },
	{ "EHLO masked", { "XXXX a\r\n", "QUIT\r\n" },
	    "quit 500 5.5.2 - 0 - - 4 0" },
	{ "no login", { TLS, ALICE, "QUIT\r\n" },
	    "quit 530 5.7.0 - 0 alice@example.org b.example " STARTTLS " 0" },
	{ "wrong password", { TLS, "AUTH PLAIN " WRONG "\r\n", "QUIT\r\n" },
	    "quit 535 5.7.8 - 0 - b.example b0 0" },
	{ "right at the second try", { TLS, "AUTH PLAIN " WRONG "\r\n",
	    "AUTH PLAIN " PLAIN "\r\n", "QUIT\r\n" },
	    "quit 0 - alice@example.org 1 - b.example b0 0" },
	{ "a message", { TLS, "AUTH PLAIN " PLAIN "\r\n", ALICE, LETTER,
	    "QUIT\r\n" },
	    "quit 0 - alice@example.org 1 - b.example a0 1" },
	{ "not his address", { TLS, "AUTH PLAIN " PLAIN "\r\n",
	    "MAIL FROM:<bob@example.org>\r\n", "RCPT TO:<a@example.org>\r\n",
	    "QUIT\r\n" }, "quit 553 5.7.1 alice@example.org 1 "
	    "bob@example.org b.example a0 0" },
	{ "no such recipient", { TLS, "AUTH PLAIN " PLAIN "\r\n", ALICE,
	    "RCPT TO:<nobody@example.org>\r\n", "DATA\r\n", "QUIT\r\n" },
	    "quit 550 5.1.1 alice@example.org 1 alice@example.org b.example "
	    "a0 0" },
	{ "gone within a transaction", { TLS, "AUTH PLAIN " PLAIN "\r\n",
	    ALICE }, "eof 0 - alice@example.org 1 alice@example.org b.example "
	    "a0 0" },
};

static void
test_pasts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(pasts) / sizeof(pasts[0]); i++) {
		struct fake *f = fake_new(FAKE_SUBMISSION);

		for (size_t k = 0; k < 12 && pasts[i].send[k] != NULL; k++)
			if (pasts[i].send[k][0] != '\0')
				fake_send(f, pasts[i].send[k],
				    strlen(pasts[i].send[k]), SIZE_MAX);
		if (!fake_is_closed(f))
			fake_gone(f);
		if (strcmp(fake_event(f), pasts[i].want) != 0)
			fail_msg("%s: \"%s\", not \"%s\"", pasts[i].name,
			    fake_event(f), pasts[i].want);
		fake_free(f);
	}
}

/* More messages than one EVENT holds: it is told of before the end, too. */
static void
test_many(void **state)
{
	static const char *const one[] = { ALICE, LETTER };
	struct fake *f = fake_new(FAKE_SUBMISSIONS);

	(void)state;
	fake_login(f);
	for (unsigned int i = 0; i < 40; i++)
		for (size_t k = 0; k < 4; k++)
			fake_send(f, one[k], strlen(one[k]), SIZE_MAX);
	assert_non_null(strstr(fake_event(f), " 60 32"));
	fake_gone(f);
	assert_non_null(strstr(fake_event(f), " 20 8"));
	fake_free(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pasts),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
