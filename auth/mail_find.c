/*
 * mail_find.c - finds out what the rule wants to know of a sender, a user, a
 * grant and a network, and asks it.
 *
 * Runs on the loop of authd-core. Decides nothing itself: that is policy.c's.
 * A database that does not answer gives TEMP, never leave to send.
 */
#include <stdlib.h>
#include <string.h>

#include "auth/brownout.h"
#include "auth/mail_private.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/str.h"

#define MAIL_GRANTS_MAX 64u	/* looked at of one address */

static bool
mail_may_submit(const struct user_record *r)
{
	return !(r->flags & (USER_DISABLED | USER_SENDING_DISABLED)) &&
	    (r->flags & USER_MAY_SUBMIT);
}

static void
mail_note_user(struct mail *m, const struct user_record *rec)
{
	m->has_user = true;
	m->created_s = rec->created_s;
	m->limits = rec->limits;
	m->may_prioritise = rec->flags & USER_MAY_PRIORITISE;
	memcpy(m->class, rec->class, sizeof(m->class));
}

int
mail_learn_user(struct mail *m)
{
	const char *user = mail_user(m);
	struct user_record rec;

	if (m->has_user || user[0] == '\0')
		return 0;
	if (userdb_get(m->core->userdb, user, &rec, NULL) != 0)
		return ERR_AWAY;
	mail_note_user(m, &rec);
	record_user_clear(&rec);
	return 0;
}

/* 0, or an error that is not "not there". */
static int
mail_find_sender(struct mail *m)
{
	struct mailbox box;
	int r;

	m->in.null_sender = m->sender[0] == '\0';
	if (m->in.null_sender ||
	    mailbox_parse(m->sender, strlen(m->sender), &box) != 0)
		return 0;	/* what cannot be compared is nobody's */
	str_copy(m->canon, sizeof(m->canon), box.canon);
	r = userdb_resolve(m->core->userdb, m->canon, m->owner, NULL);
	if (r != 0)
		m->owner[0] = '\0';
	return r == ERR_NOTFOUND ? 0 : r;
}

/* A trusted network's mail hangs on no credential, a grant's on its user's,
 * and who has logged in must be the one he was. */
static int
mail_find_holder(struct mail *m, const struct user_record *rec)
{
	const struct ticket *t = m->ticket;
	int r;

	if (t->kind != AUTHP_KIND_SASL) {
		m->in.generation_equal = rec->created_s == t->created_s &&
		    (t->kind == AUTHP_KIND_NETWORK ||
		    user_record_holds(rec, t->generation, m->now_s));
		return 0;
	}
	r = ops_ticket_holds(m->core, t, rec,
	    USER_DISABLED | USER_SENDING_DISABLED, m->now_s);
	m->in.generation_equal = r == 0;
	return r == ERR_NOTFOUND ? 0 : r;
}

static int
mail_find_user(struct mail *m)
{
	const struct ticket *t = m->ticket;
	struct user_record rec;
	int r;

	if (t == NULL || t->user[0] == '\0')
		return 0;
	r = userdb_get(m->core->userdb, t->user, &rec, NULL);
	if (r == 0) {
		mail_note_user(m, &rec);
		m->in.user_enabled = mail_may_submit(&rec) &&
		    (t->kind != AUTHP_KIND_GRANT ||
		    (rec.flags & USER_MAY_USE_RELAY));
		r = mail_find_holder(m, &rec);
		m->in.owned = strcmp(m->owner, t->user) == 0;
		record_user_clear(&rec);
	}
	return r == ERR_NOTFOUND ? 0 : r;
}

/* Is it, and have grants not come to their end? */
static bool
mail_grant_is_live(const struct mail *m, const struct grant_record *g)
{
	return relay_cache_is_live(g, m->now_s) &&
	    !conf_grants_ended(m->core->conf, m->now_s);
}

/* When the ticket was issued it was; it may have been renewed since. */
static bool
mail_grant_was_live(const struct grant_record *g, const struct ticket *t)
{
	return g->granted_s <= t->issued_s && t->issued_s < g->expires_s;
}

