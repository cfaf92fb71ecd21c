/*
 * verify.h - is this the user's password? And the cache of those that were.
 *
 * Passwords are checked against SCRAM-SHA-256 keys. One that was right is
 * remembered for five minutes as a keyed hash of user, generation and password
 * (the key is random and lives with the process), so that a client that logs in
 * every minute costs microseconds. May be used from several threads at once.
 */
#ifndef SUBMITD_AUTH_VERIFY_H
#define SUBMITD_AUTH_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/record.h"

#define VERIFY_CACHE_S	300

struct verify;

struct verify *verify_new(void);	/* NULL: no memory, no randomness */
void	verify_free(struct verify *v);	/* NULL is fine */

/* `password` is prepared (auth/scram.h). True when it was found right before:
 * then verify_password() will not take long. */
bool	verify_is_cached(struct verify *v, const char *user,
	    const struct user_record *rec, const char *password, size_t len,
	    int64_t now_s);

/* 0: right. ERR_DENIED: not. Other errors are ours. With `learn` false (a
 * user who may not log in) the same work is done and nothing remembered. */
int	verify_password(struct verify *v, const char *user,
	    const struct user_record *rec, const char *password, size_t len,
	    bool learn, int64_t now_s);

/* The record that answers for a user who is not there, or disabled: always the
 * same for the same name, and no password fits it. */
int	verify_fake_record(const uint8_t secret[32], const char *user,
	    struct user_record *ret);

#endif
