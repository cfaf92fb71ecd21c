/*
 * client_queue.c - submitd-send's view of the queue: entries, results, bounces.
 *
 * Runs in submitd-send. Entries come in several packets when a message has many
 * recipients, and are handed on when whole. Holds nothing of a message that was
 * handed on: submitd-spool is the one that remembers.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "submitd/spool/client.h"

#include "lib/err.h"
#include "lib/ipc.h"
#include "lib/msg.h"
#include "submitd/spool/protocol.h"
#include "submitd/spool/wishes.h"

/* Results of a message with many recipients, and of all that wait for a
 * destination that failed, come at once; what did not fit would be lost, and the
 * messages sent again. */
#define SPOOLQ_QUEUE_MAX (256u * 1024 * 1024)

struct spoolq {
	struct ipc_client	*ipc;
	const struct spoolq_ops	*ops;
	void			*ctx;
	struct spoolq_msg	*part;		/* an entry not yet whole */
	size_t			 part_n;	/* its recipients so far */
	struct msg_out		 msg;
};

struct spoolq_call {
	spoolq_open_fn		*open_fn;
	spoolq_bounce_fn	*bounce_fn;
	void			*ctx;
};

void
spoolq_msg_free(struct spoolq_msg *m)
{
	if (m == NULL)
		return;
	for (size_t i = 0; m->rcpts != NULL && i < m->n_rcpts; i++) {
		free(m->rcpts[i].address);
		free(m->rcpts[i].dsn.orcpt);
	}
	free(m->content);
	free(m->envid);
	free(m->rcpts);
	free(m->sender);
	free(m->user);
	free(m);
}

static void
spoolq_part_drop(struct spoolq *q)
{
	spoolq_msg_free(q->part);
	q->part = NULL;
	q->part_n = 0;
}

/* Begins an entry from what each of its packets repeats. */
static int
spoolq_part_begin(struct spoolq *q, const struct spoolq_msg *head,
    const char *sender, const char *user, const char *envid)
{
	struct spoolq_msg *m;

	spoolq_part_drop(q);
	if ((m = malloc(sizeof(*m))) == NULL)
		return ERR_NOMEM;
	*m = *head;
	m->sender = strdup(sender);
	m->user = strdup(user);
	m->envid = strdup(envid);
	m->rcpts = calloc(m->n_rcpts, sizeof(*m->rcpts));
	q->part = m;
	if (m->sender == NULL || m->user == NULL || m->envid == NULL ||
	    m->rcpts == NULL)
		return ERR_NOMEM;
	return 0;
}

static int
spoolq_part_rcpt(struct spoolq *q, struct msg_in *in)
{
	struct spoolq_rcpt *r;
	const char *address, *orcpt;
	uint8_t state, told;
	uint64_t next;

	msg_get_str(in, &address, SPOOL_ADDRESS_MAX);
	if (q->part_n >= q->part->n_rcpts)
		return ERR_FORMAT;
	r = &q->part->rcpts[q->part_n];
	msg_get_u8(in, &r->dsn.notify);
	msg_get_str(in, &orcpt, SPOOL_ORCPT_MAX);
	msg_get_u8(in, &state);
	msg_get_u32(in, &r->tries);
	msg_get_u64(in, &next);
	msg_get_u8(in, &told);
	if (in->error != 0 || state >= SPOOLQ_STATE__COUNT ||
	    r->dsn.notify > SPOOL_NOTIFY__ALL || told > 1)
		return ERR_FORMAT;
	r->state = state;
	r->next_try_s = (int64_t)next;
	r->told = told != 0;
	if ((r->address = strdup(address)) == NULL || (orcpt[0] != '\0' &&
	    (r->dsn.orcpt = strdup(orcpt)) == NULL))
		return ERR_NOMEM;
	q->part_n++;
	return 0;
}

/* What came along. Without memory it is asked for, as any other. */
static int
spoolq_part_content(struct spoolq *q, struct msg_in *in)
{
	const void *content;
	size_t len;

	if (msg_get_blob(in, &content, &len, SPOOLQ_ALONG_MAX) != 0 ||
	    msg_get_end(in) != 0 || (len > 0 && len != q->part->octets))
		return ERR_FORMAT;
	if (len > 0 && (q->part->content = malloc(len)) != NULL)
		memcpy(q->part->content, content, len);
	return 0;
}

