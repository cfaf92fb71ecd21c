/*
 * txn.c - messages on their way in from submitd-smtp.
 *
 * Runs in submitd-spool, on the loop; octets are written on pool threads, one
 * job a transaction at a time. A worker may have been taken over: it gets
 * nothing but begin, data, commit and abort, everything it says about user,
 * address and TLS is authd's word on the ticket, and whatever it breaks costs it
 * its connection.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "submitd/spool/txn_private.h"

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/conf_route.h"
#include "lib/mailbox.h"
#include "submitd/spool/protocol.h"

#define TXN_WRITE_MIN 131072u	/* less is written when the message is whole */

/* --------------------------------------------------------------- the end -- */

/* Its last message may outlive the connection. */
static void
txn_peer_leave(struct txn_peer *p)
{
	if (--p->n_all == 0 && p->ipc == NULL)
		free(p);
}

static void
txn_free(struct txn *t)
{
	t->sp->reserved -= t->reserved;
	t->sp->n_txns--;
	limit_end(t->sp, &t->share);
	store_file_discard(&t->sp->store, t->file);
	queue_msg_free(t->msg);
	envelope_free(&t->env);
	buf_free(&t->in);
	buf_free(&t->out);
	explicit_bzero(&t->ticket, sizeof(t->ticket));
	free(t->origin);
	free(t->top);
	txn_peer_leave(t->owner);
	free(t);
}

static void
txn_free_done(void *ctx)
{
	txn_free(ctx);
}

static void
txn_discard_work(void *ctx)
{
	struct txn *t = ctx;

	store_file_discard(&t->sp->store, t->file);
	t->file = NULL;
}

/* What authd is told of the message. */
static struct authc_message
txn_auth_message(const struct txn *t, uint64_t octets)
{
	return (struct authc_message){
		.ticket = t->ticket.data,
		.ticket_len = t->ticket.len,
		.sender = t->env.sender,
		.recipients = (uint32_t)t->rcpts_want,
		.octets = octets,
		.reservation = t->reservation,
	};
}

/* It was booked, and is not kept: its user has not sent it. */
static void
txn_take_back(struct txn *t)
{
	const struct authc_message msg = txn_auth_message(t, t->octets);

	authc_take_back(t->sp->auth, &msg);
	t->booked = false;
}

/* The answer to WHOLE or COMMIT is waited for by the dead, too: what is booked by
 * then is to be taken back. */
static void
txn_end_call(struct txn *t)
{
	if (t->auth_call != 0 && !t->whole && t->state != TXN_CHECKING &&
	    t->state != TXN_DEAD) {
		authc_cancel(t->sp->auth, t->auth_call);
		t->auth_call = 0;
	}
	if (t->auth_call != 0)
		return;
	if (t->reservation != 0)
		authc_release(t->sp->auth, t->reservation);
	t->reservation = 0;
}

/* The slot is free again; what still holds the txn will free it. */
static void
txn_end(struct txn *t)
{
	if (t->peer != NULL) {
		txn_hold_end(t);
		t->peer->slots[t->slot] = NULL;
		t->peer->n--;
		t->peer = NULL;
	}
	txn_end_call(t);
	if (t->state == TXN_FLUSHING)
		return;
	if (t->booked)
		txn_take_back(t);
	t->state = TXN_DEAD;
	buf_free(&t->in);
	if (t->writing || t->auth_call != 0)
		return;
	/* Removing a large file takes its time: not on the loop. */
	if (t->file == NULL || t->file->fd < 0 || pool_submit(t->sp->writers,
	    txn_discard_work, txn_free_done, t) != 0)
		txn_free(t);
}

static void
txn_reply(struct txn *t, uint16_t type, uint32_t id, enum spoolc_verdict v)
{
	struct msg_out *m = &t->sp->msg;

	if (t->peer == NULL)
		return;
	msg_begin(m, type | SPOOL_REPLY, id);
	msg_put_u8(m, (uint8_t)v);
	msg_put_str(m, v == SPOOLC_OK ? t->env.id :
	    v == SPOOLC_LIMIT || v == SPOOLC_OVER || v == SPOOLC_FULL ?
	    t->limit : "");
	(void)ipc_send(t->peer->ipc, m, -1);
}

