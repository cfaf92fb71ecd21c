/*
 * apop.c - APOP: the banner's time-stamp and a shared secret, through MD5.
 *
 * Runs on the loop of authd-core. Only for users who have a sealed secret; that
 * the others fail no earlier is for those who call it.
 */
#include "auth/apop.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "lib/err.h"
#include "lib/str.h"

#define APOP_SKEW_S 300		/* a clock set back by less does no harm */

bool
apop_is_challenge(const char *s, const char *sid, int64_t issued_s,
    const char *hostname)
{
	size_t sid_len = strlen(sid), host_len = strlen(hostname);
	size_t len = strlen(s);
	const char *at;
	uint64_t made_s;

	if (len > AUTHP_CHALLENGE_MAX || s[0] != '<' || s[len - 1] != '>' ||
	    strncmp(s + 1, sid, sid_len) != 0 || s[1 + sid_len] != '.')
		return false;
	s += 1 + sid_len + 1;
	if ((at = strchr(s, '@')) == NULL ||
	    str_u64_n(s, (size_t)(at - s), 0, INT64_MAX, &made_s) != 0)
		return false;
	if (strncmp(at + 1, hostname, host_len) != 0 ||
	    strcmp(at + 1 + host_len, ">") != 0)
		return false;
	return (int64_t)made_s <= issued_s + APOP_SKEW_S &&
	    (int64_t)made_s >= issued_s - APOP_AGE_S;
}

int
apop_check(const char *challenge, const char *secret, size_t len,
    const uint8_t digest[AUTHP_DIGEST_SIZE])
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	uint8_t want[EVP_MAX_MD_SIZE];
	unsigned int n = 0;
	int r = ERR_NOMEM;

	if (c != NULL && EVP_DigestInit_ex(c, EVP_md5(), NULL) == 1 &&
	    EVP_DigestUpdate(c, challenge, strlen(challenge)) == 1 &&
	    EVP_DigestUpdate(c, secret, len) == 1 &&
	    EVP_DigestFinal_ex(c, want, &n) == 1 && n == AUTHP_DIGEST_SIZE)
		r = CRYPTO_memcmp(want, digest, AUTHP_DIGEST_SIZE) == 0 ? 0 :
		    ERR_DENIED;
	EVP_MD_CTX_free(c);
	explicit_bzero(want, sizeof(want));
	return r;
}
