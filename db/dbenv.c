/*
 * dbenv.c - opening, recovering and closing the environment; transactions that
 * are repeated after a deadlock. Runs in authd-core only. It must never open
 * the environment without holding the lock, and never log or exit.
 */
#include "config.h"

#include "db/dbenv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <db.h>

#include "db/dbenv_private.h"
#include "lib/clock.h"
#include "lib/fio.h"
#include "lib/str.h"

#define DBENV_LOCK_WAIT_MS	5000
#define DBENV_LOCKS_MAX		200000u	/* a transaction of thousands of changes */
#define DBENV_LOCKERS_MAX	20000u
#define DBENV_LOCKS_TABLE	4096u	/* its buckets; by itself as many as locks */
#define DBENV_TXNS_MAX		2000u
#define DBENV_LOG_BUFFER	(512u * 1024)
#define DBENV_LOG_FILE		(8u * 1024 * 1024)	/* a new one costs a wait */
#define DBENV_TRIES_MAX		1000
#define DBENV_CHECKPOINT_MS	60000	/* this often after little */
#define DBENV_CHECKPOINT_KB	256u
#define DBENV_CHECKPOINT_MIN	5u
#define DBENV_META		"meta.db"
#define DBENV_KEY_VERSION	"version"
#define DBENV_PRIORITY_LOW	1u	/* Berkeley DB's own is 100 */

static void
dbenv_errcall(const DB_ENV *env, const char *prefix, const char *msg)
{
	struct dbenv *e = env->app_private;

	(void)prefix;
	pthread_mutex_lock(&e->mutex);
	(void)snprintf(e->last, sizeof(e->last), "%s", msg);
	pthread_mutex_unlock(&e->mutex);
}

static void
dbenv_event(DB_ENV *env, uint32_t event, void *info)
{
	struct dbenv *e = env->app_private;

	(void)info;
	if (event == DB_EVENT_PANIC)
		atomic_store(&e->broken, true);
}

int
dbenv_result(struct dbenv *e, int rc, const char *what, struct err *reterr)
{
	char last[sizeof(e->last)];

	if (rc == 0 || (rc < 0 && rc > -100))	/* ours has its text */
		return rc;
	if (rc == DB_NOTFOUND)
		return err_set(reterr, ERR_NOTFOUND, "%s: not found", what);
	if (rc == DB_KEYEXIST)
		return err_set(reterr, ERR_EXISTS, "%s: exists", what);
	if (rc == DB_RUNRECOVERY)
		atomic_store(&e->broken, true);
	if (rc == ENOMEM)
		return err_set(reterr, ERR_NOMEM, "%s: no memory", what);
	if (rc > 0) {
		errno = rc;
		return err_sys(reterr, "%s", what);
	}
	pthread_mutex_lock(&e->mutex);
	memcpy(last, e->last, sizeof(last));
	e->last[0] = '\0';
	pthread_mutex_unlock(&e->mutex);
	return err_set(reterr, ERR_CORRUPT, "%s: %s%s%s", what,
	    db_strerror(rc), last[0] != '\0' ? ": " : "", last);
}

/* Who holds the lock, for the text of the refusal. */
static int
dbenv_refuse_second(int fd, const char *home, struct err *reterr)
{
	char pid[24] = "";
	ssize_t n;

	n = pread(fd, pid, sizeof(pid) - 1, 0);
	if (n > 0)
		pid[strcspn(pid, "\n")] = '\0';
	return err_set(reterr, ERR_EXISTS,
	    "%s: the database is in use by another authd-core%s%s%s", home,
	    n > 0 ? " (process " : "", pid, n > 0 ? ")" : "");
}

/* E1: the lock comes before anything else. */
static int
dbenv_take_lock(struct dbenv *e, const char *home, struct err *reterr)
{
	char path[4096], pid[24];
	int fd, r;

	if (str_format(path, sizeof(path), "%s/lock", home) != 0)
		return err_set(reterr, ERR_LIMIT, "%.64s…: path too long", home);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1)
		return err_sys(reterr, "%s", path);
	if ((r = fio_lock(fd, DBENV_LOCK_WAIT_MS)) != 0) {
		r = r == ERR_EXISTS ? dbenv_refuse_second(fd, home, reterr) :
		    err_sys(reterr, "%s", path);
		close(fd);
		return r;
	}
	/* For people; written over what is there, as the disk may be full. */
	(void)snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	if (pwrite(fd, pid, strlen(pid), 0) == (ssize_t)strlen(pid))
		(void)!ftruncate(fd, (off_t)strlen(pid));
	e->lock_fd = fd;
	return 0;
}

