/*
 * route.h - where a recipient's mail goes: into a Maildir here, or to the next
 * hop. Pure.
 */
#ifndef SUBMITD_SEND_ROUTE_H
#define SUBMITD_SEND_ROUTE_H

#include "lib/conf.h"

enum route {
	ROUTE_LOCAL,
	ROUTE_HOP,
	ROUTE_NOWHERE,		/* there is no next_hop (any more): 5.4.4 */
	ROUTE__COUNT
};

/* `address` as given: in any case, "postmaster" may stand alone. */
enum route route_of(const struct conf *conf, const char *address);

#endif
