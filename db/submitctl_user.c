/*
 * submitctl_user.c - the commands on users: they are authd-core's, behind the
 * control socket "users".
 */
#include "config.h"

#include <string.h>
#include <sysexits.h>

#include "db/submitctl.h"
#include "lib/str.h"

static const struct ctl_column ctl_user_columns[] = {
	{ "USER", "user", CTL_TEXT }, { "STATE", "state", CTL_TEXT },
	{ "SUBMIT", "may_submit", CTL_YES_NO }, { "POP", "may_pop", CTL_YES_NO },
	{ "SCRAM", "scram", CTL_YES_NO },
	{ "CREATED", "created_s", CTL_TIME }, { "NOTE", "note", CTL_TEXT },
	{ NULL, NULL, CTL_TEXT },
};

static const struct ctl_column ctl_user_lines[] = {
	{ "user", "user", CTL_TEXT }, { "state", "state", CTL_TEXT },
	{ "may submit", "may_submit", CTL_YES_NO },
	{ "may fetch (POP3)", "may_pop", CTL_YES_NO },
	{ "may open relay", "may_open_relay", CTL_YES_NO },
	{ "may use relay", "may_use_relay", CTL_YES_NO },
	{ "may raise priority", "may_prioritise", CTL_YES_NO },
	{ "aliases", "aliases", CTL_TEXT },
	{ "may act for", "allow_as", CTL_TEXT },
	{ "maildir", "maildir", CTL_TEXT },
	{ "SCRAM keys", "scram", CTL_YES_NO },
	{ "imported hash", "imported_hash", CTL_YES_NO },
	{ "passwords", "credentials", CTL_NUMBER },
	{ "certificates", "certificates", CTL_NUMBER },
	{ "secret", "secret", CTL_YES_NO },
	{ "class", "class", CTL_TEXT },
	{ "messages/hour", "messages_hour", CTL_LIMIT },
	{ "messages/day", "messages_day", CTL_LIMIT },
	{ "recipients/hour", "recipients_hour", CTL_LIMIT },
	{ "recipients/day", "recipients_day", CTL_LIMIT },
	{ "sent in an hour", "messages_hour_used", CTL_NUMBER },
	{ "  in a day", "messages_day_used", CTL_NUMBER },
	{ "  to, in an hour", "recipients_hour_used", CTL_NUMBER },
	{ "  to, in a day", "recipients_day_used", CTL_NUMBER },
	{ "message size", "message_octets", CTL_LIMIT_OCTETS },
	{ "quota", "quota_octets", CTL_LIMIT_OCTETS },
	{ "created", "created_s", CTL_TIME },
	{ "changed", "changed_s", CTL_TIME },
	{ "last login", "last_login_s", CTL_TIME },
	{ "  from", "last_login_from", CTL_TEXT },
	{ "  by", "last_login_service", CTL_TEXT },
	{ "  mechanism", "last_login_mechanism", CTL_TEXT },
	{ "note", "note", CTL_TEXT },
	{ NULL, NULL, CTL_TEXT },
};

static const struct ctl_column ctl_alias_columns[] = {
	{ "ADDRESS", "address", CTL_TEXT }, { "USER", "user", CTL_TEXT },
	{ NULL, NULL, CTL_TEXT },
};

int
ctl_change(struct ctl *c, json_t *request, ctl_say_fn *say)
{
	json_t *records = json_array();
	const json_t *last;
	int code;

	code = ctl_ask(c, CTL_USERS, request, records);
	last = json_array_get(records, json_array_size(records) - 1);
	if (code == 0)
		say(c, last);
	json_decref(records);
	return code;
}

/* The last packet's record is none of the list's: what it says, and where the
 * next page begins (a new reference, or NULL). */
static json_t *
ctl_list_end(json_t *records)
{
	size_t n = json_array_size(records);
	json_t *last = json_array_get(records, n - 1), *next;

	if (n == 0 || (json_object_get(last, "next") == NULL &&
	    json_object_get(last, "warnings") == NULL))
		return NULL;
	next = json_incref(json_object_get(last, "next"));
	ctl_warnings(last);
	(void)json_array_remove(records, n - 1);
	return next;
}

