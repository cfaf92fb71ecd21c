/*
 * placesdb_write.c - writing what waits, forgetting what is old, and keeping
 * the state of guess.c. On the upkeep thread of authd-core; a few records in a
 * transaction, none of them flushed.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "db/placesdb_private.h"

struct placesdb_copy {
	struct placesdb_note	 note;
	uint8_t			 key[PLACESDB_KEY_MAX];
	size_t			 len;
	uint64_t		 serial;
};

struct placesdb_batch {
	struct placesdb		*p;
	struct placesdb_copy	 v[PLACESDB_BATCH];
	unsigned int		 n;
};

/* The oldest place of the user whose key it is, if he has as many as may be. */
static int
placesdb_make_room(struct placesdb *p, DB_TXN *txn, const uint8_t *key,
    size_t len)
{
	uint8_t at[PLACESDB_KEY_MAX], v[PLACESDB_PLACE_SIZE];
	uint8_t oldest[PLACESDB_KEY_MAX];
	struct dbenv_item k = { .p = at, .size = sizeof(at) };
	struct dbenv_item it = { .p = v, .size = sizeof(v) };
	struct placesdb_place place;
	int64_t oldest_s = INT64_MAX;
	size_t prefix = len - 16;
	unsigned int n = 0;
	int r;

	k.len = prefix;
	memcpy(at, key, prefix);
	while ((r = dbenv_next(p->places, txn, &k, &it, 0)) == 0 &&
	    k.len == len && memcmp(at, key, prefix) == 0) {
		if (placesdb_place_decode(v, it.len, &place) != 0)
			place.last_s = INT64_MIN;
		if (n++ == 0 || place.last_s < oldest_s) {
			oldest_s = place.last_s;
			memcpy(oldest, at, len);
		}
	}
	if (r != 0 && r != DB_NOTFOUND)
		return r;
	return n < PLACESDB_MAX ? 0 : dbenv_del(p->places, txn, oldest, len);
}

static int
placesdb_write_place(struct placesdb *p, DB_TXN *txn,
    const struct placesdb_copy *n)
{
	const struct placesdb_place new = placesdb_place_of(&n->note.login);
	uint8_t v[PLACESDB_PLACE_SIZE];
	struct dbenv_item it = { .p = v, .size = sizeof(v) };
	struct placesdb_place place = new;
	int r = dbenv_get(p->places, txn, n->key, n->len, &it, DB_RMW);

	if (r == 0)
		r = placesdb_place_decode(v, it.len, &place);
	if (r == 0 && place.last_s <= new.last_s &&
	    new.last_s - place.last_s < PLACESDB_FRESH_S &&
	    (place.first_s != 0 || new.first_s == 0))
		return 0;
	if (r == DB_NOTFOUND)
		r = placesdb_make_room(p, txn, n->key, n->len);
	if (r == ERR_CORRUPT || place.first_s == 0)
		place.first_s = new.first_s;
	if (r != 0 && r != ERR_CORRUPT)
		return r;
	place.last_s = new.last_s;
	if (place.first_s > place.last_s)
		place.first_s = place.last_s;
	placesdb_place_encode(&place, v);
	return dbenv_put(p->places, txn, n->key, n->len, v, sizeof(v), 0);
}

static int
placesdb_write_login(struct placesdb *p, DB_TXN *txn,
    const struct placesdb_copy *n)
{
	uint8_t v[PLACESDB_RECORD_MAX];
	int len = placesdb_login_encode(&n->note.login, v, sizeof(v));

	return len < 0 ? len :
	    dbenv_put(p->logins, txn, n->key, n->len, v, (size_t)len, 0);
}

