/*
 * sender.c - submitd-send: it is told the queue, opens messages to read them,
 * and gives results; its reports are sender_report.c's.
 *
 * Runs in submitd-spool, on the loop. There is one submitd-send; a new one takes
 * the place of an old one. It cannot begin a message of its own: a bounce goes
 * from <> to the sender of a message that is queued, and nowhere else.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "submitd/spool/sender_private.h"

#include "lib/err.h"
#include "lib/log.h"
#include "submitd/spool/journal.h"
#include "submitd/spool/protocol.h"
#include "submitd/spool/wishes.h"

/* Octets of messages that submitd-send asked for and has not read, and reports
 * on their way to the disk: it asks for less unless it was taken over. */
#define SENDER_QUEUE_MAX (64u * 1024 * 1024)

void
sender_free(struct sender *s)
{
	if (s->closed && s->holds == 0)
		free(s);
}

/* ---------------------------------------------------------------- telling -- */

/* A small message that has just come goes along with its entry: what is about to
 * be sent need not be asked for. `whole`: this packet has all recipients. */
static void
sender_put_fresh(const struct queue_msg *q, struct msg_out *m, bool whole)
{
	const struct queue_fresh *f = q->fresh;

	if (!whole || f == NULL || q->octets > SPOOLQ_ALONG_MAX ||
	    q->octets != f->top_len + f->rest_len ||
	    msg_room(m) < q->octets + 4) {
		msg_put_u32(m, 0);
		return;
	}
	msg_put_u32(m, (uint32_t)q->octets);
	msg_put_raw(m, f->top, f->top_len);
	msg_put_raw(m, f->rest, f->rest_len);
}

/* One packet of s->telling. */
static int
sender_tell_part(struct sender *s)
{
	struct queue_msg *q = s->telling;
	struct msg_out *m = &s->sp->msg;
	size_t n;

	msg_begin(m, SPOOLQ_ENTRY, 0);
	msg_put_str(m, q->id);
	msg_put_str(m, q->sender);
	msg_put_str(m, q->user);
	msg_put_u64(m, (uint64_t)q->arrived_s);
	msg_put_u64(m, q->octets);
	msg_put_u8(m, q->eightbit);
	msg_put_u8(m, q->smtputf8);
	msg_put_u8(m, q->foreign);
	msg_put_u8(m, q->ret);
	msg_put_str(m, q->envid);
	spool_wishes_put(m, &q->wishes);
	msg_put_u32(m, (uint32_t)q->n_rcpts);
	msg_put_u32(m, (uint32_t)s->told);
	n = (msg_room(m) - 6) / (SPOOL_ADDRESS_MAX + 30 +
	    (q->dsn == NULL ? 0 : SPOOL_ORCPT_MAX));
	if (n > q->n_rcpts - s->told)
		n = q->n_rcpts - s->told;
	msg_put_u16(m, (uint16_t)n);
	for (size_t i = 0; i < n; i++) {
		const struct queue_rcpt *r = &q->rcpts[s->told + i];
		const struct spool_dsn *dsn = q->dsn == NULL ? NULL :
		    &q->dsn[s->told + i];

		msg_put_str(m, r->address);
		msg_put_u8(m, dsn == NULL ? 0 : dsn->notify);
		msg_put_str(m, dsn == NULL ? NULL : dsn->orcpt);
		msg_put_u8(m, r->state);
		msg_put_u32(m, r->tries);
		msg_put_u64(m, (uint64_t)r->next_try_s);
		msg_put_u8(m, r->told);
	}
	sender_put_fresh(q, m, s->told == 0 && n == q->n_rcpts);
	s->told += n;
	if (s->told == q->n_rcpts)
		s->telling = NULL;
	return ipc_send(s->ipc, m, -1);
}

static void
sender_tell(struct sender *s)
{
	while (s->sp->users_known && !ipc_full(s->ipc)) {
		if (s->telling == NULL) {
			s->telling = queue_take_to_tell(s->sp->queue);
			s->told = 0;
		}
		if (s->telling == NULL || sender_tell_part(s) != 0)
			return;
	}
}

void
sender_told(void *ctx)
{
	struct spool *sp = ctx;

	if (sp->sender != NULL)
		sender_tell(sp->sender);
}

void
sender_left(void *ctx, struct queue_msg *m)
{
	struct spool *sp = ctx;

	/* The part that was told is dropped when the next entry begins. */
	if (sp->sender != NULL && sp->sender->telling == m)
		sp->sender->telling = NULL;
}

static void
sender_say(struct spool *sp, enum spoolq_type type, const char *id)
{
	if (sp->sender == NULL)
		return;
	msg_begin(&sp->msg, (uint16_t)type, 0);
	msg_put_str(&sp->msg, id);
	(void)ipc_send(sp->sender->ipc, &sp->msg, -1);
}

