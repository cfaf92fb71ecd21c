/*
 * record.h - what is stored of a user and of a grant, and how it is encoded:
 * versioned, big-endian, bounded, wholly consumed. Pure; fuzzed.
 */
#ifndef SUBMITD_DB_RECORD_H
#define SUBMITD_DB_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/mailbox.h"
#include "lib/maildir.h"

#define RECORD_USER_VERSION	1
#define RECORD_GRANT_VERSION	1
#define RECORD_SALT		16
#define RECORD_KEY		32		/* SHA-256 */
#define RECORD_NOTE_SIZE	256
#define RECORD_ITERATIONS_MIN	4096u		/* RFC 7677 section 4 */
#define RECORD_ITERATIONS_MAX	10000000u
#define RECORD_MAX		2048u		/* octets of any encoded record */

enum {				/* user_record.flags */
	USER_DISABLED	= 1 << 0,	/* may do nothing */
	USER_MAY_SUBMIT	= 1 << 1,
	USER_MAY_POP	= 1 << 2,
	USER_FLAGS_ALL	= USER_DISABLED | USER_MAY_SUBMIT | USER_MAY_POP
};

struct user_record {
	uint32_t	flags;
	uint64_t	generation;	/* raised by each change of password */
	uint64_t	seq;		/* order of creation; userdb_add() sets it */
	int64_t		created_s;
	int64_t		changed_s;
	uint32_t	iterations;	/* SCRAM-SHA-256 keys (RFC 5802) */
	uint8_t		salt[RECORD_SALT];
	uint8_t		stored_key[RECORD_KEY];
	uint8_t		server_key[RECORD_KEY];
	char		note[RECORD_NOTE_SIZE];		/* for people */
	char		maildir[MAILDIR_PATH_MAX];	/* below mail_root */
};

enum grant_source {
	GRANT_POP = 1,			/* a POP3 login inside authd-core */
	GRANT_CONTROL,			/* the administrator */
	GRANT_NOTIFY,			/* a listed feeder */
	GRANT_SOURCE__END
};

enum grant_protocol { GRANT_PROTO_NONE = 0, GRANT_PROTO_POP3, GRANT_PROTO__END };

/* Key of a grant: address prefix, then user. */
struct grant_record {
	uint8_t		ip[16];		/* masked to `bits` */
	char		user[MAILBOX_SIZE];
	uint8_t		bits;		/* of 128 */
	int64_t		granted_s;	/* stays while the record lives */
	int64_t		refreshed_s;
	int64_t		expires_s;
	uint64_t	generation;	/* the user's, at refreshed_s */
	uint64_t	uses;
	uint8_t		protocol;	/* enum grant_protocol */
	uint8_t		source;		/* enum grant_source */
	bool		tls;
};

#define RECORD_GRANT_KEY_MAX	(16 + MAILBOX_MAX)

/* Encoders return the length, or ERR_LIMIT (also for a field out of bounds).
 * Decoders take exactly `len` octets: ERR_CORRUPT. */
int	record_user_encode(const struct user_record *r, uint8_t *dst,
	    size_t size);
int	record_user_decode(const void *p, size_t len, struct user_record *ret);
/* The value of a grant; ip and user are its key. */
int	record_grant_encode(const struct grant_record *r, uint8_t *dst,
	    size_t size);
int	record_grant_decode(const void *p, size_t len,
	    struct grant_record *ret);
int	record_grant_key_encode(const struct grant_record *r, uint8_t *dst,
	    size_t size);
int	record_grant_key_decode(const void *p, size_t len,
	    struct grant_record *ret);

/* Zeroes the keys in a copy that is no longer needed. */
void	record_user_clear(struct user_record *r);

#endif
