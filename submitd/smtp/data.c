/*
 * data.c - DATA and BDAT: the envelope goes to submitd-spool, then the content,
 * and 250 only when submitd-spool says that it is on stable storage (RFC 5321
 * sections 4.1.1.4 and 4.2.5, RFC 3030). Runs in submitd-smtp; it keeps no line
 * and no message.
 *
 * A chunk that BDAT announced is read to its end whatever becomes of it, for its
 * octets must never run as commands; a refused one ends the transaction.
 */
#include "config.h"

#include <inttypes.h>
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
data_refuse_broken(struct smtp_session *s)
{
	char ip[ADDR_STRLEN];

	LOG_EV(LOG_WARNING, "smtp.smuggling", s->sid, KV_A("in", "content"),
	    KV_A("rip", addr_ip_text(&s->peer, ip)),
	    KV_S("user", s->tx->user), KV_S("from", s->tx->sender));
	data_refuse(s, SMTP_R_BARE_CONTENT);
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
data_run(struct smtp_session *s, const uint8_t *p, size_t len)
{
	struct smtp_tx *tx = s->tx;
	struct smtp_content *c = tx->content;

	c->octets += len;
	if (tx->txn == NULL)
		return;
	if (c->octets > s->settings->conf->message_size_limit)
		c->too_big = true;
	if (c->too_big || c->reader.broken)
		data_give_up(tx);
	else
		smtp_header_put(&c->header, p, len);
}

static void
data_end(struct smtp_session *s)
{
	struct smtp_content *c = s->tx->content;

	if (c->reader.broken) {
		data_refuse_broken(s);
	} else if (c->too_big) {
		data_refuse(s, SMTP_R_TOO_BIG);
	} else {
		smtp_header_end(&c->header);
		spoolc_commit(s->tx->txn, data_committed);
		smtp_wait(s);
	}
}

/* submitd-spool is behind: nothing more is read until data_drained(). */
static void
data_check_stall(struct smtp_session *s)
{
	if (s->tx->txn == NULL || !spoolc_full(s->tx->txn))
		return;
	s->tx->content->stalled = true;
	conn_pause(s->conn);
}

bool
smtp_data_input(struct smtp_session *s)
{
	struct buf *in = conn_input(s->conn);
	struct smtp_content *c = s->tx->content;
	struct smtp_run run;
	size_t n;

	if (buf_len(in) == 0 || c->stalled)
		return false;
	n = smtp_reader_next(&c->reader, buf_data(in), buf_len(in), &run);
	data_run(s, run.p, run.len);
	buf_consume(in, n);
	if (c->reader.state == SMTP_READER_END)
		data_end(s);
	else
		data_check_stall(s);
	return true;
}

/* submitd-spool has caught up. */
static void
data_drained(void *ctx)
{
	struct smtp_session *s = ctx;

	if ((s->state != SMTP_ST_DATA && s->state != SMTP_ST_CHUNK) ||
	    s->tx->content == NULL || !s->tx->content->stalled)
		return;
	s->tx->content->stalled = false;
	conn_resume(s->conn);
}

/* ------------------------------------------------------------------- BDAT -- */

/* A chunk is there as a whole. */
static void
data_chunk_end(struct smtp_session *s)
{
	struct smtp_content *c = s->tx->content;
	char octets[24];

	c->chunk = false;
	if (c->last) {
		/* RFC 3030 lets the last line go without an end, our next hops
		 * and Maildirs do not. */
		if (smtp_reader_chunks_end(&c->reader) && !c->reader.broken)
			data_run(s, (const uint8_t *)"\r\n", 2);
		data_end(s);
	} else if (c->reader.broken) {
		data_refuse_broken(s);
	} else if (c->too_big) {
		data_refuse(s, SMTP_R_TOO_BIG);
	} else if (c->chunk_octets == 0 &&
	    ++s->sums.cheap > s->settings->conf->command_limit) {
		smtp_reply(s, SMTP_R_TOO_MANY_CHEAP);
	} else {
		(void)str_format(octets, sizeof(octets), "%" PRIu64,
		    c->chunk_octets);
		smtp_reply_with(s, SMTP_R_CHUNK_OK, octets);
	}
}

bool
smtp_chunk_input(struct smtp_session *s)
{
	struct buf *in = conn_input(s->conn);
	struct smtp_content *c = s->tx->content;
	size_t n = buf_len(in);

	if (n == 0 || c->stalled)
		return false;
	if (n > c->chunk_left)
		n = (size_t)c->chunk_left;
	smtp_reader_chunk(&c->reader, buf_data(in), n);
	data_run(s, buf_data(in), n);
	buf_consume(in, n);
	c->chunk_left -= n;
	if (c->chunk_left == 0)
		data_chunk_end(s);
	else
		data_check_stall(s);
	return true;
}

/* "octets [LAST]"; nothing larger than 63 bits, which nobody can send. */
static bool
data_chunk_parse(const char *arg, uint64_t *ret_octets, bool *ret_last)
{
	size_t len = strcspn(arg, " ");
	const char *last = arg + len + strspn(arg + len, " ");

	*ret_last = str_ieq(last, "LAST");
	return str_u64_n(arg, len, 0, INT64_MAX, ret_octets) == 0 &&
	    (*ret_last || *last == '\0');
}

bool
smtp_bdat_refused(struct smtp_session *s, const char *arg)
{
	uint64_t octets;

	if (s->tx != NULL) {
		smtp_tx_drop(s);
		smtp_session_enter(s, smtp_session_rest(s));
	}
	if (str_u64_n(arg, strcspn(arg, " "), 0, INT64_MAX, &octets) != 0)
		return false;
	s->waste = octets;
	return true;
}

/* ------------------------------------------------------------------ begin -- */

/* What the message is kept track of with. */
static bool
data_open_content(struct smtp_session *s)
{
	struct smtp_content *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return false;
	s->tx->content = c;
	str_id(c->message_id);
	smtp_header_begin(&c->header, clock_now_s(), c->message_id,
	    s->settings->conf->hostname, data_emit, s);
	return true;
}

static void
data_begun(void *ctx, enum spoolc_verdict v, const char *queue_id)
{
	struct smtp_session *s = ctx;

	(void)queue_id;
	if (v != SPOOLC_OK) {
		s->tx->txn = NULL;
		data_refuse(s, data_replies[v]);
	} else if (!data_open_content(s)) {
		data_refuse(s, SMTP_R_TRY_LATER);
	} else {
		smtp_session_enter(s, SMTP_ST_DATA);
		smtp_reply(s, SMTP_R_GO_AHEAD);
	}
	smtp_go_on(s);
}

/* The first BDAT's. */
static void
data_chunks_begun(void *ctx, enum spoolc_verdict v, const char *queue_id)
{
	struct smtp_session *s = ctx;
	struct smtp_content *c = s->tx->content;

	(void)queue_id;
	if (v != SPOOLC_OK) {
		s->tx->txn = NULL;
		s->waste = c->chunk_left;
		data_refuse(s, data_replies[v]);
		smtp_go_on(s);
		return;
	}
	smtp_session_enter(s, SMTP_ST_CHUNK);
	if (c->chunk_left == 0)
		data_chunk_end(s);
	/* Else it is being committed. */
	if (s->tx == NULL || !c->last || c->chunk_left > 0)
		smtp_go_on(s);
}

static bool
data_begin(struct smtp_session *s, spoolc_fn *begun)
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
		.smtputf8 = tx->params.smtputf8,
		.ret = (uint8_t)tx->params.ret,
		.envid = tx->params.envid,
		.dsn = tx->dsn,
		.wishes = tx->params.wishes,
	};

	tx->txn = spoolc_begin(s->worker->spoolc, &env, begun, data_drained,
	    s);
	if (tx->txn != NULL)
		smtp_wait(s);
	return tx->txn != NULL;
}

