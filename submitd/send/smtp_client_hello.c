/*
 * smtp_client_hello.c - greeting, EHLO, HELO and LHLO: who the next hop is and
 * what it can do.
 *
 * Runs in submitd-send. Keywords that stand in front of TLS are forgotten behind
 * it (RFC 3207 section 4.2).
 */
#include "config.h"

#include <string.h>

#include "submitd/send/smtp_client_private.h"

#include "lib/log.h"
#include "lib/str.h"

/* Cisco PIX and ASA ("fixup protocol smtp") write asterisks over the greeting:
 * all of it, or all but the zeros and twos of an old bug. Behind one of them
 * commands are not pipelined and CR LF . CR LF must come in one segment. */
static bool
smtp_client_is_pix(const char *text)
{
	size_t stars = 0;

	for (; *text != '\0'; text++) {
		if (*text == '*')
			stars++;
		else if (strchr("02 ", *text) == NULL)
			return false;
	}
	return stars >= 6;
}

void
smtp_client_ehlo(struct smtp_client *c)
{
	c->ext = 0;
	c->size_limit = c->min_by_s = 0;
	smtp_client_enter(c, SMTP_CLIENT_EHLO);
	smtp_client_command(c, "%s %s", c->way.lmtp ? "LHLO" : "EHLO",
	    c->hostname);
}

void
smtp_client_on_greeting(struct smtp_client *c)
{
	if (c->reply.code / 100 != 2) {
		smtp_client_refused(c);
		return;
	}
	c->greeted = true;
	/* Under TLS no box in between can read along. */
	if (!c->way.lmtp && !conn_is_tls(c->conn) &&
	    smtp_client_is_pix(c->reply.text)) {
		c->pix = true;
		LOG_EV(LOG_NOTICE, "hop.pix", NULL, KV_A("relay", c->relay));
	}
	smtp_client_ehlo(c);
}

/* The mechanism of the route stands in the line of AUTH. */
static bool
smtp_client_has_mech(const struct smtp_client *c, const char *words)
{
	static const char *const names[] = { [CONF_AUTH_PLAIN] = "PLAIN",
	    [CONF_AUTH_LOGIN] = "LOGIN", [CONF_AUTH_XOAUTH2] = "XOAUTH2" };
	const char *want;
	size_t len;

	if (c->way.auth == CONF_AUTH_NONE)
		return false;
	want = names[c->way.auth];
	for (; *words != '\0'; words += len + (words[len] != '\0')) {
		len = strcspn(words, " ");
		if (len == strlen(want) && str_ieq_n(want, words, len))
			return true;
	}
	return false;
}

/* One line of the reply to EHLO (RFC 5321 section 4.1.1.1). */
void
smtp_client_keyword(void *ctx, unsigned int line, char *text)
{
	struct smtp_client *c = ctx;
	static const struct {
		const char	*word;
		unsigned int	 bit;
	} rows[] = {
		{ "PIPELINING", SMTP_EXT_PIPELINING },
		{ "8BITMIME", SMTP_EXT_8BITMIME },
		{ "STARTTLS", SMTP_EXT_STARTTLS },
		{ "SIZE", SMTP_EXT_SIZE },
		{ "SMTPUTF8", SMTP_EXT_SMTPUTF8 },
		{ "DSN", SMTP_EXT_DSN },
		{ "CHUNKING", SMTP_EXT_CHUNKING },
		{ "REQUIRETLS", SMTP_EXT_REQUIRETLS },
		{ "MT-PRIORITY", SMTP_EXT_MT_PRIORITY },
		{ "DELIVERBY", SMTP_EXT_DELIVERBY },
	};
	static const struct {
		unsigned int	 bit;
		size_t		 offset;
	} numbers[] = {
		{ SMTP_EXT_SIZE, offsetof(struct smtp_client, size_limit) },
		{ SMTP_EXT_DELIVERBY, offsetof(struct smtp_client, min_by_s) },
	};
	/* "AUTH=LOGIN" is what some said before RFC 2554. */
	char *argument = text + strcspn(text, " =");
	unsigned int bit = 0;

	if (line == 1)
		return;
	if (*argument != '\0')
		*argument++ = '\0';
	if (str_ieq(text, "AUTH") && smtp_client_has_mech(c, argument))
		bit = SMTP_EXT_AUTH;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (str_ieq(text, rows[i].word))
			bit = rows[i].bit;
	c->ext |= bit;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		uint64_t *n = (uint64_t *)((char *)c + numbers[i].offset);

		if (numbers[i].bit == bit &&
		    str_u64(argument, 0, UINT64_MAX, n) != 0)
			*n = 0;
	}
}

void
smtp_client_on_ehlo(struct smtp_client *c)
{
	int class = c->reply.code / 100;

	if (class == 5 && !c->way.lmtp && smtp_client_level(c) <=
	    CONF_TLS_MAY) {
		/* RFC 5321 section 3.2: an old server knows HELO only. */
		smtp_client_enter(c, SMTP_CLIENT_HELO);
		c->ext = 0;
		smtp_client_command(c, "HELO %s", c->hostname);
		return;
	}
	if (class != 2) {
		smtp_client_refused(c);
		return;
	}
	if (c->pix)
		c->ext &= ~(unsigned int)(SMTP_EXT_PIPELINING |
		    SMTP_EXT_CHUNKING);
	if (!smtp_client_wants_tls(c) && !smtp_client_auth(c))
		smtp_client_set_ready(c);
}

void
smtp_client_on_helo(struct smtp_client *c)
{
	if (c->reply.code / 100 != 2)
		smtp_client_refused(c);
	else
		smtp_client_set_ready(c);
}
