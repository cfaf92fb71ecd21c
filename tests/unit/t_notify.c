/*
 * t_notify.c - lines of feeders (auth/notify_line.h): what is taken, and that
 * everything else is refused.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/notify_line.h"
#include "db/record.h"

#define USER254 \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct notify_case {
	const char	*name, *line;
	int		 verb;		/* -1: refused */
	const char	*user, *addr;
	uint8_t		 protocol;
	enum notify_tls	 tls;
} notify_cases[] = {
	{ "login", "login anna@example.org 192.0.2.7", NOTIFY_LOGIN,
	  "anna@example.org", "192.0.2.7", GRANT_PROTO_NONE,
	  NOTIFY_TLS_UNSAID },
	{ "login with all", "login anna 2001:db8::7 proto=imap tls=yes",
	  NOTIFY_LOGIN, "anna", "2001:db8::7", GRANT_PROTO_IMAP,
	  NOTIFY_TLS_YES },
	{ "options in any order", "login anna 192.0.2.7 tls=no proto=pop3",
	  NOTIFY_LOGIN, "anna", "192.0.2.7", GRANT_PROTO_POP3,
	  NOTIFY_TLS_NO },
	{ "alive", "alive a#phone 192.0.2.7", NOTIFY_ALIVE, "a#phone",
	  "192.0.2.7", GRANT_PROTO_NONE, NOTIFY_TLS_UNSAID },
	{ "logout", "logout a%b 192.0.2.7", NOTIFY_LOGOUT, "a%b",
	  "192.0.2.7", GRANT_PROTO_NONE, NOTIFY_TLS_UNSAID },
	{ "spaces", "  alive   a  192.0.2.7  ", NOTIFY_ALIVE, "a",
	  "192.0.2.7", GRANT_PROTO_NONE, NOTIFY_TLS_UNSAID },
	{ "IPv4-mapped", "alive a ::ffff:192.0.2.7", NOTIFY_ALIVE, "a",
	  "192.0.2.7", GRANT_PROTO_NONE, NOTIFY_TLS_UNSAID },
	{ "UTF-8", "alive \xc3\xa4 192.0.2.7", NOTIFY_ALIVE, "\xc3\xa4",
	  "192.0.2.7", GRANT_PROTO_NONE, NOTIFY_TLS_UNSAID },
	{ "a long name", "alive " USER254 " 192.0.2.7", NOTIFY_ALIVE, USER254,
	  "192.0.2.7", GRANT_PROTO_NONE, NOTIFY_TLS_UNSAID },
	{ "nothing", "", -1, NULL, NULL, 0, 0 },
	{ "spaces only", "   ", -1, NULL, NULL, 0, 0 },
	{ "no such verb", "hello anna 192.0.2.7", -1, NULL, NULL, 0, 0 },
	{ "verbs are in lower case", "LOGIN anna 192.0.2.7", -1, NULL, NULL,
	  0, 0 },
	{ "verb alone", "login", -1, NULL, NULL, 0, 0 },
	{ "no address", "login anna", -1, NULL, NULL, 0, 0 },
	{ "no IP address", "login anna host.example.org", -1, NULL, NULL, 0,
	  0 },
	{ "a port", "login anna 192.0.2.7:587", -1, NULL, NULL, 0, 0 },
	{ "a network", "login anna 192.0.2.0/24", -1, NULL, NULL, 0, 0 },
	{ "a zone", "login anna fe80::1%eth0", -1, NULL, NULL, 0, 0 },
	{ "unknown", "login anna unknown", -1, NULL, NULL, 0, 0 },
	{ "words turned round", "login 192.0.2.7 anna", -1, NULL, NULL, 0, 0 },
	{ "an unknown option", "login a 192.0.2.7 ttl=9d", -1, NULL, NULL, 0,
	  0 },
	{ "an option's other value", "login a 192.0.2.7 proto=smtp", -1, NULL,
	  NULL, 0, 0 },
	{ "said twice", "login a 192.0.2.7 tls=no tls=yes", -1, NULL, NULL, 0,
	  0 },
	{ "too many words", "login a 192.0.2.7 tls=yes proto=imap x", -1, NULL,
	  NULL, 0, 0 },
	{ "alive takes no option", "alive a 192.0.2.7 tls=yes", -1, NULL, NULL,
	  0, 0 },
	{ "a tab parts nothing", "login\ta\t192.0.2.7", -1, NULL, NULL, 0, 0 },
	{ "CR within", "login a\r 192.0.2.7", -1, NULL, NULL, 0, 0 },
	{ "DEL", "login a\x7f 192.0.2.7", -1, NULL, NULL, 0, 0 },
	{ "too long", "login " USER254 USER254 " 192.0.2.7", -1, NULL, NULL, 0,
	  0 },
};

static void
notify_check(const struct notify_case *c, const char *flaw,
    const struct notify_line *l)
{
	char ip[ADDR_STRLEN];

	if ((flaw != NULL) != (c->verb < 0))
		fail_msg("%s: %s", c->name, flaw == NULL ? "taken" : flaw);
	if (flaw != NULL)
		return;
	if ((int)l->verb != c->verb || strcmp(l->user, c->user) != 0 ||
	    l->user_len != strlen(c->user) ||
	    strcmp(addr_ip_text(&l->addr, ip), c->addr) != 0 ||
	    l->protocol != c->protocol || l->tls != c->tls)
		fail_msg("%s: verb %d, user %s, address %s, protocol %d, TLS "
		    "%d", c->name, (int)l->verb, l->user,
		    addr_ip_text(&l->addr, ip), l->protocol, (int)l->tls);
}

static void
test_lines(void **state)
{
	struct notify_line l;
	char *line;

	(void)state;
	for (size_t i = 0; i < sizeof(notify_cases) / sizeof(notify_cases[0]);
	    i++) {
		line = strdup(notify_cases[i].line);
		assert_non_null(line);
		notify_check(&notify_cases[i], notify_line_parse(line,
		    strlen(line), &l), &l);
		free(line);
	}
}

static void
test_nul(void **state)
{
	char line[] = "login a\0b 192.0.2.7";
	struct notify_line l;

	(void)state;
	assert_non_null(notify_line_parse(line, sizeof(line) - 1, &l));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_nul),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
