/*
 * reply.h - every answer that the session gives, in one table.
 *
 * Pure: formats into a caller's buffer. Answers that a person reads end with
 * the administrator's help_text; refusals among them, with the session's id in
 * brackets, by which the administrator finds it.
 */
#ifndef SUBMITD_SMTP_REPLY_H
#define SUBMITD_SMTP_REPLY_H

#include <stdbool.h>
#include <stddef.h>

enum smtp_reply {
	SMTP_R_NONE = 0,	/* nothing is wrong */
	SMTP_R_GREETING,
	SMTP_R_READY_TLS,
	SMTP_R_BYE,
	SMTP_R_AUTH_OK,
	SMTP_R_HELLO,
	SMTP_R_OK,
	SMTP_R_SENDER_OK,
	SMTP_R_SENDER_OK_LOWERED,
	SMTP_R_RCPT_OK,
	SMTP_R_QUEUED,
	SMTP_R_CHUNK_OK,
	SMTP_R_HELP,
	SMTP_R_HELP_UNKNOWN,
	SMTP_R_CANNOT_VRFY,
	SMTP_R_CANNOT_EXPN,
	SMTP_R_GO_AHEAD,
	/* the end of the session */
	SMTP_R_FULL,
	SMTP_R_STOPPING,
	SMTP_R_NO_MEMORY,
	SMTP_R_IDLE,
	SMTP_R_STRANGER,
	SMTP_R_TOO_MANY_ERRORS,
	SMTP_R_TOO_MANY_LOGINS,
	SMTP_R_TOO_MANY_CHEAP,
	SMTP_R_CROWDED_ADDRESS,
	SMTP_R_CROWDED_NETWORK,
	SMTP_R_CROWDED_USER,
	SMTP_R_VOID,
	SMTP_R_KICKED,
	/* not now */
	SMTP_R_TRY_LATER,
	SMTP_R_AUTH_LATER,
	SMTP_R_AUTH_TRANSITION,
	SMTP_R_NO_SPACE,
	SMTP_R_USER_FULL,
	SMTP_R_TOO_MANY_RCPTS,
	SMTP_R_NO_TLS,
	/* syntax and order */
	SMTP_R_LONG_LINE,
	SMTP_R_LONG_RESPONSE,
	SMTP_R_BARE_LINE,
	SMTP_R_UNKNOWN_COMMAND,
	SMTP_R_NOT_HERE,
	SMTP_R_NO_ARGUMENT,
	SMTP_R_NEEDS_ARGUMENT,
	SMTP_R_BAD_NAME,
	SMTP_R_MAIL_SYNTAX,
	SMTP_R_RCPT_SYNTAX,
	SMTP_R_SENDER_SYNTAX,
	SMTP_R_ADDRESS_SYNTAX,
	SMTP_R_SENDER_UNQUALIFIED,
	SMTP_R_ADDRESS_UNQUALIFIED,
	SMTP_R_UTF8,
	SMTP_R_PARAM_SYNTAX,
	SMTP_R_PARAM_UNKNOWN,
	SMTP_R_PARAM_TWICE,
	SMTP_R_PARAM_VALUE,
	SMTP_R_HOLD_TOO_LONG,
	SMTP_R_BY_TOO_SOON,
	SMTP_R_BAD_SEQUENCE,
	SMTP_R_XCLIENT_SYNTAX,
	SMTP_R_XCLIENT_IN_TX,
	SMTP_R_XCLIENT_DENIED,
	SMTP_R_XCLIENT_LOGIN,
	SMTP_R_HELLO_FIRST,
	SMTP_R_MAIL_FIRST,
	SMTP_R_RCPT_FIRST,
	SMTP_R_NO_VALID_RCPT,
	SMTP_R_TLS_ACTIVE,
	SMTP_R_AUTH_DONE,
	SMTP_R_AUTH_IN_TX,
	SMTP_R_NESTED_MAIL,
	SMTP_R_CHUNKS_BEGUN,
	SMTP_R_CHUNK_SYNTAX,
	SMTP_R_INJECTION,
	SMTP_R_EARLY,
	SMTP_R_TLS_FIRST,
	SMTP_R_PIPELINED_RESPONSE,
	SMTP_R_PIPELINED_DATA,
	/* AUTH */
	SMTP_R_AUTH_SYNTAX,
	SMTP_R_AUTH_CANCELLED,
	SMTP_R_AUTH_BASE64,
	SMTP_R_AUTH_MECH,
	SMTP_R_AUTH_NO_INITIAL,
	SMTP_R_AUTH_FAILED,
	/* policy */
	SMTP_R_NEEDS_TLS,
	SMTP_R_NEEDS_AUTH,
	SMTP_R_NEEDS_CHECK,
	SMTP_R_NEEDS_CHECK_AGAIN,
	SMTP_R_NEEDS_CHECK_FAMILY,
	SMTP_R_GRANTS_ENDED,
	SMTP_R_BROWNOUT,
	SMTP_R_NOT_SENDER,
	SMTP_R_NULL_SENDER,
	SMTP_R_LIMIT,
	SMTP_R_LIMIT_REJECT,
	SMTP_R_NO_USER,
	SMTP_R_NO_ROUTE,
	SMTP_R_ROUTE_NONE,
	/* the message */
	SMTP_R_TOO_BIG,
	SMTP_R_BARE_CONTENT,
	SMTP_R_LOOP,
	SMTP_R_TOO_BIG_USER,
	SMTP_R_TOO_SLOW,
	SMTP_R_LONG_CONTENT,
	SMTP_R_HEADER_SIZE,
	SMTP_R_HEADER_COUNT,
	SMTP_R_HEADER_TWICE,
	SMTP_R_HEADER_SPACE,
	SMTP_R_HEADER_NAME,
	SMTP_R_HEADER_ADDRESS,
	SMTP_R_NO_FROM,
	SMTP_R_NOT_FROM,
	SMTP_R__COUNT
};

#define SMTP_R_ERROR	1u	/* the client's mistake: it is counted */
#define SMTP_R_PERSON	2u	/* a person reads it: help_text is added */
#define SMTP_R_CLOSE	4u	/* the session ends with it */

struct smtp_reply_row {
	unsigned int	 code;
	const char	*enhanced;	/* NULL where RFC 2034 wants none */
	const char	*text;
	unsigned int	 flags;
};

const struct smtp_reply_row *smtp_reply_row(enum smtp_reply r);

#define SMTP_REPLY_SIZE	1537u	/* up to three lines of 512 octets */
#define SMTP_HELP_MAX	400u	/* octets of help_text that are sent */

/* Writes the whole answer with its CR LF; returns its length. `detail` (or
 * NULL) is appended to the text, cut where the line would exceed 512 octets;
 * `help` (or NULL) is added where a person reads it, on a line of its own
 * when the first has no room, and `sid` (or NULL) where he reads a refusal.
 * What is no printable ASCII stands as '?'; with `utf8` (the client said
 * SMTPUTF8) UTF-8 stands as it is. */
size_t	smtp_reply_format(char dst[SMTP_REPLY_SIZE], enum smtp_reply r,
	    const char *detail, const char *help, const char *sid,
	    bool utf8);

#endif
