/*
 * usagedb.h - how mail is submitted, so that POP-before-SMTP can be left behind:
 * by whom, by login or by grant, with which TLS and which program; and from where
 * came handshakes too old to come along.
 *
 * None of it is worth a write that somebody waits for: what is counted waits in a
 * bounded memory and is added to the database once a minute, without sync. Of a
 * process that is killed the last minute is lost.
 *
 *	usage.db	'u' user	-> what he has sent, and how
 *			'a' ip (16)	-> handshakes from there that were too old
 *			'm' minute (4)	-> what all have sent in that minute
 *
 * An IPv6 address counts as its /64. Of more than USAGE_OLD_MAX addresses a new
 * one takes the place of another of its wide network (/8, IPv6: /32), so that who
 * floods pushes out his own.
 */
#ifndef SUBMITD_DB_USAGEDB_H
#define SUBMITD_DB_USAGEDB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/dbenv.h"
#include "lib/addr.h"
#include "lib/mailbox.h"

#define USAGE_DAYS		30u
#define USAGE_BROWNOUTS		8u	/* remembered of a user */
#define USAGE_TLS_SIZE		96
#define USAGE_HELO_SIZE		65
#define USAGE_WHY_SIZE		48
#define USAGE_OLD_MAX		20000u
#define USAGE_MINUTES_KEEP_S	(100 * 86400)
#define USAGE_OLD_KEEP_S	(USAGE_DAYS * 86400)
#define USAGE_WRITE_S		60
#define USAGE_WAITING_MAX	4096u
#define USAGE_RECORD_MAX	1200u

enum usage_what { USAGE_AUTH, USAGE_GRANT, USAGE_REFUSED, USAGE__COUNT };
#define USAGE_WAYS 2u			/* the first of them */

struct usagedb;

struct usage_days {
	uint32_t	day;			/* of the epoch: n[0] is its */
	uint32_t	n[USAGE_DAYS];		/* n[i]: i days before */
};

struct usage_last {			/* of one way; at_s 0: never */
	int64_t	at_s;
	uint8_t	ip[16];
	char	tls[USAGE_TLS_SIZE];
	char	helo[USAGE_HELO_SIZE];	/* as the client calls itself */
};

struct usage_brownout {			/* he was refused in it */
	int64_t		begin_s;	/* which; 0: none */
	int64_t		last_s;
	uint32_t	n;
};

struct usage_user {
	struct usage_last	last[USAGE_WAYS];
	struct usage_days	days[USAGE__COUNT];
	struct usage_brownout	brownouts[USAGE_BROWNOUTS];	/* used first */
};

struct usage_old {
	int64_t			first_s, last_s;
	uint8_t			service;	/* AUTHP_SMTP, AUTHP_POP */
	uint16_t		port;		/* ours */
	char			why[USAGE_WHY_SIZE];	/* of tls_alert.h */
	struct usage_days	days;
};

struct usage_minute {
	uint64_t	n[USAGE__COUNT];
};

/* One record; also what is added to it. */
struct usage_record {
	char	kind;			/* 'u', 'a', 'm' */
	union {
		struct usage_user	user;
		struct usage_old	old;
		struct usage_minute	minute;
	};
};

int	usagedb_open(struct dbenv *env, struct usagedb **ret,
	    struct err *reterr);
void	usagedb_close(struct usagedb *u);	/* usagedb_flush() first */

/* Counting: never waits, never fails. `way` is USAGE_AUTH or USAGE_GRANT; of
 * `last` the helo, which is not known yet, stays as it was. */
void	usagedb_sent(struct usagedb *u, const char *user, enum usage_what way,
	    const struct usage_last *last);
void	usagedb_helo(struct usagedb *u, const char *user, enum usage_what way,
	    const char *helo);
/* A brown-out that began at begin_s refused mail of his. */
void	usagedb_refused(struct usagedb *u, const char *user, int64_t begin_s,
	    int64_t now_s);
/* A handshake from there was too old: `old` of one, days aside. */
void	usagedb_old(struct usagedb *u, const struct addr *a,
	    const struct usage_old *old);

/* On a thread: is it time to write, and writing. What could not be written waits
 * on. */
bool	usagedb_is_due(struct usagedb *u, int64_t mono_ms);
int	usagedb_flush(struct usagedb *u, int64_t mono_ms, struct err *reterr);
/* On the upkeep thread: looks at `budget` records further on and removes what
 * counts no more. */
int	usagedb_sweep(struct usagedb *u, int64_t now_s, unsigned int budget,
	    struct err *reterr);
/* He was deleted: nothing of him stays. Waits for the database. */
int	usagedb_forget(struct usagedb *u, const char *user, struct err *reterr);

/* Looking up what is written: usagedb_flush() first. Users who have sent nothing
 * have no record: ERR_NOTFOUND. */
int	usagedb_get(struct usagedb *u, const char *user,
	    struct usage_user *ret, struct err *reterr);
/* The one behind `user` ("": the first), or behind the address (zeros: the
 * first); ERR_NOTFOUND at the end. ERR_CORRUPT: go on behind it. */
int	usagedb_next_user(struct usagedb *u, char user[MAILBOX_SIZE],
	    struct usage_user *ret, struct err *reterr);
int	usagedb_next_old(struct usagedb *u, uint8_t ip[16],
	    struct usage_old *ret, struct err *reterr);
/* What all have sent from the minute of from_s to that before to_s. */
int	usagedb_sum(struct usagedb *u, int64_t from_s, int64_t to_s,
	    struct usage_minute *ret, struct err *reterr);

/* Pure. */
void	usage_days_add(struct usage_days *d, int64_t at_s, uint32_t n);
uint64_t usage_days_sum(const struct usage_days *d, int64_t now_s);
/* "ready": by login alone in these days; "mixed": by grants too; "grant-only";
 * "silent": by neither. */
const char *usage_class_name(const struct usage_user *u, int64_t now_s);
void	usage_merge(struct usage_record *into, const struct usage_record *add);
/* The encoding: versioned, bounded, wholly consumed. Pure; fuzzed. The length,
 * or ERR_LIMIT; 0, or ERR_CORRUPT. */
int	usage_encode(const struct usage_record *r,
	    uint8_t dst[USAGE_RECORD_MAX]);
int	usage_decode(char kind, const void *p, size_t len,
	    struct usage_record *ret);

#endif
