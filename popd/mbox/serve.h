/*
 * serve.h - one maildrop of one peer, as serve.c and serve_list.c share it;
 * private to popd/mbox/.
 */
#ifndef SUBMITD_MBOX_SERVE_H
#define SUBMITD_MBOX_SERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "lib/err.h"
#include "lib/ipc.h"
#include "popd/mbox/client.h"
#include "popd/mbox/mbox.h"

enum mbox_state {
	MBOX_ST_ASKING,
	MBOX_ST_WAITING,
	MBOX_ST_READING,
	MBOX_ST_OPENING,
	MBOX_ST_OPEN,
	MBOX_ST_BUSY,
	MBOX_ST_DONE,
};

LIST_HEAD(mbox_drops, mbox_drop);

struct mbox_peer {
	struct mbox		*mbox;
	struct ipc		*ipc;
	struct mbox_drops	 drops[MBOX_BUCKETS];	/* by id */
	size_t			 n_drops;
};

struct mbox_drop {
	LIST_ENTRY(mbox_drop)	 of_peer;
	struct mbox_drop	*next_locked;
	struct mbox		*mbox;
	struct mbox_peer	*peer;		/* NULL: closed */
	uint32_t		 id;
	enum mbox_state		 state;
	uint32_t		 auth_call;
	char			 user[AUTHP_USER_MAX + 1];
	char			 path[AUTHP_PATH_MAX + 1];
	bool			 locked;
	TAILQ_ENTRY(mbox_drop)	 waiting;	/* in WAITING */
	struct timer		 patience;
	struct maildrop		*maildrop;
	/* The job on a thread. */
	bool			 big;		/* in the lane for that */
	uint32_t		 call;		/* to be answered */
	size_t			 index;
	uint8_t			*bits;
	uint64_t		 delay_s;	/* OPEN: login_delay */
	int			 rc;		/* FETCH: the descriptor */
	struct err		 err;
};

/* serve.c */
void	mbox_drop_free(struct mbox_drop *d);
/* OPEN has failed: answered, and the drop is gone. */
void	mbox_refuse_open(struct mbox_drop *d, enum mboxc_verdict v);
void	mbox_log_failure(const struct mbox_drop *d, const char *ev);

/* Queues the work of `d` for a thread. ERR_LIMIT, ERR_NOMEM (logged). */
int	mbox_work(struct mbox_drop *d, bool big, void (*work)(void *),
	    loop_fn *done);

/* serve_list.c: reads the folders of a drop that is locked, and answers OPEN. */
void	mbox_read(struct mbox_drop *d);
/* OPEN's answer when it has failed. */
void	mbox_reply_open(struct mbox_peer *p, uint32_t call,
	    enum mboxc_verdict v);

#endif
