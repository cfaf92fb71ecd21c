/*
 * grants.c - grants FOLDER [N [made|fill]]: what grants cost when N (1,000,000) of
 * them are live, in a new environment in FOLDER, which must be empty: making
 * them, looking them up, listing and revoking by user and network, and how long
 * another thread's logins wait while they are swept, and for what. "fill" makes
 * them only, "made" goes on with such a FOLDER (or a copy).
 *
 * What is due to the sweep is told from what is the disk's own by what comes
 * before: flushes of a file beside nothing ("disk alone"), and the same logins
 * without a sweep ("logins alone"). A slow one is booked on what took most of
 * it; "other_thread" is a lock that somebody held, and "beside" says in which
 * call other threads were meanwhile.
 */
#include "config.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "db/relay_cache.h"
#include "tests/bench/waits.h"

#define GRANTS_T0	1700000000
#define GRANTS_TTL_S	1800
#define GRANTS_SAMPLES	200000u
#define GRANTS_ALONE_S	10u
#define GRANTS_UPKEEP_S	5u
#define GRANTS_SWEEP_S	25u	/* at most, beside logins */
#define GRANTS_BLOCK	4096u

static struct dbenv *grants_env;
static struct relay_cache *rc;
static int grants_folder;
static uint64_t grants_n;

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
	double at = waits_now_us();

	for (uint64_t i = 0; i < grants_n; i++)
		if (grants_make(i, GRANTS_T0) != 0)
			exit(1);
	printf("made: n=%llu us=%.1f\n", (unsigned long long)grants_n,
	    (waits_now_us() - at) / (double)grants_n);
}

static void
grants_look_up(void)
{
	uint64_t found = 0, several = 0;
	struct grant_record g, v[8];
	char user[MAILBOX_SIZE];
	struct addr a;
	double at = waits_now_us(), middle;
	size_t n;

	for (unsigned int i = 0; i < GRANTS_SAMPLES; i++) {
		grants_at((uint64_t)random() % grants_n, &a, user);
		found += relay_cache_lookup(rc, &a, user, GRANTS_T0 + 9, &g,
		    NULL) == 0;
	}
	middle = waits_now_us();
	for (unsigned int i = 0; i < GRANTS_SAMPLES / 4; i++) {
		grants_at((uint64_t)random() % grants_n, &a, user);
		several += relay_cache_owners(rc, &a, GRANTS_T0 + 9, v, 8, &n,
		    NULL) == 0 && n == 4;
	}
	printf("lookup: us=%.2f found=%llu of %u; owners: us=%.2f right=%llu "
	    "of %u\n", (middle - at) / GRANTS_SAMPLES,
	    (unsigned long long)found, GRANTS_SAMPLES,
	    (waits_now_us() - middle) / (GRANTS_SAMPLES / 4),
	    (unsigned long long)several, GRANTS_SAMPLES / 4);
}

static void
grants_walk(const char *what, const char *user, const char *net)
{
	struct relay_filter f = { .user = user };
	struct grant_record g = { 0 };
	double at = waits_now_us(), middle;
	uint64_t n = 0, removed = 0;
	struct err e = { 0 };
	struct net in;

	if (net != NULL && net_parse(net, &in) == 0)
		f.net = &in;
	while (relay_cache_next(rc, &f, &g, NULL) == 0)
		n++;
	middle = waits_now_us();
	if (relay_cache_revoke(rc, &f, &removed, &e) != 0)
		grants_die("revoke", &e);
	printf("%s: list n=%llu us=%.0f, revoke n=%llu us=%.0f\n", what,
	    (unsigned long long)n, middle - at, (unsigned long long)removed,
	    waits_now_us() - middle);
}

static atomic_bool grants_stop;

/* Logins go on: what the loop of authd-core does for each. */
static void *
grants_login(void *ctx)
{
	struct waits *w = ctx;

	while (!atomic_load(&grants_stop)) {
		waits_begin();
		if (grants_make((uint64_t)random() % grants_n,
		    GRANTS_T0 + 9000) != 0)
			exit(1);
		waits_end(w);
	}
	return NULL;
}