int
ctl_list_with(struct ctl *c, const char *sock, json_t *request,
    const struct ctl_column *cols, void (*fix)(json_t *record),
    const char *none)
{
	int width[CTL_COLUMNS_MAX] = { 0 };
	json_t *records, *next, *r;
	size_t i;
	int code;

	do {
		records = json_array();
		next = NULL;
		code = ctl_ask(c, sock, json_deep_copy(request), records);
		if (code == 0)
			next = ctl_list_end(records);
		if (fix != NULL && !c->json)
			json_array_foreach(records, i, r)
				fix(r);
		if (code == 0 && none != NULL && !c->json && width[0] == 0 &&
		    next == NULL && json_array_size(records) == 0)
			puts(none);
		else if (code == 0)
			ctl_table_page(c, cols, records, width);
		if (next != NULL)
			(void)json_object_set_new(request, "after", next);
		json_decref(records);
	} while (next != NULL && !ferror(stdout));
	json_decref(request);
	return code;
}

int
ctl_list(struct ctl *c, const char *sock, json_t *request,
    const struct ctl_column *cols)
{
	return ctl_list_with(c, sock, request, cols, NULL, NULL);
}

json_t *
ctl_user_request(const char *verb, const char *user)
{
	return json_pack("{s:s, s:s}", "verb", verb, "user", user);
}

static const struct ctl_setting {
	const char	*key;		/* as typed */
	const char	*member;	/* of the request and the answer */
	enum ctl_format	 format;
} ctl_settings_all[] = {
	{ "may_submit", "may_submit", CTL_YES_NO },
	{ "may_pop", "may_pop", CTL_YES_NO },
	{ "may_open_relay", "may_open_relay", CTL_YES_NO },
	{ "may_use_relay", "may_use_relay", CTL_YES_NO },
	{ "may_prioritise", "may_prioritise", CTL_YES_NO },
	{ "class", "class", CTL_TEXT },
	{ "messages_hour", "messages_hour", CTL_LIMIT },
	{ "messages_day", "messages_day", CTL_LIMIT },
	{ "recipients_hour", "recipients_hour", CTL_LIMIT },
	{ "recipients_day", "recipients_day", CTL_LIMIT },
	{ "message_size", "message_octets", CTL_LIMIT_OCTETS },
	{ "quota", "quota_octets", CTL_LIMIT_OCTETS },
	{ "note", "note", CTL_TEXT },
	{ "home", "home", CTL_TEXT },
};
#define CTL_SETTINGS (sizeof(ctl_settings_all) / sizeof(ctl_settings_all[0]))

static const struct ctl_setting *
ctl_setting_find(const char *arg)
{
	size_t len = strcspn(arg, "=");

	for (size_t i = 0; i < CTL_SETTINGS && arg[len] == '='; i++)
		if (strlen(ctl_settings_all[i].key) == len &&
		    strncmp(ctl_settings_all[i].key, arg, len) == 0)
			return &ctl_settings_all[i];
	return NULL;
}

/* NULL: that is no such value. */
static json_t *
ctl_setting_value(const struct ctl_setting *s, const char *text)
{
	uint64_t n = 0;

	if (s->format == CTL_YES_NO)
		return strcmp(text, "yes") == 0 ? json_true() :
		    strcmp(text, "no") == 0 ? json_false() : NULL;
	if (s->format == CTL_TEXT)
		return json_string(text);
	if (strcmp(text, "none") != 0 && (s->format == CTL_LIMIT_OCTETS ?
	    str_size(text, &n) : str_u64(text, 0, UINT32_MAX, &n)) != 0)
		return NULL;
	return n > INT64_MAX ? NULL : json_integer((json_int_t)n);
}

