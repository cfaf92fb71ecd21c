/*
 * verify.c - checking a password against keys and hashes; the success cache;
 * what stands in for users who are not there.
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

#include "auth/hash.h"
#include "auth/scram.h"
#include "lib/err.h"
#include "lib/str.h"

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
	const uint8_t		*fake_key;
	struct census		*census;
	pthread_mutex_t		 lock;		/* of the entries */
	struct verify_entry	 e[VERIFY_SETS][VERIFY_WAYS];
};

struct verify *
verify_new(const uint8_t *fake_key, struct census *census)
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
	v->fake_key = fake_key;
	v->census = census;
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

/* The cache. What a success is known by begins with all that is stored of the
 * user, so that nothing is found after a change, nor for a namesake. */

static EVP_MAC_CTX *
verify_mac_begin(const struct verify *v, const struct verify_ask *a,
    const char *password, size_t len)
{
	uint8_t rec[RECORD_MAX];
	int n = record_user_encode(a->rec, rec, sizeof(rec));
	EVP_MAC_CTX *c = n < 0 ? NULL : EVP_MAC_CTX_dup(v->keyed);

	if (c != NULL &&
	    (EVP_MAC_update(c, (const uint8_t *)a->user,
	    strlen(a->user) + 1) != 1 ||
	    EVP_MAC_update(c, (const uint8_t *)&len, sizeof(len)) != 1 ||
	    EVP_MAC_update(c, (const uint8_t *)password, len) != 1 ||
	    EVP_MAC_update(c, rec, (size_t)n) != 1)) {
		EVP_MAC_CTX_free(c);
		c = NULL;
	}
	explicit_bzero(rec, sizeof(rec));
	return c;
}

