/*
 * ops.h - authd-core's peers and what each may ask (auth/PROTOCOL).
 */
#ifndef SUBMITD_AUTH_OPS_H
#define SUBMITD_AUTH_OPS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "auth/authp.h"
#include "auth/core.h"
#include "auth/ticket.h"
#include "lib/ipc.h"
#include "lib/priv.h"

struct login;

#define OPS_SESSIONS	512u

struct peer {			/* a connection from one worker */
	struct core	*core;
	enum priv_role	 role;
	struct ipc	*ipc;
	struct peer	*next;
	bool		 closed;	/* the reaper will free it */
	unsigned int	 n_logins;
	uint32_t	 serial;	/* of exchange ids */
	uint32_t	 who_done;	/* auth/notice.c */
	bool		 checking;	/* the same */
	struct login	*logins[AUTHP_EXCHANGES_MAX];
	struct login	*sessions[OPS_SESSIONS];	/* by their ids */
};

struct ops *ops_new(struct core *core);		/* NULL: no memory */
/* Serves the role's peers on the listening socket; ERR_NOMEM. */
int	ops_listen(struct ops *o, int fd, enum priv_role role, uid_t uid);
/* The list of them. */
struct peer *ops_peers(struct core *core);
/* Ends exchanges whose time is over; to be called every few seconds. */
void	ops_tick(struct ops *o);

/* For the handlers. Start a reply, put the fields, send it. A reply that
 * cannot be sent closes the peer, which stays in memory for this turn. */
void	ops_reply_begin(struct msg_out *m, uint16_t type, uint32_t id,
	    enum authp_verdict v);
void	ops_reply(struct peer *p, const struct msg_out *m);
void	ops_reply_verdict(struct peer *p, uint16_t type, uint32_t id,
	    enum authp_verdict v);

/* The handlers: each takes every field; a negative result drops the peer. */
int	login_op_start(struct peer *p, struct msg_in *m, int fd);
int	login_op_step(struct peer *p, struct msg_in *m, int fd);
int	login_op_cancel(struct peer *p, struct msg_in *m, int fd);
int	login_op_apop(struct peer *p, struct msg_in *m, int fd);
int	mail_op_mail(struct peer *p, struct msg_in *m, int fd);
int	mail_op_from(struct peer *p, struct msg_in *m, int fd);
int	mail_op_ticket(struct peer *p, struct msg_in *m, int fd);
int	address_op_rcpt(struct peer *p, struct msg_in *m, int fd);
int	address_op_maildrop(struct peer *p, struct msg_in *m, int fd);
int	address_op_deliver(struct peer *p, struct msg_in *m, int fd);
int	notice_op_who_entry(struct peer *p, struct msg_in *m, int fd);
int	notice_op_who_end(struct peer *p, struct msg_in *m, int fd);
int	notice_op_users(struct peer *p, struct msg_in *m, int fd);
int	recent_op_event(struct peer *p, struct msg_in *m, int fd);

/* login.c: the peer is gone; exchanges that have waited too long. */
void	login_end_all(struct peer *p);
void	login_expire(struct peer *p, int64_t now_ms);

/* A handle in a request: 0 and *ret, or an error (logged if it is forged): the
 * answer is then VOID. */
int	ops_get_handle(struct peer *p, const void *blob, size_t len,
	    struct ticket_handle *ret);
/* The session that a request is about: by its handle, or, where that is empty,
 * by the fields of SESSION at the request's end and the socket, which is closed
 * in any case. 0; ERR_AWAY, ERR_DENIED: the answer is TEMP, or VOID; any other
 * drops the peer. */
int	ops_get_session(struct peer *p, struct msg_in *m, int fd,
	    const void *handle, size_t len, struct ticket_handle *ret);
/* Who logged in for this ticket (kind SASL) is still there, is not in one of
 * the `refused` flags, holds the credential that he used, and may act for the
 * ticket's user, whose record is `user`: 0. ERR_NOTFOUND: not so; other errors
 * are the database's. */
int	ops_ticket_holds(struct core *core, const struct ticket *t,
	    const struct user_record *user, uint32_t refused, int64_t now_s);
/* address.c: whose mail to this address is. ERR_NOTFOUND: nobody here; any other
 * error is ours. */
int	address_find(struct core *core, const char *address,
	    char ret_user[MAILBOX_SIZE]);
/* What goes into a Received line or a log must have the shape it should. */
bool	ops_is_tls_text(const char *s);

#endif
