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
#include "lib/mailbox.h"
#include "submitd/smtp/address.h"
#include "submitd/smtp/command.h"

#define DATA_PIECE	4096u	/* octets; more come from who sends as he can */

static const enum smtp_reply data_replies[SPOOLC_VERDICT__COUNT] = {
	[SPOOLC_OK] = SMTP_R_QUEUED,
	[SPOOLC_VOID] = SMTP_R_VOID,
	[SPOOLC_NOTSENDER] = SMTP_R_NOT_SENDER,
	[SPOOLC_NOSPACE] = SMTP_R_NO_SPACE,
	[SPOOLC_FULL] = SMTP_R_USER_FULL,
	[SPOOLC_TOOBIG] = SMTP_R_TOO_BIG,
	[SPOOLC_TEMP] = SMTP_R_TRY_LATER,
	[SPOOLC_LOOP] = SMTP_R_LOOP,
	[SPOOLC_LIMIT] = SMTP_R_LIMIT,
	[SPOOLC_OVER] = SMTP_R_LIMIT_REJECT,
};

/* The transaction is over with this answer, which is not a 250. */
static void
data_refuse_with(struct smtp_session *s, enum smtp_reply r, const char *field,
    const char *detail)
{
	char *sender = s->tx->sender;
	char text[SMTP_HEADER_NAME_MAX + 2 * MAILBOX_SIZE + 32];
	char name[SMTP_HEADER_NAME_MAX + 1] = "";

	/* What they point to goes with the transaction. */
	(void)str_copy(text, sizeof(text), detail == NULL ? "" : detail);
	(void)str_copy(name, sizeof(name), field == NULL ? "" : field);
	s->tx->sender = NULL;
	smtp_tx_drop(s);
	smtp_session_enter(s, smtp_session_rest(s));
	smtp_refuse_message(s, r, sender, field == NULL ? NULL : name,
	    detail == NULL ? NULL : text);
	free(sender);
}

static void
data_refuse_limit(struct smtp_session *s, enum smtp_reply r, uint64_t limit)
{
	char text[24];

	(void)str_format(text, sizeof(text), "%" PRIu64, limit);
	data_refuse_with(s, r, NULL, text);
}

static void
data_refuse(struct smtp_session *s, enum smtp_reply r)
{
	uint64_t all = s->settings->conf->message_size_limit;
	uint64_t limit = smtp_tx_size_limit(s);
	char *sender;

	if (r == SMTP_R_TOO_BIG && limit < all) {
		data_refuse_limit(s, SMTP_R_TOO_BIG_USER, limit);
	} else if (r == SMTP_R_TOO_BIG) {
		data_refuse_limit(s, r, all);
	} else if (r == SMTP_R_LOOP) {
		data_refuse_limit(s, r, s->settings->conf->received_limit);
	} else {
		sender = s->tx->sender;
		s->tx->sender = NULL;
		smtp_tx_drop(s);
		smtp_session_enter(s, smtp_session_rest(s));
		smtp_refuse(s, r, "DATA", sender);
		free(sender);
	}
}

/* submitd-spool would not have it. */
static void
data_refuse_verdict(struct smtp_session *s, enum spoolc_verdict v,
    const char *text)
{
	if (v == SPOOLC_LIMIT || v == SPOOLC_OVER || v == SPOOLC_FULL)
		data_refuse_with(s, data_replies[v], NULL, text);
	else
		data_refuse(s, data_replies[v]);
}

