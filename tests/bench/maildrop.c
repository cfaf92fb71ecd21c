/*
 * maildrop.c - maildrop N [W]: how long a Maildir of N messages takes to open, in
 * milliseconds: scanned for the first time, unchanged, after a restart, with one
 * more message, and after another restart. With W the names carry no sizes, so that the messages
 * have to be read once. Works in a folder of its own below
 * TMPDIR, or /tmp. CPU time stands beside the time that passed.
 */
#include "config.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "popd/mbox/list.h"
#include "popd/mbox/maildrop.h"

#define BENCH_TEXT "Subject: x\n\nOne line.\n"

static char bench_dir[128];

static double
bench_ms(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void
bench_fail(const char *what)
{
	perror(what);
	exit(1);
}

/* Long ago delivered, in an order that is not the folder's. */
static void
bench_put(const char *sub, size_t i, bool sizes)
{
	size_t len = strlen(BENCH_TEXT);
	char path[512], tail[32] = "";
	int fd;

	if (sizes)
		snprintf(tail, sizeof(tail), ",S=%zu,W=%zu", len, len + 3);
	snprintf(path, sizeof(path),
	    "%s/u/%s/%zu.M%zuP%zuQ1.mail.example.org%s%s", bench_dir, sub,
	    1700000000 + i * 7, i * 37 % 1000000, i % 30000, tail,
	    strcmp(sub, "cur") == 0 ? ":2,S" : "");
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd < 0 || write(fd, BENCH_TEXT, len) != (ssize_t)len)
		bench_fail(path);
	close(fd);
}

/* The folders as of an hour ago, so that a scan of them is settled. */
static void
bench_age(void)
{
	struct timespec past[2] = { { .tv_nsec = UTIME_OMIT },
	    { .tv_sec = time(NULL) - 3600 } };
	char path[256];

	for (int sub = 0; sub < LIST__SUBS; sub++) {
		snprintf(path, sizeof(path), "%s/u/%s", bench_dir,
		    list_subs[sub]);
		if (utimensat(AT_FDCWD, path, past, 0) != 0)
			bench_fail(path);
	}
	usleep(2100 * 1000);		/* their ctime */
}

static void
bench_open(const char *what, struct maildrop_root *root)
{
	struct maildrop *d = NULL;
	struct err err = { 0 };
	double t = bench_ms(CLOCK_MONOTONIC);
	double cpu = bench_ms(CLOCK_PROCESS_CPUTIME_ID);
	int r = maildrop_open(root, "u", false, &d, &err);

	t = bench_ms(CLOCK_MONOTONIC) - t;
	cpu = bench_ms(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	if (r != 0) {
		fprintf(stderr, "%s: %s\n", what, err.text);
		exit(1);
	}
	printf("%-34s %9.3f ms (cpu %9.3f)  %zu messages, cache %zu octets\n", what, t,
	    cpu, maildrop_count(d), cache_octets(root->cache));
	maildrop_free(d);
}

static void
bench_restart(struct maildrop_root *root)
{
	cache_free(root->cache);
	root->cache = cache_new((size_t)1 << 30);
}

int
main(int argc, char **argv)
{
	size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000;
	struct maildrop_root root = { .max = 100000,
	    .settle_us = MAILDROP_SETTLE_US };
	bool sizes = argc < 3;
	char cmd[512];

	snprintf(bench_dir, sizeof(bench_dir), "%s/maildrop-bench.XXXXXX",
	    getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
	if (mkdtemp(bench_dir) == NULL)
		bench_fail("mkdtemp");
	snprintf(cmd, sizeof(cmd), "mkdir -p %s/u/new %s/u/cur", bench_dir,
	    bench_dir);
	if (system(cmd) != 0)
		bench_fail(cmd);
	root.fd = open(bench_dir, O_PATH | O_DIRECTORY);
	for (size_t i = 0; i < n; i++)
		bench_put(i % 3 == 0 ? "new" : "cur", i, sizes);
	bench_restart(&root);
	bench_open("first ever", &root);
	bench_open("again, folders still young", &root);
	bench_age();
	bench_open("again, folders settled", &root);
	bench_open("unchanged", &root);
	bench_restart(&root);
	bench_open("after a restart, unchanged", &root);
	bench_put("new", n + 1, sizes);
	bench_open("one message more", &root);
	bench_age();
	bench_restart(&root);
	bench_open("after a restart, that one more", &root);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", bench_dir);
	return system(cmd) == 0 ? 0 : 1;
}
