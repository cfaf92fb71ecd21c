/*
 * queue.c - the queue in memory, and the order of what is written of it.
 *
 * Runs in submitd-spool, on the loop. Each message has at most one operation on
 * its way, so that records are written in order at one known offset (S4 of
 * store.c). An operation that fails is tried again until it succeeds: nothing
 * was acknowledged for it that a repetition would hurt.
 */
#include "config.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "submitd/spool/queue.h"

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/str.h"

#define QUEUE_BUCKETS 16384u
#define QUEUE_USER_BUCKETS 4096u
#define QUEUE_RECORDS_MAX (64u * 1024 * 1024)
#define QUEUE_STUCK_MS 5000
#define QUEUE_FAULTS_MAX 10u	/* lines in the log in */
#define QUEUE_FAULTS_MS 60000
#define QUEUE_BY_AUTHD "user disable"	/* who holds, in words */

struct queue {
	struct flush			*flush;
	const struct queue_hooks	*hooks;
	void				*ctx;
	struct timer			 retry;
	TAILQ_HEAD(, queue_msg)		 msgs;
	TAILQ_HEAD(, queue_msg)		 tell;
	TAILQ_HEAD(, queue_msg)		 stuck;
	LIST_HEAD(, queue_msg)		 buckets[QUEUE_BUCKETS];
	LIST_HEAD(, queue_user)		 user_buckets[QUEUE_USER_BUCKETS];
	TAILQ_HEAD(, queue_user)	 users;
	LIST_HEAD(, queue_cursor)	 cursors;
	size_t				 n;
	int64_t				 faults_ms;	/* counted since */
	unsigned int			 faults, unlogged;
};

static bool queue_kick(struct queue_msg *m);
static void queue_crowded(void *ctx, struct store_place *p);

static uint32_t
queue_bucket(const char *id)
{
	return str_hash(id, strlen(id)) % QUEUE_BUCKETS;
}

bool
queue_retry(struct queue *q)
{
	TAILQ_HEAD(, queue_msg) stuck = TAILQ_HEAD_INITIALIZER(stuck);
	struct queue_msg *m;
	bool any = !TAILQ_EMPTY(&q->stuck);

	/* Each once: what fails again is put behind. */
	TAILQ_CONCAT(&stuck, &q->stuck, again);
	while ((m = TAILQ_FIRST(&stuck)) != NULL) {
		TAILQ_REMOVE(&stuck, m, again);
		m->stuck = false;
		(void)queue_kick(m);
	}
	return any;
}

static void
queue_retry_late(void *ctx)
{
	(void)queue_retry(ctx);
}

struct queue *
queue_new(struct loop *l, struct flush *f, const struct queue_hooks *hooks,
    void *ctx)
{
	struct queue *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return NULL;
	q->flush = f;
	q->hooks = hooks;
	q->ctx = ctx;
	TAILQ_INIT(&q->msgs);
	TAILQ_INIT(&q->tell);
	TAILQ_INIT(&q->stuck);
	TAILQ_INIT(&q->users);
	if (timer_init(&q->retry, l, queue_retry_late, q) != 0) {
		free(q);
		return NULL;
	}
	flush_set_move(f, queue_crowded, q);
	return q;
}

struct queue_msg *
queue_msg_new(struct envelope *e)
{
	struct queue_msg *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	if ((m->rcpts = calloc(e->n_rcpts, sizeof(*m->rcpts))) == NULL) {
		free(m);
		return NULL;
	}
	memcpy(m->id, e->id, sizeof(m->id));
	m->sender = e->sender;
	m->user = e->user;
	m->envid = e->envid;
	m->dsn = e->dsn;
	e->sender = e->user = e->envid = NULL;
	e->dsn = NULL;
	m->arrived_s = e->arrived_s;
	m->eightbit = e->eightbit;
	m->smtputf8 = e->smtputf8;
	m->foreign = e->foreign;
	m->ret = e->ret;
	m->wishes = e->wishes;
	m->is_report = e->kind == 0;
	m->n_rcpts = m->n_pending = e->n_rcpts;
	for (size_t i = 0; i < e->n_rcpts; i++) {
		m->rcpts[i].address = e->rcpts[i];
		e->rcpts[i] = NULL;
	}
	buf_init(&m->records, QUEUE_RECORDS_MAX);
	buf_init(&m->flight, QUEUE_RECORDS_MAX);
	return m;
}

