/*
 * buf.h - a growable octet buffer with a hard maximum, read from the front.
 *
 * Memory is taken at the first append and given back by buf_free() or, when the
 * buffer runs empty, by buf_release(): an idle connection holds none. Freed
 * memory is zeroed first, for it may have held a password; not that of a buffer
 * for mail, in which there is none.
 */
#ifndef SUBMITD_BUF_H
#define SUBMITD_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t	*mem;
	size_t	 off;		/* first octet not yet consumed */
	size_t	 len;		/* octets from off */
	size_t	 cap;
	size_t	 max;		/* len never exceeds it */
	bool	 mail;		/* nothing is zeroed */
};

void	buf_init(struct buf *b, size_t max);
void	buf_init_mail(struct buf *b, size_t max);
void	buf_free(struct buf *b);	/* b may be used again, with its max */
void	buf_release(struct buf *b);	/* frees the memory when len is 0 */

/* ERR_LIMIT above max, ERR_NOMEM; nothing is appended then. */
int	buf_append(struct buf *b, const void *data, size_t len);
int	buf_printf(struct buf *b, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));

/* Room for at least `want` octets behind the data; then buf_commit() what was
 * written into it. */
int	buf_reserve(struct buf *b, size_t want, uint8_t **ret);
void	buf_commit(struct buf *b, size_t len);

static inline uint8_t *
buf_data(const struct buf *b)
{
	return b->mem == NULL ? NULL : b->mem + b->off;
}
static inline size_t
buf_len(const struct buf *b)
{
	return b->len;
}
void	buf_consume(struct buf *b, size_t len);	/* len <= buf_len() */
void	buf_clear(struct buf *b);	/* zeroes it, unless it is mail */

#endif