void
sender_say_gone(struct spool *sp, const char *id)
{
	if (sp->sender != NULL)
		sender_report_gone(sp->sender, id);
	sender_say(sp, SPOOLQ_GONE, id);
}

void
sender_held(void *ctx, struct queue_msg *m)
{
	struct spool *sp = ctx;

	sender_left(sp, m);
	sender_say(sp, SPOOLQ_HELD, m->id);
}

/* --------------------------------------------------------------- requests -- */

/* A message out of the journal that the kernel has to fetch from the disk. */
struct sender_fetch {
	struct sender		*s;
	uint32_t		 call;
	char			 id[STR_ID_SIZE];
	struct store_place	 place;		/* a copy, held */
	uint64_t		 offset, octets;	/* of the content */
	int			 r;
	struct err		 err;
	uint8_t			 buf[];
};

static void
sender_open_fault(const char *id, const struct err *why)
{
	LOG_EV(LOG_ERR, "spool.fault", NULL, KV_A("qid", id),
	    KV_A("op", "open"), KV_T("why", why->text));
}

/* content NULL: it cannot be had now. */
static int
sender_open_content(struct sender *s, uint32_t call, const uint8_t *content,
    uint64_t octets)
{
	struct msg_out *m = &s->sp->msg;
	int r;

	if (s->closed)
		return 0;
	msg_begin(m, SPOOLQ_OPEN | SPOOL_REPLY, call);
	msg_put_u8(m, content != NULL ? SPOOLQ_HOW_CONTENT :
	    SPOOLQ_HOW_NONE);
	if (content != NULL)
		msg_put_blob(m, content, (size_t)octets);
	r = ipc_send(s->ipc, m, -1);
	return r == ERR_AWAY ? 0 : r;
}

static void
sender_fetch_work(void *ctx)
{
	struct sender_fetch *f = ctx;

	f->r = journal_read(&f->place, f->buf, &f->err);
}

static void
sender_fetch_done(void *ctx)
{
	struct sender_fetch *f = ctx;
	struct sender *s = f->s;

	journal_release(s->sp->store.journal, &f->place);
	if (f->r != 0)
		sender_open_fault(f->id, &f->err);
	(void)sender_open_content(s, f->call, f->r == 0 ?
	    f->buf + f->offset : NULL, f->octets);
	free(f);
	s->holds--;
	sender_free(s);
}

static int
sender_fetch(struct sender *s, uint32_t call, struct queue_msg *q)
{
	struct sender_fetch *f = malloc(sizeof(*f) + q->place.len);

	if (f == NULL)
		return sender_open_content(s, call, NULL, 0);
	f->s = s;
	f->call = call;
	memcpy(f->id, q->id, sizeof(f->id));
	f->place = q->place;
	f->offset = q->content_offset;
	f->octets = q->octets;
	if (pool_submit(s->sp->writers, sender_fetch_work, sender_fetch_done,
	    f) != 0) {
		free(f);
		return sender_open_content(s, call, NULL, 0);
	}
	journal_hold(&f->place);
	s->holds++;
	return 0;
}

/* Its octets travel: nobody gets a descriptor of the journal. */
static int
sender_open_journal(struct sender *s, uint32_t call, struct queue_msg *q)
{
	static uint8_t buf[JOURNAL_MESSAGE_MAX];
	struct err err;
	int r = journal_read_now(&q->place, buf, &err);

	if (r == ERR_AWAY)
		return sender_fetch(s, call, q);
	if (r != 0)
		sender_open_fault(q->id, &err);
	return sender_open_content(s, call, r == 0 ?
	    buf + q->content_offset : NULL, q->octets);
}

static int
sender_open_file(struct sender *s, uint32_t call, struct queue_msg *q)
{
	struct msg_out *m = &s->sp->msg;
	struct err err;
	int fd = store_read_fd(&s->sp->store, q->id, &err);
	int r;

	if (fd < 0) {
		sender_open_fault(q->id, &err);
		return sender_open_content(s, call, NULL, 0);
	}
	msg_begin(m, SPOOLQ_OPEN | SPOOL_REPLY, call);
	msg_put_u8(m, SPOOLQ_HOW_FILE);
	msg_put_u64(m, q->content_offset);
	r = ipc_send(s->ipc, m, fd);
	close(fd);
	return r == ERR_AWAY ? 0 : r;
}

