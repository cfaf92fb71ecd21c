/*
 * reply.h - "+OK" and "-ERR" lines, at most 512 octets (RFC 2449 section 4),
 * with the response codes of RFC 2449 section 8 and RFC 3206.
 */
#ifndef SUBMITD_POP_REPLY_H
#define SUBMITD_POP_REPLY_H

#include <stddef.h>

struct pop_session;

enum pop_code {
	POP_CODE_NONE,
	POP_CODE_AUTH,		/* the credentials are the problem */
	POP_CODE_IN_USE,	/* they were right: another session is open */
	POP_CODE_SYS_TEMP,	/* ours, try again */
	POP_CODE_SYS_PERM,	/* ours, and somebody must mend it */
	POP_CODE_LOGIN_DELAY,	/* they were right: too soon */
	POP_CODE__COUNT
};

void	pop_ok(struct pop_session *s, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));
void	pop_err(struct pop_session *s, enum pop_code code, const char *fmt, ...)
	    __attribute__((format(printf, 3, 4)));
/* The same with help_text behind it and the session's id in brackets, by which
 * the administrator finds it: for what a person will read. */
void	pop_err_help(struct pop_session *s, enum pop_code code,
	    const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Any other octets: lines of a reply, challenges. A failure closes. */
void	pop_write(struct pop_session *s, const void *p, size_t len);
void	pop_line(struct pop_session *s, const char *text);	/* and CR LF */

/* "IN-USE", without brackets; NULL for NONE. Pure. */
const char *pop_code_name(enum pop_code code);
/* The whole line with CR LF; `help` and `sid` may be NULL, and help is left out
 * where it does not fit. Returns its length. Pure. */
size_t	pop_reply_format(char dst[], size_t size, const char *status,
	    enum pop_code code, const char *text, const char *help,
	    const char *sid);

#endif
