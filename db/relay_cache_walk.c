/*
 * relay_cache_walk.c - the grants of a user or a network, one after the other;
 * revoking and cleaning. Runs in authd-core only, on its threads. A transaction
 * takes a bounded part, so that no login waits long for it.
 */
#include "config.h"

#include <string.h>

#include "db/relay_cache_private.h"
#include "lib/str.h"

#define RELAY_CACHE_SWEEP	8u	/* removed in a transaction: a login may wait */

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
		if ((r = relay_cache_after(rc, txn, g)) != 0)
			return r;
		if (relay_cache_is_in(n, g) && (f->user == NULL ||
		    strcmp(f->user, g->user) == 0))
			return 0;
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
	int r;

	for (;;) {
		if ((r = relay_cache_step_index(rc, txn, f->user, g)) != 0)
			return r;
		r = relay_cache_read(rc, txn, 0, g);
		if (r == 0 && relay_cache_is_in(f->net, g))
			return 0;
		if (r != 0 && r != DB_NOTFOUND)
			return r;
	}
}

static int
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
	return dbenv_result(rc->env, relay_cache_step(rc, NULL, f, g),
	    "grants", reterr);
}

/* --------------------------------------------------------------- removing -- */

/*
 * Some records in each transaction: the position is kept only once one has
 * ended well, for it may be repeated.
 */
struct relay_cache_walk {
	struct relay_cache		*rc;
	struct relay_filter		 filter;
	int64_t				 now_s;
	bool				 purge;		/* the dead ones */
	struct grant_record		 at;		/* committed up to here */
	struct grant_record		 reached;
	uint64_t			 removed;	/* in this transaction */
	bool				 ended;
};

static int
relay_cache_walk_txn(void *ctx, DB_TXN *txn, struct err *reterr)
{
	struct relay_cache_walk *w = ctx;
	struct grant_record g = w->at;
	unsigned int seen;
	int r = 0;

	(void)reterr;
	w->removed = 0;
	w->ended = false;
	for (seen = 0; seen < RELAY_CACHE_CHUNK; seen++) {
		if ((r = relay_cache_step(w->rc, txn, &w->filter, &g)) != 0)
			break;
		if (w->purge && relay_cache_is_live(&g, w->now_s))
			continue;
		if ((r = relay_cache_remove(w->rc, txn, &g)) != 0)
			return r;
		w->removed++;
	}
	w->ended = seen < RELAY_CACHE_CHUNK;
	w->reached = g;
	return r == DB_NOTFOUND ? 0 : r;
}

/* At a full disk each part is flushed, in room that is lent for it. */
static int
relay_cache_walk_part(struct relay_cache_walk *w, struct err *reterr)
{
	if (w->purge || dbenv_has_space(w->rc->env))
		return dbenv_txn(w->rc->env, DBENV_NOSYNC,
		    relay_cache_walk_txn, w, "grants", reterr);
	return dbenv_txn_taking(w->rc->env, relay_cache_walk_txn, w, "grants",
	    reterr);
}

static int
relay_cache_walk(struct relay_cache_walk *w, uint64_t *ret_removed,
    struct err *reterr)
{
	uint64_t total = 0;
	int r;

	do {
		if ((r = relay_cache_walk_part(w, reterr)) != 0)
			break;
		w->at = w->reached;
		total += w->removed;
	} while (!w->ended);
	if (r == 0 && !w->purge && total > 0)	/* R4 */
		r = dbenv_flush(w->rc->env, reterr);
	if (ret_removed != NULL)
		*ret_removed = total;
	return r;
}

int
relay_cache_revoke(struct relay_cache *rc, const struct relay_filter *f,
    uint64_t *ret_removed, struct err *reterr)
{
	struct relay_cache_walk w = { .rc = rc, .filter = *f };

	return relay_cache_walk(&w, ret_removed, reterr);
}

