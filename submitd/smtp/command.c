/*
 * command.c - the table of commands, and the one gate before each of them.
 * Runs in submitd-smtp.
 */
#include "config.h"
#include "submitd/smtp/command.h"

#include <string.h>

#include "lib/str.h"
#include "submitd/smtp/address.h"

#define B(st)		(1u << SMTP_ST_##st)
#define IN_CLEAR	(B(GREET) | B(CLEAR))
#define IN_TX		(B(MAIL) | B(RCPT) | B(CHUNK))
#define IN_RCPT		(B(MAIL) | B(RCPT))
#define IN_TLS		(B(SECURE) | B(HELLO) | B(READY) | IN_TX)
#define IN_ANY		(IN_CLEAR | IN_TLS)

#define LINE		512u	/* RFC 5321 section 4.5.3.1.4 */
/* + 26 SIZE (RFC 1870), 17 BODY (RFC 6152), 500 AUTH (RFC 4954), 10 SMTPUTF8
 * (RFC 6531), 107 RET and ENVID (RFC 3461 section 3) */
#define LINE_MAIL	(LINE + 26u + 17u + 500u + 10u + 107u)
/* + 500 ORCPT, 28 NOTIFY */
#define LINE_RCPT	(LINE + 500u + 28u)

#define NOARG	SMTP_CMD_NOARG
#define ARG	SMTP_CMD_ARG
#define CHEAP	SMTP_CMD_CHEAP
#define LMTP	SMTP_CMD_LMTP
#define TCP	SMTP_CMD_TCP

/* clang-format off */
static const struct smtp_command commands[] = {
	{ "EHLO",     IN_ANY,      ARG | CHEAP | TCP, LINE,      smtp_cmd_ehlo,
	  "EHLO name: says who you are, and asks what this server can do" },
	{ "HELO",     IN_ANY,      ARG | CHEAP | TCP, LINE,      smtp_cmd_helo,
	  "HELO name: says who you are; EHLO is better" },
	{ "LHLO",     IN_TLS,      ARG | CHEAP | LMTP, LINE,  smtp_cmd_lhlo,
	  "LHLO name: says who you are, and asks what this server can do" },
	{ "STARTTLS", IN_CLEAR,    NOARG | TCP,    LINE,      smtp_cmd_starttls,
	  "STARTTLS: TLS from here on; it is under way already" },
	{ "AUTH",     B(HELLO),    ARG | TCP | SMTP_CMD_SECRET,
						   SMTP_AUTH_LINE_MAX,
							      smtp_cmd_auth,
	  "AUTH mechanism [initial-response]: logs in; EHLO names the mechanisms" },
	{ "MAIL",     B(HELLO) | B(READY),
				   ARG | SMTP_CMD_PARAMS,
						   LINE_MAIL, smtp_cmd_mail,
	  "MAIL FROM:<address> [SIZE=octets] [BODY=7BIT|8BITMIME] [SMTPUTF8] "
	  "[RET=FULL|HDRS] [ENVID=id] [HOLDFOR=seconds|HOLDUNTIL=time] "
	  "[BY=seconds;R|N] [MT-PRIORITY=n] [REQUIRETLS]: begins a message" },
	{ "RCPT",     IN_RCPT,     ARG,            LINE_RCPT, smtp_cmd_rcpt,
	  "RCPT TO:<address> [NOTIFY=NEVER|SUCCESS,FAILURE,DELAY] "
	  "[ORCPT=type;address]: names a recipient" },
	{ "DATA",     B(RCPT),     NOARG,          LINE,      smtp_cmd_data,
	  "DATA: the message follows, up to a line with a dot alone" },
	{ "BDAT",     B(RCPT) | B(CHUNK),
				   ARG | TCP | SMTP_CMD_OCTETS,
						   LINE,      smtp_cmd_bdat,
	  "BDAT octets [LAST]: so many octets of the message follow" },
	{ "RSET",     IN_TLS,      NOARG | CHEAP,  LINE,      smtp_cmd_rset,
	  "RSET: gives up the message that was begun" },
	{ "NOOP",     IN_ANY,      CHEAP,          LINE,      smtp_cmd_noop,
	  "NOOP: does nothing" },
	{ "VRFY",     IN_TLS,      ARG | CHEAP,    LINE,      smtp_cmd_vrfy,
	  "VRFY address: is not answered here" },
	{ "EXPN",     IN_TLS,      ARG | CHEAP,    LINE,      smtp_cmd_expn,
	  "EXPN list: is not answered here" },
	{ "HELP",     IN_TLS,      CHEAP,          LINE,      smtp_cmd_help,
	  "HELP [command]: tells about a command, or names all of them" },
	{ "XCLIENT",  IN_ANY,      ARG | TCP,      LINE,      smtp_cmd_xclient,
	  NULL },
	{ "QUIT",     IN_ANY,      NOARG,          LINE,      smtp_cmd_quit,
	  "QUIT: ends the session" },
	/* Answered, not offered. RFC 6409 section 7: no ETRN, no ATRN here,
	 * and 521 for none of them. */
	{ "ETRN",     IN_TLS,      0,              LINE,      smtp_cmd_not_here, NULL },
	{ "ATRN",     IN_TLS,      0,              LINE,      smtp_cmd_not_here, NULL },
	{ "TURN",     IN_TLS,      0,              LINE,      smtp_cmd_not_here, NULL },
	{ "SEND",     IN_TLS,      0,              LINE,      smtp_cmd_not_here, NULL },
	{ "SOML",     IN_TLS,      0,              LINE,      smtp_cmd_not_here, NULL },
	{ "SAML",     IN_TLS,      0,              LINE,      smtp_cmd_not_here, NULL },
};
/* clang-format on */

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

