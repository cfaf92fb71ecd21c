/*
 * userdb.c - users and the order of their creation. Runs in authd-core only.
 *
 * Invariant: each change keeps all btrees (userdb_private.h) in step within one
 * transaction.
 */
#include "config.h"

#include "db/userdb.h"

#include <stdlib.h>
#include <string.h>

#include "db/userdb_private.h"
#include "lib/str.h"

static const char *const userdb_files[] = {
	[USERDB_USERS] = "users.db", [USERDB_ADDRESSES] = "addresses.db",
	[USERDB_ALIASES] = "aliases.db", [USERDB_ORDER] = "order.db",
	[USERDB_CERTIFICATES] = "certificates.db",
	[USERDB_ALLOWED] = "allowed.db", [USERDB_COUNTS] = "counts.db",
};

#define USERDB_SEQ_MAX ((uint64_t)1 << 48)	/* that one may ask for */

_Static_assert(sizeof(userdb_files) / sizeof(userdb_files[0]) ==
    USERDB_BTREE__COUNT, "each btree has a file");

void
userdb_close(struct userdb *db)
{
	if (db == NULL)
		return;
	for (size_t i = 0; i < USERDB_BTREE__COUNT; i++)
		if (db->db[i] != NULL)
			(void)db->db[i]->close(db->db[i], 0);
	free(db);
}

int
userdb_open(struct dbenv *env, struct userdb **ret, struct err *reterr)
{
	struct userdb *db;
	int r = 0;

	if ((db = calloc(1, sizeof(*db))) == NULL)
		return err_set(reterr, ERR_NOMEM, "no memory");
	db->env = env;
	for (size_t i = 0; r == 0 && i < USERDB_BTREE__COUNT; i++)
		r = dbenv_open_db(env, userdb_files[i], &db->db[i], reterr);
	if (r == 0)
		r = userdb_counts_open(db, reterr);
	if (r != 0) {
		userdb_close(db);
		return r;
	}
	*ret = db;
	return 0;
}

void
userdb_set_watch(struct userdb *db, userdb_watch_fn *fn, void *ctx)
{
	db->watch = fn;
	db->watch_ctx = ctx;
}

int
userdb_read(struct userdb *db, DB_TXN *txn, const char *user, uint32_t flags,
    struct user_record *ret)
{
	uint8_t v[RECORD_MAX];
	struct dbenv_item it = { .p = v, .size = sizeof(v) };
	int rc;

	rc = dbenv_get(db->db[USERDB_USERS], txn, user, strlen(user), &it,
	    flags);
	if (rc == 0)
		rc = record_user_decode(v, it.len, ret);
	explicit_bzero(v, sizeof(v));
	return rc;
}

static int
userdb_write(struct userdb *db, DB_TXN *txn, const char *user,
    const struct user_record *r, uint32_t flags)
{
	uint8_t v[RECORD_MAX];
	int n, rc;

	if ((n = record_user_encode(r, v, sizeof(v))) < 0)
		return n;
	rc = dbenv_put(db->db[USERDB_USERS], txn, user, strlen(user), v,
	    (size_t)n, flags);
	explicit_bzero(v, sizeof(v));
	return rc;
}

int
userdb_said(struct userdb *db, int rc, const char *user, struct err *reterr)
{
	if (rc == DB_NOTFOUND)
		return err_set(reterr, ERR_NOTFOUND, "there is no user %s",
		    user);
	if (rc == ERR_CORRUPT)
		return err_set(reterr, rc,
		    "the record of user %s is unreadable", user);
	if (rc == ERR_LIMIT)
		return err_set(reterr, rc,
		    "the record of user %s has a value out of bounds", user);
	return dbenv_result(db->env, rc, user, reterr);
}

int
userdb_get(struct userdb *db, const char *user, struct user_record *ret,
    struct err *reterr)
{
	return userdb_said(db, userdb_read(db, NULL, user, 0, ret), user,
	    reterr);
}

static void
userdb_seq_key(uint64_t seq, uint8_t key[8])
{
	for (unsigned int i = 0; i < 8; i++)
		key[i] = (uint8_t)(seq >> (56 - 8 * i));
}

