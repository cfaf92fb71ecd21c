/*
 * control.c - the verbs of the control socket "queue".
 *
 * Runs in submitd-spool, on the loop. What changes something is logged by
 * lib/control.c with the caller's uid. Shows nobody's message but its header.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/statvfs.h>
#include <sysexits.h>
#include <unistd.h>

#include "submitd/spool/spool.h"

#include "lib/err.h"
#include "lib/log.h"

#define CONTROL_HEADER_MAX 65536u	/* octets of the header that are shown */
#define CONTROL_LINE_MAX 998u
#define CONTROL_LIST_MAX 1000u	/* messages of one answer */
#define CONTROL_RCPTS_MAX 500u		/* in one record: it is one packet */

/* JSON is UTF-8: what is not becomes '?'. */
static json_t *
control_text(const char *s, size_t len)
{
	char copy[SPOOL_TEXT_MAX + 1];

	if (len > sizeof(copy) - 1)
		len = sizeof(copy) - 1;
	if (str_is_utf8(s, len))
		return json_stringn(s, len);
	for (size_t i = 0; i < len; i++)
		copy[i] = (unsigned char)s[i] < 128 ? s[i] : '?';
	return json_stringn(copy, len);
}

static json_t *
control_string(const char *s)
{
	return control_text(s, strlen(s));
}

static json_t *
control_rcpt(const struct queue_rcpt *r)
{
	static const char *const states[] = {
		[ENVELOPE_PENDING] = "pending",
		[ENVELOPE_DONE] = "done",
		[ENVELOPE_FAILED] = "failed",
		[ENVELOPE_DELIVERED] = "delivered",
	};

	return json_pack("{s:o, s:s, s:I, s:I, s:o}",
	    "address", control_string(r->address), "state", states[r->state],
	    "tries", (json_int_t)r->tries,
	    "next_try_s", (json_int_t)r->next_try_s,
	    "last", control_string(r->last == NULL ? "" : r->last));
}

/* One record; of very many recipients the first, and how many there are. */
static json_t *
control_message(const struct queue_msg *m)
{
	size_t octets = 0;
	json_t *rcpts = json_array();

	for (size_t i = 0; i < m->n_rcpts && i < CONTROL_RCPTS_MAX &&
	    octets < 100000; i++) {
		const struct queue_rcpt *r = &m->rcpts[i];

		octets += 100 + strlen(r->address) +
		    (r->last == NULL ? 0 : strlen(r->last));
		json_array_append_new(rcpts, control_rcpt(r));
	}
	return json_pack("{s:s, s:o, s:o, s:I, s:I, s:I, s:I, s:o}",
	    "id", m->id, "sender", control_string(m->sender),
	    "user", control_string(m->user),
	    "octets", (json_int_t)m->octets,
	    "arrived_s", (json_int_t)m->arrived_s,
	    "n_recipients", (json_int_t)m->n_rcpts,
	    "n_pending", (json_int_t)m->n_pending, "recipients", rcpts);
}

/* "user", if it is given: whose the message is. */
static bool
control_fits(const struct queue_msg *m, const json_t *args)
{
	const char *user = control_arg(args, "user");

	return user == NULL || strcasecmp(user, m->user) == 0;
}

/* The messages behind `after` in the order of their ids, which is that of their
 * age: at most `max` into v; returns how many. */
static size_t
control_page(struct spool *sp, const json_t *args, const char *after,
    struct queue_msg **v, size_t max)
{
	struct queue_msg *m;
	size_t n = 0, at;

	for (m = queue_first(sp->queue); m != NULL; m = queue_next(m)) {
		if (strcmp(m->id, after) <= 0 || !control_fits(m, args))
			continue;
		at = n;		/* as a rule it is the last */
		while (at > 0 && strcmp(v[at - 1]->id, m->id) > 0)
			at--;
		if (at == max)
			continue;
		if (n < max)
			n++;
		memmove(v + at + 1, v + at, (n - at - 1) * sizeof(*v));
		v[at] = m;
	}
	return n;
}