/* The grant that the ticket was given for. */
static int
mail_find_ticket_grant(struct mail *m)
{
	const struct ticket *t = m->ticket;
	struct grant_record g;
	int r;

	if (t == NULL || t->kind != AUTHP_KIND_GRANT)
		return 0;
	r = relay_cache_get(m->core->relay, &m->peer, t->user, &g, NULL);
	if (r == 0) {
		m->in.grant_there = g.granted_s == t->granted_s;
		m->in.grant_spent = m->in.grant_there &&
		    !record_grant_affords(&g, m->recipients);
		/* Expiry counts at MAIL, which was when the ticket was
		 * issued; begin comes soon behind it. */
		m->in.grant_unexpired = m->in.grant_there &&
		    (mail_grant_is_live(m, &g) || (m->after_mail &&
		    mail_grant_was_live(&g, t) &&
		    m->now_s - t->issued_s <= RELAY_CACHE_KEEP_S));
	} else if (r == ERR_NOTFOUND) {
		/* An old one may have been swept, which is not revoking. */
		m->in.grant_there = m->in.commit &&
		    m->now_s - t->issued_s > RELAY_CACHE_KEEP_S;
		r = 0;
	}
	return r;
}

/* A grant counts while its user may send and has not changed his password. */
static int
mail_grant_counts(struct mail *m, const struct grant_record *g,
    bool *ret_counts)
{
	struct user_record rec;
	int r = userdb_get(m->core->userdb, g->user, &rec, NULL);

	*ret_counts = r == 0 && mail_may_submit(&rec) &&
	    (rec.flags & USER_MAY_USE_RELAY) &&
	    user_record_holds(&rec, g->generation, m->now_s);
	if (r == 0)
		record_user_clear(&rec);
	return r == ERR_NOTFOUND ? 0 : r;
}

/* The sender's owner is asked for by name: there may be more grants at the
 * address than we look at. */
static int
mail_find_owner_grant(struct mail *m)
{
	struct grant_record g;
	int r;

	if (m->owner[0] == '\0')
		return 0;
	r = relay_cache_lookup(m->core->relay, &m->peer, m->owner, m->now_s,
	    &g, NULL);
	if (r == 0)
		r = mail_grant_counts(m, &g, &m->in.owner_granted);
	if (r == 0 && m->in.owner_granted) {
		m->in.owner_spent = !record_grant_affords(&g, 0);
		m->grant = g;
	}
	return r == ERR_NOTFOUND ? 0 : r;
}

static int
mail_find_grants(struct mail *m)
{
	struct grant_record *v;
	size_t n = 0, live = 0;
	bool counts;
	int r;

	if (policy_grant_excluded(m->core->conf, &m->peer) ||
	    conf_grants_ended(m->core->conf, m->now_s))
		return 0;
	if ((v = calloc(MAIL_GRANTS_MAX, sizeof(*v))) == NULL)
		return ERR_NOMEM;
	r = relay_cache_owners(m->core->relay, &m->peer, m->now_s, v,
	    MAIL_GRANTS_MAX, &n, NULL);
	for (size_t i = 0; r == 0 && i < n && live < 2; i++) {
		if ((r = mail_grant_counts(m, &v[i], &counts)) == 0 && counts) {
			live++;
			m->grant = v[i];
		}
	}
	free(v);
	if (r != 0)
		return r == ERR_NOTFOUND ? 0 : r;
	if (live == 1 && n == MAIL_GRANTS_MAX)
		live = 2;	/* there may be others behind those */
	m->in.only_spent = live == 1 && !record_grant_affords(&m->grant, 0);
	if ((r = mail_find_owner_grant(m)) != 0)
		return r;
	if (m->in.owner_granted && live == 0)
		live = 2;	/* behind more dead ones than we look at */
	m->in.grants = live == 0 ? POLICY_GRANTS_NONE :
	    live == 1 ? POLICY_GRANTS_ONE : POLICY_GRANTS_SEVERAL;
	return 0;
}

