/*
 * beneath.c - see beneath.h. Runs in popd-mbox and submitd-local.
 */
#include "config.h"
#include "lib/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

int
beneath_open(int root_fd, const char *path, int flags, mode_t mode,
    struct err *reterr)
{
	struct open_how how = {
		.flags = (unsigned int)(flags | O_CLOEXEC),
		.mode = flags & O_CREAT ? mode : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
		    RESOLVE_NO_MAGICLINKS,
	};
	int tries = 8;
	long fd;

	do	/* EAGAIN: a rename raced with RESOLVE_BENEATH (openat2(2)) */
		fd = syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
	while (fd < 0 && (errno == EINTR || errno == EAGAIN) && --tries > 0);
	if (fd >= 0)
		return (int)fd;
	switch (errno) {
	case ENOENT:
		return err_set(reterr, ERR_NOTFOUND, "it does not exist");
	case ELOOP:
	case EXDEV:
		return err_set(reterr, ERR_DENIED,
		    "the path leads out of mail_root or over a symbolic link");
	default:
		return err_sys(reterr, "openat2");
	}
}
