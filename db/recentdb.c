/*
 * recentdb.c - records of past sessions: in memory until they are written, in
 * rings after that, and found again. In authd-core: recentdb_put() on the loop,
 * the others on threads.
 */
#include "config.h"

#include "db/recentdb.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <db.h>

#include "db/dbenv_private.h"

#define RECENT_BATCH	64u	/* records in a transaction */
#define RECENT_CHUNK	256u	/* records for which a cursor stays open */
#define RECENT_BUCKETS	1024u	/* a power of two */
#define RECENT_KEY	9u
#define RECENT_SLACK_S	3600	/* how far records are out of order */

struct recentdb_note {
	TAILQ_ENTRY(recentdb_note)	 link;
	LIST_ENTRY(recentdb_note)	 same;	/* in its bucket */
	enum recent_share		 share;
	uint64_t			 serial;
	size_t				 len;
	uint8_t				*data;
};

TAILQ_HEAD(recentdb_notes, recentdb_note);
LIST_HEAD(recentdb_bucket, recentdb_note);

struct recentdb {
	struct dbenv		*env;
	DB			*db;
	_Atomic uint64_t	 room[RECENT__COUNT];
	pthread_mutex_t		 writing;	/* one flush at a time */
	pthread_mutex_t		 lock;		/* of what is below */
	struct recentdb_bucket	 bucket[RECENT_BUCKETS];
	struct recentdb_notes	 waiting[RECENT__COUNT];
	unsigned int		 n[RECENT__COUNT];
	uint64_t		 last[RECENT__COUNT];	/* serials */
};

/* How many parts of eight each share has. */
static const unsigned int recentdb_parts[RECENT__COUNT] = {
	[RECENT_OWNERS] = 5, [RECENT_NAMED] = 2, [RECENT_STRANGERS] = 1,
};

/* ------------------------------------------------------------------- keys -- */

static void
recentdb_key(enum recent_share share, uint64_t serial,
    uint8_t dst[RECENT_KEY])
{
	dst[0] = (uint8_t)share;
	for (unsigned int i = 0; i < 8; i++)
		dst[1 + i] = (uint8_t)(serial >> (56 - 8 * i));
}

/* False: it is of another share. */
static bool
recentdb_serial(enum recent_share share, const uint8_t *key, size_t len,
    uint64_t *ret)
{
	if (len != RECENT_KEY || key[0] != (uint8_t)share)
		return false;
	*ret = 0;
	for (unsigned int i = 0; i < 8; i++)
		*ret = *ret << 8 | key[1 + i];
	return true;
}

/* ---------------------------------------------------------------- reading -- */

/* A walk over a share, from the newest to the oldest. */
struct recentdb_walk {
	struct recentdb	*p;
	DBC		*cur;		/* NULL: closed */
	enum recent_share share;
	uint64_t	 serial;	/* everything before this one is left */
	unsigned int	 n;		/* since the cursor was opened */
	uint8_t		 v[RECENT_RECORD_MAX];
	size_t		 len;
};

static void
recentdb_walk_close(struct recentdb_walk *w)
{
	if (w->cur != NULL)
		(void)w->cur->close(w->cur);
	w->cur = NULL;
}

static int
recentdb_walk_get(struct recentdb_walk *w)
{
	uint8_t key[RECENT_KEY];
	DBT k = { .data = key, .ulen = sizeof(key), .flags = DB_DBT_USERMEM };
	DBT d = { .data = w->v, .ulen = sizeof(w->v),
	    .flags = DB_DBT_USERMEM };
	int rc;

	if (w->cur != NULL) {
		rc = w->cur->get(w->cur, &k, &d, DB_PREV);
	} else {
		if ((rc = w->p->db->cursor(w->p->db, NULL, &w->cur, 0)) != 0) {
			w->cur = NULL;
			return rc;
		}
		w->n = 0;
		recentdb_key(w->share, w->serial, key);
		k.size = sizeof(key);
		rc = w->cur->get(w->cur, &k, &d, DB_SET_RANGE);
		if (rc == 0 || rc == DB_NOTFOUND)
			rc = w->cur->get(w->cur, &k, &d, rc == 0 ? DB_PREV :
			    DB_LAST);
	}
	if (rc == 0 && !recentdb_serial(w->share, key, k.size, &w->serial))
		rc = DB_NOTFOUND;
	w->len = d.size;
	return rc;
}

