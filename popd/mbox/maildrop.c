/*
 * maildrop.c - see maildrop.h. Runs on the threads of popd-mbox. It must never
 * follow a link out of mail_root, write a message, or remove one that the
 * session did not name.
 *
 * Invariants:
 * M1  Entries are sorted by the time in their names, then by name; the order
 *     and the set never change while the maildrop is open.
 * M2  No two entries have the same UIDL.
 * M3  An entry's octets are what wire.c makes of the file; a file whose size
 *     has changed since is not handed out.
 */
#include "config.h"
#include "popd/mbox/maildrop.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/beneath.h"
#include "lib/fio.h"
#include "lib/maildir.h"
#include "lib/str.h"
#include "popd/wire.h"

#define MAILDROP_NAMES_MAX	1000000u	/* looked at in one Maildir */
#define MAILDROP_READ_SIZE	(64u * 1024)
#define MAILDROP_OPEN_FLAGS	(O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)

enum { MAILDROP_NEW, MAILDROP_CUR, MAILDROP__SUBS };

static const char *const maildrop_subs[MAILDROP__SUBS] = { "new", "cur" };

struct maildrop_entry {
	char		*name;
	uint64_t	 time;		/* of the name */
	uint64_t	 size;		/* of the file */
	uint64_t	 octets;	/* on the wire */
	ino_t		 ino;
	uint8_t		 sub;
	bool		 twin;		/* another one has this UIDL */
};

struct maildrop {
	const struct maildrop_root	*root;
	char				*path;
	struct maildrop_entry		*entries;
	size_t				 n_entries;
	size_t				 n_room;
	size_t				 n_skipped;
	uid_t				 folder_owner[MAILDROP__SUBS];
};

/* ------------------------------------------------------------- reading -- */

/* A descriptor of new/ or cur/, or an error code. */
static int
maildrop_open_sub(const struct maildrop *d, int sub, struct err *reterr)
{
	char path[MAILDIR_PATH_MAX + 8];

	if (str_format(path, sizeof(path), "%s/%s", d->path,
	    maildrop_subs[sub]) != 0)
		return err_set(reterr, ERR_LIMIT, "its path is too long");
	return beneath_open(d->root->fd, path, O_RDONLY | O_DIRECTORY, 0,
	    reterr);
}

static int
maildrop_add(struct maildrop *d, const char *name, int sub)
{
	struct maildrop_entry *v, *e;
	size_t room;

	if (d->n_entries == d->n_room) {
		room = d->n_room == 0 ? 64 : d->n_room * 2;
		if ((v = realloc(d->entries, room * sizeof(*v))) == NULL)
			return ERR_NOMEM;
		d->entries = v;
		d->n_room = room;
	}
	e = &d->entries[d->n_entries];
	*e = (struct maildrop_entry){ .name = strdup(name),
		.time = maildrop_name_time(name), .sub = (uint8_t)sub };
	if (e->name == NULL)
		return ERR_NOMEM;
	d->n_entries++;
	return 0;
}

/* A name that may be a message: names with a dot in front never are. */
static bool
maildrop_is_candidate(const struct dirent *de)
{
	return de->d_name[0] != '.' &&
	    (de->d_type == DT_REG || de->d_type == DT_UNKNOWN);
}

/* Calls fn for each candidate of new/ or cur/. A folder that does not exist is
 * empty. */
typedef int maildrop_name_fn(struct maildrop *d, const char *name, int sub);

static int
maildrop_each(struct maildrop *d, int sub, maildrop_name_fn *fn,
    struct err *reterr)
{
	int fd = maildrop_open_sub(d, sub, reterr), r = 0;
	struct dirent *de;
	struct stat st;
	DIR *dir;

	if (fd < 0)
		return fd == ERR_NOTFOUND ? 0 : fd;
	if (fstat(fd, &st) != 0 || (dir = fdopendir(fd)) == NULL) {
		r = err_sys(reterr, "%s", maildrop_subs[sub]);
		close(fd);
		return r;
	}
	d->folder_owner[sub] = st.st_uid;
	while (r == 0 && (errno = 0, de = readdir(dir)) != NULL) {
		if (maildrop_is_candidate(de))
			r = fn(d, de->d_name, sub);
		else if (de->d_name[0] != '.')
			d->n_skipped++;
	}
	if (r == 0 && errno != 0)
		r = err_sys(reterr, "%s", maildrop_subs[sub]);
	closedir(dir);
	return r;
}

