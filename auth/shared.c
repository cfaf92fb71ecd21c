/*
 * shared.c - see shared.h. Runs on the loop of authd-core; shared_write() on its
 * upkeep thread. It must never keep a password, nor say of one address what
 * happened at another.
 */
#include "config.h"

#include "auth/shared.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "lib/mailbox.h"
#include "lib/siphash.h"
#include "lib/str.h"

#define SHARED_SETS	1024u		/* a power of two */
#define SHARED_WAYS	4u
#define SHARED_PLACES	(SHARED_SETS * SHARED_WAYS)
#define SHARED_MARKS	16u
#define SHARED_BATCH	64u		/* written in a transaction */
#define SHARED_SLASH64	64u		/* of IPv6, as guess.h counts */

struct shared_mark {
	uint64_t	user;
	uint64_t	what;		/* user and password */
	int64_t		at_s;		/* 0: empty */
};

struct shared_place {
	uint8_t			 ip[16];
	int64_t			 at_s;		/* the last failure; 0: empty */
	struct shared_mark	 marks[SHARED_MARKS];
	/* What the last process had found: without the marks. */
	unsigned int		 kept_users;
	int64_t			 kept_s;	/* the last failure */
};

struct shared {
	pthread_mutex_t		 lock;
	bool			 touched[SHARED_PLACES];
	bool			 written[SHARED_PLACES];
	uint8_t			 key[SIPHASH_KEY];
	struct shared_place	 places[SHARED_PLACES];	/* set by set */
};

struct shared *
shared_new(void)
{
	struct shared *s = calloc(1, sizeof(*s));

	if (s != NULL && RAND_bytes(s->key, sizeof(s->key)) != 1) {
		free(s);
		return NULL;
	}
	if (s != NULL)
		pthread_mutex_init(&s->lock, NULL);
	return s;
}

void
shared_free(struct shared *s)
{
	if (s == NULL)
		return;
	pthread_mutex_destroy(&s->lock);
	explicit_bzero(s, sizeof(*s));
	free(s);
}

static bool
shared_is_fresh(int64_t at_s, int64_t now_s)
{
	return at_s != 0 && at_s <= now_s && now_s - at_s < SHARED_KEEP_S;
}

/* The place of the address; `make`: in that of the oldest of its set. */
static struct shared_place *
shared_find(struct shared *s, const struct addr *a, bool make)
{
	struct shared_place *set, *oldest;
	uint8_t ip[16];

	memcpy(ip, a->ip, sizeof(ip));
	if (!addr_is_v4(a))
		addr_mask(ip, SHARED_SLASH64);
	set = &s->places[SHARED_WAYS *
	    (siphash(s->key, ip, sizeof(ip)) & (SHARED_SETS - 1))];
	oldest = set;
	for (unsigned int i = 0; i < SHARED_WAYS; i++) {
		if (set[i].at_s != 0 &&
		    memcmp(set[i].ip, ip, sizeof(ip)) == 0)
			return &set[i];
		if (set[i].at_s < oldest->at_s)
			oldest = &set[i];
	}
	if (!make)
		return NULL;
	memset(oldest, 0, sizeof(*oldest));
	memcpy(oldest->ip, ip, sizeof(ip));
	s->touched[oldest - s->places] = true;
	return oldest;
}

/* A password longer than any is hashed up to there; it was wrong anyway. */
static uint64_t
shared_hash(const struct shared *s, const char *user, const char *password)
{
	char text[MAILBOX_SIZE + 256];
	size_t n = strnlen(user, MAILBOX_MAX), len;
	uint64_t hash;

	memcpy(text, user, n);
	text[n++] = '\0';
	len = password == NULL ? 0 : strnlen(password, sizeof(text) - n);
	if (len > 0)
		memcpy(text + n, password, len);
	hash = siphash(s->key, text, n + len);
	explicit_bzero(text, sizeof(text));
	return hash;
}

static void
shared_mark(struct shared *s, struct shared_place *p, uint64_t user,
    uint64_t what, int64_t now_s)
{
	struct shared_mark *m = p->marks;

	for (unsigned int i = 0; i < SHARED_MARKS; i++) {
		if (p->marks[i].at_s != 0 && p->marks[i].what == what) {
			m = &p->marks[i];
			break;
		}
		if (p->marks[i].at_s < m->at_s)
			m = &p->marks[i];
	}
	*m = (struct shared_mark){ .user = user, .what = what, .at_s = now_s };
	p->at_s = now_s;
	s->touched[p - s->places] = true;
}

void
shared_failed(struct shared *s, const struct addr *a, const char *user,
    const char *password, int64_t now_s)
{
	uint64_t what = shared_hash(s, user, password);
	uint64_t who = shared_hash(s, user, NULL);

	pthread_mutex_lock(&s->lock);
	shared_mark(s, shared_find(s, a, true), who, what, now_s);
	pthread_mutex_unlock(&s->lock);
}

