/*
 * submitctl_queue.c - the commands on the queue: submitd-spool's, behind the
 * control socket "queue".
 */
#include "config.h"

#include <string.h>
#include <sysexits.h>

#include "db/submitctl.h"

#define CTL_QUEUE "queue"

static const struct ctl_column ctl_queue_columns[] = {
	{ "ID", "id", CTL_TEXT }, { "ARRIVED", "arrived_s", CTL_TIME },
	{ "SIZE", "octets", CTL_OCTETS }, { "USER", "user", CTL_TEXT },
	{ "SENDER", "sender", CTL_TEXT }, { "TO", "to", CTL_TEXT },
	{ "LEFT", "n_pending", CTL_NUMBER }, { "TRIES", "tries", CTL_NUMBER },
	{ "NEXT TRY", "next_try_s", CTL_TIME }, { "LAST ANSWER", "last", CTL_TEXT },
	{ NULL, NULL, CTL_TEXT },
};

static const struct ctl_column ctl_queue_lines[] = {
	{ "id", "id", CTL_TEXT }, { "arrived", "arrived_s", CTL_TIME },
	{ "size", "octets", CTL_OCTETS }, { "user", "user", CTL_TEXT },
	{ "sender", "sender", CTL_TEXT }, { "by", "kind", CTL_TEXT },
	{ "mechanism", "mech", CTL_TEXT }, { "client", "peer", CTL_TEXT },
	{ "helo", "helo", CTL_TEXT }, { "tls", "tls", CTL_TEXT },
	{ "session", "sid", CTL_TEXT }, { "recipients", "n_recipients", CTL_NUMBER },
	{ "waiting", "n_pending", CTL_NUMBER },
	{ NULL, NULL, CTL_TEXT },
};

static const struct ctl_column ctl_rcpt_columns[] = {
	{ "RECIPIENT", "address", CTL_TEXT }, { "STATE", "state", CTL_TEXT },
	{ "TRIES", "tries", CTL_NUMBER }, { "NEXT TRY", "next_try_s", CTL_TIME },
	{ "LAST ANSWER", "last", CTL_TEXT }, { NULL, NULL, CTL_TEXT },
};

/* For the table, what stands in its recipients: the first that waits, and the
 * earliest next try. */
static void
ctl_queue_sum_up(json_t *m)
{
	const json_t *list = json_object_get(m, "recipients");
	json_int_t next = 0, t;
	const json_t *first = NULL;
	json_t *r;
	size_t i;

	json_array_foreach(list, i, r) {
		if (strcmp(ctl_str(r, "state"), "pending") != 0)
			continue;
		t = ctl_int(r, "next_try_s");
		if (first == NULL || t < next)
			next = t;
		if (first == NULL)
			first = r;
	}
	if (first == NULL)
		return;
	(void)json_object_set(m, "to", json_object_get(first, "address"));
	(void)json_object_set(m, "tries", json_object_get(first, "tries"));
	(void)json_object_set(m, "last", json_object_get(first, "last"));
	(void)json_object_set_new(m, "next_try_s", json_integer(next));
	if (ctl_str(m, "sender")[0] == '\0')
		(void)json_object_set_new(m, "sender", json_string("<>"));
}

int
ctl_queue_list(struct ctl *c)
{
	return ctl_list_with(c, CTL_QUEUE, json_pack("{s:s, s:s*}", "verb",
	    "queue.list", "user", c->user), ctl_queue_columns,
	    ctl_queue_sum_up, c->user == NULL ? "the queue is empty" :
	    "none of his messages waits");
}

static void
ctl_queue_print(const struct ctl *c, const json_t *m)
{
	char text[1024];
	json_t *line;
	size_t i;

	ctl_record(c, ctl_queue_lines, m);
	if (c->json)
		return;
	putchar('\n');
	ctl_table(c, ctl_rcpt_columns, json_object_get(m, "recipients"));
	putchar('\n');
	json_array_foreach(json_object_get(m, "headers"), i, line)
		if (json_is_string(line))
			puts(ctl_safe(json_string_value(line), text,
			    sizeof(text)));
}

int
ctl_queue_show(struct ctl *c)
{
	json_t *records = json_array();
	int code;

	code = ctl_ask(c, CTL_QUEUE, json_pack("{s:s, s:s}", "verb",
	    "queue.show", "id", c->argv[0]), records);
	if (code == 0)
		ctl_queue_print(c, json_array_get(records, 0));
	json_decref(records);
	return code;
}

/* Asks for each id, or (`all`) once for all, and sums up what was counted. The
 * first failure is the exit code, but the others are done too. */
static int
ctl_queue_each(struct ctl *c, const char *verb, const char *counted,
    bool all)
{
	json_t *records = json_array(), *r, *sum;
	json_int_t n = 0;
	size_t i;
	int code = 0, one;

	if (all)
		code = ctl_ask(c, CTL_QUEUE, json_pack("{s:s, s:b}", "verb",
		    verb, "all", 1), records);
	for (int k = 0; !all && k < c->argc; k++) {
		one = ctl_ask(c, CTL_QUEUE, json_pack("{s:s, s:s}", "verb",
		    verb, "id", c->argv[k]), records);
		code = code != 0 ? code : one;
		if (one == EX_UNAVAILABLE || one == EX_NOPERM ||
		    one == EX_CONFIG)
			break;
	}
	json_array_foreach(records, i, r)
		n += ctl_int(r, counted);
	sum = json_pack("{s:I}", counted, n);
	if (code == 0 || n > 0)
		ctl_say(c, sum, "%lld %s", (long long)n, counted);
	json_decref(sum);
	json_decref(records);
	return code;
}

int
ctl_queue_flush(struct ctl *c)
{
	return ctl_queue_each(c, "queue.flush", "flushed", c->argc == 0 ||
	    (c->argc == 1 && strcmp(c->argv[0], "ALL") == 0));
}

int
ctl_queue_delete(struct ctl *c)
{
	return ctl_queue_each(c, "queue.delete", "deleted",
	    c->argc == 1 && strcmp(c->argv[0], "ALL") == 0);
}
