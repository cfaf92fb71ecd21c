/*
 * smtp_client_check.c - can this next hop pass the message on as it is?
 *
 * Runs in submitd-send. Nothing is converted, for signatures have to survive:
 * what the next hop does not take fails, with the reason.
 */
#include "config.h"

#include <string.h>
#include <unistd.h>

#include "submitd/send/smtp_client_private.h"

#include "lib/clock.h"
#include "lib/mailbox.h"
#include "lib/str.h"

#define SMTP_CLIENT_CHECK_PIECES 32u	/* a turn of the loop */

ssize_t
smtp_client_piece(struct smtp_client *c, uint8_t piece[SMTP_CLIENT_PIECE])
{
	uint64_t left = c->txn->octets - c->pos;
	size_t want = left < SMTP_CLIENT_PIECE ? (size_t)left :
	    SMTP_CLIENT_PIECE;
	ssize_t n;

	if (want == 0)
		return 0;
	/* The last piece is never a crumb: the end goes with it. */
	if (left > want && left - want < SMTP_CLIENT_TAIL_MAX)
		want -= SMTP_CLIENT_TAIL_MAX;
	if (c->txn->content != NULL) {
		memcpy(piece, c->txn->content + c->pos, want);
		c->pos += want;
		return (ssize_t)want;
	}
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

int
smtp_client_address(const struct smtp_client *c, const char *address,
    char dst[])
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

/* The wishes that a next hop must grant; NULL: it does. */
static const char *
smtp_client_check_wishes(const struct smtp_client *c)
{
	const struct spool_wishes *w = c->txn->wishes;
	bool away = !c->places[c->place].is_unix;	/* over a network */

	if (w == NULL)
		return NULL;
	/* RFC 8689 section 4.2.1: a name that is known to be the right one, and
	 * shown to be its own. */
	if (w->requiretls && away && (!c->verified || (!c->way.fixed &&
	    !c->hosts->mx_secure)))
		return "5.7.30 REQUIRETLS: the next hop has not shown that it "
		    "is the right one";
	if (w->requiretls && away && (c->ext & SMTP_EXT_REQUIRETLS) == 0)
		return "5.7.30 REQUIRETLS: the next hop does not offer it";
	/* RFC 2852 section 4: who would not return it in time does not get
	 * it. */
	if (w->by_mode != SPOOL_BY_RETURN || w->by_s == 0 || c->way.lmtp)
		return NULL;		/* by LMTP it is delivered */
	if ((c->ext & SMTP_EXT_DELIVERBY) == 0)
		return "5.3.3 the next hop does not offer DELIVERBY, so that "
		    "it would not return the message in time";
	if (w->by_s - clock_now_s() < (int64_t)c->min_by_s ||
	    w->by_s <= clock_now_s())
		return "5.4.7 the time that is left is less than the next hop "
		    "wants";
	return NULL;
}

void
smtp_client_on_check(struct smtp_client *c)
{
	const char *why = smtp_client_check_wishes(c);
	char text[160];

	if (c->size_limit > 0 && c->txn->octets > c->size_limit) {
		str_format(text, sizeof(text), "5.3.4 the message has %llu "
		    "octets, the next hop takes %llu",
		    (unsigned long long)c->txn->octets,
		    (unsigned long long)c->size_limit);
		smtp_client_refuse_here(c, text);
		return;
	}
	/* RFC 8689 section 4.2.1: another host of the list may do it. */
	if (why != NULL && c->txn->wishes->requiretls &&
	    smtp_client_txn_next_host(c))
		return;
	if (why != NULL) {
		smtp_client_refuse_here(c, why);
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
