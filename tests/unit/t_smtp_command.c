/*
 * t_smtp_command.c - the table of commands: every verb in every state.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "submitd/smtp/command.h"

/* The code for each verb in GREET CLEAR SECURE HELLO READY MAIL RCPT; 0: it
 * runs. The other states take no commands. */
static const enum smtp_state states[] = { SMTP_ST_GREET, SMTP_ST_CLEAR,
	SMTP_ST_SECURE, SMTP_ST_HELLO, SMTP_ST_READY, SMTP_ST_MAIL,
	SMTP_ST_RCPT, SMTP_ST_CHUNK };
#define N_STATES 8

static const struct {
	const char	*verb;
	unsigned int	 code[N_STATES];
} matrix[] = {
	/* verb		 GREET CLEAR SECURE HELLO READY MAIL RCPT CHUNK */
	{ "EHLO",	{ 0,   0,    0,     0,    0,    0,   0,  0 } },
	{ "HELO",	{ 0,   0,    0,     0,    0,    0,   0,  0 } },
	{ "LHLO",	{ 530, 530,  0,     0,    0,    0,   0,  0 } },
	{ "STARTTLS",	{ 0,   0,    503,   503,  503,  503, 503,  503 } },
	{ "AUTH",	{ 530, 530,  503,   0,    503,  503, 503,  503 } },
	{ "MAIL",	{ 530, 530,  503,   0,    0,    503, 503,  503 } },
	{ "RCPT",	{ 530, 530,  503,   503,  503,  0,   0,  503 } },
	{ "DATA",	{ 530, 530,  503,   503,  503,  503, 0,  503 } },
	{ "RSET",	{ 530, 530,  0,     0,    0,    0,   0,  0 } },
	{ "NOOP",	{ 0,   0,    0,     0,    0,    0,   0,  0 } },
	{ "VRFY",	{ 530, 530,  0,     0,    0,    0,   0,  0 } },
	{ "HELP",	{ 530, 530,  0,     0,    0,    0,   0,  0 } },
	{ "QUIT",	{ 0,   0,    0,     0,    0,    0,   0,  0 } },
	{ "XCLIENT",	{ 0,   0,    0,     0,    0,    0,   0,  0 } },
	{ "EXPN",	{ 530, 530,  0,     0,    0,    0,   0,  0 } },
	{ "BDAT",	{ 530, 530,  503,   503,  503,  503, 0,  0 } },
	{ "ETRN",	{ 530, 530,  0,     0,    0,    0,   0,  0 } },
	{ "ATRN",	{ 530, 530,  0,     0,    0,    0,   0,  0 } },
	{ "TURN",	{ 530, 530,  0,     0,    0,    0,   0,  0 } },
	{ "SEND",	{ 530, 530,  0,     0,    0,    0,   0,  0 } },
	{ "SOML",	{ 530, 530,  0,     0,    0,    0,   0,  0 } },
	{ "SAML",	{ 530, 530,  0,     0,    0,    0,   0,  0 } },
};
#define N_VERBS (sizeof(matrix) / sizeof(matrix[0]))

static void
test_matrix(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_VERBS; i++) {
		const struct smtp_command *c = smtp_command_find(
		    matrix[i].verb, strlen(matrix[i].verb));

		assert_non_null(c);
		for (int j = 0; j < N_STATES; j++) {
			enum smtp_reply r = smtp_command_refusal(c, states[j]);

			print_message("%s in %s\n", matrix[i].verb,
			    smtp_state_name(states[j]));
			assert_int_equal(r == SMTP_R_NONE ? 0 :
			    smtp_reply_row(r)->code, matrix[i].code[j]);
		}
	}
}

static void
test_all_rows_are_here(void **state)
{
	size_t n = 0;

	(void)state;
	while (smtp_command_row(n) != NULL)
		n++;
	assert_int_equal(n, N_VERBS);
}

static void
test_find(void **state)
{
	(void)state;
	assert_non_null(smtp_command_find("eHlO", 4));
	assert_null(smtp_command_find("EHL", 3));
	assert_null(smtp_command_find("EHLOX", 5));
	assert_null(smtp_command_find("", 0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matrix),
		cmocka_unit_test(test_all_rows_are_here),
		cmocka_unit_test(test_find),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
