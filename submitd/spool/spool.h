/*
 * spool.h - what the files of submitd-spool share: the process itself.
 */
#ifndef SUBMITD_SPOOL_SPOOL_H
#define SUBMITD_SPOOL_SPOOL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "auth/authc.h"
#include "lib/child.h"
#include "lib/control.h"
#include "lib/ipc.h"
#include "lib/pool.h"
#include "submitd/spool/flush.h"
#include "submitd/spool/queue.h"
#include "submitd/spool/store.h"

struct txn_peer;
struct sender;

struct spool {
	struct loop		*loop;
	struct child		*child;
	struct conf		*conf;		/* borrowed; the current one */
	struct store		 store;
	struct pool		*writers;
	struct flush		*flush;
	struct queue		*queue;
	struct authc		*auth;
	struct control		*control;
	struct sender		*sender;	/* submitd-send, or NULL */
	loop_fn			*sender_gone;	/* told of it, or NULL */
	TAILQ_HEAD(, txn_peer)	 peers;		/* submitd-smtp's */
	size_t			 n_txns;	/* open, of all peers */
	uint64_t		 reserved;	/* octets they may still need */
	uint64_t		 reporting;	/* octets of reports coming in */
	struct timer		 room;
	bool			 nospace;	/* it was refused last time */
	bool			 stopping;
	unsigned int		 stop_tries;	/* of what had failed before */
	bool			 users_known;	/* or it was waited for enough */
	bool			 users_asking;
	struct timer		 users_again;
	uint64_t		 user_share;	/* octets; limit.c */
	uint64_t		 n_committed;
	uint64_t		 n_refused;
	struct msg_out		 msg;		/* for replies, one at a time */
};

#define SPOOL_TXNS_MAX 4096u	/* of all peers */

/* Reads the folders at start: empties tmp/, queues what is whole, sets aside
 * what is not. */
int	recover_run(struct spool *sp, struct err *reterr);

/* Serves a connected submitd-smtp / submitd-send. Takes over fd. */
void	txn_accepted(void *ctx, int fd, uid_t uid, pid_t pid);
void	sender_accepted(void *ctx, int fd, uid_t uid, pid_t pid);
/* Hooks of the queue. */
void	sender_told(void *ctx);
void	sender_left(void *ctx, struct queue_msg *m);
void	sender_held(void *ctx, struct queue_msg *m);
void	sender_close(struct spool *sp);
/* The administrator deleted it. */
void	sender_say_gone(struct spool *sp, const char *id);

/* users.c: for authc_new_with(), its ctx the struct spool; and to be called once
 * the queue has been recovered. ERR_NOMEM. */
extern const struct authc_notices users_notices;
int	users_start(struct spool *sp);

/* room.c: from now on each submitd-smtp is told how much room there is.
 * ERR_NOMEM. */
int	room_start(struct spool *sp);

/* limit.c: the part of its user's share that an open message takes. */
struct limit_share {
	struct queue_user	*user;		/* NULL: nobody's */
	uint64_t		 octets;
	bool			 report;
};
/* FULL: `text` tells the limit. */
enum spoolc_verdict limit_begin(struct spool *sp, struct limit_share *s,
	    const char *user, uint64_t octets, char text[SPOOLC_TEXT_MAX + 1]);
/* So many octets it is by now. */
enum spoolc_verdict limit_grow(struct spool *sp, struct limit_share *s,
	    uint64_t octets, char text[SPOOLC_TEXT_MAX + 1]);
void	limit_end(struct spool *sp, struct limit_share *s);
/* For a report of `of`, whatever else of his user waits: one of a message at a
 * time, two of a recipient in all, a part of the user's share of the spool, and
 * half of its reserve. Not OK: later. */
enum spoolc_verdict limit_report(struct spool *sp, struct limit_share *s,
	    struct queue_msg *of, uint64_t octets);

extern const struct control_verb control_verbs[];

#endif
