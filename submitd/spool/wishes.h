/*
 * wishes.h - struct spool_wishes on the way: in the packets of the spool's
 * sockets and in queue files. Pure.
 */
#ifndef SUBMITD_SPOOL_WISHES_H
#define SUBMITD_SPOOL_WISHES_H

#include "lib/msg.h"
#include "submitd/spool/client.h"

void	spool_wishes_put(struct msg_out *m, const struct spool_wishes *w);
/* ERR_FORMAT: also for what no client can have asked. */
int	spool_wishes_get(struct msg_in *m, struct spool_wishes *ret);

#endif
