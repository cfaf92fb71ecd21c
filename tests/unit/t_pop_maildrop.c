/*
 * t_pop_maildrop.c - names in a Maildir, and Maildirs with odd files in them.
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

#include "lib/fio.h"
#include "popd/mbox/list.h"
#include "popd/mbox/listing.h"
#include "popd/mbox/maildrop.h"
#include "tests/unit/maildrop_scratch.h"

/* ----------------------------------------------------------------- names -- */

#define LONG70 "1111111111222222222233333333334444444444555555555566666666667777777777"

static const struct uidl_case {
	const char	*name;
	const char	*want;		/* NULL: 64 hexadecimal digits */
} uidl_cases[] = {
	{ "1700000000.M1P2Q3.host", "1700000000.M1P2Q3.host" },
	{ "1700000000.M1P2Q3.host:2,S", "1700000000.M1P2Q3.host" },
	{ "1700000000.M1P2Q3.host,S=10,W=12", "1700000000.M1P2Q3.host" },
	{ "1700000000.M1P2Q3.host,S=10,W=12:2,RS", "1700000000.M1P2Q3.host" },
	{ "1700000000.x,W=12,S=10", "1700000000.x" },
	{ "1700000000.x,U=7:2,", "1700000000.x,U=7" },
	{ "x", "x" },
	{ LONG70, LONG70 },
	{ LONG70 ",S=1,W=1", LONG70 },
	{ LONG70 "8", NULL },
	{ "with space", NULL },
	{ "h\xc3\xb6st", NULL },
	{ ":2,S", NULL },
	{ ",S=1", NULL },
};

static void
test_name_uidl(void **state)
{
	char uidl[MBOXC_UIDL_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(uidl_cases) / sizeof(uidl_cases[0]);
	    i++) {
		maildrop_name_uidl(uidl_cases[i].name, uidl);
		print_message("%s -> %s\n", uidl_cases[i].name, uidl);
		if (uidl_cases[i].want != NULL) {
			assert_string_equal(uidl, uidl_cases[i].want);
			continue;
		}
		assert_int_equal(strlen(uidl), 64);
		assert_int_equal(strspn(uidl, "0123456789abcdef"), 64);
	}
}

static const struct octets_case {
	const char	*name;
	uint64_t	 size;
	int		 ok;
	uint64_t	 want;
} octets_cases[] = {
	{ "1.x,S=10,W=12", 10, 1, 12 },
	{ "1.x,S=10,W=12:2,S", 10, 1, 12 },
	{ "1.x,S=10,W=10", 10, 1, 10 },
	{ "1.x,S=10,W=20", 10, 1, 20 },
	{ "1.x,S=0,W=0", 0, 1, 0 },
	{ "1.x,S=10,W=21", 10, 0, 0 },
	{ "1.x,S=10,W=9", 10, 0, 0 },
	{ "1.x,S=11,W=12", 10, 0, 0 },
	{ "1.x,S=10", 10, 0, 0 },
	{ "1.x,W=12", 10, 0, 0 },
	{ "1.x:2,S=10,W=12", 10, 0, 0 },
	{ "1.x,S=,W=12", 10, 0, 0 },
	{ "1.x,S=10,W=18446744073709551615", 10, 0, 0 },
	{ "1.x,S=10,W=99999999999999999999999", 10, 0, 0 },
	{ "1.x,S=18446744073709551615,W=18446744073709551615",
	    UINT64_MAX, 1, UINT64_MAX },
};

static void
test_name_octets(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(octets_cases) / sizeof(octets_cases[0]);
	    i++) {
		const struct octets_case *c = &octets_cases[i];
		uint64_t w = 0;

		print_message("%s\n", c->name);
		assert_int_equal(maildrop_name_octets(c->name, c->size, &w),
		    c->ok);
		if (c->ok)
			assert_int_equal(w, c->want);
	}
	assert_true(maildrop_name_is_ours("17.M1P2Q3.host,S=1,W=1:2,S"));
	assert_false(maildrop_name_is_ours("17.M1P2.host,S=1,W=1:2,S"));
	assert_false(maildrop_name_is_ours("17.MP2Q3.host"));
	assert_false(maildrop_name_is_ours("17.M1P2Q3"));
	assert_false(maildrop_name_is_ours(""));
	assert_int_equal(maildrop_name_time("1700000000.x"), 1700000000);
	assert_int_equal(maildrop_name_time("x"), 0);
	assert_int_equal(maildrop_name_time("99999999999999999999999.x"), 0);
}

/* -------------------------------------------------------------- Maildirs -- */

static int
scratch_make(void **state)
{
	struct scratch *s = scratch_new(1000);

	s->root.settle_us = MAILDROP_SETTLE_US;
	*state = s;
	return 0;
}

