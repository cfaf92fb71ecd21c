/*
 * scan.c - reads a Maildir into a list (list.h). Runs on the threads of
 * popd-mbox.
 *
 * What an older list says is taken over: a folder that has not changed is not
 * read again, and a name that was there, with the same inode, is not looked at
 * again. In the small lane it gives up (MAILDROP_BIG) before it has done much.
 *
 * new/ is looked at before cur/, each stamp before its names: a file that
 * another program moves from new/ to cur/ meanwhile is seen twice rather than
 * not at all, and whatever happens meanwhile moves a stamp.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/beneath.h"
#include "lib/clock.h"
#include "popd/mbox/kept.h"
#include "popd/mbox/list.h"
#include "popd/wire.h"

#define SCAN_NAMES_MAX	1000000u	/* looked at in one Maildir */
#define SCAN_SMALL_READ	(4u * 1024 * 1024)
#define SCAN_READ_SIZE	(64u * 1024)
#define SCAN_DIRENTS	(32u * 1024)
#define SCAN_OPEN_FLAGS	(O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)

struct scan_entries {
	struct list_entry *v;
	size_t		 n, room;
};

struct scan {
	const struct maildrop_root *root;
	int		 base_fd;
	int		 dir_fd[LIST__SUBS];	/* -1: not read */
	uid_t		 folder_uid[LIST__SUBS];
	bool		 small;
	const struct list *old;			/* or NULL */
	struct list	*list;			/* that is being made */
	bool		 reused[LIST__SUBS];	/* as it was in old */
	uint32_t	*places;		/* in old, plus 1, by inode */
	size_t		 n_places;		/* a power of two, or 0 */
	bool		*still;			/* each of old: there, as it was */
	struct scan_entries fresh;		/* names that were read */
	char		*names;			/* theirs, each with its NUL */
	size_t		 names_len, names_room;
	struct scan_entries all;
	size_t		 taken;			/* messages of old that stay */
	uint64_t	 read_octets;
};

/* ------------------------------------------------------------- the names -- */

static const char *const scan_why[LIST_WHY__COUNT] = {
	[LIST_WHY_LINK] = "a symbolic link",
	[LIST_WHY_KIND] = "no regular file",
	[LIST_WHY_HARD_LINK] = "it has another hard link",
	[LIST_WHY_OWNER] = "a foreign owner",
	[LIST_WHY_UNREADABLE] = "it cannot be read",
	[LIST_WHY_NAMES] = "too many files",
};

static void
scan_skip(struct scan *sc, const char *name, int sub, enum list_why why)
{
	struct list *l = sc->list;

	l->n_skipped[sub]++;
	if (l->skips == NULL)
		l->skips = malloc(MAILDROP_SKIPS_MAX * sizeof(*l->skips));
	if (l->skips == NULL || l->n_skips == MAILDROP_SKIPS_MAX)
		return;
	snprintf(l->skips[l->n_skips].file, sizeof(l->skips[0].file), "%s/%s",
	    list_subs[sub], name);
	l->skips[l->n_skips++].why = scan_why[why];
}

static struct list_entry *
scan_push(struct scan_entries *e)
{
	size_t room = e->room == 0 ? 64 : e->room * 2;
	struct list_entry *v;

	if (e->n == e->room) {
		if ((v = realloc(e->v, room * sizeof(*v))) == NULL)
			return NULL;
		e->v = v;
		e->room = room;
	}
	return &e->v[e->n++];
}

static int
scan_keep_name(struct scan *sc, const char *name)
{
	size_t len = strlen(name) + 1, room;
	char *p;

	if (sc->names_room - sc->names_len < len) {
		room = sc->names_room * 2 + 4096;
		if ((p = realloc(sc->names, room)) == NULL)
			return ERR_NOMEM;
		sc->names = p;
		sc->names_room = room;
	}
	memcpy(sc->names + sc->names_len, name, len);
	sc->names_len += len;
	return 0;
}

/* ------------------------------------------- names that were there before -- */

static size_t
scan_place(const struct scan *sc, ino_t ino)
{
	uint64_t h = (uint64_t)ino * 0x9e3779b97f4a7c15u;

	return (size_t)(h >> 32) & (sc->n_places - 1);
}

