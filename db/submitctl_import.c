/*
 * submitctl_import.c - "user import": reads users from a file, names what is
 * wrong by its line, and hands them to authd-core in batches. Runs as whoever
 * called it. It must never print a password or a hash.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sysexits.h>

#include "db/import.h"
#include "db/submitctl.h"
#include "db/submitctl_batch.h"
#include "db/submitctl_names.h"
#include "db/submitctl_source.h"
#include "lib/control.h"
#include "lib/str.h"

#define IMPORT_MISSING		"5%"	/* --max-missing by default */
#define IMPORT_ALIAS_BIT	((uint64_t)1 << 63)	/* of a name's line */

struct import_run {
	struct ctl	*ctl;
	struct source	 src;
	const char	*domain;	/* of names without one, or NULL */
	bool		 check, update, replace;
	bool		 scan;		/* the names only: nothing is sent */
	bool		 begun;		/* a line of JSON was seen */
	struct names	*names;
	struct batches	*batches;
	json_t		*later;		/* lines that wait for all users */
	json_t		*later_lines;	/* their numbers */
	struct names	*kept;		/* of those whose lines are dropped */
	uint64_t	 bad;		/* lines with an error */
	uint64_t	 nameless;	/* of these: whose is not known */
	uint64_t	 disabled;
};

/* "FILE:LINE: user: what, what to do" */
static void
import_say(const struct import_run *r, uint64_t line, const char *user,
    const char *text, bool failed)
{
	char safe_user[MAILBOX_SIZE], safe[400], who[MAILBOX_SIZE + 2] = "";

	if (user != NULL && user[0] != '\0')
		(void)str_format(who, sizeof(who), "%s: ", ctl_safe(user,
		    safe_user, sizeof(safe_user)));
	fprintf(stderr, "%s:%llu: %s%s%s\n", r->src.name,
	    (unsigned long long)line, failed ? "" : "warning: ", who,
	    ctl_safe(text, safe, sizeof(safe)));
}

static void
import_told(void *ctx, uint64_t line, const char *user, const char *text,
    enum batch_what what)
{
	struct import_run *r = ctx;
	uint64_t earlier;

	if (what == BATCH_IS_KEPT && user != NULL)
		(void)names_add(r->kept, user, line, &earlier);
	else if (what != BATCH_IS_KEPT)
		import_say(r, line, user, text != NULL ? text : "failed",
		    what == BATCH_IS_PROBLEM);
}

/* A line that cannot be taken. `user`: whose it is, or ""; `named`: what
 * stands there for a name can be no user's here. */
static int
import_bad(struct import_run *r, const char *user, bool named,
    const struct err *e)
{
	uint64_t earlier;
	bool known = named || user[0] != '\0';

	r->bad++;
	r->nameless += !known;
	/* He stands in the file: --replace must not take him for missing. */
	if (user[0] != '\0')
		(void)names_add(r->names, user, r->src.line, &earlier);
	if (!r->scan || !known)
		import_say(r, r->src.line, user, e->text, true);
	return 0;
}

/* Each address once in a file. */
static int
import_claim(struct import_run *r, const char *address, uint64_t mark,
    struct err *e)
{
	uint64_t earlier;
	int code;

	code = names_add(r->names, address, r->src.line | mark, &earlier);
	if (code == 0)
		return 0;
	if (code == ERR_NOMEM)
		return err_set(e, code, "no memory");
	return err_set(e, code, "%s stands in line %llu too: remove one of "
	    "them", address, (unsigned long long)(earlier &
	    ~IMPORT_ALIAS_BIT));
}

/* ----------------------------------------------- lines of other servers -- */

/* What became of a rule or a path that cannot be kept. */
static void
import_lost(struct import_run *r, struct import_line *l, const char *user,
    json_t *o)
{
	const char *root = r->ctl->conf->mail_root;
	size_t len = strlen(root);
	char text[160];

	if (l->maildir[0] != '\0' && strncmp(l->maildir, root, len) == 0 &&
	    l->maildir[len] == '/') {
		(void)json_object_set_new(o, "maildir",
		    json_string(l->maildir + len + 1));
	} else if (l->maildir[0] != '\0' && !r->scan) {
		import_say(r, r->src.line, user, "its Maildir is not below "
		    "mail_root; he gets the usual one", false);
	}
	if (l->lost[0] == '\0' || r->scan)
		return;
	(void)str_format(text, sizeof(text), "%s has no counterpart here and "
	    "is left out", l->lost);
	import_say(r, r->src.line, user, text, false);
}