static void
control_list(void *ctx, struct control_call *call, const json_t *args)
{
	struct queue_msg *v[CONTROL_LIST_MAX + 1];
	const char *after = control_arg(args, "after");
	const json_t *given = json_object_get(args, "limit");
	size_t limit = CONTROL_LIST_MAX, n;

	if (json_is_integer(given) && json_integer_value(given) > 0 &&
	    json_integer_value(given) < (json_int_t)limit)
		limit = (size_t)json_integer_value(given);
	n = control_page(ctx, args, after == NULL ? "" : after, v, limit + 1);
	for (size_t i = 0; i < n && i < limit; i++)
		control_record(call, control_message(v[i]));
	if (n > limit)
		control_done_with(call, json_pack("{s:s}", "next",
		    v[limit - 1]->id));
	else
		control_done(call);
}

static void
control_count(void *ctx, struct control_call *call, const json_t *args)
{
	struct spool *sp = ctx;
	json_int_t messages = 0, pending = 0;
	struct queue_msg *m;

	for (m = queue_first(sp->queue); m != NULL; m = queue_next(m)) {
		if (!control_fits(m, args))
			continue;
		messages++;
		pending += (json_int_t)m->n_pending;
	}
	control_done_with(call, json_pack("{s:I, s:I}", "messages", messages,
	    "recipients_pending", pending));
}

/* The message that "id" names, or NULL when that was answered already. */
static struct queue_msg *
control_find(struct spool *sp, struct control_call *call, const json_t *args)
{
	const char *id = control_arg(args, "id");
	struct queue_msg *m;

	if (id == NULL) {
		control_fail(call, EX_USAGE, "which message? give its queue id");
		return NULL;
	}
	if ((m = queue_find(sp->queue, id)) == NULL)
		control_fail(call, EX_NOUSER, "no message %.32s is queued", id);
	return m;
}

static bool
control_all(const json_t *args)
{
	return json_is_true(json_object_get(args, "all"));
}

/* ------------------------------------------------------------------- show -- */

struct control_show {
	struct spool		*sp;
	struct control_call	*call;
	json_t			*record;	/* the loop's part of it */
	int			 fd;
	uint64_t		 octets;
	struct envelope		 env;
	char			*header;
	size_t			 header_len;
	int			 r;
	struct err		 err;
};

static void
control_show_work(void *ctx)
{
	struct control_show *s = ctx;
	struct envelope_header h;
	ssize_t n;

	s->r = store_read_envelope(s->fd, &h, &s->env, &s->err);
	if (s->r != 0)
		return;
	s->header_len = h.content_len < CONTROL_HEADER_MAX ?
	    (size_t)h.content_len : CONTROL_HEADER_MAX;
	if ((s->header = malloc(s->header_len + 1)) == NULL) {
		s->r = err_set(&s->err, ERR_NOMEM, "no memory");
		return;
	}
	n = pread(s->fd, s->header, s->header_len, (off_t)h.content_offset);
	s->header_len = n < 0 ? 0 : (size_t)n;
}

/* The lines up to the empty one. */
static json_t *
control_header_lines(const char *p, size_t len)
{
	json_t *lines = json_array();
	const char *end = p + len;

	while (p < end) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));
		const char *next = eol == NULL ? end : eol + 1;
		size_t n = (size_t)((eol == NULL ? end : eol) - p);

		if (n > 0 && p[n - 1] == '\r')
			n--;
		if (n == 0)
			break;
		json_array_append_new(lines, control_text(p,
		    n < CONTROL_LINE_MAX ? n : CONTROL_LINE_MAX));
		p = next;
	}
	return lines;
}

