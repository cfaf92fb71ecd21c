/*
 * userdb_index.c - what is found by something else than a name: users by their
 * certificate, who may act for whom, and how many there are. Runs in authd-core
 * only.
 */
#include "config.h"

#include <string.h>

#include "db/userdb_private.h"

/* ---------------------------------------------------------- certificates -- */

/* The certificate among the record's first `n` credentials (all: a number that
 * is large enough). */
static bool
userdb_has_certificate(const struct user_record *r,
    const struct user_credential *cert, unsigned int n)
{
	if (r == NULL)
		return false;
	for (unsigned int i = 0; i < r->n_credentials && i < n; i++)
		if (r->credentials[i].kind == CREDENTIAL_CERTIFICATE &&
		    memcmp(r->credentials[i].stored_key, cert->stored_key,
		    RECORD_KEY) == 0)
			return true;
	return false;
}

static int
userdb_certificate_put(struct userdb *db, DB_TXN *txn, const char *user,
    const struct user_credential *cert, struct err *reterr)
{
	DB *certificates = db->db[USERDB_CERTIFICATES];
	char owner[MAILBOX_SIZE];
	struct dbenv_item it = { .p = owner, .size = MAILBOX_MAX };
	int rc;

	rc = dbenv_get(certificates, txn, cert->stored_key, RECORD_KEY, &it,
	    DB_RMW);
	if (rc == DB_NOTFOUND)
		return dbenv_put(certificates, txn, cert->stored_key,
		    RECORD_KEY, user, strlen(user), 0);
	if (rc != 0)
		return rc;
	owner[it.len] = '\0';
	return err_set(reterr, ERR_EXISTS,
	    "the certificate belongs to user %s already", owner);
}

static int
userdb_index_certificates(struct userdb *db, DB_TXN *txn, const char *user,
    const struct user_record *was, const struct user_record *is,
    struct err *reterr)
{
	const struct user_credential *c;
	int rc = 0;

	for (unsigned int i = 0; rc == 0 && was != NULL &&
	    i < was->n_credentials; i++) {
		c = &was->credentials[i];
		if (c->kind == CREDENTIAL_CERTIFICATE &&
		    !userdb_has_certificate(is, c, RECORD_CREDENTIALS_MAX))
			rc = dbenv_del(db->db[USERDB_CERTIFICATES], txn,
			    c->stored_key, RECORD_KEY);
	}
	for (unsigned int i = 0; rc == 0 && is != NULL &&
	    i < is->n_credentials; i++) {
		c = &is->credentials[i];
		if (c->kind != CREDENTIAL_CERTIFICATE)
			continue;
		if (userdb_has_certificate(is, c, i))
			rc = err_set(reterr, ERR_EXISTS, "the certificate is "
			    "there twice");
		else if (!userdb_has_certificate(was, c,
		    RECORD_CREDENTIALS_MAX))
			rc = userdb_certificate_put(db, txn, user, c, reterr);
	}
	return rc;
}

int
userdb_find_certificate(struct userdb *db,
    const uint8_t fingerprint[RECORD_KEY], char ret_user[MAILBOX_SIZE],
    struct err *reterr)
{
	struct dbenv_item it = { .p = ret_user, .size = MAILBOX_MAX };
	int rc;

	rc = dbenv_get(db->db[USERDB_CERTIFICATES], NULL, fingerprint,
	    RECORD_KEY, &it, 0);
	ret_user[rc == 0 ? it.len : 0] = '\0';
	return dbenv_result(db->env, rc, "certificate", reterr);
}

/* --------------------------------------------------------------- numbers -- */

static const char *const userdb_count_names[] = {
	[USERDB_COUNT_USERS] = "users", [USERDB_COUNT_SECRETS] = "secrets",
};

_Static_assert(sizeof(userdb_count_names) / sizeof(char *) ==
    USERDB_COUNT__END, "each count has a name");

static int
userdb_count_get(struct userdb *db, DB_TXN *txn, enum userdb_count what,
    uint32_t flags, uint64_t *ret)
{
	const char *name = userdb_count_names[what];
	uint8_t be[8];
	struct dbenv_item it = { .p = be, .size = sizeof(be) };
	int rc;

	*ret = 0;
	rc = dbenv_get(db->db[USERDB_COUNTS], txn, name, strlen(name), &it,
	    flags);
	if (rc == 0 && it.len != sizeof(be))
		return ERR_CORRUPT;
	for (size_t i = 0; rc == 0 && i < sizeof(be); i++)
		*ret = *ret << 8 | be[i];
	return rc;
}