static int
dbenv_configure(struct dbenv *e)
{
	DB_ENV *env = e->env;
	int rc;

	env->app_private = e;
	env->set_errcall(env, dbenv_errcall);
	if ((rc = env->set_event_notify(env, dbenv_event)) != 0 ||
	    (rc = env->set_cachesize(env, 0, DBENV_CACHE_OCTETS, 1)) != 0 ||
	    (rc = env->set_lk_detect(env, DB_LOCK_DEFAULT)) != 0 ||
	    (rc = env->set_lk_max_locks(env, DBENV_LOCKS_MAX)) != 0 ||
	    (rc = env->set_lk_max_objects(env, DBENV_LOCKS_MAX)) != 0 ||
	    (rc = env->set_lk_max_lockers(env, DBENV_LOCKERS_MAX)) != 0 ||
	    (rc = env->set_lk_tablesize(env, DBENV_LOCKS_TABLE)) != 0 ||
	    (rc = env->set_tx_max(env, DBENV_TXNS_MAX)) != 0 ||
	    (rc = env->set_lg_bsize(env, DBENV_LOG_BUFFER)) != 0 ||
	    (rc = env->set_lg_max(env, DBENV_LOG_FILE)) != 0)
		return rc;
	return env->log_set_config(env, DB_LOG_AUTO_REMOVE, 1);
}

static int
dbenv_recover(struct dbenv *e, const char *home, uint32_t how,
    struct err *reterr)
{
	int rc;

	if ((rc = db_env_create(&e->env, 0)) != 0) {
		e->env = NULL;
		return dbenv_result(e, rc, home, reterr);
	}
	if ((rc = dbenv_configure(e)) != 0)
		return dbenv_result(e, rc, home, reterr);
	rc = e->env->open(e->env, home, DB_CREATE | DB_PRIVATE | how |
	    DB_INIT_TXN | DB_INIT_LOG | DB_INIT_LOCK | DB_INIT_MPOOL |
	    DB_THREAD, 0600);
	return dbenv_result(e, rc, home, reterr);
}

struct dbenv_version {
	DB		*db;
	uint32_t	 found;		/* 0: none */
};

static int
dbenv_version_read(struct dbenv_version *v, DB_TXN *txn, uint32_t flags)
{
	uint8_t be[4];
	struct dbenv_item it = { .p = be, .size = sizeof(be) };
	int rc;

	v->found = 0;
	rc = dbenv_get(v->db, txn, DBENV_KEY_VERSION,
	    strlen(DBENV_KEY_VERSION), &it, flags);
	if (rc == 0 && it.len != sizeof(be))
		return ERR_CORRUPT;
	if (rc == 0)
		v->found = (uint32_t)be[0] << 24 | (uint32_t)be[1] << 16 |
		    (uint32_t)be[2] << 8 | be[3];
	return rc == DB_NOTFOUND ? 0 : rc;
}

static int
dbenv_version_txn(void *ctx, DB_TXN *txn, struct err *reterr)
{
	const uint8_t be[4] = { 0, 0, 0, DBENV_VERSION };
	struct dbenv_version *v = ctx;

	(void)reterr;
	_Static_assert(DBENV_VERSION < 256, "one octet is written");
	return dbenv_put(v->db, txn, DBENV_KEY_VERSION,
	    strlen(DBENV_KEY_VERSION), be, sizeof(be), 0);
}

/* E4. Records of an older version are read as they are, and written anew as
 * they change, so the mark alone is set. Nothing is written where it is right:
 * the disk may be full. */
static int
dbenv_check_version(struct dbenv *e, const char *home, struct err *reterr)
{
	struct dbenv_version v = { 0 };
	int r;

	if ((r = dbenv_open_db(e, DBENV_META, &v.db, reterr)) != 0)
		return r;
	r = dbenv_version_read(&v, NULL, 0);
	if (r == ERR_CORRUPT)
		(void)err_set(reterr, r, "%s/%s: the version is unreadable",
		    home, DBENV_META);
	else if (r != 0)
		r = dbenv_result(e, r, DBENV_META, reterr);
	else if (v.found > DBENV_VERSION)
		r = err_set(reterr, ERR_CONFIG, "%s: the database was written "
		    "by a newer version (format %u, this program knows %u): "
		    "install that version, or restore a backup of yours", home,
		    v.found, (unsigned int)DBENV_VERSION);
	else if (v.found < DBENV_VERSION)
		r = dbenv_txn(e, DBENV_SYNC, dbenv_version_txn, &v,
		    DBENV_META, reterr);
	v.db->close(v.db, 0);
	return r;
}

static int
dbenv_check_whole(const struct dbenv *e, struct err *reterr)
{
	if (faccessat(e->home_fd, DBENV_RESTORING, F_OK, 0) != 0)
		return 0;
	return err_set(reterr, ERR_CORRUPT, "%s: a restore of the database "
	    "was interrupted: do it again with authd --recover --from",
	    e->home);
}

