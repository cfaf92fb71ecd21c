/*
 * data.c - DATA: the envelope goes to submitd-spool, then the content, and 250
 * only when submitd-spool says that it is on stable storage (RFC 5321 sections
 * 4.1.1.4 and 4.2.5). Runs in submitd-smtp; it keeps no line and no message.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "submitd/smtp/address.h"
#include "submitd/smtp/command.h"

static const enum smtp_reply data_replies[SPOOLC_VERDICT__COUNT] = {
	[SPOOLC_OK] = SMTP_R_QUEUED,
	[SPOOLC_VOID] = SMTP_R_VOID,
	[SPOOLC_NOTSENDER] = SMTP_R_NOT_SENDER,
	[SPOOLC_NOSPACE] = SMTP_R_NO_SPACE,
	[SPOOLC_TOOBIG] = SMTP_R_TOO_BIG,
	[SPOOLC_TEMP] = SMTP_R_TRY_LATER,
	[SPOOLC_LOOP] = SMTP_R_LOOP,
};

/* The transaction is over with this answer, which is not a 250. */
static void
data_refuse(struct smtp_session *s, enum smtp_reply r)
{
	char *sender = s->tx->sender;

	s->tx->sender = NULL;
	smtp_tx_drop(s);
	smtp_session_enter(s, smtp_session_rest(s));
	smtp_refuse(s, r, "DATA", sender);
	free(sender);
}

static void
data_log_queued(const struct smtp_session *s, const char *queue_id)
{
	const struct smtp_tx *tx = s->tx;
	char ip[ADDR_STRLEN];

	LOG_EV(LOG_INFO, "msg.queued", s->sid, KV_A("qid", queue_id),
	    KV_A("rip", addr_ip_text(&s->peer, ip)), KV_S("user", tx->user),
	    KV_S("from", tx->sender), KV_U("nrcpt", tx->n_rcpts),
	    KV_U("octets", tx->content->octets),
	    KV_I("ms", clock_mono_ms() - tx->began_ms));
}

static void
data_committed(void *ctx, enum spoolc_verdict v, const char *queue_id)
{
	struct smtp_session *s = ctx;

	s->tx->txn = NULL;
	if (v == SPOOLC_OK) {
		data_log_queued(s, queue_id);
		s->sums.messages++;
		s->sums.cheap = 0;
		smtp_tx_drop(s);
		smtp_session_enter(s, smtp_session_rest(s));
		smtp_reply_with(s, SMTP_R_QUEUED, queue_id);
	} else {
		data_refuse(s, data_replies[v]);
	}
	smtp_go_on(s);
}

/* ---------------------------------------------------------------- content -- */

static void
data_emit(void *ctx, const void *p, size_t len)
{
	struct smtp_session *s = ctx;

	spoolc_data(s->tx->txn, p, len);
}

/* Nothing of it will be kept: it is read to its end all the same. */
static void
data_give_up(struct smtp_tx *tx)
{
	spoolc_abort(tx->txn);
	tx->txn = NULL;
}

static void
data_run(struct smtp_session *s, const struct smtp_run *run)
{
	struct smtp_tx *tx = s->tx;
	struct smtp_content *c = tx->content;

	c->octets += run->len;
	if (tx->txn == NULL)
		return;
	if (c->octets > s->settings->conf->message_size_limit)
		c->too_big = true;
	if (c->too_big || c->reader.broken)
		data_give_up(tx);
	else
		smtp_header_put(&c->header, run->p, run->len);
}

static void
data_end(struct smtp_session *s)
{
	struct smtp_content *c = s->tx->content;
	char ip[ADDR_STRLEN];

	if (c->reader.broken) {
		LOG_EV(LOG_WARNING, "smtp.smuggling", s->sid,
		    KV_A("rip", addr_ip_text(&s->peer, ip)),
		    KV_S("user", s->tx->user), KV_S("from", s->tx->sender));
		data_refuse(s, SMTP_R_BARE_CONTENT);
	} else if (c->too_big) {
		data_refuse(s, SMTP_R_TOO_BIG);
	} else {
		smtp_header_end(&c->header);
		spoolc_commit(s->tx->txn, data_committed);
		smtp_wait(s);
	}
}

bool
smtp_data_input(struct smtp_session *s)
{
	struct buf *in = conn_input(s->conn);
	struct smtp_tx *tx = s->tx;
	struct smtp_content *c = tx->content;
	struct smtp_run run;
	size_t n;

	if (buf_len(in) == 0 || c->stalled)
		return false;
	n = smtp_reader_next(&c->reader, buf_data(in), buf_len(in), &run);
	data_run(s, &run);
	buf_consume(in, n);
	if (c->reader.state == SMTP_READER_END) {
		data_end(s);
	} else if (tx->txn != NULL && spoolc_full(tx->txn)) {
		c->stalled = true;
		conn_pause(s->conn);
	}
	return true;
}

/* submitd-spool has caught up. */
static void
data_drained(void *ctx)
{
	struct smtp_session *s = ctx;

	if (s->state != SMTP_ST_DATA || s->tx->content == NULL ||
	    !s->tx->content->stalled)
		return;
	s->tx->content->stalled = false;
	conn_resume(s->conn);
}

/* ------------------------------------------------------------------ begin -- */

static void
data_begun(void *ctx, enum spoolc_verdict v, const char *queue_id)
{
	struct smtp_session *s = ctx;
	struct smtp_content *c;

	(void)queue_id;
	if (v != SPOOLC_OK) {
		s->tx->txn = NULL;
		data_refuse(s, data_replies[v]);
	} else if ((c = calloc(1, sizeof(*c))) == NULL) {
		data_refuse(s, SMTP_R_TRY_LATER);
	} else {
		s->tx->content = c;
		str_id(c->message_id);
		smtp_header_begin(&c->header, clock_now_s(), c->message_id,
		    s->settings->conf->hostname, data_emit, s);
		smtp_session_enter(s, SMTP_ST_DATA);
		smtp_reply(s, SMTP_R_GO_AHEAD);
	}
	smtp_go_on(s);
}

void
smtp_cmd_data(struct smtp_session *s, char *arg)
{
	struct smtp_tx *tx = s->tx;
	struct spoolc_envelope env = {
		.ticket = tx->ticket->data,
		.ticket_len = tx->ticket->len,
		.sender = tx->sender,
		.rcpts = (const char *const *)tx->rcpts,
		.n_rcpts = tx->n_rcpts,
		.helo = smtp_helo_is_name(s->hello->name) ? s->hello->name :
		    "",
		.size = tx->params.size,
		.eightbit = tx->params.eightbit,
	};

	(void)arg;
	tx->txn = spoolc_begin(s->worker->spoolc, &env, data_begun,
	    data_drained, s);
	if (tx->txn == NULL)
		data_refuse(s, SMTP_R_TRY_LATER);
	else
		smtp_wait(s);
}
