/*
 * control_user.c - the verbs on users and their addresses. On pool threads of
 * authd-core. A change that takes a right away takes the grants with it, on
 * stable storage before it is answered, and ends the sessions.
 */
#include "config.h"

#include <fnmatch.h>
#include <string.h>

#include "auth/authp.h"
#include "auth/control_private.h"
#include "auth/quota.h"
#include "auth/scram.h"
#include "lib/clock.h"
#include "lib/str.h"

#define CONTROL_STARS_MAX 8	/* of a pattern; fnmatch() tries them all */

/* A generation is never used twice for a name, not even when its user was
 * deleted meanwhile: what was issued to the former one (tickets live for a day)
 * must not hold for the next. */
uint64_t
control_generation(const struct user_record *r)
{
	uint64_t g = (uint64_t)clock_now_us();

	if (g <= r->secret_generation)
		g = r->secret_generation + 1;
	for (unsigned int i = 0; i < r->n_credentials; i++)
		if (g <= r->credentials[i].generation)
			g = r->credentials[i].generation + 1;
	return g;
}

/* All of a user's keys share his salt; it is made from his name. */
static int
control_derive(struct control_job *j, const struct user_record *r)
{
	j->keys_salt_len = r->salt_len;
	memcpy(j->keys_salt, r->salt, sizeof(j->keys_salt));
	if (r->salt_len == 0 && scram_salt_of(j->core->keys.fake, j->user,
	    j->keys_salt) == 0)
		j->keys_salt_len = SCRAM_SALT;
	if (j->keys_salt_len > 0 && scram_set_keys(&j->keys, j->password,
	    strlen(j->password), j->keys_salt, j->keys_salt_len,
	    (uint32_t)j->conf->scram_iterations, j->conf->scram_sha1) == 0)
		return 0;
	j->keys_salt_len = 0;
	return err_set(&j->err, ERR_NOMEM, "the password could not be hashed");
}

int
control_make_keys(struct control_job *j)
{
	struct user_record rec;
	int r;

	r = userdb_get(j->core->userdb, j->user, &rec, &j->err);
	if (r != 0)
		return r;
	r = control_derive(j, &rec);
	record_user_clear(&rec);
	return r;
}

int
control_set_keys(struct control_job *j, struct user_record *r,
    struct user_credential *c)
{
	int rc;

	/* Not made yet, or he was made anew meanwhile. */
	if ((j->keys_salt_len == 0 || (r->salt_len > 0 &&
	    (r->salt_len != j->keys_salt_len ||
	    memcmp(r->salt, j->keys_salt, r->salt_len) != 0))) &&
	    (rc = control_derive(j, r)) != 0)
		return rc;
	r->salt_len = j->keys_salt_len;
	memcpy(r->salt, j->keys_salt, sizeof(r->salt));
	user_credential_take_keys(c, &j->keys);
	c->created_s = j->now_s;
	c->generation = control_generation(r);
	r->changed_s = j->now_s;
	return 0;
}

static int
control_set_password(struct control_job *j, struct user_record *r)
{
	struct user_credential *c;

	c = user_credential_find(r, CREDENTIAL_PASSWORD, "");
	if (c == NULL)
		c = user_credential_add(r, CREDENTIAL_PASSWORD, "");
	if (c == NULL)
		return err_set(&j->err, ERR_LIMIT,
		    "the user has %u credentials already",
		    RECORD_CREDENTIALS_MAX);
	explicit_bzero(r->hash, sizeof(r->hash));
	return control_set_keys(j, r, c);
}

static void
control_warn_domain(struct control_job *j, const char *address)
{
	const char *domain = mailbox_domain(address);

	if (domain != NULL && !conf_is_local_domain(j->conf, domain))
		control_job_warn(j, "domain %s is not in local_domains: mail "
		    "to it is not delivered here", domain);
}

static int
control_drop_grants(struct control_job *j)
{
	const struct relay_filter f = { .user = j->user };
	uint64_t n = 0;
	int r;

	r = relay_cache_revoke(j->core->relay, &f, &n, &j->err);
	control_job_set(j, "revoked", json_integer((json_int_t)n));
	return r;
}

static const char *
control_maildir_text(const struct control_job *j, const struct user_record *r,
    char *dst, size_t size)
{
	if (str_format(dst, size, "%s/%s", j->conf->mail_root,
	    r->maildir) != 0)
		return r->maildir;
	return dst;
}

