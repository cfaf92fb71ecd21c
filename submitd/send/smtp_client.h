/*
 * smtp_client.h - one connection to a next hop, as SMTP client (RFC 5321), for
 * any number of messages one after the other.
 *
 * The addresses are tried in turn until one gives a greeting and takes EHLO or
 * HELO. STARTTLS is used where it is offered, without verification
 * (opportunistic: RFC 7435); when the handshake fails, the address is tried once
 * more in clear. Only one transaction at a time.
 *
 *	new ... ready -> send ... sent -> ready -> send ... sent -> closed
 *
 * Callbacks come from the loop, never from within a call of ours. After
 * closed() the object is gone.
 */
#ifndef SUBMITD_SEND_SMTP_CLIENT_H
#define SUBMITD_SEND_SMTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "lib/addr.h"
#include "lib/loop.h"
#include "submitd/send/outcome.h"

#define SMTP_CLIENT_ADDRS_MAX	16u
#define SMTP_CLIENT_RELAY_SIZE	(256 + ADDR_STRLEN + 8)

struct smtp_client;

struct smtp_client_txn {		/* the caller's, until sent() */
	const char		*sender;	/* "" for <> */
	struct outcome_rcpt	*rcpts;		/* outcomes go in here */
	size_t			 n_rcpts;
	int			 fd;		/* borrowed */
	uint64_t		 offset;
	uint64_t		 octets;
	bool			 eightbit;	/* said BODY=8BITMIME */
	bool			 smtputf8;	/* said SMTPUTF8 */
	enum spool_ret		 ret;		/* RFC 3461, where the next */
	const char		*envid;		/* hop takes it */
};

struct smtp_client_ops {
	/* Greeted, or ready for another one. */
	void	(*ready)(void *ctx);
	/* All recipients have their outcome; OUTCOME_NONE means: not tried,
	 * through no fault of the message (the connection had been used before
	 * and was gone, or the next hop takes no more recipients at a time). */
	void	(*sent)(void *ctx);
	/* The end. `was_ready` tells whether it ever was; else `why` is the
	 * reason to try the host later, `remote` if in its own words. */
	void	(*closed)(void *ctx, bool was_ready, bool remote,
		    const char *why);
};

struct smtp_client_target {
	const char		*hostname;	/* ours, for EHLO */
	const char		*host;		/* theirs: log, SNI */
	const struct addr	*addrs;		/* with ports */
	size_t			 n_addrs;	/* more than 0 */
	SSL_CTX			*tls;		/* or NULL; a reference is taken */
};

/* NULL: no memory. */
struct smtp_client *smtp_client_new(struct loop *l,
	    const struct smtp_client_target *to,
	    const struct smtp_client_ops *ops, void *ctx);
/* Only between ready() and the next callback. */
void	smtp_client_send(struct smtp_client *c, struct smtp_client_txn *txn);
/* No transaction may be running: QUIT, and closed() in the end. */
void	smtp_client_quit(struct smtp_client *c);
/* At once, without a word and without callbacks. NULL is fine. */
void	smtp_client_abort(struct smtp_client *c);

/* "HOST[192.0.2.1]:25" of the address in use, and "" or "TLSv1.3:…". */
const char *smtp_client_relay(const struct smtp_client *c);
const char *smtp_client_tls(const struct smtp_client *c);
const struct addr *smtp_client_addr(const struct smtp_client *c);

#endif
