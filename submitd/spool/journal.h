/*
 * journal.h - small messages, many to a flush: segments of a fixed size that
 * are written with zeros ahead of use, appended to, and used again when nothing
 * lives in them.
 *
 * A batch is begun on the loop, written on a thread, ended on the loop; so is
 * the upkeep of segments. Several batches may run at a time, each in a lane. They
 * are written one after the other and flushed side by side, and end in the order
 * in which they were begun. Nothing here logs.
 */
#ifndef SUBMITD_SPOOL_JOURNAL_H
#define SUBMITD_SPOOL_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "submitd/spool/journal_record.h"
#include "submitd/spool/store.h"

#define JOURNAL_SIZE (16u * 1024 * 1024)	/* of a segment */
#define JOURNAL_MESSAGE_MAX 60000u	/* octets of its file; fits a packet */
#define JOURNAL_LANES 8u	/* batches that run at a time */

struct journal;

/* NULL: no memory. `st` is borrowed. */
struct journal *journal_new(const struct store *st);
void	journal_free(struct journal *j);
/* Another size, a multiple of 4096, before anything is there; 0: all messages
 * are files (tests, measuring). */
void	journal_set_size(struct journal *j, uint32_t size);

/* Takes STORE_JOURNAL operations from the front of `ops`, as many as one write
 * holds; COMMITs for which there is no room go to `files` as STORE_FILES, others
 * fail at the end. Returns the lane for which journal_write() and journal_end()
 * are to follow; those of another lane wait for it. Negative: nothing is begun
 * now, and what is left in `ops` waits for the end of one that runs. */
int	journal_begin(struct journal *j, struct store_ops *ops,
	    struct store_ops *files);
void	journal_write(struct journal *j, unsigned int lane);	/* on a thread */
/* Appends the operations to `done`, each with its r: those of all batches that
 * are over, but for what waits for an earlier batch. */
void	journal_end(struct journal *j, unsigned int lane,
	    struct store_ops *done);
/* How many run; whether one more may. */
unsigned int journal_running(const struct journal *j);
bool	journal_may_begin(const struct journal *j);
/* The end of a segment that a failure made is to be written, before a crash makes
 * something of what is behind it. */
bool	journal_is_due(const struct journal *j);

/* Makes a segment that is wanted, or removes one too many. True: the others are
 * to follow. `end` returns what went wrong, 0 if nothing. */
bool	journal_upkeep_begin(struct journal *j);
void	journal_upkeep(struct journal *j);		/* on a thread */
int	journal_upkeep_end(struct journal *j, struct err *reterr);

/* A message that keeps an old, almost empty segment: it is to be moved to a
 * file. Told once for each; NULL: none. */
struct store_place *journal_crowded(struct journal *j);

/* Reads the octets of the file that a message would be, p->len of them, and
 * checks them. On any thread, while its place stands. ERR_CORRUPT. */
int	journal_read(const struct store_place *p, uint8_t *dst,
	    struct err *reterr);
/* The same without waiting for the disk: ERR_AWAY where that takes a wait. */
int	journal_read_now(const struct store_place *p, uint8_t *dst,
	    struct err *reterr);
/* Between the two a copy of the place can be read, whatever becomes of the
 * message. */
void	journal_hold(struct store_place *p);
void	journal_release(struct journal *j, const struct store_place *p);

/* What a crash left, told in its order; the segments are ours then. */
struct journal_finder {
	/* A message; where its place is, or NULL: it is not wanted. */
	struct store_place *(*message)(void *ctx, const char *id,
	    const uint8_t *octets, uint32_t len);
	void	(*gone)(void *ctx, const char *id);
	/* It is in a segment that was given up. */
	void	(*dead)(void *ctx, struct store_place *p);
	/* Octets at `at` of the segment `name` that are no record. `id` is "",
	 * or whose message they were; `last`: a crash may have done it, before
	 * anybody was told, as it did what is `torn`. */
	void	(*damaged)(void *ctx, const char *name, uint32_t at,
	    const char *id, const uint8_t *octets, uint32_t len, bool last);
	void	(*torn)(void *ctx, const char *name, uint32_t octets);
	/* A file that is no segment, or not all of one, or not there. */
	void	(*unreadable)(void *ctx, const char *name,
	    const struct err *why);
};
int	journal_recover(struct journal *j, const struct journal_finder *f,
	    void *ctx, struct err *reterr);
/* Takes a message out, in memory only. */
void	journal_leave(struct journal *j, struct store_place *p);

struct journal_status {
	unsigned int	 segments, ready;
	uint64_t	 live;		/* octets of messages */
	size_t		 messages;
};
void	journal_status(const struct journal *j, struct journal_status *ret);

#endif
