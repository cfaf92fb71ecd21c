/*
 * t_pace.c - auth/pace.c: up at once, down slowly, within its bounds.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth/pace.h"

static void
t_pace(void **state)
{
	static const struct {
		const char	*name;
		int64_t		 took_ms, after_ms;	/* since the last row */
		uint32_t	 want;
	} rows[] = {
		{ "keys", 10, 0, 300 },
		{ "just fits", 225, 10, 300 },
		{ "up", 226, 10, 600 },
		{ "stays", 10, 1000, 600 },
		{ "needed again", 300, PACE_KEEP_MS, 600 },
		{ "stays", 10, PACE_KEEP_MS, 600 },
		{ "down", 10, 1, 300 },
		{ "at the bottom", 10, PACE_KEEP_MS + 1, 300 },
		{ "two at once", 500, 1, 1200 },
		{ "never more", 60000, 1, 1200 },
		{ "one step a time", 10, PACE_KEEP_MS + 1, 600 },
		{ "not two", 10, 1, 600 },
		{ "down", 10, PACE_KEEP_MS, 300 },
	};
	struct pace p = { 0 };
	int64_t now_ms = 1000;

	(void)state;
	assert_int_equal(pace_ms(&p), PACE_MIN_MS);
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		print_message("%s\n", rows[i].name);
		now_ms += rows[i].after_ms;
		pace_note(&p, rows[i].took_ms, now_ms);
		assert_int_equal(pace_ms(&p), rows[i].want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(t_pace) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
