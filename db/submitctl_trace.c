/*
 * submitctl_trace.c - the commands that explain: who sent a message, and what
 * the rule says to one.
 */
#include "config.h"

#include <string.h>

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