static int
spoolq_entry(struct spoolq *q, struct msg_in *in)
{
	struct spoolq_msg head = { 0 };
	const char *id, *sender, *user, *envid;
	uint64_t arrived;
	uint32_t n_rcpts, first;
	uint16_t n;
	uint8_t eightbit, smtputf8, foreign, ret;
	int r;

	msg_get_str(in, &id, STR_ID_SIZE - 1);
	msg_get_str(in, &sender, SPOOL_ADDRESS_MAX);
	msg_get_str(in, &user, SPOOL_ADDRESS_MAX);
	msg_get_u64(in, &arrived);
	msg_get_u64(in, &head.octets);
	msg_get_u8(in, &eightbit);
	msg_get_u8(in, &smtputf8);
	msg_get_u8(in, &foreign);
	msg_get_u8(in, &ret);
	msg_get_str(in, &envid, SPOOL_ENVID_MAX);
	if ((r = spool_wishes_get(in, &head.wishes)) != 0)
		return r;
	msg_get_u32(in, &n_rcpts);
	msg_get_u32(in, &first);
	msg_get_u16(in, &n);
	if (in->error != 0 || n_rcpts == 0 || n_rcpts > SPOOL_RCPTS_MAX ||
	    ret > SPOOL_RET_HDRS ||
	    str_copy(head.id, sizeof(head.id), id) != 0)
		return ERR_FORMAT;
	head.arrived_s = (int64_t)arrived;
	head.eightbit = eightbit != 0;
	head.smtputf8 = smtputf8 != 0;
	head.foreign = foreign != 0;
	head.ret = ret;
	head.n_rcpts = n_rcpts;
	if (first == 0 && (r = spoolq_part_begin(q, &head, sender, user,
	    envid)) != 0)
		return r;
	if (q->part == NULL || strcmp(q->part->id, id) != 0 ||
	    q->part_n != first)
		return ERR_FORMAT;
	while (n-- > 0)
		if ((r = spoolq_part_rcpt(q, in)) != 0)
			return r;
	if ((r = spoolq_part_content(q, in)) != 0)
		return r;
	if (q->part_n == q->part->n_rcpts) {
		struct spoolq_msg *m = q->part;

		q->part = NULL;
		q->part_n = 0;
		q->ops->entry(q->ctx, m);
	}
	return 0;
}

static int
spoolq_packet(void *ctx, struct msg_in *in, int fd)
{
	struct spoolq *q = ctx;
	const char *id;
	int r;

	if (fd >= 0)
		close(fd);
	switch (in->type) {
	case SPOOLQ_ENTRY:
		return spoolq_entry(q, in);
	case SPOOLQ_GONE:
	case SPOOLQ_HELD:
		msg_get_str(in, &id, STR_ID_SIZE - 1);
		if ((r = msg_get_end(in)) != 0)
			return r;
		(in->type == SPOOLQ_GONE ? q->ops->gone : q->ops->held)(q->ctx,
		    id);
		return 0;
	case SPOOLQ_OPEN | SPOOL_REPLY:
	case SPOOLQ_BOUNCE | SPOOL_REPLY:
		return 0;		/* after its time */
	default:
		return ERR_FORMAT;
	}
}

static void
spoolq_down(void *ctx)
{
	struct spoolq *q = ctx;

	spoolq_part_drop(q);
	q->ops->reset(q->ctx);
}

static const struct ipc_client_ops spoolq_client_ops = {
	.down = spoolq_down,
	.packet = spoolq_packet,
};

struct spoolq *
spoolq_new(struct loop *l, const char *path, const struct spoolq_ops *ops,
    void *ctx)
{
	struct spoolq *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return NULL;
	q->ops = ops;
	q->ctx = ctx;
	q->ipc = ipc_client_new(l, path, "spool", &spoolq_client_ops, q);
	if (q->ipc == NULL) {
		free(q);
		return NULL;
	}
	ipc_client_set_queue_max(q->ipc, SPOOLQ_QUEUE_MAX);
	return q;
}

void
spoolq_free(struct spoolq *q)
{
	if (q == NULL)
		return;
	ipc_client_free(q->ipc);
	spoolq_part_drop(q);
	free(q);
}

/* What comes in the packet is *content. */
static int
spoolq_get_open(struct msg_in *in, int fd, uint64_t *offset,
    const void **content, size_t *len)
{
	uint8_t how;
	int r;

	if (in->type != (SPOOLQ_OPEN | SPOOL_REPLY))
		return ERR_FORMAT;
	msg_get_u8(in, &how);
	if (in->error == 0 && how == SPOOLQ_HOW_FILE)
		msg_get_u64(in, offset);
	if (in->error == 0 && how == SPOOLQ_HOW_CONTENT)
		msg_get_blob(in, content, len, MSG_MAX);
	if ((r = msg_get_end(in)) != 0)
		return r;
	return how > SPOOLQ_HOW_CONTENT || (how == SPOOLQ_HOW_FILE) !=
	    (fd >= 0) ? ERR_FORMAT : 0;
}

