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

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/beneath.h"
#include "lib/fio.h"
#include "lib/maildir.h"
#include "lib/str.h"
#include "popd/mbox/kept.h"
#include "popd/mbox/list.h"
#include "popd/mbox/listing.h"

#define MAILDROP_OPEN_FLAGS	(O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)
#define MAILDROP_AHEAD		(128 * 1024)	/* read ahead from here on */

#define MAILDROP_FILE_MAX	(MAILDIR_PATH_MAX + MAILDIR_NAME_MAX + 8)

struct maildrop {
	const struct maildrop_root	*root;
	char				*path;
	struct list			*list;
	bool				 scanned;	/* by us, now */
	void				*map;		/* of the list's memfd */
};

/* ------------------------------------------------------------- the list -- */

/* What is known of the Maildir at fd: from the cache, else from the file of
 * kept.h, with a listing where that still holds. *ret NULL: nothing. */
static int
maildrop_recall(const struct maildrop *d, int fd, bool small,
    struct list **ret, struct err *reterr)
{
	int r;

	*ret = cache_get(d->root->cache, d->path);
	if (*ret != NULL)
		return 0;
	r = kept_load(fd, d->root->max, small, ret);
	if (*ret == NULL || !list_folders_hold(*ret, fd))
		return r;
	if ((r = list_load_listing(*ret, fd, reterr)) == 0) {
		cache_put(d->root->cache, d->path, *ret);
	} else {
		list_unref(*ret);
		*ret = NULL;
	}
	return r;
}

/* What the Maildir at fd holds now. */
static int
maildrop_look_at(const struct maildrop *d, int fd, bool small,
    struct list **ret, bool *ret_scanned, struct err *reterr)
{
	struct list *old;
	int r = maildrop_recall(d, fd, small, &old, reterr);

	if (r != 0)
		return r;
	if (old != NULL && list_holds(old, fd)) {
		*ret = old;
		return 0;
	}
	r = scan_maildir(d->root, fd, small, old, ret, reterr);
	list_unref(old);
	if (r == 0)
		cache_put(d->root->cache, d->path, *ret);
	*ret_scanned = r == 0;
	return r;
}

/* What the Maildir holds now; the caller's reference. */
static int
maildrop_look(const struct maildrop *d, bool small, struct list **ret,
    bool *ret_scanned, struct err *reterr)
{
	int fd = beneath_open(d->root->fd, d->path, O_PATH | O_DIRECTORY, 0,
	    reterr), r;

	*ret = NULL;
	*ret_scanned = false;
	if (fd < 0)
		return fd;
	r = maildrop_look_at(d, fd, small, ret, ret_scanned, reterr);
	close(fd);
	return r;
}

/* Nobody has delivered to it yet. */
static int
maildrop_make_empty(struct list **ret, struct err *reterr)
{
	int r;

	if ((*ret = list_new()) == NULL)
		return err_set(reterr, ERR_NOMEM, "no memory");
	if ((r = list_make_listing(*ret, NULL, reterr)) != 0) {
		list_unref(*ret);
		*ret = NULL;
	}
	return r;
}

/* NULL: no memory. */
static struct maildrop *
maildrop_new(const struct maildrop_root *root, const char *path)
{
	struct maildrop *d = calloc(1, sizeof(*d));

	if (d == NULL || (d->path = strdup(path)) == NULL) {
		free(d);
		return NULL;
	}
	d->root = root;
	return d;
}

int
maildrop_open(const struct maildrop_root *root, const char *path, bool small,
    struct maildrop **ret, struct err *reterr)
{
	struct maildrop *d = maildrop_new(root, path);
	int r;

	if (d == NULL)
		return err_set(reterr, ERR_NOMEM, "no memory");
	r = maildrop_look(d, small, &d->list, &d->scanned, reterr);
	if (r == ERR_NOTFOUND)
		r = maildrop_make_empty(&d->list, reterr);
	if (r != 0) {
		maildrop_free(d);
		return r;
	}
	*ret = d;
	return 0;
}

