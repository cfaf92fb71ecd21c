/*
 * sender_report.c - the reports that submitd-send gives, part by part.
 *
 * Runs in submitd-spool, on the loop; parts but the last are written on pool
 * threads. A report tells its size first, so that room is known before anything
 * is written, and no more than one part of it is in memory. What is not whole
 * when its message or submitd-send goes never was: its file is in tmp/.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "submitd/spool/sender_private.h"

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/mailbox.h"
#include "submitd/spool/protocol.h"

#define SENDER_REPORTS_MAX 256u

struct sender_report {
	TAILQ_ENTRY(sender_report) link;
	bool			 open;		/* in the list: more is to come */
	bool			 queued;	/* it is told */
	struct sender		*s;
	uint32_t		 call;		/* to be answered */
	char			 of[STR_ID_SIZE];
	struct envelope		 env;
	struct queue_msg	*msg;
	struct limit_share	 share;		/* of its user's */
	uint32_t		 octets;	/* in all */
	uint32_t		 taken;
	bool			 writing;	/* a part, on a thread */
	bool			 gone;		/* not wanted when it is */
	uint8_t			*text;		/* of the part */
	size_t			 len;
	int			 r;
	struct err		 err;
	struct store_op		 op;
};

static int
sender_report_reply(struct sender *s, uint32_t call, bool ok)
{
	struct msg_out *m = &s->sp->msg;

	if (s->closed)
		return 0;
	msg_begin(m, SPOOLQ_BOUNCE | SPOOL_REPLY, call);
	msg_put_u8(m, ok);
	return ipc_send(s->ipc, m, -1);
}

static void
sender_report_free(void *ctx)
{
	struct sender_report *b = ctx;
	struct sender *s = b->s;

	store_file_discard(&s->sp->store, b->op.file);
	queue_msg_free(b->msg);
	envelope_free(&b->env);
	free(b->text);
	free(b);
	s->n_reports--;
	s->holds--;
	sender_free(s);
}

static void
sender_report_discard(void *ctx)
{
	struct sender_report *b = ctx;

	store_file_discard(&b->s->sp->store, b->op.file);
	b->op.file = NULL;
}

/* No more is to come of it. */
static void
sender_report_close(struct sender_report *b)
{
	if (b->open)
		TAILQ_REMOVE(&b->s->reports, b, link);
	b->open = false;
}

/* Its message may have another; `s` may be gone afterwards. */
static void
sender_report_end(struct sender_report *b)
{
	struct spool *sp = b->s->sp;
	struct queue_msg *of = queue_find(sp->queue, b->of);

	sender_report_close(b);
	if (of != NULL)
		of->reporting = false;
	/* What it was to tell is still to be told. */
	if (of != NULL && !b->queued)
		of->reports--;
	sp->reporting -= b->octets;
	limit_end(sp, &b->share);
	/* Removing a large file takes its time: not on the loop. */
	if (b->op.file == NULL || b->op.file->fd < 0 ||
	    pool_submit(sp->writers, sender_report_discard,
	    sender_report_free, b) != 0)
		sender_report_free(b);
}

/* It is over: the answer comes last, for the next of its message may be asked
 * for then. */
static void
sender_report_answer(struct sender_report *b, bool ok)
{
	struct sender *s = b->s;
	uint32_t call = b->call;

	s->holds++;
	sender_report_end(b);
	(void)sender_report_reply(s, call, ok);
	s->holds--;
	sender_free(s);
}

static void
sender_report_fault(const struct sender_report *b, const struct err *why)
{
	LOG_EV(LOG_ERR, why->code == ERR_NOSPACE ? "spool.nospace" :
	    "spool.fault", NULL, KV_A("qid", b->of), KV_A("op", "bounce"),
	    KV_T("why", why->text));
}

/* ---------------------------------------------------------------- writing -- */

static void
sender_report_flushed(struct store_op *op)
{
	struct sender_report *b = op->ctx;

	if (op->r != 0) {
		sender_report_fault(b, &op->err);
		sender_report_answer(b, false);
		return;
	}
	LOG_EV(LOG_INFO, "msg.report", NULL, KV_A("qid", b->of),
	    KV_A("bounce", b->msg->id), KV_S("to", b->msg->rcpts[0].address));
	b->queued = true;
	queue_add(b->s->sp->queue, b->msg, op->content_offset,
	    op->content_len, op->content_offset + op->content_len);
	b->msg = NULL;
	sender_report_answer(b, true);
}

/* The part is the last. */
static void
sender_report_flush(struct sender_report *b)
{
	b->op.kind = STORE_COMMIT;
	b->op.place = &b->msg->place;
	memcpy(b->op.id, b->op.file->id, sizeof(b->op.id));
	b->op.data = b->text;
	b->op.len = b->len;
	b->op.done = sender_report_flushed;
	b->op.ctx = b;
	flush_add(b->s->sp->flush, &b->op);
}

static void
sender_report_write(void *ctx)
{
	struct sender_report *b = ctx;

	b->r = store_file_write(&b->s->sp->store, b->op.file, b->text, b->len,
	    &b->err);
}

static void
sender_report_written(void *ctx)
{
	struct sender_report *b = ctx;

	b->writing = false;
	if (b->r == 0 && !b->gone) {
		(void)sender_report_reply(b->s, b->call, true);
		return;
	}
	if (b->r != 0)
		sender_report_fault(b, &b->err);
	sender_report_answer(b, false);
}

