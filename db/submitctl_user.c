/*
 * submitctl_user.c - the commands on users and grants: both are authd-core's,
 * behind the control socket "users".
 */
#include "config.h"

#include <string.h>
#include <sysexits.h>

#include "db/submitctl.h"
#include "lib/str.h"

#define CTL_USERS "users"

static const struct ctl_column ctl_user_columns[] = {
	{ "USER", "user", CTL_TEXT }, { "STATE", "state", CTL_TEXT },
	{ "SUBMIT", "may_submit", CTL_YES_NO }, { "POP", "may_pop", CTL_YES_NO },
	{ "CREATED", "created_s", CTL_TIME }, { "NOTE", "note", CTL_TEXT },
	{ NULL, NULL, CTL_TEXT },
};

static const struct ctl_column ctl_user_lines[] = {
	{ "user", "user", CTL_TEXT }, { "state", "state", CTL_TEXT },
	{ "may submit", "may_submit", CTL_YES_NO },
	{ "may fetch (POP3)", "may_pop", CTL_YES_NO },
	{ "aliases", "aliases", CTL_TEXT }, { "maildir", "maildir", CTL_TEXT },
	{ "created", "created_s", CTL_TIME },
	{ "changed", "changed_s", CTL_TIME }, { "note", "note", CTL_TEXT },
	{ NULL, NULL, CTL_TEXT },
};

static const struct ctl_column ctl_alias_columns[] = {
	{ "ADDRESS", "address", CTL_TEXT }, { "USER", "user", CTL_TEXT },
	{ NULL, NULL, CTL_TEXT },
};

static const struct ctl_column ctl_grant_columns[] = {
	{ "ADDRESS", "address", CTL_TEXT }, { "USER", "user", CTL_TEXT },
	{ "GRANTED", "granted_s", CTL_TIME }, { "LEFT", "left_s", CTL_SPAN },
	{ "USES", "uses", CTL_NUMBER }, { "BY", "source", CTL_TEXT },
	{ "TLS", "tls", CTL_YES_NO }, { "VOID", "why", CTL_TEXT },
	{ NULL, NULL, CTL_TEXT },
};

/* Asks, and gives the last record to `say` (with -j it is printed alone). */
static int
ctl_change(struct ctl *c, json_t *request,
    void (*say)(const struct ctl *c, const json_t *record))
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

static int
ctl_list(struct ctl *c, json_t *request, const struct ctl_column *cols)
{
	json_t *records = json_array();
	int code;

	if ((code = ctl_ask(c, CTL_USERS, request, records)) == 0)
		ctl_table(c, cols, records);
	json_decref(records);
	return code;
}

static json_t *
ctl_user_request(const char *verb, const char *user)
{
	return json_pack("{s:s, s:s}", "verb", verb, "user", user);
}

static int
ctl_yes_no(const char *s)
{
	return strcmp(s, "yes") == 0 ? 1 : strcmp(s, "no") == 0 ? 0 : -1;
}

/* KEY=VALUE arguments into the request. 0, or the exit code. */
static int
ctl_settings(json_t *request, int argc, char **argv)
{
	static const struct { const char *key, *member; } flags[] = {
		{ "may_submit=", "may_submit" }, { "may_pop=", "may_pop" },
	};
	int yes;
	size_t k;

	for (int i = 0; i < argc; i++) {
		if (strncmp(argv[i], "note=", 5) == 0) {
			if (json_object_set_new(request, "note",
			    json_string(argv[i] + 5)) != 0)
				return ctl_fail(EX_DATAERR,
				    "the note is not valid UTF-8");
			continue;
		}
		for (k = 0; k < 2; k++)
			if (str_istarts(argv[i], flags[k].key))
				break;
		if (k == 2)
			return ctl_fail(EX_USAGE, "%s: note=TEXT, "
			    "may_submit=yes|no or may_pop=yes|no is wanted", argv[i]);
		yes = ctl_yes_no(argv[i] + strlen(flags[k].key));
		if (yes == -1)
			return ctl_fail(EX_USAGE, "%s: yes or no is wanted",
			    argv[i]);
		(void)json_object_set_new(request, flags[k].member,
		    json_boolean(yes));
	}
	return 0;
}

static void
ctl_said_added(const struct ctl *c, const json_t *r)
{
	ctl_say(c, r, "user %s added; his Maildir will be %s",
	    ctl_str(r, "user"), ctl_str(r, "maildir"));
}

