/*
 * submitctl_grant.c - the commands on grants: authd-core's, behind the control
 * socket "users".
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "db/submitctl.h"
#include "lib/addr.h"
#include "lib/str.h"

static const struct ctl_column ctl_grant_columns[] = {
	{ "ADDRESS", "address", CTL_TEXT }, { "USER", "user", CTL_TEXT },
	{ "LOGIN", "login_s", CTL_TIME }, { "EXPIRES", "expires_s", CTL_TIME },
	{ "LEFT", "left_s", CTL_SPAN }, { "BY", "by", CTL_TEXT },
	{ "TLS", "tls", CTL_YES_NO }, { "SENT", "sent", CTL_TEXT },
	{ "FIRST USE", "first_use_s", CTL_TIME },
	{ "LAST USE", "last_use_s", CTL_TIME }, { "VOID", "why", CTL_TEXT },
	{ NULL, NULL, CTL_TEXT },
};

/* Is it a user's name, with a domain or without? What has nothing but digits
 * and dots, a colon or a slash is an address, or was meant to be one. */
static bool
ctl_grant_is_user(const char *s)
{
	struct net net;

	return strchr(s, '@') != NULL || (strcmp(s, "ALL") != 0 &&
	    strpbrk(s, ":/") == NULL && s[strspn(s, "0123456789.")] != '\0' &&
	    net_parse(s, &net) != 0);
}

/* The argument is an address, a network or a user: whose grants are meant. 0, or
 * the exit code. */
static int
ctl_grant_whose(struct ctl *c, const char **ret_network)
{
	*ret_network = c->argc > 0 ? c->argv[0] : NULL;
	if (*ret_network == NULL || !ctl_grant_is_user(*ret_network))
		return 0;
	if (c->user != NULL)
		return ctl_fail(EX_USAGE, "two users are given");
	c->user = *ret_network;
	*ret_network = NULL;
	return 0;
}

int
ctl_grant_list(struct ctl *c)
{
	const char *network;
	int code = ctl_grant_whose(c, &network);

	return code != 0 ? code :
	    ctl_list(c, CTL_USERS, json_pack("{s:s, s:s*, s:s*, s:b}",
	    "verb", "grant.list", "network", network,
	    "user", c->user, "all", (c->given & CTL_ALL) != 0),
	    ctl_grant_columns);
}

int
ctl_grant_query(struct ctl *c)
{
	json_t *records = json_array();
	const json_t *last, *r;
	const char *network;
	bool allowed = false;
	size_t i, n;
	int code = ctl_grant_whose(c, &network);

	if (code == 0)
		code = ctl_ask(c, CTL_USERS, json_pack("{s:s, s:s*, s:s*}",
		    "verb", "grant.query", "network", network, "user",
		    c->user), records);
	n = json_array_size(records);
	last = json_array_get(records, n - 1);
	if (code == 0) {
		allowed = json_is_true(json_object_get(last, "allowed"));
		ctl_say(c, last, "%s: %s%s%s", c->argv[0],
		    allowed ? "allowed" : "not allowed",
		    ctl_str(last, "brownout")[0] == '\0' ? "" :
		    " now: grant_brownout ", ctl_str(last, "brownout"));
		for (i = 0; i + 1 < n && !c->json; i++) {
			r = json_array_get(records, i);
			ctl_print("  %s at %s (%s)\n", ctl_str(r, "user"),
			    ctl_str(r, "address"),
			    ctl_str(r, "why")[0] == '\0' ? "may send" :
			    ctl_str(r, "why"));
		}
		code = allowed ? 0 : 1;
	}
	json_decref(records);
	return code;
}

/* ------------------------------------------------------------------- add -- */

/* max_messages=N and max_recipients=N into the request. 0, or the exit code. */
static int
ctl_grant_budget(json_t *request, int argc, char **argv)
{
	static const char *const keys[] = { "max_messages", "max_recipients" };
	unsigned long long n;
	char *end;
	size_t len, k;

	for (int i = 0; i < argc; i++) {
		len = strcspn(argv[i], "=");
		for (k = 0; k < 2 && (strlen(keys[k]) != len ||
		    strncmp(keys[k], argv[i], len) != 0); k++)
			;
		if (k == 2 || argv[i][len] != '=')
			return ctl_fail(EX_USAGE, "%s: max_messages=N or "
			    "max_recipients=N is wanted", argv[i]);
		errno = 0;
		n = strtoull(argv[i] + len + 1, &end, 10);
		if (argv[i][len + 1] < '0' || argv[i][len + 1] > '9' ||
		    *end != '\0' || errno != 0 || n > UINT32_MAX)
			return ctl_fail(EX_USAGE, "%s: a number is wanted; 0 "
			    "is no limit", argv[i]);
		(void)json_object_set_new(request, keys[k],
		    json_integer((json_int_t)n));
	}
	return 0;
}

static void
ctl_said_granted(const struct ctl *c, const json_t *r)
{
	const json_t *g = json_object_get(r, "granted");
	char left[48];

	ctl_span_text(ctl_int(g, "left_s"), left, sizeof(left));
	if (c->json)
		ctl_record(c, ctl_grant_columns, g);
	else
		ctl_say(c, r, "%s may send from %s for %s", ctl_str(g, "user"),
		    ctl_str(g, "address"), left);
}

int
ctl_grant_add(struct ctl *c)
{
	json_t *request = json_pack("{s:s, s:s, s:s}", "verb", "grant.add",
	    "user", c->argv[0], "network", c->argv[1]);
	int code;

	if (request == NULL)
		return ctl_fail(EX_DATAERR, "an argument is not valid UTF-8");
	if ((code = ctl_put_expires(c, request)) != 0 ||
	    (code = ctl_grant_budget(request, c->argc - 2, c->argv + 2)) != 0) {
		json_decref(request);
		return code;
	}
	return ctl_change(c, request, ctl_said_granted);
}

static void
ctl_said_revoked(const struct ctl *c, const json_t *r)
{
	ctl_say(c, r, "%lld revoked", (long long)ctl_int(r, "revoked"));
}

int
ctl_grant_revoke(struct ctl *c)
{
	const char *what;
	int code = ctl_grant_whose(c, &what);
	bool all = what != NULL && strcmp(what, "ALL") == 0;

	if (code != 0)
		return code;
	if (what == NULL && c->user == NULL)
		return ctl_fail(EX_USAGE, "which ones? Give an address, a "
		    "network, a user, or ALL\n(\"submitctl grant list\" shows "
		    "them)");
	return ctl_change(c, json_pack("{s:s, s:s*, s:s*, s:b}",
	    "verb", "grant.revoke", "network", all ? NULL : what, "user",
	    c->user, "all", all), ctl_said_revoked);
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
