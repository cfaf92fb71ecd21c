/*
 * dsn.h - the report to a sender that a message could not be delivered, and
 * those that he asked for (RFC 3461, 3464, 6522, 6533). Pure, but for
 * dsn_read_headers() and dsn_read_full().
 *
 * Nothing from outside (replies, addresses, the message's own headers) can
 * begin a line or a part that we did not write. It is written in parts, so that
 * no more than one of them is in memory.
 */
#ifndef SUBMITD_SEND_DSN_H
#define SUBMITD_SEND_DSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "submitd/send/outcome.h"

/* A report has as many recipients as there are; but most servers take no message
 * that is much larger than this, and who is not told at all is told least. */
#define DSN_MAX		(8u * 1024 * 1024)
#define DSN_PART_MAX	60000u		/* of what is written at a time */
#define DSN_WORDS_MIN	64u		/* about a recipient, where more would
					 * need a second report */
#define DSN_HEADERS_MAX	32768u		/* of the message's headers */
#define DSN_FULL_MAX	51200u		/* of a message that comes back whole */

enum dsn_kind {
	DSN_FAILED,
	DSN_DELAYED,
	DSN_DELIVERED,		/* into a local Maildir */
	DSN_RELAYED,		/* to a next hop that sends no such reports */
	DSN_KIND__COUNT
};

struct dsn {
	const char	*hostname;
	const char	*help_text;	/* or NULL */
	const char	*envid;		/* xtext; NULL or "": none */
	const char	*queue_id;
	const char	*sender;	/* whom it goes to */
	const char	*foreign;	/* the sender that the message has, which
					 * is not his; or NULL */
	int64_t		 arrived_s;
	int64_t		 now_s;
	int64_t		 until_s;	/* DELAYED: given up then */
	int64_t		 by_s;		/* RFC 2852; 0: no deadline was set */
	int64_t		 hold_until_s;	/* RFC 4865; 0: it was not held */
	const struct outcome_rcpt *rcpts;	/* those that it tells of, sorted
					 * by their kind */
	size_t		 n_rcpts;
	char		*headers;	/* of the message, as they are */
	size_t		 headers_len;
	bool		 full;		/* headers is the whole message */
	bool		 smtputf8;	/* its header may have UTF-8 */
};

/* A report that is being written. */
struct dsn_writer {
	size_t		 covered;	/* it tells of the first so many of the
					 * recipients, at least one */
	uint32_t	 octets;	/* in all */
	/* Private */
	size_t		 words;		/* of those about a recipient, at most */
	uint8_t		 stage;
	size_t		 next;		/* of the recipients */
	bool		 utf8;
	char		 id[STR_ID_SIZE];
	char		 boundary[2 * STR_ID_SIZE + 4];
	struct buf	 piece;		/* that the last part had no room for */
};

/* Decides on what it tells of. After that `d` stays as it is, but for rcpts,
 * which may move and grow. ERR_NOMEM. */
int	dsn_begin(const struct dsn *d, struct dsn_writer *w);
/* Puts the next part into `ret`, which is empty and whose max is DSN_PART_MAX;
 * nothing when all has been written. ERR_NOMEM. */
int	dsn_next(const struct dsn *d, struct dsn_writer *w, struct buf *ret);
void	dsn_end(struct dsn_writer *w);

/* The first octets of the message up to the empty line, at most
 * DSN_HEADERS_MAX; the caller's. NULL (and 0) where they can't be read. */
char	*dsn_read_headers(int fd, uint64_t offset, uint64_t octets,
	    size_t *ret_len);
/* All of it; NULL when it has more than DSN_FULL_MAX octets. */
char	*dsn_read_full(int fd, uint64_t offset, uint64_t octets,
	    size_t *ret_len);

/* Appends `text` folded to about 72 columns, each line but the first behind
 * `indent`; what is not printable ASCII becomes '?'. */
int	dsn_put_folded(struct buf *b, const char *text, const char *indent);
/* Appends header lines: whole lines of at most 990 octets, 7 bits but for what
 * is UTF-8 where `utf8` lets it be. */
int	dsn_put_headers(struct buf *b, const char *p, size_t len, size_t max,
	    bool utf8);

#endif