json_t *
control_user_json(const struct control_job *j, const char *user,
    const struct user_record *r)
{
	const struct user_credential *c = r->credentials;
	bool scram = r->n_credentials > 0 && c->label[0] == '\0' &&
	    c->keys != 0;
	unsigned int certificates = 0;
	char path[1024];
	json_t *o;

	for (unsigned int i = 0; i < r->n_credentials; i++)
		certificates += c[i].kind == CREDENTIAL_CERTIFICATE;
	o = json_pack("{s:s, s:s, s:b, s:b, s:I, s:I, s:s, s:i, s:i, s:b}",
	    "user", user, "state",
	    (r->flags & USER_DISABLED) != 0 ? "disabled" :
	    (r->flags & USER_SENDING_DISABLED) != 0 ? "sending disabled" :
	    "enabled", "scram", (int)scram,
	    "imported_hash", r->hash[0] != '\0',
	    "created_s", (json_int_t)r->created_s,
	    "changed_s", (json_int_t)r->changed_s,
	    "maildir", control_maildir_text(j, r, path, sizeof(path)),
	    "credentials", (int)(r->n_credentials - certificates),
	    "certificates", (int)certificates, "secret", r->secret_len > 0);
	control_put_settings(o, r);
	return o;
}

int
control_user_add(struct control_job *j)
{
	struct user_record rec = { .flags = USER_FLAGS_NEW,
	    .created_s = j->now_s };
	int r;

	if (maildir_expand(j->conf->maildir, j->user, rec.maildir,
	    sizeof(rec.maildir)) != 0)
		return err_set(&j->err, ERR_FORMAT, "%s: the maildir template "
		    "%s gives no usable path for this name", j->user,
		    j->conf->maildir);
	control_apply(j, &rec);
	if ((r = control_set_password(j, &rec)) == 0)
		r = userdb_add(j->core->userdb, j->user, &rec, &j->err);
	if (r == 0)
		(void)json_object_update_new(j->last,
		    control_user_json(j, j->user, &rec));
	if (r == 0)
		control_warn_domain(j, j->user);
	record_user_clear(&rec);
	return r;
}

static int
control_edit_password(void *ctx, struct user_record *rec)
{
	return control_set_password(ctx, rec);
}

static int
control_edit_disable(void *ctx, struct user_record *rec)
{
	const struct control_job *j = ctx;

	rec->flags |= json_is_true(json_object_get(j->args, "sending")) ?
	    USER_SENDING_DISABLED : USER_DISABLED;
	rec->changed_s = j->now_s;
	return 0;
}

static int
control_edit_enable(void *ctx, struct user_record *rec)
{
	const struct control_job *j = ctx;

	rec->flags &= ~(uint32_t)(USER_DISABLED | USER_SENDING_DISABLED);
	rec->changed_s = j->now_s;
	return 0;
}

static int
control_edit_settings(void *ctx, struct user_record *rec)
{
	return control_apply(ctx, rec);
}

int
control_edit(struct control_job *j, userdb_edit_fn *edit, bool drop_grants,
    struct user_record *ret)
{
	struct user_record rec;
	int r;

	r = (j->kick || drop_grants ? userdb_take : userdb_update)(
	    j->core->userdb, j->user, edit, j, &rec, &j->err);
	if (r != 0)
		return r;
	(void)json_object_update_new(j->last,
	    control_user_json(j, j->user, &rec));
	if (ret != NULL)
		*ret = rec;
	record_user_clear(&rec);
	return drop_grants ? control_drop_grants(j) : 0;
}

int
control_user_passwd(struct control_job *j)
{
	int r;

	j->kick = true;
	if ((r = control_make_keys(j)) != 0)
		return r;
	return control_edit(j, control_edit_password, true, NULL);
}

/* Who may not send any more hears it at his next MAIL; his POP3 sessions go
 * on. */
int
control_user_disable(struct control_job *j)
{
	j->kick = !json_is_true(json_object_get(j->args, "sending"));
	return control_edit(j, control_edit_disable, true, NULL);
}

int
control_user_enable(struct control_job *j)
{
	return control_edit(j, control_edit_enable, false, NULL);
}

int
control_user_set(struct control_job *j)
{
	const struct control_settings *s = &j->settings;
	uint32_t taken = s->flags_given & ~s->rec.flags;
	struct user_record was;
	int r;

	if (s->given == 0)
		return err_set(&j->err, ERR_FORMAT, "nothing to set");
	if ((r = userdb_get(j->core->userdb, j->user, &was, &j->err)) != 0)
		return r;
	if (s->rec.maildir[0] != '\0' &&
	    strcmp(s->rec.maildir, was.maildir) != 0)
		control_job_warn(j, "mail that is there is not moved: it stays "
		    "in %s/%s", j->conf->mail_root, was.maildir);
	record_user_clear(&was);
	j->kick = (taken & USER_MAY_POP) != 0;
	return control_edit(j, control_edit_settings, (taken &
	    (USER_MAY_SUBMIT | USER_MAY_OPEN_RELAY | USER_MAY_USE_RELAY)) != 0,
	    NULL);
}

