/*
 * exchange.h - one client session's SASL exchanges with authd (RFC 4954, RFC
 * 5034), and APOP: base64 on the client's side, opaque octets on authd's. Shared
 * by submitd-smtp and popd-pop.
 *
 * Of the octets it reads one thing: the name of the channel binding at the head
 * of a -PLUS mechanism's first message, for only here is the TLS connection.
 *
 * Fetches the session's handle at the first need, by passing the client's
 * socket; a SASL exchange brings it along. One exchange at a time. Each begin and each response that returns 0
 * leads to exactly one callback from the loop, unless x is freed; after an error
 * the exchange is over and there is none. Keeps no response longer than it
 * needs, and zeroes it.
 */
#ifndef SUBMITD_EXCHANGE_H
#define SUBMITD_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/ssl.h>

#include "auth/authc.h"

struct exchange;

struct exchange_client {		/* the connection; borrowed */
	int		 fd;
	const char	*tls;		/* as in auth/PROTOCOL */
	SSL		*ssl;		/* while the exchange lives */
};

struct exchange_reply {
	enum authp_verdict	 verdict;
	const char		*challenge;	/* CONTINUE: base64, maybe "" */
	const struct authc_blob	*ticket;	/* OK */
	const char		*user;		/* OK: canonical */
	const char		*login;		/* OK: who logged in for user;
						 * NULL: himself */
};

/* All pointers are good for the call. The exchange may be freed in it. */
typedef void exchange_fn(void *ctx, const struct exchange_reply *r);

/* `sid` and `claim` (authc_session(), or NULL) are borrowed for its life. NULL:
 * no memory. */
struct exchange *exchange_new(struct authc *a, enum authp_service service,
	    const char *sid, const struct addr *claim);
/* Gives up what runs; no callback comes any more. NULL is fine. */
void	exchange_free(struct exchange *x);

/* Fetches the handle without an exchange (MAIL needs it too). The verdict is
 * OK (without ticket and user) or TEMP. */
int	exchange_hello(struct exchange *x, int sock_fd, exchange_fn *fn,
	    void *ctx);
/* NULL until one of the calls here has fetched it. */
const struct authc_handle *exchange_handle(const struct exchange *x);

/* Not an error: the client is to be sent an empty challenge now, and then
 * exchange_respond() is to be called with its answer. No callback for this. */
#define EXCHANGE_ASK 1

/* AUTH: `ir` is the initial response as sent ("=" is an empty one) or NULL.
 * 0 or EXCHANGE_ASK. ERR_FORMAT: not base64; ERR_LIMIT: mechanism or response too
 * long; ERR_EXISTS: one is running; ERR_AWAY, ERR_NOMEM. */
int	exchange_begin(struct exchange *x, const struct exchange_client *c,
	    const char *mech, const char *ir, exchange_fn *fn, void *ctx);
/* The same with the octets of an initial response (USER and PASS). */
int	exchange_begin_raw(struct exchange *x, const struct exchange_client *c,
	    const char *mech, const void *ir, size_t ir_len, exchange_fn *fn,
	    void *ctx);
/* APOP: `challenge` as in the banner, the digest in hexadecimal. ERR_FORMAT: it
 * is none. The verdict is never CONTINUE. */
int	exchange_apop(struct exchange *x, const struct exchange_client *c,
	    const char *challenge, const char *name, const char *digest,
	    exchange_fn *fn, void *ctx);
/* The client's next line. ERR_DENIED: it was "*", the client gave up. Other
 * errors as above. After any error the exchange is over. */
int	exchange_respond(struct exchange *x, const char *line, size_t len);

#endif
