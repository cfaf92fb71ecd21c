/*
 * mbox.h - what the parts of popd-mbox share; private to popd/mbox/.
 */
#ifndef SUBMITD_MBOX_H
#define SUBMITD_MBOX_H

#include <sys/queue.h>
#include <sys/types.h>

#include "auth/authc.h"
#include "lib/loop.h"
#include "lib/pool.h"
#include "popd/mbox/maildrop.h"

#define MBOX_BUCKETS 1024u

struct delays;
struct mbox_drop;
TAILQ_HEAD(mbox_queue, mbox_drop);

struct mbox {				/* the process; lives as long as it */
	struct loop		*loop;
	struct authc		*authc;
	struct pool		*pool;
	struct pool		*big_pool;	/* of what takes long */
	struct pool		*control_pool;	/* one thread: control.c's */
	struct maildrop_root	 root;
	struct delays		*delays;		/* LOGIN-DELAY */
	uint64_t		 login_delay_s;		/* 0: none */
	struct mbox_drop	*locked[MBOX_BUCKETS];	/* by path */
	struct mbox_queue	 waiting;		/* for locks */
};

/* Serves one connection of a popd-pop (an ipc_accepted_fn, ctx: the mbox). */
void	mbox_accepted(void *ctx, int fd, uid_t uid, pid_t pid);

#endif
