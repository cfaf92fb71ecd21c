/*
 * submitctl_names.c - a set of names with open addressing, whose strings stand
 * in blocks. Runs in submitctl.
 */
#include "config.h"

#include "db/submitctl_names.h"

#include <stdlib.h>
#include <string.h>

#include "lib/err.h"

#define NAMES_BLOCK	(1024u * 1024)
#define NAMES_FIRST	1024u		/* slots; a power of two */

struct names_slot {
	const char	*name;		/* NULL: free */
	uint64_t	 line;
};

struct names_block {
	struct names_block	*next;
	size_t			 used;
	char			 text[NAMES_BLOCK];
};

struct names {
	struct names_slot	*slots;
	size_t			 n_slots;
	size_t			 count;
	struct names_block	*blocks;
};

struct names *
names_new(void)
{
	struct names *n = calloc(1, sizeof(*n));

	if (n == NULL)
		return NULL;
	n->n_slots = NAMES_FIRST;
	n->slots = calloc(n->n_slots, sizeof(*n->slots));
	if (n->slots == NULL) {
		free(n);
		return NULL;
	}
	return n;
}

void
names_free(struct names *n)
{
	struct names_block *next;

	if (n == NULL)
		return;
	for (; n->blocks != NULL; n->blocks = next) {
		next = n->blocks->next;
		free(n->blocks);
	}
	free(n->slots);
	free(n);
}

/* FNV-1a. */
static uint64_t
names_hash(const char *s)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (; *s != '\0'; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3u;
	return h ^ h >> 32;
}

/* Where the name is, or the free slot where it would stand. */
static struct names_slot *
names_slot(const struct names *n, const char *name)
{
	size_t i = names_hash(name) & (n->n_slots - 1);

	while (n->slots[i].name != NULL &&
	    strcmp(n->slots[i].name, name) != 0)
		i = (i + 1) & (n->n_slots - 1);
	return &n->slots[i];
}

static int
names_grow(struct names *n)
{
	struct names bigger = { .n_slots = 2 * n->n_slots };

	bigger.slots = calloc(bigger.n_slots, sizeof(*bigger.slots));
	if (bigger.slots == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < n->n_slots; i++)
		if (n->slots[i].name != NULL)
			*names_slot(&bigger, n->slots[i].name) = n->slots[i];
	free(n->slots);
	n->slots = bigger.slots;
	n->n_slots = bigger.n_slots;
	return 0;
}

static const char *
names_keep(struct names *n, const char *name)
{
	size_t len = strlen(name) + 1;
	struct names_block *b = n->blocks;
	char *copy;

	if (len > NAMES_BLOCK)
		return NULL;
	if (b == NULL || NAMES_BLOCK - b->used < len) {
		if ((b = malloc(sizeof(*b))) == NULL)
			return NULL;
		b->next = n->blocks;
		b->used = 0;
		n->blocks = b;
	}
	copy = b->text + b->used;
	memcpy(copy, name, len);
	b->used += len;
	return copy;
}

int
names_add(struct names *n, const char *name, uint64_t line,
    uint64_t *ret_earlier)
{
	struct names_slot *s = names_slot(n, name);

	if (s->name != NULL) {
		*ret_earlier = s->line;
		return ERR_EXISTS;
	}
	if (2 * n->count >= n->n_slots) {
		if (names_grow(n) != 0)
			return ERR_NOMEM;
		s = names_slot(n, name);
	}
	if ((s->name = names_keep(n, name)) == NULL)
		return ERR_NOMEM;
	s->line = line;
	n->count++;
	return 0;
}

uint64_t
names_line(const struct names *n, const char *name)
{
	const struct names_slot *s = names_slot(n, name);

	return s->name != NULL ? s->line : 0;
}

size_t
names_count(const struct names *n)
{
	return n->count;
}
