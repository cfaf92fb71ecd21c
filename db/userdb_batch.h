/*
 * userdb_batch.h - many users in one transaction: what an import does. Each
 * user is taken whole or not at all; the others of the batch are not held up
 * by one that cannot be taken.
 */
#ifndef SUBMITD_DB_USERDB_BATCH_H
#define SUBMITD_DB_USERDB_BATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "db/record.h"
#include "db/userdb.h"
#include "lib/err.h"

enum userdb_batch_result {
	USERDB_BATCH_KEPT,		/* left as he is */
	USERDB_BATCH_ADDED,
	USERDB_BATCH_UPDATED,
	USERDB_BATCH_UNCHANGED,
	USERDB_BATCH_FAILED		/* why: err */
};

/* Canonical addresses; borrowed. */
struct userdb_batch_list {
	const char	*const *v;
	size_t		 n;
	bool		 given;		/* else the list is not looked at */
	bool		 exact;		/* what is not in it is removed */
};

struct userdb_batch_item {
	const char			*user;		/* canonical */
	struct userdb_batch_list	 aliases;
	struct userdb_batch_list	 allow_as;	/* whom he may act for */
	enum userdb_batch_result	 result;	/* set here */
	struct err			 err;
};

enum userdb_batch_what {
	USERDB_BATCH_KEEP,	/* neither record nor lists are touched */
	USERDB_BATCH_SAME,	/* the record stays; the lists are looked at */
	USERDB_BATCH_PUT	/* *is is to be stored */
};

/* Decides for item `i`: `was` is what is stored, or NULL; *is begins as a copy
 * of it (or zeroes). One of the above, or an error code with its text. May be
 * called again when the transaction is repeated. */
typedef int userdb_batch_fn(void *ctx, size_t i,
	    const struct user_record *was, struct user_record *is,
	    struct err *reterr);

/* One transaction, on stable storage before it returns 0, unless `dry`: then
 * all is looked at and nothing written. An error means that nothing was changed. */
int	userdb_batch(struct userdb *db, struct userdb_batch_item *items,
	    size_t n, userdb_batch_fn *fn, void *ctx, bool dry,
	    struct err *reterr);

#endif
