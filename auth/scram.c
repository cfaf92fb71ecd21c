/*
 * scram.c - SCRAM-SHA-256 keys and the preparation of passwords. Runs in
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

_Static_assert(SCRAM_KEY == SHA256_DIGEST_LENGTH, "a key is a digest");

static int
scram_hmac(const uint8_t key[SCRAM_KEY], const char *text,
    uint8_t ret[SCRAM_KEY])
{
	unsigned int len = 0;

	if (HMAC(EVP_sha256(), key, SCRAM_KEY, (const unsigned char *)text,
	    strlen(text), ret, &len) == NULL || len != SCRAM_KEY)
		return ERR_NOMEM;
	return 0;
}

/* RFC 5802 section 3. */
int
scram_derive(const char *password, size_t len, const uint8_t salt[SCRAM_SALT],
    uint32_t iterations, uint8_t ret_stored_key[SCRAM_KEY],
    uint8_t ret_server_key[SCRAM_KEY])
{
	uint8_t salted[SCRAM_KEY], client[SCRAM_KEY];
	int r = ERR_NOMEM;

	if (len > SCRAM_PASSWORD_MAX * 4 || iterations == 0 ||
	    iterations > INT32_MAX)
		return ERR_LIMIT;
	if (PKCS5_PBKDF2_HMAC(password, (int)len, salt, SCRAM_SALT,
	    (int)iterations, EVP_sha256(), SCRAM_KEY, salted) == 1 &&
	    (r = scram_hmac(salted, "Client Key", client)) == 0 &&
	    (r = scram_hmac(salted, "Server Key", ret_server_key)) == 0 &&
	    EVP_Digest(client, sizeof(client), ret_stored_key, NULL,
	    EVP_sha256(), NULL) != 1)
		r = ERR_NOMEM;
	OPENSSL_cleanse(salted, sizeof(salted));
	OPENSSL_cleanse(client, sizeof(client));
	return r;
}

/* Printable ASCII is its own SASLprep; nearly every password is that. */
static bool
scram_is_plain(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (s[i] < 0x20 || s[i] > 0x7e)
			return false;
	return true;
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
	if (scram_is_plain(copy, len)) {
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
