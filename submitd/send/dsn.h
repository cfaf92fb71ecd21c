/*
 * dsn.h - the report to a sender that a message could not be delivered
 * (RFC 3464, RFC 6522). Pure, but for dsn_read_headers().
 *
 * Nothing from outside (replies, addresses, the message's own headers) can
 * begin a line or a part that we did not write.
 */
#ifndef SUBMITD_SEND_DSN_H
#define SUBMITD_SEND_DSN_H

#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "submitd/send/outcome.h"

#define DSN_MAX		60000u
#define DSN_HEADERS_MAX	32768u		/* of the message's headers */

struct dsn {
	const char	*hostname;
	const char	*help_text;	/* or NULL */
	const char	*queue_id;
	const char	*sender;	/* whom it goes to */
	int64_t		 arrived_s;
	int64_t		 now_s;
	const char	*relay;		/* "HOST[IP]:PORT" or "" */
	const struct outcome_rcpt *rcpts;	/* the failed ones */
	size_t		 n_rcpts;
	char		*headers;	/* of the message, as they are */
	size_t		 headers_len;
};

/* Appends the report to `ret` (whose max is DSN_MAX). It tells of the first
 * *ret_covered recipients, at least one: as many as fit. ERR_NOMEM, ERR_LIMIT. */
int	dsn_build(const struct dsn *d, struct buf *ret, size_t *ret_covered);

/* The first octets of the message up to the empty line, at most
 * DSN_HEADERS_MAX; the caller's. NULL (and 0) where they can't be read. */
char	*dsn_read_headers(int fd, uint64_t offset, uint64_t octets,
	    size_t *ret_len);

/* Appends `text` folded to about 72 columns, each line but the first behind
 * `indent`; what is not printable ASCII becomes '?'. */
int	dsn_put_folded(struct buf *b, const char *text, const char *indent);
/* Appends header lines: 7 bits, whole lines of at most 990 octets. */
int	dsn_put_headers(struct buf *b, const char *p, size_t len, size_t max);

#endif
