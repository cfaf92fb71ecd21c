/*
 * dbenv_check.c - is an environment that nobody has open in order? Runs in
 * authd-core, on a thread over a copy, and in its --recover mode. Berkeley DB
 * judges pages, we judge records and whether the files are in step. It changes
 * nothing but what recovery does.
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "db/dbenv_private.h"
#include "db/origindb.h"
#include "db/placesdb_private.h"
#include "db/quotadb.h"
#include "db/recentdb.h"
#include "db/record.h"
#include "db/relay_cache_private.h"
#include "db/usagedb.h"
#include "lib/str.h"

#define DBENV_VERIFY_CACHE (32u * 1024 * 1024)

enum dbcheck_db {
	DBCHECK_USERS,
	DBCHECK_ADDRESSES,
	DBCHECK_ALIASES,
	DBCHECK_ORDER,
	DBCHECK_CERTIFICATES,
	DBCHECK_ALLOWED,
	DBCHECK_COUNTS,
	DBCHECK_RELAY,
	DBCHECK_EXPIRY,
	DBCHECK_RELAY_USER,
	DBCHECK_LOGINS,
	DBCHECK_PLACES,
	DBCHECK_QUOTA,
	DBCHECK_USAGE,
	DBCHECK_RECENT,
	DBCHECK_ORIGIN,
	DBCHECK__COUNT
};

struct dbcheck {
	const char		*home;
	dbenv_flaw_fn		*flaw;
	void			*ctx;
	struct dbenv_counts	*counts;
	struct dbenv		*env;
	DB			*db[DBCHECK__COUNT];
	uint64_t		 secrets;	/* users who have one */
	const char		*file;		/* that is looked at */
};

/* A key or value as it stands in the file. */
struct dbcheck_item {
	const uint8_t	*p;
	size_t		 len;
};

static void dbcheck_flaw(struct dbcheck *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void
dbcheck_flaw(struct dbcheck *c, const char *fmt, ...)
{
	char text[320];
	va_list ap;
	int n;

	if (c->counts->flaws++ >= DBENV_FLAWS_MAX)
		return;
	n = snprintf(text, sizeof(text), "%s: ", c->file);
	va_start(ap, fmt);
	(void)vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
	va_end(ap);
	c->flaw(c->ctx, text);
}

/* ---------------------------------------------------------------- records -- */

/* As a name, or false when it cannot be one. */
static bool
dbcheck_name(struct dbcheck_item it, char dst[MAILBOX_SIZE])
{
	return it.len > 0 && memchr(it.p, '\0', it.len) == NULL &&
	    str_copy_n(dst, MAILBOX_SIZE, (const char *)it.p, it.len) == 0;
}

static uint64_t
dbcheck_u64(const uint8_t *p)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < 8; i++)
		n = n << 8 | p[i];
	return n;
}

/* Is there such a key? *value gets what it says, as a string (or NULL). */
static bool
dbcheck_find(struct dbcheck *c, enum dbcheck_db db, const void *key,
    size_t len, char value[MAILBOX_SIZE])
{
	uint8_t v[RECORD_MAX];
	struct dbenv_item it = { .p = v, .size = sizeof(v) };

	if (c->db[db] == NULL ||
	    dbenv_get(c->db[db], NULL, key, len, &it, 0) != 0)
		return false;
	if (value != NULL && !dbcheck_name((struct dbcheck_item){ v, it.len },
	    value))
		value[0] = '\0';
	explicit_bzero(v, sizeof(v));
	return true;
}

/* Reads the record of a user who may not be there. */
static bool
dbcheck_read_user(struct dbcheck *c, const char *user, struct user_record *r)
{
	uint8_t v[RECORD_MAX];
	struct dbenv_item it = { .p = v, .size = sizeof(v) };
	bool found;

	memset(r, 0, sizeof(*r));
	found = c->db[DBCHECK_USERS] != NULL && dbenv_get(c->db[DBCHECK_USERS],
	    NULL, user, strlen(user), &it, 0) == 0;
	/* An unreadable one is told of where it stands. */
	if (found)
		(void)record_user_decode(v, it.len, r);
	explicit_bzero(v, sizeof(v));
	return found;
}

