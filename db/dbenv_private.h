/*
 * dbenv_private.h - what userdb.c and relay_cache.c share of dbenv.c: the only
 * place where Berkeley DB's types meet ours. Included by db/ alone.
 *
 * Functions here return Berkeley DB's codes (0, an errno above 0, DB_xxx below
 * -30000); our own codes (-1 to -99) may stand among them, so that a function
 * inside a transaction can give it up with a reason of ours.
 */
#ifndef SUBMITD_DB_DBENV_PRIVATE_H
#define SUBMITD_DB_DBENV_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <db.h>

#include "db/dbenv.h"

struct dbenv_flush {
	pthread_t	 thread;
	bool		 runs;
	bool		 stop;
	bool		 busy;
	pthread_mutex_t	 mutex;
	pthread_cond_t	 due;
	pthread_cond_t	 done;
	atomic_uint	 commits;	/* since the last */
};

struct dbenv {
	DB_ENV		*env;
	char		 home[256];
	int		 home_fd;
	int		 lock_fd;
	atomic_bool	 broken;
	atomic_bool	 full;		/* E5: the last answer was "no" */
	_Atomic int64_t	 checkpoint_ms;	/* monotonic; the last one that was due */
	pthread_mutex_t	 mutex;		/* of `last` */
	char		 last[192];	/* Berkeley DB's own words */
	struct dbenv_flush flush;
};

/* dbenv_flush.c: the thread that flushes the log behind its writers. */
void	dbenv_flush_init(struct dbenv *e);
void	dbenv_flush_end(struct dbenv *e);
int	dbenv_flush_start(struct dbenv *e);
void	dbenv_flush_stop(struct dbenv *e);	/* also if it does not run */
/* After a commit that is not flushed. */
void	dbenv_flush_soon(struct dbenv *e);
/* For upkeep, before it goes on: the disk is others' while it is slow. */
void	dbenv_flush_wait(struct dbenv *e);

/* dbenv_space.c: the file that keeps room for recovery. */
void	dbenv_reserve_release(struct dbenv *e);	/* when space is short */
void	dbenv_reserve_keep(struct dbenv *e);
/* Makes room for one small change out of it. False: no more can be spared. */
bool	dbenv_reserve_lend(struct dbenv *e);

/* Calls each(ctx, name) for the databases (".db") in the folder, in order. */
int	dbenv_each_file(const char *home, int (*each)(void *ctx,
	    const char *name, struct err *reterr), void *ctx,
	    struct err *reterr);

/* Opens or creates a btree in the environment. Returns our codes. */
int	dbenv_open_db(struct dbenv *e, const char *file, DB **ret,
	    struct err *reterr);

enum dbenv_durability {
	DBENV_SYNC = DB_TXN_SYNC,		/* on stable storage */
	DBENV_NOSYNC = DB_TXN_WRITE_NOSYNC,	/* written, not flushed */
	/* Written with the next: for upkeep, which is done again if it is lost.
	 * In a deadlock it is the one that gives way. */
	DBENV_UPKEEP = DB_TXN_NOSYNC
};

/* Runs fn in a transaction and commits it, again from the start after a
 * deadlock. Returns our codes, with `what` in the text of a failure;
 * ERR_NOSPACE before anything is begun (E5). */
typedef int dbenv_txn_fn(void *ctx, DB_TXN *txn, struct err *reterr);
int	dbenv_txn(struct dbenv *e, enum dbenv_durability d, dbenv_txn_fn *fn,
	    void *ctx, const char *what, struct err *reterr);

/* The same, on stable storage, for a change that takes a right away: at a full
 * disk it is made in room that the reserve gives up. */
int	dbenv_txn_taking(struct dbenv *e, dbenv_txn_fn *fn, void *ctx,
	    const char *what, struct err *reterr);

/* What was committed before is on stable storage. */
int	dbenv_flush(struct dbenv *e, struct err *reterr);

/* Turns a code of either kind into ours, with its text. */
int	dbenv_result(struct dbenv *e, int rc, const char *what,
	    struct err *reterr);

/* Octets with the length that is there and the room there is. */
struct dbenv_item {
	void	*p;
	size_t	 len;
	size_t	 size;
};

/* Without a transaction (NULL) a read is repeated after a deadlock. `flags`:
 * DB_RMW or 0. What does not fit into `ret` is ERR_CORRUPT. */
int	dbenv_get(DB *db, DB_TXN *txn, const void *key, size_t len,
	    struct dbenv_item *ret, uint32_t flags);
int	dbenv_put(DB *db, DB_TXN *txn, const void *key, size_t len,
	    const void *data, size_t data_len, uint32_t flags);
int	dbenv_del(DB *db, DB_TXN *txn, const void *key, size_t len);
/* The first pair behind `key` in order (len 0: the first of all); with
 * DB_SET_RANGE in `flags` also the one at it. DB_LAST: the last of all. */
int	dbenv_next(DB *db, DB_TXN *txn, struct dbenv_item *key,
	    struct dbenv_item *data, uint32_t flags);

/* ------------------------------------------------ removing (dbenv_sweep.c) -- */

/* The last key that was looked at; zeroed: before the first. */
#define DBENV_PLACE_MAX 512u
struct dbenv_place {
	uint8_t	at[DBENV_PLACE_MAX];
	size_t	len;
};

enum dbenv_fate {
	DBENV_KEEP,
	DBENV_REMOVE,
	DBENV_REMOVE_UNCOUNTED,
	DBENV_END,		/* kept, and none behind it is looked at */
};

/* May be asked twice about a record: it changes nothing. */
typedef enum dbenv_fate dbenv_fate_fn(const void *ctx,
	    const struct dbenv_item *key, const struct dbenv_item *value);

struct dbenv_sweep {
	DB			*db;
	const char		*what;		/* of dbenv_result() */
	dbenv_fate_fn		*fate;
	const void		*ctx;
	struct dbenv_item	 value;		/* room for the largest */
	unsigned int		 budget;	/* records looked at */
	uint32_t		 flags;		/* of dbenv_next() */
	struct dbenv_place	*place;		/* moved on */
	/* Set by dbenv_sweep(). */
	uint64_t		 removed;
	bool			 ended;
};

/* Goes on from the place in one transaction, and removes what is to go. After
 * the last record, and after a failure, the place is the beginning again. */
int	dbenv_sweep(struct dbenv *e, struct dbenv_sweep *s, struct err *reterr);

#endif
