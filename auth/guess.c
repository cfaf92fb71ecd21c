/*
 * guess.c - failed logins by network and by (network, user).
 *
 * Runs in authd-core, on the loop. The tables are set-associative: a new entry
 * takes the place of the one with the least to tell in its set, so that no
 * flood of addresses makes them grow, or a walk through them long.
 */
#include "auth/guess.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#define GUESS_SETS	4096u		/* a power of two */
#define GUESS_WAYS	4u
#define GUESS_UNIT	1000u		/* one failure, in entry.level */
#define GUESS_GOOD_S	(30 * 86400)	/* a known place stays known */

struct guess_entry {
	uint8_t		key[16];	/* keyed hash of network and user */
	uint64_t	level;		/* leaks GUESS_LIMIT a window */
	int64_t		at_s;		/* when level was right */
	int64_t		blocked_s;	/* until then */
	int64_t		good_s;		/* last success; 0: never */
	unsigned int	running;	/* checks under way */
	bool		used;
};

struct guess_table {
	struct guess_entry e[GUESS_SETS][GUESS_WAYS];
};

struct guess {
	uint8_t			secret[32];
	struct guess_table	nets;
	struct guess_table	pairs;
};

struct guess *
guess_new(void)
{
	struct guess *g = calloc(1, sizeof(*g));

	if (g != NULL && RAND_bytes(g->secret, sizeof(g->secret)) != 1) {
		free(g);
		return NULL;
	}
	return g;
}

void
guess_free(struct guess *g)
{
	free(g);
}

/* Keyed, so that nobody can choose who shares a set with whom. */
static void
guess_key(const struct guess *g, const struct addr *a, const char *user,
    uint8_t ret[16])
{
	uint8_t in[16 + 256] = { 0 }, mac[EVP_MAX_MD_SIZE];
	size_t len = strnlen(user, 255);
	unsigned int n = 0;

	memcpy(in, a->ip, 16);
	if (!addr_is_v4(a))
		addr_mask(in, 64);
	memcpy(in + 16, user, len);
	if (HMAC(EVP_sha256(), g->secret, sizeof(g->secret), in, 16 + len, mac,
	    &n) == NULL)
		memset(mac, 0, sizeof(mac));
	memcpy(ret, mac, 16);
}

static void
guess_leak(struct guess_entry *e, int64_t now_s)
{
	int64_t gone = now_s - e->at_s;
	uint64_t leaked;

	e->at_s = now_s;
	if (gone <= 0)
		return;		/* a clock that runs back forgives nothing */
	if (gone > GUESS_WINDOW_S)
		gone = GUESS_WINDOW_S;
	leaked = (uint64_t)gone * GUESS_LIMIT * GUESS_UNIT / GUESS_WINDOW_S;
	e->level = leaked > e->level ? 0 : e->level - leaked;
}

static struct guess_entry *
guess_find(struct guess_table *t, const uint8_t key[16], int64_t now_s)
{
	unsigned int set = (key[0] | (unsigned int)key[1] << 8) % GUESS_SETS;

	for (unsigned int i = 0; i < GUESS_WAYS; i++) {
		struct guess_entry *e = &t->e[set][i];

		if (e->used && memcmp(e->key, key, sizeof(e->key)) == 0) {
			guess_leak(e, now_s);
			return e;
		}
	}
	return NULL;
}

/* How much would be lost with this entry. */
static uint64_t
guess_worth(const struct guess_entry *e, int64_t now_s)
{
	if (!e->used)
		return 0;
	if (e->blocked_s > now_s || e->running > 0)
		return UINT64_MAX;
	return 1 + e->level +
	    (e->good_s + GUESS_GOOD_S > now_s ? 2 * GUESS_UNIT : 0);
}

