/*
 * maildrop.h - a Maildir as a POP3 session sees it: a fixed, sorted set of
 * messages. Blocking; runs on pool threads, one thread at a time a maildrop.
 *
 * Messages are taken from new/ and cur/ and stay where they are: what a POP3
 * client has fetched may still be new to another reader, and a login writes
 * nothing but popd-mbox's own files (kept.h, delay.h, uidl.h). Regular files
 * only, with one link and, as root, an owner that may write here; whatever else
 * lies there is left alone and never shown.
 */
#ifndef SUBMITD_MAILDROP_H
#define SUBMITD_MAILDROP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"
#include "popd/mbox/client.h"

struct maildrop;
struct cache;

/* No file system's clock is coarser. */
#define MAILDROP_SETTLE_US 2000000

struct maildrop_root {
	int	fd;			/* mail_root */
	bool	check_owner;		/* else every file's owner will do */
	uid_t	owners[2];		/* submitd-local, popd-mbox; the folder's
					 * own owner is right too */
	size_t	max;			/* messages shown; the oldest */
	struct cache *cache;		/* of lists; NULL: none is kept */
	int64_t	settle_us;		/* MAILDROP_SETTLE_US; see list.h */
};

/* There is so much to do that it must not stand in others' way: to be called
 * again without `small`. Beside the codes of lib/err.h. */
#define MAILDROP_BIG (-100)
#define MAILDROP_SMALL 4000u		/* messages; more are too many for that */

/* Reads the Maildir at `path` (relative). One that does not exist is empty.
 * MAILDROP_BIG, ERR_DENIED, ERR_SYSTEM, ERR_NOMEM. `root` is borrowed for its
 * life. */
int	maildrop_open(const struct maildrop_root *root, const char *path,
	    bool small, struct maildrop **ret, struct err *reterr);
/* The same from the loop, at once and without a disk: for one that is in the
 * cache and has not changed, or does not exist. ERR_AWAY otherwise: then
 * maildrop_open() is to be called on a thread. */
int	maildrop_open_warm(const struct maildrop_root *root, const char *path,
	    struct maildrop **ret);
void	maildrop_free(struct maildrop *d);		/* NULL is fine */

size_t	maildrop_count(const struct maildrop *d);
uint64_t maildrop_octets(const struct maildrop *d, size_t i);
uint64_t maildrop_time(const struct maildrop *d, size_t i);	/* of the name */
/* ERR_SYSTEM: the list cannot be mapped. */
int	maildrop_uidl(struct maildrop *d, size_t i,
	    char dst[MBOXC_UIDL_MAX + 1]);
/* The list for popd-pop (listing.h). *ret_fd is -1, or a sealed memfd that stays
 * the maildrop's; *ret is NULL then. */
void	maildrop_listing(const struct maildrop *d, const void **ret,
	    size_t *ret_len, int *ret_fd);
/* A client is about to see it: for uidl_set_shown(). */
void	maildrop_shown(struct maildrop *d);

/* Files that are not shown: how many, and some of them by name. */
#define MAILDROP_SKIPS_MAX 8u
struct maildrop_skipped {
	char		 file[260];		/* "new/NAME" */
	const char	*why;
};
size_t	maildrop_skipped(const struct maildrop *d);
/* Those that were found now, by this maildrop_open(), and not before. */
size_t	maildrop_skips(const struct maildrop *d,
	    const struct maildrop_skipped **ret);

/* Opens message i, also when another program has renamed it meanwhile. Returns
 * the descriptor or MAILDROP_BIG, ERR_NOTFOUND (gone, or not what was
 * listed), ERR_DENIED (a link now, or another's), ERR_SYSTEM. */
int	maildrop_fetch(struct maildrop *d, size_t i, bool small,
	    struct err *reterr);
/* The same from the loop, for a small message where it was. ERR_AWAY otherwise. */
int	maildrop_fetch_warm(const struct maildrop *d, size_t i);

/* Removes the messages whose bit is set and makes that durable. One that is
 * gone already counts as removed. After an error some may remain. */
int	maildrop_update(struct maildrop *d, const uint8_t *bits,
	    struct err *reterr);
/* Whether that may take long. */
bool	maildrop_update_is_big(const struct maildrop *d);

/* The UIDL of a file name (RFC 1939 section 7: 1 to 70 octets of 0x21 to 0x7E):
 * its unique part without sizes and flags; or, where that does not fit, its
 * SHA-256 in hexadecimal. Pure. */
void	maildrop_name_uidl(const char *name, char dst[MBOXC_UIDL_MAX + 1]);
void	maildrop_hash_uidl(const char *text, size_t len,
	    char dst[MBOXC_UIDL_MAX + 1]);
/* Length of the part that is unique and never changes: up to the flags and
 * without ",S=" and ",W=", which some programs add later. Pure. */
size_t	maildrop_name_unique(const char *name);
/* The number a name begins with (its time of delivery); 0 without. Pure. */
uint64_t maildrop_name_time(const char *name);
/* Whether it has the shape of lib/maildir.h's: submitd-local ends the last line
 * of each message. Pure. */
bool	maildrop_name_is_ours(const char *name);
/* The octets on the wire that the name gives for a file of `size` octets;
 * false when they are missing or cannot be true. Pure. */
bool	maildrop_name_octets(const char *name, uint64_t size, uint64_t *ret);

#endif
