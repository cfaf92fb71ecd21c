/*
 * hash.c - imported password hashes: scheme names, bounds, the check.
 *
 * Runs in authd-core, on its pool's threads and (parsing) where records are
 * made. The texts come from files that an administrator imports: they are
 * hostile input like any other. Must never put a hash into an error's text.
 */
#include "auth/hash.h"

#include <string.h>

#include <openssl/crypto.h>

#include "auth/hash_private.h"
#include "lib/str.h"

#define HASH_SCRAM_ROUNDS_MIN 4096u	/* RFC 7677 section 4 */

/* By any of these names; NULL: the text itself tells (crypt). */
static const struct {
	const char		*name;
	const struct hash_kind	*kind;
} hash_schemes[] = {
	{ "CRYPT", NULL }, { "DES-CRYPT", &hash_des },
	{ "MD5-CRYPT", &hash_md5crypt }, { "BLF-CRYPT", &hash_bcrypt },
	{ "SHA256-CRYPT", &hash_sha256crypt },
	{ "SHA512-CRYPT", &hash_sha512crypt },
	{ "MD5", &hash_md5 }, { "PLAIN-MD5", &hash_md5 },
	{ "LDAP-MD5", &hash_md5 }, { "SMD5", &hash_smd5 },
	{ "SHA", &hash_sha1 }, { "SHA1", &hash_sha1 },
	{ "SHA256", &hash_sha256 }, { "SHA512", &hash_sha512 },
	{ "SSHA", &hash_ssha1 }, { "SSHA256", &hash_ssha256 },
	{ "SSHA512", &hash_ssha512 },
	{ "PBKDF2", &hash_pbkdf2_sha1 },
	{ "PBKDF2-SHA256", &hash_pbkdf2_sha256 },
	{ "PBKDF2-SHA512", &hash_pbkdf2_sha512 },
	{ "ARGON2I", &hash_argon2i }, { "ARGON2ID", &hash_argon2id },
};
#define HASH_N_SCHEMES (sizeof(hash_schemes) / sizeof(*hash_schemes))

static const struct hash_kind *const hash_kinds[] = {
	&hash_des, &hash_md5crypt, &hash_apr1, &hash_sha256crypt,
	&hash_sha512crypt, &hash_bcrypt, &hash_yescrypt, &hash_md5, &hash_sha1,
	&hash_sha256, &hash_sha512, &hash_smd5, &hash_ssha1, &hash_ssha256,
	&hash_ssha512, &hash_pbkdf2_sha1, &hash_pbkdf2_sha256,
	&hash_pbkdf2_sha512, &hash_argon2i, &hash_argon2id,
};

int
hash_number(const char *s, const char *end, uint32_t *ret)
{
	uint64_t n;

	if (end <= s || str_u64_n(s, (size_t)(end - s), 0, UINT32_MAX, &n) != 0)
		return ERR_FORMAT;
	*ret = (uint32_t)n;
	return 0;
}

/* The length of NAME in "{NAME}" or "{NAME.ENC}"; 0: no scheme stands there. */
static size_t
hash_scheme_len(const char *text)
{
	size_t n;

	if (text[0] != '{')
		return 0;
	n = strspn(text + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvw"
	    "xyz0123456789-_");
	return text[1 + n] == '}' || text[1 + n] == '.' ? n : 0;
}

static bool
hash_scheme_is(const char *text, const char *name)
{
	size_t n = hash_scheme_len(text);

	return n > 0 && text[1 + n] == '}' && str_ieq_n(name, text + 1, n);
}

static int
hash_unknown(const char *text, struct err *reterr)
{
	size_t n = hash_scheme_len(text);

	if (n > 0 && n <= 32)
		return err_set(reterr, ERR_FORMAT,
		    "hashes of the scheme %.*s cannot be verified", (int)n,
		    text + 1);
	if (strchr("!*", text[0]) != NULL || strcmp(text, "x") == 0)
		return err_set(reterr, ERR_FORMAT,
		    "no hash: such an account is locked");
	return err_set(reterr, ERR_FORMAT,
	    "not a form of hash that can be verified");
}

