/*
 * uidl.c - see uidl.h: the map in memory, and its text. Pure;
 * files are uidl_file.c's. Runs on the threads of popd-mbox.
 *
 * Invariants:
 * U1  No two entries have the same name, and no two the same UIDL.
 * U2  An entry, once in, is neither changed nor taken out.
 */
#include "config.h"
#include "popd/mbox/uidl.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "lib/maildir.h"
#include "lib/siphash.h"
#include "lib/str.h"
#include "popd/mbox/client.h"
#include "popd/mbox/uidl_private.h"

#define UIDL_HEAD	"submitd-uidl 1\n"
#define UIDL_TAIL	"end "
#define UIDL_CHUNK	65536u

/* ---------------------------------------------------------------- the map -- */

static struct uidl_map *
uidl_new(void)
{
	struct uidl_map *m = calloc(1, sizeof(*m));

	/* Names and UIDLs are strangers': they must not choose their buckets. */
	if (m != NULL && RAND_bytes(m->key, sizeof(m->key)) != 1) {
		free(m);
		return NULL;
	}
	return m;
}

void
uidl_free(struct uidl_map *m)
{
	struct uidl_chunk *c;

	if (m == NULL)
		return;
	while ((c = m->chunks) != NULL) {
		m->chunks = c->next;
		free(c);
	}
	free(m->text);
	free(m->entries);
	free(m->slots[UIDL_BY_NAME]);
	free(m->slots[UIDL_BY_UIDL]);
	free(m);
}

static const char *
uidl_key_of(const struct uidl_entry *e, enum uidl_by by, size_t *ret_len)
{
	*ret_len = by == UIDL_BY_NAME ? e->name_len : e->uidl_len;
	return by == UIDL_BY_NAME ? e->name : e->uidl;
}

/* Where the key stands, or where it would stand (0 there). */
static uint32_t *
uidl_slot(const struct uidl_map *m, enum uidl_by by, const char *key,
    size_t len)
{
	size_t mask = m->n_slots - 1, n;
	size_t i = (size_t)siphash(m->key, key, len) & mask;
	const char *k;

	for (;; i = (i + 1) & mask) {
		uint32_t *slot = &m->slots[by][i];

		if (*slot == 0)
			return slot;
		k = uidl_key_of(&m->entries[*slot - 1], by, &n);
		if (n == len && memcmp(k, key, len) == 0)
			return slot;
	}
}

/* Other slots, half of them free with `entries`; each entry is put in again. */
static int
uidl_grow_slots(struct uidl_map *m, size_t entries)
{
	size_t n = m->n_slots == 0 ? 64 : m->n_slots, len;
	uint32_t *v[2];

	while (n < entries * 2)
		n *= 2;
	v[0] = calloc(n, sizeof(*v[0]));
	v[1] = calloc(n, sizeof(*v[0]));
	if (v[0] == NULL || v[1] == NULL) {
		free(v[0]);
		free(v[1]);
		return ERR_NOMEM;
	}
	m->n_slots = n;
	for (enum uidl_by by = UIDL_BY_NAME; by <= UIDL_BY_UIDL; by++) {
		free(m->slots[by]);
		m->slots[by] = v[by];
		for (size_t i = 0; i < m->n; i++) {
			const char *k = uidl_key_of(&m->entries[i], by, &len);

			*uidl_slot(m, by, k, len) = (uint32_t)i + 1;
		}
	}
	return 0;
}

static int
uidl_reserve(struct uidl_map *m, size_t room)
{
	struct uidl_entry *v;

	if (room > UIDL_ENTRIES_MAX)
		room = UIDL_ENTRIES_MAX;
	if ((v = realloc(m->entries, room * sizeof(*v))) == NULL)
		return ERR_NOMEM;
	m->entries = v;
	m->n_room = room;
	return 0;
}

static int
uidl_make_room(struct uidl_map *m)
{
	if (m->n >= UIDL_ENTRIES_MAX)
		return ERR_LIMIT;
	if ((m->n + 1) * 2 > m->n_slots && uidl_grow_slots(m, m->n + 1) != 0)
		return ERR_NOMEM;
	if (m->n < m->n_room)
		return 0;
	return uidl_reserve(m, m->n_room == 0 ? 32 : m->n_room * 2);
}

