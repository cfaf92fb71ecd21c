/*
 * conn.c - one TCP connection, clear or TLS, on the loop. See conn.h.
 *
 * States, and what leads from one to the next:
 *
 *   CONNECTING -> CLEAR			connect(2) has ended
 *   CLEAR -> FLUSH_THEN_TLS		conn_start_*_tls()
 *   FLUSH_THEN_TLS -> HANDSHAKE	the clear-text output is sent
 *   HANDSHAKE -> TLS			SSL_do_handshake
 *   any -> CLOSING -> LINGER -> CLOSED	conn_close(flush)
 *   any -> CLOSED			conn_close(no flush)
 *
 * From FLUSH_THEN_TLS on nothing is read in clear: octets that an attacker put
 * behind STARTTLS reach the handshake, which fails.
 */
#include "lib/conn_private.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

#include "lib/clock.h"

#define CONN_READ_SIZE	(16u * 1024)
#define CONN_TURN_READS	4	/* reads a turn, so that others come to it */
#define CONN_FLUSH_MS	10000
#define CONN_HURRY_MS	100	/* above CONN_CLOSING_MAX that close */

size_t conn_n_closing;

static void conn_ready(void *ctx, int what);

void
conn_unref(struct conn *c)
{
	if (--c->refs > 0)
		return;
	buf_free(&c->in);
	buf_free(&c->out);
	SSL_free(c->ssl);
	free(c);
}

static void
conn_unref_later(void *ctx)
{
	conn_unref(ctx);
}

/* Defers fn(c) with a reference of its own. */
void
conn_defer(struct conn *c, loop_fn *fn, bool *flag)
{
	if (*flag || c->state == CONN_CLOSED)
		return;
	if (loop_defer(c->loop, fn, c) == 0) {
		c->refs++;
		*flag = true;
	}
}

bool
conn_reads(const struct conn *c)
{
	if (c->state == CONN_HANDSHAKE || c->state == CONN_LINGER)
		return true;
	return (c->state == CONN_CLEAR || c->state == CONN_TLS) &&
	    !c->paused && !c->eof && buf_len(&c->in) < c->in.max &&
	    !conn_is_full(c);
}

static bool
conn_writes(const struct conn *c)
{
	if (c->state == CONN_CONNECTING || c->wants_write)
		return true;
	return buf_len(&c->out) > 0 && !c->flushing && !conn_keeps(c) &&
	    c->state != CONN_HANDSHAKE && c->state != CONN_LINGER;
}

/* Reading is switched off only when octets come that are not wanted: a client
 * that waits for its answer sends none, and each switch is a system call. */
void
conn_update(struct conn *c)
{
	if (c->watch == NULL)
		return;
	if (conn_reads(c))
		c->watches_read = true;
	watch_set(c->watch, (c->watches_read ? WATCH_READ : 0) |
	    (conn_writes(c) ? WATCH_WRITE : 0));
}

/* The end, without further callbacks. */
void
conn_shut(struct conn *c)
{
	if (c->state == CONN_CLOSED)
		return;
	conn_close_notify(c);
	if (c->state == CONN_CLOSING || c->state == CONN_LINGER)
		conn_n_closing--;
	c->state = CONN_CLOSED;
	timer_free(&c->idle);
	timer_free(&c->deadline);
	watch_free(c->watch);
	c->watch = NULL;
	close(c->fd);
	c->fd = -1;
	/* The caller may stand in one of our frames: free after this turn. */
	if (loop_defer(c->loop, conn_unref_later, c) != 0)
		return;		/* leaked: there was no memory for the reaper */
}

void
conn_gone(struct conn *c, const char *why)
{
	if (c->state >= CONN_CLOSING) {
		conn_shut(c);
		return;
	}
	if (c->gone)
		return;
	c->gone = true;
	c->paused = true;
	c->wants_write = false;
	c->watches_read = false;
	if (c->watch != NULL)
		watch_set(c->watch, 0);
	c->ops->gone(c->ctx, why);
}

/* ------------------------------------------------------------- time-outs -- */

static void
conn_time_is_over(struct conn *c)
{
	if (!c->gone)
		conn_leave_tls(c);
	c->can_tell = !c->gone;
	conn_gone(c, "timeout");
}

