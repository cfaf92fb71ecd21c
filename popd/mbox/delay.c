/*
 * delay.c - see delay.h. Runs on the loop of popd-mbox. The names are those of
 * users who have logged in.
 */
#include "config.h"
#include "popd/mbox/delay.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "lib/str.h"

#define DELAY_BUCKETS 4096u

struct delay {
	LIST_ENTRY(delay)	 in_bucket;
	TAILQ_ENTRY(delay)	 by_time;
	uint32_t		 hash;		/* of his name */
	int64_t			 at_s;		/* of the last login */
	char			 user[];
};

struct delays {
	LIST_HEAD(, delay)	 buckets[DELAY_BUCKETS];
	TAILQ_HEAD(, delay)	 by_time;	/* the oldest first */
	size_t			 n;
};

struct delays *
delays_new(void)
{
	struct delays *t = calloc(1, sizeof(*t));

	if (t != NULL)
		TAILQ_INIT(&t->by_time);
	return t;
}

static void
delay_forget(struct delays *t, struct delay *d)
{
	LIST_REMOVE(d, in_bucket);
	TAILQ_REMOVE(&t->by_time, d, by_time);
	free(d);
	t->n--;
}

void
delays_free(struct delays *t)
{
	struct delay *d;

	if (t == NULL)
		return;
	while ((d = TAILQ_FIRST(&t->by_time)) != NULL)
		delay_forget(t, d);
	free(t);
}

static struct delay *
delay_find(const struct delays *t, const char *user)
{
	uint32_t hash = str_hash(user, strlen(user));
	struct delay *d;

	LIST_FOREACH(d, &t->buckets[hash % DELAY_BUCKETS], in_bucket)
		if (d->hash == hash && strcmp(d->user, user) == 0)
			return d;
	return NULL;
}

bool
delay_has_passed(int64_t at_s, int64_t now_s, uint64_t delay_s)
{
	return now_s < at_s || (uint64_t)(now_s - at_s) >= delay_s;
}

bool
delay_is_over(const struct delays *t, const char *user, int64_t now_s,
    uint64_t delay_s)
{
	const struct delay *d;

	if (delay_s == 0)
		return true;
	d = delay_find(t, user);
	return d == NULL || delay_has_passed(d->at_s, now_s, delay_s);
}

void
delay_note(struct delays *t, const char *user, int64_t now_s, uint64_t delay_s)
{
	struct delay *d = delay_find(t, user);
	size_t len = strlen(user);

	if (d != NULL)
		delay_forget(t, d);
	while ((d = TAILQ_FIRST(&t->by_time)) != NULL && (t->n >= DELAYS_MAX ||
	    delay_has_passed(d->at_s, now_s, delay_s)))
		delay_forget(t, d);
	/* Without memory he may come too early: he does no harm. */
	if (delay_s == 0 || (d = malloc(sizeof(*d) + len + 1)) == NULL)
		return;
	d->hash = str_hash(user, len);
	d->at_s = now_s;
	memcpy(d->user, user, len + 1);
	LIST_INSERT_HEAD(&t->buckets[d->hash % DELAY_BUCKETS], d, in_bucket);
	TAILQ_INSERT_TAIL(&t->by_time, d, by_time);
	t->n++;
}

size_t
delays_count(const struct delays *t)
{
	return t->n;
}
