/*
 * smtp_client_txn.c - one message over a connection to a next hop, from its
 * begin to the outcome of each recipient.
 *
 * Runs in submitd-send. A recipient is DONE only by a 2xx to the end of the
 * content, FAILed only by a 5xx to MAIL, RCPT, DATA or the end of the content.
 * A 5.7.x over IPv6 is tried once over IPv4 before it counts: many sites judge
 * hosts with IPv6 addresses by other lists.
 */
#include "config.h"

#include <string.h>

#include "submitd/send/smtp_client_private.h"

#include "lib/log.h"
#include "lib/str.h"

void
smtp_client_txn_begin(struct smtp_client *c)
{
	struct smtp_client_txn *t = c->txn;

	c->asked = c->answered = c->accepted = 0;
	c->data_asked = c->mail_refused = c->in_body = false;
	for (size_t i = 0; i < c->n_rcpts; i++)
		t->rcpts[i].over_ipv4 = false;
	c->utf8 = t->smtputf8 && (c->ext & SMTP_EXT_SMTPUTF8) != 0;
	c->pos = 0;
	c->line_end = 2;	/* as if there were a line in front */
	smtp_client_enter(c, SMTP_CLIENT_CHECK);
	smtp_client_soon(c);
}

void
smtp_client_send(struct smtp_client *c, struct smtp_client_txn *txn)
{
	c->txn = txn;
	c->n_txns++;
	c->n_rcpts = txn->n_rcpts;
	c->told_busy = c->progress = false;
	smtp_client_txn_begin(c);
}

/* --------------------------------------------------------------- outcomes -- */

void
smtp_client_outcome(struct smtp_client *c, enum outcome from, enum outcome to,
    bool remote, const char *text)
{
	outcome_set_all(c->txn->rcpts, c->txn->n_rcpts, from, to, remote, text);
}

/* A refusal by policy, over IPv6, and there is IPv4. */
static bool
smtp_client_ipv4_may_help(const struct smtp_client *c)
{
	char status[OUTCOME_STATUS_SIZE];

	if (c->only_ipv4 || !smtp_client_is_ipv6(c) ||
	    !outcome_status(c->reply.text, '5', status) ||
	    strncmp(status, "5.7.", 4) != 0)
		return false;
	for (size_t i = 0; i < c->n_places; i++)
		if (!c->places[i].is_unix && addr_is_v4(&c->places[i].addr))
			return true;
	return false;
}

void
smtp_client_decide(struct smtp_client *c, struct outcome_rcpt *r)
{
	bool again = smtp_client_ipv4_may_help(c);

	outcome_set(r, again ? OUTCOME_NONE : c->reply.code / 100 == 5 ?
	    OUTCOME_FAIL : OUTCOME_DEFER, true, c->reply.text);
	r->over_ipv4 = again;
}

bool
smtp_client_judge(struct smtp_client *c, enum outcome from)
{
	int class = c->reply.code / 100;

	if (c->reply.code == 421) {
		/* RFC 5321 section 3.8: the channel is being closed. */
		smtp_client_lost(c, true, c->reply.text);
		return false;
	}
	if (class != 4 && class != 5) {
		smtp_client_lost_here(c, "a reply out of place");
		return false;
	}
	for (size_t i = 0; i < c->txn->n_rcpts; i++)
		if (c->txn->rcpts[i].outcome == from)
			smtp_client_decide(c, &c->txn->rcpts[i]);
	return true;
}

/* ----------------------------------------------------------------- the end -- */

/* Those whose refusal does not count yet stand in front; how many. */
static size_t
smtp_client_gather_ipv4(struct smtp_client *c)
{
	struct outcome_rcpt *all = c->txn->rcpts, r;
	size_t n = 0;

	for (size_t i = 0; i < c->txn->n_rcpts; i++) {
		if (!all[i].over_ipv4)
			continue;
		r = all[i];
		all[i] = all[n];
		all[n++] = r;
	}
	return n;
}