static void
conn_idle_fired(void *ctx)
{
	struct conn *c = ctx;
	int64_t quiet_ms = c->paused ? 0 : clock_mono_ms() - c->heard_ms;

	if (c->idle_ms == 0)
		return;
	/* Re-armed here only, not at each octet. */
	if (quiet_ms < c->idle_ms)
		timer_arm(&c->idle, c->idle_ms - quiet_ms);
	else
		conn_time_is_over(c);
}

static void
conn_deadline_fired(void *ctx)
{
	conn_time_is_over(ctx);
}

void
conn_idle_timeout(struct conn *c, int64_t ms)
{
	bool sooner = c->idle_ms == 0 || ms < c->idle_ms;

	if (c->state == CONN_CLOSED)
		return;
	c->idle_ms = ms;
	c->heard_ms = clock_mono_ms();
	if (ms == 0)
		timer_stop(&c->idle);
	else if (sooner)
		timer_arm(&c->idle, ms);
}

void
conn_deadline(struct conn *c, int64_t ms)
{
	if (c->state == CONN_CLOSED)
		return;
	if (ms == 0)
		timer_stop(&c->deadline);
	else
		timer_arm(&c->deadline, ms);
}

/* --------------------------------------------------------------- reading -- */

/* > 0: octets; 0: none now; < 0: told as gone or eof set. */
static int
conn_read_tls(struct conn *c, uint8_t *to, size_t room)
{
	int n, e;

	ERR_clear_error();
	n = SSL_read(c->ssl, to, (int)room);
	if (n > 0)
		return n;
	e = SSL_get_error(c->ssl, n);
	if (e == SSL_ERROR_WANT_READ)
		return 0;
	if (e == SSL_ERROR_WANT_WRITE) {
		c->wants_write = true;
		return 0;
	}
	if (e == SSL_ERROR_ZERO_RETURN) {
		c->eof = true;
		return -1;
	}
	if (e == SSL_ERROR_SYSCALL && errno != 0)
		conn_gone(c, "reset");
	else if (e == SSL_ERROR_SSL &&
	    ERR_GET_REASON(ERR_peek_error()) != SSL_R_UNEXPECTED_EOF_WHILE_READING)
		conn_tls_failed(c);
	else
		c->eof = true;		/* the end without close_notify */
	return -1;
}

static int
conn_read_clear(struct conn *c, uint8_t *to, size_t room)
{
	ssize_t n = recv(c->fd, to, room, 0);

	if (n > 0)
		return (int)n;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n == 0)
		c->eof = true;
	else
		conn_gone(c, "reset");
	return -1;
}

/* Whether there may be more at once; what is left in the socket is told of by the
 * next turn, for asking once more costs as much as reading. */
static bool
conn_read_once(struct conn *c)
{
	static uint8_t from_peer[CONN_READ_SIZE];	/* one loop a process */
	size_t room = c->in.max - buf_len(&c->in);
	int n, r;

	if (room > sizeof(from_peer))
		room = sizeof(from_peer);
	n = c->state == CONN_TLS ? conn_read_tls(c, from_peer, room) :
	    conn_read_clear(c, from_peer, room);
	if (n <= 0)
		return false;
	r = buf_append(&c->in, from_peer, (size_t)n);
	explicit_bzero(from_peer, (size_t)n);
	if (r != 0) {
		conn_gone(c, "nomem");
		return false;
	}
	c->octets_in += (uint64_t)n;
	c->heard_ms = clock_mono_ms();
	return c->state == CONN_TLS ? SSL_has_pending(c->ssl) == 1 :
	    (size_t)n == room;
}

