/*
 * flush.c - one flush at a time on a thread of its own, shared by all that wait.
 *
 * Runs in submitd-spool. The loop never waits for the disk: it hands over a
 * batch and is called back.
 */
#include "config.h"

#include <stdlib.h>

#include "submitd/spool/flush.h"

#include "lib/pool.h"

#define FLUSH_BATCH_MAX 256u	/* each holds a descriptor while it is flushed */

struct flush {
	const struct store	*store;
	struct pool		*pool;
	struct store_ops	 waiting;
	struct store_ops	 batch;		/* the thread's while running */
	bool			 running;
	bool			 ending;	/* the thread may be gone */
	loop_fn			*idle;
	void			*idle_ctx;
};

static void flush_done(void *ctx);

static void
flush_work(void *ctx)
{
	struct flush *f = ctx;

	store_flush(f->store, &f->batch);
}

static void
flush_start(struct flush *f)
{
	struct store_op *op;
	unsigned int n = 0;

	while (n++ < FLUSH_BATCH_MAX &&
	    (op = TAILQ_FIRST(&f->waiting)) != NULL) {
		TAILQ_REMOVE(&f->waiting, op, link);
		TAILQ_INSERT_TAIL(&f->batch, op, link);
	}
	f->running = true;
	/* One job in a queue of one always fits; without memory for it the
	 * loop waits for the disk this once. */
	if (f->ending ||
	    pool_submit(f->pool, flush_work, flush_done, f) != 0) {
		flush_work(f);
		flush_done(f);
	}
}

static void
flush_done(void *ctx)
{
	struct flush *f = ctx;
	struct store_ops done = TAILQ_HEAD_INITIALIZER(done);
	struct store_op *op;

	f->running = false;
	TAILQ_CONCAT(&done, &f->batch, link);
	/* The next flush starts before the answers go out. */
	if (!TAILQ_EMPTY(&f->waiting))
		flush_start(f);
	while ((op = TAILQ_FIRST(&done)) != NULL) {
		TAILQ_REMOVE(&done, op, link);
		op->done(op);
	}
	if (flush_idle(f) && f->idle != NULL) {
		loop_fn *idle = f->idle;

		f->idle = NULL;
		idle(f->idle_ctx);
	}
}

struct flush *
flush_new(struct loop *l, const struct store *st)
{
	struct flush *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->store = st;
	TAILQ_INIT(&f->waiting);
	TAILQ_INIT(&f->batch);
	if ((f->pool = pool_new(l, 1, 1)) == NULL) {
		free(f);
		return NULL;
	}
	return f;
}

void
flush_free(struct flush *f)
{
	if (f == NULL)
		return;
	/* What waits, and what that leads to, is done by us when the thread's
	 * last flush calls back. */
	f->ending = true;
	pool_free(f->pool);
	free(f);
}

void
flush_add(struct flush *f, struct store_op *op)
{
	TAILQ_INSERT_TAIL(&f->waiting, op, link);
	if (!f->running)
		flush_start(f);
}

bool
flush_idle(const struct flush *f)
{
	return !f->running && TAILQ_EMPTY(&f->waiting);
}

void
flush_when_idle(struct flush *f, loop_fn *idle, void *ctx)
{
	f->idle = idle;
	f->idle_ctx = ctx;
}
