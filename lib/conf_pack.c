/*
 * conf_pack.c - a configuration as octets for the children, and back: version,
 * then each key as { name, set, n, strings }, the sections of each kind as
 * { n, { title, keys } }, the pairs of TLS, the seed of tickets, what the files of
 * the routes hold; integers as in msg.h. Linked into every process; a child
 * parses only what its parent packed, and gets no secret that it has no use for.
 */
#include "lib/conf_private.h"

#include <stdlib.h>
#include <string.h>

#include "lib/conf_route.h"
#include "lib/conf_section.h"
#include "lib/msg.h"

#define CONF_PACK_VERSION 4u
#define CONF_TEXT_MAX (1024u * 1024)	/* of one packed string */


static int
conf_pack_u32(struct buf *b, size_t n)
{
	uint8_t p[4] = { (uint8_t)(n >> 24), (uint8_t)(n >> 16),
	    (uint8_t)(n >> 8), (uint8_t)n };

	return n > UINT32_MAX ? ERR_LIMIT : buf_append(b, p, sizeof(p));
}

static int
conf_pack_str(struct buf *b, const char *s)
{
	size_t len = strlen(s) + 1;
	int r = conf_pack_u32(b, len);

	return r != 0 ? r : buf_append(b, s, len);
}

static int
conf_pack_strs(struct buf *b, char *const *v, size_t n)
{
	int r = conf_pack_u32(b, n);
	size_t i;

	for (i = 0; i < n && r == 0; i++)
		r = conf_pack_str(b, v[i]);
	return r;
}

static int
conf_pack_value(struct buf *b, const char *name, const struct conf_value *v)
{
	int r = conf_pack_str(b, name);

	if (r == 0)
		r = conf_pack_u32(b, v->set);
	return r == 0 ? conf_pack_strs(b, v->v, v->n) : r;
}

static int
conf_pack_pairs(struct buf *b, const struct tls_pair *v, size_t n)
{
	int r = conf_pack_u32(b, n);
	size_t i;

	for (i = 0; i < n && r == 0; i++) {
		r = conf_pack_str(b, v[i].cert);
		if (r == 0)
			r = conf_pack_str(b, v[i].key);
	}
	return r;
}

static int
conf_pack_sections(const struct conf *c, const struct conf_kind *kind,
    struct buf *b)
{
	size_t i, j, n = conf_section_count(c, kind);
	const struct conf_item *item;
	int r = conf_pack_u32(b, n);

	for (i = 0; i < n && r == 0; i++) {
		item = conf_section_at(c, kind, i);
		r = conf_pack_str(b, item->name);
		for (j = 0; kind->keys[j].name != NULL && r == 0; j++)
			r = conf_pack_value(b, kind->keys[j].name,
			    &item->values[j]);
	}
	return r;
}

/* A list of one, or of none for NULL. */
static int
conf_pack_optional(struct buf *b, char *s)
{
	return conf_pack_strs(b, &s, s != NULL);
}

static int
conf_pack_secrets(const struct conf *c, unsigned int with, struct buf *b)
{
	static const uint8_t no_seed[sizeof(c->ticket_seed)];
	bool pairs = (with & CONF_WITH_PAIRS) != 0;
	bool logins = (with & CONF_WITH_LOGINS) != 0;
	int r = conf_pack_pairs(b, c->tls, pairs ? c->n_tls : 0);
	size_t i;

	for (i = 0; i < c->n_listeners && r == 0; i++)
		r = conf_pack_pairs(b, c->listeners[i].tls,
		    pairs ? c->listeners[i].n_tls : 0);
	if (r == 0)
		r = conf_pack_u32(b, sizeof(c->ticket_seed));
	if (r == 0)
		r = buf_append(b, pairs ? c->ticket_seed : no_seed,
		    sizeof(c->ticket_seed));
	for (i = 0; i < c->n_routes && r == 0; i++) {
		r = conf_pack_optional(b, logins ? c->routes[i].tls_ca_pem :
		    NULL);
		if (r == 0)
			r = conf_pack_optional(b, logins ?
			    c->routes[i].auth_secret : NULL);
	}
	return r;
}

static int
conf_pack_all(const struct conf *c, unsigned int with, struct buf *b)
{
	int r = conf_pack_u32(b, CONF_PACK_VERSION);
	const struct conf_kind *kind;
	size_t i;

	for (i = 0; i < conf_key_count() && r == 0; i++)
		r = conf_pack_value(b, conf_keys[i].name, &c->values->key[i]);
	for (kind = conf_kinds; kind->name != NULL && r == 0; kind++)
		r = conf_pack_sections(c, kind, b);
	return r == 0 ? conf_pack_secrets(c, with, b) : r;
}

int
conf_pack(const struct conf *c, unsigned int with, struct buf *ret,
    struct err *reterr)
{
	int r = conf_pack_all(c, with, ret);

	return r == 0 ? 0 : err_set(reterr, r, "configuration: too large");
}

/* The pointers are into the packet, only the array is taken. */
static int
conf_unpack_strs(struct msg_in *m, const char ***ret, size_t *ret_n)
{
	uint32_t n, i;

	*ret = NULL;
	*ret_n = 0;
	if (msg_get_u32(m, &n) != 0 || n > m->left / 5)
		return ERR_FORMAT;
	*ret = calloc((size_t)n + 1, sizeof(**ret));
	if (*ret == NULL)
		return ERR_NOMEM;
	for (i = 0; i < n; i++) {
		if (msg_get_str(m, &(*ret)[i], CONF_TEXT_MAX) != 0)
			return ERR_FORMAT;
	}
	*ret_n = n;
	return 0;
}