static void
conn_read(struct conn *c)
{
	uint64_t had = c->octets_in;
	bool more = true;

	if (c->state != CONN_CLEAR && c->state != CONN_TLS)
		return;
	for (int i = 0; more && i < CONN_TURN_READS && conn_reads(c); i++)
		more = conn_read_once(c);
	if (c->gone || c->state == CONN_CLOSED)
		return;
	/* The owner may have left some for when the output is sent. */
	if (c->octets_in != had ||
	    (c->eof && !c->paused && buf_len(&c->in) > 0))
		c->ops->input(c->ctx);
	/* What the owner closed itself still has to be sent. */
	if (c->state >= CONN_CLOSING || c->gone)
		return;
	if (c->eof && !c->paused && !conn_is_full(c))
		conn_gone(c, "eof");
	else if (more && c->ssl != NULL && conn_reads(c))
		conn_defer(c, conn_run_input, &c->kicked);
}

/* After a kick or conn_resume(): what is buffered, here and in OpenSSL. */
void
conn_run_input(void *ctx)
{
	struct conn *c = ctx;

	c->kicked = false;
	if ((c->state == CONN_CLEAR || c->state == CONN_TLS) && !c->paused &&
	    !c->gone) {
		c->ops->input(c->ctx);
		if (c->state == CONN_TLS && conn_reads(c) &&
		    SSL_has_pending(c->ssl))
			conn_read(c);
		else if (c->eof && !c->paused && !c->gone &&
		    !conn_is_full(c) && c->state < CONN_CLOSING)
			conn_gone(c, "eof");
		if (c->state != CONN_CLOSED && !c->gone)
			conn_update(c);
	}
	conn_unref(c);
}

/* -------------------------------------------------------------- the rest -- */

static void
conn_connected(struct conn *c)
{
	int error = 0;
	socklen_t len = sizeof error;

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error != 0) {
		conn_gone(c, strerrordesc_np(error));
		return;
	}
	c->state = CONN_CLEAR;
	c->heard_ms = clock_mono_ms();
	conn_update(c);
	if (c->ops->connected != NULL)
		c->ops->connected(c->ctx);
}

static void
conn_linger(struct conn *c)
{
	uint8_t waste[4096];
	ssize_t n = recv(c->fd, waste, sizeof waste, 0);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		conn_shut(c);
}

static void
conn_ready(void *ctx, int what)
{
	struct conn *c = ctx;

	c->refs++;
	switch (c->state) {
	case CONN_CONNECTING:
		conn_connected(c);
		break;
	case CONN_HANDSHAKE:
		conn_handshake(c);
		break;
	case CONN_LINGER:
		conn_linger(c);
		break;
	case CONN_CLEAR:
	case CONN_TLS:
	case CONN_FLUSH_THEN_TLS:
	case CONN_CLOSING:
		if (what == WATCH_READ && !conn_reads(c)) {
			c->watches_read = false;
		} else if (what == WATCH_READ) {
			conn_read(c);
		} else {
			if (c->wants_write) {
				c->wants_write = false;
				conn_read(c);
			}
			if (c->state != CONN_CLOSED && !c->gone)
				conn_flush(c);
		}
		if (c->state != CONN_CLOSED && !c->gone)
			conn_update(c);
		break;
	case CONN_CLOSED:
		break;
	}
	conn_unref(c);
}

