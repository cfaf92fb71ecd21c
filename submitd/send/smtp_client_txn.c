/*
 * smtp_client_txn.c - one message over a connection to a next hop.
 *
 * Runs in submitd-send. The message is read from its descriptor piece by piece
 * as the socket takes it; memory doesn't grow with its size. A recipient is
 * DONE only by a 2xx to the end of data, FAILed only by a 5xx to MAIL, RCPT,
 * DATA or the end of data.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "submitd/send/smtp_client_private.h"

#include "lib/err.h"
#include "lib/mailbox.h"
#include "lib/str.h"

#define SMTP_CLIENT_WINDOW	50u	/* commands without an answer */
#define SMTP_CLIENT_ORCPT_MAX	500u	/* RFC 3461 section 4.2 */
#define SMTP_CLIENT_PIECE	8192u
#define SMTP_CLIENT_CHECK_PIECES 32u	/* a turn of the loop */

void
smtp_client_send(struct smtp_client *c, struct smtp_client_txn *txn)
{
	c->txn = txn;
	c->n_txns++;
	c->asked = c->answered = c->accepted = 0;
	c->mail_refused = c->progress = c->in_body = false;
	c->utf8 = txn->smtputf8 && (c->ext & SMTP_EXT_SMTPUTF8) != 0;
	c->n_rcpts = txn->n_rcpts;
	c->pos = 0;
	c->line_end = 2;	/* as if there were a line in front */
	smtp_client_enter(c, SMTP_CLIENT_CHECK);
	timer_arm(&c->soon, 0);
}

static void
smtp_client_outcome(struct smtp_client *c, enum outcome from, enum outcome to,
    bool remote, const char *text)
{
	outcome_set_all(c->txn->rcpts, c->txn->n_rcpts, from, to, remote, text);
}

/* All outcomes are there, but for those who get another chance at once. */
static void
smtp_client_txn_end(struct smtp_client *c, const char *why)
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

void
smtp_client_txn_lost(struct smtp_client *c, bool remote, const char *why)
{
	/* A connection that had been idle may be gone without fault of the
	 * message, which then goes by another one. */
	if (c->n_txns > 1 && c->answered == 0)
		c->progress = true;
	else
		smtp_client_outcome(c, OUTCOME_NONE, OUTCOME_DEFER, remote,
		    why);
	smtp_client_outcome(c, OUTCOME_ACCEPTED, OUTCOME_DEFER, remote, why);
	smtp_client_txn_end(c, why);
}

/* The reply decides over all that stand at `from`. False: it ended the
 * connection. */
static bool
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
	smtp_client_outcome(c, from, class == 5 ? OUTCOME_FAIL : OUTCOME_DEFER,
	    true, c->reply.text);
	return true;
}

static void
smtp_client_txn_reset(struct smtp_client *c)
{
	char text[OUTCOME_TEXT_MAX + 1];

	str_copy(text, sizeof(text), c->reply.text);
	smtp_client_enter(c, SMTP_CLIENT_RSET);
	smtp_client_command(c, "RSET");
	smtp_client_txn_end(c, text);
}

/* ----------------------------------------------------------- the message -- */

/* The next piece: its length, 0 at the end, -1 when it cannot be read. */
static ssize_t
smtp_client_piece(struct smtp_client *c, uint8_t piece[SMTP_CLIENT_PIECE])
{
	uint64_t left = c->txn->octets - c->pos;
	size_t want = left < SMTP_CLIENT_PIECE ? (size_t)left :
	    SMTP_CLIENT_PIECE;
	ssize_t n;

	if (want == 0)
		return 0;
	n = pread(c->txn->fd, piece, want, (off_t)(c->txn->offset + c->pos));
	if (n <= 0)
		return -1;
	c->pos += (uint64_t)n;
	return n;
}

static bool
smtp_client_has_high(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] >= 0x80)
			return true;
	return false;
}

static void smtp_client_envelope(struct smtp_client *c);

static void
smtp_client_refuse_here(struct smtp_client *c, const char *text)
{
	smtp_client_outcome(c, OUTCOME_NONE, OUTCOME_FAIL, false, text);
	smtp_client_txn_end(c, text);
	smtp_client_set_ready(c);
}

/* What the message needs, and the next hop has not said that it has. */
static bool
smtp_client_lacks(const struct smtp_client *c, bool smtputf8)
{
	return smtputf8 ? c->txn->smtputf8 && !c->utf8 :
	    c->txn->eightbit && (c->ext & SMTP_EXT_8BITMIME) == 0;
}

