/*
 * mechs.h - which ways to log in are advertised. Pure.
 *
 * For authd-core and the workers alike, so that what is offered is what will
 * be taken. Everything here is for a session under TLS; in clear nothing is.
 */
#ifndef SUBMITD_AUTH_MECHS_H
#define SUBMITD_AUTH_MECHS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/conf.h"

#define MECHS_TEXT_SIZE	128u	/* holds all of them */

/* The names for EHLO's AUTH or CAPA's SASL with a space between, the strongest
 * first: -PLUS where this connection has a `channel_binding`, EXTERNAL where
 * the client showed a certificate, CRAM-MD5 where some user has a secret. APOP
 * is none of them. Returns the length; 0 (and "") for none. */
size_t	mechs_text(const struct conf *c, size_t l,
	    bool has_secrets, bool channel_binding, bool client_cert,
	    char *dst, size_t size);

/* The banner is to have a time-stamp, and APOP may be used. */
bool	mechs_has_apop(const struct conf *c, size_t l,
	    bool has_secrets);

/* This one is configured there: it may be tried, advertised or not. */
bool	mechs_may_try(const struct conf *c, size_t l,
	    enum conf_mech m);

/* Its name ends with -PLUS. */
bool	mechs_is_plus(enum conf_mech m);

#endif
