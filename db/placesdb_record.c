/*
 * placesdb_record.c - how logins, places and the state of guess.c are encoded:
 * versioned, big-endian, bounded, wholly consumed. Pure; fuzzed.
 */
#include "config.h"

#include <string.h>

#include "db/fields.h"
#include "db/placesdb_private.h"
#include "lib/str.h"

#define PLACES_VERSION 1u

int
placesdb_login_encode(const struct placesdb_login *l, uint8_t *dst,
    size_t size)
{
	struct fields_out o = { .p = dst, .size = size };

	fields_put_u(&o, PLACES_VERSION, 1);
	fields_put_u(&o, (uint64_t)l->at_s, 8);
	fields_put(&o, l->ip, sizeof(l->ip));
	fields_put_u(&o, l->service, 1);
	fields_put_str(&o, l->mech, sizeof(l->mech), 1);
	fields_put_str(&o, l->tls, sizeof(l->tls), 1);
	return fields_out_end(&o);
}

int
placesdb_login_decode(const void *p, size_t len, struct placesdb_login *ret)
{
	struct fields_in in = { .p = p, .left = len };

	in.bad = fields_get_u(&in, 1) != PLACES_VERSION;
	ret->at_s = (int64_t)fields_get_u(&in, 8);
	fields_get(&in, ret->ip, sizeof(ret->ip));
	ret->service = (uint8_t)fields_get_u(&in, 1);
	ret->stranger = false;
	fields_get_str(&in, ret->mech, sizeof(ret->mech), 1);
	fields_get_str(&in, ret->tls, sizeof(ret->tls), 1);
	return fields_in_ended(&in) ? 0 : ERR_CORRUPT;
}

struct placesdb_place
placesdb_place_of(const struct placesdb_login *l)
{
	return (struct placesdb_place){ .first_s = l->stranger ? 0 : l->at_s,
	    .last_s = l->at_s };
}

void
placesdb_place_encode(const struct placesdb_place *place,
    uint8_t dst[PLACESDB_PLACE_SIZE])
{
	struct fields_out o = { .p = dst, .size = PLACESDB_PLACE_SIZE };

	fields_put_u(&o, PLACES_VERSION, 1);
	fields_put_u(&o, (uint64_t)place->first_s, 8);
	fields_put_u(&o, (uint64_t)place->last_s, 8);
}

int
placesdb_place_decode(const void *p, size_t len, struct placesdb_place *ret)
{
	struct fields_in in = { .p = p, .left = len };

	in.bad = fields_get_u(&in, 1) != PLACES_VERSION;
	ret->first_s = (int64_t)fields_get_u(&in, 8);
	ret->last_s = (int64_t)fields_get_u(&in, 8);
	return fields_in_ended(&in) ? 0 : ERR_CORRUPT;
}

/* The slot is the key. */
int
placesdb_guess_encode(const struct placesdb_guess *g, uint8_t *dst,
    size_t size)
{
	struct fields_out o = { .p = dst, .size = size };

	fields_put_u(&o, PLACES_VERSION, 1);
	fields_put(&o, g->ip, sizeof(g->ip));
	fields_put_u(&o, g->bits, 1);
	fields_put_u(&o, g->strikes, 1);
	fields_put_str(&o, g->user, sizeof(g->user), 1);
	fields_put_u(&o, g->level, 8);
	fields_put_u(&o, (uint64_t)g->at_s, 8);
	fields_put_u(&o, g->spread, 8);
	fields_put_u(&o, g->count, 4);
	fields_put_u(&o, g->refused, 4);
	fields_put_u(&o, (uint64_t)g->since_s, 8);
	fields_put_u(&o, (uint64_t)g->until_s, 8);
	return o.bad || g->bits > 128 ? ERR_LIMIT : (int)o.len;
}

int
placesdb_guess_decode(const void *p, size_t len, struct placesdb_guess *ret)
{
	struct fields_in in = { .p = p, .left = len };

	in.bad = fields_get_u(&in, 1) != PLACES_VERSION;
	ret->used = true;
	fields_get(&in, ret->ip, sizeof(ret->ip));
	ret->bits = (uint8_t)fields_get_u(&in, 1);
	ret->strikes = (uint8_t)fields_get_u(&in, 1);
	fields_get_str(&in, ret->user, sizeof(ret->user), 1);
	ret->level = fields_get_u(&in, 8);
	ret->at_s = (int64_t)fields_get_u(&in, 8);
	ret->spread = fields_get_u(&in, 8);
	ret->count = (uint32_t)fields_get_u(&in, 4);
	ret->refused = (uint32_t)fields_get_u(&in, 4);
	ret->since_s = (int64_t)fields_get_u(&in, 8);
	ret->until_s = (int64_t)fields_get_u(&in, 8);
	return fields_in_ended(&in) && ret->bits <= 128 ? 0 : ERR_CORRUPT;
}
