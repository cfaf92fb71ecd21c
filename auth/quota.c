/*
 * quota.c - see quota.h.
 *
 * Runs in authd-core, on the loop; the administrator's verbs and the upkeep
 * thread look in too, so there is a lock. A user who is not in memory is read
 * from the database; what has changed is not pushed out before it is written,
 * and who holds something is not pushed out at all.
 */
#include "auth/quota.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <openssl/rand.h>

#include "lib/err.h"
#include "lib/siphash.h"

#define QUOTA_BUCKETS	8192u	/* a power of two */
#define QUOTA_BATCH	16u	/* users in a transaction */
#define QUOTA_PUSH_LOOK	64u	/* at the longest unused, for a place */

struct quota_user {
	struct quota_user	*same;		/* in its bucket */
	TAILQ_ENTRY(quota_user)	 link;		/* by use, or among the changed */
	struct quota_window	 window;
	uint64_t		 held_messages;
	uint64_t		 held_recipients;
	bool			 dirty;
	uint64_t		 serial;	/* of its last change */
	char			 name[];
};

struct quota_hold {
	struct quota_hold	*same;
	TAILQ_ENTRY(quota_hold)	 link;		/* by age */
	uint32_t		 id;
	uint32_t		 recipients;
	struct quota_user	*user;
	const void		*owner;
	int64_t			 since_s;
};

TAILQ_HEAD(quota_users, quota_user);
TAILQ_HEAD(quota_holds, quota_hold);

struct quota {
	struct quotadb		*db;
	pthread_mutex_t		 lock;		/* of what is below */
	pthread_mutex_t		 writing;	/* by one thread at a time, or
						 * what is older would stay */
	uint8_t			 key[SIPHASH_KEY];
	struct quota_user	*users[QUOTA_BUCKETS];
	struct quota_users	 clean;		/* the longest unused first */
	struct quota_users	 dirty;		/* the longest changed first */
	size_t			 n_users, n_dirty;
	struct quota_hold	*holds[QUOTA_BUCKETS];
	struct quota_holds	 by_age;
	size_t			 n_holds;
	uint32_t		 hold_id;
};

struct quota *
quota_new(struct quotadb *db)
{
	struct quota *q = calloc(1, sizeof(*q));

	if (q == NULL || RAND_bytes(q->key, sizeof(q->key)) != 1 ||
	    RAND_bytes((uint8_t *)&q->hold_id, sizeof(q->hold_id)) != 1) {
		free(q);
		return NULL;
	}
	q->db = db;
	TAILQ_INIT(&q->clean);
	TAILQ_INIT(&q->dirty);
	TAILQ_INIT(&q->by_age);
	pthread_mutex_init(&q->lock, NULL);
	pthread_mutex_init(&q->writing, NULL);
	return q;
}

/* ------------------------------------------------------------------ users -- */

static struct quota_user **
quota_bucket(struct quota *q, const char *name)
{
	return &q->users[siphash(q->key, name, strlen(name)) % QUOTA_BUCKETS];
}

static void
quota_user_free(struct quota *q, struct quota_user *u)
{
	struct quota_user **at = quota_bucket(q, u->name);

	while (*at != u)
		at = &(*at)->same;
	*at = u->same;
	TAILQ_REMOVE(u->dirty ? &q->dirty : &q->clean, u, link);
	q->n_dirty -= u->dirty;
	q->n_users--;
	quota_window_free(&u->window);
	free(u);
}

void
quota_free(struct quota *q)
{
	struct quota_user *u;
	struct quota_hold *h;

	if (q == NULL)
		return;
	while ((h = TAILQ_FIRST(&q->by_age)) != NULL) {
		TAILQ_REMOVE(&q->by_age, h, link);
		free(h);
	}
	while ((u = TAILQ_FIRST(&q->clean)) != NULL ||
	    (u = TAILQ_FIRST(&q->dirty)) != NULL)
		quota_user_free(q, u);
	pthread_mutex_destroy(&q->lock);
	pthread_mutex_destroy(&q->writing);
	free(q);
}