/* KEY=VALUE arguments into the request. 0, or the exit code. */
static int
ctl_settings(json_t *request, int argc, char **argv)
{
	static const char *const wanted[] = {
		[CTL_YES_NO] = "yes or no", [CTL_TEXT] = "text in UTF-8",
		[CTL_LIMIT] = "a number, or none",
		[CTL_LIMIT_OCTETS] = "octets such as 50M or 1G, or none",
	};
	const struct ctl_setting *s;
	json_t *v;

	for (int i = 0; i < argc; i++) {
		if ((s = ctl_setting_find(argv[i])) == NULL) {
			(void)ctl_fail(0, "%s: KEY=VALUE is wanted; the keys "
			    "are:", argv[i]);
			for (size_t k = 0; k < CTL_SETTINGS; k++)
				fprintf(stderr, "  %s=  %s\n",
				    ctl_settings_all[k].key,
				    wanted[ctl_settings_all[k].format]);
			return EX_USAGE;
		}
		v = ctl_setting_value(s, argv[i] + strlen(s->key) + 1);
		if (v == NULL)
			return ctl_fail(EX_USAGE, "%s: %s is wanted", argv[i],
			    wanted[s->format]);
		(void)json_object_set_new(request, s->member, v);
	}
	return 0;
}

int
ctl_with_password(struct ctl *c, json_t *request, bool once, ctl_say_fn *say)
{
	char *password = NULL;
	int code;

	/* The configuration first: nobody types a password in vain. */
	if (request == NULL)
		code = ctl_fail(EX_DATAERR, "%s: not valid UTF-8", c->argv[0]);
	else if ((code = ctl_conf(c)) == 0)
		code = once ? ctl_password_once(c, c->argv[0], &password) :
		    ctl_password(c, c->argv[0], &password);
	if (code != 0) {
		json_decref(request);
		return code;
	}
	(void)json_object_set_new(request, "password", json_string(password));
	ctl_password_free(password);
	return ctl_change(c, request, say);
}

static void
ctl_said_added(const struct ctl *c, const json_t *r)
{
	ctl_say(c, r, "user %s added; his Maildir will be %s",
	    ctl_str(r, "user"), ctl_str(r, "maildir"));
}

int
ctl_user_add(struct ctl *c)
{
	json_t *request = ctl_user_request("user.add", c->argv[0]);
	int code;

	if ((code = ctl_settings(request, c->argc - 1, c->argv + 1)) != 0) {
		json_decref(request);
		return code;
	}
	return ctl_with_password(c, request, false, ctl_said_added);
}

static void
ctl_said_passwd(const struct ctl *c, const json_t *r)
{
	ctl_say(c, r, "password of %s set%s", ctl_str(r, "user"),
	    ctl_int(r, "revoked") > 0 ? "; his grants are revoked" : "");
}

int
ctl_user_passwd(struct ctl *c)
{
	return ctl_with_password(c, ctl_user_request("user.passwd",
	    c->argv[0]), false, ctl_said_passwd);
}

int
ctl_user_list(struct ctl *c)
{
	return ctl_list(c, CTL_USERS, json_pack("{s:s, s:s*, s:b}", "verb",
	    "user.list", "pattern", c->argc > 0 ? c->argv[0] : NULL,
	    "without_scram", (c->given & CTL_WITHOUT_SCRAM) != 0),
	    ctl_user_columns);
}

static void
ctl_said_shown(const struct ctl *c, const json_t *r)
{
	ctl_record(c, ctl_user_lines, r);
}

int
ctl_user_show(struct ctl *c)
{
	return ctl_change(c, ctl_user_request("user.show", c->argv[0]),
	    ctl_said_shown);
}

/* What was given, as it is now. */
static void
ctl_said_set(const struct ctl *c, const json_t *r)
{
	const struct ctl_setting *s;
	char text[512];

	if (c->json) {
		ctl_say(c, r, "-");
		return;
	}
	ctl_print("user %s:", ctl_str(r, "user"));
	for (int i = 1; i < c->argc; i++)
		if ((s = ctl_setting_find(c->argv[i])) != NULL)
			printf(" %s=%s", s->key, ctl_safe(c->argv[i] +
			    strlen(s->key) + 1, text, sizeof(text)));
	putchar('\n');
	ctl_warnings(r);
}

