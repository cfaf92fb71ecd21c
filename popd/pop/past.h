/*
 * past.h - what is told of a session when it is over (EVENT of auth/PROTOCOL),
 * so that an administrator can look it up later. Private to popd/pop/.
 */
#ifndef SUBMITD_POP_PAST_H
#define SUBMITD_POP_PAST_H

#include <stdbool.h>

#include "popd/pop/reply.h"

struct pop_past;

/* This "-ERR" goes out; the one that matters most is kept. */
void	pop_past_reply(struct pop_session *s, enum pop_code code,
	    bool person, const char *text);
/* Somebody gave this name (NULL: unknown), and did not get in. */
void	pop_past_login(struct pop_session *s, const char *name);
/* A login was tried in clear. */
void	pop_past_clear(struct pop_session *s);
/* He got in after all. */
void	pop_past_opened(struct pop_session *s);
/* It is over. */
void	pop_past_tell(struct pop_session *s, const char *why);
void	pop_past_free(struct pop_past *p);	/* NULL is fine */

#endif
