/*
 * job_heap.c - a heap of due times. Pure.
 */
#include "config.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "submitd/send/job_heap.h"

#include "lib/err.h"

void
job_heap_free(struct job_heap *h)
{
	free(h->v);
	memset(h, 0, sizeof(*h));
}

struct job_heap_item *
job_heap_top(const struct job_heap *h)
{
	return h->n > 0 ? h->v[0] : NULL;
}

static bool
job_heap_before(const struct job_heap_item *a, const struct job_heap_item *b)
{
	if (a->due_ms != b->due_ms)
		return a->due_ms < b->due_ms;
	return strcmp(a->id, b->id) < 0;
}

static void
job_heap_put(struct job_heap *h, size_t at, struct job_heap_item *i)
{
	h->v[at] = i;
	i->at = at + 1;
}

static void
job_heap_sift(struct job_heap *h, size_t at)
{
	struct job_heap_item *i = h->v[at];
	size_t child;

	while (at > 0 && job_heap_before(i, h->v[(at - 1) / 2])) {
		job_heap_put(h, at, h->v[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	while ((child = 2 * at + 1) < h->n) {
		if (child + 1 < h->n &&
		    job_heap_before(h->v[child + 1], h->v[child]))
			child++;
		if (!job_heap_before(h->v[child], i))
			break;
		job_heap_put(h, at, h->v[child]);
		at = child;
	}
	job_heap_put(h, at, i);
}

int
job_heap_set(struct job_heap *h, struct job_heap_item *i, int64_t due_ms)
{
	if (i->at == 0) {
		if (h->n == h->room) {
			size_t room = h->room == 0 ? 64 : h->room * 2;
			void *v = reallocarray(h->v, room, sizeof(*h->v));

			if (v == NULL)
				return ERR_NOMEM;
			h->v = v;
			h->room = room;
		}
		job_heap_put(h, h->n++, i);
	}
	i->due_ms = due_ms;
	job_heap_sift(h, i->at - 1);
	return 0;
}

void
job_heap_remove(struct job_heap *h, struct job_heap_item *i)
{
	struct job_heap_item *last;
	size_t at = i->at;

	if (at == 0)
		return;
	i->at = 0;
	last = h->v[--h->n];
	if (last != i) {
		job_heap_put(h, at - 1, last);
		job_heap_sift(h, at - 1);
	}
}