/* NOTIFY and ORCPT, of those who had one; of very many the first. */
static json_t *
control_asked(const struct envelope *e)
{
	static const char *const words[] = { "NEVER", "SUCCESS", "FAILURE",
	    "DELAY" };
	json_t *all = json_array(), *notify;

	for (size_t i = 0; e->dsn != NULL && i < e->n_rcpts &&
	    json_array_size(all) < 50; i++) {
		const struct spool_dsn *d = &e->dsn[i];

		if (d->notify == 0 && d->orcpt == NULL)
			continue;
		notify = json_array();
		for (unsigned int k = 0; k < 4; k++)
			if (d->notify & (1u << k))
				json_array_append_new(notify,
				    json_string(words[k]));
		json_array_append_new(all, json_pack("{s:o, s:o, s:o}",
		    "recipient", control_string(e->rcpts[i]),
		    "notify", notify,
		    "orcpt", control_string(d->orcpt == NULL ? "" :
		    d->orcpt)));
	}
	return all;
}

static void
control_show_done(void *ctx)
{
	static const char *const kinds[] = {
		"bounce", "sasl", "grant", "network",
	};
	static const char *const rets[] = { "", "FULL", "HDRS" };
	struct control_show *s = ctx;

	if (s->r != 0) {
		control_fail(s->call, EX_IOERR, "%s", s->err.text);
		json_decref(s->record);
	} else {
		json_object_set_new(s->record, "kind",
		    json_string(kinds[s->env.kind]));
		json_object_set_new(s->record, "peer",
		    control_string(s->env.peer));
		json_object_set_new(s->record, "tls",
		    control_string(s->env.tls));
		json_object_set_new(s->record, "mech",
		    control_string(s->env.mech));
		json_object_set_new(s->record, "helo",
		    control_string(s->env.helo));
		json_object_set_new(s->record, "sid",
		    control_string(s->env.sid));
		json_object_set_new(s->record, "smtputf8",
		    json_boolean(s->env.smtputf8));
		json_object_set_new(s->record, "ret",
		    json_string(rets[s->env.ret]));
		json_object_set_new(s->record, "envid",
		    control_string(s->env.envid));
		json_object_set_new(s->record, "asked",
		    control_asked(&s->env));
		json_object_set_new(s->record, "headers",
		    control_header_lines(s->header, s->header_len));
		control_record(s->call, s->record);
		control_done(s->call);
	}
	close(s->fd);
	envelope_free(&s->env);
	free(s->header);
	free(s);
}

static void
control_show(void *ctx, struct control_call *call, const json_t *args)
{
	struct spool *sp = ctx;
	struct queue_msg *m = control_find(sp, call, args);
	struct control_show *s;
	struct err err;

	if (m == NULL)
		return;
	if ((s = calloc(1, sizeof(*s))) == NULL) {
		control_fail(call, EX_OSERR, "no memory");
		return;
	}
	s->call = call;
	s->fd = store_read_fd(&sp->store, m->id, &err);
	if (s->fd < 0) {
		control_fail(call, EX_IOERR, "%s", err.text);
		free(s);
		return;
	}
	s->record = control_message(m);
	if (pool_submit(sp->writers, control_show_work, control_show_done,
	    s) != 0) {
		control_fail(call, EX_TEMPFAIL, "too much to do; try again");
		json_decref(s->record);
		close(s->fd);
		free(s);
	}
}

/* ---------------------------------------------------------- flush, delete -- */

static void
control_flush(void *ctx, struct control_call *call, const json_t *args)
{
	struct spool *sp = ctx;
	struct queue_msg *m;
	size_t n = 0;

	if (!control_all(args) && control_arg(args, "id") != NULL) {
		if ((m = control_find(sp, call, args)) == NULL)
			return;
		LOG_EV(LOG_NOTICE, "msg.flushed", NULL, KV_A("qid", m->id),
		    KV_U("uid", control_uid(call)));
		queue_try_now(m);
		n = 1;
	} else {
		for (m = queue_first(sp->queue); m != NULL; m = queue_next(m)) {
			queue_try_now(m);
			n++;
		}
	}
	control_done_with(call, json_pack("{s:I}", "flushed", (json_int_t)n));
}

