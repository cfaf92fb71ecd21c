/*
 * hash_crypt.c - the hashes of crypt(3), and Apache's form of MD5-crypt.
 *
 * Runs in authd-core, on its pool's threads. A setting reaches libcrypt only
 * after its form and cost were checked here: libcrypt knows many more kinds,
 * some of which run for hours if the setting says so.
 */
#include "auth/hash_private.h"

#include <crypt.h>
#include <stdlib.h>
#include <string.h>

#include "lib/str.h"

static const char hash_itoa64[] =
    "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static bool
hash_is_itoa64(const char *s, size_t len)
{
	return strlen(s) == len && strspn(s, hash_itoa64) == len;
}

static int
hash_malformed(struct err *reterr, const struct hash *h)
{
	return err_set(reterr, ERR_FORMAT, "not a whole hash of %s",
	    h->kind->name);
}

/* The text is what crypt(3) gives back for the right password. */
static int
hash_crypt_take(struct hash *h, const char *body, struct err *reterr)
{
	size_t len = strlen(body);

	if (len > sizeof(h->want) || str_copy(h->text, sizeof(h->text),
	    body) != 0)
		return hash_malformed(reterr, h);
	memcpy(h->want, body, len);
	h->want_len = len;
	return 0;
}

static int
hash_des_parse(struct hash *h, const char *body, struct err *reterr)
{
	if (!hash_is_itoa64(body, 13))
		return hash_malformed(reterr, h);
	return hash_crypt_take(h, body, reterr);
}

/* The salt up to the next "$", then `digest` characters: the end. */
static bool
hash_salt_digest(const char *s, size_t salt_max, size_t digest)
{
	const char *end = strchr(s, '$');

	if (end == NULL || (size_t)(end - s) > salt_max)
		return false;
	for (const char *p = s; p < end; p++)
		if (*p <= ' ' || *p > '~' || *p == ':' || *p == '*' ||
		    *p == '!' || *p == '\\' || *p == ';')
			return false;		/* libcrypt would refuse */
	return hash_is_itoa64(end + 1, digest);
}

static int
hash_md5crypt_parse(struct hash *h, const char *body, struct err *reterr)
{
	size_t skip = h->kind == &hash_apr1 ? 6 : 3;

	if (strncmp(body, h->kind == &hash_apr1 ? "$apr1$" : "$1$",
	    skip) != 0 || !hash_salt_digest(body + skip, 8, 22))
		return hash_malformed(reterr, h);
	return hash_crypt_take(h, body, reterr);
}

static int
hash_shacrypt_parse(struct hash *h, const char *body, struct err *reterr)
{
	bool is512 = h->kind == &hash_sha512crypt;
	const char *s = body + 3, *end;

	if (strncmp(body, is512 ? "$6$" : "$5$", 3) != 0)
		return hash_malformed(reterr, h);
	h->cost[0] = 5000;
	if (strncmp(s, "rounds=", 7) == 0) {
		s += 7;
		if ((end = strchr(s, '$')) == NULL || *s == '0' ||
		    hash_number(s, end, &h->cost[0]) != 0)
			return hash_malformed(reterr, h);
		s = end + 1;
	}
	if (!hash_salt_digest(s, 16, is512 ? 86 : 43))
		return hash_malformed(reterr, h);
	return hash_crypt_take(h, body, reterr);
}

static int
hash_bcrypt_parse(struct hash *h, const char *body, struct err *reterr)
{
	if (body[0] != '$' || body[1] != '2' || body[2] == '\0' ||
	    strchr("aby", body[2]) == NULL || body[3] != '$' ||
	    strlen(body) != 60 || body[6] != '$' ||
	    hash_number(body + 4, body + 6, &h->cost[0]) != 0 ||
	    !hash_is_itoa64(body + 7, 53))
		return hash_malformed(reterr, h);
	return hash_crypt_take(h, body, reterr);
}

/* "$y$j9T$salt$digest": flavour j is the only one that is in use; then log2 N
 * and r, a character each. */
static int
hash_yescrypt_parse(struct hash *h, const char *body, struct err *reterr)
{
	const char *n, *r;

	if (strncmp(body, "$y$j", 4) != 0 || strlen(body) < 7 ||
	    body[6] != '$' || !hash_salt_digest(body + 7, 86, 43) ||
	    (n = strchr(hash_itoa64, body[4])) == NULL ||
	    (r = strchr(hash_itoa64, body[5])) == NULL ||
	    n - hash_itoa64 > 47 || r - hash_itoa64 > 47)
		return hash_malformed(reterr, h);
	h->cost[0] = (uint32_t)(n - hash_itoa64) + 1;
	h->cost[1] = (uint32_t)(r - hash_itoa64) + 1;
	/* 128 * r * N octets */
	if (h->cost[0] > 27 || ((uint64_t)h->cost[1] << h->cost[0]) / 8 >
	    HASH_MEMORY_MAX_KIB)
		return err_set(reterr, ERR_FORMAT, "it needs more than %u MiB "
		    "of memory", HASH_MEMORY_MAX_KIB / 1024);
	return hash_crypt_take(h, body, reterr);
}