static void
dbcheck_certificates(struct dbcheck *c, const char *user,
    const struct user_record *r)
{
	char other[MAILBOX_SIZE];

	for (unsigned int i = 0; i < r->n_credentials; i++)
		if (r->credentials[i].kind == CREDENTIAL_CERTIFICATE &&
		    (!dbcheck_find(c, DBCHECK_CERTIFICATES,
		    r->credentials[i].stored_key, RECORD_KEY, other) ||
		    strcmp(user, other) != 0))
			dbcheck_flaw(c, "a certificate of %s does not lead to "
			    "him", user);
}

static void
dbcheck_user(struct dbcheck *c, struct dbcheck_item k, struct dbcheck_item v)
{
	char user[MAILBOX_SIZE], other[MAILBOX_SIZE];
	struct user_record r;
	uint8_t seq[8];

	c->counts->users++;
	if (!dbcheck_name(k, user)) {
		dbcheck_flaw(c, "a key is no name");
		return;
	}
	if (record_user_decode(v.p, v.len, &r) != 0) {
		dbcheck_flaw(c, "the record of %s is unreadable", user);
		return;
	}
	for (unsigned int i = 0; i < 8; i++)
		seq[i] = (uint8_t)(r.seq >> (56 - 8 * i));
	if (!dbcheck_find(c, DBCHECK_ORDER, seq, sizeof(seq), other) ||
	    strcmp(user, other) != 0)
		dbcheck_flaw(c, "%s has no place in the order", user);
	if (!dbcheck_find(c, DBCHECK_ADDRESSES, user, strlen(user), other) ||
	    strcmp(user, other) != 0)
		dbcheck_flaw(c, "%s is not reached by his own address", user);
	dbcheck_certificates(c, user, &r);
	c->secrets += r.secret_len > 0;
	record_user_clear(&r);
}

static void
dbcheck_address(struct dbcheck *c, struct dbcheck_item k,
    struct dbcheck_item v)
{
	char address[MAILBOX_SIZE], user[MAILBOX_SIZE], key[2 * MAILBOX_SIZE];
	size_t ulen, alen;

	c->counts->addresses++;
	if (!dbcheck_name(k, address) || !dbcheck_name(v, user)) {
		dbcheck_flaw(c, "a key or value is no address");
		return;
	}
	if (!dbcheck_find(c, DBCHECK_USERS, user, strlen(user), NULL))
		dbcheck_flaw(c, "%s leads to %s, who is no user", address,
		    user);
	if (strcmp(address, user) == 0)
		return;
	ulen = strlen(user) + 1;
	alen = strlen(address);
	memcpy(key, user, ulen);
	memcpy(key + ulen, address, alen);
	if (!dbcheck_find(c, DBCHECK_ALIASES, key, ulen + alen, NULL))
		dbcheck_flaw(c, "%s is missing among the aliases of %s",
		    address, user);
}

static void
dbcheck_alias(struct dbcheck *c, struct dbcheck_item k, struct dbcheck_item v)
{
	const uint8_t *nul = memchr(k.p, '\0', k.len);
	char user[MAILBOX_SIZE], address[MAILBOX_SIZE], found[MAILBOX_SIZE];
	size_t ulen = nul != NULL ? (size_t)(nul - k.p) : 0;

	(void)v;
	if (nul == NULL || !dbcheck_name((struct dbcheck_item){ k.p, ulen },
	    user) || !dbcheck_name((struct dbcheck_item){ nul + 1,
	    k.len - ulen - 1 }, address)) {
		dbcheck_flaw(c, "a key is no user and address");
		return;
	}
	if (!dbcheck_find(c, DBCHECK_ADDRESSES, address, strlen(address),
	    found) || strcmp(found, user) != 0)
		dbcheck_flaw(c, "%s does not lead to %s", address, user);
}