const struct smtp_command *
smtp_command_row(size_t i)
{
	return i < N_COMMANDS ? &commands[i] : NULL;
}

const struct smtp_command *
smtp_command_find(const char *verb, size_t len)
{
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (str_ieq_n(commands[i].verb, verb, len))
			return &commands[i];
	return NULL;
}

bool
smtp_command_is_here(const struct smtp_command *c, bool lmtp)
{
	return !(c->flags & (lmtp ? TCP : LMTP));
}

enum smtp_reply
smtp_command_refusal(const struct smtp_command *c, enum smtp_state st)
{
	unsigned int now = 1u << st;

	if (c->states & now)
		return SMTP_R_NONE;
	if (now & IN_CLEAR)		/* RFC 3207 section 4 */
		return SMTP_R_NEEDS_TLS;
	if (!(now & IN_TLS))
		return SMTP_R_BAD_SEQUENCE;
	if (!(c->states & IN_TLS))	/* STARTTLS */
		return SMTP_R_TLS_ACTIVE;
	if (now == B(SECURE))
		return SMTP_R_HELLO_FIRST;
	if (c->states == B(HELLO))	/* AUTH, RFC 4954 section 4 */
		return now == B(READY) ? SMTP_R_AUTH_DONE : SMTP_R_AUTH_IN_TX;
	if (now == B(CHUNK))		/* RFC 3030 section 2: no DATA there */
		return SMTP_R_CHUNKS_BEGUN;
	if (now & IN_TX)
		return c->states & B(RCPT) ? SMTP_R_RCPT_FIRST :
		    SMTP_R_NESTED_MAIL;
	return SMTP_R_MAIL_FIRST;
}

/* Cuts the spaces at the end: printers send them. */
static size_t
command_trim(char *text, size_t len)
{
	while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
		text[--len] = '\0';
	return len;
}

static size_t
command_line_max(const struct smtp_session *s, const struct smtp_command *c)
{
	if (c == NULL)
		return LINE;
	return c->line_max + (c->flags & SMTP_CMD_PARAMS ?
	    smtp_extensions_octets(s->settings->extensions) : 0);
}

void
smtp_command_long(struct smtp_session *s, const struct smtp_command *c)
{
	char max[24];

	(void)str_format(max, sizeof(max), "%zu", command_line_max(s, c));
	smtp_reply_with(s, SMTP_R_LONG_LINE, max);
}

