/*
 * usagedb_record.c - what usage.db has: adding one record to another, and how
 * they are encoded: versioned, big-endian, bounded, wholly consumed. Pure;
 * fuzzed.
 */
#include "config.h"

#include <string.h>

#include "db/fields.h"
#include "db/usagedb.h"
#include "lib/str.h"

#define USAGE_VERSION	1u
#define USAGE_DAY_S	86400

/* -------------------------------------------------------------------- days -- */

static uint32_t
usage_plus(uint32_t a, uint32_t b)
{
	return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

static void
usage_days_put(struct usage_days *d, uint32_t day, uint32_t n)
{
	uint32_t by;

	if (day > d->day) {
		by = day - d->day < USAGE_DAYS ? day - d->day : USAGE_DAYS;
		memmove(d->n + by, d->n, (USAGE_DAYS - by) * sizeof(d->n[0]));
		memset(d->n, 0, by * sizeof(d->n[0]));
		d->day = day;
	}
	if (d->day - day < USAGE_DAYS)
		d->n[d->day - day] = usage_plus(d->n[d->day - day], n);
}

void
usage_days_add(struct usage_days *d, int64_t at_s, uint32_t n)
{
	usage_days_put(d, (uint32_t)(at_s / USAGE_DAY_S), n);
}

uint64_t
usage_days_sum(const struct usage_days *d, int64_t now_s)
{
	int64_t today = now_s / USAGE_DAY_S, sum = 0;

	for (uint32_t i = 0; i < USAGE_DAYS; i++)
		if ((int64_t)d->day - i > today - (int64_t)USAGE_DAYS)
			sum += d->n[i];
	return (uint64_t)sum;
}

const char *
usage_class_name(const struct usage_user *u, int64_t now_s)
{
	static const char *const names[2][2] = {	/* by grant, by login */
		{ "silent", "ready" }, { "grant-only", "mixed" },
	};

	return names[usage_days_sum(&u->days[USAGE_GRANT], now_s) > 0]
	    [usage_days_sum(&u->days[USAGE_AUTH], now_s) > 0];
}

/* ----------------------------------------------------------------- merging -- */

static void
usage_merge_days(struct usage_days *into, const struct usage_days *add)
{
	for (uint32_t i = 0; i < USAGE_DAYS; i++)
		if (add->n[i] > 0 && add->day >= i)
			usage_days_put(into, add->day - i, add->n[i]);
}

static void
usage_merge_last(struct usage_last *into, const struct usage_last *add)
{
	if (add->at_s > 0 && add->at_s >= into->at_s) {
		into->at_s = add->at_s;
		memcpy(into->ip, add->ip, sizeof(into->ip));
		memcpy(into->tls, add->tls, sizeof(into->tls));
	}
	if (add->helo[0] != '\0')
		memcpy(into->helo, add->helo, sizeof(into->helo));
}

/* The one of the same brown-out, a free one, or the oldest. */
static struct usage_brownout *
usage_brownout_of(struct usage_user *u, int64_t begin_s)
{
	struct usage_brownout *b, *oldest = u->brownouts;

	for (b = u->brownouts; b < u->brownouts + USAGE_BROWNOUTS; b++) {
		if (b->begin_s == begin_s || b->begin_s == 0)
			return b;
		if (b->last_s < oldest->last_s)
			oldest = b;
	}
	return oldest;
}

static void
usage_merge_brownout(struct usage_user *into, const struct usage_brownout *add)
{
	struct usage_brownout *b;

	if (add->begin_s == 0)
		return;
	b = usage_brownout_of(into, add->begin_s);
	if (b->begin_s != add->begin_s)
		*b = (struct usage_brownout){ .begin_s = add->begin_s };
	b->n = usage_plus(b->n, add->n);
	if (add->last_s > b->last_s)
		b->last_s = add->last_s;
}

static void
usage_merge_user(struct usage_user *into, const struct usage_user *add)
{
	for (unsigned int i = 0; i < USAGE_WAYS; i++)
		usage_merge_last(&into->last[i], &add->last[i]);
	for (unsigned int i = 0; i < USAGE__COUNT; i++)
		usage_merge_days(&into->days[i], &add->days[i]);
	for (unsigned int i = 0; i < USAGE_BROWNOUTS; i++)
		usage_merge_brownout(into, &add->brownouts[i]);
}

static void
usage_merge_old(struct usage_old *into, const struct usage_old *add)
{
	if (into->first_s == 0 || add->first_s < into->first_s)
		into->first_s = add->first_s;
	if (add->last_s >= into->last_s) {
		into->last_s = add->last_s;
		into->service = add->service;
		into->port = add->port;
		memcpy(into->why, add->why, sizeof(into->why));
	}
	usage_merge_days(&into->days, &add->days);
}

void
usage_merge(struct usage_record *into, const struct usage_record *add)
{
	into->kind = add->kind;
	if (add->kind == 'u')
		usage_merge_user(&into->user, &add->user);
	else if (add->kind == 'a')
		usage_merge_old(&into->old, &add->old);
	for (unsigned int i = 0; add->kind == 'm' && i < USAGE__COUNT; i++)
		into->minute.n[i] += add->minute.n[i];
}

/* ---------------------------------------------------------------- encoding -- */

/* Of days in which nothing was is nothing said. */
static void
usage_put_days(struct fields_out *o, const struct usage_days *d)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < USAGE_DAYS; i++)
		n += d->n[i] > 0;
	fields_put_u(o, d->day, 4);
	fields_put_u(o, n, 1);
	for (unsigned int i = 0; i < USAGE_DAYS; i++)
		if (d->n[i] > 0) {
			fields_put_u(o, i, 1);
			fields_put_u(o, d->n[i], 4);
		}
}

