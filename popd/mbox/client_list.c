/*
 * client_list.c - the list of an opened maildrop. Runs in popd-pop.
 */
#include "config.h"
#include "popd/mbox/client_private.h"

#include <stdlib.h>

#include "lib/err.h"
#include "lib/str.h"

static int
mboxc_grow(struct mboxc_drop *d, size_t more)
{
	size_t room = d->n_room == 0 ? 16 : d->n_room;
	struct mboxc_message *v;

	while (room < d->n_messages + more)
		room *= 2;
	if (room == d->n_room)
		return 0;
	if ((v = realloc(d->messages, room * sizeof(*v))) == NULL)
		return ERR_NOMEM;
	d->messages = v;
	d->n_room = room;
	return 0;
}

static int
mboxc_take_entry(struct mboxc_drop *d, struct msg_in *in)
{
	struct mboxc_message *e = &d->messages[d->n_messages];
	const char *uidl;

	msg_get_u64(in, &e->octets);
	if (msg_get_str(in, &uidl, MBOXC_UIDL_MAX) != 0 || *uidl == '\0')
		return ERR_FORMAT;
	d->n_messages++;
	return str_copy(e->uidl, sizeof(e->uidl), uidl);
}

int
mboxc_list_take(struct mboxc_drop *d, struct msg_in *in, size_t n)
{
	if (mboxc_grow(d, n) != 0)
		return ERR_NOMEM;
	for (; n > 0; n--)
		if (mboxc_take_entry(d, in) != 0)
			return ERR_FORMAT;
	return msg_get_end(in);
}

void
mboxc_list_free(struct mboxc_drop *d)
{
	free(d->messages);
}

size_t
mboxc_count(const struct mboxc_drop *d)
{
	return d->count;
}

const struct mboxc_message *
mboxc_message(const struct mboxc_drop *d, size_t i)
{
	return &d->messages[i];
}