/* To COMMIT, or to WHOLE. */
static void
txn_answer(struct txn *t, enum spoolc_verdict v)
{
	txn_reply(t, t->whole ? SPOOL_WHOLE : SPOOL_COMMIT, t->commit, v);
}

/* Answers whatever is to be answered with a refusal, and ends. */
static void
txn_refuse(struct txn *t, enum spoolc_verdict v)
{
	t->sp->n_refused++;
	if (t->commit != 0)
		txn_answer(t, v);
	else
		txn_reply(t, SPOOL_BEGIN, t->begin, v);
	txn_end(t);
}

static enum spoolc_verdict
txn_verdict(int r)
{
	return r == 0 ? SPOOLC_OK :
	    r == ERR_NOSPACE ? SPOOLC_NOSPACE : SPOOLC_TEMP;
}

static void
txn_log_fault(const struct txn *t, const struct err *e)
{
	LOG_EV(LOG_ERR, e->code == ERR_NOSPACE ? "spool.nospace" :
	    "spool.fault", t->env.sid, KV_A("qid", t->env.id),
	    KV_T("why", e->text));
}

/* ---------------------------------------------------------------- writing -- */

static void txn_flush(struct txn *t);

/* Keeps our part of the reserve at what may still have to be written. */
static void
txn_reserve(struct txn *t)
{
	uint64_t want = t->octets > t->announced ? t->octets : t->announced;

	want -= t->written;
	t->sp->reserved -= t->reserved;
	t->sp->reserved += want;
	t->reserved = want;
}

/* 0, or ERR_NOSPACE when what open transactions may still need does not fit
 * beside the reserve. */
static int
txn_space(struct spool *sp)
{
	struct err err;
	int r = store_space(&sp->store, sp->conf->spool_min_free,
	    sp->reserved, sp->n_txns, &err);

	/* One line when it begins and one when it is over. */
	if (r != 0 && !sp->nospace)
		LOG_EV(LOG_ERR, "spool.nospace", NULL, KV_T("why", err.text));
	if (r == 0 && sp->nospace)
		LOG_EV(LOG_NOTICE, "spool.space", NULL);
	sp->nospace = r != 0;
	return r;
}

/* What was announced is reserved; more has to fit. */
static enum spoolc_verdict
txn_fits(struct txn *t)
{
	if (t->octets <= t->announced)
		return SPOOLC_OK;
	if (txn_space(t->sp) != 0)
		return SPOOLC_NOSPACE;
	return limit_grow(t->sp, &t->share, t->octets, t->limit);
}

static void
txn_ack(struct txn *t, size_t octets)
{
	struct msg_out *m = &t->sp->msg;
	uint32_t n = octets < t->unacked ? (uint32_t)octets : t->unacked;

	t->unacked -= n;
	if (t->peer == NULL || (n == 0 && t->verdict == SPOOLC_OK))
		return;
	msg_begin(m, SPOOL_ACK, 0);
	msg_put_u32(m, t->slot);
	msg_put_u32(m, t->begin);
	msg_put_u32(m, n);
	/* The text that goes with it comes with the answer to COMMIT. */
	msg_put_u8(m, (uint8_t)(t->verdict == SPOOLC_FULL ? SPOOLC_OK :
	    t->verdict));
	(void)ipc_send(t->peer->ipc, m, -1);
}

/* Nothing of it is wanted any more; commit will say why. */
static void
txn_fail(struct txn *t, enum spoolc_verdict v)
{
	t->verdict = v;
	buf_free(&t->in);
	txn_ack(t, t->unacked);
}

