/*
 * control.c - the administrator's verbs: what each needs, the way of a request
 * over a thread and back, the log. Runs in authd-core, on the socket that only
 * the administrator's group can reach. It must never log or answer a password.
 */
#include "config.h"

#include "auth/control.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "auth/control_private.h"
#include "auth/notice.h"
#include "auth/recent.h"
#include "auth/scram.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/str.h"

/* The one list of verbs; both tables below come from it. */
#define CONTROL_VERBS(X) \
	X("user.add", JOB_USER | JOB_PASSWORD | JOB_SETTINGS | JOB_CHANGES, \
	    control_user_add) \
	X("user.passwd", JOB_USER | JOB_PASSWORD | JOB_CHANGES, \
	    control_user_passwd) \
	X("user.list", JOB_PAGED, control_user_list) \
	X("user.show", JOB_USER, control_user_show) \
	X("user.set", JOB_USER | JOB_SETTINGS | JOB_CHANGES, \
	    control_user_set) \
	X("user.disable", JOB_USER | JOB_CHANGES, control_user_disable) \
	X("user.enable", JOB_USER | JOB_CHANGES, control_user_enable) \
	X("user.delete", JOB_USER | JOB_CHANGES, control_user_delete) \
	X("user.import", JOB_CHANGES, control_user_import) \
	X("user.export", JOB_MAY_USER | JOB_PAGED, control_user_export) \
	X("user.hash", JOB_PASSWORD, control_user_hash) \
	X("user.alias.add", JOB_USER | JOB_ADDRESS | JOB_CHANGES, \
	    control_alias_add) \
	X("user.alias.delete", JOB_ADDRESS | JOB_CHANGES, \
	    control_alias_delete) \
	X("user.alias.list", JOB_MAY_USER | JOB_PAGED, control_alias_list) \
	X("user.credential.add", JOB_USER | JOB_LABEL | JOB_MAY_PASSWORD | \
	    JOB_CHANGES, control_credential_add) \
	X("user.credential.delete", JOB_USER | JOB_LABEL | JOB_CHANGES, \
	    control_credential_delete) \
	X("user.credential.list", JOB_USER, control_credential_list) \
	X("user.certificate.add", JOB_USER | JOB_LABEL | JOB_CHANGES, \
	    control_certificate_add) \
	X("user.certificate.delete", JOB_USER | JOB_LABEL | JOB_CHANGES, \
	    control_certificate_delete) \
	X("user.certificate.list", JOB_USER, control_certificate_list) \
	X("user.allow-as.add", JOB_USER | JOB_OTHER | JOB_CHANGES, \
	    control_allow_as_add) \
	X("user.allow-as.delete", JOB_USER | JOB_OTHER | JOB_CHANGES, \
	    control_allow_as_delete) \
	X("user.allow-as.list", JOB_USER | JOB_PAGED, \
	    control_allow_as_list) \
	X("user.secret.add", JOB_USER | JOB_PASSWORD | JOB_CHANGES, \
	    control_secret_add) \
	X("user.secret.delete", JOB_USER | JOB_CHANGES, \
	    control_secret_delete) \
	X("user.secret.list", JOB_USER, control_secret_list) \
	X("grant.list", JOB_MAY_USER | JOB_MAY_NETWORK | JOB_PAGED, \
	    control_grant_list) \
	X("grant.query", JOB_MAY_NETWORK | JOB_MAY_USER, control_grant_query) \
	X("grant.add", JOB_USER | JOB_NETWORK | JOB_CHANGES, \
	    control_grant_add) \
	X("grant.revoke", JOB_MAY_USER | JOB_MAY_NETWORK | JOB_FILTER | \
	    JOB_CHANGES, control_grant_revoke) \
	X("grant.purge", JOB_CHANGES, control_grant_purge) \
	X("grant.report.users", JOB_MAY_USER | JOB_PAGED, \
	    control_report_users) \
	X("grant.report.addresses", JOB_PAGED, control_report_addresses) \
	X("grant.report.brownouts", JOB_LONG, control_report_brownouts) \
	X("blocked.list", JOB_MAY_USER | JOB_MAY_NETWORK | JOB_PAGED, \
	    control_blocked_list) \
	X("blocked.clear", JOB_MAY_USER | JOB_MAY_NETWORK | JOB_FILTER | \
	    JOB_CHANGES, control_blocked_clear) \
	X("limits.list", JOB_USER, control_limits_list) \
	X("limits.reset", JOB_USER | JOB_CHANGES, control_limits_reset) \
	X("db.check", JOB_LONG, control_db_check) \
	X("db.backup", JOB_LONG | JOB_CHANGES, control_db_backup) \
	X("db.compact", JOB_LONG | JOB_CHANGES, control_db_compact) \
	X("auth.test", JOB_PASSWORD | JOB_CHANGES, control_auth_test) \
	X("why", JOB_NETWORK | JOB_MAY_USER | JOB_LOOP, control_why) \
	X("trace-origin", JOB_CHANGES | JOB_PAST, control_trace) \
	X("who", JOB_MAY_USER | JOB_MAY_NETWORK | JOB_LOOP, control_who) \
	X("kick", JOB_MAY_USER | JOB_MAY_NETWORK | JOB_FILTER | JOB_LOOP | \
	    JOB_CHANGES, control_kick) \
	X("recent", JOB_PAST, control_recent) \
	X("status", 0, control_status)

