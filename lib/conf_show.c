/*
 * conf_show.c - prints a configuration such that it can stand in a file.
 * Linked into every process; only submitctl prints.
 */
#include "lib/conf_private.h"

#include <string.h>

#include "lib/conf_section.h"

/* Such that it can stand in the file. */
static void
conf_show_word(FILE *to, const char *s)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/%@:[]-";

	if (*s != '\0' && s[strspn(s, plain)] == '\0' &&
	    strstr(s, "//") == NULL) {
		fputs(s, to);
		return;
	}
	fputc('"', to);
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\' || *s == '$')
			fputc('\\', to);
		fputc(*s, to);
	}
	fputc('"', to);
}

static void
conf_show_words(FILE *to, const char *indent, const char *name, bool list,
    char *const *v, size_t n)
{
	size_t i;

	fprintf(to, "%s%s = %s", indent, name, list ? "{" : "");
	for (i = 0; i < n; i++) {
		fputs(i > 0 ? ", " : list ? " " : "", to);
		conf_show_word(to, v[i]);
	}
	fputs(list ? n > 0 ? " }\n" : "}\n" : "\n", to);
}

/* What is set in them; the title and the values as the file has them. */
static void
conf_show_sections(FILE *to, const struct conf *c, const struct conf_kind *kind)
{
	const struct conf_item *item;
	const struct conf_key *k;
	const struct conf_value *v;
	size_t i;

	for (i = 0; i < conf_section_count(c, kind); i++) {
		item = conf_section_at(c, kind, i);
		fprintf(to, "%s ", kind->name);
		conf_show_word(to, item->name);
		fputs(" {\n", to);
		for (k = kind->keys; k->name != NULL; k++) {
			v = &item->values[k - kind->keys];
			if (v->set)
				conf_show_words(to, "\t", k->name,
				    k->type->list, v->v, v->n);
		}
		fputs("}\n", to);
	}
}

static bool
conf_words_eq(const struct conf_words *w, const struct conf_value *v)
{
	size_t i;

	for (i = 0; i < w->n && i < v->n; i++) {
		if (strcmp(w->v[i], v->v[i]) != 0)
			return false;
	}
	return w->n == v->n;
}

static int
conf_show_key(const struct conf *c, FILE *to, enum conf_show what, size_t key)
{
	const struct conf_key *k = &conf_keys[key];
	const struct conf_value *v = &c->values->key[key];
	struct conf_words w = { NULL, 0 };
	int r;

	if (k->type->parse == NULL) {
		if (what != CONF_DEFAULTS)
			conf_show_sections(to, c, conf_kind_find(k->name));
		return 0;
	}
	r = conf_default_words(c->values, k, &w);
	if (r == 0 && what == CONF_DEFAULTS)
		conf_show_words(to, "", k->name, k->type->list, w.v, w.n);
	else if (r == 0 && (what == CONF_ALL || !conf_words_eq(&w, v)))
		conf_show_words(to, "", k->name, k->type->list, v->v, v->n);
	conf_free_strs(w.v, w.n);
	return r;
}

int
conf_show(const struct conf *c, FILE *to, enum conf_show what,
    const char *only)
{
	size_t i;
	int r = 0;

	if (only != NULL) {
		i = conf_key_find(only);
		return i == CONF_NO_KEY ? ERR_NOTFOUND :
		    conf_show_key(c, to, what, i);
	}
	for (i = 0; i < conf_key_count() && r == 0; i++)
		r = conf_show_key(c, to, what, i);
	return r;
}