static void
txn_write_work(void *ctx)
{
	struct txn *t = ctx;

	t->r = store_file_write(&t->sp->store, t->file, buf_data(&t->out),
	    buf_len(&t->out), &t->err);
}

static void txn_write(struct txn *t);

static void
txn_write_done(void *ctx)
{
	struct txn *t = ctx;
	size_t n = buf_len(&t->out);

	t->writing = false;
	buf_clear(&t->out);
	if (t->state == TXN_DEAD) {
		txn_end(t);
		return;
	}
	t->written += n;
	txn_reserve(t);
	if (t->r != 0) {
		txn_log_fault(t, &t->err);
		txn_fail(t, txn_verdict(t->r));
	} else {
		txn_ack(t, n);
	}
	if (t->state == TXN_CHECKED)
		txn_flush(t);
	else
		txn_write(t);
}

/* Writes what has gathered, when it is worth a job. */
static void
txn_write(struct txn *t)
{
	enum spoolc_verdict v;
	struct buf empty;

	if (t->writing || t->verdict != SPOOLC_OK || t->file == NULL ||
	    buf_len(&t->in) < TXN_WRITE_MIN)
		return;
	if ((v = txn_fits(t)) != SPOOLC_OK) {
		txn_fail(t, v);
		return;
	}
	empty = t->out;
	t->out = t->in;
	t->in = empty;
	t->writing = true;
	if (pool_submit(t->sp->writers, txn_write_work, txn_write_done,
	    t) != 0) {
		t->writing = false;
		txn_fail(t, SPOOLC_TEMP);
	}
}

static uint64_t
txn_size_limit(const struct txn *t)
{
	uint64_t all = t->sp->conf->message_size_limit;

	return t->size_limit == 0 || t->size_limit > all ? all : t->size_limit;
}

/* Octets of the message came. */
static void
txn_take(struct txn *t, const void *p, size_t len)
{
	if (t->verdict != SPOOLC_OK) {
		txn_ack(t, len);
		return;
	}
	t->octets += len;
	txn_reserve(t);
	if (t->octets > txn_size_limit(t) + SPOOL_ADDED_MAX) {
		txn_fail(t, SPOOLC_TOOBIG);
		return;
	}
	header_scan_feed(&t->scan, p, len);
	if (buf_append(&t->in, p, len) != 0) {
		txn_fail(t, SPOOLC_TEMP);
		return;
	}
	txn_write(t);
}

/* ----------------------------------------------------------------- commit -- */

static void
txn_flushed(struct store_op *op)
{
	struct txn *t = op->ctx;
	struct spool *sp = t->sp;
	const struct queue_fresh fresh = { .top = t->top,
	    .top_len = t->top_len, .rest = buf_data(&t->in),
	    .rest_len = buf_len(&t->in) };

	t->file = NULL;
	t->state = TXN_CHECKED;
	if (op->r != 0) {
		txn_log_fault(t, &op->err);
		txn_refuse(t, txn_verdict(op->r));
		return;
	}
	sp->n_committed++;
	t->booked = false;	/* for good */
	txn_answer(t, SPOOLC_OK);
	t->msg->fresh = t->written == 0 ? &fresh : NULL;
	queue_add(sp->queue, t->msg, op->content_offset, op->content_len,
	    op->content_offset + op->content_len);
	t->msg = NULL;
	txn_end(t);
}

static void
txn_flush(struct txn *t)
{
	if (t->verdict == SPOOLC_OK)
		t->verdict = txn_fits(t);
	t->env.wishes.tls_optional = t->file->h.tls_optional =
	    header_scan_tls_optional(&t->scan) && !t->env.wishes.requiretls;
	if (t->verdict == SPOOLC_OK &&
	    (t->msg = queue_msg_new(&t->env)) == NULL)
		t->verdict = SPOOLC_TEMP;
	if (t->verdict != SPOOLC_OK) {
		txn_refuse(t, t->verdict);
		return;
	}
	t->state = TXN_FLUSHING;
	t->op.kind = STORE_COMMIT;
	memcpy(t->op.id, t->env.id, sizeof(t->op.id));
	t->op.place = &t->msg->place;
	t->op.file = t->file;
	t->op.data = buf_data(&t->in);
	t->op.len = buf_len(&t->in);
	t->op.done = txn_flushed;
	t->op.ctx = t;
	flush_add(t->sp->flush, &t->op);
}

