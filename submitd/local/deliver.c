/*
 * deliver.c - one message into one Maildir: tmp/, flushed, then new/, flushed.
 *
 * Runs in submitd-local, on pool threads. The path comes from the user's record
 * in authd; it is opened component by component below mail_root and no symbolic
 * link is followed. Folders are 2770 and files 0660 of one group, for popd-mbox
 * serves and deletes what is written here.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "submitd/local/deliver.h"

#include "lib/beneath.h"
#include "lib/fio.h"
#include "lib/str.h"
#include "submitd/local/usage.h"

#define DELIVER_DIR_MODE 02770
#define DELIVER_FILE_MODE 0660
#define DELIVER_READ 65536u
#define DELIVER_TOP_MAX 1024u

/* Gives what was just made its group, where the parent has not done so. */
static int
deliver_share(int fd, gid_t gid, mode_t mode, struct err *reterr)
{
	struct stat sb;

	if (fstat(fd, &sb) != 0)
		return err_sys(reterr, "cannot look at it");
	if (sb.st_gid != gid && fchown(fd, (uid_t)-1, gid) != 0)
		return err_sys(reterr, "cannot set the group");
	if ((sb.st_mode & 07777) != mode && fchmod(fd, mode) != 0)
		return err_sys(reterr, "cannot set the mode");
	return 0;
}

/* Opens the folder `name` in `dir`; makes it where it is missing. */
static int
deliver_folder(int dir, const char *name, gid_t gid, struct err *reterr)
{
	int fd, r;
	bool made = false;

	fd = beneath_open(dir, name, O_RDONLY | O_DIRECTORY, 0, reterr);
	if (fd != ERR_NOTFOUND)
		return fd;
	if (mkdirat(dir, name, DELIVER_DIR_MODE & 0777) == 0)
		made = true;
	else if (errno != EEXIST)	/* another thread was faster */
		return err_sys(reterr, "cannot make folder %s", name);
	fd = beneath_open(dir, name, O_RDONLY | O_DIRECTORY, 0, reterr);
	if (fd < 0 || !made)
		return fd;
	if ((r = deliver_share(fd, gid, DELIVER_DIR_MODE, reterr)) != 0 ||
	    (r = fio_sync(dir, "the folder above", reterr)) != 0) {
		close(fd);
		return r;
	}
	return fd;
}

/* Walks down `path`, making what is missing. */
static int
deliver_maildir(const struct deliver_place *p, const char *path,
    struct err *reterr)
{
	char part[NAME_MAX + 1];
	int fd, next;

	if (path[0] == '\0' || path[0] == '/')
		return err_set(reterr, ERR_FORMAT, "a bad path");
	fd = beneath_open(p->root, path, O_RDONLY | O_DIRECTORY, 0, reterr);
	if (fd != ERR_NOTFOUND)
		return fd;
	fd = fcntl(p->root, F_DUPFD_CLOEXEC, 0);
	while (fd >= 0 && *path != '\0') {
		size_t n = strcspn(path, "/");

		next = str_copy_n(part, sizeof(part), path, n);
		if (next == 0 && n > 0)
			next = deliver_folder(fd, part, p->gid, reterr);
		else
			next = err_set(reterr, ERR_FORMAT, "a bad path");
		close(fd);
		fd = next;
		path += n;
		path += strspn(path, "/");
	}
	return fd;
}

/* Takes CR LF to LF; a CR that ends one piece may belong to the next's LF. */
static size_t
deliver_lf(char *dst, const char *src, size_t len, bool *cr)
{
	char *d = dst;

	for (size_t i = 0; i < len; i++) {
		if (*cr && src[i] != '\n')
			*d++ = '\r';
		*cr = src[i] == '\r';
		if (!*cr)
			*d++ = src[i];
	}
	return (size_t)(d - dst);
}

static uint64_t
deliver_count_lf(const char *p, size_t len)
{
	uint64_t n = 0;

	while (len-- > 0)
		n += *p++ == '\n';
	return n;
}

/* Where the copy stands. */
struct deliver_copy {
	int		 fd;
	uint64_t	 octets;
	uint64_t	 lines;
};

static int
deliver_write(struct deliver_copy *c, const char *p, size_t len,
    struct err *reterr)
{
	c->octets += len;
	c->lines += deliver_count_lf(p, len);
	return fio_write_all(c->fd, p, len, "the message", reterr);
}

static int
deliver_content(struct deliver_copy *c, const struct deliver_message *m,
    struct err *reterr)
{
	char in[DELIVER_READ], out[DELIVER_READ + 1];
	uint64_t at = m->offset, left = m->octets;
	bool cr = false;
	int r;

