/*
 * mx.h - the order of a domain's MX records. Pure.
 */
#ifndef SUBMITD_SEND_MX_H
#define SUBMITD_SEND_MX_H

#include <stdbool.h>
#include <stddef.h>

#include "submitd/send/dns_answer.h"

/* RFC 7505 section 3: one record alone, that names the root. */
bool	mx_is_null(const struct dns_mx *mx, size_t n);
/*
 * Brings them into the order to try them in: lower preferences first, equal
 * ones at random (RFC 5321 section 5.1). Leaves out the root, a host's second
 * record, and `own` (our name) with all that are not preferred to it; *ret_own
 * tells whether that was so. At most `max` stay; returns how many.
 */
size_t	mx_order(struct dns_mx *mx, size_t n, const char *own, size_t max,
	    bool *ret_own);

#endif
