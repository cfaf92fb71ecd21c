/*
 * origindb.c - see origindb.h. Runs in authd-core: at its start and on the
 * upkeep thread.
 */
#include "config.h"

#include "db/origindb.h"

#include <stdlib.h>
#include <string.h>

#include <db.h>

#include "db/dbenv_private.h"

#define ORIGINDB_VERSION 1

struct origindb {
	struct dbenv	*env;
	DB		*db;
};

void
origindb_close(struct origindb *p)
{
	if (p == NULL)
		return;
	if (p->db != NULL)
		(void)p->db->close(p->db, 0);
	free(p);
}

int
origindb_open(struct dbenv *env, struct origindb **ret, struct err *reterr)
{
	struct origindb *p = calloc(1, sizeof(*p));
	int r;

	if (p == NULL)
		return err_set(reterr, ERR_NOMEM, "no memory");
	p->env = env;
	if ((r = dbenv_open_db(env, "origin.db", &p->db, reterr)) != 0) {
		free(p);
		return r;
	}
	*ret = p;
	return 0;
}

static void
origindb_put_number(uint8_t *dst, uint64_t n, unsigned int octets)
{
	while (octets-- > 0) {
		dst[octets] = (uint8_t)n;
		n >>= 8;
	}
}

static uint64_t
origindb_get_number(const uint8_t *p, unsigned int octets)
{
	uint64_t n = 0;

	while (octets-- > 0)
		n = n << 8 | *p++;
	return n;
}

int
origindb_decode(const void *key, size_t key_len, const void *data, size_t len,
    struct origindb_key *ret)
{
	const uint8_t *p = data;

	if (key_len != 4 || len != ORIGINDB_RECORD || p[0] != ORIGINDB_VERSION)
		return ERR_CORRUPT;
	ret->id = (uint32_t)origindb_get_number(key, 4);
	ret->made_s = (int64_t)origindb_get_number(p + 1, 8);
	memcpy(ret->key, p + 9, sizeof(ret->key));
	return ret->id == 0 ? ERR_CORRUPT : 0;
}

int
origindb_load(struct origindb *p, struct origindb_key *v, size_t max,
    size_t *ret_n, struct err *reterr)
{
	uint8_t key[4], data[ORIGINDB_RECORD];
	struct dbenv_item k = { .p = key, .size = sizeof(key) };
	struct dbenv_item d = { .p = data, .size = sizeof(data) };
	size_t n = 0;
	int r;

	while ((r = dbenv_next(p->db, NULL, &k, &d, 0)) == 0) {
		if (n == max)
			r = ERR_LIMIT;
		else
			r = origindb_decode(key, k.len, data, d.len, &v[n]);
		if (r != 0)
			break;
		n++;
	}
	explicit_bzero(data, sizeof(data));
	*ret_n = n;
	return r == DB_NOTFOUND ? 0 :
	    dbenv_result(p->env, r, "origin keys", reterr);
}

struct origindb_job {
	struct origindb	*p;
	uint8_t		 key[4];
	uint8_t		 data[ORIGINDB_RECORD];
};

static int
origindb_put_txn(void *ctx, DB_TXN *txn, struct err *reterr)
{
	struct origindb_job *j = ctx;

	(void)reterr;
	return dbenv_put(j->p->db, txn, j->key, sizeof(j->key), j->data,
	    sizeof(j->data), 0);
}

int
origindb_put(struct origindb *p, const struct origindb_key *k,
    struct err *reterr)
{
	struct origindb_job j = { .p = p };
	int r;

	origindb_put_number(j.key, k->id, 4);
	j.data[0] = ORIGINDB_VERSION;
	origindb_put_number(j.data + 1, (uint64_t)k->made_s, 8);
	memcpy(j.data + 9, k->key, sizeof(k->key));
	r = dbenv_txn(p->env, DBENV_SYNC, origindb_put_txn, &j, "origin key",
	    reterr);
	explicit_bzero(&j, sizeof(j));
	return r;
}

static int
origindb_remove_txn(void *ctx, DB_TXN *txn, struct err *reterr)
{
	struct origindb_job *j = ctx;
	int r;

	if ((r = origindb_put_txn(ctx, txn, reterr)) != 0)
		return r;
	return dbenv_del(j->p->db, txn, j->key, sizeof(j->key));
}

int
origindb_remove(struct origindb *p, uint32_t id, struct err *reterr)
{
	struct origindb_job j = { .p = p };

	origindb_put_number(j.key, id, 4);
	return dbenv_txn_taking(p->env, origindb_remove_txn, &j, "origin key",
	    reterr);
}
