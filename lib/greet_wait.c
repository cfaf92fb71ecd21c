/*
 * greet_wait.c - see greet_wait.h. Runs in submitd-smtp and popd-pop. It must
 * never keep a session from its greeting: without memory it is due at once.
 */
#include "lib/greet_wait.h"

bool
greet_wait_begin(struct greet_wait *w, struct loop *l, struct sessions *t,
    const struct addr *place, loop_fn *fn, void *ctx)
{
	if (sessions_is_plain(t, place) ||
	    timer_init(&w->timer, l, fn, ctx) != 0)
		return false;
	timer_arm(&w->timer, GREET_WAIT_MS);
	return true;
}

bool
greet_wait_on(const struct greet_wait *w)
{
	return w->timer.ev != NULL;
}

void
greet_wait_end(struct greet_wait *w)
{
	timer_free(&w->timer);
}
