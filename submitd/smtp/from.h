/*
 * from.h - the addresses in a From or Sender field (RFC 5322 section 3.4 and the
 * obsolete forms of section 4.4 that programs send; UTF-8 by RFC 6532).
 * Pure; fuzzed.
 */
#ifndef SUBMITD_SMTP_FROM_H
#define SUBMITD_SMTP_FROM_H

#include <stdbool.h>
#include <stddef.h>

#define SMTP_FROM_OCTETS_MAX	(64u * 1024)	/* of a field's body */
#define SMTP_FROM_MAX		100u		/* addresses in it */

/* One address, "local@domain": without white space and comments, the local part
 * quoted only where it was. Not 0 ends the parsing. */
typedef int smtp_from_fn(void *ctx, const char *address);

/* Reads the body of a field, folds included. A display name that is an address
 * itself counts as one more, for nobody can tell which of them a reader shows.
 * 0 and one address at least; ERR_FORMAT: this is no mailbox-list (a group, a
 * source route, an address without domain or of more than 254 octets);
 * ERR_LIMIT: too many or too long; or what fn returned. */
int	smtp_from_parse(const char *s, size_t len, smtp_from_fn *fn, void *ctx);

/* Two addresses are one in their canonical form (lib/mailbox.h). */
bool	smtp_from_eq(const char *a, const char *b);

#endif
