/*
 * recent.h - what authd-core does with EVENT: past sessions are sorted into
 * the shares of db/recentdb.h, bounded, and kept.
 *
 *  - Authorised sessions are the owners'. Those in a row that brought nothing
 *    new (a POP3 login every few minutes) are one record, for an hour.
 *  - Of the others, those that name a user (a login, a sender) are kept apart
 *    from strangers', and count as the owners' where they come from a place that
 *    he has logged in from before.
 *  - All but the authorised are bounded by network (auth/recent_rate.h).
 *
 * The loop gives a record a place in memory and no more; a thread of its own
 * looks at the database, sorts and writes, some times a second.
 */
#ifndef SUBMITD_AUTH_RECENT_H
#define SUBMITD_AUTH_RECENT_H

#include <stdint.h>

#include "auth/core.h"
#include "auth/paths.h"
#include "db/recentdb.h"
#include "lib/msg.h"

struct recent;

/* Opens the store and counts damaged paths anew from it, on its thread. */
int	recent_open(struct core *core, struct recent **ret,
	    struct err *reterr);
/* No more comes from now on; what waits is written. */
void	recent_stop(struct recent *r);
void	recent_free(struct recent *r);		/* NULL is fine */
/* The configuration is another one. */
void	recent_set_conf(struct recent *r, const struct conf *conf);
/* Every few seconds: forgets what is too old. */
void	recent_tick(struct recent *r);

/* For who looks something up: on its thread, so that no login waits. */
struct recentdb *recent_db(struct recent *r);
struct pool *recent_pool(struct recent *r);
/* On that thread, first of all: what has come by now is written. */
void	recent_write_now(struct recent *r);

/* EVENT is recent_op_event() of auth/ops.h.
 * A login failed: what the session's worker is not to know. `why` is the
 * log's. */
void	recent_login_failed(struct recent *r, const char *sid,
	    const char *name, const char *why);

/* The i-th damaged path (auth/paths.h). From any thread. */
bool	recent_next_path(struct recent *r, unsigned int *pos,
	    struct path *ret);

#endif
