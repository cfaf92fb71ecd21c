/*
 * authc.c - asking authd: the client side of auth/PROTOCOL.
 *
 * Runs on the loop of submitd-smtp, submitd-spool, submitd-local, popd-pop and
 * popd-mbox. Keeps no answer: whoever asks again gets asked-again truth. It
 * must never log or keep a response (it may hold a password).
 */
#include "auth/authc.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/event.h"
#include "lib/err.h"
#include "lib/ipc.h"
#include "lib/msg.h"

#define AUTHC_BUCKETS 256u

struct authc_call {
	struct authc_call	*next;		/* in its bucket */
	struct authc		*authc;
	uint32_t		 id;
	uint16_t		 type;
	authc_fn		*fn;		/* NULL: cancelled */
	void			*ctx;
};

struct authc {
	struct ipc_client		*ipc;
	const struct authc_notices	*notices;	/* NULL: not for us */
	void				*ctx;		/* of notices */
	bool				 has_secrets;
	struct authc_call		*calls[AUTHC_BUCKETS];
	struct event_queue		 events;	/* that wait */
};

/* --------------------------------------------------------------- notices -- */

static int
authc_noticed_state(struct authc *a, struct msg_in *m)
{
	uint8_t has;

	msg_get_u8(m, &has);
	if (msg_get_end(m) != 0 || has > 1)
		return ERR_FORMAT;
	a->has_secrets = has != 0;
	if (a->notices->state != NULL)
		a->notices->state(a->ctx);
	return 0;
}

static int
authc_noticed_kick(struct authc *a, struct msg_in *m)
{
	const char *user;
	const void *ip;
	uint64_t before_s;
	struct net net;
	size_t len;

	msg_get_str(m, &user, AUTHP_USER_MAX);
	msg_get_blob(m, &ip, &len, sizeof(net.ip));
	msg_get_u8(m, &net.bits);
	msg_get_u64(m, &before_s);
	if (msg_get_end(m) != 0 || len != sizeof(net.ip) || net.bits > 128 ||
	    before_s > INT64_MAX)
		return ERR_FORMAT;
	memcpy(net.ip, ip, sizeof(net.ip));
	a->notices->kick(a->ctx, user, &net, (int64_t)before_s);
	return 0;
}

static int
authc_noticed_user(struct authc *a, struct msg_in *m)
{
	const char *user;
	uint8_t state;

	msg_get_str(m, &user, AUTHP_USER_MAX);
	msg_get_u8(m, &state);
	if (msg_get_end(m) != 0 || state >= AUTHP_USER__COUNT)
		return ERR_FORMAT;
	a->notices->user(a->ctx, user, (enum authp_user)state);
	return 0;
}

static int
authc_noticed_who(struct authc *a, struct msg_in *m)
{
	uint32_t serial;

	msg_get_u32(m, &serial);
	if (msg_get_end(m) != 0)
		return ERR_FORMAT;
	a->notices->who(a->ctx, serial);
	return 0;
}

/* A negative result drops the connection. */
static int
authc_noticed(void *ctx, struct msg_in *m, int fd)
{
	struct authc *a = ctx;

	if (fd >= 0) {
		close(fd);
		return ERR_FORMAT;
	}
	if (a->notices == NULL ||
	    (m->type == AUTHP_USER) != (a->notices->user != NULL))
		return ERR_FORMAT;
	switch (m->type) {
	case AUTHP_STATE:
		return authc_noticed_state(a, m);
	case AUTHP_KICK:
		return authc_noticed_kick(a, m);
	case AUTHP_WHO:
		return authc_noticed_who(a, m);
	case AUTHP_USER:
		return authc_noticed_user(a, m);
	default:
		return ERR_FORMAT;
	}
}

static void
authc_drained(void *ctx)
{
	struct authc *a = ctx;

	event_drain(&a->events);
	if (a->notices != NULL && a->notices->drained != NULL)
		a->notices->drained(a->ctx);
}

static void
authc_up(void *ctx)
{
	struct authc *a = ctx;

	authc_drained(a);
	if (a->notices != NULL && a->notices->up != NULL)
		a->notices->up(a->ctx);
}

