/*
 * maildir.c - names in a Maildir, and where a user's Maildir is. Pure, linked
 * into every process; it touches no file.
 */
#include "lib/maildir.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/str.h"

/* Appends to dst, '/' and '%' as %XX, so that a user is one component and no
 * two users share one. */
static int
maildir_put(char *dst, size_t size, size_t *len, const char *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		bool encode = s[i] == '/' || s[i] == '%';

		if (str_format(dst + *len, size - *len, encode ? "%%%02X" : "%c",
		    (unsigned char)s[i]) != 0)
			return ERR_LIMIT;
		*len += encode ? 3 : 1;
	}
	return 0;
}

/* No absolute path and no empty, "." or ".." component. */
static bool
maildir_is_safe(const char *path)
{
	size_t n;

	for (;; path += n + 1) {
		n = strcspn(path, "/");
		if (n == 0 || (n == 1 && path[0] == '.') ||
		    (n == 2 && path[0] == '.' && path[1] == '.'))
			return false;
		if (path[n] == '\0')
			return true;
	}
}

int
maildir_expand(const char *template, const char *user, char *dst, size_t size)
{
	const char *at = strrchr(user, '@'), *p;
	size_t local = at == NULL ? strlen(user) : (size_t)(at - user);
	const char *domain = at == NULL ? "" : at + 1;
	size_t len = 0;
	int r = 0;

	if (size == 0)
		return ERR_LIMIT;
	dst[0] = '\0';
	for (p = template; *p != '\0' && r == 0; p++) {
		if (*p != '%')
			r = str_copy_n(dst + len, size - len, p, 1);
		if (*p != '%' && r == 0)
			len++;
		if (*p != '%')
			continue;
		switch (*++p) {
		case 'd':
			r = maildir_put(dst, size, &len, domain, strlen(domain));
			break;
		case 'n':
			r = maildir_put(dst, size, &len, user, local);
			break;
		case 'u':
			r = maildir_put(dst, size, &len, user, strlen(user));
			break;
		case '%':
			r = str_copy(dst + len, size - len, "%");
			len++;
			break;
		default:
			return ERR_FORMAT;
		}
	}
	if (r == 0 && !maildir_is_safe(dst))
		r = ERR_FORMAT;
	if (r != 0)
		dst[0] = '\0';
	return r;
}

int
maildir_name(const char *host, char *dst, size_t size)
{
	static atomic_uint counter;
	char clean[MAILDIR_NAME_MAX + 1];
	int64_t us = clock_now_us();
	size_t len = 0;
	const char *code;

	for (; *host != '\0'; host++) {
		code = *host == '/' ? "\\057" : *host == ':' ? "\\072" : NULL;
		if (str_format(clean + len, sizeof(clean) - len,
		    code == NULL ? "%c" : "\\%03o", (unsigned char)*host) != 0)
			return ERR_LIMIT;
		len += code == NULL ? 1 : 4;
	}
	clean[len] = '\0';
	/* Six digits: names in their order are the order of delivery. */
	return str_format(dst, size, "%lld.M%06lldP%ldQ%u.%s",
	    (long long)(us / 1000000), (long long)(us % 1000000),
	    (long)getpid(), atomic_fetch_add(&counter, 1), clean);
}

int
maildir_name_sizes(char *name, size_t size, uint64_t octets,
    uint64_t crlf_octets)
{
	char sizes[64];
	size_t len = strlen(name);

	if (str_format(sizes, sizeof(sizes), ",S=%llu,W=%llu",
	    (unsigned long long)octets, (unsigned long long)crlf_octets) != 0 ||
	    len + strlen(sizes) >= size)
		return ERR_LIMIT;
	return str_copy(name + len, size - len, sizes);
}

size_t
maildir_base_len(const char *name)
{
	return strcspn(name, ":");
}

static bool
maildir_get(const char *name, char key, uint64_t *ret)
{
	const char *end = name + maildir_base_len(name), *p;

	*ret = 0;
	for (p = name; p + 3 < end; p++) {
		if (p[0] == ',' && p[1] == key && p[2] == '=')
			return str_u64_n(p + 3, strspn(p + 3, "0123456789"), 0,
			    UINT64_MAX, ret) == 0;
	}
	return false;
}

bool
maildir_get_size(const char *name, uint64_t *ret_octets)
{
	return maildir_get(name, 'S', ret_octets);
}

bool
maildir_get_wire_size(const char *name, uint64_t *ret_octets)
{
	return maildir_get(name, 'W', ret_octets);
}
