/*
 * list.h - what a scan found in a Maildir: never changed afterwards, shared by
 * the sessions that show it and by the cache; private to popd/mbox/.
 *
 * It holds for as long as the folders' stamps are what they were: a name that
 * comes, goes or changes moves its folder's mtime. A stamp that was young when
 * it was read proves nothing (a later change may fall into the same tick of the
 * file system's clock): such a folder is not settled, and is read again.
 */
#ifndef SUBMITD_LIST_H
#define SUBMITD_LIST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "popd/mbox/maildrop.h"
#include "popd/mbox/uidl.h"

enum { LIST_NEW, LIST_CUR, LIST__SUBS };

extern const char *const list_subs[LIST__SUBS];	/* "new", "cur" */

enum list_why {			/* why a file is not shown */
	LIST_WHY_LINK,
	LIST_WHY_KIND,
	LIST_WHY_HARD_LINK,
	LIST_WHY_OWNER,
	LIST_WHY_UNREADABLE,
	LIST_WHY_NAMES,
	LIST_WHY__COUNT
};

struct list_entry {
	const char	*name;		/* with a NUL; in its list's or a scan's
					 * names */
	uint64_t	 time;		/* of the name */
	uint64_t	 size;		/* of the file */
	uint64_t	 octets;	/* on the wire */
	ino_t		 ino;
	uint8_t		 unique_len;	/* maildrop_name_unique() */
	uint8_t		 sub;
	bool		 twin;		/* the one before has its unique part */
	bool		 known;		/* size and octets are set */
};

struct list_stamp {			/* all zero: it does not exist */
	dev_t		 dev;
	ino_t		 ino;
	struct timespec	 mtime, ctime;
};

/* What the file of kept.h does not have. */
struct list_news {
	size_t		 changes;	/* messages that have come or gone */
	size_t		 reads;		/* of them: had to be opened */
	uint64_t	 octets;	/* and read */
	bool		 stamps;	/* its own were not settled */
};

struct list {
	atomic_uint	 refs;
	atomic_bool	 shown;		/* to a client */
	struct list_entry *entries;	/* sorted by list_compare() */
	size_t		 n;
	char		*names;
	size_t		 names_octets;
	void		*listing;	/* listing.h; NULL: in listing_fd */
	size_t		 listing_octets;
	int		 listing_fd;	/* sealed, or -1 */
	struct list_stamp stamp[LIST__SUBS];
	bool		 settled[LIST__SUBS];
	struct uidl_stamp uidls;
	bool		 complete;	/* none was left out by root->max */
	size_t		 n_skipped[LIST__SUBS];
	struct maildrop_skipped *skips;	/* of the scan that made it */
	size_t		 n_skips;
	bool		 kept;		/* there is a file KEPT_NAME */
	struct list_news news;
};

struct list *list_new(void);
struct list *list_ref(struct list *l);		/* from any thread */
void	list_unref(struct list *l);		/* NULL is fine */
size_t	list_octets(const struct list *l);	/* of memory */

/* By time, then unique part; list_compare() then by name and folder: a total
 * order, in which what may have the same UIDL stands side by side. */
int	list_compare_unique(const void *a, const void *b);
int	list_compare(const void *a, const void *b);
/* The file that `e` is, under whatever name it has there; NULL: none. */
const struct list_entry *list_find(const struct list *l,
	    const struct list_entry *e);

/* The stamp of a folder below dir_fd now. 0, ERR_SYSTEM. */
int	list_stamp(int dir_fd, int sub, struct list_stamp *ret,
	    struct err *reterr);
bool	list_same_stamp(const struct list_stamp *a,
	    const struct list_stamp *b);
/* Whether nothing has changed in new/ and cur/ of the Maildir at dir_fd. */
bool	list_folders_hold(const struct list *l, int dir_fd);
/* Nor in what UIDLs it has; false without a listing. */
bool	list_holds(const struct list *l, int dir_fd);

/* Makes the listing of the entries. ERR_NOMEM, ERR_SYSTEM. */
int	list_make_listing(struct list *l, const struct uidl_map *uidls,
	    struct err *reterr);
/* With the UIDLs of the Maildir at dir_fd; the codes of uidl_load() too. */
int	list_load_listing(struct list *l, int dir_fd, struct err *reterr);

/* scan.c: reads the Maildir at dir_fd; `old` is what it was, or NULL. *ret is
 * the caller's reference. MAILDROP_BIG with `small`. */
int	scan_maildir(const struct maildrop_root *root, int dir_fd, bool small,
	    const struct list *old, struct list **ret, struct err *reterr);
/* Whether this file may be shown; *ret_why when not. folder_uid: who owns the
 * folder that it is in. */
bool	scan_is_message(const struct maildrop_root *root, uid_t folder_uid,
	    const struct stat *st, enum list_why *ret_why);

/* cache.c */
struct cache *cache_new(size_t max_octets);	/* NULL: no memory */
void	cache_free(struct cache *c);
/* A reference, or NULL. A NULL cache keeps nothing. From any thread. */
struct list *cache_get(struct cache *c, const char *path);
void	cache_put(struct cache *c, const char *path, struct list *l);
void	cache_forget(struct cache *c, const char *path);
size_t	cache_octets(struct cache *c);
void	cache_set_max(struct cache *c, size_t max_octets);

#endif
