/*
 * sizes_file.c - "submitd-sizes" as a file: see sizes.h. Runs on the threads of
 * popd-mbox. Nothing depends on it: no failure here is anybody's.
 */
#include "config.h"
#include "popd/mbox/sizes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/beneath.h"
#include "lib/fio.h"

static char *
sizes_read(int fd, size_t *ret_len)
{
	struct stat st;
	size_t len = 0;
	ssize_t n = 1;
	char *text;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1 ||
	    st.st_size > SIZES_FILE_MAX ||
	    (text = malloc((size_t)st.st_size + 1)) == NULL)
		return NULL;
	while (len < (size_t)st.st_size && n > 0) {
		n = read(fd, text + len, (size_t)st.st_size - len);
		if (n > 0)
			len += (size_t)n;
		else if (n < 0 && errno == EINTR)
			n = 1;
	}
	*ret_len = len;
	return text;
}

struct sizes *
sizes_load(int dir_fd)
{
	struct sizes *z = NULL;
	size_t len = 0;
	char *text;
	int fd;

	fd = beneath_open(dir_fd, SIZES_NAME, O_RDONLY | O_NOFOLLOW |
	    O_NONBLOCK | O_NOCTTY, 0, NULL);
	if (fd < 0)
		return NULL;
	text = sizes_read(fd, &len);
	close(fd);
	if (text != NULL && sizes_parse(text, len, &z) != 0)
		z = NULL;
	free(text);
	return z;
}

static int
sizes_write(int dir_fd, const struct buf *text)
{
	int fd, r;

	fio_forget(dir_fd, SIZES_NAME_NEW);
	fd = fio_openat(dir_fd, SIZES_NAME_NEW, O_WRONLY | O_CREAT | O_EXCL |
	    O_NOFOLLOW, 0600, NULL);
	if (fd < 0)
		return fd;
	r = fio_write_all(fd, buf_data(text), buf_len(text), SIZES_NAME, NULL);
	close(fd);
	if (r == 0)
		r = fio_renameat(dir_fd, SIZES_NAME_NEW, dir_fd, SIZES_NAME,
		    NULL);
	return r;
}

void
sizes_store(int dir_fd, struct sizes_line *v, size_t n)
{
	struct buf text;

	buf_init(&text, SIZES_FILE_MAX);
	if (n > SIZES_LINES_MAX)
		n = SIZES_LINES_MAX;
	if (sizes_format(v, n, &text) == 0 && sizes_write(dir_fd, &text) != 0)
		fio_forget(dir_fd, SIZES_NAME_NEW);
	buf_free(&text);
}