/* 0 and the next record in w->v; DB_NOTFOUND; other codes of Berkeley DB's. */
static int
recentdb_walk_next(struct recentdb_walk *w)
{
	int rc, tries = 0;

	if (w->n++ >= RECENT_CHUNK)
		recentdb_walk_close(w);	/* who writes gets the pages */
	do {
		if ((rc = recentdb_walk_get(w)) != 0)
			recentdb_walk_close(w);
	} while (rc == DB_LOCK_DEADLOCK && ++tries < 100);
	return rc;
}

static int
recentdb_each_of(struct recentdb *p, struct recentdb_walk *w, int64_t since_s,
    recentdb_each_fn *each, void *ctx)
{
	struct recent_record r;
	int rc;

	*w = (struct recentdb_walk){ .p = p, .share = w->share,
	    .serial = UINT64_MAX };
	while ((rc = recentdb_walk_next(w)) == 0) {
		if (recent_decode(w->v, w->len, &r) != 0)
			continue;
		if (r.at_s < since_s - RECENT_SLACK_S)
			break;
		if (r.at_s >= since_s && !each(ctx, w->share, &r))
			break;
	}
	recentdb_walk_close(w);
	return rc == DB_NOTFOUND ? 0 : rc;
}

int
recentdb_each(struct recentdb *p, int64_t since_s, recentdb_each_fn *each,
    void *ctx, struct err *reterr)
{
	struct recentdb_walk *w = malloc(sizeof(*w));
	struct err ignored = { 0 };
	int rc = 0;

	if (w == NULL)
		return err_set(reterr, ERR_NOMEM, "no memory");
	/* While nothing can be written what waits is not shown. */
	(void)recentdb_flush(p, &ignored);
	for (int i = 0; i < RECENT__COUNT && rc == 0; i++) {
		w->share = (enum recent_share)i;
		rc = recentdb_each_of(p, w, since_s, each, ctx);
	}
	free(w);
	return dbenv_result(p->env, rc, "past sessions", reterr);
}

struct recentdb_sought {
	const char		*id;
	struct recent_record	*ret;
	bool			 found;
};

static bool
recentdb_seek(void *ctx, enum recent_share share,
    const struct recent_record *r)
{
	struct recentdb_sought *s = ctx;
	struct recent_message m;
	bool is = strcmp(r->sid, s->id) == 0;
	size_t at = 0;

	(void)share;
	while (!is && recent_next_message(r, &at, &m))
		is = strcmp(m.qid, s->id) == 0;
	if (is && (!s->found || r->at_s > s->ret->at_s)) {
		*s->ret = *r;
		s->found = true;
	}
	return !is;
}

int
recentdb_find(struct recentdb *p, const char *id, struct recent_record *ret,
    struct err *reterr)
{
	struct recentdb_sought s = { .id = id, .ret = ret };
	int r = recentdb_each(p, INT64_MIN + RECENT_SLACK_S, recentdb_seek, &s,
	    reterr);

	if (r == 0 && !s.found)
		return err_set(reterr, ERR_NOTFOUND,
		    "no session and no message of that id is remembered");
	return r;
}

/* ----------------------------------------------------------- what waits -- */

static struct recentdb_note *
recentdb_note_find(struct recentdb *p, enum recent_share share,
    uint64_t serial)
{
	struct recentdb_note *n;

	LIST_FOREACH(n, &p->bucket[serial % RECENT_BUCKETS], same)
		if (n->share == share && n->serial == serial)
			break;
	return n;
}

static void
recentdb_note_in(struct recentdb *p, struct recentdb_note *n, bool first)
{
	LIST_INSERT_HEAD(&p->bucket[n->serial % RECENT_BUCKETS], n, same);
	if (first)
		TAILQ_INSERT_HEAD(&p->waiting[n->share], n, link);
	else
		TAILQ_INSERT_TAIL(&p->waiting[n->share], n, link);
	p->n[n->share]++;
}

static void
recentdb_note_out(struct recentdb *p, struct recentdb_note *n)
{
	LIST_REMOVE(n, same);
	TAILQ_REMOVE(&p->waiting[n->share], n, link);
	p->n[n->share]--;
}

static void
recentdb_note_free(struct recentdb_note *n)
{
	if (n != NULL)
		free(n->data);
	free(n);
}

