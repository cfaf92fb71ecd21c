/*
 * manifest.c - the list of files in a backup. See manifest.h. Linked into
 * submitctl, which writes it, authd, which restores by it, and authd-core for
 * the names.
 */
#include "config.h"

#include "lib/manifest.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "lib/fio.h"
#include "lib/str.h"

#define MANIFEST_HEAD	"submitd-backup 1\n"
#define MANIFEST_CHUNK	(256u * 1024)

static bool
manifest_ends(const char *name, const char *end)
{
	size_t len = strlen(name), elen = strlen(end);

	return len > elen && strcmp(name + len - elen, end) == 0;
}

bool
manifest_is_name(const char *name)
{
	static const char *const own[] = { MANIFEST_FILE, "lock", "reserve",
	    "restoring", "scratch" };

	if (name[0] == '.' || name[0] == '\0' ||
	    strlen(name) >= MANIFEST_NAME_SIZE)
		return false;
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (strcmp(name, own[i]) == 0)
			return false;
	for (; *name != '\0'; name++)
		if (!isascii((unsigned char)*name) || (!isalnum((unsigned char)
		    *name) && strchr("._-", *name) == NULL))
			return false;
	return true;
}

bool
manifest_is_database(const char *name)
{
	return name[0] != '_' && manifest_ends(name, ".db");
}

bool
manifest_is_key(const char *name)
{
	return manifest_ends(name, ".key");
}

static int
manifest_copy_hashed(int from, int to, EVP_MD_CTX *md, char *chunk,
    struct manifest_file *f, struct err *reterr)
{
	unsigned int len = sizeof(f->sha256);
	ssize_t n;
	int r;

	f->octets = 0;
	if (EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1)
		return err_set(reterr, ERR_SYSTEM, "no SHA-256");
	for (;;) {
		n = pread(from, chunk, MANIFEST_CHUNK, (off_t)f->octets);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(reterr, "cannot read %s", f->name);
		if (n == 0)
			break;
		if (EVP_DigestUpdate(md, chunk, (size_t)n) != 1)
			return err_set(reterr, ERR_SYSTEM, "no SHA-256");
		if (to >= 0 && (r = fio_write_all(to, chunk, (size_t)n,
		    f->name, reterr)) != 0)
			return r;
		f->octets += (uint64_t)n;
	}
	if (EVP_DigestFinal_ex(md, f->sha256, &len) != 1)
		return err_set(reterr, ERR_SYSTEM, "no SHA-256");
	return to >= 0 ? fio_sync(to, f->name, reterr) : 0;
}

int
manifest_copy(int from, int to, struct manifest_file *f, struct err *reterr)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	char *chunk = malloc(MANIFEST_CHUNK);
	int r = ERR_NOMEM;

	if (md != NULL && chunk != NULL)
		r = manifest_copy_hashed(from, to, md, chunk, f, reterr);
	else
		(void)err_set(reterr, ERR_NOMEM, "no memory");
	if (chunk != NULL)	/* a key may have gone through it */
		explicit_bzero(chunk, MANIFEST_CHUNK);
	free(chunk);
	EVP_MD_CTX_free(md);
	return r;
}

/* ------------------------------------------------------------------- text -- */

char *
manifest_text(const struct manifest *m)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	bool failed;

	if (f == NULL)
		return NULL;
	fprintf(f, MANIFEST_HEAD "made %" PRId64 "\nformat %" PRIu64
	    "\nusers %" PRIu64 "\n", m->made_s, m->format, m->users);
	for (size_t i = 0; i < m->n; i++) {
		fprintf(f, "file %s %" PRIu64 " ", m->v[i].name,
		    m->v[i].octets);
		for (size_t k = 0; k < sizeof(m->v[i].sha256); k++)
			fprintf(f, "%02x", m->v[i].sha256[k]);
		fputc('\n', f);
	}
	fprintf(f, "end %zu\n", m->n);
	failed = ferror(f) != 0;
	if (fclose(f) != 0 || failed) {
		free(text);
		return NULL;
	}
	return text;
}

/* A number of at most 18 digits that ends with `end`; moves *p behind it. */
static bool
manifest_number(const char **p, char end, uint64_t *ret)
{
	size_t n = strspn(*p, "0123456789");

	if (n == 0 || n > 18 || (*p)[n] != end)
		return false;
	*ret = 0;
	for (size_t i = 0; i < n; i++)
		*ret = *ret * 10 + (uint64_t)((*p)[i] - '0');
	*p += n + 1;
	return true;
}

static bool
manifest_word(const char **p, const char *word)
{
	size_t n = strlen(word);

	if (strncmp(*p, word, n) != 0)
		return false;
	*p += n;
	return true;
}

static bool
manifest_hash(const char **p, uint8_t dst[32])
{
	for (size_t i = 0; i < 64; i++) {
		char c = (*p)[i];
		uint8_t d;

		if (c >= '0' && c <= '9')
			d = (uint8_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			d = (uint8_t)(c - 'a' + 10);
		else
			return false;
		dst[i / 2] = (uint8_t)(dst[i / 2] << 4 | d);
	}
	*p += 64;
	return manifest_word(p, "\n");
}

static bool
manifest_file(const char **p, struct manifest *m)
{
	struct manifest_file *f = &m->v[m->n];
	size_t n = strcspn(*p, " \n");

	if (m->n == MANIFEST_FILES_MAX || (*p)[n] != ' ' ||
	    str_copy_n(f->name, sizeof(f->name), *p, n) != 0 ||
	    !manifest_is_name(f->name))
		return false;
	for (size_t i = 0; i < m->n; i++)
		if (strcmp(m->v[i].name, f->name) == 0)
			return false;
	*p += n + 1;
	if (!manifest_number(p, ' ', &f->octets) ||
	    !manifest_hash(p, f->sha256))
		return false;
	m->n++;
	return true;
}

int
manifest_parse(const char *text, struct manifest *ret, struct err *reterr)
{
	const char *p = text;
	uint64_t made, n;

	memset(ret, 0, sizeof(*ret));
	if (!manifest_word(&p, MANIFEST_HEAD))
		return err_set(reterr, ERR_FORMAT, MANIFEST_FILE ": it does "
		    "not begin as that of a backup that this version knows");
	if (!manifest_word(&p, "made ") || !manifest_number(&p, '\n', &made) ||
	    !manifest_word(&p, "format ") ||
	    !manifest_number(&p, '\n', &ret->format) ||
	    !manifest_word(&p, "users ") ||
	    !manifest_number(&p, '\n', &ret->users))
		return err_set(reterr, ERR_FORMAT,
		    MANIFEST_FILE ": its head is malformed");
	ret->made_s = (int64_t)made;
	while (manifest_word(&p, "file "))
		if (!manifest_file(&p, ret))
			return err_set(reterr, ERR_FORMAT, MANIFEST_FILE
			    ": the line of file %zu is malformed", ret->n + 1);
	if (!manifest_word(&p, "end ") || !manifest_number(&p, '\n', &n) ||
	    n != ret->n || *p != '\0')
		return err_set(reterr, ERR_FORMAT,
		    MANIFEST_FILE ": it is not whole");
	return 0;
}