/* Where the header ends in this piece; in_body and line_end go along. */
static size_t
smtp_client_header_end(struct smtp_client *c, const uint8_t *p, size_t len)
{
	size_t i;

	for (i = 0; i < len && !c->in_body; i++) {
		if (p[i] == (c->line_end % 2 == 0 ? '\r' : '\n'))
			c->in_body = ++c->line_end == 4;
		else
			c->line_end = p[i] == '\r';
	}
	return i;
}

#define NEEDS_UTF8 " has other than ASCII characters, and the next hop does " \
	"not take that (SMTPUTF8)"

/* Looks for 8-bit octets, some pieces a turn. RFC 6152 section 3: what has them
 * cannot go to a next hop without 8BITMIME; RFC 6531 section 3.2: what has them
 * in its header cannot go to one without SMTPUTF8. Many clients say
 * BODY=8BITMIME or SMTPUTF8 for any message, so the octets decide and not the
 * word. */
static void
smtp_client_check_bits(struct smtp_client *c)
{
	uint8_t piece[SMTP_CLIENT_PIECE];

	for (unsigned int i = 0; i < SMTP_CLIENT_CHECK_PIECES; i++) {
		ssize_t n = smtp_client_piece(c, piece);
		size_t head = n <= 0 ? 0 :
		    smtp_client_header_end(c, piece, (size_t)n);

		if (smtp_client_lacks(c, true) &&
		    smtp_client_has_high(piece, head)) {
			smtp_client_refuse_here(c,
			    "5.6.7 the message's header" NEEDS_UTF8);
			return;
		}
		if (smtp_client_lacks(c, false) && n > 0 &&
		    smtp_client_has_high(piece, (size_t)n)) {
			smtp_client_refuse_here(c, "5.6.3 the message has 8-bit"
			    " characters, which the next hop does not take");
			return;
		}
		if (n <= 0 || (c->in_body && !smtp_client_lacks(c, false))) {
			smtp_client_envelope(c);
			return;
		}
	}
	timer_arm(&c->soon, 0);
}

/* An address as it is told to this next hop; ERR_NOTFOUND when it cannot be. */
static int
smtp_client_address(const struct smtp_client *c, const char *address,
    char dst[MAILBOX_SIZE])
{
	struct mailbox box;

	if (c->utf8 || mailbox_parse(address, strlen(address), &box) != 0)
		return str_copy(dst, MAILBOX_SIZE, address);
	return mailbox_ascii(&box, dst);
}

/* Those who cannot even be named without SMTPUTF8 fail, and stand behind the
 * others. */
static void
smtp_client_check_names(struct smtp_client *c)
{
	struct outcome_rcpt *all = c->txn->rcpts, failed;
	char ascii[MAILBOX_SIZE];
	bool sender = smtp_client_address(c, c->txn->sender, ascii) == 0;

	for (size_t i = 0; i < c->n_rcpts;) {
		if (sender &&
		    smtp_client_address(c, all[i].address, ascii) == 0) {
			i++;
			continue;
		}
		outcome_set(&all[i], OUTCOME_FAIL, false, sender ?
		    "5.6.7 the address" NEEDS_UTF8 :
		    "5.6.7 the sender's address" NEEDS_UTF8);
		failed = all[i];
		all[i] = all[--c->n_rcpts];
		all[c->n_rcpts] = failed;
	}
}

void
smtp_client_on_check(struct smtp_client *c)
{
	char text[160];

	if (c->size_limit > 0 && c->txn->octets > c->size_limit) {
		str_format(text, sizeof(text), "5.3.4 the message has %llu "
		    "octets, the next hop takes %llu",
		    (unsigned long long)c->txn->octets,
		    (unsigned long long)c->size_limit);
		smtp_client_refuse_here(c, text);
		return;
	}
	if (c->pos == 0 && smtp_client_lacks(c, true))
		smtp_client_check_names(c);
	if (c->n_rcpts == 0)
		smtp_client_refuse_here(c, "");
	else if (smtp_client_lacks(c, true) || smtp_client_lacks(c, false))
		smtp_client_check_bits(c);
	else
		smtp_client_envelope(c);
}

/* ---------------------------------------------------------- the envelope -- */