static int
userdb_count_put(struct userdb *db, DB_TXN *txn, enum userdb_count what,
    uint64_t n)
{
	const char *name = userdb_count_names[what];
	uint8_t be[8];

	for (size_t i = 0; i < sizeof(be); i++)
		be[i] = (uint8_t)(n >> (56 - 8 * i));
	return dbenv_put(db->db[USERDB_COUNTS], txn, name, strlen(name), be,
	    sizeof(be), 0);
}

static int
userdb_count_change(struct userdb *db, DB_TXN *txn, enum userdb_count what,
    bool was, bool is)
{
	uint64_t n;
	int rc;

	if (was == is)
		return 0;
	rc = userdb_count_get(db, txn, what, DB_RMW, &n);
	if (rc != 0 && rc != DB_NOTFOUND)
		return rc;
	if (is)
		n++;
	else if (n > 0)
		n--;
	return userdb_count_put(db, txn, what, n);
}

int
userdb_count(struct userdb *db, enum userdb_count what, uint64_t *ret,
    struct err *reterr)
{
	return dbenv_result(db->env, userdb_count_get(db, NULL, what, 0, ret),
	    "counts", reterr);
}

struct userdb_counting {
	struct userdb	*db;
	uint64_t	 n[USERDB_COUNT__END];
};

static int
userdb_counts_txn(void *ctx, DB_TXN *txn, struct err *reterr)
{
	struct userdb_counting *c = ctx;
	int rc = 0;

	(void)reterr;
	for (int i = 0; rc == 0 && i < USERDB_COUNT__END; i++)
		rc = userdb_count_put(c->db, txn, (enum userdb_count)i,
		    c->n[i]);
	return rc;
}

int
userdb_recount(struct userdb *db, struct err *reterr)
{
	struct userdb_counting c = { .db = db };
	char user[MAILBOX_SIZE] = "";
	struct user_record r;
	struct err e = { 0 };	/* that the end is reached is no error */
	int rc;

	while ((rc = userdb_next(db, user, &r, &e)) == 0 ||
	    rc == ERR_CORRUPT) {
		c.n[USERDB_COUNT_USERS]++;
		if (rc == 0 && r.secret_len > 0)
			c.n[USERDB_COUNT_SECRETS]++;
		record_user_clear(&r);
	}
	if (rc != ERR_NOTFOUND)
		return err_set(reterr, rc, "%s", e.text);
	return dbenv_txn(db->env, DBENV_SYNC, userdb_counts_txn, &c, "counts",
	    reterr);
}

int
userdb_counts_open(struct userdb *db, struct err *reterr)
{
	uint64_t n;
	int rc;

	rc = userdb_count_get(db, NULL, USERDB_COUNT_USERS, 0, &n);
	return rc == DB_NOTFOUND ? userdb_recount(db, reterr) :
	    dbenv_result(db->env, rc, "counts", reterr);
}

int
userdb_index(struct userdb *db, DB_TXN *txn, const char *user,
    const struct user_record *was, const struct user_record *is,
    struct err *reterr)
{
	int rc;

	rc = userdb_index_certificates(db, txn, user, was, is, reterr);
	if (rc == 0)
		rc = userdb_count_change(db, txn, USERDB_COUNT_USERS,
		    was != NULL, is != NULL);
	if (rc == 0)
		rc = userdb_count_change(db, txn, USERDB_COUNT_SECRETS,
		    was != NULL && was->secret_len > 0,
		    is != NULL && is->secret_len > 0);
	if (rc == 0 && db->watch != NULL)
		db->watch(db->watch_ctx, user, was, is);
	return rc;
}

/* ------------------------------------------------------ acting for others -- */

static int
userdb_allow_del(struct userdb *db, DB_TXN *txn, const char *actor,
    const char *user)
{
	char key[USERDB_PAIR_KEY_MAX];
	DB *allowed = db->db[USERDB_ALLOWED];
	size_t len;
	int rc;

	len = userdb_pair_key('a', actor, user, key);
	if ((rc = dbenv_del(allowed, txn, key, len)) != 0)
		return rc;
	len = userdb_pair_key('u', user, actor, key);
	return dbenv_del(allowed, txn, key, len);
}

