/*
 * queue.h - the queue in memory: what is in the spool, and how far it is.
 *
 * On the loop only. What changes is made durable through flush.h; memory is
 * ahead of the disk by what has not been answered yet.
 */
#ifndef SUBMITD_SPOOL_QUEUE_H
#define SUBMITD_SPOOL_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "lib/buf.h"
#include "lib/loop.h"
#include "submitd/spool/envelope.h"
#include "submitd/spool/flush.h"

struct queue;
struct queue_msg;

/* Whose messages wait or come in, and the reports of them. */
struct queue_user {
	LIST_ENTRY(queue_user)	 bucket;
	TAILQ_ENTRY(queue_user)	 order;
	LIST_HEAD(, queue_msg)	 msgs;		/* queued, held too */
	char			*name;
	uint64_t		 messages;	/* and those that are open */
	uint64_t		 octets;
	uint64_t		 reports;	/* octets of them that are reports */
	bool			 reports_full;	/* it was logged */
	bool			 disabled;	/* by authd-core's last word */
	bool			 stale;		/* which may be out of date */
};

struct queue_rcpt {
	char	*address;
	uint8_t	 state;		/* enum envelope_state */
	uint32_t tries;
	int64_t	 next_try_s;
	bool	 told;		/* the sender, of the delay */
	char	*last;		/* the last answer, or NULL */
};

/* Said when a message was removed, or what was noted of it is kept: r as of the
 * flush. */
typedef void queue_gone_fn(void *ctx, const char *id, int r);

/* What a message consists of, while it is still in memory. */
struct queue_fresh {
	const void	*top, *rest;		/* one behind the other */
	size_t		 top_len, rest_len;
};

struct queue_msg {
	char			 id[STR_ID_SIZE];
	char			*sender;
	char			*user;
	int64_t			 arrived_s;
	bool			 eightbit;
	bool			 smtputf8;
	bool			 foreign;	/* struct envelope */
	uint8_t			 held;		/* enum envelope_hold, bits */
	int64_t			 held_s;	/* since */
	char			*held_by;	/* who said so, or NULL */
	uint8_t			 ret;
	char			*envid;
	struct spool_wishes	 wishes;
	uint64_t		 content_offset;
	uint64_t		 octets;
	struct queue_rcpt	*rcpts;
	struct spool_dsn	*dsn;		/* n_rcpts, or NULL */
	size_t			 n_rcpts;
	size_t			 n_pending;	/* or only delivered */
	bool			 is_report;	/* from us */
	bool			 reporting;	/* one of it is on its way */
	size_t			 reports;	/* of it, since the start */
	struct store_place	 place;
	bool			 no_spare;	/* its file is not written again: spares.c */
	/* The caller of queue_add() may set it, for that call. */
	const struct queue_fresh *fresh;
	/* Private to queue.c */
	struct queue		*queue;
	struct queue_user	*owner;		/* or NULL */
	LIST_ENTRY(queue_msg)	 of_owner;
	TAILQ_ENTRY(queue_msg)	 order;
	TAILQ_ENTRY(queue_msg)	 tell;
	TAILQ_ENTRY(queue_msg)	 again;
	LIST_ENTRY(queue_msg)	 bucket;
	bool			 to_tell;
	bool			 removing;	/* not in the queue any more */
	bool			 busy;		/* op is on its way */
	bool			 stuck;		/* op failed; tried again */
	bool			 complained;	/* in the log, of that */
	struct buf		 records;	/* not yet in an op */
	struct buf		 flight;	/* what op writes */
	uint64_t		 end;		/* where records go */
	queue_gone_fn		*gone;
	void			*gone_ctx;
	queue_gone_fn		*kept;		/* queue_await() */
	void			*kept_ctx;
};

struct queue_hooks {
	void	(*told)(void *ctx);	/* queue_to_tell() has something */
	/* It left the queue; `m` is good for the call. */
	void	(*left)(void *ctx, struct queue_msg *m);
	/* It is held from now on: no new try. */
	void	(*held)(void *ctx, struct queue_msg *m);
};

