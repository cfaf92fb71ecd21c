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
#include "popd/mbox/uidl_import.h"

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

/* -------------------------------------------------------------- templates -- */

static const struct template_case {
	const char	*format;
	const char	*want;		/* NULL: refused */
} template_cases[] = {
	{ "%08Xu%08Xv", "0000002a65aa0f01" },
	{ "%{uid | hex(8)}%{uidvalidity | hex(8)}", "0000002a65aa0f01" },
	{ "%{ uid|hex(8) }%{uidvalidity|hex(8)}", "0000002a65aa0f01" },
	{ "%v-%u", "1705643777-42" },
	{ "%{uidvalidity}.%{uid}", "1705643777.42" },
	{ "%v.%05u", "1705643777.00042" },
	{ "%Xu", "2a" },
	{ "UID%u-%v", "UID42-1705643777" },
	{ "%f", "1.M2.host,S=10" },
	{ "%{filename}", "1.M2.host,S=10" },
	{ "%g", "the-guid" },
	{ "%u%%", "42%" },
	{ "%m", NULL }, { "%", NULL }, { "%8u", NULL }, { "%0", NULL },
	{ "%v", NULL }, { "", NULL }, { "x", NULL }, { "%{uid", NULL },
	{ "%{uid | hex}", NULL }, { "%{uid | md5}", NULL }, { "%{}", NULL },
	{ "%{uid | hex(8}", NULL }, { "%Xf", NULL }, { "%099u", NULL },
	{ "%08Lu", NULL }, { "%{size}", NULL }, { "%{uid | hex(8)", NULL },
};

static void
test_template(void **state)
{
	const struct uidl_values v = { .uid = 42, .uidvalidity = 0x65aa0f01,
		.file = "1.M2.host,S=10:2,S", .file_len = 14,
		.guid = "the-guid", .guid_len = 8 };
	char text[64];

	(void)state;
	for (size_t i = 0; i < COUNT(template_cases); i++) {
		const struct template_case *c = &template_cases[i];
		int n = uidl_template(c->format, &v, text, sizeof(text), NULL);

		print_message("%s\n", c->format);
		if (c->want == NULL) {
			assert_int_equal(n, ERR_FORMAT);
			assert_int_equal(uidl_template(c->format, NULL, text,
			    sizeof(text), NULL), ERR_FORMAT);
			continue;
		}
		assert_int_equal(n, (int)strlen(c->want));
		assert_memory_equal(text, c->want, (size_t)n);
	}
	assert_int_equal(uidl_template("%f%f%f%f%f", &v, text, sizeof(text),
	    NULL), ERR_LIMIT);
}

/* --------------------------------------------------------------- the lists -- */

#define DOVECOT "3 V1705643777 N9 G0123456789abcdef0123456789abcdef\n"
#define COURIER "/3 9 1705643777\n"