/* Takes a part. */
static int
sender_report_part(struct sender_report *b, const void *text, size_t len)
{
	free(b->text);
	if ((b->text = malloc(len)) == NULL)
		return ERR_NOMEM;
	memcpy(b->text, text, len);
	b->len = len;
	b->taken += (uint32_t)len;
	if (b->taken == b->octets) {
		sender_report_close(b);
		sender_report_flush(b);
		return 0;
	}
	b->writing = true;
	return pool_submit(b->s->sp->writers, sender_report_write,
	    sender_report_written, b);
}

/* --------------------------------------------------------------- requests -- */

/* Who is told: the sender; but whoever stands there without being the user is
 * not told of what he never sent. */
static const char *
sender_report_to(const struct queue_msg *of)
{
	return of->foreign && of->user[0] != '\0' ? of->user : of->sender;
}

/* The envelope of a message from <> to the sender of `of`. */
static int
sender_report_envelope(struct envelope *e, const struct queue_msg *of)
{
	char **const empty[] = { &e->sender, &e->peer, &e->tls, &e->mech,
	    &e->sid, &e->helo, &e->envid };
	const char *to = sender_report_to(of);
	struct mailbox box;

	str_id(e->id);
	e->arrived_s = clock_now_s();
	/* The headers it quotes may be 8-bit. */
	e->eightbit = true;
	/* RFC 8689 section 5: what was to be kept secret stays so in its report;
	 * RFC 6710: it matters as much. */
	e->wishes.requiretls = of->wishes.requiretls;
	e->wishes.priority = of->wishes.priority;
	e->smtputf8 = mailbox_parse(to, strlen(to), &box) == 0 && box.utf8;
	for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++)
		if ((*empty[i] = strdup("")) == NULL)
			return ERR_NOMEM;
	/* It takes its place in the spool from whom it is about. */
	if ((e->user = strdup(of->user)) == NULL ||
	    (e->rcpts = calloc(1, sizeof(*e->rcpts))) == NULL ||
	    (e->rcpts[0] = strdup(to)) == NULL)
		return ERR_NOMEM;
	e->n_rcpts = 1;
	return 0;
}

/* NULL: it can't be taken now. */
static struct sender_report *
sender_report_new(struct sender *s, struct queue_msg *of, uint32_t octets)
{
	struct sender_report *b;

	/* RFC 5321 section 6.1: no bounce for a bounce. */
	if (of == NULL || of->sender[0] == '\0' ||
	    s->n_reports == SENDER_REPORTS_MAX ||
	    (b = calloc(1, sizeof(*b))) == NULL)
		return NULL;
	if (limit_report(s->sp, &b->share, of, octets) != SPOOLC_OK) {
		free(b);
		return NULL;
	}
	b->s = s;
	b->octets = octets;
	s->n_reports++;
	s->holds++;
	s->sp->reporting += octets;
	TAILQ_INSERT_TAIL(&s->reports, b, link);
	b->open = true;
	memcpy(b->of, of->id, sizeof(b->of));
	if (sender_report_envelope(&b->env, of) != 0 ||
	    store_file_new(&b->env, "", 0, &b->op.file) != 0 ||
	    (b->msg = queue_msg_new(&b->env)) == NULL) {
		sender_report_end(b);
		return NULL;
	}
	return b;
}

/* The one that goes on at `offset`; one that does not goes. */
static struct sender_report *
sender_report_take(struct sender *s, const char *id, uint32_t octets,
    uint32_t offset)
{
	struct sender_report *b;

	TAILQ_FOREACH(b, &s->reports, link)
		if (strcmp(b->of, id) == 0)
			break;
	if (b == NULL || b->writing)
		return NULL;
	if (offset > 0 && b->taken == offset && b->octets == octets)
		return b;
	sender_report_end(b);
	return NULL;
}

int
sender_on_report(struct sender *s, struct msg_in *in)
{
	struct sender_report *b;
	uint32_t octets, offset;
	const char *id;
	const void *text;
	size_t len;

	msg_get_str(in, &id, STR_ID_SIZE - 1);
	msg_get_u32(in, &octets);
	msg_get_u32(in, &offset);
	msg_get_blob(in, &text, &len, SPOOL_REPORT_PART_MAX);
	if (msg_get_end(in) != 0 || octets > SPOOL_REPORT_MAX ||
	    offset > octets || len == 0 || len > octets - offset)
		return ERR_FORMAT;
	b = sender_report_take(s, id, octets, offset);
	if (offset == 0)
		b = sender_report_new(s, queue_find(s->sp->queue, id),
		    octets);
	if (b == NULL)
		return sender_report_reply(s, in->id, false);
	b->call = in->id;
	if (sender_report_part(b, text, len) != 0)
		sender_report_answer(b, false);
	return 0;
}

void
sender_report_gone(struct sender *s, const char *id)
{
	struct sender_report *b, *next;

	s->holds++;
	for (b = TAILQ_FIRST(&s->reports); b != NULL; b = next) {
		next = TAILQ_NEXT(b, link);
		if (id != NULL && strcmp(b->of, id) != 0)
			continue;
		if (b->writing)
			b->gone = true;
		else
			sender_report_end(b);
	}
	s->holds--;
}
