/*
 * sessions_index.c - slots, groups and lists of the table of sessions. Runs in
 * parents and workers, with the lock held; see sessions_private.h.
 *
 * Every index is checked where it is used and every walk ends after as many
 * steps as there are places: whatever another process has written, nothing but
 * the counts can be wrong.
 */
#include "lib/sessions_private.h"

#include <string.h>

#define NETWORK_BITS_V4	(96u + 24u)
#define NETWORK_BITS_V6	48u

struct sessions_slot *
sessions_slot(struct sessions *t, uint32_t i)
{
	return i == 0 || i > t->n_slots ? NULL : &t->slots[i];
}

static struct sessions_group *
index_group(struct sessions *t, uint32_t i)
{
	return i == 0 || i > t->n_groups ? NULL : &t->groups[i];
}

/* ----------------------------------------------------------------- slots -- */

uint32_t
sessions_take_slot(struct sessions *t)
{
	uint32_t i = t->head->free;
	struct sessions_slot *s = sessions_slot(t, i);

	if (s != NULL && s->state == SLOT_FREE) {
		t->head->free = s->link[0].next;
	} else {
		i = t->head->high + 1;
		if ((s = sessions_slot(t, i)) == NULL)
			return 0;
		t->head->high = i;
	}
	memset(s, 0, sizeof(*s));
	return i;
}

void
sessions_give_slot(struct sessions *t, uint32_t i)
{
	struct sessions_slot *s = sessions_slot(t, i);

	if (s == NULL)
		return;
	s->state = SLOT_FREE;
	s->link[0].next = t->head->free;
	t->head->free = i;
}

/* ---------------------------------------------------------------- groups -- */

static void
index_key(const struct sessions_slot *s, enum sessions_list kind,
    uint8_t key[16])
{
	static const uint8_t v4[12] = { [10] = 0xff, [11] = 0xff };

	memset(key, 0, 16);
	if (kind == LIST_USER) {
		memcpy(key, &s->user, sizeof(s->user));
		return;
	}
	memcpy(key, s->ip, 16);
	if (kind == LIST_NETWORK)
		addr_mask(key, memcmp(s->ip, v4, sizeof(v4)) == 0 ?
		    NETWORK_BITS_V4 : NETWORK_BITS_V6);
}

static uint32_t *
index_bucket(struct sessions *t, enum sessions_list kind,
    const uint8_t key[16])
{
	uint8_t hashed[17];

	hashed[0] = (uint8_t)kind;
	memcpy(hashed + 1, key, 16);
	return &t->buckets[siphash(t->key, hashed, sizeof(hashed)) %
	    t->n_buckets];
}

static uint32_t
index_find(struct sessions *t, enum sessions_list kind, const uint8_t key[16])
{
	uint32_t i = *index_bucket(t, kind, key);
	struct sessions_group *g;

	for (uint32_t steps = 0; steps < t->n_groups &&
	    (g = index_group(t, i)) != NULL; steps++, i = g->next)
		if (g->kind == kind && memcmp(g->key, key, 16) == 0)
			return i;
	return 0;
}

static uint32_t
index_find_or_make(struct sessions *t, enum sessions_list kind,
    const uint8_t key[16])
{
	uint32_t i = index_find(t, kind, key), *bucket;
	struct sessions_group *g;

	if (i != 0)
		return i;
	i = t->head->group_free;
	if ((g = index_group(t, i)) != NULL) {
		t->head->group_free = g->next;
	} else {
		i = t->head->group_high + 1;
		if ((g = index_group(t, i)) == NULL)
			return 0;
		t->head->group_high = i;
	}
	bucket = index_bucket(t, kind, key);
	memset(g, 0, sizeof(*g));
	g->kind = kind;
	memcpy(g->key, key, 16);
	g->next = *bucket;
	*bucket = i;
	return i;
}

static void
index_drop_group(struct sessions *t, uint32_t i)
{
	struct sessions_group *g = index_group(t, i), *at;
	uint32_t *from = index_bucket(t, g->kind, g->key);

	for (uint32_t steps = 0; steps < t->n_groups && *from != i; steps++) {
		if ((at = index_group(t, *from)) == NULL)
			return;
		from = &at->next;
	}
	if (*from != i)
		return;
	*from = g->next;
	g->next = t->head->group_free;
	t->head->group_free = i;
}

/* ----------------------------------------------------------------- lists -- */

static void
index_push(struct sessions *t, uint32_t *head, enum sessions_list list,
    uint32_t i)
{
	struct sessions_slot *s = sessions_slot(t, i);
	struct sessions_slot *next = sessions_slot(t, *head);

	s->link[list] = (struct sessions_link){ .prev = 0, .next = *head };
	if (next != NULL)
		next->link[list].prev = i;
	*head = i;
}

static void
index_pull(struct sessions *t, uint32_t *head, enum sessions_list list,
    uint32_t i)
{
	struct sessions_link *l = &sessions_slot(t, i)->link[list];
	struct sessions_slot *prev = sessions_slot(t, l->prev);
	struct sessions_slot *next = sessions_slot(t, l->next);

	if (prev != NULL)
		prev->link[list].next = l->next;
	else if (*head == i)
		*head = l->next;
	if (next != NULL)
		next->link[list].prev = l->prev;
	*l = (struct sessions_link){ 0 };
}

