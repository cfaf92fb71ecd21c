/*
 * smtp_client_envelope.c - MAIL, RCPT and DATA of one message, in one write where
 * the next hop takes commands so (RFC 2920).
 *
 * Runs in submitd-send. Extensions are used where they were offered; what a
 * message cannot go without has been seen to by smtp_client_check.c.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "submitd/send/smtp_client_private.h"

#include "lib/clock.h"
#include "lib/mailbox.h"
#include "lib/str.h"

#define SMTP_CLIENT_WINDOW	50u	/* commands without an answer */
#define SMTP_CLIENT_ORCPT_MAX	500u	/* RFC 3461 section 4.2 */
#define SMTP_CLIENT_WISHES_SIZE	96u

/* RFC 2852 section 4: BY=SECONDS;R or ;N, and T. */
static size_t
smtp_client_by(const struct smtp_client *c, char *dst, size_t size)
{
	const struct spool_wishes *w = c->txn->wishes;
	int n;

	dst[0] = '\0';
	if ((c->ext & SMTP_EXT_DELIVERBY) == 0 || w->by_mode == SPOOL_BY_NONE)
		return 0;
	n = snprintf(dst, size, " BY=%lld;%c%s",
	    (long long)(w->by_s - clock_now_s()),
	    w->by_mode == SPOOL_BY_RETURN ? 'R' : 'N',
	    w->by_trace ? "T" : "");
	return n < 0 || (size_t)n >= size ? 0 : (size_t)n;
}

static void
smtp_client_wishes(const struct smtp_client *c,
    char dst[SMTP_CLIENT_WISHES_SIZE])
{
	const struct spool_wishes *w = c->txn->wishes;
	size_t n;

	dst[0] = '\0';
	if (w == NULL)
		return;
	n = smtp_client_by(c, dst, SMTP_CLIENT_WISHES_SIZE);
	if (w->priority != 0 && (c->ext & SMTP_EXT_MT_PRIORITY) != 0)
		n += (size_t)snprintf(dst + n, SMTP_CLIENT_WISHES_SIZE - n,
		    " MT-PRIORITY=%d", w->priority);
	/* Who does not offer it is a socket of this machine. */
	if (w->requiretls && (c->ext & SMTP_EXT_REQUIRETLS) != 0 &&
	    n + 12 < SMTP_CLIENT_WISHES_SIZE)
		memcpy(dst + n, " REQUIRETLS", 12);
}

static void
smtp_client_mail(struct smtp_client *c)
{
	const struct smtp_client_txn *t = c->txn;
	static const char *const rets[] = { "", " RET=FULL", " RET=HDRS" };
	bool dsn = (c->ext & SMTP_EXT_DSN) != 0;
	bool named = dsn && t->envid != NULL && t->envid[0] != '\0';
	char size[32] = "", sender[MAILBOX_SIZE] = "";
	char wishes[SMTP_CLIENT_WISHES_SIZE];

	if ((c->ext & SMTP_EXT_SIZE) != 0)
		str_format(size, sizeof(size), " SIZE=%llu",
		    (unsigned long long)t->octets);
	(void)smtp_client_address(c, t->sender, sender);
	smtp_client_wishes(c, wishes);
	smtp_client_command(c, "MAIL FROM:<%s>%s%s%s%s%s%s%s", sender, size,
	    t->eightbit && (c->ext & SMTP_EXT_8BITMIME) != 0 ?
	    " BODY=8BITMIME" : "", c->utf8 ? " SMTPUTF8" : "",
	    dsn ? rets[t->ret] : "", named ? " ENVID=" : "",
	    named ? t->envid : "", wishes);
}

/* " NOTIFY=…" as the client had it, "" when it had none. */
static void
smtp_client_notify(uint8_t notify, char dst[64])
{
	static const char *const words[] = { "NEVER", "SUCCESS", "FAILURE",
	    "DELAY" };
	size_t n = 0;

	dst[0] = '\0';
	for (unsigned int i = 0; i < 4; i++)
		if (notify & (1u << i))
			n += (size_t)snprintf(dst + n, 64 - n, "%s%s",
			    n == 0 ? " NOTIFY=" : ",", words[i]);
}

static void
smtp_client_rcpt(struct smtp_client *c, struct outcome_rcpt *r)
{
	char address[MAILBOX_SIZE] = "", notify[64] = "";
	const char *orcpt = NULL;

	r->dsn_passed = (c->ext & SMTP_EXT_DSN) != 0;
	r->by_passed = (c->ext & SMTP_EXT_DELIVERBY) != 0 &&
	    c->txn->wishes != NULL &&
	    c->txn->wishes->by_mode != SPOOL_BY_NONE;
	if (r->dsn_passed) {
		smtp_client_notify(r->dsn.notify, notify);
		orcpt = r->dsn.orcpt;
		/* Longer than RFC 3461 lets it be, with its UTF-8 written out:
		 * only the reports lack it. */
		if (orcpt != NULL && strlen(orcpt) > SMTP_CLIENT_ORCPT_MAX)
			orcpt = NULL;
	}
	(void)smtp_client_address(c, r->address, address);
	smtp_client_command(c, "RCPT TO:<%s>%s%s%s", address, notify,
	    orcpt != NULL ? " ORCPT=" : "", orcpt != NULL ? orcpt : "");
}

