/*
 * authc.h - asking authd: the client side of auth/PROTOCOL, asynchronous.
 *
 * One struct authc a process; it connects to the socket "auth" in the
 * process's folder and again whenever authd returns. Each question calls back
 * exactly once from the loop (never from within the question), with rc 0 or
 * ERR_AWAY, unless it was cancelled; when the question itself returns an error
 * there is no callback. In a reply all pointers are good for the callback only.
 */
#ifndef SUBMITD_AUTHC_H
#define SUBMITD_AUTHC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/authp.h"
#include "lib/addr.h"
#include "lib/loop.h"

struct authc;

struct authc_handle {			/* by value, like a ticket */
	size_t	len;
	uint8_t	data[AUTHP_HANDLE_MAX];
};

struct authc_blob {			/* a ticket */
	size_t	len;
	uint8_t	data[AUTHP_TICKET_MAX];
};

/* What LIMIT says; authc_limit_text() for people. */
struct authc_limit {
	enum authp_limit	 which;
	uint64_t		 max;
	int64_t			 eases_s;	/* 0: never */
	bool			 permanent;
};

struct authc_reply {
	int			 rc;		/* 0 or ERR_AWAY */
	enum authp_verdict	 verdict;	/* AUTHP_TEMP when rc is not 0 */
	uint32_t		 exchange;	/* CONTINUE */
	const void		*blob;		/* challenge, handle or ticket;
						 * FROM: enum authp_owned;
						 * USERS: enum authp_user */
	size_t			 blob_len;
	const char		*user;
	const char		*login;		/* SASL, APOP: who logged in
						 * for user; "": himself */
	const void		*handle;	/* SASL: if START brought none */
	size_t			 handle_len;
	enum authp_kind		 kind;
	uint64_t		 size_limit;	/* MAIL, TICKET; 0: none */
	bool			 may_prioritise;	/* MAIL: above 0 */
	enum authp_hint		 hint;		/* MAIL: NOAUTH */
	const char		*path;		/* MAILDROP, DELIVER */
	uint64_t		 quota;		/* DELIVER: octets; 0: none */
	const char		*peer;		/* TICKET: the client's address */
	const char		*tls;		/* TICKET */
	const char		*mech;		/* TICKET: "" unless SASL */
	const char		*sid;		/* TICKET */
	const char		*origin;	/* TICKET: a token, or "" */
	uint32_t		 reservation;	/* TICKET; 0: none */
	bool			 foreign;	/* TICKET: not his sender */
	struct authc_limit	 limit;		/* LIMIT */
	const char		*text;		/* BROWNOUT: for the person */
};

typedef void authc_fn(void *ctx, const struct authc_reply *r);

/* What authd says without being asked. Called from the loop, never from within
 * a question; what they are given is good for the call. */
struct authc_notices {
	/* authc_has_secrets() may be another now. May be NULL. */
	void	(*state)(void *ctx);
	/* Sessions of, or by, `user` ("" any) from `net` (0 bits: any), begun by
	 * before_s (0: whenever), are to end. */
	void	(*kick)(void *ctx, const char *user, const struct net *net,
		    int64_t before_s);
	/* authc_who_entry() for each session, then authc_who_end(). */
	void	(*who)(void *ctx, uint32_t serial);
	/* The connection was full and takes octets again, or is new. May be
	 * NULL. */
	void	(*drained)(void *ctx);
	/* The connection is new. May be NULL. */
	void	(*up)(void *ctx);
	/* For spool alone, which has neither kick nor who: whether what `user` has
	 * queued may go out has perhaps changed ("": anybody's; ask). */
	void	(*user)(void *ctx, const char *user, enum authp_user state);
};

/* A session in which somebody is logged in. */
struct authc_session_info {
	const char		*sid;
	const char		*user;
	const char		*login;		/* NULL: the same */
	const struct addr	*peer;
	enum authp_service	 service;
	const char		*mech;
	const char		*tls;
	int64_t			 since_s;
};

/* A session that is over, or a part of one (EVENT). What is too long is cut. */
struct authc_event {
	const char		*sid;
	enum authp_service	 service;
	const struct addr	*peer;
	uint16_t		 port;		/* ours */
	const char		*tls;		/* NULL: in clear */
	const char		*user;		/* whose right it was, or NULL */
	const char		*login;		/* who acts for him, or the name
						 * that was claimed, or NULL */
	uint8_t			 kind;		/* enum authp_kind, 0: none */
	const char		*sender;	/* of what was refused, or NULL */
	const char		*helo;		/* or NULL */
	int64_t			 began_s;
	uint32_t		 ms;
	uint32_t		 messages;
	uint32_t		 flags;		/* enum authp_past */
	uint16_t		 code;		/* of the refusal, or 0 */
	const char		*status;	/* "5.7.8", POP3: "AUTH" */
	const char		*text;
	const char		*why;		/* it ended */
	const void		*sent;		/* see auth/PROTOCOL */
	size_t			 sent_len;
};

