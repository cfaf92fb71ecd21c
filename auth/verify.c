/*
 * verify.c - checking a password against its keys; the success cache.
 *
 * Runs in authd-core, on the pool's threads and (cache hits) on the loop. Must
 * never keep a password, and never remember a failure.
 */
#include "auth/verify.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "auth/scram.h"
#include "lib/err.h"

#define VERIFY_SETS	1024u		/* a power of two */
#define VERIFY_WAYS	4u
#define VERIFY_MAC	32u

struct verify_entry {
	uint8_t	mac[VERIFY_MAC];
	int64_t	until_s;		/* 0: free */
};

struct verify {
	EVP_MAC			*mac;
	EVP_MAC_CTX		*keyed;		/* copied for each use */
	pthread_mutex_t		 lock;		/* of the entries */
	struct verify_entry	 e[VERIFY_SETS][VERIFY_WAYS];
};

struct verify *
verify_new(void)
{
	uint8_t key[32];
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
		    digest, 0),
		OSSL_PARAM_construct_end()
	};
	struct verify *v = calloc(1, sizeof(*v));

	if (v == NULL)
		return NULL;
	pthread_mutex_init(&v->lock, NULL);
	v->mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	v->keyed = v->mac == NULL ? NULL : EVP_MAC_CTX_new(v->mac);
	if (v->keyed == NULL || RAND_bytes(key, sizeof(key)) != 1 ||
	    EVP_MAC_init(v->keyed, key, sizeof(key), params) != 1) {
		verify_free(v);
		v = NULL;
	}
	explicit_bzero(key, sizeof(key));
	return v;
}

void
verify_free(struct verify *v)
{
	if (v == NULL)
		return;
	EVP_MAC_CTX_free(v->keyed);
	EVP_MAC_free(v->mac);
	pthread_mutex_destroy(&v->lock);
	explicit_bzero(v->e, sizeof(v->e));
	free(v);
}

/* What a remembered success is known by. Generation and time of creation are
 * in it, so that neither a changed password nor a namesake gets a hit. */
static int
verify_mac(const struct verify *v, const char *user,
    const struct user_record *rec, const char *password, size_t len,
    uint8_t ret[VERIFY_MAC])
{
	const struct user_credential *main = &rec->credentials[0];
	EVP_MAC_CTX *c = EVP_MAC_CTX_dup(v->keyed);
	size_t n = 0;
	bool ok;

	ok = c != NULL &&
	    EVP_MAC_update(c, (const uint8_t *)&main->generation,
	    sizeof(main->generation)) == 1 &&
	    EVP_MAC_update(c, (const uint8_t *)&rec->created_s,
	    sizeof(rec->created_s)) == 1 &&
	    EVP_MAC_update(c, main->stored_key,
	    sizeof(main->stored_key)) == 1 &&
	    EVP_MAC_update(c, (const uint8_t *)user, strlen(user) + 1) == 1 &&
	    EVP_MAC_update(c, (const uint8_t *)password, len) == 1 &&
	    EVP_MAC_final(c, ret, &n, VERIFY_MAC) == 1 && n == VERIFY_MAC;
	EVP_MAC_CTX_free(c);
	return ok ? 0 : ERR_NOMEM;
}

static struct verify_entry *
verify_set(struct verify *v, const uint8_t mac[VERIFY_MAC])
{
	return v->e[(mac[0] | (unsigned int)mac[1] << 8) % VERIFY_SETS];
}

static bool
verify_find(struct verify *v, const uint8_t mac[VERIFY_MAC], int64_t now_s)
{
	struct verify_entry *e = verify_set(v, mac);
	bool hit = false;

	pthread_mutex_lock(&v->lock);
	for (unsigned int i = 0; i < VERIFY_WAYS; i++)
		if (e[i].until_s > now_s &&
		    e[i].until_s <= now_s + VERIFY_CACHE_S &&
		    CRYPTO_memcmp(e[i].mac, mac, VERIFY_MAC) == 0)
			hit = true;
	pthread_mutex_unlock(&v->lock);
	return hit;
}

static void
verify_remember(struct verify *v, const uint8_t mac[VERIFY_MAC],
    int64_t now_s)
{
	struct verify_entry *e = verify_set(v, mac), *oldest = e;

	pthread_mutex_lock(&v->lock);
	for (unsigned int i = 1; i < VERIFY_WAYS; i++)
		if (e[i].until_s < oldest->until_s)
			oldest = &e[i];
	memcpy(oldest->mac, mac, VERIFY_MAC);
	oldest->until_s = now_s + VERIFY_CACHE_S;
	pthread_mutex_unlock(&v->lock);
}

bool
verify_is_cached(struct verify *v, const char *user,
    const struct user_record *rec, const char *password, size_t len,
    int64_t now_s)
{
	uint8_t mac[VERIFY_MAC];

	return verify_mac(v, user, rec, password, len, mac) == 0 &&
	    verify_find(v, mac, now_s);
}

int
verify_password(struct verify *v, const char *user,
    const struct user_record *rec, const char *password, size_t len,
    bool learn, int64_t now_s)
{
	uint8_t mac[VERIFY_MAC], stored[SCRAM_KEY], server[SCRAM_KEY];
	int r;

	if ((r = verify_mac(v, user, rec, password, len, mac)) != 0)
		return r;
	if (verify_find(v, mac, now_s))
		return 0;
	r = scram_derive(password, len, rec->salt, rec->salt_len,
	    rec->credentials[0].iterations, stored, server);
	if (r == 0 && scram_key_cmp(stored,
	    rec->credentials[0].stored_key) != 0)
		r = ERR_DENIED;
	if (r == 0 && learn)
		verify_remember(v, mac, now_s);
	explicit_bzero(stored, sizeof(stored));
	explicit_bzero(server, sizeof(server));
	return r;
}

static int
verify_fake_part(const uint8_t secret[32], char part, const char *user,
    uint8_t *dst, size_t len)
{
	uint8_t in[1 + MAILBOX_SIZE], out[EVP_MAX_MD_SIZE];
	size_t n = strnlen(user, MAILBOX_MAX);
	unsigned int out_len = 0;

	in[0] = (uint8_t)part;
	memcpy(in + 1, user, n);
	if (HMAC(EVP_sha256(), secret, 32, in, n + 1, out, &out_len) == NULL ||
	    out_len < len)
		return ERR_NOMEM;
	memcpy(dst, out, len);
	return 0;
}

int
verify_fake_record(const uint8_t secret[32], const char *user,
    struct user_record *ret)
{
	struct user_credential *c;

	memset(ret, 0, sizeof(*ret));
	ret->flags = USER_DISABLED;
	ret->salt_len = RECORD_SALT;
	c = user_credential_add(ret, CREDENTIAL_PASSWORD, "");
	c->keys = CREDENTIAL_SHA256;
	c->iterations = SCRAM_ITERATIONS;
	if (scram_salt_of(secret, user, ret->salt) != 0 ||
	    verify_fake_part(secret, 'k', user, c->stored_key,
	    sizeof(c->stored_key)) != 0 ||
	    verify_fake_part(secret, 'v', user, c->server_key,
	    sizeof(c->server_key)) != 0)
		return ERR_NOMEM;
	return 0;
}