static enum spoolc_verdict
txn_auth_verdict(struct txn *t, const struct authc_reply *r)
{
	switch (r->verdict) {
	case AUTHP_OK:
		return r->rc == 0 ? SPOOLC_OK : SPOOLC_TEMP;
	case AUTHP_NOTSENDER:
		return SPOOLC_NOTSENDER;
	case AUTHP_VOID:
	case AUTHP_NOAUTH:
	case AUTHP_BADCRED:
		return SPOOLC_VOID;
	case AUTHP_LIMIT:
		(void)authc_limit_text(&r->limit, clock_now_s(), t->limit);
		return r->limit.permanent ? SPOOLC_OVER : SPOOLC_LIMIT;
	default:
		return SPOOLC_TEMP;
	}
}

/* Asks authd about the message. Not OK: it cannot be asked. */
static enum spoolc_verdict
txn_ask_auth(struct txn *t, enum authp_phase phase, authc_fn *fn)
{
	const struct authc_message msg = txn_auth_message(t,
	    phase == AUTHP_BEGIN ? t->announced : t->octets);

	if (authc_ticket(t->sp->auth, &msg, phase, fn, t,
	    &t->auth_call) == 0)
		return SPOOLC_OK;
	t->auth_call = 0;
	return SPOOLC_TEMP;
}

static void
txn_committable(void *ctx, const struct authc_reply *r)
{
	struct txn *t = ctx;
	enum spoolc_verdict v = txn_auth_verdict(t, r);

	t->auth_call = 0;
	if (v == SPOOLC_OK) {
		t->reservation = 0;
		t->booked = true;
	}
	if (t->state == TXN_DEAD) {	/* given up meanwhile */
		txn_end(t);
		return;
	}
	if (v != SPOOLC_OK || t->verdict != SPOOLC_OK) {
		txn_refuse(t, v != SPOOLC_OK ? v : t->verdict);
		return;
	}
	t->state = TXN_CHECKED;
	if (!t->writing)
		txn_flush(t);
}

/* ------------------------------------------------------------------ begin -- */

/* Takes authd's word over into the envelope. */
static int
txn_take_word(struct txn *t, const struct authc_reply *r)
{
	txn_hold_ticketed(t);
	t->env.kind = (uint8_t)r->kind;
	t->env.foreign = r->foreign;
	t->env.user = strdup(r->user);
	t->env.peer = strdup(r->peer);
	t->env.tls = strdup(r->tls);
	t->env.mech = strdup(r->mech);
	t->env.sid = strdup(r->sid);
	t->origin = r->origin[0] == '\0' ? NULL : strdup(r->origin);
	return t->env.user == NULL || t->env.peer == NULL ||
	    t->env.tls == NULL || t->env.mech == NULL || t->env.sid == NULL ||
	    (t->origin == NULL && r->origin[0] != '\0') ? ERR_NOMEM : 0;
}

/* Makes the file's front. */
static int
txn_make(struct txn *t)
{
	char top[HEADER_RECEIVED_SIZE];
	int n;

	str_id(t->env.id);
	t->env.arrived_s = clock_now_s();
	n = header_received(&t->env, t->sp->conf->hostname,
	    t->origin == NULL ? "" : t->origin, top, sizeof(top));
	if (n < 0)
		return n;
	t->top_len = (size_t)n;
	if ((t->top = strdup(top)) == NULL)
		return ERR_NOMEM;
	return store_file_new(&t->env, top, (size_t)n, &t->file);
}

