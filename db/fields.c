/*
 * fields.c - the fields of a stored record. Pure: fuzzed through record.c and
 * placesdb_record.c.
 */
#include "config.h"

#include "db/fields.h"

#include <string.h>

#include "lib/err.h"

void
fields_put(struct fields_out *o, const void *p, size_t len)
{
	if (o->bad || len > o->size - o->len) {
		o->bad = true;
		return;
	}
	if (len > 0)
		memcpy(o->p + o->len, p, len);
	o->len += len;
}

void
fields_put_u(struct fields_out *o, uint64_t v, unsigned int octets)
{
	uint8_t be[8];

	if (octets < sizeof(be) && v >> (8 * octets) != 0)
		o->bad = true;
	for (unsigned int i = 0; i < octets; i++)
		be[i] = (uint8_t)(v >> (8 * (octets - 1 - i)));
	fields_put(o, be, octets);
}

void
fields_put_str(struct fields_out *o, const char *s, size_t size,
    unsigned int len_octets)
{
	size_t len = strnlen(s, size);

	if (len == size)
		o->bad = true;
	fields_put_u(o, len, len_octets);
	fields_put(o, s, len);
}

void
fields_get(struct fields_in *in, void *dst, size_t len)
{
	if (in->bad || len > in->left) {
		in->bad = true;
		memset(dst, 0, len);
		return;
	}
	memcpy(dst, in->p, len);
	in->p += len;
	in->left -= len;
}

uint64_t
fields_get_u(struct fields_in *in, unsigned int octets)
{
	uint8_t be[8];
	uint64_t v = 0;

	fields_get(in, be, octets);
	for (unsigned int i = 0; i < octets; i++)
		v = v << 8 | be[i];
	return v;
}

void
fields_get_str(struct fields_in *in, char *dst, size_t size,
    unsigned int len_octets)
{
	size_t len = (size_t)fields_get_u(in, len_octets);

	memset(dst, 0, size);
	if (len >= size) {
		in->bad = true;
		return;
	}
	fields_get(in, dst, len);
	if (strlen(dst) != len)
		in->bad = true;
}

int
fields_out_end(const struct fields_out *o)
{
	return o->bad ? ERR_LIMIT : (int)o->len;
}

bool
fields_in_ended(const struct fields_in *in)
{
	return !in->bad && in->left == 0;
}
