/*
 * smtp_client_content.c - the content of one message, by DATA or BDAT (RFC
 * 3030), and the answers to it: one, or by LMTP one for each recipient (RFC 2033
 * section 4.2).
 *
 * Runs in submitd-send. The message is read from its descriptor piece by piece
 * as the socket takes it; memory doesn't grow with its size.
 */
#include "config.h"

#include <string.h>
#include <sys/ioctl.h>
#include <linux/sockios.h>

#include "submitd/send/smtp_client_private.h"

#include "lib/str.h"

#define SMTP_CLIENT_TAIL_MS	20
#define SMTP_CLIENT_TAIL_WAITS	500u	/* 10 s */

void
smtp_client_content_begin(struct smtp_client *c)
{
	content_init(&c->content);
	smtp_client_enter(c, SMTP_CLIENT_CONTENT);
	if (c->by_bdat)
		smtp_client_command(c, "BDAT %llu LAST",
		    (unsigned long long)c->txn->octets);
	smtp_client_pump(c);
}

void
smtp_client_on_data(struct smtp_client *c)
{
	if (c->reply.code != 354) {
		if (smtp_client_judge(c, OUTCOME_ACCEPTED)) {
			c->progress |= c->reply.code / 100 == 5;
			smtp_client_txn_reset(c);
		}
		return;
	}
	/* The answer to the content cannot come before the content. */
	if (buf_len(conn_input(c->conn)) > 0) {
		smtp_client_lost_here(c, "a reply out of place");
		return;
	}
	smtp_client_content_begin(c);
}

/* ---------------------------------------------------------------- sending -- */

/* The end of the data, behind a PIX: CR LF . CR LF and what stands in front of
 * it leave as a segment of their own, once all else has been acknowledged, for
 * some of these boxes do not see it where it is cut in two. */
static int
smtp_client_hold_tail(struct smtp_client *c, const uint8_t *p, size_t len)
{
	c->n_tail = len < sizeof(c->tail) ? len : sizeof(c->tail);
	memcpy(c->tail, p + len - c->n_tail, c->n_tail);
	c->tail_waits = 0;
	smtp_client_enter(c, SMTP_CLIENT_TAIL);
	timer_arm(&c->soon, SMTP_CLIENT_TAIL_MS);
	return len == c->n_tail ? 0 : conn_write(c->conn, p, len - c->n_tail);
}

void
smtp_client_tail(struct smtp_client *c)
{
	int waiting = 0;

	if (conn_pending(c->conn) > 0 ||
	    (ioctl(conn_fd(c->conn), SIOCOUTQ, &waiting) == 0 && waiting > 0 &&
	    ++c->tail_waits < SMTP_CLIENT_TAIL_WAITS)) {
		timer_arm(&c->soon, SMTP_CLIENT_TAIL_MS);
		return;
	}
	smtp_client_enter(c, SMTP_CLIENT_END);
	(void)conn_write(c->conn, c->tail, c->n_tail);
}

/* One piece as it goes over the wire; with the end behind the last one, so that
 * both leave in one write. */
static int
smtp_client_put(struct smtp_client *c, const uint8_t *piece, size_t n)
{
	uint8_t out[2 * SMTP_CLIENT_PIECE + CONTENT_END_SIZE];
	bool last = c->pos == c->txn->octets;
	size_t len;

	if (c->by_bdat) {
		if (last)
			smtp_client_enter(c, SMTP_CLIENT_END);
		return conn_write(c->conn, piece, n);
	}
	len = content_stuff(&c->content, piece, n, out);
	if (last) {
		len += content_end(&c->content, out + len);
		if (c->pix)
			return smtp_client_hold_tail(c, out, len);
		smtp_client_enter(c, SMTP_CLIENT_END);
	}
	return conn_write(c->conn, out, len);
}

void
smtp_client_pump(struct smtp_client *c)
{
	uint8_t piece[SMTP_CLIENT_PIECE];
	ssize_t n;

	while (c->state == SMTP_CLIENT_CONTENT &&
	    conn_pending(c->conn) < CONN_OUT_HIGH) {
		if ((n = smtp_client_piece(c, piece)) < 0) {
			/* Cut off here it is no message: nothing is delivered. */
			smtp_client_lost_here(c, "the spool's file cannot be "
			    "read");
			return;
		}
		if (smtp_client_put(c, piece, (size_t)n) != 0) {
			smtp_client_lost_here(c, "no memory");
			return;
		}
	}
}

/* ---------------------------------------------------------------- answers -- */

/* An answer before the end: a refusal counts, anything else is no answer. The
 * connection can't be used any more, for the next hop may still wait. */
void
smtp_client_on_content(struct smtp_client *c)
{
	char text[OUTCOME_TEXT_MAX + 1];

	if (!smtp_client_judge(c, OUTCOME_ACCEPTED))
		return;
	str_copy(text, sizeof(text), c->reply.text);
	c->progress |= c->reply.code / 100 == 5;
	smtp_client_lost(c, true, text);
}

static void
smtp_client_finish(struct smtp_client *c)
{
	char text[OUTCOME_TEXT_MAX + 1];
	bool refused;

	str_copy(text, sizeof(text), c->reply.text);
	refused = c->reply.code / 100 != 2;
	if (!smtp_client_txn_end(c, text) || c->state == SMTP_CLIENT_CLOSED)
		return;
	if (c->by_bdat && refused) {
		/* RFC 3030 section 4.2: behind a refused BDAT comes RSET. */
		smtp_client_enter(c, SMTP_CLIENT_RSET);
		smtp_client_command(c, "RSET");
	} else {
		smtp_client_set_ready(c);
	}
}

/* The next of those taken at RCPT; NULL: there is none. */
static struct outcome_rcpt *
smtp_client_accepted(const struct smtp_client *c)
{
	for (size_t i = 0; i < c->n_rcpts; i++)
		if (c->txn->rcpts[i].outcome == OUTCOME_ACCEPTED)
			return &c->txn->rcpts[i];
	return NULL;
}

/* One answer of as many as there are recipients. */
static void
smtp_client_on_lmtp(struct smtp_client *c)
{
	struct outcome_rcpt *r = smtp_client_accepted(c);
	int class = c->reply.code / 100;

	if (class == 2) {
		outcome_set(r, OUTCOME_DONE, true, c->reply.text);
	} else if (c->reply.code == 421) {
		smtp_client_lost(c, true, c->reply.text);
		return;
	} else if (class == 3) {
		smtp_client_lost_here(c, "a reply out of place");
		return;
	} else {
		smtp_client_decide(c, r);
	}
	c->progress |= class != 4;
	smtp_client_rearm(c);
	if (smtp_client_accepted(c) == NULL)
		smtp_client_finish(c);
}

void
smtp_client_on_end(struct smtp_client *c)
{
	if (c->way.lmtp) {
		smtp_client_on_lmtp(c);
		return;
	}
	if (c->reply.code / 100 == 2)
		smtp_client_outcome(c, OUTCOME_ACCEPTED, OUTCOME_DONE, true,
		    c->reply.text);
	else if (!smtp_client_judge(c, OUTCOME_ACCEPTED))
		return;
	c->progress |= c->reply.code / 100 != 4;
	smtp_client_finish(c);
}