/* uidl_set_shown() writes a file: where it is still to come this is no job for
 * the loop. */
static bool
maildrop_is_warm(const struct maildrop_root *root, const struct list *l,
    const char *path)
{
	int fd;
	bool holds;

	if (l->uidls.ino != 0 && !atomic_load(&l->shown))
		return false;
	fd = beneath_open_cached(root->fd, path, O_PATH | O_DIRECTORY);
	holds = fd >= 0 && list_holds(l, fd);
	if (fd >= 0)
		close(fd);
	return holds;
}

static bool
maildrop_is_missing(const struct maildrop_root *root, const char *path)
{
	int fd = beneath_open_cached(root->fd, path, O_PATH | O_DIRECTORY);

	if (fd >= 0)
		close(fd);
	return fd == ERR_NOTFOUND;
}

int
maildrop_open_warm(const struct maildrop_root *root, const char *path,
    struct maildrop **ret)
{
	struct list *l = cache_get(root->cache, path);
	struct maildrop *d;

	if (l != NULL ? !maildrop_is_warm(root, l, path) :
	    !maildrop_is_missing(root, path) ||
	    maildrop_make_empty(&l, NULL) != 0) {
		list_unref(l);
		return ERR_AWAY;
	}
	if ((d = maildrop_new(root, path)) == NULL) {
		list_unref(l);
		return ERR_AWAY;
	}
	d->list = l;
	*ret = d;
	return 0;
}

void
maildrop_free(struct maildrop *d)
{
	if (d == NULL)
		return;
	if (d->map != NULL)
		munmap(d->map, d->list->listing_octets);
	list_unref(d->list);
	free(d->path);
	free(d);
}

size_t
maildrop_count(const struct maildrop *d)
{
	return d->list->n;
}

uint64_t
maildrop_octets(const struct maildrop *d, size_t i)
{
	return d->list->entries[i].octets;
}

uint64_t
maildrop_time(const struct maildrop *d, size_t i)
{
	return d->list->entries[i].time;
}

void
maildrop_listing(const struct maildrop *d, const void **ret, size_t *ret_len,
    int *ret_fd)
{
	*ret = d->list->listing;
	*ret_len = d->list->listing_octets;
	*ret_fd = d->list->listing_fd;
}

int
maildrop_uidl(struct maildrop *d, size_t i, char dst[MBOXC_UIDL_MAX + 1])
{
	const struct list *l = d->list;
	struct mboxc_message m;
	void *map;

	if (l->listing == NULL && d->map == NULL) {
		map = mmap(NULL, l->listing_octets, PROT_READ, MAP_SHARED,
		    l->listing_fd, 0);
		if (map == MAP_FAILED)
			return ERR_SYSTEM;
		d->map = map;
	}
	listing_message(l->listing != NULL ? l->listing : d->map, i, &m);
	return str_copy(dst, MBOXC_UIDL_MAX + 1, m.uidl);
}

void
maildrop_shown(struct maildrop *d)
{
	struct list *l = d->list;

	if (l->n > 0 && l->uidls.ino != 0 && !atomic_exchange(&l->shown, true))
		(void)uidl_set_shown(d->root->fd, d->path,
		    (int64_t)l->entries[l->n - 1].time, NULL);
}

size_t
maildrop_skipped(const struct maildrop *d)
{
	return d->list->n_skipped[LIST_NEW] + d->list->n_skipped[LIST_CUR];
}

size_t
maildrop_skips(const struct maildrop *d, const struct maildrop_skipped **ret)
{
	*ret = d->list->skips;
	return d->scanned ? d->list->n_skips : 0;
}

/* ------------------------------------------------------- the single file -- */

/* A descriptor of new/ or cur/, or an error code. */
static int
maildrop_open_sub(const struct maildrop *d, int sub, struct err *reterr)
{
	char path[MAILDIR_PATH_MAX + 8];

	if (str_format(path, sizeof(path), "%s/%s", d->path, list_subs[sub]) !=
	    0)
		return err_set(reterr, ERR_LIMIT, "its path is too long");
	return beneath_open(d->root->fd, path, O_RDONLY | O_DIRECTORY, 0,
	    reterr);
}