/* What the disk itself takes for some octets more in a file, flushed. */
static void *
grants_disk(void *ctx)
{
	static const char block[GRANTS_BLOCK];
	struct waits *w = ctx;
	int fd = openat(grants_folder, "disk", O_WRONLY | O_CREAT | O_TRUNC |
	    O_CLOEXEC, 0600);

	while (fd >= 0 && !atomic_load(&grants_stop)) {
		waits_begin();
		if (write(fd, block, sizeof(block)) < 0 || fdatasync(fd) != 0)
			exit(1);
		waits_end(w);
	}
	close(fd);
	(void)unlinkat(grants_folder, "disk", 0);
	return NULL;
}

/* What authd-core does beside the logins, every few seconds. */
static void
grants_upkeep(void)
{
	struct err e = { 0 };

	if (dbenv_checkpoint(grants_env, &e) != 0)
		grants_die("checkpoint", &e);
}

static void
grants_seconds(unsigned int n)
{
	const struct timespec second = { .tv_sec = 1 };

	for (unsigned int i = 1; i <= n; i++) {
		nanosleep(&second, NULL);
		if (i % GRANTS_UPKEEP_S == 0)
			grants_upkeep();
	}
}

static uint64_t
grants_sweep(void)
{
	double due = waits_now_us() + GRANTS_UPKEEP_S * 1e6;
	double end = waits_now_us() + GRANTS_SWEEP_S * 1e6;
	uint64_t removed, total = 0;
	struct err e = { 0 };

	do {
		if (relay_cache_sweep(rc, GRANTS_T0 + 9000, 1000, &removed,
		    &e) != 0)
			grants_die("sweep", &e);
		total += removed;
		if (waits_now_us() > due) {
			grants_upkeep();
			due = waits_now_us() + GRANTS_UPKEEP_S * 1e6;
		}
	} while (removed > 0 && waits_now_us() < end);
	return total;
}

/* Another thread does `beside` meanwhile. */
static void
grants_meanwhile(const char *name, void *(*beside)(void *), bool sweep)
{
	struct waits *w = calloc(1, sizeof(*w));
	uint64_t total = 0;
	pthread_t t;
	double at;

	atomic_store(&grants_stop, false);
	if (w == NULL || pthread_create(&t, NULL, beside, w) != 0)
		exit(1);
	at = waits_now_us();
	if (sweep)
		total = grants_sweep();
	else
		grants_seconds(GRANTS_ALONE_S);
	at = waits_now_us() - at;
	atomic_store(&grants_stop, true);
	pthread_join(t, NULL);
	if (sweep)
		printf("sweep: n=%llu us=%.1f\n", (unsigned long long)total,
		    at / (double)(total + 1));
	waits_print(name, w);
	free(w);
}

static void
grants_sweep_nothing(void)
{
	double at = waits_now_us();
	uint64_t removed;

	(void)relay_cache_sweep(rc, GRANTS_T0 + 9000, 1000, &removed, NULL);
	printf("sweep of nothing: us=%.0f\n", waits_now_us() - at);
}

static void
grants_measure(void)
{
	grants_look_up();
	grants_walk("user", "user0000001@example.org", NULL);
	grants_walk("network", NULL, "11.0.1.0/24");
	grants_walk("address", NULL, "11.0.2.1");
	grants_meanwhile("disk alone", grants_disk, false);
	grants_meanwhile("logins alone", grants_login, false);
	grants_meanwhile("logins beside the sweep", grants_login, true);
	grants_sweep_nothing();
}

int
main(int argc, char **argv)
{
	struct err e = { 0 };

	if (argc < 2) {
		fputs("usage: grants FOLDER [N [fill|made]]\n", stderr);
		return 64;
	}
	grants_n = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
	if (dbenv_open(argv[1], &grants_env, &e) != 0 ||
	    relay_cache_open(grants_env, 128, &rc, &e) != 0)
		grants_die(argv[1], &e);
	grants_folder = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 4 || strcmp(argv[3], "made") != 0)
		grants_fill();
	if (argc < 4 || strcmp(argv[3], "fill") != 0)
		grants_measure();
	relay_cache_close(rc);
	dbenv_close(grants_env);
	return 0;
}
