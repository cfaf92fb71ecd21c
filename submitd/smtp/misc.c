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

void
smtp_cmd_help(struct smtp_session *s, char *arg)
{
	const struct smtp_command *c;
	char text[256] = "Commands:";

	(void)arg;
	for (size_t i = 0; (c = smtp_command_row(i)) != NULL; i++) {
		if (c->flags & SMTP_CMD_HIDDEN)
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

