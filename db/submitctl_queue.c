/*
 * submitctl_queue.c - the commands on the queue: submitd-spool's, behind the
 * control socket "queue".
 *
 * A queue may be long: a list is printed as it comes, ids go in parts.
 */
#include "config.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "db/submitctl.h"
#include "lib/str.h"

#define CTL_QUEUE "queue"
#define CTL_QUEUE_PAGE 200u	/* rows whose widths fit each other */
#define CTL_QUEUE_IDS 500u	/* of one request */
#define CTL_QUEUE_WAIT_S 600	/* for the end of a change */
#define CTL_QUEUE_FILTERS (CTL_USER | CTL_MAIL_FROM | CTL_MAIL_TO | \
	CTL_SINCE | CTL_HELD)

static const struct ctl_column ctl_queue_columns[] = {
	{ "ID", "id", CTL_TEXT }, { "ARRIVED", "arrived_s", CTL_TIME },
	{ "SIZE", "octets", CTL_OCTETS }, { "USER", "user", CTL_TEXT },
	{ "SENDER", "sender", CTL_TEXT }, { "TO", "to", CTL_TEXT },
	{ "LEFT", "n_pending", CTL_NUMBER }, { "WHY", "why", CTL_TEXT },
	{ "TRIES", "tries", CTL_NUMBER },
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
	{ "priority", "priority", CTL_NUMBER }, { "held", "held", CTL_TEXT },
	{ "held since", "held_s", CTL_TIME }, { "held by", "held_by", CTL_TEXT },
	{ NULL, NULL, CTL_TEXT },
};

static const struct ctl_column ctl_rcpt_columns[] = {
	{ "RECIPIENT", "address", CTL_TEXT }, { "STATE", "state", CTL_TEXT },
	{ "WHY", "why", CTL_TEXT }, { "TRIES", "tries", CTL_NUMBER }, { "NEXT TRY", "next_try_s", CTL_TIME },
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
		if (ctl_str(r, "why")[0] == '\0')
			continue;	/* he has it, or never will */
		t = ctl_int(r, "next_try_s");
		if (first == NULL || t < next)
			next = t;
		if (first == NULL)
			first = r;
	}
	if (first == NULL)
		return;
	(void)json_object_set(m, "to", json_object_get(first, "address"));
	(void)json_object_set(m, "why", json_object_get(first, "why"));
	(void)json_object_set(m, "tries", json_object_get(first, "tries"));
	(void)json_object_set(m, "last", json_object_get(first, "last"));
	(void)json_object_set_new(m, "next_try_s", json_integer(next));
	if (ctl_str(m, "sender")[0] == '\0')
		(void)json_object_set_new(m, "sender", json_string("<>"));
}

/* ----------------------------------------------------------- which ones -- */

/* An empty one is a script's variable that was not set: what it was to say is
 * not known. NULL, or the option's name. */
static const char *
ctl_queue_empty(const struct ctl *c)
{
	return c->user != NULL && c->user[0] == '\0' ? "--user" :
	    c->mail_from != NULL && c->mail_from[0] == '\0' ? "--from" :
	    c->mail_to != NULL && c->mail_to[0] == '\0' ? "--to" : NULL;
}

/* A request with the filters that were given; NULL after a message. */
static json_t *
ctl_queue_request(const struct ctl *c, const char *verb)
{
	const char *empty = ctl_queue_empty(c);
	json_t *request;
	uint64_t since_s;

	if (empty != NULL) {
		(void)ctl_fail(0, "%s is empty%s", empty,
		    strcmp(empty, "--from") == 0 ?
		    "; the null sender is \"<>\"" : "");
		return NULL;
	}
	if (c->since != NULL && (str_duration_s(c->since, &since_s) != 0 ||
	    since_s == 0)) {
		(void)ctl_fail(0, "--since %s: a duration such as 12h or 2d is "
		    "wanted", c->since);
		return NULL;
	}
	request = json_pack("{s:s, s:s*, s:s*, s:s*}", "verb", verb,
	    "user", c->user, "from", c->mail_from, "to", c->mail_to);
	if (request == NULL)
		(void)ctl_fail(0, "an argument is not UTF-8");
	if (request != NULL && c->since != NULL)
		(void)json_object_set_new(request, "since_s",
		    json_integer((json_int_t)since_s));
	if (request != NULL && (c->given & CTL_HELD))
		(void)json_object_set_new(request, "held", json_true());
	return request;
}

