/*
 * hash_digest.c - plain and salted digests as LDAP and Dovecot keep them,
 * PBKDF2 (Dovecot's and passlib's), Argon2. Runs in authd-core, on its pool's
 * threads.
 */
#include "auth/hash_private.h"

#include <argon2.h>
#include <stdlib.h>
#include <string.h>

#include "lib/str.h"

static int
hash_digest_malformed(struct err *reterr, const struct hash *h)
{
	return err_set(reterr, ERR_FORMAT, "not a whole hash of %s",
	    h->kind->name);
}

int
hash_b64_bare(const char *s, size_t len, char plus, uint8_t *dst, size_t size)
{
	char copy[HASH_SIZE + 4];

	if (len >= HASH_SIZE || len % 4 == 1)
		return ERR_FORMAT;
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '+' && plus != '+')
			return ERR_FORMAT;
		copy[i] = s[i] == plus ? '+' : s[i];
	}
	while (len % 4 != 0)
		copy[len++] = '=';
	return str_b64_decode(dst, size, copy, len);
}

static int
hash_unhex(const char *s, size_t len, uint8_t *dst, size_t size)
{
	static const char digits[] = "0123456789abcdef";

	if (len % 2 != 0 || len / 2 > size)
		return ERR_FORMAT;
	for (size_t i = 0; i < len; i++) {
		char c = (char)(s[i] >= 'A' && s[i] <= 'F' ? s[i] | 0x20 :
		    s[i]);
		const char *d = c == '\0' ? NULL : strchr(digits, c);

		if (d == NULL)
			return ERR_FORMAT;
		dst[i / 2] = (uint8_t)(dst[i / 2] << 4 | (d - digits));
	}
	return (int)(len / 2);
}

/* Digests: MD5, SHA, SHA256, SHA512; with S in front the salt stands behind
 * the digest. Hexadecimal or base64: what is left of a scheme's suffix stands
 * before the text, ".HEX}" or ".B64}"; without one the length tells. */
static int
hash_digest_parse(struct hash *h, const char *body, struct err *reterr)
{
	size_t size = (size_t)EVP_MD_get_size(h->kind->md());
	uint8_t raw[HASH_SIZE] = { 0 };
	bool hex = str_istarts(body, ".HEX}");
	bool b64 = str_istarts(body, ".B64}");
	const char *s = hex || b64 ? body + 5 : body;
	size_t len = strlen(s);
	int n;

	if (!b64 && !h->kind->salted && len == 2 * size)
		hex = true;
	n = hex ? hash_unhex(s, len, raw, sizeof(raw)) :
	    str_b64_decode(raw, sizeof(raw), s, len);
	if (n < 0 || (size_t)n < size ||
	    (h->kind->salted ? (size_t)n == size : (size_t)n != size))
		return hash_digest_malformed(reterr, h);
	memcpy(h->want, raw, size);
	h->want_len = size;
	h->salt_len = (size_t)n - size;
	memcpy(h->salt, raw + size, h->salt_len);
	return 0;
}

static int
hash_digest_fake(struct hash *h, const uint8_t seed[HASH_SEED])
{
	h->want_len = (size_t)EVP_MD_get_size(h->kind->md());
	h->salt_len = h->kind->salted ? 8 : 0;
	memcpy(h->salt, seed, 8);
	return 0;
}

static int
hash_digest_compute(const struct hash *h, const char *password, size_t len,
    uint8_t *ret)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool ok = c != NULL &&
	    EVP_DigestInit_ex(c, h->kind->md(), NULL) == 1 &&
	    EVP_DigestUpdate(c, password, len) == 1 &&
	    EVP_DigestUpdate(c, h->salt, h->salt_len) == 1 &&
	    EVP_DigestFinal_ex(c, ret, NULL) == 1;

	EVP_MD_CTX_free(c);
	return ok ? 0 : ERR_NOMEM;
}

/* PBKDF2 */

