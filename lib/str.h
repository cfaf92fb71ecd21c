/*
 * str.h - bounded strings, numbers, units, base64, UTF-8. Pure functions.
 */
#ifndef SUBMITD_STR_H
#define SUBMITD_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Copies src with its NUL into dst of `size` octets. ERR_LIMIT (and dst empty)
 * when it does not fit: nothing is ever cut silently. */
int	str_copy(char *dst, size_t size, const char *src);
int	str_copy_n(char *dst, size_t size, const char *src, size_t len);

/* snprintf that returns 0, or ERR_LIMIT (and dst empty) when it does not fit. */
int	str_format(char *dst, size_t size, const char *fmt, ...)
	    __attribute__((format(printf, 3, 4)));

/* A decimal number of 1 to 20 digits and nothing else, min <= n <= max.
 * ERR_FORMAT or ERR_LIMIT. */
int	str_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret);
int	str_u64_n(const char *s, size_t len, uint64_t min, uint64_t max,
	    uint64_t *ret);

/* "90", "90s", "5m", "1h", "5d", "2w" to seconds; ERR_FORMAT, ERR_LIMIT. */
int	str_duration_s(const char *s, uint64_t *ret_s);
/* "50M", "1G", "64K", "4096" to octets (powers of 1024). */
int	str_size(const char *s, uint64_t *ret_bytes);

/* Lower-cases ASCII letters in place. */
void	str_lower(char *s);
/* ASCII only, locale-free. */
bool	str_ieq(const char *a, const char *b);
bool	str_ieq_n(const char *a, const char *b, size_t len_b); /* b has len_b */
bool	str_istarts(const char *s, const char *prefix);

/* True when the octets are valid UTF-8 (RFC 3629: no surrogates, no overlong
 * forms); ASCII controls are for the caller to look at. */
bool	str_is_utf8(const char *s, size_t len);
/* True when all is printable ASCII, which is its own SASLprep (RFC 4013). */
bool	str_is_print(const char *s, size_t len);
/* What is not valid UTF-8 in s, such as a character cut in two, becomes "?". */
void	str_mend_utf8(char *s);

#define STR_B64_SIZE(n) (((n) + 2) / 3 * 4 + 1)
/* RFC 4648 base64 with padding and a final NUL; returns its length, or
 * ERR_LIMIT when `size` is less than STR_B64_SIZE(len). */
int	str_b64_encode(char *dst, size_t size, const void *src, size_t len);
/* Strict: only the alphabet, right padding, zero trailing bits, no white
 * space (RFC 4954 section 4). Returns octets written, ERR_FORMAT, ERR_LIMIT. */
int	str_b64_decode(void *dst, size_t size, const char *src, size_t len);

/* Lower-case hexadecimal; dst has room for 2*len+1. */
void	str_hex(char *dst, const void *src, size_t len);
/* Exactly 2*len hexadecimal digits of either case; ERR_FORMAT. */
int	str_hex_decode(void *dst, size_t len, const char *src);

/* Spreads over buckets (FNV-1a). Not for what a stranger may choose in bulk:
 * that takes a key (lib/siphash.h). */
uint32_t str_hash(const void *p, size_t len);

/* A new identifier of 16 characters a-z2-7: 40 bits of time in 1/64 s and 40
 * random bits, so that it sorts by age and is never used again. */
#define STR_ID_SIZE 17
void	str_id(char dst[STR_ID_SIZE]);
/* True for the shape that str_id() makes. */
bool	str_is_id(const char *s);

/* glibc 2.36 has no strlcpy; explicit_bzero is its own. */
#endif
