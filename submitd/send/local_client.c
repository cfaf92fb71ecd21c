/*
 * local_client.c - the local users' Maildirs as a destination.
 *
 * Runs in submitd-send. Each recipient is a call of its own to submitd-local,
 * which gets the message's descriptor, read-only. When submitd-local goes away
 * under a delivery, it is asked once more at once, and then as after any failure
 * for now: a message that kills it must not do so for ever.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "submitd/send/local_client.h"

#include "lib/ipc.h"
#include "submitd/local/protocol.h"
#include "submitd/send/schedule.h"
#include "submitd/spool/client.h"

struct local_call {			/* one recipient on its way */
	TAILQ_ENTRY(local_call)	 link;
	struct local_job	*job;
	struct outcome_rcpt	*rcpt;
	uint32_t		 id;
};

struct local_job {			/* an attempt */
	TAILQ_ENTRY(local_job)	 link;
	struct local_client	*client;
	struct attempt		*attempt;
	size_t			 next;		/* recipient to be sent */
	TAILQ_HEAD(, local_call) calls;
};

struct local_client {
	struct ipc_client	*ipc;
	struct sched		*sched;
	TAILQ_HEAD(, local_job)	 jobs;
	size_t			 in_flight;
	size_t			 reserved;	/* attempts not yet open */
	struct msg_out		 msg;
};

static void local_client_pump(struct local_client *c);

static void
local_call_free(struct local_call *k)
{
	k->job->client->in_flight--;
	TAILQ_REMOVE(&k->job->calls, k, link);
	free(k);
}

static void
local_job_free(struct local_job *j)
{
	while (!TAILQ_EMPTY(&j->calls)) {
		struct local_call *k = TAILQ_FIRST(&j->calls);

		ipc_client_cancel(j->client->ipc, k->id);
		local_call_free(k);
	}
	if (j->attempt->fd < 0)
		j->client->reserved--;
	TAILQ_REMOVE(&j->client->jobs, j, link);
	free(j);
}

static void
local_call_away(struct local_call *k)
{
	struct attempt *a = k->job->attempt;

	a->went_away = true;
	if (a->went_away_before)
		outcome_set(k->rcpt, OUTCOME_DEFER, false,
		    "4.3.0 the delivery process went away");
}

static void
local_call_result(struct local_call *k, uint8_t result, const char *text)
{
	static const enum outcome outcomes[] = {
		[LOCAL_DONE] = OUTCOME_DONE, [LOCAL_DEFER] = OUTCOME_DEFER,
		[LOCAL_FAIL] = OUTCOME_FAIL,
	};
	char print[OUTCOME_TEXT_MAX + 1];

	outcome_print(print, sizeof(print), text, strlen(text));
	outcome_set(k->rcpt, outcomes[result], false, print);
}

static int
local_call_reply(void *ctx, int rc, struct msg_in *m, int fd)
{
	struct local_call *k = ctx;
	struct local_client *c = k->job->client;
	const char *text;
	uint8_t result;

	if (fd >= 0)
		close(fd);
	if (rc == 0) {
		msg_get_u8(m, &result);
		msg_get_str(m, &text, LOCAL_TEXT_MAX);
		rc = msg_get_end(m);
		if (m->type != (LOCAL_DELIVER | LOCAL_REPLY) ||
		    result > LOCAL_FAIL)
			rc = ERR_FORMAT;
	}
	if (rc == 0)
		local_call_result(k, result, text);
	else
		local_call_away(k);
	local_call_free(k);
	local_client_pump(c);
	return rc == ERR_AWAY ? 0 : rc;
}

/* Sends the next recipient of `j`; false when nothing can be sent now. */
static bool
local_job_send(struct local_client *c, struct local_job *j)
{
	struct attempt *a = j->attempt;
	const struct spoolq_msg *m = attempt_msg(a);
	struct local_call *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return false;
	k->job = j;
	k->rcpt = &a->rcpts[j->next];
	k->id = ipc_client_id(c->ipc);
	msg_begin(&c->msg, LOCAL_DELIVER, k->id);
	msg_put_str(&c->msg, m->id);
	msg_put_str(&c->msg, m->sender);
	msg_put_str(&c->msg, k->rcpt->address);
	msg_put_u64(&c->msg, a->offset);
	msg_put_u64(&c->msg, m->octets);
	if (ipc_client_call(c->ipc, &c->msg, a->fd, local_call_reply, k) != 0) {
		free(k);
		return false;
	}
	j->next++;
	c->in_flight++;
	TAILQ_INSERT_TAIL(&j->calls, k, link);
	return true;
}

