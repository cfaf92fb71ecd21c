/*
 * control_import.c - the verbs that move users in and out in bulk. On pool
 * threads of authd-core. It must never answer with a password, and with keys
 * only where an export was asked for.
 */
#include "config.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "auth/control_private.h"
#include "auth/hash.h"
#include "auth/import.h"
#include "auth/scram.h"
#include "lib/str.h"

#define CONTROL_IMPORT_MAX	200u	/* users of one request */
#define CONTROL_EXPORT_LIST	100u	/* addresses in one line */
#define CONTROL_EXPORT_NAMES	500u	/* in one record */

/* Batches follow one another: two at once would only wait for each other's
 * pages. What takes long, the keys, is made before. */
static pthread_mutex_t control_batch_lock = PTHREAD_MUTEX_INITIALIZER;

struct control_batch {
	struct import_ctx	 ctx;
	size_t			 n;
	struct import_user	*users;
	struct userdb_batch_item *items;
	size_t			*at;		/* which user an item is */
	size_t			 n_items;
	const char		**lists;	/* strings of all lists */
};

/* "problems", "notices", "kept": [index, user, text]. */
static void
control_tell(struct control_job *j, const char *list, size_t i,
    const char *user, const char *text)
{
	json_t *l = json_object_get(j->last, list);

	if (l == NULL) {
		l = json_array();
		control_job_set(j, list, l);
	}
	(void)json_array_append_new(l, json_pack("[I, s, s]", (json_int_t)i,
	    user, text));
}

static void
control_count(struct control_job *j, const char *key)
{
	control_job_set(j, key, json_integer(json_integer_value(
	    json_object_get(j->last, key)) + 1));
}

static void
control_batch_free(struct control_batch *b)
{
	for (size_t i = 0; b->users != NULL && i < b->n; i++)
		import_user_clear(&b->users[i]);
	free(b->users);
	free(b->items);
	free(b->at);
	free(b->lists);
}

static size_t
control_list_sizes(const json_t *users)
{
	size_t n = 0, i;
	json_t *u;

	json_array_foreach(users, i, u)
		n += json_array_size(json_object_get(u, "aliases")) +
		    json_array_size(json_object_get(u, "allow_as"));
	return n;
}

static int
control_batch_begin(struct control_job *j, struct control_batch *b,
    const json_t *users)
{
	const char *mode = control_arg(j->args, "mode");

	if (mode == NULL || (strcmp(mode, "add") != 0 &&
	    strcmp(mode, "update") != 0))
		return err_set(&j->err, ERR_FORMAT,
		    "mode: add or update is wanted");
	if (!json_is_array(users) ||
	    json_array_size(users) > CONTROL_IMPORT_MAX)
		return err_set(&j->err, ERR_FORMAT, "users: a list of at most "
		    "%u objects is wanted", CONTROL_IMPORT_MAX);
	b->ctx = (struct import_ctx){ .core = j->core, .conf = j->conf,
	    .update = strcmp(mode, "update") == 0,
	    .check = json_is_true(json_object_get(j->args, "check")),
	    .now_s = j->now_s };
	b->n = json_array_size(users);
	b->users = calloc(b->n + 1, sizeof(*b->users));
	b->items = calloc(b->n + 1, sizeof(*b->items));
	b->at = calloc(b->n + 1, sizeof(*b->at));
	b->lists = calloc(control_list_sizes(users) + 1, sizeof(*b->lists));
	if (b->users == NULL || b->items == NULL || b->at == NULL ||
	    b->lists == NULL)
		return err_set(&j->err, ERR_NOMEM, "no memory");
	return 0;
}

/* Strings of a list that was checked. */
static size_t
control_list(const json_t *list, const char **dst)
{
	json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
		dst[i] = json_string_value(v);
	return json_array_size(list);
}

