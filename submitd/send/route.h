/*
 * route.h - where a recipient's mail goes. Pure.
 */
#ifndef SUBMITD_SEND_ROUTE_H
#define SUBMITD_SEND_ROUTE_H

#include "lib/conf_route.h"
#include "lib/mailbox.h"

/* `address` as given: in any case, "postmaster" may stand alone. `domain` is what
 * stands behind its @, ASCII in lower case, or an address literal in brackets;
 * "" for postmaster. NULL: an address without a domain goes nowhere. */
const struct conf_route *route_of(const struct conf *conf,
	    const char *address, char domain[MAILBOX_SIZE]);

#endif
