/*
 * control_walk.c - which messages a request is about, and going over them.
 *
 * Runs in submitd-spool, on the loop. There may be very many: each turn of the
 * loop looks at a part of them, and a list waits until it is read, so that
 * neither memory nor anybody's message waits for it.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>

#include "submitd/spool/control_private.h"

#include "lib/clock.h"
#include "lib/conf.h"
#include "lib/str.h"

#define WALK_LOOKED_AT	2000u	/* in one turn */
#define WALK_HITS	50u	/* of them, what is dealt with */
#define WALK_BACKLOG	(512 * 1024)	/* octets that may wait to be read */
#define WALK_BACKLOG_MS	5
#define WALK_IDS_MAX	2000u

static void walk_turn(void *ctx);

/* "a@b" is that address, "@b" all of that domain, "" and "<>" the null path.
 * Domains fit in either form, as U-labels or as A-labels. */
static void
walk_take_address(struct walk_address *w, const char *given)
{
	char text[MAILBOX_SIZE];
	struct mailbox box;
	bool all = given != NULL && given[0] == '@';

	w->given = given != NULL && strcmp(given, "<>") == 0 ? "" : given;
	w->canon[0] = '\0';
	if (given != NULL && str_format(text, sizeof(text), "%s%s",
	    all ? "x" : "", given) == 0 &&
	    mailbox_parse(text, strlen(text), &box) == 0)
		(void)str_copy(w->canon, sizeof(w->canon), box.canon +
		    (all ? 1 : 0));
}

static bool
walk_is(const char *address, const char *wanted)
{
	const char *at = wanted[0] == '@' ? strrchr(address, '@') : NULL;

	return strcasecmp(at != NULL ? at : address, wanted) == 0;
}

static bool
walk_fits_address(const char *address, const struct walk_address *w)
{
	size_t len = strlen(address);
	struct mailbox box;

	if (walk_is(address, w->given))
		return true;
	if (w->canon[0] == '\0')
		return false;
	if (walk_is(address, w->canon))
		return true;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)address[i] >= 0x80)
			return mailbox_parse(address, len, &box) == 0 &&
			    walk_is(box.canon, w->canon);
	return false;
}

/* Of a recipient who has it, or never will, nothing is queued any more. */
static bool
walk_fits_rcpt(const struct queue_msg *m, const struct walk_address *wanted)
{
	for (size_t i = 0; i < m->n_rcpts; i++)
		if ((m->rcpts[i].state == ENVELOPE_PENDING ||
		    m->rcpts[i].state == ENVELOPE_DELIVERED) &&
		    walk_fits_address(m->rcpts[i].address, wanted))
			return true;
	return false;
}

static bool
walk_fits(const struct walk *w, const struct queue_msg *m)
{
	return (w->user == NULL || strcasecmp(w->user, m->user) == 0) &&
	    (!w->held || m->held != 0) && m->arrived_s >= w->since_s &&
	    (w->after == NULL || strcmp(m->id, w->after) > 0) &&
	    (w->from.given == NULL || walk_fits_address(m->sender, &w->from)) &&
	    (w->to.given == NULL || walk_fits_rcpt(m, &w->to));
}

/* The next one to look at, or NULL at the end. */
static struct queue_msg *
walk_next(struct walk *w)
{
	struct queue_msg *m;
	json_t *id;

	if (w->on_cursor)
		return queue_cursor_next(&w->cursor);
	while (w->ids != NULL &&
	    (id = json_array_get(w->ids, w->next_id++)) != NULL) {
		m = json_is_string(id) ? queue_find(w->sp->queue,
		    json_string_value(id)) : NULL;
		if (m != NULL)
			return m;
		(void)json_array_append(w->unknown, id);
	}
	return NULL;
}

static void
walk_end(struct walk *w)
{
	if (w->on_cursor)
		queue_cursor_end(&w->cursor);
	w->on_cursor = false;
	w->over = true;
	w->work->end(w);
}

/* A part of it. Freed, perhaps, when this returns. */
static void
walk_turn(void *ctx)
{
	struct walk *w = ctx;
	struct queue_msg *m;
	size_t hits = 0;

	if (control_backlog(w->call) > WALK_BACKLOG) {
		timer_arm(&w->turn, WALK_BACKLOG_MS);
		return;
	}
	for (size_t i = 0; i < WALK_LOOKED_AT && hits < WALK_HITS; i++) {
		if (w->limit != 0 && w->n == w->limit) {
			w->next = w->last;
			walk_end(w);
			return;
		}
		if ((m = walk_next(w)) == NULL) {
			walk_end(w);
			return;
		}
		if (!walk_fits(w, m))
			continue;
		hits++;
		w->n++;
		memcpy(w->last, m->id, sizeof(w->last));
		w->work->each(w, m);
	}
	timer_arm(&w->turn, 0);
}

void
walk_free(struct walk *w)
{
	if (w->on_cursor)
		queue_cursor_end(&w->cursor);
	timer_free(&w->turn);
	json_decref(w->unknown);
	json_decref(w->ids);
	json_decref(w->args);
	free(w);
}

