/*
 * envelope.c - packing and unpacking what stands in a queue file.
 *
 * Pure. Used by submitd-spool; reads files that a crash may have cut anywhere,
 * so nothing is believed before its CRC fits.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "submitd/spool/envelope.h"

#include "auth/authp.h"
#include "lib/err.h"
#include "lib/msg.h"
#include "submitd/spool/wishes.h"

#define ENVELOPE_MAGIC "SUBMITQ\n"
#define ENVELOPE_VERSION 4u
#define ENVELOPE_RESULT_MAGIC 0x52u
#define ENVELOPE_HOLD_MAGIC 0x48u
#define ENVELOPE_RESULT_FIXED 27u	/* a record without its text */
#define ENVELOPE_TEXT_MAX 511u		/* of any string but an address */
#define ENVELOPE_TOLD 1u		/* flag of a record */
#define ENVELOPE_FOREIGN 1u		/* flag of an envelope */
#define ENVELOPE_TLS_OPTIONAL 1u	/* flag of the header */

/* The packets of an envelope: each version has its own two types. */
#define ENVELOPE_MSG_HEAD(version)	(2 * (version) - 1)
#define ENVELOPE_MSG_RCPTS(version)	(2 * (version))

static void
envelope_put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

static void
envelope_put64(uint8_t *p, uint64_t v)
{
	envelope_put32(p, (uint32_t)(v >> 32));
	envelope_put32(p + 4, (uint32_t)v);
}

static uint32_t
envelope_get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	    (uint32_t)p[2] << 8 | p[3];
}

static uint64_t
envelope_get64(const uint8_t *p)
{
	return (uint64_t)envelope_get32(p) << 32 | envelope_get32(p + 4);
}