struct queue *queue_new(struct loop *l, struct flush *f,
	    const struct queue_hooks *hooks, void *ctx);

/* Behind flush_free(): what it has in memory. */
void	queue_free(struct queue *q);

/* A message that is not queued yet; takes sender, user, recipients and what was
 * asked about reports out of the envelope. NULL: no memory (the envelope is whole). */
struct queue_msg *queue_msg_new(struct envelope *e);
void	queue_msg_free(struct queue_msg *m);	/* one never added */
/* It is on stable storage: queued from now on, and told. `end` is where its
 * first new record goes. With nothing pending it is removed instead. */
void	queue_add(struct queue *q, struct queue_msg *m, uint64_t offset,
	    uint64_t octets, uint64_t end);
/* At recovery: it was removed before; all of them are there. */
void	queue_forget(struct queue_msg *m);
int	queue_sort(struct queue *q);	/* by id; ERR_NOMEM */
struct queue_msg *queue_of_place(struct store_place *p);
/* Out of the journal, into a file. */
void	queue_move(struct queue_msg *m);
/* What could not be written is tried again now, not in a while. False: there is
 * nothing. */
bool	queue_retry(struct queue *q);
/* What a record says, in memory only (recovery). False: no such recipient. */
bool	queue_msg_apply(struct queue_msg *m, const struct envelope_result *r);

struct queue_msg *queue_find(struct queue *q, const char *id);
struct queue_msg *queue_first(struct queue *q);		/* by arrival */
struct queue_msg *queue_next(struct queue_msg *m);
size_t	queue_count(const struct queue *q);

/* Notes a result and makes it durable; removes the message when it was the last.
 * False: no such recipient, or one that is not pending. */
bool	queue_result(struct queue_msg *m, const struct envelope_result *r);
/* Removes it whatever is pending. gone(ctx, id, r) later; NULL is fine. */
void	queue_delete(struct queue_msg *m, queue_gone_fn *gone, void *ctx);
/* All that is pending may be tried now; tells it anew, unless it is held. */
void	queue_try_now(struct queue_msg *m);
/* Sets or clears reasons to hold it (enum envelope_hold), and makes that
 * durable; what runs runs to its end. False: nothing changed. */
bool	queue_hold(struct queue_msg *m, uint8_t set, uint8_t clear,
	    const char *by);

/* kept(ctx, id, r) once what was noted of it so far is on stable storage, or it
 * left, or (r) could not be written: it is tried again all the same. False: it
 * is there already, or somebody else waits; no call comes. */
bool	queue_await(struct queue_msg *m, queue_gone_fn *kept, void *ctx);

/* Goes over the messages by arrival, over many turns of the loop: what is
 * removed meanwhile is left out, what comes is met. */
struct queue_cursor {
	struct queue_msg		*next;
	LIST_ENTRY(queue_cursor)	 link;
};
/* Begins with m, which may be NULL. */
void	queue_cursor_begin(struct queue *q, struct queue_cursor *c,
	    struct queue_msg *m);
struct queue_msg *queue_cursor_next(struct queue_cursor *c);
void	queue_cursor_end(struct queue_cursor *c);

/* The user, made where there is none: give it back with queue_user_put(). NULL:
 * no memory. */
struct queue_user *queue_user_get(struct queue *q, const char *name);
struct queue_user *queue_user_find(struct queue *q, const char *name);
struct queue_user *queue_user_first(struct queue *q);
struct queue_user *queue_user_next(struct queue_user *u);
/* Forgets him when nothing of his is left. NULL is fine. */
void	queue_user_put(struct queue *q, struct queue_user *u);
/* What authd-core says of him: holds all of his, or releases what was held for
 * that. Returns of how many messages that is new. */
size_t	queue_user_set(struct queue_user *u, bool disabled);

/* What submitd-send is to be told, oldest first. */
void	queue_tell_all(struct queue *q);
void	queue_tell_none(struct queue *q);
struct queue_msg *queue_take_to_tell(struct queue *q);

#endif
