/*
 * str.c - bounded strings, numbers, units, base64, UTF-8. Linked into every
 * process; locale-free, and what does not fit is refused, never cut.
 */
#include "lib/str.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "lib/clock.h"
#include "lib/err.h"

int
str_copy_n(char *dst, size_t size, const char *src, size_t len)
{
	if (size == 0)
		return ERR_LIMIT;
	if (len >= size) {
		dst[0] = '\0';
		return ERR_LIMIT;
	}
	memmove(dst, src, len);
	dst[len] = '\0';
	return 0;
}

int
str_copy(char *dst, size_t size, const char *src)
{
	return str_copy_n(dst, size, src, strlen(src));
}

int
str_format(char *dst, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(dst, size, fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < size)
		return 0;
	if (size > 0)
		dst[0] = '\0';
	return ERR_LIMIT;
}

int
str_u64_n(const char *s, size_t len, uint64_t min, uint64_t max,
    uint64_t *ret)
{
	uint64_t n = 0, digit;
	size_t i;

	*ret = 0;
	if (len == 0 || len > 20)
		return ERR_FORMAT;
	for (i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return ERR_FORMAT;
		digit = (uint64_t)(s[i] - '0');
		if (n > (UINT64_MAX - digit) / 10)
			return ERR_LIMIT;
		n = n * 10 + digit;
	}
	if (n < min || n > max)
		return ERR_LIMIT;
	*ret = n;
	return 0;
}

int
str_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret)
{
	return str_u64_n(s, strlen(s), min, max, ret);
}

/* A number times what its last letter stands for in `units`. */
static int
str_scaled(const char *s, const char *units, const uint64_t *factors,
    uint64_t *ret)
{
	size_t len = strlen(s);
	uint64_t n, factor = 1;
	const char *u;
	int r;

	*ret = 0;
	if (len > 0 && (s[len - 1] < '0' || s[len - 1] > '9')) {
		u = strchr(units, s[len - 1]);
		if (u == NULL)
			return ERR_FORMAT;
		factor = factors[u - units];
		len--;
	}
	if ((r = str_u64_n(s, len, 0, UINT64_MAX, &n)) != 0)
		return r;
	if (n > UINT64_MAX / factor)
		return ERR_LIMIT;
	*ret = n * factor;
	return 0;
}

int
str_duration_s(const char *s, uint64_t *ret_s)
{
	static const uint64_t factors[] = { 1, 60, 3600, 86400, 604800 };

	return str_scaled(s, "smhdw", factors, ret_s);
}

int
str_size(const char *s, uint64_t *ret_bytes)
{
	static const uint64_t factors[] = { 1, 1ull << 10, 1ull << 20,
	    1ull << 30, 1ull << 40, 1ull << 10, 1ull << 20, 1ull << 30 };

	return str_scaled(s, "BKMGTkmg", factors, ret_bytes);
}

