/*
 * greet_wait.c - see greet_wait.h. Runs in submitd-smtp and popd-pop.
 */
#include "lib/greet_wait.h"

#include <stdlib.h>

#include "lib/err.h"
#include "lib/str.h"

struct greet_waiting {
	int			 fd;
	struct watch		*watch;
	struct timer		 timer;
	struct acceptor_client	 client;
	char			 name[32];
	greet_wait_fn		*fn;
	void			*ctx;
};

static void
greet_wait_over(void *ctx)
{
	struct greet_waiting *w = ctx;

	watch_free(w->watch);
	timer_free(&w->timer);
	w->fn(w->ctx, w->fd, &w->client, w->name);
	free(w);
}

static void
greet_wait_ready(void *ctx, int what)
{
	(void)what;
	greet_wait_over(ctx);
}

int
greet_wait(struct loop *l, int fd, const struct acceptor_client *c,
    const char *name, greet_wait_fn *fn, void *ctx)
{
	struct greet_waiting *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return ERR_NOMEM;
	w->fd = fd;
	w->client = *c;
	str_copy(w->name, sizeof(w->name), name);
	w->fn = fn;
	w->ctx = ctx;
	if (timer_init(&w->timer, l, greet_wait_over, w) != 0) {
		free(w);
		return ERR_NOMEM;
	}
	if ((w->watch = watch_new(l, fd, greet_wait_ready, w)) == NULL) {
		timer_free(&w->timer);
		free(w);
		return ERR_NOMEM;
	}
	watch_set(w->watch, WATCH_READ);
	timer_arm(&w->timer, GREET_WAIT_MS);
	return 0;
}
