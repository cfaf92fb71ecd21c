/*
 * serve.c - the requests of popd-pop: see protocol.h. Runs on the loop of
 * popd-mbox; what touches files runs on its threads (maildrop.c).
 *
 * A maildrop is opened for a ticket that authd accepts, never for a name. It is
 * locked by its path, by one session at a time, from the moment authd has said
 * where it is until it is closed and no thread works on it any more.
 *
 * Who comes while it is locked waits a moment: a client that has just left, or
 * was cut off, comes back faster than its end reaches us.
 *
 * State of a maildrop, and what leads to the next:
 *   ASKING   authd looks at the ticket	-> OPENING
 *   OPENING  within one call: what now?	-> WAITING, READING, OPEN (nothing
 *					   has changed), or answered and freed
 *   WAITING  another session has it	-> OPENING
 *   READING  a thread reads the folders	-> OPENING
 *   OPEN     waits for requests		-> BUSY
 *   BUSY     a thread fetches or updates	-> OPEN, DONE
 *   DONE     was updated; to be closed
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/ipc.h"
#include "lib/log.h"
#include "lib/str.h"
#include "popd/mbox/delay.h"
#include "popd/mbox/mbox.h"
#include "popd/mbox/protocol.h"
#include "popd/mbox/serve.h"

#define MBOX_DROPS_MAX	65536u		/* a peer; its sessions are fewer */
#define MBOX_QUEUED_MAX	(128u * 1024 * 1024)	/* octets to a peer */
#define MBOX_WAIT_MS	1000		/* for a lock */

/* ----------------------------------------------------------------- locks -- */

static struct mbox_drop **
mbox_lock_slot(struct mbox *m, const char *path)
{
	struct mbox_drop **d;

	d = &m->locked[str_hash(path, strlen(path)) % MBOX_BUCKETS];
	while (*d != NULL && strcmp((*d)->path, path) != 0)
		d = &(*d)->next_locked;
	return d;
}

static bool
mbox_lock(struct mbox_drop *d)
{
	struct mbox_drop **slot = mbox_lock_slot(d->mbox, d->path);

	if (*slot != NULL)
		return false;
	*slot = d;
	d->locked = true;
	return true;
}

/* Not in the queue any more. */
static void
mbox_stop_waiting(struct mbox_drop *d)
{
	TAILQ_REMOVE(&d->mbox->waiting, d, waiting);
	timer_free(&d->patience);
	d->state = MBOX_ST_OPENING;
}

/* Hands the lock to the one that has waited longest. */
static void
mbox_unlock(struct mbox_drop *d)
{
	struct mbox_drop *next;

	if (!d->locked)
		return;
	*mbox_lock_slot(d->mbox, d->path) = d->next_locked;
	d->next_locked = NULL;
	d->locked = false;
	TAILQ_FOREACH(next, &d->mbox->waiting, waiting)
		if (strcmp(next->path, d->path) == 0)
			break;
	if (next == NULL)
		return;
	mbox_stop_waiting(next);
	mbox_lock(next);
	mbox_read(next);
}

/* ------------------------------------------------------- life of a drop -- */

void
mbox_drop_free(struct mbox_drop *d)
{
	mbox_unlock(d);
	maildrop_free(d->maildrop);
	free(d->bits);
	free(d);
}

/* No request reaches it any more. A thread that works on it ends first. */
static void
mbox_drop_close(struct mbox_drop *d)
{
	LIST_REMOVE(d, of_peer);
	d->peer->n_drops--;
	d->peer = NULL;
	if (d->state == MBOX_ST_ASKING)
		authc_cancel(d->mbox->authc, d->auth_call);
	if (d->state == MBOX_ST_WAITING)
		mbox_stop_waiting(d);
	if (d->state != MBOX_ST_READING && d->state != MBOX_ST_BUSY)
		mbox_drop_free(d);
}

static struct mbox_drop *
mbox_drop_find(struct mbox_peer *p, uint32_t id)
{
	struct mbox_drop *d;

	LIST_FOREACH(d, &p->drops[id % MBOX_BUCKETS], of_peer)
		if (d->id == id)
			return d;
	return NULL;
}