struct control_delete {
	struct control_call	*call;
	size_t			 waiting;
	size_t			 deleted;
	size_t			 failed;
};

/* One of those that it waits for is over. */
static void
control_delete_step(struct control_delete *d)
{
	if (--d->waiting > 0)
		return;
	if (d->failed > 0)
		control_fail(d->call, EX_IOERR, "%zu could not be removed, see "
		    "the log; it is tried again", d->failed);
	else
		control_done_with(d->call, json_pack("{s:I}", "deleted",
		    (json_int_t)d->deleted));
	free(d);
}

static void
control_deleted(void *ctx, const char *id, int r)
{
	struct control_delete *d = ctx;

	if (r == 0) {
		d->deleted++;
		LOG_EV(LOG_NOTICE, "msg.deleted", NULL, KV_A("qid", id),
		    KV_U("uid", control_uid(d->call)));
	} else {
		d->failed++;
	}
	control_delete_step(d);
}

static void
control_delete(void *ctx, struct control_call *call, const json_t *args)
{
	struct spool *sp = ctx;
	struct queue_msg *m, *next;
	struct control_delete *d;
	bool all = control_all(args);

	m = all ? queue_first(sp->queue) : control_find(sp, call, args);
	if (m == NULL && all)
		control_done_with(call, json_pack("{s:i}", "deleted", 0));
	if (m == NULL)
		return;
	if ((d = calloc(1, sizeof(*d))) == NULL) {
		control_fail(call, EX_OSERR, "no memory");
		return;
	}
	d->call = call;
	/* One more than there are, so that it is not done before the end. */
	d->waiting = 1;
	for (; m != NULL; m = next) {
		next = all ? queue_next(m) : NULL;
		d->waiting++;
		sender_say_gone(sp, m->id);
		queue_delete(m, control_deleted, d);
	}
	control_delete_step(d);
}

/* ----------------------------------------------------------------- status -- */

static void
control_status(void *ctx, struct control_call *call, const json_t *args)
{
	struct spool *sp = ctx;
	struct queue_msg *m;
	struct statvfs v;
	uint64_t octets = 0, pending = 0;
	bool nospace;

	(void)args;
	/* As it is now, not as it was for the last message. */
	nospace = store_space(&sp->store, sp->conf->spool_min_free,
	    sp->reserved, sp->n_txns, NULL) != 0;
	for (m = queue_first(sp->queue); m != NULL; m = queue_next(m)) {
		octets += m->octets;
		pending += m->n_pending;
	}
	if (fstatvfs(sp->store.queue, &v) != 0)
		memset(&v, 0, sizeof(v));
	control_done_with(call, json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:b, "
	    "s:b, s:b, s:I, s:I, s:I}", "process", "submitd-spool",
	    "state", nospace ? "degraded" : "ok",
	    "messages", (json_int_t)queue_count(sp->queue),
	    "recipients_pending", (json_int_t)pending,
	    "octets", (json_int_t)octets,
	    "open_transactions", (json_int_t)sp->n_txns,
	    "nospace", nospace, "authd", authc_is_up(sp->auth),
	    "send", sp->sender != NULL,
	    "free_octets", (json_int_t)(v.f_bavail * v.f_frsize),
	    "committed", (json_int_t)sp->n_committed,
	    "refused", (json_int_t)sp->n_refused));
}

const struct control_verb control_verbs[] = {
	/* verb            run              changes something */
	{ "queue.list",	   control_list,    false },
	{ "queue.count",   control_count,   false },
	{ "queue.show",	   control_show,    false },
	{ "queue.flush",   control_flush,   true },
	{ "queue.delete",  control_delete,  true },
	{ "status",	   control_status,  false },
	{ NULL, NULL, false }
};