static int
spoolq_reply_open(void *ctx, int rc, struct msg_in *in, int fd)
{
	struct spoolq_call c = *(struct spoolq_call *)ctx;
	const void *content = NULL;
	uint64_t offset = 0;
	size_t len = 0;

	free(ctx);
	if (rc == 0)
		rc = spoolq_get_open(in, fd, &offset, &content, &len);
	if (rc != 0 && fd >= 0)
		close(fd);
	c.open_fn(c.ctx, rc == 0 ? fd : -1, offset, rc == 0 ? content : NULL,
	    len);
	return rc == ERR_AWAY ? 0 : rc;
}

static int
spoolq_reply_bounce(void *ctx, int rc, struct msg_in *in, int fd)
{
	struct spoolq_call c = *(struct spoolq_call *)ctx;
	uint8_t ok = 0;

	free(ctx);
	if (fd >= 0)
		close(fd);
	if (rc == 0) {
		msg_get_u8(in, &ok);
		rc = msg_get_end(in);
		if (in->type != (SPOOLQ_BOUNCE | SPOOL_REPLY))
			rc = ERR_FORMAT;
	}
	c.bounce_fn(c.ctx, rc == 0 && ok != 0);
	return rc == ERR_AWAY ? 0 : rc;
}

/* Sends q->msg as a call; `c` is copied. */
static int
spoolq_call(struct spoolq *q, ipc_reply_fn *fn, const struct spoolq_call *c)
{
	struct spoolq_call *copy = malloc(sizeof(*copy));
	int r;

	if (copy == NULL)
		return ERR_NOMEM;
	*copy = *c;
	if ((r = ipc_client_call(q->ipc, &q->msg, -1, fn, copy)) != 0)
		free(copy);
	return r;
}

int
spoolq_open(struct spoolq *q, const char *id, bool lent, spoolq_open_fn *fn,
    void *ctx)
{
	struct spoolq_call c = { .open_fn = fn, .ctx = ctx };

	msg_begin(&q->msg, SPOOLQ_OPEN, ipc_client_id(q->ipc));
	msg_put_str(&q->msg, id);
	msg_put_u8(&q->msg, lent);
	return spoolq_call(q, spoolq_reply_open, &c);
}

int
spoolq_bounce(struct spoolq *q, const char *id,
    const struct spoolq_part *part, spoolq_bounce_fn *fn, void *ctx)
{
	struct spoolq_call c = { .bounce_fn = fn, .ctx = ctx };

	if (part->len > SPOOL_REPORT_PART_MAX ||
	    part->octets > SPOOL_REPORT_MAX)
		return ERR_LIMIT;
	msg_begin(&q->msg, SPOOLQ_BOUNCE, ipc_client_id(q->ipc));
	msg_put_str(&q->msg, id);
	msg_put_u32(&q->msg, part->octets);
	msg_put_u32(&q->msg, part->offset);
	msg_put_blob(&q->msg, part->text, part->len);
	return spoolq_call(q, spoolq_reply_bounce, &c);
}

static int
spoolq_result(struct spoolq *q, const char *id, uint32_t rcpt,
    enum spoolq_kind kind, int64_t next_try_s, bool told, const char *text)
{
	char cut[SPOOL_TEXT_MAX + 1];
	size_t len = strnlen(text, SPOOL_TEXT_MAX);

	memcpy(cut, text, len);
	cut[len] = '\0';
	msg_begin(&q->msg, SPOOLQ_RESULT, 0);
	msg_put_str(&q->msg, id);
	msg_put_u32(&q->msg, rcpt);
	msg_put_u8(&q->msg, (uint8_t)kind);
	msg_put_u64(&q->msg, (uint64_t)next_try_s);
	msg_put_u8(&q->msg, told);
	msg_put_str(&q->msg, cut);
	return ipc_client_send(q->ipc, &q->msg, -1);
}

int
spoolq_done(struct spoolq *q, const char *id, uint32_t rcpt, const char *text)
{
	return spoolq_result(q, id, rcpt, SPOOLQ_KIND_DONE, 0, false, text);
}

int
spoolq_delivered(struct spoolq *q, const char *id, uint32_t rcpt,
    const char *text)
{
	return spoolq_result(q, id, rcpt, SPOOLQ_KIND_DELIVERED, 0, false,
	    text);
}

int
spoolq_defer(struct spoolq *q, const char *id, uint32_t rcpt,
    int64_t next_try_s, bool told, const char *text)
{
	return spoolq_result(q, id, rcpt, SPOOLQ_KIND_DEFER, next_try_s, told,
	    text);
}

int
spoolq_fail(struct spoolq *q, const char *id, uint32_t rcpt, const char *text)
{
	return spoolq_result(q, id, rcpt, SPOOLQ_KIND_FAIL, 0, false, text);
}
