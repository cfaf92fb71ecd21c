/*
 * relay_cache.c - the grants, in a btree by address prefix and user, with
 * indexes by expiry and by user: opening them, and single records.
 * Runs in authd-core only.
 */
#include "config.h"

#include "db/relay_cache.h"

#include <stdlib.h>
#include <string.h>

#include "db/relay_cache_private.h"
#include "lib/str.h"

#define RELAY_CACHE_KEY_TEXT	320u
#define RELAY_CACHE_PASSED_MAX	4u	/* records, for each one to be counted */

void
relay_cache_close(struct relay_cache *rc)
{
	if (rc == NULL)
		return;
	if (rc->grants != NULL)
		(void)rc->grants->close(rc->grants, 0);
	if (rc->expiry != NULL)
		(void)rc->expiry->close(rc->expiry, 0);
	if (rc->users != NULL)
		(void)rc->users->close(rc->users, 0);
	pthread_mutex_destroy(&rc->flaw_mutex);
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
	pthread_mutex_init(&rc->flaw_mutex, NULL);
	relay_cache_set_prefix(rc, ipv6_prefix);
	if ((r = dbenv_open_db(env, "relay.db", &rc->grants, reterr)) != 0 ||
	    (r = dbenv_open_db(env, "relay_expiry.db", &rc->expiry,
	    reterr)) != 0 ||
	    (r = dbenv_open_db(env, "relay_user.db", &rc->users,
	    reterr)) != 0 ||
	    (r = relay_cache_index_users(rc, reterr)) != 0) {
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

void
relay_cache_put_time(int64_t t_s, uint8_t dst[8])
{
	for (unsigned int i = 0; i < 8; i++)
		dst[i] = (uint8_t)((uint64_t)t_s >> (56 - 8 * i));
}

int64_t
relay_cache_get_time(const uint8_t p[8])
{
	uint64_t t = 0;

	for (unsigned int i = 0; i < 8; i++)
		t = t << 8 | p[i];
	return (int64_t)t;
}

static size_t
relay_cache_expiry_key(const struct grant_record *g, const uint8_t *key,
    size_t len, uint8_t dst[RELAY_CACHE_EXPIRY_MAX])
{
	relay_cache_put_time(g->expires_s, dst);
	memcpy(dst + 8, key, len);
	return len + 8;
}

size_t
relay_cache_user_key(const struct grant_record *g,
    uint8_t dst[RELAY_CACHE_USER_MAX])
{
	size_t len = strlen(g->user) + 1;

	memcpy(dst, g->user, len);
	memcpy(dst + len, g->ip, sizeof(g->ip));
	return len + sizeof(g->ip);
}

int
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

/* The entry in the index by expiry. */
static int
relay_cache_expiry(struct relay_cache *rc, DB_TXN *txn,
    const struct grant_record *g, bool add)
{
	uint8_t key[RECORD_GRANT_KEY_MAX], idx[RELAY_CACHE_EXPIRY_MAX];
	size_t len;
	int klen, r;

	if ((klen = record_grant_key_encode(g, key, sizeof(key))) < 0)
		return klen;
	len = relay_cache_expiry_key(g, key, (size_t)klen, idx);
	if (add)
		return dbenv_put(rc->expiry, txn, idx, len, "", 0, 0);
	r = dbenv_del(rc->expiry, txn, idx, len);
	return r == DB_NOTFOUND ? 0 : r;
}

static int
relay_cache_put(struct relay_cache *rc, DB_TXN *txn,
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

/* Writes a record in the place of `old` (NULL: there was none). */
static int
relay_cache_write(struct relay_cache *rc, DB_TXN *txn,
    const struct grant_record *old, const struct grant_record *g)
{
	uint8_t idx[RELAY_CACHE_USER_MAX];
	int r;

	if ((r = relay_cache_put(rc, txn, g)) != 0)
		return r;
	if (old == NULL && (r = dbenv_put(rc->users, txn, idx,
	    relay_cache_user_key(g, idx), "", 0, 0)) != 0)
		return r;
	if (old != NULL && old->expires_s == g->expires_s)
		return 0;
	if (old != NULL && (r = relay_cache_expiry(rc, txn, old, false)) != 0)
		return r;
	return relay_cache_expiry(rc, txn, g, true);
}

/* One change of one record. `edit` changes *g, which was read (`there`), or has
 * its key only; it may give up with a code. */
struct relay_cache_job {
	struct relay_cache		*rc;
	const struct relay_grant_args	*args;
	int		(*edit)(const struct relay_cache_job *j,
			    struct grant_record *g, bool there);
	int64_t				 now_s;
	int64_t				 granted_s;
	uint64_t			 n;	/* seconds, or recipients */
	enum grant_source		 source;
	struct grant_record		 g;	/* the key, then the record */
};

static int
relay_cache_edit_txn(void *ctx, DB_TXN *txn, struct err *reterr)
{
	struct relay_cache_job *j = ctx;
	struct grant_record old = j->g, g;
	bool there;
	int r;

	(void)reterr;
	r = relay_cache_read(j->rc, txn, DB_RMW, &old);
	if (r != 0 && r != DB_NOTFOUND && r != ERR_CORRUPT)
		return r;
	there = r == 0;
	g = there ? old : j->g;
	if ((r = j->edit(j, &g, there)) != 0)
		return r;
	if ((r = relay_cache_write(j->rc, txn, there ? &old : NULL, &g)) == 0)
		j->g = g;
	return r;
}

static int
relay_cache_edit(struct relay_cache_job *j, const struct addr *a,
    const char *user, enum dbenv_durability d, struct err *reterr)
{
	int r;

	if ((r = relay_cache_name(j->rc, a, user, &j->g)) != 0)
		return r;
	return dbenv_txn(j->rc->env, d, relay_cache_edit_txn, j, "grant",
	    reterr);
}

/* What a login leaves of a grant that the administrator gave for longer. */
static bool
relay_cache_outlasts(const struct relay_cache_job *j,
    const struct grant_record *g)
{
	return g->source == GRANT_CONTROL &&
	    j->args->source != GRANT_CONTROL &&
	    relay_cache_is_live(g, j->now_s) &&
	    g->expires_s > j->now_s + (int64_t)j->args->ttl_s;
}

static int
relay_cache_edit_grant(const struct relay_cache_job *j,
    struct grant_record *g, bool there)
{
	if (!there || g->granted_s > j->now_s)	/* R2 */
		g->granted_s = j->now_s;
	g->bits = j->g.bits;
	g->login_s = j->now_s;
	g->refreshed_s = j->now_s;
	g->generation = j->args->generation;
	g->protocol = (uint8_t)j->args->protocol;
	g->tls = j->args->tls;
	if (there && relay_cache_outlasts(j, g))
		return 0;
	g->expires_s = j->now_s + (int64_t)j->args->ttl_s;
	g->source = (uint8_t)j->args->source;
	g->messages = g->recipients = 0;
	g->max_messages = j->args->max_messages;
	g->max_recipients = j->args->max_recipients;
	return 0;
}

int
relay_cache_grant(struct relay_cache *rc, const struct addr *a,
    const char *user, const struct relay_grant_args *args, int64_t now_s,
    struct grant_record *ret, struct err *reterr)
{
	struct relay_cache_job j = { .rc = rc, .args = args, .now_s = now_s,
	    .edit = relay_cache_edit_grant };
	int r;

	r = relay_cache_edit(&j, a, user, args->durable ? DBENV_SYNC :
	    DBENV_NOSYNC, reterr);
	if (r == 0 && ret != NULL)
		*ret = j.g;
	return r;
}

static int
relay_cache_edit_renew(const struct relay_cache_job *j,
    struct grant_record *g, bool there)
{
	int64_t end_s = j->now_s + (int64_t)j->n;

	if (!there || g->bits != j->g.bits ||
	    !relay_cache_is_live(g, j->now_s))
		return DB_NOTFOUND;
	g->refreshed_s = j->now_s;
	if (g->expires_s < end_s)
		g->expires_s = end_s;
	return 0;
}

int
relay_cache_renew(struct relay_cache *rc, const struct addr *a,
    const char *user, uint64_t ttl_s, int64_t now_s, struct err *reterr)
{
	struct relay_cache_job j = { .rc = rc, .n = ttl_s, .now_s = now_s,
	    .edit = relay_cache_edit_renew };

	return relay_cache_edit(&j, a, user, DBENV_NOSYNC, reterr);
}

static int
relay_cache_edit_end(const struct relay_cache_job *j, struct grant_record *g,
    bool there)
{
	if (!there || g->source != j->source || g->bits != j->g.bits ||
	    !relay_cache_is_live(g, j->now_s))
		return DB_NOTFOUND;
	g->expires_s = j->now_s;
	return 0;
}

int
relay_cache_end(struct relay_cache *rc, const struct addr *a,
    const char *user, enum grant_source source, int64_t now_s,
    struct err *reterr)
{
	struct relay_cache_job j = { .rc = rc, .source = source,
	    .now_s = now_s, .edit = relay_cache_edit_end };

	return relay_cache_edit(&j, a, user, DBENV_NOSYNC, reterr);
}

static void
relay_cache_used(struct grant_record *g, int64_t now_s)
{
	if (g->first_use_s == 0)
		g->first_use_s = now_s;
	g->last_use_s = now_s;
}

static int
relay_cache_edit_use(const struct relay_cache_job *j, struct grant_record *g,
    bool there)
{
	if (!there)
		return DB_NOTFOUND;
	g->uses++;
	relay_cache_used(g, j->now_s);
	return 0;
}

int
relay_cache_use(struct relay_cache *rc, const struct addr *a,
    const char *user, int64_t now_s, struct err *reterr)
{
	struct relay_cache_job j = { .rc = rc, .now_s = now_s,
	    .edit = relay_cache_edit_use };

	return relay_cache_edit(&j, a, user, DBENV_NOSYNC, reterr);
}

static int
relay_cache_edit_book(const struct relay_cache_job *j, struct grant_record *g,
    bool there)
{
	if (!there || g->granted_s != j->granted_s)
		return DB_NOTFOUND;
	if (!record_grant_affords(g, j->n))
		return ERR_LIMIT;
	g->messages++;
	g->recipients += j->n;
	relay_cache_used(g, j->now_s);
	return 0;
}

int
relay_cache_book(struct relay_cache *rc, const struct addr *a,
    const char *user, int64_t granted_s, uint64_t recipients, int64_t now_s,
    struct err *reterr)
{
	struct relay_cache_job j = { .rc = rc, .granted_s = granted_s,
	    .n = recipients, .now_s = now_s, .edit = relay_cache_edit_book };

	return relay_cache_edit(&j, a, user, DBENV_NOSYNC, reterr);
}

static int
relay_cache_edit_take_back(const struct relay_cache_job *j,
    struct grant_record *g, bool there)
{
	if (!there || g->granted_s != j->granted_s)
		return DB_NOTFOUND;
	g->messages -= g->messages > 0;
	g->recipients -= j->n < g->recipients ? j->n : g->recipients;
	return 0;
}

int
relay_cache_take_back(struct relay_cache *rc, const struct addr *a,
    const char *user, int64_t granted_s, uint64_t recipients,
    struct err *reterr)
{
	struct relay_cache_job j = { .rc = rc, .granted_s = granted_s,
	    .n = recipients, .edit = relay_cache_edit_take_back };

	return relay_cache_edit(&j, a, user, DBENV_NOSYNC, reterr);
}

bool
relay_cache_is_live(const struct grant_record *g, int64_t now_s)
{
	return g->granted_s <= now_s && g->refreshed_s <= now_s &&
	    now_s < g->expires_s;
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

void
relay_cache_on_flaw(struct relay_cache *rc, relay_cache_flaw_fn *flaw,
    void *ctx)
{
	rc->flaw = flaw;
	rc->flaw_ctx = ctx;
}

/* Is it told now? The keys themselves need not be kept for that. */
static bool
relay_cache_tell_once(struct relay_cache *rc, const uint8_t *key, size_t len)
{
	uint64_t h = 14695981039346656037u;	/* FNV-1a */
	bool found = false, room;

	for (size_t i = 0; i < len; i++)
		h = (h ^ key[i]) * 1099511628211u;
	pthread_mutex_lock(&rc->flaw_mutex);
	for (unsigned int i = 0; i < rc->n_told; i++)
		found = found || rc->told[i] == h;
	room = rc->n_told < RELAY_CACHE_TOLD;
	if (!found && room)
		rc->told[rc->n_told++] = h;
	pthread_mutex_unlock(&rc->flaw_mutex);
	return !found && room;
}

void
relay_cache_tell(struct relay_cache *rc, const void *key, size_t len)
{
	struct grant_record g = { 0 };
	char text[RELAY_CACHE_KEY_TEXT], ip[ADDR_STRLEN];
	struct addr a = { 0 };
	const uint8_t *p = key;
	size_t n = 0;

	if (rc->flaw == NULL || !relay_cache_tell_once(rc, key, len))
		return;
	if (record_grant_key_decode(key, len, &g) == 0) {
		memcpy(a.ip, g.ip, sizeof(a.ip));
		(void)str_format(text, sizeof(text), "%s %s",
		    addr_ip_text(&a, ip), g.user);
	} else
		for (text[0] = '\0'; n < len && 2 * n + 2 < sizeof(text); n++)
			(void)str_format(text + 2 * n, sizeof(text) - 2 * n,
			    "%02x", p[n]);
	rc->flaw(rc->flaw_ctx, text);
}

/* The next record, as far as it can be decoded. */
static int
relay_cache_after_one(struct relay_cache *rc, DB_TXN *txn,
    struct dbenv_item *k, struct grant_record *g)
{
	uint8_t v[RECORD_MAX];
	struct dbenv_item it = { .p = v, .size = sizeof(v) };
	int r;

	if ((r = dbenv_next(rc->grants, txn, k, &it, 0)) != 0)
		return r;
	memset(g, 0, sizeof(*g));
	if (record_grant_key_decode(k->p, k->len, g) != 0)
		g->user[0] = '\0';
	else if (record_grant_decode(v, it.len, g) == 0)
		return 0;
	relay_cache_tell(rc, k->p, k->len);
	g->bits = 128;
	g->expires_s = 0;	/* whatever else was read of it */
	return ERR_CORRUPT;
}

int
relay_cache_after(struct relay_cache *rc, DB_TXN *txn, struct grant_record *g)
{
	uint8_t key[RECORD_GRANT_KEY_MAX];
	struct dbenv_item k = { .p = key, .size = sizeof(key) };
	struct grant_record next;
	int r;

	memcpy(key, g->ip, sizeof(g->ip));
	k.len = sizeof(g->ip) + strlen(g->user);
	memcpy(key + sizeof(g->ip), g->user, strlen(g->user));
	do
		r = relay_cache_after_one(rc, txn, &k, &next);
	while (r == ERR_CORRUPT && next.user[0] == '\0');
	if (r == 0 || r == ERR_CORRUPT)
		*g = next;
	return r;
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
		r = relay_cache_after(rc, NULL, &g);
		if ((r != 0 && r != ERR_CORRUPT) ||
		    memcmp(g.ip, at.ip, sizeof(g.ip)) != 0)
			break;
		if (g.bits == at.bits && relay_cache_is_live(&g, now_s))
			v[n++] = g;
	}
	if (r != 0 && r != DB_NOTFOUND && r != ERR_CORRUPT)
		return dbenv_result(rc->env, r, "grants", reterr);
	*ret_n = n;
	return 0;
}

int
relay_cache_crowd(struct relay_cache *rc, const struct addr *a, int64_t now_s,
    size_t max, size_t *ret_n, struct err *reterr)
{
	struct grant_record at, g;
	size_t n = 0, seen;
	int r = 0;

	if ((r = relay_cache_name(rc, a, "", &at)) != 0)
		return r;
	g = at;
	for (seen = 0; n < max && seen < max * RELAY_CACHE_PASSED_MAX; seen++) {
		r = relay_cache_after(rc, NULL, &g);
		if ((r != 0 && r != ERR_CORRUPT) ||
		    memcmp(g.ip, at.ip, sizeof(g.ip)) != 0)
			break;
		n += g.bits == at.bits && relay_cache_is_live(&g, now_s);
	}
	/* So many users were there of late that those now need no counting. */
	*ret_n = seen < max * RELAY_CACHE_PASSED_MAX ? n : max;
	return r == 0 || r == DB_NOTFOUND || r == ERR_CORRUPT ? 0 :
	    dbenv_result(rc->env, r, "grants", reterr);
}