static const struct hash_kind *
hash_find_kind(const char *text, const char **ret_body)
{
	size_t n = hash_scheme_len(text);

	*ret_body = text;
	if (n == 0)
		return hash_crypt_kind(text);
	for (size_t i = 0; i < HASH_N_SCHEMES; i++) {
		const struct hash_kind *k = hash_schemes[i].kind;
		const char *body = text + 1 + n;

		if (!str_ieq_n(hash_schemes[i].name, text + 1, n))
			continue;
		/* Only digests have encodings; their parse() takes them. */
		if (*body == '}')
			body++;
		else if (k == NULL || k->md == NULL || k->n_costs > 0)
			return NULL;
		*ret_body = body;
		if (k == NULL || (k == &hash_md5 &&
		    strncmp(body, "$1$", 3) == 0) ||
		    (k == &hash_md5crypt && str_istarts(body, "$apr1$")))
			k = hash_crypt_kind(body);
		return k;
	}
	return NULL;
}

static int
hash_check_costs(const struct hash *h, struct err *reterr)
{
	for (unsigned int i = 0; i < h->kind->n_costs; i++) {
		if (h->cost[i] > h->kind->cost[i].max)
			return err_set(reterr, ERR_FORMAT,
			    "%s: %s %u is above %u", h->kind->name,
			    h->kind->cost[i].what, h->cost[i],
			    h->kind->cost[i].max);
		if (h->cost[i] < h->kind->cost[i].min)
			return err_set(reterr, ERR_FORMAT,
			    "%s: %s %u is below %u", h->kind->name,
			    h->kind->cost[i].what, h->cost[i],
			    h->kind->cost[i].min);
	}
	return 0;
}

static int
hash_parse(const char *text, struct hash *ret, struct err *reterr)
{
	const char *body;
	int r;

	memset(ret, 0, sizeof(*ret));
	if (strnlen(text, HASH_SIZE) == HASH_SIZE)
		return err_set(reterr, ERR_FORMAT,
		    "the hash is longer than %d octets", HASH_SIZE - 1);
	if ((ret->kind = hash_find_kind(text, &body)) == NULL)
		return hash_unknown(text, reterr);
	if ((r = ret->kind->parse(ret, body, reterr)) != 0)
		return r;
	return hash_check_costs(ret, reterr);
}

static int
hash_compare(struct hash *h, const char *password, size_t len)
{
	uint8_t got[HASH_OUT_MAX];
	int r = h->kind->compute(h, password, len, got);

	if (r == 0 && CRYPTO_memcmp(got, h->want, h->want_len) != 0)
		r = ERR_DENIED;
	explicit_bzero(got, sizeof(got));
	explicit_bzero(h, sizeof(*h));
	return r;
}

int
hash_check(const char *text, const char *password, size_t len)
{
	struct hash h;
	int r = hash_parse(text, &h, NULL);

	return r != 0 ? r : hash_compare(&h, password, len);
}

int
hash_is_supported(const char *text, struct err *reterr)
{
	struct hash h;
	int r = hash_parse(text, &h, reterr);

	explicit_bzero(&h, sizeof(h));
	return r;
}

int
hash_class(const char *text, char ret[HASH_CLASS_SIZE])
{
	struct hash h;
	int r = hash_parse(text, &h, NULL);

	ret[0] = '\0';
	if (r != 0)
		return r;
	str_copy(ret, HASH_CLASS_SIZE, h.kind->name);
	for (unsigned int i = 0; i < h.kind->n_costs; i++) {
		size_t at = strlen(ret);

		str_format(ret + at, HASH_CLASS_SIZE - at, "%c%u",
		    i == 0 ? '/' : ',', h.cost[i]);
	}
	explicit_bzero(&h, sizeof(h));
	return 0;
}

