/*
 * control_user.c - the verbs on users and their addresses. On pool threads of
 * authd-core. A change that takes a right away takes the grants with it, on
 * stable storage before it is answered.
 */
#include "config.h"

#include <string.h>

#include "auth/control_private.h"
#include "auth/scram.h"
#include "lib/clock.h"
#include "lib/str.h"

/* New keys, under the salt of all his passwords. A generation is never used twice for a name, not
 * even when its user was deleted meanwhile: what was issued to the former one
 * (tickets live for a day) must not hold for the next. */
static int
control_set_keys(struct control_job *j, struct user_record *r)
{
	uint64_t now_us = (uint64_t)clock_now_us();
	struct user_credential *c;

	c = user_credential_find(r, CREDENTIAL_PASSWORD, "");
	if (c == NULL)
		c = user_credential_add(r, CREDENTIAL_PASSWORD, "");
	if (c == NULL)
		return err_set(&j->err, ERR_LIMIT,
		    "the user has %u credentials already",
		    RECORD_CREDENTIALS_MAX);
	c->created_s = j->now_s;
	r->hash[0] = '\0';
	if (r->salt_len == 0 && scram_salt_of(j->core->keys.fake, j->user,
	    r->salt) == 0)
		r->salt_len = SCRAM_SALT;
	if (r->salt_len == 0 || scram_set_keys(c, j->password,
	    strlen(j->password), r->salt, r->salt_len,
	    (uint32_t)j->conf->scram_iterations, j->conf->scram_sha1) != 0)
		return err_set(&j->err, ERR_NOMEM,
		    "the password could not be hashed");
	c->generation = now_us > c->generation ? now_us : c->generation + 1;
	return 0;
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

static json_t *
control_user_json(const struct control_job *j, const char *user,
    const struct user_record *r)
{
	char path[1024];

	return json_pack("{s:s, s:s, s:b, s:b, s:I, s:I, s:s, s:s}",
	    "user", user, "state",
	    (r->flags & USER_DISABLED) != 0 ? "disabled" : "enabled",
	    "may_submit", (r->flags & USER_MAY_SUBMIT) != 0,
	    "may_pop", (r->flags & USER_MAY_POP) != 0,
	    "created_s", (json_int_t)r->created_s,
	    "changed_s", (json_int_t)r->changed_s,
	    "maildir", control_maildir_text(j, r, path, sizeof(path)),
	    "note", r->note);
}

static void
control_apply(const struct control_job *j, struct user_record *r)
{
	if (j->has_note)
		(void)str_copy(r->note, sizeof(r->note), j->note);
	if (j->may_submit != -1)
		r->flags = (r->flags & ~(uint32_t)USER_MAY_SUBMIT) |
		    (j->may_submit ? USER_MAY_SUBMIT : 0);
	if (j->may_pop != -1)
		r->flags = (r->flags & ~(uint32_t)USER_MAY_POP) |
		    (j->may_pop ? USER_MAY_POP : 0);
	r->changed_s = j->now_s;
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
	if ((r = control_set_keys(j, &rec)) == 0)
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
control_edit_keys(void *ctx, struct user_record *rec)
{
	struct control_job *j = ctx;

	rec->changed_s = j->now_s;
	return control_set_keys(j, rec);
}

static int
control_edit_disable(void *ctx, struct user_record *rec)
{
	const struct control_job *j = ctx;

	rec->flags |= USER_DISABLED;
	rec->changed_s = j->now_s;
	return 0;
}

static int
control_edit_enable(void *ctx, struct user_record *rec)
{
	const struct control_job *j = ctx;

	rec->flags &= ~(uint32_t)USER_DISABLED;
	rec->changed_s = j->now_s;
	return 0;
}

static int
control_edit_settings(void *ctx, struct user_record *rec)
{
	control_apply(ctx, rec);
	return 0;
}

static int
control_edit(struct control_job *j, userdb_edit_fn *edit, bool drop_grants)
{
	struct user_record rec;
	int r;

	r = userdb_update(j->core->userdb, j->user, edit, j, &rec, &j->err);
	if (r != 0)
		return r;
	(void)json_object_update_new(j->last,
	    control_user_json(j, j->user, &rec));
	record_user_clear(&rec);
	return drop_grants ? control_drop_grants(j) : 0;
}

int
control_user_passwd(struct control_job *j)
{
	return control_edit(j, control_edit_keys, true);
}

int
control_user_disable(struct control_job *j)
{
	return control_edit(j, control_edit_disable, true);
}

int
control_user_enable(struct control_job *j)
{
	return control_edit(j, control_edit_enable, false);
}

int
control_user_set(struct control_job *j)
{
	if (!j->has_note && j->may_submit == -1 && j->may_pop == -1)
		return err_set(&j->err, ERR_FORMAT,
		    "nothing to set: note, may_submit or may_pop is wanted");
	return control_edit(j, control_edit_settings, j->may_submit == 0);
}

int
control_user_delete(struct control_job *j)
{
	struct user_record rec;
	int r;

	r = userdb_delete(j->core->userdb, j->user, &rec, &j->err);
	if (r != 0)
		return r;
	(void)json_object_update_new(j->last,
	    control_user_json(j, j->user, &rec));
	record_user_clear(&rec);
	return control_drop_grants(j);
}

static int
control_add_aliases(struct control_job *j, const char *user, json_t *list)
{
	char address[MAILBOX_SIZE] = "";
	int r;

	while ((r = userdb_alias_next(j->core->userdb, user, address,
	    &j->err)) == 0)
		(void)json_array_append_new(list, json_string(address));
	return r == ERR_NOTFOUND ? 0 : r;
}

int
control_user_show(struct control_job *j)
{
	struct user_record rec;
	json_t *aliases;
	int r;

	r = userdb_get(j->core->userdb, j->user, &rec, &j->err);
	if (r != 0)
		return r;
	(void)json_object_update_new(j->last,
	    control_user_json(j, j->user, &rec));
	record_user_clear(&rec);
	aliases = json_array();
	control_job_set(j, "aliases", aliases);
	r = control_add_aliases(j, j->user, aliases);
	control_warn_domain(j, j->user);
	return r;
}

int
control_user_list(struct control_job *j)
{
	char user[MAILBOX_SIZE] = "";
	struct user_record rec;
	int r;

	while ((r = userdb_next(j->core->userdb, user, &rec,
	    &j->err)) == 0) {
		(void)json_array_append_new(j->records,
		    control_user_json(j, user, &rec));
		record_user_clear(&rec);
	}
	return r == ERR_NOTFOUND ? 0 : r;
}

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

static int
control_alias_records(struct control_job *j, const char *user)
{
	char address[MAILBOX_SIZE] = "";
	int r;

	while ((r = userdb_alias_next(j->core->userdb, user, address,
	    &j->err)) == 0)
		(void)json_array_append_new(j->records, json_pack(
		    "{s:s, s:s}", "address", address, "user", user));
	return r == ERR_NOTFOUND ? 0 : r;
}

int
control_alias_list(struct control_job *j)
{
	char user[MAILBOX_SIZE] = "";
	struct user_record rec;
	int r;

	if (j->user[0] != '\0') {
		r = userdb_get(j->core->userdb, j->user, &rec, &j->err);
		record_user_clear(&rec);
		return r != 0 ? r : control_alias_records(j, j->user);
	}
	while ((r = userdb_next(j->core->userdb, user, &rec,
	    &j->err)) == 0) {
		record_user_clear(&rec);
		if ((r = control_alias_records(j, user)) != 0)
			return r;
	}
	return r == ERR_NOTFOUND ? 0 : r;
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
	return 0;
}