static void control_start(void *ctx, struct control_call *call,
    const json_t *args);

#define CONTROL_WORK_ROW(name, what, fn) { name, what, fn },
static const struct control_work control_works[] = {
	CONTROL_VERBS(CONTROL_WORK_ROW)
};

/* `changes` is false: control_log() says more, and says how it ended. */
#define CONTROL_VERB_ROW(name, what, fn) { name, control_start, false },
const struct control_verb core_verbs[] = {
	CONTROL_VERBS(CONTROL_VERB_ROW)
	{ NULL, NULL, false },
};

void
control_job_set(struct control_job *j, const char *key, json_t *value)
{
	(void)json_object_set_new(j->last, key, value);
}

void
control_job_warn(struct control_job *j, const char *fmt, ...)
{
	json_t *list = json_object_get(j->last, "warnings");
	char text[320];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	str_mend_utf8(text);
	if (list == NULL) {
		list = json_array();
		control_job_set(j, "warnings", list);
	}
	(void)json_array_append_new(list, json_string(text));
}

static void
control_job_free(struct control_job *j)
{
	if (j == NULL)
		return;
	for (size_t i = 0; i < j->n_fds; i++)
		if (j->fds[i] >= 0)
			close(j->fds[i]);
	scram_free_password(j->password);
	record_user_clear(&j->settings.rec);
	explicit_bzero(&j->keys, sizeof(j->keys));
	json_decref(j->args);
	json_decref(j->kicks);
	json_decref(j->records);
	json_decref(j->last);
	conf_unref(j->conf);
	free(j);
}

static int
control_sysexit(int code)
{
	switch (code) {
	case ERR_FORMAT:
	case ERR_LIMIT:
	case ERR_EXISTS:
	case ERR_DENIED:
		return EX_DATAERR;
	case ERR_NOTFOUND:
		return EX_NOUSER;
	case ERR_NOMEM:
	case ERR_AWAY:
	case ERR_NOSPACE:
		return EX_TEMPFAIL;
	case ERR_CONFIG:
		return EX_CONFIG;
	default:
		return EX_IOERR;
	}
}

static void
control_log(const struct control_job *j)
{
	char net[ADDR_STRLEN];
	static const char *const removed[] = { "revoked", "purged" };
	char count[24] = "", users[24] = "";
	json_t *n = NULL;

	if (!(j->work->flags & JOB_CHANGES) || (j->quiet && j->code == 0))
		return;
	if (j->n_changed > 0)
		(void)str_format(users, sizeof(users), "%zu", j->n_changed);
	for (size_t i = 0; i < 2 && n == NULL; i++)
		n = json_object_get(j->last, removed[i]);
	if (n != NULL)
		(void)str_format(count, sizeof(count), "%lld",
		    (long long)json_integer_value(n));
	LOG_EV(j->code == 0 ? LOG_NOTICE : LOG_WARNING, j->work->verb, NULL,
	    KV_S("user", j->user[0] != '\0' ? j->user : NULL),
	    KV_S("other", j->other[0] != '\0' ? j->other : NULL),
	    KV_S("label", j->label[0] != '\0' ? j->label : NULL),
	    KV_S("address", j->address[0] != '\0' ? j->address : NULL),
	    KV_A("network", j->has_net ? net_text(&j->net, net) : NULL),
	    KV_U("uid", control_uid(j->call)),
	    KV_A("result", j->code == 0 ? "ok" : err_name(j->err.code)),
	    KV_A("grants", n != NULL ? count : NULL),
	    KV_A("users", users[0] != '\0' ? users : NULL),
	    KV_T("why", j->code == 0 ? NULL : j->err.text));
}