/* One more item of the transaction; returns how many strings it took. */
static size_t
control_batch_item(struct control_batch *b, size_t i, const char **strings)
{
	const struct import_user *u = &b->users[i];
	struct userdb_batch_item *it = &b->items[b->n_items];
	bool whole = (u->in.given & IMPORT_WHOLE) != 0;
	bool exact = b->ctx.update && (u->in.given & IMPORT_CONTINUED) == 0;
	size_t n;

	b->at[b->n_items++] = i;
	it->user = u->in.user;
	it->aliases.v = strings;
	it->aliases.n = n = control_list(u->in.aliases, strings);
	it->aliases.given = whole || (u->in.given & IMPORT_HAS_ALIASES) != 0;
	it->aliases.exact = exact && (u->in.given & IMPORT_CONTINUES) == 0;
	it->allow_as.v = strings + n;
	it->allow_as.n = control_list(u->in.allow_as, strings + n);
	it->allow_as.given = (whole ||
	    (u->in.given & IMPORT_HAS_ALLOW_AS) != 0) &&
	    (u->in.given & IMPORT_ALLOW_AS_LATER) == 0;
	it->allow_as.exact = exact;
	return n + it->allow_as.n;
}

static void
control_batch_failed(struct control_job *j, size_t i,
    const struct import_user *u, const char *text)
{
	control_count(j, "failed");
	if (u->unverifiable)
		control_count(j, "unverifiable");
	control_tell(j, "problems", i, u->in.user, text);
}

static void
control_batch_prepare(struct control_job *j, struct control_batch *b,
    const json_t *users)
{
	const char **strings = b->lists;
	struct err e;
	json_t *line;
	size_t i;

	json_array_foreach(users, i, line) {
		e.text[0] = '\0';
		if (import_prepare(&b->ctx, line, &b->users[i], &e) == 0)
			strings += control_batch_item(b, i, strings);
		else
			control_batch_failed(j, i, &b->users[i], e.text);
	}
}

static int
control_batch_merge(void *ctx, size_t i, const struct user_record *was,
    struct user_record *is, struct err *reterr)
{
	struct control_batch *b = ctx;

	return import_merge(&b->ctx, &b->users[b->at[i]], was, is, reterr);
}

/* Who is shut out, or has lost a way to log in, is logged out. Grants under his
 * former password are void by themselves; those of one who is shut out must not
 * come back when he is let in again. */
static int
control_batch_end(struct control_job *j, const struct import_user *u)
{
	const struct relay_filter f = { .user = u->in.user };
	uint64_t n;

	if (!u->shut_out && !u->took_away)
		return 0;
	if (j->kicks == NULL)
		j->kicks = json_array();
	(void)json_array_append_new(j->kicks, json_string(u->in.user));
	return u->shut_out ? relay_cache_revoke(j->core->relay, &f, &n,
	    &j->err) : 0;
}

static int
control_batch_answer(struct control_job *j, struct control_batch *b)
{
	static const char *const counts[] = {
		[USERDB_BATCH_KEPT] = "exists", [USERDB_BATCH_ADDED] = "added",
		[USERDB_BATCH_UPDATED] = "updated",
		[USERDB_BATCH_UNCHANGED] = "unchanged",
	};
	const struct userdb_batch_item *it;
	const struct import_user *u;
	int r = 0;

	for (size_t i = 0; i < b->n_items; i++) {
		it = &b->items[i];
		u = &b->users[b->at[i]];
		if ((it->result == USERDB_BATCH_FAILED ||
		    it->result == USERDB_BATCH_KEPT) && (u->in.given &
		    (IMPORT_CONTINUED | IMPORT_ALLOW_AS_LATER)) != 0)
			control_tell(j, "kept", b->at[i], u->in.user, "");
		if (it->result == USERDB_BATCH_FAILED) {
			control_batch_failed(j, b->at[i], u, it->err.text);
			continue;
		}
		if ((u->in.given & IMPORT_CONTINUES) == 0)
			control_count(j, counts[it->result]);
		if (it->result == USERDB_BATCH_KEPT)
			continue;
		if (u->secret_lost) {
			control_count(j, "secrets");
			control_tell(j, "notices", b->at[i], u->in.user,
			    "his secret for CRAM-MD5 and APOP was sealed under "
			    "another secret.key and is left out");
		}
		if (it->result == USERDB_BATCH_UNCHANGED || b->ctx.check)
			continue;
		j->n_changed++;
		if (r == 0)
			r = control_batch_end(j, u);
	}
	j->quiet = j->n_changed == 0;
	return r;
}

