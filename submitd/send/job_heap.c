/*
 * job_heap.c - two heaps: those that wait by their time, those that are due by
 * their priority. Pure; runs in submitd-send.
 *
 * There is room for all items in either heap, so that one that becomes due
 * needs no memory.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "submitd/send/job_heap.h"

#include "lib/err.h"

void
job_heap_free(struct job_heap *h)
{
	free(h->waiting.v);
	free(h->ready.v);
	memset(h, 0, sizeof(*h));
}

static bool
job_heap_before(const struct job_heap_item *a, const struct job_heap_item *b)
{
	if (a->ready && a->priority != b->priority)
		return a->priority > b->priority;
	if (a->due_ms != b->due_ms)
		return a->due_ms < b->due_ms;
	return strcmp(a->id, b->id) < 0;
}

static void
job_heap_put(struct job_heap_part *p, size_t at, struct job_heap_item *i)
{
	p->v[at] = i;
	i->at = at + 1;
}

static void
job_heap_sift(struct job_heap_part *p, size_t at)
{
	struct job_heap_item *i = p->v[at];
	size_t child;

	while (at > 0 && job_heap_before(i, p->v[(at - 1) / 2])) {
		job_heap_put(p, at, p->v[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	while ((child = 2 * at + 1) < p->n) {
		if (child + 1 < p->n &&
		    job_heap_before(p->v[child + 1], p->v[child]))
			child++;
		if (!job_heap_before(p->v[child], i))
			break;
		job_heap_put(p, at, p->v[child]);
		at = child;
	}
	job_heap_put(p, at, i);
}

static int
job_heap_grow(struct job_heap_part *p, size_t n)
{
	size_t room = p->room == 0 ? 4 : p->room * 2;
	void *v;

	if (n <= p->room)
		return 0;
	if ((v = reallocarray(p->v, room, sizeof(*p->v))) == NULL)
		return ERR_NOMEM;
	p->v = v;
	p->room = room;
	return 0;
}

static void
job_heap_insert(struct job_heap_part *p, struct job_heap_item *i)
{
	job_heap_put(p, p->n++, i);
	job_heap_sift(p, p->n - 1);
}

static void
job_heap_take(struct job_heap_part *p, struct job_heap_item *i)
{
	struct job_heap_item *last = p->v[--p->n];
	size_t at = i->at;

	i->at = 0;
	if (last != i) {
		job_heap_put(p, at - 1, last);
		job_heap_sift(p, at - 1);
	}
}

struct job_heap_item *
job_heap_top(struct job_heap *h, int64_t now_ms)
{
	while (h->waiting.n > 0 && h->waiting.v[0]->due_ms <= now_ms) {
		struct job_heap_item *i = h->waiting.v[0];

		job_heap_take(&h->waiting, i);
		i->ready = true;
		job_heap_insert(&h->ready, i);
	}
	return h->ready.n > 0 ? h->ready.v[0] :
	    h->waiting.n > 0 ? h->waiting.v[0] : NULL;
}

int
job_heap_set(struct job_heap *h, struct job_heap_item *i, int64_t due_ms)
{
	size_t n = h->waiting.n + h->ready.n + (i->at == 0);
	int r;

	if ((r = job_heap_grow(&h->waiting, n)) != 0 ||
	    (r = job_heap_grow(&h->ready, n)) != 0)
		return r;
	job_heap_remove(h, i);
	i->due_ms = due_ms;
	i->ready = false;
	job_heap_insert(&h->waiting, i);
	return 0;
}

void
job_heap_remove(struct job_heap *h, struct job_heap_item *i)
{
	if (i->at != 0)
		job_heap_take(i->ready ? &h->ready : &h->waiting, i);
}
