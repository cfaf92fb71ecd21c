/*
 * session.h - one client's SMTP session, and the mail transaction in it.
 * Private to submitd/smtp/.
 *
 * Three objects: the connection (lib/conn.h: octets, TLS, time-outs), the
 * session, and the transaction (struct smtp_tx, from MAIL to the end of the
 * message, RSET or EHLO). What was learnt in clear is in struct smtp_hello, which
 * STARTTLS frees (RFC 3207 section 4.2).
 *
 * States; smtp_session_enter() is the only way from one to another:
 *
 *   GREET -> CLEAR			EHLO in clear; before the greeting
 *					nothing may come (silence)
 *   GREET, CLEAR -> HANDSHAKE		STARTTLS, or a client of port 465
 *   HANDSHAKE -> SECURE		the handshake ended well
 *   SECURE -> HELLO			EHLO under TLS
 *   HELLO -> AUTH			AUTH
 *   AUTH -> READY, HELLO		the exchange ended well, or not
 *   HELLO, READY -> MAIL		authd agrees to the sender
 *   MAIL -> RCPT			the first recipient is taken
 *   RCPT -> DATA			354
 *   RCPT -> CHUNK			the first BDAT; commands come between
 *					its chunks
 *   MAIL, RCPT, DATA, CHUNK -> HELLO, READY	end of data, RSET, EHLO
 *   any -> CLOSED			smtp_session_close(); freed at turn's end
 *
 * A session of LMTP begins in SECURE (a UNIX socket needs no TLS), and never
 * authorises itself: authd knows by the socket that it may hand in mail for
 * users here, and no other.
 *
 * Orthogonal to the state is `waiting`: a question to authd or submitd-spool
 * is open. Then the connection is paused and no further command runs, so that
 * answers come in the order of the commands.
 */
#ifndef SUBMITD_SMTP_SESSION_H
#define SUBMITD_SMTP_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/authc.h"
#include "auth/exchange.h"
#include "auth/roll.h"
#include "lib/conn.h"
#include "lib/greet_wait.h"
#include "lib/line.h"
#include "lib/sessions.h"
#include "lib/str.h"
#include "lib/tls_alert.h"
#include "submitd/smtp/header.h"
#include "submitd/smtp/params.h"
#include "submitd/smtp/past.h"
#include "submitd/smtp/reader.h"
#include "submitd/smtp/reply.h"
#include "submitd/smtp/worker.h"
#include "submitd/spool/client.h"

enum smtp_state {
	SMTP_ST_GREET,
	SMTP_ST_CLEAR,
	SMTP_ST_HANDSHAKE,
	SMTP_ST_SECURE,
	SMTP_ST_HELLO,
	SMTP_ST_AUTH,
	SMTP_ST_READY,
	SMTP_ST_MAIL,
	SMTP_ST_RCPT,
	SMTP_ST_DATA,
	SMTP_ST_CHUNK,
	SMTP_ST_CLOSED,
	SMTP_ST__COUNT
};

#define SMTP_IN_MAX		(32u * 1024)	/* octets buffered */
#define SMTP_AUTH_LINE_MAX	12288u	/* RFC 4954 section 4, with CR LF */
#define SMTP_HANDSHAKE_MS	(30 * 1000)
#define SMTP_HELO_MAX		255u

struct smtp_ticket {
	size_t	len;
	uint8_t	data[];
};

struct smtp_content {			/* during DATA and BDAT */
	struct smtp_reader	 reader;
	struct smtp_header	 header;
	char			 message_id[STR_ID_SIZE];
	uint64_t		 octets;	/* as sent, dots unstuffed */
	bool			 too_big;
	enum smtp_reply		 failed;	/* with what, while asking */
	bool			 stalled;	/* submitd-spool is behind */
	bool			 ended;		/* all of it is here */
	struct buf		 rest;		/* while authd is asked */
	int64_t			 rate_ms;	/* since when it is measured */
	int64_t			 paused_ms;	/* we do not read since */
	uint64_t		 rate_octets;	/* that there were then */
	bool			 chunk;		/* within a chunk of BDAT */
	bool			 last;		/* which is the last */
	uint64_t		 chunk_octets;	/* of it, as announced */
	uint64_t		 chunk_left;	/* of it, to be read */
};

struct smtp_tx {
	char			*sender;	/* as given, "" for <> */
	struct smtp_params	 params;
	enum smtp_reply		 refusal;	/* for an authorised client */
	struct smtp_ticket	*ticket;	/* what authorises it */
	char			*user;		/* whose message it is */
	uint64_t		 size_limit;	/* his own, or 0 */
	char			**rcpts;	/* as given */
	struct spool_dsn	*dsn;		/* of each; NULL: of none */
	size_t			 n_rcpts, cap_rcpts;
	void			*seen;		/* tsearch(3) over rcpts */
	uint64_t		 taken;		/* RCPT commands */
	unsigned int		 refused;	/* RCPT commands */
	char			*rcpt;		/* asked about right now */
	struct spool_dsn	 rcpt_dsn;	/* what it asked for */
	struct spoolc_txn	*txn;		/* from DATA on */
	struct smtp_content	*content;	/* from 354, or BDAT, on */
	int64_t			 began_ms;
};

struct smtp_hello {
	bool	esmtp;
	char	name[];			/* as given */
};