static json_t *
import_line_json(struct import_run *r, struct import_line *l,
    const char *user)
{
	json_t *o = json_object();
	const char *key = l->plain ? "password" : "hash";

	(void)json_object_set_new(o, "user", json_string(user));
	(void)json_object_set_new(o, key, json_string(l->secret));
	if (l->note[0] != '\0')
		(void)json_object_set_new(o, "note", json_string(l->note));
	if (l->has_quota)
		(void)json_object_set_new(o, "quota_octets",
		    json_integer((json_int_t)l->quota_octets));
	if (l->disabled)
		(void)json_object_set_new(o, "disabled", json_true());
	import_lost(r, l, user, o);
	return o;
}

/* Has a line something for a user, *ret is it. 0, or the exit code. */
static int
import_foreign(struct import_run *r, const char *line, size_t len,
    json_t **ret)
{
	struct import_line l;
	char user[MAILBOX_SIZE] = "";
	const char *domain = r->domain;
	struct err e = { 0 }, why;
	int code, named;

	code = import_line_parse(r->src.format, line, len, &l, &e);
	if (code == 1)
		return 0;
	if (domain == NULL && l.realm[0] != '\0')
		domain = l.realm;
	if (domain == NULL && r->ctl->conf->local_domains.n > 0)
		domain = r->ctl->conf->local_domains.v[0];
	named = import_user(l.name, domain, user, code == 0 ? &e : &why);
	if (code == 0 && named == 0)
		code = import_claim(r, user, 0, &e);
	if (code == 0 && named == 0)
		*ret = import_line_json(r, &l, user);
	else
		code = import_bad(r, user, l.name[0] != '\0', &e);
	import_line_clear(&l);
	return code;
}

/* -------------------------------------------------------- our own lines -- */

/* Addresses in a list, as they are stored. */
static int
import_canonical(json_t *o, const char *key, const char *domain,
    struct err *e)
{
	json_t *list = json_object_get(o, key), *v;
	char at[MAILBOX_SIZE], canon[MAILBOX_SIZE];
	const char *s;
	size_t i;

	json_array_foreach(list, i, v) {
		if ((s = json_string_value(v)) == NULL)
			return err_set(e, ERR_FORMAT,
			    "\"%s\": entry %zu is no text", key, i + 1);
		if (s[0] == '@' && (str_format(at, sizeof(at), "x%s", s) != 0 ||
		    import_user(at, NULL, canon, e) != 0))
			return err_set(e, ERR_FORMAT, "\"%s\": entry %zu is no "
			    "@DOMAIN", key, i + 1);
		if (s[0] != '@' && import_user(s, domain, canon, e) != 0)
			return err_set(e, ERR_FORMAT, "\"%s\": entry %zu is no "
			    "address", key, i + 1);
		(void)json_array_set_new(list, i,
		    json_string(canon + (s[0] == '@')));
	}
	return 0;
}

static int
import_claim_aliases(struct import_run *r, const json_t *o, struct err *e)
{
	json_t *v;
	size_t i;
	int code;

	json_array_foreach(json_object_get(o, "aliases"), i, v)
		if ((code = import_claim(r, json_string_value(v),
		    IMPORT_ALIAS_BIT, e)) != 0)
			return code;
	return 0;
}

/* What waits until all users are there: who may act for whom, and lines that
 * continue an earlier one. true: the line is dealt with. */
static bool
import_put_off(struct import_run *r, json_t *o)
{
	json_t *allow = json_object_get(o, "allow_as"), *later = o;
	bool whole = !json_is_true(json_object_get(o, "continues"));

	if (whole && json_array_size(allow) == 0)
		return false;
	if (whole) {
		later = json_pack("{s:O, s:O, s:b}", "user",
		    json_object_get(o, "user"), "allow_as", allow,
		    "continues", 1);
		if (json_is_true(json_object_get(o, "continued")))
			(void)json_object_set_new(later, "continued",
			    json_true());
		(void)json_object_del(o, "allow_as");
		(void)json_object_set_new(o, "allow_as_later", json_true());
	} else {
		json_incref(o);
	}
	if (!r->scan) {
		(void)json_array_append(r->later, later);
		(void)json_array_append_new(r->later_lines,
		    json_integer((json_int_t)r->src.line));
	}
	json_decref(later);
	return !whole;
}

