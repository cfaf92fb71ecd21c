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
	struct mboxc_message	*messages;
	size_t			 n_messages;
	size_t			 n_room;
	size_t			 count;		/* once it is open */
};

/* Takes `n` entries and the end of a packet. ERR_FORMAT, ERR_NOMEM. */
int	mboxc_list_take(struct mboxc_drop *d, struct msg_in *in, size_t n);
void	mboxc_list_free(struct mboxc_drop *d);

#endif
