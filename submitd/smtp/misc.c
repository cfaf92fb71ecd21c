/*
 * misc.c - the commands that need nobody else: RSET NOOP VRFY EXPN HELP QUIT,
 * and those that have no place on this port. Runs in submitd-smtp.
 */
#include "config.h"

#include <string.h>

#include "submitd/smtp/command.h"

void
smtp_cmd_rset(struct smtp_session *s, char *arg)
{
	(void)arg;
	smtp_tx_drop(s);
	smtp_session_enter(s, smtp_session_rest(s));
	smtp_reply(s, SMTP_R_OK);
}

void
smtp_cmd_noop(struct smtp_session *s, char *arg)
{
	(void)arg;
	smtp_reply(s, SMTP_R_OK);
}

void
smtp_cmd_vrfy(struct smtp_session *s, char *arg)
{
	(void)arg;
	smtp_reply(s, SMTP_R_CANNOT_VRFY);
}

void
smtp_cmd_expn(struct smtp_session *s, char *arg)
{
	(void)arg;
	smtp_reply(s, SMTP_R_CANNOT_EXPN);
}

/* RFC 5321 section 4.1.1.8: about one command, or about all. */
static void
help_about(struct smtp_session *s, const char *verb)
{
	const struct smtp_command *c = smtp_command_find(verb, strlen(verb));

	if (c == NULL || c->help == NULL ||
	    !smtp_command_is_here(c, s->lmtp))
		smtp_reply(s, SMTP_R_HELP_UNKNOWN);
	else
		smtp_reply_with(s, SMTP_R_HELP, c->help);
}

void
smtp_cmd_help(struct smtp_session *s, char *arg)
{
	const struct smtp_command *c;
	char text[256] = "Commands:";

	if (*arg != '\0') {
		help_about(s, arg);
		return;
	}
	for (size_t i = 0; (c = smtp_command_row(i)) != NULL; i++) {
		if (c->help == NULL || !smtp_command_is_here(c, s->lmtp))
			continue;
		strncat(text, " ", sizeof(text) - strlen(text) - 1);
		strncat(text, c->verb, sizeof(text) - strlen(text) - 1);
	}
	smtp_reply_with(s, SMTP_R_HELP, text);
}

void
smtp_cmd_quit(struct smtp_session *s, char *arg)
{
	(void)arg;
	smtp_tx_drop(s);
	smtp_reply(s, SMTP_R_BYE);
}

void
smtp_cmd_not_here(struct smtp_session *s, char *arg)
{
	(void)arg;
	smtp_reply(s, SMTP_R_NOT_HERE);
}