static const struct list_case {
	int		(*read)(struct uidl_list *l, struct err *reterr);
	const char	*text;
	const char	*format;
	int		 want;
	bool		 cut;
	const char	*rows;		/* "NAME UIDL|..." */
} list_cases[] = {
	{ uidl_dovecot_read, DOVECOT, NULL, 0, false, "" },
	{ uidl_dovecot_read, DOVECOT "1 :1.x\n2 :2.x,S=3:2,S\n", NULL, 0, false,
	    "1.x 0000000165aa0f01|2.x,S=3:2,S 0000000265aa0f01|" },
	{ uidl_dovecot_read, DOVECOT "1 W12 S10 :a b:2,\n", "%v-%u", 0, false,
	    "a b:2, 1705643777-1|" },
	{ uidl_dovecot_read, DOVECOT "1 PUID7-8 W12 :1.x:2,S\n", NULL, 0,
	    false, "1.x:2,S UID7-8|" },
	{ uidl_dovecot_read, DOVECOT "1 P :1.x,S=1:2,S\n", NULL, 0, false,
	    "1.x,S=1:2,S 1.x,S=1|" },
	{ uidl_dovecot_read, DOVECOT "1 Gabc :1.x:2,\n2 :2.x:2,\n", "%g", 0,
	    false, "1.x:2, abc|2.x:2, 2.x|" },
	{ uidl_dovecot_read, DOVECOT "1 :1.x\n2 :2", NULL, 0, true,
	    "1.x 0000000165aa0f01|" },
	{ uidl_dovecot_read, "3 V1 N1 Z:: Q\n4294967294 :1.x\n", NULL, 0, false,
	    "1.x fffffffe00000001|" },
	{ uidl_dovecot_read, DOVECOT "2 :1.x\n1 :2.x\n", NULL, ERR_FORMAT,
	    false, "1.x 0000000265aa0f01|" },
	{ uidl_dovecot_read, DOVECOT "1 :1.x\n1 :2.x\n", NULL, ERR_FORMAT,
	    false, "1.x 0000000165aa0f01|" },
	{ uidl_dovecot_read, DOVECOT "0 :1.x\n", NULL, ERR_FORMAT, false, "" },
	{ uidl_dovecot_read, DOVECOT "4294967295 :1.x\n", NULL, ERR_FORMAT,
	    false, "" },
	{ uidl_dovecot_read, DOVECOT "1 1.x\n", NULL, ERR_FORMAT, false, "" },
	{ uidl_dovecot_read, DOVECOT "1 :\n", NULL, ERR_FORMAT, false, "" },
	{ uidl_dovecot_read, DOVECOT "1 :../x\n", NULL, ERR_FORMAT, false, "" },
	{ uidl_dovecot_read, DOVECOT "1:1.x\n", NULL, ERR_FORMAT, false, "" },
	{ uidl_dovecot_read, DOVECOT "\n", NULL, ERR_FORMAT, false, "" },
	{ uidl_dovecot_read, "3 N1\n", NULL, ERR_FORMAT, false, "" },
	{ uidl_dovecot_read, "3 V1\n", NULL, ERR_FORMAT, false, "" },
	{ uidl_dovecot_read, "3 V1x N1\n", NULL, ERR_FORMAT, false, "" },
	{ uidl_dovecot_read, "3 V0 N1\n", NULL, ERR_FORMAT, false, "" },
	{ uidl_dovecot_read, "1 1 1\n", NULL, ERR_FORMAT, false, "" },
	{ uidl_dovecot_read, "", NULL, ERR_FORMAT, false, "" },
	{ uidl_dovecot_read, "3 V1 N1", NULL, ERR_FORMAT, true, "" },
	{ uidl_courier_read, COURIER, NULL, 0, false, "" },
	{ uidl_courier_read, COURIER "1.x:2,S 100 1:1705643777:0\n"
	    "2.x,S=3 7 2:1:1\n", NULL, 0, false,
	    "1.x:2,S UID1-1705643777|2.x,S=3 UID2-1|" },
	{ uidl_courier_read, "/2 9 7\n1.x 100 1:7\n", NULL, 0, false,
	    "1.x UID1-7|" },
	{ uidl_courier_read, COURIER "1.x 1 5:0:0\n", NULL, 0, false,
	    "1.x UID5|" },
	{ uidl_courier_read, COURIER "1+'x y\":2,S 1 0:0:0\n", NULL, 0, false,
	    "1+'x y\":2,S 1+2B+27x+20y+22|" },
	{ uidl_courier_read, COURIER "1.x 100 1:7\n", NULL, ERR_FORMAT, false,
	    "" },
	{ uidl_courier_read, "/2 9 7\n1.x 100 1:7:0\n", NULL, ERR_FORMAT, false,
	    "" },
	{ uidl_courier_read, COURIER "1.x 1:7:0\n", NULL, ERR_FORMAT, false,
	    "" },
	{ uidl_courier_read, COURIER " 1 1:7:0\n", NULL, ERR_FORMAT, false, "" },
	{ uidl_courier_read, COURIER "a/b 1 1:7:0\n", NULL, ERR_FORMAT, false,
	    "" },
	{ uidl_courier_read, COURIER "1.x 1 :7:0\n", NULL, ERR_FORMAT, false,
	    "" },
	{ uidl_courier_read, COURIER "1.x 1 1:7:\n", NULL, ERR_FORMAT, false,
	    "" },
	{ uidl_courier_read, COURIER "1.x 1 1:7:0", NULL, 0, true, "" },
	{ uidl_courier_read, "/1 9 7\n", NULL, ERR_FORMAT, false, "" },
	{ uidl_courier_read, "/3 9\n", NULL, ERR_FORMAT, false, "" },
	{ uidl_courier_read, "1.x 5\n", NULL, ERR_FORMAT, false, "" },
	{ uidl_courier_read, "/", NULL, ERR_FORMAT, true, "" },
};

