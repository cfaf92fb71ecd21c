/*
 * route.c - where a recipient's mail goes.
 *
 * Runs in submitd-send. The session has checked the recipient already; this
 * only looks at its domain, anew at each reload.
 */
#include "config.h"

#include <string.h>

#include "submitd/send/route.h"

#include "lib/str.h"

const struct conf_route *
route_of(const struct conf *conf, const char *address,
    char domain[MAILBOX_SIZE])
{
	const char *at = strrchr(address, '@');
	struct mailbox box;

	domain[0] = '\0';
	/* RFC 5321 section 4.5.1: the one recipient without a domain. */
	if (at == NULL)
		return str_ieq(address, "postmaster") ? conf->route_local :
		    NULL;
	/* U-labels and A-labels are one domain. */
	if (mailbox_parse(address, strlen(address), &box) == 0)
		at = strrchr(box.canon, '@');
	if (str_copy(domain, MAILBOX_SIZE, at + 1) != 0)
		return NULL;
	str_lower(domain);
	return conf_route_find(conf, domain);
}
