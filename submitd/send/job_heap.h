/*
 * job_heap.h - jobs by the time at which they are due, and those that are due by
 * their priority (RFC 6710). An item knows its place, so that it can be moved
 * and taken out. Pure.
 */
#ifndef SUBMITD_SEND_JOB_HEAP_H
#define SUBMITD_SEND_JOB_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct job_heap_item {
	int64_t		 due_ms;
	const char	*id;		/* breaks ties: the older first */
	int8_t		 priority;	/* the higher first, once they are due */
	bool		 ready;		/* it was seen to be due */
	size_t		 at;		/* 1-based place; 0: not in the heap */
};

struct job_heap {
	struct job_heap_part {
		struct job_heap_item	**v;
		size_t			  n;
		size_t			  room;
	} waiting, ready;
};

void	job_heap_free(struct job_heap *h);	/* the items stay */
/* Of those that are due the one of the highest priority, and of these the one
 * due first; while none is due the one that is next; or NULL. */
struct job_heap_item *job_heap_top(struct job_heap *h, int64_t now_ms);
/* Puts it in, or moves it after due_ms was changed by this call. ERR_NOMEM */
int	job_heap_set(struct job_heap *h, struct job_heap_item *i,
	    int64_t due_ms);
void	job_heap_remove(struct job_heap *h, struct job_heap_item *i);

#endif
