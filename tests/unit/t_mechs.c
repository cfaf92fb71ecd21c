/*
 * t_mechs.c - which ways to log in are advertised, and in which order.
 */
#include "auth/mechs.h"

#include <string.h>

#include "auth/authp.h"
#include "tests/unit/unit.h"

#define ALL ((1u << CONF_MECH__COUNT) - 1)
#define B(m) CONF_MECH_BIT(m)
#define USUAL (B(CONF_SCRAM_SHA_256_PLUS) | B(CONF_SCRAM_SHA_256) | \
	B(CONF_PLAIN) | B(CONF_LOGIN))

static const struct {
	const char		*name;
	uint64_t		 all, here;
	enum conf_listener	 listener;
	bool			 secrets, binding, cert;
	const char		*want;
} rows[] = {
	{ "with binding", USUAL, 0, CONF_SUBMISSION, true, true, true,
	    "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN" },
	{ "no binding", USUAL, 0, CONF_POP3S, true, false, true,
	    "SCRAM-SHA-256 PLAIN LOGIN" },
	{ "everything", ALL, 0, CONF_SUBMISSIONS, true, true, true,
	    "SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-1 "
	    "EXTERNAL PLAIN CRAM-MD5 LOGIN" },
	{ "APOP is a command", ALL, 0, CONF_POP3, true, true, true,
	    "SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-1 "
	    "EXTERNAL PLAIN CRAM-MD5 LOGIN" },
	{ "no certificate", B(CONF_EXTERNAL) | B(CONF_PLAIN), 0, CONF_POP3,
	    true, true, false, "PLAIN" },
	{ "nobody has a secret", B(CONF_CRAM_MD5) | B(CONF_PLAIN), 0,
	    CONF_POP3, false, true, true, "PLAIN" },
	{ "of this listener", ALL, B(CONF_PLAIN), CONF_SUBMISSIONS, true, true,
	    true, "PLAIN" },
	{ "nothing left", ALL, B(CONF_EXTERNAL), CONF_SUBMISSION, true, true,
	    false, "" },
};

static void
test_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct conf c = { .mechanisms = rows[i].all };
		char text[MECHS_TEXT_SIZE];
		size_t len;

		c.mechanisms_by[rows[i].listener] = rows[i].here;
		len = mechs_text(&c, rows[i].listener, rows[i].secrets,
		    rows[i].binding, rows[i].cert, text, sizeof(text));
		ROW_STR(rows[i].name, text, rows[i].want);
		ROW_EQ(rows[i].name, len, strlen(rows[i].want));
	}
}

static void
test_too_small(void **state)
{
	struct conf c = { .mechanisms = ALL };
	char text[8];

	(void)state;
	assert_int_equal(mechs_text(&c, CONF_POP3, true, true, true, text,
	    sizeof(text)), 5);
	assert_string_equal(text, "PLAIN");
}

static void
test_apop(void **state)
{
	struct conf c = { .mechanisms = B(CONF_APOP) | B(CONF_PLAIN) };

	(void)state;
	assert_true(mechs_has_apop(&c, CONF_POP3, true));
	assert_false(mechs_has_apop(&c, CONF_POP3, false));
	assert_false(mechs_has_apop(&c, CONF_SUBMISSION, true));
	c.mechanisms_by[CONF_POP3S] = B(CONF_PLAIN);
	assert_false(mechs_has_apop(&c, CONF_POP3S, true));
}

static void
test_names(void **state)
{
	(void)state;
	for (int m = 0; m < CONF_MECH__COUNT; m++) {
		const char *name = conf_mech_name((enum conf_mech)m);

		ROW_EQ(name, mechs_is_plus((enum conf_mech)m),
		    strstr(name, "-PLUS") != NULL);
		ROW_EQ(name, strlen(name) <= AUTHP_MECH_MAX, 1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_too_small),
		cmocka_unit_test(test_apop),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
