/*
 * job_heap.h - a heap of due times; an item knows its place, so that it can be
 * moved and taken out. Pure.
 */
#ifndef SUBMITD_SEND_JOB_HEAP_H
#define SUBMITD_SEND_JOB_HEAP_H

#include <stddef.h>
#include <stdint.h>

struct job_heap_item {
	int64_t		 due_ms;
	const char	*id;		/* breaks ties: the older first */
	size_t		 at;		/* 1-based place; 0: not in the heap */
};

struct job_heap {
	struct job_heap_item	**v;
	size_t			  n;
	size_t			  room;
};

void	job_heap_free(struct job_heap *h);	/* the items stay */
/* The earliest, or NULL. */
struct job_heap_item *job_heap_top(const struct job_heap *h);
/* Puts it in, or moves it after due_ms was changed by this call. ERR_NOMEM */
int	job_heap_set(struct job_heap *h, struct job_heap_item *i,
	    int64_t due_ms);
void	job_heap_remove(struct job_heap *h, struct job_heap_item *i);

#endif
