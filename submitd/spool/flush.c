/*
 * flush.c - flushes, shared by all that wait.
 *
 * Runs in submitd-spool. The loop never waits for the disk. There are two ways,
 * side by side: a batch of the journal is one write and one fdatasync on one
 * thread; files are taken up by the first thread that is free, and when they are
 * flushed the folder is, once for all that wait for it by then. An operation may
 * go one way after the other. Removals wait a moment for a batch of the journal,
 * or for a flush of the folder, to go with.
 *
 * A batch of the journal begins at once when none runs, else a step behind the
 * newest that does: where a flush is slow a commit waits for that step and for
 * its own flush, and where it is quick the flush is over before the step, and all
 * who came meanwhile share the next.
 */
#include "config.h"

#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "submitd/spool/flush.h"

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/pool.h"
#include "submitd/spool/journal.h"

#define FLUSH_PART_MAX 64u	/* each holds a descriptor while it is flushed */
#define FLUSH_THREADS 4u	/* more hold the loop up on a small machine */
#define FLUSH_JOBS (FLUSH_THREADS + JOURNAL_LANES + 2u)	/* folder, upkeep */
#define FLUSH_STEP_US 500	/* between batches of the journal */
#define FLUSH_LAZY_MS 10	/* a removal waits for a batch */
#define FLUSH_DUE_MS 500	/* after a failure that left no segment */
#define FLUSH_UPKEEP_MS 30000	/* after upkeep has failed */
#define FLUSH_MOVES_MAX 64u	/* asked for at a time */

struct flush_part {		/* the files of one thread */
	struct flush		*flush;
	struct store_ops	 ops;
	bool			 runs;
};

struct flush_lane {		/* a batch of the journal */
	struct flush		*flush;
	unsigned int		 lane;
};

struct flush {
	const struct store	*store;
	struct journal		*journal;
	struct loop		*loop;
	struct pool		*pool;
	/* Files */
	struct store_ops	 files;		/* waiting */
	size_t			 n_files;
	struct flush_part	 parts[FLUSH_THREADS];
	unsigned int		 n_parts;	/* that run */
	struct store_ops	 whole;		/* waiting for the folder */
	struct store_ops	 removed;	/* waiting for others there */
	struct timer		 removed_late;
	struct store_ops	 batch;		/* that the folder is flushed for */
	bool			 folder_runs;
	/* The journal */
	struct store_ops	 records;	/* waiting */
	struct store_ops	 lazy;		/* waiting for others */
	bool			 journal_soon;	/* at the end of this turn */
	struct flush_lane	 lanes[JOURNAL_LANES];
	int64_t			 begun_us;	/* the newest that runs */
	bool			 step_waits;
	int			 step_fd;	/* the loop's timers have a
						 * grain of 4 ms */
	struct watch		*step;
	bool			 upkeep_runs;
	bool			 upkeep_failed;	/* the last time */
	bool			 upkeep_waits;	/* for its timer */
	struct timer		 late;
	struct timer		 upkeep;
	flush_move_fn		*move;
	void			*move_ctx;
	bool			 ending;	/* the threads may be gone */
	bool			 ended;		/* freed by journal_soon */
	loop_fn			*idle;
	void			*idle_ctx;
};

static void flush_next(struct flush *f, struct store_op *op);
static void flush_files_done(void *ctx);
static void flush_folder_done(void *ctx);
static void flush_journal_soon(struct flush *f);
static void flush_journal_done(void *ctx);
static void flush_upkeep(struct flush *f);

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

/* Gives operations that are through one lane to the next, or back. */
static void
flush_pass_on(struct flush *f, struct store_ops *done)
{
	struct store_op *op;

	while ((op = TAILQ_FIRST(done)) != NULL) {
		TAILQ_REMOVE(done, op, link);
		if (op->r != 0)
			op->done(op);
		else
			flush_next(f, op);
	}
	if (flush_idle(f) && f->idle != NULL) {
		loop_fn *idle = f->idle;

		f->idle = NULL;
		idle(f->idle_ctx);
	}
}

/* ----------------------------------------------------------------- files -- */

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

/* Each thread takes its share of what waits: all of it would be flushed one file
 * after the other. */
