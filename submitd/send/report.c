/*
 * report.c - the reports of one message to its sender.
 *
 * Runs in submitd-send. A failure is noted in the spool only once the report
 * that tells of it is durable, so a crash at any point forgets neither. Not too
 * many are on their way at a time: the spool has to keep up, and each is a file
 * here.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "submitd/send/report.h"

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/fio.h"
#include "lib/log.h"
#include "submitd/send/dsn.h"
#include "submitd/send/schedule_private.h"

#define REPORTS_MAX		32u	/* on their way to the spool */
#define REPORT_RCPT_OCTETS	500u	/* of a recipient in one, beside twice
					 * the fewest words about him */
#define REPORT_POSTPONE_MAX_MS	60000

enum report_stage {
	REPORT_GATHERING,	/* in sched->reports_gather */
	REPORT_WAITING,		/* in sched->reports_wait, for others' reports */
	REPORT_OPENING,		/* for the message */
	REPORT_SENDING,		/* in parts, until it is durable */
};

/* Where an attempt went to: outcomes point to it. */
struct report_from {
	SLIST_ENTRY(report_from) link;
	char			 relay[SMTP_CLIENT_RELAY_SIZE];
	char			 tls[TLS_DESC_SIZE];
};

struct report {
	TAILQ_ENTRY(report)	 link;		/* by until_ms, or by turn */
	TAILQ_ENTRY(report)	 look;
	struct sched		*sched;
	struct sched_entry	*entry;		/* NULL: cancelled */
	enum report_stage	 stage;
	bool			 looked;	/* in sched->reports_look */
	int64_t			 until_ms;	/* clock_mono_ms() */
	struct outcome_rcpt	*rcpts;
	size_t			 n, room;
	size_t			 octets;	/* that they take, about */
	SLIST_HEAD(, report_from) from;
	/* SENDING */
	struct conf		*conf;		/* counted; dsn is of it */
	struct dsn		 dsn;
	struct dsn_writer	 writer;
	uint32_t		 sent;		/* octets of it */
};

static void report_begin(struct report *r);

/* --------------------------------------------------------------- results -- */

bool
report_is_wanted(const struct spoolq_msg *m, const struct outcome_rcpt *r,
    uint8_t of)
{
	if (m->sender[0] == '\0')
		return false;
	if (r->dsn.notify == 0)
		return of != SPOOL_NOTIFY_SUCCESS;
	return (r->dsn.notify & of) != 0;
}

void
report_log(const struct spoolq_msg *m, int level, const char *ev,
    const struct outcome_rcpt *r, const char *word)
{
	LOG_EV(level, ev, NULL, KV_A("qid", m->id), KV_S("to", r->address),
	    KV_A("relay", r->relay != NULL && r->relay[0] != '\0' ?
	    r->relay : NULL),
	    KV_S("tls", r->tls != NULL && r->tls[0] != '\0' ? r->tls : NULL),
	    KV_S(word, outcome_text(r)));
}

void
report_put_fail(struct sched *s, struct sched_entry *e,
    const struct outcome_rcpt *r)
{
	const struct spoolq_msg *m = e->msg;
	bool null = m->sender[0] == '\0';

	m->rcpts[r->index].state = SPOOLQ_FAILED;
	if (report_is_wanted(m, r, SPOOL_NOTIFY_FAILURE))
		report_log(m, LOG_INFO, "msg.bounced", r, "why");
	else
		report_log(m, null ? LOG_WARNING : LOG_INFO, null ?
		    "msg.lost" : "msg.silent", r, "why");
	spoolq_fail(s->spool, m->id, r->index, outcome_text(r));
}

void
report_put_defer(struct sched *s, struct sched_entry *e,
    const struct outcome_rcpt *r, bool told)
{
	const struct spoolq_msg *m = e->msg;

	m->rcpts[r->index].told |= told;
	spoolq_defer(s->spool, m->id, r->index,
	    (e->rcpts[r->index].due_ms + 999) / 1000, told, outcome_text(r));
}

