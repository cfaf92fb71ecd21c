/*
 * roll.c - see roll.h. Runs on the loop of submitd-smtp and popd-pop. It decides
 * nothing: who is ended is authd's word, how is the session's.
 */
#include "config.h"
#include "auth/roll.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/str.h"

#define ROLL_BUCKETS	1024u		/* a power of two */
#define ROLL_TURN	32u		/* sessions told or ended a turn */
#define ROLL_ASKED_MAX	8u

TAILQ_HEAD(roll_list, roll_entry);
LIST_HEAD(roll_bucket, roll_entry);

struct roll {
	struct loop		*loop;
	struct authc		*authc;
	const struct roll_ops	*ops;
	struct roll_list	 here;
	struct roll_list	 doomed;	/* to be ended */
	struct roll_bucket	 buckets[ROLL_BUCKETS];	/* of both */
	struct roll_bucket	 others;	/* in which one acts for
						 * another: few */
	bool			 ending;	/* roll_end_some() is deferred */
	bool			 telling;	/* roll_tell_some() is deferred */
	struct roll_entry	*next;		/* to be told, while n_asked > 0 */
	uint32_t		 asked[ROLL_ASKED_MAX];	/* the first is answered */
	size_t			 n_asked;
};

static struct authc_session_info
roll_describe(const struct roll *r, const struct roll_entry *e)
{
	struct authc_session_info info = { .sid = "" };

	r->ops->describe(e->session, &info);
	info.since_s = e->since_s;
	return info;
}

static struct roll_bucket *
roll_bucket(struct roll *r, const char *user)
{
	return &r->buckets[str_hash(user, strlen(user)) % ROLL_BUCKETS];
}

/* Off the list that it is on; whoever was to be told next moves on. */
static void
roll_unlink(struct roll *r, struct roll_entry *e)
{
	if (r->next == e)
		r->next = TAILQ_NEXT(e, link);
	if (e->doomed)
		TAILQ_REMOVE(&r->doomed, e, link);
	else
		TAILQ_REMOVE(&r->here, e, link);
}

/* ---------------------------------------------------------------- ending -- */

static void
roll_end_some(void *ctx)
{
	struct roll *r = ctx;
	struct roll_entry *e;

	r->ending = false;
	for (unsigned int n = 0; n < ROLL_TURN &&
	    (e = TAILQ_FIRST(&r->doomed)) != NULL; n++) {
		void *session = e->session;

		roll_leave(r, e);
		r->ops->kick(session);
	}
	if (!TAILQ_EMPTY(&r->doomed))
		r->ending = loop_defer(r->loop, roll_end_some, r) == 0;
}

static void
roll_doom(struct roll *r, struct roll_entry *e, const char *user,
    const struct net *net, int64_t before_s)
{
	struct authc_session_info info = roll_describe(r, e);

	if (e->doomed || (before_s != 0 && e->since_s > before_s) ||
	    (*user != '\0' && strcmp(info.user, user) != 0 &&
	    (info.login == NULL || strcmp(info.login, user) != 0)) ||
	    (net->bits > 0 && !net_has(net, info.peer)))
		return;
	roll_unlink(r, e);
	e->doomed = true;
	TAILQ_INSERT_TAIL(&r->doomed, e, link);
}

static void
roll_kick(void *ctx, const char *user, const struct net *net,
    int64_t before_s)
{
	struct roll *r = ctx;
	struct roll_entry *e, *next;

	if (*user != '\0') {
		LIST_FOREACH(e, roll_bucket(r, user), same)
			roll_doom(r, e, user, net, before_s);
		LIST_FOREACH(e, &r->others, other)
			roll_doom(r, e, user, net, before_s);
	} else {
		for (e = TAILQ_FIRST(&r->here); e != NULL; e = next) {
			next = TAILQ_NEXT(e, link);
			roll_doom(r, e, user, net, before_s);
		}
	}
	if (!TAILQ_EMPTY(&r->doomed) && !r->ending)
		r->ending = loop_defer(r->loop, roll_end_some, r) == 0;
}

/* --------------------------------------------------------------- telling -- */

/* Tells the next one or that there is none. False: not now. */
static bool
roll_tell(struct roll *r)
{
	struct authc_session_info info;
	int e;

	if (r->next != NULL) {
		info = roll_describe(r, r->next);
		e = authc_who_entry(r->authc, r->asked[0], &info);
		if (e != ERR_LIMIT)
			r->next = TAILQ_NEXT(r->next, link);
	} else {
		e = authc_who_end(r->authc, r->asked[0]);
		if (e != ERR_LIMIT) {
			r->n_asked--;
			memmove(r->asked, r->asked + 1,
			    r->n_asked * sizeof(r->asked[0]));
			r->next = TAILQ_FIRST(&r->here);
		}
	}
	if (e == ERR_AWAY)		/* the questions went with it */
		r->n_asked = 0;
	return e == 0;
}

static void
roll_tell_some(void *ctx)
{
	struct roll *r = ctx;
	unsigned int n = 0;

	r->telling = false;
	while (r->n_asked > 0 && n < ROLL_TURN && roll_tell(r))
		n++;
	if (r->n_asked > 0 && n == ROLL_TURN)
		r->telling = loop_defer(r->loop, roll_tell_some, r) == 0;
}

static void
roll_who(void *ctx, uint32_t serial)
{
	struct roll *r = ctx;

	if (r->n_asked == ROLL_ASKED_MAX) {	/* it never asks so much */
		(void)authc_who_end(r->authc, serial);
		return;
	}
	if (r->n_asked == 0)
		r->next = TAILQ_FIRST(&r->here);
	r->asked[r->n_asked++] = serial;
	if (!r->telling)
		r->telling = loop_defer(r->loop, roll_tell_some, r) == 0;
}

static void
roll_drained(void *ctx)
{
	struct roll *r = ctx;

	if (r->n_asked > 0 && !r->telling)
		r->telling = loop_defer(r->loop, roll_tell_some, r) == 0;
}

/* -------------------------------------------------------------- the roll -- */

static const struct authc_notices roll_notices = {
	.kick = roll_kick,
	.who = roll_who,
	.drained = roll_drained,
};

struct roll *
roll_new(struct loop *l, const char *path, const struct roll_ops *ops)
{
	struct roll *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->loop = l;
	r->ops = ops;
	TAILQ_INIT(&r->here);
	TAILQ_INIT(&r->doomed);
	r->authc = authc_new_with(l, path, &roll_notices, r);
	if (r->authc == NULL) {
		free(r);
		return NULL;
	}
	return r;
}

struct authc *
roll_authc(struct roll *r)
{
	return r->authc;
}

void
roll_join(struct roll *r, struct roll_entry *e, void *session)
{
	struct authc_session_info info;

	e->session = session;
	e->doomed = false;
	e->since_s = clock_now_s();
	info = roll_describe(r, e);
	TAILQ_INSERT_TAIL(&r->here, e, link);
	LIST_INSERT_HEAD(roll_bucket(r, info.user), e, same);
	e->is_other = info.login != NULL;
	if (e->is_other)
		LIST_INSERT_HEAD(&r->others, e, other);
}

void
roll_leave(struct roll *r, struct roll_entry *e)
{
	if (e->session == NULL)
		return;
	roll_unlink(r, e);
	LIST_REMOVE(e, same);
	if (e->is_other)
		LIST_REMOVE(e, other);
	e->session = NULL;
}
