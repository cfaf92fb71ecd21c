/*
 * control_db.c - the verbs that care for the database. On the one thread that
 * is kept for what takes long, so that one of them runs at a time. In
 * authd-core, which cannot write outside its folder: a backup leaves it as
 * descriptors, and what they show is removed already.
 */
#include "config.h"

#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/control_private.h"
#include "lib/fio.h"
#include "lib/manifest.h"
#include "lib/str.h"

_Static_assert(MANIFEST_FORMAT == DBENV_VERSION, "one is the other");

static void
control_db_flaw(void *ctx, const char *text)
{
	struct control_job *j = ctx;
	char safe[320];
	size_t i;

	/* Names in it are as they stand in a file that is damaged. */
	(void)str_copy_n(safe, sizeof(safe), text, strnlen(text,
	    sizeof(safe) - 1));
	for (i = 0; safe[i] != '\0'; i++)
		if (safe[i] < 0x20 || safe[i] >= 0x7f)
			safe[i] = '?';
	(void)json_array_append_new(j->records, json_pack("{s:s}", "flaw",
	    safe));
}

static void
control_db_counts(struct control_job *j, const struct dbenv_counts *n)
{
	control_job_set(j, "users", json_integer((json_int_t)n->users));
	control_job_set(j, "addresses",
	    json_integer((json_int_t)n->addresses));
	control_job_set(j, "grants", json_integer((json_int_t)n->grants));
	control_job_set(j, "others", json_integer((json_int_t)n->others));
	control_job_set(j, "databases",
	    json_integer((json_int_t)n->databases));
	control_job_set(j, "octets", json_integer((json_int_t)n->octets));
	control_job_set(j, "flaws", json_integer((json_int_t)n->flaws));
}

/* The memory of its caches goes back to the system, too. */
static void
control_db_tidy(void)
{
	dbenv_scratch_remove(".");
	(void)malloc_trim(0);
}

int
control_db_check(struct control_job *j)
{
	struct dbenv_counts n;
	int r = dbenv_backup(j->core->dbenv, control_db_flaw, j, &n, &j->err);

	control_db_tidy();
	if (r == 0)
		control_db_counts(j, &n);
	return r;
}

/* ----------------------------------------------------------------- backup -- */

static bool
control_db_is_copied(const char *name)
{
	return strncmp(name, "log.", 4) == 0 ||
	    manifest_is_database(name);
}

/* One record for each file in `folder` that `wanted` wants. */
static int
control_db_open_all(struct control_job *j, const char *folder,
    bool (*wanted)(const char *name))
{
	DIR *d = opendir(folder);
	struct dirent *de;
	struct stat st;
	int fd, r = 0;

	if (d == NULL)
		return err_sys(&j->err, "%s", folder);
	while (r == 0 && (de = readdir(d)) != NULL) {
		if (!wanted(de->d_name) || !manifest_is_name(de->d_name))
			continue;
		if (j->n_fds == CONTROL_FDS_MAX) {
			r = err_set(&j->err, ERR_LIMIT,
			    "more than %d files", CONTROL_FDS_MAX);
			break;
		}
		fd = fio_openat(dirfd(d), de->d_name, O_RDONLY | O_NOFOLLOW,
		    0, &j->err);
		if (fd < 0) {
			r = fd;
			break;
		}
		j->fds[j->n_fds++] = fd;	/* closed with the job */
		if (fstat(fd, &st) != 0) {
			r = err_sys(&j->err, "%s", de->d_name);
			break;
		}
		(void)json_array_append_new(j->records, json_pack(
		    "{s:s, s:I}", "file", de->d_name, "octets",
		    (json_int_t)st.st_size));
	}
	closedir(d);
	return r;
}

int
control_db_backup(struct control_job *j)
{
	struct dbenv_counts n;
	int r = dbenv_backup(j->core->dbenv, control_db_flaw, j, &n, &j->err);

	json_array_clear(j->records);
	if (r == 0 && n.flaws > 0)
		r = err_set(&j->err, ERR_CORRUPT, "the copy has %llu flaws: "
		    "see submitctl db check", (unsigned long long)n.flaws);
	if (r == 0)
		r = control_db_open_all(j, DBENV_SCRATCH,
		    control_db_is_copied);
	if (r == 0)
		r = control_db_open_all(j, ".", manifest_is_key);
	control_db_tidy();
	if (r != 0)
		return r;
	control_db_counts(j, &n);
	control_job_set(j, "format", json_integer(DBENV_VERSION));
	control_job_set(j, "files", json_integer((json_int_t)j->n_fds));
	return 0;
}

/* ---------------------------------------------------------------- compact -- */

static void
control_db_compacted(void *ctx, const char *file, uint64_t before,
    uint64_t after)
{
	struct control_job *j = ctx;

	(void)json_array_append_new(j->records, json_pack("{s:s, s:I, s:I}",
	    "file", file, "octets_before", (json_int_t)before,
	    "octets_after", (json_int_t)after));
}

int
control_db_compact(struct control_job *j)
{
	return dbenv_compact(j->core->dbenv, control_db_compacted, j,
	    &j->err);
}