static void
flush_part_start(struct flush_part *p)
{
	struct flush *f = p->flush;
	size_t n = (f->n_files + FLUSH_THREADS - 1) / FLUSH_THREADS;

	for (n = n < FLUSH_PART_MAX ? n : FLUSH_PART_MAX; n > 0; n--) {
		struct store_op *op = TAILQ_FIRST(&f->files);

		TAILQ_REMOVE(&f->files, op, link);
		TAILQ_INSERT_TAIL(&p->ops, op, link);
		f->n_files--;
	}
	p->runs = true;
	f->n_parts++;
	flush_submit(f, flush_files, flush_files_done, p);
}

static void
flush_files_start(struct flush *f)
{
	for (unsigned int i = 0; i < FLUSH_THREADS && f->n_files > 0; i++)
		if (!f->parts[i].runs)
			flush_part_start(&f->parts[i]);
}

static void
flush_files_add(struct flush *f, struct store_op *op)
{
	TAILQ_INSERT_TAIL(&f->files, op, link);
	f->n_files++;
}

static void
flush_folder_start(struct flush *f)
{
	if (f->folder_runs || TAILQ_EMPTY(&f->whole))
		return;
	f->folder_runs = true;
	TAILQ_CONCAT(&f->batch, &f->whole, link);
	TAILQ_CONCAT(&f->batch, &f->removed, link);
	flush_submit(f, flush_folder, flush_folder_done, f);
}

/* Nobody waits for those in `removed`; they go with others, or when their time is
 * over. */
static void
flush_removed_late(void *ctx)
{
	struct flush *f = ctx;

	TAILQ_CONCAT(&f->whole, &f->removed, link);
	flush_folder_start(f);
}

static void
flush_files_done(void *ctx)
{
	struct flush_part *p = ctx;
	struct flush *f = p->flush;

	TAILQ_CONCAT(&f->whole, &p->ops, link);
	p->runs = false;
	f->n_parts--;
	flush_files_start(f);
	flush_folder_start(f);
}

static void
flush_folder_done(void *ctx)
{
	struct flush *f = ctx;
	struct store_ops done = TAILQ_HEAD_INITIALIZER(done);

	f->folder_runs = false;
	TAILQ_CONCAT(&done, &f->batch, link);
	/* The next flush starts before the answers go out. */
	flush_folder_start(f);
	if (!f->folder_runs && !TAILQ_EMPTY(&f->removed))
		timer_arm(&f->removed_late, FLUSH_LAZY_MS);
	flush_pass_on(f, &done);
}

/* --------------------------------------------------------------- journal -- */

static void
flush_journal(void *ctx)
{
	struct flush_lane *l = ctx;

	journal_write(l->flush->journal, l->lane);
}

/* At a time of the monotonic clock; 0: never. */
static void
flush_step_set(struct flush *f, int64_t when_us)
{
	struct itimerspec t = { .it_value = {
		.tv_sec = (time_t)(when_us / 1000000),
		.tv_nsec = (long)(when_us % 1000000) * 1000 } };

	(void)timerfd_settime(f->step_fd, TFD_TIMER_ABSTIME, &t, NULL);
	f->step_waits = when_us != 0;
}

/* Whether another batch may begin now. If not, the timer or the end of one that
 * runs asks again. */
static bool
flush_journal_ready(struct flush *f)
{
	int64_t next_us = f->begun_us + FLUSH_STEP_US;

	if (journal_running(f->journal) == 0)
		return true;
	if (f->step_waits || !journal_may_begin(f->journal))
		return false;
	if (clock_mono_us() >= next_us)
		return true;
	flush_step_set(f, next_us);
	return false;
}

/* Nobody waits for `lazy`; it goes with the others, or when its time is over. */
static void
flush_journal_start(struct flush *f)
{
	struct store_ops apart = TAILQ_HEAD_INITIALIZER(apart);
	struct store_op *op;
	int lane;

	if (f->step_waits)
		flush_step_set(f, 0);
	TAILQ_CONCAT(&f->records, &f->lazy, link);
	lane = journal_begin(f->journal, &f->records, &apart);
	while ((op = TAILQ_FIRST(&apart)) != NULL) {
		TAILQ_REMOVE(&apart, op, link);
		flush_files_add(f, op);
	}
	if (lane >= 0) {
		f->begun_us = clock_mono_us();
		flush_submit(f, flush_journal, flush_journal_done,
		    &f->lanes[lane]);
	} else {
		flush_upkeep(f);
	}
	if (!TAILQ_EMPTY(&f->records))
		flush_journal_soon(f);
	flush_files_start(f);
}

