/*
 * conf_file.c - reads the configuration file (libconfuse), -o arguments and
 * certificates. Runs in parents and submitctl, before any client is served;
 * children never link it.
 */
#include "lib/conf_section.h"

#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <confuse.h>

#include "lib/conf_scan.h"
#include "lib/str.h"

/* libconfuse has one lexer for all and no argument for its callbacks. */
static struct err *conf_file_err;

static void __attribute__((format(printf, 2, 0)))
conf_file_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	char text[200];

	vsnprintf(text, sizeof(text), fmt, ap);
	err_set(conf_file_err, ERR_CONFIG, "%.100s:%d: %s", cfg->filename == NULL
	    ? "configuration" : cfg->filename, cfg->line, text);
}

/* conf_scan() has been here before and bounded the depth. */
static int
conf_file_include(cfg_t *cfg, cfg_opt_t *opt, int argc, const char **argv)
{
	char path[1024];
	const char *name = path;

	if (argc != 1 || cfg->filename == NULL ||
	    conf_scan_path(cfg->filename, argv[0], path, sizeof(path)) != 0)
		return 1;
	return cfg_include(cfg, opt, 1, &name);
}

/* A row for each key, those of sections with their own, which the caller
 * frees; libconfuse copies all. */
static cfg_opt_t *
conf_file_opts(const struct conf_key *keys)
{
	cfg_opt_t str = CFG_STR("", NULL, CFGF_NONE);
	cfg_opt_t list = CFG_STR_LIST("", NULL, CFGF_NONE);
	cfg_opt_t section = CFG_SEC("", NULL, CFGF_MULTI | CFGF_TITLE |
	    CFGF_NO_TITLE_DUPES);
	cfg_opt_t end = CFG_END(), *opts;
	size_t i, n = 0;

	while (keys[n].name != NULL)
		n++;
	opts = calloc(n + 2, sizeof(*opts));
	for (i = 0; opts != NULL && i < n; i++) {
		opts[i] = keys[i].type->parse == NULL ? section :
		    keys[i].type->list ? list : str;
		opts[i].name = keys[i].name;
		if (keys[i].type->parse == NULL)
			opts[i].subopts = conf_file_opts(
			    conf_kind_find(keys[i].name)->keys);
	}
	if (opts != NULL)
		opts[n] = opts[n + 1] = end;
	return opts;
}

static cfg_t *
conf_file_cfg(void)
{
	cfg_opt_t include = CFG_FUNC("include", conf_file_include);
	cfg_opt_t *opts = conf_file_opts(conf_keys);
	size_t i, n = conf_key_count();
	cfg_t *cfg = NULL;

	if (opts == NULL)
		return NULL;
	for (i = 0; i < n; i++) {
		if (conf_keys[i].type->parse == NULL && opts[i].subopts == NULL)
			break;
	}
	opts[n] = include;
	if (i == n && (cfg = cfg_init(opts, CFGF_NONE)) != NULL)
		cfg_set_error_function(cfg, conf_file_error);
	for (i = 0; i < n; i++)
		free(opts[i].subopts);
	free(opts);
	return cfg;
}

static int
conf_file_parse(cfg_t *cfg, const char *path, char *text, size_t len,
    struct err *reterr)
{
	FILE *fp;
	int r;

	if (len == 0)
		return 0;
	free(cfg->filename);
	cfg->filename = strdup(path);
	fp = fmemopen(text, len, "r");
	if (cfg->filename == NULL || fp == NULL) {
		if (fp != NULL)
			fclose(fp);
		return err_set(reterr, ERR_NOMEM, "%s: no memory", path);
	}
	err_set(reterr, ERR_CONFIG, "%s: expected key = value lines", path);
	conf_file_err = reterr;
	r = cfg_parse_fp(cfg, fp);
	conf_file_err = NULL;
	fclose(fp);
	return r == CFG_SUCCESS ? 0 : ERR_CONFIG;
}

/* Puts "ORIGIN: " in front. */
static int
conf_file_at(const char *origin, int r, struct err *reterr)
{
	char text[sizeof(reterr->text)];

	if (r == 0 || reterr == NULL)
		return r;
	str_copy(text, sizeof(text), reterr->text);
	return err_set(reterr, r, "%s: %s", origin, text);
}

/* The texts stay libconfuse's. */
static const char **
conf_file_strs(cfg_t *cfg, const char *name, size_t *ret_n)
{
	unsigned int i, n = cfg_size(cfg, name);
	const char **v = calloc((size_t)n + 1, sizeof(*v));

	*ret_n = n;
	for (i = 0; v != NULL && i < n; i++) {
		v[i] = cfg_getnstr(cfg, name, i);
		if (v[i] == NULL)
			v[i] = "";
	}
	return v;
}

static int
conf_file_key(struct conf *c, cfg_t *cfg, size_t key, const char *origin,
    struct err *reterr)
{
	size_t n;
	const char **v = conf_file_strs(cfg, conf_keys[key].name, &n);
	int r;

	if (v == NULL)
		return err_set(reterr, ERR_NOMEM, "configuration: no memory");
	r = conf_file_at(origin, conf_set(c, key, v, n, origin, reterr),
	    reterr);
	free(v);
	return r;
}

