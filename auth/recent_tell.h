/*
 * recent_tell.h - a past session in plain words: what failed in it, and what to
 * tell the person who calls about it. Pure: one table of outcomes.
 */
#ifndef SUBMITD_AUTH_RECENT_TELL_H
#define SUBMITD_AUTH_RECENT_TELL_H

#include <stddef.h>

#include "db/recentdb.h"

#define RECENT_FAILED_SIZE	512
#define RECENT_TELL_SIZE	640

struct recent_words {
	char	failed[RECENT_FAILED_SIZE];	/* "": nothing did */
	char	tell[RECENT_TELL_SIZE];		/* "": nothing is to be said */
};

void	recent_tell(const struct recent_record *r, struct recent_words *ret);

/* The i-th sentence there is, or NULL: for tests. */
const char *recent_tell_sentence(size_t i);

#endif
