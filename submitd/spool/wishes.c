/*
 * wishes.c - see wishes.h. Pure; in submitd-smtp, submitd-spool and submitd-send.
 * One form for all of them, so that a wish cannot be lost between two.
 */
#include "config.h"
#include "submitd/spool/wishes.h"

#include <string.h>

#include "lib/err.h"

#define WISHES_BY_TRACE		1u
#define WISHES_REQUIRETLS	2u
#define WISHES_TLS_OPTIONAL	4u
#define WISHES_ALL		7u
#define WISHES_PRIORITY_MAX	9

void
spool_wishes_put(struct msg_out *m, const struct spool_wishes *w)
{
	msg_put_u8(m, (uint8_t)((w->by_trace ? WISHES_BY_TRACE : 0) |
	    (w->requiretls ? WISHES_REQUIRETLS : 0) |
	    (w->tls_optional ? WISHES_TLS_OPTIONAL : 0)));
	msg_put_u64(m, (uint64_t)w->hold_until_s);
	msg_put_u8(m, (uint8_t)w->by_mode);
	msg_put_u64(m, (uint64_t)w->by_s);
	msg_put_u8(m, (uint8_t)(w->priority + WISHES_PRIORITY_MAX));
}

int
spool_wishes_get(struct msg_in *m, struct spool_wishes *ret)
{
	uint8_t flags, mode, priority;
	uint64_t hold, by;

	memset(ret, 0, sizeof(*ret));
	msg_get_u8(m, &flags);
	msg_get_u64(m, &hold);
	msg_get_u8(m, &mode);
	msg_get_u64(m, &by);
	msg_get_u8(m, &priority);
	if (m->error != 0 || flags > WISHES_ALL || hold > INT64_MAX ||
	    by > INT64_MAX || priority > 2 * WISHES_PRIORITY_MAX ||
	    (mode != SPOOL_BY_NONE && mode != SPOOL_BY_RETURN &&
	    mode != SPOOL_BY_NOTIFY) ||
	    (mode == SPOOL_BY_NONE && (by != 0 || (flags & WISHES_BY_TRACE))))
		return ERR_FORMAT;
	ret->hold_until_s = (int64_t)hold;
	ret->by_s = (int64_t)by;
	ret->by_mode = mode;
	ret->by_trace = flags & WISHES_BY_TRACE;
	ret->priority = (int8_t)(priority - WISHES_PRIORITY_MAX);
	ret->requiretls = flags & WISHES_REQUIRETLS;
	ret->tls_optional = flags & WISHES_TLS_OPTIONAL;
	return 0;
}
