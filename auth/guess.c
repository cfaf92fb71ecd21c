/*
 * guess.c - failed logins by network, by what is around it, and by (network,
 * user).
 *
 * Runs in authd-core, on the loop; the administrator's verbs and the upkeep
 * thread look in too, so there is a lock. The tables are set-associative: a new
 * entry takes the place of the one with the least to tell in its set, so that
 * no flood of addresses makes them grow, or a walk through them long. Networks
 * and pairs have a table each, so that names made up do not push out networks.
 * A password is never kept, only a keyed hash of a wrong one, in memory alone.
 */
#include "auth/guess.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "lib/siphash.h"
#include "lib/str.h"

#define GUESS_SETS	2048u		/* powers of two */
#define GUESS_WAYS	8u
#define GUESS_SLOTS	(GUESS_SETS * GUESS_WAYS)
#define GUESS_SAME_SETS	4096u
#define GUESS_SAME_WAYS	4u
#define GUESS_BATCH	64u		/* written in a transaction */
#define GUESS_UNIT	1000u		/* one failure, in entry.level */
#define GUESS_SHARE	4u		/* one network is at most this part of
					 * what its neighbours may fail */
#define GUESS_MEMORY_S	86400		/* of how often it was blocked */

struct guess_entry {
	uint8_t		 ip[16];	/* masked */
	uint8_t		 bits;
	bool		 used;
	bool		 dirty;		/* not written since it changed */
	bool		 written;	/* there is something to remove */
	uint8_t		 strikes;	/* blocks in a row */
	char		*user;		/* of a pair; NULL: a network's */
	uint64_t	 level;		/* leaks */
	int64_t		 at_s;		/* when level was right */
	uint64_t	 spread;	/* a bit for each network within it */
	uint32_t	 count;		/* failures since it was quiet */
	uint32_t	 refused;
	int64_t		 since_s;	/* the block */
	int64_t		 until_s;
	int64_t		 checked_s;	/* last check of a pair over its limit */
};

struct guess_rule {
	uint32_t	limit;
	int64_t		window_s;
};

enum guess_width { GUESS_W_NET, GUESS_W_NEAR, GUESS_W_WIDE, GUESS_W__COUNT };

static const struct guess_rule guess_pair_rule = {
	GUESS_PAIR_LIMIT, GUESS_PAIR_S,
};
static const struct {
	struct guess_rule	rule;
	uint8_t			bits4, bits6;	/* of 128 */
} guess_widths[GUESS_W__COUNT] = {
	[GUESS_W_NET] = { { GUESS_NET_LIMIT, GUESS_NET_S }, 128, 64 },
	[GUESS_W_NEAR] = { { GUESS_NEAR_LIMIT, GUESS_NEAR_S }, 124, 56 },
	[GUESS_W_WIDE] = { { GUESS_WIDE_LIMIT, GUESS_WIDE_S }, 120, 48 },
};

struct guess_same {
	uint8_t	mac[16];
	int64_t	until_s;
};

struct guess {
	pthread_mutex_t		lock;		/* of what is below */
	pthread_mutex_t		writing;	/* by one thread at a time, or
						 * what is older would stay */
	uint8_t			key[SIPHASH_KEY];
	uint8_t			secret[32];	/* of wrong passwords */
	size_t			n_dirty;
	size_t			save_at;
	struct guess_entry	nets[GUESS_SETS][GUESS_WAYS];
	struct guess_entry	pairs[GUESS_SETS][GUESS_WAYS];
	struct guess_same	same[GUESS_SAME_SETS][GUESS_SAME_WAYS];
};

struct guess *
guess_new(const uint8_t key[32])
{
	struct guess *g = calloc(1, sizeof(*g));

	if (g == NULL || RAND_bytes(g->key, sizeof(g->key)) != 1) {
		free(g);
		return NULL;
	}
	memcpy(g->secret, key, sizeof(g->secret));
	pthread_mutex_init(&g->lock, NULL);
	pthread_mutex_init(&g->writing, NULL);
	return g;
}

/* Networks first, then pairs: what a slot's number means. */
static struct guess_entry *
guess_slot(struct guess *g, size_t slot)
{
	return slot < GUESS_SLOTS ? &g->nets[0][0] + slot :
	    &g->pairs[0][0] + (slot - GUESS_SLOTS);
}