static int
hash_crypt_compute(const struct hash *h, const char *password, size_t len,
    uint8_t *ret)
{
	char phrase[CRYPT_MAX_PASSPHRASE_SIZE];
	bool cut = len >= sizeof(phrase);
	struct crypt_data *data = calloc(1, sizeof(*data));
	const char *out;
	int r = 0;

	if (data == NULL)
		return ERR_NOMEM;
	/* One that libcrypt does not take was never hashed by it; it takes
	 * its time all the same. */
	if (cut)
		len = sizeof(phrase) - 1;
	memcpy(phrase, password, len);
	phrase[len] = '\0';
	out = crypt_rn(phrase, h->text, data, sizeof(*data));
	if (out == NULL)
		r = ERR_FORMAT;
	else if (cut || strlen(out) != h->want_len)
		r = ERR_DENIED;
	else
		memcpy(ret, out, h->want_len);
	explicit_bzero(phrase, sizeof(phrase));
	explicit_bzero(data, sizeof(*data));
	free(data);
	return r;
}

static int
hash_crypt_fake(struct hash *h, const uint8_t seed[HASH_SEED])
{
	char salt[23], tail[87];
	int r;

	for (unsigned int i = 0; i < 22; i++)
		salt[i] = hash_itoa64[seed[i] % 64];
	salt[22] = '\0';
	memset(tail, '.', 86);
	tail[86] = '\0';
	if (h->kind == &hash_des)
		r = str_format(h->text, HASH_SIZE, "%.2s%.11s", salt, tail);
	else if (h->kind == &hash_bcrypt)
		r = str_format(h->text, HASH_SIZE, "$2y$%02u$%.21s.%.31s",
		    h->cost[0], salt, tail);
	else if (h->kind == &hash_yescrypt)
		r = str_format(h->text, HASH_SIZE, "$y$j%c%c$%.20s./$%.43s",
		    hash_itoa64[(h->cost[0] - 1) % 48],
		    hash_itoa64[(h->cost[1] - 1) % 48], salt, tail);
	else if (h->kind == &hash_md5crypt || h->kind == &hash_apr1)
		r = str_format(h->text, HASH_SIZE, "$%s$%.8s$%.22s",
		    h->kind == &hash_apr1 ? "apr1" : "1", salt, tail);
	else
		r = str_format(h->text, HASH_SIZE, "$%c$rounds=%u$%.16s$%s",
		    h->kind == &hash_sha512crypt ? '6' : '5', h->cost[0], salt,
		    h->kind == &hash_sha512crypt ? tail : tail + 43);
	h->want_len = strlen(h->text);
	return r;
}

/* MD5-crypt with Apache's magic, which libcrypt does not know. */

#define HASH_MD5 16u

struct hash_apr1 {
	EVP_MD_CTX	*ctx;
	const char	*password, *salt;
	size_t		 len, salt_len;
	uint8_t		 sum[HASH_MD5];
};

static bool
hash_apr1_first(struct hash_apr1 *a)
{
	static const char magic[] = "$apr1$";
	EVP_MD_CTX *c = a->ctx;
	bool ok = EVP_DigestInit_ex(c, EVP_md5(), NULL) == 1 &&
	    EVP_DigestUpdate(c, a->password, a->len) == 1 &&
	    EVP_DigestUpdate(c, a->salt, a->salt_len) == 1 &&
	    EVP_DigestUpdate(c, a->password, a->len) == 1 &&
	    EVP_DigestFinal_ex(c, a->sum, NULL) == 1 &&
	    EVP_DigestInit_ex(c, EVP_md5(), NULL) == 1 &&
	    EVP_DigestUpdate(c, a->password, a->len) == 1 &&
	    EVP_DigestUpdate(c, magic, 6) == 1 &&
	    EVP_DigestUpdate(c, a->salt, a->salt_len) == 1;

	for (size_t n = a->len; ok && n > 0; n -= n > HASH_MD5 ? HASH_MD5 : n)
		ok = EVP_DigestUpdate(c, a->sum, n > HASH_MD5 ? HASH_MD5 :
		    n) == 1;
	for (size_t n = a->len; ok && n > 0; n >>= 1)
		ok = EVP_DigestUpdate(c, n & 1 ? "" : a->password, 1) == 1;
	return ok && EVP_DigestFinal_ex(c, a->sum, NULL) == 1;
}

static bool
hash_apr1_round(struct hash_apr1 *a, unsigned int i)
{
	EVP_MD_CTX *c = a->ctx;
	const void *head = i & 1 ? (const void *)a->password : a->sum;
	const void *tail = i & 1 ? a->sum : (const void *)a->password;

	return EVP_DigestInit_ex(c, EVP_md5(), NULL) == 1 &&
	    EVP_DigestUpdate(c, head, i & 1 ? a->len : HASH_MD5) == 1 &&
	    (i % 3 == 0 ||
	    EVP_DigestUpdate(c, a->salt, a->salt_len) == 1) &&
	    (i % 7 == 0 ||
	    EVP_DigestUpdate(c, a->password, a->len) == 1) &&
	    EVP_DigestUpdate(c, tail, i & 1 ? HASH_MD5 : a->len) == 1 &&
	    EVP_DigestFinal_ex(c, a->sum, NULL) == 1;
}

