/*
 * client.c - putting messages into the spool: begin, data, commit, abort.
 *
 * Runs in submitd-smtp. A message that fits into one packet goes as one, when it
 * is whole: the spool asks authd once, and answers once. A larger one (or one
 * announced as such, so that it is refused before it is sent) begins first. Its
 * octets are gathered to SPOOL_CHUNK, and no more than
 * SPOOL_WINDOW of a message is on its way at a time, so that a slow disk stops
 * the client that fills it and no other. Nothing is given to a full connection:
 * many sessions together must not make it overflow. Never claims that a message
 * is safe unless submitd-spool said so.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "submitd/spool/client.h"

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/ipc.h"
#include "lib/msg.h"
#include "submitd/spool/protocol.h"
#include "submitd/spool/wishes.h"

#define SPOOLC_BUF_MAX (1024u * 1024)	/* of one call of spoolc_data() */

/* What stands before the octets of a message that goes as one packet. */
#define SPOOLC_HEAD_MAX (MSG_MAX - SPOOL_CHUNK - 64u)

enum spoolc_state {
	SPOOLC_HELD,		/* nothing was sent: perhaps it goes as one */
	SPOOLC_BEGINNING,	/* BEGIN is on its way */
	SPOOLC_OPEN,
	SPOOLC_WAITING,		/* to be committed once the rest is sent */
	SPOOLC_COMMITTING,	/* COMMIT or WHOLE is on its way */
	SPOOLC_LOST,		/* submitd-spool went away, or wants no more:
				 * `verdict` is what commit will hear */
	SPOOLC_DEAD,		/* given up; a deferred call frees it */
};

struct spoolc_txn {
	struct spoolc		*s;
	enum spoolc_state	 state;
	enum spoolc_verdict	 verdict;
	uint32_t		 slot;
	uint32_t		 begin;		/* id of BEGIN: names us in ACKs */
	uint32_t		 call;		/* id of the open call */
	uint16_t		 call_type;
	struct buf		 head;		/* BEGIN's fields, until sent */
	struct buf		 buf;		/* octets not yet sent */
	uint64_t		 octets;	/* given to us in all */
	uint32_t		 unacked;
	bool			 begun;		/* the caller was told so */
	bool			 whole;		/* commit was asked for */
	bool			 full;		/* the caller was told to stop */
	bool			 deferred;	/* spoolc_txn_late() will come */
	spoolc_fn		*fn;
	loop_fn			*drained;
	void			*ctx;
	char			 text[SPOOLC_TEXT_MAX + 1];	/* of `verdict` */
};

struct spoolc {
	struct loop		*loop;
	struct ipc_client	*ipc;
	uint64_t		 limit;
	struct spoolc_txn	*slots[SPOOL_SLOTS];
	uint32_t		 n_slots;	/* all beyond are free */
	uint32_t		 turn;		/* who is served first */
	uint64_t		 room;		/* by SPOOL_ROOM */
	struct msg_out		 msg;
};

static int spoolc_reply(void *ctx, int rc, struct msg_in *m, int fd);
static void spoolc_send_abort(struct spoolc_txn *t);

static void
spoolc_txn_free(struct spoolc_txn *t)
{
	struct spoolc *s = t->s;

	if (s != NULL) {
		s->slots[t->slot] = NULL;
		while (s->n_slots > 0 && s->slots[s->n_slots - 1] == NULL)
			s->n_slots--;
	}
	t->s = NULL;
	buf_free(&t->head);
	buf_free(&t->buf);
	if (t->deferred)
		t->state = SPOOLC_DEAD;
	else
		free(t);
}

static void
spoolc_txn_lose(struct spoolc_txn *t, enum spoolc_verdict v)
{
	t->state = SPOOLC_LOST;
	t->verdict = v;
	buf_free(&t->buf);
}

/* Tells the commit of a lost txn why. */
static void
spoolc_answer_lost(struct spoolc_txn *t)
{
	spoolc_fn *fn = t->fn;
	void *fn_ctx = t->ctx;
	enum spoolc_verdict v = t->verdict;
	char text[SPOOLC_TEXT_MAX + 1];

	memcpy(text, t->text, sizeof(text));
	spoolc_send_abort(t);
	spoolc_txn_free(t);
	fn(fn_ctx, v, text);
}

