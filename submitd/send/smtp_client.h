/*
 * smtp_client.h - one connection to a next hop, as SMTP (RFC 5321) or LMTP
 * (RFC 2033) client, for any number of messages one after the other.
 *
 * The hosts and their addresses are tried in turn until one gives a greeting,
 * takes EHLO (or HELO, or LHLO), has TLS as the route wants it, and takes our
 * login where the route has one. With tls = may a handshake that fails is
 * followed by one more try of that address in clear; above it never. Only one
 * transaction at a time.
 *
 *	new ... ready -> send ... sent -> ready -> send ... sent -> closed
 *
 * A 5.7.x reply over IPv6 is tried once over IPv4, within the same send: another
 * connection is made, and smtp_client_relay() is another one at sent().
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
#include "submitd/send/hosts.h"
#include "submitd/send/outcome.h"

#define SMTP_CLIENT_RELAY_SIZE	(256 + ADDR_STRLEN + 8)

struct child;
struct conf_route;
struct smtp_client;

struct smtp_client_txn {		/* the caller's, until sent() */
	const char		*sender;	/* "" for <> */
	struct outcome_rcpt	*rcpts;		/* outcomes go in here; their
						 * order may change */
	size_t			 n_rcpts;
	const uint8_t		*content;	/* borrowed; all of it, or NULL: */
	int			 fd;		/* borrowed; it begins there at */
	uint64_t		 offset;
	uint64_t		 octets;
	bool			 eightbit;	/* said BODY=8BITMIME */
	bool			 smtputf8;	/* said SMTPUTF8 */
	enum spool_ret		 ret;		/* RFC 3461, where the next */
	const char		*envid;		/* hop takes it */
	const struct spool_wishes *wishes;	/* or NULL: none */
};

struct smtp_client_ops {
	/* Greeted, or ready for another one. */
	void	(*ready)(void *ctx);
	/* All recipients have their outcome; OUTCOME_NONE means: not tried,
	 * through no fault of the message (the connection had been used before
	 * and was gone, or the next hop takes no more recipients at a time). */
	void	(*sent)(void *ctx);
	/* The end. `was_ready` tells whether it ever was; else `why` is the
	 * reason to try the hosts later, `remote` if in its own words. */
	void	(*closed)(void *ctx, bool was_ready, bool remote,
		    const char *why);
	/* The next hop said that it has too much to do (421, 432, 454): fewer
	 * connections, please. At most once a transaction or connection, from
	 * within which sent() or closed() follows. May be NULL. */
	void	(*busy)(void *ctx);
};

struct smtp_client_target {
	const char		*hostname;	/* ours, for EHLO */
	struct hosts		*hosts;		/* taken over, whatever comes */
	const struct conf_route	*route;		/* borrowed for the call; NULL:
						 * a route of all defaults */
	struct addr		 last_good;	/* comes first among the
						 * addresses of its host; port
						 * 0: none */
	SSL_CTX			*tls;		/* hop_tls.h; or NULL: no TLS; a
						 * reference is taken */
	struct child		*child;		/* connects to unix: hosts; NULL:
						 * we do it ourselves */
	/* For a message with "TLS-Required: No" (RFC 8689): as if the route
	 * said tls = may. See smtp_client_is_lowered(). */
	bool			 tls_optional;
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

/* The next hop has the whole message, and has not answered yet. */
bool	smtp_client_is_ending(const struct smtp_client *c);

/* "HOST[192.0.2.1]:25" of the address in use, and "" or "TLSv1.3:…". */
const char *smtp_client_relay(const struct smtp_client *c);
const char *smtp_client_tls(const struct smtp_client *c);
const struct addr *smtp_client_addr(const struct smtp_client *c);
/* It is less safe than the route asks, for tls_optional: no message without
 * that wish may go by it. */
bool	smtp_client_is_lowered(const struct smtp_client *c);

#endif