static bool
verify_mac_end(const EVP_MAC_CTX *begun, uint64_t generation,
    uint8_t ret[VERIFY_MAC])
{
	EVP_MAC_CTX *c = EVP_MAC_CTX_dup(begun);
	size_t n = 0;
	bool ok = c != NULL &&
	    EVP_MAC_update(c, (const uint8_t *)&generation,
	    sizeof(generation)) == 1 &&
	    EVP_MAC_final(c, ret, &n, VERIFY_MAC) == 1 && n == VERIFY_MAC;

	EVP_MAC_CTX_free(c);
	return ok;
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

/* It is one of those that the password is compared with. */
static bool
verify_is_meant(const struct verify_ask *a, const struct user_credential *c)
{
	return c->kind == CREDENTIAL_PASSWORD && (c->keys != 0 ||
	    (c->label[0] == '\0' && a->rec->hash[0] != '\0')) &&
	    (a->label == NULL || strcmp(c->label, a->label) == 0);
}

/* Why it opens nothing although it is right; NULL: it does. */
static const char *
verify_barred(const struct verify_ask *a, const struct user_credential *c)
{
	if (!user_credential_is_live(c, a->now_s))
		return "expired";
	return (c->scope & a->scope) == 0 ? "scope" : NULL;
}

static bool
verify_is_candidate(const struct verify_ask *a,
    const struct user_credential *c)
{
	return verify_is_meant(a, c) && verify_barred(a, c) == NULL;
}

static void
verify_found(struct verify_found *ret, const struct user_credential *c,
    bool cached)
{
	str_copy(ret->label, sizeof(ret->label), c->label);
	ret->generation = c->generation;
	ret->cached = cached;
}

static bool
verify_look_up(struct verify *v, const struct verify_ask *a,
    const char *password, size_t len, struct verify_found *ret)
{
	EVP_MAC_CTX *begun;
	uint8_t mac[VERIFY_MAC];
	bool hit = false;

	if (!a->may || a->rec == NULL ||
	    (begun = verify_mac_begin(v, a, password, len)) == NULL)
		return false;
	for (unsigned int i = 0; i < a->rec->n_credentials && !hit; i++) {
		const struct user_credential *c = &a->rec->credentials[i];

		if (!verify_is_candidate(a, c) ||
		    !verify_mac_end(begun, c->generation, mac) ||
		    !verify_find(v, mac, a->now_s))
			continue;
		hit = true;
		verify_found(ret, c, true);
	}
	EVP_MAC_CTX_free(begun);
	return hit;
}

static void
verify_learn(struct verify *v, const struct verify_ask *a,
    const char *password, size_t len, uint64_t generation)
{
	EVP_MAC_CTX *begun = verify_mac_begin(v, a, password, len);
	uint8_t mac[VERIFY_MAC];

	if (begun != NULL && verify_mac_end(begun, generation, mac))
		verify_remember(v, mac, a->now_s);
	EVP_MAC_CTX_free(begun);
}

bool
verify_is_cached(struct verify *v, const struct verify_ask *a,
    const char *password, size_t len)
{
	struct verify_found found;

	return verify_look_up(v, a, password, len, &found);
}

/* What stands in for a user, by his name */

static int
verify_fake(const struct verify *v, char part, const char *user, uint8_t *dst,
    size_t len)
{
	uint8_t in[1 + MAILBOX_SIZE], out[EVP_MAX_MD_SIZE];
	size_t n = strnlen(user, MAILBOX_MAX);
	unsigned int out_len = 0;

	in[0] = (uint8_t)part;
	memcpy(in + 1, user, n);
	if (HMAC(EVP_sha512(), v->fake_key, 32, in, n + 1, out,
	    &out_len) == NULL || out_len < len)
		return ERR_NOMEM;
	memcpy(dst, out, len);
	return 0;
}

static int
verify_fake_classes(const struct verify *v, const char *user,
    struct census_class *ret_plain, struct census_class *ret_scram)
{
	uint8_t draw[2];
	int r = verify_fake(v, 'c', user, draw, sizeof(draw));

	if (r == 0)
		census_pick(v->census, draw, ret_plain, ret_scram);
	return r;
}

static int
verify_fake_salt(const struct verify *v, const char *user, uint8_t *dst,
    size_t len)
{
	return len == SCRAM_SALT ? scram_salt_of(v->fake_key, user, dst) :
	    verify_fake(v, 'S', user, dst, len);
}

/* The first password that has keys, or NULL. */
static const struct user_credential *
verify_keyed(const struct user_record *rec)
{
	for (unsigned int i = 0; rec != NULL && i < rec->n_credentials; i++)
		if (rec->credentials[i].kind == CREDENTIAL_PASSWORD &&
		    rec->credentials[i].keys != 0)
			return &rec->credentials[i];
	return NULL;
}

/* Nothing of his can be compared: the same time is spent. */
static int
verify_spend(const struct verify *v, const struct verify_ask *a,
    const char *password, size_t len)
{
	const struct user_credential *c = verify_keyed(a->rec);
	uint8_t seed[HASH_SEED], stored[SCRAM_KEY], server[SCRAM_KEY];
	struct census_class plain, scram;
	int r;

	if (c != NULL)
		r = scram_derive(password, len, a->rec->salt, a->rec->salt_len,
		    c->iterations, stored, server);
	else if (a->rec != NULL && a->rec->hash[0] != '\0')
		r = hash_check(a->rec->hash, password, len);
	else if ((r = verify_fake_classes(v, a->user, &plain, &scram)) != 0)
		return r;
	else if (verify_fake(v, 'h', a->user, seed, sizeof(seed)) != 0)
		return ERR_NOMEM;
	else if (plain.hash[0] != '\0')
		r = hash_check_fake(plain.hash, seed, password, len);
	else
		r = scram_derive(password, len, seed, plain.salt_len <
		    HASH_SEED ? plain.salt_len : HASH_SEED, plain.iterations,
		    stored, server);
	explicit_bzero(stored, sizeof(stored));
	explicit_bzero(server, sizeof(server));
	return r == 0 || r == ERR_FORMAT ? ERR_DENIED : r;
}

/* The check */

struct verify_match {
	const struct user_credential	*right;		/* NULL: none */
	const char			*barred;	/* one is, but for this */
};

static void
verify_matched(const struct verify_ask *a, const struct user_credential *c,
    struct verify_match *m)
{
	const char *barred = verify_barred(a, c);

	if (barred != NULL)
		m->barred = barred;
	else if (m->right == NULL)
		m->right = c;
}

/* All that have the keys and the iterations of `like`. */
static int
verify_keys(const struct verify_ask *a, const struct user_credential *like,
    const char *password, size_t len, struct verify_match *m)
{
	bool sha256 = (like->keys & CREDENTIAL_SHA256) != 0;
	uint8_t stored[SCRAM_KEY] = { 0 }, server[SCRAM_KEY];
	int r;

	if (sha256)
		r = scram_derive(password, len, a->rec->salt, a->rec->salt_len,
		    like->iterations, stored, server);
	else
		r = scram_derive1(password, len, a->rec->salt,
		    a->rec->salt_len, like->iterations, stored, server);
	for (unsigned int i = 0; r == 0 && i < a->rec->n_credentials; i++) {
		const struct user_credential *c = &a->rec->credentials[i];
		bool same;

		if (!verify_is_meant(a, c) ||
		    c->iterations != like->iterations ||
		    ((c->keys & CREDENTIAL_SHA256) != 0) != sha256)
			continue;
		same = sha256 ? scram_key_cmp(stored, c->stored_key) == 0 :
		    CRYPTO_memcmp(stored, c->stored_key1, SCRAM_KEY1) == 0;
		if (same)
			verify_matched(a, c, m);
	}
	explicit_bzero(stored, sizeof(stored));
	explicit_bzero(server, sizeof(server));
	return r;
}

/* One before it had the same keys and iterations: it was compared then. */
static bool
verify_is_done(const struct verify_ask *a, unsigned int i)
{
	const struct user_credential *c = a->rec->credentials;

	for (unsigned int k = 0; k < i; k++)
		if (verify_is_meant(a, &c[k]) &&
		    c[k].iterations == c[i].iterations &&
		    ((c[k].keys ^ c[i].keys) & CREDENTIAL_SHA256) == 0)
			return true;
	return false;
}

/* *ret_tried: something was computed. */
static int
verify_all(const struct verify_ask *a, const char *password, size_t len,
    struct verify_match *m, bool *ret_tried)
{
	int r = 0;

	memset(m, 0, sizeof(*m));
	*ret_tried = false;
	for (unsigned int i = 0; a->rec != NULL && r == 0 &&
	    i < a->rec->n_credentials; i++) {
		const struct user_credential *c = &a->rec->credentials[i];

		if (!verify_is_meant(a, c) || verify_is_done(a, i))
			continue;
		*ret_tried = true;
		if (c->keys != 0) {
			r = verify_keys(a, c, password, len, m);
			continue;
		}
		r = hash_check(a->rec->hash, password, len);
		if (r == 0)
			verify_matched(a, c, m);
		if (r == ERR_DENIED || r == ERR_FORMAT)
			r = 0;
	}
	return r;
}

int
verify_password(struct verify *v, const struct verify_ask *a,
    const char *password, size_t len, struct verify_found *ret)
{
	struct verify_match m;
	bool tried;
	int r;

	memset(ret, 0, sizeof(*ret));
	if (verify_look_up(v, a, password, len, ret))
		return 0;
	if ((r = verify_all(a, password, len, &m, &tried)) != 0)
		return r;
	if (!tried)
		return verify_spend(v, a, password, len);
	if (m.right == NULL || !a->may) {
		ret->barred = m.barred;
		return ERR_DENIED;
	}
	verify_found(ret, m.right, false);
	verify_learn(v, a, password, len, m.right->generation);
	return 0;
}

/* SCRAM */

static const struct user_credential *
verify_scram_find(const struct verify_ask *a)
{
	const char *label = a->label == NULL ? "" : a->label;

	for (unsigned int i = 0; a->rec != NULL &&
	    i < a->rec->n_credentials; i++)
		if (a->rec->credentials[i].kind == CREDENTIAL_PASSWORD &&
		    strcmp(a->rec->credentials[i].label, label) == 0)
			return &a->rec->credentials[i];
	return NULL;
}

/* Salt and iterations: his own where he has any, else as the census has it. */
static int
verify_scram_salt(const struct verify *v, const struct verify_ask *a,
    const struct user_credential *c, struct verify_scram *ret)
{
	struct census_class plain, scram;
	int r;

	if (c == NULL || c->keys == 0)
		c = verify_keyed(a->rec);
	if (c != NULL) {
		ret->iterations = c->iterations;
		ret->salt_len = a->rec->salt_len;
		memcpy(ret->salt, a->rec->salt, ret->salt_len);
		return 0;
	}
	if ((r = verify_fake_classes(v, a->user, &plain, &scram)) != 0)
		return r;
	ret->iterations = scram.iterations;
	ret->salt_len = scram.salt_len;
	return verify_fake_salt(v, a->user, ret->salt, ret->salt_len);
}

int
verify_scram(const struct verify *v, const struct verify_ask *a, bool sha1,
    struct verify_scram *ret)
{
	const struct user_credential *c = verify_scram_find(a);
	bool may;
	int r;

	memset(ret, 0, sizeof(*ret));
	if ((r = verify_scram_salt(v, a, c, ret)) != 0)
		return r;
	may = a->may && c != NULL && verify_is_candidate(a, c);
	ret->only_hash = may && c->keys == 0;
	ret->real = may &&
	    (c->keys & (sha1 ? CREDENTIAL_SHA1 : CREDENTIAL_SHA256)) != 0;
	if (!ret->real) {
		if (verify_fake(v, 'k', a->user, ret->stored_key,
		    sizeof(ret->stored_key)) != 0 ||
		    verify_fake(v, 'v', a->user, ret->server_key,
		    sizeof(ret->server_key)) != 0)
			return ERR_NOMEM;
		return 0;
	}
	verify_found(&ret->found, c, false);
	if (sha1) {
		memcpy(ret->stored_key, c->stored_key1, SCRAM_KEY1);
		memcpy(ret->server_key, c->server_key1, SCRAM_KEY1);
	} else {
		memcpy(ret->stored_key, c->stored_key, SCRAM_KEY);
		memcpy(ret->server_key, c->server_key, SCRAM_KEY);
	}
	return 0;
}
