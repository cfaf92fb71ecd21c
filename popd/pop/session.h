/*
 * session.h - one POP3 session (RFC 1939); private to popd/pop/.
 *
 * State, and what leads to the next (pop_session_enter() is the only one that
 * changes it):
 *
 *   HANDSHAKE	TLS is being set up		-> AUTH
 *   CLEAR	AUTHORIZATION without TLS	-> HANDSHAKE (STLS)
 *   AUTH	AUTHORIZATION under TLS		-> USER, SASL, TRANS
 *   USER	a USER was given		-> AUTH, SASL, TRANS
 *   SASL	a challenge is out		-> AUTH, TRANS
 *   TRANS	TRANSACTION, a maildrop is open	-> UPDATE
 *   UPDATE	QUIT: deletions are carried out	-> CLOSED
 *   CLOSED	from all; reaped at the end of the turn
 */
#ifndef SUBMITD_POP_SESSION_H
#define SUBMITD_POP_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <openssl/ssl.h>

#include "auth/authc.h"
#include "auth/exchange.h"
#include "auth/mechs.h"
#include "auth/roll.h"
#include "lib/acceptor.h"
#include "lib/conf.h"
#include "lib/conn.h"
#include "lib/greet_wait.h"
#include "lib/listen_tls.h"
#include "lib/loop.h"
#include "lib/sessions.h"
#include "lib/str.h"
#include "lib/tls.h"
#include "lib/tls_alert.h"
#include "popd/mbox/client.h"

enum pop_state {
	POP_ST_HANDSHAKE,
	POP_ST_CLEAR,
	POP_ST_AUTH,
	POP_ST_USER,
	POP_ST_SASL,
	POP_ST_TRANS,
	POP_ST_UPDATE,
	POP_ST_CLOSED,
	POP_ST__COUNT
};

#define POP_LINE_MAX		255u	/* RFC 2449 section 4, with CR LF */
#define POP_LINE_AUTH_MAX	12288u	/* RFC 5034 section 4 */
#define POP_REPLY_MAX		512u	/* RFC 2449 section 4 */

TAILQ_HEAD(pop_sessions, pop_session);

struct pop_server {			/* the process; lives as long as it */
	struct loop		*loop;
	struct roll		*roll;		/* who is logged in */
	struct authc		*authc;		/* the roll's */
	struct mboxc		*mboxc;
	struct acceptor		*acceptor;
	struct sessions		*table;		/* NULL: none is counted */
	struct conf		*conf;		/* borrowed from the child */
	struct listen_tls	 tls;
	struct pop_sessions	 sessions;
};

struct pop_past;
struct pop_transfer;

struct pop_session {
	TAILQ_ENTRY(pop_session) link;
	struct pop_server	*server;
	struct conn		*conn;
	struct conf		*conf;		/* what it began with */
	SSL_CTX			*tls_ctx;	/* likewise; NULL: none */
	char			 id[STR_ID_SIZE];
	struct addr		 peer;		/* the client */
	struct addr		 via;		/* who is connected: it, or a
						 * balancer */
	size_t			 listener;	/* its number in conf */
	bool			 claimed;	/* peer is another's word */
	bool			 implicit_tls;
	char			 tls[TLS_DESC_SIZE];	/* "" in clear */
	const struct tls_alert	*alert;		/* the wrong mode it came in, or
						 * why its handshake failed */
	enum pop_state		 state;
	bool			 waiting;	/* a reply is still owed */
	bool			 skipping;	/* the rest of a long line */
	bool			 utf8;		/* UTF8 was said (RFC 6856) */
	struct sessions_entry	 place;		/* in server->table */
	struct greet_wait	 silence;	/* before the greeting */
	unsigned int		 crowded;	/* it makes room; which limit */
	unsigned int		 bad;		/* commands that were none */
	unsigned int		 failures;	/* logins */
	int64_t			 opened_ms;
	int64_t			 alive_ms;	/* the last progress */

	char			*name;		/* USER's; owned */
	char			 mech[AUTHP_MECH_MAX + 1];
	struct exchange		*exchange;	/* owned; NULL before login */
	char			 user[AUTHP_USER_MAX + 1];
	char			*login;		/* who acts for him, or NULL */
	struct roll_entry	 roll;		/* after login */
	int64_t			 stamp_s;	/* the banner's; 0: it has none */

	struct mboxc_drop	*drop;		/* owned; NULL before login */
	uint8_t			*deleted;	/* a bit a message; owned */
	size_t			 n_left;	/* messages not deleted */
	uint64_t		 octets_left;
	int64_t			 fetch_lines;	/* asked for: -1 all (RETR) */
	struct pop_transfer	*transfer;	/* owned; a reply of many lines */

	struct pop_past		*past;		/* owned; from the first need */
	uint64_t		 n_commands;	/* for the closing line */
	uint64_t		 n_retr;
	uint64_t		 n_top;
	uint64_t		 n_removed;
};

const char *pop_state_name(enum pop_state st);

/* Takes a client over from the acceptor (an acceptor_fn, ctx: the server). */
int	pop_session_accept(void *ctx, int fd, const struct acceptor_client *c);
void	pop_session_enter(struct pop_session *s, enum pop_state next);
/* Any time, also twice. With `flush` the last reply is sent first. Nothing is
 * deleted. The reaper frees. */
void	pop_session_close(struct pop_session *s, const char *why, bool flush);
/* The reply to a command is owed until pop_session_go_on(): no further one is
 * taken meanwhile (RFC 2449 section 6.6: replies in order). */
void	pop_session_wait(struct pop_session *s);
void	pop_session_go_on(struct pop_session *s);
/* What it may log in with, as for EHLO (auth/mechs.h). */
size_t	pop_session_mechs(const struct pop_session *s,
	    char dst[MECHS_TEXT_SIZE]);
bool	pop_session_may_try(const struct pop_session *s, enum conf_mech m);
/* "<SID.SECONDS@HOSTNAME>" of the banner (RFC 1939 section 7); "" if that had
 * none. */
void	pop_session_stamp(const struct pop_session *s,
	    char dst[AUTHP_CHALLENGE_MAX + 1]);
extern const struct roll_ops pop_session_roll;
/* A command that was none: closes the session after too many. */
void	pop_session_bad(struct pop_session *s);
/* Starts TLS; the clear-text input must be empty. */
void	pop_session_start_tls(struct pop_session *s);
/* hint.c. Before the greeting: true when the client has talked already; it has
 * been told so, and the session is closed. */
bool	pop_hint_early(struct pop_session *s);
/* In clear: true when what has come begins a ClientHello; closed likewise. */
bool	pop_hint_hello(struct pop_session *s);
/* A handshake has ended so (conn_ops.gone()): logged, closed. */
void	pop_hint_gone(struct pop_session *s, const char *why);
/* An HTTP verb came: logged, closed. */
void	pop_hint_http(struct pop_session *s);
/* Progress was made: the time-out (RFC 1939 section 3) begins anew. */
void	pop_session_alive(struct pop_session *s);
/* How long a line may be that begins with these octets. Pure. */
size_t	pop_line_max(enum pop_state st, const uint8_t *p, size_t len);

#endif
