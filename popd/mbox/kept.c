/*
 * kept.c - the octets of "submitd-list": see kept.h. Pure; runs in popd-mbox.
 */
#include "config.h"
#include "popd/mbox/kept.h"

#include <stdlib.h>
#include <string.h>

#include "lib/crc32c.h"
#include "lib/maildir.h"
#include "popd/mbox/maildrop.h"

#define KEPT_MESSAGES	1000u	/* fewer are looked at sooner than this is read */
#define KEPT_OCTETS	(1024u * 1024)	/* that had to be read */

_Static_assert(sizeof(struct kept_head) == 144, "no holes");
_Static_assert(sizeof(struct kept_entry) == 32, "no holes");

/* --------------------------------------------------------------- reading -- */

static bool
kept_is_true(const struct kept_entry *k)
{
	/* Every octet may be an LF that becomes CR LF; a last line without an
	 * end gets one. */
	return k->sub < LIST__SUBS && k->size <= INT64_MAX &&
	    k->octets >= k->size &&
	    k->octets - k->size <= k->size + (k->size > 0);
}

/* A name in a folder, and one that a scan takes. */
static bool
kept_is_name(const char *name, size_t len)
{
	return len > 0 && len <= MAILDIR_NAME_MAX && name[0] != '.' &&
	    name[len] == '\0' && memchr(name, '\0', len) == NULL &&
	    memchr(name, '/', len) == NULL;
}

static void
kept_get_stamp(const struct kept_stamp *k, struct list_stamp *ret)
{
	*ret = (struct list_stamp){ .dev = (dev_t)k->dev,
		.ino = (ino_t)k->ino,
		.mtime = { .tv_sec = k->mtime_s, .tv_nsec = k->mtime_ns },
		.ctime = { .tv_sec = k->ctime_s, .tv_nsec = k->ctime_ns } };
}

/* What is said of the names here is what they say themselves. */
static int
kept_get_entries(const uint8_t *p, struct list *l, size_t n)
{
	const char *name = l->names, *end = name + l->names_octets;
	struct kept_entry k;
	struct list_entry *e;

	for (; l->n < n; l->n++, p += sizeof(k), name += k.name_len + 1) {
		memcpy(&k, p, sizeof(k));
		if (!kept_is_true(&k) || (size_t)(end - name) <= k.name_len ||
		    !kept_is_name(name, k.name_len))
			return ERR_FORMAT;
		e = &l->entries[l->n];
		*e = (struct list_entry){ .name = name, .ino = (ino_t)k.ino,
			.time = maildrop_name_time(name), .size = k.size,
			.octets = k.octets, .sub = k.sub, .known = true,
			.unique_len = (uint8_t)maildrop_name_unique(name) };
		if (l->n == 0)
			continue;
		if (list_compare(e - 1, e) >= 0)
			return ERR_FORMAT;
		e->twin = list_compare_unique(e - 1, e) == 0;
	}
	return name == end ? 0 : ERR_FORMAT;
}

static int
kept_get_head(const void *mem, size_t len, size_t max, struct kept_head *ret)
{
	const uint8_t *p = mem;
	size_t entries;

	if (len < sizeof(*ret) || len > KEPT_OCTETS_MAX)
		return ERR_FORMAT;
	memcpy(ret, mem, sizeof(*ret));
	entries = (size_t)ret->n * sizeof(struct kept_entry);
	if (ret->magic != KEPT_MAGIC || ret->n > max ||
	    entries > len - sizeof(*ret) ||
	    ret->names_octets != len - sizeof(*ret) - entries ||
	    ret->crc != crc32c(0, p + KEPT_CRC_FROM, len - KEPT_CRC_FROM))
		return ERR_FORMAT;
	return 0;
}

