/*
 * seal.c - secrets at rest. Runs in authd-core, on its loop and threads. Must
 * never use a nonce twice: each is 96 random bits, and a key seals far fewer
 * than 2^32 secrets.
 */
#include "auth/seal.h"

#include <string.h>

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "lib/err.h"

#define SEAL_NONCE	12
#define SEAL_TAG	16

static bool
seal_begin(EVP_CIPHER_CTX *c, const uint8_t key[SEAL_KEY],
    const uint8_t nonce[SEAL_NONCE], const char *user, int enc)
{
	int n;

	return EVP_CipherInit_ex(c, EVP_aes_256_gcm(), NULL, key, nonce,
	    enc) == 1 &&
	    EVP_CipherUpdate(c, NULL, &n, (const uint8_t *)user,
	    (int)strlen(user)) == 1;
}

int
seal_make(const uint8_t key[SEAL_KEY], const char *user, const void *text,
    size_t len, uint8_t ret[SEAL_MAX])
{
	EVP_CIPHER_CTX *c;
	int n = 0, end = 0;
	bool ok;

	if (len == 0 || len > SEAL_TEXT_MAX)
		return ERR_LIMIT;
	c = EVP_CIPHER_CTX_new();
	ok = c != NULL && RAND_bytes(ret, SEAL_NONCE) == 1 &&
	    seal_begin(c, key, ret, user, 1) &&
	    EVP_CipherUpdate(c, ret + SEAL_NONCE, &n, text, (int)len) == 1 &&
	    EVP_CipherFinal_ex(c, ret + SEAL_NONCE + n, &end) == 1 &&
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG,
	    ret + SEAL_NONCE + len) == 1;
	EVP_CIPHER_CTX_free(c);
	return ok ? (int)(SEAL_NONCE + len + SEAL_TAG) : ERR_NOMEM;
}

int
seal_open(const uint8_t key[SEAL_KEY], const char *user, const void *sealed,
    size_t len, char ret[SEAL_TEXT_MAX + 1])
{
	const uint8_t *p = sealed;
	uint8_t tag[SEAL_TAG];
	EVP_CIPHER_CTX *c;
	size_t text;
	int n = 0, end = 0;
	bool ok;

	ret[0] = '\0';
	if (len <= SEAL_NONCE + SEAL_TAG || len > SEAL_MAX)
		return ERR_CORRUPT;
	text = len - SEAL_NONCE - SEAL_TAG;
	memcpy(tag, p + len - SEAL_TAG, SEAL_TAG);
	if ((c = EVP_CIPHER_CTX_new()) == NULL)
		return ERR_NOMEM;
	ok = seal_begin(c, key, p, user, 0) &&
	    EVP_CipherUpdate(c, (uint8_t *)ret, &n, p + SEAL_NONCE,
	    (int)text) == 1 &&
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG,
	    tag) == 1 &&
	    EVP_CipherFinal_ex(c, (uint8_t *)ret + n, &end) == 1;
	EVP_CIPHER_CTX_free(c);
	if (!ok)
		explicit_bzero(ret, SEAL_TEXT_MAX + 1);
	else
		ret[text] = '\0';
	return ok ? (int)text : ERR_CORRUPT;
}
