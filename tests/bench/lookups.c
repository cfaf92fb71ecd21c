/*
 * lookups.c - lookups DIR [N]: how long a look-up in a database takes, in
 * microseconds: N users and addresses at random. DIR is a copy: opening it
 * runs recovery. Used by tests/bench/users.
 */
#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "db/dbenv.h"
#include "db/userdb.h"

struct lookups_name {
	char	s[MAILBOX_SIZE];
};

static double
lookups_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* Names spread over the whole database, in an order that no cache likes. */
static uint64_t
lookups_names(struct userdb *db, struct lookups_name *names, uint64_t max)
{
	struct lookups_name swap;
	char user[MAILBOX_SIZE] = "";
	struct user_record r;
	uint64_t total = 0, n = 0, k;

	if (userdb_count(db, USERDB_COUNT_USERS, &total, NULL) != 0)
		return 0;
	for (uint64_t i = 0; n < max && userdb_next(db, user, &r, NULL) == 0;
	    i++)
		if (i % (total / max + 1) == 0)
			memcpy(names[n++].s, user, MAILBOX_SIZE);
	for (uint64_t i = n; i > 1; i--) {
		k = (uint64_t)random() % i;
		swap = names[k];
		names[k] = names[i - 1];
		names[i - 1] = swap;
	}
	return n;
}

static void
lookups_measure(struct userdb *db, const struct lookups_name *names,
    uint64_t n)
{
	char user[MAILBOX_SIZE];
	struct user_record r;
	uint64_t found = 0;
	double at = lookups_now_us(), middle;

	for (uint64_t i = 0; i < n; i++)
		found += userdb_get(db, names[i].s, &r, NULL) == 0;
	middle = lookups_now_us();
	for (uint64_t i = 0; i < n; i++)
		found += userdb_resolve(db, names[i].s, user, NULL) == 0;
	printf("get_us=%.2f resolve_us=%.2f n=%llu found=%llu\n",
	    (middle - at) / (double)n, (lookups_now_us() - middle) / (double)n,
	    (unsigned long long)n, (unsigned long long)found);
}

int
main(int argc, char **argv)
{
	uint64_t max = argc > 2 ? strtoull(argv[2], NULL, 10) : 100000, n;
	struct lookups_name *names = calloc(max, sizeof(*names));
	struct dbenv *env;
	struct userdb *db;
	struct err e = { 0 };

	if (argc < 2 || max == 0 || names == NULL ||
	    dbenv_open(argv[1], &env, &e) != 0 ||
	    userdb_open(env, &db, &e) != 0) {
		fprintf(stderr, "usage: lookups DIR [N]: %s\n", e.text);
		return 1;
	}
	if ((n = lookups_names(db, names, max)) > 0)
		lookups_measure(db, names, n);
	free(names);
	userdb_close(db);
	dbenv_close(env);
	return 0;
}