static void
dbcheck_order(struct dbcheck *c, struct dbcheck_item k, struct dbcheck_item v)
{
	char user[MAILBOX_SIZE];
	struct user_record r;

	if (k.len != 8 || !dbcheck_name(v, user)) {
		dbcheck_flaw(c, "a record is malformed");
		return;
	}
	if (!dbcheck_read_user(c, user, &r))
		dbcheck_flaw(c, "%s is no user", user);
	else if (r.seq != 0 && r.seq != dbcheck_u64(k.p))
		dbcheck_flaw(c, "%s has another place", user);
	record_user_clear(&r);
}

static void
dbcheck_certificate(struct dbcheck *c, struct dbcheck_item k,
    struct dbcheck_item v)
{
	char user[MAILBOX_SIZE];
	struct user_record r;
	bool found = false;

	if (k.len != RECORD_KEY || !dbcheck_name(v, user)) {
		dbcheck_flaw(c, "a record is malformed");
		return;
	}
	(void)dbcheck_read_user(c, user, &r);
	for (unsigned int i = 0; i < r.n_credentials; i++)
		found |= r.credentials[i].kind == CREDENTIAL_CERTIFICATE &&
		    memcmp(r.credentials[i].stored_key, k.p, k.len) == 0;
	if (!found)
		dbcheck_flaw(c, "a certificate leads to %s, who has it not",
		    user);
	record_user_clear(&r);
}

/* Each pair stands there twice: 'a' actor NUL user, 'u' user NUL actor. */
static void
dbcheck_allowed(struct dbcheck *c, struct dbcheck_item k,
    struct dbcheck_item v)
{
	const uint8_t *nul = memchr(k.p, '\0', k.len);
	char a[MAILBOX_SIZE], b[MAILBOX_SIZE], key[2 * MAILBOX_SIZE + 1];
	int n;

	(void)v;
	if (nul == NULL || (k.p[0] != 'a' && k.p[0] != 'u') ||
	    !dbcheck_name((struct dbcheck_item){ k.p + 1,
	    (size_t)(nul - k.p) - 1 }, a) ||
	    !dbcheck_name((struct dbcheck_item){ nul + 1,
	    k.len - (size_t)(nul - k.p) - 1 }, b)) {
		dbcheck_flaw(c, "a record is malformed");
		return;
	}
	n = snprintf(key, sizeof(key), "%c%s%c%s", k.p[0] == 'a' ? 'u' : 'a',
	    b, '\0', a);
	if (!dbcheck_find(c, DBCHECK_ALLOWED, key, (size_t)n, NULL) ||
	    !dbcheck_find(c, DBCHECK_USERS, a, strlen(a), NULL))
		dbcheck_flaw(c, "%s and %s: only half of it is there", a, b);
}

/* The walk comes to this file before it comes to the users: see the end. */
static void
dbcheck_count(struct dbcheck *c, struct dbcheck_item k, struct dbcheck_item v)
{
	if (k.len == 0 || v.len != 8)
		dbcheck_flaw(c, "a record is malformed");
}

static void
dbcheck_counts(struct dbcheck *c)
{
	const struct { const char *name; uint64_t n; } rows[] = {
		{ "users", c->counts->users }, { "secrets", c->secrets },
	};
	uint8_t v[8];

	c->file = "counts.db";
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dbenv_item it = { .p = v, .size = sizeof(v) };

		if (c->db[DBCHECK_COUNTS] != NULL &&
		    dbenv_get(c->db[DBCHECK_COUNTS], NULL, rows[i].name,
		    strlen(rows[i].name), &it, 0) == 0 && it.len == 8 &&
		    dbcheck_u64(v) != rows[i].n)
			dbcheck_flaw(c, "%llu %s are counted, %llu are there",
			    (unsigned long long)dbcheck_u64(v), rows[i].name,
			    (unsigned long long)rows[i].n);
	}
}