static int
there(struct scratch *s, const char *name)
{
	char path[SCRATCH_PATH];

	scratch_path(s, name, path);
	return access(path, F_OK) == 0;
}

static void
assert_entry(struct maildrop *d, size_t i, const char *uidl, uint64_t octets)
{
	char got[MBOXC_UIDL_MAX + 1];

	maildrop_uidl(d, i, got);
	assert_string_equal(got, uidl);
	assert_int_equal(maildrop_octets(d, i), octets);
}

static void
assert_fetch(struct maildrop *d, size_t i, const char *want)
{
	char got[64] = "";
	int fd = maildrop_fetch(d, i, false, NULL);

	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_true(read(fd, got, sizeof(got) - 1) >= 0);
	assert_string_equal(got, want);
	close(fd);
}

static void
test_order_and_sizes(void **state)
{
	struct scratch *s = *state;
	struct maildrop *d;

	put(s, "new/200.b", "1\n2\n");
	put(s, "cur/1000.a:2,S", "x");
	put(s, "new/200.a,S=2,W=3", "x\n");
	put(s, "cur/30.z,S=99,W=99", "a\r\nb\r\n");	/* S is wrong */
	put(s, "cur/30.y", "");
	put(s, "cur/2000.M1P2.d,S=1,W=1:2,S", "x");	/* as Dovecot's LDA */
	put(s, "cur/2001.M1P2.d,S=2,W=3:2,S", "x\n");
	d = open_drop(s);
	assert_int_equal(maildrop_count(d), 7);
	assert_entry(d, 0, "30.y", 0);
	assert_entry(d, 1, "30.z", 6);
	assert_entry(d, 2, "200.a", 3);
	assert_entry(d, 3, "200.b", 6);
	assert_entry(d, 4, "1000.a", 3);
	assert_entry(d, 5, "2000.M1P2.d", 3);
	assert_entry(d, 6, "2001.M1P2.d", 3);
	assert_fetch(d, 3, "1\n2\n");
	maildrop_free(d);
}

static void
test_missing(void **state)
{
	struct scratch *s = *state;
	struct maildrop *d = NULL;
	uint8_t none = 0;

	assert_int_equal(maildrop_open(&s->root, "not/there", false, &d,
	    NULL), 0);
	assert_int_equal(maildrop_count(d), 0);
	assert_int_equal(maildrop_update(d, &none, NULL), 0);
	maildrop_free(d);
	d = NULL;
	assert_int_equal(maildrop_open(&s->root, "../u", false, &d, NULL), ERR_DENIED);
	assert_null(d);
}

static void
test_odd_files(void **state)
{
	struct scratch *s = *state;
	struct maildrop *d;
	char a[SCRATCH_PATH], b[SCRATCH_PATH];

	put(s, "new/1.good", "x\n");
	put(s, "cur/.hidden", "x\n");
	put(s, "cur/2.linked", "x\n");
	scratch_path(s, "cur/2.linked", a);
	scratch_path(s, "other", b);
	assert_int_equal(link(a, b), 0);
	scratch_path(s, "cur/3.symlink", a);
	assert_int_equal(symlink("/etc/passwd", a), 0);
	scratch_path(s, "cur/4.fifo", a);
	assert_int_equal(mkfifo(a, 0600), 0);
	scratch_path(s, "cur/5.folder", a);
	assert_int_equal(mkdir(a, 0700), 0);
	d = open_drop(s);
	assert_int_equal(maildrop_count(d), 1);
	assert_entry(d, 0, "1.good", 3);
	assert_int_equal(maildrop_skipped(d), 4);
	maildrop_free(d);
}

static void
test_symlinked_folder(void **state)
{
	struct scratch *s = *state;
	struct maildrop *d = NULL;
	char a[SCRATCH_PATH];

	scratch_path(s, "cur", a);
	assert_int_equal(rmdir(a), 0);
	assert_int_equal(symlink("new", a), 0);
	put(s, "new/1.x", "x\n");
	assert_int_equal(maildrop_open(&s->root, "u", false, &d, NULL), ERR_DENIED);
}

static void
test_twins(void **state)
{
	struct scratch *s = *state;
	char a[MBOXC_UIDL_MAX + 1], b[MBOXC_UIDL_MAX + 1];
	struct maildrop *d;

	put(s, "new/1.x", "new\n");
	put(s, "new/1.x0", "between\n");
	put(s, "cur/1.x", "cur\n");
	put(s, "cur/1.x:2,S", "seen\n");
	d = open_drop(s);
	assert_int_equal(maildrop_count(d), 4);
	for (size_t i = 0; i < 4; i++) {
		maildrop_uidl(d, i, a);
		for (size_t k = i + 1; k < 4; k++) {
			maildrop_uidl(d, k, b);
			assert_string_not_equal(a, b);
		}
	}
	assert_fetch(d, 0, "cur\n");
	assert_fetch(d, 1, "new\n");
	assert_fetch(d, 2, "seen\n");
	assert_fetch(d, 3, "between\n");
	maildrop_free(d);
}

