/*
 * record.c - encoding and decoding of what is stored. Pure: no Berkeley DB, no
 * system calls. A record of a version we do not know is ERR_CORRUPT, never
 * guessed at.
 */
#include "config.h"

#include "db/record.h"

#include <string.h>

#include "lib/err.h"
#include "lib/str.h"

struct record_out {
	uint8_t	*p;
	size_t	 size;
	size_t	 len;
	bool	 bad;
};

struct record_in {
	const uint8_t	*p;
	size_t		 left;
	bool		 bad;
};

static void
record_put(struct record_out *o, const void *p, size_t len)
{
	if (o->bad || len > o->size - o->len) {
		o->bad = true;
		return;
	}
	if (len > 0)
		memcpy(o->p + o->len, p, len);
	o->len += len;
}

static void
record_put_u(struct record_out *o, uint64_t v, unsigned int octets)
{
	uint8_t be[8];

	for (unsigned int i = 0; i < octets; i++)
		be[i] = (uint8_t)(v >> (8 * (octets - 1 - i)));
	record_put(o, be, octets);
}

/* A u16 length and the octets; `size` is what the field holds with its NUL. */
static void
record_put_str(struct record_out *o, const char *s, size_t size)
{
	size_t len = strnlen(s, size);

	if (len == size)
		o->bad = true;
	record_put_u(o, len, 2);
	record_put(o, s, len);
}

static void
record_get(struct record_in *in, void *dst, size_t len)
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

static uint64_t
record_get_u(struct record_in *in, unsigned int octets)
{
	uint8_t be[8];
	uint64_t v = 0;

	record_get(in, be, octets);
	for (unsigned int i = 0; i < octets; i++)
		v = v << 8 | be[i];
	return v;
}

static void
record_get_str(struct record_in *in, char *dst, size_t size)
{
	size_t len = (size_t)record_get_u(in, 2);

	dst[0] = '\0';
	if (len >= size) {
		in->bad = true;
		return;
	}
	record_get(in, dst, len);
	dst[len] = '\0';
	if (strlen(dst) != len)
		in->bad = true;
}

static int
record_out_end(const struct record_out *o)
{
	return o->bad ? ERR_LIMIT : (int)o->len;
}

int
record_user_encode(const struct user_record *r, uint8_t *dst, size_t size)
{
	struct record_out o = { .p = dst, .size = size };

	if ((r->flags & ~(uint32_t)USER_FLAGS_ALL) != 0 ||
	    r->iterations < RECORD_ITERATIONS_MIN ||
	    r->iterations > RECORD_ITERATIONS_MAX)
		return ERR_LIMIT;
	record_put_u(&o, RECORD_USER_VERSION, 1);
	record_put_u(&o, r->flags, 4);
	record_put_u(&o, r->generation, 8);
	record_put_u(&o, r->seq, 8);
	record_put_u(&o, (uint64_t)r->created_s, 8);
	record_put_u(&o, (uint64_t)r->changed_s, 8);
	record_put_u(&o, r->iterations, 4);
	record_put(&o, r->salt, sizeof(r->salt));
	record_put(&o, r->stored_key, sizeof(r->stored_key));
	record_put(&o, r->server_key, sizeof(r->server_key));
	record_put_str(&o, r->note, sizeof(r->note));
	record_put_str(&o, r->maildir, sizeof(r->maildir));
	return record_out_end(&o);
}