static int
import_own_take(struct import_run *r, json_t *o, char user[MAILBOX_SIZE],
    struct err *e)
{
	const char *domain = r->domain;
	int code;

	if (domain == NULL && r->ctl->conf->local_domains.n > 0)
		domain = r->ctl->conf->local_domains.v[0];
	if (!json_is_string(json_object_get(o, "user")))
		return err_set(e, ERR_FORMAT, "\"user\" is missing");
	if ((code = import_user(ctl_str(o, "user"), domain, user, e)) != 0)
		return code;
	(void)json_object_set_new(o, "user", json_string(user));
	if (!json_is_true(json_object_get(o, "continues")) &&
	    (code = import_claim(r, user, 0, e)) != 0)
		return code;
	if ((code = import_canonical(o, "aliases", domain, e)) != 0 ||
	    (code = import_canonical(o, "allow_as", domain, e)) != 0)
		return code;
	return import_claim_aliases(r, o, e);
}

/* The first line of an export: {"submitd_users":1}. */
static int
import_own_head(struct import_run *r, const json_t *o, bool *ret_is)
{
	const json_t *v = json_object_get(o, "submitd_users");

	*ret_is = v != NULL && !r->begun;
	r->begun = true;
	if (*ret_is && json_integer_value(v) != 1)
		return ctl_fail(EX_DATAERR, "%s was written by another version "
		    "of submitd: this one knows \"submitd_users\":1",
		    r->src.name);
	return 0;
}

static int
import_own(struct import_run *r, const char *line, size_t len, json_t **ret)
{
	char user[MAILBOX_SIZE] = "";
	struct err e = { 0 };
	json_error_t je;
	bool is_head;
	json_t *o;
	int code;

	while (len > 0 && strchr(" \t\r", *line) != NULL && *line != '\0') {
		line++;
		len--;
	}
	if (len == 0)
		return 0;
	o = json_loadb(line, len, JSON_REJECT_DUPLICATES, &je);
	if (!json_is_object(o)) {
		(void)err_set(&e, ERR_FORMAT, "this is no JSON object (%s)",
		    o == NULL ? je.text : "{\"user\":…}");
		json_decref(o);
		return import_bad(r, "", false, &e);
	}
	if ((code = import_own_head(r, o, &is_head)) == 0 && !is_head) {
		if (import_own_take(r, o, user, &e) != 0)
			code = import_bad(r, user, ctl_str(o, "user")[0] !=
			    '\0', &e);
		else if (!import_put_off(r, o))
			*ret = json_incref(o);
	}
	json_decref(o);
	return code;
}

/* -------------------------------------------------------------- the run -- */

static int
import_one(struct import_run *r, const char *line, size_t len)
{
	json_t *o = NULL;
	int code;

	code = r->src.format == IMPORT_JSON ? import_own(r, line, len, &o) :
	    import_foreign(r, line, len, &o);
	if (code == 0 && o != NULL && !r->scan)
		code = batches_add(r->batches, o, r->src.line,
		    json_object_get(o, "password") != NULL);
	json_decref(o);
	return code;
}

static int
import_lines(struct import_run *r)
{
	const char *line;
	struct err e;
	size_t len;
	int code = 0, n;

	while (code == 0 && (n = source_next(&r->src, &line, &len)) != 0) {
		if (n == -2)
			return ctl_fail(EX_IOERR, "%s: %s", r->src.name,
			    strerror(errno));
		if (n == 1) {
			code = import_one(r, line, len);
			continue;
		}
		(void)err_set(&e, ERR_LIMIT, "the line is longer than 60 KiB");
		code = import_bad(r, "", false, &e);
	}
	return code;
}

/* What was put off, unless its user was left as he is. */
static int
import_later(struct import_run *r)
{
	struct batches *b;
	const uint64_t *n;
	json_t *o;
	size_t i;
	int code = 0;

	if (json_array_size(r->later) == 0)
		return 0;
	b = batches_new(r->ctl, r->update ? "update" : "add", r->check,
	    import_told, r);
	if (b == NULL)
		return EX_OSERR;
	json_array_foreach(r->later, i, o)
		if (code == 0 && names_line(r->kept, ctl_str(o, "user")) == 0)
			code = batches_add(b, o, (uint64_t)json_integer_value(
			    json_array_get(r->later_lines, i)), false);
	if (code == 0)
		code = batches_finish(b);
	n = batches_counted(b);
	r->bad += n[BATCH_FAILED];
	batches_free(b);
	return code;
}

