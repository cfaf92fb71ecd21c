/*
 * loss_disk.h - what a power loss leaves of a spool: the writes, flushes, renames
 * and removals that went through lib/fio.c are noted, and the folders are made
 * anew as they may be at any point of them.
 */
#ifndef SUBMITD_TESTS_LOSS_DISK_H
#define SUBMITD_TESTS_LOSS_DISK_H

#include <stddef.h>
#include <stdint.h>

enum loss_policy {
	LOSS_NOTHING_MORE,	/* only what was flushed */
	LOSS_ALL,		/* everything that was written */
	LOSS_SOME,		/* any sectors and names of what was not flushed */
	LOSS_WHOLE,		/* any of it, but each write whole or not at all */
	LOSS__COUNT
};

/* A small generator of our own, so that a seed always means the same. */
uint32_t loss_random(uint32_t below);
void	loss_seed(uint64_t seed);

/* Notes all that happens below `path`, which is all on stable storage now; until
 * loss_stop() the disk is slow as well. */
void	loss_begin(const char *path);
void	loss_stop(void);
void	loss_end(void);
/* How many things were noted so far; safe from any thread. */
size_t	loss_now(void);
/* How often a file was written to while an earlier write was not flushed yet. */
size_t	loss_overlaps(void);
/* How often a file of tmp/ got another name there, to be written again. */
size_t	loss_reused(void);
/* Makes `path` as it is when the power goes after the first `n` of them. */
void	loss_make(const char *path, size_t n, enum loss_policy policy);

#endif
