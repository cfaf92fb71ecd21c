/*
 * limits.h - a session's place among all sessions, its limits and their texts.
 * Private to submitd/smtp/.
 */
#ifndef SUBMITD_SMTP_LIMITS_H
#define SUBMITD_SMTP_LIMITS_H

#include "submitd/smtp/session.h"

#define SMTP_LIMIT_TEXT 64u
/* "error_limit = 10", for a reply that tells of a limit; else NULL. */
const char *smtp_limit_text(const struct conf *conf, enum smtp_reply r,
	    char dst[SMTP_LIMIT_TEXT]);

/* Takes the session's place in the table, by its client's address if that is
 * known, and sets the connection's limits. */
void	smtp_limits_enter(struct smtp_session *s);
/* How much of stranger_timeout is left. */
int64_t	smtp_limits_stranger_ms(const struct smtp_session *s);
/* What the session hears when its time is over: which of the two times. */
enum smtp_reply smtp_limits_timeout(const struct smtp_session *s);
/* The session may send in the name of `user` ("" or NULL: nobody's). False: he
 * has too many; the caller answers SMTP_R_CROWDED_USER. */
bool	smtp_limits_authorise(struct smtp_session *s, const char *user);
/* It is to make room for another. A sessions_end_fn. */
void	smtp_limits_end(void *session, unsigned int limit);

#endif
