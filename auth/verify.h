/*
 * verify.h - is this the user's password, and which of them? And the cache of
 * those that were right.
 *
 * Passwords are checked against SCRAM keys or an imported hash. One that was
 * right is remembered for five minutes as a keyed hash of it and of the whole
 * record it was right for (the key is random and lives with the process): a
 * client that logs in every minute costs microseconds, and after any change to
 * the user there is nothing to be found. Whoever is not there, or may not log
 * in, gets the work and the answers of one who is. May be used from several
 * threads at once.
 */
#ifndef SUBMITD_AUTH_VERIFY_H
#define SUBMITD_AUTH_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/census.h"
#include "db/record.h"

#define VERIFY_CACHE_S	300

struct verify;

/* `fake_key` (32 octets) and `census` are borrowed. NULL: no memory, no
 * randomness. */
struct verify *verify_new(const uint8_t *fake_key, struct census *census);
void	verify_free(struct verify *v);	/* NULL is fine */

struct verify_ask {
	const char	*user;		/* canonical, without label */
	const struct user_record *rec;	/* NULL: there is no such user */
	bool		 may;		/* he may log in here; else the same
					 * work comes to ERR_DENIED */
	const char	*label;		/* NULL: any of his passwords */
	uint8_t		 scope;		/* CREDENTIAL_SMTP or CREDENTIAL_POP */
	int64_t		 now_s;
};

struct verify_found {			/* the credential that it was */
	char		 label[RECORD_LABEL_SIZE];
	uint64_t	 generation;
	bool		 cached;
	const char	*barred;	/* with ERR_DENIED: the password is right,
					 * but "expired", or not for this
					 * service ("scope"); for the log alone.
					 * NULL: it is wrong */
};

/* `password` is prepared (auth/scram.h). True when it was found right before:
 * then verify_password() will not take long. Microseconds. */
bool	verify_is_cached(struct verify *v, const struct verify_ask *a,
	    const char *password, size_t len);

/* 0: right. ERR_DENIED: not. Other errors are ours. Milliseconds to seconds. */
int	verify_password(struct verify *v, const struct verify_ask *a,
	    const char *password, size_t len, struct verify_found *ret);

/* What SCRAM-SHA-256 or (sha1) -1 is to run with: always something, the same
 * for the same name. Without a label it is the main password. */
struct verify_scram {
	uint8_t		salt[RECORD_SALT_MAX];
	size_t		salt_len;
	uint32_t	iterations;
	uint8_t		stored_key[RECORD_KEY];	/* SHA-1: the first 20 octets */
	uint8_t		server_key[RECORD_KEY];
	bool		real;		/* else no password fits */
	bool		only_hash;	/* the user may log in, but has only an
					 * imported hash: scram_transition */
	struct verify_found found;	/* if real */
};
int	verify_scram(const struct verify *v, const struct verify_ask *a,
	    bool sha1, struct verify_scram *ret);

#endif
