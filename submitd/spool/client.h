/*
 * client.h - what others may ask of submitd-spool, the only writer of the
 * spool. Asynchronous; callbacks come from the loop.
 *
 * submitd-smtp: begin, data, commit, abort. submitd-send: queue, open, done,
 * defer, fail, bounce. Each side gets its own socket ("spool" in its folder),
 * and what the other side may ask drops the peer (submitd/spool/protocol.h).
 *
 * A 250 means: on stable storage, file and folder. The caller never holds a
 * descriptor that can change a message.
 */
#ifndef SUBMITD_SPOOL_CLIENT_H
#define SUBMITD_SPOOL_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/authp.h"
#include "lib/loop.h"
#include "lib/str.h"

/* What a client asked about reports (RFC 3461): it goes with the message to the
 * next hop that takes it, and is obeyed in our own reports otherwise. */
enum spool_ret { SPOOL_RET_NONE = 0, SPOOL_RET_FULL, SPOOL_RET_HDRS };

enum spool_notify {		/* 0: nothing was said */
	SPOOL_NOTIFY_NEVER = 1,		/* alone */
	SPOOL_NOTIFY_SUCCESS = 2,
	SPOOL_NOTIFY_FAILURE = 4,
	SPOOL_NOTIFY_DELAY = 8,
	SPOOL_NOTIFY__ALL = 15
};

struct spool_dsn {		/* of one recipient */
	uint8_t	 notify;
	char	*orcpt;		/* "type;address" in xtext, all ASCII; or NULL */
};

/* What is asked of the delivery of the whole message; all zero: nothing. Kept
 * with it; submitd-send has it. */
enum spool_by { SPOOL_BY_NONE = 0, SPOOL_BY_RETURN, SPOOL_BY_NOTIFY };

struct spool_wishes {
	int64_t	 hold_until_s;	/* RFC 4865: not before that; epoch, or 0 */
	uint8_t	 by_mode;	/* enum spool_by (RFC 2852) */
	bool	 by_trace;
	int64_t	 by_s;		/* the deadline; epoch */
	int8_t	 priority;	/* RFC 6710: -9 to 9 */
	bool	 requiretls;	/* RFC 8689 */
	bool	 tls_optional;	/* "TLS-Required: No", and not requiretls */
};

#define SPOOL_ENVID_MAX	100u	/* octets of xtext */
#define SPOOL_ORCPT_MAX	800u	/* 500 from the client, UTF-8 written out */

/* ------------------------------------------------------------------ smtp -- */

struct spoolc;			/* the connection */
struct spoolc_txn;		/* one message on its way in */

enum spoolc_verdict {
	SPOOLC_OK = 0,
	SPOOLC_VOID,		/* 421: the ticket does not hold any more */
	SPOOLC_NOTSENDER,	/* 553 5.7.1 */
	SPOOLC_NOSPACE,		/* 452 4.3.1 */
	SPOOLC_FULL,		/* 452 4.3.1: of his own mail too much waits */
	SPOOLC_TOOBIG,		/* 552 5.3.4 */
	SPOOLC_TEMP,		/* 451 4.3.0; also when submitd-spool went away */
	SPOOLC_LOOP,		/* 554 5.4.6: too many Received (received_limit) */
	SPOOLC_LIMIT,		/* 452 4.7.1: a sending limit; later */
	SPOOLC_OVER,		/* 550 5.7.1: the same, and not later */
	SPOOLC_VERDICT__COUNT
};

struct spoolc_envelope {
	const void	*ticket;
	size_t		 ticket_len;
	const char	*sender;	/* as given, "" for <> */
	const char	*const *rcpts;	/* as given */
	size_t		 n_rcpts;
	const char	*helo;		/* "" when it was no domain or literal */
	uint64_t	 size;		/* announced by SIZE, or 0 */
	bool		 eightbit;	/* BODY=8BITMIME */
	bool		 smtputf8;
	uint8_t		 ret;		/* enum spool_ret */
	const char	*envid;		/* xtext; NULL or "": none */
	const struct spool_dsn *dsn;	/* of each recipient, or NULL */
	struct spool_wishes wishes;	/* tls_optional: the spool finds it */
};

#define SPOOLC_TEXT_MAX	127u	/* of the text of a limit */

/* The answer to begin and to commit. `queue_id` is good for the call; to LIMIT
 * and OVER it is the text that tells the limit and when it eases, to FULL the one
 * that tells the limit. After
 * anything but OK to begin, and after any answer to commit, the txn is gone. */
typedef void spoolc_fn(void *ctx, enum spoolc_verdict v, const char *queue_id);

struct spoolc *spoolc_new(struct loop *l, const char *path,
	    uint64_t message_size_limit);
void	spoolc_free(struct spoolc *s);
bool	spoolc_is_up(const struct spoolc *s);
/* A message that announces more finds no room now; UINT64_MAX: not known. */
uint64_t spoolc_room(const struct spoolc *s);
/* After a reload. */
void	spoolc_set_limit(struct spoolc *s, uint64_t message_size_limit);

/* NULL: submitd-spool is away (451 4.3.0), no callback. `drained(ctx)` is
 * called when spoolc_full() has become false again. What is not announced as
 * larger than SPOOL_CHUNK has begun without a question (spoolc_is_begun()), and
 * what the spool has against it is said at commit. */
