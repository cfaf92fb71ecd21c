/*
 * attempt.c - one attempt to deliver one message.
 *
 * Runs in submitd-send. The order of results is what keeps mail from being
 * lost: done first (a crash must not send it again), then deferred; what a report
 * is to tell of goes to report.c. Who is owed a report of success is "delivered"
 * in between, so that a crash forgets neither.
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
#include "lib/fio.h"
#include "lib/log.h"
#include "lib/str.h"
#include "submitd/send/dsn.h"
#include "submitd/send/schedule_private.h"

#define ATTEMPT_POSTPONE_MAX_MS	60000

/* RFC 2852 section 4 */
#define ATTEMPT_TOO_LATE	"5.4.7 the time by which it was to be delivered " \
	"is over"

const struct spoolq_msg *
attempt_msg(const struct attempt *a)
{
	return a->entry->msg;
}

/* Those in this state who are due; `out` may be NULL. */
static size_t
attempt_due(const struct sched_job *job, enum spoolq_state state,
    int64_t now_ms, struct outcome_rcpt *out)
{
	const struct sched_entry *e = job->entry;
	size_t n = 0;

	for (uint32_t i = job->first; i != SCHED_NONE; i = e->rcpts[i].next) {
		if (e->msg->rcpts[i].state != state || e->rcpts[i].busy ||
		    e->rcpts[i].due_ms > now_ms)
			continue;
		if (out != NULL)
			out[n] = (struct outcome_rcpt){ .index = i,
				.address = e->msg->rcpts[i].address,
				.dsn = e->msg->rcpts[i].dsn };
		n++;
	}
	return n;
}

/* With those of this state who are due; NULL: there are none, or no memory. */
static struct attempt *
attempt_make(struct sched *s, struct sched_job *job, enum spoolq_state state,
    int64_t now_ms)
{
	size_t n = attempt_due(job, state, now_ms, NULL);
	struct attempt *a = n == 0 ? NULL : calloc(1, sizeof(*a));

	if (a == NULL || (a->rcpts = calloc(n, sizeof(*a->rcpts))) == NULL) {
		free(a);
		return NULL;
	}
	a->sched = s;
	a->entry = job->entry;
	a->job = job;
	a->fd = -1;
	a->stage = ATTEMPT_WORKING;
	a->n_rcpts = attempt_due(job, state, now_ms, a->rcpts);
	s->n_running++;
	for (size_t i = 0; i < a->n_rcpts; i++)
		a->entry->rcpts[a->rcpts[i].index].busy = true;
	return a;
}

struct attempt *
attempt_new(struct sched *s, struct sched_job *job, int64_t now_ms)
{
	const struct spool_wishes *w = &job->entry->msg->wishes;
	struct attempt *a = attempt_make(s, job, SPOOLQ_DELIVERED, now_ms);

	if (a == NULL)
		return w->by_mode == SPOOL_BY_RETURN &&
		    now_ms >= w->by_s * 1000 ? attempt_new_late(s, job) :
		    attempt_make(s, job, SPOOLQ_PENDING, now_ms);
	a->owed = true;
	/* The words that it was taken with are gone. */
	outcome_set_all(a->rcpts, a->n_rcpts, OUTCOME_NONE, OUTCOME_DONE,
	    false, "2.0.0 delivered");
	return a;
}

struct attempt *
attempt_new_late(struct sched *s, struct sched_job *job)
{
	struct attempt *a = attempt_make(s, job, SPOOLQ_PENDING, INT64_MAX);

	if (a == NULL)
		return NULL;
	a->deadline = true;
	if (job->entry->msg->wishes.by_mode == SPOOL_BY_RETURN)
		outcome_set_all(a->rcpts, a->n_rcpts, OUTCOME_NONE,
		    OUTCOME_FAIL, false, ATTEMPT_TOO_LATE);
	else
		outcome_set_all(a->rcpts, a->n_rcpts, OUTCOME_NONE,
		    OUTCOME_DEFER, false, "4.4.7 the time by which it was to "
		    "be delivered is over; it is still being tried");
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
	free(a->content);
	free(a);
}

/* The end: what is still pending gets its place again. */
static void
attempt_end(struct attempt *a)
{
	struct sched_job *job = a->job;
	struct sched *s = a->sched;

	for (size_t i = 0; i < a->n_rcpts; i++)
		a->entry->rcpts[a->rcpts[i].index].busy = false;
	job->attempt = NULL;
	job->went_away = a->went_away;
	attempt_free(a);
	report_look(job->entry->report);
	sched_place(s, job);
	sched_ended(s);
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
	const struct dest *d = a->job->dest;
	struct sched *s = a->sched;

	a->entry = NULL;
	if (d->ops != NULL)
		d->ops->cancel(d->ctx, a);
	if (a->stage != ATTEMPT_OPENING)
		attempt_free(a);
	sched_ended(s);
}