int
record_user_decode(const void *p, size_t len, struct user_record *ret)
{
	struct record_in in = { .p = p, .left = len };

	memset(ret, 0, sizeof(*ret));
	if (record_get_u(&in, 1) != RECORD_USER_VERSION)
		return ERR_CORRUPT;
	ret->flags = (uint32_t)record_get_u(&in, 4);
	ret->generation = record_get_u(&in, 8);
	ret->seq = record_get_u(&in, 8);
	ret->created_s = (int64_t)record_get_u(&in, 8);
	ret->changed_s = (int64_t)record_get_u(&in, 8);
	ret->iterations = (uint32_t)record_get_u(&in, 4);
	record_get(&in, ret->salt, sizeof(ret->salt));
	record_get(&in, ret->stored_key, sizeof(ret->stored_key));
	record_get(&in, ret->server_key, sizeof(ret->server_key));
	record_get_str(&in, ret->note, sizeof(ret->note));
	record_get_str(&in, ret->maildir, sizeof(ret->maildir));
	if (in.bad || in.left != 0 ||
	    (ret->flags & ~(uint32_t)USER_FLAGS_ALL) != 0 ||
	    ret->iterations < RECORD_ITERATIONS_MIN ||
	    ret->iterations > RECORD_ITERATIONS_MAX) {
		record_user_clear(ret);
		return ERR_CORRUPT;
	}
	return 0;
}

static bool
record_grant_is_sane(const struct grant_record *r)
{
	return r->bits >= 1 && r->bits <= 128 &&
	    r->protocol < GRANT_PROTO__END && r->source >= GRANT_POP &&
	    r->source < GRANT_SOURCE__END && r->granted_s >= 0 &&
	    r->refreshed_s >= 0 && r->expires_s >= 0;
}

int
record_grant_encode(const struct grant_record *r, uint8_t *dst, size_t size)
{
	struct record_out o = { .p = dst, .size = size };

	if (!record_grant_is_sane(r))
		return ERR_LIMIT;
	record_put_u(&o, RECORD_GRANT_VERSION, 1);
	record_put_u(&o, r->bits, 1);
	record_put_u(&o, (uint64_t)r->granted_s, 8);
	record_put_u(&o, (uint64_t)r->refreshed_s, 8);
	record_put_u(&o, (uint64_t)r->expires_s, 8);
	record_put_u(&o, r->generation, 8);
	record_put_u(&o, r->uses, 8);
	record_put_u(&o, r->protocol, 1);
	record_put_u(&o, r->source, 1);
	record_put_u(&o, r->tls ? 1 : 0, 1);
	return record_out_end(&o);
}

int
record_grant_decode(const void *p, size_t len, struct grant_record *ret)
{
	struct record_in in = { .p = p, .left = len };
	uint64_t tls;

	if (record_get_u(&in, 1) != RECORD_GRANT_VERSION)
		return ERR_CORRUPT;
	ret->bits = (uint8_t)record_get_u(&in, 1);
	ret->granted_s = (int64_t)record_get_u(&in, 8);
	ret->refreshed_s = (int64_t)record_get_u(&in, 8);
	ret->expires_s = (int64_t)record_get_u(&in, 8);
	ret->generation = record_get_u(&in, 8);
	ret->uses = record_get_u(&in, 8);
	ret->protocol = (uint8_t)record_get_u(&in, 1);
	ret->source = (uint8_t)record_get_u(&in, 1);
	tls = record_get_u(&in, 1);
	ret->tls = tls == 1;
	if (in.bad || in.left != 0 || tls > 1 || !record_grant_is_sane(ret))
		return ERR_CORRUPT;
	return 0;
}

int
record_grant_key_encode(const struct grant_record *r, uint8_t *dst,
    size_t size)
{
	struct record_out o = { .p = dst, .size = size };
	size_t len = strnlen(r->user, sizeof(r->user));

	if (len == 0 || len == sizeof(r->user))
		return ERR_LIMIT;
	record_put(&o, r->ip, sizeof(r->ip));
	record_put(&o, r->user, len);
	return record_out_end(&o);
}

int
record_grant_key_decode(const void *p, size_t len, struct grant_record *ret)
{
	const uint8_t *key = p;

	if (len <= sizeof(ret->ip) || len > RECORD_GRANT_KEY_MAX ||
	    memchr(key + sizeof(ret->ip), 0, len - sizeof(ret->ip)) != NULL)
		return ERR_CORRUPT;
	memcpy(ret->ip, key, sizeof(ret->ip));
	return str_copy_n(ret->user, sizeof(ret->user),
	    (const char *)key + sizeof(ret->ip), len - sizeof(ret->ip));
}

void
record_user_clear(struct user_record *r)
{
	explicit_bzero(r, sizeof(*r));
}
