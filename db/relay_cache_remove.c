/*
 * relay_cache_remove.c - revoking, purging and sweeping: grants that go. Runs in
 * authd-core only, on its threads.
 *
 * No login waits for it. What is to go is found without a transaction, which
 * also brings its pages into the cache; then a few records go in a transaction
 * that looks at each once more, waits for no disk, and takes its locks in the
 * order in which a login does. Cleaning rests as long as it works, and while the
 * log is flushed.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "db/relay_cache_private.h"

#define RELAY_CACHE_FEW		8u	/* go in a transaction */
#define RELAY_CACHE_MANY	256u	/* at a full disk, where each is flushed */
#define RELAY_CACHE_LOOK	512u	/* records looked at for those */
#define RELAY_CACHE_REST_MAX_US	100000	/* where the disk hangs */

/* A record, by its entry in the index by expiry. */
struct relay_cache_victim {
	uint8_t		idx[RELAY_CACHE_EXPIRY_MAX];
	size_t		len;
	int64_t		expires_s;	/* of the entry */
	bool		gone;		/* the record */
};

enum relay_cache_which {
	RELAY_CACHE_ALL,	/* whatever it says */
	RELAY_CACHE_DEAD,	/* not live now, or unreadable */
	RELAY_CACHE_SWEPT,	/* expired when the entry says so */
};

struct relay_cache_batch {
	struct relay_cache		*rc;
	enum relay_cache_which		 which;
	struct relay_filter		 filter;
	int64_t				 now_s;
	struct grant_record		 at;	/* ALL: found up to here */
	uint8_t				 key[RECORD_GRANT_KEY_MAX];
	size_t				 key_len;	/* DEAD: up to here */
	bool				 ended;
	unsigned int			 max;
	unsigned int			 n;
	uint64_t			 removed;	/* of these */
	struct relay_cache_victim	 v[RELAY_CACHE_MANY];
};

static const uint8_t *
relay_cache_victim_key(const struct relay_cache_victim *v, size_t *ret_len)
{
	*ret_len = v->len > 8 ? v->len - 8 : 0;
	return v->idx + 8;
}

static void
relay_cache_victim_add(struct relay_cache_batch *b, const uint8_t *key,
    size_t len)
{
	struct relay_cache_victim *v = &b->v[b->n++];

	memset(v->idx, 0, 8);
	memcpy(v->idx + 8, key, len);
	v->len = len + 8;
	v->expires_s = 0;
}

/* --------------------------------------------------------------- removing -- */

static bool
relay_cache_victim_stays(const struct relay_cache_batch *b,
    const struct relay_cache_victim *v, const struct grant_record *g)
{
	return (b->which == RELAY_CACHE_DEAD &&
	    relay_cache_is_live(g, b->now_s)) ||
	    (b->which == RELAY_CACHE_SWEPT && g->expires_s != v->expires_s);
}

/* The record itself. Its entry in the index by expiry is where it says. */
static int
relay_cache_victim_kill(const struct relay_cache_batch *b, DB_TXN *txn,
    struct relay_cache_victim *v)
{
	uint8_t value[RECORD_MAX];
	struct dbenv_item it = { .p = value, .size = sizeof(value) };
	struct grant_record g = { 0 };
	const uint8_t *key;
	size_t len;
	int r;

	v->gone = false;
	key = relay_cache_victim_key(v, &len);
	r = dbenv_get(b->rc->grants, txn, key, len, &it, DB_RMW);
	if (r == DB_NOTFOUND)
		return 0;
	if (r != 0 && r != ERR_CORRUPT)
		return r;
	if (r == 0 && record_grant_decode(value, it.len, &g) == 0) {
		if (relay_cache_victim_stays(b, v, &g))
			return 0;
		relay_cache_put_time(g.expires_s, v->idx);
	}
	if ((r = dbenv_del(b->rc->grants, txn, key, len)) == 0)
		v->gone = true;
	return r;
}

static int
relay_cache_victim_forget_user(const struct relay_cache_batch *b, DB_TXN *txn,
    const struct relay_cache_victim *v)
{
	uint8_t idx[RELAY_CACHE_USER_MAX];
	struct grant_record g = { 0 };
	const uint8_t *key;
	size_t len;
	int r;

	key = relay_cache_victim_key(v, &len);
	if (!v->gone || record_grant_key_decode(key, len, &g) != 0)
		return 0;
	r = dbenv_del(b->rc->users, txn, idx, relay_cache_user_key(&g, idx));
	return r == DB_NOTFOUND ? 0 : r;
}

static int
relay_cache_victim_forget_expiry(const struct relay_cache_batch *b,
    DB_TXN *txn, const struct relay_cache_victim *v)
{
	int r;

	if (!v->gone && b->which != RELAY_CACHE_SWEPT)
		return 0;
	r = dbenv_del(b->rc->expiry, txn, v->idx, v->len);
	return r == DB_NOTFOUND ? 0 : r;
}

/* File by file, as a login goes: then it and this one never each wait for the
 * other. */