static void
index_join(struct sessions *t, enum sessions_list kind, uint32_t i)
{
	struct sessions_slot *s = sessions_slot(t, i);
	struct sessions_group *g;
	uint8_t key[16];

	index_key(s, kind, key);
	s->group[kind] = index_find_or_make(t, kind, key);
	if ((g = index_group(t, s->group[kind])) == NULL)
		return;
	index_push(t, &g->head, kind, i);
	g->n++;
}

static void
index_part(struct sessions *t, enum sessions_list kind, uint32_t i)
{
	struct sessions_slot *s = sessions_slot(t, i);
	uint32_t group = s->group[kind];
	struct sessions_group *g = index_group(t, group);

	s->group[kind] = 0;
	if (g == NULL)
		return;
	index_pull(t, &g->head, kind, i);
	if (g->n > 0)
		g->n--;
	if (g->n == 0)
		index_drop_group(t, group);
}

/* Of those that are to end, its worker's; NULL: it has none. Read once: another
 * process may change it in between. */
static uint32_t *
index_asked(struct sessions *t, const struct sessions_slot *s)
{
	uint16_t worker = __atomic_load_n(&s->worker, __ATOMIC_RELAXED);

	return worker < SESSIONS_WORKERS_MAX ? &t->head->asked[worker] : NULL;
}

void
sessions_link(struct sessions *t, uint32_t i)
{
	struct sessions_slot *s = sessions_slot(t, i);
	uint32_t *asked = index_asked(t, s);

	if (s->state == SLOT_STRANGER && !s->placeless) {
		index_join(t, LIST_ADDRESS, i);
		index_join(t, LIST_NETWORK, i);
	} else if (s->state == SLOT_KNOWN && s->user != 0) {
		index_join(t, LIST_USER, i);
	} else if (s->state == SLOT_ASKED && asked != NULL) {
		index_push(t, asked, LIST_ASKED, i);
	}
}

void
sessions_unlink(struct sessions *t, uint32_t i)
{
	struct sessions_slot *s = sessions_slot(t, i);
	uint32_t *asked = index_asked(t, s);

	index_part(t, LIST_ADDRESS, i);
	index_part(t, LIST_NETWORK, i);
	index_part(t, LIST_USER, i);
	if (s->state == SLOT_ASKED && asked != NULL)
		index_pull(t, asked, LIST_ASKED, i);
}

/* -------------------------------------------------------------- questions -- */

static struct sessions_group *
index_group_of(struct sessions *t, enum sessions_list kind,
    const struct sessions_slot *s)
{
	uint8_t key[16];

	index_key(s, kind, key);
	return index_group(t, index_find(t, kind, key));
}

uint32_t
sessions_group_size(struct sessions *t, enum sessions_list kind,
    const struct sessions_slot *s)
{
	struct sessions_group *g = index_group_of(t, kind, s);

	return g == NULL ? 0 : g->n;
}

uint32_t
sessions_group_silent(struct sessions *t, enum sessions_list kind,
    const struct sessions_slot *s)
{
	struct sessions_group *g = index_group_of(t, kind, s);
	int64_t heard_ms, silent_ms = INT64_MAX;
	uint32_t i = g == NULL ? 0 : g->head, ret = 0;
	struct sessions_slot *at;

	/* From the newest to the oldest, which is the one if all are equal. */
	for (uint32_t steps = 0; steps < t->n_slots &&
	    (at = sessions_slot(t, i)) != NULL; steps++, i = at->link[kind].next) {
		heard_ms = __atomic_load_n(&at->heard_ms, __ATOMIC_RELAXED);
		if (at->state == SLOT_STRANGER && heard_ms <= silent_ms) {
			silent_ms = heard_ms;
			ret = i;
		}
	}
	return ret;
}

/* ---------------------------------------------------------------- repair -- */

void
sessions_rebuild(struct sessions *t, unsigned int dead)
{
	struct sessions_head *h = t->head;
	uint32_t high = h->high < t->n_slots ? h->high : t->n_slots;
	uint64_t open = 0, strangers = 0;

	h->high = high;
	h->free = 0;
	h->group_high = 0;
	h->group_free = 0;
	memset(h->asked, 0, sizeof(h->asked));
	memset(t->buckets, 0, t->n_buckets * sizeof(*t->buckets));
	for (uint32_t i = high; i > 0; i--) {
		struct sessions_slot *s = &t->slots[i];

		memset(s->link, 0, sizeof(s->link));
		memset(s->group, 0, sizeof(s->group));
		if (s->state == SLOT_FREE || s->worker == dead) {
			sessions_give_slot(t, i);
			continue;
		}
		sessions_link(t, i);
		open++;
		strangers += s->state != SLOT_KNOWN;
	}
	__atomic_store_n(&h->counts.open, open, __ATOMIC_RELAXED);
	__atomic_store_n(&h->counts.strangers, strangers, __ATOMIC_RELAXED);
}
