/*
 * uidl.h - UIDLs that another POP3 server gave, kept when its users come to
 * popd (submitctl maildrop import-uidl).
 *
 * They are in the file UIDL_FILE of a Maildir: a first line with the version,
 * "UIDL NAME" for each message, NAME being the unique part of its file's name
 * (maildrop_name_unique), and a last line with their number. Only popd-mbox
 * writes it, as a whole, and a message that has a UIDL there keeps it. It is
 * hostile input all the same: it lies where others may write.
 *
 * A file that is broken is an error, never an empty one: every mail program
 * would fetch all of its mail a second time.
 */
#ifndef SUBMITD_MBOX_UIDL_H
#define SUBMITD_MBOX_UIDL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"

#define UIDL_FILE		"submitd-uidl"
#define UIDL_ENTRIES_MAX	400000u
#define UIDL_OCTETS_MAX		(64u * 1024 * 1024)	/* of a file */

struct uidl_map;	/* NULL is the empty one, everywhere */

/* The map of the Maildir at `path` (relative); *ret NULL: it has none.
 * ERR_FORMAT, ERR_LIMIT, ERR_DENIED (not a file of its own), ERR_SYSTEM,
 * ERR_NOMEM. Blocking. */
int	uidl_load(int root_fd, const char *path, struct uidl_map **ret,
	    struct err *reterr);
/* The same from the octets of the file, which are taken over (malloc'ed, with
 * room for a NUL behind them). Pure. */
int	uidl_parse(char *text, size_t len, struct uidl_map **ret,
	    struct err *reterr);
void	uidl_free(struct uidl_map *m);

/* The UIDL of the file with this unique part; NULL: it has its own. */
const char *uidl_find(const struct uidl_map *m, const char *name,
	    size_t unique_len);
/* Some message has this UIDL: nobody else may. */
bool	uidl_is_taken(const struct uidl_map *m, const char *uidl);
size_t	uidl_count(const struct uidl_map *m);
size_t	uidl_octets(const struct uidl_map *m);	/* of memory */

/* 1 to 70 octets of 0x21 to 0x7E (RFC 1939 section 7). */
bool	uidl_is_fit(const char *uidl, size_t len);

/* Whether the file is another one than it was: for who keeps a map, or what
 * was made with it. All zero: there is none. */
struct uidl_stamp {
	uint64_t	ino;
	uint64_t	size;
	int64_t		mtime_ns;
	int64_t		ctime_ns;
};
int	uidl_stamp(int root_fd, const char *path, struct uidl_stamp *ret,
	    struct err *reterr);

/* ------------------------------------------------------------ importing -- */

/* Adds to *m, which is made when NULL. ERR_EXISTS: one of the two is there
 * already; ERR_LIMIT, ERR_FORMAT (unfit), ERR_NOMEM. */
int	uidl_add(struct uidl_map **m, const char *name, size_t unique_len,
	    const char *uidl, size_t uidl_len);
/* Replaces the file, durably: all of the old or all of the new one is there
 * after a crash. */
int	uidl_store(int root_fd, const char *path, const struct uidl_map *m,
	    struct err *reterr);

/* Whether that would be allowed: not if there is room. ERR_SYSTEM. */
int	uidl_check_store(int root_fd, const char *path, struct err *reterr);

/*
 * What popd has shown. Once a Maildir has an imported UIDL, mail that comes
 * later and that popd has shown under its own must not get another one by a
 * second import. So the time of the newest message that was ever shown is kept,
 * as the time of the empty file UIDL_SHOWN_FILE; only where there is a map.
 */
#define UIDL_SHOWN_FILE		"submitd-uidl-shown"

/* Messages up to `newest_s` (of their names) are shown now. Writes only where
 * that is news. */
int	uidl_set_shown(int root_fd, const char *path, int64_t newest_s,
	    struct err *reterr);
/* *ret_s: 0 without the file. */
int	uidl_get_shown(int root_fd, const char *path, int64_t *ret_s,
	    struct err *reterr);

#endif