void
guess_free(struct guess *g)
{
	if (g == NULL)
		return;
	for (size_t i = 0; i < 2 * GUESS_SLOTS; i++)
		free(guess_slot(g, i)->user);
	pthread_mutex_destroy(&g->lock);
	pthread_mutex_destroy(&g->writing);
	explicit_bzero(g->secret, sizeof(g->secret));
	free(g);
}

/* Entries */

static void
guess_touch(struct guess *g, struct guess_entry *e)
{
	g->n_dirty += !e->dirty;
	e->dirty = true;
}

static const struct guess_rule *
guess_rule_of(const struct guess_entry *e)
{
	struct addr a = { 0 };

	if (e->user != NULL)
		return &guess_pair_rule;
	memcpy(a.ip, e->ip, sizeof(a.ip));
	for (unsigned int w = 0; w < GUESS_W__COUNT; w++)
		if (e->bits == (addr_is_v4(&a) ? guess_widths[w].bits4 :
		    guess_widths[w].bits6))
			return &guess_widths[w].rule;
	return &guess_widths[GUESS_W_WIDE].rule;
}

/* How long the block is that it has, or had last. */
static int64_t
guess_block_s(const struct guess_entry *e)
{
	int64_t s = GUESS_BLOCK_S;

	for (unsigned int i = 1; i < e->strikes && s < GUESS_BLOCK_MAX_S; i++)
		s *= 2;
	return s > GUESS_BLOCK_MAX_S ? GUESS_BLOCK_MAX_S : s;
}

static void
guess_leak(struct guess_entry *e, int64_t now_s)
{
	const struct guess_rule *r = guess_rule_of(e);
	int64_t gone = now_s - e->at_s;
	uint64_t leaked;

	e->at_s = now_s;
	/* A clock set back must not make a block last for days … */
	if (e->until_s > now_s + guess_block_s(e))
		e->until_s = now_s + guess_block_s(e);
	if (e->since_s > now_s)
		e->since_s = now_s;
	if (e->checked_s > now_s)
		e->checked_s = now_s;
	if (gone <= 0)
		return;		/* … and forgives nothing */
	if (gone > r->window_s)
		gone = r->window_s;
	leaked = (uint64_t)gone * r->limit * GUESS_UNIT /
	    (uint64_t)r->window_s;
	e->level = leaked > e->level ? 0 : e->level - leaked;
	if (e->level == 0 && e->until_s <= now_s) {
		e->count = 0;
		e->spread = 0;
	}
	if (e->strikes > 0 && now_s - e->until_s > GUESS_MEMORY_S)
		e->strikes = 0;
}

static void
guess_mask(const struct addr *a, uint8_t bits, uint8_t ret[16])
{
	memcpy(ret, a->ip, 16);
	addr_mask(ret, bits);
}

static uint8_t
guess_bits(const struct addr *a, unsigned int width)
{
	return addr_is_v4(a) ? guess_widths[width].bits4 :
	    guess_widths[width].bits6;
}

static struct guess_entry *
guess_set(struct guess *g, const uint8_t ip[16], uint8_t bits,
    const char *user)
{
	uint8_t in[17 + MAILBOX_SIZE];
	size_t len = user != NULL ? strnlen(user, MAILBOX_SIZE - 1) : 0;
	uint64_t h;

	memcpy(in, ip, 16);
	in[16] = bits;
	if (len > 0)
		memcpy(in + 17, user, len);
	h = siphash(g->key, in, 17 + len) % GUESS_SETS;
	return user != NULL ? g->pairs[h] : g->nets[h];
}