static void
command_unknown(struct smtp_session *s, const char *text, size_t verb,
    size_t octets)
{
	if (s->hello == NULL && tls_first_is_http(text, verb)) {
		smtp_hint_http(s);
		return;
	}
	if (smtp_past_is_masked(text, verb))
		smtp_past_flag(s, AUTHP_PAST_MASKED);
	if (octets > LINE)
		smtp_command_long(s, NULL);
	else
		smtp_reply(s, SMTP_R_UNKNOWN_COMMAND);
}

/* What he will ask about later: that he wanted to log in, or with which sender
 * he wanted to send. */
static void
command_in_clear(struct smtp_session *s, const struct smtp_command *c,
    const char *arg)
{
	const char *at = arg + strlen("FROM:");
	struct smtp_path path;
	size_t used;

	if (c->flags & SMTP_CMD_SECRET)
		smtp_past_flag(s, AUTHP_PAST_AUTH_CLEAR);
	if (c->run == smtp_cmd_mail && str_istarts(arg, "FROM:") &&
	    smtp_path_parse(at, strlen(at), &path, &used) == SMTP_PATH_OK &&
	    !path.postmaster)
		smtp_past_reply(s, SMTP_R_NEEDS_TLS, NULL,
		    path.null ? "" : path.mailbox.text);
}

static enum smtp_reply
command_check(const struct smtp_session *s, const struct smtp_command *c,
    const char *arg, size_t octets)
{
	enum smtp_reply r;

	if (octets > command_line_max(s, c))
		return SMTP_R_LONG_LINE;
	r = smtp_command_refusal(c, s->state);
	if (r == SMTP_R_NEEDS_TLS)
		return r;
	/* Syntax before sequence: it is wrong in any state. */
	if ((c->flags & SMTP_CMD_NOARG) && *arg != '\0')
		return SMTP_R_NO_ARGUMENT;
	if ((c->flags & SMTP_CMD_ARG) && *arg == '\0')
		return SMTP_R_NEEDS_ARGUMENT;
	return r;
}

void
smtp_command_line(struct smtp_session *s, char *text, size_t len,
    size_t octets)
{
	const struct smtp_command *c;
	enum smtp_reply r;
	size_t verb;
	char *arg;

	s->sums.commands++;
	len = command_trim(text, len);
	verb = strcspn(text, " ");
	for (arg = text + verb; *arg == ' '; arg++)
		;
	if ((c = smtp_command_find(text, verb)) == NULL ||
	    !smtp_command_is_here(c, s->lmtp)) {
		command_unknown(s, text, verb, octets);
		return;
	}
	if (s->tls == NULL && s->sums.commands == 1)
		sessions_note_plain(s->worker->table,
		    addr_place(&s->peer, &s->via));
	s->secret_line = c->flags & SMTP_CMD_SECRET;
	if ((r = command_check(s, c, arg, octets)) != SMTP_R_NONE) {
		/* All recipients were refused, as a pipelining client learns
		 * here (RFC 2920 section 3.1; LMTP has 503 for it). */
		if (r == SMTP_R_RCPT_FIRST && s->tx->refused > 0 && !s->lmtp)
			r = SMTP_R_NO_VALID_RCPT;
		if (r == SMTP_R_NEEDS_TLS)
			command_in_clear(s, c, arg);
		if ((c->flags & SMTP_CMD_OCTETS) && !smtp_bdat_refused(s, arg))
			r = SMTP_R_CHUNK_SYNTAX;
		if (r == SMTP_R_LONG_LINE)
			smtp_command_long(s, c);
		else
			smtp_reply(s, r);
		return;
	}
	if ((c->flags & SMTP_CMD_CHEAP) &&
	    ++s->sums.cheap > s->settings->conf->command_limit) {
		smtp_reply(s, SMTP_R_TOO_MANY_CHEAP);
		return;
	}
	c->run(s, arg);
}
