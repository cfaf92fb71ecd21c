/*
 * users.c - whose mail may go out: what authd-core says of the users who have
 * some in the queue.
 *
 * Runs in submitd-spool, on the loop. All are asked about when the connection to
 * authd-core is new, and it tells of each change from then on. What it said last
 * is on disk with the messages (hold records), so that nothing waits for it but
 * the first delivery after a start, and that not for long.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "submitd/spool/spool.h"

#include "lib/log.h"

#define USERS_START_MS	5000	/* so long the first delivery waits */
#define USERS_AGAIN_MS	10000

/* A question, with the names as they were: some may be gone by the answer. */
struct users_ask {
	struct spool	*sp;
	size_t		 n;
	char		 names[AUTHP_USERS_MAX][AUTHP_USER_MAX + 1];
};

static void users_ask(struct spool *sp);

static void
users_apply(struct spool *sp, const char *name, enum authp_user state)
{
	struct queue_user *u = queue_user_find(sp->queue, name);
	bool disabled = state == AUTHP_USER_DISABLED;
	size_t n;

	if (u == NULL || state == AUTHP_USER_UNKNOWN)
		return;
	/* Of one who was deleted, what is held stays held: the administrator
	 * decides. */
	if (state == AUTHP_USER_NONE) {
		u->stale = u->disabled = false;
		return;
	}
	if ((n = queue_user_set(u, disabled)) > 0)
		LOG_EV(LOG_NOTICE, disabled ? "user.held" : "user.released",
		    NULL, KV_S("user", name), KV_U("messages", n));
}

static void
users_known(struct spool *sp)
{
	if (sp->users_known)
		return;
	sp->users_known = true;
	sender_told(sp);
}

static void
users_answered(void *ctx, const struct authc_reply *r)
{
	struct users_ask *a = ctx;
	struct spool *sp = a->sp;
	const uint8_t *states = r->blob;
	bool whole = r->verdict == AUTHP_OK && r->blob_len == a->n;

	sp->users_asking = false;
	for (size_t i = 0; whole && i < a->n; i++) {
		if (states[i] < AUTHP_USER__COUNT)
			users_apply(sp, a->names[i],
			    (enum authp_user)states[i]);
		whole = states[i] < AUTHP_USER_UNKNOWN;
	}
	free(a);
	if (whole)
		users_ask(sp);
	else
		/* A new connection asks at once; one that was only slow stays. */
		timer_arm(&sp->users_again, USERS_AGAIN_MS);
}

/* Asks about the next of those who are stale; one question at a time. */
static void
users_ask(struct spool *sp)
{
	const char *names[AUTHP_USERS_MAX];
	struct users_ask *a;
	struct queue_user *u;

	if (sp->users_asking)
		return;
	if ((a = calloc(1, sizeof(*a))) == NULL) {
		timer_arm(&sp->users_again, USERS_AGAIN_MS);
		return;
	}
	a->sp = sp;
	for (u = queue_user_first(sp->queue); u != NULL &&
	    a->n < AUTHP_USERS_MAX; u = queue_user_next(u))
		if (u->stale && str_copy(a->names[a->n], sizeof(a->names[0]),
		    u->name) == 0) {
			names[a->n] = a->names[a->n];
			a->n++;
		}
	if (a->n == 0)
		users_known(sp);
	else
		sp->users_asking = authc_users(sp->auth, names, a->n,
		    users_answered, a, NULL) == 0;
	if (!sp->users_asking)
		free(a);
}

static void
users_all_stale(struct spool *sp)
{
	struct queue_user *u;

	for (u = queue_user_first(sp->queue); u != NULL; u = queue_user_next(u))
		u->stale = true;
	users_ask(sp);
}

static void
users_up(void *ctx)
{
	users_all_stale(ctx);
}

static void
users_said(void *ctx, const char *user, enum authp_user state)
{
	struct spool *sp = ctx;

	if (user[0] == '\0')
		users_all_stale(sp);
	else
		users_apply(sp, user, state);
}

const struct authc_notices users_notices = {
	.up = users_up,
	.user = users_said,
};

static void
users_timer(void *ctx)
{
	struct spool *sp = ctx;

	users_known(sp);
	users_ask(sp);
}

int
users_start(struct spool *sp)
{
	int r;

	if ((r = timer_init(&sp->users_again, sp->loop, users_timer, sp)) != 0)
		return r;
	sp->users_known = queue_user_first(sp->queue) == NULL;
	if (!sp->users_known)
		timer_arm(&sp->users_again, USERS_START_MS);
	return 0;
}