/* Every call has been told already. */
static void
authc_down(void *ctx)
{
	struct authc *a = ctx;
	bool had = a->has_secrets;

	a->has_secrets = false;
	if (had && a->notices->state != NULL)
		a->notices->state(a->ctx);
}

static const struct ipc_client_ops authc_ipc_ops = {
	.up = authc_up,
	.down = authc_down,
	.packet = authc_noticed,
	.drained = authc_drained,
};

/* ----------------------------------------------------------------- calls -- */

struct authc *
authc_new(struct loop *l, const char *path)
{
	return authc_new_with(l, path, NULL, NULL);
}

struct authc *
authc_new_with(struct loop *l, const char *path,
    const struct authc_notices *n, void *ctx)
{
	struct authc *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->notices = n;
	a->ctx = ctx;
	a->ipc = ipc_client_new(l, path, "authd", &authc_ipc_ops, a);
	if (a->ipc == NULL) {
		free(a);
		return NULL;
	}
	event_queue_init(&a->events, l, a->ipc);
	return a;
}

static struct authc_call **
authc_find(struct authc *a, uint32_t id)
{
	struct authc_call **at = &a->calls[id % AUTHC_BUCKETS];

	while (*at != NULL && (*at)->id != id)
		at = &(*at)->next;
	return at;
}

int
authc_is_up(const struct authc *a)
{
	return ipc_client_is_up(a->ipc);
}

bool
authc_has_secrets(const struct authc *a)
{
	return a->has_secrets;
}

static int
authc_read_limit(struct msg_in *m, struct authc_limit *l)
{
	uint8_t which, permanent;
	uint64_t eases_s;

	msg_get_u8(m, &which);
	msg_get_u64(m, &l->max);
	msg_get_u64(m, &eases_s);
	msg_get_u8(m, &permanent);
	if (msg_get_end(m) != 0 || which >= AUTHP_LIMIT__COUNT ||
	    eases_s > INT64_MAX)
		return ERR_FORMAT;
	l->which = (enum authp_limit)which;
	l->eases_s = (int64_t)eases_s;
	l->permanent = permanent != 0;
	return 0;
}

/* What only TICKET's reply has. */
static void
authc_read_ticket(struct msg_in *m, struct authc_reply *r)
{
	uint8_t foreign = 0;

	msg_get_str(m, &r->peer, AUTHP_SID_MAX * 2);
	msg_get_str(m, &r->tls, AUTHP_TLS_MAX);
	msg_get_str(m, &r->mech, AUTHP_MECH_MAX);
	msg_get_str(m, &r->sid, AUTHP_SID_MAX);
	msg_get_str(m, &r->origin, AUTHP_ORIGIN_MAX);
	msg_get_u32(m, &r->reservation);
	msg_get_u64(m, &r->size_limit);
	msg_get_u8(m, &foreign);
	r->foreign = foreign != 0;
}