static int
dbenv_open_how(const char *home, uint32_t how, struct dbenv **ret,
    struct err *reterr)
{
	struct dbenv *e;
	int r;

	if ((e = calloc(1, sizeof(*e))) == NULL)
		return err_set(reterr, ERR_NOMEM, "%s: no memory", home);
	e->lock_fd = -1;
	e->checkpoint_ms = clock_mono_ms();
	pthread_mutex_init(&e->mutex, NULL);
	dbenv_flush_init(e);
	e->home_fd = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (e->home_fd < 0)
		r = err_sys(reterr, "%s", home);
	else if (str_copy(e->home, sizeof(e->home), home) != 0)
		r = err_set(reterr, ERR_LIMIT, "%.64s…: path too long", home);
	else if ((r = dbenv_take_lock(e, home, reterr)) == 0 &&
	    (r = dbenv_check_whole(e, reterr)) == 0) {
		dbenv_reserve_release(e);
		if ((r = dbenv_recover(e, home, how, reterr)) == 0)
			r = dbenv_check_version(e, home, reterr);
		if (r == 0 && (r = dbenv_flush_start(e)) != 0)
			(void)err_set(reterr, r, "%s: no thread", home);
	}
	if (r != 0) {
		dbenv_close(e);
		return r;
	}
	*ret = e;
	return 0;
}

int
dbenv_open(const char *home, struct dbenv **ret, struct err *reterr)
{
	return dbenv_open_how(home, DB_RECOVER, ret, reterr);
}

int
dbenv_open_fatal(const char *home, struct dbenv **ret, struct err *reterr)
{
	return dbenv_open_how(home, DB_RECOVER_FATAL, ret, reterr);
}

void
dbenv_close(struct dbenv *e)
{
	if (e == NULL)
		return;
	dbenv_flush_stop(e);
	if (e->env != NULL) {
		if (!atomic_load(&e->broken) && dbenv_has_space(e))
			(void)e->env->txn_checkpoint(e->env, 0, 0, 0);
		(void)e->env->close(e->env, 0);
	}
	if (e->lock_fd != -1)
		close(e->lock_fd);
	if (e->home_fd != -1)
		close(e->home_fd);
	pthread_mutex_destroy(&e->mutex);
	dbenv_flush_end(e);
	free(e);
}

int
dbenv_checkpoint(struct dbenv *e, struct err *reterr)
{
	int64_t now_ms = clock_mono_ms();
	int rc;

	dbenv_reserve_keep(e);
	if (!dbenv_has_space(e))
		return 0;
	rc = e->env->txn_checkpoint(e->env, DBENV_CHECKPOINT_LOG_KB, 0, 0);
	if (rc == 0 && now_ms - e->checkpoint_ms >= DBENV_CHECKPOINT_MS) {
		e->checkpoint_ms = now_ms;
		rc = e->env->txn_checkpoint(e->env, DBENV_CHECKPOINT_KB,
		    DBENV_CHECKPOINT_MIN, 0);
	}
	return dbenv_result(e, rc, "checkpoint", reterr);
}

bool
dbenv_is_broken(const struct dbenv *e)
{
	return atomic_load(&e->broken);
}

int
dbenv_open_db(struct dbenv *e, const char *file, DB **ret, struct err *reterr)
{
	DB *db;
	int rc;

	if ((rc = db_create(&db, e->env, 0)) != 0)
		return dbenv_result(e, rc, file, reterr);
	rc = db->open(db, NULL, file, NULL, DB_BTREE,
	    DB_CREATE | DB_AUTO_COMMIT | DB_THREAD, 0600);
	if (rc != 0) {
		db->close(db, 0);
		return dbenv_result(e, rc, file, reterr);
	}
	*ret = db;
	return 0;
}

static bool
dbenv_again(int rc)
{
	return rc == DB_LOCK_DEADLOCK || rc == DB_LOCK_NOTGRANTED;
}

static int
dbenv_run(struct dbenv *e, enum dbenv_durability d, dbenv_txn_fn *fn,
    void *ctx, const char *what, struct err *reterr)
{
	DB_TXN *txn;
	int rc = 0, tries;

	for (tries = 0; tries < DBENV_TRIES_MAX; tries++) {
		rc = e->env->txn_begin(e->env, NULL, &txn, 0);
		if (rc != 0)
			break;
		if (d == DBENV_UPKEEP)
			(void)txn->set_priority(txn, DBENV_PRIORITY_LOW);
		if ((rc = fn(ctx, txn, reterr)) == 0)
			rc = txn->commit(txn, (uint32_t)d);
		else
			(void)txn->abort(txn);
		if (!dbenv_again(rc))
			break;
	}
	return dbenv_result(e, rc, what, reterr);
}

