/*
 * route.c - where a recipient's mail goes.
 *
 * Runs in submitd-send. The session has checked the recipient already; this
 * only looks at its domain, anew at each reload.
 */
#include "config.h"

#include <string.h>

#include "submitd/send/route.h"

#include "lib/conf_route.h"
#include "lib/mailbox.h"
#include "lib/str.h"

enum route
route_of(const struct conf *conf, const char *address)
{
	struct mailbox box;

	/* RFC 5321 section 4.5.1: the one recipient without a domain. */
	if (strchr(address, '@') == NULL)
		return str_ieq(address, "postmaster") ? ROUTE_LOCAL :
		    ROUTE_NOWHERE;
	/* U-labels and A-labels are one domain. */
	if (mailbox_parse(address, strlen(address), &box) != 0)
		return ROUTE_HOP;
	switch (conf_route_find(conf, mailbox_domain(box.canon))->via) {
	case CONF_VIA_LOCAL:
		return ROUTE_LOCAL;
	case CONF_VIA_NONE:
		return ROUTE_NOWHERE;
	default:
		return ROUTE_HOP;
	}
}
