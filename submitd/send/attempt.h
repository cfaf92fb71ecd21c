/*
 * attempt.h - one attempt to deliver one message to those of its recipients
 * that share a destination and are due, from its start until all results are
 * given to the spool, or to the report that tells of them (report.h).
 */
#ifndef SUBMITD_SEND_ATTEMPT_H
#define SUBMITD_SEND_ATTEMPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "lib/tls.h"
#include "submitd/send/dsn.h"
#include "submitd/send/outcome.h"
#include "submitd/send/smtp_client.h"

struct sched;
struct sched_entry;
struct sched_job;
struct spoolq_msg;

enum attempt_stage {
	ATTEMPT_OPENING,	/* waiting for the descriptor */
	ATTEMPT_WORKING,	/* with the destination */
};

struct attempt {
	struct sched		*sched;
	struct sched_entry	*entry;		/* NULL: cancelled */
	struct sched_job	*job;		/* good while entry is */
	enum attempt_stage	 stage;
	struct outcome_rcpt	*rcpts;
	size_t			 n_rcpts;
	int			 fd;		/* of the message; -1: none, see
						 * attempt_file() */
	uint8_t			*content;	/* of a small one, or NULL */
	uint64_t		 offset;
	bool			 owed;		/* all were delivered before;
						 * only reports are wanted */
	bool			 deadline;	/* nothing was tried: the time
						 * for it is over (RFC 2852) */

	/* The destination's to set. */
	void			*worker;
	char			 relay[SMTP_CLIENT_RELAY_SIZE];
	char			 tls[TLS_DESC_SIZE];
	bool			 held;		/* the destination failed, not
						 * the message */
	bool			 went_away;	/* the other process did */
	bool			 went_away_before;
};

/* What a destination can do. `ctx` is its own. */
struct attempt_dest {
	/* The time (clock_ms) from which on it takes another attempt: 0, or
	 * INT64_MAX while it first has to call sched_wake(). */
	int64_t	(*ready_ms)(void *ctx);
	void	(*start)(void *ctx, struct attempt *a);
	/* The message is there: a->content, or a->fd. */
	void	(*opened)(void *ctx, struct attempt *a);
	/* Forget it, at any time between start and attempt_done(). */
	void	(*cancel)(void *ctx, struct attempt *a);
	/* The other side has all of it, and we are to hear what it makes of it:
	 * who gives up now may deliver it twice. */
	bool	(*ending)(void *ctx, const struct attempt *a);
	/* The administrator asks to try now. May be NULL. */
	void	(*flush)(void *ctx);
	bool	keeps_fd;	/* nobody else gets a->fd, nor its pages */
};

/* Begins with the due recipients of the job; what is owed or past its deadline
 * only needs attempt_done(). NULL: no memory. */
struct attempt *attempt_new(struct sched *s, struct sched_job *job,
	    int64_t now_ms);
/* The same for all who are pending, due or not, with the outcome that the end of
 * the message's time has for them; then attempt_done(). NULL: nobody. */
struct attempt *attempt_new_late(struct sched *s, struct sched_job *job);
/* Makes a file of a->content where there is none yet: a->fd, or -1. */
int	attempt_file(struct attempt *a);
/* The message; not once it is cancelled. */
const struct spoolq_msg *attempt_msg(const struct attempt *a);
/* Asks for the message, then tells the destination. */
void	attempt_open(struct attempt *a);
/* From the destination: each recipient has its outcome. */
void	attempt_done(struct attempt *a);
/* Its end is near, and worth waiting for: see struct attempt_dest. */
bool	attempt_is_ending(const struct attempt *a);
/* The message is gone; no results are given any more. */
void	attempt_cancel(struct attempt *a);

#endif
