/*
 * protocol.h - the messages of submitd-spool's two sockets (lib/msg.h packets).
 *
 * Socket "spool" of submitd-smtp. A transaction is named by a slot that the
 * client chooses and that it may use again once the transaction is gone.
 *
 *	SPOOL_BEGIN   call: u32 slot, blob ticket, str sender, str helo,
 *	              u64 size, u8 eightbit, u8 smtputf8, u8 ret, str envid,
 *	              WISHES, u32 n_rcpts, u16 n, n times RCPT
 *	SPOOL_RCPTS   u32 slot, u16 n, n times RCPT; until n_rcpts are there
 *	              (RCPT is str address, u8 notify, str orcpt; WISHES is
 *	              u8 flags, u64 hold_until_s, u8 by_mode, u64 by_s,
 *	              u8 priority + 9: wishes.c)
 *	SPOOL_DATA    u32 slot, blob
 *	SPOOL_COMMIT  call: u32 slot, blob (the last octets)
 *	SPOOL_ABORT   u32 slot
 *	SPOOL_WHOLE   call: as BEGIN, with all recipients, and the blob of COMMIT:
 *	              a message in one packet
 *	reply to BEGIN, COMMIT and WHOLE: u8 verdict, str queue_id; to a limit its text
 *	              stands for the queue_id
 *	SPOOL_ACK     (from the spool, id 0) u32 slot, u32 id of its BEGIN,
 *	              u32 octets taken, u8 verdict: not OK means that nothing
 *	              more is wanted
 *
 *	SPOOL_ROOM    (from the spool, id 0) u64 octets: for a larger message
 *	              there is no room now
 *
 * At most SPOOL_WINDOW octets of a transaction are on their way without an ACK.
 * COMMIT's octets do not count; a transaction that answered ends without ACKs.
 *
 * Socket "spool" of submitd-send.
 *
 *	SPOOLQ_ENTRY  (from the spool, id 0) str id, str sender, str user,
 *	              u64 arrived_s, u64 octets, u8 eightbit, u8 smtputf8,
 *	              u8 foreign, u8 ret, str envid, WISHES, u32 n_rcpts,
 *	              u32 first, u16 n, n times { RCPT, u8 state, u32 tries,
 *	              u64 next_try_s, u8 told };
 *	              packets until first + n is n_rcpts; blob, the message if it
 *	              is small and has just come
 *	SPOOLQ_GONE   (from the spool, id 0) str id
 *	SPOOLQ_HELD   (from the spool, id 0) str id
 *	SPOOLQ_OPEN   call: str id, u8 lent (submitd-local gets what is
 *	              returned); reply: u8 how (enum spoolq_how); FILE: u64
 *	              offset, +fd; CONTENT: blob, the message
 *	SPOOLQ_RESULT str id, u32 rcpt, u8 kind, u64 next_try_s, u8 told,
 *	              str text
 *	SPOOLQ_BOUNCE call: str id, u32 octets of the whole report, u32 offset,
 *	              blob, the part of it that begins there; reply: u8 ok, for
 *	              the last part once the report is durable. The next part is
 *	              sent after the reply; offset 0 begins anew
 *
 * A reply has its request's type with SPOOL_REPLY added. Whatever else comes in
 * by a socket drops the peer.
 */
#ifndef SUBMITD_SPOOL_PROTOCOL_H
#define SUBMITD_SPOOL_PROTOCOL_H

#define SPOOL_REPLY	0x8000u

enum spool_type {
	SPOOL_BEGIN = 1,
	SPOOL_RCPTS,
	SPOOL_DATA,
	SPOOL_COMMIT,
	SPOOL_ABORT,
	SPOOL_ACK,
	SPOOL_ROOM,
	SPOOL_WHOLE,
};

enum spoolq_type {
	SPOOLQ_ENTRY = 32,
	SPOOLQ_GONE,
	SPOOLQ_OPEN,
	SPOOLQ_RESULT,
	SPOOLQ_BOUNCE,
	SPOOLQ_HELD,
};

enum spoolq_how { SPOOLQ_HOW_NONE = 0, SPOOLQ_HOW_FILE, SPOOLQ_HOW_CONTENT };

enum spoolq_kind {
	SPOOLQ_KIND_DONE = 1,
	SPOOLQ_KIND_DEFER,
	SPOOLQ_KIND_FAIL,
	SPOOLQ_KIND_DELIVERED,
};

/* message_size_limit is about what the client sent; the session may add Date
 * and Message-ID to that. */
#define SPOOL_ADDED_MAX	1024u
#define SPOOL_SLOTS	2048u		/* open transactions of one peer */
#define SPOOL_CHUNK	32768u		/* octets in one DATA or COMMIT */
#define SPOOL_WINDOW	262144u
#define SPOOL_ADDRESS_MAX 254u		/* sender, recipient, user */
#define SPOOL_HELO_MAX	255u
#define SPOOL_RCPTS_MAX	100000u		/* of one message */
#define SPOOL_TEXT_MAX	1024u		/* of one result */
#define SPOOL_REPORT_PART_MAX 60000u	/* of one part of a report, */
#define SPOOL_REPORT_MAX (8u * 1024 * 1024)	/* and of all of it */
#define SPOOLQ_ALONG_MAX 16384u		/* octets of a message in its ENTRY */

#endif
