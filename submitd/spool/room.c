/*
 * room.c - tells submitd-smtp how large a message there is room for, so that
 * what announces more hears it at MAIL and not only when it is sent.
 *
 * Runs in submitd-spool, on the loop. It is only a hint: what is asked for at
 * BEGIN is what counts (txn.c).
 */
#include "config.h"

#include "submitd/spool/txn_private.h"

#include "submitd/spool/protocol.h"

#define ROOM_MS 2000
#define ROOM_STEP 16u	/* this part of it more or less is news */

/* No more than a message may have: while there is enough room it never changes. */
static uint64_t
room_now(struct spool *sp)
{
	uint64_t most = sp->conf->message_size_limit + SPOOL_ADDED_MAX,
	    free = store_free(&sp->store, sp->conf->spool_min_free);

	free = free > sp->reserved ? free - sp->reserved : 0;
	return free < most ? free : most;
}

void
room_tell(struct txn_peer *p)
{
	uint64_t room = room_now(p->sp),
	    by = room > p->room ? room - p->room : p->room - room;

	if (p->room_told && by <= p->room / ROOM_STEP)
		return;
	p->room = room;
	p->room_told = true;
	msg_begin(&p->sp->msg, SPOOL_ROOM, 0);
	msg_put_u64(&p->sp->msg, room);
	(void)ipc_send(p->ipc, &p->sp->msg, -1);
}

static void
room_due(void *ctx)
{
	struct spool *sp = ctx;
	struct txn_peer *p;

	TAILQ_FOREACH(p, &sp->peers, link)
		room_tell(p);
	timer_arm(&sp->room, ROOM_MS);
}

int
room_start(struct spool *sp)
{
	int r = timer_init(&sp->room, sp->loop, room_due, sp);

	if (r == 0)
		timer_arm(&sp->room, ROOM_MS);
	return r;
}
