/*
 * t_uidl.c - UIDLs of other servers: the map and its file, what Dovecot's and
 * Courier's lists say, and taking them over.
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
#include "popd/mbox/client.h"
#include "popd/mbox/uidl.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---------------------------------------------------------------- the map -- */

static int
add(struct uidl_map **m, const char *name, const char *uidl)
{
	return uidl_add(m, name, strlen(name), uidl, strlen(uidl));
}

static void
test_map(void **state)
{
	char name[32], uidl[32];
	struct uidl_map *m = NULL;

	(void)state;
	assert_null(uidl_find(NULL, "x", 1));
	assert_false(uidl_is_taken(NULL, "x"));
	assert_int_equal(uidl_count(NULL), 0);
	uidl_free(NULL);
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "%d.x", i);
		snprintf(uidl, sizeof(uidl), "U%d", i);
		assert_int_equal(add(&m, name, uidl), 0);
	}
	assert_int_equal(uidl_count(m), 5000);
	assert_string_equal(uidl_find(m, "77.xyz", 4), "U77");
	assert_null(uidl_find(m, "77.xyz", 5));
	assert_true(uidl_is_taken(m, "U4999"));
	assert_false(uidl_is_taken(m, "U5000"));
	assert_int_equal(add(&m, "77.x", "new"), ERR_EXISTS);
	assert_int_equal(add(&m, "new", "U77"), ERR_EXISTS);
	assert_int_equal(add(&m, "new", ""), ERR_FORMAT);
	assert_int_equal(add(&m, "new", "a b"), ERR_FORMAT);
	assert_int_equal(add(&m, "new", "a\x7f"), ERR_FORMAT);
	assert_int_equal(add(&m, "n\nw", "a"), ERR_FORMAT);
	assert_int_equal(add(&m, "n/w", "a"), ERR_FORMAT);
	assert_int_equal(add(&m, "", "a"), ERR_FORMAT);
	assert_int_equal(uidl_count(m), 5000);
	assert_true(uidl_octets(m) > 5000 * 8);
	uidl_free(m);
}

static const struct text_case {
	const char	*text;
	int		 want;
	size_t		 n;
} text_cases[] = {
	{ "submitd-uidl 1\nend 0\n", 0, 0 },
	{ "submitd-uidl 1\nU1 1.x\nU2 2.x\nend 2\n", 0, 2 },
	{ "submitd-uidl 1\nU1 name with space\nend 1\n", 0, 1 },
	{ "submitd-uidl 1\nend x\nend 1\n", 0, 1 },
	{ "submitd-uidl 1\nU1 1.x\nU2 2.x\nend 1\n", ERR_FORMAT, 0 },
	{ "submitd-uidl 1\nU1 1.x\nU2 2.x\n", ERR_FORMAT, 0 },
	{ "submitd-uidl 1\nU1 1.x\nU2 2.x\nend 2", ERR_FORMAT, 0 },
	{ "submitd-uidl 1\nU1 1.x\nend 1\nmore\n", ERR_FORMAT, 0 },
	{ "submitd-uidl 1\nU1 1.x\nU1 2.x\nend 2\n", ERR_FORMAT, 0 },
	{ "submitd-uidl 1\nU1 1.x\nU2 1.x\nend 2\n", ERR_FORMAT, 0 },
	{ "submitd-uidl 1\nU1\nend 1\n", ERR_FORMAT, 0 },
	{ "submitd-uidl 1\n 1.x\nend 1\n", ERR_FORMAT, 0 },
	{ "submitd-uidl 1\nU1 ../1.x\nend 1\n", ERR_FORMAT, 0 },
	{ "submitd-uidl 2\nend 0\n", ERR_FORMAT, 0 },
	{ "submitd-uidl 1\n", ERR_FORMAT, 0 },
	{ "", ERR_FORMAT, 0 },
	{ "submitd-uidl 1\nend \n", ERR_FORMAT, 0 },
	{ "submitd-uidl 1\nend 99999999999999999999999\n", ERR_FORMAT, 0 },
};

static void
test_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(text_cases); i++) {
		const struct text_case *c = &text_cases[i];
		struct err err = { 0 };
		struct uidl_map *m;

		print_message("%zu\n", i);
		assert_int_equal(uidl_parse(strdup(c->text), strlen(c->text),
		    &m, &err), c->want);
		assert_int_equal(uidl_count(m), c->n);
		assert_true(c->want == 0 || err.text[0] != '\0');
		uidl_free(m);
	}
}

/* ---------------------------------------------------------------- the file -- */

struct scratch {
	char	dir[64];
	int	fd;
};

