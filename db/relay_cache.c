/*
 * relay_cache.c - the grants, in a btree by address prefix and user, and an
 * index of them by expiry. Runs in authd-core only.
 *
 *	relay		ip (16 octets) user		-> record (record.h)
 *	relay_expiry	expires_s (8 octets) ip user	-> nothing
 *
 * Invariant: each record has exactly one entry in the index, written and
 * removed in the same transaction.
 */
#include "config.h"

#include "db/relay_cache.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "db/dbenv_private.h"
#include "lib/str.h"

#define RELAY_CACHE_CHUNK	256u	/* records looked at in a transaction */
#define RELAY_CACHE_PREFIX_MIN	56u
#define RELAY_CACHE_INDEX_MAX	(8 + RECORD_GRANT_KEY_MAX)

struct relay_cache {
	struct dbenv		*env;
	DB			*grants;
	DB			*expiry;
	atomic_uint		 prefix;
};

void
relay_cache_close(struct relay_cache *rc)
{
	if (rc == NULL)
		return;
	if (rc->grants != NULL)
		(void)rc->grants->close(rc->grants, 0);
	if (rc->expiry != NULL)
		(void)rc->expiry->close(rc->expiry, 0);
	free(rc);
}

int
relay_cache_open(struct dbenv *env, unsigned int ipv6_prefix,
    struct relay_cache **ret, struct err *reterr)
{
	struct relay_cache *rc;
	int r;

	if ((rc = calloc(1, sizeof(*rc))) == NULL)
		return err_set(reterr, ERR_NOMEM, "no memory");
	rc->env = env;
	relay_cache_set_prefix(rc, ipv6_prefix);
	if ((r = dbenv_open_db(env, "relay.db", &rc->grants, reterr)) != 0 ||
	    (r = dbenv_open_db(env, "relay_expiry.db", &rc->expiry,
	    reterr)) != 0) {
		relay_cache_close(rc);
		return r;
	}
	*ret = rc;
	return 0;
}

void
relay_cache_set_prefix(struct relay_cache *rc, unsigned int ipv6_prefix)
{
	atomic_store(&rc->prefix, ipv6_prefix);
}

/* The part of a record that is its key: the address (masked) and the user. */
static int
relay_cache_name(struct relay_cache *rc, const struct addr *a,
    const char *user, struct grant_record *g)
{
	memset(g, 0, sizeof(*g));
	memcpy(g->ip, a->ip, sizeof(g->ip));
	g->bits = addr_is_v4(a) ? 128 : (uint8_t)atomic_load(&rc->prefix);
	addr_mask(g->ip, g->bits);
	return str_copy(g->user, sizeof(g->user), user);
}

static size_t
relay_cache_index_key(const struct grant_record *g, const uint8_t *key,
    size_t len, uint8_t dst[RELAY_CACHE_INDEX_MAX])
{
	for (unsigned int i = 0; i < 8; i++)
		dst[i] = (uint8_t)((uint64_t)g->expires_s >> (56 - 8 * i));
	memcpy(dst + 8, key, len);
	return len + 8;
}

/* Reads the record that *g names into *g. Codes as in dbenv_private.h. */
static int
relay_cache_read(struct relay_cache *rc, DB_TXN *txn, uint32_t flags,
    struct grant_record *g)
{
	uint8_t key[RECORD_GRANT_KEY_MAX], v[RECORD_MAX];
	struct dbenv_item it = { .p = v, .size = sizeof(v) };
	int n, r;

	if ((n = record_grant_key_encode(g, key, sizeof(key))) < 0)
		return n;
	r = dbenv_get(rc->grants, txn, key, (size_t)n, &it, flags);
	return r != 0 ? r : record_grant_decode(v, it.len, g);
}