static int
maildrop_collect(struct maildrop *d, const char *name, int sub)
{
	if (d->n_entries >= MAILDROP_NAMES_MAX) {
		d->n_skipped++;
		return 0;
	}
	return maildrop_add(d, name, sub);
}

static int
maildrop_compare_unique(const void *a, const void *b)
{
	const struct maildrop_entry *x = a, *y = b;
	size_t n = maildrop_name_unique(x->name);
	size_t m = maildrop_name_unique(y->name);
	int c = memcmp(x->name, y->name, n < m ? n : m);

	return c != 0 ? c : (n > m) - (n < m);
}

/* M1. What may have the same UIDL stands side by side. */
static int
maildrop_compare(const void *a, const void *b)
{
	const struct maildrop_entry *x = a, *y = b;
	int c;

	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	if ((c = maildrop_compare_unique(x, y)) != 0 ||
	    (c = strcmp(x->name, y->name)) != 0)
		return c;
	return y->sub - x->sub;
}

/* ------------------------------------------------------- the single file -- */

static bool
maildrop_is_message(const struct maildrop *d, int sub, const struct stat *st)
{
	const struct maildrop_root *root = d->root;

	return S_ISREG(st->st_mode) && st->st_nlink == 1 &&
	    (!root->check_owner || st->st_uid == root->owners[0] ||
	    st->st_uid == root->owners[1] ||
	    st->st_uid == d->folder_owner[sub]);
}

static int
maildrop_open_file(const struct maildrop *d, const char *name, int sub,
    struct stat *ret, struct err *reterr)
{
	char path[MAILDIR_PATH_MAX + MAILDIR_NAME_MAX + 8];
	int fd, r;

	if (str_format(path, sizeof(path), "%s/%s/%s", d->path,
	    maildrop_subs[sub], name) != 0)
		return err_set(reterr, ERR_LIMIT, "its path is too long");
	fd = beneath_open(d->root->fd, path, MAILDROP_OPEN_FLAGS, 0, reterr);
	if (fd < 0)
		return fd;
	if (fstat(fd, ret) != 0) {
		r = err_sys(reterr, "fstat");
		close(fd);
		return r;
	}
	if (!maildrop_is_message(d, sub, ret)) {
		close(fd);
		return err_set(reterr, ERR_DENIED, "it is no message's file");
	}
	return fd;
}