static int
userdb_next_seq(struct userdb *db, DB_TXN *txn, uint64_t *ret)
{
	uint8_t key[8];
	char user[MAILBOX_SIZE];
	struct dbenv_item k = { .p = key, .size = sizeof(key) };
	struct dbenv_item v = { .p = user, .size = sizeof(user) };
	uint64_t seq = 0;
	int rc;

	rc = dbenv_next(db->db[USERDB_ORDER], txn, &k, &v, DB_LAST);
	if (rc == DB_NOTFOUND) {
		*ret = 1;
		return 0;
	}
	if (rc != 0)
		return rc;
	for (unsigned int i = 0; i < 8; i++)
		seq = seq << 8 | key[i];
	*ret = seq + 1;
	return 0;
}

/* The place in the order of creation that an imported user asks for, if it is
 * free; else the next one. */
static int
userdb_take_seq(struct userdb *db, DB_TXN *txn, const char *user,
    uint64_t *seq)
{
	uint8_t key[8];
	int rc = DB_KEYEXIST;

	if (*seq != 0 && *seq <= USERDB_SEQ_MAX) {
		userdb_seq_key(*seq, key);
		rc = dbenv_put(db->db[USERDB_ORDER], txn, key, sizeof(key),
		    user, strlen(user), DB_NOOVERWRITE);
	}
	if (rc != DB_KEYEXIST)
		return rc;
	if ((rc = userdb_next_seq(db, txn, seq)) != 0)
		return rc;
	userdb_seq_key(*seq, key);
	return dbenv_put(db->db[USERDB_ORDER], txn, key, sizeof(key), user,
	    strlen(user), DB_NOOVERWRITE);
}

int
userdb_hold(struct userdb *db, DB_TXN *txn, const char *user,
    struct err *reterr)
{
	struct user_record r;
	int rc = userdb_read(db, txn, user, DB_RMW, &r);

	if (rc == 0)
		record_user_clear(&r);
	return rc == DB_NOTFOUND || rc == ERR_CORRUPT ?
	    userdb_said(db, rc, user, reterr) : rc;
}

/* The record with all that is kept in step with it. */
static int
userdb_store(struct userdb *db, DB_TXN *txn, const char *user,
    const struct user_record *was, const struct user_record *is,
    struct err *reterr)
{
	int rc;

	rc = userdb_write(db, txn, user, is, was == NULL ? DB_NOOVERWRITE : 0);
	if (rc == ERR_LIMIT)
		return userdb_said(db, rc, user, reterr);
	return rc != 0 ? rc : userdb_index(db, txn, user, was, is, reterr);
}

int
userdb_add_in(struct userdb *db, DB_TXN *txn, const char *user,
    const struct user_record *r, struct err *reterr)
{
	struct user_record rec = *r;
	int rc;

	if ((rc = userdb_claim(db, txn, user, user, reterr)) == 0 &&
	    (rc = userdb_take_seq(db, txn, user, &rec.seq)) == 0)
		rc = userdb_store(db, txn, user, NULL, &rec, reterr);
	record_user_clear(&rec);
	return rc;
}

static int
userdb_add_txn(void *ctx, DB_TXN *txn, struct err *reterr)
{
	struct userdb_job *j = ctx;

	return userdb_add_in(j->db, txn, j->user, j->record, reterr);
}

int
userdb_add(struct userdb *db, const char *user, const struct user_record *r,
    struct err *reterr)
{
	struct userdb_job j = { .db = db, .user = user, .record = r };

	return dbenv_txn(db->env, DBENV_SYNC, userdb_add_txn, &j, user,
	    reterr);
}

int
userdb_update_in(struct userdb *db, DB_TXN *txn, const char *user,
    userdb_edit_fn *edit, void *ctx, struct user_record *ret,
    struct err *reterr)
{
	struct user_record was, is;
	int rc;

	rc = userdb_read(db, txn, user, DB_RMW, &was);
	if (rc == DB_NOTFOUND || rc == ERR_CORRUPT)
		return userdb_said(db, rc, user, reterr);
	if (rc != 0)
		return rc;
	is = was;
	if ((rc = edit(ctx, &is)) == 0) {
		is.seq = was.seq;
		rc = userdb_store(db, txn, user, &was, &is, reterr);
	}
	if (rc == 0 && ret != NULL)
		*ret = is;
	record_user_clear(&was);
	record_user_clear(&is);
	return rc;
}

