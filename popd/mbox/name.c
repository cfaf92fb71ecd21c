/*
 * name.c - what the name of a file in a Maildir says (maildrop.h). Pure; fuzzed
 * with names that anybody may have given. Runs in popd-mbox.
 */
#include "config.h"

#include <string.h>

#include <openssl/evp.h>

#include "lib/maildir.h"
#include "lib/str.h"
#include "popd/mbox/maildrop.h"

#define NAME_SHA256 32

size_t
maildrop_name_unique(const char *name)
{
	size_t len = maildir_base_len(name), i;

	for (i = 0; i + 3 <= len; i++)
		if (name[i] == ',' && (name[i + 1] == 'S' ||
		    name[i + 1] == 'W') && name[i + 2] == '=')
			return i;
	return len;
}

void
maildrop_hash_uidl(const char *text, size_t len, char dst[MBOXC_UIDL_MAX + 1])
{
	unsigned char sum[NAME_SHA256] = { 0 };

	EVP_Digest(text, len, sum, NULL, EVP_sha256(), NULL);
	str_hex(dst, sum, sizeof(sum));
}

void
maildrop_name_uidl(const char *name, char dst[MBOXC_UIDL_MAX + 1])
{
	size_t len = maildrop_name_unique(name), i;
	bool fits = len >= 1 && len <= MBOXC_UIDL_MAX;

	for (i = 0; i < len && fits; i++)
		fits = name[i] >= 0x21 && name[i] <= 0x7E;
	if (fits) {
		memcpy(dst, name, len);
		dst[len] = '\0';
		return;
	}
	if (len == 0)		/* only flags or sizes: better than nothing */
		len = strlen(name);
	maildrop_hash_uidl(name, len, dst);
}

uint64_t
maildrop_name_time(const char *name)
{
	uint64_t t = 0;

	if (str_u64_n(name, strspn(name, "0123456789"), 0, UINT64_MAX,
	    &t) != 0)
		return 0;
	return t;
}

bool
maildrop_name_is_ours(const char *name)
{
	static const char *const marks[] = { "", ".M", "P", "Q" };
	size_t digits;

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		if (strncmp(name, marks[i], strlen(marks[i])) != 0)
			return false;
		name += strlen(marks[i]);
		if ((digits = strspn(name, "0123456789")) == 0)
			return false;
		name += digits;
	}
	return *name == '.';
}

bool
maildrop_name_octets(const char *name, uint64_t size, uint64_t *ret)
{
	uint64_t s, w;

	if (!maildir_get_size(name, &s) || !maildir_get_wire_size(name, &w))
		return false;
	/* Every octet may be an LF that becomes CR LF, and no more. */
	if (s != size || w < s || w - s > s)
		return false;
	*ret = w;
	return true;
}
