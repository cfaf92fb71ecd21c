/*
 * t_pop_list.c - lists of Maildirs that are kept: when they hold, what is read
 * again, and the file of sizes.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/beneath.h"
#include "popd/mbox/list.h"
#include "popd/mbox/listing.h"
#include "popd/mbox/maildrop.h"
#include "popd/mbox/sizes.h"
#include "popd/mbox/uidl.h"
#include "tests/unit/maildrop_scratch.h"

static int
scratch_make(void **state)
{
	struct scratch *s = scratch_new(100000);

	s->root.cache = cache_new(64u << 20);
	*state = s;
	return 0;
}

static void
drop(struct scratch *s, const char *name)
{
	char a[SCRATCH_PATH];

	scratch_path(s, name, a);
	assert_int_equal(unlink(a), 0);
}

/* Until the file system's clock has gone on: what changed before and what
 * changes after are told apart. */
static void
tick(struct scratch *s)
{
	struct stat first, now;
	char path[SCRATCH_PATH];

	put(s, "tick", "");
	scratch_path(s, "tick", path);
	assert_int_equal(stat(path, &first), 0);
	do {
		put(s, "tick", "");
		assert_int_equal(stat(path, &now), 0);
	} while (now.st_mtim.tv_sec == first.st_mtim.tv_sec &&
	    now.st_mtim.tv_nsec == first.st_mtim.tv_nsec);
}

/* What a login sees: "UIDL=OCTETS UIDL=OCTETS " */
static void
see(struct scratch *s, char dst[4096])
{
	struct maildrop *d = open_drop(s);
	char uidl[MBOXC_UIDL_MAX + 1];
	size_t len = 0;

	dst[0] = '\0';
	for (size_t i = 0; i < maildrop_count(d); i++) {
		assert_int_equal(maildrop_uidl(d, i, uidl), 0);
		len += (size_t)snprintf(dst + len, 4096 - len, "%s=%u ", uidl,
		    (unsigned int)maildrop_octets(d, i));
		assert_true(len < 4096);
	}
	maildrop_free(d);
}

static void
assert_sees(struct scratch *s, const char *want)
{
	char got[4096];

	see(s, got);
	assert_string_equal(got, want);
}

/* A message that changes in its place is seen by nobody's stamp: it tells here
 * that a folder was not read again. No real one does that. */
static void
test_unchanged_is_not_read_again(void **state)
{
	struct scratch *s = *state;
	struct maildrop *d;

	put(s, "new/1.a", "x\n");
	put(s, "cur/2.b:2,S", "x\n");
	tick(s);
	assert_sees(s, "1.a=3 2.b=3 ");
	put(s, "cur/2.b:2,S", "much longer\n");
	assert_sees(s, "1.a=3 2.b=3 ");
	put(s, "new/3.c", "x\n");
	tick(s);
	assert_sees(s, "1.a=3 2.b=3 3.c=3 ");	/* cur/ as it was */
	move(s, "new/1.a", "cur/1.a:2,S");
	tick(s);
	assert_sees(s, "1.a=3 2.b=3 3.c=3 ");	/* by name and inode */
	d = open_drop(s);
	assert_int_equal(maildrop_fetch(d, 1, true, NULL), ERR_NOTFOUND);
	maildrop_free(d);
	assert_sees(s, "1.a=3 2.b=13 3.c=3 ");	/* not believed any more */
}

/* Each of them is seen by the very next login, however soon it comes. */
static void
test_young_folders_are_read_again(void **state)
{
	struct scratch *s = *state;

	s->root.settle_us = 3600 * (int64_t)1000000;
	put(s, "new/1.a", "x\n");
	assert_sees(s, "1.a=3 ");
	put(s, "new/2.b", "xx\n");
	assert_sees(s, "1.a=3 2.b=4 ");
	move(s, "new/1.a", "cur/1.a:2,");
	assert_sees(s, "1.a=3 2.b=4 ");
	drop(s, "cur/1.a:2,");
	assert_sees(s, "2.b=4 ");
	drop(s, "new/2.b");
	assert_sees(s, "");
}

static void
test_another_file_under_a_name(void **state)
{
	struct scratch *s = *state;

	put(s, "new/1.a", "x\n");
	put(s, "other", "yyyy\n");
	tick(s);
	assert_sees(s, "1.a=3 ");
	move(s, "other", "new/1.a");
	tick(s);
	assert_sees(s, "1.a=6 ");
}