int
control_user_import(struct control_job *j)
{
	const json_t *users = json_object_get(j->args, "users");
	struct control_batch b = { .n = 0 };
	int r;

	if ((r = control_batch_begin(j, &b, users)) == 0) {
		control_batch_prepare(j, &b, users);
		pthread_mutex_lock(&control_batch_lock);
		r = userdb_batch(j->core->userdb, b.items, b.n_items,
		    control_batch_merge, &b, b.ctx.check, &j->err);
		pthread_mutex_unlock(&control_batch_lock);
	}
	if (r == 0)
		r = control_batch_answer(j, &b);
	control_batch_free(&b);
	return r;
}

/* --------------------------------------------------------------- export -- */

typedef int control_list_fn(struct userdb *db, const char *user,
	    char item[MAILBOX_SIZE], struct err *reterr);

/* The next addresses of a list, up to CONTROL_EXPORT_LIST; *ret_more: there
 * are others. */
static int
control_export_list(struct control_job *j, control_list_fn *next,
    const char *user, char last[MAILBOX_SIZE], json_t *list, bool *ret_more)
{
	char item[MAILBOX_SIZE];
	int r;

	(void)str_copy(item, sizeof(item), last);
	*ret_more = false;
	while ((r = next(j->core->userdb, user, item, &j->err)) == 0) {
		if (json_array_size(list) == CONTROL_EXPORT_LIST) {
			*ret_more = true;
			return 0;
		}
		(void)json_array_append_new(list, json_string(item));
		(void)str_copy(last, MAILBOX_SIZE, item);
	}
	return r == ERR_NOTFOUND ? 0 : r;
}

struct control_export {
	char	alias[MAILBOX_SIZE], allow[MAILBOX_SIZE];	/* the last */
	bool	more_aliases, more_allow;
	json_t	*aliases, *allow_as;
};

static int
control_export_lists(struct control_job *j, const char *user,
    struct control_export *x)
{
	int r;

	x->aliases = json_array();
	x->allow_as = json_array();
	r = control_export_list(j, userdb_alias_next, user, x->alias,
	    x->aliases, &x->more_aliases);
	if (r == 0)
		r = control_export_list(j, userdb_allow_as_next, user,
		    x->allow, x->allow_as, &x->more_allow);
	if (r != 0) {
		json_decref(x->aliases);
		json_decref(x->allow_as);
	}
	return r;
}

/* A user, and lines that continue his lists where they are long. */
static int
control_export_one(struct control_job *j, const char *user,
    const struct user_record *rec)
{
	struct control_export x = { .more_aliases = false };
	json_t *o;
	int r;

	if ((r = control_export_lists(j, user, &x)) != 0)
		return r;
	o = import_record_encode(user, rec, x.aliases, x.allow_as);
	if (x.more_aliases || x.more_allow)
		(void)json_object_set_new(o, "continued", json_true());
	(void)json_array_append_new(j->records, o);
	while (x.more_aliases || x.more_allow) {
		if ((r = control_export_lists(j, user, &x)) != 0)
			return r;
		o = json_pack("{s:s, s:b, s:b, s:o, s:o}", "user", user,
		    "continued", 1, "continues", 1, "aliases", x.aliases,
		    "allow_as", x.allow_as);
		(void)json_array_append_new(j->records, o);
	}
	return 0;
}

