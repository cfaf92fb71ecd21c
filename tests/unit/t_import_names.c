/*
 * t_import_names.c - db/submitctl_names.c: 100,000 names, each found again with its
 * line.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "db/submitctl_names.h"
#include "lib/err.h"

#define MANY 100000u

static void
t_many(void **state)
{
	struct names *n = names_new();
	uint64_t earlier = 0;
	char name[32];

	(void)state;
	assert_non_null(n);
	for (unsigned int i = 1; i <= MANY; i++) {
		(void)snprintf(name, sizeof(name), "user%u@example.org", i);
		assert_int_equal(names_add(n, name, i, &earlier), 0);
	}
	assert_int_equal(names_count(n), MANY);
	assert_int_equal(names_add(n, "user7@example.org", 9, &earlier),
	    ERR_EXISTS);
	assert_int_equal(earlier, 7);
	for (unsigned int i = 1; i <= MANY; i++) {
		(void)snprintf(name, sizeof(name), "user%u@example.org", i);
		assert_int_equal(names_line(n, name), i);
	}
	assert_int_equal(names_line(n, "user0@example.org"), 0);
	assert_int_equal(names_line(n, ""), 0);
	names_free(n);
	names_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(t_many) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