/* Reads what follows the verdict; the strings stay in the packet. */
static int
authc_read_fields(uint16_t type, struct msg_in *m, struct authc_reply *r)
{
	uint8_t may_prioritise = 0, kind = AUTHP_KIND_SASL;
	uint8_t hint = AUTHP_HINT_NONE;
	bool ok = r->verdict == AUTHP_OK;

	if (r->verdict == AUTHP_LIMIT)
		return type == AUTHP_MAIL || type == AUTHP_TICKET ?
		    authc_read_limit(m, &r->limit) : ERR_FORMAT;
	if (r->verdict == AUTHP_BROWNOUT) {
		msg_get_str(m, &r->text, AUTHP_BROWNOUT_MAX);
		return type == AUTHP_MAIL ? msg_get_end(m) : ERR_FORMAT;
	}
	if (r->verdict == AUTHP_CONTINUE) {
		if (type != AUTHP_SASL_START && type != AUTHP_SASL_STEP)
			return ERR_FORMAT;
		msg_get_u32(m, &r->exchange);
		msg_get_blob(m, &r->blob, &r->blob_len, AUTHP_RESP_MAX);
		return msg_get_end(m);
	}
	if (ok && type == AUTHP_SESSION)
		msg_get_blob(m, &r->blob, &r->blob_len, AUTHP_HANDLE_MAX);
	if (ok && (type == AUTHP_SASL_START || type == AUTHP_SASL_STEP ||
	    type == AUTHP_MAIL || type == AUTHP_APOP))
		msg_get_blob(m, &r->blob, &r->blob_len, AUTHP_TICKET_MAX);
	if (ok && type == AUTHP_FROM)
		msg_get_blob(m, &r->blob, &r->blob_len, AUTHP_FROM_MAX);
	if (ok && type == AUTHP_USERS)
		msg_get_blob(m, &r->blob, &r->blob_len, AUTHP_USERS_MAX);
	if (ok && type != AUTHP_SESSION && type != AUTHP_RCPT &&
	    type != AUTHP_FROM && type != AUTHP_USERS)
		msg_get_str(m, &r->user, AUTHP_USER_MAX);
	if (ok && (type == AUTHP_SASL_START || type == AUTHP_SASL_STEP ||
	    type == AUTHP_APOP))
		msg_get_str(m, &r->login, AUTHP_USER_MAX);
	if (ok && (type == AUTHP_SASL_START || type == AUTHP_SASL_STEP))
		msg_get_blob(m, &r->handle, &r->handle_len, AUTHP_HANDLE_MAX);
	if (ok && (type == AUTHP_MAIL || type == AUTHP_TICKET))
		msg_get_u8(m, &kind);
	if (ok && type == AUTHP_MAIL) {
		msg_get_u64(m, &r->size_limit);
		msg_get_u8(m, &may_prioritise);
	}
	if (ok && (type == AUTHP_MAILDROP || type == AUTHP_DELIVER))
		msg_get_str(m, &r->path, AUTHP_PATH_MAX);
	if (ok && type == AUTHP_DELIVER)
		msg_get_u64(m, &r->quota);
	if (ok && type == AUTHP_TICKET)
		authc_read_ticket(m, r);
	if (type == AUTHP_MAIL && r->verdict == AUTHP_NOAUTH)
		msg_get_u8(m, &hint);
	if (kind < AUTHP_KIND_SASL || kind >= AUTHP_KIND__COUNT ||
	    hint >= AUTHP_HINT__COUNT)
		return ERR_FORMAT;
	r->kind = (enum authp_kind)kind;
	r->may_prioritise = may_prioritise != 0;
	r->hint = (enum authp_hint)hint;
	return msg_get_end(m);
}

static int
authc_read(uint16_t type, struct msg_in *m, struct authc_reply *r)
{
	uint8_t verdict;

	if (m->type != (type | AUTHP_REPLY))
		return ERR_FORMAT;
	if (msg_get_u8(m, &verdict) != 0 || verdict >= AUTHP_VERDICT__COUNT)
		return ERR_FORMAT;
	r->verdict = (enum authp_verdict)verdict;
	return authc_read_fields(type, m, r);
}

static int
authc_replied(void *ctx, int rc, struct msg_in *m, int fd)
{
	static const struct authc_reply away = {
		.rc = ERR_AWAY, .verdict = AUTHP_TEMP, .user = "",
		.login = "", .path = "", .peer = "", .tls = "", .mech = "",
		.sid = "", .origin = "", .text = "", .blob = "", .handle = "",
		.kind = AUTHP_KIND_SASL,
	};
	struct authc_call *c = ctx, **at = authc_find(c->authc, c->id);
	struct authc_reply r = away;
	int bad = 0;

	*at = c->next;
	if (rc == 0) {
		r.rc = 0;
		/* No reply brings a descriptor. */
		bad = fd != -1 ? ERR_FORMAT : authc_read(c->type, m, &r);
		if (bad != 0)
			r = away;
	}
	if (c->fn != NULL)
		c->fn(c->ctx, &r);
	else if (r.verdict == AUTHP_CONTINUE)
		authc_sasl_cancel(c->authc, r.exchange);
	else if (r.reservation != 0)
		authc_release(c->authc, r.reservation);
	free(c);
	return bad;
}

