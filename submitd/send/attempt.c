/*
 * attempt.c - one attempt to deliver one message.
 *
 * Runs in submitd-send. The order of results is what keeps mail from being
 * lost: done first (a crash must not send it again), then deferred, then the
 * report, and only once that is durable the failures it tells of.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "submitd/send/attempt.h"

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/str.h"
#include "submitd/send/dsn.h"
#include "submitd/send/schedule_private.h"

#define ATTEMPT_POSTPONE_MAX_MS	60000

static void attempt_report(struct attempt *a);

const struct spoolq_msg *
attempt_msg(const struct attempt *a)
{
	return a->entry->msg;
}

static size_t
attempt_due(const struct sched_entry *e, enum route route, int64_t now_ms,
    struct outcome_rcpt *out)
{
	size_t n = 0;

	for (size_t i = 0; i < e->msg->n_rcpts; i++) {
		const struct sched_rcpt *r = &e->rcpts[i];

		if (e->msg->rcpts[i].state != SPOOLQ_PENDING ||
		    r->route != route || r->busy || r->due_ms > now_ms)
			continue;
		if (out != NULL)
			out[n] = (struct outcome_rcpt){ .index = (uint32_t)i,
				.address = e->msg->rcpts[i].address };
		n++;
	}
	return n;
}

struct attempt *
attempt_new(struct sched *s, struct sched_entry *e, enum route route,
    int64_t now_ms)
{
	size_t n = attempt_due(e, route, now_ms, NULL);
	struct attempt *a = calloc(1, sizeof(*a));

	if (a == NULL || (a->rcpts = calloc(n + 1, sizeof(*a->rcpts))) == NULL) {
		free(a);
		return NULL;
	}
	a->sched = s;
	a->entry = e;
	a->route = route;
	a->fd = -1;
	a->stage = ATTEMPT_WORKING;
	a->n_rcpts = attempt_due(e, route, now_ms, a->rcpts);
	for (size_t i = 0; i < a->n_rcpts; i++)
		e->rcpts[a->rcpts[i].index].busy = true;
	return a;
}

static void
attempt_free(struct attempt *a)
{
	for (size_t i = 0; i < a->n_rcpts; i++)
		free(a->rcpts[i].text);
	free(a->rcpts);
	if (a->fd >= 0)
		close(a->fd);
	free(a);
}

/* The end: what is still pending gets its place again. */
static void
attempt_end(struct attempt *a)
{
	struct sched_entry *e = a->entry;
	struct sched *s = a->sched;

	for (size_t i = 0; i < a->n_rcpts; i++)
		e->rcpts[a->rcpts[i].index].busy = false;
	e->jobs[a->route].attempt = NULL;
	e->jobs[a->route].went_away = a->went_away;
	attempt_free(a);
	sched_place(s, e);
}

/* The spool could not help: later, and nobody's fault. */
static void
attempt_postpone(struct attempt *a)
{
	int64_t wait_ms = (int64_t)a->sched->policy.min_s * 1000;

	if (wait_ms > ATTEMPT_POSTPONE_MAX_MS)
		wait_ms = ATTEMPT_POSTPONE_MAX_MS;
	for (size_t i = 0; i < a->n_rcpts; i++)
		if (a->rcpts[i].outcome != OUTCOME_DEFER)
			a->entry->rcpts[a->rcpts[i].index].due_ms =
			    sched_now_ms() + wait_ms;
	attempt_end(a);
}

void
attempt_cancel(struct attempt *a)
{
	const struct attempt_dest *d = a->sched->dests[a->route];
	bool waits = a->stage != ATTEMPT_WORKING;

	a->entry = NULL;
	if (d != NULL && (a->stage == ATTEMPT_OPENING ||
	    a->stage == ATTEMPT_WORKING))
		d->cancel(a->sched->dest_ctx[a->route], a);
	if (!waits)
		attempt_free(a);
}

/* ----------------------------------------------------------- the message -- */