/* "NAME/1,2,3" */
static int
hash_class_parse(const char *name, struct hash *ret)
{
	size_t n = strcspn(name, "/");
	const char *s = name + n;

	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < sizeof(hash_kinds) / sizeof(*hash_kinds); i++)
		if (str_ieq_n(hash_kinds[i]->name, name, n))
			ret->kind = hash_kinds[i];
	if (ret->kind == NULL)
		return ERR_FORMAT;
	for (unsigned int i = 0; i < ret->kind->n_costs; i++) {
		const char *end;

		if (*s++ != (i == 0 ? '/' : ','))
			return ERR_FORMAT;
		end = s + strcspn(s, ",");
		if (hash_number(s, end, &ret->cost[i]) != 0)
			return ERR_FORMAT;
		s = end;
	}
	return *s == '\0' ? hash_check_costs(ret, NULL) : ERR_FORMAT;
}

bool
hash_class_is_valid(const char *name)
{
	struct hash h;

	return hash_class_parse(name, &h) == 0;
}

int
hash_check_fake(const char *name, const uint8_t seed[HASH_SEED],
    const char *password, size_t len)
{
	struct hash h;
	int r;

	if ((r = hash_class_parse(name, &h)) != 0 ||
	    (r = h.kind->fake(&h, seed)) != 0)
		return r;
	r = hash_compare(&h, password, len);
	return r == 0 ? ERR_DENIED : r;
}

const char *
hash_plain(const char *text)
{
	static const char *const names[] = { "PLAIN", "CLEARTEXT", "CLEAR" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (hash_scheme_is(text, names[i]))
			return text + hash_scheme_len(text) + 2;
	return NULL;
}

/* SCRAM */

/* The text behind the scheme (either way of writing it) or NULL. */
static const char *
hash_scram_body(const char *text, bool *ret_sha256)
{
	size_t n = hash_scheme_len(text);
	const char *s = n > 0 && text[1 + n] == '}' ? text + n + 2 : text;

	*ret_sha256 = str_istarts(s, "SCRAM-SHA-256$");
	if (*ret_sha256)
		return s + 14;
	if (str_istarts(s, "SCRAM-SHA-1$"))
		return s + 12;
	*ret_sha256 = hash_scheme_is(text, "SCRAM-SHA-256");
	if (*ret_sha256 || hash_scheme_is(text, "SCRAM-SHA-1"))
		return s;
	return NULL;
}

bool
hash_is_scram(const char *text)
{
	bool sha256;

	return hash_scram_body(text, &sha256) != NULL;
}

/* A key in base64 of exactly that size. */
static bool
hash_scram_key(const char *s, size_t len, uint8_t *dst, int size)
{
	return str_b64_decode(dst, (size_t)size, s, len) == size;
}

int
hash_scram_parse(const char *text, struct hash_scram *ret, struct err *reterr)
{
	const char *at[4], *end[4];
	const char *s;
	int size, n;

	memset(ret, 0, sizeof(*ret));
	if ((s = hash_scram_body(text, &ret->sha256)) == NULL)
		return err_set(reterr, ERR_FORMAT, "no keys of SCRAM");
	for (unsigned int i = 0; i < 4; i++) {
		at[i] = s;
		end[i] = s + strcspn(s, ",:$");
		s = *end[i] == '\0' ? end[i] : end[i] + 1;
	}
	size = ret->sha256 ? 32 : 20;
	n = str_b64_decode(ret->salt, sizeof(ret->salt), at[1],
	    (size_t)(end[1] - at[1]));
	if (*end[3] != '\0' || n <= 0 ||
	    hash_number(at[0], end[0], &ret->iterations) != 0 ||
	    !hash_scram_key(at[2], (size_t)(end[2] - at[2]), ret->stored_key,
	    size) ||
	    !hash_scram_key(at[3], (size_t)(end[3] - at[3]), ret->server_key,
	    size))
		return err_set(reterr, ERR_FORMAT,
		    "not whole: iterations, salt, StoredKey and ServerKey "
		    "are expected");
	ret->salt_len = (size_t)n;
	if (ret->iterations < HASH_SCRAM_ROUNDS_MIN ||
	    ret->iterations > HASH_ROUNDS_MAX)
		return err_set(reterr, ERR_FORMAT,
		    "SCRAM: %u iterations are not between %u and %u",
		    ret->iterations, HASH_SCRAM_ROUNDS_MIN, HASH_ROUNDS_MAX);
	return 0;
}
