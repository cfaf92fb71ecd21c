/*
 * recentdb_record.c - how a past session is encoded: versioned, big-endian,
 * bounded, wholly consumed. Pure; fuzzed.
 */
#include "config.h"

#include "db/recentdb.h"

#include <string.h>

#include "db/fields.h"
#include "lib/str.h"

#define RECENT_VERSION 1u

/* Each text of a record, in the order in which they stand. */
#define RECENT_TEXTS(X) \
	X(sid) X(status) X(why) X(reason) X(tls) X(user) X(login) X(sender) \
	X(helo) X(text)

int
recent_encode(const struct recent_record *r, uint8_t dst[RECENT_RECORD_MAX])
{
	struct fields_out o = { .p = dst, .size = RECENT_RECORD_MAX };

	fields_put_u(&o, RECENT_VERSION, 1);
	fields_put_u(&o, (uint64_t)r->began_s, 8);
	fields_put_u(&o, (uint64_t)r->at_s, 8);
	fields_put_u(&o, r->ms, 4);
	fields_put_u(&o, r->n, 4);
	fields_put_u(&o, r->messages, 4);
	fields_put_u(&o, r->flags, 4);
	fields_put(&o, r->ip, sizeof(r->ip));
	fields_put_u(&o, r->bits, 1);
	fields_put_u(&o, r->port, 2);
	fields_put_u(&o, r->service, 1);
	fields_put_u(&o, r->kind, 1);
	fields_put_u(&o, r->code, 2);
#define RECENT_PUT(f) fields_put_str(&o, r->f, sizeof(r->f), 1);
	RECENT_TEXTS(RECENT_PUT)
	fields_put_u(&o, r->sent_len, 2);
	if (r->sent_len > RECENT_SENT_MAX || r->bits > 128)
		return ERR_LIMIT;
	fields_put(&o, r->sent, r->sent_len);
	return fields_out_end(&o);
}

int
recent_decode(const void *p, size_t len, struct recent_record *ret)
{
	struct fields_in in = { .p = p, .left = len };

	in.bad = fields_get_u(&in, 1) != RECENT_VERSION;
	ret->began_s = (int64_t)fields_get_u(&in, 8);
	ret->at_s = (int64_t)fields_get_u(&in, 8);
	ret->ms = (uint32_t)fields_get_u(&in, 4);
	ret->n = (uint32_t)fields_get_u(&in, 4);
	ret->messages = (uint32_t)fields_get_u(&in, 4);
	ret->flags = (uint32_t)fields_get_u(&in, 4);
	fields_get(&in, ret->ip, sizeof(ret->ip));
	ret->bits = (uint8_t)fields_get_u(&in, 1);
	ret->port = (uint16_t)fields_get_u(&in, 2);
	ret->service = (uint8_t)fields_get_u(&in, 1);
	ret->kind = (uint8_t)fields_get_u(&in, 1);
	ret->code = (uint16_t)fields_get_u(&in, 2);
#define RECENT_GET(f) fields_get_str(&in, ret->f, sizeof(ret->f), 1);
	RECENT_TEXTS(RECENT_GET)
	ret->sent_len = (uint16_t)fields_get_u(&in, 2);
	if (ret->sent_len > RECENT_SENT_MAX || ret->bits > 128)
		return ERR_CORRUPT;
	fields_get(&in, ret->sent, ret->sent_len);
	return fields_in_ended(&in) ? 0 : ERR_CORRUPT;
}

bool
recent_next_message(const struct recent_record *r, size_t *at,
    struct recent_message *ret)
{
	const char *p = r->sent + *at, *sender = p + RECENT_SID_SIZE - 1;
	size_t left = r->sent_len - *at, len;

	if (left < RECENT_SID_SIZE)
		return false;
	left -= RECENT_SID_SIZE - 1;
	len = strnlen(sender, left);
	if (len == left || memchr(p, '\0', RECENT_SID_SIZE - 1) != NULL)
		return false;
	memcpy(ret->qid, p, RECENT_SID_SIZE - 1);
	ret->qid[RECENT_SID_SIZE - 1] = '\0';
	if (len > 0)
		(void)str_copy_n(ret->sender, sizeof(ret->sender), sender,
		    len);
	else if (*at == 0)
		ret->sender[0] = '\0';
	*at += RECENT_SID_SIZE - 1 + len + 1;
	return true;
}
