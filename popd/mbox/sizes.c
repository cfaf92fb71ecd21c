/*
 * sizes.c - the text of "submitd-sizes": see sizes.h. Pure; runs in popd-mbox.
 */
#include "config.h"
#include "popd/mbox/sizes.h"

#include <stdlib.h>
#include <string.h>

#include "lib/err.h"

#define SIZES_HEAD "submitd-sizes 1\n"

static bool
sizes_is_true(const struct sizes_line *l)
{
	/* Every octet may be an LF that becomes CR LF; a last line without an
	 * end gets one. */
	return l->octets >= l->size &&
	    l->octets - l->size <= l->size + (l->size > 0);
}

/* A decimal number that ends with `end`, from the front of *p. */
static bool
sizes_number(const char **p, const char *limit, char end, uint64_t *ret)
{
	const char *s = *p;
	uint64_t n = 0;

	while (s < limit && *s >= '0' && *s <= '9') {
		uint64_t digit = (uint64_t)(*s++ - '0');

		if (n > (UINT64_MAX - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	if (s == *p || s >= limit || *s != end)
		return false;
	*p = s + 1;
	*ret = n;
	return true;
}

static int
sizes_parse_lines(const char *p, const char *end, struct sizes *z)
{
	struct sizes_line *l;

	for (; p < end; z->n++) {
		l = &z->line[z->n];
		if (z->n >= SIZES_LINES_MAX ||
		    !sizes_number(&p, end, ' ', &l->ino) ||
		    !sizes_number(&p, end, ' ', &l->size) ||
		    !sizes_number(&p, end, ' ', &l->mtime_ns) ||
		    !sizes_number(&p, end, '\n', &l->octets) ||
		    !sizes_is_true(l) || (z->n > 0 && l->ino <= l[-1].ino))
			return ERR_FORMAT;
	}
	return 0;
}

int
sizes_parse(const char *text, size_t len, struct sizes **ret)
{
	const char *p = text, *end = text + len;
	size_t head = strlen(SIZES_HEAD), lines = 0;
	struct sizes *z;

	if (len < head || memcmp(text, SIZES_HEAD, head) != 0)
		return ERR_FORMAT;
	for (p += head; p < end && lines < SIZES_LINES_MAX; p++, lines++)
		if ((p = memchr(p, '\n', (size_t)(end - p))) == NULL)
			return ERR_FORMAT;
	z = malloc(sizeof(*z) + lines * sizeof(z->line[0]));
	if (z == NULL)
		return ERR_NOMEM;
	z->n = 0;
	if (p < end || sizes_parse_lines(text + head, end, z) != 0) {
		free(z);
		return ERR_FORMAT;
	}
	*ret = z;
	return 0;
}

void
sizes_free(struct sizes *z)
{
	free(z);
}

static int
sizes_compare(const void *a, const void *b)
{
	const struct sizes_line *x = a, *y = b;

	return (x->ino > y->ino) - (x->ino < y->ino);
}

bool
sizes_find(const struct sizes *z, const struct sizes_line *want,
    uint64_t *ret_octets)
{
	const struct sizes_line *l;

	if (z == NULL || z->n == 0 || (l = bsearch(want, z->line, z->n,
	    sizeof(z->line[0]), sizes_compare)) == NULL ||
	    l->size != want->size || l->mtime_ns != want->mtime_ns)
		return false;
	*ret_octets = l->octets;
	return true;
}

int
sizes_format(struct sizes_line *v, size_t n, struct buf *ret)
{
	int r = buf_append(ret, SIZES_HEAD, strlen(SIZES_HEAD));

	if (n > 1)
		qsort(v, n, sizeof(*v), sizes_compare);
	for (size_t i = 0; i < n && r == 0; i++) {
		if (i > 0 && v[i].ino == v[i - 1].ino)
			continue;	/* two file systems below one Maildir */
		r = buf_printf(ret, "%llu %llu %llu %llu\n",
		    (unsigned long long)v[i].ino,
		    (unsigned long long)v[i].size,
		    (unsigned long long)v[i].mtime_ns,
		    (unsigned long long)v[i].octets);
	}
	return r;
}