void
shared_succeeded(struct shared *s, const struct addr *a, const char *user,
    int64_t now_s)
{
	uint64_t who = shared_hash(s, user, NULL);
	struct shared_place *p;

	pthread_mutex_lock(&s->lock);
	p = shared_find(s, a, false);
	if (p != NULL && shared_is_fresh(p->at_s, now_s)) {
		for (unsigned int i = 0; i < SHARED_MARKS; i++)
			if (p->marks[i].user == who)
				p->marks[i].at_s = 0;
		s->touched[p - s->places] = true;
	}
	pthread_mutex_unlock(&s->lock);
}

/* Was the user of the mark seen in one before it? */
static bool
shared_is_again(const struct shared_place *p, unsigned int at, int64_t now_s)
{
	for (unsigned int i = 0; i < at; i++)
		if (p->marks[i].user == p->marks[at].user &&
		    shared_is_fresh(p->marks[i].at_s, now_s))
			return true;
	return false;
}

static unsigned int
shared_count(const struct shared_place *p, int64_t now_s)
{
	unsigned int users = 0, failures = 0;

	for (unsigned int i = 0; i < SHARED_MARKS; i++) {
		if (!shared_is_fresh(p->marks[i].at_s, now_s))
			continue;
		failures++;
		users += !shared_is_again(p, i, now_s);
	}
	if (users < SHARED_USERS || failures < SHARED_FAILURES)
		users = 0;
	return shared_is_fresh(p->kept_s, now_s) && p->kept_users > users ?
	    p->kept_users : users;
}

unsigned int
shared_strangers(struct shared *s, const struct addr *a, int64_t now_s)
{
	const struct shared_place *p;
	unsigned int users;

	pthread_mutex_lock(&s->lock);
	p = shared_find(s, a, false);
	users = p == NULL ? 0 : shared_count(p, now_s);
	pthread_mutex_unlock(&s->lock);
	return users;
}

/* -------------------------------------------------------- over a restart -- */

/* The places that are to be written, at most `max` of them. */
static size_t
shared_save(struct shared *s, int64_t now_s, struct placesdb_guess *v,
    size_t max)
{
	const struct shared_place *p;
	unsigned int users;
	size_t n = 0;

	pthread_mutex_lock(&s->lock);
	for (unsigned int i = 0; i < SHARED_PLACES && n < max; i++) {
		if (!s->touched[i])
			continue;
		s->touched[i] = false;
		p = &s->places[i];
		users = shared_count(p, now_s);
		if (users == 0 && !s->written[i])
			continue;
		v[n] = (struct placesdb_guess){ .slot = SHARED_SLOT + i,
		    .used = users > 0, .bits = 128, .count = users,
		    .at_s = p->at_s };
		memcpy(v[n++].ip, p->ip, sizeof(p->ip));
		s->written[i] = users > 0;
	}
	pthread_mutex_unlock(&s->lock);
	return n;
}

static void
shared_save_again(struct shared *s, const struct placesdb_guess *v, size_t n)
{
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < n; i++)
		s->touched[v[i].slot - SHARED_SLOT] =
		    s->written[v[i].slot - SHARED_SLOT] = true;
	pthread_mutex_unlock(&s->lock);
}

int
shared_write(struct shared *s, struct placesdb *places, int64_t now_s,
    struct err *reterr)
{
	struct placesdb_guess v[SHARED_BATCH];
	size_t n;
	int r = 0;

	while (r == 0 && (n = shared_save(s, now_s, v, SHARED_BATCH)) > 0)
		if ((r = placesdb_guess_put(places, v, n, reterr)) != 0)
			shared_save_again(s, v, n);
	return r;
}

/* Its slot is another one by now, for the hash has another key: both are
 * written anew. */
void
shared_load(struct shared *s, const struct placesdb_guess *v, int64_t now_s)
{
	struct shared_place *p;
	struct addr a = { 0 };

	if (v->slot < SHARED_SLOT || v->slot - SHARED_SLOT >= SHARED_PLACES)
		return;
	memcpy(a.ip, v->ip, sizeof(a.ip));
	pthread_mutex_lock(&s->lock);
	s->written[v->slot - SHARED_SLOT] = true;
	s->touched[v->slot - SHARED_SLOT] = true;
	if (shared_is_fresh(v->at_s, now_s)) {
		p = shared_find(s, &a, true);
		p->at_s = p->kept_s = v->at_s;
		p->kept_users = v->count;
		s->touched[p - s->places] = true;
	}
	pthread_mutex_unlock(&s->lock);
}