static void
usage_get_days(struct fields_in *in, struct usage_days *d)
{
	uint64_t n, i, next = 0;

	d->day = (uint32_t)fields_get_u(in, 4);
	for (n = fields_get_u(in, 1); n > 0 && !in->bad; n--, next = i + 1) {
		i = fields_get_u(in, 1);
		in->bad |= i < next || i >= USAGE_DAYS;
		if (in->bad)
			return;
		d->n[i] = (uint32_t)fields_get_u(in, 4);
		in->bad |= d->n[i] == 0;
	}
}

static void
usage_put_user(struct fields_out *o, const struct usage_user *u)
{
	const struct usage_brownout *b = u->brownouts;
	unsigned int n = 0;

	for (const struct usage_last *l = u->last; l < u->last + USAGE_WAYS;
	    l++) {
		fields_put_u(o, (uint64_t)l->at_s, 8);
		fields_put(o, l->ip, sizeof(l->ip));
		fields_put_str(o, l->tls, sizeof(l->tls), 1);
		fields_put_str(o, l->helo, sizeof(l->helo), 1);
	}
	for (unsigned int i = 0; i < USAGE__COUNT; i++)
		usage_put_days(o, &u->days[i]);
	while (n < USAGE_BROWNOUTS && b[n].begin_s != 0)
		n++;
	fields_put_u(o, n, 1);
	for (; n > 0; n--, b++) {
		fields_put_u(o, (uint64_t)b->begin_s, 8);
		fields_put_u(o, (uint64_t)b->last_s, 8);
		fields_put_u(o, b->n, 4);
	}
}

static void
usage_get_user(struct fields_in *in, struct usage_user *u)
{
	struct usage_brownout *b = u->brownouts;
	uint64_t n;

	for (struct usage_last *l = u->last; l < u->last + USAGE_WAYS; l++) {
		l->at_s = (int64_t)fields_get_u(in, 8);
		fields_get(in, l->ip, sizeof(l->ip));
		fields_get_str(in, l->tls, sizeof(l->tls), 1);
		fields_get_str(in, l->helo, sizeof(l->helo), 1);
	}
	for (unsigned int i = 0; i < USAGE__COUNT; i++)
		usage_get_days(in, &u->days[i]);
	n = fields_get_u(in, 1);
	in->bad |= n > USAGE_BROWNOUTS;
	for (; n > 0 && !in->bad; n--, b++) {
		b->begin_s = (int64_t)fields_get_u(in, 8);
		b->last_s = (int64_t)fields_get_u(in, 8);
		b->n = (uint32_t)fields_get_u(in, 4);
		in->bad |= b->begin_s == 0;
	}
}

int
usage_encode(const struct usage_record *r, uint8_t dst[USAGE_RECORD_MAX])
{
	struct fields_out o = { .p = dst, .size = USAGE_RECORD_MAX };

	fields_put_u(&o, USAGE_VERSION, 1);
	if (r->kind == 'u') {
		usage_put_user(&o, &r->user);
	} else if (r->kind == 'a') {
		fields_put_u(&o, (uint64_t)r->old.first_s, 8);
		fields_put_u(&o, (uint64_t)r->old.last_s, 8);
		fields_put_u(&o, r->old.service, 1);
		fields_put_u(&o, r->old.port, 2);
		fields_put_str(&o, r->old.why, sizeof(r->old.why), 1);
		usage_put_days(&o, &r->old.days);
	} else {
		for (unsigned int i = 0; i < USAGE__COUNT; i++)
			fields_put_u(&o, r->minute.n[i], 8);
	}
	return fields_out_end(&o);
}

int
usage_decode(char kind, const void *p, size_t len, struct usage_record *ret)
{
	struct fields_in in = { .p = p, .left = len };

	memset(ret, 0, sizeof(*ret));
	ret->kind = kind;
	in.bad = fields_get_u(&in, 1) != USAGE_VERSION;
	if (kind == 'u') {
		usage_get_user(&in, &ret->user);
	} else if (kind == 'a') {
		ret->old.first_s = (int64_t)fields_get_u(&in, 8);
		ret->old.last_s = (int64_t)fields_get_u(&in, 8);
		ret->old.service = (uint8_t)fields_get_u(&in, 1);
		ret->old.port = (uint16_t)fields_get_u(&in, 2);
		fields_get_str(&in, ret->old.why, sizeof(ret->old.why), 1);
		usage_get_days(&in, &ret->old.days);
	} else if (kind == 'm') {
		for (unsigned int i = 0; i < USAGE__COUNT; i++)
			ret->minute.n[i] = fields_get_u(&in, 8);
	} else {
		in.bad = true;
	}
	return fields_in_ended(&in) ? 0 : ERR_CORRUPT;
}
