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

#define RECORD_USER_VERSION	3	/* versions 1 and 2 are read too */
#define RECORD_GRANT_VERSION	2	/* version 1 is read too */
#define RECORD_SALT		16		/* of salts that we make */
#define RECORD_SALT_MAX		64		/* of imported ones */
#define RECORD_KEY		32		/* SHA-256 */
#define RECORD_KEY1		20		/* SHA-1 */
#define RECORD_LABEL_SIZE	33
#define RECORD_CLASS_SIZE	33
#define RECORD_HASH_SIZE	512
#define RECORD_SECRET_MAX	288		/* sealed: 255 and its frame */
#define RECORD_NOTE_SIZE	256
#define RECORD_CREDENTIALS_MAX	24u
#define RECORD_ITERATIONS_MIN	4096u		/* RFC 7677 section 4 */
#define RECORD_ITERATIONS_MAX	10000000u
#define RECORD_MAX		8192u		/* octets of any encoded record */

enum {				/* user_record.flags */
	USER_DISABLED	= 1 << 0,	/* may do nothing */
	USER_MAY_SUBMIT	= 1 << 1,
	USER_MAY_POP	= 1 << 2,
	USER_MAY_OPEN_RELAY = 1 << 3,	/* his POP3 logins write grants */
	USER_MAY_USE_RELAY = 1 << 4,	/* mail under his grants is taken */
	USER_SENDING_DISABLED = 1 << 5,	/* by "user disable --sending" */
	USER_MAY_PRIORITISE = 1 << 6,	/* MT-PRIORITY above 0 (RFC 6710) */
	USER_FLAGS_ALL	= (1 << 7) - 1,
	USER_FLAGS_NEW	= USER_MAY_SUBMIT | USER_MAY_POP |
	    USER_MAY_OPEN_RELAY | USER_MAY_USE_RELAY
};

enum credential_kind {
	CREDENTIAL_PASSWORD = 1,
	CREDENTIAL_CERTIFICATE,
	CREDENTIAL_KIND__END
};

enum {				/* user_credential.scope */
	CREDENTIAL_SMTP	= 1 << 0,
	CREDENTIAL_POP	= 1 << 1,
	CREDENTIAL_SCOPE_ALL = CREDENTIAL_SMTP | CREDENTIAL_POP,
	CREDENTIAL_NO_RELAY = 1 << 2,	/* logins by it write no grants */
};

enum {				/* user_credential.keys: what is there */
	CREDENTIAL_SHA256 = 1 << 0,
	CREDENTIAL_SHA1	= 1 << 1,
	CREDENTIAL_KEYS_ALL = CREDENTIAL_SHA256 | CREDENTIAL_SHA1
};

/* One way to show who one is. The main password has the label "" and, if it is
 * there, is the first; it has no keys while the record holds its imported hash. */
struct user_credential {
	uint8_t		kind;		/* enum credential_kind */
	uint8_t		scope;		/* CREDENTIAL_SMTP and so on */
	uint8_t		keys;		/* CREDENTIAL_SHA256 | CREDENTIAL_SHA1 */
	char		label[RECORD_LABEL_SIZE];
	int64_t		created_s;
	int64_t		expires_s;	/* 0: never */
	uint64_t	generation;	/* never the same twice for a user */
	uint32_t	iterations;	/* of the keys; 0 without any */
	uint8_t		stored_key[RECORD_KEY];	/* SCRAM-SHA-256 (RFC 5802);
					 * a certificate's SHA-256 */
	uint8_t		server_key[RECORD_KEY];
	uint8_t		stored_key1[RECORD_KEY1];	/* SCRAM-SHA-1 */
	uint8_t		server_key1[RECORD_KEY1];
};

struct user_limits {		/* 0: none */
	uint32_t	messages_hour, messages_day;
	uint32_t	recipients_hour, recipients_day;
	uint64_t	message_octets;
};

