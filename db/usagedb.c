/*
 * usagedb.c - see usagedb.h. In authd-core: counting on the loop, writing on the
 * upkeep thread, looking up on threads of the administrator's.
 */
#include "config.h"

#include "db/usagedb.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "db/dbenv_private.h"
#include "db/waiting.h"
#include "lib/str.h"

#define USAGE_BATCH	64u	/* records in a transaction: readers wait for
				 * its pages */
#define USAGE_KEY_MAX	(1 + MAILBOX_SIZE)
#define USAGE_OLD_KEY	17u

struct usagedb {
	struct dbenv	*env;
	DB		*db;
	pthread_mutex_t	 writing;	/* one flush at a time */
	pthread_mutex_t	 lock;		/* of what is below */
	struct waiting	*waiting;	/* of struct usage_record */
	int64_t		 written_ms;
	uint32_t	 n_old;		/* addresses in the database */
	struct dbenv_place place;	/* upkeep's */
};

/* -------------------------------------------------------------------- keys -- */

static size_t
usage_user_key(const char *user, uint8_t dst[USAGE_KEY_MAX])
{
	size_t len = strnlen(user, MAILBOX_SIZE - 1);

	dst[0] = 'u';
	memcpy(dst + 1, user, len);
	return 1 + len;
}

static size_t
usage_old_key(const struct addr *a, uint8_t dst[USAGE_KEY_MAX])
{
	dst[0] = 'a';
	memcpy(dst + 1, a->ip, sizeof(a->ip));
	if (!addr_is_v4(a))
		addr_mask(dst + 1, 64);
	return USAGE_OLD_KEY;
}

static size_t
usage_minute_key(int64_t at_s, uint8_t dst[USAGE_KEY_MAX])
{
	uint32_t minute = (uint32_t)(at_s / 60);

	dst[0] = 'm';
	for (unsigned int i = 0; i < 4; i++)
		dst[1 + i] = (uint8_t)(minute >> (24 - 8 * i));
	return 5;
}

static int64_t
usage_minute_s(const uint8_t *key)
{
	return ((int64_t)key[1] << 24 | (int64_t)key[2] << 16 |
	    (int64_t)key[3] << 8 | key[4]) * 60;
}

/* ---------------------------------------------------------------- counting -- */

static void
usage_note(struct usagedb *u, const uint8_t *key, size_t len,
    const struct usage_record *r)
{
	struct waiting_note *n;

	pthread_mutex_lock(&u->lock);
	if ((n = waiting_put(u->waiting, key, len)) != NULL)
		usage_merge((struct usage_record *)n->data, r);
	pthread_mutex_unlock(&u->lock);
}

static void
usage_note_all(struct usagedb *u, enum usage_what what, int64_t now_s)
{
	struct usage_record r = { .kind = 'm' };
	uint8_t key[USAGE_KEY_MAX];

	r.minute.n[what] = 1;
	usage_note(u, key, usage_minute_key(now_s, key), &r);
}

void
usagedb_sent(struct usagedb *u, const char *user, enum usage_what way,
    const struct usage_last *last)
{
	struct usage_record r = { .kind = 'u' };
	uint8_t key[USAGE_KEY_MAX];

	r.user.last[way] = *last;
	usage_days_add(&r.user.days[way], last->at_s, 1);
	usage_note(u, key, usage_user_key(user, key), &r);
	usage_note_all(u, way, last->at_s);
}

void
usagedb_helo(struct usagedb *u, const char *user, enum usage_what way,
    const char *helo)
{
	struct usage_record r = { .kind = 'u' };
	uint8_t key[USAGE_KEY_MAX];

	if (str_copy(r.user.last[way].helo, USAGE_HELO_SIZE, helo) == 0)
		usage_note(u, key, usage_user_key(user, key), &r);
}

void
usagedb_refused(struct usagedb *u, const char *user, int64_t begin_s,
    int64_t now_s)
{
	struct usage_record r = { .kind = 'u' };
	uint8_t key[USAGE_KEY_MAX];

	r.user.brownouts[0] = (struct usage_brownout){ .begin_s = begin_s,
	    .last_s = now_s, .n = 1 };
	usage_days_add(&r.user.days[USAGE_REFUSED], now_s, 1);
	usage_note(u, key, usage_user_key(user, key), &r);
	usage_note_all(u, USAGE_REFUSED, now_s);
}

void
usagedb_old(struct usagedb *u, const struct addr *a,
    const struct usage_old *old)
{
	struct usage_record r = { .kind = 'a', .old = *old };
	uint8_t key[USAGE_KEY_MAX];

	usage_days_add(&r.old.days, old->last_s, 1);
	usage_note(u, key, usage_old_key(a, key), &r);
}

/* ----------------------------------------------------------------- writing -- */