static void
attempt_opened(void *ctx, int fd, uint64_t offset)
{
	struct attempt *a = ctx;
	const struct attempt_dest *d = a->sched->dests[a->route];
	void *dest_ctx = a->sched->dest_ctx[a->route];
	bool report = a->stage == ATTEMPT_REPORT_OPENING;

	a->fd = fd;
	a->offset = offset;
	if (a->entry == NULL) {
		attempt_free(a);
		return;
	}
	a->stage = ATTEMPT_WORKING;
	if (fd >= 0 && report) {
		attempt_report(a);
	} else if (fd >= 0) {
		d->opened(dest_ctx, a);
	} else {
		if (!report)
			d->cancel(dest_ctx, a);
		attempt_postpone(a);
	}
}

void
attempt_open(struct attempt *a)
{
	bool report = a->stage == ATTEMPT_REPORT_OPENING;

	if (!report)
		a->stage = ATTEMPT_OPENING;
	if (spoolq_open(a->sched->spool, attempt_msg(a)->id, attempt_opened,
	    a) != 0)
		attempt_opened(a, -1, 0);
}

/* --------------------------------------------------------------- results -- */

static void
attempt_log(const struct attempt *a, int level, const char *ev,
    const struct outcome_rcpt *r, const char *word)
{
	LOG_EV(level, ev, NULL, KV_A("qid", attempt_msg(a)->id),
	    KV_S("to", r->address),
	    KV_A("relay", a->relay[0] != '\0' ? a->relay : NULL),
	    KV_S("tls", a->tls[0] != '\0' ? a->tls : NULL),
	    KV_S(word, outcome_text(r)));
}

static void
attempt_result_done(struct attempt *a, const struct outcome_rcpt *r)
{
	attempt_msg(a)->rcpts[r->index].state = SPOOLQ_DONE;
	attempt_log(a, LOG_INFO, "msg.sent", r, "reply");
	spoolq_done(a->sched->spool, attempt_msg(a)->id, r->index,
	    outcome_text(r));
}

/* The message's time is over: the failure for now becomes one for good. */
static void
attempt_expire(struct attempt *a, struct outcome_rcpt *r)
{
	char text[OUTCOME_TEXT_MAX + 1];
	uint64_t s = a->sched->policy.lifetime_s;
	const char *unit = s >= 2 * 86400 ? "days" : s >= 2 * 3600 ? "hours" :
	    "seconds";

	s /= s >= 2 * 86400 ? 86400 : s >= 2 * 3600 ? 3600 : 1;
	/* As much of the last answer as there is room for. */
	snprintf(text, sizeof(text), "4.4.7 given up after %" PRIu64 " %s; the "
	    "last attempt: %.400s", s, unit, outcome_text(r));
	outcome_set(r, OUTCOME_FAIL, false, text);
}

static void
attempt_result_defer(struct attempt *a, struct outcome_rcpt *r,
    int64_t now_ms, uint32_t random)
{
	const struct spoolq_msg *m = attempt_msg(a);
	struct sched_rcpt *sr = &a->entry->rcpts[r->index];
	int64_t next_ms = retry_next_ms(&a->sched->policy, now_ms,
	    m->arrived_s, m->rcpts[r->index].tries, random);

	if (next_ms == RETRY_NEVER) {
		attempt_expire(a, r);
		return;
	}
	m->rcpts[r->index].tries++;
	sr->due_ms = next_ms;
	sr->held = a->held;
	LOG_EV(LOG_INFO, "msg.deferred", NULL, KV_A("qid", m->id),
	    KV_S("to", r->address),
	    KV_A("relay", a->relay[0] != '\0' ? a->relay : NULL),
	    KV_U("tries", m->rcpts[r->index].tries),
	    KV_I("next", (next_ms - now_ms + 999) / 1000),
	    KV_S("why", outcome_text(r)));
	spoolq_defer(a->sched->spool, m->id, r->index, (next_ms + 999) / 1000,
	    outcome_text(r));
}

