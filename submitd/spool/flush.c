/*
 * flush.c - one flush at a time, shared by all that wait.
 *
 * Runs in submitd-spool. The loop never waits for the disk: it shares a batch
 * out to threads, then has one of them flush the folder, and is called back.
 */
#include "config.h"

#include <stdlib.h>

#include "submitd/spool/flush.h"

#include "lib/pool.h"

#define FLUSH_BATCH_MAX 256u	/* each holds a descriptor while it is flushed */
#define FLUSH_THREADS 4u	/* more hold the loop up on a small machine */

struct flush_part {		/* one thread's part of a batch */
	struct flush		*flush;
	struct store_ops	 ops;
};

struct flush {
	const struct store	*store;
	struct pool		*pool;
	struct store_ops	 waiting;
	struct flush_part	 parts[FLUSH_THREADS];
	unsigned int		 parts_left;	/* that still run */
	struct store_ops	 batch;		/* all of them, for the folder */
	bool			 running;
	bool			 ending;	/* the threads may be gone */
	loop_fn			*idle;
	void			*idle_ctx;
};

static void flush_files_done(void *ctx);
static void flush_folder_done(void *ctx);

static void
flush_files(void *ctx)
{
	struct flush_part *p = ctx;

	store_flush_files(p->flush->store, &p->ops);
}

static void
flush_folder(void *ctx)
{
	struct flush *f = ctx;

	store_flush_folder(f->store, &f->batch);
}

/* The queue has room for all that we ever submit; without memory for a job, or
 * at the very end, the loop waits for the disk. */
static void
flush_submit(struct flush *f, void (*work)(void *), loop_fn *done, void *ctx)
{
	if (f->ending || pool_submit(f->pool, work, done, ctx) != 0) {
		work(ctx);
		done(ctx);
	}
}

static void
flush_start(struct flush *f)
{
	struct store_op *op;
	unsigned int n = 0;

	while (n < FLUSH_BATCH_MAX &&
	    (op = TAILQ_FIRST(&f->waiting)) != NULL) {
		TAILQ_REMOVE(&f->waiting, op, link);
		TAILQ_INSERT_TAIL(&f->parts[n % FLUSH_THREADS].ops, op, link);
		n++;
	}
	f->running = true;
	f->parts_left = n < FLUSH_THREADS ? n : FLUSH_THREADS;
	n = f->parts_left;
	for (unsigned int i = 0; i < n; i++)
		flush_submit(f, flush_files, flush_files_done, &f->parts[i]);
}

static void
flush_files_done(void *ctx)
{
	struct flush_part *p = ctx;
	struct flush *f = p->flush;

	TAILQ_CONCAT(&f->batch, &p->ops, link);
	if (--f->parts_left == 0)
		flush_submit(f, flush_folder, flush_folder_done, f);
}

static void
flush_folder_done(void *ctx)
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
	for (unsigned int i = 0; i < FLUSH_THREADS; i++) {
		f->parts[i].flush = f;
		TAILQ_INIT(&f->parts[i].ops);
	}
	if ((f->pool = pool_new(l, FLUSH_THREADS, FLUSH_THREADS)) == NULL) {
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
	/* What waits, and what that leads to, is done by us when the threads'
	 * last jobs call back. */
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
