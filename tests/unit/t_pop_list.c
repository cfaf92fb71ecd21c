/*
 * t_pop_list.c - lists of Maildirs that are kept: when they hold, what is read
 * again, and the file that keeps them over a restart.
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
#include "popd/mbox/kept.h"
#include "popd/mbox/list.h"
#include "popd/mbox/listing.h"
#include "popd/mbox/maildrop.h"
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

/* -------------------------------------------------- kept over a restart -- */

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

/* The file as it is now; NULL: there is none that is of use. */
static struct list *
kept_now(struct scratch *s)
{
	int fd = beneath_open(s->root.fd, "u", O_PATH | O_DIRECTORY, 0, NULL);
	struct list *l;

	assert_int_equal(kept_load(fd, s->root.max, false, &l), 0);
	close(fd);
	return l;
}

/* A size that is possible but wrong tells that the file was believed. */
static void
mark(struct scratch *s)
{
	int fd = beneath_open(s->root.fd, "u", O_PATH | O_DIRECTORY, 0, NULL);
	struct list *l = kept_now(s);

	assert_non_null(l);
	for (size_t i = 0; i < l->n; i++)
		l->entries[i].octets = 5;
	assert_true(kept_store(fd, l));
	list_unref(l);
	close(fd);
}

static void
test_kept_over_a_restart(void **state)
{
	struct scratch *s = *state;
	struct maildrop *d;
	struct stat st;
	char path[SCRATCH_PATH];

	put_ten(s);
	tick(s);
	assert_sees(s, TEN("6"));
	scratch_path(s, KEPT_NAME, path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	restart(s);
	assert_sees(s, TEN("6"));
	mark(s);
	restart(s);
	assert_sees(s, TEN("5"));
	/* The folder has changed: what was there is known nevertheless. */
	put(s, "new/20.x", "1\n2\n");
	move(s, "new/10.x", "cur/10.x:2,S");
	restart(s);
	assert_sees(s, TEN("5") "20.x=6 ");
	/* Another file under that name is not. */
	put(s, "other", "1\n2\n");
	move(s, "other", "new/11.x");
	restart(s);
	assert_sees(s, "10.x=5 11.x=6 12.x=5 13.x=5 14.x=5 15.x=5 16.x=5 "
	    "17.x=5 18.x=5 19.x=5 20.x=6 ");
	/* Nor is any of it once a message is not what was listed. */
	put(s, "new/12.x", "longer than it was\n");
	restart(s);
	d = open_drop(s);
	assert_int_equal(maildrop_fetch(d, 2, true, NULL), ERR_NOTFOUND);
	maildrop_free(d);
	assert_int_equal(access(path, F_OK), -1);
	assert_sees(s, "10.x=6 11.x=6 12.x=20 13.x=6 14.x=6 15.x=6 16.x=6 "
	    "17.x=6 18.x=6 19.x=6 20.x=6 ");
}

/* UIDLs that were imported meanwhile are seen. */
static void
test_kept_beside_uidls(void **state)
{
	struct scratch *s = *state;
	struct uidl_map *m = NULL;

	put_ten(s);
	tick(s);
	assert_sees(s, TEN("6"));
	mark(s);
	assert_int_equal(uidl_add(&m, "10.x", 4, "old7", 4), 0);
	assert_int_equal(uidl_store(s->root.fd, "u", m, NULL), 0);
	uidl_free(m);
	restart(s);
	assert_sees(s, "old7=5 11.x=5 12.x=5 13.x=5 14.x=5 15.x=5 16.x=5 "
	    "17.x=5 18.x=5 19.x=5 ");
	put(s, UIDL_FILE, "broken");
	restart(s);
	assert_int_equal(maildrop_open(&s->root, "u", false,
	    &(struct maildrop *){ NULL }, NULL), ERR_FORMAT);
}

/* Written while a folder was young, it says so, and is written again. */
static void
test_kept_young(void **state)
{
	struct scratch *s = *state;
	struct list *l;

	put_ten(s);
	s->root.settle_us = 3600 * (int64_t)1000000;
	assert_sees(s, TEN("6"));
	l = kept_now(s);
	assert_non_null(l);
	assert_false(l->settled[LIST_NEW]);
	list_unref(l);
	put(s, "new/20.x", "x\n");
	restart(s);
	assert_sees(s, TEN("6") "20.x=3 ");
	s->root.settle_us = 0;
	tick(s);
	assert_sees(s, TEN("6") "20.x=3 ");
	l = kept_now(s);
	assert_int_equal(l->n, 11);
	assert_true(l->settled[LIST_NEW]);
	list_unref(l);
}

static void
put_many(struct scratch *s, int from, int to)
{
	char name[64];

	for (int i = from; i < to; i++) {
		snprintf(name, sizeof(name), "new/%d.M1P2Q3.h,S=2,W=3", i);
		put(s, name, "x\n");
	}
	tick(s);
}

static size_t
kept_count(struct scratch *s)
{
	struct list *l = kept_now(s);
	size_t n = l == NULL ? 0 : l->n;

	list_unref(l);
	return n;
}

/* Not for every message, and not for Maildirs that are read in no time. */
static void
test_kept_when_much_has_changed(void **state)
{
	struct scratch *s = *state;
	struct maildrop *d;
	uint8_t bits[200];

	put_many(s, 1000, 1999);
	maildrop_free(open_drop(s));
	assert_int_equal(kept_count(s), 0);
	put_many(s, 1999, 2000);
	maildrop_free(open_drop(s));
	assert_int_equal(kept_count(s), 1000);
	put_many(s, 2000, 2020);
	maildrop_free(open_drop(s));
	restart(s);
	maildrop_free(open_drop(s));
	assert_int_equal(kept_count(s), 1000);
	put_many(s, 2020, 2040);
	maildrop_free(open_drop(s));
	assert_int_equal(kept_count(s), 1040);
	/* QUIT removes some, then all. */
	d = open_drop(s);
	memset(bits, 0, sizeof(bits));
	memset(bits, 0xff, 100);
	assert_int_equal(maildrop_update(d, bits, NULL), 0);
	maildrop_free(d);
	tick(s);
	d = open_drop(s);
	assert_int_equal(maildrop_count(d), 240);
	assert_int_equal(kept_count(s), 240);
	memset(bits, 0xff, sizeof(bits));
	assert_int_equal(maildrop_update(d, bits, NULL), 0);
	maildrop_free(d);
	tick(s);
	restart(s);
	assert_sees(s, "");
	assert_null(kept_now(s));
}

/* What is no file of ours is passed over, and replaced. */
static void
test_kept_is_distrusted(void **state)
{
	static const char *const cmds[] = {
		"truncate -s 0 %s", "truncate -s -1 %s", "truncate -s 100 %s",
		"truncate -s +1 %s", "truncate -s 64M %s", "echo x >%s",
		"rm %s; ln -s /etc/passwd %s", "rm %s; mkfifo -m 600 %s",
		"rm %s; mkdir %s", "ln %s %s.2", "chmod g+w %s",
		"printf x | dd of=%s bs=1 seek=150 conv=notrunc status=none",
		"printf x | dd of=%s bs=1 seek=9 conv=notrunc status=none",
	};
	struct scratch *s = *state;
	char path[SCRATCH_PATH], cmd[1200];

	put_ten(s);
	tick(s);
	scratch_path(s, KEPT_NAME, path);
	for (size_t i = 0; i < sizeof(cmds) / sizeof(cmds[0]); i++) {
		assert_sees(s, TEN("6"));
		mark(s);
		print_message("%s\n", cmds[i]);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(cmd, sizeof(cmd), cmds[i], path, path);
#pragma GCC diagnostic pop
		assert_int_equal(system(cmd), 0);
		restart(s);
		assert_sees(s, TEN("6"));
		snprintf(cmd, sizeof(cmd), "rm -rf %s %s.2", path, path);
		assert_int_equal(system(cmd), 0);
		restart(s);
	}
}

/* A name that is none never gets as far as an open or unlink. */
static const struct bad_name {
	const char	*name;
	int		 sub;
	uint64_t	 size, octets;
	int		 want;
} bad_names[] = {
	{ "5.x", 0, 4, 6, 0 },
	{ "5.x", 1, 4, 6, 0 },
	{ "5.x", 2, 4, 6, ERR_FORMAT },
	{ "5.x", 255, 4, 6, ERR_FORMAT },
	{ "5.x", 0, 4, 3, ERR_FORMAT },
	{ "5.x", 0, 4, 9, 0 },
	{ "5.x", 0, 4, 10, ERR_FORMAT },
	{ "5.x", 0, 0, 1, ERR_FORMAT },
	{ "5.x", 0, UINT64_MAX, UINT64_MAX, ERR_FORMAT },
	{ "", 0, 4, 6, ERR_FORMAT },
	{ ".", 0, 4, 6, ERR_FORMAT },
	{ "..", 0, 4, 6, ERR_FORMAT },
	{ "/etc/passwd", 0, 4, 6, ERR_FORMAT },
	{ "../../x", 0, 4, 6, ERR_FORMAT },
	{ "5.x/y", 0, 4, 6, ERR_FORMAT },
	{ "0.x", 0, 4, 6, ERR_FORMAT },		/* before the first */
	{ "1.first", 0, 4, 6, ERR_FORMAT },	/* twice */
	{ "1.first", 1, 4, 6, ERR_FORMAT },	/* new/ comes behind cur/ */
	{ "1.first:2,S", 1, 4, 6, 0 },
};

static void
test_kept_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad_names) / sizeof(bad_names[0]); i++) {
		const struct bad_name *c = &bad_names[i];
		struct list_entry e[2] = {
			{ .name = "1.first", .size = 1, .octets = 2, .ino = 1 },
			{ .name = c->name, .size = c->size, .ino = 2,
			  .octets = c->octets, .sub = (uint8_t)c->sub },
		};
		struct list l = { .entries = e, .n = 2 }, *got = NULL;
		size_t len;
		void *mem;

		print_message("%s %d\n", c->name, c->sub);
		assert_int_equal(kept_format(&l, &mem, &len), 0);
		assert_int_equal(kept_parse(mem, len, 2, &got), c->want);
		if (got != NULL) {
			assert_string_equal(got->entries[1].name, c->name);
			assert_int_equal(got->entries[1].twin,
			    strncmp(c->name, "1.first", 7) == 0);
		}
		list_unref(got);
		got = NULL;
		assert_int_equal(kept_parse(mem, len, 1, &got), ERR_FORMAT);
		for (size_t cut = 0; cut < len; cut++)
			assert_int_equal(kept_parse(mem, cut, 2, &got),
			    ERR_FORMAT);
		free(mem);
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
	char path[SCRATCH_PATH];
	char name[24][64] = { "" }, next[64], a[4096], b[4096], text[32];
	unsigned int born[24] = { 0 };

	srandom(7);
	for (int step = 0; step < 400; step++) {
		long i = random() % 24, sub = random() % 2;

		/* No name comes back with other octets. */
		born[i] += name[i][0] == '\0';
		snprintf(next, sizeof(next), "%s/%ld.m%dg%u%s", list_subs[sub],
		    100 + i / 3, (int)i, born[i], flags[random() % 4]);
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
		see(s, b);			/* from the file */
		assert_string_equal(a, b);
		scratch_path(s, KEPT_NAME, path);
		if (step % 4 == 0)
			unlink(path);
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
		WITH_SCRATCH(test_kept_over_a_restart),
		WITH_SCRATCH(test_kept_beside_uidls),
		WITH_SCRATCH(test_kept_young),
		WITH_SCRATCH(test_kept_when_much_has_changed),
		WITH_SCRATCH(test_kept_is_distrusted),
		cmocka_unit_test(test_kept_names),
		WITH_SCRATCH(test_big),
		WITH_SCRATCH(test_warm_needs_no_thread),
		WITH_SCRATCH(test_cache_is_bounded),
		WITH_SCRATCH(test_random_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