void
recentdb_put(struct recentdb *p, enum recent_share share,
    const struct recent_record *r, uint64_t *serial)
{
	struct recentdb_note *n = calloc(1, sizeof(*n)), *old = NULL;
	uint8_t v[RECENT_RECORD_MAX];
	int len = recent_encode(r, v);

	if (n == NULL || len < 0 || (n->data = malloc((size_t)len)) == NULL) {
		free(n);		/* a record less */
		return;
	}
	memcpy(n->data, v, (size_t)len);
	n->len = (size_t)len;
	n->share = share;
	pthread_mutex_lock(&p->lock);
	if (*serial == 0)
		*serial = ++p->last[share];
	else
		old = recentdb_note_find(p, share, *serial);
	if (old == NULL && p->n[share] >= RECENT_WAITING_MAX)
		old = TAILQ_FIRST(&p->waiting[share]);
	if (old != NULL)
		recentdb_note_out(p, old);
	n->serial = *serial;
	recentdb_note_in(p, n, false);
	pthread_mutex_unlock(&p->lock);
	recentdb_note_free(old);
}

/* ---------------------------------------------------------------- writing -- */

struct recentdb_batch {
	struct recentdb		*p;
	struct recentdb_note	*v[RECENT_BATCH];
	unsigned int		 n;
};

static int
recentdb_write(struct recentdb *p, DB_TXN *txn, const struct recentdb_note *n)
{
	uint64_t room = atomic_load(&p->room[n->share]);
	uint8_t key[RECENT_KEY];
	int rc;

	recentdb_key(n->share, n->serial, key);
	rc = dbenv_put(p->db, txn, key, sizeof(key), n->data, n->len, 0);
	if (rc != 0 || n->serial <= room)
		return rc;
	recentdb_key(n->share, n->serial - room, key);
	rc = dbenv_del(p->db, txn, key, sizeof(key));
	return rc == DB_NOTFOUND ? 0 : rc;
}

static int
recentdb_batch_txn(void *ctx, DB_TXN *txn, struct err *reterr)
{
	struct recentdb_batch *b = ctx;
	int rc = 0;

	(void)reterr;
	for (unsigned int i = 0; i < b->n && rc == 0; i++)
		rc = recentdb_write(b->p, txn, b->v[i]);
	return rc;
}

static void
recentdb_batch_take(struct recentdb_batch *b)
{
	struct recentdb *p = b->p;
	struct recentdb_note *n;

	b->n = 0;
	pthread_mutex_lock(&p->lock);
	for (int i = 0; i < RECENT__COUNT; i++)
		while (b->n < RECENT_BATCH &&
		    (n = TAILQ_FIRST(&p->waiting[i])) != NULL) {
			recentdb_note_out(p, n);
			b->v[b->n++] = n;
		}
	pthread_mutex_unlock(&p->lock);
}

/* Back to the head of the line, but what is there in a later form. */
static void
recentdb_batch_return(struct recentdb_batch *b)
{
	struct recentdb *p = b->p;
	struct recentdb_note *n;

	pthread_mutex_lock(&p->lock);
	while (b->n > 0) {
		n = b->v[--b->n];
		if (p->n[n->share] >= RECENT_WAITING_MAX ||
		    recentdb_note_find(p, n->share, n->serial) != NULL)
			recentdb_note_free(n);
		else
			recentdb_note_in(p, n, true);
	}
	pthread_mutex_unlock(&p->lock);
}

int
recentdb_flush(struct recentdb *p, struct err *reterr)
{
	struct recentdb_batch b = { .p = p };
	int r = 0;

	pthread_mutex_lock(&p->writing);
	for (;;) {
		recentdb_batch_take(&b);
		if (b.n == 0)
			break;
		r = dbenv_txn(p->env, DBENV_NOSYNC, recentdb_batch_txn, &b,
		    "past sessions", reterr);
		if (r != 0) {
			recentdb_batch_return(&b);
			break;
		}
		while (b.n > 0)
			recentdb_note_free(b.v[--b.n]);
	}
	pthread_mutex_unlock(&p->writing);
	return r;
}

/* --------------------------------------------------------------- forgetting -- */

struct recentdb_old {
	struct recentdb		*p;
	enum recent_share	 share;
	uint64_t		 floor;		/* no room before this serial */
	int64_t			 before_s;
	unsigned int		 budget;
	bool			 ended;
};

static bool
recentdb_is_old(const struct recentdb_old *o, uint64_t serial,
    const struct dbenv_item *it)
{
	struct recent_record r;

	return serial <= o->floor || recent_decode(it->p, it->len, &r) != 0 ||
	    r.at_s < o->before_s;
}

