/*
 * ownfile.h - small files of popd-mbox's own in a Maildir, beside what other
 * programs and the user put there: no link is followed, and nothing that is no
 * file is waited for. Blocking. Private to popd/mbox/.
 */
#ifndef SUBMITD_MBOX_OWNFILE_H
#define SUBMITD_MBOX_OWNFILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "lib/err.h"

/* The file `name` of the Maildir at `path` below root_fd, and what it is; flags
 * (O_RDONLY, O_CREAT) are open(2)'s. Returns the descriptor or ERR_NOTFOUND,
 * ERR_DENIED (a link, or no file of its own), ERR_LIMIT, ERR_SYSTEM. */
int	ownfile_open(int root_fd, const char *path, const char *name,
	    int flags, struct stat *ret, struct err *reterr);

/* A time that is kept as that of an empty file. *ret_s: 0 without the file. */
int	ownfile_get_time(int root_fd, const char *path, const char *name,
	    int64_t *ret_s, struct err *reterr);
/* only_later: a time that is not later than the one there changes nothing. */
int	ownfile_set_time(int root_fd, const char *path, const char *name,
	    int64_t time_s, bool only_later, struct err *reterr);

#endif