/* A link goes, and no folder that we look at has changed. */
static void
test_link_goes(void **state)
{
	const struct maildrop_skipped *skips;
	struct scratch *s = *state;
	struct maildrop *d;
	char a[SCRATCH_PATH], b[SCRATCH_PATH];

	put(s, "new/1.a", "x\n");
	scratch_path(s, "new/1.a", a);
	scratch_path(s, "elsewhere", b);
	assert_int_equal(link(a, b), 0);
	tick(s);
	d = open_drop(s);
	assert_int_equal(maildrop_count(d), 0);
	assert_int_equal(maildrop_skipped(d), 1);
	assert_int_equal(maildrop_skips(d, &skips), 1);
	assert_string_equal(skips[0].file, "new/1.a");
	assert_string_equal(skips[0].why, "it has another hard link");
	maildrop_free(d);
	drop(s, "elsewhere");
	assert_sees(s, "1.a=3 ");
}

static void
test_skips_are_told_once(void **state)
{
	const struct maildrop_skipped *skips;
	struct scratch *s = *state;
	struct maildrop *d;
	char a[SCRATCH_PATH], name[32];

	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "cur/%d.x", i);
		scratch_path(s, name, a);
		assert_int_equal(symlink("/etc/passwd", a), 0);
	}
	tick(s);
	d = open_drop(s);
	assert_int_equal(maildrop_skipped(d), 20);
	assert_int_equal(maildrop_skips(d, &skips), MAILDROP_SKIPS_MAX);
	assert_string_equal(skips[0].why, "a symbolic link");
	maildrop_free(d);
	d = open_drop(s);
	assert_int_equal(maildrop_skipped(d), 20);
	assert_int_equal(maildrop_skips(d, &skips), 0);
	maildrop_free(d);
}

static void
test_imported_uidls(void **state)
{
	struct scratch *s = *state;
	struct uidl_map *m = NULL;

	put(s, "new/1.a", "x\n");
	put(s, "new/2.b", "x\n");
	put(s, "new/old7", "x\n");
	tick(s);
	assert_sees(s, "old7=3 1.a=3 2.b=3 ");
	assert_int_equal(uidl_add(&m, "2.b", 3, "old7", 4), 0);
	assert_int_equal(uidl_store(s->root.fd, "u", m, NULL), 0);
	uidl_free(m);
	/* SHA-256 of "old7": that UIDL is another's now. */
	assert_sees(s, "1bb941368e3e55e86bc1c9aaa27d0e9edad3b0f89bbbafeff1295c"
	    "2284114040=3 1.a=3 old7=3 ");
	drop(s, UIDL_FILE);
	assert_sees(s, "old7=3 1.a=3 2.b=3 ");
}

/* ----------------------------------------------------------------- sizes -- */

static void
restart(struct scratch *s)
{
	cache_free(s->root.cache);
	s->root.cache = cache_new(64u << 20);
}

static void
put_ten(struct scratch *s)
{
	char name[32];

	for (int i = 10; i < 20; i++) {
		snprintf(name, sizeof(name), "new/%d.x", i);
		put(s, name, "1\n2\n");
	}
}

#define TEN(n) "10.x=" n " 11.x=" n " 12.x=" n " 13.x=" n " 14.x=" n \
	" 15.x=" n " 16.x=" n " 17.x=" n " 18.x=" n " 19.x=" n " "

