/*
 * list.c - see list.h. Runs on the threads of popd-mbox.
 */
#include "config.h"
#include "popd/mbox/list.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/fio.h"
#include "lib/maildir.h"
#include "lib/str.h"
#include "popd/mbox/listing.h"

const char *const list_subs[LIST__SUBS] = { "new", "cur" };

struct list *
list_new(void)
{
	struct list *l = calloc(1, sizeof(*l));

	if (l != NULL) {
		atomic_init(&l->refs, 1);
		l->listing_fd = -1;
		l->complete = true;
	}
	return l;
}

struct list *
list_ref(struct list *l)
{
	atomic_fetch_add(&l->refs, 1);
	return l;
}

void
list_unref(struct list *l)
{
	if (l == NULL || atomic_fetch_sub(&l->refs, 1) > 1)
		return;
	if (l->listing_fd >= 0)
		close(l->listing_fd);
	free(l->listing);
	free(l->skips);
	free(l->names);
	free(l->entries);
	free(l);
}

size_t
list_octets(const struct list *l)
{
	return sizeof(*l) + l->n * sizeof(l->entries[0]) + l->names_octets +
	    l->listing_octets + l->n_skips * sizeof(l->skips[0]);
}

/* ----------------------------------------------------------------- order -- */

int
list_compare_unique(const void *a, const void *b)
{
	const struct list_entry *x = a, *y = b;
	size_t n = x->unique_len, m = y->unique_len;
	int c;

	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	c = memcmp(x->name, y->name, n < m ? n : m);
	return c != 0 ? c : (n > m) - (n < m);
}

int
list_compare(const void *a, const void *b)
{
	const struct list_entry *x = a, *y = b;
	int c;

	if ((c = list_compare_unique(x, y)) != 0 ||
	    (c = strcmp(x->name, y->name)) != 0)
		return c;
	return y->sub - x->sub;
}

const struct list_entry *
list_find(const struct list *l, const struct list_entry *e)
{
	size_t low = 0, high = l->n, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (list_compare_unique(&l->entries[mid], e) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < l->n; low++) {
		if (list_compare_unique(&l->entries[low], e) != 0)
			return NULL;
		if (l->entries[low].ino == e->ino)
			return &l->entries[low];
	}
	return NULL;
}

/* ---------------------------------------------------------------- stamps -- */

int
list_stamp(int dir_fd, int sub, struct list_stamp *ret, struct err *reterr)
{
	struct stat st;

	*ret = (struct list_stamp){ 0 };
	if (fstatat(dir_fd, list_subs[sub], &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : err_sys(reterr, "%s",
		    list_subs[sub]);
	*ret = (struct list_stamp){ .dev = st.st_dev, .ino = st.st_ino,
		.mtime = st.st_mtim, .ctime = st.st_ctim };
	return 0;
}

bool
list_same_stamp(const struct list_stamp *a, const struct list_stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino &&
	    a->mtime.tv_sec == b->mtime.tv_sec &&
	    a->mtime.tv_nsec == b->mtime.tv_nsec &&
	    a->ctime.tv_sec == b->ctime.tv_sec &&
	    a->ctime.tv_nsec == b->ctime.tv_nsec;
}

bool
list_folders_hold(const struct list *l, int dir_fd)
{
	struct list_stamp now;

	for (int sub = 0; sub < LIST__SUBS; sub++)
		if (!l->settled[sub] ||
		    list_stamp(dir_fd, sub, &now, NULL) != 0 ||
		    !list_same_stamp(&now, &l->stamp[sub]))
			return false;
	return true;
}

bool
list_holds(const struct list *l, int dir_fd)
{
	struct uidl_stamp uidls;

	return l->listing_octets > 0 && list_folders_hold(l, dir_fd) &&
	    uidl_stamp(dir_fd, ".", &uidls, NULL) == 0 &&
	    memcmp(&uidls, &l->uidls, sizeof(uidls)) == 0;
}

/* --------------------------------------------------------------- listing -- */

/*
 * No two entries have the same UIDL: the second of two files with one unique
 * part, which is somebody's mistake, and one whose own UIDL another message has
 * brought from elsewhere, get a hash.
 */
static void
list_uidl(const struct list_entry *e, const struct uidl_map *uidls,
    char dst[MBOXC_UIDL_MAX + 1])
{
	const char *imported = uidl_find(uidls, e->name, e->unique_len);
	char file[MAILDIR_NAME_MAX + 8];

	if (e->twin && str_format(file, sizeof(file), "%s/%s",
	    list_subs[e->sub], e->name) == 0) {
		maildrop_hash_uidl(file, strlen(file), dst);
		return;
	}
	if (imported != NULL &&
	    str_copy(dst, MBOXC_UIDL_MAX + 1, imported) == 0)
		return;
	maildrop_name_uidl(e->name, dst);
	if (uidls != NULL && uidl_is_taken(uidls, dst))
		maildrop_hash_uidl(e->name, e->unique_len, dst);
}

int
list_make_listing(struct list *l, const struct uidl_map *uidls,
    struct err *reterr)
{
	uint8_t *mem = malloc(listing_size(l->n,
	    l->n * MBOXC_UIDL_MAX));
	char uidl[MBOXC_UIDL_MAX + 1];
	struct listing_out out;

	if (mem == NULL)
		return err_set(reterr, ERR_NOMEM, "no memory");
	listing_begin(&out, mem, l->n);
	for (size_t i = 0; i < l->n; i++) {
		list_uidl(&l->entries[i], uidls, uidl);
		listing_put(&out, l->entries[i].octets, uidl, strlen(uidl));
	}
	l->listing_octets = out.at;
	if (out.at <= LISTING_INLINE_MAX) {
		l->listing = realloc(mem, out.at);
		if (l->listing == NULL)
			l->listing = mem;
		return 0;
	}
	l->listing_fd = fio_memfd("maildrop", mem, out.at);
	free(mem);
	return l->listing_fd >= 0 ? 0 : err_sys(reterr, "memfd");
}

int
list_load_listing(struct list *l, int dir_fd, struct err *reterr)
{
	struct uidl_map *uidls = NULL;
	int r = uidl_stamp(dir_fd, ".", &l->uidls, reterr);

	if (r == 0 && l->uidls.ino != 0)
		r = uidl_load(dir_fd, ".", &uidls, reterr);
	if (r == 0)
		r = list_make_listing(l, uidls, reterr);
	uidl_free(uidls);
	return r;
}