int
kept_parse(const void *mem, size_t len, size_t max, struct list **ret)
{
	const uint8_t *p = mem;
	struct kept_head h;
	struct list *l;
	int r;

	if ((r = kept_get_head(mem, len, max, &h)) != 0)
		return r;
	if ((l = list_new()) == NULL)
		return ERR_NOMEM;
	l->entries = malloc((h.n + 1) * sizeof(*l->entries));
	l->names = malloc(h.names_octets + 1);
	if (l->entries == NULL || l->names == NULL) {
		list_unref(l);
		return ERR_NOMEM;
	}
	l->names_octets = h.names_octets;
	memcpy(l->names, p + len - h.names_octets, h.names_octets);
	for (int sub = 0; sub < LIST__SUBS; sub++) {
		kept_get_stamp(&h.stamp[sub], &l->stamp[sub]);
		l->settled[sub] = h.settled[sub] != 0;
		l->n_skipped[sub] = h.n_skipped[sub];
	}
	l->complete = h.complete != 0;
	l->kept = true;
	l->news.stamps = !l->settled[LIST_NEW] || !l->settled[LIST_CUR];
	if ((r = kept_get_entries(p + sizeof(h), l, h.n)) != 0) {
		list_unref(l);
		return r;
	}
	*ret = l;
	return 0;
}

/* --------------------------------------------------------------- writing -- */

static void
kept_put_head(const struct list *l, struct kept_head *h)
{
	*h = (struct kept_head){ .magic = KEPT_MAGIC, .n = (uint32_t)l->n,
		.complete = l->complete };
	for (int sub = 0; sub < LIST__SUBS; sub++) {
		const struct list_stamp *s = &l->stamp[sub];

		h->stamp[sub] = (struct kept_stamp){ .dev = s->dev,
			.ino = s->ino, .mtime_s = s->mtime.tv_sec,
			.mtime_ns = s->mtime.tv_nsec,
			.ctime_s = s->ctime.tv_sec,
			.ctime_ns = s->ctime.tv_nsec };
		h->settled[sub] = l->settled[sub];
		h->n_skipped[sub] = l->n_skipped[sub];
	}
}

int
kept_format(const struct list *l, void **ret, size_t *ret_len)
{
	size_t at = sizeof(struct kept_head) + l->n *
	    sizeof(struct kept_entry), len = at;
	struct kept_entry k;
	struct kept_head h;
	uint8_t *mem, *p;

	kept_put_head(l, &h);
	for (size_t i = 0; i < l->n; i++)
		h.names_octets += strlen(l->entries[i].name) + 1;
	len += h.names_octets;
	if ((mem = malloc(len)) == NULL)
		return ERR_NOMEM;
	p = mem + sizeof(h);
	for (size_t i = 0; i < l->n; i++, p += sizeof(k)) {
		const struct list_entry *e = &l->entries[i];

		k = (struct kept_entry){ .ino = e->ino, .size = e->size,
			.octets = e->octets, .sub = e->sub,
			.name_len = (uint8_t)strlen(e->name) };
		memcpy(p, &k, sizeof(k));
		memcpy(mem + at, e->name, k.name_len + 1u);
		at += k.name_len + 1u;
	}
	memcpy(mem, &h, sizeof(h));
	h.crc = crc32c(0, mem + KEPT_CRC_FROM, len - KEPT_CRC_FROM);
	memcpy(mem, &h, sizeof(h));
	*ret = mem;
	*ret_len = len;
	return 0;
}

/* ------------------------------------------------------------------ when -- */

bool
kept_is_due(const struct list *l)
{
	const struct list_news *w = &l->news;
	size_t few = 8 + l->n / 64;
	bool costly = w->reads >= few || w->octets >= KEPT_OCTETS + l->n * 64;

	/* Written while a folder was young: once more when it is not. */
	if (w->stamps && l->kept && l->settled[LIST_NEW] &&
	    l->settled[LIST_CUR])
		return true;
	return costly || (w->changes >= few && (l->kept ||
	    l->n >= KEPT_MESSAGES));
}

bool
kept_is_void(const struct list *l)
{
	return l->kept && l->n == 0;
}