/* Puts in strings that live as long as the map. */
static int
uidl_put(struct uidl_map *m, const struct uidl_entry *e)
{
	uint32_t *by_name, *by_uidl;
	int r = uidl_make_room(m);

	if (r != 0)
		return r;
	by_name = uidl_slot(m, UIDL_BY_NAME, e->name, e->name_len);
	by_uidl = uidl_slot(m, UIDL_BY_UIDL, e->uidl, e->uidl_len);
	if (*by_name != 0 || *by_uidl != 0)
		return ERR_EXISTS;			/* U1 */
	m->entries[m->n++] = *e;
	*by_name = *by_uidl = (uint32_t)m->n;
	return 0;
}

const char *
uidl_find(const struct uidl_map *m, const char *name, size_t unique_len)
{
	uint32_t i;

	if (m == NULL || m->n == 0)
		return NULL;
	i = *uidl_slot(m, UIDL_BY_NAME, name, unique_len);
	return i == 0 ? NULL : m->entries[i - 1].uidl;
}

bool
uidl_is_taken(const struct uidl_map *m, const char *uidl)
{
	return m != NULL && m->n > 0 &&
	    *uidl_slot(m, UIDL_BY_UIDL, uidl, strlen(uidl)) != 0;
}

size_t
uidl_count(const struct uidl_map *m)
{
	return m == NULL ? 0 : m->n;
}

size_t
uidl_octets(const struct uidl_map *m)
{
	return m == NULL ? 0 : sizeof(*m) + m->text_len + m->chunk_octets +
	    m->n_room * sizeof(*m->entries) +
	    2 * m->n_slots * sizeof(*m->slots[0]);
}

bool
uidl_is_fit(const char *uidl, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (uidl[i] < 0x21 || uidl[i] > 0x7E)
			return false;
	return len >= 1 && len <= MBOXC_UIDL_MAX;
}

/* A file's name can be that, and our file can hold it. */
static bool
uidl_is_name(const char *name, size_t len)
{
	return len >= 1 && len <= MAILDIR_NAME_MAX &&
	    memchr(name, '\n', len) == NULL && memchr(name, '/', len) == NULL &&
	    memchr(name, '\0', len) == NULL;
}

/* ------------------------------------------------------------------ adding -- */

/* A copy, with a NUL behind it, that lives as long as the map. */
static char *
uidl_keep(struct uidl_map *m, const char *s, size_t len)
{
	struct uidl_chunk *c = m->chunks;
	char *p;

	if (c == NULL || UIDL_CHUNK - c->used < len + 1) {
		if ((c = malloc(sizeof(*c) + UIDL_CHUNK)) == NULL)
			return NULL;
		c->used = 0;
		c->next = m->chunks;
		m->chunks = c;
		m->chunk_octets += sizeof(*c) + UIDL_CHUNK;
	}
	p = c->mem + c->used;
	memcpy(p, s, len);
	p[len] = '\0';
	c->used += len + 1;
	return p;
}

int
uidl_add(struct uidl_map **m, const char *name, size_t unique_len,
    const char *uidl, size_t uidl_len)
{
	struct uidl_entry e = { .name_len = (uint16_t)unique_len,
		.uidl_len = (uint16_t)uidl_len };

	if (!uidl_is_name(name, unique_len) || !uidl_is_fit(uidl, uidl_len))
		return ERR_FORMAT;
	if (*m == NULL && (*m = uidl_new()) == NULL)
		return ERR_NOMEM;
	if (uidl_find(*m, name, unique_len) != NULL)
		return ERR_EXISTS;
	e.name = uidl_keep(*m, name, unique_len);
	e.uidl = uidl_keep(*m, uidl, uidl_len);
	return e.name == NULL || e.uidl == NULL ? ERR_NOMEM : uidl_put(*m, &e);
}

/* ------------------------------------------------------------- as a text -- */

/* "UIDL NAME"; `end` is its LF. The UIDL gets its NUL. */
static int
uidl_parse_line(struct uidl_map *m, char *line, char *end)
{
	char *space = memchr(line, ' ', (size_t)(end - line));
	struct uidl_entry e;

	if (space == NULL || !uidl_is_fit(line, (size_t)(space - line)) ||
	    !uidl_is_name(space + 1, (size_t)(end - space - 1)))
		return ERR_FORMAT;
	*space = '\0';
	e = (struct uidl_entry){ .uidl = line, .name = space + 1,
		.uidl_len = (uint16_t)(space - line),
		.name_len = (uint16_t)(end - space - 1) };
	return uidl_put(m, &e);
}

