/*
 * smtp_client_private.h - what smtp_client.c (connection, EHLO, TLS) and
 * smtp_client_txn.c (one message) share.
 *
 *   CONNECT -> GREETING -> EHLO [-> HELO] -> READY
 *                          EHLO -> STARTTLS -> HANDSHAKE -> EHLO
 *   READY -> CHECK -> ENVELOPE -> DATA -> CONTENT -> END -> READY
 *            CHECK, ENVELOPE, DATA -> [RSET ->] READY
 *   READY -> QUIT -> CLOSED;  any -> CONNECT (the next address) or CLOSED
 */
#ifndef SUBMITD_SEND_SMTP_CLIENT_PRIVATE_H
#define SUBMITD_SEND_SMTP_CLIENT_PRIVATE_H

#include "lib/conn.h"
#include "submitd/send/content.h"
#include "submitd/send/hop_reply.h"
#include "submitd/send/smtp_client.h"

enum smtp_client_state {
	SMTP_CLIENT_CONNECT,
	SMTP_CLIENT_GREETING,
	SMTP_CLIENT_EHLO,
	SMTP_CLIENT_HELO,
	SMTP_CLIENT_STARTTLS,
	SMTP_CLIENT_HANDSHAKE,
	SMTP_CLIENT_READY,
	SMTP_CLIENT_CHECK,	/* can the next hop take this message at all? */
	SMTP_CLIENT_ENVELOPE,	/* MAIL and RCPT, pipelined where offered */
	SMTP_CLIENT_DATA,
	SMTP_CLIENT_CONTENT,
	SMTP_CLIENT_END,	/* the answer to the content */
	SMTP_CLIENT_RSET,
	SMTP_CLIENT_QUIT,
	SMTP_CLIENT_CLOSED,
	SMTP_CLIENT__COUNT
};

enum {
	SMTP_EXT_PIPELINING = 1,
	SMTP_EXT_SIZE = 2,
	SMTP_EXT_8BITMIME = 4,
	SMTP_EXT_STARTTLS = 8,
	SMTP_EXT_SMTPUTF8 = 16,
	SMTP_EXT_DSN = 32,
};

struct smtp_client {
	struct loop			*loop;
	const struct smtp_client_ops	*ops;
	void				*ctx;
	char				 hostname[256];
	char				 host[256];
	struct addr			 addrs[HOSTS_ADDRS_MAX];
	size_t				 n_addrs;
	size_t				 addr_at;
	SSL_CTX				*tls_ctx;
	bool				 no_tls;	/* its handshake failed */
	struct conn			*conn;
	enum smtp_client_state		 state;
	bool				 was_ready;
	struct timer			 soon;	/* begins what must not begin
						 * within the caller's call */
	unsigned int			 ext;
	uint64_t			 size_limit;	/* 0: not told */
	struct hop_reply		 reply;
	char				 relay[SMTP_CLIENT_RELAY_SIZE];
	char				 tls[TLS_DESC_SIZE];

	struct smtp_client_txn		*txn;
	unsigned int			 n_txns;
	size_t				 asked;		/* MAIL, RCPT … sent */
	size_t				 answered;
	size_t				 accepted;	/* recipients */
	bool				 mail_refused;
	bool				 progress;	/* somebody's fate is
							 * sealed */
	bool				 utf8;		/* SMTPUTF8 is said */
	size_t				 n_rcpts;	/* of txn, to be asked */
	bool				 in_body;	/* of the check */
	uint8_t				 line_end;	/* octets of CR LF CR LF
							 * in front of pos */
	uint64_t			 pos;		/* octets read */
	struct content			 content;
};

void	smtp_client_enter(struct smtp_client *c, enum smtp_client_state next);
/* The time-out starts anew. */
void	smtp_client_rearm(struct smtp_client *c);
void	smtp_client_command(struct smtp_client *c, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));
/* READY, and tells the owner. */
void	smtp_client_set_ready(struct smtp_client *c);
/* The connection is of no use any more. */
void	smtp_client_lost(struct smtp_client *c, bool remote, const char *why);
void	smtp_client_lost_here(struct smtp_client *c, const char *why);

void	smtp_client_on_check(struct smtp_client *c);
void	smtp_client_on_envelope(struct smtp_client *c);
void	smtp_client_on_data(struct smtp_client *c);
void	smtp_client_on_content(struct smtp_client *c);
void	smtp_client_on_end(struct smtp_client *c);
void	smtp_client_pump(struct smtp_client *c);
/* Gives the recipients of a running transaction their outcome. */
void	smtp_client_txn_lost(struct smtp_client *c, bool remote,
	    const char *why);

#endif