struct smtp_sums {
	unsigned int	commands;
	unsigned int	errors;
	unsigned int	cheap;		/* since the last message */
	unsigned int	logins;		/* failed */
	unsigned int	messages;
};

struct smtp_session {
	struct smtp_session	*next, **prev;	/* smtp_worker.sessions */
	struct smtp_worker	*worker;
	struct smtp_settings	*settings;	/* referenced */
	struct conn		*conn;		/* owned */
	struct addr		 peer;		/* the client */
	struct addr		 via;		/* who is connected: it, or a
						 * balancer */
	size_t			 listener;	/* its number in settings */
	bool			 claimed;	/* peer is another's word */
	bool			 lmtp;		/* RFC 2033; from lmtp_listen */
	uint64_t		 replies;	/* to the message, if not one */
	enum smtp_state		 state;
	bool			 waiting;
	bool			 skipping;	/* the rest of a long line */
	bool			 secret_line;	/* the line holds a response */
	bool			 utf8;		/* the last MAIL had SMTPUTF8 */
	bool			 kicked;	/* authd ended its login */
	enum smtp_reply		 crowded;	/* it makes room; why */
	struct sessions_entry	 place;		/* in worker->table */
	struct greet_wait	 silence;	/* before the greeting */
	struct roll_entry	 roll;		/* after AUTH */
	char			 sid[STR_ID_SIZE];
	uint32_t		 call;		/* authc; when has_call */
	bool			 has_call;
	size_t			 line_used;	/* of the input, by this line */
	uint64_t		 waste;		/* octets of a refused BDAT */
	struct smtp_hello	*hello;		/* owned */
	char			*tls;		/* tls_describe(), under TLS */
	const struct tls_alert	*alert;		/* the wrong mode it came in, or
						 * why its handshake failed */
	struct exchange		*exchange;	/* owned; from the first need */
	struct smtp_ticket	*ticket;	/* owned; after AUTH */
	char			*user;		/* after AUTH */
	char			*login;		/* who acts for him, or NULL */
	char			*mech;		/* of the AUTH that runs */
	struct smtp_tx		*tx;		/* owned */
	struct smtp_sums	 sums;
	struct smtp_past	*past;		/* owned; from the first need */
	int64_t			 opened_ms;
};

/* A client of a listener; takes fd over unless it fails. */
int	smtp_session_new(struct smtp_worker *w, int fd,
	    const struct acceptor_client *c);
void	smtp_begin_greet(struct smtp_session *s);
/* The handshake has ended well. */
void	smtp_begin_secured(void *session);
extern const struct conn_ops smtp_session_conn_ops;
/* hint.c. Before the greeting: true when the client has talked already; it has
 * been told so, and the session is closed. */
bool	smtp_hint_early(struct smtp_session *s);
/* In clear: true when what has come begins a ClientHello; closed likewise. */
bool	smtp_hint_hello(struct smtp_session *s);
/* A handshake has ended so (conn_ops.gone()): logged, closed. */
void	smtp_hint_gone(struct smtp_session *s, const char *why);
/* An HTTP verb came: logged, closed. */
void	smtp_hint_http(struct smtp_session *s);
/* Any time; idempotent. `why` is a short word for the log. */
void	smtp_session_close(struct smtp_session *s, const char *why);
void	smtp_session_enter(struct smtp_session *s, enum smtp_state next);
/* Where the session is outside of a transaction. */
enum smtp_state smtp_session_rest(const struct smtp_session *s);
/* What authd is asked through; NULL: no memory. */
struct exchange *smtp_session_exchange(struct smtp_session *s);
extern const struct roll_ops smtp_session_roll;
const char *smtp_state_name(enum smtp_state st);

/* Answers; counts errors, and closes where the table says so. */
void	smtp_reply(struct smtp_session *s, enum smtp_reply r);
void	smtp_reply_with(struct smtp_session *s, enum smtp_reply r,
	    const char *detail);
/* The same, with a line in the log of what was refused. */
void	smtp_refuse(struct smtp_session *s, enum smtp_reply r,
	    const char *command, const char *address);
/* The same; `detail` (or NULL) goes behind the reply's text. */
void	smtp_refuse_with(struct smtp_session *s, enum smtp_reply r,
	    const char *command, const char *address, const char *detail);
/* The same of a message: `field` of its header, or NULL. */
void	smtp_refuse_message(struct smtp_session *s, enum smtp_reply r,
	    const char *sender, const char *field, const char *detail);
/* Octets as they are. */
void	smtp_send(struct smtp_session *s, const void *p, size_t len);

/* A question was asked / is answered. */
void	smtp_wait(struct smtp_session *s);
void	smtp_go_on(struct smtp_session *s);
/* Gives the current line's octets back; it must not be looked at any more. */
void	smtp_line_done(struct smtp_session *s);

/* Octets that the message may have: of the server, or the user's own. */
uint64_t smtp_tx_size_limit(const struct smtp_session *s);
/* RSET: the transaction is given up. */
void	smtp_tx_drop(struct smtp_session *s);
struct smtp_ticket *smtp_ticket_new(const void *p, size_t len);

/* One line in state AUTH; content in state DATA (false: nothing to do). */
void	smtp_auth_line(struct smtp_session *s, const char *text, size_t len);
void	smtp_auth_long_line(struct smtp_session *s);
bool	smtp_data_input(struct smtp_session *s);
/* The octets of a chunk in state CHUNK. */
bool	smtp_chunk_input(struct smtp_session *s);

#endif
