/*
 * authc_limit.c - a sending limit in words, for the client whose message it
 * stopped. Pure.
 */
#include "auth/authc.h"

#include <inttypes.h>

#include "lib/str.h"

static const char *const limit_what[AUTHP_LIMIT__COUNT] = {
	[AUTHP_MESSAGES_HOUR] = "messages an hour",
	[AUTHP_MESSAGES_DAY] = "messages a day",
	[AUTHP_RECIPIENTS_HOUR] = "recipients an hour",
	[AUTHP_RECIPIENTS_DAY] = "recipients a day",
};

/* Rounded up, so that nobody comes too early. */
static void
limit_span(int64_t s, char *dst, size_t size)
{
	int64_t n = s < 60 ? 1 : (s + 59) / 60;
	const char *unit = "minute";

	if (n >= 120) {
		n = (n + 59) / 60;
		unit = "hour";
	}
	(void)str_format(dst, size, "%" PRId64 " %s%s", n, unit,
	    n == 1 ? "" : "s");
}

const char *
authc_limit_text(const struct authc_limit *l, int64_t now_s,
    char dst[AUTHC_LIMIT_SIZE])
{
	char span[40];

	limit_span(l->eases_s - now_s, span, sizeof(span));
	if (l->eases_s == 0)
		(void)str_format(dst, AUTHC_LIMIT_SIZE, "%" PRIu64 " %s, and "
		    "this message alone has more", l->max,
		    limit_what[l->which]);
	else
		(void)str_format(dst, AUTHC_LIMIT_SIZE, "%" PRIu64 " %s; send "
		    "again in %s", l->max, limit_what[l->which], span);
	return dst;
}
