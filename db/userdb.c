/*
 * userdb.c - users, their addresses, and the order of their creation, in four
 * btrees that change together. Runs in authd-core only.
 *
 *	users		user			-> record (record.h)
 *	addresses	address			-> user; the user's own one too
 *	aliases		user NUL address	-> nothing; not the own one
 *	order		seq (8 octets)		-> user
 *
 * Invariant: each change keeps the four in step within one transaction.
 */
#include "config.h"

#include "db/userdb.h"

#include <stdlib.h>
#include <string.h>

#include "db/dbenv_private.h"
#include "lib/str.h"

#define USERDB_ALIAS_KEY_MAX (2 * MAILBOX_SIZE)

struct userdb {
	struct dbenv	*env;
	DB		*users;
	DB		*addresses;
	DB		*aliases;
	DB		*order;
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

void
userdb_close(struct userdb *db)
{
	if (db == NULL)
		return;
	if (db->users != NULL)
		(void)db->users->close(db->users, 0);
	if (db->addresses != NULL)
		(void)db->addresses->close(db->addresses, 0);
	if (db->aliases != NULL)
		(void)db->aliases->close(db->aliases, 0);
	if (db->order != NULL)
		(void)db->order->close(db->order, 0);
	free(db);
}

int
userdb_open(struct dbenv *env, struct userdb **ret, struct err *reterr)
{
	struct userdb *db;
	int r;

	if ((db = calloc(1, sizeof(*db))) == NULL)
		return err_set(reterr, ERR_NOMEM, "no memory");
	db->env = env;
	if ((r = dbenv_open_db(env, "users.db", &db->users, reterr)) != 0 ||
	    (r = dbenv_open_db(env, "addresses.db", &db->addresses,
	    reterr)) != 0 ||
	    (r = dbenv_open_db(env, "aliases.db", &db->aliases,
	    reterr)) != 0 ||
	    (r = dbenv_open_db(env, "order.db", &db->order, reterr)) != 0) {
		userdb_close(db);
		return r;
	}
	*ret = db;
	return 0;
}

static int
userdb_read(struct userdb *db, DB_TXN *txn, const char *user, uint32_t flags,
    struct user_record *ret)
{
	uint8_t v[RECORD_MAX];
	struct dbenv_item it = { .p = v, .size = sizeof(v) };
	int rc;