static void
attempt_result_fail(struct attempt *a, const struct outcome_rcpt *r)
{
	bool reported = attempt_msg(a)->sender[0] != '\0';

	attempt_msg(a)->rcpts[r->index].state = SPOOLQ_FAILED;
	/* RFC 5321 section 6.1: nobody is told of a lost report. */
	attempt_log(a, reported ? LOG_INFO : LOG_WARNING, reported ?
	    "msg.bounced" : "msg.lost", r, "why");
	spoolq_fail(a->sched->spool, attempt_msg(a)->id, r->index,
	    outcome_text(r));
}

void
attempt_done(struct attempt *a)
{
	int64_t now_ms = sched_now_ms();
	uint32_t random = 0;

	/* One for all, so that they stay together; without it they try at the
	 * plain time. */
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		random = 0;
	a->worker = NULL;
	for (size_t i = 0; i < a->n_rcpts; i++)
		if (a->rcpts[i].outcome == OUTCOME_DONE)
			attempt_result_done(a, &a->rcpts[i]);
	for (size_t i = 0; i < a->n_rcpts; i++)
		if (a->rcpts[i].outcome == OUTCOME_DEFER)
			attempt_result_defer(a, &a->rcpts[i], now_ms, random);
	a->reported = 0;
	attempt_report(a);
}

/* ---------------------------------------------------------------- report -- */

/* Moves the failures not yet told of to the front; how many there are. */
static size_t
attempt_gather(struct attempt *a)
{
	size_t n = 0;

	for (size_t i = 0; i < a->n_rcpts; i++) {
		struct outcome_rcpt r = a->rcpts[i];

		if (r.outcome != OUTCOME_FAIL || attempt_msg(a)->
		    rcpts[r.index].state != SPOOLQ_PENDING)
			continue;
		a->rcpts[i] = a->rcpts[n];
		a->rcpts[n++] = r;
	}
	return n;
}

static void
attempt_reported(void *ctx, bool ok)
{
	struct attempt *a = ctx;

	if (a->entry == NULL) {
		attempt_free(a);
		return;
	}
	a->stage = ATTEMPT_WORKING;
	if (!ok) {
		attempt_postpone(a);
		return;
	}
	for (size_t i = 0; i < a->reported; i++)
		attempt_result_fail(a, &a->rcpts[i]);
	attempt_report(a);
}

static void
attempt_send_report(struct attempt *a, size_t n)
{
	const struct spoolq_msg *m = attempt_msg(a);
	struct dsn d = {
		.hostname = a->sched->conf->hostname,
		.help_text = a->sched->conf->help_text,
		.queue_id = m->id, .sender = m->sender,
		.arrived_s = m->arrived_s, .now_s = clock_now_s(),
		.relay = a->relay, .rcpts = a->rcpts, .n_rcpts = n,
	};
	struct buf text;
	int r;

	buf_init(&text, DSN_MAX);
	d.headers = dsn_read_headers(a->fd, a->offset, m->octets,
	    &d.headers_len);
	r = dsn_build(&d, &text, &a->reported);
	a->stage = ATTEMPT_REPORTING;
	if (r != 0 || (r = spoolq_bounce(a->sched->spool, m->id,
	    (const char *)buf_data(&text), buf_len(&text), attempt_reported,
	    a)) != 0)
		attempt_reported(a, false);
	buf_free(&text);
	free(d.headers);
}

/* One report tells of all failures, or of as many as fit and then another of
 * the rest; then the attempt ends. */
static void
attempt_report(struct attempt *a)
{
	size_t n = attempt_gather(a);

	if (n == 0) {
		attempt_end(a);
	} else if (attempt_msg(a)->sender[0] == '\0') {
		for (size_t i = 0; i < n; i++)
			attempt_result_fail(a, &a->rcpts[i]);
		attempt_end(a);
	} else if (a->fd < 0) {
		a->stage = ATTEMPT_REPORT_OPENING;
		attempt_open(a);
	} else {
		attempt_send_report(a, n);
	}
}
