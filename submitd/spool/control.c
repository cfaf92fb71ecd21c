/*
 * control.c - the verbs of the control socket "queue".
 *
 * Runs in submitd-spool, on the loop. What changes something is logged by
 * lib/control.c with the caller's uid. Shows nobody's message but its header.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sysexits.h>
#include <unistd.h>

#include "submitd/spool/control_private.h"

#include "lib/clock.h"
#include "lib/err.h"
#include "submitd/spool/journal.h"

#define CONTROL_HEADER_MAX 65536u	/* octets of the header that are shown */
#define CONTROL_LINE_MAX 998u
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

/* Why something of it waits, in a word. */
static const char *
control_why_held(const struct queue_msg *m)
{
	return m->held & ENVELOPE_HOLD_ADMIN ? "held" :
	    m->held & ENVELOPE_HOLD_USER ? "user disabled" : NULL;
}

static const char *
control_why(const struct queue_msg *m, const struct queue_rcpt *r)
{
	int64_t now_s = clock_now_s();

	if (r->state != ENVELOPE_PENDING && r->state != ENVELOPE_DELIVERED)
		return "";
	if (m->held != 0)
		return control_why_held(m);
	if (r->state == ENVELOPE_DELIVERED)
		return "report owed";
	if (m->wishes.hold_until_s > now_s)
		return "future release";
	if (r->next_try_s > now_s)
		return "deferred";
	return r->tries > 0 ? "due again" : "due";
}

static json_t *
control_rcpt(const struct queue_msg *m, const struct queue_rcpt *r)
{
	static const char *const states[] = {
		[ENVELOPE_PENDING] = "pending",
		[ENVELOPE_DONE] = "done",
		[ENVELOPE_FAILED] = "failed",
		[ENVELOPE_DELIVERED] = "delivered",
	};
	int64_t next_s = r->next_try_s;

	if (m->wishes.hold_until_s > next_s)
		next_s = m->wishes.hold_until_s;
	return json_pack("{s:o, s:s, s:s, s:I, s:I, s:o}",
	    "address", control_string(r->address), "state", states[r->state],
	    "why", control_why(m, r), "tries", (json_int_t)r->tries,
	    "next_try_s", (json_int_t)(r->state == ENVELOPE_PENDING ?
	    next_s : 0),
	    "last", control_string(r->last == NULL ? "" : r->last));
}

static void
control_put_held(json_t *o, const struct queue_msg *m)
{
	json_t *held = json_array();

	if (m->held & ENVELOPE_HOLD_ADMIN)
		json_array_append_new(held, json_string("admin"));
	if (m->held & ENVELOPE_HOLD_USER)
		json_array_append_new(held, json_string("user"));
	json_object_set_new(o, "held", held);
	if (m->held == 0)
		return;
	json_object_set_new(o, "held_s", json_integer(m->held_s));
	json_object_set_new(o, "held_by", control_string(m->held_by == NULL ?
	    "" : m->held_by));
}

/* Those that wait, or those that do not; *octets is what all of them take. */
static void
control_put_rcpts(json_t *rcpts, const struct queue_msg *m, bool waiting,
    size_t *octets)
{
	for (size_t i = 0; i < m->n_rcpts &&
	    json_array_size(rcpts) < CONTROL_RCPTS_MAX && *octets < 100000;
	    i++) {
		const struct queue_rcpt *r = &m->rcpts[i];

		if (waiting != (r->state == ENVELOPE_PENDING ||
		    r->state == ENVELOPE_DELIVERED))
			continue;
		*octets += 120 + strlen(r->address) +
		    (r->last == NULL ? 0 : strlen(r->last));
		json_array_append_new(rcpts, control_rcpt(m, r));
	}
}

json_t *
control_message(const struct queue_msg *m)
{
	size_t octets = 0;
	json_t *rcpts = json_array(), *o;

	/* Of very many some, and how many there are: those first whom the
	 * message is still here for. */
	control_put_rcpts(rcpts, m, true, &octets);
	control_put_rcpts(rcpts, m, false, &octets);
	o = json_pack("{s:s, s:o, s:o, s:I, s:I, s:I, s:I, s:i, s:o}",
	    "id", m->id, "sender", control_string(m->sender),
	    "user", control_string(m->user),
	    "octets", (json_int_t)m->octets,
	    "arrived_s", (json_int_t)m->arrived_s,
	    "n_recipients", (json_int_t)m->n_rcpts,
	    "n_pending", (json_int_t)m->n_pending,
	    "priority", m->wishes.priority, "recipients", rcpts);
	if (o == NULL)
		return NULL;
	control_put_held(o, m);
	if (m->wishes.hold_until_s > 0)
		json_object_set_new(o, "hold_until_s",
		    json_integer(m->wishes.hold_until_s));
	return o;
}

