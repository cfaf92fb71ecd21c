/*
 * conf.c - a configuration's life: values in, defaults, what must fit together.
 * Linked into every process; it reads no file (conf_file.c does, in parents
 * and submitctl).
 */
#include "lib/conf_private.h"

#include <stdlib.h>
#include <string.h>

#include "lib/conf_route.h"
#include "lib/conf_section.h"
#include "lib/str.h"

static void *
conf_field(struct conf *c, const struct conf_key *k)
{
	return (char *)c + k->offset;
}

struct conf *
conf_new(const char *base, const char *root)
{
	struct conf *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->refs = 1;
	c->values = calloc(1, sizeof(*c->values));
	if (c->values == NULL)
		goto fail;
	c->values->key = calloc(conf_key_count(), sizeof(*c->values->key));
	if (c->values->key == NULL ||
	    (base != NULL && (c->values->base = strdup(base)) == NULL) ||
	    (root != NULL && (c->values->root = strdup(root)) == NULL))
		goto fail;
	return c;
fail:
	conf_unref(c);
	return NULL;
}

struct conf *
conf_ref(struct conf *c)
{
	__atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
	return c;
}

static void
conf_free_values(struct conf_values *vals)
{
	size_t i;

	if (vals == NULL)
		return;
	for (i = 0; vals->key != NULL && i < conf_key_count(); i++)
		conf_value_free(&vals->key[i]);
	free(vals->key);
	free(vals->base);
	free(vals->root);
	free(vals);
}

void
conf_unref(struct conf *c)
{
	size_t i;

	if (c == NULL ||
	    __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (i = 0; i < conf_key_count(); i++) {
		if (conf_keys[i].type->clear != NULL)
			conf_keys[i].type->clear(conf_field(c, &conf_keys[i]));
	}
	conf_sections_free(c);
	conf_routes_free(c);
	for (i = 0; i < c->n_tls; i++)
		tls_pair_free(&c->tls[i]);
	explicit_bzero(c->ticket_seed, sizeof(c->ticket_seed));
	conf_free_values(c->values);
	free(c);
}

int
conf_set(struct conf *c, size_t key, const char *const *v, size_t n,
    const char *origin, struct err *reterr)
{
	return conf_value_set(c->values, &conf_keys[key], c,
	    &c->values->key[key], v, n, origin, reterr);
}

static int
conf_set_default(struct conf *c, size_t key, struct err *reterr)
{
	const struct conf_key *k = &conf_keys[key];
	char *text = conf_default(c->values, k);
	int r;

	if (text == NULL)
		return err_set(reterr, ERR_NOMEM, "%s: no memory", k->name);
	r = conf_set(c, key, (const char *const *)&text, 1, NULL, reterr);
	if (r == ERR_CONFIG && k->offset == offsetof(struct conf, hostname))
		err_set(reterr, r, "hostname: expected a fully qualified name "
		    "such as mail.example.org, but this machine is called "
		    "\"%.80s\": set the key hostname", text);
	free(text);
	return r;
}

/* Puts where the key or section was set, or the file's name, in front of the
 * text. */
static int
conf_prefix(const struct conf *c, const char *file, int r, struct err *reterr)
{
	char text[sizeof(reterr->text)], name[64];
	const char *origin = file, *section;
	size_t key;

	if (r == 0 || reterr == NULL)
		return r;
	str_copy(text, sizeof(text), reterr->text);
	if ((section = conf_section_place(c, text)) != NULL)
		origin = section;
	else if (str_copy_n(name, sizeof(name), text, strcspn(text, ": ")) == 0 &&
	    (key = conf_key_find(name)) != CONF_NO_KEY &&
	    c->values->key[key].origin != NULL)
		origin = c->values->key[key].origin;
	return err_set(reterr, r, strcmp(origin, "-o") == 0 ? "%s %s" : "%s: %s",
	    origin, text);
}

int
conf_complete(struct conf *c, const char *file, struct err *reterr)
{
	size_t i;
	int r = 0;

	for (i = 0; i < conf_key_count() && r == 0; i++) {
		if (conf_keys[i].type->parse != NULL && !c->values->key[i].set)
			r = conf_set_default(c, i, reterr);
	}
	if (r == 0)
		r = conf_check(c, reterr);
	return conf_prefix(c, file, r, reterr);
}

bool
conf_is_local_domain(const struct conf *c, const char *domain)
{
	size_t i;

	for (i = 0; i < c->local_domains.n; i++) {
		if (strcmp(c->local_domains.v[i], domain) == 0)
			return true;
	}
	return false;
}

const struct conf_trusted *
conf_trusted_for(const struct conf *c, const struct addr *a)
{
	const struct conf_trusted *t, *best = NULL;

	if (addr_is_none(a))
		return NULL;
	for (t = c->trusted; t < c->trusted + c->n_trusted; t++) {
		if (net_has(&t->net, a) &&
		    (best == NULL || t->net.bits > best->net.bits))
			best = t;
	}
	return best;
}

const struct conf_grant *
conf_grant_for(const struct conf *c, const struct addr *a)
{
	const struct conf_grant *g, *best = NULL;

	for (g = c->grants; g < c->grants + c->n_grants; g++) {
		if (net_has(&g->net, a) &&
		    (best == NULL || g->net.bits > best->net.bits))
			best = g;
	}
	return best;
}

int
conf_default_file(const char *root, char *dst, size_t size)
{
	if (root != NULL)
		return str_format(dst, size, "%s/etc/submitd.conf", root);
	return str_copy(dst, size, SYSCONFDIR "/submitd.conf");
}