/* The id in a line: its first word, or of a JSON record its "id". */
static json_t *
ctl_queue_line_id(char *line)
{
	json_t *record, *id = NULL;

	line += strspn(line, " \t");
	if (*line == '{') {
		record = json_loads(line, 0, NULL);
		id = json_incref(json_object_get(record, "id"));
		json_decref(record);
		if (json_is_string(id))
			return id;
		json_decref(id);
		return NULL;
	}
	line[strcspn(line, " \t\r\n")] = '\0';
	/* A table's first line is none. */
	return *line == '\0' || strcmp(line, ctl_queue_columns[0].title) == 0 ?
	    NULL : json_string(line);
}

/* The ids on the command line, or ("-") on standard input. 0, or the exit code
 * after a message. */
static int
ctl_queue_ids(const struct ctl *c, json_t *ids)
{
	char *line = NULL;
	size_t size = 0;
	int r = 0;

	for (int i = 0; i < c->argc; i++)
		if (strcmp(c->argv[i], "-") != 0)
			r |= json_array_append_new(ids,
			    json_string(c->argv[i]));
		else
			while (getline(&line, &size, stdin) > 0) {
				json_t *id = ctl_queue_line_id(line);

				if (id != NULL)
					r |= json_array_append_new(ids, id);
			}
	free(line);
	return r == 0 ? 0 : ctl_fail(EX_DATAERR, "an id is not UTF-8");
}

/* A part of them. */
static json_t *
ctl_queue_part(const json_t *ids, size_t first)
{
	json_t *part = json_array();
	size_t n = json_array_size(ids);

	for (size_t i = first; i < n && i < first + CTL_QUEUE_IDS; i++)
		(void)json_array_append(part, json_array_get(ids, i));
	return part;
}

/* What is asked for, in as many requests as its ids take. The first failure is the exit code, but the others are done
 * too; ids that are not there are told, and EX_NOUSER. */
static int
ctl_queue_all(struct ctl *c, const char *verb, json_t *ids, bool all,
    control_each_fn *each, void *ctx)
{
	size_t first = 0, n = json_array_size(ids);
	int code = 0, one;

	do {
		json_t *request = ctl_queue_request(c, verb);

		if (request == NULL)
			return EX_USAGE;
		if (n > 0)
			(void)json_object_set_new(request, "ids",
			    ctl_queue_part(ids, first));
		if (all)
			(void)json_object_set_new(request, "all", json_true());
		one = ctl_ask_each(c, CTL_QUEUE, request, CTL_QUEUE_WAIT_S,
		    each, ctx);
		code = code != 0 ? code : one;
		first += CTL_QUEUE_IDS;
	} while (first < n && one != EX_UNAVAILABLE && one != EX_NOPERM &&
	    one != EX_CONFIG);
	return code;
}

/* Those that were asked for by id and are not there. */
static void
ctl_queue_unknown(const json_t *last, int *code)
{
	const json_t *id;
	size_t i;

	json_array_foreach(json_object_get(last, "unknown"), i, id) {
		int r = ctl_fail(EX_NOUSER, "no message %s is queued",
		    json_is_string(id) ? json_string_value(id) : "?");

		*code = *code != 0 ? *code : r;
	}
}

/* ------------------------------------------------------------------- list -- */

struct ctl_queue_list {
	struct ctl	*ctl;
	json_t		*page;
	int		 width[CTL_COLUMNS_MAX];
	bool		 any;
	int		 code;
};

static void
ctl_queue_page(struct ctl_queue_list *l)
{
	if (json_array_size(l->page) > 0)
		ctl_table_page(l->ctl, ctl_queue_columns, l->page, l->width);
	(void)json_array_clear(l->page);
}

static void
ctl_queue_listed(void *ctx, const json_t *record, int fd)
{
	struct ctl_queue_list *l = ctx;
	json_t *m;

	(void)fd;
	if (json_object_get(record, "id") == NULL) {
		ctl_queue_unknown(record, &l->code);
		return;
	}
	l->any = true;
	m = json_deep_copy(record);
	if (!l->ctl->json)
		ctl_queue_sum_up(m);
	(void)json_array_append_new(l->page, m);
	if (json_array_size(l->page) >= CTL_QUEUE_PAGE)
		ctl_queue_page(l);
}

int
ctl_queue_list(struct ctl *c)
{
	struct ctl_queue_list l = { .ctl = c, .page = json_array() };
	json_t *ids = json_array();
	int code = ctl_queue_ids(c, ids);

	/* Without any id on standard input there is none to show. */
	if (code == 0 && (c->argc == 0 || json_array_size(ids) > 0))
		code = ctl_queue_all(c, "queue.list", ids, false,
		    ctl_queue_listed, &l);
	ctl_queue_page(&l);
	if (code == 0 && l.code == 0 && !l.any && !c->json)
		puts((c->given & CTL_QUEUE_FILTERS) || c->argc > 0 ?
		    "no message that waits fits" : "the queue is empty");
	json_decref(l.page);
	json_decref(ids);
	return code != 0 ? code : l.code;
}