/* Who owns the folder: asked only where the file's owner is none of ours. */
static uid_t
maildrop_folder_uid(const struct maildrop *d, int sub, const struct stat *file)
{
	const struct maildrop_root *root = d->root;
	uid_t uid = root->owners[0];
	struct stat st;
	int fd;

	if (!root->check_owner || file->st_uid == root->owners[0] ||
	    file->st_uid == root->owners[1])
		return uid;
	fd = maildrop_open_sub(d, sub, NULL);
	if (fd >= 0 && fstat(fd, &st) == 0)
		uid = st.st_uid;
	if (fd >= 0)
		close(fd);
	return uid;
}

static int
maildrop_file_path(const struct maildrop *d, const struct list_entry *e,
    char dst[MAILDROP_FILE_MAX])
{
	return str_format(dst, MAILDROP_FILE_MAX, "%s/%s/%s", d->path,
	    list_subs[e->sub], e->name);
}

static int
maildrop_open_file(const struct maildrop *d, const struct list_entry *e,
    struct stat *ret, struct err *reterr)
{
	char path[MAILDROP_FILE_MAX];
	enum list_why why;
	int fd, r;

	if (maildrop_file_path(d, e, path) != 0)
		return err_set(reterr, ERR_LIMIT, "its path is too long");
	fd = beneath_open(d->root->fd, path, MAILDROP_OPEN_FLAGS, 0, reterr);
	if (fd < 0)
		return fd;
	if (fstat(fd, ret) != 0) {
		r = err_sys(reterr, "fstat");
		close(fd);
		return r;
	}
	if (!scan_is_message(d->root, maildrop_folder_uid(d, e->sub, ret), ret,
	    &why)) {
		close(fd);
		return err_set(reterr, ERR_DENIED, "it is no message's file");
	}
	return fd;
}

int
maildrop_fetch_warm(const struct maildrop *d, size_t i)
{
	const struct list_entry *e = &d->list->entries[i];
	char path[MAILDROP_FILE_MAX];
	enum list_why why;
	struct stat st;
	int fd;

	if (e->size >= MAILDROP_AHEAD || maildrop_file_path(d, e, path) != 0)
		return ERR_AWAY;
	fd = beneath_open_cached(d->root->fd, path, MAILDROP_OPEN_FLAGS);
	if (fd < 0)
		return ERR_AWAY;
	if (fstat(fd, &st) == 0 && (uint64_t)st.st_size == e->size &&
	    st.st_ino == e->ino && scan_is_message(d->root,
	    d->root->owners[0], &st, &why))
		return fd;
	close(fd);		/* maildrop_fetch() looks closer */
	return ERR_AWAY;
}

/* It is not where it was: another program has renamed it, or it is gone. */
static int
maildrop_open_renamed(const struct maildrop *d, const struct list_entry *e,
    bool small, struct stat *st, struct err *reterr)
{
	const struct list_entry *found;
	struct list *now;
	bool scanned;
	int fd;

	if (small && d->list->n > MAILDROP_SMALL)
		return MAILDROP_BIG;
	if ((fd = maildrop_look(d, small, &now, &scanned, reterr)) != 0)
		return fd;
	found = list_find(now, e);
	fd = found == NULL ? err_set(reterr, ERR_NOTFOUND, "it is gone") :
	    maildrop_open_file(d, found, st, reterr);
	list_unref(now);
	return fd;
}

/* A message is not what it was, which no folder's stamp tells. */
static void
maildrop_distrust(const struct maildrop *d)
{
	int fd = beneath_open(d->root->fd, d->path, O_PATH | O_DIRECTORY, 0,
	    NULL);

	cache_forget(d->root->cache, d->path);
	if (fd < 0)
		return;
	kept_forget(fd);
	close(fd);
}