/* So that of a large folder only what is new has to be sorted in. */
static int
scan_index_old(struct scan *sc)
{
	size_t n = sc->old == NULL ? 0 : sc->old->n, at;

	if (n == 0)
		return 0;
	for (sc->n_places = 64; sc->n_places < n * 2; sc->n_places *= 2)
		;
	sc->places = calloc(sc->n_places, sizeof(*sc->places));
	sc->still = calloc(n, sizeof(*sc->still));
	if (sc->places == NULL || sc->still == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < n; i++) {
		at = scan_place(sc, sc->old->entries[i].ino);
		while (sc->places[at] != 0)
			at = (at + 1) & (sc->n_places - 1);
		sc->places[at] = (uint32_t)i + 1;
	}
	return 0;
}

static bool
scan_was_there(struct scan *sc, const struct dirent64 *de, int sub)
{
	const struct list_entry *o;
	size_t at;

	if (sc->n_places == 0)
		return false;
	for (at = scan_place(sc, de->d_ino); sc->places[at] != 0;
	    at = (at + 1) & (sc->n_places - 1)) {
		o = &sc->old->entries[sc->places[at] - 1];
		if (o->ino != de->d_ino || o->sub != sub ||
		    strcmp(o->name, de->d_name) != 0)
			continue;
		sc->still[o - sc->old->entries] = true;
		return true;
	}
	return false;
}

static int
scan_take_name(struct scan *sc, const struct dirent64 *de, int sub)
{
	const char *name = de->d_name;
	struct list_entry *e;

	if (name[0] == '.')		/* never a message */
		return 0;
	if (de->d_type != DT_REG && de->d_type != DT_UNKNOWN) {
		scan_skip(sc, name, sub, de->d_type == DT_LNK ? LIST_WHY_LINK :
		    LIST_WHY_KIND);
		return 0;
	}
	if (scan_was_there(sc, de, sub))
		return 0;
	if (sc->fresh.n >= SCAN_NAMES_MAX) {
		scan_skip(sc, name, sub, LIST_WHY_NAMES);
		sc->list->complete = false;
		return 0;
	}
	if (sc->small && sc->fresh.n >= MAILDROP_SMALL)
		return MAILDROP_BIG;
	if ((e = scan_push(&sc->fresh)) == NULL ||
	    scan_keep_name(sc, name) != 0)
		return ERR_NOMEM;
	*e = (struct list_entry){ .time = maildrop_name_time(name),
		.ino = de->d_ino, .sub = (uint8_t)sub,
		.unique_len = (uint8_t)maildrop_name_unique(name) };
	return 0;
}

static int
scan_read_names(struct scan *sc, int sub, struct err *reterr)
{
	_Alignas(struct dirent64) char mem[SCAN_DIRENTS];
	const struct dirent64 *de;
	ssize_t n;
	int r = 0;

	while (r == 0 && (n = getdents64(sc->dir_fd[sub], mem,
	    sizeof(mem))) != 0) {
		if (n < 0)
			return err_sys(reterr, "%s", list_subs[sub]);
		for (ssize_t at = 0; at < n && r == 0; at += de->d_reclen) {
			de = (const void *)(mem + at);
			r = scan_take_name(sc, de, sub);
		}
	}
	return r == ERR_NOMEM ? err_set(reterr, r, "no memory") : r;
}

/* --------------------------------------------------------------- folders -- */

static bool
scan_is_old(const struct scan *sc, const struct timespec *t, int64_t now_us)
{
	return now_us - ((int64_t)t->tv_sec * 1000000 + t->tv_nsec / 1000) >
	    sc->root->settle_us;
}

/* Takes the folder from the older list, if that still holds. */
static bool
scan_reuse(struct scan *sc, int sub)
{
	const struct list *old = sc->old;
	struct list_stamp now;

	if (old == NULL || !old->complete || !old->settled[sub] ||
	    list_stamp(sc->base_fd, sub, &now, NULL) != 0 ||
	    !list_same_stamp(&now, &old->stamp[sub]))
		return false;
	sc->list->stamp[sub] = now;
	sc->list->settled[sub] = true;
	sc->list->n_skipped[sub] = old->n_skipped[sub];
	sc->reused[sub] = true;
	return true;
}

