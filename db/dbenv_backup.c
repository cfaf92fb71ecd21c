/*
 * dbenv_backup.c - copies of the environment while it is in use, and giving
 * unused pages back. Runs in authd-core, on a thread, and in its --recover
 * mode. A copy is whole only once it was recovered and checked: what
 * DB_ENV->backup() leaves is pages and log of different moments.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "db/dbenv_private.h"
#include "lib/str.h"

#define DBENV_PATH_SIZE		512
#define DBENV_COMPACT_PAGES	2000u	/* freed before a look at the disk */
#define DBENV_COMPACT_PASSES	5
#define DBENV_COMPACT_FILL	90	/* per cent: room for what comes */

void
dbenv_scratch_remove(const char *home)
{
	char path[DBENV_PATH_SIZE];
	struct dirent *de;
	DIR *d;

	if (str_format(path, sizeof(path), "%s/" DBENV_SCRATCH, home) != 0 ||
	    (d = opendir(path)) == NULL)
		return;
	while ((de = readdir(d)) != NULL)
		(void)unlinkat(dirfd(d), de->d_name, 0);
	closedir(d);
	(void)rmdir(path);
}

static int
dbenv_is_database(const struct dirent *de)
{
	size_t len = strlen(de->d_name);

	return de->d_name[0] != '_' && len > 3 &&
	    strcmp(de->d_name + len - 3, ".db") == 0;
}

int
dbenv_each_file(const char *home, int (*each)(void *ctx, const char *name,
    struct err *reterr), void *ctx, struct err *reterr)
{
	struct dirent **v;
	int n, r = 0;

	if ((n = scandir(home, &v, dbenv_is_database, alphasort)) < 0)
		return err_sys(reterr, "%s", home);
	for (int i = 0; i < n; i++) {
		if (r == 0)
			r = each(ctx, v[i]->d_name, reterr);
		free(v[i]);
	}
	free(v);
	return r;
}

/* ----------------------------------------------------------------- backup -- */

/* A second copy of files and log, and its own log. */
static int
dbenv_backup_room(const struct dbenv *e, struct err *reterr)
{
	uint64_t need = 2 * DBENV_KEEP_OCTETS, left;
	struct statvfs v;
	struct dirent *de;
	struct stat st;
	DIR *d;

	if ((d = opendir(e->home)) == NULL ||
	    fstatvfs(e->home_fd, &v) != 0) {
		(void)err_sys(reterr, "%s", e->home);
		if (d != NULL)
			closedir(d);
		return ERR_SYSTEM;
	}
	while ((de = readdir(d)) != NULL)
		if ((dbenv_is_database(de) ||
		    strncmp(de->d_name, "log.", 4) == 0) &&
		    fstatat(dirfd(d), de->d_name, &st, 0) == 0)
			need += (uint64_t)st.st_size;
	closedir(d);
	left = (uint64_t)v.f_bavail * v.f_frsize;
	return left >= need ? 0 : err_set(reterr, ERR_NOSPACE,
	    "a copy beside the database takes %llu MiB, and %llu are free",
	    (unsigned long long)(need >> 20),
	    (unsigned long long)(left >> 20));
}

/* No file of the log may go while it is being copied. */
static int
dbenv_copy(struct dbenv *e, const char *target, struct err *reterr)
{
	int rc, rc2;

	if ((rc = e->env->log_set_config(e->env, DB_LOG_AUTO_REMOVE, 0)) == 0)
		rc = e->env->backup(e->env, target, DB_CREATE);
	rc2 = e->env->log_set_config(e->env, DB_LOG_AUTO_REMOVE, 1);
	return dbenv_result(e, rc != 0 ? rc : rc2, "backup", reterr);
}

int
dbenv_backup(struct dbenv *e, dbenv_flaw_fn *flaw, void *ctx,
    struct dbenv_counts *ret, struct err *reterr)
{
	char path[DBENV_PATH_SIZE];
	int r;

