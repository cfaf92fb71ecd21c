/*
 * notify_line.h - the lines in which a feeder tells of logins at another server:
 *
 *	login USER ADDRESS [proto=imap|pop3] [tls=yes|no]
 *	alive USER ADDRESS
 *	logout USER ADDRESS
 *
 * Words are parted by one or more spaces. Pure; fuzzed.
 */
#ifndef SUBMITD_AUTH_NOTIFY_LINE_H
#define SUBMITD_AUTH_NOTIFY_LINE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"

#define NOTIFY_LINE_MAX	512u	/* octets, without the line's end */

enum notify_verb { NOTIFY_LOGIN, NOTIFY_ALIVE, NOTIFY_LOGOUT };

enum notify_tls { NOTIFY_TLS_UNSAID, NOTIFY_TLS_NO, NOTIFY_TLS_YES };

struct notify_line {
	enum notify_verb verb;
	const char	*user;		/* as given, within the line */
	size_t		 user_len;
	struct addr	 addr;
	uint8_t		 protocol;	/* enum grant_protocol */
	enum notify_tls	 tls;
};

/* `line` has `len` octets, no line's end and, for the callee to write to, no
 * NUL: a NUL is put behind its words. NULL, or in a few words of ours what is
 * wrong with it. */
const char *notify_line_parse(char *line, size_t len,
	    struct notify_line *ret);

#endif