static void
data_refuse_header(struct smtp_session *s)
{
	static const enum smtp_reply replies[SMTP_HEADER_FAULT__COUNT] = {
		[SMTP_HEADER_TWICE] = SMTP_R_HEADER_TWICE,
		[SMTP_HEADER_SPACE] = SMTP_R_HEADER_SPACE,
		[SMTP_HEADER_NAME] = SMTP_R_HEADER_NAME,
		[SMTP_HEADER_ADDRESS] = SMTP_R_HEADER_ADDRESS,
		[SMTP_HEADER_NO_FROM] = SMTP_R_NO_FROM,
		[SMTP_HEADER_FOREIGN] = SMTP_R_NOT_FROM,
		[SMTP_HEADER_SIZE] = SMTP_R_HEADER_SIZE,
		[SMTP_HEADER_COUNT] = SMTP_R_HEADER_COUNT,
		[SMTP_HEADER_MEMORY] = SMTP_R_TRY_LATER,
	};
	const struct smtp_header *h = &s->tx->content->header;
	const struct conf *conf = s->settings->conf;
	enum smtp_reply r = replies[h->found.fault];
	char text[SMTP_HEADER_NAME_MAX + 2 * MAILBOX_SIZE + 32];

	if (r == SMTP_R_TRY_LATER || r == SMTP_R_NO_FROM) {
		data_refuse_with(s, r, r == SMTP_R_NO_FROM ? "From" : NULL,
		    NULL);
	} else if (r == SMTP_R_HEADER_SIZE || r == SMTP_R_HEADER_COUNT) {
		data_refuse_limit(s, r, r == SMTP_R_HEADER_SIZE ?
		    conf->header_size_limit : conf->header_count_limit);
	} else {
		/* His address only to who has shown that he is that user. */
		(void)str_format(text, sizeof(text), "%s%s%s%s%s",
		    h->found.field, h->foreign == NULL ? "" : ": ",
		    h->foreign == NULL ? "" : h->foreign,
		    r != SMTP_R_NOT_FROM || s->user == NULL ? "" :
		    "; you may send as ",
		    r != SMTP_R_NOT_FROM || s->user == NULL ? "" : s->user);
		data_refuse_with(s, r, h->found.field, text);
	}
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

/* sender_policy = add-sender, header_policy = log: what would else have been
 * refused. */
static void
data_log_header(const struct smtp_session *s)
{
	const struct smtp_header *h = &s->tx->content->header;
	const struct smtp_header_found *l = &h->logged;
	char ip[ADDR_STRLEN];

	if (h->added != NULL)
		LOG_EV(LOG_NOTICE, "smtp.header", s->sid,
		    KV_A("rip", addr_ip_text(&s->peer, ip)),
		    KV_S("user", s->tx->user), KV_S("from", s->tx->sender),
		    KV_A("header", "From"), KV_A("why", "foreign"),
		    KV_S("address", h->added), KV_A("action", "add-sender"));
	if (l->fault != SMTP_HEADER_OK)
		LOG_EV(LOG_NOTICE, "smtp.header", s->sid,
		    KV_A("rip", addr_ip_text(&s->peer, ip)),
		    KV_S("user", s->tx->user), KV_S("from", s->tx->sender),
		    KV_S("header", l->field),
		    KV_A("why", smtp_header_fault_name(l->fault)),
		    KV_A("action", "log"));
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
		smtp_past_queued(s, queue_id);
		s->sums.messages++;
		s->sums.cheap = 0;
		smtp_tx_drop(s);
		smtp_session_enter(s, smtp_session_rest(s));
		smtp_reply_with(s, SMTP_R_QUEUED, queue_id);
	} else {
		data_refuse_verdict(s, v, queue_id);
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

static void data_end(struct smtp_session *s);
static void data_chunk_end(struct smtp_session *s);
static void data_check_stall(struct smtp_session *s);

/* The minimum rate counts from here on. */
static void
data_rate_begin(struct smtp_content *c)
{
	c->rate_ms = clock_mono_ms();
	c->rate_octets = c->octets;
}

/* What was there of the message while authd was asked goes its way, and then
 * what was put off meanwhile. */
static void
data_asked(void *ctx, const struct authc_reply *r)
{
	struct smtp_session *s = ctx;
	struct smtp_tx *tx = s->tx;
	struct smtp_content *c = tx->content;

	s->has_call = false;
	s->waiting = false;
	if (r->verdict == AUTHP_OK && r->blob_len == c->header.n_addresses)
		smtp_header_answer(&c->header, r->blob);
	else
		c->failed = r->verdict == AUTHP_VOID ||
		    r->verdict == AUTHP_NOAUTH ? SMTP_R_VOID :
		    SMTP_R_TRY_LATER;
	if (c->failed != SMTP_R_NONE || c->header.found.fault != SMTP_HEADER_OK)
		data_give_up(tx);
	else if (buf_len(&c->rest) > 0)
		smtp_header_put(&c->header, buf_data(&c->rest),
		    buf_len(&c->rest));
	buf_free(&c->rest);
	data_rate_begin(c);
	if (c->ended)
		data_end(s);
	else if (s->state == SMTP_ST_CHUNK && c->chunk && c->chunk_left == 0)
		data_chunk_end(s);
	else
		data_check_stall(s);
	if (!s->waiting)
		smtp_go_on(s);
}

/* Whose are the addresses in the header? `p` comes behind it. */
static void
data_ask(struct smtp_session *s, const uint8_t *p, size_t len)
{
	const struct smtp_ticket *t = s->tx->ticket;
	struct smtp_content *c = s->tx->content;
	const char *addresses[AUTHP_FROM_MAX];
	size_t n = c->header.n_addresses;

	for (size_t i = 0; i < n; i++)
		addresses[i] = c->header.addresses[i]->text;
	buf_init(&c->rest, SMTP_IN_MAX);
	if ((len > 0 && buf_append(&c->rest, p, len) != 0) ||
	    authc_from(s->worker->authc, t->data, t->len, addresses, n,
	    data_asked, s, &s->call) != 0) {
		c->failed = SMTP_R_TRY_LATER;
		data_give_up(s->tx);
		return;
	}
	s->has_call = true;
	smtp_wait(s);
}

static bool
data_is_bad(const struct smtp_session *s)
{
	const struct smtp_content *c = s->tx->content;

	return c->reader.broken || c->too_big || c->failed != SMTP_R_NONE ||
	    (c->reader.longest > s->settings->conf->line_limit && !s->lmtp) ||
	    c->header.found.fault != SMTP_HEADER_OK;
}

/* Says what is wrong with it. */
static void
data_refuse_bad(struct smtp_session *s)
{
	const struct smtp_content *c = s->tx->content;

	if (c->reader.broken)
		data_refuse_broken(s);
	else if (c->too_big)
		data_refuse(s, SMTP_R_TOO_BIG);
	else if (c->failed != SMTP_R_NONE)
		data_refuse(s, c->failed);
	else if (c->header.found.fault != SMTP_HEADER_OK)
		data_refuse_header(s);
	else
		data_refuse_limit(s, SMTP_R_LONG_CONTENT,
		    s->settings->conf->line_limit);
}

static void
data_run(struct smtp_session *s, const uint8_t *p, size_t len)
{
	struct smtp_tx *tx = s->tx;
	struct smtp_content *c = tx->content;
	size_t n;

	c->octets += len;
	if (c->octets > smtp_tx_size_limit(s))
		c->too_big = true;
	if (tx->txn == NULL)
		return;
	if (data_is_bad(s)) {
		data_give_up(tx);
		return;
	}
	n = smtp_header_put(&c->header, p, len);
	if (c->header.found.fault != SMTP_HEADER_OK)
		data_give_up(tx);
	else if (c->header.state == SMTP_HEADER_ASK)
		data_ask(s, p + n, len - n);
}

/* All of it is here; what had to wait for an answer comes here again. */
static void
data_end(struct smtp_session *s)
{
	struct smtp_content *c = s->tx->content;

	c->ended = true;
	if (s->waiting)
		return;
	if (!data_is_bad(s)) {
		smtp_header_end(&c->header);
		if (c->header.state == SMTP_HEADER_ASK)
			data_ask(s, NULL, 0);
		if (s->waiting)
			return;
	}
	if (data_is_bad(s)) {
		data_refuse_bad(s);
	} else {
		data_log_header(s);
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
	s->tx->content->paused_ms = clock_mono_ms();
	conn_pause(s->conn);
}

/* A client that sends so slowly holds a session for nothing. All that came is
 * read by now. True: it has been told, and the session is over. */
static bool
data_check_rate(struct smtp_session *s)
{
	struct smtp_content *c = s->tx->content;
	uint64_t rate = s->settings->conf->data_min_rate;
	int64_t window = s->worker->rate_window_ms;

	if (rate == 0 || clock_mono_ms() - c->rate_ms < window)
		return false;
	if (c->octets - c->rate_octets < rate * (uint64_t)window / 1000) {
		data_refuse_limit(s, SMTP_R_TOO_SLOW, rate);
		return true;
	}
	data_rate_begin(c);
	return false;
}

/* Waiting for more. Who sends line by line with Nagle's algorithm on goes on only
 * when the last one is acknowledged, which TCP puts off where no reply is due. */
static void
data_await(struct smtp_session *s, size_t n)
{
	if (!data_check_rate(s) && n < DATA_PIECE)
		conn_acknowledge(s->conn);
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
	if (s->waiting)
		return true;
	if (c->reader.state == SMTP_READER_END) {
		data_end(s);
		return true;
	}
	data_check_stall(s);
	if (buf_len(in) == 0 && !c->stalled)
		data_await(s, n);
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
	s->tx->content->rate_ms += clock_mono_ms() -
	    s->tx->content->paused_ms;
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
	} else if (data_is_bad(s)) {
		data_refuse_bad(s);
	} else if (c->chunk_octets == 0 &&
	    ++s->sums.cheap > s->settings->conf->command_limit) {
		smtp_reply(s, SMTP_R_TOO_MANY_CHEAP);
	} else if (!data_check_rate(s)) {
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
	if (s->waiting)
		return true;
	if (c->chunk_left == 0) {
		data_chunk_end(s);
		return true;
	}
	data_check_stall(s);
	if (!c->stalled)
		data_await(s, n);
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
	struct smtp_header_rules rules = {
		.conf = s->settings->conf, .now_s = clock_now_s(),
		.sender = s->tx->sender, .user = s->tx->user,
	};
	struct smtp_content *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return false;
	s->tx->content = c;
	str_id(c->message_id);
	rules.id = c->message_id;
	smtp_header_begin(&c->header, &rules, data_emit, s);
	/* What others have written is received as it is. */
	if (s->lmtp)
		c->header.state = SMTP_HEADER_BODY;
	data_rate_begin(c);
	return true;
}

static void
data_begun(void *ctx, enum spoolc_verdict v, const char *queue_id)
{
	struct smtp_session *s = ctx;

	if (v != SPOOLC_OK)
		s->tx->txn = NULL;
	bool waited = s->waiting;

	/* Who has not waited for this answer would have the lines of a message
	 * that is refused run as commands. */
	if (waited && conn_has_more(s->conn)) {
		data_refuse(s, SMTP_R_PIPELINED_DATA);
	} else if (v != SPOOLC_OK) {
		data_refuse_verdict(s, v, queue_id);
	} else if (!data_open_content(s)) {
		data_refuse(s, SMTP_R_TRY_LATER);
	} else {
		smtp_session_enter(s, SMTP_ST_DATA);
		smtp_reply(s, SMTP_R_GO_AHEAD);
		s->replies = s->lmtp ? s->tx->taken : 0;
	}
	if (waited)
		smtp_go_on(s);
}

/* The first BDAT's. */
static void
data_chunks_begun(void *ctx, enum spoolc_verdict v, const char *queue_id)
{
	struct smtp_session *s = ctx;
	struct smtp_content *c = s->tx->content;
	bool waited = s->waiting;

	if (v != SPOOLC_OK) {
		s->tx->txn = NULL;
		s->waste = c->chunk_left;
		data_refuse_verdict(s, v, queue_id);
		smtp_go_on(s);
		return;
	}
	smtp_session_enter(s, SMTP_ST_CHUNK);
	data_rate_begin(c);
	s->waiting = false;
	if (c->chunk_left == 0)
		data_chunk_end(s);
	/* Else it is being committed. */
	if (waited && !s->waiting)
		smtp_go_on(s);
}

/* `begun` may be called at once. */
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
	if (tx->txn == NULL)
		return false;
	if (spoolc_is_begun(tx->txn))
		begun(s, SPOOLC_OK, "");
	else
		smtp_wait(s);
	return true;
}

void
smtp_cmd_data(struct smtp_session *s, char *arg)
{
	(void)arg;
	/* Who does not wait for the 354 does not read answers (RFC 2920 section
	 * 3.1: DATA is the last of its group). */
	smtp_line_done(s);
	if (conn_has_more(s->conn))
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