	dbenv_scratch_remove(e->home);
	if (str_format(path, sizeof(path), "%s/" DBENV_SCRATCH, e->home) != 0)
		return err_set(reterr, ERR_LIMIT, "%s: too long", e->home);
	if ((r = dbenv_backup_room(e, reterr)) != 0)
		return r;
	if (mkdir(path, 0700) != 0)
		return err_sys(reterr, "%s", path);
	if ((r = dbenv_copy(e, path, reterr)) != 0)
		return r;
	return dbenv_check(path, true, flaw, ctx, ret, reterr);
}

/* ---------------------------------------------------------------- compact -- */

struct dbenv_compacting {
	struct dbenv		*e;
	dbenv_compact_fn	*each;
	void			*ctx;
};

static uint64_t
dbenv_file_octets(const struct dbenv *e, const char *name)
{
	struct stat st;

	return fstatat(e->home_fd, name, &st, 0) == 0 ?
	    (uint64_t)st.st_size : 0;
}

/* Some pages at a time, each in small transactions of its own, so that others
 * get their locks, the log its checkpoints, and the disk is looked at: what is
 * moved is written to the log first. */
static int
dbenv_compact_pass(struct dbenv *e, DB *db, const char *name,
    struct err *reterr)
{
	DB_COMPACT c;
	DBT start = { 0 }, end = { 0 };
	int rc, tries = 0;

	do {
		if (!dbenv_has_space(e)) {
			free(start.data);
			return err_set(reterr, ERR_NOSPACE, "%s: the disk that "
			    "holds the database is full", name);
		}
		c = (DB_COMPACT){ .compact_fillpercent = DBENV_COMPACT_FILL,
		    .compact_pages = DBENV_COMPACT_PAGES };
		memset(&end, 0, sizeof(end));
		end.flags = DB_DBT_MALLOC;
		rc = db->compact(db, NULL, start.size > 0 ? &start : NULL,
		    NULL, &c, DB_FREE_SPACE, &end);
		if (rc == DB_LOCK_DEADLOCK && ++tries < 100) {
			free(end.data);
			rc = 0;
			continue;
		}
		free(start.data);
		start = (DBT){ .data = end.data, .size = end.size };
		(void)e->env->txn_checkpoint(e->env, DBENV_CHECKPOINT_LOG_KB,
		    0, 0);
	} while (rc == 0 && start.size > 0 &&
	    c.compact_pages_free >= DBENV_COMPACT_PAGES);
	free(start.data);
	return dbenv_result(e, rc, name, reterr);
}

/* A pass moves pages to where others were free; the next one can cut off what
 * the last one emptied. */
static int
dbenv_compact_db(struct dbenv *e, DB *db, const char *name,
    struct err *reterr)
{
	uint64_t before, after = dbenv_file_octets(e, name);
	int r, pass = 0;

	do {
		before = after;
		if ((r = dbenv_compact_pass(e, db, name, reterr)) == 0)
			r = dbenv_result(e, e->env->txn_checkpoint(e->env, 0,
			    0, DB_FORCE), "checkpoint", reterr);
		after = dbenv_file_octets(e, name);
	} while (r == 0 && after < before && ++pass < DBENV_COMPACT_PASSES);
	return r;
}

static int
dbenv_compact_file(void *ctx, const char *name, struct err *reterr)
{
	struct dbenv_compacting *c = ctx;
	uint64_t before = dbenv_file_octets(c->e, name);
	DB *db;
	int r;

	if ((r = dbenv_open_db(c->e, name, &db, reterr)) != 0)
		return r;
	r = dbenv_compact_db(c->e, db, name, reterr);
	db->close(db, 0);
	if (r == 0)
		c->each(c->ctx, name, before, dbenv_file_octets(c->e, name));
	return r;
}

int
dbenv_compact(struct dbenv *e, dbenv_compact_fn *each, void *ctx,
    struct err *reterr)
{
	struct dbenv_compacting c = { .e = e, .each = each, .ctx = ctx };

	return dbenv_each_file(e->home, dbenv_compact_file, &c, reterr);
}
