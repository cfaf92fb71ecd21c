/*
 * relay_cache_walk.c - the grants of a user or a network, one after the other.
 * Runs in authd-core only, on its threads.
 */
#include "config.h"

#include <string.h>

#include "db/relay_cache_private.h"
#include "lib/str.h"

#define RELAY_CACHE_CHUNK	256u	/* records looked at in a transaction */

/* -------------------------------------------------------------- iteration -- */

static unsigned int
relay_cache_min(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

static bool
relay_cache_overlaps(const uint8_t x[16], const uint8_t y[16],
    unsigned int bits)
{
	uint8_t a[16], b[16];

	memcpy(a, x, sizeof(a));
	memcpy(b, y, sizeof(b));
	addr_mask(a, bits);
	addr_mask(b, bits);
	return memcmp(a, b, sizeof(a)) == 0;
}

static bool
relay_cache_is_in(const struct net *n, const struct grant_record *g)
{
	return n == NULL || relay_cache_overlaps(g->ip, n->ip,
	    relay_cache_min(g->bits, n->bits));
}

/* The widest prefix that a record around the network may have. */
static unsigned int
relay_cache_widest(const struct net *n)
{
	struct addr a = { 0 };

	memcpy(a.ip, n->ip, sizeof(a.ip));
	return addr_is_v4(&a) ? n->bits :
	    relay_cache_min(n->bits, RELAY_CACHE_PREFIX_MIN);
}

/* Records that overlap the network stand within it, or at its address cut to
 * the length of some wider prefix: goes to the first such place at or behind
 * *g. False: there is none. */
static bool
relay_cache_jump(const struct net *n, struct grant_record *g)
{
	uint8_t ip[16];
	int c;

	for (unsigned int bits = relay_cache_widest(n); bits <= n->bits;
	    bits++) {
		memcpy(ip, n->ip, sizeof(ip));
		addr_mask(ip, bits);
		c = memcmp(ip, g->ip, sizeof(ip));
		if (c == 0)
			return true;
		if (c > 0) {
			memcpy(g->ip, ip, sizeof(g->ip));
			g->user[0] = '\0';
			return true;
		}
	}
	return relay_cache_overlaps(g->ip, n->ip, n->bits);
}

static int
relay_cache_step_net(struct relay_cache *rc, DB_TXN *txn,
    const struct relay_filter *f, struct grant_record *g)
{
	const struct net *n = f->net;
	int r;

	for (;;) {
		if (n != NULL && !relay_cache_jump(n, g))
			return DB_NOTFOUND;
		r = relay_cache_after(rc, txn, g);
		if (r != 0 && r != ERR_CORRUPT)
			return r;
		if (relay_cache_is_in(n, g) && (f->user == NULL ||
		    strcmp(f->user, g->user) == 0))
			return r;
	}
}

/* The address of the user's entry that follows in the index. */
static int
relay_cache_step_index(struct relay_cache *rc, DB_TXN *txn, const char *user,
    struct grant_record *g)
{
	uint8_t idx[RELAY_CACHE_USER_MAX], none[1];
	struct dbenv_item k = { .p = idx, .size = sizeof(idx) };
	struct dbenv_item v = { .p = none, .size = sizeof(none) };
	bool behind = strcmp(g->user, user) >= 0;
	size_t len = strlen(user) + 1;
	int r;

	if (str_copy(g->user, sizeof(g->user), user) != 0)
		return DB_NOTFOUND;
	k.len = relay_cache_user_key(g, idx);
	if ((r = dbenv_next(rc->users, txn, &k, &v,
	    behind ? 0 : DB_SET_RANGE)) != 0)
		return r;
	if (k.len != len + sizeof(g->ip) || memcmp(idx, user, len) != 0)
		return DB_NOTFOUND;
	memcpy(g->ip, idx + len, sizeof(g->ip));
	return 0;
}

static int
relay_cache_step_user(struct relay_cache *rc, DB_TXN *txn,
    const struct relay_filter *f, struct grant_record *g)
{
	uint8_t idx[RECORD_GRANT_KEY_MAX];
	int len, r;

	for (;;) {
		if ((r = relay_cache_step_index(rc, txn, f->user, g)) != 0)
			return r;
		r = relay_cache_read(rc, txn, 0, g);
		if (r != 0 && r != DB_NOTFOUND && r != ERR_CORRUPT)
			return r;
		if (r == ERR_CORRUPT) {
			len = record_grant_key_encode(g, idx, sizeof(idx));
			relay_cache_tell(rc, idx, len > 0 ? (size_t)len : 0);
			g->bits = 128;
		}
		if (r != DB_NOTFOUND && relay_cache_is_in(f->net, g))
			return r;
	}
}

int
relay_cache_step(struct relay_cache *rc, DB_TXN *txn,
    const struct relay_filter *f, struct grant_record *g)
{
	return f->user != NULL && rc->indexed ?
	    relay_cache_step_user(rc, txn, f, g) :
	    relay_cache_step_net(rc, txn, f, g);
}

int
relay_cache_next(struct relay_cache *rc, const struct relay_filter *f,
    struct grant_record *g, struct err *reterr)
{
	int r;

	do
		r = relay_cache_step(rc, NULL, f, g);
	while (r == ERR_CORRUPT);
	return dbenv_result(rc->env, r, "grants", reterr);
}

/* ------------------------------------------------------------ older files -- */

struct relay_cache_old {
	struct relay_cache	*rc;
	struct grant_record	 at, reached;
	bool			 ended;
};

static int
relay_cache_old_txn(void *ctx, DB_TXN *txn, struct err *reterr)
{
	struct relay_cache_old *o = ctx;
	uint8_t idx[RELAY_CACHE_USER_MAX];
	struct grant_record g = o->at;
	int r = 0;

	(void)reterr;
	o->ended = false;
	for (unsigned int n = 0; n < RELAY_CACHE_CHUNK; n++) {
		r = relay_cache_after(o->rc, txn, &g);
		if (r != 0 && r != ERR_CORRUPT)
			break;
		if ((r = dbenv_put(o->rc->users, txn, idx,
		    relay_cache_user_key(&g, idx), "", 0, 0)) != 0)
			return r;
	}
	o->reached = g;
	if (r != DB_NOTFOUND)
		return r;
	o->ended = true;
	return dbenv_put(o->rc->users, txn, RELAY_CACHE_INDEXED,
	    RELAY_CACHE_INDEXED_LEN, "", 0, 0);
}

int
relay_cache_index_users(struct relay_cache *rc, struct err *reterr)
{
	struct relay_cache_old o = { .rc = rc };
	uint8_t none[1];
	struct dbenv_item it = { .p = none, .size = sizeof(none) };
	int r;

	r = dbenv_get(rc->users, NULL, RELAY_CACHE_INDEXED,
	    RELAY_CACHE_INDEXED_LEN, &it, 0);
	rc->indexed = r == 0;
	if (r != DB_NOTFOUND)
		return dbenv_result(rc->env, r, "grants", reterr);
	/* A full disk is no reason not to start: all is gone through then. */
	while (dbenv_has_space(rc->env) && !o.ended) {
		if ((r = dbenv_txn(rc->env, DBENV_NOSYNC, relay_cache_old_txn,
		    &o, "grants", reterr)) != 0)
			return r;
		o.at = o.reached;
	}
	rc->indexed = o.ended;
	return 0;
}
