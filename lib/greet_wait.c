/*
 * greet_wait.c - see greet_wait.h. Runs in submitd-smtp and popd-pop. It must
 * never keep a session from its greeting: without memory it is due at once.
 */
#include "config.h"

#include "lib/greet_wait.h"

#include <stdlib.h>

static int64_t
greet_wait_ms(void)
{
#ifdef SUBMITD_TEST_BUILD
	const char *s = getenv("SUBMITD_TEST_GREET_MS");

	if (s != NULL)
		return strtoll(s, NULL, 10);
#endif
	return GREET_WAIT_MS;
}

bool
greet_wait_begin(struct greet_wait *w, struct loop *l, struct sessions *t,
    const struct addr *place, loop_fn *fn, void *ctx)
{
	if (!sessions_hello_wait(t, place))
		return false;
	if (timer_init(&w->timer, l, fn, ctx) != 0) {
		sessions_hello_waited(t, place);
		return false;
	}
	w->table = t;
	w->place = place;
	timer_arm(&w->timer, greet_wait_ms());
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
	if (!greet_wait_on(w))
		return;
	timer_free(&w->timer);
	sessions_hello_waited(w->table, w->place);
}
