/*
 * xtext.h - how RFC 3461 section 4 writes any text within a parameter, and how
 * RFC 6533 section 3 writes an address with UTF-8 in it. Pure; fuzzed.
 */
#ifndef SUBMITD_XTEXT_H
#define SUBMITD_XTEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Takes "+XX" out of `s`. The outcome is printable ASCII and spaces, with a
 * NUL; its length is returned. ERR_FORMAT: no xtext, or other octets come of
 * it. ERR_LIMIT. */
int	xtext_decode(char *dst, size_t size, const char *s, size_t len);

/* The address of type utf-8 that a client gave, written as utf-8-addr-xtext:
 * all ASCII, what is not printable ASCII as \x{HEX}. `raw`: it may hold UTF-8
 * itself (there was SMTPUTF8). Returns the length; ERR_FORMAT, ERR_LIMIT. */
int	xtext_utf8_address(char *dst, size_t size, const char *s, size_t len,
	    bool raw);
/* The same of an address as it stands in an envelope: nothing in it is an
 * encoding. */
int	xtext_utf8_write(char *dst, size_t size, const char *address);

#endif
