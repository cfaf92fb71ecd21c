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

#include "auth/control_private.h"
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
	X("user.list", 0, control_user_list) \
	X("user.show", JOB_USER, control_user_show) \
	X("user.set", JOB_USER | JOB_SETTINGS | JOB_CHANGES, \
	    control_user_set) \
	X("user.disable", JOB_USER | JOB_CHANGES, control_user_disable) \
	X("user.enable", JOB_USER | JOB_CHANGES, control_user_enable) \
	X("user.delete", JOB_USER | JOB_CHANGES, control_user_delete) \
	X("user.alias.add", JOB_USER | JOB_ADDRESS | JOB_CHANGES, \
	    control_alias_add) \
	X("user.alias.delete", JOB_ADDRESS | JOB_CHANGES, \
	    control_alias_delete) \
	X("user.alias.list", JOB_MAY_USER, control_alias_list) \
	X("grant.list", JOB_MAY_USER | JOB_MAY_NETWORK, control_grant_list) \
	X("grant.query", JOB_NETWORK | JOB_MAY_USER, control_grant_query) \
	X("grant.revoke", JOB_MAY_USER | JOB_MAY_NETWORK | JOB_FILTER | \
	    JOB_CHANGES, control_grant_revoke) \
	X("grant.purge", JOB_CHANGES, control_grant_purge) \
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
	scram_free_password(j->password);
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
	char count[24] = "";
	json_t *n = NULL;

	if (!(j->work->flags & JOB_CHANGES))
		return;
	for (size_t i = 0; i < 2 && n == NULL; i++)
		n = json_object_get(j->last, removed[i]);
	if (n != NULL)
		(void)str_format(count, sizeof(count), "%lld",
		    (long long)json_integer_value(n));
	LOG_EV(j->code == 0 ? LOG_NOTICE : LOG_WARNING, j->work->verb, NULL,
	    KV_S("user", j->user[0] != '\0' ? j->user : NULL),
	    KV_S("address", j->address[0] != '\0' ? j->address : NULL),
	    KV_A("network", j->has_net ? net_text(&j->net, net) : NULL),
	    KV_U("uid", control_uid(j->call)),
	    KV_A("result", j->code == 0 ? "ok" : err_name(j->err.code)),
	    KV_A("grants", n != NULL ? count : NULL),
	    KV_T("why", j->code == 0 ? NULL : j->err.text));
}

static void
control_done_job(void *ctx)
{
	struct control_job *j = ctx;
	json_t *record;
	size_t i;

	control_log(j);
	if (j->code != 0) {
		control_fail(j->call, j->code, "%s", j->err.text);
	} else {
		json_array_foreach(j->records, i, record)
			control_record(j->call, json_incref(record));
		control_done_with(j->call, json_incref(j->last));
	}
	control_job_free(j);
}

static void
control_work_job(void *ctx)
{
	struct control_job *j = ctx;
	int r;

	if ((r = j->work->run(j)) != 0)
		j->code = control_sysexit(r);
}

/* ---------------------------------------------------------- the arguments -- */

static int
control_bad(struct control_job *j, int code, const char *what,
    const char *given)
{
	return err_set(&j->err, code, "%s: %s", what, given);
}

/* A full address, or a name that gets the first local domain. */
static int
control_take_user(struct control_job *j, const char *s)
{
	char full[MAILBOX_SIZE];
	struct mailbox mb;

	if (strchr(s, '@') == NULL) {
		if (j->conf->local_domains.n == 0)
			return control_bad(j, ERR_FORMAT, "local_domains is "
			    "empty: give a full address, NAME@DOMAIN", s);
		if (!mailbox_is_local(s, strlen(s)) ||
		    str_format(full, sizeof(full), "%s@%s", s,
		    j->conf->local_domains.v[0]) != 0)
			return control_bad(j, ERR_FORMAT, "not a name: letters,"
			    " digits and -._+ are wanted, or NAME@DOMAIN", s);
		s = full;
	}
	if (mailbox_parse(s, strlen(s), &mb) != 0 || mb.literal)
		return control_bad(j, ERR_FORMAT,
		    "not an address of the form NAME@DOMAIN", s);
	return str_copy(j->user, sizeof(j->user), mb.canon);
}