/* Dovecot's: "$1$salt$rounds$hexadecimal", with SHA-1. */
static int
hash_pbkdf2_dovecot(struct hash *h, const char *body, struct err *reterr)
{
	const char *salt = body + 3, *rounds, *digest;
	int n = ERR_FORMAT;

	rounds = strchr(salt, '$');
	digest = rounds == NULL ? NULL : strchr(rounds + 1, '$');
	if (digest != NULL && hash_number(rounds + 1, digest,
	    &h->cost[0]) == 0)
		n = hash_unhex(digest + 1, strlen(digest + 1), h->want,
		    sizeof(h->want));
	if (n != EVP_MD_get_size(h->kind->md()))
		return hash_digest_malformed(reterr, h);
	h->want_len = (size_t)n;
	h->salt_len = (size_t)(rounds - salt);
	memcpy(h->salt, salt, h->salt_len);
	return 0;
}

/* passlib's: "$pbkdf2-sha256$rounds$salt$digest" with "." for "+". */
static int
hash_pbkdf2_parse(struct hash *h, const char *body, struct err *reterr)
{
	const char *rounds, *salt, *digest;
	int n = ERR_FORMAT, k = ERR_FORMAT;

	if (h->kind == &hash_pbkdf2_sha1 && strncmp(body, "$1$", 3) == 0)
		return hash_pbkdf2_dovecot(h, body, reterr);
	if (hash_crypt_kind(body) != h->kind)
		return hash_digest_malformed(reterr, h);
	rounds = strchr(body + 1, '$');
	salt = rounds == NULL ? NULL : strchr(rounds + 1, '$');
	digest = salt == NULL ? NULL : strchr(salt + 1, '$');
	if (digest != NULL &&
	    hash_number(rounds + 1, salt, &h->cost[0]) == 0) {
		n = hash_b64_bare(salt + 1, (size_t)(digest - salt - 1), '.',
		    h->salt, sizeof(h->salt));
		k = hash_b64_bare(digest + 1, strlen(digest + 1), '.',
		    h->want, sizeof(h->want));
	}
	if (n < 0 || k != EVP_MD_get_size(h->kind->md()))
		return hash_digest_malformed(reterr, h);
	h->salt_len = (size_t)n;
	h->want_len = (size_t)k;
	return 0;
}

static int
hash_pbkdf2_fake(struct hash *h, const uint8_t seed[HASH_SEED])
{
	h->want_len = (size_t)EVP_MD_get_size(h->kind->md());
	h->salt_len = 16;
	memcpy(h->salt, seed, 16);
	return 0;
}

static int
hash_pbkdf2_compute(const struct hash *h, const char *password, size_t len,
    uint8_t *ret)
{
	return PKCS5_PBKDF2_HMAC(password, (int)len, h->salt,
	    (int)h->salt_len, (int)h->cost[0], h->kind->md(),
	    (int)h->want_len, ret) == 1 ? 0 : ERR_NOMEM;
}

/* Argon2: "$argon2id$v=19$m=65536,t=3,p=1$salt$digest" */

/* "NAME=NUMBER" that ends at `stop`; moves on behind it. */
static bool
hash_argon2_field(const char **s, char name, char stop, uint32_t *ret)
{
	const char *end = strchr(*s, stop);

	if (end == NULL || (*s)[0] != name || (*s)[1] != '=' ||
	    hash_number(*s + 2, end, ret) != 0)
		return false;
	*s = end + 1;
	return true;
}

static int
hash_argon2_parse(struct hash *h, const char *body, struct err *reterr)
{
	const char *s = strchr(body + (body[0] != '\0'), '$'), *digest;
	uint32_t version;
	int n, k;

	if (s == NULL || hash_crypt_kind(body) != h->kind)
		return hash_digest_malformed(reterr, h);
	s++;
	if (!hash_argon2_field(&s, 'v', '$', &version) || version != 19 ||
	    !hash_argon2_field(&s, 'm', ',', &h->cost[0]) ||
	    !hash_argon2_field(&s, 't', ',', &h->cost[1]) ||
	    !hash_argon2_field(&s, 'p', '$', &h->cost[2]) ||
	    (digest = strchr(s, '$')) == NULL)
		return hash_digest_malformed(reterr, h);
	n = hash_b64_bare(s, (size_t)(digest - s), '+', h->salt,
	    sizeof(h->salt));
	k = hash_b64_bare(digest + 1, strlen(digest + 1), '+', h->want,
	    sizeof(h->want));
	if (n < (int)ARGON2_MIN_SALT_LENGTH || k < 16 ||
	    h->cost[2] > HASH_ARGON2_LANES_MAX ||
	    h->cost[0] < 8 * h->cost[2])
		return hash_digest_malformed(reterr, h);
	h->salt_len = (size_t)n;
	h->want_len = (size_t)k;
	return 0;
}