static int
scratch_make(void **state)
{
	struct scratch *s = calloc(1, sizeof(*s));

	strcpy(s->dir, "/tmp/t_uidl.XXXXXX");
	if (mkdtemp(s->dir) == NULL ||
	    (s->fd = open(s->dir, O_PATH | O_DIRECTORY)) < 0 ||
	    mkdirat(s->fd, "a", 0700) != 0)
		return -1;
	*state = s;
	return 0;
}

static int
scratch_remove(void **state)
{
	struct scratch *s = *state;
	char cmd[96];

	fio_fail_at(0, 0);
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", s->dir);
	close(s->fd);
	free(s);
	return system(cmd);
}

static void
test_store(void **state)
{
	const struct scratch *s = *state;
	struct uidl_stamp before, after;
	struct uidl_map *m = NULL, *got;
	struct err err = { 0 };

	assert_int_equal(uidl_load(s->fd, "a", &got, &err), 0);
	assert_null(got);
	assert_int_equal(uidl_stamp(s->fd, "a", &before, &err), 0);
	assert_int_equal(before.ino, 0);
	assert_int_equal(add(&m, "1.x", "U1"), 0);
	assert_int_equal(add(&m, "2.x y", "U2"), 0);
	assert_int_equal(uidl_store(s->fd, "a", m, &err), 0);
	assert_int_equal(uidl_stamp(s->fd, "a", &after, &err), 0);
	assert_int_not_equal(after.ino, 0);
	assert_int_equal(uidl_load(s->fd, "a", &got, &err), 0);
	assert_int_equal(uidl_count(got), 2);
	assert_string_equal(uidl_find(got, "2.x y", 5), "U2");
	/* Whatever call fails, the old one or the new one is there, whole. */
	assert_int_equal(add(&m, "3.x", "U3"), 0);
	for (unsigned int n = 1; n < 20; n++) {
		struct uidl_map *now;
		int r;

		fio_fail_at(n, 28);
		r = uidl_store(s->fd, "a", m, &err);
		fio_fail_at(0, 0);
		assert_int_equal(uidl_load(s->fd, "a", &now, &err), 0);
		assert_true(uidl_count(now) == 3 ||
		    (r != 0 && uidl_count(now) == 2));
		uidl_free(now);
		if (r == 0)
			break;
	}
	assert_int_not_equal(faccessat(s->fd, "a/.submitd-uidl.new", F_OK, 0),
	    0);
	uidl_free(got);
	uidl_free(m);
}

/* What lies there instead of a file is neither followed nor waited for. */
static void
test_not_a_file(void **state)
{
	const struct scratch *s = *state;
	struct uidl_map *m;
	int fd;

	fd = openat(s->fd, "elsewhere", O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, "submitd-uidl 1\nend 0\n", 21), 21);
	close(fd);
	assert_int_equal(symlinkat("../elsewhere", s->fd, "a/" UIDL_FILE), 0);
	assert_int_not_equal(uidl_load(s->fd, "a", &m, NULL), 0);
	assert_int_equal(unlinkat(s->fd, "a/" UIDL_FILE, 0), 0);
	assert_int_equal(linkat(s->fd, "elsewhere", s->fd, "a/" UIDL_FILE, 0),
	    0);
	assert_int_equal(uidl_load(s->fd, "a", &m, NULL), ERR_DENIED);
	assert_int_equal(unlinkat(s->fd, "a/" UIDL_FILE, 0), 0);
	assert_int_equal(mkfifoat(s->fd, "a/" UIDL_FILE, 0600), 0);
	assert_int_equal(uidl_load(s->fd, "a", &m, NULL), ERR_DENIED);
}

static void
test_shown(void **state)
{
	const struct scratch *s = *state;
	int64_t got = 7;

	assert_int_equal(uidl_get_shown(s->fd, "a", &got, NULL), 0);
	assert_int_equal(got, 0);
	assert_int_equal(uidl_set_shown(s->fd, "a", 1700000000, NULL), 0);
	assert_int_equal(uidl_get_shown(s->fd, "a", &got, NULL), 0);
	assert_int_equal(got, 1700000000);
	assert_int_equal(uidl_set_shown(s->fd, "a", 1600000000, NULL), 0);
	assert_int_equal(uidl_get_shown(s->fd, "a", &got, NULL), 0);
	assert_int_equal(got, 1700000000);
	assert_int_equal(uidl_set_shown(s->fd, "a", 1700000001, NULL), 0);
	assert_int_equal(uidl_get_shown(s->fd, "a", &got, NULL), 0);
	assert_int_equal(got, 1700000001);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_map),
		cmocka_unit_test(test_text),
		cmocka_unit_test_setup_teardown(test_store, scratch_make,
		    scratch_remove),
		cmocka_unit_test_setup_teardown(test_not_a_file, scratch_make,
		    scratch_remove),
		cmocka_unit_test_setup_teardown(test_shown, scratch_make,
		    scratch_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
