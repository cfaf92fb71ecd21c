/*
 * hash_private.h - what the files of auth/hash share: a hash taken apart.
 */
#ifndef SUBMITD_AUTH_HASH_PRIVATE_H
#define SUBMITD_AUTH_HASH_PRIVATE_H

#include <openssl/evp.h>

#include "auth/hash.h"

#define HASH_COSTS		3
#define HASH_OUT_MAX		384	/* of what is compared */

struct hash_kind;

struct hash {
	const struct hash_kind	*kind;
	uint32_t		 cost[HASH_COSTS];
	char			 text[HASH_SIZE];	/* crypt: setting */
	uint8_t			 salt[HASH_SIZE];
	size_t			 salt_len;
	uint8_t			 want[HASH_OUT_MAX];	/* to be compared */
	size_t			 want_len;
};

/* parse() takes the text behind the scheme, and checks everything but the
 * bounds of cost[], which are of the kind. fake() makes salt, text and
 * want_len from the seed; cost[] is set. compute() writes want_len octets. */
struct hash_kind {
	const char	*name;
	unsigned int	 n_costs;
	struct { const char *what; uint32_t min, max; } cost[HASH_COSTS];
	int (*parse)(struct hash *h, const char *body, struct err *reterr);
	int (*fake)(struct hash *h, const uint8_t seed[HASH_SEED]);
	int (*compute)(const struct hash *h, const char *password, size_t len,
	    uint8_t *ret);
	const EVP_MD	*(*md)(void);
	bool		 salted;
};

extern const struct hash_kind hash_des, hash_md5crypt, hash_apr1,
    hash_sha256crypt, hash_sha512crypt, hash_bcrypt, hash_yescrypt;
extern const struct hash_kind hash_md5, hash_sha1, hash_sha256, hash_sha512,
    hash_smd5, hash_ssha1, hash_ssha256, hash_ssha512;
extern const struct hash_kind hash_pbkdf2_sha1, hash_pbkdf2_sha256,
    hash_pbkdf2_sha512, hash_argon2i, hash_argon2id;

/* The kind of a bare crypt string by its first characters; NULL. */
const struct hash_kind *hash_crypt_kind(const char *text);

/* A decimal number of cost[i] that ends at `end`; ERR_FORMAT. */
int	hash_number(const char *s, const char *end, uint32_t *ret);
/* Base64 without padding into `dst`; `plus` stands for "+". Octets or < 0. */
int	hash_b64_bare(const char *s, size_t len, char plus, uint8_t *dst,
	    size_t size);

#endif
