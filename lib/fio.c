/*
 * fio.c - file operations that what is durable goes through. Linked into every
 * process. No error is ever dropped here, close(2)'s neither; in test builds
 * any single call can be made to fail.
 */
#include "config.h"

#include "lib/fio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lib/str.h"

#define FIO_LOCK_STEP_MS 50

#ifdef SUBMITD_TEST_BUILD

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

static atomic_uint fio_fail_left;
static atomic_int fio_fail_errno;
static pthread_once_t fio_fail_once = PTHREAD_ONCE_INIT;

static void
fio_fail_env(void)
{
	const char *s = getenv("SUBMITD_TEST_FAIL");
	unsigned int n;
	int error;

	if (s != NULL && sscanf(s, "%u:%d", &n, &error) == 2) {
		atomic_store(&fio_fail_errno, error);
		atomic_store(&fio_fail_left, n);
	}
}

void
fio_fail_at(unsigned int n, int error)
{
	pthread_once(&fio_fail_once, fio_fail_env);
	atomic_store(&fio_fail_errno, error);
	atomic_store(&fio_fail_left, n);
}

/* True, with errno set, when it is this call's turn to fail. */
static bool
fio_fails(void)
{
	unsigned int left;

	pthread_once(&fio_fail_once, fio_fail_env);
	left = atomic_load(&fio_fail_left);
	while (left > 0 && !atomic_compare_exchange_weak(&fio_fail_left, &left,
	    left - 1))
		;
	if (left != 1)
		return false;
	errno = atomic_load(&fio_fail_errno);
	return true;
}

static _Atomic(fio_watch_fn *) fio_watcher;

void
fio_watch(fio_watch_fn *fn)
{
	atomic_store(&fio_watcher, fn);
}

static void
fio_tell(const struct fio_event *e)
{
	fio_watch_fn *fn = atomic_load(&fio_watcher);

	if (fn != NULL)
		fn(e);
}

#define FIO_TELL(...) fio_tell(&(const struct fio_event){ __VA_ARGS__ })

#else

#define fio_fails() 0
#define FIO_TELL(...) do { } while (0)

void
fio_watch(fio_watch_fn *fn)
{
	(void)fn;
}

void
fio_fail_at(unsigned int n, int error)
{
	(void)n;
	(void)error;
}

#endif

int
fio_write_all(int fd, const void *p, size_t len, const char *what,
    struct err *reterr)
{
	const char *s = p;
	ssize_t n;