int
maildrop_fetch(struct maildrop *d, size_t i, bool small, struct err *reterr)
{
	const struct list_entry *e = &d->list->entries[i];
	struct stat st;
	bool stale;
	int fd;

	fd = maildrop_open_file(d, e, &st, reterr);
	if (fd == ERR_NOTFOUND)
		fd = maildrop_open_renamed(d, e, small, &st, reterr);
	stale = fd == ERR_DENIED;
	if (fd >= 0 && ((uint64_t)st.st_size != e->size ||
	    st.st_ino != e->ino)) {				/* M3 */
		close(fd);
		fd = err_set(reterr, ERR_NOTFOUND, "the file has changed");
		stale = true;
	}
	if (stale)
		maildrop_distrust(d);
	if (fd >= 0 && st.st_size >= MAILDROP_AHEAD)
		/* popd-pop reads it on its loop: have the disk begin now. */
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED);
	return fd;
}

/* -------------------------------------------------------------- removing -- */

struct maildrop_removal {
	struct maildrop	*drop;
	struct list	*now;			/* read when first needed */
	int		 dir_fd[LIST__SUBS];
	bool		 touched[LIST__SUBS];
};

static int
maildrop_unlink(struct maildrop_removal *rm, const struct list_entry *e,
    struct err *reterr)
{
	int r;

	/* The whole folder is away (not mounted?): that is no removal. */
	if (rm->dir_fd[e->sub] < 0)
		return err_set(reterr, ERR_SYSTEM, "%s is not there any more",
		    list_subs[e->sub]);
	r = fio_unlinkat(rm->dir_fd[e->sub], e->name, reterr);
	if (r == 0)
		rm->touched[e->sub] = true;
	else if (errno == ENOENT)
		r = ERR_NOTFOUND;
	return r;
}

/* It is not where it was. Looked for more than once: another program may rename
 * it again before we get there, and what is still there would come back. */
static int
maildrop_unlink_renamed(struct maildrop_removal *rm,
    const struct list_entry *e, struct err *reterr)
{
	const struct list_entry *found;
	int r = ERR_NOTFOUND;
	bool scanned;

	for (int tries = 0; tries < 3 && r == ERR_NOTFOUND; tries++) {
		if (tries > 0) {
			list_unref(rm->now);
			rm->now = NULL;
		}
		if (rm->now == NULL && (r = maildrop_look(rm->drop, false,
		    &rm->now, &scanned, reterr)) != 0)
			break;
		if ((found = list_find(rm->now, e)) == NULL)
			return 0;		/* gone already */
		r = maildrop_unlink(rm, found, reterr);
	}
	return r == ERR_NOTFOUND ? 0 : r;
}

static int
maildrop_remove(struct maildrop_removal *rm, const struct list_entry *e,
    struct err *reterr)
{
	int r = maildrop_unlink(rm, e, reterr);

	return r == ERR_NOTFOUND ? maildrop_unlink_renamed(rm, e, reterr) : r;
}

int
maildrop_update(struct maildrop *d, const uint8_t *bits, struct err *reterr)
{
	struct maildrop_removal rm = { .drop = d };
	int result = 0, r;

	for (int sub = 0; sub < LIST__SUBS; sub++) {
		rm.dir_fd[sub] = r = maildrop_open_sub(d, sub, reterr);
		if (r < 0 && r != ERR_NOTFOUND)
			result = r;
	}
	for (size_t i = 0; i < d->list->n && result == 0; i++)
		if (bits[i / 8] & 1u << i % 8)
			result = maildrop_remove(&rm, &d->list->entries[i],
			    reterr);
	for (int sub = 0; sub < LIST__SUBS; sub++) {
		/* What was removed is made durable after a failure too. */
		if (rm.touched[sub] && (r = fio_sync(rm.dir_fd[sub],
		    list_subs[sub], reterr)) != 0)
			result = r;
		if (rm.dir_fd[sub] >= 0)
			close(rm.dir_fd[sub]);
	}
	list_unref(rm.now);
	return result;
}

bool
maildrop_update_is_big(const struct maildrop *d)
{
	return d->list->n > MAILDROP_SMALL;
}
