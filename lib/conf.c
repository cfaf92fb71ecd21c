/*
 * conf.c - a configuration's life: values in, checks, octets for the children
 * and back, and how it is shown. Linked into every process; it reads no file
 * (conf_file.c does, in parents and submitctl).
 */
#include "lib/conf_private.h"

#include <stdlib.h>
#include <string.h>

#include "lib/mailbox.h"
#include "lib/msg.h"
#include "lib/str.h"

#define CONF_PACK_VERSION 1u
#define CONF_TEXT_MAX (1024u * 1024)	/* of one packed string */

static void *
conf_field(struct conf *c, const struct conf_key *k)
{
	return (char *)c + k->offset;
}

static void
conf_free_strs(char **v, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		free(v[i]);
	free(v);
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
	for (i = 0; vals->key != NULL && i < conf_key_count(); i++) {
		conf_free_strs(vals->key[i].v, vals->key[i].n);
		free(vals->key[i].origin);
	}
	free(vals->key);
	free(vals->base);
	free(vals->root);
	free(vals);
}

static void
conf_free_trusted(struct conf_trusted *t)
{
	conf_free_strs(t->senders.v, t->senders.n);
	free(t->owner);
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
	for (i = 0; i < c->n_trusted; i++)
		conf_free_trusted(&c->trusted[i]);
	free(c->trusted);
	for (i = 0; i < c->n_tls; i++)
		tls_pair_free(&c->tls[i]);
	conf_free_values(c->values);
	free(c);
}

/* A growing list of strings while a value is being split. */
struct conf_words {
	char	**v;
	size_t	  n;
};

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
conf_base_of(const struct conf *c, const struct conf_key *k, const char *s,
    size_t len)
{
	if (!k->type->path || len == 0 || s[0] == '/')
		return NULL;
	/* log_to has two words that are no paths */
	if (len == 6 && (strncmp(s, "stderr", 6) == 0 ||
	    strncmp(s, "syslog", 6) == 0))
		return NULL;
	return c->values->base;
}

/* The elements of a list, split further at commas and white space; of another
 * key the value as it is. The name of a file may hold both: paths are split
 * only where all of them stand in ONE_TEXT, and only at commas. */
static int
conf_split(const struct conf *c, const struct conf_key *k, bool one_text,
    const char *const *v, size_t n, struct conf_words *ret)
{
	static const char gaps[] = ", \t\r\n";
	const char *ends = k->type->path ? "," : gaps, *s;
	size_t i, len;
	int r;

	for (i = 0; i < n; i++) {
		s = v[i];
		if (!k->type->list || (k->type->path && !one_text)) {
			len = strlen(s);
			if (len == 0 && k->type->list)
				continue;
			if ((r = conf_words_add(ret, s, len, conf_base_of(c, k,
			    s, len))) != 0)
				return r;
			continue;
		}
		for (s += strspn(s, gaps); *s != '\0'; s += strspn(s, gaps)) {
			len = strcspn(s, ends);
			if ((r = conf_words_add(ret, s, len, conf_base_of(c, k,
			    s, len))) != 0)
				return r;
			s += len;
		}
	}
	return 0;
}

static int
conf_parse_words(struct conf *c, size_t key, const struct conf_words *w,
    struct err *reterr)
{
	const struct conf_key *k = &conf_keys[key];
	void *field;
	int r;

	if (k->type->parse == NULL)
		return conf_key_error(k, w->v, w->n, reterr);
	field = conf_field(c, k);
	k->type->clear(field);
	r = k->type->parse(field, k, w->v, w->n);
	if (r == ERR_NOMEM)
		return err_set(reterr, r, "%s: no memory", k->name);
	return r == 0 ? 0 : conf_key_error(k, w->v, w->n, reterr);
}

int
conf_set(struct conf *c, size_t key, const char *const *v, size_t n,
    const char *origin, struct err *reterr)
{
	struct conf_value *value = &c->values->key[key];
	struct conf_words w = { NULL, 0 };
	char *where = NULL;
	bool one_text = origin == NULL || strcmp(origin, "-o") == 0;
	int r = conf_split(c, &conf_keys[key], one_text, v, n, &w);

	if (r == 0 && origin != NULL && (where = strdup(origin)) == NULL)
		r = ERR_NOMEM;
	if (r == 0)
		r = conf_parse_words(c, key, &w, reterr);
	else
		err_set(reterr, r, "%s: no memory", conf_keys[key].name);
	if (r != 0) {
		conf_free_strs(w.v, w.n);
		free(where);
		return r;
	}
	conf_free_strs(value->v, value->n);
	free(value->origin);
	value->v = w.v;
	value->n = w.n;
	value->set = origin != NULL;
	value->origin = where;
	return 0;
}