/* How the client came to prove who he is (SASL_START). With an empty handle the
 * first four tell of the session, as authc_session() does. */
struct authc_start {
	int		 sock_fd;
	enum authp_service service;
	const char	*sid;
	const struct addr *claim;
	const char	*tls;
	const char	*mech;
	const void	*ir;		/* NULL: no initial response */
	size_t		 ir_len;
	const char	*binding;	/* its name, or "" */
	const void	*binding_data;
	size_t		 binding_len;
	const void	*cert;		/* AUTHP_CERT_SIZE octets or NULL */
};

struct authc *authc_new(struct loop *l, const char *path);
/* For smtp, pop and spool: `n` is borrowed for the process's life. */
struct authc *authc_new_with(struct loop *l, const char *path,
	    const struct authc_notices *n, void *ctx);
int	authc_is_up(const struct authc *a);
/* Some user has a secret for CRAM-MD5 and APOP; false while authd is away. */
bool	authc_has_secrets(const struct authc *a);

/* `claim` is NULL, or whom the socket's peer speaks for: PROXY, XCLIENT.
 *
 * Each returns 0 and puts the call's id in *ret_call (for authc_cancel; may be
 * NULL), or ERR_AWAY, ERR_NOMEM, ERR_LIMIT (an argument is too long). */
int	authc_session(struct authc *a, int sock_fd, enum authp_service service,
	    const char *sid, const struct addr *claim, authc_fn *fn, void *ctx,
	    uint32_t *ret_call);
/* Responses are the caller's to zero; this module zeroes its own copy. */
int	authc_sasl_start(struct authc *a, const struct authc_handle *handle,
	    const struct authc_start *st, authc_fn *fn, void *ctx,
	    uint32_t *ret_call);
int	authc_sasl_step(struct authc *a, uint32_t exchange, const void *resp,
	    size_t len, authc_fn *fn, void *ctx, uint32_t *ret_call);
void	authc_sasl_cancel(struct authc *a, uint32_t exchange);
int	authc_mail(struct authc *a, const struct authc_handle *handle,
	    const struct authc_blob *ticket, const char *tls,
	    const char *sender, authc_fn *fn, void *ctx, uint32_t *ret_call);
/* The addresses of a header; the reply's blob has n octets. */
int	authc_from(struct authc *a, const void *ticket, size_t len,
	    const char *const *addresses, size_t n, authc_fn *fn, void *ctx,
	    uint32_t *ret_call);
int	authc_rcpt(struct authc *a, const char *address, authc_fn *fn,
	    void *ctx, uint32_t *ret_call);
/* A message that is asked about. */
struct authc_message {
	const void	*ticket;
	size_t		 ticket_len;
	const char	*sender;
	uint32_t	 recipients;
	uint64_t	 octets;
	uint32_t	 reservation;	/* what begin got */
};
int	authc_ticket(struct authc *a, const struct authc_message *msg,
	    enum authp_phase phase, authc_fn *fn, void *ctx,
	    uint32_t *ret_call);
/* Gives a reservation back; nothing is to be done if it cannot be sent. */
void	authc_release(struct authc *a, uint32_t reservation);
/* A message that commit (or AUTHP_WHOLE) booked was not kept after all. */
void	authc_take_back(struct authc *a, const struct authc_message *msg);
/* What users have queued: may it go out? 1 to AUTHP_USERS_MAX names; the reply's
 * blob has n octets. */
int	authc_users(struct authc *a, const char *const *users, size_t n,
	    authc_fn *fn, void *ctx, uint32_t *ret_call);
int	authc_apop(struct authc *a, const struct authc_handle *handle,
	    const char *tls, const char *name, const char *challenge,
	    const uint8_t digest[AUTHP_DIGEST_SIZE], authc_fn *fn, void *ctx,
	    uint32_t *ret_call);
int	authc_maildrop(struct authc *a, const void *ticket, size_t len,
	    authc_fn *fn, void *ctx, uint32_t *ret_call);
int	authc_deliver(struct authc *a, const char *address, authc_fn *fn,
	    void *ctx, uint32_t *ret_call);
/* The answer to `who`. ERR_LIMIT: the connection is full, the same again after
 * `drained`. ERR_AWAY: the question died with its connection. */
int	authc_who_entry(struct authc *a, uint32_t serial,
	    const struct authc_session_info *s);
int	authc_who_end(struct authc *a, uint32_t serial);
/* "100 messages an hour; send again in 12 minutes". */
#define AUTHC_LIMIT_SIZE 128u
const char *authc_limit_text(const struct authc_limit *l, int64_t now_s,
	    char dst[AUTHC_LIMIT_SIZE]);
/* Tells of a session: never waited for. While authd is away or behind, up to
 * EVENT_WAITING_MAX (auth/event.h) wait; strangers' go first. */
void	authc_event(struct authc *a, const struct authc_event *e);
/* The reply is no longer wanted: fn will not be called. */
void	authc_cancel(struct authc *a, uint32_t call);

#endif
