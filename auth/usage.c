/*
 * usage.c - see usage.h. Runs in authd-core. What a session's worker tells is
 * shown to the administrator and decides nothing.
 */
#include "config.h"

#include "auth/usage.h"

#include <string.h>

#include "lib/clock.h"
#include "lib/str.h"
#include "lib/tls_alert.h"

/* False: by neither, such as from a trusted network. */
static bool
usage_way(unsigned int kind, enum usage_what *ret)
{
	*ret = kind == AUTHP_KIND_SASL ? USAGE_AUTH : USAGE_GRANT;
	return kind == AUTHP_KIND_SASL || kind == AUTHP_KIND_GRANT;
}

void
usage_committed(const struct mail *m)
{
	struct usage_last last = { .at_s = m->now_s };
	enum usage_what way;

	if (!usage_way(m->out.kind, &way))
		return;
	memcpy(last.ip, m->peer.ip, sizeof(last.ip));
	(void)str_copy_n(last.tls, sizeof(last.tls), m->tls,
	    strnlen(m->tls, sizeof(last.tls) - 1));
	usagedb_sent(m->core->usage, mail_user(m), way, &last);
}

/* The client is too old for the TLS that we speak. */
static bool
usage_is_old(const struct recent_record *rec)
{
	return (rec->flags & AUTHP_PAST_HANDSHAKE) && rec->bits == 128 &&
	    tls_alert_is_old(tls_alert_find(rec->why));
}

void
usage_event(struct core *core, const struct recent_record *rec)
{
	struct usage_old old = { .first_s = rec->at_s, .last_s = rec->at_s,
		.service = rec->service, .port = rec->port };
	struct addr a = { .port = 0 };
	enum usage_what way;

	if (usage_is_old(rec)) {
		memcpy(a.ip, rec->ip, sizeof(a.ip));
		(void)str_copy(old.why, sizeof(old.why), rec->why);
		usagedb_old(core->usage, &a, &old);
	} else if (rec->service == AUTHP_SMTP && rec->messages > 0 &&
	    rec->user[0] != '\0' && usage_way(rec->kind, &way)) {
		usagedb_helo(core->usage, rec->user, way, rec->helo);
	}
}

int
usage_write(struct usagedb *u, bool force, struct err *reterr)
{
	int64_t mono_ms = clock_mono_ms();

	return force || usagedb_is_due(u, mono_ms) ?
	    usagedb_flush(u, mono_ms, reterr) : 0;
}
