/*
 * userdb.h - the users and the addresses that reach them.
 *
 * A user is a canonical full address (lib/mailbox.h); the user's own address
 * is one of the addresses too. Every change is one transaction, on stable
 * storage before it returns 0. Reads cost microseconds and hold no lock
 * afterwards. Names given here must be canonical; they are not made so.
 */
#ifndef SUBMITD_DB_USERDB_H
#define SUBMITD_DB_USERDB_H

#include "db/dbenv.h"
#include "db/record.h"
#include "lib/conf.h"
#include "lib/err.h"
#include "lib/mailbox.h"

struct userdb;

/* `env` is borrowed and must outlive it. */
int	userdb_open(struct dbenv *env, struct userdb **ret,
	    struct err *reterr);
void	userdb_close(struct userdb *db);	/* NULL is fine */

/* `fn` hears of each change of a record (NULL: he was not, or will not be,
 * there): on the thread that makes it, just before it is on stable storage. It
 * also hears of what is repeated or given up after all. Set once, before there
 * are threads. */
typedef void userdb_watch_fn(void *ctx, const char *user,
	    const struct user_record *was, const struct user_record *is);
void	userdb_set_watch(struct userdb *db, userdb_watch_fn *fn, void *ctx);

/* ERR_NOTFOUND: no such user. Other errors are ours: refuse for now (4xx). */
int	userdb_get(struct userdb *db, const char *user,
	    struct user_record *ret, struct err *reterr);

/* Adds the user and his own address. seq is set here; one that is not 0 is
 * kept where it is free. ERR_EXISTS: the user is
 * there, or the address is another user's alias (the text says which). */
int	userdb_add(struct userdb *db, const char *user,
	    const struct user_record *r, struct err *reterr);

/* Reads the record, lets `edit` change it, writes it back; all in one
 * transaction. `edit` may be called again when the transaction has to be
 * repeated, each time with what is stored; a result that is not 0 gives the
 * change up and is returned. ERR_NOTFOUND. `ret` (or NULL) is what was
 * written. */
typedef int userdb_edit_fn(void *ctx, struct user_record *r);
int	userdb_update(struct userdb *db, const char *user,
	    userdb_edit_fn *edit, void *ctx, struct user_record *ret,
	    struct err *reterr);

/* The same for a change that takes a right away, or gives another password: it
 * is made at a full disk too, as are the removals below. */
int	userdb_take(struct userdb *db, const char *user, userdb_edit_fn *edit,
	    void *ctx, struct user_record *ret, struct err *reterr);

/* Removes the user, all his addresses, and who may act for whom with him.
 * `ret` (or NULL) is what was there. ERR_NOTFOUND. */
int	userdb_delete(struct userdb *db, const char *user,
	    struct user_record *ret, struct err *reterr);

/* ERR_NOTFOUND: no such user. ERR_EXISTS: the address is taken (by whom is in
 * the text). */
int	userdb_alias_add(struct userdb *db, const char *address,
	    const char *user, struct err *reterr);
/* `ret_user` (or NULL) is whose it was. ERR_NOTFOUND; ERR_DENIED: it is a
 * user's own address. */
int	userdb_alias_delete(struct userdb *db, const char *address,
	    char ret_user[MAILBOX_SIZE], struct err *reterr);
/* The alias of `user` that follows `address` in order; "" gives the first.
 * ERR_NOTFOUND at the end. */
int	userdb_alias_next(struct userdb *db, const char *user,
	    char address[MAILBOX_SIZE], struct err *reterr);
/* The alias of any user that follows this pair ("" gives the first). */
int	userdb_alias_next_pair(struct userdb *db, char user[MAILBOX_SIZE],
	    char address[MAILBOX_SIZE], struct err *reterr);

/* The user whom this address reaches: it is his own or an alias; or without
 * its "+tag" it is; or "@domain" is his alias. ERR_NOTFOUND. */
int	userdb_resolve(struct userdb *db, const char *address,
	    char ret_user[MAILBOX_SIZE], struct err *reterr);

/* A bare local part (lower case): the user in default_domain (NULL: none) if
 * he is there; else in the local domains, when exactly one of them has such a
 * user. ERR_NOTFOUND: none; ERR_EXISTS: several. */
int	userdb_find_local(struct userdb *db, const char *local,
	    const char *default_domain, const struct conf_list *local_domains,
	    char ret_user[MAILBOX_SIZE], struct err *reterr);

/* The user with this certificate (SHA-256 of its DER) among his credentials;
 * it is at most one's: userdb_add() and userdb_update() of another one with it
 * are ERR_EXISTS. ERR_NOTFOUND. */
int	userdb_find_certificate(struct userdb *db,
	    const uint8_t fingerprint[RECORD_KEY],
	    char ret_user[MAILBOX_SIZE], struct err *reterr);

/* `actor` may log in as himself and act for `user`: 0, ERR_NOTFOUND. */
int	userdb_allows_as(struct userdb *db, const char *actor,
	    const char *user, struct err *reterr);
/* ERR_NOTFOUND: one of the users is not there; ERR_EXISTS; ERR_DENIED: they
 * are the same. */
int	userdb_allow_as_add(struct userdb *db, const char *actor,
	    const char *user, struct err *reterr);
int	userdb_allow_as_delete(struct userdb *db, const char *actor,
	    const char *user, struct err *reterr);	/* ERR_NOTFOUND */
/* The one behind `user` ("": the first) for whom `actor` may act. */
int	userdb_allow_as_next(struct userdb *db, const char *actor,
	    char user[MAILBOX_SIZE], struct err *reterr);

/* How many there are; kept, so that it costs one read. */
enum userdb_count {
	USERDB_COUNT_USERS,
	USERDB_COUNT_SECRETS,		/* users who have a sealed secret */
	USERDB_COUNT__END
};
int	userdb_count(struct userdb *db, enum userdb_count what,
	    uint64_t *ret, struct err *reterr);
/* Counts anew by going through all users; nobody may change any meanwhile. */
int	userdb_recount(struct userdb *db, struct err *reterr);

/* The user that was created first among those that are there. ERR_NOTFOUND. */
int	userdb_first(struct userdb *db, char ret_user[MAILBOX_SIZE],
	    struct err *reterr);

/* The user that follows `user` in order ("" gives the first) and his record:
 * goes through all without holding a lock between calls. ERR_NOTFOUND;
 * ERR_CORRUPT: his record is unreadable, the next call passes over it. */
int	userdb_next(struct userdb *db, char user[MAILBOX_SIZE],
	    struct user_record *ret, struct err *reterr);

#endif
