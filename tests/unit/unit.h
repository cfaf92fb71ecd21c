/*
 * unit.h - what the unit tests include: cmocka and its headers, and a check
 * that names the row of a table that failed.
 */
#ifndef SUBMITD_UNIT_H
#define SUBMITD_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

/* Fails with the row's name and what differs. */
#define ROW_EQ(name, got, want) do { \
	long long got_ = (long long)(got), want_ = (long long)(want); \
	if (got_ != want_) \
		fail_msg("%s: %s is %lld, expected %lld", (name), #got, \
		    got_, want_); \
} while (0)

#define ROW_STR(name, got, want) do { \
	const char *got_ = (got), *want_ = (want); \
	if (strcmp(got_, want_) != 0) \
		fail_msg("%s: %s is \"%s\", expected \"%s\"", (name), #got, \
		    got_, want_); \
} while (0)

#endif