static void
quota_set_dirty(struct quota *q, struct quota_user *u, bool dirty)
{
	TAILQ_REMOVE(u->dirty ? &q->dirty : &q->clean, u, link);
	TAILQ_INSERT_TAIL(dirty ? &q->dirty : &q->clean, u, link);
	q->n_dirty += (size_t)dirty - (size_t)u->dirty;
	u->dirty = dirty;
}

static void
quota_changed(struct quota *q, struct quota_user *u)
{
	u->serial++;
	if (!u->dirty)
		quota_set_dirty(q, u, true);
}

/* False: all that may go are in use. */
static bool
quota_push_out(struct quota *q)
{
	struct quota_user *u = TAILQ_FIRST(&q->clean);

	for (unsigned int i = 0; u != NULL && i < QUOTA_PUSH_LOOK; i++) {
		if (u->held_messages == 0) {
			quota_user_free(q, u);
			return true;
		}
		u = TAILQ_NEXT(u, link);
	}
	return false;
}

/* Reads him from the database. */
static int
quota_load(struct quota *q, const char *name, struct quota_user **ret)
{
	struct quota_user **at = quota_bucket(q, name), *u;
	size_t len = strlen(name);
	struct quotadb_use use;
	int r;

	if (len >= sizeof(use.user))
		return ERR_LIMIT;
	memcpy(use.user, name, len + 1);
	if ((r = quotadb_get(q->db, &use, NULL)) != 0)
		return r;
	if ((q->n_users >= QUOTA_USERS_MAX && !quota_push_out(q)) ||
	    (u = calloc(1, sizeof(*u) + len + 1)) == NULL)
		return ERR_NOMEM;
	memcpy(u->name, name, len + 1);
	if ((r = quota_window_load(&u->window, &use)) != 0) {
		free(u);
		return r;
	}
	u->same = *at;
	*at = u;
	TAILQ_INSERT_TAIL(&q->clean, u, link);
	q->n_users++;
	*ret = u;
	return 0;
}

/* With the lock held. */
static int
quota_find(struct quota *q, const char *name, int64_t now_s,
    struct quota_user **ret)
{
	struct quota_user *u = *quota_bucket(q, name);
	int r;

	while (u != NULL && strcmp(u->name, name) != 0)
		u = u->same;
	if (u == NULL && (r = quota_load(q, name, &u)) != 0)
		return r;
	if (!u->dirty)
		quota_set_dirty(q, u, false);	/* the last to be pushed out */
	quota_window_trim(&u->window, now_s);
	*ret = u;
	return 0;
}

/* ------------------------------------------------------------------ rules -- */

void
quota_rule_of(const struct conf *c, const char *class,
    const struct user_limits *own, struct quota_rule *ret)
{
	const struct conf_class *k = class[0] == '\0' ? NULL :
	    conf_class_find(c, class);
	uint64_t *max = ret->max;

	if (k == NULL && c->default_class != NULL)
		k = conf_class_find(c, c->default_class);
	*ret = (struct quota_rule){ .action = CONF_DEFER };
	if (k != NULL) {
		ret->action = k->action;
		max[QUOTA_MESSAGES_HOUR] = k->messages_hour;
		max[QUOTA_MESSAGES_DAY] = k->messages_day;
		max[QUOTA_RECIPIENTS_HOUR] = k->recipients_hour;
		max[QUOTA_RECIPIENTS_DAY] = k->recipients_day;
	}
	if (own->messages_hour > 0)
		max[QUOTA_MESSAGES_HOUR] = own->messages_hour;
	if (own->messages_day > 0)
		max[QUOTA_MESSAGES_DAY] = own->messages_day;
	if (own->recipients_hour > 0)
		max[QUOTA_RECIPIENTS_HOUR] = own->recipients_hour;
	if (own->recipients_day > 0)
		max[QUOTA_RECIPIENTS_DAY] = own->recipients_day;
}