static bool
mail_is_listed(const struct mail *m, const struct conf_list *senders)
{
	const char *domain = mailbox_domain(m->canon);

	for (size_t i = 0; i < senders->n; i++) {
		const char *s = senders->v[i];

		if (m->in.null_sender) {
			if (strcmp(s, "<>") == 0)
				return true;
		} else if (s[0] == '@') {
			if (domain != NULL && strcmp(domain, s + 1) == 0)
				return true;
		} else if (m->canon[0] != '\0' && strcmp(s, m->canon) == 0) {
			return true;
		}
	}
	return false;
}

static int
mail_find_network(struct mail *m)
{
	const struct conf_trusted *t = conf_trusted_for(m->core->conf,
	    &m->peer);
	const char *owner = t == NULL || t->owner == NULL ? "" : t->owner;
	struct user_record rec;
	bool may;
	int r;

	if (t == NULL || (m->ticket != NULL &&
	    m->ticket->kind == AUTHP_KIND_NETWORK &&
	    strcmp(m->ticket->user, owner) != 0))
		return 0;
	m->in.listed = mail_is_listed(m, &t->senders);
	if (owner[0] == '\0') {
		if (t->senders.n > 0)
			m->in.network = POLICY_NETWORK_SENDERS;
		m->net = t;
		return 0;
	}
	r = userdb_get(m->core->userdb, owner, &rec, NULL);
	may = r == 0 && mail_may_submit(&rec);
	if (r == 0)
		record_user_clear(&rec);
	if (may) {
		m->in.network = POLICY_NETWORK_OWNER;
		m->in.network_owned = strcmp(m->owner, owner) == 0;
		m->net = t;
	}
	return r == ERR_NOTFOUND ? 0 : r;
}

static enum policy_ticket
mail_ticket_kind(const struct ticket *t)
{
	switch (t->kind) {
	case AUTHP_KIND_SASL:
		return POLICY_TICKET_SASL;
	case AUTHP_KIND_GRANT:
		return POLICY_TICKET_GRANT;
	case AUTHP_KIND_NETWORK:
		return POLICY_TICKET_NETWORK;
	}
	return POLICY_TICKET_BAD;
}

/* From an MTA here, for local users: it has decided from whom it takes mail.
 * submitd-spool sees that the recipients are local. */
static void
mail_judge_received(struct mail *m)
{
	m->out.verdict = m->core->conf->lmtp_listen == NULL || m->in_header ?
	    AUTHP_VOID : AUTHP_OK;
	m->out.kind = AUTHP_KIND_RECEIVE;
}

void
mail_judge(struct mail *m)
{
	const struct ticket *t = m->ticket;
	struct err e = { 0 };
	int r;

	m->now_s = clock_now_s();
	if (t == NULL ? m->receives : t->kind == AUTHP_KIND_RECEIVE) {
		mail_judge_received(m);
		return;
	}
	m->in.tls = m->tls[0] != '\0';
	if (t != NULL)
		m->in.ticket = mail_ticket_kind(t);
	m->in.log_foreign = !m->in_header &&
	    m->core->conf->sender_policy == SENDER_LOG;
	if ((r = mail_find_sender(m)) != 0 || (r = mail_find_user(m)) != 0)
		goto fail;
	/* After AUTH grants and networks are not looked at. */
	if (m->in.ticket != POLICY_TICKET_SASL &&
	    ((r = mail_find_ticket_grant(m)) != 0 ||
	    (r = mail_find_grants(m)) != 0 ||
	    (r = mail_find_network(m)) != 0))
		goto fail;
	policy_decide(&m->in, &m->out);
	brownout_judge(m);
	/* What cannot be compared is not a foreign sender but none at all. */
	if (m->out.foreign && m->canon[0] == '\0')
		m->out.verdict = AUTHP_NOTSENDER;
	return;
fail:
	m->out.verdict = AUTHP_TEMP;
	err_set(&e, r, "the database: %s", err_name(r));
	LOG_EV(LOG_ERR, "mail.temp", m->sid, KV_T("why", e.text));
}