static int
control_take_address(struct control_job *j, const char *s)
{
	struct mailbox mb;

	if (mailbox_parse(s, strlen(s), &mb) != 0 || mb.literal)
		return control_bad(j, ERR_FORMAT,
		    "not an address of the form NAME@DOMAIN", s);
	return str_copy(j->address, sizeof(j->address), mb.canon);
}

static int
control_take_network(struct control_job *j, const char *s)
{
	if (net_parse(s, &j->net) != 0)
		return control_bad(j, ERR_FORMAT, "not an IP address or "
		    "network such as 192.0.2.1 or 2001:db8::/32", s);
	j->has_net = true;
	return 0;
}

static int
control_take_flag(struct control_job *j, const json_t *args, const char *key,
    int *ret)
{
	const json_t *v = json_object_get(args, key);

	*ret = -1;
	if (v == NULL)
		return 0;
	if (!json_is_boolean(v))
		return control_bad(j, ERR_FORMAT, "true or false is wanted",
		    key);
	*ret = json_is_true(v);
	return 0;
}

static int
control_take_settings(struct control_job *j, const json_t *args)
{
	const char *note = control_arg(args, "note");
	int r;

	if (note != NULL) {
		for (const char *p = note; *p != '\0'; p++)
			if ((unsigned char)*p < 0x20 || *p == 0x7f)
				return err_set(&j->err, ERR_FORMAT,
				    "the note has a control character");
		if (str_copy(j->note, sizeof(j->note), note) != 0)
			return err_set(&j->err, ERR_LIMIT,
			    "the note is longer than %d octets",
			    RECORD_NOTE_SIZE - 1);
		j->has_note = true;
	}
	if ((r = control_take_flag(j, args, "may_submit",
	    &j->may_submit)) != 0)
		return r;
	return control_take_flag(j, args, "may_pop", &j->may_pop);
}

static int
control_take_password(struct control_job *j, const json_t *args)
{
	const json_t *v = json_object_get(args, "password");

	if (!json_is_string(v))
		return err_set(&j->err, ERR_FORMAT, "a password is wanted");
	return scram_prepare(json_string_value(v), json_string_length(v),
	    true, &j->password, &j->err);
}

static int
control_take(struct control_job *j, const json_t *args)
{
	const char *user = control_arg(args, "user");
	const char *address = control_arg(args, "address");
	const char *network = control_arg(args, "network");
	unsigned int f = j->work->flags;
	int r = 0;

	if (((f & JOB_USER) && user == NULL) ||
	    ((f & JOB_ADDRESS) && address == NULL) ||
	    ((f & JOB_NETWORK) && network == NULL))
		return err_set(&j->err, ERR_FORMAT, "%s: %s is missing",
		    j->work->verb, (f & JOB_NETWORK) ? "network" :
		    user == NULL && (f & JOB_USER) ? "user" : "address");
	if (user != NULL && (f & (JOB_USER | JOB_MAY_USER)))
		r = control_take_user(j, user);
	if (r == 0 && address != NULL && (f & JOB_ADDRESS))
		r = control_take_address(j, address);
	if (r == 0 && network != NULL && (f & (JOB_NETWORK | JOB_MAY_NETWORK)))
		r = control_take_network(j, network);
	if (r == 0 && (f & JOB_SETTINGS))
		r = control_take_settings(j, args);
	if (r == 0 && (f & JOB_PASSWORD))
		r = control_take_password(j, args);
	j->all = json_is_true(json_object_get(args, "all"));
	if (r == 0 && (f & JOB_FILTER) && user == NULL && network == NULL &&
	    !j->all)
		r = err_set(&j->err, ERR_FORMAT,
		    "say which: an address or network, a user, or all");
	return r;
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

static void
control_start(void *ctx, struct control_call *call, const json_t *args)
{
	struct core *core = ctx;
	struct control_job *j;
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
	j->records = json_array();
	j->last = json_object();
	if ((r = control_take(j, args)) != 0)
		j->code = control_sysexit(r);
	else if ((r = pool_submit(core->pool, control_work_job,
	    control_done_job, j)) != 0) {
		(void)err_set(&j->err, ERR_AWAY,
		    "authd-core is busy: try again");
		j->code = EX_TEMPFAIL;
	}
	if (r != 0)
		control_done_job(j);
}
