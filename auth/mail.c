/*
 * mail.c - MAIL and TICKET: finds out what the rule wants to know, asks it,
 * and answers.
 *
 * Runs on the loop of authd-core. Decides nothing itself: that is policy.c's.
 * A database that does not answer gives TEMP, never leave to send.
 */
#include <stdlib.h>
#include <string.h>

#include "auth/ops.h"
#include "auth/policy.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/mailbox.h"
#include "lib/str.h"

#define MAIL_GRANTS_MAX 64u	/* looked at of one address */

/* One question to the rule, and what was found out on the way. */
struct mail {
	struct core		*core;
	int64_t			 now_s;
	struct addr		 peer;
	const char		*sid;
	const char		*tls;
	const char		*sender;		/* as given, "": null */
	char			 canon[MAILBOX_SIZE];	/* or "" */
	char			 owner[MAILBOX_SIZE];	/* whose it is, or "" */
	const struct ticket	*ticket;		/* or NULL */
	const struct conf_trusted *net;			/* or NULL */
	struct grant_record	 grant;		/* a live one at the address */
	bool			 after_mail;	/* begin or commit asks */
	struct policy_in	 in;
	struct policy_out	 out;
};

static bool
mail_may_submit(const struct user_record *r)
{
	return !(r->flags & (USER_DISABLED | USER_SENDING_DISABLED)) &&
	    (r->flags & USER_MAY_SUBMIT);
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
		m->in.user_enabled = mail_may_submit(&rec);
		r = mail_find_holder(m, &rec);
		m->in.owned = strcmp(m->owner, t->user) == 0;
		record_user_clear(&rec);
	}
	return r == ERR_NOTFOUND ? 0 : r;
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
		/* Expiry counts at MAIL, which was when the ticket was
		 * issued; begin comes soon behind it. */
		m->in.grant_unexpired = m->in.grant_there &&
		    (relay_cache_is_live(&g, m->now_s) || (m->after_mail &&
		    relay_cache_is_live(&g, t->issued_s) &&
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
	if (r == 0 && m->in.owner_granted)
		m->grant = g;
	return r == ERR_NOTFOUND ? 0 : r;
}

static int
mail_find_grants(struct mail *m)
{
	struct grant_record *v;
	size_t n = 0, live = 0;
	bool counts;
	int r;

	if (policy_grant_excluded(m->core->conf, &m->peer))
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

/* Fills m->out; a database that failed: TEMP. */
static void
mail_judge(struct mail *m)
{
	const struct ticket *t = m->ticket;
	struct err e = { 0 };
	int r;

	m->now_s = clock_now_s();
	m->in.tls = m->tls[0] != '\0';
	if (t != NULL)
		m->in.ticket = mail_ticket_kind(t);
	m->in.log_foreign = m->core->conf->sender_policy == SENDER_LOG;
	if ((r = mail_find_sender(m)) != 0 || (r = mail_find_user(m)) != 0)
		goto fail;
	/* After AUTH grants and networks are not looked at. */
	if (m->in.ticket != POLICY_TICKET_SASL &&
	    ((r = mail_find_ticket_grant(m)) != 0 ||
	    (r = mail_find_grants(m)) != 0 ||
	    (r = mail_find_network(m)) != 0))
		goto fail;
	policy_decide(&m->in, &m->out);
	/* What cannot be compared is not a foreign sender but none at all. */
	if (m->out.foreign && m->canon[0] == '\0')
		m->out.verdict = AUTHP_NOTSENDER;
	return;
fail:
	m->out.verdict = AUTHP_TEMP;
	err_set(&e, r, "the database: %s", err_name(r));
	LOG_EV(LOG_ERR, "mail.temp", m->sid, KV_T("why", e.text));
}

/* Whose mail it is: "" for a network with senders only. */
static const char *
mail_user(const struct mail *m)
{
	if (m->ticket != NULL)
		return m->ticket->user;
	if (m->out.kind == AUTHP_KIND_GRANT)
		return m->grant.user;
	return m->net == NULL || m->net->owner == NULL ? "" : m->net->owner;
}

static void
mail_log(const struct mail *m)
{
	static const char *const kinds[] = { [AUTHP_KIND_SASL] = "sasl",
		[AUTHP_KIND_GRANT] = "grant", [AUTHP_KIND_NETWORK] = "network" };
	const char *user = mail_user(m);
	char rip[ADDR_STRLEN];
	bool ok = m->out.verdict == AUTHP_OK;

	addr_ip_text(&m->peer, rip);
	if (ok && m->out.kind != AUTHP_KIND_SASL)
		LOG_EV(LOG_INFO, m->out.kind == AUTHP_KIND_GRANT ?
		    "relay.grant" : "relay.network", m->sid,
		    KV_S("user", user), KV_A("rip", rip),
		    KV_S("from", m->sender));
	if (ok && m->out.foreign)
		LOG_EV(LOG_NOTICE, "sender.foreign", m->sid,
		    KV_S("user", user), KV_A("rip", rip),
		    KV_S("from", m->sender), KV_A("by", kinds[m->out.kind]));
	if (!ok && m->out.verdict != AUTHP_TEMP)
		LOG_EV(LOG_NOTICE, "mail.refused", m->sid, KV_A("rip", rip),
		    KV_S("user", m->ticket == NULL ? NULL : user),
		    KV_S("from", m->sender),
		    KV_A("why", m->out.verdict == AUTHP_NOAUTH ? "noauth" :
		    m->out.verdict == AUTHP_VOID ? "void" : "notsender"));
}

/* The ticket for what was just allowed without one. */
static int
mail_seal(const struct mail *m, uint8_t *dst)
{
	struct ticket t = {
		.kind = (uint8_t)m->out.kind, .service = AUTHP_SMTP,
		.peer = m->peer, .issued_s = m->now_s,
	};
	struct user_record rec;

	str_copy(t.user, sizeof(t.user), mail_user(m));
	str_copy(t.tls, sizeof(t.tls), m->tls);
	str_copy(t.sid, sizeof(t.sid), m->sid);
	if (t.user[0] != '\0') {
		if (userdb_get(m->core->userdb, t.user, &rec, NULL) != 0)
			return ERR_AWAY;
		t.created_s = rec.created_s;
		record_user_clear(&rec);
	}
	if (m->out.kind == AUTHP_KIND_GRANT) {
		t.granted_s = m->grant.granted_s;
		t.generation = m->grant.generation;
		(void)relay_cache_use(m->core->relay, &m->peer, t.user, NULL);
	}
	return ticket_seal(m->core->keys.ticket, &t, dst);
}

static void
mail_answer(struct peer *p, uint32_t id, struct mail *m, const void *ticket,
    size_t len)
{
	uint8_t fresh[AUTHP_TICKET_MAX];
	struct msg_out out;
	int n;

	if (m->out.verdict == AUTHP_OK && m->ticket == NULL) {
		n = mail_seal(m, fresh);
		if (n < 0)
			m->out.verdict = AUTHP_TEMP;
		ticket = fresh;
		len = n < 0 ? 0 : (size_t)n;
	}
	mail_log(m);
	if (m->out.verdict == AUTHP_OK)
		p->core->stats.mail_ok++;
	else
		p->core->stats.mail_refused++;
	ops_reply_begin(&out, AUTHP_MAIL, id, m->out.verdict);
	if (m->out.verdict == AUTHP_OK) {
		msg_put_blob(&out, ticket, len);
		msg_put_str(&out, mail_user(m));
		msg_put_u8(&out, (uint8_t)m->out.kind);
	}
	ops_reply(p, &out);
}

/* The ticket is this session's, and has not ended. */
static int
mail_open_ticket(struct peer *p, const void *blob, size_t len,
    const struct ticket_handle *h, struct ticket *ret)
{
	int r = ticket_open(p->core->keys.ticket, blob, len, clock_now_s(),
	    p->core->conf->session_max_s, ret);

	if (r == 0 && (ret->service != AUTHP_SMTP || (h != NULL &&
	    (strcmp(ret->sid, h->sid) != 0 ||
	    !addr_ip_eq(&ret->peer, &h->peer)))))
		r = ERR_DENIED;
	if (r == ERR_DENIED)
		LOG_EV(LOG_WARNING, "auth.badticket",
		    h == NULL ? NULL : h->sid,
		    KV_A("peer", priv_role_name(p->role)));
	return r;
}

int
mail_op_mail(struct peer *p, struct msg_in *in, int fd)
{
	const void *handle, *blob;
	size_t handle_len, len;
	struct ticket_handle h;
	struct ticket t;
	struct mail m = { .core = p->core };

	(void)fd;
	msg_get_blob(in, &handle, &handle_len, AUTHP_HANDLE_MAX);
	msg_get_blob(in, &blob, &len, AUTHP_TICKET_MAX);
	msg_get_str(in, &m.tls, AUTHP_TLS_MAX);
	msg_get_str(in, &m.sender, AUTHP_SENDER_MAX);
	if (msg_get_end(in) != 0 || !ops_is_tls_text(m.tls))
		return ERR_FORMAT;
	if (ops_get_handle(p, handle, handle_len, &h) != 0) {
		ops_reply_verdict(p, AUTHP_MAIL, in->id, AUTHP_VOID);
		return 0;
	}
	m.peer = h.peer;
	m.sid = h.sid;
	if (len > 0) {
		m.ticket = &t;
		if (mail_open_ticket(p, blob, len, &h, &t) != 0) {
			ops_reply_verdict(p, AUTHP_MAIL, in->id, AUTHP_VOID);
			return 0;
		}
	}
	mail_judge(&m);
	mail_answer(p, in->id, &m, blob, len);
	return 0;
}

int
mail_op_ticket(struct peer *p, struct msg_in *in, int fd)
{
	const void *blob;
	size_t len;
	struct ticket t;
	struct mail m = { .core = p->core, .ticket = &t };
	char rip[ADDR_STRLEN];
	struct msg_out out;
	uint8_t phase;

	(void)fd;
	msg_get_blob(in, &blob, &len, AUTHP_TICKET_MAX);
	msg_get_str(in, &m.sender, AUTHP_SENDER_MAX);
	msg_get_u8(in, &phase);
	if (msg_get_end(in) != 0 || phase > AUTHP_COMMIT)
		return ERR_FORMAT;
	if (mail_open_ticket(p, blob, len, NULL, &t) != 0) {
		ops_reply_verdict(p, AUTHP_TICKET, in->id, AUTHP_VOID);
		return 0;
	}
	m.peer = t.peer;
	m.sid = t.sid;
	m.tls = t.tls;
	m.in.commit = phase == AUTHP_COMMIT;
	m.after_mail = true;
	mail_judge(&m);
	if (m.out.verdict != AUTHP_OK)
		mail_log(&m);
	ops_reply_begin(&out, AUTHP_TICKET, in->id, m.out.verdict);
	if (m.out.verdict == AUTHP_OK) {
		msg_put_str(&out, t.user);
		msg_put_u8(&out, t.kind);
		msg_put_str(&out, addr_ip_text(&t.peer, rip));
		msg_put_str(&out, t.tls);
		msg_put_str(&out, t.mech);
		msg_put_str(&out, t.sid);
	}
	ops_reply(p, &out);
	return 0;
}