/* A folder that does not exist is empty. */
static int
scan_folder(struct scan *sc, int sub, struct err *reterr)
{
	struct list *l = sc->list;
	int64_t now_us = clock_now_us();
	struct stat st;
	int fd;

	if (scan_reuse(sc, sub))
		return 0;
	fd = beneath_open(sc->base_fd, list_subs[sub], O_RDONLY | O_DIRECTORY,
	    0, reterr);
	l->settled[sub] = true;
	if (fd == ERR_NOTFOUND)
		return 0;
	if (fd < 0)
		return fd;
	sc->dir_fd[sub] = fd;
	if (fstat(fd, &st) != 0)
		return err_sys(reterr, "%s", list_subs[sub]);
	sc->folder_uid[sub] = st.st_uid;
	l->stamp[sub] = (struct list_stamp){ .dev = st.st_dev,
		.ino = st.st_ino, .mtime = st.st_mtim, .ctime = st.st_ctim };
	l->settled[sub] = scan_is_old(sc, &st.st_mtim, now_us) &&
	    scan_is_old(sc, &st.st_ctim, now_us);
	return scan_read_names(sc, sub, reterr);
}

/* ------------------------------------------------------- the single file -- */

bool
scan_is_message(const struct maildrop_root *root, uid_t folder_uid,
    const struct stat *st, enum list_why *ret_why)
{
	if (!S_ISREG(st->st_mode))
		*ret_why = S_ISLNK(st->st_mode) ? LIST_WHY_LINK :
		    LIST_WHY_KIND;
	else if (st->st_nlink != 1)
		*ret_why = LIST_WHY_HARD_LINK;
	else if (root->check_owner && st->st_uid != root->owners[0] &&
	    st->st_uid != root->owners[1] && st->st_uid != folder_uid)
		*ret_why = LIST_WHY_OWNER;
	else
		return true;
	return false;
}

static int
scan_count(int fd, uint64_t *ret)
{
	uint8_t mem[SCAN_READ_SIZE];
	struct wire w;
	ssize_t n;

	wire_init(&w);
	while ((n = read(fd, mem, sizeof(mem))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ERR_SYSTEM;
		wire_put(&w, mem, (size_t)n, NULL);
	}
	wire_end(&w, NULL);
	*ret = w.octets;
	return 0;
}

static void
scan_set_stat(struct list_entry *e, const struct stat *st)
{
	e->size = (uint64_t)st->st_size;
	e->ino = st->st_ino;
}

/* Dovecot's ",W=" leaves out the end that we give to a last line without one:
 * where that is missing the name does not say what RETR sends. */
static bool
scan_ends_line(const struct scan *sc, const struct list_entry *e)
{
	int fd = beneath_open(sc->dir_fd[e->sub], e->name, SCAN_OPEN_FLAGS, 0,
	    NULL);
	char last = '\0';
	bool ends;

	if (fd < 0)
		return false;
	ends = pread(fd, &last, 1, (off_t)e->size - 1) == 1 && last == '\n';
	close(fd);
	return ends;
}

/* Reads the message. */
static int
scan_read_size(struct scan *sc, struct list_entry *e, enum list_why *ret_why)
{
	struct stat st;
	int fd, r = ERR_DENIED;

	if (sc->small && sc->read_octets + e->size > SCAN_SMALL_READ)
		return MAILDROP_BIG;
	*ret_why = LIST_WHY_UNREADABLE;
	fd = beneath_open(sc->dir_fd[e->sub], e->name, SCAN_OPEN_FLAGS, 0,
	    NULL);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) == 0 && scan_is_message(sc->root,
	    sc->folder_uid[e->sub], &st, ret_why)) {
		scan_set_stat(e, &st);
		r = scan_count(fd, &e->octets);
	}
	close(fd);
	sc->read_octets += e->size;
	sc->list->news.reads++;
	sc->list->news.octets += e->size;
	return r;
}

/* Fills in what the file itself says. ERR_DENIED: it is not to be shown;
 * ERR_NOTFOUND: it is not there any more. */