static bool
local_client_has_room(const struct local_client *c)
{
	return ipc_client_is_up(c->ipc) && !ipc_client_full(c->ipc) &&
	    c->in_flight < LOCAL_IN_FLIGHT;
}

/* There will be a reply, or room in the socket, and with it another turn. */
static bool
local_client_comes_again(const struct local_client *c)
{
	return ipc_client_is_up(c->ipc) &&
	    (c->in_flight > 0 || ipc_client_full(c->ipc));
}

/* The next recipient of the job that has waited longest; the job then goes to
 * the end, so that a message to a thousand holds up no other. */
static bool
local_client_send_one(struct local_client *c)
{
	struct local_job *j;

	TAILQ_FOREACH(j, &c->jobs, link)
		if (j->attempt->fd >= 0 && j->next < j->attempt->n_rcpts)
			break;
	if (j == NULL || !local_job_send(c, j))
		return false;
	TAILQ_REMOVE(&c->jobs, j, link);
	TAILQ_INSERT_TAIL(&c->jobs, j, link);
	return true;
}

/* Gives the jobs their turns and ends those that are through. While the process
 * is away what was not sent stays OUTCOME_NONE, and the schedule brings it
 * again once we are up. */
static void
local_client_pump(struct local_client *c)
{
	struct local_job *j, *next;

	while (local_client_has_room(c) && local_client_send_one(c))
		;
	for (j = TAILQ_FIRST(&c->jobs); j != NULL; j = next) {
		struct attempt *a = j->attempt;

		next = TAILQ_NEXT(j, link);
		if (a->fd < 0 || !TAILQ_EMPTY(&j->calls) ||
		    (j->next < a->n_rcpts && local_client_comes_again(c)))
			continue;
		local_job_free(j);
		attempt_done(a);
	}
	sched_wake_local(c->sched);
}

/* ----------------------------------------------------- as a destination -- */

static int64_t
local_ready_ms(void *ctx)
{
	struct local_client *c = ctx;

	return ipc_client_is_up(c->ipc) &&
	    c->in_flight + c->reserved < LOCAL_IN_FLIGHT ? 0 : INT64_MAX;
}

static void
local_start(void *ctx, struct attempt *a)
{
	struct local_client *c = ctx;
	struct local_job *j = calloc(1, sizeof(*j));

	a->worker = j;
	if (j == NULL)
		return;
	strcpy(a->relay, "local");
	j->client = c;
	j->attempt = a;
	TAILQ_INIT(&j->calls);
	TAILQ_INSERT_TAIL(&c->jobs, j, link);
	c->reserved++;
}

static void
local_opened(void *ctx, struct attempt *a)
{
	struct local_client *c = ctx;

	if (a->worker == NULL || attempt_file(a) < 0) {
		if (a->worker != NULL)
			local_job_free(a->worker);
		attempt_done(a);		/* no memory: again */
		return;
	}
	c->reserved--;
	local_client_pump(c);
}

static void
local_cancel(void *ctx, struct attempt *a)
{
	struct local_client *c = ctx;

	if (a->worker != NULL)
		local_job_free(a->worker);
	a->worker = NULL;
	sched_wake_local(c->sched);
}

static bool
local_ending(void *ctx, const struct attempt *a)
{
	const struct local_job *j = a->worker;

	(void)ctx;
	return j != NULL && !TAILQ_EMPTY(&j->calls);
}

const struct attempt_dest local_dest = {
	.ready_ms = local_ready_ms,
	.start = local_start,
	.opened = local_opened,
	.cancel = local_cancel,
	.ending = local_ending,
};

/* ------------------------------------------------------------ the object -- */

static void
local_client_up(void *ctx)
{
	struct local_client *c = ctx;

	sched_wake_local(c->sched);
}

static void
local_client_down(void *ctx)
{
	local_client_pump(ctx);
}

static const struct ipc_client_ops local_client_ops = {
	.up = local_client_up,
	.down = local_client_down,
	.drained = local_client_down,
};

struct local_client *
local_client_new(struct loop *l, const char *path, struct sched *sched)
{
	struct local_client *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->sched = sched;
	TAILQ_INIT(&c->jobs);
	c->ipc = ipc_client_new(l, path, "local", &local_client_ops, c);
	if (c->ipc == NULL) {
		free(c);
		return NULL;
	}
	return c;
}
