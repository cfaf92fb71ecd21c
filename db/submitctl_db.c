/*
 * submitctl_db.c - the commands "db …". Runs as whoever called it: the copy of
 * a backup is made here, of descriptors that authd-core hands over.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "db/submitctl.h"
#include "lib/clock.h"
#include "lib/control.h"
#include "lib/fio.h"
#include "lib/manifest.h"
#include "lib/str.h"

#define CTL_DB_WAIT_S 7200	/* a large database, on a slow disk */

struct ctl_backup {
	struct manifest	 m;
	char		 target[4096];
	char		 partial[4096];
	char		 parent[4096];
	int		 dir;		/* of `partial` */
	bool		 ended;		/* the last record came */
	bool		 renamed;	/* `partial` is `target` now */
	uint64_t	 files;		/* that it names */
	uint64_t	 octets;
	struct err	 err;		/* the first that failed */
};

/* ----------------------------------------------------------------- backup -- */

static void
ctl_backup_file(struct ctl_backup *b, const char *name, int fd)
{
	struct manifest_file *f = &b->m.v[b->m.n];
	int to;

	if (!manifest_is_name(name) || b->m.n == MANIFEST_FILES_MAX) {
		(void)err_set(&b->err, ERR_FORMAT, "authd sent a file that no "
		    "backup has");
		return;
	}
	(void)str_copy(f->name, sizeof(f->name), name);
	to = fio_openat(b->dir, name, O_WRONLY | O_CREAT | O_EXCL, 0600,
	    &b->err);
	if (to < 0)
		return;
	if (manifest_copy(fd, to, f, &b->err) != 0) {
		close(to);
		return;
	}
	if (fio_close(to, name, &b->err) == 0) {
		b->octets += f->octets;
		b->m.n++;
	}
}

static void
ctl_backup_each(void *ctx, const json_t *record, int fd)
{
	struct ctl_backup *b = ctx;

	if (b->err.code != 0)
		return;
	if (fd >= 0) {
		ctl_backup_file(b, ctl_str(record, "file"), fd);
		return;
	}
	b->ended = true;
	b->files = (uint64_t)ctl_int(record, "files");
	b->m.format = (uint64_t)ctl_int(record, "format");
	b->m.users = (uint64_t)ctl_int(record, "users");
}