static void
smtp_client_mail(struct smtp_client *c)
{
	const struct smtp_client_txn *t = c->txn;
	static const char *const rets[] = { "", " RET=FULL", " RET=HDRS" };
	bool dsn = (c->ext & SMTP_EXT_DSN) != 0;
	bool named = dsn && t->envid != NULL && t->envid[0] != '\0';
	char size[32] = "", sender[MAILBOX_SIZE] = "";

	if ((c->ext & SMTP_EXT_SIZE) != 0)
		str_format(size, sizeof(size), " SIZE=%llu",
		    (unsigned long long)t->octets);
	(void)smtp_client_address(c, t->sender, sender);
	smtp_client_command(c, "MAIL FROM:<%s>%s%s%s%s%s%s", sender, size,
	    t->eightbit && (c->ext & SMTP_EXT_8BITMIME) != 0 ?
	    " BODY=8BITMIME" : "", c->utf8 ? " SMTPUTF8" : "",
	    dsn ? rets[t->ret] : "", named ? " ENVID=" : "",
	    named ? t->envid : "");
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
 * waits for all answers, so that no empty message can come of it. */
static void
smtp_client_ask(struct smtp_client *c)
{
	size_t window = (c->ext & SMTP_EXT_PIPELINING) != 0 ?
	    SMTP_CLIENT_WINDOW : 1;

	while (!c->mail_refused && c->asked <= c->n_rcpts &&
	    c->asked - c->answered < window) {
		if (c->asked == 0)
			smtp_client_mail(c);
		else
			smtp_client_rcpt(c, &c->txn->rcpts[c->asked - 1]);
		c->asked++;
	}
}

static void
smtp_client_envelope(struct smtp_client *c)
{
	c->pos = 0;
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
	if (r->outcome != OUTCOME_NONE)
		return true;		/* MAIL was refused: 503 and the like */
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
	outcome_set(r, c->reply.code / 100 == 5 ? OUTCOME_FAIL : OUTCOME_DEFER,
	    true, c->reply.text);
	return true;
}

void
smtp_client_on_envelope(struct smtp_client *c)
{
	size_t at = c->answered++;

	if (!(at == 0 ? smtp_client_answer_mail(c) :
	    smtp_client_answer_rcpt(c, &c->txn->rcpts[at - 1])))
		return;
	smtp_client_rearm(c);
	smtp_client_ask(c);
	if (c->answered < c->asked)
		return;
	if (c->accepted == 0) {
		smtp_client_txn_reset(c);
		return;
	}
	smtp_client_enter(c, SMTP_CLIENT_DATA);
	smtp_client_command(c, "DATA");
}

/* ----------------------------------------------------------- the content -- */

void
smtp_client_on_data(struct smtp_client *c)
{
	if (c->reply.code != 354) {
		if (smtp_client_judge(c, OUTCOME_ACCEPTED)) {
			c->progress = c->reply.code / 100 == 5;
			smtp_client_txn_reset(c);
		}
		return;
	}
	/* The answer to the content cannot come before the content. */
	if (buf_len(conn_input(c->conn)) > 0) {
		smtp_client_lost_here(c, "a reply out of place");
		return;
	}
	content_init(&c->content);
	smtp_client_enter(c, SMTP_CLIENT_CONTENT);
	smtp_client_pump(c);
}

void
smtp_client_pump(struct smtp_client *c)
{
	uint8_t piece[SMTP_CLIENT_PIECE], out[2 * SMTP_CLIENT_PIECE];
	ssize_t n;

	while (conn_pending(c->conn) < CONN_OUT_HIGH) {
		if ((n = smtp_client_piece(c, piece)) < 0) {
			/* Cut off here it is no message: nothing is delivered. */
			smtp_client_lost_here(c, "the spool's file cannot be "
			    "read");
			return;
		}
		if (n == 0) {
			size_t len = content_end(&c->content, out);

			smtp_client_enter(c, SMTP_CLIENT_END);
			(void)conn_write(c->conn, out, len);
			return;
		}
		if (conn_write(c->conn, out, content_stuff(&c->content, piece,
		    (size_t)n, out)) != 0) {
			smtp_client_lost_here(c, "no memory");
			return;
		}
	}
}

/* An answer before the end: a refusal counts, anything else is no answer. The
 * connection can't be used any more, for the next hop may still wait. */
void
smtp_client_on_content(struct smtp_client *c)
{
	char text[OUTCOME_TEXT_MAX + 1];

	if (!smtp_client_judge(c, OUTCOME_ACCEPTED))
		return;
	str_copy(text, sizeof(text), c->reply.text);
	c->progress = c->reply.code / 100 == 5;
	smtp_client_lost(c, true, text);
}

void
smtp_client_on_end(struct smtp_client *c)
{
	char text[OUTCOME_TEXT_MAX + 1];

	if (c->reply.code / 100 == 2)
		smtp_client_outcome(c, OUTCOME_ACCEPTED, OUTCOME_DONE, true,
		    c->reply.text);
	else if (!smtp_client_judge(c, OUTCOME_ACCEPTED))
		return;
	c->progress = c->reply.code / 100 != 4;
	str_copy(text, sizeof(text), c->reply.text);
	smtp_client_txn_end(c, text);
	smtp_client_set_ready(c);
}