int
control_user_delete(struct control_job *j)
{
	struct user_record rec;
	int r;

	j->kick = true;
	r = userdb_delete(j->core->userdb, j->user, &rec, &j->err);
	if (r != 0)
		return r;
	(void)json_object_update_new(j->last,
	    control_user_json(j, j->user, &rec));
	record_user_clear(&rec);
	if ((r = control_drop_grants(j)) != 0)
		return r;
	if ((r = quota_forget(j->core->quota, j->user, &j->err)) != 0)
		return r;
	if ((r = usagedb_forget(j->core->usage, j->user, &j->err)) != 0)
		return r;
	return placesdb_forget(j->core->places, j->user, &j->err);
}

/* ---------------------------------------------------------------- showing -- */

/* A list that one packet must hold: "more" says that it does not. */
static int
control_add_names(struct control_job *j, const char *key,
    int (*next)(struct userdb *db, const char *user,
    char name[MAILBOX_SIZE], struct err *reterr))
{
	char name[MAILBOX_SIZE] = "";
	json_t *list = json_array();
	int r = 0;

	control_job_set(j, key, list);
	while (json_array_size(list) < CONTROL_LIMIT / 4 &&
	    (r = next(j->core->userdb, j->user, name, &j->err)) == 0)
		(void)json_array_append_new(list, json_string(name));
	if (r == 0)
		control_job_warn(j, "there are more: see user %s list",
		    strcmp(key, "aliases") == 0 ? "alias" : "allow-as");
	return r == ERR_NOTFOUND ? 0 : r;
}

static void
control_put_prefixed(json_t *o, const char *prefix, const char *name,
    json_t *v)
{
	char key[64];

	(void)str_format(key, sizeof(key), "%s_%s", prefix, name);
	(void)json_object_set_new(o, key, v);
}

void
control_put_login(struct control_job *j, json_t *o, const char *label,
    int64_t since_s, const char *prefix)
{
	struct placesdb_login l;
	struct addr a = { 0 };
	char ip[ADDR_STRLEN];

	if (placesdb_login_get(j->core->places, j->user, label, &l,
	    NULL) != 0 || l.at_s < since_s)
		return;
	memcpy(a.ip, l.ip, sizeof(a.ip));
	control_put_prefixed(o, prefix, "s", json_integer(l.at_s));
	control_put_prefixed(o, prefix, "from",
	    json_string(addr_ip_text(&a, ip)));
	control_put_prefixed(o, prefix, "service",
	    json_string(l.service == AUTHP_POP ? "pop" : "smtp"));
	control_put_prefixed(o, prefix, "mechanism", json_string(l.mech));
	control_put_prefixed(o, prefix, "tls", json_string(l.tls));
}

/* Who asks for an address that is none of a user's own name is told whose. */
static int
control_tell_owner(struct control_job *j)
{
	char owner[MAILBOX_SIZE];

	if (userdb_resolve(j->core->userdb, j->user, owner, NULL) != 0)
		return ERR_NOTFOUND;
	return err_set(&j->err, ERR_NOTFOUND, "%s is no user, but an address "
	    "of user %s", j->user, owner);
}

int
control_user_show(struct control_job *j)
{
	struct user_record rec;
	int r;

	r = userdb_get(j->core->userdb, j->user, &rec, &j->err);
	if (r == ERR_NOTFOUND)
		return control_tell_owner(j);
	if (r != 0)
		return r;
	(void)json_object_update_new(j->last,
	    control_user_json(j, j->user, &rec));
	control_put_login(j, j->last, "", rec.created_s, "last_login");
	control_put_used(j, j->last);
	record_user_clear(&rec);
	if ((r = control_add_names(j, "aliases", userdb_alias_next)) == 0)
		r = control_add_names(j, "allow_as", userdb_allow_as_next);
	control_warn_domain(j, j->user);
	return r;
}

/* What every name that fits begins with; the length of it. */
static size_t
control_pattern_head(const char *pattern)
{
	return strcspn(pattern, "*?[\\");
}

static int
control_take_pattern(struct control_job *j, char pattern[MAILBOX_SIZE])
{
	const char *s = control_arg(j->args, "pattern");
	size_t stars = 0;

	pattern[0] = '\0';
	if (s == NULL)
		return 0;
	for (const char *p = s; *p != '\0'; p++)
		stars += *p == '*';
	if (stars > CONTROL_STARS_MAX ||
	    str_copy(pattern, MAILBOX_SIZE, s) != 0)
		return err_set(&j->err, ERR_LIMIT,
		    "the pattern is too long, or has too many '*'");
	str_lower(pattern);
	return 0;
}

