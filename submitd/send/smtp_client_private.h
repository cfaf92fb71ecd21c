/*
 * smtp_client_private.h - what the files of the SMTP client share:
 *   smtp_client.c           life, states, replies
 *   smtp_client_hosts.c     hosts and addresses one after the other, connecting
 *   smtp_client_hello.c     greeting, EHLO, HELO, LHLO
 *   smtp_client_tls.c       TLS: what is asked of it, and whether it was met
 *   smtp_client_auth.c      our login
 *   smtp_client_txn.c       one message: from its begin to its outcomes
 *   smtp_client_check.c     can it be passed on as it is?
 *   smtp_client_envelope.c  MAIL, RCPT and DATA
 *   smtp_client_content.c   the content, by DATA or BDAT, and the answers to it
 *
 *   CONNECT [-> HANDSHAKE] -> GREETING -> EHLO [-> HELO] [-> AUTH] -> READY
 *                     EHLO -> STARTTLS -> HANDSHAKE -> EHLO
 *   READY -> CHECK -> ENVELOPE [-> DATA] -> CONTENT [-> TAIL] -> END -> READY
 *            CHECK, ENVELOPE, DATA -> [RSET ->] READY
 *   READY -> QUIT -> CLOSED;  any -> CONNECT (the next address) or CLOSED
 */
#ifndef SUBMITD_SEND_SMTP_CLIENT_PRIVATE_H
#define SUBMITD_SEND_SMTP_CLIENT_PRIVATE_H

#include "lib/conf_route.h"
#include "lib/conn.h"
#include "submitd/send/content.h"
#include "submitd/send/hop_reply.h"
#include "submitd/send/smtp_client.h"

#define SMTP_CLIENT_LINE_MAX	2048u
#define SMTP_CLIENT_PLACES_MAX	(HOSTS_ADDRS_ALL_MAX + 1)
#define SMTP_CLIENT_TAIL_MAX	512u	/* of the content, behind a PIX */

enum smtp_client_state {
	SMTP_CLIENT_CONNECT,
	SMTP_CLIENT_GREETING,
	SMTP_CLIENT_EHLO,	/* LHLO too */
	SMTP_CLIENT_HELO,
	SMTP_CLIENT_STARTTLS,
	SMTP_CLIENT_HANDSHAKE,
	SMTP_CLIENT_AUTH,
	SMTP_CLIENT_READY,
	SMTP_CLIENT_CHECK,	/* can the next hop take this message at all? */
	SMTP_CLIENT_ENVELOPE,	/* MAIL, RCPT, DATA, pipelined where offered */
	SMTP_CLIENT_DATA,
	SMTP_CLIENT_CONTENT,
	SMTP_CLIENT_TAIL,	/* its last octets wait, behind a PIX */
	SMTP_CLIENT_END,	/* the answers to the content */
	SMTP_CLIENT_RSET,
	SMTP_CLIENT_QUIT,
	SMTP_CLIENT_CLOSED,
	SMTP_CLIENT__COUNT
};

enum {
	SMTP_EXT_PIPELINING = 1 << 0,
	SMTP_EXT_SIZE = 1 << 1,
	SMTP_EXT_8BITMIME = 1 << 2,
	SMTP_EXT_STARTTLS = 1 << 3,
	SMTP_EXT_SMTPUTF8 = 1 << 4,
	SMTP_EXT_DSN = 1 << 5,
	SMTP_EXT_CHUNKING = 1 << 6,
	SMTP_EXT_REQUIRETLS = 1 << 7,
	SMTP_EXT_MT_PRIORITY = 1 << 8,
	SMTP_EXT_DELIVERBY = 1 << 9,
	SMTP_EXT_AUTH = 1 << 10,	/* with the mechanism of the route */
};

struct smtp_client_place {		/* one address of one host */
	size_t		 host;
	struct addr	 addr;
	bool		 is_unix;	/* the host's name is "unix:/path" */
};