/* A sender of a trusted network: an address, or @domain for all of it. */
static int
conf_sender_canon(const char *s, char *dst, size_t size)
{
	char text[MAILBOX_SIZE];
	struct mailbox mb;
	bool all = s[0] == '@';

	if (str_format(text, sizeof(text), "%s%s", all ? "x" : "", s) != 0 ||
	    mailbox_parse(text, strlen(text), &mb) != 0)
		return ERR_FORMAT;
	return str_copy(dst, size, all ? mb.canon + 1 : mb.canon);
}

static int
conf_trusted_senders(struct conf_trusted *t, const char *const *v, size_t n,
    struct err *reterr)
{
	char canon[MAILBOX_SIZE];
	size_t i;

	if (n == 0)
		return 0;
	t->senders.v = calloc(n, sizeof(*t->senders.v));
	for (i = 0; t->senders.v != NULL && i < n; i++) {
		if (conf_sender_canon(v[i], canon, sizeof(canon)) != 0)
			return err_set(reterr, ERR_CONFIG, "senders: expected "
			    "addresses, or @domain, not \"%.80s\"", v[i]);
		t->senders.v[i] = strdup(canon);
		if (t->senders.v[i] == NULL)
			break;
		t->senders.n++;
	}
	return t->senders.n == n ? 0 :
	    err_set(reterr, ERR_NOMEM, "senders: no memory");
}

static int
conf_trusted_owner(struct conf_trusted *t, const char *owner,
    struct err *reterr)
{
	struct mailbox mb;

	if (owner == NULL)
		return 0;
	if (mailbox_parse(owner, strlen(owner), &mb) != 0)
		return err_set(reterr, ERR_CONFIG, "owner: expected a full "
		    "address such as anna@example.org, not \"%.80s\"", owner);
	t->owner = strdup(mb.canon);
	return t->owner == NULL ?
	    err_set(reterr, ERR_NOMEM, "owner: no memory") : 0;
}

static int
conf_trusted_net(const struct conf *c, struct conf_trusted *t,
    const char *text, struct err *reterr)
{
	size_t i;

	if (net_parse(text, &t->net) != 0)
		return err_set(reterr, ERR_CONFIG, "trusted_networks: expected "
		    "a network such as 192.0.2.0/24, not \"%.80s\"", text);
	/* 0.0.0.0/0 and ::/0: that would be an open relay. */
	if (t->net.bits == 0 || (t->net.bits == 96 &&
	    net_has(&t->net, &(struct addr){ .ip = { [10] = 255, 255 } })))
		return err_set(reterr, ERR_CONFIG, "trusted_networks: expected "
		    "a network, not the whole Internet (%.80s)", text);
	for (i = 0; i < c->n_trusted; i++) {
		if (memcmp(&c->trusted[i].net, &t->net, sizeof(t->net)) == 0)
			return err_set(reterr, ERR_CONFIG, "trusted_networks: "
			    "expected each network once, %.80s is repeated",
			    text);
	}
	return 0;
}