bool
quota_rule_is_empty(const struct quota_rule *r)
{
	for (unsigned int i = 0; i < QUOTA__COUNT; i++)
		if (r->max[i] > 0)
			return false;
	return true;
}

static bool
quota_is_recipients(enum quota_which which)
{
	return which == QUOTA_RECIPIENTS_HOUR || which == QUOTA_RECIPIENTS_DAY;
}

static uint64_t
quota_used(const struct quota_user *u, enum quota_which which, int64_t now_s)
{
	return quota_window_used(&u->window, which, now_s) +
	    (quota_is_recipients(which) ? u->held_recipients :
	    u->held_messages);
}

/* When `need` more fit; 0: never. What is held may be released at any time. */
static int64_t
quota_eases(const struct quota_user *u, enum quota_which which, uint64_t max,
    uint64_t need, int64_t now_s)
{
	uint64_t held = quota_is_recipients(which) ? u->held_recipients :
	    u->held_messages;
	int64_t at;

	if (need > max)
		return 0;
	at = quota_window_eases(&u->window, which,
	    max - need > held ? max - need - held : 0, now_s);
	return at > now_s ? at : now_s + 60;
}

/* Of several the one that eases last. */
static void
quota_test(const struct quota_user *u, const struct quota_rule *rule,
    uint32_t recipients, int64_t now_s, struct quota_over *ret)
{
	*ret = (struct quota_over){ .which = QUOTA__COUNT };
	for (enum quota_which i = 0; i < QUOTA__COUNT; i++) {
		uint64_t need = quota_is_recipients(i) ? recipients : 1;
		uint64_t max = rule->max[i], used = quota_used(u, i, now_s);
		int64_t at;

		if (max == 0 || used + need <= max)
			continue;
		at = quota_eases(u, i, max, need, now_s);
		if (ret->which != QUOTA__COUNT && at != 0 &&
		    (ret->eases_s == 0 || at <= ret->eases_s))
			continue;
		*ret = (struct quota_over){ .which = i, .max = max,
		    .used = used, .eases_s = at, .action = rule->action };
	}
}

static int
quota_try(struct quota *q, const char *user, const struct quota_rule *rule,
    uint32_t recipients, int64_t now_s, struct quota_user **ret_user,
    struct quota_over *ret)
{
	int r = quota_find(q, user, now_s, ret_user);

	*ret = (struct quota_over){ .which = QUOTA__COUNT };
	if (r != 0)
		return quota_rule_is_empty(rule) ? ERR_NOTFOUND : r;
	quota_test(*ret_user, rule, recipients, now_s, ret);
	return ret->which != QUOTA__COUNT && rule->action != CONF_LOG ?
	    ERR_LIMIT : 0;
}

int
quota_check(struct quota *q, const char *user, const struct quota_rule *rule,
    uint32_t recipients, int64_t now_s, struct quota_over *ret)
{
	struct quota_user *u;
	int r;

	pthread_mutex_lock(&q->lock);
	r = quota_try(q, user, rule, recipients, now_s, &u, ret);
	pthread_mutex_unlock(&q->lock);
	return r == ERR_NOTFOUND ? 0 : r;
}

/* ------------------------------------------------------------------ holds -- */

static struct quota_hold **
quota_hold_at(struct quota *q, uint32_t id)
{
	struct quota_hold **at = &q->holds[id % QUOTA_BUCKETS];

	while (*at != NULL && (*at)->id != id)
		at = &(*at)->same;
	return at;
}

static void
quota_hold_end(struct quota *q, struct quota_hold *h)
{
	*quota_hold_at(q, h->id) = h->same;
	TAILQ_REMOVE(&q->by_age, h, link);
	q->n_holds--;
	h->user->held_messages--;
	h->user->held_recipients -= h->recipients;
	free(h);
}

