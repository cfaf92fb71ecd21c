/*
 * maildrop_scratch.h - a folder below /tmp with the Maildir of a user "u" in it,
 * for one test.
 */
#ifndef SUBMITD_TESTS_MAILDROP_SCRATCH_H
#define SUBMITD_TESTS_MAILDROP_SCRATCH_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "popd/mbox/list.h"
#include "popd/mbox/maildrop.h"

#define SCRATCH_PATH 512

struct scratch {
	char			dir[64];
	struct maildrop_root	root;
};

/* `max` messages; without a cache, which is the test's to give. */
static inline struct scratch *
scratch_new(size_t max)
{
	static const char *const subs[] = { "u", "u/new", "u/cur" };
	struct scratch *s = calloc(1, sizeof(*s));
	char path[128];

	strcpy(s->dir, "/tmp/t_maildrop.XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", s->dir, subs[i]);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	s->root.fd = open(s->dir, O_PATH | O_DIRECTORY);
	s->root.max = max;
	assert_true(s->root.fd >= 0);
	return s;
}

static inline int
scratch_remove(void **state)
{
	struct scratch *s = *state;
	char cmd[128];

	close(s->root.fd);
	cache_free(s->root.cache);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", s->dir);
	assert_int_equal(system(cmd), 0);
	free(s);
	return 0;
}

/* Of a name in the Maildir. */
static inline void
scratch_path(const struct scratch *s, const char *name, char dst[SCRATCH_PATH])
{
	snprintf(dst, SCRATCH_PATH, "%s/u/%s", s->dir, name);
}

static inline void
put(const struct scratch *s, const char *name, const char *text)
{
	char path[SCRATCH_PATH];
	FILE *f;

	scratch_path(s, name, path);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static inline void
move(const struct scratch *s, const char *from, const char *to)
{
	char a[SCRATCH_PATH], b[SCRATCH_PATH];

	scratch_path(s, from, a);
	scratch_path(s, to, b);
	assert_int_equal(rename(a, b), 0);
}

static inline struct maildrop *
open_drop(struct scratch *s)
{
	struct maildrop *d = NULL;
	struct err e = { 0 };

	if (maildrop_open(&s->root, "u", false, &d, &e) != 0)
		fail_msg("%s", e.text);
	return d;
}

#endif