static int
placesdb_batch_txn(void *ctx, DB_TXN *txn, struct err *reterr)
{
	struct placesdb_batch *b = ctx;
	int r = 0;

	(void)reterr;
	for (unsigned int i = 0; i < b->n && r == 0; i++)
		r = b->v[i].note.kind == PLACESDB_PLACE ?
		    placesdb_write_place(b->p, txn, &b->v[i]) :
		    placesdb_write_login(b->p, txn, &b->v[i]);
	return r;
}

/* Copies the oldest; they stay to be found until they are written. */
static void
placesdb_batch_take(struct placesdb_batch *b, uint64_t before)
{
	struct placesdb *p = b->p;

	b->n = 0;
	pthread_mutex_lock(&p->lock);
	for (struct waiting_note *n = waiting_oldest(p->waiting); n != NULL &&
	    n->serial <= before && b->n < PLACESDB_BATCH; n = n->next) {
		struct placesdb_copy *c = &b->v[b->n++];

		c->note = *placesdb_note_of(n);
		c->len = n->len - 1;
		memcpy(c->key, n->key + 1, c->len);
		c->serial = n->serial;
	}
	pthread_mutex_unlock(&p->lock);
}

/* What changed meanwhile is written again: at the end of the line. */
static void
placesdb_batch_drop(struct placesdb_batch *b)
{
	struct placesdb *p = b->p;

	pthread_mutex_lock(&p->lock);
	for (unsigned int i = 0; i < b->n; i++) {
		struct waiting_note *n = placesdb_find(p, b->v[i].note.kind,
		    b->v[i].key, b->v[i].len);

		if (n != NULL && n->serial == b->v[i].serial)
			waiting_drop(p->waiting, n);
	}
	pthread_mutex_unlock(&p->lock);
}

int
placesdb_flush(struct placesdb *p, struct err *reterr)
{
	struct placesdb_batch *b = malloc(sizeof(*b));
	uint64_t before;
	int r = 0;

	if (b == NULL)
		return err_set(reterr, ERR_NOMEM, "logins: no memory");
	b->p = p;
	pthread_mutex_lock(&p->lock);
	before = waiting_serial(p->waiting);
	pthread_mutex_unlock(&p->lock);
	while (r == 0) {
		placesdb_batch_take(b, before);
		if (b->n == 0)
			break;
		r = dbenv_txn(p->env, DBENV_NOSYNC, placesdb_batch_txn, b,
		    "logins", reterr);
		if (r == 0)
			placesdb_batch_drop(b);
	}
	free(b);
	return r;
}

/* Forgetting */

static bool
placesdb_is_his(const char *user, const uint8_t *key, size_t len)
{
	size_t n = strlen(user);

	return len >= n && memcmp(key, user, n) == 0 &&
	    (len == n || key[n] == '\0');
}

static enum dbenv_fate
placesdb_fate_by_time(const void *ctx, const struct dbenv_item *key,
    const struct dbenv_item *v)
{
	const int64_t *before_s = ctx;
	struct placesdb_place place;

	(void)key;
	return placesdb_place_decode(v->p, v->len, &place) != 0 ||
	    place.last_s < *before_s ? DBENV_REMOVE : DBENV_KEEP;
}

static enum dbenv_fate
placesdb_fate_by_user(const void *user, const struct dbenv_item *key,
    const struct dbenv_item *v)
{
	(void)v;
	return placesdb_is_his(user, key->p, key->len) ? DBENV_REMOVE :
	    DBENV_END;
}

int
placesdb_sweep(struct placesdb *p, int64_t now_s, unsigned int budget,
    uint64_t *ret_removed, struct err *reterr)
{
	int64_t before_s = now_s - PLACESDB_KEEP_S;
	uint8_t v[PLACESDB_RECORD_MAX];
	struct dbenv_sweep s = { .db = p->places, .what = "places",
	    .fate = placesdb_fate_by_time, .ctx = &before_s, .budget = budget,
	    .value = { .p = v, .size = sizeof(v) }, .place = &p->place };
	int r = dbenv_sweep(p->env, &s, reterr);

	*ret_removed = s.removed;
	return r;
}

