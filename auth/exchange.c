/*
 * exchange.c - see exchange.h. Runs on the loop of submitd-smtp and popd-pop.
 * It must never log a response, nor keep one after it was passed on.
 */
#include "config.h"
#include "auth/exchange.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "lib/str.h"

enum exchange_state {
	EXCHANGE_IDLE,
	EXCHANGE_HELLO,		/* waits for the handle, maybe to go on */
	EXCHANGE_AUTHD,		/* waits for authd */
	EXCHANGE_CLIENT,	/* waits for the client's response */
};

/* What is to be sent once the handle is there. */
struct exchange_start {
	char	 tls[AUTHP_TLS_MAX + 1];
	char	 mech[AUTHP_MECH_MAX + 1];
	bool	 has_ir;
	size_t	 ir_len;
	uint8_t	 ir[];
};

struct exchange {
	struct authc		*authc;
	enum authp_service	 service;
	const char		*sid;
	enum exchange_state	 state;
	exchange_fn		*fn;
	void			*ctx;
	uint32_t		 call;		/* HELLO, AUTHD */
	uint32_t		 number;	/* authd's exchange */
	bool			 open;		/* authd holds one for us */
	struct exchange_start	*start;		/* HELLO; NULL: only that */
	struct authc_blob	 handle;
};

struct exchange *
exchange_new(struct authc *a, enum authp_service service, const char *sid)
{
	struct exchange *x = calloc(1, sizeof(*x));

	if (x == NULL)
		return NULL;
	x->authc = a;
	x->service = service;
	x->sid = sid;
	return x;
}

static void
exchange_drop_start(struct exchange *x)
{
	if (x->start == NULL)
		return;
	explicit_bzero(x->start->ir, x->start->ir_len);
	free(x->start);
	x->start = NULL;
}

/* Over, from our side: authd is told when it still holds one. (One that a
 * cancelled START opens is given back by authc.) */
static void
exchange_cancel(struct exchange *x)
{
	if (x->state == EXCHANGE_HELLO || x->state == EXCHANGE_AUTHD)
		authc_cancel(x->authc, x->call);
	if (x->open)
		authc_sasl_cancel(x->authc, x->number);
	x->open = false;
	x->state = EXCHANGE_IDLE;
	exchange_drop_start(x);
}

void
exchange_free(struct exchange *x)
{
	if (x == NULL)
		return;
	exchange_cancel(x);
	free(x);
}

const struct authc_blob *
exchange_handle(const struct exchange *x)
{
	return x->handle.len > 0 ? &x->handle : NULL;
}

/* The last thing done with x: the callee may free it. */
static void
exchange_tell(struct exchange *x, const struct exchange_reply *r)
{
	if (x->state != EXCHANGE_CLIENT) {
		x->open = false;
		x->state = EXCHANGE_IDLE;
	}
	x->fn(x->ctx, r);
}

static void
exchange_tell_verdict(struct exchange *x, enum authp_verdict v)
{
	struct exchange_reply r = { .verdict = v };

	exchange_tell(x, &r);
}

static void
exchange_challenge(struct exchange *x, const struct authc_reply *a)
{
	char text[STR_B64_SIZE(AUTHP_RESP_MAX)];
	struct exchange_reply r = { .verdict = AUTHP_CONTINUE };

	x->number = a->exchange;
	x->open = true;
	if (str_b64_encode(text, sizeof(text), a->blob, a->blob_len) < 0) {
		exchange_cancel(x);
		exchange_tell_verdict(x, AUTHP_TEMP);
		return;
	}
	x->state = EXCHANGE_CLIENT;
	r.challenge = text;
	exchange_tell(x, &r);
}

static void
exchange_answered(void *ctx, const struct authc_reply *a)
{
	struct exchange *x = ctx;
	struct exchange_reply r = { .verdict = a->verdict };
	struct authc_blob ticket;

	if (a->verdict == AUTHP_CONTINUE) {
		exchange_challenge(x, a);
		return;
	}
	if (a->verdict == AUTHP_VOID)	/* the next try begins with a new one */
		x->handle.len = 0;
	if (a->verdict != AUTHP_OK) {
		exchange_tell(x, &r);
		return;
	}
	if (a->blob_len == 0 || a->blob_len > sizeof(ticket.data)) {
		exchange_tell_verdict(x, AUTHP_TEMP);
		return;
	}
	memcpy(ticket.data, a->blob, a->blob_len);
	ticket.len = a->blob_len;
	r.ticket = &ticket;
	r.user = a->user;
	exchange_tell(x, &r);
}