void
queue_msg_free(struct queue_msg *m)
{
	if (m == NULL)
		return;
	for (size_t i = 0; i < m->n_rcpts; i++) {
		free(m->rcpts[i].address);
		free(m->rcpts[i].last);
		if (m->dsn != NULL)
			free(m->dsn[i].orcpt);
	}
	free(m->rcpts);
	free(m->dsn);
	free(m->envid);
	free(m->sender);
	free(m->user);
	free(m->held_by);
	buf_free(&m->records);
	buf_free(&m->flight);
	free(m);
}

/* ----------------------------------------------------------- operations -- */

/* To who waits for what was noted. */
static void
queue_said(struct queue_msg *m, int r)
{
	queue_gone_fn *kept = m->kept;

	m->kept = NULL;
	if (kept != NULL)
		kept(m->kept_ctx, m->id, r);
}

/* It is tried again in a while, however often others fail until then. */
static void
queue_stick(struct queue_msg *m)
{
	if (TAILQ_EMPTY(&m->queue->stuck))
		timer_arm(&m->queue->retry, QUEUE_STUCK_MS);
	m->stuck = true;
	TAILQ_INSERT_TAIL(&m->queue->stuck, m, again);
}

/* Once for a message, however often it is tried, and so many in a while: on a
 * full disk there are thousands. */
static void
queue_complain(struct queue_msg *m, const struct store_op *op)
{
	struct queue *q = m->queue;
	int64_t now_ms = clock_mono_ms();
	char left_out[24];

	if (m->complained)
		return;
	m->complained = true;
	if (q->faults_ms == 0 || now_ms - q->faults_ms >= QUEUE_FAULTS_MS) {
		q->faults_ms = now_ms;
		q->faults = 0;
	}
	if (q->faults >= QUEUE_FAULTS_MAX) {
		q->unlogged++;
		return;
	}
	q->faults++;
	(void)str_format(left_out, sizeof(left_out), "%u", q->unlogged);
	LOG_EV(LOG_ERR, "spool.fault", NULL, KV_A("qid", m->id),
	    KV_A("op", op->kind == STORE_REMOVE ? "remove" :
	    op->kind == STORE_MOVE ? "move" : "result"),
	    KV_A("unlogged", q->unlogged > 0 ? left_out : NULL),
	    KV_T("why", op->err.text));
	q->unlogged = 0;
}

static void
queue_op_failed(struct queue_msg *m, const struct store_op *op)
{
	queue_complain(m, op);
	/* Whoever waits for the removal hears of the failure; it is tried
	 * again all the same. */
	if (op->kind == STORE_REMOVE && m->gone != NULL) {
		m->gone(m->gone_ctx, m->id, op->r);
		m->gone = NULL;
	}
	queue_stick(m);
	queue_said(m, op->r);
}

static void
queue_op_done(struct store_op *op)
{
	struct queue_msg *m = op->ctx;

	m->busy = false;
	if (op->r != 0) {
		queue_op_failed(m, op);
		free(op);
		return;
	}
	if (op->kind == STORE_REMOVE) {
		free(op);
		if (m->gone != NULL)
			m->gone(m->gone_ctx, m->id, 0);
		queue_msg_free(m);
		return;
	}
	m->complained = false;
	m->end += op->len;
	free(op);
	buf_free(&m->flight);
	if (!queue_kick(m))
		queue_said(m, 0);
}

/* Starts what is to be written of the message; false: there is nothing. At the
 * very end it is done, and the message perhaps freed, when this returns. */
static bool
queue_kick(struct queue_msg *m)
{
	struct store_op *op;

	if (m->busy || m->stuck)
		return true;
	if (!m->removing && buf_len(&m->flight) == 0) {
		struct buf empty = m->flight;

		m->flight = m->records;
		m->records = empty;
	}
	if (!m->removing && buf_len(&m->flight) == 0 &&
	    !(m->place.moving && m->place.segment != NULL))
		return false;
	if ((op = calloc(1, sizeof(*op))) == NULL) {
		queue_stick(m);
		return true;
	}
	op->kind = m->removing ? STORE_REMOVE :
	    buf_len(&m->flight) == 0 ? STORE_MOVE : STORE_RESULTS;
	memcpy(op->id, m->id, sizeof(op->id));
	op->done = queue_op_done;
	op->ctx = m;
	op->place = &m->place;
	op->lazy = m->removing && m->gone == NULL;
	op->no_spare = m->no_spare;
	op->data = buf_data(&m->flight);
	op->len = m->removing ? 0 : buf_len(&m->flight);
	op->offset = m->end;
	m->busy = true;
	flush_add(m->queue->flush, op);
	return true;
}