static void
placesdb_forget_waiting(struct placesdb *p, const char *user)
{
	struct waiting_note *next;

	pthread_mutex_lock(&p->lock);
	for (struct waiting_note *n = waiting_oldest(p->waiting); n != NULL;
	    n = next) {
		next = n->next;
		if (placesdb_is_his(user, n->key + 1, n->len - 1))
			waiting_drop(p->waiting, n);
	}
	pthread_mutex_unlock(&p->lock);
}

int
placesdb_forget(struct placesdb *p, const char *user, struct err *reterr)
{
	DB *const dbs[] = { p->logins, p->places };
	uint8_t v[PLACESDB_RECORD_MAX];
	int r = 0;

	for (unsigned int i = 0; i < 2 && r == 0; i++) {
		struct dbenv_place place = { 0 };
		struct dbenv_sweep s = { .db = dbs[i], .what = "logins",
		    .fate = placesdb_fate_by_user, .ctx = user,
		    .value = { .p = v, .size = sizeof(v) },
		    .budget = PLACESDB_BATCH, .flags = DB_SET_RANGE,
		    .place = &place };

		placesdb_forget_waiting(p, user);
		place.len = placesdb_login_key(user, "", place.at);
		while (r == 0 && !s.ended)
			r = dbenv_sweep(p->env, &s, reterr);
	}
	return r;
}

/* The state of guess.c */

struct placesdb_state {
	struct placesdb			*p;
	const struct placesdb_guess	*v;
	size_t				 n;
};

static void
placesdb_slot_key(uint32_t slot, uint8_t dst[4])
{
	for (unsigned int i = 0; i < 4; i++)
		dst[i] = (uint8_t)(slot >> (24 - 8 * i));
}

static int
placesdb_guess_txn(void *ctx, DB_TXN *txn, struct err *reterr)
{
	struct placesdb_state *s = ctx;
	uint8_t key[4], v[PLACESDB_RECORD_MAX];
	int r = 0;

	(void)reterr;
	for (size_t i = 0; i < s->n && r == 0; i++) {
		placesdb_slot_key(s->v[i].slot, key);
		if (!s->v[i].used) {
			r = dbenv_del(s->p->guess, txn, key, sizeof(key));
			if (r == DB_NOTFOUND)
				r = 0;
			continue;
		}
		if ((r = placesdb_guess_encode(&s->v[i], v, sizeof(v))) >= 0)
			r = dbenv_put(s->p->guess, txn, key, sizeof(key), v,
			    (size_t)r, 0);
	}
	return r;
}

int
placesdb_guess_put(struct placesdb *p, const struct placesdb_guess *v,
    size_t n, struct err *reterr)
{
	struct placesdb_state s = { .p = p, .v = v, .n = n };

	return dbenv_txn(p->env, DBENV_NOSYNC, placesdb_guess_txn, &s,
	    "blocks", reterr);
}

int
placesdb_guess_each(struct placesdb *p,
    void (*each)(void *ctx, const struct placesdb_guess *v), void *ctx,
    struct err *reterr)
{
	uint8_t key[4], v[PLACESDB_RECORD_MAX];
	struct dbenv_item k = { .p = key, .size = sizeof(key) };
	struct dbenv_item it = { .p = v, .size = sizeof(v) };
	struct placesdb_guess g;
	int r;

	while ((r = dbenv_next(p->guess, NULL, &k, &it, 0)) == 0) {
		if (k.len != sizeof(key) ||
		    placesdb_guess_decode(v, it.len, &g) != 0)
			continue;
		g.slot = (uint32_t)key[0] << 24 | (uint32_t)key[1] << 16 |
		    (uint32_t)key[2] << 8 | key[3];
		each(ctx, &g);
	}
	return r == DB_NOTFOUND ? 0 :
	    dbenv_result(p->env, r, "blocks", reterr);
}
