/*
 * replay.c - runs a fuzz target over its corpus once, without libFuzzer.
 *
 * The corpus of fuzz_NAME is $srcdir/tests/fuzz/corpus/NAME, unless files or
 * folders are given. Each input is also run cut short at a few places: an
 * octet read behind the end is then found by the sanitizer.
 */
#include "config.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static unsigned int replay_runs;

/* A copy of just that size, so that what lies behind it is poisoned. */
static void
replay_run(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);

	if (copy == NULL)
		abort();
	memcpy(copy, data, len);
	LLVMFuzzerTestOneInput(copy, len);
	free(copy);
	replay_runs++;
}

static void
replay_file(const char *path)
{
	static uint8_t data[1 << 20];
	FILE *f = fopen(path, "rb");
	size_t len;

	if (f == NULL) {
		perror(path);
		exit(1);
	}
	len = fread(data, 1, sizeof(data), f);
	fclose(f);
	replay_run(data, len);
	for (size_t cut = 1; cut < len; cut += 1 + cut / 4)
		replay_run(data, cut);
}

static void
replay_path(const char *path)
{
	struct dirent *e;
	char name[4096];
	struct stat st;
	DIR *d;

	if (stat(path, &st) != 0) {
		perror(path);
		exit(1);
	}
	if (!S_ISDIR(st.st_mode)) {
		replay_file(path);
		return;
	}
	if ((d = opendir(path)) == NULL) {
		perror(path);
		exit(1);
	}
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		replay_file(name);
	}
	closedir(d);
}

int
main(int argc, char **argv)
{
	const char *base = strrchr(argv[0], '/');
	const char *src = getenv("srcdir");
	char path[4096];

	base = base != NULL ? base + 1 : argv[0];
	if (strncmp(base, "lt-", 3) == 0)
		base += 3;
	if (argc > 1) {
		for (int i = 1; i < argc; i++)
			replay_path(argv[i]);
	} else if (strncmp(base, "fuzz_", 5) == 0) {
		snprintf(path, sizeof(path), "%s/tests/fuzz/corpus/%s",
		    src != NULL ? src : ".", base + 5);
		replay_path(path);
	}
	printf("%s: %u inputs\n", base, replay_runs);
	return replay_runs > 0 ? 0 : 1;
}