	rc = dbenv_get(db->users, txn, user, strlen(user), &it, flags);
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
	rc = dbenv_put(db->users, txn, user, strlen(user), v, (size_t)n,
	    flags);
	explicit_bzero(v, sizeof(v));
	return rc;
}

/* The text of a failed look-up of `user`. */
static int
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

/* Codes as in dbenv_private.h. */
static int
userdb_address_user(struct userdb *db, DB_TXN *txn, const char *address,
    uint32_t flags, char ret_user[MAILBOX_SIZE])
{
	struct dbenv_item it = { .p = ret_user, .size = MAILBOX_MAX };
	int rc;

	rc = dbenv_get(db->addresses, txn, address, strlen(address), &it,
	    flags);
	ret_user[rc == 0 ? it.len : 0] = '\0';
	return rc;
}

/* Claims an address for a user; ERR_EXISTS names who has it. */
static int
userdb_claim(struct userdb *db, DB_TXN *txn, const char *address,
    const char *user, struct err *reterr)
{
	char owner[MAILBOX_SIZE];
	int rc;

	rc = userdb_address_user(db, txn, address, DB_RMW, owner);
	if (rc == 0 && strcmp(owner, address) == 0)
		return err_set(reterr, ERR_EXISTS, "there is a user %s already",
		    address);
	if (rc == 0)
		return err_set(reterr, ERR_EXISTS,
		    "%s is an alias of %s already", address, owner);
	if (rc != DB_NOTFOUND)
		return rc;
	return dbenv_put(db->addresses, txn, address, strlen(address), user,
	    strlen(user), 0);
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

	rc = dbenv_next(db->order, txn, &k, &v, DB_LAST);
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

static int
userdb_add_txn(void *ctx, DB_TXN *txn, struct err *reterr)
{
	struct userdb_job *j = ctx;
	struct user_record r = *j->record;
	uint8_t key[8];
	int rc;

	if ((rc = userdb_claim(j->db, txn, j->user, j->user, reterr)) == 0 &&
	    (rc = userdb_next_seq(j->db, txn, &r.seq)) == 0) {
		userdb_seq_key(r.seq, key);
		rc = dbenv_put(j->db->order, txn, key, sizeof(key), j->user,
		    strlen(j->user), DB_NOOVERWRITE);
	}
	if (rc == 0) {
		rc = userdb_write(j->db, txn, j->user, &r, DB_NOOVERWRITE);
		if (rc == ERR_LIMIT)
			(void)userdb_said(j->db, rc, j->user, reterr);
	}
	record_user_clear(&r);
	return rc;
}

int
userdb_add(struct userdb *db, const char *user, const struct user_record *r,
    struct err *reterr)
{
	struct userdb_job j = { .db = db, .user = user, .record = r };

	return dbenv_txn(db->env, DBENV_SYNC, userdb_add_txn, &j, user,
	    reterr);
}

static int
userdb_update_txn(void *ctx, DB_TXN *txn, struct err *reterr)
{
	struct userdb_job *j = ctx;
	struct user_record r;
	uint64_t seq;
	int rc;

	rc = userdb_read(j->db, txn, j->user, DB_RMW, &r);
	if (rc == DB_NOTFOUND || rc == ERR_CORRUPT)
		return userdb_said(j->db, rc, j->user, reterr);
	if (rc != 0)
		return rc;
	seq = r.seq;
	if ((rc = j->edit(j->edit_ctx, &r)) == 0) {
		r.seq = seq;
		rc = userdb_write(j->db, txn, j->user, &r, 0);
		if (rc == ERR_LIMIT)
			(void)userdb_said(j->db, rc, j->user, reterr);
	}
	if (rc == 0 && j->ret != NULL)
		*j->ret = r;
	record_user_clear(&r);
	return rc;
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

/* The key in `aliases`; returns its length. */
static size_t
userdb_alias_key(const char *user, const char *address,
    char key[USERDB_ALIAS_KEY_MAX])
{
	size_t ulen = strlen(user) + 1, alen = strlen(address);

	memcpy(key, user, ulen);
	memcpy(key + ulen, address, alen);
	return ulen + alen;
}

static int
userdb_alias_after(struct userdb *db, DB_TXN *txn, const char *user,
    char address[MAILBOX_SIZE])
{
	char key[USERDB_ALIAS_KEY_MAX];
	uint8_t none[1];
	size_t ulen = strlen(user) + 1;
	struct dbenv_item k = { .p = key, .size = sizeof(key) };
	struct dbenv_item v = { .p = none, .size = sizeof(none) };
	int rc;

	k.len = userdb_alias_key(user, address, key);
	if ((rc = dbenv_next(db->aliases, txn, &k, &v, 0)) != 0)
		return rc;
	if (k.len <= ulen || memcmp(key, user, ulen) != 0)
		return DB_NOTFOUND;
	return str_copy_n(address, MAILBOX_SIZE, key + ulen, k.len - ulen);
}

static int
userdb_drop_aliases(struct userdb *db, DB_TXN *txn, const char *user)
{
	char address[MAILBOX_SIZE] = "", key[USERDB_ALIAS_KEY_MAX];
	size_t len;
	int rc;

	while ((rc = userdb_alias_after(db, txn, user, address)) == 0) {
		len = userdb_alias_key(user, address, key);
		if ((rc = dbenv_del(db->aliases, txn, key, len)) != 0 ||
		    (rc = dbenv_del(db->addresses, txn, address,
		    strlen(address))) != 0)
			return rc;
	}
	return rc == DB_NOTFOUND ? 0 : rc;
}

static int
userdb_delete_txn(void *ctx, DB_TXN *txn, struct err *reterr)
{
	struct userdb_job *j = ctx;
	struct userdb *db = j->db;
	struct user_record r;
	uint8_t key[8];
	int rc;

	rc = userdb_read(db, txn, j->user, DB_RMW, &r);
	if (rc == DB_NOTFOUND || rc == ERR_CORRUPT)
		return userdb_said(db, rc, j->user, reterr);
	if (rc != 0)
		return rc;
	userdb_seq_key(r.seq, key);
	if ((rc = userdb_drop_aliases(db, txn, j->user)) == 0 &&
	    (rc = dbenv_del(db->addresses, txn, j->user,
	    strlen(j->user))) == 0 &&
	    (rc = dbenv_del(db->order, txn, key, sizeof(key))) == 0)
		rc = dbenv_del(db->users, txn, j->user, strlen(j->user));
	if (rc == 0 && j->ret != NULL)
		*j->ret = r;
	record_user_clear(&r);
	return rc;
}

int
userdb_delete(struct userdb *db, const char *user, struct user_record *ret,
    struct err *reterr)
{
	struct userdb_job j = { .db = db, .user = user, .ret = ret };

	return dbenv_txn(db->env, DBENV_SYNC, userdb_delete_txn, &j, user,
	    reterr);
}

static int
userdb_alias_add_txn(void *ctx, DB_TXN *txn, struct err *reterr)
{
	struct userdb_job *j = ctx;
	struct user_record r;
	char key[USERDB_ALIAS_KEY_MAX];
	size_t len;
	int rc;

	/* DB_RMW: nobody may delete the user meanwhile. */
	rc = userdb_read(j->db, txn, j->user, DB_RMW, &r);
	record_user_clear(&r);
	if (rc == DB_NOTFOUND || rc == ERR_CORRUPT)
		return userdb_said(j->db, rc, j->user, reterr);
	if (rc != 0 || (rc = userdb_claim(j->db, txn, j->address, j->user,
	    reterr)) != 0)
		return rc;
	len = userdb_alias_key(j->user, j->address, key);
	return dbenv_put(j->db->aliases, txn, key, len, "", 0, 0);
}

int
userdb_alias_add(struct userdb *db, const char *address, const char *user,
    struct err *reterr)
{
	struct userdb_job j = { .db = db, .user = user, .address = address };

	return dbenv_txn(db->env, DBENV_SYNC, userdb_alias_add_txn, &j,
	    address, reterr);
}

static int
userdb_alias_delete_txn(void *ctx, DB_TXN *txn, struct err *reterr)
{
	struct userdb_job *j = ctx;
	char user[MAILBOX_SIZE], key[USERDB_ALIAS_KEY_MAX];
	size_t len;
	int rc;

	rc = userdb_address_user(j->db, txn, j->address, DB_RMW, user);
	if (rc == DB_NOTFOUND)
		return err_set(reterr, ERR_NOTFOUND, "there is no alias %s",
		    j->address);
	if (rc != 0)
		return rc;
	if (strcmp(user, j->address) == 0)
		return err_set(reterr, ERR_DENIED,
		    "%s is the user's own address, not an alias", j->address);
	len = userdb_alias_key(user, j->address, key);
	if ((rc = dbenv_del(j->db->aliases, txn, key, len)) != 0)
		return rc;
	if (j->ret_user != NULL)
		memcpy(j->ret_user, user, MAILBOX_SIZE);
	return dbenv_del(j->db->addresses, txn, j->address,
	    strlen(j->address));
}

int
userdb_alias_delete(struct userdb *db, const char *address,
    char ret_user[MAILBOX_SIZE], struct err *reterr)
{
	struct userdb_job j = { .db = db, .address = address,
	    .ret_user = ret_user };

	return dbenv_txn(db->env, DBENV_SYNC, userdb_alias_delete_txn, &j,
	    address, reterr);
}

int
userdb_alias_next(struct userdb *db, const char *user,
    char address[MAILBOX_SIZE], struct err *reterr)
{
	return dbenv_result(db->env, userdb_alias_after(db, NULL, user,
	    address), user, reterr);
}

int
userdb_resolve(struct userdb *db, const char *address,
    char ret_user[MAILBOX_SIZE], struct err *reterr)
{
	return dbenv_result(db->env, userdb_address_user(db, NULL, address, 0,
	    ret_user), address, reterr);
}

int
userdb_find_local(struct userdb *db, const char *local,
    const struct conf_list *local_domains, char ret_user[MAILBOX_SIZE],
    struct err *reterr)
{
	char user[MAILBOX_SIZE], owner[MAILBOX_SIZE];
	size_t found = 0;
	int rc;

	for (size_t i = 0; i < local_domains->n; i++) {
		if (str_format(user, sizeof(user), "%s@%s", local,
		    local_domains->v[i]) != 0)
			continue;
		rc = userdb_address_user(db, NULL, user, 0, owner);
		if (rc == DB_NOTFOUND || (rc == 0 && strcmp(user, owner) != 0))
			continue;
		if (rc != 0)
			return dbenv_result(db->env, rc, user, reterr);
		if (found++ > 0)
			return err_set(reterr, ERR_EXISTS,
			    "%s exists in several local domains", local);
		memcpy(ret_user, user, MAILBOX_SIZE);
	}
	if (found == 0)
		return err_set(reterr, ERR_NOTFOUND, "there is no user %s",
		    local);
	return 0;
}

int
userdb_first(struct userdb *db, char ret_user[MAILBOX_SIZE],
    struct err *reterr)
{
	uint8_t key[8];
	struct dbenv_item k = { .p = key, .size = sizeof(key) };
	struct dbenv_item v = { .p = ret_user, .size = MAILBOX_MAX };
	int rc;

	rc = dbenv_next(db->order, NULL, &k, &v, 0);
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
	int rc;

	if ((rc = dbenv_next(db->users, NULL, &k, &it, 0)) == 0) {
		user[k.len] = '\0';
		rc = record_user_decode(v, it.len, ret);
		if (rc != 0)
			return userdb_said(db, rc, user, reterr);
	}
	explicit_bzero(v, sizeof(v));
	return dbenv_result(db->env, rc, "users", reterr);
}
