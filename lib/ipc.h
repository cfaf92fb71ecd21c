/*
 * ipc.h - messages between our processes over SOCK_SEQPACKET.
 *
 * A peer that sends what it may not, or does not read, is dropped with one log
 * line. Packets of msg.h, with at most one descriptor each.
 */
#ifndef SUBMITD_IPC_H
#define SUBMITD_IPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"
#include "lib/loop.h"
#include "lib/msg.h"

#define IPC_QUEUE_MAX	(4u * 1024 * 1024)	/* octets that may wait */
#define IPC_QUEUE_HIGH	(256u * 1024)		/* ipc_full() above */

struct ipc;

struct ipc_ops {
	/* One packet. `fd` is -1, or a descriptor that the callee now owns.
	 * A negative result drops the peer (and is logged). */
	int	(*packet)(void *ctx, struct ipc *p, struct msg_in *m, int fd);
	/* The peer is gone or was dropped; called once, not after
	 * ipc_close(). The owner then calls ipc_close(). */
	void	(*gone)(void *ctx, struct ipc *p);
	/* The queue fell below IPC_QUEUE_HIGH again. May be NULL. */
	void	(*drained)(void *ctx, struct ipc *p);
};

/* Takes over a connected descriptor. `name` (borrowed) is for the log. */
struct ipc *ipc_new(struct loop *l, int fd, const char *name,
	    const struct ipc_ops *ops, void *ctx);
/* Sends now or queues. `fd` (or -1) is passed along and stays the caller's.
 * ERR_AWAY: gone. ERR_LIMIT: m->error, or IPC_QUEUE_MAX waits (dropped; like any
 * other end, gone() tells it from the loop, never from within this call). */
int	ipc_send(struct ipc *p, const struct msg_out *m, int fd);
bool	ipc_full(const struct ipc *p);
/* Another bound than IPC_QUEUE_MAX, for a peer whose work comes in heaps. */
void	ipc_set_queue_max(struct ipc *p, size_t octets);
void	ipc_close(struct ipc *p);	/* reaped at the end of the turn */

/* A listening socket of ours: accepts peers whose uid is `uid` or root's
 * (SO_PEERCRED; (uid_t)-1: any) and hands each to `accepted`, which calls
 * ipc_new() or closes it. Others are closed with a log line. */
struct ipc_listener;
typedef void ipc_accepted_fn(void *ctx, int fd, uid_t uid, pid_t pid);
struct ipc_listener *ipc_listen(struct loop *l, int fd, uid_t uid,
	    const char *name, ipc_accepted_fn *accepted, void *ctx);

/* Creates, binds (mode, owner) and listens on DIR/NAME; dir_fd is its folder.
 * An old socket there is removed. Returns the descriptor or < 0. */
int	ipc_bind(int dir_fd, const char *name, mode_t mode, uid_t uid,
	    gid_t gid, struct err *reterr);

/*
 * A client that connects to a socket by its name in the current folder,
 * connects again with back-off (10 ms to 1 s), and matches replies to calls by
 * id. A reply that does not come within 60 s fails with ERR_AWAY.
 */
struct ipc_client;

/* rc 0: `m` is the reply (its type is for the callee to check; a negative
 * result drops the connection), fd as in ipc_ops. rc ERR_AWAY: no reply will
 * come, m is NULL. */
typedef int ipc_reply_fn(void *ctx, int rc, struct msg_in *m, int fd);

struct ipc_client_ops {
	void	(*up)(void *ctx);	/* connected; may be NULL */
	void	(*down)(void *ctx);	/* lost; all calls have failed by now */
	/* A packet with id 0, or one that belongs to no call. May be NULL:
	 * such a packet then drops the connection. */
	int	(*packet)(void *ctx, struct msg_in *m, int fd);
	void	(*drained)(void *ctx);	/* may be NULL */
};

struct ipc_client *ipc_client_new(struct loop *l, const char *path,
	    const char *name, const struct ipc_client_ops *ops, void *ctx);
void	ipc_client_free(struct ipc_client *c);
bool	ipc_client_is_up(const struct ipc_client *c);
bool	ipc_client_full(const struct ipc_client *c);
/* As ipc_set_queue_max(), for this connection and those to come. */
void	ipc_client_set_queue_max(struct ipc_client *c, size_t octets);
/* A fresh id for msg_begin(); never 0. */
uint32_t ipc_client_id(struct ipc_client *c);
/* Sends `m`, whose id is from ipc_client_id(); fn is called exactly once,
 * never from within this call, unless it is cancelled. Returns 0, ERR_AWAY,
 * ERR_NOMEM, ERR_LIMIT: then fn is not called. */
int	ipc_client_call(struct ipc_client *c, const struct msg_out *m, int fd,
	    ipc_reply_fn *fn, void *ctx);
/* Sends without expecting a reply. */
int	ipc_client_send(struct ipc_client *c, const struct msg_out *m, int fd);
/* The reply to this call is no longer wanted. */
void	ipc_client_cancel(struct ipc_client *c, uint32_t id);

#endif
