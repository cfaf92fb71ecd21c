/*
 * listing.c - see listing.h. Pure; runs in popd-mbox and popd-pop.
 */
#include "config.h"
#include "popd/mbox/listing.h"

#include <string.h>

#include "lib/err.h"
#include "popd/mbox/protocol.h"

#define LISTING_MAGIC 0x504f5031u	/* "POP1" */

struct listing_head {
	uint32_t	magic;
	uint32_t	count;
	uint64_t	octets;		/* of all messages */
};

struct listing_entry {
	uint64_t	octets;
	uint32_t	at;		/* its UIDL, from the beginning */
	uint32_t	len;
};

static struct listing_entry *
listing_entries(uint8_t *mem)
{
	return (struct listing_entry *)(void *)(mem +
	    sizeof(struct listing_head));
}

static const struct listing_entry *
listing_entry(const void *mem, size_t i)
{
	const uint8_t *p = mem;

	return (const struct listing_entry *)(const void *)(p +
	    sizeof(struct listing_head)) + i;
}

size_t
listing_size(size_t count, size_t uidl_octets)
{
	return sizeof(struct listing_head) + count *
	    sizeof(struct listing_entry) + uidl_octets;
}

void
listing_begin(struct listing_out *o, void *mem, size_t count)
{
	struct listing_head *h = mem;

	*h = (struct listing_head){ .magic = LISTING_MAGIC,
		.count = (uint32_t)count };
	*o = (struct listing_out){ .mem = mem, .at = listing_size(count, 0) };
}

void
listing_put(struct listing_out *o, uint64_t octets, const char *uidl,
    size_t uidl_len)
{
	struct listing_head *h = (struct listing_head *)(void *)o->mem;

	listing_entries(o->mem)[o->n++] = (struct listing_entry){
		.octets = octets, .at = (uint32_t)o->at,
		.len = (uint32_t)uidl_len };
	memcpy(o->mem + o->at, uidl, uidl_len);
	o->at += uidl_len;
	h->octets += octets;
}

int
listing_check(const void *mem, size_t len, size_t *ret_count)
{
	const struct listing_head *h = mem;
	const struct listing_entry *e;
	size_t at;

	if (len < sizeof(*h) || h->magic != LISTING_MAGIC ||
	    h->count > MBOX_MESSAGES_MAX ||
	    (at = listing_size(h->count, 0)) > len)
		return ERR_FORMAT;
	for (size_t i = 0; i < h->count; i++, at += e->len) {
		e = listing_entry(mem, i);
		if (e->at != at || e->len < 1 || e->len > MBOXC_UIDL_MAX ||
		    e->len > len - at)
			return ERR_FORMAT;
	}
	*ret_count = h->count;
	return at == len ? 0 : ERR_FORMAT;
}

uint64_t
listing_octets(const void *mem, size_t i)
{
	return listing_entry(mem, i)->octets;
}

uint64_t
listing_octets_all(const void *mem)
{
	return ((const struct listing_head *)mem)->octets;
}

void
listing_message(const void *mem, size_t i, struct mboxc_message *ret)
{
	const struct listing_entry *e = listing_entry(mem, i);

	ret->octets = e->octets;
	memcpy(ret->uidl, (const uint8_t *)mem + e->at, e->len);
	ret->uidl[e->len] = '\0';
}
