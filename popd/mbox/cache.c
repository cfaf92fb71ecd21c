/*
 * cache.c - the lists of Maildirs that were scanned last, by path, bounded in
 * octets. Used from all threads of popd-mbox; nothing in it is trusted before
 * list_holds() has looked at the folders again.
 */
#include "config.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "lib/str.h"
#include "popd/mbox/list.h"

#define CACHE_BUCKETS 4096u

struct cache_item {
	TAILQ_ENTRY(cache_item)	 age;
	struct cache_item	*next;		/* in its bucket */
	struct list		*list;
	size_t			 octets;
	char			 path[];
};

TAILQ_HEAD(cache_items, cache_item);

struct cache {
	pthread_mutex_t		 lock;
	struct cache_items	 items;		/* used last in front */
	size_t			 octets, max;
	struct cache_item	*buckets[CACHE_BUCKETS];
};

struct cache *
cache_new(size_t max_octets)
{
	struct cache *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	pthread_mutex_init(&c->lock, NULL);
	TAILQ_INIT(&c->items);
	c->max = max_octets;
	return c;
}

static struct cache_item **
cache_slot(struct cache *c, const char *path)
{
	struct cache_item **i;

	i = &c->buckets[str_hash(path, strlen(path)) % CACHE_BUCKETS];
	while (*i != NULL && strcmp((*i)->path, path) != 0)
		i = &(*i)->next;
	return i;
}

static void
cache_remove(struct cache *c, struct cache_item **slot)
{
	struct cache_item *i = *slot;

	*slot = i->next;
	TAILQ_REMOVE(&c->items, i, age);
	c->octets -= i->octets;
	list_unref(i->list);
	free(i);
}

static void
cache_remove_path(struct cache *c, const char *path)
{
	struct cache_item **slot = cache_slot(c, path);

	if (*slot != NULL)
		cache_remove(c, slot);
}

/* Makes room for so many octets. */
static void
cache_shrink(struct cache *c, size_t more)
{
	while (!TAILQ_EMPTY(&c->items) && c->octets + more > c->max)
		cache_remove_path(c,
		    TAILQ_LAST(&c->items, cache_items)->path);
}

struct list *
cache_get(struct cache *c, const char *path)
{
	struct cache_item *i;
	struct list *l = NULL;

	if (c == NULL)
		return NULL;
	pthread_mutex_lock(&c->lock);
	if ((i = *cache_slot(c, path)) != NULL) {
		TAILQ_REMOVE(&c->items, i, age);
		TAILQ_INSERT_HEAD(&c->items, i, age);
		l = list_ref(i->list);
	}
	pthread_mutex_unlock(&c->lock);
	return l;
}

static void
cache_add(struct cache *c, const char *path, struct list *l)
{
	size_t len = strlen(path) + 1;
	struct cache_item *i, **slot;
	size_t octets = sizeof(*i) + len + list_octets(l);

	if (octets > c->max || (i = malloc(sizeof(*i) + len)) == NULL)
		return;
	cache_shrink(c, octets);
	i->list = list_ref(l);
	i->octets = octets;
	memcpy(i->path, path, len);
	slot = cache_slot(c, path);
	i->next = NULL;
	*slot = i;
	TAILQ_INSERT_HEAD(&c->items, i, age);
	c->octets += octets;
}

void
cache_forget(struct cache *c, const char *path)
{
	if (c == NULL)
		return;
	pthread_mutex_lock(&c->lock);
	cache_remove_path(c, path);
	pthread_mutex_unlock(&c->lock);
}

void
cache_put(struct cache *c, const char *path, struct list *l)
{
	if (c == NULL)
		return;
	pthread_mutex_lock(&c->lock);
	cache_remove_path(c, path);
	cache_add(c, path, l);
	pthread_mutex_unlock(&c->lock);
}

size_t
cache_octets(struct cache *c)
{
	size_t n;

	pthread_mutex_lock(&c->lock);
	n = c->octets;
	pthread_mutex_unlock(&c->lock);
	return n;
}

void
cache_set_max(struct cache *c, size_t max_octets)
{
	pthread_mutex_lock(&c->lock);
	c->max = max_octets;
	cache_shrink(c, 0);
	pthread_mutex_unlock(&c->lock);
}

void
cache_free(struct cache *c)
{
	if (c == NULL)
		return;
	cache_set_max(c, 0);
	pthread_mutex_destroy(&c->lock);
	free(c);
}