static struct conn *
conn_make(struct loop *l, int fd, size_t in_max, const struct conn_ops *ops,
    void *ctx)
{
	struct conn *c = calloc(1, sizeof *c);
	int one = 1;

	if (c == NULL)
		return NULL;
	c->loop = l;
	c->fd = fd;
	c->ops = ops;
	c->ctx = ctx;
	c->refs = 1;
	c->state = CONN_CLEAR;
	c->heard_ms = clock_mono_ms();
	buf_init(&c->in, in_max);
	buf_init(&c->out, CONN_OUT_MAX);
	c->out_high = CONN_OUT_HIGH;
	if (timer_init(&c->idle, l, conn_idle_fired, c) != 0 ||
	    timer_init(&c->deadline, l, conn_deadline_fired, c) != 0 ||
	    (c->watch = watch_new(l, fd, conn_ready, c)) == NULL) {
		timer_free(&c->idle);
		timer_free(&c->deadline);
		free(c);
		return NULL;
	}
	/* Without it replies wait 45 ms for the peer's delayed ACK. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return c;
}

struct conn *
conn_new(struct loop *l, int fd, size_t in_max, const struct conn_ops *ops,
    void *ctx)
{
	struct conn *c = conn_make(l, fd, in_max, ops, ctx);
	struct sockaddr_storage sa;
	socklen_t len = sizeof sa;

	if (c == NULL)
		return NULL;
	if (getsockname(fd, (struct sockaddr *)&sa, &len) == 0)
		addr_from_sockaddr((struct sockaddr *)&sa, &c->local);
	conn_update(c);
	return c;
}

struct conn *
conn_connect(struct loop *l, const struct addr *to, size_t in_max,
    const struct conn_ops *ops, void *ctx, struct err *reterr)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(to, &sa);
	char text[ADDR_STRLEN];
	struct conn *c;
	int fd = socket(sa.ss_family,
	    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || (connect(fd, (struct sockaddr *)&sa, len) < 0 &&
	    errno != EINPROGRESS)) {
		err_sys(reterr, "%s", addr_text(to, text));
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	c = conn_make(l, fd, in_max, ops, ctx);
	if (c == NULL) {
		err_set(reterr, ERR_NOMEM, "no memory");
		close(fd);
		return NULL;
	}
	c->state = CONN_CONNECTING;
	conn_update(c);
	return c;
}

size_t
conn_look(struct conn *c)
{
	if (c->state == CONN_CLEAR && buf_len(&c->in) == 0 && !c->eof &&
	    !c->gone && !conn_read_once(c) && c->eof)
		conn_kick(c);	/* it has hung up: told as any other */
	return buf_len(&c->in);
}

struct buf *
conn_input(struct conn *c)
{
	return &c->in;
}

bool
conn_has_more(const struct conn *c)
{
	int waiting = 0;

	return buf_len(&c->in) > 0 ||
	    (c->ssl != NULL && SSL_has_pending(c->ssl)) ||
	    (ioctl(c->fd, FIONREAD, &waiting) == 0 && waiting > 0);
}

void
conn_pause(struct conn *c)
{
	c->paused = true;
	conn_update(c);
}

void
conn_resume(struct conn *c)
{
	if (!c->paused || c->gone || c->state >= CONN_CLOSING)
		return;
	c->paused = false;
	c->heard_ms = clock_mono_ms();	/* it was waiting for us */
	if (buf_len(&c->in) > 0 || c->eof ||
	    (c->state == CONN_TLS && SSL_has_pending(c->ssl)))
		conn_kick(c);
	conn_update(c);
}

void
conn_kick(struct conn *c)
{
	conn_defer(c, conn_run_input, &c->kicked);
}

void
conn_close(struct conn *c, bool flush)
{
	if (c == NULL || c->state >= CONN_CLOSING)
		return;
	/* Our last words, and close_notify, can still go out: to a peer whose
	 * time is over, and to one that has only ended its own half. */
	if (c->can_tell || c->eof)
		c->gone = false;
	if (!flush || c->gone || c->state == CONN_CONNECTING ||
	    c->state == CONN_HANDSHAKE || c->state == CONN_FLUSH_THEN_TLS) {
		conn_shut(c);
		return;
	}
	c->state = CONN_CLOSING;
	timer_stop(&c->idle);
	timer_arm(&c->deadline, ++conn_n_closing > CONN_CLOSING_MAX ?
	    CONN_HURRY_MS : CONN_FLUSH_MS);
	conn_defer(c, conn_run_flush, &c->flushing);
	conn_update(c);
}

int
conn_fd(const struct conn *c)
{
	return c->fd;
}

const struct addr *
conn_local(const struct conn *c)
{
	return &c->local;
}

void
conn_acknowledge(const struct conn *c)
{
	int one = 1;

	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof(one));
}

int64_t
conn_heard_ms(const struct conn *c)
{
	return c->heard_ms;
}

int64_t
conn_unheard_ms(const struct conn *c)
{
	struct tcp_info info = { .tcpi_last_ack_recv = 0 };
	socklen_t len = sizeof(info);

	if (c->fd < 0 || getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info,
	    &len) != 0)
		return 0;
	return info.tcpi_last_ack_recv;
}

uint64_t
conn_octets_in(const struct conn *c)
{
	return c->octets_in;
}

uint64_t
conn_octets_out(const struct conn *c)
{
	return c->octets_out;
}
