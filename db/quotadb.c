/*
 * quotadb.c - see quotadb.h. Runs in authd-core: look-ups anywhere, writing
 * on the upkeep thread and for the administrator.
 */
#include "config.h"

#include "db/quotadb.h"

#include <stdlib.h>
#include <string.h>

#include "db/dbenv_private.h"
#include "db/fields.h"
#include "lib/str.h"

#define QUOTADB_VERSION 1u

struct quotadb {
	struct dbenv	*env;
	DB		*db;
	struct dbenv_place place;	/* upkeep's */
};

int
quotadb_open(struct dbenv *env, struct quotadb **ret, struct err *reterr)
{
	struct quotadb *q = calloc(1, sizeof(*q));
	int r;

	if (q == NULL)
		return err_set(reterr, ERR_NOMEM, "no memory");
	q->env = env;
	r = dbenv_open_db(env, "quota.db", &q->db, reterr);
	if (r != 0) {
		quotadb_close(q);
		return r;
	}
	*ret = q;
	return 0;
}

void
quotadb_close(struct quotadb *q)
{
	if (q == NULL)
		return;
	if (q->db != NULL)
		(void)q->db->close(q->db, 0);
	free(q);
}

int
quotadb_encode(const struct quotadb_use *u, uint8_t *dst, size_t size)
{
	struct fields_out o = { .p = dst, .size = size };

	if (u->n > QUOTADB_SLOTS)
		return ERR_LIMIT;
	fields_put_u(&o, QUOTADB_VERSION, 1);
	for (size_t i = 0; i < u->n; i++) {
		fields_put_u(&o, u->v[i].end_min, 4);
		fields_put_u(&o, u->v[i].messages, 4);
		fields_put_u(&o, u->v[i].recipients, 4);
		fields_put_u(&o, u->v[i].octets, 8);
	}
	return fields_out_end(&o);
}

int
quotadb_decode(const void *p, size_t len, struct quotadb_use *ret)
{
	struct fields_in in = { .p = p, .left = len };

	ret->n = 0;
	if (fields_get_u(&in, 1) != QUOTADB_VERSION || in.bad ||
	    in.left % QUOTADB_SLOT_SIZE != 0 ||
	    in.left / QUOTADB_SLOT_SIZE > QUOTADB_SLOTS)
		return ERR_CORRUPT;
	for (size_t i = 0; in.left > 0; i++) {
		struct quotadb_slot *s = &ret->v[i];

		s->end_min = (uint32_t)fields_get_u(&in, 4);
		s->messages = (uint32_t)fields_get_u(&in, 4);
		s->recipients = (uint32_t)fields_get_u(&in, 4);
		s->octets = fields_get_u(&in, 8);
		if (i > 0 && s->end_min <= ret->v[i - 1].end_min) {
			ret->n = 0;
			return ERR_CORRUPT;
		}
		ret->n++;
	}
	return 0;
}

int
quotadb_get(struct quotadb *q, struct quotadb_use *ret, struct err *reterr)
{
	uint8_t v[QUOTADB_RECORD_MAX];
	struct dbenv_item it = { .p = v, .size = sizeof(v) };
	int r;

	ret->n = 0;
	r = dbenv_get(q->db, NULL, ret->user, strlen(ret->user), &it, 0);
	if (r == 0)
		(void)quotadb_decode(v, it.len, ret);
	return r == DB_NOTFOUND || r == ERR_CORRUPT ? 0 :
	    dbenv_result(q->env, r, "what was sent", reterr);
}

struct quotadb_batch {
	struct quotadb			*q;
	const struct quotadb_use	*v;
	size_t				 n;
};

static int
quotadb_put_txn(void *ctx, DB_TXN *txn, struct err *reterr)
{
	const struct quotadb_batch *b = ctx;
	uint8_t v[QUOTADB_RECORD_MAX];
	int r = 0;

	(void)reterr;
	for (size_t i = 0; i < b->n && r == 0; i++) {
		const struct quotadb_use *u = &b->v[i];

		if (u->n == 0) {
			r = dbenv_del(b->q->db, txn, u->user, strlen(u->user));
			r = r == DB_NOTFOUND ? 0 : r;
		} else if ((r = quotadb_encode(u, v, sizeof(v))) >= 0) {
			r = dbenv_put(b->q->db, txn, u->user, strlen(u->user),
			    v, (size_t)r, 0);
		}
	}
	return r;
}

int
quotadb_put(struct quotadb *q, const struct quotadb_use *v, size_t n,
    struct err *reterr)
{
	struct quotadb_batch b = { .q = q, .v = v, .n = n };

	return dbenv_txn(q->env, DBENV_NOSYNC, quotadb_put_txn, &b,
	    "what was sent", reterr);
}

/* Sweeping */

static enum dbenv_fate
quotadb_fate(const void *ctx, const struct dbenv_item *key,
    const struct dbenv_item *v)
{
	const int64_t *before_s = ctx;
	struct quotadb_use u;

	(void)key;
	return quotadb_decode(v->p, v->len, &u) != 0 || u.n == 0 ||
	    (int64_t)u.v[u.n - 1].end_min * 60 < *before_s ? DBENV_REMOVE :
	    DBENV_KEEP;
}

int
quotadb_sweep(struct quotadb *q, int64_t now_s, unsigned int budget,
    uint64_t *ret_removed, struct err *reterr)
{
	int64_t before_s = now_s - QUOTADB_KEEP_S;
	uint8_t v[QUOTADB_RECORD_MAX];
	struct dbenv_sweep s = { .db = q->db, .what = "what was sent",
	    .fate = quotadb_fate, .ctx = &before_s, .budget = budget,
	    .value = { .p = v, .size = sizeof(v) }, .place = &q->place };
	int r = dbenv_sweep(q->env, &s, reterr);

	*ret_removed = s.removed;
	return r;
}
