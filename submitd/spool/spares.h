/*
 * spares.h - files of messages that are gone, kept in tmp/ to be written again: a
 * spare has its inode and its blocks already. Of 10 clients with 1 MiB each this
 * is a tenth more a second (258 instead of 228; 240 if a spare is filled with
 * zeros first). All on any thread, but for spares_new() and spares_free().
 */
#ifndef SUBMITD_SPOOL_SPARES_H
#define SUBMITD_SPOOL_SPARES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SPARES_MAX 16u
#define SPARES_OCTETS_MIN (64u * 1024)	/* of one of them */
#define SPARES_OCTETS_MAX (16u * 1024 * 1024)	/* of all of them together */
#define SPARES_FREE_MIN (1024ull * 1024 * 1024)	/* else no more are kept */

struct spares;

/* `tmp` is the folder, borrowed. The process ignores SIGIO from then on. NULL: no
 * memory. */
struct spares *spares_new(int tmp);
/* Removes what there is. NULL is fine. */
void	spares_free(struct spares *s);
/* Whether the file `name` of `folder` is worth keeping; its size. Not asked where
 * the operation says no_spare (store.h). */
bool	spares_want(struct spares *s, int folder, const char *name,
	    off_t *ret_size);
/* Takes over the file `name` of tmp/. False: there are enough by now. Its removal
 * from queue/ is on stable storage: from here on it may be written to. */
bool	spares_give(struct spares *s, const char *name, off_t size);
/* One that nobody has open any more, under the name `name` of tmp/: a descriptor
 * to read and write it, and its size. -1: there is none. */
int	spares_take(struct spares *s, const char *name, off_t *ret_size);

#endif
