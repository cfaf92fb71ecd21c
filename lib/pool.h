/*
 * pool.h - a bounded pool of threads for work that blocks.
 */
#ifndef SUBMITD_POOL_H
#define SUBMITD_POOL_H

#include <stddef.h>

#include "lib/loop.h"

struct pool;

/* `threads` threads behind a queue of at most `queue_max` jobs. Signals are
 * blocked in the threads. NULL on failure. */
struct pool *pool_new(struct loop *l, unsigned int threads, size_t queue_max);
/* work(ctx) runs on a thread, then done(ctx) on the loop. ERR_LIMIT when the
 * queue is full, ERR_NOMEM. */
int	pool_submit(struct pool *p, void (*work)(void *), loop_fn *done,
	    void *ctx);
/* Waits for what runs; what is queued is run too; then frees. */
void	pool_free(struct pool *p);

#endif