/* CRC-32 (IEEE 802.3), four bits at a time: envelopes are short. */
uint32_t
envelope_crc(const void *p, size_t len)
{
	static const uint32_t nibble[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
		0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
		0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	const uint8_t *q = p;
	uint32_t crc = 0xffffffffu;

	while (len-- > 0) {
		crc ^= *q++;
		crc = crc >> 4 ^ nibble[crc & 15];
		crc = crc >> 4 ^ nibble[crc & 15];
	}
	return ~crc;
}

void
envelope_header_pack(const struct envelope_header *h,
    uint8_t dst[ENVELOPE_HEADER_SIZE])
{
	memset(dst, 0, ENVELOPE_HEADER_SIZE);
	memcpy(dst, ENVELOPE_MAGIC, 8);
	envelope_put32(dst + 8, ENVELOPE_VERSION);
	envelope_put32(dst + 12, h->envelope_len);
	envelope_put64(dst + 16, h->content_offset);
	envelope_put64(dst + 24, h->content_len);
	envelope_put32(dst + 32, h->envelope_crc);
	envelope_put32(dst + 36, h->tls_optional ? ENVELOPE_TLS_OPTIONAL : 0);
	envelope_put32(dst + 44, envelope_crc(dst, 44));
}

int
envelope_header_unpack(const uint8_t src[ENVELOPE_HEADER_SIZE],
    struct envelope_header *ret)
{
	uint32_t version = envelope_get32(src + 8);

	/* Before version 3 the flags are 0. */
	if (memcmp(src, ENVELOPE_MAGIC, 8) != 0 || version == 0 ||
	    version > ENVELOPE_VERSION ||
	    envelope_get32(src + 36) > ENVELOPE_TLS_OPTIONAL ||
	    envelope_get32(src + 44) != envelope_crc(src, 44))
		return ERR_FORMAT;
	ret->envelope_len = envelope_get32(src + 12);
	ret->content_offset = envelope_get64(src + 16);
	ret->content_len = envelope_get64(src + 24);
	ret->envelope_crc = envelope_get32(src + 32);
	ret->tls_optional = envelope_get32(src + 36) & ENVELOPE_TLS_OPTIONAL;
	if (ret->envelope_len > ENVELOPE_MAX || ret->content_offset !=
	    (uint64_t)ENVELOPE_HEADER_SIZE + ret->envelope_len ||
	    ret->content_len > INT64_MAX - ret->content_offset)
		return ERR_FORMAT;
	return 0;
}

static void
envelope_put_head(struct msg_out *m, const struct envelope *e)
{
	msg_begin(m, ENVELOPE_MSG_HEAD(ENVELOPE_VERSION), 0);
	msg_put_str(m, e->id);
	msg_put_str(m, e->sender);
	msg_put_str(m, e->user);
	msg_put_u8(m, e->kind);
	msg_put_str(m, e->peer);
	msg_put_str(m, e->tls);
	msg_put_str(m, e->mech);
	msg_put_str(m, e->sid);
	msg_put_str(m, e->helo);
	msg_put_u64(m, (uint64_t)e->arrived_s);
	msg_put_u8(m, e->eightbit);
	msg_put_u32(m, (uint32_t)e->n_rcpts);
	msg_put_u8(m, e->smtputf8);
	msg_put_u8(m, e->ret);
	msg_put_str(m, e->envid);
	spool_wishes_put(m, &e->wishes);
	msg_put_u8(m, e->foreign ? ENVELOPE_FOREIGN : 0);
}

/* Puts recipients from `first` on while there is room; returns the next. */
static size_t
envelope_put_rcpts(struct msg_out *m, const struct envelope *e, size_t first)
{
	size_t k = first, room;

	msg_begin(m, ENVELOPE_MSG_RCPTS(ENVELOPE_VERSION), 0);
	room = msg_room(m) / (SPOOL_ADDRESS_MAX + 16 +
	    (e->dsn == NULL ? 0 : SPOOL_ORCPT_MAX));
	while (k < e->n_rcpts && k - first + 1 < room)
		k++;
	msg_put_u16(m, (uint16_t)(k - first));
	for (size_t i = first; i < k; i++) {
		msg_put_str(m, e->rcpts[i]);
		msg_put_u8(m, e->dsn == NULL ? 0 : e->dsn[i].notify);
		msg_put_str(m, e->dsn == NULL ? NULL : e->dsn[i].orcpt);
	}
	return k;
}

static int
envelope_append(uint8_t **mem, size_t *len, const struct msg_out *m)
{
	uint8_t *grown;

	if (m->error != 0)
		return m->error;
	if (*len + 4 + m->len > ENVELOPE_MAX)
		return ERR_LIMIT;
	if ((grown = realloc(*mem, *len + 4 + m->len)) == NULL)
		return ERR_NOMEM;
	envelope_put32(grown + *len, (uint32_t)m->len);
	memcpy(grown + *len + 4, m->data, m->len);
	*mem = grown;
	*len += 4 + m->len;
	return 0;
}

int
envelope_pack(const struct envelope *e, uint8_t **ret, size_t *ret_len)
{
	struct msg_out m;	/* 64 KiB, but malloc would give it back */
	size_t done = 0;
	int r;

	*ret = NULL;
	*ret_len = 0;
	envelope_put_head(&m, e);
	r = envelope_append(ret, ret_len, &m);
	while (r == 0 && done < e->n_rcpts) {
		done = envelope_put_rcpts(&m, e, done);
		r = envelope_append(ret, ret_len, &m);
	}
	if (r != 0) {
		free(*ret);
		*ret = NULL;
	}
	return r;
}

void
envelope_free(struct envelope *e)
{
	for (size_t i = 0; e->rcpts != NULL && i < e->n_rcpts; i++)
		free(e->rcpts[i]);
	for (size_t i = 0; e->dsn != NULL && i < e->n_rcpts; i++)
		free(e->dsn[i].orcpt);
	free(e->rcpts);
	free(e->dsn);
	free(e->envid);
	free(e->sender);
	free(e->user);
	free(e->peer);
	free(e->tls);
	free(e->mech);
	free(e->sid);
	free(e->helo);
	memset(e, 0, sizeof(*e));
}

static int
envelope_get_string(struct msg_in *m, char **ret, size_t max)
{
	const char *s;
	int r;

	if ((r = msg_get_str(m, &s, max)) != 0)
		return r;
	if ((*ret = strdup(s)) == NULL)
		return ERR_NOMEM;
	return 0;
}

/* What version 1 has not; the wishes came with version 3, the flags with 4. */
static int
envelope_get_asked(struct msg_in *m, unsigned int version, struct envelope *e)
{
	uint8_t smtputf8 = 0, flags = 0;
	int r;

	if (version < 2)
		return (e->envid = strdup("")) == NULL ? ERR_NOMEM : 0;
	msg_get_u8(m, &smtputf8);
	msg_get_u8(m, &e->ret);
	if ((r = envelope_get_string(m, &e->envid, SPOOL_ENVID_MAX)) != 0)
		return r;
	if (version >= 3 && (r = spool_wishes_get(m, &e->wishes)) != 0)
		return r;
	if (version >= 4)
		msg_get_u8(m, &flags);
	e->smtputf8 = smtputf8 != 0;
	e->foreign = flags & ENVELOPE_FOREIGN;
	return smtputf8 > 1 || e->ret > SPOOL_RET_HDRS ||
	    flags > ENVELOPE_FOREIGN ? ERR_FORMAT : 0;
}

static int
envelope_get_head(struct msg_in *m, unsigned int version, struct envelope *e)
{
	const char *id;
	uint64_t arrived;
	uint32_t n_rcpts;
	uint8_t eightbit;
	int r;

	msg_get_str(m, &id, STR_ID_SIZE - 1);
	if (m->error != 0 || !str_is_id(id))
		return ERR_FORMAT;
	str_copy(e->id, sizeof(e->id), id);
	if ((r = envelope_get_string(m, &e->sender, SPOOL_ADDRESS_MAX)) != 0 ||
	    (r = envelope_get_string(m, &e->user, SPOOL_ADDRESS_MAX)) != 0 ||
	    (r = msg_get_u8(m, &e->kind)) != 0 ||
	    (r = envelope_get_string(m, &e->peer, ENVELOPE_TEXT_MAX)) != 0 ||
	    (r = envelope_get_string(m, &e->tls, ENVELOPE_TEXT_MAX)) != 0 ||
	    (r = envelope_get_string(m, &e->mech, ENVELOPE_TEXT_MAX)) != 0 ||
	    (r = envelope_get_string(m, &e->sid, ENVELOPE_TEXT_MAX)) != 0 ||
	    (r = envelope_get_string(m, &e->helo, ENVELOPE_TEXT_MAX)) != 0)
		return r;
	msg_get_u64(m, &arrived);
	msg_get_u8(m, &eightbit);
	msg_get_u32(m, &n_rcpts);
	if ((r = envelope_get_asked(m, version, e)) != 0 ||
	    (r = msg_get_end(m)) != 0)
		return r;
	if (n_rcpts == 0 || n_rcpts > SPOOL_RCPTS_MAX || eightbit > 1 ||
	    e->kind >= AUTHP_KIND__COUNT)
		return ERR_FORMAT;
	e->arrived_s = (int64_t)arrived;
	e->eightbit = eightbit != 0;
	e->rcpts = calloc(n_rcpts, sizeof(*e->rcpts));
	e->n_rcpts = n_rcpts;
	return e->rcpts == NULL ? ERR_NOMEM : 0;
}

/* Room for all is made when the first has asked for something. */
static int
envelope_get_dsn(struct msg_in *m, struct envelope *e, size_t i)
{
	const char *orcpt;
	uint8_t notify;

	msg_get_u8(m, &notify);
	msg_get_str(m, &orcpt, SPOOL_ORCPT_MAX);
	if (m->error != 0 || notify > SPOOL_NOTIFY__ALL)
		return ERR_FORMAT;
	if (notify == 0 && orcpt[0] == '\0')
		return 0;
	if (e->dsn == NULL &&
	    (e->dsn = calloc(e->n_rcpts, sizeof(*e->dsn))) == NULL)
		return ERR_NOMEM;
	e->dsn[i].notify = notify;
	return orcpt[0] != '\0' &&
	    (e->dsn[i].orcpt = strdup(orcpt)) == NULL ? ERR_NOMEM : 0;
}

static int
envelope_get_rcpts(struct msg_in *m, unsigned int version,
    struct envelope *e, size_t *done)
{
	uint16_t n;
	int r;

	if ((r = msg_get_u16(m, &n)) != 0)
		return r;
	if (n == 0 || n > e->n_rcpts - *done)
		return ERR_FORMAT;
	while (n-- > 0) {
		r = envelope_get_string(m, &e->rcpts[*done],
		    SPOOL_ADDRESS_MAX);
		if (r == 0 && version >= 2)
			r = envelope_get_dsn(m, e, *done);
		if (r != 0)
			return r;
		(*done)++;
	}
	return msg_get_end(m);
}

static int
envelope_parse(const uint8_t *p, size_t len, struct envelope *e)
{
	size_t done = 0;
	unsigned int version = 0;	/* unknown before the head */
	int r;

	while (len > 0) {
		struct msg_in m;
		uint32_t n;

		if (len < 4 || (n = envelope_get32(p)) > len - 4 ||
		    n > MSG_MAX)
			return ERR_FORMAT;
		if ((r = msg_open(&m, p + 4, n)) != 0)
			return r;
		if (version == 0) {
			version = (m.type + 1u) / 2;
			r = m.type != ENVELOPE_MSG_HEAD(version) ||
			    version == 0 || version > ENVELOPE_VERSION ?
			    ERR_FORMAT : envelope_get_head(&m, version, e);
		} else {
			r = m.type != ENVELOPE_MSG_RCPTS(version) ?
			    ERR_FORMAT :
			    envelope_get_rcpts(&m, version, e, &done);
		}
		if (r != 0)
			return r;
		p += 4 + n;
		len -= 4 + n;
	}
	return version == 0 || done != e->n_rcpts ? ERR_FORMAT : 0;
}

int
envelope_unpack(const void *p, size_t len, struct envelope *ret)
{
	int r;

	memset(ret, 0, sizeof(*ret));
	if ((r = envelope_parse(p, len, ret)) != 0)
		envelope_free(ret);
	return r;
}

size_t
envelope_result_pack(const struct envelope_result *r,
    uint8_t dst[ENVELOPE_RESULT_MAX])
{
	size_t text = strnlen(r->text, SPOOL_TEXT_MAX);

	dst[0] = r->rcpt == ENVELOPE_RCPT_HOLD ? ENVELOPE_HOLD_MAGIC :
	    ENVELOPE_RESULT_MAGIC;
	dst[1] = (uint8_t)(text >> 8);
	dst[2] = (uint8_t)text;
	dst[3] = r->state;
	envelope_put32(dst + 4, r->rcpt);
	envelope_put32(dst + 8, r->tries);
	envelope_put64(dst + 12, (uint64_t)r->next_try_s);
	dst[20] = r->told ? ENVELOPE_TOLD : 0;
	memset(dst + 21, 0, 2);
	memcpy(dst + 23, r->text, text);
	envelope_put32(dst + 23 + text, envelope_crc(dst, 23 + text));
	return ENVELOPE_RESULT_FIXED + text;
}

int
envelope_result_unpack(const uint8_t *p, size_t len,
    struct envelope_result *ret)
{
	size_t text;

	if (len < ENVELOPE_RESULT_FIXED || (p[0] != ENVELOPE_RESULT_MAGIC &&
	    p[0] != ENVELOPE_HOLD_MAGIC))
		return ERR_FORMAT;
	text = (size_t)p[1] << 8 | p[2];
	/* The states of a recipient and the bits of a hold go equally far. */
	_Static_assert(ENVELOPE_DELIVERED == (int)ENVELOPE_HOLD__ALL, "");
	if (text > SPOOL_TEXT_MAX || text > len - ENVELOPE_RESULT_FIXED ||
	    (p[0] == ENVELOPE_HOLD_MAGIC) !=
	    (envelope_get32(p + 4) == ENVELOPE_RCPT_HOLD) ||
	    p[3] > ENVELOPE_DELIVERED || memchr(p + 23, '\0', text) != NULL ||
	    envelope_get32(p + 23 + text) != envelope_crc(p, 23 + text))
		return ERR_FORMAT;
	ret->state = p[3];
	ret->rcpt = envelope_get32(p + 4);
	ret->tries = envelope_get32(p + 8);
	ret->next_try_s = (int64_t)envelope_get64(p + 12);
	ret->told = (p[20] & ENVELOPE_TOLD) != 0;
	memcpy(ret->text, p + 23, text);
	ret->text[text] = '\0';
	return (int)(ENVELOPE_RESULT_FIXED + text);
}
