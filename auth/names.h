/*
 * names.h - from a name as a client gave it to the user it means.
 *
 * A login name is prepared by SASLprep (RFC 4013), then read so:
 *
 *	alice@example.org	in any case
 *	alice			in default_domain if he is there, else in the
 *				one local domain that has him
 *	alice%example.org	with "%" among login_separators
 *	…#phone			his app password of that label: "#" behind the
 *				last "@", or without "@" the first one
 *
 * An alias is no login name.
 */
#ifndef SUBMITD_AUTH_NAMES_H
#define SUBMITD_AUTH_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/userdb.h"
#include "lib/conf.h"
#include "lib/mailbox.h"

#define NAMES_MAX 1024u			/* octets of a name as given */

struct names {
	char	user[MAILBOX_SIZE];	/* canonical; or a bare local part */
	char	label[RECORD_LABEL_SIZE];	/* "": none was given */
	bool	bare;			/* user has no domain (yet) */
	bool	nobody;			/* not to be looked up: it is the
					 * name that a fake record goes by */
};

/* As far as it goes without the users. Pure. ERR_FORMAT: cannot be anybody's,
 * or the preparation failed or left nothing. */
int	names_parse(const struct conf *c, const char *in, size_t len,
	    struct names *ret);

/* The one form under which the name is looked up, which is nobody's if it
 * cannot be anybody's: the same bad name always has the same form. A bare one
 * that no user has, or several, gets one of the domains in which he might be,
 * so that its fake record is that of the full address as a real one's is. An
 * error: the database failed (*ret is nobody's then). */
int	names_resolve(struct userdb *db, const struct conf *c,
	    const uint8_t key[32], const char *in, size_t len,
	    struct names *ret);

#endif