/* The report with this recipient in it is durable. */
static void
report_told(struct report *r, struct outcome_rcpt *o)
{
	const struct spoolq_msg *m = r->entry->msg;

	switch (o->kind) {
	case DSN_FAILED:
		report_put_fail(r->sched, r->entry, o);
		break;
	case DSN_DELAYED:
		report_put_defer(r->sched, r->entry, o, true);
		break;
	default:
		m->rcpts[o->index].state = SPOOLQ_DONE;
		spoolq_done(r->sched->spool, m->id, o->index,
		    outcome_text(o));
	}
}

/* --------------------------------------------------------------- the end -- */

/* Others may report now. */
static void
report_leave(struct report *r)
{
	struct sched *s = r->sched;

	if (r->looked)
		TAILQ_REMOVE(&s->reports_look, r, look);
	r->looked = false;
	if (r->stage == REPORT_GATHERING) {
		TAILQ_REMOVE(&s->reports_gather, r, link);
	} else if (r->stage == REPORT_WAITING) {
		TAILQ_REMOVE(&s->reports_wait, r, link);
	} else {
		s->n_reports--;
		if (!TAILQ_EMPTY(&s->reports_wait))
			timer_arm(&s->reports, 0);
	}
}

/* It is not SENDING, or not any more. */
static void
report_forget(struct report *r)
{
	dsn_end(&r->writer);
	free(r->dsn.headers);
	r->dsn.headers = NULL;
	conf_unref(r->conf);
	r->conf = NULL;
}

static void
report_free(struct report *r)
{
	struct report_from *f;

	report_leave(r);
	report_forget(r);
	while ((f = SLIST_FIRST(&r->from)) != NULL) {
		SLIST_REMOVE_HEAD(&r->from, link);
		free(f);
	}
	for (size_t i = 0; i < r->n; i++)
		free(r->rcpts[i].text);
	free(r->rcpts);
	free(r);
}

/* The recipients are free for another try, where they need one. */
static void
report_end(struct report *r)
{
	struct sched *s = r->sched;
	struct sched_entry *e = r->entry;

	for (size_t i = 0; i < r->n; i++)
		e->rcpts[r->rcpts[i].index].busy = false;
	e->report = NULL;
	report_free(r);
	sched_place_entry(s, e);
	sched_ended(s);
}

/* The spool could not help: later, and nobody's fault. What was only postponed
 * for the report is noted. */
static void
report_untold(struct report *r)
{
	struct sched_entry *e = r->entry;
	int64_t wait_ms = (int64_t)r->sched->policy.min_s * 1000;

	if (wait_ms > REPORT_POSTPONE_MAX_MS)
		wait_ms = REPORT_POSTPONE_MAX_MS;
	for (size_t i = 0; i < r->n; i++) {
		struct outcome_rcpt *o = &r->rcpts[i];

		if (o->kind != DSN_DELAYED)
			e->rcpts[o->index].due_ms = sched_now_ms() + wait_ms;
		else if (!o->untried)
			report_put_defer(r->sched, e, o, false);
	}
	report_end(r);
}

void
report_cancel(struct report *r)
{
	struct sched *s;

	if (r == NULL)
		return;
	s = r->sched;
	r->entry = NULL;
	if (r->stage == REPORT_GATHERING || r->stage == REPORT_WAITING)
		report_free(r);
	sched_ended(s);
}

/* ------------------------------------------------------------ on its way -- */

static size_t
report_rcpt_octets(const struct outcome_rcpt *o)
{
	return REPORT_RCPT_OCTETS + 2 * strnlen(outcome_text(o),
	    DSN_WORDS_MIN);
}

/* What it tells of is told. */
static void
report_all_sent(struct report *r)
{
	size_t n = r->writer.covered;

	for (size_t i = 0; i < n; i++) {
		report_told(r, &r->rcpts[i]);
		r->octets -= report_rcpt_octets(&r->rcpts[i]);
		r->entry->rcpts[r->rcpts[i].index].busy = false;
		free(r->rcpts[i].text);
	}
	r->n -= n;
	memmove(r->rcpts, r->rcpts + n, r->n * sizeof(*r->rcpts));
	/* Of the rest at once: it came meanwhile, or there was no room. */
	if (r->n == 0)
		report_end(r);
	else
		report_begin(r);
}

static void report_send_part(struct report *r);