/* Room for all of them at once: a login may wait for it. */
static int
uidl_prepare(struct uidl_map *m, const char *p, const char *stop)
{
	size_t n = 1;

	for (; (p = memchr(p, '\n', (size_t)(stop - p))) != NULL; p++)
		n++;
	if (n > UIDL_ENTRIES_MAX)
		n = UIDL_ENTRIES_MAX;
	if (uidl_reserve(m, n) != 0)
		return ERR_NOMEM;
	return uidl_grow_slots(m, n);
}

/* The lines between the first one and the last. */
static int
uidl_parse_body(struct uidl_map *m, char *p, char *stop, struct err *reterr)
{
	size_t line = 2;
	char *end;
	int r;

	for (; p < stop; p = end + 1, line++) {
		end = memchr(p, '\n', (size_t)(stop - p));
		if (end == NULL)
			break;
		if ((size_t)(end - p) > sizeof(UIDL_TAIL) - 1 &&
		    memcmp(p, UIDL_TAIL, sizeof(UIDL_TAIL) - 1) == 0 &&
		    end + 1 == stop) {
			uint64_t n;

			p += sizeof(UIDL_TAIL) - 1;
			if (str_u64_n(p, (size_t)(end - p), 0, UINT64_MAX,
			    &n) == 0 && n == m->n)
				return 0;
			break;
		}
		if ((r = uidl_parse_line(m, p, end)) != 0)
			return err_set(reterr, r, UIDL_FILE ": line %zu: %s",
			    line, r == ERR_EXISTS ? "it was there before" :
			    err_name(r));
	}
	return err_set(reterr, ERR_FORMAT, UIDL_FILE ": it is cut off at line "
	    "%zu", line);
}

int
uidl_parse(char *text, size_t len, struct uidl_map **ret, struct err *reterr)
{
	size_t head = sizeof(UIDL_HEAD) - 1;
	struct uidl_map *m = uidl_new();
	int r;

	*ret = NULL;
	if (m == NULL) {
		free(text);
		return err_set(reterr, ERR_NOMEM, "no memory");
	}
	m->text = text;
	m->text_len = len;
	if (len < head || memcmp(text, UIDL_HEAD, head) != 0)
		r = err_set(reterr, ERR_FORMAT, UIDL_FILE ": its first line is "
		    "not one of this version");
	else if (uidl_prepare(m, text + head, text + len) != 0)
		r = err_set(reterr, ERR_NOMEM, "no memory");
	else
		r = uidl_parse_body(m, text + head, text + len, reterr);
	if (r != 0) {
		uidl_free(m);
		return r == ERR_EXISTS ? ERR_FORMAT : r;
	}
	*ret = m;
	return 0;
}

int
uidl_format(const struct uidl_map *m, char **ret, size_t *ret_len)
{
	size_t size = sizeof(UIDL_HEAD) + sizeof(UIDL_TAIL) + 32, len;
	const struct uidl_entry *e;
	char *text;

	for (size_t i = 0; i < uidl_count(m); i++)
		size += (size_t)m->entries[i].uidl_len +
		    m->entries[i].name_len + 2;
	if (size > UIDL_OCTETS_MAX)
		return ERR_LIMIT;
	if ((text = malloc(size)) == NULL)
		return ERR_NOMEM;
	memcpy(text, UIDL_HEAD, len = sizeof(UIDL_HEAD) - 1);
	for (size_t i = 0; i < uidl_count(m); i++) {
		e = &m->entries[i];
		memcpy(text + len, e->uidl, e->uidl_len);
		len += e->uidl_len;
		text[len++] = ' ';
		memcpy(text + len, e->name, e->name_len);
		len += e->name_len;
		text[len++] = '\n';
	}
	(void)str_format(text + len, size - len, UIDL_TAIL "%zu\n",
	    uidl_count(m));
	*ret = text;
	*ret_len = len + strlen(text + len);
	return 0;
}