void
smtp_cmd_data(struct smtp_session *s, char *arg)
{
	(void)arg;
	/* Who does not wait for the 354 does not read answers (RFC 2920 section
	 * 3.1: DATA is the last of its group). */
	smtp_line_done(s);
	if (buf_len(conn_input(s->conn)) > 0)
		data_refuse(s, SMTP_R_PIPELINED_DATA);
	else if (!data_begin(s, data_begun))
		data_refuse(s, SMTP_R_TRY_LATER);
}

void
smtp_cmd_bdat(struct smtp_session *s, char *arg)
{
	bool first = s->state == SMTP_ST_RCPT, last;
	enum smtp_reply r = SMTP_R_NONE;
	struct smtp_content *c;
	uint64_t octets;

	if (!data_chunk_parse(arg, &octets, &last))
		r = SMTP_R_PARAM_VALUE;
	else if (first && !data_open_content(s))
		r = SMTP_R_TRY_LATER;
	if (r != SMTP_R_NONE) {
		if (!smtp_bdat_refused(s, arg))
			r = SMTP_R_CHUNK_SYNTAX;
		smtp_reply(s, r);
		return;
	}
	c = s->tx->content;
	c->chunk = true;
	c->last = last;
	c->chunk_octets = c->chunk_left = octets;
	if (!first && octets == 0) {
		data_chunk_end(s);
	} else if (first && !data_begin(s, data_chunks_begun)) {
		s->waste = octets;
		data_refuse(s, SMTP_R_TRY_LATER);
	}
}
