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
#include "auth/shared.h"
#include "lib/log.h"
#include "lib/str.h"

static const char *const grant_verdict_names[] = {
	[GRANT_NEW] = "new", [GRANT_RENEWED] = "renewed",
	[GRANT_NONE] = "none", [GRANT_USER_MAY_NOT] = "user",
	[GRANT_EXCLUDED] = "excluded", [GRANT_NETWORK] = "network",
	[GRANT_ENDED] = "ended", [GRANT_SHARED] = "shared",
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

bool
grant_scope_may(uint8_t scope)
{
	return (scope & CREDENTIAL_SMTP) && !(scope & CREDENTIAL_NO_RELAY);
}

uint64_t
grant_generation(const struct user_record *rec)
{
	const struct user_credential *c = rec->credentials;
	uint64_t ends = 0;

	for (unsigned int i = 0; i < rec->n_credentials; i++) {
		if (!grant_scope_may(c[i].scope))
			continue;
		if (c[i].expires_s == 0)
			return c[i].generation;
		if (ends == 0)
			ends = c[i].generation;
	}
	return ends != 0 || rec->secret_len == 0 ? ends :
	    rec->secret_generation;
}

/* Who may not send gets no grant, for it would only look like one. */
static bool
grant_user_may(const struct user_record *rec)
{
	const uint32_t need = USER_MAY_SUBMIT | USER_MAY_OPEN_RELAY;

	return (rec->flags & need) == need &&
	    !(rec->flags & (USER_DISABLED | USER_SENDING_DISABLED));
}

enum grant_verdict
grant_judge(const struct conf *c, const struct addr *peer,
    const struct user_record *rec, int64_t now_s)
{
	const struct conf_grant *at = peer == NULL ? NULL :
	    conf_grant_for(c, peer);

	if (!grant_user_may(rec))
		return GRANT_USER_MAY_NOT;
	if (peer != NULL && policy_grant_excluded(c, peer))
		return GRANT_EXCLUDED;
	if (at != NULL && at->may_open_relay == CONF_NO)
		return GRANT_NETWORK;
	if (conf_grants_ended(c, now_s))
		return GRANT_ENDED;
	return GRANT_NEW;
}

/* The NAT and CGNAT guard */

struct grant_crowd {
	size_t		users;		/* with grants there: the limit */
	unsigned int	strangers;	/* who failed there */
};

static bool
grant_looks_shared(struct core *core, const struct grant_login *l,
    int64_t now_s, struct grant_crowd *ret)
{
	const struct conf_grant *at = conf_grant_for(core->conf, l->peer);
	uint64_t max = core->conf->grant_users_per_address;

	if (at != NULL && at->users_per_address > 0)
		max = at->users_per_address;
	*ret = (struct grant_crowd){ .strangers =
	    shared_strangers(core->shared, l->peer, now_s) };
	if (max > 0 && relay_cache_crowd(core->relay, l->peer, now_s, max,
	    &ret->users, NULL) != 0)
		ret->users = 0;		/* writing will tell */
	return ret->strangers > 0 || (max > 0 && ret->users >= max);
}

/* Whoever was there before it was shared, or while it was: his grant is there,
 * or its record, or a login of before that was not refused one: else who comes
 * twice would be in. */
static bool
grant_was_there(struct core *core, const struct grant_login *l, int64_t now_s)
{
	struct grant_record g;

	return relay_cache_get(core->relay, l->peer, l->user, &g, NULL) == 0 ||
	    placesdb_was_there(core->places, l->user, l->peer,
	    l->rec->created_s, now_s);
}

/* False: no grant for him. */
static bool
grant_guard(struct core *core, const struct grant_login *l, int64_t now_s)
{
	bool refuse = core->conf->grant_shared == SHADOW_ENFORCE;
	struct grant_crowd crowd;
	char rip[ADDR_STRLEN];

	if (!grant_looks_shared(core, l, now_s, &crowd) ||
	    grant_was_there(core, l, now_s))
		return true;
	LOG_EV(refuse ? LOG_WARNING : LOG_NOTICE, "grant.shared", l->sid,
	    KV_S("user", l->user),
	    KV_A("rip", addr_ip_text(l->peer, rip)),
	    KV_U("users", crowd.users), KV_U("strangers", crowd.strangers),
	    KV_A("action", refuse ? "refuse" : "log"));
	return !refuse;
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

static int
grant_write(struct core *core, const struct grant_login *l, int64_t now_s,
    struct grant_record *ret)
{
	const struct relay_grant_args args = {
		.ttl_s = core->conf->grant_ttl_s,
		.generation = l->generation, .protocol = l->protocol,
		.source = l->source, .tls = l->tls,
		.max_messages = core->conf->grant_max_messages,
		.max_recipients = core->conf->grant_max_recipients,
	};
	struct err e = { 0 };
	int r;

	r = relay_cache_grant(core->relay, l->peer, l->user, &args, now_s,
	    ret, &e);
	if (r != 0)
		grant_log(l, "grant.fail", LOG_ERR, NULL, e.text);
	return r;
}

enum grant_verdict
grant_login(struct core *core, const struct grant_login *l, int64_t now_s)
{
	enum grant_verdict v = grant_judge(core->conf, l->peer, l->rec, now_s);
	struct grant_record g;
	bool renewed;

	if (v != GRANT_NEW)
		return v;
	if (l->generation == 0)
		return GRANT_USER_MAY_NOT;
	renewed = relay_cache_lookup(core->relay, l->peer, l->user, now_s, &g,
	    NULL) == 0;
	if (!renewed && !grant_guard(core, l, now_s))
		return GRANT_SHARED;
	if (grant_write(core, l, now_s, &g) != 0)
		return GRANT_FAILED;
	if (renewed)
		core->stats.grants_renewed++;
	else
		core->stats.grants_new++;
	grant_log(l, renewed ? "grant.renew" : "grant.new", LOG_INFO, &g,
	    NULL);
	return renewed ? GRANT_RENEWED : GRANT_NEW;
}

enum grant_verdict
grant_alive(struct core *core, const struct grant_login *l, int64_t now_s)
{
	enum grant_verdict v = grant_judge(core->conf, l->peer, l->rec, now_s);
	struct grant_record g;
	struct err e = { 0 };
	int r;

	if (v != GRANT_NEW)
		return v;
	r = relay_cache_lookup(core->relay, l->peer, l->user, now_s, &g, NULL);
	if (r == 0 && (g.source == GRANT_CONTROL ||
	    !user_record_holds(l->rec, g.generation, now_s)))
		return GRANT_NONE;
	if (r == 0)
		r = relay_cache_renew(core->relay, l->peer, l->user,
		    core->conf->grant_ttl_s, now_s, &e);
	if (r == ERR_NOTFOUND)
		return GRANT_NONE;
	if (r != 0) {
		grant_log(l, "grant.fail", LOG_ERR, NULL,
		    e.text[0] != '\0' ? e.text : err_name(r));
		return GRANT_FAILED;
	}
	core->stats.grants_renewed++;
	return GRANT_RENEWED;
}

int
grant_logout(struct core *core, const struct addr *peer, const char *user,
    enum grant_source source, int64_t now_s)
{
	return relay_cache_end(core->relay, peer, user, source, now_s, NULL);
}
