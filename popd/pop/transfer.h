/*
 * transfer.h - replies of many lines, made piece by piece as the client takes
 * them: memory stays bounded however long they are and however slowly they are
 * read. Private to popd/pop/.
 */
#ifndef SUBMITD_POP_TRANSFER_H
#define SUBMITD_POP_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/buf.h"

struct pop_session;

enum pop_listing { POP_LISTING_SIZES, POP_LISTING_UIDLS };

struct pop_head {		/* what is sent instead of a file's beginning */
	struct buf	octets;
	uint64_t	replaces;	/* octets of the file */
	bool		ascii;		/* of the file's header what is not
					 * ASCII goes as '?' */
};

/* The first line was sent; sends the rest, and the session goes on after it.
 * It waits (pop_session_wait()) already. */
void	pop_transfer_listing(struct pop_session *s, enum pop_listing what);
/* `fd` and what `head` holds are taken over. `lines` < 0: the whole message,
 * else its top. */
void	pop_transfer_message(struct pop_session *s, int fd,
	    struct pop_head *head, int64_t lines);
/* utf8.c. With which header the message is sent, as RFC 6856 section 2.1 has it.
 * It is never refused: many programs would get no further, and anybody may send
 * such mail. */
void	pop_utf8_head(const struct pop_session *s, int fd,
	    struct pop_head *ret);
/* The output has run empty. */
void	pop_transfer_drained(struct pop_session *s);
void	pop_transfer_free(struct pop_session *s);

#endif