/* A folder that is there must be empty: it is replaced at the end. */
static int
ctl_backup_prepare(struct ctl_backup *b, const char *target)
{
	char copy[sizeof(b->target)];
	struct dirent *de;
	size_t len = strlen(target);
	bool empty = true;
	DIR *d;

	while (len > 1 && target[len - 1] == '/')
		len--;
	if (str_copy_n(b->target, sizeof(b->target), target, len) != 0 ||
	    str_format(b->partial, sizeof(b->partial), "%s.partial-%ld",
	    b->target, (long)getpid()) != 0)
		return ctl_fail(EX_CANTCREAT, "%s: the path is too long",
		    target);
	memcpy(copy, b->target, sizeof(copy));
	(void)str_copy(b->parent, sizeof(b->parent), dirname(copy));
	if ((d = opendir(b->target)) != NULL) {
		while ((de = readdir(d)) != NULL)
			empty &= strcmp(de->d_name, ".") == 0 ||
			    strcmp(de->d_name, "..") == 0;
		closedir(d);
	} else if (errno != ENOENT)
		return ctl_fail(EX_CANTCREAT, "%s: %s", b->target,
		    strerror(errno));
	if (!empty)
		return ctl_fail(EX_CANTCREAT, "%s is there and not empty: "
		    "name a new folder", b->target);
	if (mkdir(b->partial, 0700) != 0 || (b->dir = open(b->partial,
	    O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return ctl_fail(EX_CANTCREAT, "%s: %s", b->partial,
		    strerror(errno));
	return 0;
}

static void
ctl_backup_remove(struct ctl_backup *b)
{
	for (size_t i = 0; i <= b->m.n && i < MANIFEST_FILES_MAX; i++)
		if (b->m.v[i].name[0] != '\0')
			(void)unlinkat(b->dir, b->m.v[i].name, 0);
	(void)unlinkat(b->dir, MANIFEST_FILE, 0);
	(void)rmdir(b->partial);
}

static int
ctl_sync_folder(const char *path, struct err *reterr)
{
	int fd = fio_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, reterr);
	int r;

	if (fd < 0)
		return fd;
	r = fio_sync(fd, path, reterr);
	close(fd);
	return r;
}

/* Only now may it look like a backup. */
static int
ctl_backup_finish(struct ctl_backup *b)
{
	char *text;
	int fd, r;

	if (b->err.code != 0)
		return b->err.code;
	if (!b->ended || b->files != b->m.n || b->files == 0)
		return err_set(&b->err, ERR_AWAY,
		    "authd did not send all of it");
	b->m.made_s = clock_now_s();
	if ((text = manifest_text(&b->m)) == NULL)
		return err_set(&b->err, ERR_NOMEM, "no memory");
	fd = fio_openat(b->dir, MANIFEST_FILE, O_WRONLY | O_CREAT | O_EXCL,
	    0600, &b->err);
	r = fd < 0 ? fd : fio_write_all(fd, text, strlen(text), MANIFEST_FILE,
	    &b->err);
	free(text);
	if (r == 0)
		r = fio_sync(fd, MANIFEST_FILE, &b->err);
	if (fd >= 0)
		close(fd);
	if (r != 0 || (r = fio_sync(b->dir, b->partial, &b->err)) != 0 ||
	    (r = fio_renameat(AT_FDCWD, b->partial, AT_FDCWD, b->target,
	    &b->err)) != 0)
		return r;
	b->renamed = true;
	return ctl_sync_folder(b->parent, &b->err);
}

int
ctl_db_backup(struct ctl *c)
{
	static struct ctl_backup b;	/* large */
	json_t *said;
	int code;

	if ((code = ctl_conf(c)) != 0 ||
	    (code = ctl_backup_prepare(&b, c->argv[0])) != 0)
		return code;
	code = ctl_ask_each(c, "users", json_pack("{s:s}", "verb",
	    "db.backup"), CTL_DB_WAIT_S, ctl_backup_each, &b);
	if (code == 0 && ctl_backup_finish(&b) != 0)
		code = ctl_fail(b.err.code == ERR_NOSPACE ? EX_CANTCREAT :
		    EX_IOERR, "%s", b.err.text);
	if (code != 0 && !b.renamed)
		ctl_backup_remove(&b);
	if (code == 0) {
		said = json_pack("{s:s, s:I, s:I, s:I}", "folder", b.target,
		    "files", (json_int_t)b.m.n, "octets",
		    (json_int_t)b.octets, "users", (json_int_t)b.m.users);
		ctl_say(c, said, "%s: %zu files, %llu octets, %llu users; "
		    "checked. Keep it as secret as the database.", b.target,
		    b.m.n, (unsigned long long)b.octets,
		    (unsigned long long)b.m.users);
		json_decref(said);
	}
	close(b.dir);
	return code;
}

/* ------------------------------------------------------ check and compact -- */

/* What authd has to be given to find the same instance. */
static const char *
ctl_authd_option(const struct ctl *c)
{
	return c->args.root != NULL ? " --root " :
	    c->args.file != NULL ? " -c " : "";
}

static const char *
ctl_authd_value(const struct ctl *c)
{
	return c->args.root != NULL ? c->args.root :
	    c->args.file != NULL ? c->args.file : "";
}

int
ctl_db_check(struct ctl *c)
{
	static const struct ctl_column columns[] = {
		{ "users", "users", CTL_NUMBER },
		{ "addresses", "addresses", CTL_NUMBER },
		{ "grants", "grants", CTL_NUMBER },
		{ "other records", "others", CTL_NUMBER },
		{ "databases", "databases", CTL_NUMBER },
		{ "size", "octets", CTL_OCTETS },
		{ "flaws", "flaws", CTL_NUMBER },
		{ NULL, NULL, 0 },
	};
	json_t *records = json_array(), *record = NULL;
	char safe[400];
	int code;
	size_t i;

	code = ctl_ask_long(c, "users", json_pack("{s:s}", "verb",
	    "db.check"), CTL_DB_WAIT_S, records);
	json_array_foreach(records, i, record)
		if (json_object_get(record, "flaw") != NULL)
			(void)ctl_fail(0, "%s", ctl_safe(ctl_str(record,
			    "flaw"), safe, sizeof(safe)));
	if (code == 0 && i > 0) {
		record = json_array_get(records, i - 1);
		ctl_record(c, columns, record);
		code = ctl_int(record, "flaws") > 0 ? 1 : 0;
	}
	if (code == 1)
		(void)ctl_fail(0, "restore a backup: authd --recover --from "
		    "FOLDER%s%s (see authd(8))", ctl_authd_option(c),
		    ctl_authd_value(c));
	json_decref(records);
	return code;
}

int
ctl_db_compact(struct ctl *c)
{
	static const struct ctl_column columns[] = {
		{ "FILE", "file", CTL_TEXT },
		{ "BEFORE", "octets_before", CTL_OCTETS },
		{ "AFTER", "octets_after", CTL_OCTETS },
		{ NULL, NULL, 0 },
	};
	json_t *records = json_array();
	int code = ctl_ask_long(c, "users", json_pack("{s:s}", "verb",
	    "db.compact"), CTL_DB_WAIT_S, records);

	if (code == 0)
		ctl_table(c, columns, records);
	json_decref(records);
	return code;
}

int
ctl_db_recover(struct ctl *c)
{
	const char *option = ctl_authd_option(c), *value = ctl_authd_value(c);

	return ctl_fail(EX_UNAVAILABLE, "the database is recovered by each "
	    "start of authd. To do it by hand, or to\nrestore a backup, stop "
	    "authd and run as root:\n"
	    "  authd --recover%s%s [--fatal]\n"
	    "  authd --recover --from FOLDER%s%s\nSee authd(8).",
	    option, value, option, value);
}
