/*
 * waiting.h - notes that wait in memory until they are written: a bounded table
 * by key, in the order in which they last changed. When it is full the oldest
 * note goes. Keeps no lock: the caller does.
 */
#ifndef SUBMITD_DB_WAITING_H
#define SUBMITD_DB_WAITING_H

#include <stddef.h>
#include <stdint.h>

#include "lib/mailbox.h"

#define WAITING_KEY_MAX (MAILBOX_SIZE + 64)

struct waiting;

struct waiting_note {
	struct waiting_note	*same;		/* in its bucket */
	struct waiting_note	*next, *prev;	/* by serial */
	uint64_t		 serial;	/* of its last change */
	uint8_t			 key[WAITING_KEY_MAX];
	size_t			 len;
	_Alignas(max_align_t) uint8_t data[];	/* the caller's `size` */
};

/* At most `max` notes of `size` octets each. NULL: no memory. */
struct waiting *waiting_new(unsigned int max, size_t size);
void	waiting_free(struct waiting *w);	/* NULL is fine */
unsigned int waiting_count(const struct waiting *w);
uint64_t waiting_serial(const struct waiting *w);	/* of the last change */

/* NULL: none waits. */
struct waiting_note *waiting_find(const struct waiting *w, const uint8_t *key,
	    size_t len);
/* The note, which changes now and so is the youngest; a new one is zeroed. NULL:
 * no memory. */
struct waiting_note *waiting_put(struct waiting *w, const uint8_t *key,
	    size_t len);
void	waiting_drop(struct waiting *w, struct waiting_note *n);
/* The oldest; the others are behind its `next`. */
struct waiting_note *waiting_oldest(const struct waiting *w);

#endif