/* Sends what authc_begin() and the msg_put calls made; zeroes it. */
static int
authc_ask(struct authc *a, struct msg_out *m, uint16_t type, uint32_t id,
    int fd, authc_fn *fn, void *ctx, uint32_t *ret_call)
{
	struct authc_call *c = calloc(1, sizeof(*c));
	int r = m->error;

	if (r == 0 && c == NULL)
		r = ERR_NOMEM;
	if (r == 0) {
		*c = (struct authc_call){ .authc = a, .id = id, .type = type,
		    .fn = fn, .ctx = ctx, .next = a->calls[id % AUTHC_BUCKETS] };
		r = ipc_client_call(a->ipc, m, fd, authc_replied, c);
	}
	explicit_bzero(m->data, m->len);
	if (r != 0) {
		free(c);
		return r;
	}
	a->calls[id % AUTHC_BUCKETS] = c;
	if (ret_call != NULL)
		*ret_call = id;
	return 0;
}

static uint32_t
authc_begin(struct authc *a, struct msg_out *m, uint16_t type)
{
	uint32_t id = ipc_client_id(a->ipc);

	msg_begin(m, type, id);
	return id;
}

/* Notes an argument that authd would drop us for. */
static void
authc_put_str(struct msg_out *m, const char *s, size_t max)
{
	if (s != NULL && strlen(s) > max)
		m->error = ERR_LIMIT;
	else
		msg_put_str(m, s);
}

static void
authc_put_blob(struct msg_out *m, const void *p, size_t len, size_t max)
{
	if (len > max)
		m->error = ERR_LIMIT;
	else
		msg_put_blob(m, p, len);
}

/* The fields of SESSION. */
static void
authc_put_session(struct msg_out *m, enum authp_service service,
    const char *sid, const struct addr *claim)
{
	char ip[ADDR_STRLEN];

	authc_put_str(m, sid, AUTHP_SID_MAX);
	msg_put_u8(m, (uint8_t)service);
	authc_put_str(m, claim == NULL ? "" : addr_ip_text(claim, ip),
	    AUTHP_ADDRESS_MAX);
}

int
authc_session(struct authc *a, int sock_fd, enum authp_service service,
    const char *sid, const struct addr *claim, authc_fn *fn, void *ctx,
    uint32_t *ret_call)
{
	struct msg_out m;
	uint32_t id = authc_begin(a, &m, AUTHP_SESSION);

	authc_put_session(&m, service, sid, claim);
	return authc_ask(a, &m, AUTHP_SESSION, id, sock_fd, fn, ctx, ret_call);
}

int
authc_sasl_start(struct authc *a, const struct authc_handle *handle,
    const struct authc_start *st, authc_fn *fn, void *ctx, uint32_t *ret_call)
{
	struct msg_out m;
	uint32_t id = authc_begin(a, &m, AUTHP_SASL_START);
	bool is_new = handle->len == 0;

	authc_put_blob(&m, handle->data, handle->len, AUTHP_HANDLE_MAX);
	authc_put_str(&m, st->tls, AUTHP_TLS_MAX);
	authc_put_str(&m, st->mech, AUTHP_MECH_MAX);
	msg_put_u8(&m, st->ir != NULL);
	authc_put_blob(&m, st->ir, st->ir == NULL ? 0 : st->ir_len,
	    AUTHP_RESP_MAX);
	authc_put_str(&m, st->binding, AUTHP_BINDING_MAX);
	authc_put_blob(&m, st->binding_data, st->binding_len,
	    AUTHP_BINDING_DATA_MAX);
	authc_put_blob(&m, st->cert, st->cert == NULL ? 0 : AUTHP_CERT_SIZE,
	    AUTHP_CERT_SIZE);
	if (is_new)
		authc_put_session(&m, st->service, st->sid, st->claim);
	return authc_ask(a, &m, AUTHP_SASL_START, id, is_new ? st->sock_fd : -1,
	    fn, ctx, ret_call);
}

int
authc_sasl_step(struct authc *a, uint32_t exchange, const void *resp,
    size_t len, authc_fn *fn, void *ctx, uint32_t *ret_call)
{
	struct msg_out m;
	uint32_t id = authc_begin(a, &m, AUTHP_SASL_STEP);

	msg_put_u32(&m, exchange);
	authc_put_blob(&m, resp, len, AUTHP_RESP_MAX);
	return authc_ask(a, &m, AUTHP_SASL_STEP, id, -1, fn, ctx, ret_call);
}