static void
report_sent(void *ctx, bool ok)
{
	struct report *r = ctx;
	bool all = r->sent == r->writer.octets;

	if (r->entry == NULL) {
		report_free(r);
		return;
	}
	if (ok && !all) {
		report_send_part(r);
		return;
	}
	report_forget(r);
	if (ok)
		report_all_sent(r);
	else
		report_untold(r);
}

/* The next part of it. */
static void
report_send_part(struct report *r)
{
	struct spoolq_part part = { .octets = r->writer.octets,
		.offset = r->sent };
	struct buf text;

	buf_init(&text, DSN_PART_MAX);
	r->dsn.rcpts = r->rcpts;	/* others have come, perhaps */
	if (dsn_next(&r->dsn, &r->writer, &text) == 0) {
		part.text = buf_data(&text);
		part.len = buf_len(&text);
		r->sent += (uint32_t)part.len;
	}
	if (part.len == 0 || spoolq_bounce(r->sched->spool, r->entry->msg->id,
	    &part, report_sent, r) != 0)
		report_sent(r, false);
	buf_free(&text);
}

/* The message as it comes back: whole only where that was asked for and it
 * failed (RFC 3461 section 4.3), and not where all of it is to stay under TLS
 * (RFC 8689 section 5). */
static void
report_read(const struct report *r, int fd, uint64_t offset, struct dsn *d)
{
	const struct spoolq_msg *m = r->entry->msg;

	if (m->ret == SPOOL_RET_FULL && r->rcpts[0].kind == DSN_FAILED &&
	    !m->wishes.requiretls)
		d->headers = dsn_read_full(fd, offset, m->octets,
		    &d->headers_len);
	d->full = d->headers != NULL;
	if (!d->full)
		d->headers = dsn_read_headers(fd, offset, m->octets,
		    &d->headers_len);
}