static void
test_moved_meanwhile(void **state)
{
	struct scratch *s = *state;
	uint8_t bits = 3;
	struct maildrop *d;

	put(s, "new/1.x", "x\n");
	put(s, "new/2.y", "y\n");
	put(s, "new/3.z", "z\n");
	d = open_drop(s);
	move(s, "new/1.x", "cur/1.x:2,S");
	assert_fetch(d, 0, "x\n");
	move(s, "cur/1.x:2,S", "cur/1.x:2,RS");
	assert_int_equal(maildrop_update(d, &bits, NULL), 0);
	assert_false(there(s, "cur/1.x:2,RS"));
	assert_false(there(s, "new/2.y"));
	assert_true(there(s, "new/3.z"));
	maildrop_free(d);
}

static void
test_gone_and_changed(void **state)
{
	struct scratch *s = *state;
	uint8_t bits = 1;
	struct maildrop *d;
	char a[SCRATCH_PATH];

	put(s, "new/1.x", "x\n");
	put(s, "new/2.y", "y\n");
	put(s, "new/3.z", "z\n");
	d = open_drop(s);
	scratch_path(s, "new/1.x", a);
	assert_int_equal(unlink(a), 0);
	assert_int_equal(maildrop_fetch(d, 0, false, NULL), ERR_NOTFOUND);
	assert_int_equal(maildrop_update(d, &bits, NULL), 0);
	put(s, "new/2.y", "longer\n");
	assert_int_equal(maildrop_fetch(d, 1, false, NULL), ERR_NOTFOUND);
	scratch_path(s, "new/3.z", a);
	assert_int_equal(unlink(a), 0);
	assert_int_equal(symlink("/etc/passwd", a), 0);
	assert_true(maildrop_fetch(d, 2, false, NULL) < 0);
	maildrop_free(d);
}

/* Another file under the name that a message had is not that message. */
static void
test_other_file_is_kept(void **state)
{
	struct scratch *s = *state;
	uint8_t bits = 1;
	struct maildrop *d;

	put(s, "new/1.x", "x\n");
	put(s, "keep", "y\n");		/* before, so that no inode is reused */
	d = open_drop(s);
	move(s, "new/1.x", "gone");
	move(s, "keep", "cur/1.x:2,");
	assert_int_equal(maildrop_fetch(d, 0, false, NULL), ERR_NOTFOUND);
	assert_int_equal(maildrop_update(d, &bits, NULL), 0);
	assert_true(there(s, "cur/1.x:2,"));
	maildrop_free(d);
}

static void
test_max(void **state)
{
	struct scratch *s = *state;
	struct maildrop *d;

	put(s, "new/30.c", "x\n");
	put(s, "new/10.a", "x\n");
	put(s, "cur/20.b", "x\n");
	s->root.max = 2;
	d = open_drop(s);
	assert_int_equal(maildrop_count(d), 2);
	assert_entry(d, 0, "10.a", 3);
	assert_entry(d, 1, "20.b", 3);
	maildrop_free(d);
}

#ifdef SUBMITD_TEST_BUILD
/* Whatever call fails, it is not OK, and nothing else is removed. */
static void
test_failing_update(void **state)
{
	struct scratch *s = *state;
	uint8_t bits = 3;
	unsigned int n;
	int r = -1;

	for (n = 1; n < 10 && r != 0; n++) {
		struct maildrop *d;

		put(s, "new/1.x", "x\n");
		put(s, "cur/2.y", "y\n");
		put(s, "cur/3.z", "z\n");
		d = open_drop(s);
		fio_fail_at(n, 5);	/* EIO */
		r = maildrop_update(d, &bits, NULL);
		fio_fail_at(0, 0);
		assert_true(there(s, "cur/3.z"));
		maildrop_free(d);
	}
	assert_int_equal(n, 6);		/* two unlink, two fsync could fail */
	assert_false(there(s, "new/1.x"));
}
#endif

#define WITH_SCRATCH(f) \
	cmocka_unit_test_setup_teardown(f, scratch_make, scratch_remove)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_name_uidl),
		cmocka_unit_test(test_name_octets),
		WITH_SCRATCH(test_order_and_sizes),
		WITH_SCRATCH(test_missing),
		WITH_SCRATCH(test_odd_files),
		WITH_SCRATCH(test_symlinked_folder),
		WITH_SCRATCH(test_twins),
		WITH_SCRATCH(test_moved_meanwhile),
		WITH_SCRATCH(test_gone_and_changed),
		WITH_SCRATCH(test_other_file_is_kept),
		WITH_SCRATCH(test_max),
#ifdef SUBMITD_TEST_BUILD
		WITH_SCRATCH(test_failing_update),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