/* Sends START; the handle is known. */
static int
exchange_send_start(struct exchange *x)
{
	struct exchange_start *st = x->start;
	struct authc_start s = { .tls = st->tls, .mech = st->mech,
	    .ir = st->has_ir ? st->ir : NULL, .ir_len = st->ir_len,
	    .binding = "" };
	int r;

	r = authc_sasl_start(x->authc, &x->handle, &s, exchange_answered, x,
	    &x->call);
	exchange_drop_start(x);
	x->state = r == 0 ? EXCHANGE_AUTHD : EXCHANGE_IDLE;
	return r;
}

static void
exchange_handled(void *ctx, const struct authc_reply *a)
{
	struct exchange *x = ctx;

	if (a->verdict != AUTHP_OK || a->blob_len == 0 ||
	    a->blob_len > AUTHP_HANDLE_MAX) {
		exchange_drop_start(x);
		exchange_tell_verdict(x, AUTHP_TEMP);
		return;
	}
	memcpy(x->handle.data, a->blob, a->blob_len);
	x->handle.len = a->blob_len;
	if (x->start == NULL)
		exchange_tell_verdict(x, AUTHP_OK);
	else if (exchange_send_start(x) != 0)
		exchange_tell_verdict(x, AUTHP_TEMP);
}

int
exchange_hello(struct exchange *x, int sock_fd, exchange_fn *fn, void *ctx)
{
	int r;

	if (x->state != EXCHANGE_IDLE)
		return ERR_EXISTS;
	r = authc_session(x->authc, sock_fd, x->service, x->sid,
	    exchange_handled, x, &x->call);
	if (r != 0)
		return r;
	x->fn = fn;
	x->ctx = ctx;
	x->state = EXCHANGE_HELLO;
	return 0;
}

int
exchange_begin_raw(struct exchange *x, int sock_fd, const char *tls,
    const char *mech, const void *ir, size_t ir_len, exchange_fn *fn,
    void *ctx)
{
	struct exchange_start *st;
	int r;

	if (x->state != EXCHANGE_IDLE)
		return ERR_EXISTS;
	if (ir_len > AUTHP_RESP_MAX)
		return ERR_LIMIT;
	if ((st = calloc(1, sizeof(*st) + ir_len)) == NULL)
		return ERR_NOMEM;
	x->start = st;
	x->fn = fn;
	x->ctx = ctx;
	st->has_ir = ir != NULL;
	st->ir_len = ir == NULL ? 0 : ir_len;
	if (st->ir_len > 0)
		memcpy(st->ir, ir, st->ir_len);
	if ((r = str_copy(st->tls, sizeof(st->tls), tls)) == 0 &&
	    (r = str_copy(st->mech, sizeof(st->mech), mech)) == 0)
		r = exchange_handle(x) != NULL ? exchange_send_start(x) :
		    exchange_hello(x, sock_fd, fn, ctx);
	if (r != 0)
		exchange_drop_start(x);
	return r;
}

/* Strict base64 (RFC 4954 section 4) of at most AUTHP_RESP_MAX octets into
 * `raw`, which the caller zeroes. The length or an error. */
static int
exchange_decode(uint8_t raw[AUTHP_RESP_MAX], const char *text, size_t len)
{
	if (len > STR_B64_SIZE(AUTHP_RESP_MAX) - 1)
		return ERR_LIMIT;
	return str_b64_decode(raw, AUTHP_RESP_MAX, text, len);
}

int
exchange_begin(struct exchange *x, int sock_fd, const char *tls,
    const char *mech, const char *ir, exchange_fn *fn, void *ctx)
{
	uint8_t raw[AUTHP_RESP_MAX];
	int n = 0, r;

	if (ir == NULL)
		return exchange_begin_raw(x, sock_fd, tls, mech, NULL, 0, fn,
		    ctx);
	if (strcmp(ir, "=") != 0) {
		n = exchange_decode(raw, ir, strlen(ir));
		/* An empty initial response is "=", never nothing. */
		if (n == 0)
			n = ERR_FORMAT;
	}
	r = n < 0 ? n : exchange_begin_raw(x, sock_fd, tls, mech, raw,
	    (size_t)n, fn, ctx);
	explicit_bzero(raw, sizeof(raw));
	return r;
}

int
exchange_respond(struct exchange *x, const char *line, size_t len)
{
	uint8_t raw[AUTHP_RESP_MAX];
	int n, r;

	if (x->state != EXCHANGE_CLIENT)
		return ERR_NOTFOUND;
	if (len == 1 && line[0] == '*') {
		exchange_cancel(x);
		return ERR_DENIED;
	}
	n = exchange_decode(raw, line, len);
	r = n < 0 ? n : authc_sasl_step(x->authc, x->number, raw, (size_t)n,
	    exchange_answered, x, &x->call);
	explicit_bzero(raw, sizeof(raw));
	if (r != 0)
		exchange_cancel(x);
	else
		x->state = EXCHANGE_AUTHD;
	return r;
}
