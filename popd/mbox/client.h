/*
 * client.h - what popd-pop may ask of popd-mbox, the only one that opens
 * maildrops. Asynchronous; callbacks come from the loop.
 */
#ifndef SUBMITD_MBOX_CLIENT_H
#define SUBMITD_MBOX_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/loop.h"

struct mboxc;			/* the connection to popd-mbox */
struct mboxc_drop;		/* one opened maildrop: one POP3 session's */

enum mboxc_verdict {
	MBOXC_OK = 0,
	MBOXC_INUSE,		/* [IN-USE]: another session holds it */
	MBOXC_VOID,		/* the ticket does not hold any more */
	MBOXC_TEMP,		/* [SYS/TEMP] */
	MBOXC_GONE,		/* this message cannot be read any more */
	MBOXC_PERM,		/* [SYS/PERM]: somebody must mend it */
	MBOXC_DELAY,		/* [LOGIN-DELAY]: too soon after the last one */
	MBOXC_VERDICT__COUNT
};

#define MBOXC_UIDL_MAX 70

struct mboxc_message {
	uint64_t	 octets;	/* on the wire: LF counts as CR LF */
	char		 uidl[MBOXC_UIDL_MAX + 1];
};

struct mboxc *mboxc_new(struct loop *l, const char *path);

/* Another session of the same user wants this open maildrop: fn gets the ctx of
 * mboxc_open(), and closes the drop if nobody uses it any more. */
void	mboxc_on_yield(struct mboxc *m, loop_fn *fn);

/* Opens the maildrop of the ticket's user and fixes the set of messages. */
typedef void mboxc_open_fn(void *ctx, enum mboxc_verdict v);
/* `lost(ctx)` is called when popd-mbox went away while it was open (the session
 * ends without deleting; the drop is still to be closed). NULL: away now. */
struct mboxc_drop *mboxc_open(struct mboxc *m, const void *ticket,
	    size_t ticket_len, mboxc_open_fn *fn, loop_fn *lost, void *ctx);
size_t	mboxc_count(const struct mboxc_drop *d);
uint64_t mboxc_octets(const struct mboxc_drop *d);	/* of all messages */
/* Until the next call; 0-based, as everywhere here. */
const struct mboxc_message *mboxc_message(const struct mboxc_drop *d,
	    size_t i);

/* OK: a read-only descriptor, the callee's. One fetch at a time. */
typedef void mboxc_fetch_fn(void *ctx, enum mboxc_verdict v, int fd);
int	mboxc_fetch(struct mboxc_drop *d, size_t i, mboxc_fetch_fn *fn);

/* QUIT: removes the messages whose bit is set (i / 8, 1 << i % 8; n_bits is
 * mboxc_count()), durable before fn(ctx, OK). */
int	mboxc_update(struct mboxc_drop *d, const uint8_t *bits,
	    mboxc_open_fn *fn);

/* Gives the maildrop free again without deleting anything. No callback comes
 * any more. NULL is fine. */
void	mboxc_close(struct mboxc_drop *d);

#endif