static void
spoolc_send_data(struct spoolc_txn *t)
{
	struct msg_out *m = &t->s->msg;

	msg_begin(m, SPOOL_DATA, 0);
	msg_put_u32(m, t->slot);
	msg_put_blob(m, buf_data(&t->buf), SPOOL_CHUNK);
	buf_consume(&t->buf, SPOOL_CHUNK);
	t->unacked += SPOOL_CHUNK;
	if (ipc_client_send(t->s->ipc, m, -1) != 0)
		spoolc_txn_lose(t, SPOOLC_TEMP);
}

static void
spoolc_send_abort(struct spoolc_txn *t)
{
	struct msg_out *m = &t->s->msg;

	if (buf_len(&t->head) > 0)
		return;		/* the spool knows nothing of it */
	msg_begin(m, SPOOL_ABORT, 0);
	msg_put_u32(m, t->slot);
	(void)ipc_client_send(t->s->ipc, m, -1);
}

/* The message asks for an answer. */
static void
spoolc_call(struct spoolc_txn *t, enum spoolc_state state)
{
	t->state = state;
	if (ipc_client_call(t->s->ipc, &t->s->msg, -1, spoolc_reply, t) != 0)
		spoolc_txn_lose(t, SPOOLC_TEMP);
}

static struct msg_out *
spoolc_msg(struct spoolc_txn *t, uint16_t type)
{
	t->call = ipc_client_id(t->s->ipc);
	t->call_type = type;
	msg_begin(&t->s->msg, type, t->call);
	msg_put_u32(&t->s->msg, t->slot);
	return &t->s->msg;
}

/* The rest, or all of it. */
static void
spoolc_send_commit(struct spoolc_txn *t)
{
	bool one = buf_len(&t->head) > 0;
	struct msg_out *m = spoolc_msg(t, one ? SPOOL_WHOLE : SPOOL_COMMIT);

	msg_put_raw(m, buf_data(&t->head), buf_len(&t->head));
	msg_put_blob(m, buf_data(&t->buf), buf_len(&t->buf));
	spoolc_call(t, SPOOLC_COMMITTING);
	buf_free(&t->head);
	buf_free(&t->buf);
}

/* It has grown beyond one packet. */
static void
spoolc_send_head(struct spoolc_txn *t)
{
	struct msg_out *m = spoolc_msg(t, SPOOL_BEGIN);

	t->begin = t->call;
	msg_put_raw(m, buf_data(&t->head), buf_len(&t->head));
	spoolc_call(t, SPOOLC_BEGINNING);
	buf_free(&t->head);
}

/* Sends what may be sent now. */
static void
spoolc_pump(struct spoolc_txn *t)
{
	while ((t->state == SPOOLC_HELD || t->state == SPOOLC_OPEN ||
	    t->state == SPOOLC_WAITING) && !ipc_client_full(t->s->ipc)) {
		if (buf_len(&t->buf) >= SPOOL_CHUNK && buf_len(&t->head) > 0) {
			spoolc_send_head(t);
		} else if (buf_len(&t->buf) >= SPOOL_CHUNK) {
			if (t->unacked + SPOOL_CHUNK > SPOOL_WINDOW)
				return;
			spoolc_send_data(t);
		} else if (t->state == SPOOLC_WAITING) {
			spoolc_send_commit(t);
		} else {
			return;
		}
	}
}

/* The connection can take more, or the txn was lost: goes on with it. It may be
 * gone afterwards. */
static void
spoolc_go_on(struct spoolc_txn *t)
{
	spoolc_pump(t);
	if (t->whole && t->state == SPOOLC_LOST && !t->deferred) {
		spoolc_answer_lost(t);
		return;
	}
	if (!t->full || buf_len(&t->buf) >= SPOOL_CHUNK)
		return;
	t->full = false;
	if (t->drained != NULL)
		t->drained(t->ctx);
}

