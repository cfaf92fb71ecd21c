/*
 * names.c - from a name as a client gave it to the user it means.
 *
 * Runs in authd-core, on the loop. It must never tell who exists: a name that
 * is nobody's goes the same way as any other, to a record that fits nobody.
 */
#include "config.h"

#include "auth/names.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stringprep.h>

#include "lib/err.h"
#include "lib/str.h"

/* SASLprep of a name; it need not be a stored string: code points that are not
 * assigned in Unicode 3.2 may stand in it. */
static int
names_prepare(const char *in, size_t len, char *dst, size_t size)
{
	char copy[NAMES_MAX + 1], *prepared = NULL;
	int r = ERR_FORMAT;

	if (len == 0 || len > NAMES_MAX || memchr(in, '\0', len) != NULL ||
	    !str_is_utf8(in, len))
		return ERR_FORMAT;
	memcpy(copy, in, len);
	copy[len] = '\0';
	if (str_is_print(copy, len))
		return str_copy(dst, size, copy) == 0 ? 0 : ERR_FORMAT;
	if (stringprep_profile(copy, &prepared, "SASLprep", 0) ==
	    STRINGPREP_OK && prepared[0] != '\0' &&
	    str_copy(dst, size, prepared) == 0)
		r = 0;
	free(prepared);
	return r;
}

/* Cuts "#label" off. A "#" before the "@" is the local part's own. */
static int
names_split_label(char *name, char label[RECORD_LABEL_SIZE])
{
	char *at = strrchr(name, '@');
	char *hash = strchr(at == NULL ? name : at, '#');

	label[0] = '\0';
	if (hash == NULL)
		return 0;
	*hash = '\0';
	if (hash[1] == '\0')
		return ERR_FORMAT;
	return str_copy(label, RECORD_LABEL_SIZE, hash + 1);
}

/* As old POP servers took names: "alice%example.org". */
static void
names_separate(const struct conf *c, char *name)
{
	char *last = NULL;

	if (c->login_separators == NULL || strchr(name, '@') != NULL)
		return;
	for (char *s = name; *s != '\0'; s++)
		if (strchr(c->login_separators, *s) != NULL)
			last = s;
	if (last != NULL)
		*last = '@';
}

int
names_parse(const struct conf *c, const char *in, size_t len,
    struct names *ret)
{
	char name[NAMES_MAX + 1];
	struct mailbox m;

	memset(ret, 0, sizeof(*ret));
	if (names_prepare(in, len, name, sizeof(name)) != 0 ||
	    names_split_label(name, ret->label) != 0)
		return ERR_FORMAT;
	names_separate(c, name);
	if (strchr(name, '@') != NULL) {
		if (mailbox_parse(name, strlen(name), &m) != 0)
			return ERR_FORMAT;
		return str_copy(ret->user, sizeof(ret->user), m.canon);
	}
	if (!mailbox_is_local(name, strlen(name)))
		return ERR_FORMAT;
	str_lower(name);
	ret->bare = true;
	return str_copy(ret->user, sizeof(ret->user), name);
}

/* Nobody has a name that begins with "!" and has no "@". */
static void
names_nobody(const uint8_t key[32], const char *in, size_t len,
    struct names *ret)
{
	uint8_t mac[EVP_MAX_MD_SIZE] = { 0 };
	unsigned int n = 0;

	memset(ret, 0, sizeof(*ret));
	(void)HMAC(EVP_sha256(), key, 32, (const unsigned char *)in, len, mac,
	    &n);
	ret->user[0] = '!';
	str_hex(ret->user + 1, mac, 16);
	ret->nobody = true;
}

/* Where a bare name might be, and always there: in any of the local domains,
 * for there are users of each who leave their domain out. */
static void
names_suppose(const struct conf *c, const uint8_t key[32], struct names *ret)
{
	uint8_t mac[EVP_MAX_MD_SIZE] = { 0 };
	const char *domain = c->default_domain;
	char full[MAILBOX_SIZE];
	unsigned int n = 0;

	ret->nobody = true;
	(void)HMAC(EVP_sha256(), key, 32, (const unsigned char *)ret->user,
	    strlen(ret->user), mac, &n);
	if (c->local_domains.n > 0)
		domain = c->local_domains.v[(mac[0] << 8 | mac[1]) %
		    (int)c->local_domains.n];
	if (domain != NULL && str_format(full, sizeof(full), "%s@%s",
	    ret->user, domain) == 0)
		str_copy(ret->user, sizeof(ret->user), full);
}

int
names_resolve(struct userdb *db, const struct conf *c, const uint8_t key[32],
    const char *in, size_t len, struct names *ret)
{
	char user[MAILBOX_SIZE];
	int r;

	if (names_parse(c, in, len, ret) != 0) {
		names_nobody(key, in, len, ret);
		return 0;
	}
	if (!ret->bare)
		return 0;
	r = userdb_find_local(db, ret->user, c->default_domain,
	    &c->local_domains, user, NULL);
	if (r == 0)
		return str_copy(ret->user, sizeof(ret->user), user);
	names_suppose(c, key, ret);
	return r == ERR_NOTFOUND || r == ERR_EXISTS ? 0 : r;
}
