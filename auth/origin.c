/*
 * origin.c - see origin.h. Runs in authd-core. It must never let a token out
 * under a key that is not on stable storage, nor use a nonce twice: each is 96
 * random bits, and a key seals far fewer than 2^32 tokens in its month.
 */
#include "auth/origin.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "lib/str.h"

#define ORIGIN_KEYS_MAX	160u	/* of ten years, which is token_keep's most */
#define ORIGIN_VERSION	1
#define ORIGIN_ID	4u
#define ORIGIN_NONCE	12u
#define ORIGIN_TAG	16u
#define ORIGIN_FIXED	(1u + 8u + 16u)
#define ORIGIN_TEXT_MAX	(ORIGIN_FIXED + AUTHP_SID_MAX + 1u + AUTHP_USER_MAX)
#define ORIGIN_MAX	(ORIGIN_ID + ORIGIN_NONCE + ORIGIN_TEXT_MAX + ORIGIN_TAG)

_Static_assert(STR_B64_SIZE(ORIGIN_MAX) <= AUTHP_ORIGIN_MAX + 1,
    "a token has room in the protocol");

struct origin {
	struct origindb		*db;
	pthread_mutex_t		 lock;		/* of what is below */
	struct origindb_key	 keys[ORIGIN_KEYS_MAX];	/* by id */
	size_t			 n;
};

int
origin_new(struct origindb *db, struct origin **ret, struct err *reterr)
{
	struct origin *o = calloc(1, sizeof(*o));
	int r;

	if (o == NULL)
		return err_set(reterr, ERR_NOMEM, "no memory");
	o->db = db;
	pthread_mutex_init(&o->lock, NULL);
	r = origindb_load(db, o->keys, ORIGIN_KEYS_MAX, &o->n, reterr);
	if (r != 0)
		origin_free(o);
	else
		*ret = o;
	return r;
}

void
origin_free(struct origin *o)
{
	if (o == NULL)
		return;
	pthread_mutex_destroy(&o->lock);
	explicit_bzero(o, sizeof(*o));
	free(o);
}

/* A copy of the key by that id, 0 for the newest. */
static int
origin_key(struct origin *o, uint32_t id, struct origindb_key *ret)
{
	int r = ERR_NOTFOUND;

	pthread_mutex_lock(&o->lock);
	for (size_t i = o->n; i > 0 && r != 0; i--) {
		if (id == 0 || o->keys[i - 1].id == id) {
			*ret = o->keys[i - 1];
			r = 0;
		}
	}
	pthread_mutex_unlock(&o->lock);
	return r;
}

/* ---------------------------------------------------------------- sealing -- */

static void
origin_put_number(uint8_t *dst, uint64_t n, unsigned int octets)
{
	while (octets-- > 0) {
		dst[octets] = (uint8_t)n;
		n >>= 8;
	}
}

static uint64_t
origin_get_number(const uint8_t *p, unsigned int octets)
{
	uint64_t n = 0;

	while (octets-- > 0)
		n = n << 8 | *p++;
	return n;
}

static size_t
origin_encode(const struct origin_mark *m, uint8_t dst[ORIGIN_TEXT_MAX])
{
	size_t sid = strnlen(m->sid, AUTHP_SID_MAX);
	size_t user = strnlen(m->user, AUTHP_USER_MAX);

	dst[0] = ORIGIN_VERSION;
	origin_put_number(dst + 1, (uint64_t)m->at_s, 8);
	memcpy(dst + 9, m->peer.ip, sizeof(m->peer.ip));
	memcpy(dst + ORIGIN_FIXED, m->sid, sid);
	dst[ORIGIN_FIXED + sid] = '\0';
	memcpy(dst + ORIGIN_FIXED + sid + 1, m->user, user);
	return ORIGIN_FIXED + sid + 1 + user;
}

static int
origin_decode(const uint8_t *p, size_t len, struct origin_mark *ret)
{
	const uint8_t *nul;
	size_t sid;

	memset(ret, 0, sizeof(*ret));
	if (len <= ORIGIN_FIXED || p[0] != ORIGIN_VERSION ||
	    (nul = memchr(p + ORIGIN_FIXED, '\0', len - ORIGIN_FIXED)) == NULL)
		return ERR_FORMAT;
	sid = (size_t)(nul - p) - ORIGIN_FIXED;
	ret->at_s = (int64_t)origin_get_number(p + 1, 8);
	memcpy(ret->peer.ip, p + 9, sizeof(ret->peer.ip));
	if (str_copy_n(ret->sid, sizeof(ret->sid),
	    (const char *)p + ORIGIN_FIXED, sid) != 0)
		return ERR_FORMAT;
	return str_copy_n(ret->user, sizeof(ret->user), (const char *)nul + 1,
	    len - ORIGIN_FIXED - sid - 1);
}

/* The key's id is bound in, so that it cannot be exchanged. */
static bool
origin_begin(EVP_CIPHER_CTX *c, const struct origindb_key *k,
    const uint8_t *head, int enc)
{
	int n;

	return c != NULL && EVP_CipherInit_ex(c, EVP_aes_256_gcm(), NULL,
	    k->key, head + ORIGIN_ID, enc) == 1 &&
	    EVP_CipherUpdate(c, NULL, &n, head, (int)ORIGIN_ID) == 1;
}

