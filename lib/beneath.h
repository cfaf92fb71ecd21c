/*
 * beneath.h - opens paths that may not leave a folder (openat2(2)).
 *
 * For what lies below mail_root: no symbolic link is followed anywhere in the
 * path, and neither ".." nor a mount trick leads out of `root_fd`.
 */
#ifndef SUBMITD_BENEATH_H
#define SUBMITD_BENEATH_H

#include <sys/types.h>

#include "lib/err.h"

/* O_CLOEXEC is added; `mode` counts with O_CREAT only. Returns the descriptor
 * or ERR_NOTFOUND (ENOENT), ERR_DENIED (ELOOP, EXDEV: it would leave), ERR_SYSTEM,
 * ERR_NOSPACE. The text does not name the path. */
int	beneath_open(int root_fd, const char *path, int flags, mode_t mode,
	    struct err *reterr);
/* The same, from the loop: only where no disk has to be asked for the path (not
 * with O_CREAT). ERR_AWAY: a thread must do it. */
int	beneath_open_cached(int root_fd, const char *path, int flags);

#endif
