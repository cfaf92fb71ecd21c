/*
 * conf_value.c - how one value becomes a field: its words, its paths, its text
 * that is kept. For keys and for the keys in sections alike; linked into every
 * process.
 */
#include "lib/conf_private.h"

#include <stdlib.h>
#include <string.h>

void
conf_free_strs(char **v, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		free(v[i]);
	free(v);
}

static int
conf_words_add(struct conf_words *w, const char *s, size_t len,
    const char *base)
{
	char **v = reallocarray(w->v, w->n + 1, sizeof(*v));
	int r;

	if (v == NULL)
		return ERR_NOMEM;
	w->v = v;
	if (base != NULL)
		r = asprintf(&w->v[w->n], "%s/%.*s", base, (int)len, s);
	else
		r = (w->v[w->n] = strndup(s, len)) == NULL ? -1 : 0;
	if (r < 0)
		return ERR_NOMEM;
	w->n++;
	return 0;
}

/* The base a path of this key begins at, or NULL. */
static const char *
conf_base_of(const struct conf_values *vals, const struct conf_key *k, const char *s,
    size_t len)
{
	if (!k->type->path || len == 0 || s[0] == '/')
		return NULL;
	/* log_to has two words that are no paths */
	if (len == 6 && (strncmp(s, "stderr", 6) == 0 ||
	    strncmp(s, "syslog", 6) == 0))
		return NULL;
	return vals->base;
}

/* The elements of a list, split further at commas and white space; of another
 * key the value as it is. The name of a file may hold both: paths are split
 * only where all of them stand in ONE_TEXT, and only at commas. */
static int
conf_split(const struct conf_values *vals, const struct conf_key *k, bool one_text,
    const char *const *v, size_t n, struct conf_words *ret)
{
	static const char gaps[] = ", \t\r\n";
	const char *ends = k->type->path ? "," : gaps, *s;
	char utc[CONF_WHEN_SIZE];
	size_t i, len;
	int r;

	for (i = 0; i < n; i++) {
		s = v[i];
		if (k->type == &conf_when && conf_when_utc(s, utc) == 0)
			s = utc;
		if (!k->type->list || (k->type->path && !one_text)) {
			len = strlen(s);
			if (len == 0 && k->type->list)
				continue;
			if ((r = conf_words_add(ret, s, len, conf_base_of(vals, k,
			    s, len))) != 0)
				return r;
			continue;
		}
		for (s += strspn(s, gaps); *s != '\0'; s += strspn(s, gaps)) {
			len = strcspn(s, ends);
			if ((r = conf_words_add(ret, s, len, conf_base_of(vals, k,
			    s, len))) != 0)
				return r;
			s += len;
		}
	}
	return 0;
}

static int
conf_parse_words(const struct conf_key *k, void *field,
    const struct conf_words *w, struct err *reterr)
{
	int r;

	if (k->type->parse == NULL)
		return conf_key_error(k, w->v, w->n, reterr);
	k->type->clear(field);
	r = k->type->parse(field, k, w->v, w->n);
	if (r == ERR_NOMEM)
		return err_set(reterr, r, "%s: no memory", k->name);
	return r == 0 ? 0 : conf_key_error(k, w->v, w->n, reterr);
}

void
conf_value_free(struct conf_value *value)
{
	conf_free_strs(value->v, value->n);
	free(value->origin);
	memset(value, 0, sizeof(*value));
}

int
conf_value_set(const struct conf_values *vals, const struct conf_key *k,
    void *object, struct conf_value *value, const char *const *v, size_t n,
    const char *origin, struct err *reterr)
{
	struct conf_words w = { NULL, 0 };
	char *where = NULL;
	bool one_text = origin == NULL || strcmp(origin, "-o") == 0;
	int r = conf_split(vals, k, one_text, v, n, &w);

	if (r == 0 && origin != NULL && (where = strdup(origin)) == NULL)
		r = ERR_NOMEM;
	if (r == 0)
		r = conf_parse_words(k, (char *)object + k->offset, &w, reterr);
	else
		err_set(reterr, r, "%s: no memory", k->name);
	if (r != 0) {
		conf_free_strs(w.v, w.n);
		free(where);
		return r;
	}
	conf_value_free(value);
	*value = (struct conf_value){ .v = w.v, .n = w.n,
	    .set = origin != NULL, .origin = where };
	return 0;
}

int
conf_default_words(const struct conf_values *vals, const struct conf_key *k,
    struct conf_words *ret)
{
	char *text = conf_default(vals, k);
	int r;

	if (text == NULL)
		return ERR_NOMEM;
	r = conf_split(vals, k, true, (const char *const *)&text, 1, ret);
	free(text);
	return r;
}