/* All that come in one turn share a batch. */
static void
flush_journal_turn(void *ctx)
{
	struct flush *f = ctx;

	f->journal_soon = false;
	if (f->ended)
		free(f);
	else if (!TAILQ_EMPTY(&f->records) && flush_journal_ready(f))
		flush_journal_start(f);
}

static void
flush_journal_soon(struct flush *f)
{
	if (f->journal_soon || !flush_journal_ready(f))
		return;
	f->journal_soon = true;
	if (f->ending || loop_defer(f->loop, flush_journal_turn, f) != 0)
		flush_journal_turn(f);
}

static void
flush_step(void *ctx, int what)
{
	struct flush *f = ctx;
	uint64_t n;

	(void)what;
	if (read(f->step_fd, &n, sizeof(n)) < 0)
		return;		/* it was set anew meanwhile */
	f->step_waits = false;
	if (!TAILQ_EMPTY(&f->records))
		flush_journal_soon(f);
}

static void
flush_late(void *ctx)
{
	struct flush *f = ctx;

	if (journal_running(f->journal) == 0)
		flush_journal_start(f);
}

static void
flush_crowded(struct flush *f)
{
	struct store_place *p;

	for (unsigned int i = 0; i < FLUSH_MOVES_MAX && f->move != NULL &&
	    (p = journal_crowded(f->journal)) != NULL; i++)
		f->move(f->move_ctx, p);
}

static void
flush_journal_done(void *ctx)
{
	struct flush_lane *l = ctx;
	struct flush *f = l->flush;
	struct store_ops done = TAILQ_HEAD_INITIALIZER(done);

	journal_end(f->journal, l->lane, &done);
	if (!TAILQ_EMPTY(&f->records)) {
		if (flush_journal_ready(f))
			flush_journal_start(f);
	} else if (journal_running(f->journal) == 0 &&
	    (!TAILQ_EMPTY(&f->lazy) || journal_is_due(f->journal))) {
		timer_arm(&f->late, FLUSH_LAZY_MS);
	}
	flush_pass_on(f, &done);
	if (!f->ending)
		flush_crowded(f);
	flush_upkeep(f);
}

/* ---------------------------------------------------------------- upkeep -- */

static void
flush_upkeep_work(void *ctx)
{
	struct flush *f = ctx;

	journal_upkeep(f->journal);
}

static void
flush_upkeep_done(void *ctx)
{
	struct flush *f = ctx;
	struct err err;
	int r = journal_upkeep_end(f->journal, &err);

	f->upkeep_runs = false;
	/* One line when it begins: small messages go to files meanwhile. */
	if (r != 0 && !f->upkeep_failed)
		LOG_EV(LOG_WARNING, "spool.journal", NULL, KV_A("op", "grow"),
		    KV_T("why", err.text));
	f->upkeep_failed = r != 0;
	f->upkeep_waits = r != 0;
	if (r != 0) {
		timer_arm(&f->upkeep, FLUSH_UPKEEP_MS);
		return;
	}
	/* A segment for the end that is to be told may have been lacking. */
	if (!f->ending && journal_is_due(f->journal) &&
	    journal_running(f->journal) == 0)
		timer_arm(&f->late, FLUSH_DUE_MS);
	flush_upkeep(f);
}

static void
flush_upkeep(struct flush *f)
{
	if (f->ending || f->upkeep_runs || f->upkeep_waits ||
	    !journal_upkeep_begin(f->journal))
		return;
	f->upkeep_runs = true;
	flush_submit(f, flush_upkeep_work, flush_upkeep_done, f);
}

static void
flush_upkeep_again(void *ctx)
{
	struct flush *f = ctx;

	f->upkeep_waits = false;
	flush_upkeep(f);
}

/* ------------------------------------------------------------------ both -- */

/* A removal that can wait for company. What the journal has as well as a file
 * cannot: it would come back when the file is gone. */
static bool
flush_is_lazy(const struct flush *f, const struct store_op *op)
{
	return op->lazy && !(op->place->filed && op->place->segment != NULL) &&
	    f->idle == NULL && !f->ending;
}

/* There is nothing to be done to the file but in the folder. */
static void
flush_remove_file(struct flush *f, struct store_op *op)
{
	if (!flush_is_lazy(f, op)) {
		TAILQ_INSERT_TAIL(&f->whole, op, link);
		flush_folder_start(f);
		return;
	}
	if (!f->folder_runs && TAILQ_EMPTY(&f->removed))
		timer_arm(&f->removed_late, FLUSH_LAZY_MS);
	TAILQ_INSERT_TAIL(&f->removed, op, link);
}

