/*
 * flush.h - gathers what is to be made durable, and does it together.
 */
#ifndef SUBMITD_SPOOL_FLUSH_H
#define SUBMITD_SPOOL_FLUSH_H

#include <stdbool.h>

#include "lib/loop.h"
#include "submitd/spool/store.h"

struct flush;

/* NULL: no memory, no thread. `st` is borrowed. */
struct flush *flush_new(struct loop *l, const struct store *st);
/* Does what waits, then frees. */
void	flush_free(struct flush *f);
/* What was there is known: makes room for more. */
void	flush_start(struct flush *f);
/* Who is asked to move a message out of the journal (STORE_MOVE), when it keeps
 * a segment for itself. */
typedef void flush_move_fn(void *ctx, struct store_place *p);
void	flush_set_move(struct flush *f, flush_move_fn *fn, void *ctx);
/* Queues it; op->done(op) comes from the loop when op->r is known. The op is
 * the caller's again then. Those added while one must wait share the next. */
void	flush_add(struct flush *f, struct store_op *op);
bool	flush_idle(const struct flush *f);
/* idle(ctx) once, the next time that nothing waits or runs. */
void	flush_when_idle(struct flush *f, loop_fn *idle, void *ctx);

#endif
