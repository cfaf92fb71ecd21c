/*
 * usage.h - how mail is submitted, counted for db/usagedb.h as authd-core sees
 * it: a message when it is committed, what the client calls itself when its
 * session is over, and handshakes that were too old.
 *
 * On the loop; it decides nothing and waits for nothing.
 */
#ifndef SUBMITD_AUTH_USAGE_H
#define SUBMITD_AUTH_USAGE_H

#include "auth/mail_private.h"
#include "db/recentdb.h"
#include "db/usagedb.h"

/* Allowed at TICKET's commit. */
void	usage_committed(const struct mail *m);
/* EVENT, as it was believed. */
void	usage_event(struct core *core, const struct recent_record *rec);
/* On the upkeep thread (`force`: now): writes what waits, if it is time. 0, or an
 * error with its text. */
int	usage_write(struct usagedb *u, bool force, struct err *reterr);

#endif
