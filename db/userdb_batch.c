/*
 * userdb_batch.c - many users in one transaction. Runs in authd-core only.
 *
 * What a user cannot be given is looked for before anything of his is written.
 * Where that was not enough, the transaction is given up and begun again
 * without him.
 */
#include "config.h"

#include "db/userdb_batch.h"

#include <string.h>

#include "db/userdb_private.h"

struct userdb_batch {
	struct userdb			*db;
	struct userdb_batch_item	*items;
	size_t				 n;
	userdb_batch_fn			*fn;
	void				*ctx;
	bool				 dry;
	bool				 again;	/* one failed halfway */
};

static bool
userdb_batch_is_ours(int rc)
{
	return rc < 0 && rc > -100;
}

static bool
userdb_batch_has(const struct userdb_batch_list *l, const char *s)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i], s) == 0)
			return true;
	return false;
}

/* Nobody else has his addresses. 0, an error of ours, or Berkeley DB's. */
static int
userdb_batch_is_free(struct userdb *db, DB_TXN *txn,
    const struct userdb_batch_item *it, bool is_new, struct err *reterr)
{
	char owner[MAILBOX_SIZE];
	int rc;

	if (is_new) {
		rc = userdb_address_user(db, txn, it->user, 0, owner);
		if (rc == 0)
			return err_set(reterr, ERR_EXISTS, "the address is an "
			    "alias of %s already: remove that first", owner);
		if (rc != DB_NOTFOUND)
			return rc;
	}
	for (size_t i = 0; it->aliases.given && i < it->aliases.n; i++) {
		rc = userdb_address_user(db, txn, it->aliases.v[i], 0, owner);
		if (rc == DB_NOTFOUND || (rc == 0 && strcmp(owner,
		    it->user) == 0 && strcmp(owner, it->aliases.v[i]) != 0))
			continue;
		return rc != 0 ? rc : err_set(reterr, ERR_EXISTS,
		    "%s reaches %s already: remove one of the two",
		    it->aliases.v[i], owner);
	}
	return 0;
}

static int
userdb_batch_aliases(const struct userdb_batch *b, DB_TXN *txn,
    const struct userdb_batch_item *it, bool *changed, struct err *reterr)
{
	struct userdb *db = b->db;
	char address[MAILBOX_SIZE] = "", owner[MAILBOX_SIZE];
	int rc = 0;

	while (it->aliases.exact && (rc = userdb_pair_next(
	    db->db[USERDB_ALIASES], txn, 0, it->user, address)) == 0) {
		if (userdb_batch_has(&it->aliases, address))
			continue;
		*changed = true;
		if (!b->dry && (rc = userdb_alias_delete_in(db, txn, address,
		    NULL, reterr)) != 0)
			return rc;
	}
	if (rc != 0 && rc != DB_NOTFOUND)
		return rc;
	for (size_t i = 0; i < it->aliases.n; i++) {
		rc = userdb_address_user(db, txn, it->aliases.v[i], 0, owner);
		if (rc == 0)
			continue;
		*changed = true;
		if (rc != DB_NOTFOUND)
			return rc;
		if (!b->dry && (rc = userdb_alias_add_in(db, txn,
		    it->aliases.v[i], it->user, reterr)) != 0)
			return rc;
	}
	return 0;
}

static int
userdb_batch_allow_as(const struct userdb_batch *b, DB_TXN *txn,
    const struct userdb_batch_item *it, bool *changed, struct err *reterr)
{
	struct userdb *db = b->db;
	char user[MAILBOX_SIZE] = "", key[USERDB_PAIR_KEY_MAX];
	uint8_t none[1];
	struct dbenv_item v = { .p = none, .size = sizeof(none) };
	size_t len;
	int rc = 0;

	while (it->allow_as.exact && (rc = userdb_pair_next(
	    db->db[USERDB_ALLOWED], txn, 'a', it->user, user)) == 0) {
		if (userdb_batch_has(&it->allow_as, user))
			continue;
		*changed = true;
		if (!b->dry && (rc = userdb_allow_as_delete_in(db, txn,
		    it->user, user, reterr)) != 0)
			return rc;
	}
	if (rc != 0 && rc != DB_NOTFOUND)
		return rc;
	for (size_t i = 0; i < it->allow_as.n; i++) {
		len = userdb_pair_key('a', it->user, it->allow_as.v[i], key);
		rc = dbenv_get(db->db[USERDB_ALLOWED], txn, key, len, &v, 0);
		if (rc == 0)
			continue;
		*changed = true;
		if (rc != DB_NOTFOUND)
			return rc;
		if (!b->dry && (rc = userdb_allow_as_add_in(db, txn,
		    it->user, it->allow_as.v[i], reterr)) != 0)
			return rc;
	}
	return 0;
}

