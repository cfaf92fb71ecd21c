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
#include "lib/tls.h"

enum exchange_state {
	EXCHANGE_IDLE,
	EXCHANGE_FIRST,		/* waits for a -PLUS client's first message */
	EXCHANGE_HELLO,		/* waits for the handle, maybe for APOP */
	EXCHANGE_AUTHD,		/* waits for authd */
	EXCHANGE_CLIENT,	/* waits for the client's response */
};

enum exchange_kind { EXCHANGE_SASL, EXCHANGE_APOP };

/* What is to be sent once it is complete and the handle is there. */
struct exchange_start {
	enum exchange_kind kind;
	int	 fd;
	SSL	*ssl;
	char	 tls[AUTHP_TLS_MAX + 1];
	char	 mech[AUTHP_MECH_MAX + 1];
	char	 binding[AUTHP_BINDING_MAX + 1];
	uint8_t	 binding_data[TLS_BINDING_MAX];
	size_t	 binding_len;
	bool	 has_cert;
	uint8_t	 cert[TLS_FINGERPRINT_SIZE];
	char	 challenge[AUTHP_CHALLENGE_MAX + 1];	/* APOP */
	uint8_t	 digest[AUTHP_DIGEST_SIZE];		/* APOP */
	bool	 has_ir;
	size_t	 ir_len;
	uint8_t	 ir[];		/* and a NUL; APOP: the name */
};

_Static_assert(TLS_BINDING_MAX <= AUTHP_BINDING_DATA_MAX &&
    TLS_FINGERPRINT_SIZE == AUTHP_CERT_SIZE, "authd takes it");

struct exchange {
	struct authc		*authc;
	enum authp_service	 service;
	const char		*sid;
	const struct addr	*claim;
	enum exchange_state	 state;
	exchange_fn		*fn;
	void			*ctx;
	uint32_t		 call;		/* HELLO, AUTHD */
	uint32_t		 number;	/* authd's exchange */
	bool			 open;		/* authd holds one for us */
	struct exchange_start	*start;		/* FIRST, HELLO, or NULL */
	struct authc_handle	 handle;
};

struct exchange *
exchange_new(struct authc *a, enum authp_service service, const char *sid,
    const struct addr *claim)
{
	struct exchange *x = calloc(1, sizeof(*x));

	if (x == NULL)
		return NULL;
	x->authc = a;
	x->service = service;
	x->sid = sid;
	x->claim = claim;
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

const struct authc_handle *
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
	if (a->handle_len > 0 && a->handle_len <= sizeof(x->handle.data)) {
		memcpy(x->handle.data, a->handle, a->handle_len);
		x->handle.len = a->handle_len;
	}
	r.ticket = &ticket;
	r.user = a->user;
	if (a->login != NULL && a->login[0] != '\0')
		r.login = a->login;
	exchange_tell(x, &r);
}

static int
exchange_send_sasl(struct exchange *x, const struct exchange_start *st)
{
	struct authc_start s = {
		.sock_fd = st->fd, .service = x->service, .sid = x->sid,
		.claim = x->claim,
		.tls = st->tls, .mech = st->mech,
		.ir = st->has_ir ? st->ir : NULL, .ir_len = st->ir_len,
		.binding = st->binding, .binding_data = st->binding_data,
		.binding_len = st->binding_len,
		.cert = st->has_cert ? st->cert : NULL,
	};

	return authc_sasl_start(x->authc, &x->handle, &s, exchange_answered,
	    x, &x->call);
}

/* Sends START, with all of SESSION where there is no handle yet, or APOP. */
static int
exchange_send_start(struct exchange *x)
{
	const struct exchange_start *st = x->start;
	int r;

	if (st->kind == EXCHANGE_APOP)
		r = authc_apop(x->authc, &x->handle, st->tls,
		    (const char *)st->ir, st->challenge, st->digest,
		    exchange_answered, x, &x->call);
	else
		r = exchange_send_sasl(x, st);
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
	    x->claim, exchange_handled, x, &x->call);
	if (r != 0)
		return r;
	x->fn = fn;
	x->ctx = ctx;
	x->state = EXCHANGE_HELLO;
	return 0;
}

/* The start that x will send; ERR_EXISTS: one is under way. */
static int
exchange_prepare(struct exchange *x, const struct exchange_client *c,
    const char *mech, const void *ir, size_t ir_len)
{
	struct exchange_start *st;
	int r;

	if (x->state != EXCHANGE_IDLE)
		return ERR_EXISTS;
	if (ir == NULL)
		ir_len = 0;
	if (ir_len > AUTHP_RESP_MAX)
		return ERR_LIMIT;
	if ((st = calloc(1, sizeof(*st) + ir_len + 1)) == NULL)
		return ERR_NOMEM;
	x->start = st;
	st->fd = c->fd;
	st->ssl = c->ssl;
	st->has_ir = ir != NULL;
	st->ir_len = ir_len;
	if (ir_len > 0)
		memcpy(st->ir, ir, ir_len);
	if ((r = str_copy(st->tls, sizeof(st->tls), c->tls)) == 0)
		r = str_copy(st->mech, sizeof(st->mech), mech);
	if (r != 0)
		exchange_drop_start(x);
	return r;
}