static struct mbox_drop *
mbox_drop_new(struct mbox_peer *p, uint32_t id)
{
	struct mbox_drop *d;

	if (p->n_drops >= MBOX_DROPS_MAX ||
	    (d = calloc(1, sizeof(*d))) == NULL)
		return NULL;
	d->mbox = p->mbox;
	d->peer = p;
	d->id = d->call = id;
	d->state = MBOX_ST_ASKING;
	LIST_INSERT_HEAD(&p->drops[id % MBOX_BUCKETS], d, of_peer);
	p->n_drops++;
	return d;
}

/* --------------------------------------------------------------- replies -- */

/* A failure drops the peer, which is told to gone(). */
static void
mbox_reply(struct mbox_peer *p, uint16_t type, uint32_t call,
    enum mboxc_verdict v, int fd)
{
	struct msg_out out;

	msg_begin(&out, (uint16_t)(type | MBOX_REPLY), call);
	msg_put_u8(&out, (uint8_t)v);
	(void)ipc_send(p->ipc, &out, fd);
}

/* OPEN has failed: answered, and the drop is gone. */
void
mbox_refuse_open(struct mbox_drop *d, enum mboxc_verdict v)
{
	mbox_reply_open(d->peer, d->call, v);
	mbox_drop_close(d);
}

void
mbox_log_failure(const struct mbox_drop *d, const char *ev)
{
	LOG_EV(LOG_ERR, ev, NULL, KV_S("user", d->user),
	    KV_S("path", d->path), KV_T("why", d->err.text));
}

/* ------------------------------------------------------------------ OPEN -- */

static void
mbox_wait_over(void *ctx)
{
	struct mbox_drop *d = ctx;

	mbox_stop_waiting(d);
	mbox_refuse_open(d, MBOXC_INUSE);
}

/* Who holds the lock is told that it is wanted. If that one has fallen silent,
 * popd-pop closes it, and the lock comes before our patience ends. */
static void
mbox_ask_to_yield(const struct mbox_drop *d)
{
	const struct mbox_drop *holder = *mbox_lock_slot(d->mbox, d->path);
	struct msg_out out;

	if (holder == NULL || holder->peer == NULL ||
	    holder->state != MBOX_ST_OPEN ||
	    strcmp(holder->user, d->user) != 0)
		return;
	msg_begin(&out, MBOX_YIELD, 0);
	msg_put_u32(&out, holder->id);
	(void)ipc_send(holder->peer->ipc, &out, -1);
}

static void
mbox_wait(struct mbox_drop *d)
{
	if (timer_init(&d->patience, d->mbox->loop, mbox_wait_over, d) != 0) {
		mbox_refuse_open(d, MBOXC_INUSE);
		return;
	}
	d->state = MBOX_ST_WAITING;
	TAILQ_INSERT_TAIL(&d->mbox->waiting, d, waiting);
	timer_arm(&d->patience, MBOX_WAIT_MS);
	mbox_ask_to_yield(d);
}

static void
mbox_ticket_seen(void *ctx, const struct authc_reply *r)
{
	struct mbox_drop *d = ctx;

	d->state = MBOX_ST_OPENING;	/* no call to authd is open any more */
	if (r->verdict != AUTHP_OK || r->path == NULL || *r->path == '\0' ||
	    str_copy(d->user, sizeof(d->user), r->user) != 0 ||
	    str_copy(d->path, sizeof(d->path), r->path) != 0) {
		mbox_refuse_open(d, r->verdict == AUTHP_TEMP ||
		    r->verdict == AUTHP_OK ? MBOXC_TEMP : MBOXC_VOID);
		return;
	}
	if (!delay_is_over(d->mbox->delays, d->user, clock_now_s(),
	    d->mbox->login_delay_s))
		mbox_refuse_open(d, MBOXC_DELAY);
	else if (mbox_lock(d))
		mbox_read(d);
	else
		mbox_wait(d);
}

static int
mbox_op_open(struct mbox_peer *p, struct msg_in *in)
{
	const void *ticket;
	struct mbox_drop *d;
	size_t len;

	if (msg_get_blob(in, &ticket, &len, AUTHP_TICKET_MAX) != 0 ||
	    msg_get_end(in) != 0 || in->id == 0 ||
	    mbox_drop_find(p, in->id) != NULL)
		return ERR_FORMAT;
	if ((d = mbox_drop_new(p, in->id)) == NULL) {
		mbox_reply_open(p, in->id, MBOXC_TEMP);
		return 0;
	}
	if (authc_maildrop(p->mbox->authc, ticket, len, mbox_ticket_seen, d,
	    &d->auth_call) != 0) {
		d->state = MBOX_ST_OPENING;
		mbox_refuse_open(d, MBOXC_TEMP);
	}
	return 0;
}

