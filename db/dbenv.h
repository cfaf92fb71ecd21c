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
 *  E4  A folder written by a newer version is not opened.
 *
 * All of db/ may be used from several threads at once. Nothing here logs.
 */
#ifndef SUBMITD_DB_DBENV_H
#define SUBMITD_DB_DBENV_H

#include <stdbool.h>

#include "lib/err.h"

#define DBENV_VERSION 1			/* of what stands in the folder */

struct dbenv;				/* opaque; DB_ENV stays in db/ */

/* Opens or creates the environment in the folder `home` ("." after chroot).
 * ERR_EXISTS: another process owns it (the text names its pid). ERR_CONFIG: a
 * newer version wrote it. ERR_CORRUPT, ERR_SYSTEM. *ret is the caller's. */
int	dbenv_open(const char *home, struct dbenv **ret, struct err *reterr);
/* Close userdb and relay_cache first. NULL is fine. */
void	dbenv_close(struct dbenv *e);

/* To be called every minute or so (on a thread): keeps logs and the time of
 * recovery short. */
int	dbenv_checkpoint(struct dbenv *e, struct err *reterr);

/* Berkeley DB gave up (DB_RUNRECOVERY): every call fails from now on. The
 * process should end, for the next one recovers as it opens. */
bool	dbenv_is_broken(const struct dbenv *e);

#endif
