/*
 * limits.h - a session's place among all sessions, and its time. Private to
 * popd/pop/.
 */
#ifndef SUBMITD_POP_LIMITS_H
#define SUBMITD_POP_LIMITS_H

#include "popd/pop/session.h"

/* Takes the session's place in the table, by its client's address if that is
 * known, and sets the connection's limits. */
void	pop_limits_enter(struct pop_session *s);
/* s->user has logged in. False: he has too many sessions. */
bool	pop_limits_authorise(struct pop_session *s);
/* How long it has from now to its next command. */
int64_t	pop_limits_time_ms(const struct pop_session *s);
/* It is to make room for another: a sessions_end_fn, and its last words. */
void	pop_limits_end(void *session, unsigned int limit);
void	pop_limits_make_room(struct pop_session *s);

#endif