int
relay_cache_purge(struct relay_cache *rc, int64_t now_s,
    uint64_t *ret_removed, struct err *reterr)
{
	struct relay_cache_walk w = { .rc = rc, .now_s = now_s,
	    .purge = true };

	return relay_cache_walk(&w, ret_removed, reterr);
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
		if ((r = relay_cache_after(o->rc, txn, &g)) != 0)
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

/* --------------------------------------------------------------- sweeping -- */

struct relay_cache_entry {
	uint8_t		idx[RELAY_CACHE_EXPIRY_MAX];
	size_t		len;
	int64_t		expires_s;
};

/* What to look at is found without a transaction, so that this one locks what
 * it removes, in the order in which a login does, and no more. */
struct relay_cache_sweep {
	struct relay_cache		*rc;
	int64_t				 before_s;
	struct relay_cache_entry	 v[RELAY_CACHE_SWEEP];
	unsigned int			 n;
	uint64_t			 removed;
};

/* One entry of the index goes, and its record when they belong together. */
static int
relay_cache_sweep_one(struct relay_cache_sweep *s, DB_TXN *txn,
    const struct relay_cache_entry *e)
{
	struct grant_record g = { 0 };
	int r;

	r = record_grant_key_decode(e->idx + 8, e->len - 8, &g);
	if (r == 0)
		r = relay_cache_read(s->rc, txn, DB_RMW, &g);
	if (r == 0 && g.expires_s == e->expires_s) {
		if ((r = relay_cache_remove(s->rc, txn, &g)) == 0)
			s->removed++;
		return r;
	}
	if (r != 0 && r != DB_NOTFOUND && r != ERR_CORRUPT)
		return r;
	r = dbenv_del(s->rc->expiry, txn, e->idx, e->len);
	return r == DB_NOTFOUND ? 0 : r;
}

static int
relay_cache_sweep_txn(void *ctx, DB_TXN *txn, struct err *reterr)
{
	struct relay_cache_sweep *s = ctx;
	int r = 0;

	(void)reterr;
	s->removed = 0;
	for (unsigned int i = 0; i < s->n && r == 0; i++)
		r = relay_cache_sweep_one(s, txn, &s->v[i]);
	return r;
}

/* The first entries of the index, up to `max`, that are old enough. */
static int
relay_cache_sweep_find(struct relay_cache_sweep *s, unsigned int max)
{
	uint8_t idx[RELAY_CACHE_EXPIRY_MAX], none[1];
	struct dbenv_item k = { .p = idx, .size = sizeof(idx) };
	struct dbenv_item v = { .p = none, .size = sizeof(none) };
	struct relay_cache_entry *e;
	int r;

	for (s->n = 0; s->n < max && s->n < RELAY_CACHE_SWEEP; s->n++) {
		if ((r = dbenv_next(s->rc->expiry, NULL, &k, &v, 0)) != 0)
			return r == DB_NOTFOUND ? 0 : r;
		if (k.len < 8)
			return ERR_CORRUPT;
		e = &s->v[s->n];
		memcpy(e->idx, idx, k.len);
		e->len = k.len;
		e->expires_s = 0;
		for (unsigned int i = 0; i < 8; i++)
			e->expires_s = e->expires_s << 8 | idx[i];
		if (e->expires_s >= s->before_s)
			return 0;
	}
	return 0;
}

int
relay_cache_sweep(struct relay_cache *rc, int64_t now_s, unsigned int budget,
    uint64_t *ret_removed, struct err *reterr)
{
	struct relay_cache_sweep s = { .rc = rc,
	    .before_s = now_s - RELAY_CACHE_KEEP_S };
	uint64_t total = 0;
	int r = 0;

	while (budget > 0 && r == 0) {
		r = dbenv_result(rc->env, relay_cache_sweep_find(&s, budget),
		    "grants", reterr);
		if (r != 0 || s.n == 0)
			break;
		budget -= s.n;
		r = dbenv_txn(rc->env, DBENV_NOSYNC, relay_cache_sweep_txn,
		    &s, "grants", reterr);
		if (r == 0)
			total += s.removed;
	}
	if (ret_removed != NULL)
		*ret_removed = total;
	return r;
}
