/*
 * beneath.c - see beneath.h. Runs in popd-mbox and submitd-local.
 */
#include "config.h"
#include "lib/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

static int
beneath_failed(struct err *reterr)
{
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

static long
beneath_openat2(int root_fd, const char *path, int flags, mode_t mode,
    uint64_t resolve)
{
	struct open_how how = {
		.flags = (unsigned int)(flags | O_CLOEXEC),
		.mode = flags & O_CREAT ? mode : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
		    RESOLVE_NO_MAGICLINKS | resolve,
	};

	return syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
}

int
beneath_open(int root_fd, const char *path, int flags, mode_t mode,
    struct err *reterr)
{
	int tries = 8;
	long fd;

	do	/* EAGAIN: a rename raced with RESOLVE_BENEATH (openat2(2)) */
		fd = beneath_openat2(root_fd, path, flags, mode, 0);
	while (fd < 0 && (errno == EINTR || errno == EAGAIN) && --tries > 0);
	return fd >= 0 ? (int)fd : beneath_failed(reterr);
}

int
beneath_open_cached(int root_fd, const char *path, int flags)
{
	long fd = beneath_openat2(root_fd, path, flags, 0, RESOLVE_CACHED);

	/* EINVAL: Linux before 5.12. */
	if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == EINVAL))
		return ERR_AWAY;
	return fd >= 0 ? (int)fd : beneath_failed(NULL);
}