void
authc_sasl_cancel(struct authc *a, uint32_t exchange)
{
	struct msg_out m;

	authc_begin(a, &m, AUTHP_SASL_CANCEL);
	msg_put_u32(&m, exchange);
	/* When it is lost, the exchange ends by itself. */
	(void)ipc_client_send(a->ipc, &m, -1);
}

int
authc_apop(struct authc *a, const struct authc_handle *handle, const char *tls,
    const char *name, const char *challenge,
    const uint8_t digest[AUTHP_DIGEST_SIZE], authc_fn *fn, void *ctx,
    uint32_t *ret_call)
{
	struct msg_out m;
	uint32_t id = authc_begin(a, &m, AUTHP_APOP);

	authc_put_blob(&m, handle->data, handle->len, AUTHP_HANDLE_MAX);
	authc_put_str(&m, tls, AUTHP_TLS_MAX);
	authc_put_str(&m, name, AUTHP_NAME_MAX);
	authc_put_str(&m, challenge, AUTHP_CHALLENGE_MAX);
	msg_put_blob(&m, digest, AUTHP_DIGEST_SIZE);
	return authc_ask(a, &m, AUTHP_APOP, id, -1, fn, ctx, ret_call);
}

int
authc_who_entry(struct authc *a, uint32_t serial,
    const struct authc_session_info *s)
{
	struct msg_out m;
	char ip[ADDR_STRLEN];

	if (ipc_client_full(a->ipc))
		return ERR_LIMIT;
	authc_begin(a, &m, AUTHP_WHO_ENTRY);
	msg_put_u32(&m, serial);
	authc_put_str(&m, s->sid, AUTHP_SID_MAX);
	authc_put_str(&m, s->user, AUTHP_USER_MAX);
	authc_put_str(&m, s->login == NULL ? "" : s->login, AUTHP_USER_MAX);
	authc_put_str(&m, addr_ip_text(s->peer, ip), AUTHP_ADDRESS_MAX);
	msg_put_u8(&m, (uint8_t)s->service);
	authc_put_str(&m, s->mech, AUTHP_MECH_MAX);
	authc_put_str(&m, s->tls, AUTHP_TLS_MAX);
	msg_put_u64(&m, (uint64_t)s->since_s);
	return ipc_client_send(a->ipc, &m, -1);
}

int
authc_who_end(struct authc *a, uint32_t serial)
{
	struct msg_out m;

	if (ipc_client_full(a->ipc))
		return ERR_LIMIT;
	authc_begin(a, &m, AUTHP_WHO_END);
	msg_put_u32(&m, serial);
	return ipc_client_send(a->ipc, &m, -1);
}

void
authc_event(struct authc *a, const struct authc_event *e)
{
	event_send(&a->events, e);
}

int
authc_mail(struct authc *a, const struct authc_handle *handle,
    const struct authc_blob *ticket, const char *tls, const char *sender,
    authc_fn *fn, void *ctx, uint32_t *ret_call)
{
	struct msg_out m;
	uint32_t id = authc_begin(a, &m, AUTHP_MAIL);

	authc_put_blob(&m, handle->data, handle->len, AUTHP_HANDLE_MAX);
	if (ticket != NULL)
		authc_put_blob(&m, ticket->data, ticket->len,
		    AUTHP_TICKET_MAX);
	else
		msg_put_blob(&m, NULL, 0);
	authc_put_str(&m, tls, AUTHP_TLS_MAX);
	authc_put_str(&m, sender, AUTHP_SENDER_MAX);
	return authc_ask(a, &m, AUTHP_MAIL, id, -1, fn, ctx, ret_call);
}

/* RCPT and DELIVER: one address and nothing else. */
static int
authc_ask_address(struct authc *a, uint16_t type, const char *address,
    authc_fn *fn, void *ctx, uint32_t *ret_call)
{
	struct msg_out m;
	uint32_t id = authc_begin(a, &m, type);

	authc_put_str(&m, address, AUTHP_SENDER_MAX);
	return authc_ask(a, &m, type, id, -1, fn, ctx, ret_call);
}

