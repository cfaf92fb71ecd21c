/*
 * store.h - the spool on disk: files, and what an operation on a message is. All
 * of it blocks: pool threads only, but for store_open(), store_space(),
 * store_read_fd(), store_op_next(), and store_close() when no thread uses it any
 * more. Nothing here logs. Small messages are in the journal (journal.h).
 */
#ifndef SUBMITD_SPOOL_STORE_H
#define SUBMITD_SPOOL_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "lib/err.h"
#include "submitd/spool/envelope.h"

struct store {
	int	dir;		/* spool_dir, locked */
	int	tmp;
	int	queue;
	int	bad;
	int	segments;	/* journal/ */
	struct journal *journal;
	struct spares *spares;
};

struct journal_segment;

/* Where a queued message is; all zero: nowhere yet. Belongs to the loop, and
 * while an operation of its message runs its thread may read it. */
struct store_place {
	struct journal_segment *segment;	/* NULL: not in the journal */
	TAILQ_ENTRY(store_place) link;		/* of the segment's */
	uint32_t	 offset, len;		/* of its octets there */
	bool		 filed;			/* a file of queue/ */
	bool		 moving;		/* asked to leave the segment */
};

/* Opens `path`, making it and its folders with the owner given where they are
 * missing, and locks it (waiting up to 10 s for a predecessor that is ending).
 * ERR_EXISTS: another submitd-spool has it. */
int	store_open(struct store *st, const char *path, uid_t uid, gid_t gid,
	    struct err *reterr);
void	store_close(struct store *st);
/* The folders are ours to write, as the user that we are now. */
int	store_check_access(const struct store *st, struct err *reterr);

/* The reserve in octets, where `min_free` is configured (0: 1 GiB or 5 % of the
 * file system, the less). */
uint64_t store_min_free(const struct store *st, uint64_t min_free);
/* What is free beside the reserve; where that cannot be asked for: all there
 * is. */
uint64_t store_free(const struct store *st, uint64_t min_free);
/* ERR_NOSPACE unless `need` octets and `files` files fit and `min_free` octets
 * (0: 1 GiB or 5 % of the file system, the less) stay free beside them. */
int	store_space(const struct store *st, uint64_t min_free, uint64_t need,
	    uint64_t files, struct err *reterr);

/* A message on its way in; nobody else's until it is committed. */
struct store_file {
	char		 id[STR_ID_SIZE];
	int		 fd;		/* -1: nothing is on disk yet */
	uint8_t		*front;		/* header, envelope, Received */
	size_t		 front_len;
	struct envelope_header h;	/* content_len grows */
	uint64_t	 written;	/* octets of them in the file */
	uint64_t	 stale;		/* its length with another's, or 0 */
};

/* `top` of `top_len` octets is put in front of the content. ERR_NOMEM,
 * ERR_LIMIT. */
int	store_file_new(const struct envelope *e, const char *top,
	    size_t top_len, struct store_file **ret);
/* Appends to the content. After a failure only discard is allowed. */
int	store_file_write(const struct store *st, struct store_file *f,
	    const void *p, size_t len, struct err *reterr);
/* Removes what there is of it and frees. NULL is fine. */
void	store_file_discard(const struct store *st, struct store_file *f);

enum store_op_kind {
	STORE_COMMIT,		/* file and the rest of its content */
	STORE_RESULTS,		/* records behind the content, in its file */
	STORE_MOVE,		/* out of the journal, into a file */
	STORE_REMOVE,		/* the message is done with */
};

struct store_op {
	TAILQ_ENTRY(store_op) link;
	enum store_op_kind kind;
	char		 id[STR_ID_SIZE];
	struct store_place *place;	/* of the message; kept up to date */
	bool		 lazy;		/* REMOVE: in a moment will do */
	bool		 no_spare;	/* REMOVE: its file is not used again */
	struct store_file *file;	/* COMMIT: gone afterwards */
	const void	*data;		/* COMMIT: rest; RESULTS: records */
	size_t		 len;
	uint64_t	 offset;	/* RESULTS: where they go */
	/* Filled in for the caller */
	int		 r;		/* 0, or why it is not done */
	struct err	 err;
	uint64_t	 content_offset, content_len;	/* COMMIT */
	/* Private to store.c, journal.c and flush.c */
	int		 fd;
	bool		 moved;
	bool		 spared;	/* REMOVE: moved to tmp/ */
	off_t		 size;		/* and how large it is */
	bool		 written;	/* RESULTS: they are in the file */
	bool		 apart;		/* COMMIT: not into the journal */
	uint32_t	 at;		/* in the journal's segment */
	/* The caller's */
	void		(*done)(struct store_op *op);
	void		*ctx;
};
TAILQ_HEAD(store_ops, store_op);

/* What is to be done next for it. Call it again when that is done. */
enum store_lane { STORE_FILES, STORE_JOURNAL, STORE_DONE };
enum store_lane store_op_next(const struct store_op *op);

/* Does what is STORE_FILES and makes it durable, in two steps; each has its own
 * r. The first may run on several threads, each with a part of the operations; the
 * second takes all of them when the first is over. */
void	store_flush_files(const struct store *st, struct store_ops *ops);
void	store_flush_folder(const struct store *st, struct store_ops *ops);

/* The whole of a message that was never written to a file: the octets of its
 * file are f->front and then `len` more. */
void	store_file_seal(struct store_file *f, size_t len);
/* The end of a COMMIT: the file is gone, place and content_* are set. */
void	store_commit_end(struct store_op *op);

/* A read-only descriptor of a queued message that has a file. */
int	store_read_fd(const struct store *st, const char *id,
	    struct err *reterr);
/* Reads and checks header and envelope. ERR_CORRUPT, ERR_SYSTEM, ERR_NOMEM. */
int	store_read_envelope(int fd, struct envelope_header *ret_h,
	    struct envelope *ret_e, struct err *reterr);
/* The same of octets in memory, which are all of it. */
int	store_parse_envelope(const uint8_t *p, size_t len,
	    struct envelope_header *ret_h, struct envelope *ret_e,
	    struct err *reterr);
/* Calls `each` for the records in their order; *ret_end is the offset behind
 * the last whole one. ERR_CORRUPT: the content itself is cut. */
typedef void store_result_fn(void *ctx, const struct envelope_result *r);
int	store_read_results(int fd, const struct envelope_header *h,
	    store_result_fn *each, void *ctx, uint64_t *ret_end,
	    struct err *reterr);
/* Moves a damaged file of queue/ to bad/. */
int	store_set_aside(const struct store *st, const char *name,
	    struct err *reterr);
/* Writes damaged octets to a file of bad/. ERR_EXISTS: they are there. */
int	store_keep_bad(const struct store *st, const char *name, const void *p,
	    size_t len, struct err *reterr);

#endif