static int
recentdb_old_txn(void *ctx, DB_TXN *txn, struct err *reterr)
{
	struct recentdb_old *o = ctx;
	uint8_t key[RECENT_KEY], v[RECENT_RECORD_MAX];
	struct dbenv_item k = { .p = key, .size = sizeof(key) };
	struct dbenv_item it = { .p = v, .size = sizeof(v) };
	uint64_t serial;
	int rc = 0;

	(void)reterr;
	recentdb_key(o->share, 0, key);
	k.len = sizeof(key);
	for (unsigned int i = 0; i < RECENT_BATCH && !o->ended; i++) {
		rc = dbenv_next(o->p->db, txn, &k, &it, DB_SET_RANGE);
		o->ended = rc != 0 || !recentdb_serial(o->share, key, k.len,
		    &serial) || !recentdb_is_old(o, serial, &it);
		if (!o->ended && (rc = dbenv_del(o->p->db, txn, key,
		    k.len)) != 0)
			return rc;
	}
	return rc == DB_NOTFOUND ? 0 : rc;
}

int
recentdb_sweep(struct recentdb *p, int64_t before_s, unsigned int budget,
    struct err *reterr)
{
	uint64_t last[RECENT__COUNT], room;
	int r = 0;

	pthread_mutex_lock(&p->lock);
	memcpy(last, p->last, sizeof(last));
	pthread_mutex_unlock(&p->lock);
	for (int i = 0; i < RECENT__COUNT && r == 0; i++) {
		struct recentdb_old o = { .p = p, .before_s = before_s,
		    .share = (enum recent_share)i };

		room = atomic_load(&p->room[i]);
		o.floor = last[i] > room ? last[i] - room : 0;
		for (unsigned int n = 0; n < budget && !o.ended && r == 0;
		    n += RECENT_BATCH)
			r = dbenv_txn(p->env, DBENV_NOSYNC, recentdb_old_txn,
			    &o, "past sessions", reterr);
	}
	return r;
}

/* ------------------------------------------------------------------- life -- */

void
recentdb_set_max(struct recentdb *p, uint64_t max)
{
	for (int i = 0; i < RECENT__COUNT; i++)
		atomic_store(&p->room[i], max * recentdb_parts[i] / 8 + 1);
}

/* The serial of the newest record of each share. */
static int
recentdb_load(struct recentdb *p)
{
	struct recentdb_walk *w = calloc(1, sizeof(*w));
	int rc = w == NULL ? ERR_NOMEM : 0;

	for (int i = 0; i < RECENT__COUNT && rc == 0; i++) {
		*w = (struct recentdb_walk){ .p = p, .serial = UINT64_MAX,
		    .share = (enum recent_share)i };
		if ((rc = recentdb_walk_next(w)) == 0)
			p->last[i] = w->serial;
		else if (rc == DB_NOTFOUND)
			rc = 0;
		recentdb_walk_close(w);
	}
	free(w);
	return rc;
}

int
recentdb_open(struct dbenv *env, struct recentdb **ret, struct err *reterr)
{
	struct recentdb *p = calloc(1, sizeof(*p));
	int r;

	if (p == NULL)
		return err_set(reterr, ERR_NOMEM, "no memory");
	p->env = env;
	pthread_mutex_init(&p->lock, NULL);
	pthread_mutex_init(&p->writing, NULL);
	for (int i = 0; i < RECENT__COUNT; i++)
		TAILQ_INIT(&p->waiting[i]);
	recentdb_set_max(p, 200000);
	if ((r = dbenv_open_db(env, "recent.db", &p->db, reterr)) != 0) {
		recentdb_close(p);
		return r;
	}
	/* Users and grants keep their pages while this is looked through. */
	(void)p->db->set_priority(p->db, DB_PRIORITY_VERY_LOW);
	if ((r = recentdb_load(p)) != 0) {
		r = dbenv_result(env, r, "past sessions", reterr);
		recentdb_close(p);
		return r;
	}
	*ret = p;
	return 0;
}

void
recentdb_close(struct recentdb *p)
{
	struct recentdb_note *n;

	if (p == NULL)
		return;
	for (int i = 0; i < RECENT__COUNT; i++)
		while ((n = TAILQ_FIRST(&p->waiting[i])) != NULL) {
			recentdb_note_out(p, n);
			recentdb_note_free(n);
		}
	if (p->db != NULL)
		(void)p->db->close(p->db, 0);
	pthread_mutex_destroy(&p->lock);
	pthread_mutex_destroy(&p->writing);
	free(p);
}