int
authc_from(struct authc *a, const void *ticket, size_t len,
    const char *const *addresses, size_t n, authc_fn *fn, void *ctx,
    uint32_t *ret_call)
{
	struct msg_out m;
	uint32_t id = authc_begin(a, &m, AUTHP_FROM);

	authc_put_blob(&m, ticket, len, AUTHP_TICKET_MAX);
	msg_put_u16(&m, (uint16_t)n);
	if (n == 0 || n > AUTHP_FROM_MAX)
		m.error = ERR_LIMIT;
	for (size_t i = 0; i < n; i++)
		authc_put_str(&m, addresses[i], AUTHP_SENDER_MAX);
	return authc_ask(a, &m, AUTHP_FROM, id, -1, fn, ctx, ret_call);
}

int
authc_users(struct authc *a, const char *const *users, size_t n, authc_fn *fn,
    void *ctx, uint32_t *ret_call)
{
	struct msg_out m;
	uint32_t id = authc_begin(a, &m, AUTHP_USERS);

	if (n == 0 || n > AUTHP_USERS_MAX)
		m.error = ERR_LIMIT;
	msg_put_u16(&m, (uint16_t)n);
	for (size_t i = 0; m.error == 0 && i < n; i++)
		authc_put_str(&m, users[i], AUTHP_USER_MAX);
	return authc_ask(a, &m, AUTHP_USERS, id, -1, fn, ctx, ret_call);
}

int
authc_rcpt(struct authc *a, const char *address, authc_fn *fn, void *ctx,
    uint32_t *ret_call)
{
	return authc_ask_address(a, AUTHP_RCPT, address, fn, ctx, ret_call);
}

int
authc_deliver(struct authc *a, const char *address, authc_fn *fn, void *ctx,
    uint32_t *ret_call)
{
	return authc_ask_address(a, AUTHP_DELIVER, address, fn, ctx, ret_call);
}

static void
authc_put_message(struct msg_out *m, const struct authc_message *msg,
    enum authp_phase phase)
{
	authc_put_blob(m, msg->ticket, msg->ticket_len, AUTHP_TICKET_MAX);
	authc_put_str(m, msg->sender, AUTHP_SENDER_MAX);
	msg_put_u8(m, (uint8_t)phase);
	msg_put_u32(m, msg->recipients);
	msg_put_u64(m, msg->octets);
	msg_put_u32(m, msg->reservation);
}

int
authc_ticket(struct authc *a, const struct authc_message *msg,
    enum authp_phase phase, authc_fn *fn, void *ctx, uint32_t *ret_call)
{
	struct msg_out m;
	uint32_t id = authc_begin(a, &m, AUTHP_TICKET);

	authc_put_message(&m, msg, phase);
	return authc_ask(a, &m, AUTHP_TICKET, id, -1, fn, ctx, ret_call);
}

static void
authc_tell_ticket(struct authc *a, const struct authc_message *msg,
    enum authp_phase phase)
{
	struct msg_out m;

	authc_begin(a, &m, AUTHP_TICKET);
	authc_put_message(&m, msg, phase);
	(void)ipc_client_send(a->ipc, &m, -1);
}

void
authc_release(struct authc *a, uint32_t reservation)
{
	const struct authc_message none = { .sender = "",
	    .reservation = reservation };

	authc_tell_ticket(a, &none, AUTHP_ABORT);
}

void
authc_take_back(struct authc *a, const struct authc_message *msg)
{
	authc_tell_ticket(a, msg, AUTHP_TAKE_BACK);
}

int
authc_maildrop(struct authc *a, const void *ticket, size_t len, authc_fn *fn,
    void *ctx, uint32_t *ret_call)
{
	struct msg_out m;
	uint32_t id = authc_begin(a, &m, AUTHP_MAILDROP);

	authc_put_blob(&m, ticket, len, AUTHP_TICKET_MAX);
	return authc_ask(a, &m, AUTHP_MAILDROP, id, -1, fn, ctx, ret_call);
}

void
authc_cancel(struct authc *a, uint32_t call)
{
	struct authc_call *c = *authc_find(a, call);

	/* It stays until its reply: a cancelled SASL exchange that went on
	 * is then ended in authd too. */
	if (c != NULL)
		c->fn = NULL;
}
