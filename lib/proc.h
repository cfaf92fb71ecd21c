/*
 * proc.h - what a parent and its children say to each other over the socket
 * that is the child's descriptor 3 (lib/msg.h packets).
 *
 *	parent -> child					child -> parent
 *	CONF  +fd (memfd of conf_pack())
 *	LOG   +fd (only when log_to is a file)
 *	FD    str name, u32 client_role + 2,
 *	      u8 implicit_tls; +fd
 *	TABLE u32 worker; +fd (lib/sessions.h; to
 *	      those who serve TCP clients)
 *	WAKE  +fd (of worker 0, 1, …)
 *	GO    (all of it is sent: check it)		READY, or FAIL str, u8 exit
 *	at a reload: CONF, LOG, FD (TCP only), GO	ACCEPT, or REFUSE str
 *	COMMIT or ABANDON
 *	at any time, submitd-send only			CONNECT str route (its
 *	CONNECTED str why; +fd, or none			UNIX socket; lib/conf_route.h)
 *	with the id of the question
 */
#ifndef SUBMITD_PROC_H
#define SUBMITD_PROC_H

#define PROC_FD		3		/* in the child */
#define PROC_TEXT_MAX	320u

enum proc_type {
	PROC_CONF = 1,
	PROC_LOG,
	PROC_SOCKET,
	PROC_GO,
	PROC_COMMIT,
	PROC_ABANDON,
	PROC_READY,
	PROC_FAIL,
	PROC_ACCEPT,
	PROC_REFUSE,
	PROC_TABLE,
	PROC_WAKE,
	PROC_CONNECT,
	PROC_CONNECTED
};

/* client_role of a child_fd that belongs to no role's folder. */
#define PROC_CONTROL	(-1)
#define PROC_TCP	(-2)

#endif