static void
dbcheck_grant(struct dbcheck *c, struct dbcheck_item k, struct dbcheck_item v)
{
	uint8_t idx[RELAY_CACHE_EXPIRY_MAX];
	struct grant_record g = { 0 };

	c->counts->grants++;
	if (k.len > RECORD_GRANT_KEY_MAX ||
	    record_grant_key_decode(k.p, k.len, &g) != 0 ||
	    record_grant_decode(v.p, v.len, &g) != 0) {
		dbcheck_flaw(c, "a grant is unreadable");
		return;
	}
	for (unsigned int i = 0; i < 8; i++)
		idx[i] = (uint8_t)((uint64_t)g.expires_s >> (56 - 8 * i));
	memcpy(idx + 8, k.p, k.len);
	if (!dbcheck_find(c, DBCHECK_EXPIRY, idx, 8 + k.len, NULL))
		dbcheck_flaw(c, "a grant of %s is missing in the index",
		    g.user);
	if (dbcheck_find(c, DBCHECK_RELAY_USER, RELAY_CACHE_INDEXED,
	    RELAY_CACHE_INDEXED_LEN, NULL) &&
	    !dbcheck_find(c, DBCHECK_RELAY_USER, idx,
	    relay_cache_user_key(&g, idx), NULL))
		dbcheck_flaw(c, "a grant of %s is missing in the index by user",
		    g.user);
}

static void
dbcheck_relay_user(struct dbcheck *c, struct dbcheck_item k,
    struct dbcheck_item v)
{
	uint8_t key[RECORD_GRANT_KEY_MAX];
	size_t len;

	(void)v;
	if (k.len == RELAY_CACHE_INDEXED_LEN &&
	    memcmp(k.p, RELAY_CACHE_INDEXED, k.len) == 0)
		return;
	len = strnlen((const char *)k.p, k.len);
	if (len == 0 || k.len != len + 1 + 16 || len > MAILBOX_MAX) {
		dbcheck_flaw(c, "an entry is unreadable");
		return;
	}
	memcpy(key, k.p + len + 1, 16);
	memcpy(key + 16, k.p, len);
	if (!dbcheck_find(c, DBCHECK_RELAY, key, 16 + len, NULL))
		dbcheck_flaw(c, "the index names a grant that is not there");
}

static void
dbcheck_expiry(struct dbcheck *c, struct dbcheck_item k, struct dbcheck_item v)
{
	(void)v;
	if (k.len <= 8 ||
	    !dbcheck_find(c, DBCHECK_RELAY, k.p + 8, k.len - 8, NULL))
		dbcheck_flaw(c, "the index names a grant that is not there");
}

static void
dbcheck_login(struct dbcheck *c, struct dbcheck_item k, struct dbcheck_item v)
{
	struct placesdb_login login;

	(void)k;
	c->counts->others++;
	if (placesdb_login_decode(v.p, v.len, &login) != 0)
		dbcheck_flaw(c, "a last login is unreadable");
}

static void
dbcheck_place(struct dbcheck *c, struct dbcheck_item k, struct dbcheck_item v)
{
	struct placesdb_place place;

	(void)k;
	c->counts->others++;
	if (placesdb_place_decode(v.p, v.len, &place) != 0)
		dbcheck_flaw(c, "a place is unreadable");
}

static void
dbcheck_recent(struct dbcheck *c, struct dbcheck_item k, struct dbcheck_item v)
{
	struct recent_record r;

	(void)k;
	c->counts->others++;
	if (recent_decode(v.p, v.len, &r) != 0)
		dbcheck_flaw(c, "a past session is unreadable");
}

static void
dbcheck_quota(struct dbcheck *c, struct dbcheck_item k, struct dbcheck_item v)
{
	struct quotadb_use use;

	(void)k;
	c->counts->others++;
	if (quotadb_decode(v.p, v.len, &use) != 0)
		dbcheck_flaw(c, "what a user has sent is unreadable");
}

static void
dbcheck_usage(struct dbcheck *c, struct dbcheck_item k, struct dbcheck_item v)
{
	struct usage_record r;

	c->counts->others++;
	if (k.len == 0 || usage_decode(*(const char *)k.p, v.p, v.len,
	    &r) != 0)
		dbcheck_flaw(c, "how a user sends is unreadable");
}

