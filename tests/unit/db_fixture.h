/*
 * db_fixture.h - setup() and teardown() for tests of what lives in the database:
 * a fresh folder, in which the includer's open_all() opens what it wants, with
 * its environment, and from which its close_all() lets go.
 */
#ifndef SUBMITD_TESTS_DB_FIXTURE_H
#define SUBMITD_TESTS_DB_FIXTURE_H

#include "db/dbenv.h"
#include "db_scratch.h"

static struct dbenv *env;

static void open_all(void);
static void close_all(void);

static inline void
open_env(void)
{
	struct err e = { 0 };

	assert_int_equal(dbenv_open(scratch_dir, &env, &e), 0);
}

static int
setup(void **state)
{
	(void)state;
	if (scratch_make() != 0)
		return -1;
	open_all();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	close_all();
	return scratch_remove();
}

#endif
