/*
 * relay_cache.h - POP-before-SMTP grants: "this user may send from this
 * address until then".
 *
 * Invariants:
 *  R1  A grant holds for one user at one address (IPv6: one prefix of
 *	ipv6_prefix bits). IPv4-mapped and NAT64 forms are the IPv4 address, as
 *	lib/addr.h makes them.
 *  R2  It ends at expires_s = the given now + the given ttl, and is not valid
 *	before granted_s, nor before it was renewed last (refreshed_s): a clock
 *	that runs back never prolongs, nor one that was wrong when it was renewed.
 *  R3  An expired record stays for RELAY_CACHE_KEEP_S, so that a commit can
 *	tell "expired meanwhile" (the record with the same granted_s is there)
 *	from "revoked" (it is not).
 *  R4  Revoking is on stable storage before it returns.
 *
 * Which addresses may hold a grant at all is the rule's to say (auth/policy).
 * Times are seconds since the epoch, given by the caller.
 */
#ifndef SUBMITD_DB_RELAY_CACHE_H
#define SUBMITD_DB_RELAY_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/dbenv.h"
#include "db/record.h"
#include "lib/addr.h"
#include "lib/err.h"

#define RELAY_CACHE_KEEP_S	3600

struct relay_cache;

/* `env` is borrowed and must outlive it. ipv6_prefix: 56 to 128. */
int	relay_cache_open(struct dbenv *env, unsigned int ipv6_prefix,
	    struct relay_cache **ret, struct err *reterr);
void	relay_cache_close(struct relay_cache *rc);	/* NULL is fine */
/* After a reload. Grants under another prefix length hold no more. */
void	relay_cache_set_prefix(struct relay_cache *rc,
	    unsigned int ipv6_prefix);

/* Records that cannot be decoded are passed over as if they were not there (and
 * purged). Each is told once, while not many are: `key` is for people. Called on
 * any thread. */
typedef void relay_cache_flaw_fn(void *ctx, const char *key);
void	relay_cache_on_flaw(struct relay_cache *rc, relay_cache_flaw_fn *flaw,
	    void *ctx);

struct relay_grant_args {
	uint64_t		 ttl_s;
	uint64_t		 generation;	/* of the user's password */
	enum grant_protocol	 protocol;
	enum grant_source	 source;
	bool			 tls;
	uint64_t		 max_messages;	/* 0: no limit */
	uint64_t		 max_recipients;
	bool			 durable;	/* on stable storage */
};

/* A login makes or renews the grant. granted_s stays as long as a record is
 * there (also an expired one), unless it lies in the future; the budget begins
 * anew. What the administrator gave (GRANT_CONTROL), while it is live and lasts
 * longer, keeps its end and budget. `ret` may be NULL. */
int	relay_cache_grant(struct relay_cache *rc, const struct addr *a,
	    const char *user, const struct relay_grant_args *args,
	    int64_t now_s, struct grant_record *ret, struct err *reterr);
/* A sign of life: a live grant ends no sooner than in ttl_s, and stays what it
 * is otherwise. ERR_NOTFOUND: there is no live one. */
int	relay_cache_renew(struct relay_cache *rc, const struct addr *a,
	    const char *user, uint64_t ttl_s, int64_t now_s,
	    struct err *reterr);

/* 0: he holds a live grant there. ERR_NOTFOUND: none, or expired. Any other:
 * the caller must refuse for now, never allow. */
int	relay_cache_lookup(struct relay_cache *rc, const struct addr *a,
	    const char *user, int64_t now_s, struct grant_record *ret,
	    struct err *reterr);
/* The record, live or expired; ERR_NOTFOUND: revoked, swept or never there. */
int	relay_cache_get(struct relay_cache *rc, const struct addr *a,
	    const char *user, struct grant_record *ret, struct err *reterr);
/* granted_s and refreshed_s <= now < expires_s. */
bool	relay_cache_is_live(const struct grant_record *g, int64_t now_s);
/* Notes that a message under it was begun; ERR_NOTFOUND. */
int	relay_cache_use(struct relay_cache *rc, const struct addr *a,
	    const char *user, int64_t now_s, struct err *reterr);
/* A message under the grant made at granted_s is taken: its budget pays.
 * ERR_LIMIT: it cannot. ERR_NOTFOUND: the record is not there (any more). */
int	relay_cache_book(struct relay_cache *rc, const struct addr *a,
	    const char *user, int64_t granted_s, uint64_t recipients,
	    int64_t now_s, struct err *reterr);
/* What was booked just now is not taken after all. ERR_NOTFOUND as above. */
int	relay_cache_take_back(struct relay_cache *rc, const struct addr *a,
	    const char *user, int64_t granted_s, uint64_t recipients,
	    struct err *reterr);
/* Ends it now (it expires), if it is live and was last made or renewed by this
 * source; ERR_NOTFOUND: not so. */
int	relay_cache_end(struct relay_cache *rc, const struct addr *a,
	    const char *user, enum grant_source source, int64_t now_s,
	    struct err *reterr);

/* The live grants at an address: at most `max` into v, *ret_n of them. */
int	relay_cache_owners(struct relay_cache *rc, const struct addr *a,
	    int64_t now_s, struct grant_record *v, size_t max, size_t *ret_n,
	    struct err *reterr);

/* How many users hold a live grant at an address: counted up to `max`. Four times
 * as many that are not swept yet, live or not, are `max` as well. */
int	relay_cache_crowd(struct relay_cache *rc, const struct addr *a,
	    int64_t now_s, size_t max, size_t *ret_n, struct err *reterr);

/* ---------------------------------------------------- relay_cache_walk.c -- */

/* Which records: all conditions that are set must hold. A network (or address,
 * 128 bits) matches every prefix that overlaps it. */
struct relay_filter {
	const struct net	*net;	/* or NULL */
	const char		*user;	/* or NULL */
};

/* The record that follows *g in order of address and user (a zeroed one gives
 * the first) among those that match, live or not. Costs what it passes by, which
 * is little: by user there is an index, and a network is a few ranges.
 * ERR_NOTFOUND at the end. */
int	relay_cache_next(struct relay_cache *rc, const struct relay_filter *f,
	    struct grant_record *g, struct err *reterr);

/* -------------------------------------------------- relay_cache_remove.c -- */

/* Removes what matches (with neither set: all) and counts it. */
int	relay_cache_revoke(struct relay_cache *rc,
	    const struct relay_filter *f, uint64_t *ret_removed,
	    struct err *reterr);
/* Removes all that are not live now, and what cannot be decoded. Rests, as the
 * next does, as long as it works. */
int	relay_cache_purge(struct relay_cache *rc, int64_t now_s,
	    uint64_t *ret_removed, struct err *reterr);
/* Removes at most `budget` of those that expired more than RELAY_CACHE_KEEP_S
 * ago. */
int	relay_cache_sweep(struct relay_cache *rc, int64_t now_s,
	    unsigned int budget, uint64_t *ret_removed, struct err *reterr);

#endif