/* The section that begins at `origin`. */
static int
conf_file_section(struct conf *c, const struct conf_kind *kind, cfg_t *sec,
    const struct conf_scan *scan, const char *origin, struct err *reterr)
{
	const char *place, **v;
	char name[1200];
	size_t i, n;
	int r = conf_file_at(origin, conf_section_begin(c, kind,
	    cfg_title(sec), origin, reterr), reterr);

	for (i = 0; kind->keys[i].name != NULL && r == 0; i++) {
		if (str_format(name, sizeof(name), "%s.%s", origin,
		    kind->keys[i].name) != 0 ||
		    (place = conf_scan_find(scan, name)) == NULL)
			continue;
		v = conf_file_strs(sec, kind->keys[i].name, &n);
		r = v == NULL ? ERR_NOMEM : conf_file_at(place,
		    conf_section_set(c, kind, i, v, n, place, reterr), reterr);
		free(v);
	}
	return r != 0 ? r : conf_file_at(origin, conf_section_end(c, kind,
	    reterr), reterr);
}

/* The scan met the sections in the same order. */
static int
conf_file_sections(struct conf *c, const struct conf_kind *kind, cfg_t *cfg,
    const struct conf_scan *scan, struct err *reterr)
{
	unsigned int i;
	size_t p = 0;
	int r = 0;

	for (i = 0; i < cfg_size(cfg, kind->name) && r == 0; i++, p++) {
		while (p < scan->n &&
		    strcmp(scan->places[p].name, kind->name) != 0)
			p++;
		if (p == scan->n)
			return err_set(reterr, ERR_CONFIG, "%s: expected "
			    "KIND NAME { … }", kind->name);
		r = conf_file_section(c, kind, cfg_getnsec(cfg, kind->name, i),
		    scan, scan->places[p].origin, reterr);
	}
	return r;
}

static int
conf_file_values(struct conf *c, cfg_t *cfg, const struct conf_scan *scan,
    struct err *reterr)
{
	const struct conf_kind *kind;
	const char *origin;
	size_t i;
	int r = 0;

	for (i = 0; i < conf_key_count() && r == 0; i++) {
		if (conf_keys[i].type->parse == NULL)
			continue;
		origin = conf_scan_find(scan, conf_keys[i].name);
		if (origin != NULL)
			r = conf_file_key(c, cfg, i, origin, reterr);
	}
	for (kind = conf_kinds; kind->name != NULL && r == 0; kind++)
		r = conf_file_sections(c, kind, cfg, scan, reterr);
	return r;
}

static int
conf_file_read(struct conf *c, const char *path, struct err *reterr)
{
	struct conf_scan scan = { NULL, 0 };
	cfg_t *cfg = NULL;
	char *text;
	size_t len;
	int r;

	r = conf_scan_read(path, &text, &len, reterr);
	if (r != 0) {
		/* A file that is missing is a wrong configuration too. */
		reterr->code = r == ERR_NOMEM ? r : ERR_CONFIG;
		return reterr->code;
	}
	r = conf_scan(&scan, path, text, reterr);
	if (r == 0 && (cfg = conf_file_cfg()) == NULL)
		r = err_set(reterr, ERR_NOMEM, "%s: no memory", path);
	if (r == 0)
		r = conf_file_parse(cfg, path, text, len, reterr);
	if (r == 0)
		r = conf_file_values(c, cfg, &scan, reterr);
	if (cfg != NULL)
		cfg_free(cfg);
	conf_scan_free(&scan);
	free(text);
	return r;
}

static int
conf_file_override(struct conf *c, const char *arg, struct err *reterr)
{
	const char *eq = strchr(arg, '='), *value, *near;
	char name[64];
	size_t key;

	if (eq == NULL || str_copy_n(name, sizeof(name), arg,
	    (size_t)(eq - arg)) != 0)
		return err_set(reterr, ERR_CONFIG,
		    "-o %.64s: expected key=value", arg);
	key = conf_key_find(name);
	near = conf_key_nearest(conf_keys, name);
	if (key == CONF_NO_KEY)
		return err_set(reterr, ERR_CONFIG, "-o %s: unknown key%s%s%s",
		    name, near == NULL ? "" : "; did you mean ",
		    near == NULL ? "" : near, near == NULL ? "" : "?");
	value = eq + 1;
	if (conf_set(c, key, &value, 1, "-o", reterr) != 0) {
		char text[300];

		snprintf(text, sizeof(text), "%.299s",
		    reterr == NULL ? "" : reterr->text);
		return err_set(reterr, ERR_CONFIG, "-o %s", text);
	}
	return 0;
}

/* The folder that relative paths lie below, and the file, both absolute. */
static int
conf_file_places(const struct conf_args *args, char *file, char *base,
    struct err *reterr)
{
	char given[PATH_MAX], *slash;