static int
maildrop_count_octets(int fd, uint64_t *ret, struct err *reterr)
{
	uint8_t mem[MAILDROP_READ_SIZE];
	struct wire w;
	ssize_t n;

	wire_init(&w);
	while ((n = read(fd, mem, sizeof(mem))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(reterr, "read");
		wire_put(&w, mem, (size_t)n, NULL);
	}
	wire_end(&w, NULL);
	*ret = w.octets;
	return 0;
}

/* Fills in what the file itself says. An error: it is not to be shown. */
static int
maildrop_examine(const struct maildrop *d, int dir_fd,
    struct maildrop_entry *e, struct err *reterr)
{
	struct stat st;
	int fd, r;

	if (fstatat(dir_fd, e->name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return err_sys(reterr, "fstatat");
	if (!maildrop_is_message(d, e->sub, &st))
		return err_set(reterr, ERR_DENIED, "it is no message's file");
	e->size = (uint64_t)st.st_size;
	e->ino = st.st_ino;
	if (maildrop_name_octets(e->name, e->size, &e->octets))
		return 0;
	fd = maildrop_open_file(d, e->name, e->sub, &st, reterr);
	if (fd < 0)
		return fd;
	e->size = (uint64_t)st.st_size;
	e->ino = st.st_ino;
	r = maildrop_count_octets(fd, &e->octets, reterr);
	close(fd);
	return r;
}

/* ---------------------------------------------------------- the open set -- */

static void
maildrop_entry_uidl(const struct maildrop_entry *e,
    char dst[MBOXC_UIDL_MAX + 1])
{
	char file[MAILDIR_NAME_MAX + 8];

	if (e->twin && str_format(file, sizeof(file), "%s/%s",
	    maildrop_subs[e->sub], e->name) == 0)
		maildrop_hash_uidl(file, strlen(file), dst);
	else
		maildrop_name_uidl(e->name, dst);
}

/*
 * M2. Another program may move a file from new/ to cur/ while we read: new/ is
 * read first, so it is seen twice rather than not at all, and taken once: false
 * for the second. Two files of one unique name are somebody's mistake; both are
 * shown, the second under another UIDL. `last` is the entry before, or NULL.
 */
static bool
maildrop_settle_twin(const struct maildrop_entry *last,
    struct maildrop_entry *e)
{
	e->twin = last != NULL && maildrop_compare_unique(last, e) == 0;
	return !e->twin || last->ino != e->ino;
}

/* Keeps of the sorted candidates those that are messages. */
static void
maildrop_select(struct maildrop *d, const int dir_fd[MAILDROP__SUBS])
{
	size_t kept = 0;

	for (size_t i = 0; i < d->n_entries; i++) {
		struct maildrop_entry e = d->entries[i];

		if (kept < d->root->max && dir_fd[e.sub] >= 0 &&
		    maildrop_examine(d, dir_fd[e.sub], &e, NULL) == 0 &&
		    maildrop_settle_twin(kept > 0 ? &d->entries[kept - 1] :
		    NULL, &e)) {
			d->entries[kept++] = e;
			continue;
		}
		free(e.name);
		d->n_skipped++;
	}
	d->n_entries = kept;
}

static int
maildrop_read(struct maildrop *d, struct err *reterr)
{
	int dir_fd[MAILDROP__SUBS], r = 0;

	for (int sub = 0; sub < MAILDROP__SUBS && r == 0; sub++)
		r = maildrop_each(d, sub, maildrop_collect, reterr);
	if (r != 0)
		return r;
	if (d->n_entries > 1)
		qsort(d->entries, d->n_entries, sizeof(*d->entries),
		    maildrop_compare);
	for (int sub = 0; sub < MAILDROP__SUBS; sub++)
		dir_fd[sub] = maildrop_open_sub(d, sub, NULL);
	maildrop_select(d, dir_fd);
	for (int sub = 0; sub < MAILDROP__SUBS; sub++)
		if (dir_fd[sub] >= 0)
			close(dir_fd[sub]);
	return 0;
}

int
maildrop_open(const struct maildrop_root *root, const char *path,
    struct maildrop **ret, struct err *reterr)
{
	struct maildrop *d = calloc(1, sizeof(*d));
	int r = ERR_NOMEM;

	if (d == NULL || (d->path = strdup(path)) == NULL)
		err_set(reterr, ERR_NOMEM, "no memory");
	else {
		d->root = root;
		r = maildrop_read(d, reterr);
	}
	if (r != 0) {
		maildrop_free(d);
		return r;
	}
	*ret = d;
	return 0;
}

void
maildrop_free(struct maildrop *d)
{
	if (d == NULL)
		return;
	for (size_t i = 0; i < d->n_entries; i++)
		free(d->entries[i].name);
	free(d->entries);
	free(d->path);
	free(d);
}

size_t
maildrop_count(const struct maildrop *d)
{
	return d->n_entries;
}

size_t
maildrop_skipped(const struct maildrop *d)
{
	return d->n_skipped;
}

uint64_t
maildrop_octets(const struct maildrop *d, size_t i)
{
	return d->entries[i].octets;
}

uint64_t
maildrop_time(const struct maildrop *d, size_t i)
{
	return d->entries[i].time;
}

void
maildrop_uidl(const struct maildrop *d, size_t i, char dst[MBOXC_UIDL_MAX + 1])
{
	maildrop_entry_uidl(&d->entries[i], dst);
}

/* ------------------------------------------------ found under a new name -- */

/* What the Maildir holds now, sorted for maildrop_find(). NULL: no memory, or
 * it cannot be read. */
static struct maildrop *
maildrop_look_again(const struct maildrop *d)
{
	struct maildrop *now = calloc(1, sizeof(*now));
	int r = ERR_NOMEM;

	if (now != NULL && (now->path = strdup(d->path)) != NULL) {
		now->root = d->root;
		r = 0;
	}
	for (int sub = 0; sub < MAILDROP__SUBS && r == 0; sub++)
		r = maildrop_each(now, sub, maildrop_collect, NULL);
	if (r != 0) {
		maildrop_free(now);
		return NULL;
	}
	if (now->n_entries > 1)
		qsort(now->entries, now->n_entries, sizeof(*now->entries),
		    maildrop_compare_unique);
	return now;
}

static const struct maildrop_entry *
maildrop_find(const struct maildrop *now, const struct maildrop_entry *e)
{
	if (now == NULL || now->n_entries == 0)
		return NULL;
	return bsearch(e, now->entries, now->n_entries, sizeof(*e),
	    maildrop_compare_unique);
}

int
maildrop_fetch(struct maildrop *d, size_t i, struct err *reterr)
{
	const struct maildrop_entry *e = &d->entries[i], *found;
	struct maildrop *now = NULL;
	struct stat st;
	int fd;

	fd = maildrop_open_file(d, e->name, e->sub, &st, reterr);
	if (fd == ERR_NOTFOUND) {
		now = maildrop_look_again(d);
		if ((found = maildrop_find(now, e)) != NULL)
			fd = maildrop_open_file(now, found->name, found->sub,
			    &st, reterr);
		maildrop_free(now);
	}
	if (fd < 0)
		return fd;
	if ((uint64_t)st.st_size != e->size || st.st_ino != e->ino) { /* M3 */
		close(fd);
		return err_set(reterr, ERR_NOTFOUND, "the file has changed");
	}
	/* popd-pop reads it on its loop: have the disk begin now. */
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED);
	return fd;
}

/* -------------------------------------------------------------- removing -- */

struct maildrop_removal {
	struct maildrop	*drop;
	struct maildrop	*now;			/* read when first needed */
	int		 dir_fd[MAILDROP__SUBS];
	bool		 touched[MAILDROP__SUBS];
};

static int
maildrop_unlink(struct maildrop_removal *rm, const struct maildrop_entry *e,
    struct err *reterr)
{
	int r;

	/* The whole folder is away (not mounted?): that is no removal. */
	if (rm->dir_fd[e->sub] < 0)
		return err_set(reterr, ERR_SYSTEM, "%s is not there any more",
		    maildrop_subs[e->sub]);
	r = fio_unlinkat(rm->dir_fd[e->sub], e->name, reterr);
	if (r == 0)
		rm->touched[e->sub] = true;
	else if (errno == ENOENT)
		r = ERR_NOTFOUND;
	return r;
}

/* The file that `e` was; it has another name now, but it is the same. */
static bool
maildrop_is_same(const struct maildrop_removal *rm,
    const struct maildrop_entry *found, const struct maildrop_entry *e)
{
	struct stat st;

	return found != NULL && rm->dir_fd[found->sub] >= 0 &&
	    fstatat(rm->dir_fd[found->sub], found->name, &st,
	    AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == e->ino;
}

static int
maildrop_remove(struct maildrop_removal *rm, const struct maildrop_entry *e,
    struct err *reterr)
{
	const struct maildrop_entry *found;
	int r = maildrop_unlink(rm, e, reterr);

	if (r != ERR_NOTFOUND)
		return r;
	if (rm->now == NULL && (rm->now = maildrop_look_again(rm->drop)) ==
	    NULL)
		return err_set(reterr, ERR_SYSTEM, "cannot be read again");
	found = maildrop_find(rm->now, e);
	if (!maildrop_is_same(rm, found, e))
		return 0;		/* gone already */
	r = maildrop_unlink(rm, found, reterr);
	return r == ERR_NOTFOUND ? 0 : r;
}

int
maildrop_update(struct maildrop *d, const uint8_t *bits, struct err *reterr)
{
	struct maildrop_removal rm = { .drop = d };
	int result = 0, r;

	for (int sub = 0; sub < MAILDROP__SUBS; sub++) {
		rm.dir_fd[sub] = r = maildrop_open_sub(d, sub, reterr);
		if (r < 0 && r != ERR_NOTFOUND)
			result = r;
	}
	for (size_t i = 0; i < d->n_entries && result == 0; i++)
		if (bits[i / 8] & 1u << i % 8)
			result = maildrop_remove(&rm, &d->entries[i], reterr);
	for (int sub = 0; sub < MAILDROP__SUBS; sub++) {
		/* What was removed is made durable after a failure too. */
		if (rm.touched[sub] && (r = fio_sync(rm.dir_fd[sub],
		    maildrop_subs[sub], reterr)) != 0)
			result = r;
		if (rm.dir_fd[sub] >= 0)
			close(rm.dir_fd[sub]);
	}
	maildrop_free(rm.now);
	return result;
}