/* 24 bits (18 at the end) as characters, low ones first. */
static void
hash_apr1_encode(const uint8_t s[HASH_MD5], uint8_t dst[22])
{
	static const uint8_t order[5][3] = {
		{ 0, 6, 12 }, { 1, 7, 13 }, { 2, 8, 14 }, { 3, 9, 15 },
		{ 4, 10, 5 },
	};
	uint32_t v;

	for (unsigned int i = 0; i < 5; i++) {
		v = (uint32_t)s[order[i][0]] << 16 |
		    (uint32_t)s[order[i][1]] << 8 | s[order[i][2]];
		for (unsigned int k = 0; k < 4; k++, v >>= 6)
			*dst++ = (uint8_t)hash_itoa64[v & 63];
	}
	v = s[11];
	*dst++ = (uint8_t)hash_itoa64[v & 63];
	*dst = (uint8_t)hash_itoa64[v >> 6];
}

static int
hash_apr1_compute(const struct hash *h, const char *password, size_t len,
    uint8_t *ret)
{
	struct hash_apr1 a = {
		.ctx = EVP_MD_CTX_new(), .password = password, .len = len,
		.salt = h->text + 6, .salt_len = h->want_len - 6 - 23,
	};
	bool ok = a.ctx != NULL && hash_apr1_first(&a);

	for (unsigned int i = 0; ok && i < 1000; i++)
		ok = hash_apr1_round(&a, i);
	if (ok) {
		memcpy(ret, h->text, h->want_len - 22);
		hash_apr1_encode(a.sum, ret + h->want_len - 22);
	}
	EVP_MD_CTX_free(a.ctx);
	explicit_bzero(a.sum, sizeof(a.sum));
	return ok ? 0 : ERR_NOMEM;
}

const struct hash_kind hash_des = {
	.name = "DES-CRYPT", .parse = hash_des_parse,
	.fake = hash_crypt_fake, .compute = hash_crypt_compute,
};
const struct hash_kind hash_md5crypt = {
	.name = "MD5-CRYPT", .parse = hash_md5crypt_parse,
	.fake = hash_crypt_fake, .compute = hash_crypt_compute,
};
const struct hash_kind hash_apr1 = {
	.name = "APR1", .parse = hash_md5crypt_parse,
	.fake = hash_crypt_fake, .compute = hash_apr1_compute,
};
const struct hash_kind hash_sha256crypt = {
	.name = "SHA256-CRYPT", .parse = hash_shacrypt_parse, .n_costs = 1,
	.cost = { { "rounds", 1000, HASH_ROUNDS_MAX } },
	.fake = hash_crypt_fake, .compute = hash_crypt_compute,
};
const struct hash_kind hash_sha512crypt = {
	.name = "SHA512-CRYPT", .parse = hash_shacrypt_parse, .n_costs = 1,
	.cost = { { "rounds", 1000, HASH_ROUNDS_MAX } },
	.fake = hash_crypt_fake, .compute = hash_crypt_compute,
};
const struct hash_kind hash_bcrypt = {
	.name = "BLF-CRYPT", .parse = hash_bcrypt_parse, .n_costs = 1,
	.cost = { { "cost", 4, HASH_BCRYPT_MAX } },
	.fake = hash_crypt_fake, .compute = hash_crypt_compute,
};
const struct hash_kind hash_yescrypt = {
	.name = "YESCRYPT", .parse = hash_yescrypt_parse, .n_costs = 2,
	.cost = { { "log2 N", 1, 27 }, { "r", 1, 48 } },
	.fake = hash_crypt_fake, .compute = hash_crypt_compute,
};

const struct hash_kind *
hash_crypt_kind(const char *text)
{
	static const struct {
		const char		*prefix;
		const struct hash_kind	*kind;
	} kinds[] = {
		{ "$1$", &hash_md5crypt }, { "$apr1$", &hash_apr1 },
		{ "$5$", &hash_sha256crypt }, { "$6$", &hash_sha512crypt },
		{ "$2a$", &hash_bcrypt }, { "$2b$", &hash_bcrypt },
		{ "$2y$", &hash_bcrypt }, { "$y$", &hash_yescrypt },
		{ "$argon2i$", &hash_argon2i },
		{ "$argon2id$", &hash_argon2id },
		{ "$pbkdf2-sha256$", &hash_pbkdf2_sha256 },
		{ "$pbkdf2-sha512$", &hash_pbkdf2_sha512 },
		{ "$pbkdf2$", &hash_pbkdf2_sha1 },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (strncmp(text, kinds[i].prefix,
		    strlen(kinds[i].prefix)) == 0)
			return kinds[i].kind;
	return hash_is_itoa64(text, 13) ? &hash_des : NULL;
}