bool
attempt_is_ending(const struct attempt *a)
{
	const struct dest *d = a->job->dest;

	return a->stage == ATTEMPT_WORKING && d->ops != NULL &&
	    d->ops->ending(d->ctx, a);
}

/* ----------------------------------------------------------- the message -- */

/* A copy, for as long as the attempt takes. */
static int
attempt_keep(struct attempt *a, const void *content, size_t len)
{
	if (len != attempt_msg(a)->octets)
		return ERR_FORMAT;
	free(a->content);
	a->content = malloc(len + 1);
	if (a->content == NULL)
		return ERR_NOMEM;
	memcpy(a->content, content, len);
	return 0;
}

int
attempt_file(struct attempt *a)
{
	if (a->fd < 0 && a->content != NULL)
		a->fd = fio_memfd("message", a->content,
		    (size_t)attempt_msg(a)->octets);
	return a->fd;
}

static void
attempt_opened(void *ctx, int fd, uint64_t offset, const void *content,
    size_t len)
{
	struct attempt *a = ctx;
	const struct dest *d;
	bool open;

	a->fd = fd;
	a->offset = offset;
	if (a->entry == NULL) {
		attempt_free(a);
		return;
	}
	open = fd >= 0 || (content != NULL && attempt_keep(a, content,
	    len) == 0);
	d = a->job->dest;
	a->stage = ATTEMPT_WORKING;
	if (open) {
		d->ops->opened(d->ctx, a);
	} else {
		d->ops->cancel(d->ctx, a);
		attempt_postpone(a);
	}
}

/* It came along with its entry. */
static bool
attempt_take(struct attempt *a)
{
	a->content = sched_take_content(a->sched, a->entry);
	return a->content != NULL;
}

void
attempt_open(struct attempt *a)
{
	a->stage = ATTEMPT_OPENING;
	if (attempt_take(a)) {
		a->stage = ATTEMPT_WORKING;
		a->job->dest->ops->opened(a->job->dest->ctx, a);
		return;
	}
	if (spoolq_open(a->sched->spool, attempt_msg(a)->id,
	    !a->job->dest->ops->keeps_fd, attempt_opened, a) != 0)
		attempt_opened(a, -1, 0, NULL, 0);
}

/* --------------------------------------------------------------- results -- */

/* Into a Maildir, here or by LMTP: nobody passes it on. */
static bool
attempt_delivers(const struct attempt *a)
{
	const struct dest *d = a->job->dest;

	return d->ops == a->sched->local_ops ||
	    (d->route != NULL && d->route->via == CONF_VIA_LMTP);
}

/* A report that he has it, or that it was passed on: by NOTIFY, or by RFC 2852
 * where the trace was asked for, or the deadline is not minded any more. */
static bool
attempt_is_owed(const struct attempt *a, const struct outcome_rcpt *r)
{
	const struct spoolq_msg *m = attempt_msg(a);

	if (!r->dsn_passed && report_is_wanted(m, r,
	    SPOOL_NOTIFY_SUCCESS))
		return true;
	return m->wishes.by_mode != SPOOL_BY_NONE && m->sender[0] != '\0' &&
	    r->dsn.notify != SPOOL_NOTIFY_NEVER && !attempt_delivers(a) &&
	    (m->wishes.by_trace || !r->by_passed);
}

