/*
 * dbenv.h - the Berkeley DB environment of authd-core, its only owner.
 *
 * Invariants:
 *  E1  One process owns the environment: it holds flock(2) on "lock" in the
 *	folder before Berkeley DB looks at a file there, until it ends.
 *  E2  The regions are private memory (DB_PRIVATE); each open runs recovery,
 *	so what was committed is there whatever killed the last owner.
 *  E3  A change of users is on stable storage before it returns; a change of
 *	the relay cache is in the kernel (it survives our death, not the
 *	power's), but revoking is on stable storage.
 *  E4  A folder written by a newer version is not opened; one of an older
 *	version is, and is marked as of this one.
 *  E5  DBENV_KEEP_OCTETS of the disk stay free: with less no change is begun
 *	(ERR_NOSPACE), so that Berkeley DB itself never meets a full disk;
 *	reading goes on. Recovery at a full disk lives on a file kept for it,
 *	which also lends room to changes that take a right away.
 *
 * Memory: the cache (DBENV_CACHE_OCTETS, taken as it is used) and the locks, at
 * most some 40 MiB with DBENV_LOCKS_MAX of them held; the same again while a
 * copy is checked. Log to be replayed at a start: DBENV_CHECKPOINT_LOG_KB and
 * what came since the last dbenv_checkpoint().
 *
 * All of db/ may be used from several threads at once. Nothing here logs.
 */
#ifndef SUBMITD_DB_DBENV_H
#define SUBMITD_DB_DBENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define DBENV_VERSION		4	/* of what stands in the folder */
#define DBENV_CACHE_OCTETS	(64u * 1024 * 1024)
#define DBENV_CHECKPOINT_LOG_KB	8192u
#define DBENV_KEEP_OCTETS	((uint64_t)16 * 1024 * 1024)
#define DBENV_SCRATCH		"scratch"	/* copies, below the folder */
#define DBENV_RESTORING		"restoring"	/* there: half restored */

struct dbenv;				/* opaque; DB_ENV stays in db/ */

/* Opens or creates the environment in the folder `home` ("." after chroot).
 * ERR_EXISTS: another process owns it (the text names its pid). ERR_CONFIG: a
 * newer version wrote it. ERR_CORRUPT, ERR_SYSTEM. *ret is the caller's. */
int	dbenv_open(const char *home, struct dbenv **ret, struct err *reterr);
/* The same with catastrophic recovery: all of the log that is there is run
 * again over the files, which may be older or copied while they changed. */
int	dbenv_open_fatal(const char *home, struct dbenv **ret,
	    struct err *reterr);
/* Close userdb and relay_cache first. NULL is fine. */
void	dbenv_close(struct dbenv *e);

/* To be called every few seconds (on a thread): keeps logs and the time of
 * recovery short, and the file that recovery may need at a full disk. Does
 * nothing that is not due, and no checkpoint without space. */
int	dbenv_checkpoint(struct dbenv *e, struct err *reterr);

/* Berkeley DB gave up (DB_RUNRECOVERY): every call fails from now on. The
 * process should end, for the next one recovers as it opens. */
bool	dbenv_is_broken(const struct dbenv *e);

/* E5: may a change be begun? Cheap: asks the system each time. After a "no"
 * somewhat more must be free for the next "yes". */
bool	dbenv_has_space(struct dbenv *e);

/* ------------------------------------------- care (dbenv_backup.c, _check.c) -- */

/* Removes DBENV_SCRATCH below `home` with what is in it (no folders). */
void	dbenv_scratch_remove(const char *home);

/* While everything runs: a copy in DBENV_SCRATCH, recovered, checked as
 * dbenv_check() does and closed: what stands in it is a whole environment. To
 * be removed by the caller, also after a failure; one at a time.
 * ERR_NOSPACE: no room for a second copy. */
struct dbenv_counts;
typedef void dbenv_flaw_fn(void *ctx, const char *text);
int	dbenv_backup(struct dbenv *e, dbenv_flaw_fn *flaw, void *ctx,
	    struct dbenv_counts *ret, struct err *reterr);

struct dbenv_counts {
	uint64_t	databases;
	uint64_t	octets;		/* of them */
	uint64_t	users;
	uint64_t	addresses;
	uint64_t	grants;
	uint64_t	others;		/* records of other kinds */
	uint64_t	flaws;
};

/* Checks an environment that nobody has open: each file by Berkeley DB, then,
 * if that found nothing, each record by its decoder, and that the files are in
 * step. Every flaw (the first
 * DBENV_FLAWS_MAX) is told as a sentence and counted; it returns 0 with flaws
 * too. `fatal`: opened by dbenv_open_fatal(). */
#define DBENV_FLAWS_MAX 100
int	dbenv_check(const char *home, bool fatal, dbenv_flaw_fn *flaw,
	    void *ctx, struct dbenv_counts *ret, struct err *reterr);

/* Gives unused pages of each database back, while everything runs; tells
 * octets before and after. */
typedef void dbenv_compact_fn(void *ctx, const char *file, uint64_t before,
	    uint64_t after);
int	dbenv_compact(struct dbenv *e, dbenv_compact_fn *each, void *ctx,
	    struct err *reterr);

#endif