static int
scan_examine(struct scan *sc, struct list_entry *e, enum list_why *ret_why)
{
	struct stat st;
	bool named;

	if (fstatat(sc->dir_fd[e->sub], e->name, &st, AT_SYMLINK_NOFOLLOW) !=
	    0) {
		*ret_why = LIST_WHY_UNREADABLE;
		return errno == ENOENT ? ERR_NOTFOUND : ERR_DENIED;
	}
	if (!scan_is_message(sc->root, sc->folder_uid[e->sub], &st, ret_why))
		return ERR_DENIED;
	scan_set_stat(e, &st);
	e->known = true;
	named = maildrop_name_octets(e->name, e->size, &e->octets);
	if (named && (e->size == 0 || maildrop_name_is_ours(e->name)))
		return 0;
	if (named && scan_ends_line(sc, e)) {
		sc->list->news.reads++;
		return 0;
	}
	return scan_read_size(sc, e, ret_why);
}

/* -------------------------------------------------------- putting it together */

/* Both are sorted. What was known of a file under this name or one with other
 * flags holds on: messages do not change. */
static void
scan_recall(struct scan *sc)
{
	const struct list *old = sc->old;
	size_t i = 0;

	for (size_t k = 0; k < sc->fresh.n; k++) {
		struct list_entry *e = &sc->fresh.v[k];

		while (i < old->n &&
		    list_compare_unique(&old->entries[i], e) < 0)
			i++;
		for (size_t at = i; at < old->n && !e->known &&
		    list_compare_unique(&old->entries[at], e) == 0; at++) {
			const struct list_entry *o = &old->entries[at];

			if (o->ino != e->ino)
				continue;
			e->size = o->size;
			e->octets = o->octets;
			e->known = true;
		}
	}
}

/* The fresh names, those that are as they were, and those of folders that were
 * not read, in order. */
static int
scan_merge(struct scan *sc)
{
	size_t n_old = sc->old == NULL ? 0 : sc->old->n, i = 0, k = 0;
	const struct list_entry *o;

	sc->all.v = malloc((n_old + sc->fresh.n + 1) * sizeof(*sc->all.v));
	if (sc->all.v == NULL)
		return ERR_NOMEM;
	while (i < n_old || k < sc->fresh.n) {
		o = i < n_old ? &sc->old->entries[i] : NULL;
		if (o != NULL && !sc->reused[o->sub] && !sc->still[i])
			i++;
		else if (k == sc->fresh.n || (o != NULL &&
		    list_compare(o, &sc->fresh.v[k]) < 0))
			sc->all.v[sc->all.n++] = sc->old->entries[i++];
		else
			sc->all.v[sc->all.n++] = sc->fresh.v[k++];
	}
	return 0;
}

static int
scan_sort(struct scan *sc)
{
	const char *name = sc->names;

	for (size_t i = 0; i < sc->fresh.n; i++) {
		sc->fresh.v[i].name = name;
		name += strlen(name) + 1;
	}
	if (sc->fresh.n > 1)
		qsort(sc->fresh.v, sc->fresh.n, sizeof(*sc->fresh.v),
		    list_compare);
	if (sc->old != NULL)
		scan_recall(sc);
	return scan_merge(sc);
}

/* False: it is the file of the entry before, in another folder. Two files of
 * one unique part are somebody's mistake, and both are shown. */
static bool
scan_settle_twin(struct scan *sc, size_t kept, struct list_entry *e)
{
	const struct list_entry *last = kept > 0 ? &sc->all.v[kept - 1] : NULL;

	e->twin = last != NULL && list_compare_unique(last, e) == 0;
	if (!e->twin || last->ino != e->ino)
		return true;
	sc->list->settled[LIST_NEW] = sc->list->settled[LIST_CUR] = false;
	return false;
}