static int
sender_on_open(struct sender *s, struct msg_in *in)
{
	struct queue_msg *q;
	const char *id;
	uint8_t lent;

	msg_get_str(in, &id, STR_ID_SIZE - 1);
	msg_get_u8(in, &lent);
	if (msg_get_end(in) != 0)
		return ERR_FORMAT;
	if ((q = queue_find(s->sp->queue, id)) == NULL)
		return sender_open_content(s, in->id, NULL, 0);
	q->no_spare = q->no_spare || lent != 0;
	return q->place.segment != NULL && !q->place.filed ?
	    sender_open_journal(s, in->id, q) :
	    sender_open_file(s, in->id, q);
}

static int
sender_on_result(struct sender *s, struct msg_in *in)
{
	static const uint8_t states[] = {
		[SPOOLQ_KIND_DONE] = ENVELOPE_DONE,
		[SPOOLQ_KIND_DEFER] = ENVELOPE_PENDING,
		[SPOOLQ_KIND_FAIL] = ENVELOPE_FAILED,
		[SPOOLQ_KIND_DELIVERED] = ENVELOPE_DELIVERED,
	};
	struct envelope_result res;
	struct queue_msg *q;
	const char *id, *text;
	uint64_t next;
	uint8_t kind, told;

	msg_get_str(in, &id, STR_ID_SIZE - 1);
	msg_get_u32(in, &res.rcpt);
	msg_get_u8(in, &kind);
	msg_get_u64(in, &next);
	msg_get_u8(in, &told);
	msg_get_str(in, &text, SPOOL_TEXT_MAX);
	if (msg_get_end(in) != 0 || kind < SPOOLQ_KIND_DONE ||
	    kind > SPOOLQ_KIND_DELIVERED)
		return ERR_FORMAT;
	/* It may have been deleted meanwhile. */
	if ((q = queue_find(s->sp->queue, id)) == NULL)
		return 0;
	if (res.rcpt >= q->n_rcpts)
		return ERR_FORMAT;
	res.state = states[kind];
	res.tries = q->rcpts[res.rcpt].tries +
	    (kind == SPOOLQ_KIND_DEFER ? 1 : 0);
	res.next_try_s = (int64_t)next;
	res.told = told != 0;
	(void)str_copy(res.text, sizeof(res.text), text);
	(void)queue_result(q, &res);
	return 0;
}

/* ------------------------------------------------------------- connection -- */

static int
sender_packet(void *ctx, struct ipc *ipc, struct msg_in *m, int fd)
{
	struct sender *s = ctx;

	(void)ipc;
	if (fd >= 0) {
		close(fd);
		return ERR_FORMAT;
	}
	switch (m->type) {
	case SPOOLQ_OPEN:
		return sender_on_open(s, m);
	case SPOOLQ_RESULT:
		return sender_on_result(s, m);
	case SPOOLQ_BOUNCE:
		return sender_on_report(s, m);
	default:
		return ERR_FORMAT;
	}
}

void
sender_close(struct spool *sp)
{
	struct sender *s = sp->sender;

	if (s == NULL)
		return;
	sp->sender = NULL;
	queue_tell_none(sp->queue);
	ipc_close(s->ipc);
	s->closed = true;
	sender_report_gone(s, NULL);
	sender_free(s);
}

static void
sender_reap(void *ctx)
{
	struct sender *s = ctx;
	struct spool *sp = s->sp;

	s->holds--;
	if (sp->sender == s)
		sender_close(sp);
	else
		sender_free(s);
	if (sp->sender_gone != NULL)
		sp->sender_gone(sp);
}

/* Perhaps from within a reply of ours: not freed under its feet. */
static void
sender_gone(void *ctx, struct ipc *ipc)
{
	struct sender *s = ctx;

	(void)ipc;
	s->holds++;
	if (loop_defer(s->sp->loop, sender_reap, s) != 0)
		abort();	/* the parent starts us again, nothing is lost */
}

static void
sender_drained(void *ctx, struct ipc *ipc)
{
	(void)ipc;
	sender_tell(ctx);
}

static const struct ipc_ops sender_ops = {
	.packet = sender_packet,
	.gone = sender_gone,
	.drained = sender_drained,
};

void
sender_accepted(void *ctx, int fd, uid_t uid, pid_t pid)
{
	struct spool *sp = ctx;
	struct sender *s = calloc(1, sizeof(*s));

	(void)uid;
	(void)pid;
	if (s != NULL) {
		s->sp = sp;
		TAILQ_INIT(&s->reports);
		s->ipc = ipc_new(sp->loop, fd, "submitd-send", &sender_ops, s);
	}
	if (s == NULL || s->ipc == NULL) {
		close(fd);
		free(s);
		return;
	}
	ipc_set_queue_max(s->ipc, SENDER_QUEUE_MAX);
	sender_close(sp);
	sp->sender = s;
	queue_tell_all(sp->queue);
}