/* ------------------------------------------------------------------- show -- */

static void
ctl_queue_print(const struct ctl *c, const json_t *m)
{
	char text[1024];
	json_t *line;
	json_int_t more;
	size_t i;

	ctl_record(c, ctl_queue_lines, m);
	if (c->json)
		return;
	putchar('\n');
	ctl_table(c, ctl_rcpt_columns, json_object_get(m, "recipients"));
	more = ctl_int(m, "n_recipients") -
	    (json_int_t)json_array_size(json_object_get(m, "recipients"));
	if (more > 0)
		printf("and %lld more\n", (long long)more);
	putchar('\n');
	json_array_foreach(json_object_get(m, "headers"), i, line)
		if (json_is_string(line))
			puts(ctl_safe(json_string_value(line), text,
			    sizeof(text)));
}

static int
ctl_queue_show_one(struct ctl *c, const char *id)
{
	json_t *records = json_array();
	int code;

	code = ctl_ask(c, CTL_QUEUE, json_pack("{s:s, s:s}", "verb",
	    "queue.show", "id", id), records);
	if (code == 0)
		ctl_queue_print(c, json_array_get(records, 0));
	json_decref(records);
	return code;
}

static void
ctl_queue_found(void *ctx, const json_t *record, int fd)
{
	(void)fd;
	if (json_object_get(record, "id") != NULL)
		(void)json_array_append(ctx, json_object_get(record, "id"));
}

int
ctl_queue_show(struct ctl *c)
{
	json_t *ids = json_array(), *id;
	size_t i;
	int code = ctl_queue_ids(c, ids), one;

	if (code == 0 && c->argc == 0)
		code = (c->given & CTL_QUEUE_FILTERS) == 0 ?
		    ctl_fail(EX_USAGE, "which messages? give ids, or --user, "
		    "--from, --to, --since, --held") :
		    ctl_queue_all(c, "queue.list", ids, false, ctl_queue_found,
		    ids);
	json_array_foreach(ids, i, id) {
		if (i > 0 && !c->json)
			putchar('\n');
		one = ctl_queue_show_one(c, json_string_value(id));
		code = code != 0 ? code : one;
	}
	json_decref(ids);
	return code;
}

/* --------------------------------------------------------------- changing -- */

struct ctl_queue_sum {
	const char	*counted;
	json_int_t	 n;
	int		 code;
};

static void
ctl_queue_changed(void *ctx, const json_t *record, int fd)
{
	struct ctl_queue_sum *sum = ctx;

	(void)fd;
	sum->n += ctl_int(record, sum->counted);
	ctl_queue_unknown(record, &sum->code);
}

/* Changes what is named or fits. Nothing at all: only where `bare` allows it. */
static int
ctl_queue_change(struct ctl *c, const char *verb, const char *counted,
    bool bare)
{
	struct ctl_queue_sum sum = { .counted = counted };
	bool all = (c->given & CTL_ALL) || (c->argc == 1 &&
	    strcmp(c->argv[0], "ALL") == 0);
	json_t *ids = json_array(), *said;
	int code = all ? 0 : ctl_queue_ids(c, ids);

	if (code == 0 && !all && !bare && c->argc == 0 &&
	    (c->given & CTL_QUEUE_FILTERS) == 0)
		code = ctl_fail(EX_USAGE, "an argument is missing: ids, \"-\" "
		    "for ids on the standard input, ALL, or --user, --from, "
		    "--to, --since, --held");
	else if (code == 0 && (all || c->argc == 0 ||
	    json_array_size(ids) > 0))
		code = ctl_queue_all(c, verb, ids, all, ctl_queue_changed,
		    &sum);
	code = code != 0 ? code : sum.code;
	said = json_pack("{s:I}", counted, sum.n);
	if (code == 0 || sum.n > 0)
		ctl_say(c, said, "%lld %s", (long long)sum.n, counted);
	json_decref(said);
	json_decref(ids);
	return code;
}

int
ctl_queue_hold(struct ctl *c)
{
	return ctl_queue_change(c, "queue.hold", "held", false);
}

int
ctl_queue_release(struct ctl *c)
{
	return ctl_queue_change(c, "queue.release", "released", false);
}

int
ctl_queue_flush(struct ctl *c)
{
	return ctl_queue_change(c, "queue.flush", "flushed", true);
}

int
ctl_queue_delete(struct ctl *c)
{
	return ctl_queue_change(c, "queue.delete", "deleted", false);
}
