/*
 * grant.h - what a login at a mail store does for sending: POP-before-SMTP
 * grants, written here and nowhere else.
 *
 * A POP3 login inside authd-core (auth/login_end.c) and one that a listed
 * feeder tells of (auth/notify.c) come here alike. On the loop of authd-core.
 */
#ifndef SUBMITD_AUTH_GRANT_H
#define SUBMITD_AUTH_GRANT_H

#include <stdbool.h>
#include <stdint.h>

#include "auth/core.h"
#include "db/record.h"
#include "lib/addr.h"

struct grant_login {
	const struct addr	*peer;		/* where he is */
	const char		*user;		/* canonical */
	const struct user_record *rec;		/* his */
	uint64_t		 generation;	/* of the credential shown; a
						 * feeder's: grant_generation() */
	uint8_t			 protocol;	/* enum grant_protocol */
	uint8_t			 source;	/* enum grant_source */
	bool			 tls;
	const char		*sid;		/* or NULL */
	const char		*feed;		/* who tells of it, or NULL */
};

enum grant_verdict {
	GRANT_NEW,
	GRANT_RENEWED,
	GRANT_NONE,		/* alive: there is none to renew */
	GRANT_USER_MAY_NOT,	/* disabled, or may not send or open */
	GRANT_EXCLUDED,		/* no grants at such an address */
	GRANT_NETWORK,		/* grant_network: may_open_relay = no */
	GRANT_ENDED,		/* grant_sunset is over */
	GRANT_SHARED,		/* it looks shared, and he is new there */
	GRANT_FAILED,		/* the database; it is logged */
	GRANT_VERDICT__COUNT
};

/* A right password, or exchange, was shown under the rules of the store: makes
 * the grant or renews it, if he may have one there, counts and logs that.
 * GRANT_FAILED ends no login. */
enum grant_verdict grant_login(struct core *core, const struct grant_login *l,
	    int64_t now_s);
/* The session that logged in goes on: renews the grant that he has there, if it
 * is alive, as what it is, and makes none. One whose password was changed
 * meanwhile, or that the administrator gave, is none here. l->generation is not
 * looked at but for 0. Logs nothing that went well. */
enum grant_verdict grant_alive(struct core *core, const struct grant_login *l,
	    int64_t now_s);
/* Ends his grant there, if it was this source that made or renewed it last: 0;
 * ERR_NOTFOUND: there is no such grant alive; or the database's error. Mail
 * whose MAIL was before goes through. */
int	grant_logout(struct core *core, const struct addr *peer,
	    const char *user, enum grant_source source, int64_t now_s);

/* What a login of his from there (NULL: from anywhere) would come to by the
 * rules alone: GRANT_NEW, or why not. On any thread. */
enum grant_verdict grant_judge(const struct conf *c, const struct addr *peer,
	    const struct user_record *rec, int64_t now_s);

/* Does a login by a credential of that scope give grants? */
bool	grant_scope_may(uint8_t scope);

/* "new", "renewed", "none", "user", "excluded", …: for logs and answers. */
const char *grant_verdict_name(enum grant_verdict v);
const char *grant_protocol_name(uint8_t protocol);
const char *grant_source_name(uint8_t source);
/* What a grant that came without a credential hangs on: the first that is good
 * for SMTP and lets grants be made. 0: he has none such. */
uint64_t grant_generation(const struct user_record *rec);

#endif