static int
userdb_update_txn(void *ctx, DB_TXN *txn, struct err *reterr)
{
	struct userdb_job *j = ctx;

	return userdb_update_in(j->db, txn, j->user, j->edit, j->edit_ctx,
	    j->ret, reterr);
}

int
userdb_update(struct userdb *db, const char *user, userdb_edit_fn *edit,
    void *ctx, struct user_record *ret, struct err *reterr)
{
	struct userdb_job j = { .db = db, .user = user, .edit = edit,
	    .edit_ctx = ctx, .ret = ret };

	return dbenv_txn(db->env, DBENV_SYNC, userdb_update_txn, &j, user,
	    reterr);
}

int
userdb_take(struct userdb *db, const char *user, userdb_edit_fn *edit,
    void *ctx, struct user_record *ret, struct err *reterr)
{
	struct userdb_job j = { .db = db, .user = user, .edit = edit,
	    .edit_ctx = ctx, .ret = ret };

	return dbenv_txn_taking(db->env, userdb_update_txn, &j, user, reterr);
}

int
userdb_delete_in(struct userdb *db, DB_TXN *txn, const char *user,
    struct user_record *ret, struct err *reterr)
{
	struct user_record r;
	uint8_t key[8];
	int rc;

	rc = userdb_read(db, txn, user, DB_RMW, &r);
	if (rc == DB_NOTFOUND || rc == ERR_CORRUPT)
		return userdb_said(db, rc, user, reterr);
	if (rc != 0)
		return rc;
	userdb_seq_key(r.seq, key);
	if ((rc = userdb_drop_aliases(db, txn, user)) == 0 &&
	    (rc = userdb_drop_allowed(db, txn, user)) == 0 &&
	    (rc = userdb_index(db, txn, user, &r, NULL, reterr)) == 0 &&
	    (rc = dbenv_del(db->db[USERDB_ADDRESSES], txn, user,
	    strlen(user))) == 0 &&
	    (rc = dbenv_del(db->db[USERDB_ORDER], txn, key,
	    sizeof(key))) == 0)
		rc = dbenv_del(db->db[USERDB_USERS], txn, user, strlen(user));
	if (rc == 0 && ret != NULL)
		*ret = r;
	record_user_clear(&r);
	return rc;
}

static int
userdb_delete_txn(void *ctx, DB_TXN *txn, struct err *reterr)
{
	struct userdb_job *j = ctx;

	return userdb_delete_in(j->db, txn, j->user, j->ret, reterr);
}

int
userdb_delete(struct userdb *db, const char *user, struct user_record *ret,
    struct err *reterr)
{
	struct userdb_job j = { .db = db, .user = user, .ret = ret };

	return dbenv_txn_taking(db->env, userdb_delete_txn, &j, user, reterr);
}

int
userdb_first(struct userdb *db, char ret_user[MAILBOX_SIZE],
    struct err *reterr)
{
	uint8_t key[8];
	struct dbenv_item k = { .p = key, .size = sizeof(key) };
	struct dbenv_item v = { .p = ret_user, .size = MAILBOX_MAX };
	int rc;

	rc = dbenv_next(db->db[USERDB_ORDER], NULL, &k, &v, 0);
	ret_user[rc == 0 ? v.len : 0] = '\0';
	return dbenv_result(db->env, rc, "first user", reterr);
}

int
userdb_next(struct userdb *db, char user[MAILBOX_SIZE],
    struct user_record *ret, struct err *reterr)
{
	uint8_t v[RECORD_MAX];
	struct dbenv_item k = { .p = user, .len = strlen(user),
	    .size = MAILBOX_MAX };
	struct dbenv_item it = { .p = v, .size = sizeof(v) };
	int rc = dbenv_next(db->db[USERDB_USERS], NULL, &k, &it, 0);

	if (rc == ERR_CORRUPT)	/* who goes on would get here again */
		return err_set(reterr, ERR_SYSTEM, "what follows user %s in "
		    "the database is unreadable: restore a backup", user);
	if (rc == 0) {
		user[k.len] = '\0';
		rc = record_user_decode(v, it.len, ret);
	}
	explicit_bzero(v, sizeof(v));
	return rc == ERR_CORRUPT ? userdb_said(db, rc, user, reterr) :
	    dbenv_result(db->env, rc, "users", reterr);
}