static void
queue_untell(struct queue_msg *m)
{
	if (m->to_tell)
		TAILQ_REMOVE(&m->queue->tell, m, tell);
	m->to_tell = false;
}

static void
queue_own(struct queue_msg *m)
{
	struct queue *q = m->queue;
	struct queue_user *u;

	if (m->user[0] == '\0')
		return;
	if ((u = queue_user_get(q, m->user)) == NULL) {
		/* It is queued all the same, and counted for nobody. */
		LOG_EV(LOG_ERR, "spool.fault", NULL, KV_A("qid", m->id),
		    KV_A("op", "count"), KV_T("why", "no memory for it"));
		return;
	}
	m->owner = u;
	LIST_INSERT_HEAD(&u->msgs, m, of_owner);
	u->messages++;
	u->octets += m->octets;
	u->reports += m->is_report ? m->octets : 0;
}

static void
queue_disown(struct queue_msg *m)
{
	struct queue_user *u = m->owner;

	if (u == NULL)
		return;
	LIST_REMOVE(m, of_owner);
	u->messages--;
	u->octets -= m->octets;
	u->reports -= m->is_report ? m->octets : 0;
	m->owner = NULL;
	queue_user_put(m->queue, u);
}

static void
queue_take_out(struct queue_msg *m)
{
	struct queue *q = m->queue;
	struct queue_cursor *c;

	LIST_FOREACH(c, &q->cursors, link)
		if (c->next == m)
			c->next = TAILQ_NEXT(m, order);
	TAILQ_REMOVE(&q->msgs, m, order);
	LIST_REMOVE(m, bucket);
	queue_untell(m);
	queue_disown(m);
	q->n--;
	queue_said(m, 0);
}

struct queue_msg *
queue_of_place(struct store_place *p)
{
	return (struct queue_msg *)((char *)p -
	    offsetof(struct queue_msg, place));
}

/* It keeps a segment of the journal for itself. */
static void
queue_crowded(void *ctx, struct store_place *p)
{
	(void)ctx;
	queue_move(queue_of_place(p));
}

void
queue_move(struct queue_msg *m)
{
	m->place.moving = true;
	(void)queue_kick(m);
}

void
queue_forget(struct queue_msg *m)
{
	queue_take_out(m);
	queue_msg_free(m);
}

void
queue_free(struct queue *q)
{
	struct queue_msg *m;

	while ((m = TAILQ_FIRST(&q->stuck)) != NULL) {
		TAILQ_REMOVE(&q->stuck, m, again);
		if (m->removing)
			queue_msg_free(m);
	}
	while ((m = TAILQ_FIRST(&q->msgs)) != NULL)
		queue_forget(m);
	timer_free(&q->retry);
	free(q);
}

static int
queue_cmp(const void *a, const void *b)
{
	return strcmp((*(struct queue_msg *const *)a)->id,
	    (*(struct queue_msg *const *)b)->id);
}

int
queue_sort(struct queue *q)
{
	struct queue_msg **all = calloc(q->n + 1, sizeof(*all)), *m;
	size_t n = 0;

	if (all == NULL)
		return ERR_NOMEM;
	queue_tell_none(q);
	while ((m = TAILQ_FIRST(&q->msgs)) != NULL) {
		TAILQ_REMOVE(&q->msgs, m, order);
		all[n++] = m;
	}
	qsort(all, n, sizeof(*all), queue_cmp);
	for (size_t i = 0; i < n; i++)
		TAILQ_INSERT_TAIL(&q->msgs, all[i], order);
	free(all);
	return 0;
}

/* Takes it out of the queue and off the disk. */
static void
queue_remove(struct queue_msg *m)
{
	struct queue *q = m->queue;

	queue_take_out(m);
	m->removing = true;
	q->hooks->left(q->ctx, m);
	(void)queue_kick(m);
}

/* -------------------------------------------------------------- telling -- */

