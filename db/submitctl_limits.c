/*
 * submitctl_limits.c - the commands on sending limits: they are authd-core's,
 * behind the control socket "users".
 */
#include "config.h"

#include "db/submitctl.h"

static const struct ctl_column ctl_limit_columns[] = {
	{ "LIMIT", "limit", CTL_TEXT }, { "MAX", "max", CTL_LIMIT },
	{ "USED", "used", CTL_NUMBER }, { "LEFT", "left", CTL_NUMBER },
	{ "EASES", "eases_in_s", CTL_SPAN }, { "BY", "by", CTL_TEXT },
	{ NULL, NULL, CTL_TEXT },
};

static const struct ctl_column ctl_limit_lines[] = {
	{ "user", "user", CTL_TEXT }, { "class", "class", CTL_TEXT },
	{ "over a limit", "action", CTL_TEXT },
	{ "sent in a day", "octets_day", CTL_OCTETS },
	{ NULL, NULL, CTL_TEXT },
};

int
ctl_limits(struct ctl *c)
{
	json_t *records = json_array(), *last;
	int width[CTL_COLUMNS_MAX] = { 0 };
	size_t n;
	int code;

	code = ctl_ask(c, CTL_USERS, ctl_user_request("limits.list",
	    c->argv[0]), records);
	n = json_array_size(records);
	if (code == 0 && n > 0) {
		last = json_array_get(records, n - 1);
		ctl_warnings(last);
		if (!c->json)
			ctl_record(c, ctl_limit_lines, last);
		(void)json_array_remove(records, n - 1);
		ctl_table_page(c, ctl_limit_columns, records, width);
	}
	json_decref(records);
	return code;
}

static void
ctl_said_reset(const struct ctl *c, const json_t *r)
{
	ctl_say(c, r, "what %s has sent counts no more", ctl_str(r, "user"));
}

int
ctl_limits_reset(struct ctl *c)
{
	return ctl_change(c, ctl_user_request("limits.reset", c->argv[0]),
	    ctl_said_reset);
}