static void
spoolc_drained(void *ctx)
{
	struct spoolc *s = ctx;

	uint32_t n = s->n_slots, first = s->turn;

	/* Each time another is the first, and none is always the last. */
	s->turn = n == 0 ? 0 : (first + 1) % n;
	for (uint32_t i = 0; i < n; i++) {
		struct spoolc_txn *t = s->slots[(first + i) % n];

		if (t != NULL)
			spoolc_go_on(t);
	}
}

/* Nothing more is wanted of it; a commit that waits hears why. */
static void
spoolc_fail(struct spoolc_txn *t, enum spoolc_verdict v)
{
	if (t->state != SPOOLC_OPEN && t->state != SPOOLC_WAITING)
		return;
	spoolc_txn_lose(t, v);
	spoolc_go_on(t);
}

/* BEGINNING and COMMITTING have heard ERR_AWAY by now. */
static void
spoolc_down(void *ctx)
{
	struct spoolc *s = ctx;

	for (uint32_t i = 0; i < s->n_slots; i++)
		if (s->slots[i] != NULL)
			spoolc_fail(s->slots[i], SPOOLC_TEMP);
}

/* Only ACKs come unasked. */
static int
spoolc_packet(void *ctx, struct msg_in *m, int fd)
{
	struct spoolc *s = ctx;
	struct spoolc_txn *t;
	uint32_t slot, begin, octets;
	uint8_t verdict;

	if (fd >= 0)
		close(fd);
	if (m->type == SPOOL_ROOM) {
		msg_get_u64(m, &s->room);
		return msg_get_end(m);
	}
	msg_get_u32(m, &slot);
	msg_get_u32(m, &begin);
	msg_get_u32(m, &octets);
	msg_get_u8(m, &verdict);
	if (msg_get_end(m) != 0 || m->type != SPOOL_ACK ||
	    slot >= SPOOL_SLOTS || verdict >= SPOOLC_VERDICT__COUNT)
		return ERR_FORMAT;
	t = s->slots[slot];
	/* An ACK may cross an ABORT, and then meet the slot's next user. */
	if (t == NULL || t->begin != begin)
		return 0;
	t->unacked -= octets < t->unacked ? octets : t->unacked;
	if (verdict != SPOOLC_OK)
		spoolc_fail(t, verdict);
	else
		spoolc_go_on(t);
	return 0;
}

static const struct ipc_client_ops spoolc_ops = {
	.down = spoolc_down,
	.packet = spoolc_packet,
	.drained = spoolc_drained,
};

struct spoolc *
spoolc_new(struct loop *l, const char *path, uint64_t message_size_limit)
{
	struct spoolc *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->loop = l;
	s->limit = message_size_limit;
	s->room = UINT64_MAX;
	s->ipc = ipc_client_new(l, path, "spool", &spoolc_ops, s);
	if (s->ipc == NULL) {
		free(s);
		return NULL;
	}
	return s;
}

void
spoolc_free(struct spoolc *s)
{
	if (s == NULL)
		return;
	for (uint32_t i = 0; i < SPOOL_SLOTS; i++)
		if (s->slots[i] != NULL)
			spoolc_txn_free(s->slots[i]);
	ipc_client_free(s->ipc);
	free(s);
}

bool
spoolc_is_up(const struct spoolc *s)
{
	return ipc_client_is_up(s->ipc);
}

uint64_t
spoolc_room(const struct spoolc *s)
{
	return ipc_client_is_up(s->ipc) ? s->room : UINT64_MAX;
}

void
spoolc_set_limit(struct spoolc *s, uint64_t message_size_limit)
{
	s->limit = message_size_limit;
}

static int
spoolc_get_reply(const struct spoolc_txn *t, struct msg_in *m, uint8_t *ret_v,
    const char **ret_text)
{
	int r;

	msg_get_u8(m, ret_v);
	msg_get_str(m, ret_text, *ret_v == SPOOLC_LIMIT ||
	    *ret_v == SPOOLC_OVER || *ret_v == SPOOLC_FULL ?
	    SPOOLC_TEXT_MAX : STR_ID_SIZE - 1);
	r = msg_get_end(m);
	if (m->type != (t->call_type | SPOOL_REPLY) ||
	    *ret_v >= SPOOLC_VERDICT__COUNT)
		r = ERR_FORMAT;
	return r;
}