void
walk_done(struct walk *w, const char *counted)
{
	json_t *last = json_object();

	if (counted != NULL)
		(void)json_object_set_new(last, counted,
		    json_integer((json_int_t)w->done));
	if (json_array_size(w->unknown) > 0)
		(void)json_object_set(last, "unknown", w->unknown);
	if (w->next != NULL)
		(void)json_object_set_new(last, "next", json_string(w->next));
	control_done_with(w->call, last);
	walk_free(w);
}

/* "ids", or one "id". False: that was no good. */
static bool
walk_take_ids(struct walk *w)
{
	json_t *ids = json_object_get(w->args, "ids");
	const char *id = control_arg(w->args, "id");

	if (ids == NULL && id == NULL)
		return true;
	w->ids = ids != NULL ? json_incref(ids) : json_pack("[s]", id);
	return json_is_array(w->ids) &&
	    json_array_size(w->ids) <= WALK_IDS_MAX;
}

/* A bare name is a user in default_domain, else in the first local one. */
static const char *
walk_full_name(struct walk *w, const char *user)
{
	const struct conf *conf = w->sp->conf;
	const char *domain = conf->default_domain;
	struct mailbox box;

	if (user != NULL && mailbox_parse(user, strlen(user), &box) == 0) {
		memcpy(w->full_name, box.canon, sizeof(w->full_name));
		return w->full_name;
	}

	if (domain == NULL && conf->local_domains.n > 0)
		domain = conf->local_domains.v[0];
	if (user == NULL || domain == NULL || strchr(user, '@') != NULL ||
	    str_format(w->full_name, sizeof(w->full_name), "%s@%s", user,
	    domain) != 0)
		return user;
	return w->full_name;
}

/* What is no filter, for it is of a wrong type, must not stand for all: its name,
 * or NULL. */
static const char *
walk_wrong(const json_t *args)
{
	static const struct {
		const char	*name;
		json_type	 type;
	} known[] = {
		{ "user", JSON_STRING }, { "from", JSON_STRING },
		{ "to", JSON_STRING }, { "after", JSON_STRING },
		{ "since_s", JSON_INTEGER }, { "limit", JSON_INTEGER },
	};
	const json_t *held = json_object_get(args, "held");

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		const json_t *v = json_object_get(args, known[i].name);

		if (v != NULL && !json_is_null(v) &&
		    (json_typeof(v) != known[i].type ||
		    (json_is_integer(v) && json_integer_value(v) < 0)))
			return known[i].name;
	}
	return held == NULL || json_is_null(held) || json_is_boolean(held) ?
	    NULL : "held";
}

static void
walk_take(struct walk *w)
{
	const json_t *since = json_object_get(w->args, "since_s");
	const json_t *limit = json_object_get(w->args, "limit");

	w->user = walk_full_name(w, control_arg(w->args, "user"));
	walk_take_address(&w->from, control_arg(w->args, "from"));
	walk_take_address(&w->to, control_arg(w->args, "to"));
	w->held = json_is_true(json_object_get(w->args, "held"));
	if (json_is_integer(since) && json_integer_value(since) > 0)
		w->since_s = clock_now_s() - json_integer_value(since);
	if (json_is_integer(limit) && json_integer_value(limit) > 0)
		w->limit = (size_t)json_integer_value(limit);
}

/* Behind "after": where that message is, or as its id is older, if it left. */
static struct queue_msg *
walk_first(struct walk *w)
{
	const char *after = control_arg(w->args, "after");
	struct queue_msg *m;

	if (after == NULL)
		return queue_first(w->sp->queue);
	if ((m = queue_find(w->sp->queue, after)) != NULL)
		return queue_next(m);
	w->after = after;
	return queue_first(w->sp->queue);
}

void
walk_begin(struct spool *sp, struct control_call *call, const json_t *args,
    const struct walk_work *work)
{
	const char *wrong = walk_wrong(args);
	struct walk *w;

	if (wrong != NULL) {
		control_fail(call, EX_USAGE, "\"%s\" has no value that it may "
		    "have", wrong);
		return;
	}
	w = calloc(1, sizeof(*w));
	if (w == NULL || timer_init(&w->turn, sp->loop, walk_turn, w) != 0) {
		free(w);
		control_fail(call, EX_OSERR, "no memory");
		return;
	}
	w->sp = sp;
	w->call = call;
	w->work = work;
	w->args = json_deep_copy(args);
	w->unknown = json_array();
	if (!walk_take_ids(w)) {
		control_fail(call, EX_USAGE, "\"ids\" is a list of at most %u",
		    WALK_IDS_MAX);
		walk_free(w);
		return;
	}
	walk_take(w);
	if (work->must_choose && w->ids == NULL && w->user == NULL &&
	    w->from.given == NULL && w->to.given == NULL &&
	    w->since_s == 0 && !w->held &&
	    !json_is_true(json_object_get(w->args, "all"))) {
		control_fail(call, EX_USAGE, "which messages? give queue ids, "
		    "a filter, or all");
		walk_free(w);
		return;
	}
	if (w->ids == NULL) {
		queue_cursor_begin(sp->queue, &w->cursor, walk_first(w));
		w->on_cursor = true;
	}
	walk_turn(w);
}
