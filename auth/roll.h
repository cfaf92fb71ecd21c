/*
 * roll.h - the sessions of one worker process in which somebody is logged in:
 * ends those that authd wants ended (KICK) and tells who they are (WHO).
 * Shared by submitd-smtp and popd-pop.
 *
 * There may be tens of thousands: finding a user's sessions looks at few of
 * them, and ending or telling many is spread over turns of the loop.
 */
#ifndef SUBMITD_ROLL_H
#define SUBMITD_ROLL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "auth/authc.h"
#include "lib/loop.h"

struct roll;

struct roll_entry {			/* a member of the session's struct */
	TAILQ_ENTRY(roll_entry)	 link;
	LIST_ENTRY(roll_entry)	 same;	/* in its user's bucket */
	LIST_ENTRY(roll_entry)	 other;	/* who logged in for another */
	bool			 is_other;
	void			*session;	/* NULL: not on the roll */
	int64_t			 since_s;
	bool			 doomed;	/* will be ended soon */
};

struct roll_ops {
	/* All but since_s; what it points to is good until the next turn. */
	void	(*describe)(void *session, struct authc_session_info *ret);
	/* Ends it. It may roll_leave() before or after this returns, and is
	 * off the roll in any case. */
	void	(*kick)(void *session);
};

/* Connects to authd as authc_new() does. For the process's life. NULL: no
 * memory. */
struct roll *roll_new(struct loop *l, const char *path,
	    const struct roll_ops *ops);
struct authc *roll_authc(struct roll *r);

/* `e` stays where it is until it leaves; the user and login that `describe`
 * tells must not change meanwhile. */
void	roll_join(struct roll *r, struct roll_entry *e, void *session);
/* An entry that never joined, or has left, is fine too. */
void	roll_leave(struct roll *r, struct roll_entry *e);

#endif