static int
collect(void *ctx, const char *name, const char *uidl, size_t uidl_len)
{
	size_t at = strlen(ctx);

	snprintf((char *)ctx + at, 512 - at, "%s %.*s|", name, (int)uidl_len,
	    uidl);
	return 0;
}

static void
test_lists(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(list_cases); i++) {
		const struct list_case *c = &list_cases[i];
		char rows[512] = "";
		struct uidl_list l = { .text = strdup(c->text),
			.len = strlen(c->text), .format = c->format,
			.row = collect, .ctx = rows };
		struct err err = { 0 };

		print_message("%zu\n", i);
		assert_int_equal(c->read(&l, &err), c->want);
		assert_true(c->want == 0 || err.text[0] != '\0');
		assert_string_equal(rows, c->rows);
		assert_int_equal(l.cut, c->cut);
		free(l.text);
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

/* -------------------------------------------------------------- importing -- */

static void
put_file(const struct scratch *s, const char *name, const char *text)
{
	int fd = openat(s->fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void
check_uidl(const struct scratch *s, const char *name, const char *want)
{
	struct uidl_map *m;
	const char *got;

	assert_int_equal(uidl_load(s->fd, "a", &m, NULL), 0);
	got = uidl_find(m, name, strlen(name));
	if (want == NULL)
		assert_null(got);
	else
		assert_string_equal(got, want);
	uidl_free(m);
}

static void
test_import(void **state)
{
	const struct scratch *s = *state;
	struct uidl_wish wish = { .format = "" };
	struct uidl_result r;
	struct err err = { 0 };

	assert_int_equal(mkdirat(s->fd, "a/new", 0700), 0);
	assert_int_equal(mkdirat(s->fd, "a/cur", 0700), 0);
	put_file(s, "a/cur/1.x:2,S", "");
	put_file(s, "a/new/2.x", "");
	put_file(s, "a/new/9.x", "");
	assert_int_equal(uidl_import(s->fd, "a", &wish, &r, &err), 0);
	assert_null(r.server);
	put_file(s, "a/dovecot-uidlist", DOVECOT "1 :1.x:2,\n2 :2.x\n"
	    "3 P0000000165aa0f01 :3.x\n4 PZZZ\x7f :4.x\n5 :5.x");
	wish.check = true;
	assert_int_equal(uidl_import(s->fd, "a", &wish, &r, &err), 0);
	assert_string_equal(r.server, "dovecot");
	assert_int_equal(r.listed, 4);
	assert_int_equal(r.taken, 2);
	assert_int_equal(r.twice, 1);
	assert_int_equal(r.unfit, 1);
	assert_int_equal(r.messages, 3);
	assert_int_equal(r.own, 1);
	assert_true(r.cut);
	check_uidl(s, "1.x", NULL);
	if (geteuid() != 0) {
		assert_int_equal(fchmodat(s->fd, "a", 0500, 0), 0);
		assert_int_equal(uidl_import(s->fd, "a", &wish, &r, &err),
		    ERR_SYSTEM);
		assert_non_null(strstr(err.text, "cannot be written to"));
		assert_int_equal(fchmodat(s->fd, "a", 0700, 0), 0);
	}
	wish.check = false;
	assert_int_equal(uidl_import(s->fd, "a", &wish, &r, &err), 0);
	assert_int_equal(r.taken, 2);
	check_uidl(s, "1.x", "0000000165aa0f01");
	check_uidl(s, "2.x", "0000000265aa0f01");
	check_uidl(s, "3.x", NULL);
	/* Once more: nothing. */
	assert_int_equal(uidl_import(s->fd, "a", &wish, &r, &err), 0);
	assert_int_equal(r.taken, 0);
	assert_int_equal(r.same, 2);
	/* Another format does not change what is there. */
	wish.format = "dovecot:%v.%u";
	assert_int_equal(uidl_import(s->fd, "a", &wish, &r, &err), 0);
	assert_int_equal(r.differ, 2);
	check_uidl(s, "1.x", "0000000165aa0f01");
	/* What popd has shown keeps its own, what is newer than that does not. */
	wish.format = "";
	put_file(s, "a/dovecot-uidlist", DOVECOT "1 :1.x:2,\n2 :2.x\n"
	    "6 :9.x\n7 :10.x\n");
	assert_int_equal(uidl_set_shown(s->fd, "a", 9, &err), 0);
	assert_int_equal(uidl_import(s->fd, "a", &wish, &r, &err), 0);
	assert_int_equal(r.shown, 1);
	assert_int_equal(r.taken, 1);
	check_uidl(s, "9.x", NULL);
	check_uidl(s, "10.x", "0000000765aa0f01");
	wish.force = true;
	assert_int_equal(uidl_import(s->fd, "a", &wish, &r, &err), 0);
	check_uidl(s, "9.x", "0000000665aa0f01");
}

static void
test_import_refused(void **state)
{
	static const char *const formats[] = { "x", "dovecot:", "dovecot:%m",
		"courier:%u", "dovecot:%v", "json" };
	const struct scratch *s = *state;
	struct uidl_wish wish = { .format = "" };
	struct uidl_result r;
	struct err err = { 0 };

	for (size_t i = 0; i < COUNT(formats); i++)
		assert_int_equal(uidl_check_format(formats[i], &err),
		    ERR_FORMAT);
	put_file(s, "a/dovecot-uidlist", DOVECOT "1 :1.x\nbroken\n");
	assert_int_equal(uidl_import(s->fd, "a", &wish, &r, &err), ERR_FORMAT);
	check_uidl(s, "1.x", NULL);
	/* A list of either: the later one, or the one that is asked for. */
	put_file(s, "a/dovecot-uidlist", DOVECOT "1 :1.x\n");
	put_file(s, "a/courierpop3dsizelist", COURIER "2.x 1 7:8:0\n");
	assert_int_equal(utimensat(s->fd, "a/dovecot-uidlist",
	    (struct timespec[2]){ { .tv_sec = 5 }, { .tv_sec = 5 } }, 0), 0);
	assert_int_equal(uidl_import(s->fd, "a", &wish, &r, &err), 0);
	assert_string_equal(r.server, "courier");
	assert_true(r.both);
	check_uidl(s, "2.x", "UID7-8");
	wish.format = "dovecot";
	assert_int_equal(uidl_import(s->fd, "a", &wish, &r, &err), 0);
	assert_string_equal(r.server, "dovecot");
	assert_false(r.both);
	check_uidl(s, "1.x", "0000000165aa0f01");
	check_uidl(s, "2.x", "UID7-8");
	/* A file of ours that is broken stays as it is. */
	put_file(s, "a/" UIDL_FILE, "submitd-uidl 1\nU1 7.x\n");
	assert_int_equal(uidl_import(s->fd, "a", &wish, &r, &err), ERR_FORMAT);
	assert_int_equal(unlinkat(s->fd, "a/dovecot-uidlist", 0), 0);
	assert_int_equal(symlinkat("../x", s->fd, "a/dovecot-uidlist"), 0);
	assert_int_not_equal(uidl_import(s->fd, "a", &wish, &r, &err), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_map),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_template),
		cmocka_unit_test(test_lists),
		cmocka_unit_test_setup_teardown(test_import, scratch_make,
		    scratch_remove),
		cmocka_unit_test_setup_teardown(test_import_refused,
		    scratch_make, scratch_remove),
		cmocka_unit_test_setup_teardown(test_store, scratch_make,
		    scratch_remove),
		cmocka_unit_test_setup_teardown(test_not_a_file, scratch_make,
		    scratch_remove),
		cmocka_unit_test_setup_teardown(test_shown, scratch_make,
		    scratch_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
