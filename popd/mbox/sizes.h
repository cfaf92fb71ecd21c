/*
 * sizes.h - the file "submitd-sizes" of a Maildir: octets on the wire for which
 * the messages themselves had to be looked into, so that a restart need not do
 * it again.
 *
 * Only a cache: it may be removed at any time, is never flushed, and a line
 * counts for the very file that it was made of (inode, size, mtime). Whoever
 * may write to the Maildir may have written it. Text:
 *
 *	submitd-sizes 1
 *	INODE SIZE MTIME_NS OCTETS	a line a message, by inode
 */
#ifndef SUBMITD_SIZES_H
#define SUBMITD_SIZES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"

#define SIZES_NAME	"submitd-sizes"
#define SIZES_NAME_NEW	"submitd-sizes.new"
#define SIZES_LINES_MAX	200000u
#define SIZES_FILE_MAX	(16u * 1024 * 1024)

struct sizes_line {
	uint64_t	ino, size, mtime_ns, octets;
};

struct sizes {
	size_t			n;
	struct sizes_line	line[];
};

/* The whole file's text. ERR_FORMAT when any of it is not as above or out of
 * order, ERR_NOMEM. Pure; fuzzed. */
int	sizes_parse(const char *text, size_t len, struct sizes **ret);
void	sizes_free(struct sizes *z);		/* NULL is fine */
/* True and the octets if that file stands there. NULL holds nothing. */
bool	sizes_find(const struct sizes *z, const struct sizes_line *want,
	    uint64_t *ret_octets);
/* Appends the text of these lines, which are sorted here. Pure. */
int	sizes_format(struct sizes_line *v, size_t n, struct buf *ret);


/* sizes_file.c: the file in the Maildir at dir_fd. Blocking. NULL: there is none
 * that is of use. */
struct sizes *sizes_load(int dir_fd);
/* Replaces it by these lines; where that fails, there is none. */
void	sizes_store(int dir_fd, struct sizes_line *v, size_t n);

#endif
