/*
 * submitctl_trace.c - the commands that explain: who sent a message, and what
 * the rule says to one.
 */
#include "config.h"

#include <string.h>
#include <sysexits.h>

#include "db/submitctl.h"

static const struct ctl_column ctl_trace_lines[] = {
	{ "user", "user", CTL_TEXT }, { "address", "address", CTL_TEXT },
	{ "session", "session", CTL_TEXT }, { "time", "time_s", CTL_TIME },
	{ "EHLO name", "helo", CTL_TEXT }, { "queue id", "queue_id", CTL_TEXT },
	{ "date", "date", CTL_TEXT }, { "known from", "source", CTL_TEXT },
	{ NULL, NULL, CTL_TEXT },
};

static void
ctl_said_trace(const struct ctl *c, const json_t *r)
{
	ctl_record(c, ctl_trace_lines, r);
}

int
ctl_trace_origin(struct ctl *c)
{
	return ctl_change(c, json_pack("{s:s, s:s}", "verb", "trace-origin",
	    "text", c->argv[0]), ctl_said_trace);
}

/* ------------------------------------------------------------------- why -- */

static const struct ctl_column ctl_why_lines[] = {
	{ "address", "address", CTL_TEXT }, { "sender", "from", CTL_TEXT },
	{ "verdict", "verdict", CTL_TEXT }, { "reply", "reply", CTL_TEXT },
	{ "by", "by", CTL_TEXT }, { "user", "user", CTL_TEXT },
	{ "decided by", "decided_by", CTL_TEXT }, { "why", "why", CTL_TEXT },
	{ "recipient", "recipient", CTL_TEXT },
	{ NULL, NULL, CTL_TEXT },
};

static const struct ctl_column ctl_why_grants[] = {
	{ "GRANT OF", "user", CTL_TEXT }, { "AT", "address", CTL_TEXT },
	{ "LEFT", "left_s", CTL_SPAN }, { "NOT, FOR", "why", CTL_TEXT },
	{ NULL, NULL, CTL_TEXT },
};

/* Exits 0 when mail would be taken, else 1. */
int
ctl_why(struct ctl *c)
{
	json_t *records, *last;
	size_t n;
	int code;

	if (c->ip == NULL)
		return ctl_fail(EX_USAGE, "why: --ip ADDRESS is wanted");
	records = json_array();
	code = ctl_ask(c, CTL_USERS, json_pack("{s:s, s:s, s:s*, s:s*, s:s*}",
	    "verb", "why", "network", c->ip, "user", c->user, "from",
	    c->mail_from, "to", c->mail_to), records);
	n = json_array_size(records);
	if (code != 0 || n == 0) {
		json_decref(records);
		return code;
	}
	last = json_incref(json_array_get(records, n - 1));
	(void)json_array_remove(records, n - 1);
	if (c->json)
		(void)json_object_set(last, "grants", records);
	ctl_record(c, ctl_why_lines, last);
	if (!c->json && json_array_size(records) > 0)
		ctl_table(c, ctl_why_grants, records);
	code = strcmp(ctl_str(last, "verdict"), "taken") == 0 ? 0 : 1;
	json_decref(last);
	json_decref(records);
	return code;
}
