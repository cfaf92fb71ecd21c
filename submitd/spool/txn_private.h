/*
 * txn_private.h - what txn.c and txn_get.c share: a message on its way in.
 */
#ifndef SUBMITD_SPOOL_TXN_PRIVATE_H
#define SUBMITD_SPOOL_TXN_PRIVATE_H

#include "lib/buf.h"
#include "submitd/spool/header.h"
#include "submitd/spool/spool.h"

/*
 *	RCPTS -> ASKING		the last recipient came before authd's answer
 *	RCPTS -> OPEN		the last one came after it
 *	ASKING -> OPEN		authd took the ticket: BEGIN is answered
 *	ASKING -> CHECKED	the same of what came as a whole
 *	OPEN -> CHECKING	COMMIT came: authd is asked again
 *	CHECKING -> CHECKED	it still holds; a write is awaited
 *	CHECKED -> FLUSHING	the flush has it now: too late to give it up
 *	any but FLUSHING -> DEAD given up while a job held it; it frees it
 */
enum txn_state {
	TXN_RCPTS,
	TXN_ASKING,
	TXN_OPEN,
	TXN_CHECKING,
	TXN_CHECKED,
	TXN_FLUSHING,
	TXN_DEAD,
};

struct txn {
	struct spool		*sp;
	struct txn_peer		*peer;		/* NULL: nobody wants to hear */
	struct txn_peer		*owner;		/* who began it, to the end */
	enum txn_state		 state;
	enum spoolc_verdict	 verdict;	/* not OK: no data are kept */
	uint32_t		 slot;
	uint32_t		 begin;		/* id of BEGIN */
	uint32_t		 commit;	/* id of COMMIT or WHOLE */
	bool			 whole;		/* it came as WHOLE */
	bool			 booked;	/* as sent by its user */
	uint32_t		 auth_call;	/* 0: none is open */
	struct authc_blob	 ticket;
	uint32_t		 reservation;	/* of what its user may send */
	char			 limit[SPOOLC_TEXT_MAX + 1];	/* or "" */
	bool			 ticketed;	/* authd took it at begin */
	char			*origin;	/* its word for Received; or NULL */
	struct envelope		 env;
	size_t			 rcpts_want;
	size_t			 rcpts_room;
	size_t			 held;		/* octets of memory: of
						 * recipients, and of data that
						 * came before the ticket */
	uint64_t		 announced;	/* by SIZE */
	uint64_t		 size_limit;	/* its user's; 0: none */
	uint64_t		 octets;	/* that came */
	uint64_t		 written;	/* of them, by write jobs */
	uint64_t		 reserved;	/* our part of sp->reserved */
	struct limit_share	 share;		/* and of its user's */
	uint32_t		 unacked;
	struct header_scan	 scan;
	struct buf		 in;		/* not yet written */
	struct buf		 out;		/* the write job's */
	bool			 writing;
	char			*top;		/* Received, in front of it */
	size_t			 top_len;
	struct store_file	*file;
	struct queue_msg	*msg;		/* ready before it is needed */
	struct store_op		 op;
	int			 r;		/* of the write job */
	struct err		 err;
};

struct txn_peer {
	TAILQ_ENTRY(txn_peer)	 link;
	struct spool		*sp;
	struct ipc		*ipc;
	size_t			 n;		/* in slots */
	size_t			 n_all;		/* and those given up that still
						 * wait; it is kept for them */
	uint64_t		 room;		/* that it was told of last */
	bool			 room_told;
	size_t			 held;		/* of all its txns, */
	size_t			 early;		/* and of those without a ticket */
	bool			 complained;	/* in the log, of that */
	struct txn		*slots[SPOOL_SLOTS];
};

/* txn_get.c: what a packet says. ERR_FORMAT, ERR_NOMEM: the peer is dropped.
 * ERR_LIMIT: the message is refused for now, it or its peer has too much. */
int	txn_get_begin(struct txn *t, struct msg_in *m);	/* or WHOLE's front */
int	txn_get_rcpts(struct txn *t, struct msg_in *m);
/* So many octets of memory more. ERR_LIMIT. */
int	txn_hold(struct txn *t, size_t octets);
/* authd took the ticket. */
void	txn_hold_ticketed(struct txn *t);
/* Its memory is given back, or is the queue's. */
void	txn_hold_end(struct txn *t);

/* room.c: says what room there is, where that is news. */
void	room_tell(struct txn_peer *p);

#endif
