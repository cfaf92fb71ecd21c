/*
 * origin.h - the token that may stand in Received instead of the client's
 * address: who sent the message, from where, in which session and when, sealed
 * under a key that only authd-core has (received_address = token).
 *
 * A token is base64 of { key id (4), nonce (12), AES-256-GCM of { version (1),
 * time (8), address (16), session, NUL, user }, tag (16) }. Keys are made
 * anew every ORIGIN_ROTATE_S and removed when no token under them is younger
 * than token_keep: then nobody can open it any more.
 */
#ifndef SUBMITD_AUTH_ORIGIN_H
#define SUBMITD_AUTH_ORIGIN_H

#include <stdint.h>

#include "auth/authp.h"
#include "db/origindb.h"
#include "lib/addr.h"
#include "lib/err.h"
#include "lib/mailbox.h"

#define ORIGIN_ROTATE_S (30 * 86400)

struct origin;

/* What a token holds. */
struct origin_mark {
	int64_t		at_s;
	struct addr	peer;
	char		sid[AUTHP_SID_MAX + 1];
	char		user[MAILBOX_SIZE];	/* "": a network's senders */
};

/* Loads the keys. Borrows `db` for its life. */
int	origin_new(struct origindb *db, struct origin **ret,
	    struct err *reterr);
void	origin_free(struct origin *o);		/* NULL is fine */

/* Any thread. dst has AUTHP_ORIGIN_MAX + 1 octets. ERR_AWAY: there is no key
 * yet; ERR_NOMEM. */
int	origin_seal(struct origin *o, const struct origin_mark *m, char *dst);
/* Any thread. ERR_FORMAT: not a token. ERR_NOTFOUND: its key was removed, or it
 * is older than keep_s. ERR_DENIED: forged, or damaged. */
int	origin_open(struct origin *o, const char *token, int64_t now_s,
	    uint64_t keep_s, struct origin_mark *ret, struct err *reterr);

/* At the start and on the upkeep thread: makes a key when the newest is old
 * enough, removes those whose time is over. */
int	origin_upkeep(struct origin *o, int64_t now_s, uint64_t keep_s,
	    struct err *reterr);

#endif