struct usage_note_copy {
	uint8_t			key[USAGE_KEY_MAX];
	size_t			len;
	struct usage_record	r;
};

struct usage_batch {
	struct usagedb		*u;
	struct usage_note_copy	 v[USAGE_BATCH];
	unsigned int		 n;
	uint32_t		 n_old;		/* as it will be */
};

/* The first address at `from` or behind it: Berkeley DB's codes. */
static int
usage_seek_old(struct usage_batch *b, DB_TXN *txn, const uint8_t *from,
    size_t len, uint8_t at[USAGE_KEY_MAX])
{
	uint8_t v[USAGE_RECORD_MAX];
	struct dbenv_item k = { .p = at, .len = len, .size = USAGE_KEY_MAX };
	struct dbenv_item it = { .p = v, .size = sizeof(v) };
	int r;

	memcpy(at, from, len);
	r = dbenv_next(b->u->db, txn, &k, &it, DB_SET_RANGE);
	return r == 0 && (at[0] != 'a' || k.len != USAGE_OLD_KEY) ?
	    DB_NOTFOUND : r;
}

/* For this new address another one goes: of its wide network, if one is there;
 * else any. */
static int
usage_make_room(struct usage_batch *b, DB_TXN *txn, const uint8_t *key)
{
	uint8_t at[USAGE_KEY_MAX], from[USAGE_OLD_KEY];
	struct net net;
	struct addr a = { 0 };
	int r;

	memcpy(a.ip, key + 1, sizeof(a.ip));
	memcpy(net.ip, a.ip, sizeof(net.ip));
	net.bits = addr_is_v4(&a) ? 96 + 8 : 32;
	addr_mask(net.ip, net.bits);
	from[0] = 'a';
	memcpy(from + 1, net.ip, sizeof(net.ip));
	r = usage_seek_old(b, txn, from, sizeof(from), at);
	memcpy(a.ip, at + 1, sizeof(a.ip));
	if (r == DB_NOTFOUND || (r == 0 && !net_has(&net, &a)))
		r = usage_seek_old(b, txn, from, 1, at);
	if (r == 0 && (r = dbenv_del(b->u->db, txn, at, USAGE_OLD_KEY)) == 0)
		b->n_old--;
	return r == DB_NOTFOUND ? 0 : r;
}

static int
usage_write_one(struct usage_batch *b, DB_TXN *txn,
    const struct usage_note_copy *n)
{
	uint8_t v[USAGE_RECORD_MAX];
	struct dbenv_item it = { .p = v, .size = sizeof(v) };
	struct usage_record r;
	int rc = dbenv_get(b->u->db, txn, n->key, n->len, &it, DB_RMW);
	bool is_new = rc == DB_NOTFOUND;

	if (rc != 0 && !is_new && rc != ERR_CORRUPT)
		return rc;
	if (rc != 0 || usage_decode((char)n->key[0], v, it.len, &r) != 0)
		r = (struct usage_record){ .kind = (char)n->key[0] };
	if (is_new && n->key[0] == 'a') {
		if (b->n_old >= USAGE_OLD_MAX &&
		    (rc = usage_make_room(b, txn, n->key)) != 0)
			return rc;
		b->n_old++;
	}
	usage_merge(&r, &n->r);
	if ((rc = usage_encode(&r, v)) < 0)
		return rc;
	return dbenv_put(b->u->db, txn, n->key, n->len, v, (size_t)rc, 0);
}

static int
usage_batch_txn(void *ctx, DB_TXN *txn, struct err *reterr)
{
	struct usage_batch *b = ctx;
	int r = 0;

	(void)reterr;
	b->n_old = b->u->n_old;		/* again, if this is repeated */
	for (unsigned int i = 0; i < b->n && r == 0; i++)
		r = usage_write_one(b, txn, &b->v[i]);
	return r;
}

/* Takes the oldest out. */
static void
usage_batch_take(struct usage_batch *b, uint64_t before)
{
	struct usagedb *u = b->u;
	struct waiting_note *n;

	b->n = 0;
	pthread_mutex_lock(&u->lock);
	while ((n = waiting_oldest(u->waiting)) != NULL &&
	    n->serial <= before && b->n < USAGE_BATCH) {
		struct usage_note_copy *c = &b->v[b->n++];

		memcpy(c->key, n->key, n->len);
		c->len = n->len;
		memcpy(&c->r, n->data, sizeof(c->r));
		waiting_drop(u->waiting, n);
	}
	pthread_mutex_unlock(&u->lock);
}

/* Nothing of it was written: it waits again, with what came meanwhile. */
static void
usage_batch_back(struct usage_batch *b)
{
	for (unsigned int i = 0; i < b->n; i++)
		usage_note(b->u, b->v[i].key, b->v[i].len, &b->v[i].r);
}