int
conf_add_trusted(struct conf *c, const char *net, const char *const *senders,
    size_t n, const char *owner, struct err *reterr)
{
	struct conf_trusted t = { 0 }, *all;
	int r;

	/* Without either it may send nothing. */
	if (n > 0 && owner != NULL)
		return err_set(reterr, ERR_CONFIG, "trusted_networks %.80s: "
		    "expected either senders or an owner", net);
	r = conf_trusted_net(c, &t, net, reterr);
	if (r == 0)
		r = conf_trusted_senders(&t, senders, n, reterr);
	if (r == 0)
		r = conf_trusted_owner(&t, owner, reterr);
	all = r != 0 ? NULL :
	    reallocarray(c->trusted, c->n_trusted + 1, sizeof(*all));
	if (all == NULL) {
		conf_free_trusted(&t);
		return r != 0 ? r : err_set(reterr, ERR_NOMEM,
		    "trusted_networks: no memory");
	}
	c->trusted = all;
	c->trusted[c->n_trusted++] = t;
	return 0;
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

static const struct conf_value *
conf_value_of(const struct conf *c, const char *name)
{
	return &c->values->key[conf_key_find(name)];
}

/* Without a certificate the listeners that begin with TLS are left out, but
 * not when somebody asked for them. */
static int
conf_check_tls(struct conf *c, struct err *reterr)
{
	struct {
		const char *name;
		struct conf_addrs *addrs;
	} implicit[] = {
		{ "listen_submissions", &c->listen_submissions },
		{ "listen_pop3s", &c->listen_pop3s },
	};
	size_t i;

	if (c->tls_cert.n != c->tls_key.n)
		return err_set(reterr, ERR_CONFIG, "tls_key: expected one key "
		    "for each tls_cert (%zu), not %zu", c->tls_cert.n,
		    c->tls_key.n);
	for (i = 0; i < 2 && c->tls_cert.n == 0; i++) {
		if (implicit[i].addrs->n == 0)
			continue;
		if (conf_value_of(c, implicit[i].name)->set)
			return err_set(reterr, ERR_CONFIG, "%s: expected "
			    "tls_cert and tls_key to be set too",
			    implicit[i].name);
		implicit[i].addrs->n = 0;
	}
	return 0;
}

static size_t
conf_count_addr(const struct conf_addrs *list, const struct addr *a)
{
	size_t i, n = 0;

	for (i = 0; i < list->n; i++)
		n += list->v[i].port == a->port && addr_ip_eq(&list->v[i], a);
	return n;
}

/* Port 0 is the kernel's choice, a new one each time. */
static int
conf_check_listeners(const struct conf *c, struct err *reterr)
{
	static const char *const names[] = { "listen_submission",
	    "listen_submissions", "listen_pop3", "listen_pop3s" };
	const struct conf_addrs *lists[] = { &c->listen_submission,
	    &c->listen_submissions, &c->listen_pop3, &c->listen_pop3s };
	char text[ADDR_STRLEN];
	const struct addr *a;
	size_t i, j, n;

	for (i = 0; i < 4; i++) {
		for (a = lists[i]->v; a < lists[i]->v + lists[i]->n; a++) {
			for (n = 0, j = 0; j < 4; j++)
				n += conf_count_addr(lists[j], a);
			if (n > 1 && a->port != 0)
				return err_set(reterr, ERR_CONFIG, "%s: "
				    "expected each address and port once, %s "
				    "is repeated", names[i], addr_text(a, text));
		}
	}
	return 0;
}

static int
conf_check(struct conf *c, struct err *reterr)
{
	int r = conf_check_tls(c, reterr);

	if (r == 0)
		r = conf_check_listeners(c, reterr);
	if (r == 0)
		r = conf_check_mechs(c, reterr);
	if (r == 0 && c->retry_min_s > c->retry_max_s)
		r = err_set(reterr, ERR_CONFIG,
		    "retry_min: expected at most retry_max");
	return r;
}

/* Puts where the key was set, or the file's name, in front of the text. */
static int
conf_prefix(const struct conf *c, const char *file, int r, struct err *reterr)
{
	char text[sizeof(reterr->text)], name[64];
	const char *origin = file;
	size_t key;

	if (r == 0 || reterr == NULL)
		return r;
	str_copy(text, sizeof(text), reterr->text);
	if (str_copy_n(name, sizeof(name), text, strcspn(text, ": ")) == 0 &&
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

/*
 * For the children: version, then each key as { name, set, n, strings }, the
 * trusted networks, the pairs; integers as in msg.h.
 */

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
conf_pack_trusted(struct buf *b, const struct conf_trusted *t)
{
	char text[ADDR_STRLEN];
	int r = conf_pack_str(b, net_text(&t->net, text));

	if (r == 0)
		r = conf_pack_strs(b, t->senders.v, t->senders.n);
	if (r == 0)
		r = conf_pack_str(b, t->owner == NULL ? "" : t->owner);
	return r;
}

static int
conf_pack_all(const struct conf *c, struct buf *b)
{
	int r = conf_pack_u32(b, CONF_PACK_VERSION);
	size_t i;

	for (i = 0; i < conf_key_count() && r == 0; i++) {
		r = conf_pack_str(b, conf_keys[i].name);
		if (r == 0)
			r = conf_pack_u32(b, c->values->key[i].set);
		if (r == 0)
			r = conf_pack_strs(b, c->values->key[i].v,
			    c->values->key[i].n);
	}
	if (r == 0)
		r = conf_pack_u32(b, c->n_trusted);
	for (i = 0; i < c->n_trusted && r == 0; i++)
		r = conf_pack_trusted(b, &c->trusted[i]);
	if (r == 0)
		r = conf_pack_u32(b, c->n_tls);
	for (i = 0; i < c->n_tls && r == 0; i++) {
		r = conf_pack_str(b, c->tls[i].cert);
		if (r == 0)
			r = conf_pack_str(b, c->tls[i].key);
	}
	return r;
}

int
conf_pack(const struct conf *c, struct buf *ret, struct err *reterr)
{
	int r = conf_pack_all(c, ret);

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

static int
conf_unpack_key(struct conf *c, size_t key, struct msg_in *m,
    struct err *reterr)
{
	const char *name, **v = NULL;
	uint32_t set;
	size_t n;
	int r = ERR_FORMAT;

	if (msg_get_str(m, &name, 64) == 0 && msg_get_u32(m, &set) == 0 &&
	    set <= 1 && strcmp(name, conf_keys[key].name) == 0)
		r = conf_unpack_strs(m, &v, &n);
	if (r == 0 && conf_keys[key].type->parse == NULL)
		r = n == 0 ? 0 : ERR_FORMAT;
	else if (r == 0)
		r = conf_set(c, key, v, n, set ? "parent" : NULL, reterr);
	free(v);
	return r;
}

static int
conf_unpack_trusted(struct conf *c, struct msg_in *m, struct err *reterr)
{
	const char *net, *owner, **v = NULL;
	size_t n;
	int r = ERR_FORMAT;

	if (msg_get_str(m, &net, ADDR_STRLEN) == 0)
		r = conf_unpack_strs(m, &v, &n);
	if (r == 0)
		r = msg_get_str(m, &owner, MAILBOX_MAX);
	if (r == 0)
		r = conf_add_trusted(c, net, v, n,
		    *owner == '\0' ? NULL : owner, reterr);
	free(v);
	return r;
}

static int
conf_unpack_pair(struct conf *c, struct msg_in *m)
{
	struct tls_pair *p = &c->tls[c->n_tls];
	const char *cert, *key;

	if (c->n_tls == TLS_PAIRS_MAX ||
	    msg_get_str(m, &cert, CONF_TEXT_MAX) != 0 ||
	    msg_get_str(m, &key, CONF_TEXT_MAX) != 0)
		return ERR_FORMAT;
	p->cert = strdup(cert);
	p->key = strdup(key);
	c->n_tls++;
	return p->cert == NULL || p->key == NULL ? ERR_NOMEM : 0;
}

static int
conf_unpack_all(struct conf *c, struct msg_in *m, struct err *reterr)
{
	uint32_t n;
	size_t i;
	int r = 0;

	if (msg_get_u32(m, &n) != 0 || n != CONF_PACK_VERSION)
		return ERR_FORMAT;
	for (i = 0; i < conf_key_count() && r == 0; i++)
		r = conf_unpack_key(c, i, m, reterr);
	if (r == 0)
		r = msg_get_u32(m, &n);
	for (; r == 0 && n > 0; n--)
		r = conf_unpack_trusted(c, m, reterr);
	if (r == 0)
		r = msg_get_u32(m, &n);
	for (; r == 0 && n > 0; n--)
		r = conf_unpack_pair(c, m);
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

static void
conf_show_trusted(FILE *to, const struct conf *c)
{
	const struct conf_trusted *t;
	char text[ADDR_STRLEN];

	for (t = c->trusted; t < c->trusted + c->n_trusted; t++) {
		fprintf(to, "trusted_networks %s {\n", net_text(&t->net, text));
		if (t->owner != NULL)
			conf_show_words(to, "\t", "owner", false, &t->owner, 1);
		else
			conf_show_words(to, "\t", "senders", true, t->senders.v,
			    t->senders.n);
		fputs("}\n", to);
	}
}

/* The default's words, as conf_set() would have kept them. */
static int
conf_default_words(const struct conf *c, const struct conf_key *k,
    struct conf_words *ret)
{
	char *text = conf_default(c->values, k);
	int r;

	if (text == NULL)
		return ERR_NOMEM;
	r = conf_split(c, k, true, (const char *const *)&text, 1, ret);
	free(text);
	return r;
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
			conf_show_trusted(to, c);
		return 0;
	}
	r = conf_default_words(c, k, &w);
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

	for (t = c->trusted; t < c->trusted + c->n_trusted; t++) {
		if (net_has(&t->net, a) &&
		    (best == NULL || t->net.bits > best->net.bits))
			best = t;
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