/* Begins anew at c->place, over another connection. */
static void
smtp_client_txn_move(struct smtp_client *c)
{
	conn_close(c->conn, true);
	c->conn = NULL;
	c->walking = true;
	smtp_client_enter(c, SMTP_CLIENT_CONNECT);
	smtp_client_soon(c);
}

/* Once more for them, over another connection. */
static bool
smtp_client_txn_over_ipv4(struct smtp_client *c)
{
	size_t n = smtp_client_gather_ipv4(c);

	if (n == 0 || !smtp_client_to_ipv4(c))
		return false;
	LOG_EV(LOG_INFO, "hop.ipv4", NULL, KV_A("relay", c->relay),
	    KV_T("why", outcome_text(&c->txn->rcpts[0])));
	c->n_rcpts = n;
	smtp_client_txn_move(c);
	return true;
}

bool
smtp_client_txn_next_host(struct smtp_client *c)
{
	if (!smtp_client_to_next_host(c))
		return false;
	smtp_client_txn_move(c);
	return true;
}

/* There was no IPv4 to be had: what was said over IPv6 counts. */
static void
smtp_client_txn_ipv6_counts(struct smtp_client *c)
{
	struct smtp_client_txn *t = c->txn;

	for (size_t i = 0; i < t->n_rcpts; i++) {
		if (t->rcpts[i].over_ipv4 &&
		    t->rcpts[i].outcome == OUTCOME_NONE)
			t->rcpts[i].outcome = OUTCOME_FAIL;
		t->rcpts[i].over_ipv4 = false;
	}
}

/* The second time decides, whatever it brings. */
static void
smtp_client_txn_settle(struct smtp_client *c, const char *why)
{
	struct smtp_client_txn *t = c->txn;

	for (size_t i = 0; i < t->n_rcpts && !c->progress; i++) {
		struct outcome_rcpt *r = &t->rcpts[i];
		char text[OUTCOME_TEXT_MAX + 1];

		if (r->outcome != OUTCOME_NONE)
			continue;
		str_copy(text, sizeof(text), r->text != NULL ? r->text : why);
		outcome_set(r, OUTCOME_DEFER, true, text);
	}
	c->txn = NULL;
	c->ops->sent(c->ctx);
}

bool
smtp_client_txn_end(struct smtp_client *c, const char *why)
{
	if (smtp_client_txn_over_ipv4(c))
		return false;
	smtp_client_txn_ipv6_counts(c);
	smtp_client_txn_settle(c, why);
	return true;
}

bool
smtp_client_txn_lost(struct smtp_client *c, bool remote, const char *why)
{
	struct smtp_client_txn *t = c->txn;

	/* A connection that had been idle may be gone without fault of the
	 * message, which then goes by another one. */
	if (c->n_txns > 1 && c->answered == 0)
		c->progress = true;
	for (size_t i = 0; i < t->n_rcpts && !c->progress; i++)
		if (t->rcpts[i].outcome == OUTCOME_NONE &&
		    !t->rcpts[i].over_ipv4)
			outcome_set(&t->rcpts[i], OUTCOME_DEFER, remote, why);
	smtp_client_outcome(c, OUTCOME_ACCEPTED, OUTCOME_DEFER, remote, why);
	return smtp_client_txn_end(c, why);
}

void
smtp_client_txn_reset(struct smtp_client *c)
{
	char text[OUTCOME_TEXT_MAX + 1];

	str_copy(text, sizeof(text), c->reply.text);
	smtp_client_enter(c, SMTP_CLIENT_RSET);
	smtp_client_command(c, "RSET");
	(void)smtp_client_txn_end(c, text);
}

void
smtp_client_refuse_here(struct smtp_client *c, const char *text)
{
	smtp_client_outcome(c, OUTCOME_NONE, OUTCOME_FAIL, false, text);
	c->progress = true;
	if (smtp_client_txn_end(c, text) && c->state != SMTP_CLIENT_CLOSED)
		smtp_client_set_ready(c);
}
