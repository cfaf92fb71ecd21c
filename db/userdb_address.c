/*
 * userdb_address.c - the addresses that reach users: their own, aliases, whole
 * domains ("@example.org"), and "+tag" behind a local part. Runs in authd-core
 * only.
 */
#include "config.h"

#include <string.h>

#include "db/userdb_private.h"
#include "lib/str.h"

#define USERDB_TAG '+'			/* parts a local part from its tag */

int
userdb_address_user(struct userdb *db, DB_TXN *txn, const char *address,
    uint32_t flags, char ret_user[MAILBOX_SIZE])
{
	struct dbenv_item it = { .p = ret_user, .size = MAILBOX_MAX };
	int rc;

	rc = dbenv_get(db->db[USERDB_ADDRESSES], txn, address,
	    strlen(address), &it, flags);
	ret_user[rc == 0 ? it.len : 0] = '\0';
	return rc;
}

int
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
	return dbenv_put(db->db[USERDB_ADDRESSES], txn, address,
	    strlen(address), user, strlen(user), 0);
}

size_t
userdb_pair_key(char prefix, const char *first, const char *second,
    char key[USERDB_PAIR_KEY_MAX])
{
	size_t at = 0, flen = strlen(first) + 1, slen = strlen(second);

	if (prefix != 0)
		key[at++] = prefix;
	memcpy(key + at, first, flen);
	memcpy(key + at + flen, second, slen);
	return at + flen + slen;
}

int
userdb_pair_next(DB *db, DB_TXN *txn, char prefix, const char *first,
    char second[MAILBOX_SIZE])
{
	char key[USERDB_PAIR_KEY_MAX], head[USERDB_PAIR_KEY_MAX];
	uint8_t none[1];
	size_t hlen = userdb_pair_key(prefix, first, "", head);
	struct dbenv_item k = { .p = key, .size = sizeof(key) };
	struct dbenv_item v = { .p = none, .size = sizeof(none) };
	int rc;

	k.len = userdb_pair_key(prefix, first, second, key);
	if ((rc = dbenv_next(db, txn, &k, &v, 0)) != 0)
		return rc;
	if (k.len <= hlen || memcmp(key, head, hlen) != 0)
		return DB_NOTFOUND;
	return str_copy_n(second, MAILBOX_SIZE, key + hlen, k.len - hlen);
}

int
userdb_drop_aliases(struct userdb *db, DB_TXN *txn, const char *user)
{
	char address[MAILBOX_SIZE] = "", key[USERDB_PAIR_KEY_MAX];
	DB *aliases = db->db[USERDB_ALIASES];
	size_t len;
	int rc;

	while ((rc = userdb_pair_next(aliases, txn, 0, user, address)) == 0) {
		len = userdb_pair_key(0, user, address, key);
		if ((rc = dbenv_del(aliases, txn, key, len)) != 0 ||
		    (rc = dbenv_del(db->db[USERDB_ADDRESSES], txn, address,
		    strlen(address))) != 0)
			return rc;
	}
	return rc == DB_NOTFOUND ? 0 : rc;
}

int
userdb_alias_add_in(struct userdb *db, DB_TXN *txn, const char *address,
    const char *user, struct err *reterr)
{
	char key[USERDB_PAIR_KEY_MAX];
	size_t len;
	int rc;

	/* Nobody may delete the user meanwhile. */
	if ((rc = userdb_hold(db, txn, user, reterr)) != 0 ||
	    (rc = userdb_claim(db, txn, address, user, reterr)) != 0)
		return rc;
	len = userdb_pair_key(0, user, address, key);
	return dbenv_put(db->db[USERDB_ALIASES], txn, key, len, "", 0, 0);
}

static int
userdb_alias_add_txn(void *ctx, DB_TXN *txn, struct err *reterr)
{
	struct userdb_job *j = ctx;

	return userdb_alias_add_in(j->db, txn, j->address, j->user, reterr);
}

int
userdb_alias_add(struct userdb *db, const char *address, const char *user,
    struct err *reterr)
{
	struct userdb_job j = { .db = db, .user = user, .address = address };

	return dbenv_txn(db->env, DBENV_SYNC, userdb_alias_add_txn, &j,
	    address, reterr);
}

int
userdb_alias_delete_in(struct userdb *db, DB_TXN *txn, const char *address,
    char ret_user[MAILBOX_SIZE], struct err *reterr)
{
	char user[MAILBOX_SIZE], key[USERDB_PAIR_KEY_MAX];
	size_t len;
	int rc;

	rc = userdb_address_user(db, txn, address, DB_RMW, user);
	if (rc == DB_NOTFOUND)
		return err_set(reterr, ERR_NOTFOUND, "there is no alias %s",
		    address);
	if (rc != 0)
		return rc;
	if (strcmp(user, address) == 0)
		return err_set(reterr, ERR_DENIED,
		    "%s is the user's own address, not an alias", address);
	len = userdb_pair_key(0, user, address, key);
	rc = dbenv_del(db->db[USERDB_ALIASES], txn, key, len);
	if (rc != 0)
		return rc;
	if (ret_user != NULL)
		memcpy(ret_user, user, MAILBOX_SIZE);
	return dbenv_del(db->db[USERDB_ADDRESSES], txn, address,
	    strlen(address));
}