/* BEGIN was taken. */
static void
spoolc_begun(struct spoolc_txn *t)
{
	t->state = t->whole ? SPOOLC_WAITING : SPOOLC_OPEN;
	if (t->begun) {
		spoolc_go_on(t);
		return;
	}
	t->begun = true;
	t->fn(t->ctx, SPOOLC_OK, "");
}

/* The reply to BEGIN, COMMIT or WHOLE. */
static int
spoolc_reply(void *ctx, int rc, struct msg_in *m, int fd)
{
	struct spoolc_txn *t = ctx;
	const char *text = "";
	uint8_t v = SPOOLC_TEMP;
	spoolc_fn *fn = t->fn;
	void *fn_ctx = t->ctx;

	if (fd >= 0)
		close(fd);
	if (rc == 0)
		rc = spoolc_get_reply(t, m, &v, &text);
	if (rc != 0) {
		v = SPOOLC_TEMP;
		text = "";
	}
	if (t->state == SPOOLC_BEGINNING && v == SPOOLC_OK) {
		spoolc_begun(t);
	} else if (t->state == SPOOLC_BEGINNING && t->begun) {
		/* Commit will hear it. */
		(void)str_copy(t->text, sizeof(t->text), text);
		spoolc_txn_lose(t, v);
		spoolc_go_on(t);
	} else {
		/* The spool may only be slow, and has the slot still. */
		if (rc == ERR_AWAY)
			spoolc_send_abort(t);
		spoolc_txn_free(t);
		fn(fn_ctx, v, text);
	}
	return rc == ERR_AWAY ? 0 : rc;
}

/* Puts recipients from `first` on until the packet is full; returns how many it
 * took. */
static size_t
spoolc_put_rcpts(struct msg_out *m, const struct spoolc_envelope *env,
    size_t first)
{
	const struct spool_dsn *dsn = env->dsn;
	size_t room = msg_room(m), n = env->n_rcpts - first, k;

	room -= room < 2 ? room : 2;
	for (k = 0; k < n && k < UINT16_MAX; k++) {
		size_t need = 16 + strlen(env->rcpts[first + k]) +
		    (dsn == NULL || dsn[first + k].orcpt == NULL ? 0 :
		    strlen(dsn[first + k].orcpt));

		if (room < need)
			break;
		room -= need;
	}
	msg_put_u16(m, (uint16_t)k);
	for (size_t i = first; i < first + k; i++) {
		msg_put_str(m, env->rcpts[i]);
		msg_put_u8(m, dsn == NULL ? 0 : dsn[i].notify);
		msg_put_str(m, dsn == NULL ? NULL : dsn[i].orcpt);
	}
	return k;
}

/* What BEGIN and WHOLE say of the message; how many recipients fitted. */
static size_t
spoolc_put_head(struct msg_out *m, const struct spoolc_envelope *env)
{
	msg_put_blob(m, env->ticket, env->ticket_len);
	msg_put_str(m, env->sender);
	msg_put_str(m, env->helo);
	msg_put_u64(m, env->size);
	msg_put_u8(m, env->eightbit);
	msg_put_u8(m, env->smtputf8);
	msg_put_u8(m, env->ret);
	msg_put_str(m, env->envid);
	spool_wishes_put(m, &env->wishes);
	msg_put_u32(m, (uint32_t)env->n_rcpts);
	return spoolc_put_rcpts(m, env, 0);
}

static void
spoolc_send_rcpts(struct spoolc_txn *t, const struct spoolc_envelope *env,
    size_t done)
{
	struct msg_out *m = &t->s->msg;

	while (done < env->n_rcpts) {
		msg_begin(m, SPOOL_RCPTS, 0);
		msg_put_u32(m, t->slot);
		done += spoolc_put_rcpts(m, env, done);
		/* A failure drops the connection; BEGIN's callback tells. */
		if (ipc_client_send(t->s->ipc, m, -1) != 0)
			break;
	}
}

