/*
 * conn.h - one TCP connection of a client or to a next hop, clear or TLS.
 *
 * Bounded on both sides: the input buffer stops reading at its maximum, and
 * while more than its output limit waits to be sent nothing is read, so a
 * peer that never reads costs no more than that. Callbacks come from the loop;
 * the owner may call conn_close() in any of them, never conn is freed under
 * its caller's feet (it is reaped at the end of the turn).
 */
#ifndef SUBMITD_CONN_H
#define SUBMITD_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/buf.h"
#include "lib/loop.h"
#include "lib/tls.h"

#define CONN_OUT_HIGH	(32u * 1024)	/* reading stops above, if not set */
#define CONN_OUT_MAX	(1024u * 1024)	/* conn_write() fails above */

struct conn;

struct conn_ops {
	/* New octets are in conn_input(), or conn_kick() was called. */
	void	(*input)(void *ctx);
	/* The output has run empty (again). May be NULL. */
	void	(*drained)(void *ctx);
	/* A handshake has ended well. May be NULL where TLS is never used. */
	void	(*secured)(void *ctx);
	/* A connect has ended well (conn_connect() only). May be NULL. */
	void	(*connected)(void *ctx);
	/* The peer is gone, or its time is over: `why` is a short word such as
	 * "eof", "reset", "timeout", or "tls:" and a word of lib/tls_alert.h.
	 * Called at most once and never after conn_close(); the owner then
	 * calls conn_close(), and may conn_write() its reason first after
	 * "timeout", and when a handshake as server ended before the client
	 * had begun it (conn_first()): then that goes out in clear. */
	void	(*gone)(void *ctx, const char *why);
};

/* Takes over an accepted, non-blocking descriptor; sets TCP_NODELAY. NULL: no
 * memory, and the descriptor stays the caller's. `in_max` bounds the input. */
struct conn *conn_new(struct loop *l, int fd, size_t in_max,
	    const struct conn_ops *ops, void *ctx);

/* Begins to connect from an ephemeral port. NULL on failure, with *reterr. */
struct conn *conn_connect(struct loop *l, const struct addr *to,
	    size_t in_max, const struct conn_ops *ops, void *ctx,
	    struct err *reterr);

/* Begins a handshake as server. The clear-text input buffer must be empty and
 * the output is flushed first (the 220 goes out in clear). ERR_FORMAT when
 * input is buffered: the caller ends the session (RFC 3207, injection). */
int	conn_start_server_tls(struct conn *c, SSL_CTX *ctx);
/* Begins a handshake as client; `sni` may be NULL. Same rule on input. */
int	conn_start_client_tls(struct conn *c, SSL_CTX *ctx, const char *sni);
bool	conn_is_tls(const struct conn *c);	/* established */
SSL	*conn_ssl(const struct conn *c);	/* NULL in clear */

#define CONN_FIRST	5u
/* The first octets of a handshake as server, none while fewer than five have
 * come: what they were when it was no handshake. */
const uint8_t *conn_first(const struct conn *c, size_t *ret_len);

/* Reads now, without a callback, what has already come in clear; the octets in
 * the input. For who must not talk yet. */
size_t	conn_look(struct conn *c);
struct buf *conn_input(struct conn *c);
/* Whether the peer has sent more than what was taken from the input, read yet or
 * not. For who must have waited for our answer. */
bool	conn_has_more(const struct conn *c);
/* Copies into the output; sent as soon as the socket takes it. ERR_LIMIT above
 * CONN_OUT_MAX, ERR_NOMEM: the owner closes. */
int	conn_write(struct conn *c, const void *p, size_t len);
size_t	conn_pending(const struct conn *c);	/* octets not yet sent */
/* Whether more is to come, so that under TLS what fills no record is kept for
 * it; drained() is then called when no more than that is left, and must write, or
 * say that there is no more. */
void	conn_more(struct conn *c, bool more);
/* Above `octets` that wait to be sent nothing is read, and conn_is_full(): the
 * owner should do nothing that makes more, until drained(). */
void	conn_output_limit(struct conn *c, size_t octets);
bool	conn_is_full(const struct conn *c);

/* While paused nothing is read, `input` is not called, and no idle time goes
 * by. */
void	conn_pause(struct conn *c);
void	conn_resume(struct conn *c);
/* Calls `input` at the end of this turn even without new octets. */
void	conn_kick(struct conn *c);

/* `gone("timeout")` after that long without octets from the peer; with
 * `total` not 0 the deadline stands however much comes. 0 switches off. */
void	conn_idle_timeout(struct conn *c, int64_t ms);
void	conn_deadline(struct conn *c, int64_t ms);

/* Any time, also twice. With `flush` what was written is sent first (for at
 * most 10 s), then close_notify and an orderly end. The struct is freed by the
 * reaper; no callback comes any more. NULL is fine. Nobody counts those that are
 * closing: above CONN_CLOSING_MAX of them, who does not take its last words at
 * once loses them. */
#define CONN_CLOSING_MAX 256u
void	conn_close(struct conn *c, bool flush);

int	conn_fd(const struct conn *c);		/* borrowed; -1 when closed */
const struct addr *conn_local(const struct conn *c);
/* What came is acknowledged at once, where no reply is to carry that: a client
 * without TCP_NODELAY may send its next octets only then, and TCP takes 40 ms. */
void	conn_acknowledge(const struct conn *c);
int64_t	conn_heard_ms(const struct conn *c);	/* clock_mono_ms() then */
/* For how long the peer's kernel has not even acknowledged anything; 0 when that
 * is not known. */
int64_t	conn_unheard_ms(const struct conn *c);
uint64_t conn_octets_in(const struct conn *c);	/* application data */
uint64_t conn_octets_out(const struct conn *c);

#endif