static int
exchange_send(struct exchange *x, exchange_fn *fn, void *ctx)
{
	int r;

	x->fn = fn;
	x->ctx = ctx;
	r = x->start->kind == EXCHANGE_SASL || exchange_handle(x) != NULL ?
	    exchange_send_start(x) :
	    exchange_hello(x, x->start->fd, fn, ctx);
	if (r != 0)
		exchange_drop_start(x);
	return r;
}

static bool
exchange_is_plus(const char *mech)
{
	static const char plus[] = "-PLUS";
	size_t len = strlen(mech), n = sizeof(plus) - 1;

	return len > n && strcmp(mech + len - n, plus) == 0;
}

/* "p=NAME," at the head of the first message (RFC 5801 section 4). A binding
 * that is not named or not to be had is sent as "", and authd refuses: it says
 * what every failure says. */
static void
exchange_bind(struct exchange_start *st)
{
	const char *p = (const char *)st->ir;
	size_t len;

	if (st->ir_len < 2 || p[0] != 'p' || p[1] != '=')
		return;
	len = strcspn(p + 2, ",");
	if (p[2 + len] != ',' || len >= sizeof(st->binding))
		return;
	memcpy(st->binding, p + 2, len);
	st->binding[len] = '\0';
	if (tls_channel_binding(st->ssl, st->binding, st->binding_data,
	    &st->binding_len) != 0)
		st->binding[0] = '\0';
}

int
exchange_begin_raw(struct exchange *x, const struct exchange_client *c,
    const char *mech, const void *ir, size_t ir_len, exchange_fn *fn,
    void *ctx)
{
	int r = exchange_prepare(x, c, mech, ir, ir_len);

	if (r != 0)
		return r;
	if (exchange_is_plus(mech)) {
		if (ir == NULL) {
			x->fn = fn;
			x->ctx = ctx;
			x->state = EXCHANGE_FIRST;
			return EXCHANGE_ASK;
		}
		exchange_bind(x->start);
	}
	if (strcmp(mech, "EXTERNAL") == 0)
		x->start->has_cert = tls_peer_fingerprint(c->ssl,
		    x->start->cert) == 0;
	return exchange_send(x, fn, ctx);
}

/* The client's first message, which it did not send with AUTH. */
static int
exchange_first(struct exchange *x, const void *p, size_t len)
{
	struct exchange_start *old = x->start;
	struct exchange_client c = { .fd = old->fd, .tls = old->tls,
	    .ssl = old->ssl };
	int r;

	x->start = NULL;
	x->state = EXCHANGE_IDLE;
	r = exchange_begin_raw(x, &c, old->mech, p, len, x->fn, x->ctx);
	free(old);		/* it held no response */
	return r;
}

int
exchange_apop(struct exchange *x, const struct exchange_client *c,
    const char *challenge, const char *name, const char *digest,
    exchange_fn *fn, void *ctx)
{
	int r;

	if (strlen(name) > AUTHP_NAME_MAX)
		return ERR_LIMIT;
	if ((r = exchange_prepare(x, c, "APOP", name, strlen(name))) != 0)
		return r;
	x->start->kind = EXCHANGE_APOP;
	r = str_hex_decode(x->start->digest, AUTHP_DIGEST_SIZE, digest);
	if (r == 0)
		r = str_copy(x->start->challenge, sizeof(x->start->challenge),
		    challenge);
	if (r != 0) {
		exchange_drop_start(x);
		return r;
	}
	return exchange_send(x, fn, ctx);
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
exchange_begin(struct exchange *x, const struct exchange_client *c,
    const char *mech, const char *ir, exchange_fn *fn, void *ctx)
{
	uint8_t raw[AUTHP_RESP_MAX];
	int n = 0, r;

	if (ir == NULL)
		return exchange_begin_raw(x, c, mech, NULL, 0, fn, ctx);
	if (strcmp(ir, "=") != 0) {
		n = exchange_decode(raw, ir, strlen(ir));
		/* An empty initial response is "=", never nothing. */
		if (n == 0)
			n = ERR_FORMAT;
	}
	r = n < 0 ? n : exchange_begin_raw(x, c, mech, raw, (size_t)n, fn,
	    ctx);
	explicit_bzero(raw, sizeof(raw));
	return r;
}

int
exchange_respond(struct exchange *x, const char *line, size_t len)
{
	uint8_t raw[AUTHP_RESP_MAX];
	int n, r;

	if (x->state != EXCHANGE_CLIENT && x->state != EXCHANGE_FIRST)
		return ERR_NOTFOUND;
	if (len == 1 && line[0] == '*') {
		exchange_cancel(x);
		return ERR_DENIED;
	}
	n = r = exchange_decode(raw, line, len);
	if (n >= 0 && x->state == EXCHANGE_FIRST) {
		r = exchange_first(x, raw, (size_t)n);
	} else if (n >= 0) {
		r = authc_sasl_step(x->authc, x->number, raw, (size_t)n,
		    exchange_answered, x, &x->call);
		if (r == 0)
			x->state = EXCHANGE_AUTHD;
	}
	explicit_bzero(raw, sizeof(raw));
	if (r != 0)
		exchange_cancel(x);
	return r;
}