struct spoolc_txn *spoolc_begin(struct spoolc *s,
	    const struct spoolc_envelope *env, spoolc_fn *begun,
	    loop_fn *drained, void *ctx);
/* Octets of the message as they are to be stored: CR LF lines, no dot
 * stuffing. A failure shows at commit. */
void	spoolc_data(struct spoolc_txn *t, const void *p, size_t len);
bool	spoolc_full(const struct spoolc_txn *t);	/* stop reading */
/* It began within spoolc_begin(): begun() is not called. */
bool	spoolc_is_begun(const struct spoolc_txn *t);
void	spoolc_commit(struct spoolc_txn *t, spoolc_fn *committed);
/* Gives the message up; no callback comes any more. NULL is fine. */
void	spoolc_abort(struct spoolc_txn *t);

/* ------------------------------------------------------------------ send -- */

struct spoolq;			/* submitd-send's connection */

enum spoolq_state {
	SPOOLQ_PENDING = 0,
	SPOOLQ_DONE,
	SPOOLQ_FAILED,
	SPOOLQ_DELIVERED,	/* he has it; the sender is still to be told */
	SPOOLQ_STATE__COUNT
};

struct spoolq_rcpt {
	char			*address;
	enum spoolq_state	 state;
	uint32_t		 tries;		/* failed for now, so far */
	int64_t			 next_try_s;	/* epoch; 0: now */
	bool			 told;		/* the sender, of the delay */
	struct spool_dsn	 dsn;		/* orcpt is owned */
};

struct spoolq_msg {			/* owned by the receiver of entry() */
	char			 id[STR_ID_SIZE];
	char			*sender;	/* "" for <> */
	char			*user;		/* whose message it is */
	int64_t			 arrived_s;	/* epoch */
	uint64_t		 octets;	/* of the message, CR LF counted */
	bool			 eightbit;
	bool			 smtputf8;
	bool			 foreign;	/* the sender is not the user's:
						 * reports go to the user */
	enum spool_ret		 ret;
	char			*envid;		/* xtext, "": none */
	struct spool_wishes	 wishes;
	struct spoolq_rcpt	*rcpts;
	size_t			 n_rcpts;
	uint8_t			*content;	/* all of it if it came along,
						 * for who opens it first; or
						 * NULL: spoolq_open() */
};
void	spoolq_msg_free(struct spoolq_msg *m);

struct spoolq_ops {
	/* One message that is queued: all of them after each connect, new ones
	 * as they come, and again one that the administrator asked to try now
	 * (its next_try_s are 0). The callee owns it. */
	void	(*entry)(void *ctx, struct spoolq_msg *m);
	/* The administrator deleted it. */
	void	(*gone)(void *ctx, const char *id);
	/* It is held: what runs goes on to its end and gives its results, but no
	 * new try begins. When it is released it comes as an entry again. */
	void	(*held)(void *ctx, const char *id);
	/* The connection was lost: forget everything, it will be told anew. */
	void	(*reset)(void *ctx);
};

struct spoolq *spoolq_new(struct loop *l, const char *path,
	    const struct spoolq_ops *ops, void *ctx);
void	spoolq_free(struct spoolq *q);

/* fd >= 0: a read-only descriptor (the callee's) of the file in which the
 * message begins at `offset` and has m->octets. Else `content` is all of
 * it, for the call: a small one comes in the answer. Or -1 and NULL: try again
 * later. */
typedef void spoolq_open_fn(void *ctx, int fd, uint64_t offset,
	    const void *content, size_t len);
/* `lent`: the descriptor is going to be given to submitd-local. */
int	spoolq_open(struct spoolq *q, const char *id, bool lent,
	    spoolq_open_fn *fn, void *ctx);

/* Results by recipient (index into rcpts), made durable in the order given.
 * `text` is the answer that led to it, at most 1,024 octets. When no recipient
 * is pending or delivered any more the message is removed. */
int	spoolq_done(struct spoolq *q, const char *id, uint32_t rcpt,
	    const char *text);
/* Done but for the report that the sender asked for; then spoolq_done(). */
int	spoolq_delivered(struct spoolq *q, const char *id, uint32_t rcpt,
	    const char *text);
/* `told`: the sender has been told of the delay. */
int	spoolq_defer(struct spoolq *q, const char *id, uint32_t rcpt,
	    int64_t next_try_s, bool told, const char *text);
int	spoolq_fail(struct spoolq *q, const char *id, uint32_t rcpt,
	    const char *text);
/* Queues a report (a whole message with CR LF, at most 8 MiB) from <> to the
 * sender of `id`, in parts of at most 60,000 octets: one after another, each once
 * fn(ctx, true) was called for the one before. For the last it is called once the
 * report is durable; the results of `id` are given after that. One with offset 0
 * begins anew. */
struct spoolq_part {
	uint32_t	 octets;	/* of the whole report */
	uint32_t	 offset;	/* in it */
	const void	*text;
	size_t		 len;		/* at least 1 */
};
typedef void spoolq_bounce_fn(void *ctx, bool ok);
int	spoolq_bounce(struct spoolq *q, const char *id,
	    const struct spoolq_part *part, spoolq_bounce_fn *fn, void *ctx);

#endif
