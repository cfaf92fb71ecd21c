/*
 * userdb_private.h - what the parts of userdb share: users, their addresses,
 * and what is kept in step with a record, all within one transaction. Included
 * by db/ alone.
 *
 *	users		user			-> record (record.h)
 *	addresses	address			-> user; the user's own one too
 *	aliases		user NUL address	-> nothing; not the own one
 *	order		seq (8 octets)		-> user
 *	certificates	SHA-256 (32 octets)	-> user
 *	allowed		'a' actor NUL user	-> nothing
 *			'u' user NUL actor	-> nothing; the same, reversed
 *	counts		name			-> number (8 octets)
 *
 * Functions that take a transaction return codes of either kind (see
 * dbenv_private.h); those of ours have their text.
 */
#ifndef SUBMITD_DB_USERDB_PRIVATE_H
#define SUBMITD_DB_USERDB_PRIVATE_H

#include "db/dbenv_private.h"
#include "db/userdb.h"

#define USERDB_PAIR_KEY_MAX (2 * MAILBOX_SIZE + 1)

enum userdb_btree {
	USERDB_USERS, USERDB_ADDRESSES, USERDB_ALIASES, USERDB_ORDER,
	USERDB_CERTIFICATES, USERDB_ALLOWED, USERDB_COUNTS,
	USERDB_BTREE__COUNT
};

struct userdb {
	struct dbenv	*env;
	DB		*db[USERDB_BTREE__COUNT];
	userdb_watch_fn	*watch;		/* or NULL */
	void		*watch_ctx;
};

/* What a transaction works on; a member is NULL where it has no meaning. */
struct userdb_job {
	struct userdb		*db;
	const char		*user;
	const char		*address;
	const struct user_record *record;	/* to be added */
	userdb_edit_fn		*edit;
	void			*edit_ctx;
	struct user_record	*ret;
	char			*ret_user;
};

int	userdb_read(struct userdb *db, DB_TXN *txn, const char *user,
	    uint32_t flags, struct user_record *ret);
/* The text of a failed look-up of `user`; returns one of our codes. */
int	userdb_said(struct userdb *db, int rc, const char *user,
	    struct err *reterr);
/* Locks the user's record until the transaction ends; ERR_NOTFOUND. */
int	userdb_hold(struct userdb *db, DB_TXN *txn, const char *user,
	    struct err *reterr);

/* One change each, for who makes many in a transaction of his own. As the
 * functions of userdb.h of the same name; `ret` may be NULL. */
int	userdb_add_in(struct userdb *db, DB_TXN *txn, const char *user,
	    const struct user_record *r, struct err *reterr);
int	userdb_update_in(struct userdb *db, DB_TXN *txn, const char *user,
	    userdb_edit_fn *edit, void *ctx, struct user_record *ret,
	    struct err *reterr);
int	userdb_delete_in(struct userdb *db, DB_TXN *txn, const char *user,
	    struct user_record *ret, struct err *reterr);
int	userdb_alias_add_in(struct userdb *db, DB_TXN *txn,
	    const char *address, const char *user, struct err *reterr);
int	userdb_alias_delete_in(struct userdb *db, DB_TXN *txn,
	    const char *address, char ret_user[MAILBOX_SIZE],
	    struct err *reterr);
int	userdb_allow_as_add_in(struct userdb *db, DB_TXN *txn,
	    const char *actor, const char *user, struct err *reterr);
int	userdb_allow_as_delete_in(struct userdb *db, DB_TXN *txn,
	    const char *actor, const char *user, struct err *reterr);

/* Whose address it is, his own or an alias, exactly; codes as in
 * dbenv_private.h. */
int	userdb_address_user(struct userdb *db, DB_TXN *txn,
	    const char *address, uint32_t flags, char ret_user[MAILBOX_SIZE]);

/* userdb_address.c: claims an address for a user (ERR_EXISTS names who has
 * it); drops all his aliases. */
int	userdb_claim(struct userdb *db, DB_TXN *txn, const char *address,
	    const char *user, struct err *reterr);
int	userdb_drop_aliases(struct userdb *db, DB_TXN *txn, const char *user);

/* userdb_index.c: takes certificates and counts from what a record was to what
 * it is; NULL: it is not there. */
int	userdb_index(struct userdb *db, DB_TXN *txn, const char *user,
	    const struct user_record *was, const struct user_record *is,
	    struct err *reterr);
int	userdb_drop_allowed(struct userdb *db, DB_TXN *txn, const char *user);
/* Counts once what a database has that never counted. */
int	userdb_counts_open(struct userdb *db, struct err *reterr);

/* `prefix` first NUL second: a pair's key; returns its length. The key that
 * follows `second` ("" gives the first) among those of the same prefix and
 * first: DB_NOTFOUND at the end. `prefix` 0: none. */
size_t	userdb_pair_key(char prefix, const char *first, const char *second,
	    char key[USERDB_PAIR_KEY_MAX]);
int	userdb_pair_next(DB *db, DB_TXN *txn, char prefix, const char *first,
	    char second[MAILBOX_SIZE]);

#endif