static int
usage_write(struct usage_batch *b, struct err *reterr)
{
	struct usagedb *u = b->u;
	uint64_t before;
	int r = 0;

	pthread_mutex_lock(&u->lock);
	before = waiting_serial(u->waiting);
	pthread_mutex_unlock(&u->lock);
	while (r == 0) {
		usage_batch_take(b, before);
		if (b->n == 0)
			break;
		r = dbenv_txn(u->env, DBENV_NOSYNC, usage_batch_txn, b,
		    "usage", reterr);
		if (r == 0)
			u->n_old = b->n_old;
		else
			usage_batch_back(b);
	}
	return r;
}

bool
usagedb_is_due(struct usagedb *u, int64_t mono_ms)
{
	unsigned int n;
	bool due;

	pthread_mutex_lock(&u->lock);
	n = waiting_count(u->waiting);
	due = n >= USAGE_WAITING_MAX / 2 || (n > 0 &&
	    mono_ms - u->written_ms >= USAGE_WRITE_S * 1000);
	pthread_mutex_unlock(&u->lock);
	return due;
}

int
usagedb_flush(struct usagedb *u, int64_t mono_ms, struct err *reterr)
{
	struct usage_batch *b = calloc(1, sizeof(*b));
	int r;

	if (b == NULL)
		return err_set(reterr, ERR_NOMEM, "usage: no memory");
	b->u = u;
	pthread_mutex_lock(&u->writing);
	r = usage_write(b, reterr);
	pthread_mutex_unlock(&u->writing);
	pthread_mutex_lock(&u->lock);
	u->written_ms = mono_ms;
	pthread_mutex_unlock(&u->lock);
	free(b);
	return r;
}

/* ---------------------------------------------------------------- sweeping -- */

/* Of those that go the addresses are counted. */
static enum dbenv_fate
usage_fate(const void *ctx, const struct dbenv_item *k,
    const struct dbenv_item *v)
{
	const int64_t *now_s = ctx;
	const uint8_t *key = k->p;
	struct usage_record r;
	bool is_over;

	if (key[0] == 'm')
		is_over = k->len != 5 ||
		    usage_minute_s(key) < *now_s - USAGE_MINUTES_KEEP_S;
	else
		is_over = usage_decode((char)key[0], v->p, v->len, &r) != 0 ||
		    (key[0] == 'a' && (k->len != USAGE_OLD_KEY ||
		    r.old.last_s < *now_s - USAGE_OLD_KEEP_S));
	if (!is_over)
		return DBENV_KEEP;
	return key[0] == 'a' ? DBENV_REMOVE : DBENV_REMOVE_UNCOUNTED;
}

int
usagedb_sweep(struct usagedb *u, int64_t now_s, unsigned int budget,
    struct err *reterr)
{
	uint8_t v[USAGE_RECORD_MAX];
	struct dbenv_sweep s = { .db = u->db, .what = "usage",
	    .fate = usage_fate, .ctx = &now_s, .budget = budget,
	    .value = { .p = v, .size = sizeof(v) }, .place = &u->place };
	int r;

	pthread_mutex_lock(&u->writing);
	r = dbenv_sweep(u->env, &s, reterr);
	u->n_old -= s.removed < u->n_old ? (uint32_t)s.removed : u->n_old;
	pthread_mutex_unlock(&u->writing);
	return r;
}

struct usage_gone {
	struct usagedb	*u;
	uint8_t		 key[USAGE_KEY_MAX];
	size_t		 len;
};

static int
usage_forget_txn(void *ctx, DB_TXN *txn, struct err *reterr)
{
	const struct usage_gone *g = ctx;
	int r = dbenv_del(g->u->db, txn, g->key, g->len);

	(void)reterr;
	return r == DB_NOTFOUND ? 0 : r;
}

int
usagedb_forget(struct usagedb *u, const char *user, struct err *reterr)
{
	struct usage_gone g = { .u = u };
	struct waiting_note *n;
	int r;

	g.len = usage_user_key(user, g.key);
	pthread_mutex_lock(&u->writing);
	pthread_mutex_lock(&u->lock);
	if ((n = waiting_find(u->waiting, g.key, g.len)) != NULL)
		waiting_drop(u->waiting, n);
	pthread_mutex_unlock(&u->lock);
	r = dbenv_txn(u->env, DBENV_NOSYNC, usage_forget_txn, &g, "usage",
	    reterr);
	pthread_mutex_unlock(&u->writing);
	return r;
}

/* --------------------------------------------------------------- looking up -- */

int
usagedb_get(struct usagedb *u, const char *user, struct usage_user *ret,
    struct err *reterr)
{
	uint8_t key[USAGE_KEY_MAX], v[USAGE_RECORD_MAX];
	struct dbenv_item it = { .p = v, .size = sizeof(v) };
	struct usage_record rec;
	int r = dbenv_get(u->db, NULL, key, usage_user_key(user, key), &it, 0);

