/*
 * authd_recover.h - authd --recover: the database is mended, or a backup put in
 * its place, while nobody serves.
 */
#ifndef SUBMITD_AUTH_AUTHD_RECOVER_H
#define SUBMITD_AUTH_AUTHD_RECOVER_H

#include "lib/conf.h"
#include "lib/err.h"

/* The whole of it; returns only on failure, with the exit code. */
int	authd_recover(int argc, char **argv);

/* authd_restore.c: puts the backup in `from` into db_dir, whose lock is held;
 * what stands there is kept in db_dir/before-restore.N. */
int	authd_restore(const struct conf *conf, int db_dir, const char *from,
	    struct err *reterr);

#endif
