/*
 * paths.c - see paths.h. Pure but for its key.
 */
#include "config.h"
#include "auth/paths.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "auth/authp.h"
#include "auth/recent_rate.h"
#include "lib/siphash.h"

#define PATHS_WAYS 4u

struct paths {
	uint8_t		key[SIPHASH_KEY];
	struct path	slots[PATHS_SLOTS];	/* net.bits 0: free */
};

struct paths *
paths_new(void)
{
	struct paths *p = calloc(1, sizeof(*p));

	if (p == NULL || RAND_bytes(p->key, sizeof(p->key)) != 1) {
		free(p);
		return NULL;
	}
	return p;
}

void
paths_free(struct paths *p)
{
	free(p);
}

/* A clock that was set back fades nothing. */
static void
paths_fade(struct path *s, int64_t now_s)
{
	if (now_s - s->since_s < PATHS_FADE_S)
		return;
	if (now_s - s->since_s >= 2 * PATHS_FADE_S) {
		s->masked = s->never = s->tls = 0;
	} else {
		s->masked /= 2;
		s->never /= 2;
		s->tls /= 2;
	}
	s->since_s = now_s;
}

/* Ten that get through for one that does not is no damage. */
static bool
paths_is_damaged(const struct path *s)
{
	return (s->masked > 0 && s->tls < 10 * s->masked) ||
	    (s->never >= PATHS_NEVER && s->tls * 10 <= s->never);
}

/* Its place, or that of a good path before a damaged, an old before a new. */
static struct path *
paths_find(struct paths *p, const struct net *net, int64_t now_s)
{
	uint64_t h = siphash(p->key, net->ip, sizeof(net->ip));
	struct path *s = &p->slots[h % (PATHS_SLOTS / PATHS_WAYS) *
	    PATHS_WAYS], *worst = s;

	for (unsigned int i = 0; i < PATHS_WAYS; i++, s++) {
		if (s->net.bits == net->bits &&
		    memcmp(s->net.ip, net->ip, sizeof(net->ip)) == 0)
			return s;
		if (worst->net.bits == 0)
			continue;
		if (s->net.bits == 0 ||
		    paths_is_damaged(s) < paths_is_damaged(worst) ||
		    (paths_is_damaged(s) == paths_is_damaged(worst) &&
		    s->since_s < worst->since_s))
			worst = s;
	}
	*worst = (struct path){ .net = *net, .since_s = now_s };
	return worst;
}

bool
paths_note(struct paths *p, const struct addr *a, uint32_t flags,
    int64_t now_s, struct path *ret)
{
	const uint32_t tried = AUTHP_PAST_AUTH_CLEAR | AUTHP_PAST_STARTTLS;
	struct path *s;
	struct net net;
	bool was;

	if (!(flags & (AUTHP_PAST_MASKED | AUTHP_PAST_STARTTLS |
	    AUTHP_PAST_EHLO_CLEAR)))
		return false;
	rate_net(a, &net);
	s = paths_find(p, &net, now_s);
	paths_fade(s, now_s);
	was = paths_is_damaged(s);
	if (flags & AUTHP_PAST_MASKED)
		s->masked++;
	else if (flags & AUTHP_PAST_STARTTLS)
		s->tls++;
	else if (!(flags & tried))
		s->never++;
	if (!(flags & AUTHP_PAST_STARTTLS))
		s->last_s = now_s;
	*ret = *s;
	return !was && paths_is_damaged(s);
}

bool
paths_next(struct paths *p, unsigned int *pos, int64_t now_s, struct path *ret)
{
	while (*pos < PATHS_SLOTS) {
		struct path *s = &p->slots[(*pos)++];

		if (s->net.bits == 0)
			continue;
		paths_fade(s, now_s);
		*ret = *s;
		if (paths_is_damaged(s))
			return true;
	}
	return false;
}
