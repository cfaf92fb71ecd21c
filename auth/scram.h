/*
 * scram.h - the keys of SCRAM-SHA-256 and SCRAM-SHA-1 (RFC 5802, RFC 7677) and
 * the preparation of passwords (RFC 4013). Linked by authd-core only.
 */
#ifndef SUBMITD_AUTH_SCRAM_H
#define SUBMITD_AUTH_SCRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/record.h"
#include "lib/err.h"

#define SCRAM_SALT		16	/* of salts that we make */
#define SCRAM_KEY		32
#define SCRAM_KEY1		20	/* SHA-1 */
#define SCRAM_ITERATIONS	10000	/* where the configuration says nothing */
#define SCRAM_PASSWORD_MAX	1024	/* octets, before preparation */

/* StoredKey and ServerKey of a prepared password, for SHA-256 and (…1) SHA-1.
 * Takes milliseconds: for a thread. Safe to call from several at once.
 * ERR_NOMEM, ERR_LIMIT. */
int	scram_derive(const char *password, size_t len, const uint8_t *salt,
	    size_t salt_len, uint32_t iterations,
	    uint8_t ret_stored_key[SCRAM_KEY],
	    uint8_t ret_server_key[SCRAM_KEY]);
int	scram_derive1(const char *password, size_t len, const uint8_t *salt,
	    size_t salt_len, uint32_t iterations,
	    uint8_t ret_stored_key[SCRAM_KEY1],
	    uint8_t ret_server_key[SCRAM_KEY1]);

/* Gives a credential the keys of that password under his user's salt (sets
 * keys, iterations, stored_key, …); `sha1`: those for SCRAM-SHA-1 too. */
int	scram_set_keys(struct user_credential *c, const char *password,
	    size_t len, const uint8_t *salt, size_t salt_len,
	    uint32_t iterations, bool sha1);

/* The salt of new keys of the user with this canonical name, under fake.key.
 * It is the one that is shown for that name while there is no such user. */
int	scram_salt_of(const uint8_t fake_key[32], const char *user,
	    uint8_t ret[SCRAM_SALT]);

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
