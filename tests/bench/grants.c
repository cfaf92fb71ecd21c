/*
 * grants.c - grants FOLDER [N]: what grants cost when N (1,000,000) of them are
 * live, in a new environment in FOLDER, which must be empty: making them,
 * looking them up, listing and revoking by user and network, and how long
 * another thread's logins wait while all of them are swept.
 */
#include "config.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "db/relay_cache.h"

#define GRANTS_T0	1700000000
#define GRANTS_TTL_S	1800
#define GRANTS_SAMPLES	200000u

static struct relay_cache *rc;
static uint64_t grants_n;

static double
grants_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void
grants_die(const char *what, const struct err *e)
{
	fprintf(stderr, "grants: %s: %s\n", what, e->text);
	exit(1);
}

/* The i-th: four users at an address, each of them at one address more. */
static void
grants_at(uint64_t i, struct addr *a, char user[MAILBOX_SIZE])
{
	uint32_t ip = 0x0b000000u + (uint32_t)(i / 4);

	memset(a, 0, sizeof(*a));
	a->ip[10] = a->ip[11] = 0xff;
	for (unsigned int k = 0; k < 4; k++)
		a->ip[12 + k] = (uint8_t)(ip >> (24 - 8 * k));
	(void)snprintf(user, MAILBOX_SIZE, "user%07llu@example.org",
	    (unsigned long long)(i * 7919 % (grants_n / 2)));
}

static int
grants_make(uint64_t i, int64_t now_s)
{
	const struct relay_grant_args args = { .ttl_s = GRANTS_TTL_S,
	    .generation = 1, .protocol = GRANT_PROTO_POP3,
	    .source = GRANT_POP, .tls = true };
	char user[MAILBOX_SIZE];
	struct addr a;

	grants_at(i, &a, user);
	return relay_cache_grant(rc, &a, user, &args, now_s, NULL, NULL);
}

static void
grants_fill(void)
{
	double at = grants_now_us();

	for (uint64_t i = 0; i < grants_n; i++)
		if (grants_make(i, GRANTS_T0) != 0)
			exit(1);
	printf("made: n=%llu us=%.1f\n", (unsigned long long)grants_n,
	    (grants_now_us() - at) / (double)grants_n);
}

static void
grants_look_up(void)
{
	uint64_t found = 0, several = 0;
	struct grant_record g, v[8];
	char user[MAILBOX_SIZE];
	struct addr a;
	double at = grants_now_us(), middle;
	size_t n;

	for (unsigned int i = 0; i < GRANTS_SAMPLES; i++) {
		grants_at((uint64_t)random() % grants_n, &a, user);
		found += relay_cache_lookup(rc, &a, user, GRANTS_T0 + 9, &g,
		    NULL) == 0;
	}
	middle = grants_now_us();
	for (unsigned int i = 0; i < GRANTS_SAMPLES / 4; i++) {
		grants_at((uint64_t)random() % grants_n, &a, user);
		several += relay_cache_owners(rc, &a, GRANTS_T0 + 9, v, 8, &n,
		    NULL) == 0 && n == 4;
	}
	printf("lookup: us=%.2f found=%llu of %u; owners: us=%.2f right=%llu "
	    "of %u\n", (middle - at) / GRANTS_SAMPLES,
	    (unsigned long long)found, GRANTS_SAMPLES,
	    (grants_now_us() - middle) / (GRANTS_SAMPLES / 4),
	    (unsigned long long)several, GRANTS_SAMPLES / 4);
}

static void
grants_walk(const char *what, const char *user, const char *net)
{
	struct relay_filter f = { .user = user };
	struct grant_record g = { 0 };
	double at = grants_now_us(), middle;
	uint64_t n = 0, removed = 0;
	struct err e = { 0 };
	struct net in;

	if (net != NULL && net_parse(net, &in) == 0)
		f.net = &in;
	while (relay_cache_next(rc, &f, &g, NULL) == 0)
		n++;
	middle = grants_now_us();
	if (relay_cache_revoke(rc, &f, &removed, &e) != 0)
		grants_die("revoke", &e);
	printf("%s: list n=%llu us=%.0f, revoke n=%llu us=%.0f\n", what,
	    (unsigned long long)n, middle - at, (unsigned long long)removed,
	    grants_now_us() - middle);
}