static int
relay_cache_remove_txn(void *ctx, DB_TXN *txn, struct err *reterr)
{
	struct relay_cache_batch *b = ctx;
	unsigned int i;
	int r = 0;

	(void)reterr;
	b->removed = 0;
	for (i = 0; i < b->n && r == 0; i++) {
		r = relay_cache_victim_kill(b, txn, &b->v[i]);
		b->removed += b->v[i].gone;
	}
	for (i = 0; i < b->n && r == 0; i++)
		r = relay_cache_victim_forget_user(b, txn, &b->v[i]);
	for (i = 0; i < b->n && r == 0; i++)
		r = relay_cache_victim_forget_expiry(b, txn, &b->v[i]);
	return r;
}

/* Reads what the transaction will want, so that it finds it in memory. */
static void
relay_cache_bring(const struct relay_cache_batch *b)
{
	uint8_t value[RECORD_MAX], idx[RELAY_CACHE_EXPIRY_MAX];
	struct dbenv_item it = { .p = value, .size = sizeof(value) };
	struct grant_record g;
	const uint8_t *key;
	size_t len;

	for (unsigned int i = 0; i < b->n; i++) {
		memset(&g, 0, sizeof(g));
		key = relay_cache_victim_key(&b->v[i], &len);
		if (dbenv_get(b->rc->grants, NULL, key, len, &it, 0) != 0 ||
		    record_grant_key_decode(key, len, &g) != 0)
			continue;
		(void)record_grant_decode(value, it.len, &g);
		(void)dbenv_get(b->rc->users, NULL, idx,
		    relay_cache_user_key(&g, idx), &it, 0);
		memcpy(idx, b->v[i].idx, b->v[i].len);
		relay_cache_put_time(g.expires_s, idx);
		(void)dbenv_get(b->rc->expiry, NULL, idx, b->v[i].len, &it, 0);
	}
}

static int
relay_cache_remove_few(struct relay_cache_batch *b, struct err *reterr)
{
	b->removed = 0;
	if (b->n == 0)
		return 0;
	if (b->max == RELAY_CACHE_MANY)
		return dbenv_txn_taking(b->rc->env, relay_cache_remove_txn, b,
		    "grants", reterr);
	relay_cache_bring(b);
	return dbenv_txn(b->rc->env, DBENV_UPKEEP, relay_cache_remove_txn, b,
	    "grants", reterr);
}

/* ---------------------------------------------------------------- finding -- */

static int
relay_cache_find_all(struct relay_cache_batch *b)
{
	uint8_t key[RECORD_GRANT_KEY_MAX];
	int n, r;

	while (b->n < b->max) {
		r = relay_cache_step(b->rc, NULL, &b->filter, &b->at);
		if (r == DB_NOTFOUND) {
			b->ended = true;
			return 0;
		}
		if (r != 0 && r != ERR_CORRUPT)
			return r;
		if ((n = record_grant_key_encode(&b->at, key,
		    sizeof(key))) < 0)
			return n;
		relay_cache_victim_add(b, key, (size_t)n);
	}
	return 0;
}

static bool
relay_cache_is_dead(const struct relay_cache_batch *b, const void *value,
    size_t len)
{
	struct grant_record g = { 0 };

	return record_grant_key_decode(b->key, b->key_len, &g) != 0 ||
	    record_grant_decode(value, len, &g) != 0 ||
	    !relay_cache_is_live(&g, b->now_s);
}

static int
relay_cache_find_dead(struct relay_cache_batch *b)
{
	uint8_t value[RECORD_MAX];
	struct dbenv_item k = { .p = b->key, .size = sizeof(b->key) };
	struct dbenv_item v = { .p = value, .size = sizeof(value) };
	int r;

	for (unsigned int i = 0; i < RELAY_CACHE_LOOK && b->n < b->max; i++) {
		k.len = b->key_len;
		r = dbenv_next(b->rc->grants, NULL, &k, &v, 0);
		if (r == DB_NOTFOUND) {
			b->ended = true;
			return 0;
		}
		if (r != 0)
			return r;
		b->key_len = k.len;
		if (relay_cache_is_dead(b, value, v.len))
			relay_cache_victim_add(b, b->key, b->key_len);
	}
	return 0;
}

/* The first entries of the index, if they are old enough. */
static int
relay_cache_find_swept(struct relay_cache_batch *b)
{
	uint8_t idx[RELAY_CACHE_EXPIRY_MAX], none[1];
	struct dbenv_item k = { .p = idx, .size = sizeof(idx) };
	struct dbenv_item none_it = { .p = none, .size = sizeof(none) };
	struct relay_cache_victim *v;
	int r;

	while (b->n < b->max) {
		r = dbenv_next(b->rc->expiry, NULL, &k, &none_it, 0);
		if (r != 0)
			return r == DB_NOTFOUND ? 0 : r;
		v = &b->v[b->n];
		memcpy(v->idx, idx, k.len);
		v->len = k.len;
		v->expires_s = k.len < 8 ? 0 : relay_cache_get_time(idx);
		if (v->expires_s >= b->now_s - RELAY_CACHE_KEEP_S)
			return 0;
		b->n++;
	}
	return 0;
}

