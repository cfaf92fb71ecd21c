/*
 * quota_window.h - what one user has sent in the last hour and the last day.
 *
 * Windows that slide: what is counted is remembered by the minute for an hour
 * and by the quarter of an hour for a day, and counts until the whole of its
 * slot is older than the window. So no hour and no day ever holds more than the
 * limit, and a limit eases at most a minute (a quarter of an hour) late. Times
 * are the caller's: a clock that was set back neither forgives nor makes
 * anything count longer than its window. Pure.
 */
#ifndef SUBMITD_AUTH_QUOTA_WINDOW_H
#define SUBMITD_AUTH_QUOTA_WINDOW_H

#include <stddef.h>
#include <stdint.h>

#include "db/quotadb.h"

enum quota_which {
	QUOTA_MESSAGES_HOUR,
	QUOTA_MESSAGES_DAY,
	QUOTA_RECIPIENTS_HOUR,
	QUOTA_RECIPIENTS_DAY,
	QUOTA__COUNT		/* none of them */
};

struct quota_window {		/* zeroed: empty */
	struct quotadb_slot	*v;	/* by end_min */
	size_t			 n, cap;
};

void	quota_window_free(struct quota_window *w);

/* To be called before the others: forgets what counts no more. */
void	quota_window_trim(struct quota_window *w, int64_t now_s);
/* 0 or ERR_NOMEM. */
int	quota_window_add(struct quota_window *w, int64_t now_s,
	    uint32_t messages, uint32_t recipients, uint64_t octets);
/* Takes off again what was added last; never below nothing. */
void	quota_window_take_back(struct quota_window *w, uint32_t messages,
	    uint32_t recipients, uint64_t octets);
uint64_t quota_window_used(const struct quota_window *w,
	    enum quota_which which, int64_t now_s);
uint64_t quota_window_octets(const struct quota_window *w);	/* a day's */
/* When no more than `may_be` of what is used now still counts. */
int64_t	quota_window_eases(const struct quota_window *w,
	    enum quota_which which, uint64_t may_be, int64_t now_s);

/* What is stored takes its place; what could not be is cut off. */
int	quota_window_load(struct quota_window *w,
	    const struct quotadb_use *u);
void	quota_window_save(const struct quota_window *w,
	    struct quotadb_use *ret);

/* "messages_hour": as the keys of a class are called. */
const char *quota_which_name(enum quota_which which);

#endif