static uint32_t
quota_hold_new(struct quota *q, struct quota_user *u, uint32_t recipients,
    const void *owner, int64_t now_s)
{
	struct quota_hold *h, **at;

	if (q->n_holds >= QUOTA_HOLDS_MAX ||
	    (h = calloc(1, sizeof(*h))) == NULL)
		return 0;
	do
		h->id = ++q->hold_id;
	while (h->id == 0 || *quota_hold_at(q, h->id) != NULL);
	h->user = u;
	h->recipients = recipients;
	h->owner = owner;
	h->since_s = now_s;
	at = &q->holds[h->id % QUOTA_BUCKETS];
	h->same = *at;
	*at = h;
	TAILQ_INSERT_TAIL(&q->by_age, h, link);
	q->n_holds++;
	u->held_messages++;
	u->held_recipients += recipients;
	return h->id;
}

/* Without room for a hold the limit is looked at again when it is booked. */
int
quota_hold(struct quota *q, const char *user, const struct quota_rule *rule,
    uint32_t recipients, const void *owner, int64_t now_s, uint32_t *ret_hold,
    struct quota_over *ret)
{
	struct quota_user *u;
	int r;

	*ret_hold = 0;
	pthread_mutex_lock(&q->lock);
	r = quota_try(q, user, rule, recipients, now_s, &u, ret);
	if (r == 0)
		*ret_hold = quota_hold_new(q, u, recipients, owner, now_s);
	pthread_mutex_unlock(&q->lock);
	return r == ERR_NOTFOUND ? 0 : r;
}

int
quota_book(struct quota *q, const struct quota_sent *s,
    const struct quota_rule *rule, int64_t now_s, struct quota_over *ret)
{
	struct quota_hold *h;
	struct quota_user *u;
	int r = 0;

	*ret = (struct quota_over){ .which = QUOTA__COUNT };
	pthread_mutex_lock(&q->lock);
	h = s->hold == 0 ? NULL : *quota_hold_at(q, s->hold);
	if (h != NULL && h->owner == s->owner &&
	    strcmp(h->user->name, s->user) == 0) {
		u = h->user;
		quota_hold_end(q, h);
		quota_window_trim(&u->window, now_s);
	} else {
		r = quota_try(q, s->user, rule, s->recipients, now_s, &u, ret);
	}
	if (r == 0 && (r = quota_window_add(&u->window, now_s, 1,
	    s->recipients, s->octets)) == 0)
		quota_changed(q, u);
	pthread_mutex_unlock(&q->lock);
	return r == ERR_NOTFOUND ? 0 : r;
}

void
quota_take_back(struct quota *q, const char *user, uint32_t recipients,
    uint64_t octets, int64_t now_s)
{
	struct quota_user *u;

	pthread_mutex_lock(&q->lock);
	if (quota_find(q, user, now_s, &u) == 0) {
		quota_window_take_back(&u->window, 1, recipients, octets);
		quota_changed(q, u);
	}
	pthread_mutex_unlock(&q->lock);
}

void
quota_release(struct quota *q, uint32_t hold, const void *owner)
{
	struct quota_hold *h;

	pthread_mutex_lock(&q->lock);
	h = *quota_hold_at(q, hold);
	if (h != NULL && h->owner == owner)
		quota_hold_end(q, h);
	pthread_mutex_unlock(&q->lock);
}

void
quota_release_all(struct quota *q, const void *owner)
{
	struct quota_hold *h, *next;

	pthread_mutex_lock(&q->lock);
	for (h = TAILQ_FIRST(&q->by_age); h != NULL; h = next) {
		next = TAILQ_NEXT(h, link);
		if (h->owner == owner)
			quota_hold_end(q, h);
	}
	pthread_mutex_unlock(&q->lock);
}

void
quota_tick(struct quota *q, int64_t now_s)
{
	struct quota_hold *h;

	pthread_mutex_lock(&q->lock);
	while ((h = TAILQ_FIRST(&q->by_age)) != NULL) {
		if (h->since_s > now_s)
			h->since_s = now_s;	/* the clock was set back */
		if (now_s - h->since_s < QUOTA_HOLD_S)
			break;
		quota_hold_end(q, h);
	}
	pthread_mutex_unlock(&q->lock);
}