/* A size that is possible but wrong tells that the file was believed. */
static void
test_sizes_are_kept(void **state)
{
	static const char *const no_good[] = {
		"", "submitd-sizes 2\n", "submitd-sizes 1\n1 2 3",
		"submitd-sizes 1\n1 2 3 4\n1 2 3 4\n", "\n", "x",
	};
	struct scratch *s = *state;
	char path[SCRATCH_PATH], cmd[1200];

	put_ten(s);
	assert_sees(s, TEN("6"));
	scratch_path(s, SIZES_NAME, path);
	assert_int_equal(access(path, R_OK), 0);
	restart(s);
	assert_sees(s, TEN("6"));
	snprintf(cmd, sizeof(cmd), "sed -i 's/ 6$/ 5/' %s", path);
	assert_int_equal(system(cmd), 0);
	restart(s);
	assert_sees(s, TEN("5"));
	put(s, "new/10.x", "1\n2\n");		/* another mtime */
	restart(s);
	assert_sees(s, "10.x=6 11.x=5 12.x=5 13.x=5 14.x=5 15.x=5 16.x=5 "
	    "17.x=5 18.x=5 19.x=5 ");
	for (size_t i = 0; i < sizeof(no_good) / sizeof(no_good[0]); i++) {
		put(s, SIZES_NAME, no_good[i]);
		restart(s);
		assert_sees(s, TEN("6"));
	}
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	restart(s);
	assert_sees(s, TEN("6"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	restart(s);
	assert_sees(s, TEN("6"));
}

static const struct sizes_case {
	const char	*text;
	int		 want;
	size_t		 n;
} sizes_cases[] = {
	{ "submitd-sizes 1\n", 0, 0 },
	{ "submitd-sizes 1\n1 2 3 4\n", 0, 1 },
	{ "submitd-sizes 1\n1 0 3 0\n2 1 0 3\n", 0, 2 },
	{ "submitd-sizes 1\n2 1 0 1\n1 1 0 1\n", ERR_FORMAT, 0 },
	{ "submitd-sizes 1\n1 2 3 1\n", ERR_FORMAT, 0 },
	{ "submitd-sizes 1\n1 2 3 6\n", ERR_FORMAT, 0 },
	{ "submitd-sizes 1\n1 0 3 1\n", ERR_FORMAT, 0 },
	{ "submitd-sizes 1\n1 2 3\n", ERR_FORMAT, 0 },
	{ "submitd-sizes 1\n1 2 3 4 5\n", ERR_FORMAT, 0 },
	{ "submitd-sizes 1\n1  2 3 4\n", ERR_FORMAT, 0 },
	{ "submitd-sizes 1\n-1 2 3 4\n", ERR_FORMAT, 0 },
	{ "submitd-sizes 1\n18446744073709551616 2 3 4\n", ERR_FORMAT, 0 },
	{ "submitd-sizes 1\n18446744073709551615 2 3 4\n", 0, 1 },
	{ "submitd-sizes 1\n\n", ERR_FORMAT, 0 },
	{ "submitd-sizes 1", ERR_FORMAT, 0 },
	{ "", ERR_FORMAT, 0 },
};

static void
test_sizes_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(sizes_cases) / sizeof(sizes_cases[0]);
	    i++) {
		const struct sizes_case *c = &sizes_cases[i];
		struct sizes *z = NULL;

		print_message("%s", c->text);
		assert_int_equal(sizes_parse(c->text, strlen(c->text), &z),
		    c->want);
		if (z != NULL)
			assert_int_equal(z->n, c->n);
		sizes_free(z);
	}
}

/* --------------------------------------------------------- large, and many -- */

static void
test_big(void **state)
{
	struct scratch *s = *state;
	struct maildrop *d = NULL;
	uint8_t bits[600] = { 1 };
	const void *mem;
	char name[MBOXC_UIDL_MAX + 1];
	size_t len;
	int fd;

	for (int i = 0; i < 4100; i++) {
		snprintf(name, sizeof(name), "cur/%d.x,S=2,W=3:2,S", 1000 + i);
		put(s, name, "x\n");
	}
	tick(s);
	assert_int_equal(maildrop_open(&s->root, "u", true, &d, NULL),
	    MAILDROP_BIG);
	assert_null(d);
	d = open_drop(s);
	assert_int_equal(maildrop_count(d), 4100);
	maildrop_listing(d, &mem, &len, &fd);
	assert_null(mem);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(maildrop_uidl(d, 4099, name), 0);
	assert_string_equal(name, "5099.x");
	maildrop_free(d);
	/* Nothing is to be done: no matter how large it is. */
	assert_int_equal(maildrop_open(&s->root, "u", true, &d, NULL), 0);
	assert_true(maildrop_update_is_big(d));
	move(s, "cur/1001.x,S=2,W=3:2,S", "cur/1001.x,S=2,W=3:2,RS");
	assert_int_equal(maildrop_fetch(d, 1, true, NULL), MAILDROP_BIG);
	fd = maildrop_fetch(d, 1, false, NULL);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(maildrop_update(d, bits, NULL), 0);
	maildrop_free(d);
	d = open_drop(s);
	assert_int_equal(maildrop_count(d), 4099);
	maildrop_free(d);
}

/* What has not changed is opened and fetched by the loop itself; whatever else
 * is left to a thread. */