static int
relay_cache_write(struct relay_cache *rc, DB_TXN *txn,
    const struct grant_record *g)
{
	uint8_t key[RECORD_GRANT_KEY_MAX], v[RECORD_MAX];
	int klen, n;

	if ((klen = record_grant_key_encode(g, key, sizeof(key))) < 0)
		return klen;
	if ((n = record_grant_encode(g, v, sizeof(v))) < 0)
		return n;
	return dbenv_put(rc->grants, txn, key, (size_t)klen, v, (size_t)n, 0);
}

static int
relay_cache_index(struct relay_cache *rc, DB_TXN *txn,
    const struct grant_record *g, bool add)
{
	uint8_t key[RECORD_GRANT_KEY_MAX], idx[RELAY_CACHE_INDEX_MAX];
	size_t len;
	int klen, r;

	if ((klen = record_grant_key_encode(g, key, sizeof(key))) < 0)
		return klen;
	len = relay_cache_index_key(g, key, (size_t)klen, idx);
	if (add)
		return dbenv_put(rc->expiry, txn, idx, len, "", 0, 0);
	r = dbenv_del(rc->expiry, txn, idx, len);
	return r == DB_NOTFOUND ? 0 : r;
}

static int
relay_cache_remove(struct relay_cache *rc, DB_TXN *txn,
    const struct grant_record *g)
{
	uint8_t key[RECORD_GRANT_KEY_MAX];
	int n, r;

	if ((n = record_grant_key_encode(g, key, sizeof(key))) < 0)
		return n;
	if ((r = dbenv_del(rc->grants, txn, key, (size_t)n)) != 0)
		return r;
	return relay_cache_index(rc, txn, g, false);
}

struct relay_cache_job {
	struct relay_cache		*rc;
	const struct relay_grant_args	*args;
	int64_t				 now_s;
	struct grant_record		 g;
};

static int
relay_cache_grant_txn(void *ctx, DB_TXN *txn, struct err *reterr)
{
	struct relay_cache_job *j = ctx;
	struct grant_record g = j->g;
	int r;

	(void)reterr;
	r = relay_cache_read(j->rc, txn, DB_RMW, &g);
	if (r == 0) {
		if ((r = relay_cache_index(j->rc, txn, &g, false)) != 0)
			return r;
		if (g.granted_s > j->now_s)	/* R2 */
			g.granted_s = j->now_s;
	} else if (r == DB_NOTFOUND || r == ERR_CORRUPT) {
		g = j->g;
		g.granted_s = j->now_s;
	} else
		return r;
	g.bits = j->g.bits;
	g.refreshed_s = j->now_s;
	g.expires_s = j->now_s + (int64_t)j->args->ttl_s;
	g.generation = j->args->generation;
	g.protocol = (uint8_t)j->args->protocol;
	g.source = (uint8_t)j->args->source;
	g.tls = j->args->tls;
	if ((r = relay_cache_write(j->rc, txn, &g)) != 0 ||
	    (r = relay_cache_index(j->rc, txn, &g, true)) != 0)
		return r;
	j->g = g;
	return 0;
}

int
relay_cache_grant(struct relay_cache *rc, const struct addr *a,
    const char *user, const struct relay_grant_args *args, int64_t now_s,
    struct grant_record *ret, struct err *reterr)
{
	struct relay_cache_job j = { .rc = rc, .args = args, .now_s = now_s };
	int r;

	if ((r = relay_cache_name(rc, a, user, &j.g)) == 0)
		r = dbenv_txn(rc->env, DBENV_NOSYNC, relay_cache_grant_txn,
		    &j, "grant", reterr);
	if (r == 0 && ret != NULL)
		*ret = j.g;
	return r;
}

bool
relay_cache_is_live(const struct grant_record *g, int64_t now_s)
{
	return g->granted_s <= now_s && now_s < g->expires_s;
}