	if (r == 0 && (r = usage_decode('u', v, it.len, &rec)) == 0)
		*ret = rec.user;
	return dbenv_result(u->env, r, "usage", reterr);
}

/* The pair behind the key (which holds another then) if it is of its kind.
 * Berkeley DB's codes. */
static int
usage_next(struct usagedb *u, uint8_t key[USAGE_KEY_MAX], size_t *len,
    struct usage_record *ret)
{
	uint8_t v[USAGE_RECORD_MAX], kind = key[0];
	struct dbenv_item k = { .p = key, .len = *len, .size = USAGE_KEY_MAX };
	struct dbenv_item it = { .p = v, .size = sizeof(v) };
	int r = dbenv_next(u->db, NULL, &k, &it, 0);

	if (r == ERR_CORRUPT)
		return EIO;		/* larger than any: no way past it */
	if (r == 0 && key[0] != kind)
		r = DB_NOTFOUND;
	if (r == 0) {
		*len = k.len;
		r = usage_decode((char)kind, v, it.len, ret);
	}
	return r;
}

int
usagedb_next_user(struct usagedb *u, char user[MAILBOX_SIZE],
    struct usage_user *ret, struct err *reterr)
{
	uint8_t key[USAGE_KEY_MAX];
	size_t len = usage_user_key(user, key);
	struct usage_record rec;
	int r = usage_next(u, key, &len, &rec);

	if (r == 0 || r == ERR_CORRUPT)
		(void)str_copy_n(user, MAILBOX_SIZE, (char *)key + 1, len - 1);
	if (r == 0)
		*ret = rec.user;
	return dbenv_result(u->env, r, "usage", reterr);
}

int
usagedb_next_old(struct usagedb *u, uint8_t ip[16], struct usage_old *ret,
    struct err *reterr)
{
	uint8_t key[USAGE_KEY_MAX] = { 'a' };
	size_t len = USAGE_OLD_KEY;
	struct usage_record rec;
	int r;

	memcpy(key + 1, ip, 16);
	r = usage_next(u, key, &len, &rec);
	if (r == 0 || r == ERR_CORRUPT)
		memcpy(ip, key + 1, 16);
	if (r == 0)
		*ret = rec.old;
	return dbenv_result(u->env, r, "usage", reterr);
}

int
usagedb_sum(struct usagedb *u, int64_t from_s, int64_t to_s,
    struct usage_minute *ret, struct err *reterr)
{
	struct usage_record sum = { .kind = 'm' }, rec;
	uint8_t key[USAGE_KEY_MAX];
	size_t len = usage_minute_key(from_s - 60, key);
	int r;

	while (((r = usage_next(u, key, &len, &rec)) == 0 ||
	    r == ERR_CORRUPT) && len == 5 && usage_minute_s(key) < to_s)
		if (r == 0)
			usage_merge(&sum, &rec);
	*ret = sum.minute;
	return r == DB_NOTFOUND ? 0 : dbenv_result(u->env, r, "usage", reterr);
}

/* -------------------------------------------------------------------- life -- */

/* The addresses that are there are counted once. */
static int
usage_count_old(struct usagedb *u, struct err *reterr)
{
	uint8_t ip[16] = { 0 };
	struct err e = { 0 };
	struct usage_old old;
	int r;

	while ((r = usagedb_next_old(u, ip, &old, &e)) == 0 ||
	    r == ERR_CORRUPT)
		u->n_old++;
	if (r == ERR_NOTFOUND)
		return 0;
	if (reterr != NULL)
		*reterr = e;
	return r;
}

int
usagedb_open(struct dbenv *env, struct usagedb **ret, struct err *reterr)
{
	struct usagedb *u = calloc(1, sizeof(*u));
	int r;

	if (u == NULL)
		return err_set(reterr, ERR_NOMEM, "no memory");
	u->env = env;
	pthread_mutex_init(&u->writing, NULL);
	pthread_mutex_init(&u->lock, NULL);
	u->waiting = waiting_new(USAGE_WAITING_MAX,
	    sizeof(struct usage_record));
	if (u->waiting == NULL)
		r = err_set(reterr, ERR_NOMEM, "no memory");
	else if ((r = dbenv_open_db(env, "usage.db", &u->db, reterr)) == 0)
		r = usage_count_old(u, reterr);
	if (r != 0) {
		usagedb_close(u);
		return r;
	}
	*ret = u;
	return 0;
}

void
usagedb_close(struct usagedb *u)
{
	if (u == NULL)
		return;
	waiting_free(u->waiting);
	if (u->db != NULL)
		(void)u->db->close(u->db, 0);
	pthread_mutex_destroy(&u->writing);
	pthread_mutex_destroy(&u->lock);
	free(u);
}