/* --------------------------------------------------------- FETCH, UPDATE -- */

/* The open drop of a request; 0 with *ret NULL: there is none, or it is busy
 * with a request that popd-pop has given up: TEMP was answered. */
static int
mbox_begin_job(struct mbox_peer *p, uint32_t id, uint32_t call, uint16_t type,
    struct mbox_drop **ret)
{
	struct mbox_drop *d = mbox_drop_find(p, id);

	*ret = NULL;
	if (d == NULL || call == 0 || (d->state != MBOX_ST_OPEN &&
	    d->state != MBOX_ST_BUSY))
		return ERR_FORMAT;
	if (d->state == MBOX_ST_BUSY) {
		mbox_reply(p, type, call, MBOXC_TEMP, -1);
		return 0;
	}
	d->call = call;
	*ret = d;
	return 0;
}

int
mbox_work(struct mbox_drop *d, bool big, void (*work)(void *), loop_fn *done)
{
	int r = pool_submit(big ? d->mbox->big_pool : d->mbox->pool, work,
	    done, d);

	d->big = big;
	if (r != 0)
		LOG_EV(LOG_ERR, "mbox.busy", NULL, KV_S("user", d->user));
	return r;
}

static void
mbox_submit(struct mbox_drop *d, uint16_t type, bool big, void (*work)(void *),
    loop_fn *done)
{
	d->state = MBOX_ST_BUSY;
	if (mbox_work(d, big, work, done) == 0)
		return;
	d->state = MBOX_ST_OPEN;
	mbox_reply(d->peer, type, d->call, MBOXC_TEMP, -1);
}

static void
mbox_fetch_work(void *ctx)
{
	struct mbox_drop *d = ctx;

	d->rc = maildrop_fetch(d->maildrop, d->index, !d->big, &d->err);
}

static void
mbox_fetch_done(void *ctx)
{
	struct mbox_drop *d = ctx;
	bool gone = d->rc == ERR_NOTFOUND || d->rc == ERR_DENIED;

	if (d->rc == MAILDROP_BIG && d->peer != NULL) {
		mbox_submit(d, MBOX_FETCH, true, mbox_fetch_work,
		    mbox_fetch_done);
		return;
	}
	if (d->rc < 0 && d->rc != MAILDROP_BIG && !gone)
		mbox_log_failure(d, "mbox.fetch.fail");
	if (d->peer != NULL) {
		d->state = MBOX_ST_OPEN;
		mbox_reply(d->peer, MBOX_FETCH, d->call, d->rc >= 0 ?
		    MBOXC_OK : gone ? MBOXC_GONE : MBOXC_TEMP,
		    d->rc >= 0 ? d->rc : -1);
	}
	if (d->rc >= 0)
		close(d->rc);
	if (d->peer == NULL)
		mbox_drop_free(d);
}

static int
mbox_op_fetch(struct mbox_peer *p, struct msg_in *in)
{
	struct mbox_drop *d;
	uint32_t id, i;
	int r;

	msg_get_u32(in, &id);
	msg_get_u32(in, &i);
	if (msg_get_end(in) != 0)
		return ERR_FORMAT;
	r = mbox_begin_job(p, id, in->id, MBOX_FETCH, &d);
	if (r != 0 || d == NULL)
		return r;
	if (i >= maildrop_count(d->maildrop))
		return ERR_FORMAT;
	d->index = i;
	if ((r = maildrop_fetch_warm(d->maildrop, i)) >= 0) {
		mbox_reply(p, MBOX_FETCH, in->id, MBOXC_OK, r);
		close(r);
		return 0;
	}
	mbox_submit(d, MBOX_FETCH, false, mbox_fetch_work, mbox_fetch_done);
	return 0;
}

static void
mbox_update_work(void *ctx)
{
	struct mbox_drop *d = ctx;

	d->rc = maildrop_update(d->maildrop, d->bits, &d->err);
}

static void
mbox_update_done(void *ctx)
{
	struct mbox_drop *d = ctx;

	if (d->rc != 0)
		mbox_log_failure(d, "mbox.update.fail");
	if (d->peer == NULL) {
		mbox_drop_free(d);
		return;
	}
	d->state = MBOX_ST_DONE;
	mbox_reply(d->peer, MBOX_UPDATE, d->call,
	    d->rc == 0 ? MBOXC_OK : MBOXC_TEMP, -1);
}

