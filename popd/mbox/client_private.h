/*
 * client_private.h - one opened maildrop, as client.c and client_list.c share it.
 */
#ifndef SUBMITD_MBOX_CLIENT_PRIVATE_H
#define SUBMITD_MBOX_CLIENT_PRIVATE_H

#include "lib/msg.h"
#include "popd/mbox/client.h"

struct mboxc_drop {
	struct mboxc_drop	*next;		/* in its bucket */
	struct mboxc		*mboxc;
	uint32_t		 id;		/* of the OPEN call */
	uint32_t		 call;		/* that waits for its reply, or 0 */
	bool			 lost;		/* popd-mbox went away */
	mboxc_open_fn		*fn;		/* OPEN, UPDATE */
	mboxc_fetch_fn		*fetched;	/* FETCH */
	loop_fn			*on_lost;
	void			*ctx;
	void			*listing;	/* listing.h; once it is open */
	size_t			 listing_octets;
	bool			 mapped;	/* else malloc'ed */
	size_t			 count;		/* 0 until it is open */
};

/* The listing from the octets of a packet, or from a sealed memfd, which stays
 * the caller's. ERR_FORMAT: it is none; ERR_NOMEM. */
int	mboxc_list_copy(struct mboxc_drop *d, const void *listing, size_t len);
int	mboxc_list_map(struct mboxc_drop *d, int fd);
void	mboxc_list_free(struct mboxc_drop *d);

#endif
