/*
 * sessions.h - the one table of all sessions of a service, in memory that its
 * workers share: how many an address, a network and a user have, whichever
 * worker serves them.
 *
 * The parent makes it (a sealed memfd, and an eventfd for each worker) and
 * clears the places of a worker that died. A worker enters each session, says
 * when the session is authorised, and takes it out. Above a limit of those not
 * yet authorised, the longest silent one is asked to end, wherever it lives.
 *
 * A worker may have been taken over: nothing read from the table is used as an
 * index unchecked, every walk is bounded, and a lock that does not come free
 * leaves sessions uncounted instead of unserved. A NULL table counts nothing.
 */
#ifndef SUBMITD_SESSIONS_H
#define SUBMITD_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/conf.h"
#include "lib/err.h"
#include "lib/loop.h"

#define SESSIONS_WORKERS_MAX	64
#define SESSIONS_MAX		131072u		/* in all workers together */

struct sessions;

/* What parent and worker pass to each other. */
struct sessions_fds {
	int		table;			/* -1: there is none */
	unsigned int	worker;			/* whose these are */
	unsigned int	n_workers;
	int		wake[SESSIONS_WORKERS_MAX];	/* eventfds */
};

/* Bits: the limits of sessions_enter() and sessions_authorise(). */
#define SESSIONS_PER_ADDRESS	1u
#define SESSIONS_PER_NETWORK	2u
#define SESSIONS_PER_USER	4u
/* The key's name, of a single bit, and its value. */
const char *sessions_limit_name(unsigned int limit);
uint64_t sessions_limit_of(const struct conf *conf, unsigned int limit);

/* A session's place; a member of its struct, zeroed before it enters. */
struct sessions_entry {
	uint32_t	slot;			/* 0: not in the table */
	uint64_t	user;			/* counted as; 0: nobody */
	bool		authorised;
};

struct sessions_counts {
	uint64_t	open;			/* sessions */
	uint64_t	strangers;		/* of them not yet authorised */
	uint64_t	ended[2];		/* by address, by network */
	uint64_t	refused;		/* by user */
	uint64_t	uncounted;		/* the table had no room, no lock */
};

/* The parent's side. `capacity` is rounded to nothing less than 1. */
int	sessions_make(struct sessions_fds *fds, unsigned int n_workers,
	    uint32_t capacity, struct err *reterr);
/* Maps it: in the parent, and in each worker. The descriptors stay the
 * caller's. ERR_FORMAT when it is none, ERR_SYSTEM. */
int	sessions_open(const struct sessions_fds *fds, struct sessions **ret);
void	sessions_close(struct sessions *t);		/* NULL is fine */
/* In the parent, when a worker has ended and before another takes its number:
 * its places are free, and what it was just changing is put right. */
void	sessions_clear(struct sessions *t, unsigned int worker);
/* Needs no lock. */
void	sessions_count(const struct sessions *t, struct sessions_counts *ret);

/* `fn` hears, on the loop, which of this worker's sessions is to end, and
 * above which limit it was; the session still leaves by sessions_leave().
 * ERR_NOMEM. */
typedef void sessions_end_fn(void *session, unsigned int limit);
int	sessions_listen(struct sessions *t, struct loop *l,
	    sessions_end_fn *fn);

/* A new session: `peer` NULL when its address is not known. Returns the limits
 * (bits) that it went over; where `conf` says enforce, others were asked to
 * end for it. */
unsigned int sessions_enter(struct sessions *t, struct sessions_entry *e,
	    void *session, const struct addr *peer, const struct conf *conf);
/* It may send now: in the name of `user`, or NULL where there is none. Called
 * again when that changes. Returns 0, or SESSIONS_PER_USER; with *ret_refused
 * set it is not counted as this user's, and must not go on. Once authorised it
 * is no longer asked to end. */
unsigned int sessions_authorise(struct sessions *t, struct sessions_entry *e,
	    const char *user, const struct conf *conf, bool *ret_refused);
/* It was heard from, by clock_mono_ms(): one store. */
void	sessions_heard(struct sessions *t, const struct sessions_entry *e,
	    int64_t when_ms);
/* The line for the log when one of the two told of limits. */
void	sessions_log(const char *sid, const struct addr *peer,
	    const struct conf *conf, unsigned int over, const char *user);
/* On a port that begins in clear a ClientHello came from there; or, after the
 * greeting, a command. Known for four hours, if no newer address takes its place
 * (there are SESSIONS_HELLOS, one an address or IPv6 /64). They need no lock. */
#define SESSIONS_HELLOS	8192u
void	sessions_note_hello(struct sessions *t, const struct addr *peer);
void	sessions_note_plain(struct sessions *t, const struct addr *peer);
/* True when a session from there is to wait for its greeting: nothing is known of
 * it, or a hello came and fewer than seven sessions with commands since; and no
 * other session from there waits now, as where there are several at once none of
 * them is somebody's first try. After true _waited() is due at the wait's end. */
bool	sessions_hello_wait(struct sessions *t, const struct addr *peer);
void	sessions_hello_waited(struct sessions *t, const struct addr *peer);
/* Idempotent. */
void	sessions_leave(struct sessions *t, struct sessions_entry *e);

#endif
