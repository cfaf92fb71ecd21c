/*
 * dbenv_space.c - the disk under the database: may a change be begun, and room
 * for a recovery when it is full. Runs in authd-core only. It must never be the
 * one that fills the disk: the reserve is made only where much more is free,
 * or, when changes are refused anyhow, of what others would fill next.
 */
#include "config.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "db/dbenv_private.h"

#define DBENV_RESUME_OCTETS	(DBENV_KEEP_OCTETS / 4 * 5)
#define DBENV_RESERVE_FILE	"reserve"
#define DBENV_RESERVE_OCTETS	((uint64_t)16 * 1024 * 1024)
#define DBENV_RECOVERY_OCTETS	(DBENV_RESERVE_OCTETS / 2)	/* not lent */
#define DBENV_LOAN_OCTETS	((uint64_t)256 * 1024)
#define DBENV_SLACK_OCTETS	((uint64_t)1024 * 1024)
#define DBENV_KEEP_FILES	8u

/* What an unprivileged process may still write. A file system that has run out
 * of inodes has no room for the next file of the log. */
static uint64_t
dbenv_free_octets(const struct dbenv *e)
{
	struct statvfs v;

	if (fstatvfs(e->home_fd, &v) != 0)
		return UINT64_MAX;	/* then Berkeley DB finds out */
	if (v.f_files > 0 && v.f_favail < DBENV_KEEP_FILES)
		return 0;
	return (uint64_t)v.f_bavail * v.f_frsize;
}

bool
dbenv_has_space(struct dbenv *e)
{
	bool full = atomic_load(&e->full);

	full = dbenv_free_octets(e) < (full ? DBENV_RESUME_OCTETS :
	    DBENV_KEEP_OCTETS);
	atomic_store(&e->full, full);
	return !full;
}

/* Recovery writes pages and log. What it needs when the disk is full was kept
 * for it; that must then not pass for space that came back. */
void
dbenv_reserve_release(struct dbenv *e)
{
	int fd;

	if (dbenv_has_space(e))
		return;
	fd = openat(e->home_fd, DBENV_RESERVE_FILE, O_WRONLY | O_CLOEXEC |
	    O_NOFOLLOW);
	if (fd < 0)
		return;
	(void)!ftruncate(fd, 0);
	close(fd);
}

bool
dbenv_reserve_lend(struct dbenv *e)
{
	struct stat st;
	bool lent;
	int fd;

	fd = openat(e->home_fd, DBENV_RESERVE_FILE, O_WRONLY | O_CLOEXEC |
	    O_NOFOLLOW);
	if (fd < 0)
		return false;
	lent = fstat(fd, &st) == 0 &&
	    (uint64_t)st.st_size >= DBENV_RECOVERY_OCTETS + DBENV_LOAN_OCTETS &&
	    ftruncate(fd, st.st_size - (off_t)DBENV_LOAN_OCTETS) == 0;
	close(fd);
	return lent;
}

void
dbenv_reserve_keep(struct dbenv *e)
{
	uint64_t left = dbenv_free_octets(e), want = DBENV_RESERVE_OCTETS, have;
	struct stat st;
	int fd;

	fd = openat(e->home_fd, DBENV_RESERVE_FILE, O_WRONLY | O_CREAT |
	    O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && (uint64_t)st.st_size < want) {
		have = (uint64_t)st.st_size;
		if (left < DBENV_RESUME_OCTETS + (want - have))
			want = !dbenv_has_space(e) && left > DBENV_SLACK_OCTETS ?
			    have + left - DBENV_SLACK_OCTETS : have;
		if (want > DBENV_RESERVE_OCTETS)
			want = DBENV_RESERVE_OCTETS;
		if (want > have)
			(void)posix_fallocate(fd, (off_t)have,
			    (off_t)(want - have));
	}
	close(fd);
}
