/*
 * quota_window.c - see quota_window.h. Pure; runs in authd-core.
 */
#include "auth/quota_window.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"

#define WINDOW_HOUR_MIN		60
#define WINDOW_DAY_MIN		(24 * 60)
#define WINDOW_COARSE_MIN	15	/* slots of what is older than an hour */
#define WINDOW_GROW		8u

static const struct {
	const char	*name;
	int64_t		 minutes;
	bool		 recipients;
} window_kinds[QUOTA__COUNT] = {
	[QUOTA_MESSAGES_HOUR] = { "messages_hour", WINDOW_HOUR_MIN, false },
	[QUOTA_MESSAGES_DAY] = { "messages_day", WINDOW_DAY_MIN, false },
	[QUOTA_RECIPIENTS_HOUR] = { "recipients_hour", WINDOW_HOUR_MIN, true },
	[QUOTA_RECIPIENTS_DAY] = { "recipients_day", WINDOW_DAY_MIN, true },
};

const char *
quota_which_name(enum quota_which which)
{
	return window_kinds[which].name;
}

void
quota_window_free(struct quota_window *w)
{
	free(w->v);
	memset(w, 0, sizeof(*w));
}

static void
window_merge(struct quotadb_slot *into, const struct quotadb_slot *s)
{
	into->messages += s->messages;
	into->recipients += s->recipients;
	into->octets += s->octets;
}

/* Where a slot belongs now: ends do not rise above the next minute, and older
 * ones fall together. */
static uint32_t
window_end(uint32_t end, int64_t now_min)
{
	uint32_t coarse = (end + WINDOW_COARSE_MIN - 1) / WINDOW_COARSE_MIN *
	    WINDOW_COARSE_MIN;

	if ((int64_t)end > now_min + 1)
		return (uint32_t)(now_min + 1);
	return (int64_t)coarse <= now_min - WINDOW_HOUR_MIN ? coarse : end;
}

void
quota_window_trim(struct quota_window *w, int64_t now_s)
{
	int64_t now_min = now_s / 60;
	size_t n = 0;

	for (size_t i = 0; i < w->n; i++) {
		struct quotadb_slot s = w->v[i];

		s.end_min = window_end(s.end_min, now_min);
		if ((int64_t)s.end_min + WINDOW_DAY_MIN <= now_min)
			continue;
		if (n > 0 && w->v[n - 1].end_min >= s.end_min)
			window_merge(&w->v[n - 1], &s);
		else
			w->v[n++] = s;
	}
	w->n = n;
}

static int
window_room(struct quota_window *w, size_t cap)
{
	void *grown;

	if (cap <= w->cap)
		return 0;
	if (cap > QUOTADB_SLOTS)
		return ERR_NOMEM;	/* quota_window_trim() keeps it fewer */
	if ((grown = reallocarray(w->v, cap, sizeof(*w->v))) == NULL)
		return ERR_NOMEM;
	w->v = grown;
	w->cap = cap;
	return 0;
}

int
quota_window_add(struct quota_window *w, int64_t now_s, uint32_t messages,
    uint32_t recipients, uint64_t octets)
{
	struct quotadb_slot s = { .end_min = (uint32_t)(now_s / 60 + 1),
	    .messages = messages, .recipients = recipients, .octets = octets };

	if (w->n > 0 && w->v[w->n - 1].end_min >= s.end_min) {
		window_merge(&w->v[w->n - 1], &s);
		return 0;
	}
	if (w->n == w->cap && window_room(w, w->cap + WINDOW_GROW) != 0)
		return ERR_NOMEM;
	w->v[w->n++] = s;
	return 0;
}

void
quota_window_take_back(struct quota_window *w, uint32_t messages,
    uint32_t recipients, uint64_t octets)
{
	for (size_t i = w->n; i-- > 0;) {
		struct quotadb_slot *s = &w->v[i];
		uint32_t m = messages < s->messages ? messages : s->messages;
		uint32_t r = recipients < s->recipients ? recipients :
		    s->recipients;
		uint64_t o = octets < s->octets ? octets : s->octets;

		s->messages -= m;
		s->recipients -= r;
		s->octets -= o;
		messages -= m;
		recipients -= r;
		octets -= o;
	}
}

static uint64_t
window_slot(const struct quotadb_slot *s, enum quota_which which)
{
	return window_kinds[which].recipients ? s->recipients : s->messages;
}

static bool
window_counts(const struct quotadb_slot *s, enum quota_which which,
    int64_t now_s)
{
	return (s->end_min + window_kinds[which].minutes) * 60 > now_s;
}

uint64_t
quota_window_used(const struct quota_window *w, enum quota_which which,
    int64_t now_s)
{
	uint64_t sum = 0;

	for (size_t i = w->n; i > 0 &&
	    window_counts(&w->v[i - 1], which, now_s); i--)
		sum += window_slot(&w->v[i - 1], which);
	return sum;
}

uint64_t
quota_window_octets(const struct quota_window *w)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < w->n; i++)
		sum += w->v[i].octets;
	return sum;
}

int64_t
quota_window_eases(const struct quota_window *w, enum quota_which which,
    uint64_t may_be, int64_t now_s)
{
	uint64_t used = quota_window_used(w, which, now_s);
	int64_t at = now_s;

	for (size_t i = 0; i < w->n && used > may_be; i++) {
		if (!window_counts(&w->v[i], which, now_s))
			continue;
		used -= window_slot(&w->v[i], which);
		at = (w->v[i].end_min + window_kinds[which].minutes) * 60;
	}
	return at;
}

int
quota_window_load(struct quota_window *w, const struct quotadb_use *u)
{
	int r = window_room(w, u->n);

	w->n = r == 0 ? u->n : 0;
	if (w->n > 0)
		memcpy(w->v, u->v, w->n * sizeof(*w->v));
	return r;
}

void
quota_window_save(const struct quota_window *w, struct quotadb_use *ret)
{
	ret->n = w->n;
	if (w->n > 0)
		memcpy(ret->v, w->v, w->n * sizeof(*w->v));
}