	if (args->root != NULL && realpath(args->root, base) == NULL)
		return err_sys(reterr, "--root %s", args->root);
	if (args->file == NULL ?
	    conf_default_file(args->root == NULL ? NULL : base, file,
	    PATH_MAX) != 0 : str_copy(file, PATH_MAX, args->file) != 0)
		return err_set(reterr, ERR_CONFIG, "the path is too long");
	if (file[0] != '/') {
		if (getcwd(given, sizeof(given)) == NULL ||
		    str_format(file, PATH_MAX, "%s/%s", given,
		    args->file) != 0)
			return err_set(reterr, ERR_CONFIG,
			    "%s: the path is too long", args->file);
	}
	if (args->root == NULL) {
		str_copy(base, PATH_MAX, file);
		slash = strrchr(base, '/');
		slash[slash == base] = '\0';
	}
	return 0;
}

/* The names in a list of users become numbers, which need no looking up. */
static int
conf_file_users(struct conf *c, const char *key, struct conf_uids *u,
    struct err *reterr)
{
	const struct conf_value *v = &c->values->key[conf_key_find(key)];

	for (size_t i = 0; i < u->n; i++) {
		const struct passwd *pw;
		char *number = NULL;

		if (u->v[i] != CONF_UID_NAMED)
			continue;
		if ((pw = getpwnam(v->v[i])) == NULL)
			return err_set(reterr, ERR_CONFIG, "%s: %s: there is "
			    "no user %s", v->origin, key, v->v[i]);
		if (asprintf(&number, "%u", (unsigned int)pw->pw_uid) < 0)
			return err_set(reterr, ERR_NOMEM,
			    "configuration: no memory");
		free(v->v[i]);
		v->v[i] = number;
		u->v[i] = pw->pw_uid;
	}
	return 0;
}

int
conf_load(const struct conf_args *args, struct conf **ret, struct err *reterr)
{
	char file[PATH_MAX], base[PATH_MAX];
	struct err dummy;
	struct conf *c;
	size_t i;
	int r;

	*ret = NULL;
	if (reterr == NULL)
		reterr = &dummy;
	r = conf_file_places(args, file, base, reterr);
	if (r != 0)
		return ERR_CONFIG;
	c = conf_new(base, args->root == NULL ? NULL : base);
	if (c == NULL)
		return err_set(reterr, ERR_NOMEM, "configuration: no memory");
	r = conf_file_read(c, file, reterr);
	for (i = 0; i < args->n_overrides && r == 0; i++)
		r = conf_file_override(c, args->overrides[i], reterr);
	if (r == 0)
		r = conf_complete(c, file, reterr);
	if (r == 0)
		r = conf_file_users(c, "lmtp_peers", &c->lmtp_peers, reterr);
	if (r == 0)
		r = conf_file_users(c, "notify_uids", &c->notify_uids, reterr);
	if (r != 0) {
		conf_unref(c);
		return r;
	}
	*ret = c;
	return 0;
}

int
conf_unusable(const struct conf *c, const char *key, const char *expected,
    struct err *reterr)
{
	const struct conf_value *v = &c->values->key[conf_key_find(key)];
	char text[sizeof(reterr->text)];
	int error;

	if (reterr == NULL)
		return ERR_CONFIG;
	str_copy(text, sizeof(text), reterr->text);
	error = reterr->sys_errno;
	err_set(reterr, ERR_CONFIG, "%s: %s: expected %s: %s",
	    v->origin == NULL ? "configuration" : v->origin, key, expected,
	    text);
	reterr->sys_errno = error;	/* who may not read it, can tell */
	return ERR_CONFIG;
}

bool
conf_pairs_at(struct conf *c, size_t i, struct conf_pairs *ret)
{
	struct conf_listen *l;

	if (i > c->n_listeners)
		return false;
	*ret = (struct conf_pairs){ &c->tls_cert, &c->tls_key, c->tls,
		&c->n_tls, NULL };
	if (i == 0)
		return true;
	l = &c->listeners[i - 1];
	*ret = (struct conf_pairs){ &l->tls_cert, &l->tls_key, l->tls,
		&l->n_tls, l->item.origin };
	return true;
}

static int
conf_file_pairs(struct conf *c, const struct conf_pairs *set,
    int64_t *not_after, struct err *reterr)
{
	int64_t end;
	size_t i;
	int r;

	for (i = 0; i < set->cert->n; i++) {
		r = tls_pair_read(set->cert->v[i], set->key->v[i],
		    &set->tls[i], &end, reterr);
		if (r == ERR_NOMEM)
			return r;
		if (r != 0)
			return set->origin == NULL ? conf_unusable(c,
			    "tls_cert", "certificates with their keys",
			    reterr) : conf_file_at(set->origin, ERR_CONFIG,
			    reterr);
		*set->n = i + 1;
		if (*not_after == 0 || end < *not_after)
			*not_after = end;
	}
	return 0;
}

int
conf_load_tls(struct conf *c, int64_t *ret_not_after, struct err *reterr)
{
	struct conf_pairs set;
	int r = 0;

	*ret_not_after = 0;
	for (size_t i = 0; r == 0 && conf_pairs_at(c, i, &set); i++)
		r = conf_file_pairs(c, &set, ret_not_after, reterr);
	return r;
}