static void
queue_tell(struct queue_msg *m)
{
	if (m->to_tell || m->held != 0)
		return;
	m->to_tell = true;
	TAILQ_INSERT_TAIL(&m->queue->tell, m, tell);
}

void
queue_tell_all(struct queue *q)
{
	struct queue_msg *m;

	TAILQ_FOREACH(m, &q->msgs, order)
		queue_tell(m);
	q->hooks->told(q->ctx);
}

void
queue_tell_none(struct queue *q)
{
	struct queue_msg *m;

	while ((m = TAILQ_FIRST(&q->tell)) != NULL)
		queue_untell(m);
}

struct queue_msg *
queue_take_to_tell(struct queue *q)
{
	struct queue_msg *m = TAILQ_FIRST(&q->tell);

	if (m != NULL)
		queue_untell(m);
	return m;
}

void
queue_try_now(struct queue_msg *m)
{
	for (size_t i = 0; i < m->n_rcpts; i++)
		m->rcpts[i].next_try_s = 0;
	queue_tell(m);
	m->queue->hooks->told(m->queue->ctx);
}

/* -------------------------------------------------------------- changes -- */

void
queue_add(struct queue *q, struct queue_msg *m, uint64_t offset,
    uint64_t octets, uint64_t end)
{
	m->queue = q;
	m->content_offset = offset;
	m->octets = octets;
	m->end = end;
	TAILQ_INSERT_TAIL(&q->msgs, m, order);
	LIST_INSERT_HEAD(&q->buckets[queue_bucket(m->id)], m, bucket);
	q->n++;
	queue_own(m);
	if (m->n_pending == 0) {
		queue_remove(m);
		return;
	}
	/* Disabled while the flush ran. */
	if (m->owner != NULL && m->owner->disabled)
		(void)queue_hold(m, ENVELOPE_HOLD_USER, 0, QUEUE_BY_AUTHD);
	queue_tell(m);
	q->hooks->told(q->ctx);
	m->fresh = NULL;
}

/* Not over: pending, or delivered and the report of it owed. */
static bool
queue_is_open(uint8_t state)
{
	return state == ENVELOPE_PENDING || state == ENVELOPE_DELIVERED;
}

static bool
queue_msg_apply_hold(struct queue_msg *m, const struct envelope_result *r)
{
	m->held = r->state;
	m->held_s = r->state == 0 ? 0 : r->next_try_s;
	free(m->held_by);
	/* Without memory it is not shown who, that is all. */
	m->held_by = r->state == 0 ? NULL : strdup(r->text);
	return true;
}

bool
queue_msg_apply(struct queue_msg *m, const struct envelope_result *r)
{
	struct queue_rcpt *rcpt;

	if (r->rcpt == ENVELOPE_RCPT_HOLD)
		return queue_msg_apply_hold(m, r);
	if (r->rcpt >= m->n_rcpts)
		return false;
	rcpt = &m->rcpts[r->rcpt];
	/* What was delivered can only become done. */
	if (!queue_is_open(rcpt->state) ||
	    (rcpt->state == ENVELOPE_DELIVERED && r->state != ENVELOPE_DONE))
		return false;
	rcpt->state = r->state;
	rcpt->tries = r->tries;
	rcpt->next_try_s = r->next_try_s;
	rcpt->told |= r->told;
	free(rcpt->last);
	/* Without memory the last answer is not shown, that is all. */
	rcpt->last = strdup(r->text);
	if (!queue_is_open(r->state))
		m->n_pending--;
	return true;
}

static void
queue_record(struct queue_msg *m, const struct envelope_result *r)
{
	uint8_t record[ENVELOPE_RESULT_MAX];

	if (buf_append(&m->records, record,
	    envelope_result_pack(r, record)) != 0)
		LOG_EV(LOG_ERR, "spool.fault", NULL, KV_A("qid", m->id),
		    KV_A("op", "result"), KV_T("why", "no memory for it"));
	(void)queue_kick(m);
}

bool
queue_result(struct queue_msg *m, const struct envelope_result *r)
{
	if (!queue_msg_apply(m, r))
		return false;
	if (m->n_pending == 0) {
		/* Its removal says more than the record would. */
		queue_remove(m);
		return true;
	}
	queue_record(m, r);
	return true;
}