/* Mail that nobody may send is for users here, and never goes out again. */
static bool
txn_is_for_here(const struct txn *t)
{
	struct mailbox box;

	for (size_t i = 0; i < t->env.n_rcpts; i++)
		if (mailbox_parse(t->env.rcpts[i], strlen(t->env.rcpts[i]),
		    &box) == 0 && conf_route_find(t->sp->conf,
		    mailbox_domain(box.canon))->via != CONF_VIA_LOCAL)
			return false;
	return true;
}

static enum spoolc_verdict
txn_check_received(const struct txn *t)
{
	if (t->env.kind != AUTHP_KIND_RECEIVE || txn_is_for_here(t))
		return SPOOLC_OK;
	LOG_EV(LOG_ERR, "spool.fault", t->env.sid, KV_T("why",
	    "mail by LMTP was to be relayed"));
	return SPOOLC_VOID;
}

/* It goes round and round: by too many hosts; or an MX brings to users here what
 * they all have been given before, as the field says that submitd-local wrote.
 * Who sends himself what he got once is another matter. */
static bool
txn_loops(const struct txn *t)
{
	if (t->scan.received > t->sp->conf->received_limit)
		return true;
	for (size_t i = 0; i < t->env.n_rcpts; i++)
		if (t->env.kind != AUTHP_KIND_RECEIVE ||
		    !header_scan_was_delivered(&t->scan, t->env.rcpts[i]))
			return false;
	return true;
}

/* The ticket holds and all recipients are here. */
static void
txn_open(struct txn *t)
{
	enum spoolc_verdict v = txn_check_received(t);

	/* What came as a whole: now that it is known who sent it. */
	if (v == SPOOLC_OK && t->whole && txn_loops(t))
		v = SPOOLC_LOOP;
	if (v == SPOOLC_OK && txn_make(t) != 0)
		v = SPOOLC_TEMP;
	if (v != SPOOLC_OK) {
		txn_refuse(t, v);
		return;
	}
	if (t->whole) {
		t->state = TXN_CHECKED;
		txn_flush(t);
		return;
	}
	t->state = TXN_OPEN;
	txn_reply(t, SPOOL_BEGIN, t->begin, SPOOLC_OK);
	txn_write(t);
}

/* authd has answered to begin, or to a whole message. */
static void
txn_begun(void *ctx, const struct authc_reply *r)
{
	struct txn *t = ctx;
	enum spoolc_verdict v = txn_auth_verdict(t, r);

	t->auth_call = 0;
	t->booked = t->whole && v == SPOOLC_OK;
	t->reservation = r->reservation;
	if (t->state == TXN_DEAD) {	/* given up meanwhile */
		txn_end(t);
		return;
	}
	t->size_limit = r->size_limit;
	if (v == SPOOLC_OK && (t->announced > txn_size_limit(t) ||
	    t->octets > txn_size_limit(t) + SPOOL_ADDED_MAX))
		v = SPOOLC_TOOBIG;
	/* What came as a whole is as large as it is. */
	if (t->announced < t->octets)
		t->announced = t->octets;
	if (v == SPOOLC_OK)
		v = limit_begin(t->sp, &t->share, r->user, t->announced,
		    t->limit);
	if (v == SPOOLC_OK && txn_take_word(t, r) != 0)
		v = SPOOLC_TEMP;
	if (v != SPOOLC_OK)
		txn_refuse(t, v);
	else if (t->state == TXN_ASKING)
		txn_open(t);
}

/* Who gives up one message after the other while authd is slow takes the place
 * of his own, not of others'. */
static enum spoolc_verdict
txn_may_begin(struct txn *t)
{
	if (t->sp->stopping || t->sp->n_txns > SPOOL_TXNS_MAX ||
	    t->owner->n_all > SPOOL_SLOTS)
		return SPOOLC_TEMP;
	if (t->announced > t->sp->conf->message_size_limit)
		return SPOOLC_TOOBIG;
	return txn_space(t->sp) != 0 ? SPOOLC_NOSPACE : SPOOLC_OK;
}