struct user_record {
	uint32_t	flags;
	uint64_t	seq;		/* order of creation; userdb_add() sets it */
	int64_t		created_s;
	int64_t		changed_s;
	uint8_t		salt[RECORD_SALT_MAX];	/* of all his keys */
	uint8_t		salt_len;
	char		hash[RECORD_HASH_SIZE];	/* "{SCHEME}…" of the main
					 * password, imported; or "" */
	uint8_t		import_id[32];	/* SHA-256 of the hash or keys that
					 * were imported; zeroes: none */
	uint8_t		secret[RECORD_SECRET_MAX];	/* sealed (auth/seal.h) */
	uint16_t	secret_len;	/* 0: none */
	uint64_t	secret_generation;
	char		class[RECORD_CLASS_SIZE];	/* "": default_class */
	struct user_limits limits;	/* beat those of the class */
	uint64_t	quota_octets;	/* of the Maildir; 0: none */
	char		note[RECORD_NOTE_SIZE];		/* for people */
	char		maildir[MAILDIR_PATH_MAX];	/* below mail_root */
	uint8_t		n_credentials;
	struct user_credential credentials[RECORD_CREDENTIALS_MAX];
};

enum grant_source {
	GRANT_POP = 1,			/* a POP3 login inside authd-core */
	GRANT_CONTROL,			/* the administrator */
	GRANT_NOTIFY,			/* a listed feeder */
	GRANT_SOURCE__END
};

enum grant_protocol {
	GRANT_PROTO_NONE = 0, GRANT_PROTO_POP3, GRANT_PROTO_IMAP,
	GRANT_PROTO__END
};

/* Key of a grant: address prefix, then user. */
struct grant_record {
	uint8_t		ip[16];		/* masked to `bits` */
	char		user[MAILBOX_SIZE];
	uint8_t		bits;		/* of 128 */
	int64_t		granted_s;	/* stays while the record lives */
	int64_t		login_s;	/* the last login; his budget is of it */
	int64_t		refreshed_s;	/* that, or the last sign of life */
	int64_t		expires_s;
	uint64_t	generation;	/* the user's, at login_s */
	uint64_t	uses;		/* MAIL without a ticket */
	int64_t		first_use_s;	/* 0: none yet */
	int64_t		last_use_s;
	uint64_t	messages;	/* taken since login_s */
	uint64_t	recipients;	/* theirs */
	uint64_t	max_messages;	/* 0: no limit */
	uint64_t	max_recipients;
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
/* Its budget allows one more message (with so many recipients). */
bool	record_grant_affords(const struct grant_record *r,
	    uint64_t recipients);
int	record_grant_key_encode(const struct grant_record *r, uint8_t *dst,
	    size_t size);
int	record_grant_key_decode(const void *p, size_t len,
	    struct grant_record *ret);

/* Zeroes the keys in a copy that is no longer needed. */
void	record_user_clear(struct user_record *r);

/* The credential with that kind and label, or NULL. */
struct user_credential *user_credential_find(struct user_record *r,
	    enum credential_kind kind, const char *label);
/* The certificate with that SHA-256, or NULL. */
struct user_credential *user_certificate_find(struct user_record *r,
	    const uint8_t fingerprint[RECORD_KEY]);
/* It may be used now. */
bool	user_credential_is_live(const struct user_credential *c,
	    int64_t now_s);
/* Appends an empty one (the main password: in front of all). NULL: there are
 * RECORD_CREDENTIALS_MAX already. */
struct user_credential *user_credential_add(struct user_record *r,
	    enum credential_kind kind, const char *label);
/* Gives it another's keys and iterations, and nothing else of it. */
void	user_credential_take_keys(struct user_credential *c,
	    const struct user_credential *from);
/* 1 to 32 letters, digits, '.', '_' and '-': what a login name, a command and
 * an export can hold. */
bool	user_label_is_valid(const char *label);
/* Removes and zeroes it. */
void	user_credential_remove(struct user_record *r,
	    struct user_credential *c);
/* Of what was issued for `generation` (a ticket, a grant): the credential, or
 * the sealed secret, is still there, unchanged and not expired. */
bool	user_record_holds(const struct user_record *r, uint64_t generation,
	    int64_t now_s);

#endif
