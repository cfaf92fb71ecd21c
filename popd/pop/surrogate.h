/*
 * surrogate.h - the header of a message with UTF-8 in it (RFC 6532), for a
 * client that has not said UTF8: RFC 6856 section 2.1 lets it have a surrogate
 * or nothing. Pure; fuzzed.
 *
 * Text becomes encoded-words (RFC 2047). An address that is not ASCII becomes
 * SURROGATE_ADDRESS, with what it was as its display name, and other structured
 * fields get a '?' for each such character (RFC 6858 has the idea).
 */
#ifndef SUBMITD_SURROGATE_H
#define SUBMITD_SURROGATE_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/buf.h"

#define SURROGATE_ADDRESS "<address-in-utf-8@utf8.invalid>"

/* Whether these octets of a header are UTF-8 and not ASCII. Others that are not
 * ASCII are of no known charset; they have always been sent as they are.
 * `whole` false: the header goes on behind them. */
bool	surrogate_is_needed(const char *header, size_t len, bool whole);
/* Appends it. ERR_LIMIT, ERR_NOMEM. */
int	surrogate_make(const char *header, size_t len, struct buf *out);

#endif