int
ctl_user_set(struct ctl *c)
{
	json_t *request = ctl_user_request("user.set", c->argv[0]);
	int code;

	if ((code = ctl_settings(request, c->argc - 1, c->argv + 1)) != 0) {
		json_decref(request);
		return code;
	}
	return ctl_change(c, request, ctl_said_set);
}

static void
ctl_said_state(const struct ctl *c, const json_t *r)
{
	ctl_say(c, r, "user %s is %s", ctl_str(r, "user"),
	    ctl_str(r, "state"));
}

/* What was said, and what of his mail waits: `then` is what becomes of it. */
static void
ctl_said_with_queue(const struct ctl *c, const json_t *r,
    void (*say)(const struct ctl *c, const json_t *r), const char *then)
{
	json_t *got = json_array(), *all = json_copy((json_t *)(uintptr_t)r);
	struct err e = { 0 };
	json_int_t n;
	int code;

	code = ctl_ask_quiet((struct ctl *)(uintptr_t)c, "queue",
	    ctl_user_request("queue.count", ctl_str(r, "user")), 5, got, &e);
	n = ctl_int(json_array_get(got, 0), "messages");
	if (code == 0)
		(void)json_object_set_new(all, "messages_wait",
		    json_integer(n));
	say(c, all);
	if (code == 0 && n > 0 && !c->json)
		ctl_print("%lld of his messages wait for delivery; %s --user "
		    "%s\n", (long long)n, then, ctl_str(r, "user"));
	else if (code != 0)
		fprintf(stderr, "submitctl: warning: how many of his messages "
		    "wait is not known: %s\n", e.text);
	json_decref(all);
	json_decref(got);
}

static void
ctl_said_disabled(const struct ctl *c, const json_t *r)
{
	ctl_said_with_queue(c, r, ctl_said_state, "they are held until he is "
	    "enabled: submitctl queue list");
}

int
ctl_user_disable(struct ctl *c)
{
	return ctl_change(c, json_pack("{s:s, s:s, s:b}", "verb",
	    "user.disable", "user", c->argv[0], "sending",
	    (c->given & CTL_SENDING) != 0), ctl_said_disabled);
}

int
ctl_user_enable(struct ctl *c)
{
	return ctl_change(c, ctl_user_request("user.enable", c->argv[0]),
	    ctl_said_state);
}

static void
ctl_said_gone(const struct ctl *c, const json_t *r)
{
	ctl_say(c, r, "user %s deleted; his Maildir stays: %s",
	    ctl_str(r, "user"), ctl_str(r, "maildir"));
}

static void
ctl_said_deleted(const struct ctl *c, const json_t *r)
{
	ctl_said_with_queue(c, r, ctl_said_gone, "they are not deleted: "
	    "submitctl queue list");
}

int
ctl_user_delete(struct ctl *c)
{
	return ctl_change(c, ctl_user_request("user.delete", c->argv[0]),
	    ctl_said_deleted);
}

static void
ctl_said_alias(const struct ctl *c, const json_t *r)
{
	ctl_say(c, r, "%s now reaches %s", ctl_str(r, "address"),
	    ctl_str(r, "user"));
}

int
ctl_alias_add(struct ctl *c)
{
	return ctl_change(c, json_pack("{s:s, s:s, s:s}",
	    "verb", "user.alias.add", "user", c->argv[0], "address",
	    c->argv[1]), ctl_said_alias);
}

static void
ctl_said_no_alias(const struct ctl *c, const json_t *r)
{
	ctl_say(c, r, "%s no longer reaches %s", ctl_str(r, "address"),
	    ctl_str(r, "user"));
}

int
ctl_alias_delete(struct ctl *c)
{
	return ctl_change(c, json_pack("{s:s, s:s}", "verb",
	    "user.alias.delete", "address", c->argv[0]), ctl_said_no_alias);
}

int
ctl_alias_list(struct ctl *c)
{
	return ctl_list(c, CTL_USERS, json_pack("{s:s, s:s*}", "verb",
	    "user.alias.list", "user", c->argc > 0 ? c->argv[0] : NULL),
	    ctl_alias_columns);
}
