/*
 * submitctl_session.c - the commands on logins: trying one, who is logged in,
 * ending sessions.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "db/submitctl.h"
#include "lib/addr.h"

static const struct ctl_column ctl_who_columns[] = {
	{ "USER", "user", CTL_TEXT }, { "ADDRESS", "address", CTL_TEXT },
	{ "BY", "service", CTL_TEXT }, { "MECHANISM", "mechanism", CTL_TEXT },
	{ "SINCE", "since_s", CTL_TIME }, { "TLS", "tls", CTL_TEXT },
	{ "SESSION", "session", CTL_TEXT }, { "LOGIN", "login", CTL_TEXT },
	{ NULL, NULL, CTL_TEXT },
};

static const struct ctl_column ctl_test_lines[] = {
	{ "user", "user", CTL_TEXT }, { "mechanism", "mechanism", CTL_TEXT },
	{ "password", "password_is", CTL_TEXT },
	{ "credential", "credential", CTL_TEXT },
	{ "submission", "smtp", CTL_YES_NO }, { "  why not", "smtp_why", CTL_TEXT },
	{ "POP3", "pop", CTL_YES_NO }, { "  why not", "pop_why", CTL_TEXT },
	{ "POP3 grants", "grants", CTL_YES_NO },
	{ "blocked", "blocked", CTL_TEXT },
	{ NULL, NULL, CTL_TEXT },
};

/* "USER", "NETWORK", or both; ALL (in capitals) is everybody. */
static json_t *
ctl_session_request(const struct ctl *c, const char *verb)
{
	const char *user = NULL, *network = NULL;
	struct net net;

	for (int i = 0; i < c->argc; i++)
		if (network == NULL && net_parse(c->argv[i], &net) == 0)
			network = c->argv[i];
		else if (user == NULL)
			user = c->argv[i];
		else
			network = c->argv[i];
	if (user != NULL && strcmp(user, "ALL") == 0)
		return json_pack("{s:s, s:s*, s:b}", "verb", verb, "network",
		    network, "all", 1);
	return json_pack("{s:s, s:s*, s:s*}", "verb", verb, "user", user,
	    "network", network);
}

static int
ctl_who_compare(const void *a, const void *b)
{
	const json_t *const *x = a, *const *y = b;

	return strcmp(ctl_str(*x, "user"), ctl_str(*y, "user"));
}

/* In the order of names; -1: each name once. */
static json_t *
ctl_who_sort(const struct ctl *c, const json_t *records)
{
	size_t n = json_array_size(records);
	json_t *sorted = json_array(), **v;
	const char *last = NULL;

	if ((v = calloc(n > 0 ? n : 1, sizeof(*v))) == NULL)
		return sorted;
	for (size_t i = 0; i < n; i++)
		v[i] = json_array_get(records, i);
	qsort(v, n, sizeof(*v), ctl_who_compare);
	for (size_t i = 0; i < n; i++) {
		const char *user = ctl_str(v[i], "user");

		if ((c->given & CTL_ONE) == 0 || last == NULL ||
		    strcmp(last, user) != 0)
			(void)json_array_append(sorted, v[i]);
		last = user;
	}
	free(v);
	return sorted;
}

int
ctl_who(struct ctl *c)
{
	json_t *records = json_array(), *sorted, *r;
	size_t i, n;
	int code;

	code = ctl_ask(c, CTL_USERS, ctl_session_request(c, "who"), records);
	n = json_array_size(records);
	r = json_array_get(records, n - 1);
	if (code == 0 && json_object_get(r, "warnings") != NULL) {
		ctl_warnings(r);
		(void)json_array_remove(records, n - 1);
	}
	sorted = ctl_who_sort(c, records);
	if (code == 0 && (c->given & CTL_ONE) != 0 && !c->json)
		json_array_foreach(sorted, i, r)
			ctl_print("%s\n", ctl_str(r, "user"));
	else if (code == 0)
		ctl_table(c, ctl_who_columns, sorted);
	json_decref(sorted);
	json_decref(records);
	return code;
}

static void
ctl_said_kicked(const struct ctl *c, const json_t *r)
{
	ctl_say(c, r, "the sessions end now; who may log in can do so again");
}

int
ctl_kick(struct ctl *c)
{
	return ctl_change(c, ctl_session_request(c, "kick"), ctl_said_kicked);
}

/* -------------------------------------------------------------- auth test -- */

static bool ctl_test_right;

static void
ctl_said_test(const struct ctl *c, const json_t *r)
{
	ctl_test_right = json_is_true(json_object_get(r, "right"));
	ctl_record(c, ctl_test_lines, r);
}

int
ctl_auth_test(struct ctl *c)
{
	json_t *request = ctl_user_request("auth.test", c->argv[0]);
	int code;

	if (request != NULL && c->mech != NULL)
		(void)json_object_set_new(request, "mechanism",
		    json_string(c->mech));
	if (c->from != NULL && strncmp(c->from, "rip=", 4) != 0) {
		json_decref(request);
		return ctl_fail(EX_USAGE, "-x %s: rip=ADDRESS is wanted",
		    c->from);
	}
	if (request != NULL && c->from != NULL)
		(void)json_object_set_new(request, "address",
		    json_string(c->from + 4));
	code = ctl_with_password(c, request, true, ctl_said_test);
	return code != 0 ? code : ctl_test_right ? 0 : 1;
}