int
relay_cache_get(struct relay_cache *rc, const struct addr *a,
    const char *user, struct grant_record *ret, struct err *reterr)
{
	uint8_t bits;
	int r;

	if ((r = relay_cache_name(rc, a, user, ret)) != 0)
		return r;
	bits = ret->bits;
	r = relay_cache_read(rc, NULL, 0, ret);
	if (r == 0 && ret->bits != bits)	/* the prefix was changed */
		r = DB_NOTFOUND;
	return dbenv_result(rc->env, r, "grant", reterr);
}

int
relay_cache_lookup(struct relay_cache *rc, const struct addr *a,
    const char *user, int64_t now_s, struct grant_record *ret,
    struct err *reterr)
{
	int r;

	if ((r = relay_cache_get(rc, a, user, ret, reterr)) != 0)
		return r;
	return relay_cache_is_live(ret, now_s) ? 0 : err_set(reterr,
	    ERR_NOTFOUND, "the grant has expired");
}

static int
relay_cache_use_txn(void *ctx, DB_TXN *txn, struct err *reterr)
{
	struct relay_cache_job *j = ctx;
	struct grant_record g = j->g;
	int r;

	(void)reterr;
	if ((r = relay_cache_read(j->rc, txn, DB_RMW, &g)) != 0)
		return r;
	g.uses++;
	return relay_cache_write(j->rc, txn, &g);
}

int
relay_cache_use(struct relay_cache *rc, const struct addr *a,
    const char *user, struct err *reterr)
{
	struct relay_cache_job j = { .rc = rc };
	int r;

	if ((r = relay_cache_name(rc, a, user, &j.g)) != 0)
		return r;
	return dbenv_txn(rc->env, DBENV_NOSYNC, relay_cache_use_txn, &j,
	    "grant", reterr);
}

struct relay_cache_ending {
	struct relay_cache	*rc;
	struct grant_record	 g;
	enum grant_source	 source;
	int64_t			 now_s;
};

static int
relay_cache_end_txn(void *ctx, DB_TXN *txn, struct err *reterr)
{
	struct relay_cache_ending *j = ctx;
	struct grant_record g = j->g;
	int r;

	(void)reterr;
	if ((r = relay_cache_read(j->rc, txn, DB_RMW, &g)) != 0)
		return r;
	if (g.source != j->source || !relay_cache_is_live(&g, j->now_s))
		return DB_NOTFOUND;
	if ((r = relay_cache_index(j->rc, txn, &g, false)) != 0)
		return r;
	g.expires_s = j->now_s;
	if ((r = relay_cache_write(j->rc, txn, &g)) != 0)
		return r;
	return relay_cache_index(j->rc, txn, &g, true);
}

int
relay_cache_end(struct relay_cache *rc, const struct addr *a,
    const char *user, enum grant_source source, int64_t now_s,
    struct err *reterr)
{
	struct relay_cache_ending j = { .rc = rc, .source = source,
	    .now_s = now_s };
	int r;

	if ((r = relay_cache_name(rc, a, user, &j.g)) != 0)
		return r;
	return dbenv_txn(rc->env, DBENV_NOSYNC, relay_cache_end_txn, &j,
	    "grant", reterr);
}

/* As relay_cache_next(), inside a transaction or not. */
static int
relay_cache_after(struct relay_cache *rc, DB_TXN *txn, struct grant_record *g)
{
	uint8_t key[RECORD_GRANT_KEY_MAX], v[RECORD_MAX];
	struct dbenv_item k = { .p = key, .size = sizeof(key) };
	struct dbenv_item it = { .p = v, .size = sizeof(v) };
	int r;

	memcpy(key, g->ip, sizeof(g->ip));
	k.len = sizeof(g->ip) + strlen(g->user);
	memcpy(key + sizeof(g->ip), g->user, strlen(g->user));
	if ((r = dbenv_next(rc->grants, txn, &k, &it, 0)) != 0)
		return r;
	if ((r = record_grant_key_decode(key, k.len, g)) != 0)
		return r;
	return record_grant_decode(v, it.len, g);
}