int
origin_seal(struct origin *o, const struct origin_mark *m, char *dst)
{
	uint8_t text[ORIGIN_TEXT_MAX], out[ORIGIN_MAX];
	size_t len = origin_encode(m, text);
	uint8_t *body = out + ORIGIN_ID + ORIGIN_NONCE;
	struct origindb_key k;
	EVP_CIPHER_CTX *c;
	int n = 0, end = 0;
	bool ok;

	if (origin_key(o, 0, &k) != 0)
		return ERR_AWAY;
	origin_put_number(out, k.id, ORIGIN_ID);
	c = EVP_CIPHER_CTX_new();
	ok = RAND_bytes(out + ORIGIN_ID, ORIGIN_NONCE) == 1 &&
	    origin_begin(c, &k, out, 1) &&
	    EVP_CipherUpdate(c, body, &n, text, (int)len) == 1 &&
	    EVP_CipherFinal_ex(c, body + n, &end) == 1 &&
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, ORIGIN_TAG,
	    body + len) == 1;
	EVP_CIPHER_CTX_free(c);
	explicit_bzero(&k, sizeof(k));
	if (!ok)
		return ERR_NOMEM;
	n = str_b64_encode(dst, AUTHP_ORIGIN_MAX + 1, out, ORIGIN_ID +
	    ORIGIN_NONCE + len + ORIGIN_TAG);
	return n < 0 ? n : 0;
}

static int
origin_unseal(struct origin *o, const uint8_t *in, size_t len,
    struct origin_mark *ret, struct err *reterr)
{
	const size_t head = ORIGIN_ID + ORIGIN_NONCE;
	uint8_t text[ORIGIN_MAX], tag[ORIGIN_TAG];
	struct origindb_key k;
	EVP_CIPHER_CTX *c;
	int n = 0, end = 0;
	bool ok;

	if (origin_key(o, (uint32_t)origin_get_number(in, ORIGIN_ID), &k) != 0)
		return err_set(reterr, ERR_NOTFOUND, "the token cannot be opened: "
		    "its key is not here, or was removed after token_keep");
	len -= head + ORIGIN_TAG;
	memcpy(tag, in + head + len, ORIGIN_TAG);
	c = EVP_CIPHER_CTX_new();
	ok = origin_begin(c, &k, in, 0) &&
	    EVP_CipherUpdate(c, text, &n, in + head, (int)len) == 1 &&
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, ORIGIN_TAG,
	    tag) == 1 && EVP_CipherFinal_ex(c, text + n, &end) == 1;
	EVP_CIPHER_CTX_free(c);
	explicit_bzero(&k, sizeof(k));
	if (!ok || origin_decode(text, len, ret) != 0)
		return err_set(reterr, ERR_DENIED, "the token is forged or "
		    "damaged");
	return 0;
}

int
origin_open(struct origin *o, const char *token, int64_t now_s,
    uint64_t keep_s, struct origin_mark *ret, struct err *reterr)
{
	uint8_t in[ORIGIN_MAX + 3];
	int n, r;

	n = str_b64_decode(in, sizeof(in), token, strlen(token));
	if (n < 0 || (size_t)n > ORIGIN_MAX || (size_t)n <= ORIGIN_ID +
	    ORIGIN_NONCE + ORIGIN_FIXED + ORIGIN_TAG)
		return err_set(reterr, ERR_FORMAT, "not a token");
	if ((r = origin_unseal(o, in, (size_t)n, ret, reterr)) != 0)
		return r;
	if (ret->at_s < now_s && (uint64_t)(now_s - ret->at_s) > keep_s)
		return err_set(reterr, ERR_NOTFOUND, "the token is older than "
		    "token_keep");
	return 0;
}

/* ----------------------------------------------------------------- upkeep -- */

static int
origin_rotate(struct origin *o, int64_t now_s, struct err *reterr)
{
	struct origindb_key k = { .id = 1, .made_s = now_s };
	struct origindb_key last;
	int r;

	if (origin_key(o, 0, &last) == 0) {
		if (now_s - last.made_s < ORIGIN_ROTATE_S)
			return 0;	/* also when the clock was set back */
		k.id = last.id + 1;
	}
	if (o->n == ORIGIN_KEYS_MAX)
		return err_set(reterr, ERR_LIMIT, "too many origin keys");
	if (RAND_bytes(k.key, sizeof(k.key)) != 1)
		return err_set(reterr, ERR_SYSTEM, "no randomness");
	if ((r = origindb_put(o->db, &k, reterr)) == 0) {
		pthread_mutex_lock(&o->lock);
		o->keys[o->n++] = k;
		pthread_mutex_unlock(&o->lock);
	}
	explicit_bzero(&k, sizeof(k));
	return r;
}

/* A key was in use until the next one was made, or still is. */
static int
origin_expire(struct origin *o, int64_t now_s, uint64_t keep_s,
    struct err *reterr)
{
	int r;

	while (o->n > 1 && now_s - o->keys[1].made_s > (int64_t)keep_s) {
		r = origindb_remove(o->db, o->keys[0].id, reterr);
		if (r != 0 && r != ERR_NOTFOUND)
			return r;
		pthread_mutex_lock(&o->lock);
		o->n--;
		memmove(o->keys, o->keys + 1, o->n * sizeof(o->keys[0]));
		explicit_bzero(&o->keys[o->n], sizeof(o->keys[0]));
		pthread_mutex_unlock(&o->lock);
	}
	return 0;
}

int
origin_upkeep(struct origin *o, int64_t now_s, uint64_t keep_s,
    struct err *reterr)
{
	int r = origin_expire(o, now_s, keep_s, reterr);

	return r != 0 ? r : origin_rotate(o, now_s, reterr);
}
