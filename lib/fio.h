/*
 * fio.h - file operations that what is durable goes through.
 *
 * In test builds the n-th call can be made to fail: see fio_fail_at().
 */
#ifndef SUBMITD_FIO_H
#define SUBMITD_FIO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "lib/err.h"

/* Each returns 0 or ERR_SYSTEM / ERR_NOSPACE with errno's text in *reterr;
 * `what` names the thing in that text. */
int	fio_write_all(int fd, const void *p, size_t len, const char *what,
	    struct err *reterr);
int	fio_pwrite_all(int fd, const void *p, size_t len, off_t off,
	    const char *what, struct err *reterr);
/* `iov` may be changed. */
int	fio_pwritev_all(int fd, struct iovec *iov, int n, off_t off,
	    const char *what, struct err *reterr);
int	fio_truncate(int fd, off_t len, const char *what, struct err *reterr);
int	fio_sync(int fd, const char *what, struct err *reterr);	/* fsync */
int	fio_datasync(int fd, const char *what, struct err *reterr);
int	fio_close(int fd, const char *what, struct err *reterr);
int	fio_renameat(int from_dir, const char *from, int to_dir,
	    const char *to, struct err *reterr);
int	fio_unlinkat(int dir, const char *name, struct err *reterr);
/* Removes what may be there after a failure; never made to fail. */
void	fio_forget(int dir, const char *name);
/* O_CLOEXEC is added. Returns the descriptor or an error code (< 0). */
int	fio_openat(int dir, const char *name, int flags, mode_t mode,
	    struct err *reterr);

/* Reads a whole file of at most `max` octets; *ret is malloc'ed, has a NUL
 * behind its *ret_len octets, and is the caller's. ERR_LIMIT if larger. */
int	fio_read_file(int dir, const char *name, size_t max, char **ret,
	    size_t *ret_len, struct err *reterr);

/* An anonymous sealed file (memfd) with these octets; -1 and errno. */
int	fio_memfd(const char *name, const void *p, size_t len);

/* A stream socket, not blocking, connected to the UNIX socket at `path`; or an
 * error code (< 0), whose text does not name the path: users may be told. */
int	fio_connect_unix(const char *path, struct err *reterr);
/* An exclusive flock(2). A predecessor that is just ending is waited for, up to
 * wait_ms. ERR_EXISTS: held by another process. ERR_SYSTEM: errno is set. */
int	fio_lock(int fd, int wait_ms);

/* mkdir -p for the last two components at most; 0 where it exists. */
int	fio_mkdir(const char *path, mode_t mode, struct err *reterr);

/* Test builds: call number `n` from now (1 is the next) fails with `error`;
 * 0 switches off. Also set at start from SUBMITD_TEST_FAIL="n:ENOSPC" as
 * decimal errno. Release builds: nothing happens. */
void	fio_fail_at(unsigned int n, int error);

/* What reached the kernel, in test builds: fn is called behind each call that
 * succeeded, on its thread, and for a flush that was made to fail (UNSYNC).
 * NULL switches off. */
enum fio_kind {
	FIO_OPEN, FIO_WRITE, FIO_TRUNCATE, FIO_SYNC, FIO_UNSYNC, FIO_RENAME,
	FIO_UNLINK
};
struct fio_event {
	enum fio_kind	 kind;
	int		 fd;		/* or the folder of `name` */
	int		 to_dir;	/* RENAME */
	const char	*name, *to;
	const void	*data;		/* WRITE */
	size_t		 len;
	off_t		 off;		/* or the new length */
	int		 got;		/* OPEN: the descriptor */
};
typedef void fio_watch_fn(const struct fio_event *e);
void	fio_watch(fio_watch_fn *fn);

#endif