/* The ticket first, before all recipients are here. */
static void
txn_ask(struct txn *t)
{
	enum spoolc_verdict v = t->verdict;

	if (t->env.n_rcpts == t->rcpts_want)
		t->state = TXN_ASKING;
	txn_reserve(t);
	if (v == SPOOLC_OK)
		v = txn_may_begin(t);
	if (v == SPOOLC_OK)
		v = txn_ask_auth(t, t->whole ? AUTHP_WHOLE : AUTHP_BEGIN,
		    txn_begun);
	if (v != SPOOLC_OK)
		txn_refuse(t, v);
}

/* --------------------------------------------------------------- messages -- */

/* Not 0: the peer is dropped, and the txn with it. */
static int
txn_got(struct txn *t, int r)
{
	if (r != ERR_LIMIT)
		return r;
	if (!t->peer->complained)
		LOG_EV(LOG_WARNING, "spool.fault", NULL, KV_A("op", "begin"),
		    KV_U("recipients", t->rcpts_want), KV_T("why",
		    "a submitd-smtp has too many recipients at a time"));
	t->peer->complained = true;
	txn_refuse(t, SPOOLC_TEMP);
	return 0;
}

/* Keeps the octets of COMMIT or WHOLE, and judges what they say themselves. */
static int
txn_get_last(struct txn *t, struct msg_in *m)
{
	const void *p;
	size_t len;

	if (msg_get_blob(m, &p, &len, SPOOL_CHUNK) != 0 ||
	    msg_get_end(m) != 0 || m->id == 0)
		return ERR_FORMAT;
	t->commit = m->id;
	if (t->whole && txn_hold(t, len) != 0)
		return ERR_LIMIT;
	if (len > 0)
		txn_take(t, p, len);
	if (t->verdict == SPOOLC_OK && txn_loops(t))
		t->verdict = SPOOLC_LOOP;
	return 0;
}

/* What follows the recipients of WHOLE, and nothing of BEGIN. */
static int
txn_get_rest(struct txn *t, struct msg_in *m)
{
	if (!t->whole)
		return msg_get_end(m);
	return t->env.n_rcpts != t->rcpts_want ? ERR_FORMAT :
	    txn_get_last(t, m);
}

static int
txn_on_begin(struct txn_peer *p, struct msg_in *m, uint32_t slot)
{
	struct txn *t;
	int r;

	if (p->slots[slot] != NULL)
		return ERR_FORMAT;
	if ((t = calloc(1, sizeof(*t))) == NULL)
		return ERR_NOMEM;
	t->sp = p->sp;
	t->peer = t->owner = p;
	t->slot = slot;
	t->begin = m->id;
	t->whole = m->type == SPOOL_WHOLE;
	t->commit = t->whole ? m->id : 0;
	buf_init_mail(&t->in, SPOOL_WINDOW + SPOOL_CHUNK);
	buf_init_mail(&t->out, SPOOL_WINDOW + SPOOL_CHUNK);
	header_scan_init(&t->scan);
	p->slots[slot] = t;
	p->n++;
	p->n_all++;
	p->sp->n_txns++;
	if ((r = txn_get_begin(t, m)) == 0 && (r = txn_get_rest(t, m)) == 0)
		txn_ask(t);
	return txn_got(t, r);
}

static int
txn_on_rcpts(struct txn *t, struct msg_in *m)
{
	int r;

	if (t->state != TXN_RCPTS)
		return ERR_FORMAT;
	if ((r = txn_get_rcpts(t, m)) != 0 || (r = msg_get_end(m)) != 0)
		return txn_got(t, r);
	if (t->env.n_rcpts < t->rcpts_want)
		return 0;
	if (t->ticketed)
		txn_open(t);
	else
		t->state = TXN_ASKING;
	return 0;
}

