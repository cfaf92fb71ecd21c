/*
 * hint.c - see hint.h. Runs on the loop of authd-core, for mail that was refused
 * with NOAUTH. It must never tell a stranger more than enum authp_hint does, and
 * gives no right: what it finds out is for a sentence only.
 */
#include "auth/hint.h"

#include <string.h>

#include "auth/policy.h"
#include "auth/recent_rate.h"

/* Who has no POP3 cannot check mail first. */
static bool
hint_has_pop(const struct conf *c)
{
	return c->listen_pop3.n > 0 || c->listen_pop3s.n > 0;
}

/* The sender's owner was last seen fetching mail over the other family, and may
 * still send from there: a host with both, whose programs do not agree. */
static bool
hint_other_family(const struct mail *m)
{
	struct placesdb_login last;
	struct grant_record g;
	struct addr a = { 0 };

	if (m->owner[0] == '\0' || placesdb_login_get(m->core->places,
	    m->owner, "", &last, NULL) != 0 || last.service != AUTHP_POP)
		return false;
	memcpy(a.ip, last.ip, sizeof(a.ip));
	return addr_is_v4(&a) != addr_is_v4(&m->peer) && relay_cache_lookup(
	    m->core->relay, &a, m->owner, m->now_s, &g, NULL) == 0;
}

static bool
hint_expired(const struct mail *m)
{
	struct grant_record g;

	return m->owner[0] != '\0' && relay_cache_get(m->core->relay, &m->peer,
	    m->owner, &g, NULL) == 0 && g.expires_s <= m->now_s;
}

/* Whoever fetches mail there gets no grant by it. */
static bool
hint_never(const struct mail *m)
{
	const struct conf_grant *at = conf_grant_for(m->core->conf, &m->peer);

	return policy_grant_excluded(m->core->conf, &m->peer) ||
	    (at != NULL && at->may_open_relay == CONF_NO);
}

enum authp_hint
hint_find(const struct mail *m)
{
	if (m->tls[0] == '\0' || !hint_has_pop(m->core->conf))
		return AUTHP_HINT_NONE;
	if (conf_grants_ended(m->core->conf, m->now_s))
		return AUTHP_HINT_SUNSET;
	if (hint_never(m))
		return AUTHP_HINT_NONE;
	if (hint_expired(m))
		return AUTHP_HINT_EXPIRED;
	return hint_other_family(m) ? AUTHP_HINT_FAMILY : AUTHP_HINT_CHECK;
}

enum authp_hint
hint_tell(const struct mail *m)
{
	enum authp_hint hint = hint_find(m);

	return hint == AUTHP_HINT_FAMILY && !rate_take(m->core->hints,
	    &m->peer, false, m->now_s) ? AUTHP_HINT_CHECK : hint;
}

static void
hint_left(void *ctx, const struct rate_left *left)
{
	(void)ctx;		/* mail.refused is in the log */
	(void)left;
}

struct rate *
hint_rate_new(void)
{
	return rate_new(hint_left, NULL);
}