/* Both whom he may act for and who may act for him. */
int
userdb_drop_allowed(struct userdb *db, DB_TXN *txn, const char *user)
{
	char other[MAILBOX_SIZE] = "";
	DB *allowed = db->db[USERDB_ALLOWED];
	int rc;

	while ((rc = userdb_pair_next(allowed, txn, 'a', user, other)) == 0)
		if ((rc = userdb_allow_del(db, txn, user, other)) != 0)
			return rc;
	if (rc != DB_NOTFOUND)
		return rc;
	other[0] = '\0';
	while ((rc = userdb_pair_next(allowed, txn, 'u', user, other)) == 0)
		if ((rc = userdb_allow_del(db, txn, other, user)) != 0)
			return rc;
	return rc == DB_NOTFOUND ? 0 : rc;
}

int
userdb_allow_as_add_in(struct userdb *db, DB_TXN *txn, const char *actor,
    const char *user, struct err *reterr)
{
	DB *allowed = db->db[USERDB_ALLOWED];
	char key[USERDB_PAIR_KEY_MAX];
	size_t len;
	int rc;

	if ((rc = userdb_hold(db, txn, actor, reterr)) != 0 ||
	    (rc = userdb_hold(db, txn, user, reterr)) != 0)
		return rc;
	len = userdb_pair_key('a', actor, user, key);
	rc = dbenv_put(allowed, txn, key, len, "", 0, DB_NOOVERWRITE);
	if (rc == DB_KEYEXIST)
		return err_set(reterr, ERR_EXISTS, "%s may act for %s already",
		    actor, user);
	if (rc != 0)
		return rc;
	len = userdb_pair_key('u', user, actor, key);
	return dbenv_put(allowed, txn, key, len, "", 0, 0);
}

static int
userdb_allow_as_add_txn(void *ctx, DB_TXN *txn, struct err *reterr)
{
	struct userdb_job *j = ctx;

	return userdb_allow_as_add_in(j->db, txn, j->user, j->address, reterr);
}

int
userdb_allow_as_add(struct userdb *db, const char *actor, const char *user,
    struct err *reterr)
{
	struct userdb_job j = { .db = db, .user = actor, .address = user };

	if (strcmp(actor, user) == 0)
		return err_set(reterr, ERR_DENIED,
		    "%s acts for himself without that", actor);
	return dbenv_txn(db->env, DBENV_SYNC, userdb_allow_as_add_txn, &j,
	    actor, reterr);
}

int
userdb_allow_as_delete_in(struct userdb *db, DB_TXN *txn, const char *actor,
    const char *user, struct err *reterr)
{
	int rc = userdb_allow_del(db, txn, actor, user);

	return rc != DB_NOTFOUND ? rc : err_set(reterr, ERR_NOTFOUND,
	    "%s may not act for %s", actor, user);
}

static int
userdb_allow_as_delete_txn(void *ctx, DB_TXN *txn, struct err *reterr)
{
	struct userdb_job *j = ctx;

	return userdb_allow_as_delete_in(j->db, txn, j->user, j->address,
	    reterr);
}

int
userdb_allow_as_delete(struct userdb *db, const char *actor, const char *user,
    struct err *reterr)
{
	struct userdb_job j = { .db = db, .user = actor, .address = user };

	return dbenv_txn_taking(db->env, userdb_allow_as_delete_txn, &j,
	    actor, reterr);
}

int
userdb_allow_as_next(struct userdb *db, const char *actor,
    char user[MAILBOX_SIZE], struct err *reterr)
{
	return dbenv_result(db->env, userdb_pair_next(
	    db->db[USERDB_ALLOWED], NULL, 'a', actor, user), actor, reterr);
}

int
userdb_allows_as(struct userdb *db, const char *actor, const char *user,
    struct err *reterr)
{
	char key[USERDB_PAIR_KEY_MAX];
	uint8_t none[1];
	struct dbenv_item it = { .p = none, .size = sizeof(none) };
	size_t len = userdb_pair_key('a', actor, user, key);

	return dbenv_result(db->env, dbenv_get(db->db[USERDB_ALLOWED], NULL,
	    key, len, &it, 0), actor, reterr);
}