static struct guess_entry *
guess_take(struct guess_table *t, const uint8_t key[16], int64_t now_s)
{
	unsigned int set = (key[0] | (unsigned int)key[1] << 8) % GUESS_SETS;
	struct guess_entry *e = guess_find(t, key, now_s);

	if (e != NULL)
		return e;
	e = &t->e[set][0];
	for (unsigned int i = 1; i < GUESS_WAYS; i++)
		if (guess_worth(&t->e[set][i], now_s) < guess_worth(e, now_s))
			e = &t->e[set][i];
	*e = (struct guess_entry){ .used = true, .at_s = now_s };
	memcpy(e->key, key, sizeof(e->key));
	return e;
}

static bool
guess_entry_blocked(struct guess_entry *e, int64_t now_s)
{
	/* A clock set back must not make a block last for days. */
	if (e->blocked_s > now_s + GUESS_BLOCK_S)
		e->blocked_s = now_s + GUESS_BLOCK_S;
	return e->blocked_s > now_s;
}

bool
guess_is_blocked(struct guess *g, const struct addr *a, const char *user,
    int64_t now_s)
{
	struct guess_entry *net, *pair;
	uint8_t key[16];

	guess_key(g, a, user, key);
	pair = guess_find(&g->pairs, key, now_s);
	if (pair != NULL && guess_entry_blocked(pair, now_s))
		return true;
	if (pair != NULL && pair->good_s != 0 &&
	    pair->good_s + GUESS_GOOD_S > now_s)
		return false;
	guess_key(g, a, "", key);
	net = guess_find(&g->nets, key, now_s);
	return net != NULL && guess_entry_blocked(net, now_s);
}

bool
guess_begin(struct guess *g, const struct addr *a, int64_t now_s)
{
	struct guess_entry *net;
	uint8_t key[16];

	guess_key(g, a, "", key);
	net = guess_take(&g->nets, key, now_s);
	if (net->running >= GUESS_RUNNING)
		return false;
	net->running++;
	return true;
}

void
guess_end(struct guess *g, const struct addr *a, int64_t now_s)
{
	struct guess_entry *net;
	uint8_t key[16];

	guess_key(g, a, "", key);
	net = guess_find(&g->nets, key, now_s);
	if (net != NULL && net->running > 0)
		net->running--;		/* else its place was taken */
}

/* Adds a failure; once over the limit the entry is blocked, and starts from
 * the half when that is over. */
static uint64_t
guess_add(struct guess_entry *e, int64_t now_s)
{
	if (!guess_entry_blocked(e, now_s)) {
		e->level += GUESS_UNIT;
		if (e->level > GUESS_LIMIT * GUESS_UNIT) {
			e->blocked_s = now_s + GUESS_BLOCK_S;
			e->level = GUESS_LIMIT * GUESS_UNIT / 2 +
			    GUESS_BLOCK_S * GUESS_LIMIT * GUESS_UNIT /
			    GUESS_WINDOW_S;
		}
	}
	return e->level;
}

uint32_t
guess_failed(struct guess *g, const struct addr *a, const char *user,
    int64_t now_s)
{
	uint8_t key[16];
	uint64_t level, other;
	uint32_t ms = GUESS_BASE_MS;

	guess_key(g, a, "", key);
	level = guess_add(guess_take(&g->nets, key, now_s), now_s);
	guess_key(g, a, user, key);
	other = guess_add(guess_take(&g->pairs, key, now_s), now_s);
	if (other > level)
		level = other;
	for (; level > GUESS_UNIT && ms < GUESS_MAX_MS; level -= GUESS_UNIT)
		ms *= 2;
	return ms > GUESS_MAX_MS ? GUESS_MAX_MS : ms;
}

void
guess_succeeded(struct guess *g, const struct addr *a, const char *user,
    int64_t now_s)
{
	struct guess_entry *pair;
	uint8_t key[16];

	guess_key(g, a, user, key);
	pair = guess_take(&g->pairs, key, now_s);
	pair->level = 0;
	pair->blocked_s = 0;
	pair->good_s = now_s;
}
