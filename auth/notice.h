/*
 * notice.h - what authd-core says to smtp, pop and spool without being asked:
 * STATE, KICK, WHO, USER (auth/PROTOCOL). On the loop.
 */
#ifndef SUBMITD_AUTH_NOTICE_H
#define SUBMITD_AUTH_NOTICE_H

#include <stdbool.h>
#include <stdint.h>

#include "auth/ops.h"
#include "lib/addr.h"

#define NOTICE_WHO_MS	2000	/* then the others' answers are enough */
#define NOTICE_WHO_ASKS	16u	/* questions at a time */

/* Sessions of, or by, `user` ("" any) from `net` (NULL any) in which somebody is logged
 * in are to end. Returns how many workers were told. */
unsigned int ops_kick(struct core *core, const char *user,
	    const struct net *net);

/* A session, as a worker told it: checked, good for the call. */
struct ops_session {
	const char		*sid;
	const char		*user;
	const char		*login;		/* "": the same */
	struct addr		 peer;		/* port 0 */
	enum authp_service	 service;
	const char		*mech;
	const char		*tls;
	int64_t			 since_s;
};

struct ops_who_fns {
	void	(*entry)(void *ctx, const struct ops_session *s);
	/* The last call; `silent` workers did not answer in time. */
	void	(*end)(void *ctx, unsigned int silent);
};

/* Asks all workers who is logged in. 0: end() will be called, within
 * NOTICE_WHO_MS, never from within this call. ERR_LIMIT, ERR_NOMEM. */
int	ops_who(struct core *core, const struct ops_who_fns *fns, void *ctx);

/* The administrator has changed this user, or ("") many: submitd-spool holds or
 * releases what he has queued. One read. */
void	ops_user_changed(struct core *core, const char *user);

/* For ops.c: a new peer; a peer has gone. */
void	notice_peer_new(struct peer *p);
void	notice_peer_gone(struct core *core);

/* At the start, and after whatever may have changed it: brings
 * core->has_secrets up to date and tells the workers. One read. */
void	core_secrets_changed(struct core *core);

#endif
