/*
 * scram.h - the keys of SCRAM-SHA-256 (RFC 5802, RFC 7677) and the preparation
 * of passwords (RFC 4013). Linked by authd-core only.
 */
#ifndef SUBMITD_AUTH_SCRAM_H
#define SUBMITD_AUTH_SCRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define SCRAM_SALT		16
#define SCRAM_KEY		32
#define SCRAM_ITERATIONS	10000	/* of new keys */
#define SCRAM_PASSWORD_MAX	1024	/* octets, before preparation */

/* StoredKey and ServerKey of a prepared password. Takes milliseconds: for a
 * thread. Safe to call from several at once. ERR_NOMEM, ERR_SYSTEM. */
int	scram_derive(const char *password, size_t len,
	    const uint8_t salt[SCRAM_SALT], uint32_t iterations,
	    uint8_t ret_stored_key[SCRAM_KEY],
	    uint8_t ret_server_key[SCRAM_KEY]);

/* Takes the password to the form that is compared (SASLprep). `stored`: a new
 * password, in which unassigned code points are refused too. *ret is
 * malloc'ed, NUL-terminated, the caller's: scram_free_password(). ERR_FORMAT:
 * no UTF-8, a forbidden character, or empty; ERR_LIMIT: too long; ERR_NOMEM. */
int	scram_prepare(const char *password, size_t len, bool stored,
	    char **ret, struct err *reterr);
void	scram_free_password(char *password);	/* zeroes; NULL is fine */

/* 0 when the two are equal, in constant time. */
int	scram_key_cmp(const uint8_t a[SCRAM_KEY], const uint8_t b[SCRAM_KEY]);

#endif