static struct guess_entry *
guess_find_in(struct guess_entry *set, const uint8_t ip[16], uint8_t bits,
    const char *user, int64_t now_s)
{
	for (unsigned int i = 0; i < GUESS_WAYS; i++) {
		struct guess_entry *e = &set[i];

		if (e->used && e->bits == bits && memcmp(e->ip, ip, 16) == 0 &&
		    (user == NULL || strcmp(e->user, user) == 0)) {
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
	if (e->until_s > now_s)
		return UINT64_MAX / 2 + (uint64_t)(e->until_s - now_s);
	return 1 + e->level + (uint64_t)e->strikes * GUESS_UNIT;
}

static void
guess_empty(struct guess *g, struct guess_entry *e)
{
	bool dirty = e->dirty, written = e->written;

	free(e->user);
	*e = (struct guess_entry){ .dirty = dirty, .written = written };
	if (written)
		guess_touch(g, e);
}

static struct guess_entry *
guess_find(struct guess *g, const struct addr *a, unsigned int width,
    const char *user, int64_t now_s)
{
	uint8_t ip[16], bits = guess_bits(a, width);

	guess_mask(a, bits, ip);
	return guess_find_in(guess_set(g, ip, bits, user), ip, bits, user,
	    now_s);
}

/* Never NULL for a network; for a pair NULL is no memory. */
static struct guess_entry *
guess_take_ip(struct guess *g, const uint8_t ip[16], uint8_t bits,
    const char *user, int64_t now_s)
{
	struct guess_entry *set = guess_set(g, ip, bits, user);
	struct guess_entry *e = guess_find_in(set, ip, bits, user, now_s);
	char *name = NULL;

	if (e != NULL)
		return e;
	if (user != NULL && (name = strndup(user, MAILBOX_SIZE - 1)) == NULL)
		return NULL;
	e = &set[0];
	for (unsigned int i = 1; i < GUESS_WAYS; i++)
		if (guess_worth(&set[i], now_s) < guess_worth(e, now_s))
			e = &set[i];
	guess_empty(g, e);
	memcpy(e->ip, ip, sizeof(e->ip));
	e->bits = bits;
	e->user = name;
	e->used = true;
	e->at_s = now_s;
	return e;
}

static struct guess_entry *
guess_take(struct guess *g, const struct addr *a, unsigned int width,
    const char *user, int64_t now_s)
{
	uint8_t ip[16], bits = guess_bits(a, width);

	guess_mask(a, bits, ip);
	return guess_take_ip(g, ip, bits, user, now_s);
}

/* NULL also where no user was named. */
static struct guess_entry *
guess_pair(struct guess *g, const struct guess_who *w, int64_t now_s)
{
	return w->user[0] == '\0' ? NULL :
	    guess_find(g, &w->addr, GUESS_W_NET, w->user, now_s);
}

/* Blocks */

static bool
guess_is_shut(const struct guess_entry *e, int64_t now_s)
{
	return e != NULL && e->until_s > now_s;
}

static enum guess_why
guess_refuse(struct guess *g, struct guess_entry *e, enum guess_why why)
{
	if (e->refused < UINT32_MAX)
		e->refused++;
	guess_touch(g, e);
	return why;
}

static enum guess_why
guess_blocked_net(struct guess *g, const struct addr *a, int64_t now_s)
{
	for (unsigned int w = 0; w < GUESS_W__COUNT; w++) {
		struct guess_entry *e = guess_find(g, a, w, NULL, now_s);

		if (guess_is_shut(e, now_s))
			return guess_refuse(g, e, w == GUESS_W_NET ?
			    GUESS_NETWORK : GUESS_NEIGHBOURS);
	}
	return GUESS_OPEN;
}

/* Of a known pair over its limit one attempt in a while is checked, so that
 * its owner never is without a chance. */
static bool
guess_has_slot(struct guess_entry *pair, int64_t now_s)
{
	if (now_s - pair->checked_s < GUESS_SLOT_S)
		return false;
	pair->checked_s = now_s;
	return true;
}

enum guess_why
guess_blocked(struct guess *g, const struct guess_who *w, int64_t now_s)
{
	enum guess_why why = GUESS_OPEN;
	struct guess_entry *pair;

	if (w->exempt)
		return GUESS_OPEN;
	pthread_mutex_lock(&g->lock);
	pair = guess_pair(g, w, now_s);
	if (guess_is_shut(pair, now_s) &&
	    !(w->known && guess_has_slot(pair, now_s)))
		why = guess_refuse(g, pair, GUESS_USER);
	else if (!w->known)
		why = guess_blocked_net(g, &w->addr, now_s);
	pthread_mutex_unlock(&g->lock);
	return why;
}

static void
guess_describe(const struct guess_entry *e, struct guess_block *ret)
{
	const struct guess_rule *r = guess_rule_of(e);

	*ret = (struct guess_block){
		.why = e->user != NULL ? GUESS_USER :
		    r == &guess_widths[GUESS_W_NET].rule ? GUESS_NETWORK :
		    GUESS_NEIGHBOURS,
		.net.bits = e->bits, .count = e->count, .refused = e->refused,
		.since_s = e->since_s, .until_s = e->until_s,
	};
	memcpy(ret->net.ip, e->ip, sizeof(ret->net.ip));
	if (e->user != NULL)
		(void)str_copy(ret->user, sizeof(ret->user), e->user);
}

/* Adds a failure. Over the limit the entry is blocked, and starts from the half
 * when that is over. True: that block begins. */
static bool
guess_add(struct guess *g, struct guess_entry *e, int64_t now_s,
    struct guess_block *ret_block)
{
	const struct guess_rule *r = guess_rule_of(e);
	bool near = e->user == NULL && r != &guess_widths[GUESS_W_NET].rule;

	guess_touch(g, e);
	if (e->count < UINT32_MAX)
		e->count++;
	if (guess_is_shut(e, now_s))
		return false;	/* what was under way when it began */
	e->level += GUESS_UNIT;
	if (e->level <= (uint64_t)r->limit * GUESS_UNIT ||
	    (near && (unsigned int)__builtin_popcountll(e->spread) <
	    GUESS_SPREAD))
		return false;
	if (e->strikes < UINT8_MAX)
		e->strikes++;
	e->since_s = now_s;
	e->until_s = now_s + guess_block_s(e);
	e->refused = 0;
	e->checked_s = now_s;
	e->level = (uint64_t)r->limit * GUESS_UNIT / 2 +
	    (uint64_t)guess_block_s(e) * r->limit * GUESS_UNIT /
	    (uint64_t)r->window_s;
	guess_describe(e, ret_block);
	return true;
}

/* Failures of the network, and of those around it: there each one has its
 * share, so that it takes several to fill them. */
static bool
guess_add_nets(struct guess *g, const struct addr *a, int64_t now_s,
    struct guess_block *ret_block)
{
	struct guess_entry *in = guess_take(g, a, GUESS_W_NET, NULL, now_s);
	bool begins = guess_add(g, in, now_s, ret_block);

	for (unsigned int w = GUESS_W_NEAR; w < GUESS_W__COUNT; w++) {
		const struct guess_rule *r = &guess_widths[w].rule;
		struct guess_entry *e;

		if (in->level > (uint64_t)r->limit * GUESS_UNIT / GUESS_SHARE)
			break;
		e = guess_take(g, a, w, NULL, now_s);
		e->spread |= UINT64_C(1) <<
		    (siphash(g->key, in->ip, sizeof(in->ip)) & 63);
		if (guess_add(g, e, now_s, ret_block))
			begins = true;
		in = e;
	}
	return begins;
}

/* The same wrong password again */

static bool
guess_same_mac(struct guess *g, const struct guess_who *w,
    const char *password, uint8_t ret[16])
{
	uint8_t in[16 + MAILBOX_SIZE], mac[EVP_MAX_MD_SIZE], inner[32];
	uint8_t ip[16];
	unsigned int n = 0;
	size_t len = strnlen(w->user, MAILBOX_SIZE - 1);

	guess_mask(&w->addr, guess_bits(&w->addr, GUESS_W_NET), ip);
	memset(in, 0, sizeof(in));
	memcpy(in, ip, sizeof(ip));
	memcpy(in + 16, w->user, len);
	if (HMAC(EVP_sha256(), g->secret, sizeof(g->secret), in, sizeof(in),
	    mac, &n) == NULL)
		return false;
	memcpy(inner, mac, sizeof(inner));
	if (HMAC(EVP_sha256(), inner, sizeof(inner),
	    (const unsigned char *)password, strlen(password), mac,
	    &n) == NULL)
		return false;
	memcpy(ret, mac, 16);
	return true;
}

static bool
guess_is_same(struct guess *g, const struct guess_who *w,
    const char *password, int64_t now_s)
{
	struct guess_same *set, *e;
	uint8_t mac[16];

	if (password == NULL || !guess_same_mac(g, w, password, mac))
		return false;
	set = g->same[(mac[0] | (unsigned int)mac[1] << 8) % GUESS_SAME_SETS];
	e = &set[0];
	for (unsigned int i = 0; i < GUESS_SAME_WAYS; i++) {
		if (set[i].until_s > now_s + GUESS_SAME_S)
			set[i].until_s = now_s + GUESS_SAME_S;
		if (set[i].until_s > now_s &&
		    memcmp(set[i].mac, mac, sizeof(mac)) == 0)
			return true;
		if (set[i].until_s < e->until_s)
			e = &set[i];
	}
	memcpy(e->mac, mac, sizeof(mac));
	e->until_s = now_s + GUESS_SAME_S;
	return false;
}

/* What happened */

bool
guess_failed(struct guess *g, const struct guess_who *w,
    const char *password, int64_t now_s, struct guess_block *ret_block)
{
	struct guess_entry *pair;
	bool begins = false;

	if (w->exempt)
		return false;
	pthread_mutex_lock(&g->lock);
	if (!guess_is_same(g, w, password, now_s)) {
		begins = guess_add_nets(g, &w->addr, now_s, ret_block);
		pair = w->user[0] == '\0' ? NULL : guess_take(g, &w->addr,
		    GUESS_W_NET, w->user, now_s);
		if (pair != NULL && guess_add(g, pair, now_s, ret_block))
			begins = true;
	}
	pthread_mutex_unlock(&g->lock);
	return begins;
}

uint32_t
guess_delay_ms(struct guess *g, const struct guess_who *w, int64_t now_s)
{
	struct guess_entry *e;
	uint64_t level = 0;
	uint32_t ms = GUESS_BASE_MS;

	if (w->exempt)
		return ms;
	pthread_mutex_lock(&g->lock);
	e = guess_find(g, &w->addr, GUESS_W_NET, NULL, now_s);
	if (e != NULL)
		level = e->level;
	e = guess_pair(g, w, now_s);
	if (e != NULL && e->level > level)
		level = e->level;
	pthread_mutex_unlock(&g->lock);
	for (; level > GUESS_UNIT && ms < GUESS_MAX_MS; level -= GUESS_UNIT)
		ms *= 2;
	return ms > GUESS_MAX_MS ? GUESS_MAX_MS : ms;
}

int64_t
guess_reply_at(int64_t from_ms, int64_t now_ms, uint32_t delay_ms)
{
	int64_t gone = now_ms - from_ms;
	int64_t steps;

	if (gone <= (int64_t)delay_ms)
		return from_ms + (int64_t)delay_ms;
	steps = (gone + GUESS_BASE_MS - 1) / GUESS_BASE_MS;
	return from_ms + steps * (int64_t)GUESS_BASE_MS;
}

void
guess_succeeded(struct guess *g, const struct guess_who *w, int64_t now_s)
{
	struct guess_entry *pair;

	pthread_mutex_lock(&g->lock);
	pair = guess_pair(g, w, now_s);
	if (pair != NULL)
		guess_empty(g, pair);
	pthread_mutex_unlock(&g->lock);
}

unsigned int
guess_failures(struct guess *g, const struct addr *a, int64_t now_s)
{
	struct guess_entry *e;
	unsigned int n = 0;

	pthread_mutex_lock(&g->lock);
	e = guess_find(g, a, GUESS_W_NET, NULL, now_s);
	if (e != NULL)
		n = (unsigned int)((e->level + GUESS_UNIT - 1) / GUESS_UNIT);
	pthread_mutex_unlock(&g->lock);
	return n;
}

const char *
guess_why_name(enum guess_why why)
{
	static const char *const names[GUESS_WHY__COUNT] = {
		[GUESS_OPEN] = "open", [GUESS_USER] = "user",
		[GUESS_NETWORK] = "network",
		[GUESS_NEIGHBOURS] = "neighbours",
	};

	return names[why];
}

/* The administrator */

bool
guess_next(struct guess *g, size_t *pos, int64_t now_s,
    struct guess_block *ret)
{
	bool found = false;

	pthread_mutex_lock(&g->lock);
	while (!found && *pos < 2 * GUESS_SLOTS) {
		struct guess_entry *e = guess_slot(g, (*pos)++);

		if (!e->used)
			continue;
		guess_leak(e, now_s);
		if ((found = guess_is_shut(e, now_s)))
			guess_describe(e, ret);
	}
	pthread_mutex_unlock(&g->lock);
	return found;
}

bool
guess_nets_meet(const struct net *x, const struct net *y)
{
	uint8_t a[16], b[16], bits = x->bits < y->bits ? x->bits : y->bits;

	memcpy(a, x->ip, sizeof(a));
	memcpy(b, y->ip, sizeof(b));
	addr_mask(a, bits);
	addr_mask(b, bits);
	return memcmp(a, b, sizeof(a)) == 0;
}

static bool
guess_meets(const struct guess_entry *e, const struct net *net)
{
	struct net own = { .bits = e->bits };

	memcpy(own.ip, e->ip, sizeof(own.ip));
	return guess_nets_meet(&own, net);
}

size_t
guess_clear(struct guess *g, const struct net *net, const char *user,
    int64_t now_s)
{
	size_t n = 0;

	pthread_mutex_lock(&g->lock);
	for (size_t i = 0; i < 2 * GUESS_SLOTS; i++) {
		struct guess_entry *e = guess_slot(g, i);

		if (!e->used || (net != NULL && !guess_meets(e, net)) ||
		    (user != NULL && (e->user == NULL ||
		    strcmp(e->user, user) != 0)))
			continue;
		n += guess_is_shut(e, now_s);
		guess_empty(g, e);
	}
	pthread_mutex_unlock(&g->lock);
	return n;
}

/* What stays when the process ends */

static void
guess_to_saved(const struct guess_entry *e, uint32_t slot,
    struct placesdb_guess *v)
{
	*v = (struct placesdb_guess){
		.slot = slot, .used = e->used, .bits = e->bits,
		.strikes = e->strikes, .level = e->level, .at_s = e->at_s,
		.spread = e->spread, .count = e->count, .refused = e->refused,
		.since_s = e->since_s, .until_s = e->until_s,
	};
	memcpy(v->ip, e->ip, sizeof(v->ip));
	if (e->user != NULL)
		(void)str_copy(v->user, sizeof(v->user), e->user);
}

size_t
guess_save(struct guess *g, struct placesdb_guess *v, size_t max)
{
	size_t n = 0;

	pthread_mutex_lock(&g->lock);
	for (size_t seen = 0; n < max && g->n_dirty > 0 &&
	    seen < 2 * GUESS_SLOTS; seen++) {
		uint32_t slot = (uint32_t)g->save_at;
		struct guess_entry *e = guess_slot(g, slot);

		g->save_at = (g->save_at + 1) % (2 * GUESS_SLOTS);
		if (!e->dirty)
			continue;
		e->dirty = false;
		g->n_dirty--;
		if (!e->used && !e->written)
			continue;
		e->written = e->used;
		guess_to_saved(e, slot, &v[n++]);
	}
	pthread_mutex_unlock(&g->lock);
	return n;
}

void
guess_save_again(struct guess *g, const struct placesdb_guess *v, size_t n)
{
	pthread_mutex_lock(&g->lock);
	for (size_t i = 0; i < n; i++) {
		struct guess_entry *e = guess_slot(g, v[i].slot);

		e->written = true;
		guess_touch(g, e);
	}
	pthread_mutex_unlock(&g->lock);
}

int
guess_write(struct guess *g, struct placesdb *places, struct err *reterr)
{
	struct placesdb_guess v[GUESS_BATCH];
	size_t n;
	int r = 0;

	pthread_mutex_lock(&g->writing);
	while (r == 0 && (n = guess_save(g, v, GUESS_BATCH)) > 0)
		if ((r = placesdb_guess_put(places, v, n, reterr)) != 0)
			guess_save_again(g, v, n);
	pthread_mutex_unlock(&g->writing);
	return r;
}

/* Its slot is another one by now, for the hash has another key: both are
 * written anew. */
void
guess_load(struct guess *g, const struct placesdb_guess *v, int64_t now_s)
{
	const char *user = v->user[0] != '\0' ? v->user : NULL;
	struct guess_entry *e;

	if (v->slot >= 2 * GUESS_SLOTS || v->bits > 128)
		return;
	pthread_mutex_lock(&g->lock);
	guess_slot(g, v->slot)->written = true;
	guess_touch(g, guess_slot(g, v->slot));
	e = guess_take_ip(g, v->ip, v->bits, user, now_s);
	if (e != NULL) {
		e->strikes = v->strikes;
		e->level = v->level;
		e->at_s = v->at_s;
		e->spread = v->spread;
		e->count = v->count;
		e->refused = v->refused;
		e->since_s = v->since_s;
		e->until_s = v->until_s;
		guess_leak(e, now_s);
		guess_touch(g, e);
	}
	pthread_mutex_unlock(&g->lock);
}