static void
dbcheck_origin(struct dbcheck *c, struct dbcheck_item k, struct dbcheck_item v)
{
	struct origindb_key key;

	c->counts->others++;
	if (origindb_decode(k.p, k.len, v.p, v.len, &key) != 0)
		dbcheck_flaw(c, "an origin key is unreadable");
	explicit_bzero(&key, sizeof(key));
}

static void
dbcheck_other(struct dbcheck *c, struct dbcheck_item k, struct dbcheck_item v)
{
	(void)k;
	(void)v;
	c->counts->others++;
}

/* ------------------------------------------------------------------ files -- */

static const struct dbcheck_file {
	const char	*name;
	void		(*record)(struct dbcheck *c, struct dbcheck_item k,
			    struct dbcheck_item v);
} dbcheck_files[DBCHECK__COUNT] = {
	[DBCHECK_USERS] = { "users.db", dbcheck_user },
	[DBCHECK_ADDRESSES] = { "addresses.db", dbcheck_address },
	[DBCHECK_ALIASES] = { "aliases.db", dbcheck_alias },
	[DBCHECK_ORDER] = { "order.db", dbcheck_order },
	[DBCHECK_CERTIFICATES] = { "certificates.db", dbcheck_certificate },
	[DBCHECK_ALLOWED] = { "allowed.db", dbcheck_allowed },
	[DBCHECK_COUNTS] = { "counts.db", dbcheck_count },
	[DBCHECK_RELAY] = { "relay.db", dbcheck_grant },
	[DBCHECK_EXPIRY] = { "relay_expiry.db", dbcheck_expiry },
	[DBCHECK_RELAY_USER] = { "relay_user.db", dbcheck_relay_user },
	[DBCHECK_LOGINS] = { "logins.db", dbcheck_login },
	[DBCHECK_PLACES] = { "places.db", dbcheck_place },
	[DBCHECK_QUOTA] = { "quota.db", dbcheck_quota },
	[DBCHECK_USAGE] = { "usage.db", dbcheck_usage },
	[DBCHECK_RECENT] = { "recent.db", dbcheck_recent },
	[DBCHECK_ORIGIN] = { "origin.db", dbcheck_origin },
};

static int
dbcheck_which(const char *name)
{
	for (int i = 0; i < DBCHECK__COUNT; i++)
		if (strcmp(dbcheck_files[i].name, name) == 0)
			return i;
	return -1;
}

/* A file that is missing altogether is not made here: without users there is
 * none of them, and otherwise each user shows that it is. */
static int
dbcheck_open(void *ctx, const char *name, struct err *reterr)
{
	struct dbcheck *c = ctx;
	int i = dbcheck_which(name);

	return i < 0 ? 0 : dbenv_open_db(c->env, name, &c->db[i], reterr);
}

static int
dbcheck_walk(struct dbcheck *c, DB *db, const struct dbcheck_file *f,
    struct err *reterr)
{
	DBT k = { 0 }, v = { 0 };
	DBC *cur;
	int rc;

	if ((rc = db->cursor(db, NULL, &cur, 0)) != 0)
		return dbenv_result(c->env, rc, c->file, reterr);
	/* The environment is DB_THREAD: no memory of its own to lend. */
	k.flags = v.flags = DB_DBT_REALLOC;
	while ((rc = cur->get(cur, &k, &v, DB_NEXT)) == 0)
		f->record(c, (struct dbcheck_item){ k.data, k.size },
		    (struct dbcheck_item){ v.data, v.size });
	(void)cur->close(cur);
	free(k.data);
	if (v.data != NULL)
		explicit_bzero(v.data, v.size);
	free(v.data);
	return rc == DB_NOTFOUND ? 0 :
	    dbenv_result(c->env, rc, c->file, reterr);
}

