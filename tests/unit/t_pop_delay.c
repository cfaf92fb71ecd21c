/*
 * t_pop_delay.c - LOGIN-DELAY: who may log in again when.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "popd/mbox/delay.h"

#define DAY 86400

static const struct delay_case {
	const char	*name;
	const char	*noted;		/* NULL: nobody */
	int64_t		 at_s;
	uint64_t	 noted_delay_s;
	const char	*user;
	int64_t		 now_s;
	uint64_t	 delay_s;
	bool		 over;
} delay_cases[] = {
	{ "never here", NULL, 0, 60, "a", DAY, 60, true },
	{ "another", "b", DAY, 60, "a", DAY, 60, true },
	{ "at once", "a", DAY, 60, "a", DAY, 60, false },
	{ "a second too soon", "a", DAY, 60, "a", DAY + 59, 60, false },
	{ "in time", "a", DAY, 60, "a", DAY + 60, 60, true },
	{ "off", "a", DAY, 60, "a", DAY, 0, true },
	{ "was off", "a", DAY, 0, "a", DAY, 60, true },
	{ "shortened", "a", DAY, 600, "a", DAY + 30, 20, true },
	{ "the clock was set back", "a", DAY, 60, "a", DAY - 1, 60, true },
};

static void
test_delay(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(delay_cases) / sizeof(delay_cases[0]);
	    i++) {
		const struct delay_case *c = &delay_cases[i];
		struct delays *t = delays_new();

		print_message("%s\n", c->name);
		assert_non_null(t);
		if (c->noted != NULL)
			delay_note(t, c->noted, c->at_s, c->noted_delay_s);
		assert_int_equal(delay_is_over(t, c->user, c->now_s,
		    c->delay_s), c->over);
		delays_free(t);
	}
}

static void
test_bounds(void **state)
{
	struct delays *t = delays_new();
	char user[32];

	(void)state;
	assert_non_null(t);
	for (unsigned int i = 0; i < DELAYS_MAX + 10; i++) {
		snprintf(user, sizeof(user), "user%u", i);
		delay_note(t, user, DAY, 60);
		delay_note(t, user, DAY, 60);	/* once in it */
	}
	assert_int_equal(delays_count(t), DELAYS_MAX);
	assert_true(delay_is_over(t, "user9", DAY, 60));
	assert_false(delay_is_over(t, "user10", DAY, 60));
	/* All of them are past: only the new one stays. */
	delay_note(t, "late", DAY + 60, 60);
	assert_int_equal(delays_count(t), 1);
	delays_free(t);
	delays_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_delay),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