static atomic_bool grants_stop;
static double grants_longest_us, grants_total_us;
static uint64_t grants_done, grants_slow;

/* Logins go on: what the loop of authd-core does for each. */
static void *
grants_login(void *ctx)
{
	double at, took;

	(void)ctx;
	while (!atomic_load(&grants_stop)) {
		at = grants_now_us();
		if (grants_make((uint64_t)random() % grants_n,
		    GRANTS_T0 + 9000) != 0)
			exit(1);
		took = grants_now_us() - at;
		if (took > grants_longest_us)
			grants_longest_us = took;
		grants_slow += took > 20000;
		grants_total_us += took;
		grants_done++;
	}
	return NULL;
}

/* The same logins with nothing beside them, for comparison. */
static void
grants_alone(void)
{
	const struct timespec ten = { .tv_sec = 10 };
	pthread_t t;

	if (pthread_create(&t, NULL, grants_login, NULL) != 0)
		exit(1);
	nanosleep(&ten, NULL);
	atomic_store(&grants_stop, true);
	pthread_join(t, NULL);
	printf("logins alone: n=%llu us=%.1f longest_ms=%.1f "
	    "over_20ms=%llu\n", (unsigned long long)grants_done,
	    grants_total_us / (double)(grants_done + 1),
	    grants_longest_us / 1e3, (unsigned long long)grants_slow);
	atomic_store(&grants_stop, false);
	grants_done = grants_slow = 0;
	grants_total_us = grants_longest_us = 0;
}

static void
grants_sweep(void)
{
	uint64_t removed, total = 0;
	struct err e = { 0 };
	pthread_t t;
	double at;

	if (pthread_create(&t, NULL, grants_login, NULL) != 0)
		exit(1);
	at = grants_now_us();
	do {
		if (relay_cache_sweep(rc, GRANTS_T0 + 9000, 1000, &removed,
		    &e) != 0)
			grants_die("sweep", &e);
		total += removed;
	} while (removed > 0);
	at = grants_now_us() - at;
	atomic_store(&grants_stop, true);
	pthread_join(t, NULL);
	printf("sweep: n=%llu us=%.1f; meanwhile logins: n=%llu us=%.1f "
	    "longest_ms=%.1f over_20ms=%llu\n", (unsigned long long)total,
	    at / (double)(total + 1), (unsigned long long)grants_done,
	    grants_total_us / (double)(grants_done + 1),
	    grants_longest_us / 1e3, (unsigned long long)grants_slow);
	at = grants_now_us();
	(void)relay_cache_sweep(rc, GRANTS_T0 + 9000, 1000, &removed, &e);
	printf("sweep of nothing: us=%.0f\n", grants_now_us() - at);
}

int
main(int argc, char **argv)
{
	struct err e = { 0 };
	struct dbenv *env;

	if (argc < 2) {
		fputs("usage: grants FOLDER [N]\n", stderr);
		return 64;
	}
	grants_n = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
	if (dbenv_open(argv[1], &env, &e) != 0 ||
	    relay_cache_open(env, 128, &rc, &e) != 0)
		grants_die(argv[1], &e);
	setvbuf(stdout, NULL, _IOLBF, 0);
	grants_fill();
	grants_look_up();
	grants_walk("user", "user0000001@example.org", NULL);
	grants_walk("network", NULL, "11.0.1.0/24");
	grants_walk("address", NULL, "11.0.2.1");
	grants_alone();
	grants_sweep();
	relay_cache_close(rc);
	dbenv_close(env);
	return 0;
}