/* ---------------------------------------------------------- the missing -- */

struct import_missing {
	struct import_run	*run;
	json_t			*list;
	uint64_t		 enabled;	/* users of the database */
	char			 after[MAILBOX_SIZE];
	bool			 more;
};

static void
import_page(void *ctx, const json_t *record, int fd)
{
	struct import_missing *m = ctx;
	const char *next = ctl_str(record, "next");
	uint64_t line;
	json_t *v;
	size_t i;

	(void)fd;
	json_array_foreach(json_object_get(record, "names"), i, v) {
		m->enabled++;
		line = names_line(m->run->names, json_string_value(v));
		if (line == 0 || (line & IMPORT_ALIAS_BIT) != 0)
			(void)json_array_append(m->list, v);
	}
	m->more = next[0] != '\0' && strcmp(next, m->after) > 0;
	(void)str_copy(m->after, sizeof(m->after), next);
}

/* Who is enabled in the database and not in the file. */
static int
import_find_missing(struct import_run *r, struct import_missing *m)
{
	char path[4096];
	struct err e = { 0 };
	json_t *request;
	int code = 0;

	if (str_format(path, sizeof(path), "%s/control/users",
	    r->ctl->conf->run_dir) != 0)
		return ctl_fail(EX_CONFIG, "run_dir is too long");
	m->run = r;
	m->list = json_array();
	for (m->more = true; m->more && code == 0; json_decref(request)) {
		m->more = false;
		request = json_pack("{s:s, s:b, s:s, s:i}", "verb",
		    "user.export", "names", 1, "after", m->after, "limit",
		    1000);
		code = control_ask(path, request, 60, import_page, m, &e);
	}
	return code == 0 ? 0 : ctl_fail(code, "%s", e.text);
}

/* "N" or "N%"; ERR_FORMAT. */
static int
import_max_missing(const char *s, uint64_t total, uint64_t *ret)
{
	size_t len = strlen(s);
	bool percent = len > 0 && s[len - 1] == '%';

	if (str_u64_n(s, percent ? len - 1 : len, 0, percent ? 100 :
	    UINT32_MAX, ret) != 0)
		return ERR_FORMAT;
	if (percent)
		*ret = total * *ret / 100;
	return 0;
}

/* Goes through the file without changing anything: are too many missing? */
static int
import_guard(struct import_run *r, struct import_missing *m)
{
	const char *given = r->ctl->max_missing != NULL ?
	    r->ctl->max_missing : IMPORT_MISSING;
	uint64_t max, n;
	int code;

	r->scan = true;
	if ((code = import_lines(r)) != 0)
		return code;
	r->scan = false;
	if (r->nameless > 0)
		return ctl_fail(EX_DATAERR, "--replace: whose lines these are "
		    "is not known, so nothing is changed; correct them first");
	if ((code = import_find_missing(r, m)) != 0)
		return code;
	n = json_array_size(m->list);
	if (import_max_missing(given, m->enabled, &max) != 0)
		return ctl_fail(EX_USAGE, "--max-missing: a number of users, "
		    "or 0%% to 100%% of them, is wanted");
	if (n > max)
		return ctl_fail(EX_DATAERR, "--replace: %llu of %llu users are "
		    "not in %s, the first is %s; nothing is changed.\nIf that "
		    "is right, allow it by --max-missing %llu.",
		    (unsigned long long)n, (unsigned long long)m->enabled,
		    r->src.name, json_string_value(json_array_get(m->list, 0)),
		    (unsigned long long)n);
	names_free(r->names);
	r->bad = 0;
	r->begun = false;
	if ((r->names = names_new()) == NULL)
		return ctl_fail(EX_OSERR, "no memory");
	return source_rewind(&r->src);
}

static int
import_disable(struct import_run *r, const struct import_missing *m)
{
	struct batches *b;
	json_t *v, *o;
	size_t i;
	int code = 0;

	b = batches_new(r->ctl, "update", r->check, import_told, r);
	if (b == NULL)
		return EX_OSERR;
	json_array_foreach(m->list, i, v) {
		o = json_pack("{s:O, s:b}", "user", v, "disabled", 1);
		if (code == 0)
			code = batches_add(b, o, 0, false);
		json_decref(o);
	}
	if (code == 0)
		code = batches_finish(b);
	r->disabled = batches_counted(b)[BATCH_UPDATED];
	r->bad += batches_counted(b)[BATCH_FAILED];
	batches_free(b);
	return code;
}