static int
relay_cache_find(struct relay_cache_batch *b, struct err *reterr)
{
	static int (*const find[])(struct relay_cache_batch *b) = {
		[RELAY_CACHE_ALL] = relay_cache_find_all,
		[RELAY_CACHE_DEAD] = relay_cache_find_dead,
		[RELAY_CACHE_SWEPT] = relay_cache_find_swept,
	};

	b->n = 0;
	return dbenv_result(b->rc->env, find[b->which](b), "grants", reterr);
}

/* ------------------------------------------------------------ the outside -- */

static int64_t
relay_cache_now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void
relay_cache_rest(int64_t worked_us)
{
	struct timespec t = { .tv_nsec = 1000 *
	    (worked_us < RELAY_CACHE_REST_MAX_US ? worked_us :
	    RELAY_CACHE_REST_MAX_US) };

	(void)nanosleep(&t, NULL);
}

static struct relay_cache_batch *
relay_cache_batch_new(struct relay_cache *rc, enum relay_cache_which which,
    int64_t now_s, struct err *reterr)
{
	struct relay_cache_batch *b = calloc(1, sizeof(*b));

	if (b == NULL) {
		(void)err_set(reterr, ERR_NOMEM, "grants: no memory");
		return NULL;
	}
	b->rc = rc;
	b->which = which;
	b->now_s = now_s;
	b->max = RELAY_CACHE_FEW;
	return b;
}

/* At a full disk each part is flushed, in room that is lent for it. */
static int
relay_cache_revoke_all(struct relay_cache_batch *b, uint64_t *ret_total,
    struct err *reterr)
{
	int r;

	do {
		b->max = dbenv_has_space(b->rc->env) ? RELAY_CACHE_FEW :
		    RELAY_CACHE_MANY;
		if ((r = relay_cache_find(b, reterr)) == 0)
			r = relay_cache_remove_few(b, reterr);
		*ret_total += r == 0 ? b->removed : 0;
	} while (r == 0 && !b->ended);
	return r == 0 && *ret_total > 0 ?	/* R4 */
	    dbenv_flush(b->rc->env, reterr) : r;
}

int
relay_cache_revoke(struct relay_cache *rc, const struct relay_filter *f,
    uint64_t *ret_removed, struct err *reterr)
{
	struct relay_cache_batch *b;
	uint64_t total = 0;
	int r;

	if ((b = relay_cache_batch_new(rc, RELAY_CACHE_ALL, 0, reterr)) == NULL)
		return ERR_NOMEM;
	b->filter = *f;
	r = relay_cache_revoke_all(b, &total, reterr);
	free(b);
	if (ret_removed != NULL)
		*ret_removed = total;
	return r;
}

/* Some are found and removed, and as long nothing is done. *ret_n: how many
 * were found. */
static int
relay_cache_clean(struct relay_cache_batch *b, unsigned int *ret_n,
    struct err *reterr)
{
	int64_t at_us;
	int r;

	*ret_n = 0;
	dbenv_flush_wait(b->rc->env);
	at_us = relay_cache_now_us();
	if ((r = relay_cache_find(b, reterr)) == 0)
		r = relay_cache_remove_few(b, reterr);
	if (r != 0)
		return r;
	*ret_n = b->n;
	if (b->n > 0)
		relay_cache_rest(relay_cache_now_us() - at_us);
	return 0;
}

int
relay_cache_purge(struct relay_cache *rc, int64_t now_s,
    uint64_t *ret_removed, struct err *reterr)
{
	struct relay_cache_batch *b;
	uint64_t total = 0;
	unsigned int n;
	int r;

	b = relay_cache_batch_new(rc, RELAY_CACHE_DEAD, now_s, reterr);
	if (b == NULL)
		return ERR_NOMEM;
	do {
		if ((r = relay_cache_clean(b, &n, reterr)) == 0)
			total += b->removed;
	} while (r == 0 && !b->ended);
	free(b);
	if (ret_removed != NULL)
		*ret_removed = total;
	return r;
}

int
relay_cache_sweep(struct relay_cache *rc, int64_t now_s, unsigned int budget,
    uint64_t *ret_removed, struct err *reterr)
{
	struct relay_cache_batch *b;
	uint64_t total = 0;
	unsigned int n;
	int r = 0;

	b = relay_cache_batch_new(rc, RELAY_CACHE_SWEPT, now_s, reterr);
	if (b == NULL)
		return ERR_NOMEM;
	for (n = 1; r == 0 && n > 0 && budget > 0; budget -= n) {
		if (b->max > budget)
			b->max = budget;
		if ((r = relay_cache_clean(b, &n, reterr)) == 0)
			total += b->removed;
	}
	free(b);
	if (ret_removed != NULL)
		*ret_removed = total;
	return r;
}