static void
flush_next(struct flush *f, struct store_op *op)
{
	switch (store_op_next(op)) {
	case STORE_FILES:
		if (op->kind == STORE_REMOVE) {
			flush_remove_file(f, op);
			break;
		}
		flush_files_add(f, op);
		flush_files_start(f);
		break;
	case STORE_JOURNAL:
		if (flush_is_lazy(f, op)) {
			if (TAILQ_EMPTY(&f->lazy) &&
			    journal_running(f->journal) == 0)
				timer_arm(&f->late, FLUSH_LAZY_MS);
			TAILQ_INSERT_TAIL(&f->lazy, op, link);
			break;
		}
		TAILQ_INSERT_TAIL(&f->records, op, link);
		flush_journal_soon(f);
		break;
	case STORE_DONE:
		op->done(op);
		break;
	}
}

void
flush_add(struct flush *f, struct store_op *op)
{
	op->r = 0;
	op->written = op->apart = false;
	flush_next(f, op);
}

static bool
flush_step_new(struct flush *f)
{
	f->step_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC |
	    TFD_NONBLOCK);
	if (f->step_fd >= 0)
		f->step = watch_new(f->loop, f->step_fd, flush_step, f);
	if (f->step != NULL)
		watch_set(f->step, WATCH_READ);
	return f->step != NULL;
}

static void
flush_step_free(struct flush *f)
{
	watch_free(f->step);
	if (f->step_fd >= 0)
		close(f->step_fd);
}

struct flush *
flush_new(struct loop *l, const struct store *st)
{
	struct flush *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->step_fd = -1;
	f->store = st;
	f->journal = st->journal;
	f->loop = l;
	TAILQ_INIT(&f->files);
	TAILQ_INIT(&f->whole);
	TAILQ_INIT(&f->removed);
	TAILQ_INIT(&f->batch);
	TAILQ_INIT(&f->records);
	TAILQ_INIT(&f->lazy);
	for (unsigned int i = 0; i < FLUSH_THREADS; i++) {
		f->parts[i].flush = f;
		TAILQ_INIT(&f->parts[i].ops);
	}
	for (unsigned int i = 0; i < JOURNAL_LANES; i++)
		f->lanes[i] = (struct flush_lane){ f, i };
	f->pool = pool_new(l, FLUSH_JOBS, FLUSH_JOBS);
	if (f->pool == NULL || timer_init(&f->late, l, flush_late, f) != 0 ||
	    timer_init(&f->removed_late, l, flush_removed_late, f) != 0 ||
	    !flush_step_new(f) ||
	    timer_init(&f->upkeep, l, flush_upkeep_again, f) != 0) {
		pool_free(f->pool);
		timer_free(&f->late);
		timer_free(&f->removed_late);
		flush_step_free(f);
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
	 * last jobs call back, or now. */
	f->ending = true;
	pool_free(f->pool);
	flush_removed_late(f);
	while (!TAILQ_EMPTY(&f->records) || !TAILQ_EMPTY(&f->lazy) ||
	    journal_is_due(f->journal))
		flush_journal_start(f);
	timer_free(&f->late);
	timer_free(&f->removed_late);
	flush_step_free(f);
	timer_free(&f->upkeep);
	f->ended = true;
	if (!f->journal_soon)
		free(f);
}

void
flush_set_move(struct flush *f, flush_move_fn *fn, void *ctx)
{
	f->move = fn;
	f->move_ctx = ctx;
}

void
flush_start(struct flush *f)
{
	flush_upkeep(f);
}

bool
flush_idle(const struct flush *f)
{
	return f->n_files == 0 && f->n_parts == 0 && !f->folder_runs &&
	    TAILQ_EMPTY(&f->whole) && TAILQ_EMPTY(&f->removed) &&
	    journal_running(f->journal) == 0 &&
	    TAILQ_EMPTY(&f->records) && TAILQ_EMPTY(&f->lazy) &&
	    !journal_is_due(f->journal);
}

void
flush_when_idle(struct flush *f, loop_fn *idle, void *ctx)
{
	f->idle = idle;
	f->idle_ctx = ctx;
	flush_removed_late(f);
	if (journal_running(f->journal) == 0)
		flush_journal_start(f);
}
