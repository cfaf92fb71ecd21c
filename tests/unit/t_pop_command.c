/*
 * t_pop_command.c - which POP3 command may run in which state, and the shape of
 * replies and lines.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "popd/pop/command.h"
#include "popd/pop/reply.h"

/* '+': runs; 't': TLS first; 'l': login first; 'i': is logged in; 'u': USER
 * first; 'a': TLS is active; 'b': only before login. */
static const struct gate_case {
	const char	*verb;
	const char	*clear_auth_user_trans;
} gate_cases[] = {
	{ "CAPA", "++++" },
	{ "STLS", "+aab" },
	{ "USER", "t++i" },
	{ "PASS", "tu+i" },
	{ "AUTH", "t++i" },
	{ "APOP", "t++i" },
	{ "UTF8", "+++i" },
	{ "LANG", "++++" },
	{ "STAT", "lll+" },
	{ "LIST", "lll+" },
	{ "UIDL", "lll+" },
	{ "TOP", "lll+" },
	{ "RETR", "lll+" },
	{ "DELE", "lll+" },
	{ "RSET", "lll+" },
	{ "NOOP", "lll+" },
	{ "QUIT", "++++" },
};

static char
gate_kind(const char *why)
{
	if (why == NULL)
		return '+';
	if (strstr(why, "over TLS only") != NULL)
		return 't';
	if (strcmp(why, "Log in first") == 0)
		return 'l';
	if (strcmp(why, "You are logged in already") == 0)
		return 'i';
	if (strcmp(why, "USER comes first") == 0)
		return 'u';
	if (strcmp(why, "TLS is active already") == 0)
		return 'a';
	return strcmp(why, "Only before login") == 0 ? 'b' : '?';
}

static void
test_gate(void **state)
{
	static const enum pop_state states[] = { POP_ST_CLEAR, POP_ST_AUTH,
		POP_ST_USER, POP_ST_TRANS };
	size_t n = sizeof(gate_cases) / sizeof(gate_cases[0]);
	char got[5] = "";

	(void)state;
	for (size_t i = 0; i < n; i++) {
		const char *verb = gate_cases[i].verb;
		const struct pop_command *c = pop_command_find(verb,
		    strlen(verb));

		assert_non_null(c);
		for (size_t k = 0; k < 4; k++)
			got[k] = gate_kind(pop_command_refusal(c, states[k]));
		print_message("%s\n", verb);
		assert_string_equal(got, gate_cases[i].clear_auth_user_trans);
		/* And nothing at all where no command is taken. */
		assert_non_null(pop_command_refusal(c, POP_ST_HANDSHAKE));
		assert_non_null(pop_command_refusal(c, POP_ST_SASL));
		assert_non_null(pop_command_refusal(c, POP_ST_UPDATE));
		assert_non_null(pop_command_refusal(c, POP_ST_CLOSED));
	}
	assert_non_null(pop_command_row(n - 1));
	assert_null(pop_command_row(n));	/* every row has its case */
}

static void
test_find(void **state)
{
	(void)state;
	assert_non_null(pop_command_find("capa", 4));
	assert_non_null(pop_command_find("QuIt", 4));
	assert_null(pop_command_find("XAPO", 4));
	assert_null(pop_command_find("STA", 3));
	assert_null(pop_command_find("STATS", 5));
	assert_null(pop_command_find("", 0));
}

static const struct max_case {
	const char	*name;
	enum pop_state	 st;
	const char	*in;
	size_t		 want;
} max_cases[] = {
	{ "nothing yet", POP_ST_AUTH, "", POP_LINE_MAX },
	{ "a command", POP_ST_AUTH, "USER someone", POP_LINE_MAX },
	{ "AUTH", POP_ST_AUTH, "AUTH PLAIN x", POP_LINE_AUTH_MAX },
	{ "auth", POP_ST_CLEAR, "auth plain x", POP_LINE_AUTH_MAX },
	{ "AUTHX", POP_ST_AUTH, "AUTHX", POP_LINE_MAX },
	{ "half of it", POP_ST_AUTH, "AUT", POP_LINE_MAX },
	{ "a response", POP_ST_SASL, "QQ==", POP_LINE_AUTH_MAX },
};

static void
test_line_max(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(max_cases) / sizeof(max_cases[0]); i++) {
		const struct max_case *c = &max_cases[i];

		print_message("%s\n", c->name);
		assert_int_equal(pop_line_max(c->st, (const uint8_t *)c->in,
		    strlen(c->in)), c->want);
	}
}

static const struct reply_case {
	const char	*name;
	enum pop_code	 code;
	const char	*text;
	const char	*help;
	size_t		 size;
	const char	*want;
	const char	*sid;
} reply_cases[] = {
	{ "plain", POP_CODE_NONE, "No", NULL, 64, "-ERR No\r\n", NULL },
	{ "auth", POP_CODE_AUTH, "No", NULL, 64, "-ERR [AUTH] No\r\n", NULL },
	{ "in use", POP_CODE_IN_USE, "No", NULL, 64, "-ERR [IN-USE] No\r\n", NULL },
	{ "temp", POP_CODE_SYS_TEMP, "No", NULL, 64,
	    "-ERR [SYS/TEMP] No\r\n", NULL },
	{ "perm", POP_CODE_SYS_PERM, "No", NULL, 64,
	    "-ERR [SYS/PERM] No\r\n", NULL },
	{ "delay", POP_CODE_LOGIN_DELAY, "No", NULL, 64,
	    "-ERR [LOGIN-DELAY] No\r\n", NULL },
	{ "help", POP_CODE_NONE, "No", "call 1", 64, "-ERR No. call 1\r\n", NULL },
	{ "help just fits", POP_CODE_NONE, "No", "call", 16,
	    "-ERR No. call\r\n", NULL },
	{ "help too long", POP_CODE_NONE, "No", "call 1", 16,
	    "-ERR No\r\n", NULL },
	{ "text too long", POP_CODE_NONE, "0123456789", NULL, 11,
	    "-ERR 012\r\n", NULL },
	{ "id", POP_CODE_AUTH, "No", NULL, 64, "-ERR [AUTH] No [s1]\r\n", "s1" },
	{ "help and id", POP_CODE_NONE, "No", "call 1", 64,
	    "-ERR No. call 1 [s1]\r\n", "s1" },
	{ "help, id just fit", POP_CODE_NONE, "No", "call", 21,
	    "-ERR No. call [s1]\r\n", "s1" },
	{ "no room for help", POP_CODE_NONE, "No", "call", 20,
	    "-ERR No [s1]\r\n", "s1" },
	{ "text too long, id", POP_CODE_NONE, "0123456789", NULL, 16,
	    "-ERR 012 [s1]\r\n", "s1" },
};

static void
test_reply(void **state)
{
	char line[64];

	(void)state;
	for (size_t i = 0; i < sizeof(reply_cases) / sizeof(reply_cases[0]);
	    i++) {
		const struct reply_case *c = &reply_cases[i];
		size_t n = pop_reply_format(line, c->size, "-ERR", c->code,
		    c->text, c->help, c->sid);

		print_message("%s\n", c->name);
		assert_string_equal(line, c->want);
		assert_int_equal(n, strlen(c->want));
		assert_true(n < c->size);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gate),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_line_max),
		cmocka_unit_test(test_reply),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