/* A report has its recipients sorted by what there is to tell. */
static int
report_cmp(const void *a, const void *b)
{
	const struct outcome_rcpt *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

static void
report_send(struct report *r, int fd, uint64_t offset)
{
	struct sched *s = r->sched;
	const struct spoolq_msg *m = r->entry->msg;
	bool foreign = m->foreign && m->user[0] != '\0';

	qsort(r->rcpts, r->n, sizeof(*r->rcpts), report_cmp);
	r->conf = s->conf;
	conf_ref(r->conf);
	r->dsn = (struct dsn){
		.envid = m->envid, .smtputf8 = m->smtputf8,
		.until_s = sched_since_s(m) + (int64_t)s->policy.lifetime_s,
		.by_s = m->wishes.by_mode != SPOOL_BY_NONE ?
		    m->wishes.by_s : 0,
		.hold_until_s = m->wishes.hold_until_s,
		.hostname = r->conf->hostname,
		.help_text = r->conf->help_text,
		.queue_id = m->id,
		/* As submitd-spool addresses it. */
		.sender = foreign ? m->user : m->sender,
		.foreign = foreign ? m->sender : NULL,
		.arrived_s = m->arrived_s, .now_s = clock_now_s(),
		.rcpts = r->rcpts, .n_rcpts = r->n,
	};
	report_read(r, fd, offset, &r->dsn);
	r->stage = REPORT_SENDING;
	r->sent = 0;
	if (dsn_begin(&r->dsn, &r->writer) == 0)
		report_send_part(r);
	else
		report_sent(r, false);
}

static void
report_opened(void *ctx, int fd, uint64_t offset, const void *content,
    size_t len)
{
	struct report *r = ctx;

	if (r->entry != NULL && fd < 0 && content != NULL &&
	    len == r->entry->msg->octets) {
		fd = fio_memfd("message", content, len);
		offset = 0;
	}
	if (r->entry == NULL)
		report_free(r);
	else if (fd < 0)
		report_untold(r);
	else
		report_send(r, fd, offset);
	if (fd >= 0)
		close(fd);
}

/* It is one of REPORTS_MAX. */
static void
report_begin(struct report *r)
{
	r->stage = REPORT_OPENING;
	if (r->n == 0)			/* there was no memory for them */
		report_end(r);
	else if (spoolq_open(r->sched->spool, r->entry->msg->id, false,
	    report_opened, r) != 0)
		report_opened(r, -1, 0, NULL, 0);
}

/* ------------------------------------------------------------- gathering -- */

/* All that is tried at this time has answered, or it was waited for enough. */
static bool
report_is_ripe(const struct report *r)
{
	int64_t now_ms = sched_now_ms();

	if (r->sched->stopping || r->octets >= DSN_MAX ||
	    clock_mono_ms() >= r->until_ms)
		return true;
	for (const struct sched_job *job = r->entry->jobs; job != NULL;
	    job = job->next)
		if (job->attempt != NULL ||
		    (job->item.at != 0 && job->item.due_ms <= now_ms))
			return false;
	return true;
}

void
report_look(struct report *r)
{
	if (r == NULL || r->looked || r->stage != REPORT_GATHERING)
		return;
	r->looked = true;
	TAILQ_INSERT_TAIL(&r->sched->reports_look, r, look);
	timer_arm(&r->sched->reports, 0);
}

static void
report_wait(struct report *r)
{
	struct sched *s = r->sched;

	TAILQ_REMOVE(&s->reports_gather, r, link);
	r->stage = REPORT_WAITING;
	TAILQ_INSERT_TAIL(&s->reports_wait, r, link);
}

void
report_run(void *sched)
{
	struct sched *s = sched;
	int64_t now_ms = clock_mono_ms();
	struct report *r;

	while ((r = TAILQ_FIRST(&s->reports_look)) != NULL) {
		TAILQ_REMOVE(&s->reports_look, r, look);
		r->looked = false;
		if (report_is_ripe(r))
			report_wait(r);
	}
	while ((r = TAILQ_FIRST(&s->reports_gather)) != NULL &&
	    r->until_ms <= now_ms)
		report_wait(r);
	if (r != NULL)
		timer_arm(&s->reports, r->until_ms - now_ms);
	while (s->n_reports < REPORTS_MAX &&
	    (r = TAILQ_FIRST(&s->reports_wait)) != NULL) {
		TAILQ_REMOVE(&s->reports_wait, r, link);
		s->n_reports++;
		report_begin(r);
	}
}

static struct report *
report_of(struct sched *s, struct sched_entry *e)
{
	struct report *r = e->report;

	if (r != NULL || (r = calloc(1, sizeof(*r))) == NULL)
		return r;
	r->sched = s;
	r->entry = e;
	r->stage = REPORT_GATHERING;
	r->until_ms = clock_mono_ms() + REPORT_GATHER_MS;
	SLIST_INIT(&r->from);
	TAILQ_INSERT_TAIL(&s->reports_gather, r, link);
	e->report = r;
	s->n_running++;
	return r;
}

/* Room for n more, and where they come from. */
static struct report_from *
report_room(struct report *r, size_t n)
{
	struct report_from *f;
	size_t room = r->n + n < 2 * r->room ? 2 * r->room : r->n + n;

	if (r->n + n > r->room) {
		struct outcome_rcpt *grown = reallocarray(r->rcpts, room,
		    sizeof(*grown));

		if (grown == NULL)
			return NULL;
		r->rcpts = grown;
		r->room = room;
	}
	if ((f = calloc(1, sizeof(*f))) != NULL)
		SLIST_INSERT_HEAD(&r->from, f, link);
	return f;
}

int
report_add(struct sched *s, struct sched_entry *e, struct outcome_rcpt *rcpts,
    size_t *n)
{
	struct report_from *f;
	struct report *r;
	size_t told = 0, kept = 0;

	for (size_t i = 0; i < *n; i++)
		told += rcpts[i].kind < DSN_KIND__COUNT;
	if (told == 0)
		return 0;
	if ((r = report_of(s, e)) == NULL)
		return ERR_NOMEM;
	report_look(r);
	if ((f = report_room(r, told)) == NULL)
		return ERR_NOMEM;
	(void)str_copy(f->relay, sizeof(f->relay), rcpts[0].relay);
	(void)str_copy(f->tls, sizeof(f->tls), rcpts[0].tls);
	for (size_t i = 0; i < *n; i++) {
		if (rcpts[i].kind >= DSN_KIND__COUNT) {
			rcpts[kept++] = rcpts[i];
			continue;
		}
		r->rcpts[r->n] = rcpts[i];
		r->octets += report_rcpt_octets(&rcpts[i]);
		r->rcpts[r->n].relay = f->relay;
		r->rcpts[r->n++].tls = f->tls;
	}
	*n = kept;
	return 0;
}