static int
dbcheck_records(void *ctx, const char *name, struct err *reterr)
{
	static const struct dbcheck_file other = { NULL, dbcheck_other };
	struct dbcheck *c = ctx;
	int i = dbcheck_which(name), r;
	DB *db;

	c->file = name;
	if (i >= 0)
		return dbcheck_walk(c, c->db[i], &dbcheck_files[i], reterr);
	if ((r = dbenv_open_db(c->env, name, &db, reterr)) != 0)
		return r;
	r = dbcheck_walk(c, db, &other, reterr);
	db->close(db, 0);
	return r;
}

/* ------------------------------------------------------------------ pages -- */

static void
dbcheck_errcall(const DB_ENV *env, const char *prefix, const char *msg)
{
	(void)prefix;
	dbcheck_flaw(env->app_private, "%s", msg);
}

/* An environment of its own for its cache, and for the file that it may need
 * beside: there is no /tmp here. */
static int
dbcheck_verify(void *ctx, const char *name, struct err *reterr)
{
	struct dbcheck *c = ctx;
	struct stat st;
	char path[512];
	DB_ENV *env;
	DB *db;
	int rc;

	c->file = name;
	c->counts->databases++;
	if (str_format(path, sizeof(path), "%s/%s", c->home, name) != 0 ||
	    (rc = db_env_create(&env, 0)) != 0)
		return err_set(reterr, ERR_NOMEM, "%s: no memory", name);
	if (stat(path, &st) == 0)
		c->counts->octets += (uint64_t)st.st_size;
	env->app_private = c;
	env->set_errcall(env, dbcheck_errcall);
	if ((rc = env->set_cachesize(env, 0, DBENV_VERIFY_CACHE, 1)) != 0 ||
	    (rc = env->set_tmp_dir(env, ".")) != 0 ||
	    (rc = env->open(env, c->home, DB_CREATE | DB_PRIVATE |
	    DB_INIT_MPOOL, 0600)) != 0 ||
	    (rc = db_create(&db, env, 0)) != 0) {
		(void)env->close(env, 0);
		return err_set(reterr, ERR_CORRUPT, "%s: %s", name,
		    db_strerror(rc));
	}
	rc = db->verify(db, name, NULL, NULL, 0);	/* closes it, too */
	(void)env->close(env, 0);
	if (rc != 0)
		dbcheck_flaw(c, "%s", db_strerror(rc));
	return 0;
}

/* Recovers it, and lets go of the log that is not needed any more. */
static int
dbcheck_recover(struct dbcheck *c, bool fatal, struct err *reterr)
{
	int r = fatal ? dbenv_open_fatal(c->home, &c->env, reterr) :
	    dbenv_open(c->home, &c->env, reterr);

	if (r != 0)
		return r;
	(void)c->env->env->log_archive(c->env->env, NULL, DB_ARCH_REMOVE);
	dbenv_close(c->env);
	return 0;
}

static int
dbcheck_all_records(struct dbcheck *c, struct err *reterr)
{
	int r;

	if ((r = dbenv_open(c->home, &c->env, reterr)) != 0)
		return r;
	r = dbenv_each_file(c->home, dbcheck_open, c, reterr);
	if (r == 0)
		r = dbenv_each_file(c->home, dbcheck_records, c, reterr);
	if (r == 0)
		dbcheck_counts(c);
	for (int i = 0; i < DBCHECK__COUNT; i++)
		if (c->db[i] != NULL)
			(void)c->db[i]->close(c->db[i], 0);
	dbenv_close(c->env);
	return r;
}

/* Pages first: Berkeley DB believes what stands in them when it reads. */
int
dbenv_check(const char *home, bool fatal, dbenv_flaw_fn *flaw, void *ctx,
    struct dbenv_counts *ret, struct err *reterr)
{
	struct dbcheck c = { .home = home, .flaw = flaw, .ctx = ctx,
	    .counts = ret };
	int r;

	memset(ret, 0, sizeof(*ret));
	if ((r = dbcheck_recover(&c, fatal, reterr)) != 0 ||
	    (r = dbenv_each_file(home, dbcheck_verify, &c, reterr)) != 0 ||
	    ret->flaws > 0)
		return r;
	return dbcheck_all_records(&c, reterr);
}
