/*
 * conf_section.c - reads, keeps and frees sections of any kind by its table.
 * Linked into every process: parents read the file's, children what they are
 * sent.
 */
#include "lib/conf_section.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/str.h"

const struct conf_kind *
conf_kind_find(const char *name)
{
	const struct conf_kind *kind;

	for (kind = conf_kinds; kind->name != NULL; kind++) {
		if (strcmp(kind->name, name) == 0)
			return kind;
	}
	return NULL;
}

size_t
conf_section_count(const struct conf *c, const struct conf_kind *kind)
{
	size_t n;

	memcpy(&n, (const char *)c + kind->n, sizeof(n));
	return n;
}

static char *
conf_section_array(const struct conf *c, const struct conf_kind *kind)
{
	char *items;

	memcpy(&items, (const char *)c + kind->items, sizeof(items));
	return items;
}

struct conf_item *
conf_section_at(const struct conf *c, const struct conf_kind *kind, size_t i)
{
	void *item = conf_section_array(c, kind) + i * kind->size;

	return item;
}

static struct conf_item *
conf_section_last(const struct conf *c, const struct conf_kind *kind)
{
	return conf_section_at(c, kind, conf_section_count(c, kind) - 1);
}

static size_t
conf_section_keys(const struct conf_kind *kind)
{
	size_t n = 0;

	while (kind->keys[n].name != NULL)
		n++;
	return n;
}

int
conf_section_error(const struct conf_kind *kind, const void *item,
    struct err *reterr, const char *fmt, ...)
{
	const struct conf_item *head = item;
	char text[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(reterr, ERR_CONFIG, "%s %s: %s", kind->name, head->name,
	    text);
}

const char *
conf_section_place(const struct conf *c, const char *text)
{
	const struct conf_kind *kind;
	const struct conf_item *item;
	size_t i, len, name;

	for (kind = conf_kinds; kind->name != NULL; kind++) {
		len = strlen(kind->name);
		if (strncmp(text, kind->name, len) != 0 || text[len] != ' ')
			continue;
		for (i = 0; i < conf_section_count(c, kind); i++) {
			item = conf_section_at(c, kind, i);
			name = strlen(item->name);
			if (strncmp(text + len + 1, item->name, name) == 0 &&
			    strncmp(text + len + 1 + name, ": ", 2) == 0)
				return item->origin;
		}
	}
	return NULL;
}

/* A new zeroed one at the end. */
static struct conf_item *
conf_section_grow(struct conf *c, const struct conf_kind *kind)
{
	size_t n = conf_section_count(c, kind);
	char *items = reallocarray(conf_section_array(c, kind), n + 1,
	    kind->size);

	if (items == NULL)
		return NULL;
	memset(items + n * kind->size, 0, kind->size);
	n++;
	memcpy((char *)c + kind->items, &items, sizeof(items));
	memcpy((char *)c + kind->n, &n, sizeof(n));
	return conf_section_last(c, kind);
}

static int
conf_section_title(const struct conf_kind *kind, void *item, const char *title,
    char *dst, size_t size, struct err *reterr)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

	if (kind->read_title != NULL)
		return kind->read_title(item, title, dst, size, reterr);
	if (*title == '\0' || strlen(title) > 31 ||
	    title[strspn(title, plain)] != '\0')
		return err_set(reterr, ERR_CONFIG, "%s: expected a name of at "
		    "most 31 letters, digits and . _ -, not \"%.80s\"",
		    kind->name, title);
	return str_copy(dst, size, title);
}

static bool
conf_section_has(const struct conf *c, const struct conf_kind *kind,
    const char *name)
{
	size_t i;

	for (i = 0; i < conf_section_count(c, kind); i++) {
		const struct conf_item *item = conf_section_at(c, kind, i);

		if (item->name != NULL && strcmp(item->name, name) == 0)
			return true;
	}
	return false;
}

int
conf_section_begin(struct conf *c, const struct conf_kind *kind,
    const char *title, const char *origin, struct err *reterr)
{
	char name[CONF_TITLE_MAX];
	struct conf_item *item;
	int r;

	if (conf_section_count(c, kind) == kind->max)
		return err_set(reterr, ERR_CONFIG, "%s: expected at most %zu "
		    "sections", kind->name, kind->max);
	if ((item = conf_section_grow(c, kind)) == NULL)
		goto nomem;
	r = conf_section_title(kind, item, title, name, sizeof(name), reterr);
	if (r != 0)
		return r;
	if (conf_section_has(c, kind, name))
		return err_set(reterr, ERR_CONFIG, "%s: expected each %s once, "
		    "%s is repeated", kind->name, kind->title, name);
	item->name = strdup(name);
	item->origin = strdup(origin);
	item->values = calloc(conf_section_keys(kind), sizeof(*item->values));
	if (item->name != NULL && item->origin != NULL && item->values != NULL)
		return 0;
nomem:
	return err_set(reterr, ERR_NOMEM, "%s: no memory", kind->name);
}

int
conf_section_set(struct conf *c, const struct conf_kind *kind, size_t key,
    const char *const *v, size_t n, const char *origin, struct err *reterr)
{
	struct conf_item *item = conf_section_last(c, kind);

	return conf_value_set(c->values, &kind->keys[key], item,
	    &item->values[key], v, n, origin, reterr);
}

int
conf_section_end(struct conf *c, const struct conf_kind *kind,
    struct err *reterr)
{
	struct conf_item *item = conf_section_last(c, kind);
	const struct conf_key *k;
	int r = 0;

	for (k = kind->keys; k->name != NULL && r == 0; k++) {
		if (!item->values[k - kind->keys].set && k->dflt != NULL)
			r = conf_section_set(c, kind, (size_t)(k - kind->keys),
			    &k->dflt, 1, NULL, reterr);
	}
	return r == 0 && kind->check != NULL ? kind->check(item, reterr) : r;
}

static void
conf_section_free(const struct conf_kind *kind, struct conf_item *item)
{
	const struct conf_key *k;

	for (k = kind->keys; k->name != NULL; k++) {
		k->type->clear((char *)item + k->offset);
		if (item->values != NULL)
			conf_value_free(&item->values[k - kind->keys]);
	}
	if (kind->clear != NULL)
		kind->clear(item);
	free(item->values);
	free(item->origin);
	free(item->name);
}

void
conf_sections_free(struct conf *c)
{
	const struct conf_kind *kind;
	size_t i;

	for (kind = conf_kinds; kind->name != NULL; kind++) {
		for (i = 0; i < conf_section_count(c, kind); i++)
			conf_section_free(kind, conf_section_at(c, kind, i));
		free(conf_section_array(c, kind));
	}
}