/* One key's value; *v is the caller's to free. */
static int
conf_unpack_value(struct msg_in *m, const struct conf_key *k, bool *ret_set,
    const char ***ret_v, size_t *ret_n)
{
	const char *name;
	uint32_t set;

	*ret_v = NULL;
	if (msg_get_str(m, &name, 64) != 0 || msg_get_u32(m, &set) != 0 ||
	    set > 1 || strcmp(name, k->name) != 0)
		return ERR_FORMAT;
	*ret_set = set != 0;
	return conf_unpack_strs(m, ret_v, ret_n);
}

static int
conf_unpack_key(struct conf *c, size_t key, struct msg_in *m,
    struct err *reterr)
{
	const char **v;
	bool set;
	size_t n;
	int r = conf_unpack_value(m, &conf_keys[key], &set, &v, &n);

	if (r == 0 && conf_keys[key].type->parse == NULL)
		r = n == 0 ? 0 : ERR_FORMAT;
	else if (r == 0)
		r = conf_set(c, key, v, n, set ? "parent" : NULL, reterr);
	free(v);
	return r;
}

static int
conf_unpack_section(struct conf *c, const struct conf_kind *kind,
    struct msg_in *m, struct err *reterr)
{
	const char *title, **v;
	bool set;
	size_t key, n;
	int r;

	if (msg_get_str(m, &title, CONF_TITLE_MAX) != 0)
		return ERR_FORMAT;
	r = conf_section_begin(c, kind, title, "parent", reterr);
	for (key = 0; kind->keys[key].name != NULL && r == 0; key++) {
		r = conf_unpack_value(m, &kind->keys[key], &set, &v, &n);
		if (r == 0 && set)
			r = conf_section_set(c, kind, key, v, n, "parent",
			    reterr);
		free(v);
	}
	return r == 0 ? conf_section_end(c, kind, reterr) : r;
}

static int
conf_unpack_pairs(struct msg_in *m, struct tls_pair *v, size_t *n)
{
	const char *cert, *key;
	uint32_t left;

	if (msg_get_u32(m, &left) != 0 || left > TLS_PAIRS_MAX)
		return ERR_FORMAT;
	for (; left > 0; left--) {
		if (msg_get_str(m, &cert, CONF_TEXT_MAX) != 0 ||
		    msg_get_str(m, &key, CONF_TEXT_MAX) != 0)
			return ERR_FORMAT;
		v[*n].cert = strdup(cert);
		v[*n].key = strdup(key);
		(*n)++;
		if (v[*n - 1].cert == NULL || v[*n - 1].key == NULL)
			return ERR_NOMEM;
	}
	return 0;
}

static int
conf_unpack_seed(struct conf *c, struct msg_in *m)
{
	const void *seed;
	size_t len;

	if (msg_get_blob(m, &seed, &len, sizeof(c->ticket_seed)) != 0 ||
	    len != sizeof(c->ticket_seed))
		return ERR_FORMAT;
	memcpy(c->ticket_seed, seed, len);
	return 0;
}

static int
conf_unpack_optional(struct msg_in *m, char **ret)
{
	const char **v;
	size_t n;
	int r = conf_unpack_strs(m, &v, &n);

	if (r == 0 && n > 1)
		r = ERR_FORMAT;
	if (r == 0 && n == 1 && (*ret = strdup(v[0])) == NULL)
		r = ERR_NOMEM;
	free(v);
	return r;
}

static int
conf_unpack_routes(struct conf *c, struct msg_in *m)
{
	int r = 0;

	for (size_t i = 0; i < c->n_routes && r == 0; i++) {
		r = conf_unpack_optional(m, &c->routes[i].tls_ca_pem);
		if (r == 0)
			r = conf_unpack_optional(m, &c->routes[i].auth_secret);
	}
	return r;
}

static int
conf_unpack_all(struct conf *c, struct msg_in *m, struct err *reterr)
{
	const struct conf_kind *kind;
	uint32_t n;
	size_t i;
	int r = 0;

	if (msg_get_u32(m, &n) != 0 || n != CONF_PACK_VERSION)
		return ERR_FORMAT;
	for (i = 0; i < conf_key_count() && r == 0; i++)
		r = conf_unpack_key(c, i, m, reterr);
	for (kind = conf_kinds; kind->name != NULL && r == 0; kind++) {
		r = msg_get_u32(m, &n);
		for (; r == 0 && n > 0; n--)
			r = conf_unpack_section(c, kind, m, reterr);
	}
	if (r == 0)
		r = conf_unpack_pairs(m, c->tls, &c->n_tls);
	for (i = 0; i < c->n_listeners && r == 0; i++)
		r = conf_unpack_pairs(m, c->listeners[i].tls,
		    &c->listeners[i].n_tls);
	if (r == 0)
		r = conf_unpack_seed(c, m);
	if (r == 0)
		r = conf_unpack_routes(c, m);
	return r != 0 ? r : msg_get_end(m);
}

int
conf_unpack(const void *p, size_t len, struct conf **ret, struct err *reterr)
{
	struct msg_in m = { .p = p, .left = len };
	struct conf *c = conf_new(NULL, NULL);
	int r;

	*ret = NULL;
	if (c == NULL)
		return err_set(reterr, ERR_NOMEM, "configuration: no memory");
	err_set(reterr, ERR_FORMAT, "configuration: malformed");
	r = conf_unpack_all(c, &m, reterr);
	if (r == 0)
		r = conf_check(c, reterr);
	if (r != 0) {
		conf_unref(c);
		return r;
	}
	*ret = c;
	return 0;
}