static int
ctl_with_password(struct ctl *c, json_t *request,
    void (*say)(const struct ctl *c, const json_t *record))
{
	char *password = NULL;
	int code;

	/* The configuration first: nobody types a password in vain. */
	if (request == NULL)
		code = ctl_fail(EX_DATAERR, "%s: not valid UTF-8", c->argv[0]);
	else if ((code = ctl_conf(c)) == 0)
		code = ctl_password(c, c->argv[0], &password);
	if (code != 0) {
		json_decref(request);
		return code;
	}
	(void)json_object_set_new(request, "password", json_string(password));
	ctl_password_free(password);
	return ctl_change(c, request, say);
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
	return ctl_with_password(c, request, ctl_said_added);
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
	    c->argv[0]), ctl_said_passwd);
}

int
ctl_user_list(struct ctl *c)
{
	return ctl_list(c, json_pack("{s:s}", "verb", "user.list"),
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

static void
ctl_said_set(const struct ctl *c, const json_t *r)
{
	ctl_say(c, r, "user %s: may_submit=%s may_pop=%s note=%s", ctl_str(r, "user"),
	    json_is_true(json_object_get(r, "may_submit")) ? "yes" : "no",
	    json_is_true(json_object_get(r, "may_pop")) ? "yes" : "no",
	    ctl_str(r, "note"));
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

int
ctl_user_disable(struct ctl *c)
{
	return ctl_change(c, ctl_user_request("user.disable", c->argv[0]),
	    ctl_said_state);
}

int
ctl_user_enable(struct ctl *c)
{
	return ctl_change(c, ctl_user_request("user.enable", c->argv[0]),
	    ctl_said_state);
}

static void
ctl_said_deleted(const struct ctl *c, const json_t *r)
{
	ctl_say(c, r, "user %s deleted; his Maildir stays: %s",
	    ctl_str(r, "user"), ctl_str(r, "maildir"));
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
	return ctl_list(c, json_pack("{s:s, s:s*}", "verb", "user.alias.list",
	    "user", c->argc > 0 ? c->argv[0] : NULL), ctl_alias_columns);
}

/* ---------------------------------------------------------------- grants -- */

int
ctl_grant_list(struct ctl *c)
{
	return ctl_list(c, json_pack("{s:s, s:s*, s:s*, s:b}",
	    "verb", "grant.list", "network", c->argc > 0 ? c->argv[0] : NULL,
	    "user", c->user, "all", (c->given & CTL_ALL) != 0),
	    ctl_grant_columns);
}

int
ctl_grant_query(struct ctl *c)
{
	json_t *records = json_array();
	const json_t *last, *r;
	bool allowed = false;
	size_t i, n;
	int code;

	code = ctl_ask(c, CTL_USERS, json_pack("{s:s, s:s, s:s*}", "verb",
	    "grant.query", "network", c->argv[0], "user", c->user), records);
	n = json_array_size(records);
	last = json_array_get(records, n - 1);
	if (code == 0) {
		allowed = json_is_true(json_object_get(last, "allowed"));
		ctl_say(c, last, "%s: %s", c->argv[0],
		    allowed ? "allowed" : "not allowed");
		for (i = 0; i + 1 < n && !c->json; i++) {
			r = json_array_get(records, i);
			printf("  %s (%s)\n", ctl_str(r, "user"),
			    ctl_str(r, "why")[0] == '\0' ? "may send" :
			    ctl_str(r, "why"));
		}
		code = allowed ? 0 : 1;
	}
	json_decref(records);
	return code;
}

static void
ctl_said_revoked(const struct ctl *c, const json_t *r)
{
	ctl_say(c, r, "%lld revoked", (long long)ctl_int(r, "revoked"));
}

int
ctl_grant_revoke(struct ctl *c)
{
	const char *what = c->argc > 0 ? c->argv[0] : NULL;
	const char *user = c->user;
	bool all = what != NULL && strcmp(what, "ALL") == 0;

	if (what == NULL && user == NULL)
		return ctl_fail(EX_USAGE, "which ones? Give an address, a "
		    "network, a user, or ALL\n(\"submitctl grant list\" shows "
		    "them)");
	if (all)
		what = NULL;
	else if (what != NULL && strchr(what, '@') != NULL) {
		if (user != NULL)
			return ctl_fail(EX_USAGE, "two users are given");
		user = what;
		what = NULL;
	}
	return ctl_change(c, json_pack("{s:s, s:s*, s:s*, s:b}",
	    "verb", "grant.revoke", "network", what, "user", user, "all",
	    all), ctl_said_revoked);
}

static void
ctl_said_purged(const struct ctl *c, const json_t *r)
{
	ctl_say(c, r, "%lld removed", (long long)ctl_int(r, "purged"));
}

int
ctl_grant_purge(struct ctl *c)
{
	return ctl_change(c, json_pack("{s:s}", "verb", "grant.purge"),
	    ctl_said_purged);
}
