/*
 * recentdb.h - past sessions: what each was, who it was, and what failed, for
 * whoever answers the telephone.
 *
 * None of it is worth a write that somebody waits for: a record waits in a
 * bounded memory until recentdb_flush() writes it, without sync, many in one
 * transaction, within a second or so. What is written survives the end of the
 * process.
 *
 * The records are in shares, each a ring of its own with a part of the room, so
 * that those of strangers never push out those of owners:
 *
 *	recent	share (1), serial (8)	-> a record
 *
 * The serial grows; who writes one removes the one that fell off the ring.
 */
#ifndef SUBMITD_DB_RECENTDB_H
#define SUBMITD_DB_RECENTDB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/dbenv.h"
#include "lib/mailbox.h"

enum recent_share {
	RECENT_OWNERS,		/* authorised, or a user's from where he has
				 * logged in before */
	RECENT_NAMED,		/* names a user, and was not authorised */
	RECENT_STRANGERS,
	RECENT__COUNT
};

#define RECENT_SID_SIZE		17
#define RECENT_STATUS_SIZE	16
#define RECENT_WHY_SIZE		48
#define RECENT_REASON_SIZE	24
#define RECENT_TLS_SIZE		96
#define RECENT_HELO_SIZE	65
#define RECENT_TEXT_SIZE	256
#define RECENT_SENT_MAX		2048u
#define RECENT_RECORD_MAX	4096u
#define RECENT_WAITING_MAX	4096u	/* records in memory, of each share */

struct recent_record {
	int64_t		began_s;	/* the session, or the first of n */
	int64_t		at_s;		/* its end, or that of the last */
	uint32_t	ms;		/* how long it (the last) was */
	uint32_t	n;		/* sessions that this tells of */
	uint32_t	messages;	/* accepted in them */
	uint32_t	flags;		/* AUTHP_PAST_ (auth/authp.h) */
	uint8_t		ip[16];		/* as in struct addr */
	uint8_t		bits;		/* 128; less: a network's; 0: unknown */
	uint16_t	port;		/* ours */
	uint8_t		service;	/* AUTHP_SMTP, AUTHP_POP */
	uint8_t		kind;		/* AUTHP_KIND_, or 0: not authorised */
	uint16_t	code;		/* of the refusal that counts; 0: none */
	char		sid[RECENT_SID_SIZE];
	char		status[RECENT_STATUS_SIZE];	/* "5.7.8"; POP3: "AUTH" */
	char		why[RECENT_WHY_SIZE];	/* it ended: "quit", "eof" … */
	char		reason[RECENT_REASON_SIZE];	/* authd's own, of a
							 * login */
	char		tls[RECENT_TLS_SIZE];
	char		user[MAILBOX_SIZE];	/* whose right it was, or "" */
	char		login[MAILBOX_SIZE];	/* who logged in for him, or the
						 * name that somebody claimed */
	char		sender[MAILBOX_SIZE];	/* of what was refused */
	char		helo[RECENT_HELO_SIZE];
	char		text[RECENT_TEXT_SIZE];	/* of the refusal */
	uint16_t	sent_len;
	char		sent[RECENT_SENT_MAX];	/* for each message its queue
						 * id, its sender ("": the
						 * same as before, "<>": null)
						 * and a NUL */
};

struct recentdb;

int	recentdb_open(struct dbenv *env, struct recentdb **ret,
	    struct err *reterr);
void	recentdb_close(struct recentdb *p);	/* recentdb_flush() first */
/* How many records are kept at most, in all shares together. */
void	recentdb_set_max(struct recentdb *p, uint64_t max);

/* A record of that share. *serial 0: a new one, and its serial is put there;
 * else it takes the place of that one. Never waits, never fails: when too many
 * wait, the oldest of its share goes. */
void	recentdb_put(struct recentdb *p, enum recent_share share,
	    const struct recent_record *r, uint64_t *serial);
/* On a thread: writes what waits. What could not be written waits on. */
int	recentdb_flush(struct recentdb *p, struct err *reterr);
/* On a thread: removes up to `budget` of the oldest of each share that ended
 * before, or for which the rings have no room any more. */
int	recentdb_sweep(struct recentdb *p, int64_t before_s,
	    unsigned int budget, struct err *reterr);

/* On a thread, for it may look at all of them: each record of each share, the
 * newest first, until it ended before `since_s` (and an hour more) or `each`
 * returns false, which ends that share. What waits is written first. */
typedef bool recentdb_each_fn(void *ctx, enum recent_share share,
	    const struct recent_record *r);
int	recentdb_each(struct recentdb *p, int64_t since_s,
	    recentdb_each_fn *each, void *ctx, struct err *reterr);
/* The same for one session (its id), or the session that a message came in by
 * (its queue id): the newest. ERR_NOTFOUND. */
int	recentdb_find(struct recentdb *p, const char *id,
	    struct recent_record *ret, struct err *reterr);

/* The messages in `sent`: *at begins with 0. False: there is no more. */
struct recent_message {
	char	qid[RECENT_SID_SIZE];
	char	sender[MAILBOX_SIZE];	/* "<>": null */
};
bool	recent_next_message(const struct recent_record *r, size_t *at,
	    struct recent_message *ret);

/* The encoding: versioned, bounded, wholly consumed. Pure; fuzzed. The length,
 * or ERR_LIMIT; 0, or ERR_CORRUPT. */
int	recent_encode(const struct recent_record *r,
	    uint8_t dst[RECENT_RECORD_MAX]);
int	recent_decode(const void *p, size_t len, struct recent_record *ret);

#endif
