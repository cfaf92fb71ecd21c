/*
 * conf_when.c - values that are a time, and what depends on the time: brown-outs
 * and the end of grants. Linked into every process.
 *
 * The file has local time; what is kept, and sent to the children, is UTC: behind
 * chroot there is no zone to be read.
 */
#include "lib/conf_private.h"

#include "lib/clock.h"

_Static_assert(CONF_WHEN_SIZE >= CLOCK_DATE_SIZE, "a date fits");

int
conf_when_utc(const char *s, char dst[CONF_WHEN_SIZE])
{
	int64_t t;

	if (clock_parse(s, &t) != 0)
		return ERR_FORMAT;
	clock_utc(t, dst);
	return 0;
}

static int
conf_parse_when(void *field, const struct conf_key *k, char *const *v,
    size_t n)
{
	int64_t *p = field;

	(void)k;
	if (n == 1 && v[0][0] == '\0')
		return 0;
	return n == 1 ? clock_parse(v[0], p) : ERR_FORMAT;
}

static void
conf_clear_when(void *field)
{
	int64_t *p = field;

	*p = 0;
}

const struct conf_type
conf_when = { conf_parse_when, conf_clear_when, false, false,
	"a time such as 2026-12-01 10:00" };

const struct conf_brownout *
conf_brownout_at(const struct conf *c, int64_t now_s)
{
	for (size_t i = 0; i < c->n_brownouts; i++)
		if (now_s >= c->brownouts[i].begin_s &&
		    now_s < c->brownouts[i].end_s)
			return &c->brownouts[i];
	return NULL;
}

bool
conf_grants_ended(const struct conf *c, int64_t now_s)
{
	return c->grant_sunset_s != 0 && now_s >= c->grant_sunset_s;
}