	while (left > 0) {
		size_t want = left < sizeof(in) ? (size_t)left : sizeof(in);
		ssize_t n = pread(m->fd, in, want, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(reterr, "cannot read the queue file");
		if (n == 0)
			return err_set(reterr, ERR_CORRUPT,
			    "the queue file is cut");
		r = deliver_write(c, out, deliver_lf(out, in, (size_t)n, &cr),
		    reterr);
		if (r != 0)
			return r;
		at += (uint64_t)n;
		left -= (uint64_t)n;
	}
	return cr ? deliver_write(c, "\r", 1, reterr) : 0;
}

/* All of the file, flushed and closed. */
static int
deliver_file(struct deliver_copy *c, const struct deliver_place *p,
    const struct deliver_message *m, struct err *reterr)
{
	char top[DELIVER_TOP_MAX];
	int r;

	if ((r = str_format(top, sizeof(top),
	    "Return-Path: <%s>\nDelivered-To: %s\n", m->sender,
	    m->address)) != 0)
		r = err_set(reterr, ERR_FORMAT, "the addresses are too long");
	if (r == 0)
		r = deliver_share(c->fd, p->gid, DELIVER_FILE_MODE, reterr);
	if (r == 0)
		r = deliver_write(c, top, strlen(top), reterr);
	if (r == 0)
		r = deliver_content(c, m, reterr);
	if (r == 0)
		r = fio_sync(c->fd, "the message", reterr);
	if (r == 0)
		return fio_close(c->fd, "the message", reterr);
	close(c->fd);
	return r;
}

static int
deliver_into(const struct deliver_place *p, const struct deliver_message *m,
    int tmp, int new, char name[MAILDIR_NAME_MAX + 1], uint64_t *ret_octets,
    struct err *reterr)
{
	struct deliver_copy c = { 0 };
	char final[MAILDIR_NAME_MAX + 1];
	int r;

	if (maildir_name(p->host, name, MAILDIR_NAME_MAX + 1) != 0)
		return err_set(reterr, ERR_FORMAT, "no name for the file");
	c.fd = fio_openat(tmp, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW,
	    DELIVER_FILE_MODE, reterr);
	if (c.fd < 0)
		return c.fd;
	r = deliver_file(&c, p, m, reterr);
	if (r == 0 && (str_copy(final, sizeof(final), name) != 0 ||
	    maildir_name_sizes(final, sizeof(final), c.octets,
	    c.octets + c.lines) != 0))
		r = err_set(reterr, ERR_FORMAT, "no name for the file");
	if (r == 0)
		r = fio_renameat(tmp, name, new, final, reterr);
	if (r != 0) {
		(void)unlinkat(tmp, name, 0);
		return r;
	}
	/* Not flushed: it will come again, so this one must not stay. */
	if ((r = fio_sync(new, "new", reterr)) != 0) {
		(void)unlinkat(new, final, 0);
		return r;
	}
	memcpy(name, final, sizeof(final));
	*ret_octets = c.octets;
	return 0;
}

/* Deliveries at the same time may go over it together; the next one does not. */
static int
deliver_quota(const struct deliver_message *m, int new, int cur,
    struct err *reterr)
{
	uint64_t used = 0;
	int r;

	if (m->quota == 0)
		return 0;
	if ((r = usage_add(new, &used, reterr)) != 0 ||
	    (r = usage_add(cur, &used, reterr)) != 0)
		return r;
	if (m->octets <= m->quota && used <= m->quota - m->octets)
		return 0;
	return err_set(reterr, ERR_LIMIT, "over the quota: %llu of %llu octets "
	    "are used, %llu wanted", (unsigned long long)used,
	    (unsigned long long)m->quota, (unsigned long long)m->octets);
}

int
deliver(const struct deliver_place *p, const struct deliver_message *m,
    char ret_name[MAILDIR_NAME_MAX + 1], uint64_t *ret_octets,
    struct err *reterr)
{
	static const char *const names[] = { "tmp", "new", "cur" };
	int box, fds[3] = { -1, -1, -1 }, r = 0;

	box = deliver_maildir(p, m->path, reterr);
	if (box < 0)
		return box;
	for (size_t i = 0; r == 0 && i < 3; i++)
		if ((fds[i] = deliver_folder(box, names[i], p->gid,
		    reterr)) < 0)
			r = fds[i];
	if (r == 0)
		r = deliver_quota(m, fds[1], fds[2], reterr);
	if (r == 0)
		r = deliver_into(p, m, fds[0], fds[1], ret_name, ret_octets,
		    reterr);
	for (size_t i = 0; i < 3; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	close(box);
	return r;
}
