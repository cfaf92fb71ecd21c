/*
 * conn_out.c - what a connection sends: gathered for a turn of the loop, then
 * written at once; and its end, in good order. See conn.h.
 */
#include "lib/conn_private.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <openssl/err.h>

#define CONN_LINGER_MS	2000
#define CONN_RECORD	(16u * 1024)	/* of TLS, at most */

/* Octets written; 0: not now; < 0: told as gone. */
static ssize_t
conn_write_some(struct conn *c, const uint8_t *p, size_t len)
{
	ssize_t n;
	int e;

	if (c->ssl == NULL || c->state == CONN_FLUSH_THEN_TLS) {
		n = send(c->fd, p, len, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			conn_gone(c, "reset");
		else if (n < 0)
			n = 0;
		return c->gone || c->state == CONN_CLOSED ? -1 : n;
	}
	ERR_clear_error();
	n = SSL_write(c->ssl, p, (int)(len > CONN_OUT_MAX ? CONN_OUT_MAX : len));
	if (n > 0)
		return n;
	e = SSL_get_error(c->ssl, (int)n);
	if (e == SSL_ERROR_WANT_WRITE || e == SSL_ERROR_WANT_READ)
		return 0;
	if (e == SSL_ERROR_SSL)
		conn_tls_failed(c);
	else
		conn_gone(c, "reset");
	return -1;
}

static void
conn_finish_close(struct conn *c)
{
	int waiting = 0;

	conn_close_notify(c);
	/* Unread octets would turn our close into a reset, which can eat the
	 * last reply: read them away for a while. */
	if (c->eof || conn_n_closing > CONN_CLOSING_MAX ||
	    (buf_len(&c->in) == 0 &&
	    ioctl(c->fd, FIONREAD, &waiting) == 0 && waiting == 0)) {
		conn_shut(c);
		return;
	}
	shutdown(c->fd, SHUT_WR);
	c->state = CONN_LINGER;
	timer_arm(&c->deadline, CONN_LINGER_MS);
}

/* Whether all that is left waits for what comes behind it. */
bool
conn_keeps(const struct conn *c)
{
	return c->more && c->state == CONN_TLS &&
	    buf_len(&c->out) < CONN_RECORD;
}

void
conn_more(struct conn *c, bool more)
{
	c->more = more;
	if (!more && buf_len(&c->out) > 0)
		conn_defer(c, conn_run_flush, &c->flushing);
}

void
conn_flush(struct conn *c)
{
	bool had = buf_len(&c->out) > 0;
	int one = 1;

	/* Our last words, close_notify and the end leave as one packet. */
	if (had && c->state == CONN_CLOSING)
		setsockopt(c->fd, IPPROTO_TCP, TCP_CORK, &one, sizeof one);
	while (buf_len(&c->out) > 0 && !conn_keeps(c)) {
		ssize_t n = conn_write_some(c, buf_data(&c->out),
		    buf_len(&c->out));

		if (n < 0)
			return;
		if (n == 0)
			break;
		buf_consume(&c->out, (size_t)n);
		c->octets_out += (uint64_t)n;
	}
	if (buf_len(&c->out) == 0 || conn_keeps(c)) {
		buf_release(&c->out);
		if (c->state == CONN_CLOSING) {
			conn_finish_close(c);
		} else if (c->state == CONN_FLUSH_THEN_TLS) {
			c->state = CONN_HANDSHAKE;
			/* A client speaks first. */
			if (!c->server)
				conn_handshake(c);
		} else if (had && c->ops->drained != NULL) {
			c->ops->drained(c->ctx);
		}
		/* What it had asked for before its end may go on now. */
		if (c->eof || (c->state == CONN_TLS && SSL_has_pending(c->ssl)))
			conn_kick(c);
	}
	if (c->state != CONN_CLOSED && !c->gone)
		conn_update(c);
}

/* Input that is about to run may have replies of its own: they leave together.
 * Only once, so that nobody waits for an end of it. */
static bool
conn_flush_waits(struct conn *c)
{
	c->flush_waited = c->kicked && !c->flush_waited && !conn_is_full(c) &&
	    (c->state == CONN_CLEAR || c->state == CONN_TLS);
	if (c->flush_waited)
		conn_defer(c, conn_run_flush, &c->flushing);
	return c->flushing;
}

/* Replies of one turn leave in one write. */
void
conn_run_flush(void *ctx)
{
	struct conn *c = ctx;

	c->flushing = false;
	if (!conn_flush_waits(c) && c->state != CONN_CLOSED &&
	    c->state != CONN_HANDSHAKE && c->state != CONN_CONNECTING &&
	    (!c->gone || c->state == CONN_CLOSING))
		conn_flush(c);
	conn_unref(c);
}

int
conn_write(struct conn *c, const void *p, size_t len)
{
	int r;

	if ((c->gone && !c->can_tell) || c->state >= CONN_CLOSING)
		return 0;		/* nobody is there to read it */
	if ((r = buf_append(&c->out, p, len)) != 0)
		return r;
	conn_defer(c, conn_run_flush, &c->flushing);
	if (conn_is_full(c))
		conn_update(c);
	return 0;
}

void
conn_output_limit(struct conn *c, size_t octets)
{
	c->out_high = octets;
}

bool
conn_is_full(const struct conn *c)
{
	return buf_len(&c->out) > c->out_high;
}

size_t
conn_pending(const struct conn *c)
{
	return buf_len(&c->out);
}