static int
mbox_op_update(struct mbox_peer *p, struct msg_in *in)
{
	struct mbox_drop *d;
	const void *bits;
	uint32_t id;
	size_t len;
	int r;

	msg_get_u32(in, &id);
	msg_get_blob(in, &bits, &len, MBOX_BITS_MAX);
	if (msg_get_end(in) != 0)
		return ERR_FORMAT;
	r = mbox_begin_job(p, id, in->id, MBOX_UPDATE, &d);
	if (r != 0 || d == NULL)
		return r;
	if (len != (maildrop_count(d->maildrop) + 7) / 8)
		return ERR_FORMAT;
	free(d->bits);
	if ((d->bits = malloc(len + 1)) == NULL) {
		mbox_reply(p, MBOX_UPDATE, in->id, MBOXC_TEMP, -1);
		return 0;
	}
	if (len > 0)
		memcpy(d->bits, bits, len);
	mbox_submit(d, MBOX_UPDATE, maildrop_update_is_big(d->maildrop),
	    mbox_update_work, mbox_update_done);
	return 0;
}

static int
mbox_op_close(struct mbox_peer *p, struct msg_in *in)
{
	struct mbox_drop *d;
	uint32_t id;

	msg_get_u32(in, &id);
	if (msg_get_end(in) != 0)
		return ERR_FORMAT;
	/* It may be gone: an OPEN that was refused while CLOSE was coming. */
	if ((d = mbox_drop_find(p, id)) != NULL)
		mbox_drop_close(d);
	return 0;
}

/* ----------------------------------------------------------------- peers -- */

static const struct mbox_op {
	uint16_t	type;
	int		(*run)(struct mbox_peer *p, struct msg_in *in);
} mbox_ops[] = {
	{ MBOX_OPEN,	mbox_op_open },
	{ MBOX_FETCH,	mbox_op_fetch },
	{ MBOX_UPDATE,	mbox_op_update },
	{ MBOX_CLOSE,	mbox_op_close },
};

static int
mbox_packet(void *ctx, struct ipc *ipc, struct msg_in *in, int fd)
{
	struct mbox_peer *p = ctx;

	(void)ipc;
	if (fd >= 0) {
		close(fd);
		return ERR_FORMAT;
	}
	for (size_t i = 0; i < sizeof(mbox_ops) / sizeof(mbox_ops[0]); i++)
		if (mbox_ops[i].type == in->type)
			return mbox_ops[i].run(p, in);
	return ERR_FORMAT;
}

/* Nothing of its sessions is deleted. The lock of one may go to another of them,
 * which is answered then: the connection ends last. */
static void
mbox_peer_free(void *ctx)
{
	struct mbox_peer *p = ctx;
	struct mbox_drop *d;

	for (size_t i = 0; i < MBOX_BUCKETS; i++)
		while ((d = LIST_FIRST(&p->drops[i])) != NULL)
			mbox_drop_close(d);
	ipc_close(p->ipc);
	free(p);
}

/* The client process is gone, or was dropped, maybe by a reply that stands in
 * one of our frames: reaped after this turn. */
static void
mbox_gone(void *ctx, struct ipc *ipc)
{
	struct mbox_peer *p = ctx;

	(void)ipc;
	if (loop_defer(p->mbox->loop, mbox_peer_free, p) != 0)
		exit(EX_OSERR);		/* else its locks would stay */
}

static const struct ipc_ops mbox_ipc_ops = {
	.packet = mbox_packet,
	.gone = mbox_gone,
};

void
mbox_accepted(void *ctx, int fd, uid_t uid, pid_t pid)
{
	struct mbox_peer *p = calloc(1, sizeof(*p));
	struct mbox *m = ctx;

	(void)uid;
	(void)pid;
	if (p != NULL) {
		p->mbox = m;
		p->ipc = ipc_new(m->loop, fd, "popd-pop", &mbox_ipc_ops, p);
	}
	if (p == NULL || p->ipc == NULL) {
		close(fd);
		free(p);
		return;
	}
	/* Many log in at the same time, and each gets a list. */
	ipc_set_queue_max(p->ipc, MBOX_QUEUED_MAX);
}