static int
txn_on_data(struct txn *t, struct msg_in *m)
{
	const void *p;
	size_t len;

	if (msg_get_blob(m, &p, &len, SPOOL_CHUNK) != 0 ||
	    msg_get_end(m) != 0 || t->whole || t->state > TXN_OPEN ||
	    t->unacked + len > SPOOL_WINDOW)
		return ERR_FORMAT;
	if (!t->ticketed && txn_hold(t, len) != 0)
		return txn_got(t, ERR_LIMIT);
	t->unacked += (uint32_t)len;
	txn_take(t, p, len);
	return 0;
}

static int
txn_on_commit(struct txn *t, struct msg_in *m)
{
	int r;

	if (t->state != TXN_OPEN)
		return ERR_FORMAT;
	if ((r = txn_get_last(t, m)) != 0)
		return r;
	if (t->verdict == SPOOLC_OK)
		t->verdict = txn_ask_auth(t, AUTHP_COMMIT, txn_committable);
	t->state = TXN_CHECKING;
	if (t->verdict != SPOOLC_OK)
		txn_refuse(t, t->verdict);
	return 0;
}

static int
txn_packet(void *ctx, struct ipc *ipc, struct msg_in *m, int fd)
{
	struct txn_peer *p = ctx;
	struct txn *t;
	uint32_t slot;

	(void)ipc;
	if (fd >= 0) {
		close(fd);
		return ERR_FORMAT;
	}
	if (msg_get_u32(m, &slot) != 0 || slot >= SPOOL_SLOTS)
		return ERR_FORMAT;
	if (m->type == SPOOL_BEGIN || m->type == SPOOL_WHOLE)
		return txn_on_begin(p, m, slot);
	t = p->slots[slot];
	/* What crossed our refusal of its BEGIN is not wanted any more. */
	if (t == NULL && (m->type == SPOOL_RCPTS || m->type == SPOOL_DATA ||
	    m->type == SPOOL_ABORT))
		return 0;
	if (t == NULL)
		return ERR_FORMAT;
	switch (m->type) {
	case SPOOL_RCPTS:
		return txn_on_rcpts(t, m);
	case SPOOL_DATA:
		return txn_on_data(t, m);
	case SPOOL_COMMIT:
		return txn_on_commit(t, m);
	case SPOOL_ABORT:
		if (msg_get_end(m) != 0)
			return ERR_FORMAT;
		txn_end(t);
		return 0;
	default:
		return ERR_FORMAT;
	}
}

static void
txn_peer_close(void *ctx)
{
	struct txn_peer *p = ctx;

	p->n_all++;	/* us */
	for (uint32_t i = 0; i < SPOOL_SLOTS && p->n > 0; i++)
		if (p->slots[i] != NULL)
			txn_end(p->slots[i]);
	TAILQ_REMOVE(&p->sp->peers, p, link);
	ipc_close(p->ipc);
	p->ipc = NULL;
	txn_peer_leave(p);
}

/* It may have been a reply of ours that found the peer gone: what is on the
 * stack still needs the txn. */
static void
txn_gone(void *ctx, struct ipc *ipc)
{
	struct txn_peer *p = ctx;

	(void)ipc;
	if (loop_defer(p->sp->loop, txn_peer_close, p) != 0)
		abort();	/* the parent starts us again, nothing is lost */
}

static const struct ipc_ops txn_ops = {
	.packet = txn_packet,
	.gone = txn_gone,
};

void
txn_accepted(void *ctx, int fd, uid_t uid, pid_t pid)
{
	struct spool *sp = ctx;
	struct txn_peer *p = calloc(1, sizeof(*p));

	(void)uid;
	(void)pid;
	if (p == NULL) {
		close(fd);
		return;
	}
	p->sp = sp;
	p->ipc = ipc_new(sp->loop, fd, "submitd-smtp", &txn_ops, p);
	if (p->ipc == NULL) {
		close(fd);
		free(p);
		return;
	}
	TAILQ_INSERT_TAIL(&sp->peers, p, link);
	room_tell(p);
}