static void
test_warm_needs_no_thread(void **state)
{
	struct scratch *s = *state;
	struct maildrop *d = NULL;
	int fd;

	if (beneath_open_cached(s->root.fd, "u", O_PATH | O_DIRECTORY) ==
	    ERR_AWAY)
		skip();			/* Linux before 5.12 */
	put(s, "new/1.a", "x\n");
	put(s, "new/2.b", "x\n");
	tick(s);
	assert_int_equal(maildrop_open_warm(&s->root, "u", &d), ERR_AWAY);
	maildrop_free(open_drop(s));
	assert_int_equal(maildrop_open_warm(&s->root, "u", &d), 0);
	assert_int_equal(maildrop_count(d), 2);
	fd = maildrop_fetch_warm(d, 0);
	assert_true(fd >= 0);
	close(fd);
	move(s, "new/1.a", "cur/1.a:2,S");
	assert_int_equal(maildrop_fetch_warm(d, 0), ERR_AWAY);
	put(s, "new/2.b", "another\n");
	assert_int_equal(maildrop_fetch_warm(d, 1), ERR_AWAY);
	maildrop_free(d);
	assert_int_equal(maildrop_open_warm(&s->root, "u", &d), ERR_AWAY);
	assert_int_equal(maildrop_open_warm(&s->root, "../u", &d), ERR_AWAY);
	assert_int_equal(beneath_open(s->root.fd, "nobody", O_PATH, 0, NULL),
	    ERR_NOTFOUND);
	assert_int_equal(maildrop_open_warm(&s->root, "nobody", &d), 0);
	assert_int_equal(maildrop_count(d), 0);
	maildrop_free(d);
}

static void
test_cache_is_bounded(void **state)
{
	struct scratch *s = *state;
	struct list *l = list_new();
	char path[32];

	cache_set_max(s->root.cache, 10000);
	for (int i = 0; i < 1000; i++) {
		snprintf(path, sizeof(path), "user%d", i);
		cache_put(s->root.cache, path, l);
		assert_true(cache_octets(s->root.cache) <= 10000);
		list_unref(cache_get(s->root.cache, "user0"));	/* used */
	}
	assert_null(cache_get(s->root.cache, "user500"));
	assert_ptr_equal(cache_get(s->root.cache, "user0"), l);
	list_unref(l);
	cache_forget(s->root.cache, "user0");
	assert_null(cache_get(s->root.cache, "user0"));
	cache_set_max(s->root.cache, 0);
	assert_int_equal(cache_octets(s->root.cache), 0);
	cache_put(s->root.cache, "user0", l);
	assert_null(cache_get(s->root.cache, "user0"));
	assert_int_equal(atomic_load(&l->refs), 1);
	list_unref(l);
}

/* Whatever other programs do, a login that may use what is kept sees the same
 * as one that reads everything. */
static void
test_random_changes(void **state)
{
	static const char *const flags[] = { "", ":2,", ":2,S", ":2,RS" };
	struct scratch *s = *state;
	struct cache *kept = s->root.cache;
	char name[24][64] = { "" }, next[64], a[4096], b[4096], text[32];

	srandom(7);
	for (int step = 0; step < 400; step++) {
		long i = random() % 24, sub = random() % 2;

		snprintf(next, sizeof(next), "%s/%ld.m%d%s", list_subs[sub],
		    100 + i / 3, (int)i, flags[random() % 4]);
		if (name[i][0] == '\0') {
			snprintf(text, sizeof(text), "%.*s\n",
			    (int)(random() % 20), "xxxxxxxxxxxxxxxxxxxx");
			put(s, next, text);
			strcpy(name[i], next);
		} else if (random() % 3 == 0) {
			drop(s, name[i]);
			name[i][0] = '\0';
		} else {
			move(s, name[i], next);
			strcpy(name[i], next);
		}
		if (random() % 3 != 0)
			tick(s);
		else
			s->root.settle_us = 3600 * (int64_t)1000000;
		see(s, a);
		s->root.settle_us = 0;
		s->root.cache = NULL;
		see(s, b);
		s->root.cache = kept;
		assert_string_equal(a, b);
	}
}

#define WITH_SCRATCH(f) \
	cmocka_unit_test_setup_teardown(f, scratch_make, scratch_remove)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SCRATCH(test_unchanged_is_not_read_again),
		WITH_SCRATCH(test_young_folders_are_read_again),
		WITH_SCRATCH(test_another_file_under_a_name),
		WITH_SCRATCH(test_link_goes),
		WITH_SCRATCH(test_skips_are_told_once),
		WITH_SCRATCH(test_imported_uidls),
		WITH_SCRATCH(test_sizes_are_kept),
		cmocka_unit_test(test_sizes_text),
		WITH_SCRATCH(test_big),
		WITH_SCRATCH(test_warm_needs_no_thread),
		WITH_SCRATCH(test_cache_is_bounded),
		WITH_SCRATCH(test_random_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
