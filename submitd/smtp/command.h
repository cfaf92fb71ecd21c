/*
 * command.h - the commands: one row holds the whole policy of each.
 * Private to submitd/smtp/.
 */
#ifndef SUBMITD_SMTP_COMMAND_H
#define SUBMITD_SMTP_COMMAND_H

#include <stddef.h>

#include "submitd/smtp/session.h"

/* `arg` is what stands behind the verb, without spaces at its ends. */
typedef void smtp_command_fn(struct smtp_session *s, char *arg);

#define SMTP_CMD_NOARG	1u	/* 501 with an argument (RFC 5321 4.1.1.1) */
#define SMTP_CMD_ARG	2u	/* 501 without one */
#define SMTP_CMD_CHEAP	4u	/* counted: it brings no message nearer */
#define SMTP_CMD_SECRET	8u	/* the line is zeroed after use */
#define SMTP_CMD_OCTETS	16u	/* octets follow it, refused or not */
#define SMTP_CMD_LMTP	64u	/* in LMTP alone */
#define SMTP_CMD_TCP	128u	/* not in LMTP */
#define SMTP_CMD_PARAMS	32u	/* longer by the extensions that are on */

struct smtp_command {
	const char	*verb;
	unsigned int	 states;	/* 1 << enum smtp_state */
	unsigned int	 flags;
	size_t		 line_max;	/* octets with CR LF */
	smtp_command_fn	*run;
	const char	*help;		/* NULL: HELP does not name it */
};

/* By verb, in any case; NULL: unknown. */
const struct smtp_command *smtp_command_find(const char *verb, size_t len);
/* Answers a line that is too long for the command (NULL: none of ours). */
void	smtp_command_long(struct smtp_session *s, const struct smtp_command *c);
/* The i-th row, or NULL behind the last. */
const struct smtp_command *smtp_command_row(size_t i);
/* Whether this protocol has it. */
bool	smtp_command_is_here(const struct smtp_command *c, bool lmtp);
/* Why a known command may not run in this state; SMTP_R_NONE when it may. */
enum smtp_reply smtp_command_refusal(const struct smtp_command *c,
	    enum smtp_state st);

/* A whole line that is a command; `octets` with its CR LF. */
void	smtp_command_line(struct smtp_session *s, char *text, size_t len,
	    size_t octets);

/* BDAT was refused: what it announced is read and thrown away, and its
 * transaction, if there is one, is over. False: it cannot be told how much that
 * is, and the session must end. */
bool	smtp_bdat_refused(struct smtp_session *s, const char *arg);

smtp_command_fn smtp_cmd_ehlo, smtp_cmd_helo, smtp_cmd_lhlo, smtp_cmd_starttls,
    smtp_cmd_auth, smtp_cmd_mail, smtp_cmd_rcpt, smtp_cmd_data, smtp_cmd_rset,
    smtp_cmd_noop, smtp_cmd_vrfy, smtp_cmd_expn, smtp_cmd_help, smtp_cmd_quit,
    smtp_cmd_bdat, smtp_cmd_not_here, smtp_cmd_xclient;

#endif
