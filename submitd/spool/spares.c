/*
 * spares.c - see spares.h.
 *
 * Runs on threads of submitd-spool. What is in a spare has been mail of somebody
 * else, so it must not be seen by who reads the new message, nor the new message
 * by who still reads the old one. The former: the new file is cut to its length
 * before it is queued (store.c). The latter: a descriptor that submitd-send has
 * been given, or an administrator's backup, is found by asking for a lease to
 * write, which the kernel refuses while anybody else has the file open. Where
 * there are no leases there are no spares.
 *
 * A lease says nothing of pages of the file that wait in a pipe (splice(2)) or
 * in a socket (sendfile(2)) when it is closed. So submitd-send copies what it
 * sends; in an attacker's hands it might not, but sees all mail anyway.
 * submitd-local does not: a file that it has been given is never a spare, nor
 * one that was there at the start or that the administrator deletes (`no_spare`
 * in queue.h).
 */
#include "config.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "submitd/spool/spares.h"

#include "lib/fio.h"
#include "lib/str.h"

struct spare {
	char	 name[STR_ID_SIZE];	/* the queue id that it had */
	off_t	 size;
};

struct spares {
	pthread_mutex_t	 lock;
	int		 tmp;
	struct spare	 ring[SPARES_MAX];	/* the oldest first: its readers
						 * have had time to close it */
	unsigned int	 first, n;
	off_t		 octets;
};

struct spares *
spares_new(int tmp)
{
	struct spares *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	if (pthread_mutex_init(&s->lock, NULL) != 0) {
		free(s);
		return NULL;
	}
	s->tmp = tmp;
	/* Who opens a file while we have the lease makes the kernel tell us. */
	signal(SIGIO, SIG_IGN);
	return s;
}

/* With the lock. */
static bool
spares_have_room(const struct spares *s, off_t size)
{
	return s->n < SPARES_MAX && s->octets + size <=
	    (off_t)SPARES_OCTETS_MAX;
}

/* Ours, under one name, and nobody was let in. */
static bool
spares_is_plain(const struct stat *sb)
{
	return S_ISREG(sb->st_mode) && (sb->st_mode & 07777) == 0600 &&
	    sb->st_uid == geteuid() && sb->st_nlink == 1;
}

bool
spares_want(struct spares *s, int folder, const char *name, off_t *ret_size)
{
	struct statvfs v;
	struct stat sb;
	bool room;

	if (fstatat(folder, name, &sb, AT_SYMLINK_NOFOLLOW) != 0 ||
	    !spares_is_plain(&sb) || sb.st_size < (off_t)SPARES_OCTETS_MIN)
		return false;
	pthread_mutex_lock(&s->lock);
	room = spares_have_room(s, sb.st_size);
	pthread_mutex_unlock(&s->lock);
	*ret_size = sb.st_size;
	return room && fstatvfs(folder, &v) == 0 && (uint64_t)v.f_bavail *
	    (v.f_frsize != 0 ? v.f_frsize : v.f_bsize) >= SPARES_FREE_MIN;
}

bool
spares_give(struct spares *s, const char *name, off_t size)
{
	bool room;

	pthread_mutex_lock(&s->lock);
	room = spares_have_room(s, size);
	if (room) {
		struct spare *p = &s->ring[(s->first + s->n++) % SPARES_MAX];

		(void)str_copy(p->name, sizeof(p->name), name);
		p->size = size;
		s->octets += size;
	}
	pthread_mutex_unlock(&s->lock);
	return room;
}

static bool
spares_pop(struct spares *s, struct spare *ret)
{
	bool is = false;

	pthread_mutex_lock(&s->lock);
	if (s->n > 0) {
		*ret = s->ring[s->first];
		s->first = (s->first + 1) % SPARES_MAX;
		s->n--;
		s->octets -= ret->size;
		is = true;
	}
	pthread_mutex_unlock(&s->lock);
	return is;
}

void
spares_free(struct spares *s)
{
	struct spare spare;

	if (s == NULL)
		return;
	while (spares_pop(s, &spare))
		fio_forget(s->tmp, spare.name);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* Nobody else has it open, or under another name. */
static bool
spares_is_alone(int fd, struct stat *ret)
{
	if (fcntl(fd, F_SETLEASE, F_WRLCK) != 0)
		return false;
	/* Who opens it now, by its name in tmp/, opens a file that is ours. */
	return fcntl(fd, F_SETLEASE, F_UNLCK) == 0 && fstat(fd, ret) == 0 &&
	    spares_is_plain(ret);
}

int
spares_take(struct spares *s, const char *name, off_t *ret_size)
{
	struct spare spare;
	struct stat sb;
	struct err err;
	int fd;

	if (!spares_pop(s, &spare))
		return -1;
	fd = fio_openat(s->tmp, spare.name, O_RDWR | O_NOFOLLOW, 0, &err);
	if (fd >= 0 && spares_is_alone(fd, &sb) && fio_renameat(s->tmp,
	    spare.name, s->tmp, name, &err) == 0) {
		*ret_size = sb.st_size;
		return fd;
	}
	if (fd >= 0)
		close(fd);
	fio_forget(s->tmp, spare.name);
	return -1;
}
