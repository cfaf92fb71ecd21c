/*
 * fields.h - the fields of a stored record: integers in network order, texts
 * behind their length, octets as they are. Both ends note what does not fit in
 * `bad` and go on harmlessly, so that it is asked once, at the end.
 */
#ifndef SUBMITD_DB_FIELDS_H
#define SUBMITD_DB_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fields_out {
	uint8_t	*p;
	size_t	 size;
	size_t	 len;
	bool	 bad;
};

struct fields_in {
	const uint8_t	*p;
	size_t		 left;
	bool		 bad;
};

void	fields_put(struct fields_out *o, const void *p, size_t len);

/* An integer in up to 8 octets; one that needs more is bad. */
void	fields_put_u(struct fields_out *o, uint64_t v, unsigned int octets);

/* `size` is what the field `s` holds with its NUL; the length takes
 * `len_octets`. */
void	fields_put_str(struct fields_out *o, const char *s, size_t size,
	    unsigned int len_octets);

/* What is bad gives zeros. */
void	fields_get(struct fields_in *in, void *dst, size_t len);
uint64_t fields_get_u(struct fields_in *in, unsigned int octets);

/* A text with a NUL in it, or too long for `dst`, is bad. */
void	fields_get_str(struct fields_in *in, char *dst, size_t size,
	    unsigned int len_octets);

/* The number of octets, or ERR_LIMIT. */
int	fields_out_end(const struct fields_out *o);

/* Was all of it good, and nothing left over? */
bool	fields_in_ended(const struct fields_in *in);

#endif
