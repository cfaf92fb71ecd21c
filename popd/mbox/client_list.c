/*
 * client_list.c - the list of an opened maildrop. Runs in popd-pop.
 *
 * A small one is a copy; a large one is mapped from a memfd that popd-mbox has
 * sealed, one for all sessions that show that list: it cannot change or shrink
 * under us, and the pages are shared.
 */
#include "config.h"
#include "popd/mbox/client_private.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lib/err.h"
#include "popd/mbox/listing.h"
#include "popd/mbox/protocol.h"

#define MBOXC_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static int
mboxc_list_take(struct mboxc_drop *d, void *mem, size_t len, bool mapped)
{
	d->listing = mem;
	d->listing_octets = len;
	d->mapped = mapped;
	if (listing_check(mem, len, &d->count) == 0)
		return 0;
	d->count = 0;
	mboxc_list_free(d);
	return ERR_FORMAT;
}

int
mboxc_list_copy(struct mboxc_drop *d, const void *listing, size_t len)
{
	void *mem = malloc(len + 1);

	if (mem == NULL)
		return ERR_NOMEM;
	memcpy(mem, listing, len);
	return mboxc_list_take(d, mem, len, false);
}

int
mboxc_list_map(struct mboxc_drop *d, int fd)
{
	size_t max = listing_size(MBOX_MESSAGES_MAX, (size_t)MBOXC_UIDL_MAX *
	    MBOX_MESSAGES_MAX);
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;
	void *mem;

	if (seals < 0 || (seals & MBOXC_SEALS) != MBOXC_SEALS ||
	    fstat(fd, &st) != 0 || st.st_size <= 0 ||
	    (size_t)st.st_size > max)
		return ERR_FORMAT;
	mem = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (mem == MAP_FAILED)
		return ERR_NOMEM;
	return mboxc_list_take(d, mem, (size_t)st.st_size, true);
}

void
mboxc_list_free(struct mboxc_drop *d)
{
	if (d->mapped)
		munmap(d->listing, d->listing_octets);
	else
		free(d->listing);
	d->listing = NULL;
	d->mapped = false;
}

size_t
mboxc_count(const struct mboxc_drop *d)
{
	return d->count;
}

uint64_t
mboxc_octets(const struct mboxc_drop *d)
{
	return d->count == 0 ? 0 : listing_octets_all(d->listing);
}

const struct mboxc_message *
mboxc_message(const struct mboxc_drop *d, size_t i)
{
	static struct mboxc_message m;	/* one loop, one thread a process */

	listing_message(d->listing, i, &m);
	return &m;
}
