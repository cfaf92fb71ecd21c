/*
 * waiting.c - see waiting.h. In authd-core, on any thread that holds its owner's
 * lock. Keys come from clients (names, addresses): the table is keyed.
 */
#include "config.h"

#include "db/waiting.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "lib/siphash.h"

#define WAITING_BUCKETS 4096u

struct waiting {
	uint8_t			 key[SIPHASH_KEY];
	struct waiting_note	*bucket[WAITING_BUCKETS];
	struct waiting_note	*oldest, *youngest;
	unsigned int		 n, max;
	size_t			 size;		/* of a note's data */
	uint64_t		 serial;
};

struct waiting *
waiting_new(unsigned int max, size_t size)
{
	struct waiting *w = calloc(1, sizeof(*w));

	if (w == NULL || RAND_bytes(w->key, sizeof(w->key)) != 1) {
		free(w);
		return NULL;
	}
	w->max = max;
	w->size = size;
	return w;
}

void
waiting_free(struct waiting *w)
{
	if (w == NULL)
		return;
	while (w->oldest != NULL)
		waiting_drop(w, w->oldest);
	free(w);
}

unsigned int
waiting_count(const struct waiting *w)
{
	return w->n;
}

uint64_t
waiting_serial(const struct waiting *w)
{
	return w->serial;
}

struct waiting_note *
waiting_oldest(const struct waiting *w)
{
	return w->oldest;
}

static size_t
waiting_bucket(const struct waiting *w, const uint8_t *key, size_t len)
{
	return siphash(w->key, key, len) % WAITING_BUCKETS;
}

struct waiting_note *
waiting_find(const struct waiting *w, const uint8_t *key, size_t len)
{
	struct waiting_note *n = w->bucket[waiting_bucket(w, key, len)];

	while (n != NULL && (n->len != len || memcmp(n->key, key, len) != 0))
		n = n->same;
	return n;
}

static void
waiting_unlink(struct waiting *w, struct waiting_note *n)
{
	*(n->prev != NULL ? &n->prev->next : &w->oldest) = n->next;
	*(n->next != NULL ? &n->next->prev : &w->youngest) = n->prev;
}

static void
waiting_link(struct waiting *w, struct waiting_note *n)
{
	n->next = NULL;
	n->prev = w->youngest;
	*(n->prev != NULL ? &n->prev->next : &w->oldest) = n;
	w->youngest = n;
}

void
waiting_drop(struct waiting *w, struct waiting_note *n)
{
	struct waiting_note **at = &w->bucket[waiting_bucket(w, n->key,
	    n->len)];

	while (*at != n)
		at = &(*at)->same;
	*at = n->same;
	waiting_unlink(w, n);
	w->n--;
	free(n);
}

static struct waiting_note *
waiting_add(struct waiting *w, const uint8_t *key, size_t len)
{
	struct waiting_note **at, *n;

	if (w->n >= w->max)
		waiting_drop(w, w->oldest);
	if (len > sizeof(n->key) ||
	    (n = calloc(1, sizeof(*n) + w->size)) == NULL)
		return NULL;
	at = &w->bucket[waiting_bucket(w, key, len)];
	memcpy(n->key, key, len);
	n->len = len;
	n->same = *at;
	*at = n;
	waiting_link(w, n);
	w->n++;
	return n;
}

struct waiting_note *
waiting_put(struct waiting *w, const uint8_t *key, size_t len)
{
	struct waiting_note *n = waiting_find(w, key, len);

	if (n == NULL && (n = waiting_add(w, key, len)) == NULL)
		return NULL;
	waiting_unlink(w, n);
	waiting_link(w, n);
	n->serial = ++w->serial;
	return n;
}
