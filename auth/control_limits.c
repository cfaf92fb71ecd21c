/*
 * control_limits.c - the verbs on sending limits: what a user may send, what of
 * it is used, and forgetting that. On pool threads of authd-core.
 */
#include "config.h"

#include <string.h>

#include "auth/control_private.h"
#include "auth/quota.h"
#include "lib/str.h"

/* The limit is his own, not his class's. */
static bool
control_limit_is_own(const struct user_limits *l, enum quota_which which)
{
	const uint32_t own[QUOTA__COUNT] = {
		[QUOTA_MESSAGES_HOUR] = l->messages_hour,
		[QUOTA_MESSAGES_DAY] = l->messages_day,
		[QUOTA_RECIPIENTS_HOUR] = l->recipients_hour,
		[QUOTA_RECIPIENTS_DAY] = l->recipients_day,
	};

	return own[which] > 0;
}

static json_t *
control_limit_json(const struct control_job *j, enum quota_which which,
    const struct quota_rule *rule, const struct quota_use *use,
    const struct user_record *rec)
{
	uint64_t max = rule->max[which];
	json_t *o = json_pack("{s:s, s:s, s:I, s:I, s:s}", "user", j->user,
	    "limit", quota_which_name(which), "max", (json_int_t)max,
	    "used", (json_int_t)use->used, "by", max == 0 ? "" :
	    control_limit_is_own(&rec->limits, which) ? "user" : "class");

	if (max > 0)
		(void)json_object_set_new(o, "left", json_integer((json_int_t)
		    (use->used < max ? max - use->used : 0)));
	if (use->eases_s > 0)
		(void)json_object_set_new(o, "eases_s",
		    json_integer(use->eases_s));
	if (use->eases_s > j->now_s)
		(void)json_object_set_new(o, "eases_in_s",
		    json_integer(use->eases_s - j->now_s));
	return o;
}

/* Whose limits are his, of the classes that there are. */
static const char *
control_limit_class(struct control_job *j, const struct user_record *rec)
{
	const char *dflt = j->conf->default_class;

	if (rec->class[0] != '\0' &&
	    conf_class_find(j->conf, rec->class) != NULL)
		return rec->class;
	if (rec->class[0] != '\0')
		control_job_warn(j, "the class %s is not in the configuration: "
		    "%s%s counts for him", rec->class,
		    dflt == NULL ? "none" : "default_class ",
		    dflt == NULL ? "" : dflt);
	return dflt == NULL ? "" : dflt;
}

int
control_limits_list(struct control_job *j)
{
	static const char *const actions[] = { [CONF_DEFER] = "defer",
		[CONF_REJECT] = "reject", [CONF_LOG] = "log" };
	struct quota_use use[QUOTA__COUNT];
	struct quota_rule rule;
	struct user_record rec;
	uint64_t octets;
	int r;

	r = userdb_get(j->core->userdb, j->user, &rec, &j->err);
	if (r != 0)
		return r;
	quota_rule_of(j->conf, rec.class, &rec.limits, &rule);
	r = quota_show(j->core->quota, j->user, &rule, j->now_s, use,
	    &octets);
	for (enum quota_which i = 0; r == 0 && i < QUOTA__COUNT; i++)
		(void)json_array_append_new(j->records, control_limit_json(j,
		    i, &rule, &use[i], &rec));
	control_job_set(j, "user", json_string(j->user));
	control_job_set(j, "class", json_string(control_limit_class(j, &rec)));
	control_job_set(j, "action", json_string(actions[rule.action]));
	control_job_set(j, "octets_day", json_integer((json_int_t)octets));
	record_user_clear(&rec);
	return r == 0 ? 0 : err_set(&j->err, r,
	    "what was sent cannot be read: %s", err_name(r));
}

int
control_limits_reset(struct control_job *j)
{
	struct user_record rec;
	int r;

	r = userdb_get(j->core->userdb, j->user, &rec, &j->err);
	if (r != 0)
		return r;
	record_user_clear(&rec);
	control_job_set(j, "user", json_string(j->user));
	return quota_forget(j->core->quota, j->user, &j->err);
}

/* What he has sent, beside his own limits. */
void
control_put_used(struct control_job *j, json_t *o)
{
	const struct quota_rule none = { .action = CONF_DEFER };
	struct quota_use use[QUOTA__COUNT];
	uint64_t octets;
	char key[40];

	if (quota_show(j->core->quota, j->user, &none, j->now_s, use,
	    &octets) != 0)
		return;
	for (enum quota_which i = 0; i < QUOTA__COUNT; i++) {
		(void)str_format(key, sizeof(key), "%s_used",
		    quota_which_name(i));
		(void)json_object_set_new(o, key,
		    json_integer((json_int_t)use[i].used));
	}
}