/* Sends BEGIN, or keeps it back. */
static int
spoolc_start(struct spoolc_txn *t, const struct spoolc_envelope *env)
{
	struct msg_out *m = spoolc_msg(t, SPOOL_BEGIN);
	size_t before = m->len, done = spoolc_put_head(m, env);
	int r;

	if (m->error != 0)
		return m->error;
	if (env->size <= SPOOL_CHUNK && done == env->n_rcpts &&
	    m->len - before <= SPOOLC_HEAD_MAX) {
		t->state = SPOOLC_HELD;
		t->begun = true;
		return buf_append(&t->head, m->data + before, m->len - before);
	}
	t->begin = t->call;
	t->state = SPOOLC_BEGINNING;
	if ((r = ipc_client_call(t->s->ipc, m, -1, spoolc_reply, t)) == 0)
		spoolc_send_rcpts(t, env, done);
	return r;
}

struct spoolc_txn *
spoolc_begin(struct spoolc *s, const struct spoolc_envelope *env,
    spoolc_fn *begun, loop_fn *drained, void *ctx)
{
	struct spoolc_txn *t;
	uint32_t slot = 0;

	/* A BEGIN is small, and each session waits for its answer: it goes even
	 * to a full connection, or many large messages would shut others out. */
	if (!ipc_client_is_up(s->ipc) || env->n_rcpts > SPOOL_RCPTS_MAX)
		return NULL;
	while (slot < SPOOL_SLOTS && s->slots[slot] != NULL)
		slot++;
	if (slot == SPOOL_SLOTS || (t = calloc(1, sizeof(*t))) == NULL)
		return NULL;
	t->s = s;
	t->slot = slot;
	t->fn = begun;
	t->drained = drained;
	t->ctx = ctx;
	buf_init(&t->head, SPOOLC_HEAD_MAX);
	buf_init(&t->buf, SPOOLC_BUF_MAX);
	s->slots[slot] = t;
	if (slot >= s->n_slots)
		s->n_slots = slot + 1;
	if (spoolc_start(t, env) != 0) {
		spoolc_txn_free(t);
		return NULL;
	}
	return t;
}

void
spoolc_data(struct spoolc_txn *t, const void *p, size_t len)
{
	if (t->state != SPOOLC_HELD && t->state != SPOOLC_BEGINNING &&
	    t->state != SPOOLC_OPEN)
		return;
	t->octets += len;
	if (t->octets > t->s->limit + SPOOL_ADDED_MAX)
		spoolc_txn_lose(t, SPOOLC_TOOBIG);
	else if (buf_append(&t->buf, p, len) != 0)
		spoolc_txn_lose(t, SPOOLC_TEMP);
	else
		spoolc_pump(t);
	t->full = t->state != SPOOLC_LOST && buf_len(&t->buf) >= SPOOL_CHUNK;
}

bool
spoolc_full(const struct spoolc_txn *t)
{
	return t->full;
}

bool
spoolc_is_begun(const struct spoolc_txn *t)
{
	return t->begun;
}

/* The answer to a commit that failed at once. */
static void
spoolc_txn_late(void *ctx)
{
	struct spoolc_txn *t = ctx;

	t->deferred = false;
	if (t->state == SPOOLC_DEAD)
		spoolc_txn_free(t);
	else
		spoolc_answer_lost(t);
}

void
spoolc_commit(struct spoolc_txn *t, spoolc_fn *committed)
{
	t->fn = committed;
	t->whole = true;
	if (t->state == SPOOLC_OPEN || t->state == SPOOLC_HELD) {
		t->state = SPOOLC_WAITING;
		spoolc_pump(t);
	}
	/* Without memory for the deferred call the answer never comes; the
	 * session's own timer ends it. */
	if (t->state == SPOOLC_LOST)
		t->deferred = loop_defer(t->s->loop, spoolc_txn_late, t) == 0;
}

void
spoolc_abort(struct spoolc_txn *t)
{
	if (t == NULL)
		return;
	if (t->state == SPOOLC_BEGINNING || t->state == SPOOLC_COMMITTING)
		ipc_client_cancel(t->s->ipc, t->call);
	spoolc_send_abort(t);
	spoolc_txn_free(t);
}