static void
control_list_one(struct walk *w, struct queue_msg *m)
{
	control_record(w->call, control_message(m));
}

static void
control_listed(struct walk *w)
{
	walk_done(w, NULL);
}

static void
control_list(void *ctx, struct control_call *call, const json_t *args)
{
	static const struct walk_work work = {
		.each = control_list_one, .end = control_listed,
	};

	walk_begin(ctx, call, args, &work);
}

static void
control_count_one(struct walk *w, struct queue_msg *m)
{
	w->done++;
	w->pending += m->n_pending;
	w->n_held += m->held != 0;
}

static void
control_counted(struct walk *w)
{
	control_done_with(w->call, json_pack("{s:I, s:I, s:I}",
	    "messages", (json_int_t)w->done,
	    "recipients_pending", (json_int_t)w->pending,
	    "held", (json_int_t)w->n_held));
	walk_free(w);
}

static void
control_count(void *ctx, struct control_call *call, const json_t *args)
{
	static const struct walk_work work = {
		.each = control_count_one, .end = control_counted,
	};

	walk_begin(ctx, call, args, &work);
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

/* ------------------------------------------------------------------- show -- */

struct control_show {
	struct spool		*sp;
	struct control_call	*call;
	json_t			*record;	/* the loop's part of it */
	int			 fd;		/* -1: it is in the journal */
	struct store_place	 place;
	struct envelope		 env;
	char			*header;
	size_t			 header_len;
	int			 r;
	struct err		 err;
};

static int
control_show_file(struct control_show *s, struct envelope_header *h)
{
	ssize_t n;
	int r = store_read_envelope(s->fd, h, &s->env, &s->err);

	if (r != 0)
		return r;
	s->header_len = h->content_len < CONTROL_HEADER_MAX ?
	    (size_t)h->content_len : CONTROL_HEADER_MAX;
	if ((s->header = malloc(s->header_len + 1)) == NULL)
		return err_set(&s->err, ERR_NOMEM, "no memory");
	n = pread(s->fd, s->header, s->header_len, (off_t)h->content_offset);
	s->header_len = n < 0 ? 0 : (size_t)n;
	return 0;
}

static int
control_show_journal(struct control_show *s, struct envelope_header *h)
{
	uint8_t *all = malloc(s->place.len);
	int r;

	if (all == NULL)
		return err_set(&s->err, ERR_NOMEM, "no memory");
	if ((r = journal_read(&s->place, all, &s->err)) == 0)
		r = store_parse_envelope(all, s->place.len, h, &s->env,
		    &s->err);
	if (r == 0 && (s->header = malloc((size_t)h->content_len + 1)) ==
	    NULL)
		r = err_set(&s->err, ERR_NOMEM, "no memory");
	if (r == 0) {
		s->header_len = (size_t)h->content_len;
		memcpy(s->header, all + h->content_offset, s->header_len);
	}
	free(all);
	return r;
}

static void
control_show_work(void *ctx)
{
	struct control_show *s = ctx;
	struct envelope_header h;

	s->r = (s->fd < 0 ? control_show_journal : control_show_file)(s, &h);
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
control_show_close(struct control_show *s)
{
	if (s->fd >= 0)
		close(s->fd);
	else
		journal_release(s->sp->store.journal, &s->place);
}

static void
control_show_done(void *ctx)
{
	static const char *const kinds[] = {
		"bounce", [AUTHP_KIND_SASL] = "sasl",
		[AUTHP_KIND_GRANT] = "grant", [AUTHP_KIND_NETWORK] = "network",
		[AUTHP_KIND_RECEIVE] = "receive",
	};
	_Static_assert(sizeof(kinds) / sizeof(kinds[0]) ==
	    AUTHP_KIND__COUNT, "each kind has a name");
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
	control_show_close(s);
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
	s->sp = sp;
	s->call = call;
	s->fd = -1;
	s->place = m->place;
	if (m->place.segment != NULL && !m->place.filed) {
		journal_hold(&s->place);
	} else if ((s->fd = store_read_fd(&sp->store, m->id, &err)) < 0) {
		control_fail(call, EX_IOERR, "%s", err.text);
		free(s);
		return;
	}
	s->record = control_message(m);
	if (pool_submit(sp->writers, control_show_work, control_show_done,
	    s) != 0) {
		control_fail(call, EX_TEMPFAIL, "too much to do; try again");
		json_decref(s->record);
		control_show_close(s);
		free(s);
	}
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
	{ "queue.flush",   control_flush_verb, true },
	{ "queue.hold",	   control_hold_verb, true },
	{ "queue.release", control_release_verb, true },
	{ "queue.delete",  control_delete_verb, true },
	{ "status",	   control_status,  false },
	{ NULL, NULL, false }
};
