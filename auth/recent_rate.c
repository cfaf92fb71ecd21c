/*
 * recent_rate.c - see recent_rate.h. Pure but for its key.
 */
#include "config.h"
#include "auth/recent_rate.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "lib/siphash.h"

#define RATE_WAYS 4u		/* places that a network may have */

struct rate_slot {
	struct net	net;		/* bits 0: free */
	uint16_t	n[2];		/* plain, named */
	uint32_t	left;
	int64_t		since_s;
};

struct rate {
	rate_left_fn		*fn;
	void			*ctx;
	uint8_t			 key[SIPHASH_KEY];
	int64_t			 second_s;
	unsigned int		 in_second[2];	/* plain, named */
	unsigned int		 at;		/* rate_tick() goes on here */
	struct rate_slot	 slots[RATE_SLOTS];
};

void
rate_net(const struct addr *a, struct net *ret)
{
	memcpy(ret->ip, a->ip, sizeof(ret->ip));
	ret->bits = addr_is_v4(a) ? 120 : 48;
	addr_mask(ret->ip, ret->bits);
}

struct rate *
rate_new(rate_left_fn *fn, void *ctx)
{
	struct rate *r = calloc(1, sizeof(*r));

	if (r == NULL || RAND_bytes(r->key, sizeof(r->key)) != 1) {
		free(r);
		return NULL;
	}
	r->fn = fn;
	r->ctx = ctx;
	return r;
}

/* Few are not worth a record: the log has them. */
static void
rate_tell(struct rate *r, struct rate_slot *s)
{
	const struct rate_left left = { .net = s->net, .n = s->left,
	    .since_s = s->since_s };

	if (s->left >= RATE_PLAIN)
		r->fn(r->ctx, &left);
	s->left = 0;
}

/* A clock that was set back ends a window, too. */
static bool
rate_is_over(const struct rate_slot *s, int64_t now_s)
{
	return now_s - s->since_s >= RATE_WINDOW_S || now_s < s->since_s;
}

/* Its place, or the one that was begun longest ago among those it may have. */
static struct rate_slot *
rate_find(struct rate *r, const struct net *net)
{
	uint64_t h = siphash(r->key, net->ip, sizeof(net->ip));
	struct rate_slot *s = &r->slots[h % (RATE_SLOTS / RATE_WAYS) *
	    RATE_WAYS], *oldest = s;

	for (unsigned int i = 0; i < RATE_WAYS; i++, s++) {
		if (s->net.bits == net->bits &&
		    memcmp(s->net.ip, net->ip, sizeof(net->ip)) == 0)
			return s;
		if (s->net.bits == 0 ? oldest->net.bits != 0 :
		    oldest->net.bits != 0 && s->since_s < oldest->since_s)
			oldest = s;
	}
	rate_tell(r, oldest);
	memset(oldest, 0, sizeof(*oldest));
	oldest->net = *net;
	oldest->since_s = INT64_MIN / 2;
	return oldest;
}

bool
rate_take(struct rate *r, const struct addr *a, bool named, int64_t now_s)
{
	struct rate_slot *s;
	struct net net;

	rate_net(a, &net);
	s = rate_find(r, &net);
	if (rate_is_over(s, now_s)) {
		rate_tell(r, s);
		s->n[0] = s->n[1] = 0;
		s->since_s = now_s;
	}
	if (r->second_s != now_s) {
		r->second_s = now_s;
		memset(r->in_second, 0, sizeof(r->in_second));
	}
	if (s->n[named] >= (named ? RATE_NAMED : RATE_PLAIN) ||
	    r->in_second[0] + r->in_second[1] >= RATE_ALL ||
	    (!named && r->in_second[0] >= RATE_ALL / 2)) {
		s->left++;
		return false;
	}
	s->n[named]++;
	r->in_second[named]++;
	return true;
}

void
rate_tick(struct rate *r, int64_t now_s)
{
	for (unsigned int i = 0; i < RATE_SLOTS / 8; i++) {
		struct rate_slot *s = &r->slots[r->at++ % RATE_SLOTS];

		if (s->left > 0 && rate_is_over(s, now_s))
			rate_tell(r, s);
	}
}

void
rate_free(struct rate *r)
{
	if (r == NULL)
		return;
	for (unsigned int i = 0; i < RATE_SLOTS; i++)
		rate_tell(r, &r->slots[i]);
	free(r);
}