/* Commands up to the window (RFC 2920: one at a time where not offered). DATA
 * comes last in the group: where nobody is taken and it is let in all the same,
 * the connection ends, so that no empty message can come of it. */
static void
smtp_client_ask(struct smtp_client *c)
{
	bool pipelining = (c->ext & SMTP_EXT_PIPELINING) != 0;
	size_t window = pipelining ? SMTP_CLIENT_WINDOW : 1;

	while (!c->mail_refused && c->asked <= c->n_rcpts &&
	    c->asked - c->answered < window) {
		if (c->asked == 0)
			smtp_client_mail(c);
		else
			smtp_client_rcpt(c, &c->txn->rcpts[c->asked - 1]);
		c->asked++;
	}
	if (pipelining && !c->by_bdat && !c->mail_refused && !c->data_asked &&
	    c->asked == c->n_rcpts + 1) {
		smtp_client_command(c, "DATA");
		c->data_asked = true;
	}
}

void
smtp_client_envelope(struct smtp_client *c)
{
	c->pos = 0;
	c->by_bdat = c->way.bdat && (c->ext & SMTP_EXT_CHUNKING) != 0;
	smtp_client_enter(c, SMTP_CLIENT_ENVELOPE);
	smtp_client_ask(c);
	if (buf_len(conn_input(c->conn)) > 0)
		conn_kick(c->conn);	/* came while we looked at the octets */
}

/* False: the connection has ended. */
static bool
smtp_client_answer_mail(struct smtp_client *c)
{
	if (c->reply.code == 421)
		c->answered = 0;	/* closing time is no fault of ours */
	if (c->reply.code / 100 == 2)
		return true;
	c->mail_refused = true;
	return smtp_client_judge(c, OUTCOME_NONE);
}

/* "Too many recipients" (RFC 5321 section 4.5.3.1.10), not "mailbox full". */
static bool
smtp_client_too_many(const struct smtp_client *c)
{
	char status[OUTCOME_STATUS_SIZE];

	if (c->reply.code == 452)
		return c->accepted > 0;
	return c->reply.code == 552 && c->accepted > 0 &&
	    outcome_status(c->reply.text, '5', status) &&
	    strcmp(status, "5.5.3") == 0;
}

static bool
smtp_client_answer_rcpt(struct smtp_client *c, struct outcome_rcpt *r)
{
	if (c->mail_refused)
		return true;		/* 503 and the like */
	if (c->reply.code / 100 == 2) {
		c->accepted++;
		outcome_set(r, OUTCOME_ACCEPTED, true, c->reply.text);
		return true;
	}
	if (smtp_client_too_many(c)) {
		/* To be sent again at once, if this transaction gets on. */
		outcome_set(r, OUTCOME_NONE, true, c->reply.text);
		return true;
	}
	if (c->reply.code == 421 || c->reply.code / 100 == 3)
		return smtp_client_judge(c, OUTCOME_NONE);
	smtp_client_decide(c, r);
	return true;
}

/* The answer to a DATA that did not wait for those to RCPT. */
static void
smtp_client_answer_data(struct smtp_client *c)
{
	char text[OUTCOME_TEXT_MAX + 1];

	if (c->accepted > 0) {
		smtp_client_on_data(c);
		return;
	}
	if (c->reply.code != 354) {
		smtp_client_txn_reset(c);
		return;
	}
	/* RFC 2920 section 3.1 lets us end it with a dot; hanging up says the
	 * same to any server. */
	str_copy(text, sizeof(text), c->reply.text);
	conn_close(c->conn, false);
	c->conn = NULL;
	if (smtp_client_txn_end(c, text) && c->state != SMTP_CLIENT_CLOSED)
		smtp_client_lost(c, true, text);
}

/* All recipients have answered. */
static void
smtp_client_envelope_done(struct smtp_client *c)
{
	if (c->data_asked)
		return;			/* its answer comes next */
	if (c->accepted == 0) {
		smtp_client_txn_reset(c);
	} else if (c->by_bdat) {
		smtp_client_content_begin(c);
	} else {
		smtp_client_enter(c, SMTP_CLIENT_DATA);
		smtp_client_command(c, "DATA");
	}
}

void
smtp_client_on_envelope(struct smtp_client *c)
{
	size_t at = c->answered++;

	if (at > c->n_rcpts) {
		smtp_client_answer_data(c);
		return;
	}
	if (!(at == 0 ? smtp_client_answer_mail(c) :
	    smtp_client_answer_rcpt(c, &c->txn->rcpts[at - 1])))
		return;
	smtp_client_rearm(c);
	smtp_client_ask(c);
	if (c->answered == c->asked)
		smtp_client_envelope_done(c);
}