/* ---------------------------------------------------------- administrator -- */

int
quota_show(struct quota *q, const char *user, const struct quota_rule *rule,
    int64_t now_s, struct quota_use ret[QUOTA__COUNT], uint64_t *ret_octets)
{
	struct quota_user *u;
	int r;

	pthread_mutex_lock(&q->lock);
	r = quota_find(q, user, now_s, &u);
	for (enum quota_which i = 0; r == 0 && i < QUOTA__COUNT; i++) {
		ret[i].used = quota_used(u, i, now_s);
		ret[i].eases_s = rule->max[i] > 0 &&
		    ret[i].used >= rule->max[i] ?
		    quota_eases(u, i, rule->max[i], 1, now_s) : 0;
	}
	*ret_octets = r == 0 ? quota_window_octets(&u->window) : 0;
	pthread_mutex_unlock(&q->lock);
	return r;
}

int
quota_forget(struct quota *q, const char *user, struct err *reterr)
{
	struct quotadb_use none = { .n = 0 };
	struct quota_user *u;
	int r;

	if (strlen(user) >= sizeof(none.user))
		return 0;
	memcpy(none.user, user, strlen(user) + 1);
	pthread_mutex_lock(&q->writing);
	pthread_mutex_lock(&q->lock);
	for (u = *quota_bucket(q, user); u != NULL; u = u->same) {
		if (strcmp(u->name, user) == 0) {
			u->window.n = 0;
			quota_changed(q, u);
		}
	}
	pthread_mutex_unlock(&q->lock);
	r = quotadb_put(q->db, &none, 1, reterr);
	pthread_mutex_unlock(&q->writing);
	return r;
}

/* ---------------------------------------------------------------- writing -- */

struct quota_batch {
	struct quotadb_use	 use[QUOTA_BATCH];
	uint64_t		 serial[QUOTA_BATCH];
	size_t			 n;
};

/* Copies the longest changed; they stay until they are written. */
static void
quota_batch_take(struct quota *q, struct quota_batch *b, size_t max,
    int64_t now_s)
{
	struct quota_user *u;

	b->n = 0;
	pthread_mutex_lock(&q->lock);
	TAILQ_FOREACH(u, &q->dirty, link) {
		if (b->n >= max || b->n >= QUOTA_BATCH)
			break;
		quota_window_trim(&u->window, now_s);
		memcpy(b->use[b->n].user, u->name, strlen(u->name) + 1);
		quota_window_save(&u->window, &b->use[b->n]);
		b->serial[b->n++] = u->serial;
	}
	pthread_mutex_unlock(&q->lock);
}

/* What changed meanwhile goes to the end of the line. */
static void
quota_batch_drop(struct quota *q, const struct quota_batch *b)
{
	struct quota_user *u;

	pthread_mutex_lock(&q->lock);
	for (size_t i = 0; i < b->n; i++) {
		for (u = *quota_bucket(q, b->use[i].user); u != NULL;
		    u = u->same)
			if (strcmp(u->name, b->use[i].user) == 0 && u->dirty)
				quota_set_dirty(q, u,
				    u->serial != b->serial[i]);
	}
	pthread_mutex_unlock(&q->lock);
}

int
quota_write(struct quota *q, int64_t now_s, struct err *reterr)
{
	struct quota_batch *b = malloc(sizeof(*b));
	size_t left;
	int r = 0;

	if (b == NULL)
		return err_set(reterr, ERR_NOMEM, "what was sent: no memory");
	pthread_mutex_lock(&q->writing);
	pthread_mutex_lock(&q->lock);
	left = q->n_dirty;
	pthread_mutex_unlock(&q->lock);
	for (; left > 0 && r == 0; left -= b->n) {
		quota_batch_take(q, b, left, now_s);
		if (b->n == 0)
			break;
		if ((r = quotadb_put(q->db, b->use, b->n, reterr)) == 0)
			quota_batch_drop(q, b);
	}
	pthread_mutex_unlock(&q->writing);
	free(b);
	return r;
}
