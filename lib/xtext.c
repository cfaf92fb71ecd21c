/*
 * xtext.c - see xtext.h. Pure; what it reads was sent by anybody.
 */
#include "config.h"
#include "lib/xtext.h"

#include <stdint.h>
#include <string.h>

#include "lib/err.h"
#include "lib/str.h"

/* The value of an upper-case hexadecimal digit, or -1. */
static int
xtext_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* "XX" behind a plus: the octet, or -1. */
static int
xtext_octet(const char *s, size_t len)
{
	int hi, lo;

	if (len < 2 || (hi = xtext_digit(s[0])) < 0 ||
	    (lo = xtext_digit(s[1])) < 0)
		return -1;
	return hi << 4 | lo;
}

int
xtext_decode(char *dst, size_t size, const char *s, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		int c = (unsigned char)s[i];

		if (c < '!' || c > '~' || c == '=')
			return ERR_FORMAT;
		if (c == '+') {
			c = xtext_octet(s + i + 1, len - i - 1);
			if (c < ' ' || c > '~')
				return ERR_FORMAT;
			i += 2;
		}
		if (n + 1 >= size)
			return ERR_LIMIT;
		dst[n++] = (char)c;
	}
	if (n >= size)
		return ERR_LIMIT;
	dst[n] = '\0';
	return (int)n;
}

/* "\x{HEX}": its length and the code point; 0 when it is none. */
static size_t
xtext_embedded(const char *s, size_t len, uint32_t *ret)
{
	size_t i = 3;

	*ret = 0;
	if (len < 4 || memcmp(s, "\\x{", 3) != 0)
		return 0;
	for (; i < len && s[i] != '}'; i++) {
		int d = xtext_digit(s[i]);

		if (d < 0 || i == 9)
			return 0;
		*ret = *ret << 4 | (uint32_t)d;
	}
	return i == len || i == 3 ? 0 : i + 1;
}

/* One character of UTF-8 that is not ASCII; 0 when it is none. */
static size_t
xtext_raw(const char *s, size_t len, uint32_t *ret)
{
	unsigned char c = (unsigned char)s[0];
	size_t n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;

	if (c < 0xc0 || n > len || !str_is_utf8(s, n))
		return 0;
	*ret = c & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++)
		*ret = *ret << 6 | ((unsigned char)s[i] & 0x3fu);
	return n;
}

/* The character that begins at `s`; its length, or 0. */
static size_t
xtext_take(const char *s, size_t len, bool raw, uint32_t *ret)
{
	int c = (unsigned char)s[0];

	if (c == '\\')
		return xtext_embedded(s, len, ret);
	if (c >= 0x80)
		return raw ? xtext_raw(s, len, ret) : 0;
	if (c == '+') {
		c = xtext_octet(s + 1, len - 1);
		*ret = (uint32_t)c;
		return c < 0 ? 0 : 3;
	}
	*ret = (uint32_t)c;
	return c < '!' || c == '=' ? 0 : 1;
}

static bool
xtext_is_printable(uint32_t c)
{
	if (c < 0x80)
		return c >= ' ' && c <= '~';
	return c >= 0xa0 && (c < 0xd800 || c > 0xdfff) && c <= 0x10ffff &&
	    c != 0x2028 && c != 0x2029;
}

/* Appends one character to what ends with a NUL at dst[*n]. */
static int
xtext_put(char *dst, size_t size, size_t *n, uint32_t c)
{
	char one[16];

	if (!xtext_is_printable(c))
		return ERR_FORMAT;
	if (c > ' ' && c <= '~' && strchr("+=\\", (int)c) == NULL)
		(void)str_format(one, sizeof(one), "%c", (int)c);
	else
		(void)str_format(one, sizeof(one), "\\x{%02X}", c);
	if (str_copy(dst + *n, size - *n, one) != 0)
		return ERR_LIMIT;
	*n += strlen(one);
	return 0;
}

int
xtext_utf8_address(char *dst, size_t size, const char *s, size_t len,
    bool raw)
{
	size_t n = 0, used;
	uint32_t c;
	int r = 0;

	dst[0] = '\0';
	while (len > 0 && r == 0) {
		if ((used = xtext_take(s, len, raw, &c)) == 0)
			return ERR_FORMAT;
		r = xtext_put(dst, size, &n, c);
		s += used;
		len -= used;
	}
	return r != 0 ? r : (int)n;
}

int
xtext_utf8_write(char *dst, size_t size, const char *address)
{
	size_t n = 0, used, len = strlen(address);
	int r = 0;

	dst[0] = '\0';
	for (; len > 0 && r == 0; address += used, len -= used) {
		uint32_t c = (unsigned char)address[0];

		used = c < 0x80 ? 1 : xtext_raw(address, len, &c);
		if (used == 0)
			return ERR_FORMAT;
		r = xtext_put(dst, size, &n, c);
	}
	return r != 0 ? r : (int)n;
}
