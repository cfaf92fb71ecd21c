/*
 * past.h - what is told of a session when it is over (EVENT of auth/PROTOCOL),
 * so that an administrator can look it up later. Private to submitd/smtp/.
 *
 * A session of which nothing is to be told but how long it was costs a pointer;
 * the way of a message costs some octets of memory, and no question.
 */
#ifndef SUBMITD_SMTP_PAST_H
#define SUBMITD_SMTP_PAST_H

#include <stdbool.h>
#include <stddef.h>

#include "submitd/smtp/reply.h"

struct smtp_past;
struct smtp_session;
struct authc_reply;

/* This answer goes out; of refusals the one that matters most is kept. `sender`
 * (or NULL) is the reverse-path that it is about. */
void	smtp_past_reply(struct smtp_session *s, enum smtp_reply r,
	    const char *detail, const char *sender);
/* A grant or a trusted network lets it send: authd's answer to MAIL. */
void	smtp_past_granted(struct smtp_session *s, const struct authc_reply *r);
/* The message in s->tx is queued. */
void	smtp_past_queued(struct smtp_session *s, const char *queue_id);
/* enum authp_past */
void	smtp_past_flag(struct smtp_session *s, unsigned int flag);
/* A verb that some machine on the way has written over: XXXX. */
bool	smtp_past_is_masked(const char *verb, size_t len);
/* Another's begins on the same connection: what was sent till now is told, and
 * all of it forgotten. */
void	smtp_past_part(struct smtp_session *s);
/* It is over. */
void	smtp_past_tell(struct smtp_session *s, const char *why);
void	smtp_past_free(struct smtp_past *p);	/* NULL is fine */

#endif