static void
attempt_result_done(struct attempt *a, const struct outcome_rcpt *r)
{
	const struct spoolq_msg *m = attempt_msg(a);
	bool owed = attempt_is_owed(a, r);

	m->rcpts[r->index].state = owed ? SPOOLQ_DELIVERED : SPOOLQ_DONE;
	report_log(m, LOG_INFO, "msg.sent", r, "reply");
	if (owed)
		spoolq_delivered(a->sched->spool, m->id, r->index,
		    outcome_text(r));
	else
		spoolq_done(a->sched->spool, m->id, r->index,
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
	snprintf(text, sizeof(text), "%s given up after %" PRIu64 " %s; the "
	    "last attempt: %.900s", !r->remote &&
	    strncmp(outcome_text(r), "4.2.2 ", 6) == 0 ? "5.2.2" : "4.4.7", s,
	    unit, outcome_text(r));
	outcome_set(r, OUTCOME_FAIL, false, text);
}

/* The same for what was to be delivered by now (RFC 2852, by-mode R). */
static void
attempt_too_late(struct outcome_rcpt *r)
{
	char text[OUTCOME_TEXT_MAX + 1];

	snprintf(text, sizeof(text), ATTEMPT_TOO_LATE "; the last attempt: "
	    "%.900s", outcome_text(r));
	outcome_set(r, OUTCOME_FAIL, false, text);
}

/* The sender is to hear that it takes longer: once, and not by a report. */
static bool
attempt_is_late(const struct attempt *a, const struct outcome_rcpt *r,
    int64_t now_ms)
{
	const struct spoolq_msg *m = attempt_msg(a);
	uint64_t warning_s = a->sched->conf->delay_warning_s;
	int64_t by_s = m->wishes.by_s;

	if (m->rcpts[r->index].told ||
	    !report_is_wanted(m, r, SPOOL_NOTIFY_DELAY))
		return false;
	if (m->wishes.by_mode == SPOOL_BY_NOTIFY && by_s > m->arrived_s &&
	    now_ms >= by_s * 1000)
		return true;
	return warning_s > 0 &&
	    now_ms / 1000 - sched_since_s(m) >= (int64_t)warning_s;
}

static void
attempt_log_deferred(const struct attempt *a, const struct outcome_rcpt *r,
    int64_t wait_ms)
{
	const struct spoolq_msg *m = attempt_msg(a);

	LOG_EV(LOG_INFO, "msg.deferred", NULL, KV_A("qid", m->id),
	    KV_S("to", r->address),
	    KV_A("relay", a->relay[0] != '\0' ? a->relay : NULL),
	    KV_U("tries", m->rcpts[r->index].tries),
	    KV_I("next", (wait_ms + 999) / 1000),
	    KV_S("why", outcome_text(r)));
}

/* The next time for one who failed for now; or he fails for good. */
static void
attempt_result_defer(struct attempt *a, struct outcome_rcpt *r,
    int64_t now_ms, uint32_t random)
{
	const struct spoolq_msg *m = attempt_msg(a);
	struct sched_rcpt *sr = &a->entry->rcpts[r->index];
	int64_t next_ms = retry_next_ms(&a->sched->policy, now_ms,
	    sched_since_s(m), m->rcpts[r->index].tries, random);

	if (m->wishes.by_mode == SPOOL_BY_RETURN &&
	    now_ms >= m->wishes.by_s * 1000) {
		attempt_too_late(r);
		return;
	}
	if (next_ms == RETRY_NEVER) {
		attempt_expire(a, r);
		return;
	}
	m->rcpts[r->index].tries++;
	sr->due_ms = next_ms;
	sr->held = a->held;
	attempt_log_deferred(a, r, next_ms - now_ms);
	r->late = attempt_is_late(a, r, now_ms);
	/* What is late is written once the spool can remember that it was
	 * told. */
	if (!r->late)
		report_put_defer(a->sched, a->entry, r, false);
}

/* The report that this recipient is still to stand in, or DSN_KIND__COUNT. */
static enum dsn_kind
attempt_kind(const struct attempt *a, const struct outcome_rcpt *r)
{
	enum spoolq_state state = attempt_msg(a)->rcpts[r->index].state;

	if (state == SPOOLQ_DELIVERED)
		return attempt_delivers(a) ? DSN_DELIVERED : DSN_RELAYED;
	if (state != SPOOLQ_PENDING)
		return DSN_KIND__COUNT;
	return r->outcome == OUTCOME_FAIL ? DSN_FAILED :
	    r->late ? DSN_DELAYED : DSN_KIND__COUNT;
}

/* Whom there is something to tell of is the report's from now on. */
static void
attempt_report(struct attempt *a)
{
	for (size_t i = 0; i < a->n_rcpts; i++)
		a->rcpts[i].kind = (uint8_t)attempt_kind(a, &a->rcpts[i]);
	if (report_add(a->sched, a->entry, a->rcpts, &a->n_rcpts) == 0) {
		attempt_end(a);
		return;
	}
	for (size_t i = 0; i < a->n_rcpts; i++)
		if (a->rcpts[i].late && !a->rcpts[i].untried)
			report_put_defer(a->sched, a->entry, &a->rcpts[i],
			    false);
	attempt_postpone(a);
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
	for (size_t i = 0; i < a->n_rcpts; i++) {
		a->rcpts[i].relay = a->relay;
		a->rcpts[i].tls = a->tls;
		a->rcpts[i].untried = a->deadline;
	}
	for (size_t i = 0; i < a->n_rcpts; i++)
		if (a->rcpts[i].outcome == OUTCOME_DONE && !a->owed)
			attempt_result_done(a, &a->rcpts[i]);
	for (size_t i = 0; i < a->n_rcpts; i++)
		if (a->rcpts[i].outcome == OUTCOME_DEFER && a->deadline)
			a->rcpts[i].late = attempt_is_late(a, &a->rcpts[i],
			    now_ms);
		else if (a->rcpts[i].outcome == OUTCOME_DEFER)
			attempt_result_defer(a, &a->rcpts[i], now_ms, random);
	for (size_t i = 0; i < a->n_rcpts; i++)
		if (a->rcpts[i].outcome == OUTCOME_FAIL &&
		    !report_is_wanted(attempt_msg(a), &a->rcpts[i],
		    SPOOL_NOTIFY_FAILURE))
			report_put_fail(a->sched, a->entry, &a->rcpts[i]);
	attempt_report(a);
}