static int
hash_argon2_fake(struct hash *h, const uint8_t seed[HASH_SEED])
{
	h->want_len = 32;
	h->salt_len = 16;
	memcpy(h->salt, seed, 16);
	return h->cost[0] >= 8 * h->cost[2] ? 0 : ERR_FORMAT;
}

static int
hash_argon2_compute(const struct hash *h, const char *password, size_t len,
    uint8_t *ret)
{
	uint8_t salt[HASH_SIZE];
	char copy[HASH_OUT_MAX * 4];
	argon2_context c = {
		.out = ret, .outlen = (uint32_t)h->want_len,
		.pwd = (uint8_t *)copy, .pwdlen = (uint32_t)len,
		.salt = salt, .saltlen = (uint32_t)h->salt_len,
		.m_cost = h->cost[0], .t_cost = h->cost[1],
		.lanes = h->cost[2],
		.threads = 1,		/* we are one of the pool's already */
		.version = ARGON2_VERSION_13,
	};
	int r;

	if (len > sizeof(copy))
		return ERR_DENIED;
	memcpy(copy, password, len);
	memcpy(salt, h->salt, h->salt_len);
	r = argon2_ctx(&c, h->kind == &hash_argon2id ? Argon2_id : Argon2_i);
	explicit_bzero(copy, sizeof(copy));
	if (r == ARGON2_MEMORY_ALLOCATION_ERROR)
		return ERR_NOMEM;
	return r == ARGON2_OK ? 0 : ERR_FORMAT;
}

#define HASH_DIGEST(n, m, s) { .name = n, .md = m, .salted = s, \
	.parse = hash_digest_parse, .fake = hash_digest_fake, \
	.compute = hash_digest_compute }
const struct hash_kind hash_md5 = HASH_DIGEST("MD5", EVP_md5, false);
const struct hash_kind hash_sha1 = HASH_DIGEST("SHA", EVP_sha1, false);
const struct hash_kind hash_sha256 = HASH_DIGEST("SHA256", EVP_sha256, false);
const struct hash_kind hash_sha512 = HASH_DIGEST("SHA512", EVP_sha512, false);
const struct hash_kind hash_smd5 = HASH_DIGEST("SMD5", EVP_md5, true);
const struct hash_kind hash_ssha1 = HASH_DIGEST("SSHA", EVP_sha1, true);
const struct hash_kind hash_ssha256 = HASH_DIGEST("SSHA256", EVP_sha256, true);
const struct hash_kind hash_ssha512 = HASH_DIGEST("SSHA512", EVP_sha512, true);

#define HASH_PBKDF2(n, m) { .name = n, .md = m, .n_costs = 1, \
	.cost = { { "rounds", 1, HASH_ROUNDS_MAX } }, \
	.parse = hash_pbkdf2_parse, .fake = hash_pbkdf2_fake, \
	.compute = hash_pbkdf2_compute }
const struct hash_kind hash_pbkdf2_sha1 = HASH_PBKDF2("PBKDF2", EVP_sha1);
const struct hash_kind hash_pbkdf2_sha256 =
    HASH_PBKDF2("PBKDF2-SHA256", EVP_sha256);
const struct hash_kind hash_pbkdf2_sha512 =
    HASH_PBKDF2("PBKDF2-SHA512", EVP_sha512);

#define HASH_ARGON2(n) { .name = n, .n_costs = 3, .cost = { \
	{ "memory (KiB)", 8, HASH_MEMORY_MAX_KIB }, \
	{ "passes", 1, HASH_ARGON2_PASSES_MAX }, \
	{ "lanes", 1, HASH_ARGON2_LANES_MAX } }, \
	.parse = hash_argon2_parse, .fake = hash_argon2_fake, \
	.compute = hash_argon2_compute }
const struct hash_kind hash_argon2i = HASH_ARGON2("ARGON2I");
const struct hash_kind hash_argon2id = HASH_ARGON2("ARGON2ID");