/* ---------------------------------------------------------- the command -- */

static int
import_summary(struct import_run *r)
{
	const uint64_t *n = batches_counted(r->batches);
	uint64_t failed = n[BATCH_FAILED] + r->bad;
	json_t *o = json_object();

	for (size_t i = 0; i < BATCH__COUNT; i++)
		(void)json_object_set_new(o, batch_counts[i],
		    json_integer((json_int_t)(i == BATCH_FAILED ? failed :
		    n[i])));
	(void)json_object_set_new(o, "disabled",
	    json_integer((json_int_t)r->disabled));
	(void)json_object_set_new(o, "check", json_boolean(r->check));
	ctl_say(r->ctl, o, "%sadded %lld, updated %lld, unchanged %lld, "
	    "there already %lld, disabled %lld, failed %lld",
	    r->check ? "would be: " : "", (long long)n[BATCH_ADDED],
	    (long long)n[BATCH_UPDATED], (long long)n[BATCH_UNCHANGED],
	    (long long)n[BATCH_EXISTS], (long long)r->disabled,
	    (long long)failed);
	json_decref(o);
	if (n[BATCH_UNVERIFIABLE] > 0 && !r->ctl->json)
		printf("%lld of these have a hash that cannot be verified: "
		    "give them new passwords\n",
		    (long long)n[BATCH_UNVERIFIABLE]);
	if (n[BATCH_SECRETS] > 0 && !r->ctl->json)
		printf("%lld secrets for CRAM-MD5 and APOP are left out: they "
		    "were sealed under another secret.key\n",
		    (long long)n[BATCH_SECRETS]);
	return failed > 0 ? EX_DATAERR : EX_OK;
}

static int
import_run(struct import_run *r)
{
	struct import_missing m = { 0 };
	int code = 0;

	if (r->replace)
		code = import_guard(r, &m);
	if (code == 0)
		code = import_lines(r);
	if (code == 0)
		code = batches_finish(r->batches);
	if (code == 0)
		code = import_later(r);
	if (code == 0 && json_array_size(m.list) > 0)
		code = import_disable(r, &m);
	json_decref(m.list);
	return code;
}

static int
import_format(const struct ctl *c, enum import_format *ret)
{
	*ret = c->format == NULL ? IMPORT_AUTO : import_format_of(c->format);
	if (*ret != IMPORT_FORMAT__END)
		return 0;
	return ctl_fail(EX_USAGE, "--format: passwd-file, json, htpasswd or "
	    "sasldb2 is wanted");
}

int
ctl_user_import(struct ctl *c)
{
	struct import_run r = { .ctl = c, .domain = c->domain,
	    .check = (c->given & CTL_CHECK) != 0,
	    .replace = (c->given & CTL_REPLACE) != 0,
	    .src = { .fd = -1 } };
	const char *file = c->argc > 0 ? c->argv[0] : "-";
	enum import_format f;
	int code, end;

	r.update = r.replace || (c->given & CTL_UPDATE) != 0;
	if (c->max_missing != NULL && !r.replace)
		return ctl_fail(EX_USAGE, "--max-missing goes with --replace");
	if (c->domain != NULL && !mailbox_is_domain(c->domain,
	    strlen(c->domain)))
		return ctl_fail(EX_USAGE, "--domain: a domain is wanted");
	if ((code = import_format(c, &f)) != 0 || (code = ctl_conf(c)) != 0)
		return code;
	r.names = names_new();
	r.kept = names_new();
	r.later = json_array();
	r.later_lines = json_array();
	r.batches = batches_new(c, r.update ? "update" : "add", r.check,
	    import_told, &r);
	code = r.names == NULL || r.kept == NULL || r.batches == NULL ?
	    EX_OSERR : source_open(&r.src, file, f, c->conf->libexec_dir,
	    r.replace);
	if (code == 0)
		code = import_run(&r);
	end = source_close(&r.src);
	code = code != 0 ? code : end;
	/* What was done counts, however it ended. */
	if (r.batches != NULL && (code == 0 || code == EX_UNAVAILABLE))
		end = import_summary(&r);
	code = code != 0 ? code : end;
	batches_free(r.batches);
	names_free(r.names);
	names_free(r.kept);
	json_decref(r.later);
	json_decref(r.later_lines);
	return code;
}