int
relay_cache_next(struct relay_cache *rc, struct grant_record *g,
    struct err *reterr)
{
	return dbenv_result(rc->env, relay_cache_after(rc, NULL, g), "grants",
	    reterr);
}

int
relay_cache_owners(struct relay_cache *rc, const struct addr *a,
    int64_t now_s, struct grant_record *v, size_t max, size_t *ret_n,
    struct err *reterr)
{
	struct grant_record at, g;
	size_t n = 0;
	int r = 0;

	*ret_n = 0;
	if ((r = relay_cache_name(rc, a, "", &at)) != 0)
		return r;
	g = at;
	while (n < max) {
		if ((r = relay_cache_after(rc, NULL, &g)) != 0 ||
		    memcmp(g.ip, at.ip, sizeof(g.ip)) != 0)
			break;
		if (g.bits == at.bits && relay_cache_is_live(&g, now_s))
			v[n++] = g;
	}
	if (r != 0 && r != DB_NOTFOUND)
		return dbenv_result(rc->env, r, "grants", reterr);
	*ret_n = n;
	return 0;
}

/*
 * Going through all records, some in each transaction, and removing those
 * that `doomed` says: the position is kept only once a transaction has ended
 * well, for it may be repeated.
 */
struct relay_cache_walk {
	struct relay_cache		*rc;
	const struct relay_filter	*filter;	/* NULL: not live */
	int64_t				 now_s;
	struct grant_record		 at;		/* committed up to here */
	struct grant_record		 reached;
	uint64_t			 removed;	/* in this transaction */
	bool				 ended;
};

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
relay_cache_doomed(const struct relay_cache_walk *w,
    const struct grant_record *g)
{
	const struct relay_filter *f = w->filter;

	if (f == NULL)
		return !relay_cache_is_live(g, w->now_s);
	if (f->user != NULL && strcmp(f->user, g->user) != 0)
		return false;
	return f->net == NULL || relay_cache_overlaps(g->ip, f->net->ip,
	    relay_cache_min(g->bits, f->net->bits));
}

/* The bits of the network that every record in it has in common. */
static unsigned int
relay_cache_common(const struct net *n)
{
	struct addr a = { 0 };

	memcpy(a.ip, n->ip, sizeof(a.ip));
	return addr_is_v4(&a) ? n->bits :
	    relay_cache_min(n->bits, RELAY_CACHE_PREFIX_MIN);
}

static int
relay_cache_walk_txn(void *ctx, DB_TXN *txn, struct err *reterr)
{
	struct relay_cache_walk *w = ctx;
	const struct net *net = w->filter != NULL ? w->filter->net : NULL;
	struct grant_record g = w->at;
	unsigned int seen;
	int r = 0;

	(void)reterr;
	w->removed = 0;
	w->ended = false;
	for (seen = 0; seen < RELAY_CACHE_CHUNK; seen++) {
		if ((r = relay_cache_after(w->rc, txn, &g)) != 0)
			break;
		if (net != NULL && !relay_cache_overlaps(g.ip, net->ip,
		    relay_cache_common(net)))
			break;
		if (!relay_cache_doomed(w, &g))
			continue;
		if ((r = relay_cache_remove(w->rc, txn, &g)) != 0)
			return r;
		w->removed++;
	}
	w->ended = seen < RELAY_CACHE_CHUNK;
	w->reached = g;
	return r == DB_NOTFOUND ? 0 : r;
}

static int
relay_cache_walk(struct relay_cache_walk *w, enum dbenv_durability d,
    uint64_t *ret_removed, struct err *reterr)
{
	uint64_t total = 0;
	int r;

	if (w->filter != NULL && w->filter->net != NULL) {
		memcpy(w->at.ip, w->filter->net->ip, sizeof(w->at.ip));
		addr_mask(w->at.ip, relay_cache_common(w->filter->net));
	}
	do {
		r = d == DBENV_SYNC ?
		    dbenv_txn_taking(w->rc->env, relay_cache_walk_txn, w,
		    "grants", reterr) : dbenv_txn(w->rc->env, d,
		    relay_cache_walk_txn, w, "grants", reterr);
		if (r != 0)
			break;
		w->at = w->reached;
		total += w->removed;
	} while (!w->ended);
	if (ret_removed != NULL)
		*ret_removed = total;
	return r;
}