struct smtp_client_way {		/* what is taken from the route */
	enum conf_tls_level	 tls;
	bool			 lmtp;
	bool			 bdat;
	bool			 tls_from_start;
	bool			 fixed;		/* the host is configured */
	char			 name[256];	/* the route's; "" for none */
	char			 tls_name[256];
	char			*tls_ca;	/* PEM, or NULL */
	enum conf_auth		 auth;
	char			*user, *secret;	/* zeroed before it is freed */
};

struct smtp_client {
	struct loop			*loop;
	const struct smtp_client_ops	*ops;
	void				*ctx;
	struct timer			 soon;	/* the same in another turn */

	/* Where to. */
	char				 hostname[256];
	struct hosts			*hosts;
	struct smtp_client_place	 places[SMTP_CLIENT_PLACES_MAX];
	size_t				 n_places;
	size_t				 place;
	struct smtp_client_way		 way;
	SSL_CTX				*tls_ctx;
	struct child			*child;
	uint32_t			 child_call;	/* 0: none */
	bool				 tls_optional;
	bool				 walking;	/* from place to place */
	bool				 only_ipv4;
	bool				 was_ready;

	/* This connection. */
	struct conn			*conn;
	enum smtp_client_state		 state;
	bool				 no_tls;	/* its handshake failed */
	bool				 greeted;
	bool				 verified;	/* we know who it is */
	bool				 lowered;
	bool				 pix;
	unsigned int			 auth_step;
	unsigned int			 ext;
	uint64_t			 size_limit;	/* 0: not told */
	uint64_t			 min_by_s;	/* of DELIVERBY */
	unsigned int			 n_txns;
	struct hop_reply		 reply;
	char				 relay[SMTP_CLIENT_RELAY_SIZE];
	char				 tls[TLS_DESC_SIZE];

	/* This message. */
	struct smtp_client_txn		*txn;
	size_t				 n_rcpts;	/* of txn, to be asked */
	size_t				 asked;		/* MAIL, RCPT … sent */
	size_t				 answered;
	size_t				 accepted;	/* recipients */
	bool				 data_asked;	/* DATA is among them */
	bool				 mail_refused;
	bool				 progress;	/* somebody's fate is
							 * sealed */
	bool				 told_busy;
	bool				 utf8;		/* SMTPUTF8 is said */
	bool				 in_body;	/* of the check */
	bool				 by_bdat;
	uint8_t				 line_end;	/* octets of CR LF CR LF
							 * in front of pos */
	uint64_t			 pos;		/* octets read */
	struct content			 content;
	uint8_t				 tail[SMTP_CLIENT_TAIL_MAX];
	size_t				 n_tail;
	unsigned int			 tail_waits;
};

/* smtp_client.c */
void	smtp_client_enter(struct smtp_client *c, enum smtp_client_state next);
/* Goes on with the state when this turn's callbacks are done: what must not begin
 * within the caller's call. */
void	smtp_client_soon(struct smtp_client *c);
/* The time-out starts anew. */
void	smtp_client_rearm(struct smtp_client *c);
void	smtp_client_command(struct smtp_client *c, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));
/* READY, and tells the owner. */
void	smtp_client_set_ready(struct smtp_client *c);
/* The connection is of no use any more; the next address, or the end. */
void	smtp_client_lost(struct smtp_client *c, bool remote, const char *why);
void	smtp_client_lost_here(struct smtp_client *c, const char *why);
/* With the reply in c->reply: the host's state, not the message's. */
void	smtp_client_refused(struct smtp_client *c);
/* As lost, and no other address is tried. */
void	smtp_client_give_up(struct smtp_client *c, bool remote,
	    const char *why);
extern const struct conn_ops smtp_client_conn_ops;

/* smtp_client_hosts.c */
int	smtp_client_hosts_take(struct smtp_client *c,
	    const struct smtp_client_target *to);
