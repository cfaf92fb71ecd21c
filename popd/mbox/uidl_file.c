/*
 * uidl_file.c - the files of uidl.h in a Maildir. Runs on the threads of
 * popd-mbox. It must never follow a link, nor wait on what is no file.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/beneath.h"
#include "lib/fio.h"
#include "popd/mbox/ownfile.h"
#include "popd/mbox/uidl_private.h"

#define UIDL_NEW_FILE	".submitd-uidl.new"

/* ---------------------------------------------------------------- reading -- */

/* All of it, up to the size it had. */
static int
uidl_read_fd(int fd, char *dst, size_t size, size_t *ret_len,
    struct err *reterr)
{
	ssize_t n = 1;

	for (*ret_len = 0; *ret_len < size && n != 0; ) {
		n = read(fd, dst + *ret_len, size - *ret_len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(reterr, "read");
		*ret_len += (size_t)n;
	}
	return 0;
}

int
uidl_read(int root_fd, const char *path, const char *name, char **ret,
    size_t *ret_len, int64_t *ret_mtime_s, struct err *reterr)
{
	struct stat st;
	int r, fd = ownfile_open(root_fd, path, name, O_RDONLY, &st,
	    reterr);

	*ret = NULL;
	if (fd < 0)
		return fd;
	if (st.st_size > (off_t)UIDL_OCTETS_MAX)
		r = err_set(reterr, ERR_LIMIT, "%s: it is larger than any that "
		    "is read", name);
	else if ((*ret = malloc((size_t)st.st_size + 1)) == NULL)
		r = err_set(reterr, ERR_NOMEM, "no memory");
	else
		r = uidl_read_fd(fd, *ret, (size_t)st.st_size, ret_len,
		    reterr);
	close(fd);
	if (r != 0) {
		free(*ret);
		*ret = NULL;
	}
	if (ret_mtime_s != NULL)
		*ret_mtime_s = st.st_mtim.tv_sec;
	return r;
}

int
uidl_load(int root_fd, const char *path, struct uidl_map **ret,
    struct err *reterr)
{
	size_t len;
	char *text;
	int r = uidl_read(root_fd, path, UIDL_FILE, &text, &len, NULL, reterr);

	*ret = NULL;
	if (r == ERR_NOTFOUND)
		return 0;
	return r != 0 ? r : uidl_parse(text, len, ret, reterr);
}

static int64_t
uidl_ns(const struct timespec *t)
{
	return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

int
uidl_stamp(int root_fd, const char *path, struct uidl_stamp *ret,
    struct err *reterr)
{
	struct stat st;
	int fd = ownfile_open(root_fd, path, UIDL_FILE, O_RDONLY, &st,
	    reterr);

	*ret = (struct uidl_stamp){ 0 };
	if (fd == ERR_NOTFOUND)
		return 0;
	if (fd < 0)
		return fd;
	close(fd);
	*ret = (struct uidl_stamp){ .ino = st.st_ino,
		.size = (uint64_t)st.st_size,
		.mtime_ns = uidl_ns(&st.st_mtim),
		.ctime_ns = uidl_ns(&st.st_ctim) };
	return 0;
}

/* ---------------------------------------------------------------- writing -- */

static int
uidl_write(int dir_fd, const char *text, size_t len, struct err *reterr)
{
	int r, fd;

	fio_forget(dir_fd, UIDL_NEW_FILE);	/* of a process that died */
	fd = fio_openat(dir_fd, UIDL_NEW_FILE, O_WRONLY | O_CREAT | O_EXCL |
	    O_NOFOLLOW, 0640, reterr);
	if (fd < 0)
		return fd;
	r = fio_write_all(fd, text, len, UIDL_FILE, reterr);
	if (r == 0)
		r = fio_sync(fd, UIDL_FILE, reterr);
	if (r == 0)
		r = fio_close(fd, UIDL_FILE, reterr);
	else
		close(fd);
	if (r == 0)
		r = fio_renameat(dir_fd, UIDL_NEW_FILE, dir_fd, UIDL_FILE,
		    reterr);
	if (r == 0)
		return fio_sync(dir_fd, UIDL_FILE, reterr);
	fio_forget(dir_fd, UIDL_NEW_FILE);
	return r;
}

int
uidl_check_store(int root_fd, const char *path, struct err *reterr)
{
	int fd = beneath_open(root_fd, path, O_PATH | O_DIRECTORY, 0, reterr);
	int r = 0;

	if (fd < 0)
		return fd;
	if (faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) != 0)
		r = err_sys(reterr, "the Maildir cannot be written to");
	close(fd);
	return r;
}

int
uidl_store(int root_fd, const char *path, const struct uidl_map *m,
    struct err *reterr)
{
	size_t len;
	char *text;
	int dir_fd, r = uidl_format(m, &text, &len);

	if (r != 0)
		return err_set(reterr, r, UIDL_FILE ": %s", err_name(r));
	dir_fd = beneath_open(root_fd, path, O_RDONLY | O_DIRECTORY, 0, reterr);
	r = dir_fd;
	if (dir_fd >= 0) {
		r = uidl_write(dir_fd, text, len, reterr);
		close(dir_fd);
	}
	free(text);
	return r;
}

/* -------------------------------------------------------- what was shown -- */

int
uidl_get_shown(int root_fd, const char *path, int64_t *ret_s,
    struct err *reterr)
{
	return ownfile_get_time(root_fd, path, UIDL_SHOWN_FILE, ret_s, reterr);
}

int
uidl_set_shown(int root_fd, const char *path, int64_t newest_s,
    struct err *reterr)
{
	return ownfile_set_time(root_fd, path, UIDL_SHOWN_FILE, newest_s, true,
	    reterr);
}
