/*
 * notify.h - notify_socket: other servers' logins, told of by a feeder.
 *
 * A feeder holds one connection and writes lines (auth/notify_line.h); each gets
 * one line, in their order:
 *
 *	ok WORD		new, renewed; ended (logout)
 *	no WORD		none (alive, logout: there is no grant), unknown (no
 *			such user), clear (tls=no), or as grant_verdict_name()
 *	bad TEXT	malformed
 *	temp TEXT	not now: try again
 *
 * What a line does auth/grant.h decides, as for a login at popd: a feeder is
 * believed that the password was right, and nothing else. Only processes of
 * notify_uids are served. The lines of all together have a rate (above it they
 * are read later), so that a flood slows no login. For the loop of authd-core.
 */
#ifndef SUBMITD_AUTH_NOTIFY_H
#define SUBMITD_AUTH_NOTIFY_H

#include "auth/core.h"

#define NOTIFY_RATE	4000u		/* lines a second, of all feeders */

struct notify;

/* Serves nobody yet. NULL: no memory. */
struct notify *notify_new(struct core *core);
/* At start and after each reload: listens on `fd` (borrowed until the next call;
 * -1: no more), and ends connections of who is not listed any more. 0 or
 * ERR_NOMEM. */
int	notify_listen(struct notify *n, int fd);
void	notify_free(struct notify *n);		/* NULL is fine */

#endif
