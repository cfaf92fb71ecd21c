/*
 * seal.h - the secrets that CRAM-MD5 and APOP need in the clear, kept sealed:
 * AES-256-GCM under secret.key, bound to the user they are for. Linked by
 * authd-core only; safe from several threads at once.
 */
#ifndef SUBMITD_AUTH_SEAL_H
#define SUBMITD_AUTH_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEAL_KEY	32
#define SEAL_TEXT_MAX	255
#define SEAL_MAX	(12 + SEAL_TEXT_MAX + 16)	/* nonce, text, tag */

/* `user` is canonical. Return the length, or ERR_LIMIT (an empty or too long
 * text), ERR_NOMEM. */
int	seal_make(const uint8_t key[SEAL_KEY], const char *user,
	    const void *text, size_t len, uint8_t ret[SEAL_MAX]);
/* ERR_CORRUPT: not sealed by this key for this user, or changed since. A NUL
 * is put behind the text; the caller zeroes it. */
int	seal_open(const uint8_t key[SEAL_KEY], const char *user,
	    const void *sealed, size_t len, char ret[SEAL_TEXT_MAX + 1]);

#endif
