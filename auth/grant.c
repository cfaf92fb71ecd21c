/*
 * grant.c - a login at a mail store lets its user send for a while from where
 * he is.
 *
 * Runs on the loop of authd-core. It must never write a grant for whom or where
 * auth/policy.h would not honour one, and never one without an owner.
 */
#include "config.h"

#include "auth/grant.h"

#include <inttypes.h>

#include "auth/policy.h"
#include "lib/log.h"
#include "lib/str.h"

static const char *const grant_verdict_names[] = {
	[GRANT_NEW] = "new", [GRANT_RENEWED] = "renewed",
	[GRANT_NONE] = "none", [GRANT_USER_MAY_NOT] = "user",
	[GRANT_EXCLUDED] = "excluded", [GRANT_ENDED] = "ended",
	[GRANT_FAILED] = "failed",
};

_Static_assert(sizeof(grant_verdict_names) / sizeof(char *) ==
    GRANT_VERDICT__COUNT, "each verdict has a name");

static const char *const grant_protocol_names[] = {
	[GRANT_PROTO_NONE] = "none", [GRANT_PROTO_POP3] = "pop3",
	[GRANT_PROTO_IMAP] = "imap",
};

_Static_assert(sizeof(grant_protocol_names) / sizeof(char *) ==
    GRANT_PROTO__END, "each protocol has a name");

static const char *const grant_source_names[] = {
	[GRANT_POP] = "pop", [GRANT_CONTROL] = "control",
	[GRANT_NOTIFY] = "notify",
};

_Static_assert(sizeof(grant_source_names) / sizeof(char *) ==
    GRANT_SOURCE__END, "each source has a name");

const char *
grant_verdict_name(enum grant_verdict v)
{
	return grant_verdict_names[v];
}

const char *
grant_protocol_name(uint8_t protocol)
{
	return grant_protocol_names[protocol];
}

const char *
grant_source_name(uint8_t source)
{
	return grant_source_names[source];
}

uint64_t
grant_generation(const struct user_record *rec)
{
	if (rec->n_credentials > 0)
		return rec->credentials[0].generation;
	return rec->secret_len > 0 ? rec->secret_generation : 0;
}

/* Who may not send gets no grant, for it would only look like one. */
static bool
grant_user_may(const struct user_record *rec)
{
	const uint32_t need = USER_MAY_SUBMIT | USER_MAY_OPEN_RELAY;

	return (rec->flags & need) == need &&
	    !(rec->flags & (USER_DISABLED | USER_SENDING_DISABLED));
}

static enum grant_verdict
grant_judge(struct core *core, const struct grant_login *l, int64_t now_s)
{
	if (conf_grants_ended(core->conf, now_s))
		return GRANT_ENDED;
	if (!grant_user_may(l->rec) || l->generation == 0)
		return GRANT_USER_MAY_NOT;
	if (policy_grant_excluded(core->conf, l->peer))
		return GRANT_EXCLUDED;
	return GRANT_NEW;
}

static void
grant_log(const struct grant_login *l, const char *ev, int level,
    const struct grant_record *g, const char *why)
{
	char rip[ADDR_STRLEN], ttl[24];

	if (g != NULL)
		str_format(ttl, sizeof(ttl), "%" PRIi64,
		    g->expires_s - g->refreshed_s);
	LOG_EV(level, ev, l->sid, KV_S("user", l->user),
	    KV_A("rip", addr_ip_text(l->peer, rip)),
	    KV_A("source", grant_source_name(l->source)),
	    KV_A("protocol", grant_protocol_name(l->protocol)),
	    KV_S("feed", l->feed),
	    KV_A("ttl", g == NULL ? NULL : ttl), KV_T("why", why));
}

static enum grant_verdict
grant_write(struct core *core, const struct grant_login *l, int64_t now_s,
    struct grant_record *ret)
{
	const struct relay_grant_args args = {
		.ttl_s = core->conf->grant_ttl_s,
		.generation = l->generation, .protocol = l->protocol,
		.source = l->source, .tls = l->tls,
	};
	enum grant_verdict v;
	struct err e = { 0 };

	v = relay_cache_lookup(core->relay, l->peer, l->user, now_s, ret,
	    NULL) == 0 ? GRANT_RENEWED : GRANT_NEW;
	if (relay_cache_grant(core->relay, l->peer, l->user, &args, now_s, ret,
	    &e) == 0)
		return v;
	grant_log(l, "grant.fail", LOG_ERR, NULL, e.text);
	return GRANT_FAILED;
}

enum grant_verdict
grant_login(struct core *core, const struct grant_login *l, int64_t now_s)
{
	enum grant_verdict v = grant_judge(core, l, now_s);
	struct grant_record g;

	if (v != GRANT_NEW || (v = grant_write(core, l, now_s, &g)) ==
	    GRANT_FAILED)
		return v;
	if (v == GRANT_RENEWED)
		core->stats.grants_renewed++;
	else
		core->stats.grants_new++;
	grant_log(l, v == GRANT_RENEWED ? "grant.renew" : "grant.new",
	    LOG_INFO, &g, NULL);
	return v;
}

enum grant_verdict
grant_alive(struct core *core, const struct grant_login *l, int64_t now_s)
{
	enum grant_verdict v = grant_judge(core, l, now_s);
	struct grant_login was = *l;
	struct grant_record g;
	int r;

	if (v != GRANT_NEW)
		return v;
	r = relay_cache_lookup(core->relay, l->peer, l->user, now_s, &g, NULL);
	if (r != 0)
		return r == ERR_NOTFOUND ? GRANT_NONE : GRANT_FAILED;
	if (g.source == GRANT_CONTROL ||
	    !user_record_holds(l->rec, g.generation, now_s))
		return GRANT_NONE;
	was.generation = g.generation;
	was.protocol = g.protocol;
	was.source = g.source;
	was.tls = g.tls;
	if ((v = grant_write(core, &was, now_s, &g)) == GRANT_RENEWED)
		core->stats.grants_renewed++;
	return v;
}

int
grant_logout(struct core *core, const struct addr *peer, const char *user,
    enum grant_source source, int64_t now_s)
{
	return relay_cache_end(core->relay, peer, user, source, now_s, NULL);
}