int
relay_cache_revoke(struct relay_cache *rc, const struct relay_filter *f,
    uint64_t *ret_removed, struct err *reterr)
{
	struct relay_cache_walk w = { .rc = rc, .filter = f };

	return relay_cache_walk(&w, DBENV_SYNC, ret_removed, reterr);
}

int
relay_cache_purge(struct relay_cache *rc, int64_t now_s,
    uint64_t *ret_removed, struct err *reterr)
{
	struct relay_cache_walk w = { .rc = rc, .now_s = now_s };

	return relay_cache_walk(&w, DBENV_NOSYNC, ret_removed, reterr);
}

struct relay_cache_sweep {
	struct relay_cache	*rc;
	int64_t			 before_s;
	unsigned int		 budget;
	uint64_t		 removed;
	bool			 ended;
};

/* One entry of the index goes, and its record when they belong together. */
static int
relay_cache_sweep_one(struct relay_cache_sweep *s, DB_TXN *txn,
    const uint8_t *idx, size_t len, int64_t expires_s)
{
	struct grant_record g = { 0 };
	int r;

	r = record_grant_key_decode(idx + 8, len - 8, &g);
	if (r == 0)
		r = relay_cache_read(s->rc, txn, DB_RMW, &g);
	if (r == 0 && g.expires_s == expires_s) {
		if ((r = relay_cache_remove(s->rc, txn, &g)) == 0)
			s->removed++;
		return r;
	}
	if (r != 0 && r != DB_NOTFOUND && r != ERR_CORRUPT)
		return r;
	return dbenv_del(s->rc->expiry, txn, idx, len);
}

static int
relay_cache_sweep_txn(void *ctx, DB_TXN *txn, struct err *reterr)
{
	struct relay_cache_sweep *s = ctx;
	uint8_t idx[RELAY_CACHE_INDEX_MAX], none[1];
	struct dbenv_item k = { .p = idx, .size = sizeof(idx) };
	struct dbenv_item v = { .p = none, .size = sizeof(none) };
	uint64_t expires;
	int r = 0;

	(void)reterr;
	s->removed = 0;
	s->ended = true;
	for (unsigned int n = 0; n < s->budget; n++) {
		k.len = 0;
		if ((r = dbenv_next(s->rc->expiry, txn, &k, &v, 0)) != 0)
			break;
		if (k.len < 8)
			return ERR_CORRUPT;
		expires = 0;
		for (unsigned int i = 0; i < 8; i++)
			expires = expires << 8 | idx[i];
		if ((int64_t)expires >= s->before_s)
			return 0;
		if ((r = relay_cache_sweep_one(s, txn, idx, k.len,
		    (int64_t)expires)) != 0)
			return r;
	}
	s->ended = r == DB_NOTFOUND;
	return r == DB_NOTFOUND ? 0 : r;
}

int
relay_cache_sweep(struct relay_cache *rc, int64_t now_s, unsigned int budget,
    uint64_t *ret_removed, struct err *reterr)
{
	struct relay_cache_sweep s = { .rc = rc,
	    .before_s = now_s - RELAY_CACHE_KEEP_S };
	uint64_t total = 0;
	int r = 0;

	while (budget > 0 && r == 0 && !s.ended) {
		s.budget = relay_cache_min(budget, RELAY_CACHE_CHUNK);
		budget -= s.budget;
		r = dbenv_txn(rc->env, DBENV_NOSYNC, relay_cache_sweep_txn,
		    &s, "grants", reterr);
		if (r == 0)
			total += s.removed;
	}
	if (ret_removed != NULL)
		*ret_removed = total;
	return r;
}
