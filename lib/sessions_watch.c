/*
 * sessions_watch.c - a worker hears which of its sessions are to end. Runs in
 * workers, on the loop.
 */
#include "lib/sessions_private.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Takes one of ours off the list of those that are to end. */
static uint32_t
sessions_next_asked(struct sessions *t, unsigned int *ret_limit)
{
	uint32_t i;
	struct sessions_slot *s;

	if (!sessions_lock(t))
		return 0;
	i = t->head->asked[t->worker];
	s = sessions_slot(t, i);
	if (s != NULL && s->worker == t->worker && s->state == SLOT_ASKED) {
		sessions_unlink(t, i);
		s->state = SLOT_TOLD;
		*ret_limit = s->limit;
	} else {
		i = 0;
	}
	sessions_unlock(t);
	return i;
}

static void
sessions_woken(void *ctx, int what)
{
	struct sessions *t = ctx;
	unsigned int limit = 0;
	uint64_t n;
	uint32_t i;

	(void)what;
	(void)!read(t->wake[t->worker], &n, sizeof(n));
	for (n = 0; n < t->n_slots &&
	    (i = sessions_next_asked(t, &limit)) != 0; n++)
		if (t->owners[i] != NULL)
			t->end(t->owners[i], limit);
}

int
sessions_listen(struct sessions *t, struct loop *l, sessions_end_fn *fn)
{
	if (t == NULL)
		return 0;
	if (t->worker >= t->n_workers)
		return ERR_FORMAT;
	t->end = fn;
	t->watch = watch_new(l, t->wake[t->worker], sessions_woken, t);
	if (t->watch == NULL)
		return ERR_NOMEM;
	watch_set(t->watch, WATCH_READ);
	return 0;
}

void
sessions_close(struct sessions *t)
{
	if (t == NULL)
		return;
	watch_free(t->watch);
	munmap(t->head, t->octets);
	free(t->owners);
	free(t);
}
