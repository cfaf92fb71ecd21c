/*
 * extension.h - the extensions of MAIL that ask something of the delivery:
 * FUTURERELEASE (RFC 4865), DELIVERBY (RFC 2852), MT-PRIORITY (RFC 6710) and
 * REQUIRETLS (RFC 8689). Pure; fuzzed.
 *
 * One table says which are on, for spool and delivery obey them. What is off is
 * not advertised, and its parameters are unknown (555).
 */
#ifndef SUBMITD_SMTP_EXTENSION_H
#define SUBMITD_SMTP_EXTENSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "submitd/smtp/reply.h"
#include "submitd/spool/client.h"

enum smtp_extension {		/* bits of a set */
	SMTP_EXT_ALWAYS		= 0,	/* a parameter that is always there */
	SMTP_EXT_FUTURERELEASE	= 1 << 0,
	SMTP_EXT_DELIVERBY	= 1 << 1,
	SMTP_EXT_MT_PRIORITY	= 1 << 2,
	SMTP_EXT_REQUIRETLS	= 1 << 3,
	SMTP_EXT_ALL		= (1 << 4) - 1
};

#define SMTP_HOLD_MAX_S		(30u * 86400)	/* of FUTURERELEASE */
#define SMTP_BY_MIN_S		10u	/* of DELIVERBY, by-mode R */

/* Those that the table has switched on. */
unsigned int smtp_extensions_on(void);
/* By how many octets they lengthen the line of MAIL. */
size_t	smtp_extensions_octets(unsigned int set);
/* Their lines of the answer to EHLO; ERR_LIMIT. */
int	smtp_extensions_text(unsigned int set, int64_t now_s, char *dst,
	    size_t size);

/* The values of their parameters, into *w. */
enum smtp_reply smtp_extension_holdfor(const char *value, size_t len,
	    int64_t now_s, struct spool_wishes *w);
enum smtp_reply smtp_extension_holduntil(const char *value, size_t len,
	    int64_t now_s, struct spool_wishes *w);
enum smtp_reply smtp_extension_by(const char *value, size_t len,
	    int64_t now_s, struct spool_wishes *w);
enum smtp_reply smtp_extension_priority(const char *value, size_t len,
	    struct spool_wishes *w);

#endif