static int
userdb_alias_delete_txn(void *ctx, DB_TXN *txn, struct err *reterr)
{
	struct userdb_job *j = ctx;

	return userdb_alias_delete_in(j->db, txn, j->address, j->ret_user,
	    reterr);
}

int
userdb_alias_delete(struct userdb *db, const char *address,
    char ret_user[MAILBOX_SIZE], struct err *reterr)
{
	struct userdb_job j = { .db = db, .address = address,
	    .ret_user = ret_user };

	return dbenv_txn_taking(db->env, userdb_alias_delete_txn, &j,
	    address, reterr);
}

int
userdb_alias_next(struct userdb *db, const char *user,
    char address[MAILBOX_SIZE], struct err *reterr)
{
	return dbenv_result(db->env, userdb_pair_next(db->db[USERDB_ALIASES],
	    NULL, 0, user, address), user, reterr);
}

int
userdb_alias_next_pair(struct userdb *db, char user[MAILBOX_SIZE],
    char address[MAILBOX_SIZE], struct err *reterr)
{
	char key[USERDB_PAIR_KEY_MAX];
	uint8_t none[1];
	struct dbenv_item k = { .p = key, .size = sizeof(key) };
	struct dbenv_item v = { .p = none, .size = sizeof(none) };
	size_t ulen;
	int rc;

	if (user[0] != '\0')
		k.len = userdb_pair_key(0, user, address, key);
	rc = dbenv_next(db->db[USERDB_ALIASES], NULL, &k, &v, 0);
	if (rc != 0)
		return dbenv_result(db->env, rc, "aliases", reterr);
	ulen = strnlen(key, k.len);
	if (ulen == k.len || str_copy(user, MAILBOX_SIZE, key) != 0 ||
	    str_copy_n(address, MAILBOX_SIZE, key + ulen + 1,
	    k.len - ulen - 1) != 0)
		return err_set(reterr, ERR_CORRUPT,
		    "an alias in the database is unreadable");
	return 0;
}

/* The address without its tag in `dst`; false: it has none. What stands in
 * quotes has none either. */
static bool
userdb_untagged(const char *address, char dst[MAILBOX_SIZE])
{
	const char *at = strrchr(address, '@');
	const char *tag = strchr(address, USERDB_TAG);

	return at != NULL && tag != NULL && tag > address && tag < at &&
	    address[0] != '"' && str_format(dst, MAILBOX_SIZE, "%.*s%s",
	    (int)(tag - address), address, at) == 0;
}

int
userdb_resolve(struct userdb *db, const char *address,
    char ret_user[MAILBOX_SIZE], struct err *reterr)
{
	const char *domain = strrchr(address, '@');
	char base[MAILBOX_SIZE];
	int rc;

	rc = userdb_address_user(db, NULL, address, 0, ret_user);
	if (rc == DB_NOTFOUND && userdb_untagged(address, base))
		rc = userdb_address_user(db, NULL, base, 0, ret_user);
	if (rc == DB_NOTFOUND && domain != NULL && domain != address)
		rc = userdb_address_user(db, NULL, domain, 0, ret_user);
	return dbenv_result(db->env, rc, address, reterr);
}

/* 0: there is such a user, whose name is in `dst`. */
static int
userdb_user_at(struct userdb *db, const char *local, const char *domain,
    char dst[MAILBOX_SIZE])
{
	char owner[MAILBOX_SIZE];
	int rc;

	if (str_format(dst, MAILBOX_SIZE, "%s@%s", local, domain) != 0)
		return DB_NOTFOUND;
	rc = userdb_address_user(db, NULL, dst, 0, owner);
	return rc == 0 && strcmp(dst, owner) != 0 ? DB_NOTFOUND : rc;
}

int
userdb_find_local(struct userdb *db, const char *local,
    const char *default_domain, const struct conf_list *local_domains,
    char ret_user[MAILBOX_SIZE], struct err *reterr)
{
	char user[MAILBOX_SIZE];
	size_t found = 0;
	int rc;

	if (default_domain != NULL) {
		rc = userdb_user_at(db, local, default_domain, ret_user);
		if (rc != DB_NOTFOUND)
			return dbenv_result(db->env, rc, local, reterr);
	}
	for (size_t i = 0; i < local_domains->n; i++) {
		rc = userdb_user_at(db, local, local_domains->v[i], user);
		if (rc == DB_NOTFOUND)
			continue;
		if (rc != 0)
			return dbenv_result(db->env, rc, local, reterr);
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
