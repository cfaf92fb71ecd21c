/*
 * authd_restore.c - a backup of submitctl db backup put in place of the
 * database. Runs in authd --recover, as root, with the lock held. All of it is
 * copied and compared with its manifest before the first file of the old
 * database moves; while files move, a mark keeps authd-core from opening what
 * is half the one and half the other.
 */
#include "config.h"

#include "auth/authd_recover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fio.h"
#include "lib/manifest.h"
#include "lib/priv.h"
#include "lib/str.h"

#define RESTORE_NEW	"restore.new"
#define RESTORE_MARK	"restoring"		/* db/dbenv.h knows it too */
#define RESTORE_OLD	"before-restore."
#define RESTORE_OLD_MAX	1000

struct restore {
	const struct conf	*conf;
	int			 from;		/* folders */
	int			 db;
	int			 fresh;		/* RESTORE_NEW */
	int			 old;		/* -1: there was nothing */
	uid_t			 uid;
	gid_t			 gid;
	struct manifest		 m;
};

static int
restore_read_manifest(struct restore *s, const char *from, struct err *reterr)
{
	struct err e = { 0 };
	char *text;
	size_t len;
	int r;

	s->from = fio_openat(AT_FDCWD, from, O_RDONLY | O_DIRECTORY, 0,
	    reterr);
	if (s->from < 0)
		return s->from;
	if (fio_read_file(s->from, MANIFEST_FILE, MANIFEST_TEXT_MAX, &text,
	    &len, &e) != 0)
		return err_set(reterr, ERR_FORMAT, "%.200s is no whole backup "
		    "of submitctl db backup: %.80s", from, e.text);
	r = strlen(text) != len ? err_set(reterr, ERR_FORMAT,
	    MANIFEST_FILE ": it is no text") :
	    manifest_parse(text, &s->m, reterr);
	free(text);
	if (r == 0 && s->m.format > MANIFEST_FORMAT)
		r = err_set(reterr, ERR_FORMAT, "%.200s was made by a newer "
		    "version (format %llu, this program knows %u)", from,
		    (unsigned long long)s->m.format, MANIFEST_FORMAT);
	return r;
}

/* What an interrupted restore left. */
static void
restore_remove_fresh(const struct restore *s)
{
	int fd = openat(s->db, RESTORE_NEW, O_RDONLY | O_DIRECTORY |
	    O_NOFOLLOW | O_CLOEXEC);
	struct dirent *de;
	DIR *d;

	if (fd < 0 || (d = fdopendir(fd)) == NULL)
		return;
	while ((de = readdir(d)) != NULL)
		(void)unlinkat(fd, de->d_name, 0);
	closedir(d);
	(void)unlinkat(s->db, RESTORE_NEW, AT_REMOVEDIR);
}

/* A new folder in db_dir, the role's own. */
static int
restore_mkdir(const struct restore *s, const char *name, struct err *reterr)
{
	int fd;

	if (mkdirat(s->db, name, 0700) != 0)
		return err_sys(reterr, "%s/%s", s->conf->db_dir, name);
	fd = fio_openat(s->db, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0,
	    reterr);
	if (fd >= 0 && priv_is_root() && fchown(fd, s->uid, s->gid) != 0) {
		close(fd);
		return err_sys(reterr, "%s/%s", s->conf->db_dir, name);
	}
	return fd;
}

static int
restore_copy(const struct restore *s, const struct manifest_file *f,
    struct err *reterr)
{
	struct manifest_file got = { .octets = 0 };
	int from, to, r;

	memcpy(got.name, f->name, sizeof(got.name));
	from = fio_openat(s->from, f->name, O_RDONLY | O_NONBLOCK, 0, reterr);
	if (from < 0)
		return ERR_CORRUPT;
	to = fio_openat(s->fresh, f->name, O_WRONLY | O_CREAT | O_EXCL, 0600,
	    reterr);
	if (to < 0) {
		close(from);
		return to;
	}
	r = priv_is_root() && fchown(to, s->uid, s->gid) != 0 ?
	    err_sys(reterr, "%s", f->name) :
	    manifest_copy(from, to, &got, reterr);
	close(from);
	if (r == 0)
		r = fio_close(to, f->name, reterr);
	else
		close(to);
	if (r == 0 && (got.octets != f->octets ||
	    memcmp(got.sha256, f->sha256, sizeof(got.sha256)) != 0))
		r = err_set(reterr, ERR_CORRUPT, "%s in the backup is not "
		    "what its manifest says: nothing was changed", f->name);
	return r;
}