static int
dbenv_no_space(const char *what, struct err *reterr)
{
	return err_set(reterr, ERR_NOSPACE,
	    "%s: the disk that holds the database is full", what);
}

int
dbenv_txn(struct dbenv *e, enum dbenv_durability d, dbenv_txn_fn *fn,
    void *ctx, const char *what, struct err *reterr)
{
	int r;

	if (!dbenv_has_space(e))
		return dbenv_no_space(what, reterr);
	r = dbenv_run(e, d, fn, ctx, what, reterr);
	/* What flushes may take a while, so it can do this too, when due. */
	if (r == 0 && d == DBENV_SYNC)
		(void)e->env->txn_checkpoint(e->env, DBENV_CHECKPOINT_LOG_KB,
		    0, 0);
	else if (r == 0)
		dbenv_flush_soon(e);
	return r;
}

int
dbenv_txn_taking(struct dbenv *e, dbenv_txn_fn *fn, void *ctx,
    const char *what, struct err *reterr)
{
	if (dbenv_has_space(e))
		return dbenv_txn(e, DBENV_SYNC, fn, ctx, what, reterr);
	if (!dbenv_reserve_lend(e))
		return dbenv_no_space(what, reterr);
	return dbenv_run(e, DBENV_SYNC, fn, ctx, what, reterr);
}

int
dbenv_flush(struct dbenv *e, struct err *reterr)
{
	return dbenv_result(e, e->env->log_flush(e->env, NULL), "the log",
	    reterr);
}

static DBT
dbenv_dbt(const void *p, size_t len, size_t size)
{
	return (DBT){ .data = (void *)(uintptr_t)p, .size = (uint32_t)len,
	    .ulen = (uint32_t)size, .flags = DB_DBT_USERMEM };
}

int
dbenv_get(DB *db, DB_TXN *txn, const void *key, size_t len,
    struct dbenv_item *ret, uint32_t flags)
{
	DBT k = dbenv_dbt(key, len, len), d;
	int rc, tries = 0;

	do {
		d = dbenv_dbt(ret->p, 0, ret->size);
		rc = db->get(db, txn, &k, &d, flags);
	} while (txn == NULL && dbenv_again(rc) && ++tries < DBENV_TRIES_MAX);
	if (rc == DB_BUFFER_SMALL)
		return ERR_CORRUPT;
	if (rc == 0)
		ret->len = d.size;
	return rc;
}

int
dbenv_put(DB *db, DB_TXN *txn, const void *key, size_t len, const void *data,
    size_t data_len, uint32_t flags)
{
	DBT k = dbenv_dbt(key, len, len);
	DBT d = dbenv_dbt(data, data_len, data_len);

	return db->put(db, txn, &k, &d, flags);
}

int
dbenv_del(DB *db, DB_TXN *txn, const void *key, size_t len)
{
	DBT k = dbenv_dbt(key, len, len);

	return db->del(db, txn, &k, 0);
}

static int
dbenv_next_once(DB *db, DB_TXN *txn, struct dbenv_item *key,
    struct dbenv_item *data, uint32_t flags)
{
	uint8_t from[512];
	size_t from_len = key->len;
	uint32_t op = flags == DB_LAST ? DB_LAST :
	    from_len == 0 ? DB_FIRST : DB_SET_RANGE;
	DBT k = dbenv_dbt(key->p, key->len, key->size);
	DBT d = dbenv_dbt(data->p, 0, data->size);
	DBC *cur;
	int rc, rc2;

	if (from_len > sizeof(from))
		return ERR_LIMIT;
	memcpy(from, key->p, from_len);
	if ((rc = db->cursor(db, txn, &cur, 0)) != 0)
		return rc;
	rc = cur->get(cur, &k, &d, op);
	if (rc == 0 && flags == 0 && op == DB_SET_RANGE &&
	    k.size == from_len && memcmp(k.data, from, from_len) == 0)
		rc = cur->get(cur, &k, &d, DB_NEXT);
	if ((rc2 = cur->close(cur)) != 0 && rc == 0)
		rc = rc2;
	if (rc == 0) {
		key->len = k.size;
		data->len = d.size;
	} else
		memcpy(key->p, from, from_len);
	return rc == DB_BUFFER_SMALL ? ERR_CORRUPT : rc;
}

int
dbenv_next(DB *db, DB_TXN *txn, struct dbenv_item *key,
    struct dbenv_item *data, uint32_t flags)
{
	int rc, tries = 0;

	do
		rc = dbenv_next_once(db, txn, key, data, flags);
	while (txn == NULL && dbenv_again(rc) && ++tries < DBENV_TRIES_MAX);
	return rc;
}
