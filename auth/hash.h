/*
 * hash.h - password hashes that other servers made (crypt(3), Dovecot, LDAP,
 * htpasswd, passlib): may this one be kept, and does this password fit it?
 *
 * A hash is "{SCHEME}text", or a bare crypt string ("$2y$10$..."). Schemes and
 * their encodings are Dovecot's. Pure; safe from several threads at once;
 * linked by authd-core only. What a hash costs is bounded (HASH_..._MAX):
 * above that it counts as one that cannot be verified.
 */
#ifndef SUBMITD_AUTH_HASH_H
#define SUBMITD_AUTH_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define HASH_SIZE		512	/* of a text with its NUL */
#define HASH_CLASS_SIZE		48
#define HASH_SEED		32
#define HASH_ROUNDS_MAX		1000000u	/* PBKDF2 and SHA-crypt */
#define HASH_BCRYPT_MAX		15u		/* log2 of the rounds */
#define HASH_MEMORY_MAX_KIB	(256u * 1024)	/* Argon2, yescrypt */
#define HASH_ARGON2_PASSES_MAX	16u
#define HASH_ARGON2_LANES_MAX	16u
#define HASH_SCRAM_SALT_MAX	64

/* 0: the password fits. ERR_DENIED: it does not. ERR_FORMAT: the hash cannot
 * be verified. ERR_NOMEM. Takes up to seconds: for a thread. DES crypt looks
 * at the first 8 octets of a password, bcrypt at the first 72. */
int	hash_check(const char *text, const char *password, size_t len);

/* 0: hash_check() can verify such a hash. ERR_FORMAT names what is wrong,
 * without a part of the hash that is secret. */
int	hash_is_supported(const char *text, struct err *reterr);

/* What verifying it costs: a name with its parameters, "BLF-CRYPT/10",
 * "SHA512-CRYPT/5000", "SSHA". Hashes of one class take the same time.
 * ERR_FORMAT: cannot be verified. */
int	hash_class(const char *text, char ret[HASH_CLASS_SIZE]);

bool	hash_class_is_valid(const char *name);

/* The work of hash_check() for a hash of that class which nobody has:
 * ERR_DENIED, or ERR_FORMAT for a class that is none, or ERR_NOMEM. The same
 * seed gives the same hash. */
int	hash_check_fake(const char *name, const uint8_t seed[HASH_SEED],
	    const char *password, size_t len);

/* The password itself, when the scheme is {PLAIN}, {CLEARTEXT} or {CLEAR} (it
 * must never be stored); else NULL. */
const char *hash_plain(const char *text);

/* Keys of SCRAM, as Dovecot writes them ("{SCRAM-SHA-256}iterations,salt,
 * StoredKey,ServerKey") or RFC 5803 ("SCRAM-SHA-256$iterations:salt$StoredKey:
 * ServerKey"); SCRAM-SHA-1 alike. */
struct hash_scram {
	bool		sha256;			/* else SHA-1 */
	uint32_t	iterations;
	uint8_t		salt[HASH_SCRAM_SALT_MAX];
	size_t		salt_len;
	uint8_t		stored_key[32];		/* SHA-1: the first 20 */
	uint8_t		server_key[32];
};
bool	hash_is_scram(const char *text);
int	hash_scram_parse(const char *text, struct hash_scram *ret,
	    struct err *reterr);

#endif
