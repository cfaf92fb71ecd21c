/*
 * quota.h - sending limits: how many messages, and to how many recipients, a
 * user may send an hour and a day.
 *
 * All sessions of a user count together, for they all come by here: what has
 * begun is held, what was committed is booked, what was given up is released;
 * a hold that nobody ends goes after QUOTA_HOLD_S, and with whoever made it.
 * Everybody is counted, so that a limit that is set now holds over what was
 * sent since yesterday. The table is a bounded cache of db/quotadb.h, written
 * behind; counts of the last seconds are lost when the process is killed.
 *
 * May be used from several threads at once.
 */
#ifndef SUBMITD_AUTH_QUOTA_H
#define SUBMITD_AUTH_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

#include "auth/quota_window.h"
#include "db/quotadb.h"
#include "db/record.h"
#include "lib/conf.h"

#define QUOTA_USERS_MAX	16384u		/* in memory */
#define QUOTA_HOLDS_MAX	65536u
#define QUOTA_HOLD_S	3600

struct quota;

struct quota_rule {
	uint64_t		max[QUOTA__COUNT];	/* 0: none */
	enum conf_action	action;
};

/* What stands in the way: `which` QUOTA__COUNT: nothing does. */
struct quota_over {
	enum quota_which	which;
	uint64_t		max;
	uint64_t		used;		/* holds counted */
	int64_t			eases_s;	/* 0: never, for this message
						 * alone is more */
	enum conf_action	action;
};

struct quota_use {			/* of one limit */
	uint64_t		used;		/* holds counted */
	int64_t			eases_s;	/* when one more may be sent:
						 * 0 if it may now */
};

struct quota *quota_new(struct quotadb *db);	/* NULL: no memory */
void	quota_free(struct quota *q);		/* NULL is fine */

/* The user's own limits beat those of his class, which is default_class if he
 * has none, or one that is not configured. */
void	quota_rule_of(const struct conf *c, const char *class,
	    const struct user_limits *own, struct quota_rule *ret);
bool	quota_rule_is_empty(const struct quota_rule *r);

/* Is there room for one message to `recipients`? 0, with *ret->which if it is
 * only to be logged; ERR_LIMIT: no; others: it cannot be known now. */
int	quota_check(struct quota *q, const char *user,
	    const struct quota_rule *rule, uint32_t recipients, int64_t now_s,
	    struct quota_over *ret);
/* The same, and holds it: *ret_hold is not 0 then. `owner` is who may end it. */
int	quota_hold(struct quota *q, const char *user,
	    const struct quota_rule *rule, uint32_t recipients,
	    const void *owner, int64_t now_s, uint32_t *ret_hold,
	    struct quota_over *ret);
struct quota_sent {			/* a message that is committed */
	const char	*user;
	uint32_t	 hold;		/* 0, or one that is there or gone */
	const void	*owner;
	uint32_t	 recipients;
	uint64_t	 octets;
};
/* Books it: without its hold, if there is room. As quota_check(). */
int	quota_book(struct quota *q, const struct quota_sent *s,
	    const struct quota_rule *rule, int64_t now_s,
	    struct quota_over *ret);
/* What was booked just now is not sent after all. */
void	quota_take_back(struct quota *q, const char *user,
	    uint32_t recipients, uint64_t octets, int64_t now_s);
void	quota_release(struct quota *q, uint32_t hold, const void *owner);
void	quota_release_all(struct quota *q, const void *owner);
/* To be called every few seconds: ends holds whose time is over. */
void	quota_tick(struct quota *q, int64_t now_s);

/* What he has used, and when that eases under the rule. */
int	quota_show(struct quota *q, const char *user,
	    const struct quota_rule *rule, int64_t now_s,
	    struct quota_use ret[QUOTA__COUNT], uint64_t *ret_octets);
/* Nothing was sent. Waits for the database; holds stay. */
int	quota_forget(struct quota *q, const char *user, struct err *reterr);

/* On the upkeep thread and at the end: writes what has changed. What could not
 * be written waits on. */
int	quota_write(struct quota *q, int64_t now_s, struct err *reterr);

#endif
