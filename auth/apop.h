/*
 * apop.h - APOP (RFC 1939 section 7). Pure.
 */
#ifndef SUBMITD_AUTH_APOP_H
#define SUBMITD_AUTH_APOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/authp.h"

#define APOP_AGE_S 600		/* from the banner to the session's handle */

/* "<SID.SECONDS@HOSTNAME>", and of this session: the worker made it up, we do
 * not take its word. */
bool	apop_is_challenge(const char *s, const char *sid, int64_t issued_s,
	    const char *hostname);

/* The digest is MD5 of challenge and secret: 0, ERR_DENIED, ERR_NOMEM. Constant
 * in time but for the lengths. */
int	apop_check(const char *challenge, const char *secret, size_t len,
	    const uint8_t digest[AUTHP_DIGEST_SIZE]);

#endif
