/*
 * protocol.h - what popd-pop asks of popd-mbox (socket "mbox" in its folder,
 * lib/msg.h packets, calls of lib/ipc.h).
 *
 *	MBOX_OPEN    blob ticket		reply: u8 verdict, blob listing
 *	  when OK, of listing.h: empty with +fd, a sealed memfd that holds it
 *	MBOX_FETCH   u32 drop, u32 index	reply: u8 verdict; +fd when OK
 *	MBOX_UPDATE  u32 drop, blob bits	reply: u8 verdict
 *	MBOX_CLOSE   u32 drop			no reply
 *
 * popd-mbox by itself, with id 0:
 *	MBOX_YIELD   u32 drop			no reply; see mboxc_on_yield()
 *
 * `drop` is the id of the OPEN call; it belongs to its connection, and all of
 * them are closed, without deleting anything, when that ends. A reply has its
 * request's type with MBOX_REPLY added. Verdicts are enum mboxc_verdict.
 * Whatever breaks these rules drops the peer.
 */
#ifndef SUBMITD_MBOX_PROTOCOL_H
#define SUBMITD_MBOX_PROTOCOL_H

#define MBOX_REPLY	0x8000u

enum { MBOX_OPEN = 1, MBOX_FETCH, MBOX_UPDATE, MBOX_CLOSE, MBOX_YIELD };

#define MBOX_MESSAGES_MAX 100000u	/* shown in one session, the oldest */
#define MBOX_BITS_MAX	((MBOX_MESSAGES_MAX + 7) / 8)

#endif