static char
str_lower_char(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

void
str_lower(char *s)
{
	for (; *s != '\0'; s++)
		*s = str_lower_char(*s);
}

bool
str_ieq_n(const char *a, const char *b, size_t len_b)
{
	size_t i;

	for (i = 0; i < len_b; i++) {
		if (a[i] == '\0' || str_lower_char(a[i]) != str_lower_char(b[i]))
			return false;
	}
	return a[len_b] == '\0';
}

bool
str_ieq(const char *a, const char *b)
{
	return str_ieq_n(a, b, strlen(b));
}

bool
str_istarts(const char *s, const char *prefix)
{
	for (; *prefix != '\0'; s++, prefix++) {
		if (str_lower_char(*s) != str_lower_char(*prefix))
			return false;
	}
	return true;
}

/* The length of the UTF-8 sequence at p (RFC 3629 section 4), or 0. */
static size_t
str_utf8_seq(const uint8_t *p, size_t left)
{
	uint8_t low = 0x80, high = 0xbf;
	size_t n, i;

	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		n = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		n = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (n > left)
		return 0;
	if (p[0] == 0xe0)		/* overlong */
		low = 0xa0;
	else if (p[0] == 0xed)		/* surrogates */
		high = 0x9f;
	else if (p[0] == 0xf0)		/* overlong */
		low = 0x90;
	else if (p[0] == 0xf4)		/* above U+10FFFF */
		high = 0x8f;
	if (p[1] < low || p[1] > high)
		return 0;
	for (i = 2; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	return n;
}

bool
str_is_utf8(const char *s, size_t len)
{
	const uint8_t *p = (const uint8_t *)s;
	size_t n;

	while (len > 0) {
		if ((n = str_utf8_seq(p, len)) == 0)
			return false;
		p += n;
		len -= n;
	}
	return true;
}

bool
str_is_print(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (s[i] < 0x20 || s[i] > 0x7e)
			return false;
	return true;
}

void
str_mend_utf8(char *s)
{
	size_t left = strlen(s), n;

	for (; left > 0; s += n, left -= n)
		if ((n = str_utf8_seq((const uint8_t *)s, left)) == 0) {
			*s = '?';
			n = 1;
		}
}

int
str_b64_encode(char *dst, size_t size, const void *src, size_t len)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789+/";
	const uint8_t *p = src;
	char *d = dst;
	size_t i;
	uint32_t v;

	if (len > INT32_MAX / 4 * 3 || size < STR_B64_SIZE(len))
		return ERR_LIMIT;
	for (i = 0; i < len; i += 3) {
		v = (uint32_t)p[i] << 16;
		if (i + 1 < len)
			v |= (uint32_t)p[i + 1] << 8;
		if (i + 2 < len)
			v |= p[i + 2];
		*d++ = alphabet[v >> 18];
		*d++ = alphabet[v >> 12 & 63];
		*d++ = i + 1 < len ? alphabet[v >> 6 & 63] : '=';
		*d++ = i + 2 < len ? alphabet[v & 63] : '=';
	}
	*d = '\0';
	return (int)(d - dst);
}

static int
str_b64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

/* One group of four characters, `pad` of which are '=', into v. */
static int
str_b64_group(const char *s, size_t pad, uint32_t *ret)
{
	uint32_t v = 0;
	size_t i;
	int c;

	for (i = 0; i < 4; i++) {
		c = i < 4 - pad ? str_b64_value(s[i]) : 0;
		if (c < 0)
			return ERR_FORMAT;
		v = v << 6 | (uint32_t)c;
	}
	/* Bits that no octet takes must be zero (RFC 4648 section 3.5). */
	if ((pad == 1 && (v & 0xff) != 0) || (pad == 2 && (v & 0xffff) != 0))
		return ERR_FORMAT;
	*ret = v;
	return 0;
}

int
str_b64_decode(void *dst, size_t size, const char *src, size_t len)
{
	uint8_t *d = dst;
	size_t i, pad = 0, n;
	uint32_t v;

	if (len % 4 != 0)
		return ERR_FORMAT;
	if (len > INT32_MAX)
		return ERR_LIMIT;
	if (len > 0 && src[len - 1] == '=')
		pad = src[len - 2] == '=' ? 2 : 1;
	if (len / 4 * 3 - pad > size)
		return ERR_LIMIT;
	for (i = 0; i < len; i += 4) {
		n = i + 4 == len ? pad : 0;
		if (str_b64_group(src + i, n, &v) != 0)
			return ERR_FORMAT;
		*d++ = (uint8_t)(v >> 16);
		if (n < 2)
			*d++ = (uint8_t)(v >> 8);
		if (n < 1)
			*d++ = (uint8_t)v;
	}
	return (int)(d - (uint8_t *)dst);
}

void
str_hex(char *dst, const void *src, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *p = src;
	size_t i;

	for (i = 0; i < len; i++) {
		*dst++ = digits[p[i] >> 4];
		*dst++ = digits[p[i] & 15];
	}
	*dst = '\0';
}

static int
str_hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

uint32_t
str_hash(const void *p, size_t len)
{
	const uint8_t *octets = p;
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ octets[i]) * 16777619u;
	return h;
}

int
str_hex_decode(void *dst, size_t len, const char *src)
{
	uint8_t *p = dst;

	if (strlen(src) != 2 * len)
		return ERR_FORMAT;
	for (; len > 0; len--, src += 2) {
		int high = str_hex_value(src[0]), low = str_hex_value(src[1]);

		if (high < 0 || low < 0)
			return ERR_FORMAT;
		*p++ = (uint8_t)(high << 4 | low);
	}
	return 0;
}

/* In the order of ASCII, so that ids sort by age as plain strings. */
static const char str_id_alphabet[] = "234567abcdefghijklmnopqrstuvwxyz";

void
str_id(char dst[STR_ID_SIZE])
{
	const uint64_t mask = (1ull << 40) - 1;
	uint64_t half[2] = { 0, 0 };
	size_t i;

	half[0] = (uint64_t)clock_now_us() / 15625 & mask;
	while (getrandom(&half[1], 5, 0) != 5)
		;
	for (i = 0; i < 16; i++)
		dst[i] = str_id_alphabet[half[i / 8] >> (35 - i % 8 * 5) & 31];
	dst[16] = '\0';
}

bool
str_is_id(const char *s)
{
	size_t i;

	for (i = 0; i < 16; i++) {
		if (s[i] == '\0' || strchr(str_id_alphabet, s[i]) == NULL)
			return false;
	}
	return s[16] == '\0';
}
