/*
 * ownfile.c - see ownfile.h. Runs on the threads of popd-mbox. It must never
 * follow a link, nor wait on what is no file.
 */
#include "config.h"
#include "popd/mbox/ownfile.h"

#include <fcntl.h>
#include <unistd.h>

#include "lib/beneath.h"
#include "lib/maildir.h"
#include "lib/str.h"

#define OWNFILE_FLAGS	(O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)

int
ownfile_open(int root_fd, const char *path, const char *name, int flags,
    struct stat *ret, struct err *reterr)
{
	char file[MAILDIR_PATH_MAX + 32];
	int fd, r;

	if (str_format(file, sizeof(file), "%s/%s", path, name) != 0)
		return err_set(reterr, ERR_LIMIT, "its path is too long");
	fd = beneath_open(root_fd, file, flags | OWNFILE_FLAGS, 0640, reterr);
	if (fd < 0)
		return fd;
	if (fstat(fd, ret) != 0) {
		r = err_sys(reterr, "%s", name);
		close(fd);
		return r;
	}
	if (!S_ISREG(ret->st_mode) || ret->st_nlink != 1) {
		close(fd);
		return err_set(reterr, ERR_DENIED, "%s: it is no file of its "
		    "own", name);
	}
	return fd;
}

int
ownfile_get_time(int root_fd, const char *path, const char *name,
    int64_t *ret_s, struct err *reterr)
{
	struct stat st;
	int fd = ownfile_open(root_fd, path, name, O_RDONLY, &st, reterr);

	*ret_s = 0;
	if (fd == ERR_NOTFOUND)
		return 0;
	if (fd < 0)
		return fd;
	close(fd);
	*ret_s = st.st_mtim.tv_sec;
	return 0;
}

int
ownfile_set_time(int root_fd, const char *path, const char *name,
    int64_t time_s, bool only_later, struct err *reterr)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
	    { .tv_sec = time_s } };
	struct stat st;
	int fd, r = 0;

	fd = ownfile_open(root_fd, path, name, O_RDONLY, &st, reterr);
	if (fd == ERR_NOTFOUND) {
		fd = ownfile_open(root_fd, path, name, O_RDONLY | O_CREAT, &st,
		    reterr);
		only_later = false;		/* it is of now */
	}
	if (fd < 0)
		return fd;
	if ((!only_later || time_s > st.st_mtim.tv_sec) &&
	    futimens(fd, times) != 0)
		r = err_sys(reterr, "%s", name);
	close(fd);
	return r;
}