/* Keeps those that are messages. */
static int
scan_select(struct scan *sc)
{
	struct list *l = sc->list;
	enum list_why why = LIST_WHY_UNREADABLE;
	size_t kept = 0;
	int r;

	for (size_t i = 0; i < sc->all.n; i++) {
		struct list_entry e = sc->all.v[i];

		if (kept >= sc->root->max) {
			l->complete = false;
			l->n_skipped[e.sub]++;
			continue;
		}
		r = e.known ? 0 : scan_examine(sc, &e, &why);
		if (r == MAILDROP_BIG)
			return r;
		if (r != 0) {
			/* Links and owners change without the folder. */
			l->settled[e.sub] = false;
			if (r != ERR_NOTFOUND)
				scan_skip(sc, e.name, e.sub, why);
		} else if (scan_settle_twin(sc, kept, &e)) {
			sc->taken += sc->all.v[i].known;
			sc->all.v[kept++] = e;
		}
	}
	sc->all.n = kept;
	return 0;
}

/* Copies what is kept into the list, with its names. */
static int
scan_finish(struct scan *sc)
{
	struct list *l = sc->list;
	size_t len, room = 1;
	char *p;

	for (size_t i = 0; i < sc->all.n; i++)
		room += strlen(sc->all.v[i].name) + 1;
	l->names = p = malloc(room);
	l->entries = malloc((sc->all.n + 1) * sizeof(*l->entries));
	if (l->names == NULL || l->entries == NULL)
		return ERR_NOMEM;
	l->names_octets = room;
	for (l->n = 0; l->n < sc->all.n; l->n++, p += len) {
		struct list_entry *e = &l->entries[l->n];

		*e = sc->all.v[l->n];
		len = strlen(e->name) + 1;
		e->name = memcpy(p, e->name, len);
	}
	return 0;
}

/* -------------------------------------------- what is kept over restarts -- */

/* Nothing depends on it: a Maildir that we may not write to has no such file. */
static void
scan_keep(struct scan *sc)
{
	struct list *l = sc->list;
	size_t old = sc->old == NULL ? 0 : sc->old->n;

	l->news.changes += l->n - sc->taken;
	if (old > sc->taken)
		l->news.changes += old - sc->taken;
	if (kept_is_void(l)) {
		kept_forget(sc->base_fd);
		l->kept = false;
	} else if (kept_is_due(l)) {
		l->kept = kept_store(sc->base_fd, l);
		l->news = (struct list_news){ .stamps = !l->settled[LIST_NEW] ||
			!l->settled[LIST_CUR] };
	}
}

/* ------------------------------------------------------------ all of it -- */

static void
scan_end(struct scan *sc)
{
	for (int sub = 0; sub < LIST__SUBS; sub++)
		if (sc->dir_fd[sub] >= 0)
			close(sc->dir_fd[sub]);
	free(sc->fresh.v);
	free(sc->all.v);
	free(sc->names);
	free(sc->places);
	free(sc->still);
}

static int
scan_run(struct scan *sc, struct err *reterr)
{
	int r = 0;

	if (sc->small && sc->old != NULL && sc->old->n > MAILDROP_SMALL)
		return MAILDROP_BIG;
	if (scan_index_old(sc) != 0)
		return err_set(reterr, ERR_NOMEM, "no memory");
	for (int sub = 0; sub < LIST__SUBS && r == 0; sub++)
		r = scan_folder(sc, sub, reterr);
	if (r != 0)
		return r;
	r = scan_sort(sc);
	if (r == 0)
		r = scan_select(sc);
	if (r == 0)
		r = scan_finish(sc);
	if (r == ERR_NOMEM)
		return err_set(reterr, r, "no memory");
	if (r == 0)
		r = list_load_listing(sc->list, sc->base_fd, reterr);
	if (r == 0)
		scan_keep(sc);
	return r;
}

int
scan_maildir(const struct maildrop_root *root, int dir_fd, bool small,
    const struct list *old, struct list **ret, struct err *reterr)
{
	struct scan sc = { .root = root, .base_fd = dir_fd,
		.dir_fd = { -1, -1 }, .small = small, .old = old,
		.list = list_new() };
	int r;

	if (sc.list == NULL)
		return err_set(reterr, ERR_NOMEM, "no memory");
	if (old != NULL) {
		sc.list->kept = old->kept;
		sc.list->news = old->news;
	}
	r = scan_run(&sc, reterr);
	scan_end(&sc);
	if (r != 0) {
		list_unref(sc.list);
		return r;
	}
	*ret = sc.list;
	return 0;
}
