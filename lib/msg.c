/*
 * msg.c - typed messages between the processes. Pure, linked into all of them.
 * A reader never trusts a length, and both sides keep the first error.
 */
#include "lib/msg.h"

#include <string.h>

#include "lib/err.h"

static uint8_t *
msg_take_room(struct msg_out *m, size_t len)
{
	uint8_t *p;

	if (m->error != 0)
		return NULL;
	if (len > MSG_MAX - m->len) {
		m->error = ERR_LIMIT;
		return NULL;
	}
	p = m->data + m->len;
	m->len += len;
	return p;
}

static void
msg_put_number(struct msg_out *m, uint64_t v, size_t octets)
{
	uint8_t *p = msg_take_room(m, octets);

	if (p == NULL)
		return;
	while (octets > 0) {
		p[--octets] = (uint8_t)v;
		v >>= 8;
	}
}

void
msg_begin(struct msg_out *m, uint16_t type, uint32_t id)
{
	m->len = 0;
	m->error = 0;
	msg_put_u8(m, MSG_VERSION);
	msg_put_u8(m, 0);
	msg_put_u16(m, type);
	msg_put_u32(m, id);
}

void
msg_put_u8(struct msg_out *m, uint8_t v)
{
	msg_put_number(m, v, 1);
}

void
msg_put_u16(struct msg_out *m, uint16_t v)
{
	msg_put_number(m, v, 2);
}

void
msg_put_u32(struct msg_out *m, uint32_t v)
{
	msg_put_number(m, v, 4);
}

void
msg_put_u64(struct msg_out *m, uint64_t v)
{
	msg_put_number(m, v, 8);
}

void
msg_put_raw(struct msg_out *m, const void *p, size_t len)
{
	uint8_t *dst = msg_take_room(m, len);

	if (dst != NULL && len > 0)
		memcpy(dst, p, len);
}

void
msg_put_blob(struct msg_out *m, const void *p, size_t len)
{
	if (m->error == 0 && len > MSG_MAX) {
		m->error = ERR_LIMIT;
		return;
	}
	msg_put_u32(m, (uint32_t)len);
	msg_put_raw(m, p, len);
}

/* The length counts the string's own NUL, which goes along. */
void
msg_put_str(struct msg_out *m, const char *s)
{
	if (s == NULL)
		s = "";
	msg_put_blob(m, s, strlen(s) + 1);
}

size_t
msg_room(const struct msg_out *m)
{
	return m->error != 0 ? 0 : MSG_MAX - m->len;
}

static const uint8_t *
msg_take(struct msg_in *m, size_t len)
{
	const uint8_t *p = m->p;

	if (m->error != 0)
		return NULL;
	if (len > m->left) {
		m->error = ERR_FORMAT;
		return NULL;
	}
	m->p += len;
	m->left -= len;
	return p;
}

static uint64_t
msg_get_number(struct msg_in *m, size_t octets)
{
	const uint8_t *p = msg_take(m, octets);
	uint64_t v = 0;
	size_t i;

	for (i = 0; p != NULL && i < octets; i++)
		v = v << 8 | p[i];
	return v;
}

int
msg_open(struct msg_in *m, const void *packet, size_t len)
{
	m->p = packet;
	m->left = len;
	m->error = len > MSG_MAX ? ERR_FORMAT : 0;
	if (msg_get_number(m, 1) != MSG_VERSION || msg_get_number(m, 1) != 0)
		m->error = ERR_FORMAT;
	m->type = (uint16_t)msg_get_number(m, 2);
	m->id = (uint32_t)msg_get_number(m, 4);
	return m->error;
}

int
msg_get_u8(struct msg_in *m, uint8_t *ret)
{
	*ret = (uint8_t)msg_get_number(m, 1);
	return m->error;
}

int
msg_get_u16(struct msg_in *m, uint16_t *ret)
{
	*ret = (uint16_t)msg_get_number(m, 2);
	return m->error;
}

int
msg_get_u32(struct msg_in *m, uint32_t *ret)
{
	*ret = (uint32_t)msg_get_number(m, 4);
	return m->error;
}

int
msg_get_u64(struct msg_in *m, uint64_t *ret)
{
	*ret = msg_get_number(m, 8);
	return m->error;
}

int
msg_get_blob(struct msg_in *m, const void **ret, size_t *ret_len, size_t max)
{
	size_t len = (size_t)msg_get_number(m, 4);
	const uint8_t *p;

	*ret = "";
	*ret_len = 0;
	if (m->error == 0 && len > max)
		m->error = ERR_FORMAT;
	p = msg_take(m, len);
	if (p == NULL)
		return m->error;
	*ret = p;
	*ret_len = len;
	return 0;
}

int
msg_get_str(struct msg_in *m, const char **ret, size_t max)
{
	const void *p;
	size_t len;

	*ret = "";
	if (msg_get_blob(m, &p, &len, max + 1) != 0)
		return m->error;
	if (len == 0 || memchr(p, '\0', len) != (const char *)p + len - 1)
		return m->error = ERR_FORMAT;
	*ret = p;
	return 0;
}

int
msg_get_end(struct msg_in *m)
{
	if (m->error == 0 && m->left > 0)
		m->error = ERR_FORMAT;
	return m->error;
}
