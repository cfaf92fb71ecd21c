/*
 * kept_file.c - "submitd-list" as a file: see kept.h. Runs on the threads of
 * popd-mbox. Nothing depends on it: no failure here is anybody's.
 */
#include "config.h"
#include "popd/mbox/kept.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/beneath.h"
#include "lib/fio.h"
#include "popd/mbox/maildrop.h"

/* What the file has, up to the length that it had before: it may be cut
 * meanwhile. NULL: no memory. */
static void *
kept_read(int fd, size_t *len)
{
	uint8_t *mem = malloc(*len + 1);
	size_t got = 0;
	ssize_t n = 1;

	while (mem != NULL && got < *len && n > 0) {
		n = read(fd, mem + got, *len - got);
		if (n > 0)
			got += (size_t)n;
		else if (n < 0 && errno == EINTR)
			n = 1;
	}
	*len = got;
	return mem;
}

/* Ours alone: nobody can give us a file. */
static bool
kept_is_ours(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_nlink == 1 &&
	    st->st_uid == geteuid() && (st->st_mode & 022) == 0 &&
	    st->st_size <= (off_t)KEPT_OCTETS_MAX;
}

static int
kept_load_fd(int fd, size_t max, bool small, struct list **ret)
{
	struct stat st;
	size_t len;
	void *mem;

	if (fstat(fd, &st) != 0 || !kept_is_ours(&st))
		return 0;
	if (small && st.st_size > (off_t)KEPT_SMALL)
		return MAILDROP_BIG;
	len = (size_t)st.st_size;
	if ((mem = kept_read(fd, &len)) != NULL &&
	    kept_parse(mem, len, max, ret) != 0)
		*ret = NULL;
	free(mem);
	return 0;
}

int
kept_load(int dir_fd, size_t max, bool small, struct list **ret)
{
	int fd, r;

	*ret = NULL;
	fd = beneath_open(dir_fd, KEPT_NAME, O_RDONLY | O_NOFOLLOW |
	    O_NONBLOCK | O_NOCTTY, 0, NULL);
	if (fd < 0)
		return 0;
	r = kept_load_fd(fd, max, small, ret);
	close(fd);
	return r;
}

static int
kept_write(int fd, const struct list *l)
{
	size_t len;
	void *mem;
	int r;

	if ((r = kept_format(l, &mem, &len)) != 0)
		return r;
	r = len > KEPT_OCTETS_MAX ? ERR_LIMIT :
	    fio_write_all(fd, mem, len, KEPT_NAME, NULL);
	free(mem);
	return r;
}

bool
kept_store(int dir_fd, const struct list *l)
{
	int fd, r;

	fio_forget(dir_fd, KEPT_NAME_NEW);
	fd = fio_openat(dir_fd, KEPT_NAME_NEW, O_WRONLY | O_CREAT | O_EXCL |
	    O_NOFOLLOW, 0600, NULL);
	if (fd < 0)
		return false;
	r = kept_write(fd, l);
	close(fd);
	if (r == 0)
		r = fio_renameat(dir_fd, KEPT_NAME_NEW, dir_fd, KEPT_NAME,
		    NULL);
	if (r != 0)
		fio_forget(dir_fd, KEPT_NAME_NEW);
	return r == 0;
}

void
kept_forget(int dir_fd)
{
	fio_forget(dir_fd, KEPT_NAME);
}