static int
userdb_batch_edit(void *ctx, struct user_record *r)
{
	const struct user_record *is = ctx;

	*r = *is;
	return 0;
}

static int
userdb_batch_put(const struct userdb_batch *b, DB_TXN *txn,
    struct userdb_batch_item *it, struct user_record *is, bool is_new,
    struct err *reterr)
{
	uint8_t v[RECORD_MAX];
	int n;

	n = record_user_encode(is, v, sizeof(v));
	explicit_bzero(v, sizeof(v));
	if (n < 0)
		return err_set(reterr, n, "a value is out of bounds, or too "
		    "much is stored of this user");
	if (b->dry)
		return 0;
	if (is_new)
		return userdb_add_in(b->db, txn, it->user, is, reterr);
	return userdb_update_in(b->db, txn, it->user, userdb_batch_edit, is,
	    NULL, reterr);
}

/* *ret_written: something was, or may have been. */
static int
userdb_batch_one(struct userdb_batch *b, DB_TXN *txn, size_t i,
    bool *ret_written)
{
	struct userdb_batch_item *it = &b->items[i];
	struct user_record was, is = { 0 };
	bool is_new, changed = false;
	int rc, what;

	rc = userdb_read(b->db, txn, it->user, DB_RMW, &was);
	if (rc != 0 && rc != DB_NOTFOUND)
		return rc != ERR_CORRUPT ? rc :
		    userdb_said(b->db, rc, it->user, &it->err);
	is_new = rc == DB_NOTFOUND;
	if (!is_new)
		is = was;
	what = b->fn(b->ctx, i, is_new ? NULL : &was, &is, &it->err);
	record_user_clear(&was);
	it->result = USERDB_BATCH_KEPT;
	rc = what < 0 ? what : 0;
	if (what > USERDB_BATCH_KEEP)
		rc = userdb_batch_is_free(b->db, txn, it, is_new, &it->err);
	if (rc == 0 && what == USERDB_BATCH_PUT) {
		*ret_written = true;
		rc = userdb_batch_put(b, txn, it, &is, is_new, &it->err);
		changed = true;
	}
	if (rc == 0 && what != USERDB_BATCH_KEEP && it->aliases.given)
		rc = userdb_batch_aliases(b, txn, it, &changed, &it->err);
	if (rc == 0 && what != USERDB_BATCH_KEEP && it->allow_as.given)
		rc = userdb_batch_allow_as(b, txn, it, &changed, &it->err);
	*ret_written |= changed;
	record_user_clear(&is);
	if (rc == 0 && what != USERDB_BATCH_KEEP)
		it->result = !changed ? USERDB_BATCH_UNCHANGED :
		    is_new ? USERDB_BATCH_ADDED : USERDB_BATCH_UPDATED;
	return rc;
}

static int
userdb_batch_txn(void *ctx, DB_TXN *txn, struct err *reterr)
{
	struct userdb_batch *b = ctx;
	bool written;
	int rc;

	for (size_t i = 0; i < b->n; i++) {
		if (b->items[i].result == USERDB_BATCH_FAILED)
			continue;
		written = false;
		rc = userdb_batch_one(b, txn, i, &written);
		if (rc == 0)
			continue;
		if (!userdb_batch_is_ours(rc))
			return rc;
		b->items[i].result = USERDB_BATCH_FAILED;
		b->again = written;
		if (written)
			return err_set(reterr, ERR_DENIED, "again");
	}
	return 0;
}

int
userdb_batch(struct userdb *db, struct userdb_batch_item *items, size_t n,
    userdb_batch_fn *fn, void *ctx, bool dry, struct err *reterr)
{
	struct userdb_batch b = { .db = db, .items = items, .n = n, .fn = fn,
	    .ctx = ctx, .dry = dry };
	int r;

	for (size_t i = 0; i < n; i++)
		items[i].result = USERDB_BATCH_KEPT;
	do {
		b.again = false;
		r = dbenv_txn(db->env, DBENV_SYNC, userdb_batch_txn, &b,
		    "import", reterr);
	} while (b.again);
	return r;
}