static bool
control_user_fits(const struct control_job *j,
    const struct user_record *r)
{
	const struct user_credential *c = r->credentials;

	if (!json_is_true(json_object_get(j->args, "without_scram")))
		return true;
	return r->n_credentials == 0 || c->label[0] != '\0' || c->keys == 0;
}

/* The last name in order that stands before all that begin with `head`. */
static void
control_before(const char *head, size_t len, char user[MAILBOX_SIZE])
{
	if (len == 0 || len + 2 > MAILBOX_SIZE)
		return;
	memcpy(user, head, len);
	user[len - 1]--;
	user[len] = 0x7f;	/* behind every octet of a name */
	user[len + 1] = '\0';
}

int
control_user_list(struct control_job *j)
{
	char pattern[MAILBOX_SIZE], user[MAILBOX_SIZE] = "";
	struct user_record rec;
	bool more = true;
	size_t head;
	int r;

	if ((r = control_take_pattern(j, pattern)) != 0)
		return r;
	head = control_pattern_head(pattern);
	control_before(pattern, head, user);
	if (strcmp(j->after, user) > 0 &&
	    str_copy(user, sizeof(user), j->after) != 0)
		return err_set(&j->err, ERR_FORMAT,
		    "after: not what \"next\" said");
	while (more && (r = userdb_next(j->core->userdb, user, &rec,
	    &j->err)) == 0) {
		if (strncmp(user, pattern, head) != 0)
			more = false;
		else if ((pattern[0] != '\0' &&
		    fnmatch(pattern, user, 0) != 0) ||
		    !control_user_fits(j, &rec))
			more = control_page_skip(j, user);
		else
			more = control_page_put(j,
			    control_user_json(j, user, &rec), user);
		record_user_clear(&rec);
	}
	return r == ERR_NOTFOUND ? 0 : r;
}

/* -------------------------------------------------------------- addresses -- */

int
control_alias_add(struct control_job *j)
{
	int r;

	r = userdb_alias_add(j->core->userdb, j->address, j->user, &j->err);
	if (r != 0)
		return r;
	control_job_set(j, "address", json_string(j->address));
	control_job_set(j, "user", json_string(j->user));
	control_warn_domain(j, j->address);
	return 0;
}

int
control_alias_delete(struct control_job *j)
{
	int r;

	r = userdb_alias_delete(j->core->userdb, j->address, j->user,
	    &j->err);
	if (r != 0)
		return r;
	control_job_set(j, "address", json_string(j->address));
	control_job_set(j, "user", json_string(j->user));
	return 0;
}

/* A cursor is "user TAB address": no name has a control character. */
static int
control_alias_page(struct control_job *j, const char *only)
{
	char user[MAILBOX_SIZE] = "", address[MAILBOX_SIZE] = "";
	char cursor[CONTROL_CURSOR_SIZE];
	const char *tab = strchr(j->after, '\t');
	bool more = true;
	int r = 0;

	(void)str_copy(user, sizeof(user), only);
	if (j->after[0] != '\0' && (tab == NULL || str_copy_n(user,
	    sizeof(user), j->after, (size_t)(tab - j->after)) != 0 ||
	    str_copy(address, sizeof(address), tab + 1) != 0 ||
	    (only[0] != '\0' && strcmp(user, only) != 0)))
		return err_set(&j->err, ERR_FORMAT,
		    "after: not what \"next\" said");
	while (more && (r = userdb_alias_next_pair(j->core->userdb, user,
	    address, &j->err)) == 0) {
		if (only[0] != '\0' && strcmp(user, only) != 0)
			break;
		(void)str_format(cursor, sizeof(cursor), "%s\t%s", user,
		    address);
		more = control_page_put(j, json_pack("{s:s, s:s}",
		    "address", address, "user", user), cursor);
	}
	return r == ERR_NOTFOUND ? 0 : r;
}

int
control_alias_list(struct control_job *j)
{
	struct user_record rec;
	int r;

	if (j->user[0] != '\0') {
		r = userdb_get(j->core->userdb, j->user, &rec, &j->err);
		if (r != 0)
			return r;
		record_user_clear(&rec);
	}
	return control_alias_page(j, j->user);
}

int
control_status(struct control_job *j)
{
	uint64_t n;
	int r;

	r = userdb_count(j->core->userdb, USERDB_COUNT_USERS, &n, &j->err);
	if (r != 0)
		return r;
	control_job_set(j, "users", json_integer((json_int_t)n));
	if (n == 0)
		control_job_warn(j, "there is no user yet: "
		    "submitctl user add NAME");
	control_job_set(j, "nospace",
	    json_boolean(!dbenv_has_space(j->core->dbenv)));
	if (j->core->recent != NULL)
		control_put_paths(j);
	control_warn_brownout(j);
	return 0;
}