bool
control_page_skip(struct control_job *j, const char *cursor)
{
	(void)str_copy(j->last_cursor, sizeof(j->last_cursor), cursor);
	if (++j->looked_at < CONTROL_BUDGET)
		return true;
	control_job_set(j, "next", json_string(j->last_cursor));
	return false;
}

bool
control_page_put(struct control_job *j, json_t *record, const char *cursor)
{
	if (json_array_size(j->records) >= j->limit) {
		json_decref(record);
		control_job_set(j, "next", json_string(j->last_cursor));
		return false;
	}
	(void)json_array_append_new(j->records, record);
	return control_page_skip(j, cursor);
}

static void
control_done_job(void *ctx)
{
	struct control_job *j = ctx;
	json_t *record;
	size_t i;

	control_log(j);
	if (j->code == 0 && j->kick)
		(void)ops_kick(j->core, j->user, NULL);
	json_array_foreach(j->code == 0 ? j->kicks : NULL, i, record)
		(void)ops_kick(j->core, json_string_value(record), NULL);
	if (j->code == 0 && (j->work->flags & JOB_CHANGES))
		core_secrets_changed(j->core);
	/* Whether it went well or not: the database is asked. */
	if ((j->work->flags & JOB_CHANGES) && (j->user[0] != '\0' ||
	    j->n_changed > 0))
		ops_user_changed(j->core, j->n_changed > 0 ? "" : j->user);
	if (j->code != 0) {
		control_fail(j->call, j->code, "%s", j->err.text);
	} else {
		json_array_foreach(j->records, i, record) {
			control_record_fd(j->call, json_incref(record),
			    i < j->n_fds ? j->fds[i] : -1);
			if (i < j->n_fds)
				j->fds[i] = -1;
		}
		control_done_with(j->call, json_incref(j->last));
	}
	control_job_free(j);
}

void
control_job_end(struct control_job *j, int r)
{
	if (r != 0)
		j->code = control_sysexit(r);
	control_done_job(j);
}

static void
control_work_job(void *ctx)
{
	struct control_job *j = ctx;
	int r;

	if ((r = j->work->run(j)) != 0)
		j->code = control_sysexit(r);
}

static const struct control_work *
control_find(const char *verb)
{
	for (size_t i = 0; i < sizeof(control_works) /
	    sizeof(control_works[0]); i++)
		if (strcmp(control_works[i].verb, verb) == 0)
			return &control_works[i];
	return NULL;
}

/* What takes long has a thread of its own. */
static struct pool *
control_pool(struct core *core, unsigned int flags)
{
	if ((flags & JOB_LONG) && core->care != NULL)
		return core->care;
	if ((flags & JOB_PAST) && core->recent != NULL)
		return recent_pool(core->recent);
	return core->pool;
}

static void
control_start(void *ctx, struct control_call *call, const json_t *args)
{
	struct core *core = ctx;
	struct control_job *j;
	struct pool *pool;
	int r;

	if ((j = calloc(1, sizeof(*j))) == NULL) {
		control_fail(call, EX_TEMPFAIL, "no memory");
		return;
	}
	j->core = core;
	j->call = call;
	j->conf = conf_ref(core->conf);
	j->now_s = clock_now_s();
	j->work = control_find(control_arg(args, "verb"));
	pool = control_pool(core, j->work->flags);
	j->args = json_deep_copy(args);
	j->records = json_array();
	j->last = json_object();
	if ((r = control_take(j)) == 0 && (j->work->flags & JOB_LOOP)) {
		if ((r = j->work->run(j)) == 0)
			return;
	} else if (r == 0 && pool_submit(pool, control_work_job,
	    control_done_job, j) != 0)
		r = err_set(&j->err, ERR_AWAY,
		    "authd-core is busy: try again");
	if (r != 0)
		control_job_end(j, r);
}
