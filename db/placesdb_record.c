/*
 * placesdb_record.c - how logins, places and the state of guess.c are encoded:
 * versioned, big-endian, bounded, wholly consumed. Pure; fuzzed.
 */
#include "config.h"

#include <string.h>

#include "db/placesdb_private.h"
#include "lib/str.h"

#define PLACES_VERSION 1u

struct places_out {
	uint8_t	*p;
	size_t	 size, len;
	bool	 bad;
};

struct places_in {
	const uint8_t	*p;
	size_t		 left;
	bool		 bad;
};

static void
places_put(struct places_out *o, const void *p, size_t len)
{
	if (o->bad || len > o->size - o->len) {
		o->bad = true;
		return;
	}
	memcpy(o->p + o->len, p, len);
	o->len += len;
}

static void
places_put_u(struct places_out *o, uint64_t v, unsigned int octets)
{
	uint8_t be[8];

	for (unsigned int i = 0; i < octets; i++)
		be[i] = (uint8_t)(v >> (8 * (octets - 1 - i)));
	places_put(o, be, octets);
}

static void
places_put_str(struct places_out *o, const char *s, size_t size)
{
	size_t len = strnlen(s, size);

	if (len >= size)
		o->bad = true;
	places_put_u(o, len, 1);
	places_put(o, s, len);
}

static void
places_get(struct places_in *in, void *dst, size_t len)
{
	if (in->bad || len > in->left) {
		in->bad = true;
		memset(dst, 0, len);
		return;
	}
	memcpy(dst, in->p, len);
	in->p += len;
	in->left -= len;
}

static uint64_t
places_get_u(struct places_in *in, unsigned int octets)
{
	uint8_t be[8];
	uint64_t v = 0;

	places_get(in, be, octets);
	for (unsigned int i = 0; i < octets; i++)
		v = v << 8 | be[i];
	return v;
}

static void
places_get_str(struct places_in *in, char *dst, size_t size)
{
	size_t len = (size_t)places_get_u(in, 1);

	memset(dst, 0, size);
	if (len >= size) {
		in->bad = true;
		return;
	}
	places_get(in, dst, len);
	if (strlen(dst) != len)
		in->bad = true;
}

static bool
places_ended(struct places_in *in)
{
	return !in->bad && in->left == 0;
}

int
placesdb_login_encode(const struct placesdb_login *l, uint8_t *dst,
    size_t size)
{
	struct places_out o = { .p = dst, .size = size };

	places_put_u(&o, PLACES_VERSION, 1);
	places_put_u(&o, (uint64_t)l->at_s, 8);
	places_put(&o, l->ip, sizeof(l->ip));
	places_put_u(&o, l->service, 1);
	places_put_str(&o, l->mech, sizeof(l->mech));
	places_put_str(&o, l->tls, sizeof(l->tls));
	return o.bad ? ERR_LIMIT : (int)o.len;
}

int
placesdb_login_decode(const void *p, size_t len, struct placesdb_login *ret)
{
	struct places_in in = { .p = p, .left = len };

	in.bad = places_get_u(&in, 1) != PLACES_VERSION;
	ret->at_s = (int64_t)places_get_u(&in, 8);
	places_get(&in, ret->ip, sizeof(ret->ip));
	ret->service = (uint8_t)places_get_u(&in, 1);
	places_get_str(&in, ret->mech, sizeof(ret->mech));
	places_get_str(&in, ret->tls, sizeof(ret->tls));
	return places_ended(&in) ? 0 : ERR_CORRUPT;
}

void
placesdb_place_encode(const struct placesdb_place *place,
    uint8_t dst[PLACESDB_PLACE_SIZE])
{
	struct places_out o = { .p = dst, .size = PLACESDB_PLACE_SIZE };

	places_put_u(&o, PLACES_VERSION, 1);
	places_put_u(&o, (uint64_t)place->first_s, 8);
	places_put_u(&o, (uint64_t)place->last_s, 8);
}

int
placesdb_place_decode(const void *p, size_t len, struct placesdb_place *ret)
{
	struct places_in in = { .p = p, .left = len };

	in.bad = places_get_u(&in, 1) != PLACES_VERSION;
	ret->first_s = (int64_t)places_get_u(&in, 8);
	ret->last_s = (int64_t)places_get_u(&in, 8);
	return places_ended(&in) ? 0 : ERR_CORRUPT;
}

/* The slot is the key. */
int
placesdb_guess_encode(const struct placesdb_guess *g, uint8_t *dst,
    size_t size)
{
	struct places_out o = { .p = dst, .size = size };

	places_put_u(&o, PLACES_VERSION, 1);
	places_put(&o, g->ip, sizeof(g->ip));
	places_put_u(&o, g->bits, 1);
	places_put_u(&o, g->strikes, 1);
	places_put_str(&o, g->user, sizeof(g->user));
	places_put_u(&o, g->level, 8);
	places_put_u(&o, (uint64_t)g->at_s, 8);
	places_put_u(&o, g->spread, 8);
	places_put_u(&o, g->count, 4);
	places_put_u(&o, g->refused, 4);
	places_put_u(&o, (uint64_t)g->since_s, 8);
	places_put_u(&o, (uint64_t)g->until_s, 8);
	return o.bad || g->bits > 128 ? ERR_LIMIT : (int)o.len;
}

int
placesdb_guess_decode(const void *p, size_t len, struct placesdb_guess *ret)
{
	struct places_in in = { .p = p, .left = len };

	in.bad = places_get_u(&in, 1) != PLACES_VERSION;
	ret->used = true;
	places_get(&in, ret->ip, sizeof(ret->ip));
	ret->bits = (uint8_t)places_get_u(&in, 1);
	ret->strikes = (uint8_t)places_get_u(&in, 1);
	places_get_str(&in, ret->user, sizeof(ret->user));
	ret->level = places_get_u(&in, 8);
	ret->at_s = (int64_t)places_get_u(&in, 8);
	ret->spread = places_get_u(&in, 8);
	ret->count = (uint32_t)places_get_u(&in, 4);
	ret->refused = (uint32_t)places_get_u(&in, 4);
	ret->since_s = (int64_t)places_get_u(&in, 8);
	ret->until_s = (int64_t)places_get_u(&in, 8);
	return places_ended(&in) && ret->bits <= 128 ? 0 : ERR_CORRUPT;
}