/* Names alone, of those who are enabled. */
static void
control_export_name(struct control_job *j, const char *user,
    const struct user_record *rec)
{
	size_t n = json_array_size(j->records);
	json_t *names = json_object_get(json_array_get(j->records, n - 1),
	    "names");

	if ((rec->flags & USER_DISABLED) != 0)
		return;
	if (json_array_size(names) % CONTROL_EXPORT_NAMES == 0) {
		names = json_array();
		(void)json_array_append_new(j->records, json_pack("{s:o}",
		    "names", names));
	}
	(void)json_array_append_new(names, json_string(user));
}

static int
control_export_page(struct control_job *j)
{
	bool names = json_is_true(json_object_get(j->args, "names"));
	char user[MAILBOX_SIZE], last[MAILBOX_SIZE] = "";
	struct user_record rec;
	int r;

	if (str_copy(user, sizeof(user), j->after) != 0)
		return err_set(&j->err, ERR_FORMAT, "after: too long");
	for (size_t i = 0; (r = userdb_next(j->core->userdb, user, &rec,
	    &j->err)) == 0; i++) {
		if (i == j->limit) {
			control_job_set(j, "next", json_string(last));
			record_user_clear(&rec);
			return 0;
		}
		if (names)
			control_export_name(j, user, &rec);
		else
			r = control_export_one(j, user, &rec);
		record_user_clear(&rec);
		if (r != 0)
			return r;
		(void)str_copy(last, sizeof(last), user);
	}
	return r == ERR_NOTFOUND ? 0 : r;
}

int
control_user_export(struct control_job *j)
{
	struct user_record rec;
	int r;

	if (j->user[0] == '\0')
		return control_export_page(j);
	r = userdb_get(j->core->userdb, j->user, &rec, &j->err);
	if (r == 0)
		r = control_export_one(j, j->user, &rec);
	record_user_clear(&rec);
	return r;
}

/* ----------------------------------------------------------------- hash -- */

static int
control_hash_text(struct control_job *j, bool sha1, char *dst, size_t size)
{
	char salt64[STR_B64_SIZE(SCRAM_SALT)], a[STR_B64_SIZE(SCRAM_KEY)];
	char b[STR_B64_SIZE(SCRAM_KEY)];
	uint8_t salt[SCRAM_SALT], stored[SCRAM_KEY], server[SCRAM_KEY];
	uint32_t n = (uint32_t)j->conf->scram_iterations;
	size_t len = strlen(j->password), key = sha1 ? SCRAM_KEY1 : SCRAM_KEY;
	int r = ERR_NOMEM;

	if (RAND_bytes(salt, sizeof(salt)) == 1 && (sha1 ?
	    scram_derive1(j->password, len, salt, sizeof(salt), n, stored,
	    server) : scram_derive(j->password, len, salt, sizeof(salt), n,
	    stored, server)) == 0) {
		(void)str_b64_encode(salt64, sizeof(salt64), salt,
		    sizeof(salt));
		(void)str_b64_encode(a, sizeof(a), stored, key);
		(void)str_b64_encode(b, sizeof(b), server, key);
		r = str_format(dst, size, "{SCRAM-SHA-%s}%u,%s,%s,%s",
		    sha1 ? "1" : "256", n, salt64, a, b);
	}
	explicit_bzero(a, sizeof(a));
	explicit_bzero(b, sizeof(b));
	explicit_bzero(stored, sizeof(stored));
	explicit_bzero(server, sizeof(server));
	return r;
}

int
control_user_hash(struct control_job *j)
{
	const char *scheme = control_arg(j->args, "scheme");
	char text[HASH_SIZE];
	bool sha1 = scheme != NULL && str_ieq(scheme, "SCRAM-SHA-1");

	if (scheme != NULL && !sha1 && !str_ieq(scheme, "SCRAM-SHA-256"))
		return err_set(&j->err, ERR_FORMAT, "scheme: SCRAM-SHA-256 or "
		    "SCRAM-SHA-1 is wanted");
	if (control_hash_text(j, sha1, text, sizeof(text)) != 0)
		return err_set(&j->err, ERR_NOMEM,
		    "the password could not be hashed");
	control_job_set(j, "hash", json_string(text));
	explicit_bzero(text, sizeof(text));
	return 0;
}
