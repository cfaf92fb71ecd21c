/*
 * control_blocked.c - the verbs on blocks that guessing has led to. On pool
 * threads of authd-core.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "auth/control_private.h"
#include "auth/guess.h"
#include "lib/str.h"

static json_t *
control_block_json(const struct control_job *j, const struct guess_block *b)
{
	char net[ADDR_STRLEN];

	return json_pack("{s:s, s:s*, s:s, s:I, s:I, s:I, s:I, s:I}",
	    "network", net_text(&b->net, net),
	    "user", b->user[0] != '\0' ? b->user : NULL,
	    "reason", guess_why_name(b->why),
	    "count", (json_int_t)b->count, "refused", (json_int_t)b->refused,
	    "since_s", (json_int_t)b->since_s,
	    "expires_s", (json_int_t)b->until_s,
	    "left_s", (json_int_t)(b->until_s - j->now_s));
}

static bool
control_block_meets(const struct control_job *j, const struct guess_block *b)
{
	if (j->user[0] != '\0' && strcmp(j->user, b->user) != 0)
		return false;
	return !j->has_net || guess_nets_meet(&j->net, &b->net);
}

/* A cursor is the place in the tables behind the record. */
int
control_blocked_list(struct control_job *j)
{
	struct guess_block b;
	char cursor[24], *end;
	size_t pos = strtoul(j->after, &end, 10);
	bool more = true;

	if (*end != '\0')
		return err_set(&j->err, ERR_FORMAT,
		    "after: not what \"next\" said");
	while (more && guess_next(j->core->guess, &pos, j->now_s, &b)) {
		(void)str_format(cursor, sizeof(cursor), "%zu", pos);
		if (control_block_meets(j, &b))
			more = control_page_put(j, control_block_json(j, &b),
			    cursor);
		else
			more = control_page_skip(j, cursor);
	}
	return 0;
}

int
control_blocked_clear(struct control_job *j)
{
	size_t n = guess_clear(j->core->guess, j->has_net ? &j->net : NULL,
	    j->user[0] != '\0' ? j->user : NULL, j->now_s);
	struct err e = { 0 };

	control_job_set(j, "cleared", json_integer((json_int_t)n));
	if (guess_write(j->core->guess, j->core->places, &e) != 0)
		control_job_warn(j, "it holds, but a restart would undo it: "
		    "%s", e.text);
	return 0;
}