void	smtp_client_hosts_free(struct smtp_client *c);
const struct hosts_host *smtp_client_host(const struct smtp_client *c);
void	smtp_client_connect(struct smtp_client *c);
/* To the next place; false: there is none. */
bool	smtp_client_next_place(struct smtp_client *c, const char *why);
bool	smtp_client_is_ipv6(const struct smtp_client *c);
/* To the first place of another host behind this one; false: there is none. */
bool	smtp_client_to_next_host(struct smtp_client *c);
/* Only IPv4 from here on; false: there is none. */
bool	smtp_client_to_ipv4(struct smtp_client *c);

/* smtp_client_hello.c */
void	smtp_client_ehlo(struct smtp_client *c);
void	smtp_client_on_greeting(struct smtp_client *c);
void	smtp_client_on_ehlo(struct smtp_client *c);
void	smtp_client_on_helo(struct smtp_client *c);
hop_reply_line_fn smtp_client_keyword;

/* smtp_client_tls.c */
/* What holds for the host in use. */
enum conf_tls_level smtp_client_level(const struct smtp_client *c);
void	smtp_client_on_starttls(struct smtp_client *c);
void	smtp_client_handshake(struct smtp_client *c);
void	smtp_client_on_secured(struct smtp_client *c);
/* Without TLS: STARTTLS where it is offered and wanted, and true; else the end
 * where it must be, and true; else false. */
bool	smtp_client_wants_tls(struct smtp_client *c);
/* The handshake did; `word` is conn.h's. */
void	smtp_client_tls_failed(struct smtp_client *c, const char *word);

/* smtp_client_auth.c: begins our login, and true; false: there is none. */
bool	smtp_client_auth(struct smtp_client *c);
void	smtp_client_on_auth(struct smtp_client *c);
void	smtp_client_auth_free(struct smtp_client_way *w);

/* smtp_client_txn.c */
void	smtp_client_txn_begin(struct smtp_client *c);
/* All that stand at `from`. */
void	smtp_client_outcome(struct smtp_client *c, enum outcome from,
	    enum outcome to, bool remote, const char *text);
/* The reply decides over `r`, or over all that stand at `from`. False: it ended
 * the connection. */
void	smtp_client_decide(struct smtp_client *c, struct outcome_rcpt *r);
bool	smtp_client_judge(struct smtp_client *c, enum outcome from);
/* All outcomes are there, but for those who get another chance at once. False:
 * that is over IPv4, with this message; the connection is another one. */
bool	smtp_client_txn_end(struct smtp_client *c, const char *why);
/* This host cannot pass the message on as is asked, and the next of the list may:
 * the message begins anew there. False: there is no other. */
bool	smtp_client_txn_next_host(struct smtp_client *c);
/* As smtp_client_txn_end() behind a RSET. */
void	smtp_client_txn_reset(struct smtp_client *c);
/* Gives the recipients of a running transaction their outcome. False: as above. */
bool	smtp_client_txn_lost(struct smtp_client *c, bool remote,
	    const char *why);
void	smtp_client_refuse_here(struct smtp_client *c, const char *text);

/* smtp_client_check.c */
/* As much as may wait to be sent: one read fills it. */
#define SMTP_CLIENT_PIECE	CONN_OUT_HIGH
/* The next piece: its length, 0 at the end, -1 when it cannot be read. */
ssize_t	smtp_client_piece(struct smtp_client *c,
	    uint8_t piece[SMTP_CLIENT_PIECE]);
/* An address as it is told to this next hop; ERR_NOTFOUND when it cannot be. */
int	smtp_client_address(const struct smtp_client *c, const char *address,
	    char dst[]);
void	smtp_client_on_check(struct smtp_client *c);

/* smtp_client_envelope.c */
void	smtp_client_envelope(struct smtp_client *c);
void	smtp_client_on_envelope(struct smtp_client *c);

/* smtp_client_content.c */
void	smtp_client_content_begin(struct smtp_client *c);
void	smtp_client_on_data(struct smtp_client *c);
void	smtp_client_on_content(struct smtp_client *c);
void	smtp_client_on_end(struct smtp_client *c);
void	smtp_client_pump(struct smtp_client *c);
void	smtp_client_tail(struct smtp_client *c);

#endif