	if (fio_fails())
		return err_sys(reterr, "cannot write %s", what);
	while (len > 0) {
		n = write(fd, s, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(reterr, "cannot write %s", what);
		FIO_TELL(.kind = FIO_WRITE, .fd = fd, .data = s,
		    .len = (size_t)n, .off = lseek(fd, 0, SEEK_CUR) - n);
		s += n;
		len -= (size_t)n;
	}
	return 0;
}

int
fio_pwrite_all(int fd, const void *p, size_t len, off_t off,
    const char *what, struct err *reterr)
{
	const char *s = p;
	ssize_t n;

	if (fio_fails())
		return err_sys(reterr, "cannot write %s", what);
	while (len > 0) {
		n = pwrite(fd, s, len, off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(reterr, "cannot write %s", what);
		FIO_TELL(.kind = FIO_WRITE, .fd = fd, .data = s,
		    .len = (size_t)n, .off = off);
		s += n;
		off += n;
		len -= (size_t)n;
	}
	return 0;
}

#ifdef SUBMITD_TEST_BUILD
static void
fio_tell_pieces(int fd, const struct iovec *iov, int n, off_t off)
{
	size_t len = 0;
	char *p;

	if (atomic_load(&fio_watcher) == NULL)
		return;
	for (int i = 0; i < n; i++)
		len += iov[i].iov_len;
	if ((p = malloc(len + 1)) == NULL)
		abort();
	len = 0;
	for (int i = 0; i < n; i++) {
		memcpy(p + len, iov[i].iov_base, iov[i].iov_len);
		len += iov[i].iov_len;
	}
	FIO_TELL(.kind = FIO_WRITE, .fd = fd, .data = p, .len = len,
	    .off = off);
	free(p);
}
#else
#define fio_tell_pieces(fd, iov, n, off) do { } while (0)
#endif

int
fio_pwritev_all(int fd, struct iovec *iov, int n, off_t off, const char *what,
    struct err *reterr)
{
	ssize_t done;

	if (fio_fails())
		return err_sys(reterr, "cannot write %s", what);
	fio_tell_pieces(fd, iov, n, off);
	while (n > 0) {
		done = pwritev(fd, iov, n, off);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return err_sys(reterr, "cannot write %s", what);
		off += done;
		while (n > 0 && (size_t)done >= iov->iov_len) {
			done -= (ssize_t)iov->iov_len;
			iov++;
			n--;
		}
		if (n > 0) {
			iov->iov_base = (char *)iov->iov_base + done;
			iov->iov_len -= (size_t)done;
		}
	}
	return 0;
}

int
fio_truncate(int fd, off_t len, const char *what, struct err *reterr)
{
	if (fio_fails() || ftruncate(fd, len) < 0)
		return err_sys(reterr, "cannot cut %s", what);
	FIO_TELL(.kind = FIO_TRUNCATE, .fd = fd, .off = len);
	return 0;
}

int
fio_sync(int fd, const char *what, struct err *reterr)
{
	if (fio_fails() || fsync(fd) < 0) {
		FIO_TELL(.kind = FIO_UNSYNC, .fd = fd);
		return err_sys(reterr, "cannot flush %s", what);
	}
	FIO_TELL(.kind = FIO_SYNC, .fd = fd);
	return 0;
}

int
fio_datasync(int fd, const char *what, struct err *reterr)
{
	if (fio_fails() || fdatasync(fd) < 0) {
		FIO_TELL(.kind = FIO_UNSYNC, .fd = fd);
		return err_sys(reterr, "cannot flush %s", what);
	}
	FIO_TELL(.kind = FIO_SYNC, .fd = fd);
	return 0;
}

/* The descriptor is gone in any case, also after EINTR (close(2)). */
int
fio_close(int fd, const char *what, struct err *reterr)
{
	int failed = fio_fails(), error = errno;

	if (close(fd) < 0 && errno != EINTR)
		return err_sys(reterr, "cannot close %s", what);
	if (failed) {
		errno = error;
		return err_sys(reterr, "cannot close %s", what);
	}
	return 0;
}

int
fio_renameat(int from_dir, const char *from, int to_dir, const char *to,
    struct err *reterr)
{
	if (fio_fails() || renameat(from_dir, from, to_dir, to) < 0)
		return err_sys(reterr, "cannot rename %s to %s", from, to);
	FIO_TELL(.kind = FIO_RENAME, .fd = from_dir, .name = from,
	    .to_dir = to_dir, .to = to);
	return 0;
}

int
fio_unlinkat(int dir, const char *name, struct err *reterr)
{
	if (fio_fails() || unlinkat(dir, name, 0) < 0)
		return err_sys(reterr, "cannot remove %s", name);
	FIO_TELL(.kind = FIO_UNLINK, .fd = dir, .name = name);
	return 0;
}

void
fio_forget(int dir, const char *name)
{
	if (unlinkat(dir, name, 0) == 0)
		FIO_TELL(.kind = FIO_UNLINK, .fd = dir, .name = name);
}

int
fio_openat(int dir, const char *name, int flags, mode_t mode,
    struct err *reterr)
{
	int fd = -1;

	if (!fio_fails()) {
		do {
			fd = openat(dir, name, flags | O_CLOEXEC, mode);
		} while (fd < 0 && errno == EINTR);
	}
	if (fd < 0)
		return err_sys(reterr, "cannot open %s", name);
	FIO_TELL(.kind = FIO_OPEN, .fd = dir, .name = name, .got = fd);
	return fd;
}

/* Reads up to size octets, short only at the end of the file. */
static ssize_t
fio_read_full(int fd, char *p, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size) {
		n = read(fd, p + len, size - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

/* A file may grow while it is read: one octet more than `max` tells. The
 * memory is zeroed before it is given back; it may hold a key. */
static int
fio_read_fd(int fd, const char *name, size_t max, char **ret, size_t *ret_len,
    struct err *reterr)
{
	struct stat st;
	size_t size = max;
	ssize_t n;
	char *p;
	int r = 0;

	if (fstat(fd, &st) < 0)
		return err_sys(reterr, "cannot read %s", name);
	if (S_ISREG(st.st_mode) && (uintmax_t)st.st_size < max)
		size = (size_t)st.st_size;
	p = malloc(size + 1);
	if (p == NULL)
		return err_set(reterr, ERR_NOMEM, "no memory to read %s", name);
	n = fio_read_full(fd, p, size + 1);
	if (n < 0)
		r = err_sys(reterr, "cannot read %s", name);
	else if ((size_t)n > size)
		r = err_set(reterr, ERR_LIMIT, "%s: larger than %zu octets",
		    name, size);
	if (r != 0) {
		explicit_bzero(p, size + 1);
		free(p);
		return r;
	}
	p[n] = '\0';
	*ret = p;
	*ret_len = (size_t)n;
	return 0;
}

int
fio_read_file(int dir, const char *name, size_t max, char **ret,
    size_t *ret_len, struct err *reterr)
{
	int fd, r;

	*ret = NULL;
	*ret_len = 0;
	fd = fio_openat(dir, name, O_RDONLY, 0, reterr);
	if (fd < 0)
		return fd;
	r = fio_read_fd(fd, name, max, ret, ret_len, reterr);
	close(fd);
	return r;
}

int
fio_memfd(const char *name, const void *p, size_t len)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int error;

	if (fd < 0)
		return -1;
	if (fio_write_all(fd, p, len, name, NULL) == 0 &&
	    lseek(fd, 0, SEEK_SET) == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE |
	    F_SEAL_SEAL) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

int
fio_lock(int fd, int wait_ms)
{
	const struct timespec step = { .tv_nsec = FIO_LOCK_STEP_MS * 1000000L };

	while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return ERR_SYSTEM;
		if (wait_ms <= 0)
			return ERR_EXISTS;
		wait_ms -= FIO_LOCK_STEP_MS;
		nanosleep(&step, NULL);
	}
	return 0;
}

static int
fio_mkdir_one(const char *path, mode_t mode)
{
	struct stat st;

	if (mkdir(path, mode) == 0)
		return 0;
	if (errno != EEXIST)
		return -1;
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return 0;
	errno = ENOTDIR;
	return -1;
}

int
fio_mkdir(const char *path, mode_t mode, struct err *reterr)
{
	char parent[4096];
	char *slash;

	if (fio_fails())
		return err_sys(reterr, "cannot make folder %s", path);
	if (fio_mkdir_one(path, mode) == 0)
		return 0;
	if (errno == ENOENT && str_copy(parent, sizeof(parent), path) == 0 &&
	    (slash = strrchr(parent, '/')) != NULL && slash > parent) {
		*slash = '\0';
		if (fio_mkdir_one(parent, mode) == 0 &&
		    fio_mkdir_one(path, mode) == 0)
			return 0;
	}
	return err_sys(reterr, "cannot make folder %s", path);
}

int
fio_connect_unix(const char *path, struct err *reterr)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd, r;

	if (strlen(path) >= sizeof(sun.sun_path))
		return err_set(reterr, ERR_LIMIT, "the path is too long");
	memcpy(sun.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
		return fd;
	r = err_sys(reterr, "no connection");
	if (fd >= 0)
		close(fd);
	return r;
}