static int
restore_copy_all(struct restore *s, struct err *reterr)
{
	int r = 0;

	restore_remove_fresh(s);
	s->fresh = restore_mkdir(s, RESTORE_NEW, reterr);
	if (s->fresh < 0)
		return s->fresh;
	for (size_t i = 0; i < s->m.n && r == 0; i++)
		r = restore_copy(s, &s->m.v[i], reterr);
	if (r == 0)
		r = fio_sync(s->fresh, RESTORE_NEW, reterr);
	if (r != 0)
		restore_remove_fresh(s);
	return r;
}

/* ------------------------------------------------------------------- move -- */

static bool
restore_stays(const char *name)
{
	static const char *const own[] = { ".", "..", "lock", "reserve",
	    RESTORE_NEW, RESTORE_MARK };

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (strcmp(name, own[i]) == 0)
			return true;
	return strncmp(name, RESTORE_OLD, strlen(RESTORE_OLD)) == 0;
}

static int
restore_make_old(struct restore *s, struct err *reterr)
{
	char name[40];

	for (int i = 1; i < RESTORE_OLD_MAX; i++) {
		(void)snprintf(name, sizeof(name), RESTORE_OLD "%d", i);
		if (faccessat(s->db, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			continue;
		s->old = restore_mkdir(s, name, reterr);
		if (s->old >= 0)
			printf("what stood in %s is in %s now\n",
			    s->conf->db_dir, name);
		return s->old < 0 ? s->old : 0;
	}
	return err_set(reterr, ERR_LIMIT, "%s: remove some of the folders "
	    RESTORE_OLD "N first", s->conf->db_dir);
}

/* The listing is taken first: the folder changes under it. */
static int
restore_move_old(struct restore *s, struct err *reterr)
{
	struct dirent **v;
	int n = scandirat(s->db, ".", &v, NULL, alphasort), r = 0;

	if (n < 0)
		return err_sys(reterr, "%s", s->conf->db_dir);
	for (int i = 0; i < n; i++) {
		if (r == 0 && !restore_stays(v[i]->d_name)) {
			if (s->old < 0)
				r = restore_make_old(s, reterr);
			if (r == 0)
				r = fio_renameat(s->db, v[i]->d_name, s->old,
				    v[i]->d_name, reterr);
		}
		free(v[i]);
	}
	free(v);
	return r == 0 && s->old >= 0 ? fio_sync(s->old, RESTORE_OLD, reterr) :
	    r;
}

static int
restore_mark(const struct restore *s, struct err *reterr)
{
	int fd;

	(void)unlinkat(s->db, RESTORE_MARK, 0);
	fd = fio_openat(s->db, RESTORE_MARK, O_WRONLY | O_CREAT | O_EXCL, 0600,
	    reterr);
	if (fd < 0)
		return fd;
	close(fd);
	return fio_sync(s->db, s->conf->db_dir, reterr);
}

static int
restore_move_all(struct restore *s, struct err *reterr)
{
	int r;

	if ((r = restore_mark(s, reterr)) != 0 ||
	    (r = restore_move_old(s, reterr)) != 0)
		return r;
	for (size_t i = 0; i < s->m.n; i++)
		if ((r = fio_renameat(s->fresh, s->m.v[i].name, s->db,
		    s->m.v[i].name, reterr)) != 0)
			return r;
	if (unlinkat(s->db, RESTORE_NEW, AT_REMOVEDIR) != 0)
		return err_sys(reterr, "%s/" RESTORE_NEW, s->conf->db_dir);
	if ((r = fio_sync(s->db, s->conf->db_dir, reterr)) != 0 ||
	    (r = fio_unlinkat(s->db, RESTORE_MARK, reterr)) != 0)
		return r;
	return fio_sync(s->db, s->conf->db_dir, reterr);
}

int
authd_restore(const struct conf *conf, int db_dir, const char *from,
    struct err *reterr)
{
	static struct restore s;	/* large */
	int r;

	s = (struct restore){ .conf = conf, .db = db_dir, .fresh = -1,
	    .old = -1 };
	if ((r = priv_ids(ROLE_AUTHD_CORE, &s.uid, &s.gid, reterr)) != 0 ||
	    (r = restore_read_manifest(&s, from, reterr)) != 0 ||
	    (r = restore_copy_all(&s, reterr)) != 0 ||
	    (r = restore_move_all(&s, reterr)) != 0)
		return r;
	printf("%zu files restored from %s\n", s.m.n, from);
	return 0;
}