bool
queue_hold(struct queue_msg *m, uint8_t set, uint8_t clear, const char *by)
{
	struct queue *q = m->queue;
	struct envelope_result r = { .rcpt = ENVELOPE_RCPT_HOLD,
		.state = (uint8_t)((m->held | set) & ~clear),
		.next_try_s = clock_now_s() };
	uint8_t before = m->held;

	if (r.state == before)
		return false;
	(void)str_copy(r.text, sizeof(r.text), by);
	(void)queue_msg_apply(m, &r);
	queue_record(m, &r);
	if (before == 0) {
		queue_untell(m);
		q->hooks->held(q->ctx, m);
	} else if (m->held == 0) {
		queue_tell(m);
		q->hooks->told(q->ctx);
	}
	return true;
}

bool
queue_await(struct queue_msg *m, queue_gone_fn *kept, void *ctx)
{
	if (m->kept != NULL || (!m->busy && !m->stuck))
		return false;
	m->kept = kept;
	m->kept_ctx = ctx;
	return true;
}

void
queue_delete(struct queue_msg *m, queue_gone_fn *gone, void *ctx)
{
	m->gone = gone;
	m->gone_ctx = ctx;
	m->no_spare = true;	/* who deletes mail does not want it kept */
	queue_remove(m);
}

/* ---------------------------------------------------------------- users -- */

struct queue_user *
queue_user_find(struct queue *q, const char *name)
{
	struct queue_user *u;

	LIST_FOREACH(u, &q->user_buckets[str_hash(name, strlen(name)) %
	    QUEUE_USER_BUCKETS], bucket)
		if (strcmp(u->name, name) == 0)
			return u;
	return NULL;
}

struct queue_user *
queue_user_get(struct queue *q, const char *name)
{
	struct queue_user *u = queue_user_find(q, name);

	if (u != NULL)
		return u;
	if ((u = calloc(1, sizeof(*u))) == NULL ||
	    (u->name = strdup(name)) == NULL) {
		free(u);
		return NULL;
	}
	u->stale = true;
	TAILQ_INSERT_TAIL(&q->users, u, order);
	LIST_INSERT_HEAD(&q->user_buckets[str_hash(name, strlen(name)) %
	    QUEUE_USER_BUCKETS], u, bucket);
	return u;
}

void
queue_user_put(struct queue *q, struct queue_user *u)
{
	if (u == NULL || u->messages > 0)
		return;
	TAILQ_REMOVE(&q->users, u, order);
	LIST_REMOVE(u, bucket);
	free(u->name);
	free(u);
}

size_t
queue_user_set(struct queue_user *u, bool disabled)
{
	struct queue_msg *m;
	size_t n = 0;

	u->stale = false;
	u->disabled = disabled;
	LIST_FOREACH(m, &u->msgs, of_owner)
		n += queue_hold(m, disabled ? ENVELOPE_HOLD_USER : 0,
		    disabled ? 0 : ENVELOPE_HOLD_USER, QUEUE_BY_AUTHD);
	return n;
}

struct queue_user *
queue_user_first(struct queue *q)
{
	return TAILQ_FIRST(&q->users);
}

struct queue_user *
queue_user_next(struct queue_user *u)
{
	return TAILQ_NEXT(u, order);
}

/* -------------------------------------------------------------- looking -- */

void
queue_cursor_begin(struct queue *q, struct queue_cursor *c,
    struct queue_msg *m)
{
	c->next = m;
	LIST_INSERT_HEAD(&q->cursors, c, link);
}

struct queue_msg *
queue_cursor_next(struct queue_cursor *c)
{
	struct queue_msg *m = c->next;

	if (m != NULL)
		c->next = TAILQ_NEXT(m, order);
	return m;
}

void
queue_cursor_end(struct queue_cursor *c)
{
	LIST_REMOVE(c, link);
}

struct queue_msg *
queue_find(struct queue *q, const char *id)
{
	struct queue_msg *m;

	LIST_FOREACH(m, &q->buckets[queue_bucket(id)], bucket)
		if (strcmp(m->id, id) == 0)
			return m;
	return NULL;
}

struct queue_msg *
queue_first(struct queue *q)
{
	return TAILQ_FIRST(&q->msgs);
}

struct queue_msg *
queue_next(struct queue_msg *m)
{
	return TAILQ_NEXT(m, order);
}

size_t
queue_count(const struct queue *q)
{
	return q->n;
}
