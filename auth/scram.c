/*
 * scram.c - keys of SCRAM and the preparation of passwords. Runs in
 * authd-core only, on pool threads. It must never keep or log a password.
 */
#include "config.h"

#include "auth/scram.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stringprep.h>

#include "lib/str.h"

_Static_assert(SCRAM_KEY == SHA256_DIGEST_LENGTH &&
    SCRAM_KEY1 == SHA_DIGEST_LENGTH && SCRAM_KEY == RECORD_KEY &&
    SCRAM_KEY1 == RECORD_KEY1 && SCRAM_SALT == RECORD_SALT,
    "a key is a digest, and fits the record");

static int
scram_hmac(const EVP_MD *md, const uint8_t *key, size_t key_len,
    const char *text, uint8_t *ret)
{
	unsigned int len = 0;

	if (HMAC(md, key, (int)key_len, (const unsigned char *)text,
	    strlen(text), ret, &len) == NULL || len != key_len)
		return ERR_NOMEM;
	return 0;
}

/* RFC 5802 section 3. */
static int
scram_derive_with(const EVP_MD *md, const char *password, size_t len,
    const uint8_t *salt, size_t salt_len, uint32_t iterations,
    uint8_t *ret_stored_key, uint8_t *ret_server_key)
{
	uint8_t salted[EVP_MAX_MD_SIZE], client[EVP_MAX_MD_SIZE];
	size_t size = (size_t)EVP_MD_get_size(md);
	int r = ERR_NOMEM;

	if (len > SCRAM_PASSWORD_MAX * 4 || iterations == 0 ||
	    iterations > INT32_MAX || salt_len > INT32_MAX)
		return ERR_LIMIT;
	if (PKCS5_PBKDF2_HMAC(password, (int)len, salt, (int)salt_len,
	    (int)iterations, md, (int)size, salted) == 1 &&
	    (r = scram_hmac(md, salted, size, "Client Key", client)) == 0 &&
	    (r = scram_hmac(md, salted, size, "Server Key",
	    ret_server_key)) == 0 &&
	    EVP_Digest(client, size, ret_stored_key, NULL, md, NULL) != 1)
		r = ERR_NOMEM;
	OPENSSL_cleanse(salted, sizeof(salted));
	OPENSSL_cleanse(client, sizeof(client));
	return r;
}

int
scram_derive(const char *password, size_t len, const uint8_t *salt,
    size_t salt_len, uint32_t iterations, uint8_t ret_stored_key[SCRAM_KEY],
    uint8_t ret_server_key[SCRAM_KEY])
{
	return scram_derive_with(EVP_sha256(), password, len, salt, salt_len,
	    iterations, ret_stored_key, ret_server_key);
}

int
scram_derive1(const char *password, size_t len, const uint8_t *salt,
    size_t salt_len, uint32_t iterations, uint8_t ret_stored_key[SCRAM_KEY1],
    uint8_t ret_server_key[SCRAM_KEY1])
{
	return scram_derive_with(EVP_sha1(), password, len, salt, salt_len,
	    iterations, ret_stored_key, ret_server_key);
}

int
scram_set_keys(struct user_credential *c, const char *password, size_t len,
    const uint8_t *salt, size_t salt_len, uint32_t iterations, bool sha1)
{
	int r = scram_derive(password, len, salt, salt_len, iterations,
	    c->stored_key, c->server_key);

	if (r == 0 && sha1)
		r = scram_derive1(password, len, salt, salt_len, iterations,
		    c->stored_key1, c->server_key1);
	if (r != 0)
		return r;
	if (!sha1) {
		explicit_bzero(c->stored_key1, sizeof(c->stored_key1));
		explicit_bzero(c->server_key1, sizeof(c->server_key1));
	}
	c->keys = (uint8_t)(CREDENTIAL_SHA256 | (sha1 ? CREDENTIAL_SHA1 : 0));
	c->iterations = iterations;
	return 0;
}

int
scram_salt_of(const uint8_t fake_key[32], const char *user,
    uint8_t ret[SCRAM_SALT])
{
	uint8_t in[1 + MAILBOX_SIZE], out[EVP_MAX_MD_SIZE];
	size_t n = strnlen(user, MAILBOX_MAX);
	unsigned int len = 0;

	in[0] = 's';
	memcpy(in + 1, user, n);
	if (HMAC(EVP_sha256(), fake_key, 32, in, n + 1, out, &len) == NULL ||
	    len < SCRAM_SALT)
		return ERR_NOMEM;
	memcpy(ret, out, SCRAM_SALT);
	return 0;
}

static int
scram_profile(const char *in, bool stored, char **ret, struct err *reterr)
{
	int r;

	r = stringprep_profile(in, ret, "SASLprep",
	    stored ? STRINGPREP_NO_UNASSIGNED : 0);
	if (r == STRINGPREP_OK)
		return 0;
	*ret = NULL;
	if (r == STRINGPREP_MALLOC_ERROR)
		return err_set(reterr, ERR_NOMEM, "no memory");
	if (r == STRINGPREP_CONTAINS_UNASSIGNED)
		return err_set(reterr, ERR_FORMAT, "the password has a "
		    "character newer than Unicode 3.2 (RFC 4013), such as an "
		    "emoji; choose another one");
	return err_set(reterr, ERR_FORMAT, "the password has a character "
	    "that SASLprep (RFC 4013) forbids, such as a control");
}

int
scram_prepare(const char *password, size_t len, bool stored, char **ret,
    struct err *reterr)
{
	char *copy, *out = NULL;
	int r = 0;

	if (len == 0)
		return err_set(reterr, ERR_FORMAT, "the password is empty");
	if (len > SCRAM_PASSWORD_MAX)
		return err_set(reterr, ERR_LIMIT,
		    "the password is longer than %d octets",
		    SCRAM_PASSWORD_MAX);
	if (memchr(password, 0, len) != NULL || !str_is_utf8(password, len))
		return err_set(reterr, ERR_FORMAT,
		    "the password is not valid UTF-8");
	if ((copy = malloc(len + 1)) == NULL)
		return err_set(reterr, ERR_NOMEM, "no memory");
	memcpy(copy, password, len);
	copy[len] = '\0';
	if (str_is_print(copy, len)) {	/* nearly every password */
		*ret = copy;
		return 0;
	}
	r = scram_profile(copy, stored, &out, reterr);
	explicit_bzero(copy, len);
	free(copy);
	if (r == 0 && out[0] == '\0') {
		free(out);
		return err_set(reterr, ERR_FORMAT, "the password is empty");
	}
	if (r == 0)
		*ret = out;
	return r;
}

void
scram_free_password(char *password)
{
	if (password == NULL)
		return;
	explicit_bzero(password, strlen(password));
	free(password);
}

int
scram_key_cmp(const uint8_t a[SCRAM_KEY], const uint8_t b[SCRAM_KEY])
{
	return CRYPTO_memcmp(a, b, SCRAM_KEY);
}
