/*
 * submitctl_blocked.c - the commands on blocks that guessing has led to.
 */
#include "config.h"

#include <string.h>
#include <sysexits.h>

#include "db/submitctl.h"
#include "lib/addr.h"

static const struct ctl_column ctl_blocked_columns[] = {
	{ "NETWORK", "network", CTL_TEXT }, { "USER", "user", CTL_TEXT },
	{ "REASON", "reason", CTL_TEXT }, { "COUNT", "count", CTL_NUMBER },
	{ "REFUSED", "refused", CTL_NUMBER }, { "SINCE", "since_s", CTL_TIME },
	{ "UNTIL", "expires_s", CTL_TIME }, { "LEFT", "left_s", CTL_SPAN },
	{ NULL, NULL, CTL_TEXT },
};

/* An address, a network, or a user; ALL (in capitals) is everything. */
static json_t *
ctl_blocked_request(const struct ctl *c, const char *verb)
{
	const char *what = c->argc > 0 ? c->argv[0] : NULL;
	struct net net;

	if (what != NULL && strcmp(what, "ALL") == 0)
		return json_pack("{s:s, s:b}", "verb", verb, "all", 1);
	return json_pack("{s:s, s:s*}", "verb", verb, what != NULL &&
	    net_parse(what, &net) == 0 ? "network" : "user", what);
}

int
ctl_blocked_list(struct ctl *c)
{
	return ctl_list(c, CTL_USERS, ctl_blocked_request(c, "blocked.list"),
	    ctl_blocked_columns);
}

static void
ctl_said_cleared(const struct ctl *c, const json_t *r)
{
	json_int_t n = ctl_int(r, "cleared");

	if (n == 0)
		ctl_say(c, r, "nothing was blocked; failures counted there are "
		    "forgotten");
	else
		ctl_say(c, r, "%lld block%s ended", (long long)n,
		    n == 1 ? "" : "s");
}

int
ctl_blocked_clear(struct ctl *c)
{
	return ctl_change(c, ctl_blocked_request(c, "blocked.clear"),
	    ctl_said_cleared);
}
