/*
 * shared.c - see shared.h. Runs on the loop of authd-core. It must never keep a
 * password, nor say of one address what happened at another.
 */
#include "config.h"

#include "auth/shared.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "lib/mailbox.h"
#include "lib/siphash.h"
#include "lib/str.h"

#define SHARED_SETS	1024u		/* a power of two */
#define SHARED_WAYS	4u
#define SHARED_MARKS	16u
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
};

struct shared {
	uint8_t			 key[SIPHASH_KEY];
	struct shared_place	 places[SHARED_SETS][SHARED_WAYS];
};

struct shared *
shared_new(void)
{
	struct shared *s = calloc(1, sizeof(*s));

	if (s != NULL && RAND_bytes(s->key, sizeof(s->key)) != 1) {
		free(s);
		return NULL;
	}
	return s;
}

void
shared_free(struct shared *s)
{
	if (s == NULL)
		return;
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
	set = s->places[siphash(s->key, ip, sizeof(ip)) & (SHARED_SETS - 1)];
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

void
shared_failed(struct shared *s, const struct addr *a, const char *user,
    const char *password, int64_t now_s)
{
	struct shared_place *p = shared_find(s, a, true);
	uint64_t what = shared_hash(s, user, password);
	struct shared_mark *m = p->marks;

	p->at_s = now_s;
	for (unsigned int i = 0; i < SHARED_MARKS; i++) {
		if (p->marks[i].at_s != 0 && p->marks[i].what == what) {
			m = &p->marks[i];
			break;
		}
		if (p->marks[i].at_s < m->at_s)
			m = &p->marks[i];
	}
	*m = (struct shared_mark){ .user = shared_hash(s, user, NULL),
	    .what = what, .at_s = now_s };
}

void
shared_succeeded(struct shared *s, const struct addr *a, const char *user,
    int64_t now_s)
{
	struct shared_place *p = shared_find(s, a, false);
	uint64_t who;

	if (p == NULL || !shared_is_fresh(p->at_s, now_s))
		return;
	who = shared_hash(s, user, NULL);
	for (unsigned int i = 0; i < SHARED_MARKS; i++)
		if (p->marks[i].user == who)
			p->marks[i].at_s = 0;
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

unsigned int
shared_strangers(struct shared *s, const struct addr *a, int64_t now_s)
{
	const struct shared_place *p = shared_find(s, a, false);
	unsigned int users = 0, failures = 0;

	if (p == NULL)
		return 0;
	for (unsigned int i = 0; i < SHARED_MARKS; i++) {
		if (!shared_is_fresh(p->marks[i].at_s, now_s))
			continue;
		failures++;
		users += !shared_is_again(p, i, now_s);
	}
	return users >= SHARED_USERS && failures >= SHARED_FAILURES ? users : 0;
}
