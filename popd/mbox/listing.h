/*
 * listing.h - the list of a maildrop as popd-mbox hands it to popd-pop: inside a
 * packet, or as a sealed memfd that all sessions of that list map.
 *
 * A head, an entry a message, then the UIDLs without any end, in the order of
 * the entries; both sides run on one machine, so numbers are as it has them.
 * Pure; the reader takes nothing for granted.
 */
#ifndef SUBMITD_LISTING_H
#define SUBMITD_LISTING_H

#include <stddef.h>
#include <stdint.h>

#include "popd/mbox/client.h"

#define LISTING_INLINE_MAX (32u * 1024)	/* larger ones go as a memfd */

/* How long the listing of `count` messages is whose UIDLs have so many octets
 * together. */
size_t	listing_size(size_t count, size_t uidl_octets);

struct listing_out {
	uint8_t		*mem;		/* listing_size(); 8-aligned */
	size_t		 n;		/* entries put so far */
	size_t		 at;		/* where the next UIDL goes */
};

/* `mem` is the caller's, of listing_size(); then exactly `count` times put. */
void	listing_begin(struct listing_out *o, void *mem, size_t count);
void	listing_put(struct listing_out *o, uint64_t octets, const char *uidl,
	    size_t uidl_len);

/* 0 and the number of messages if all of it is sound, else ERR_FORMAT: then
 * nothing else may be asked of it. `mem` is 8-aligned. */
int	listing_check(const void *mem, size_t len, size_t *ret_count);
uint64_t listing_octets(const void *mem, size_t i);
uint64_t listing_octets_all(const void *mem);
void	listing_message(const void *mem, size_t i, struct mboxc_message *ret);

#endif
