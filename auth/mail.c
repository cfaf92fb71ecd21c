/*
 * mail.c - MAIL: may this session send with that sender? Runs on the loop of
 * authd-core.
 */
#include <string.h>

#include "auth/brownout.h"
#include "auth/hint.h"
#include "auth/mail_private.h"
#include "auth/usage.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/str.h"

const char *
mail_user(const struct mail *m)
{
	if (m->ticket != NULL)
		return m->ticket->user;
	if (m->out.kind == AUTHP_KIND_GRANT)
		return m->grant.user;
	return m->net == NULL || m->net->owner == NULL ? "" : m->net->owner;
}

void
mail_log(const struct mail *m)
{
	static const char *const kinds[] = { [AUTHP_KIND_SASL] = "sasl",
		[AUTHP_KIND_GRANT] = "grant", [AUTHP_KIND_NETWORK] = "network" };
	const char *user = mail_user(m);
	char rip[ADDR_STRLEN];
	bool ok = m->out.verdict == AUTHP_OK;

	addr_ip_text(&m->peer, rip);
	if (ok && (m->out.kind == AUTHP_KIND_GRANT ||
	    m->out.kind == AUTHP_KIND_NETWORK))
		LOG_EV(LOG_INFO, m->out.kind == AUTHP_KIND_GRANT ?
		    "relay.grant" : "relay.network", m->sid,
		    KV_S("user", user), KV_A("rip", rip),
		    KV_S("from", m->sender));
	if (ok && m->out.foreign)
		LOG_EV(LOG_NOTICE, "sender.foreign", m->sid,
		    KV_S("user", user), KV_A("rip", rip),
		    KV_S("from", m->sender), KV_A("by", kinds[m->out.kind]));
	if (!ok && m->out.verdict != AUTHP_TEMP &&
	    m->out.verdict != AUTHP_LIMIT)
		LOG_EV(LOG_NOTICE, "mail.refused", m->sid, KV_A("rip", rip),
		    KV_S("user", m->ticket == NULL && m->brownout == NULL ?
		    NULL : user),
		    KV_S("from", m->sender),
		    KV_A("why", m->out.verdict == AUTHP_NOAUTH ? "noauth" :
		    m->out.verdict == AUTHP_VOID ? "void" :
		    m->brownout != NULL ? "brownout" : "notsender"),
		    KV_S("brownout", m->brownout == NULL ? NULL :
		    m->brownout->item.name));
}

/* The ticket for what was just allowed without one. */
static int
mail_seal(const struct mail *m, uint8_t *dst)
{
	struct ticket t = {
		.kind = (uint8_t)m->out.kind, .service = AUTHP_SMTP,
		.peer = m->peer, .issued_s = m->now_s,
	};

	str_copy(t.user, sizeof(t.user), mail_user(m));
	str_copy(t.tls, sizeof(t.tls), m->tls);
	str_copy(t.sid, sizeof(t.sid), m->sid);
	t.created_s = m->created_s;
	if (m->out.kind == AUTHP_KIND_GRANT) {
		t.granted_s = m->grant.granted_s;
		t.generation = m->grant.generation;
		(void)relay_cache_use(m->core->relay, &m->peer, t.user,
		    m->now_s, NULL);
	}
	return ticket_seal(m->core->keys.ticket, &t, dst);
}

/* He is counted among those who did not come along. */
static void
mail_brownout_put(const struct mail *m, struct msg_out *out)
{
	char text[AUTHP_BROWNOUT_MAX + 1];

	msg_put_str(out, brownout_text(m->brownout, text));
	usagedb_refused(m->core->usage, mail_user(m), m->brownout->begin_s,
	    m->now_s);
}

static void
mail_answer(struct peer *p, uint32_t id, struct mail *m, const void *ticket,
    size_t len)
{
	uint8_t fresh[AUTHP_TICKET_MAX];
	struct msg_out out;
	int n;

	if (m->out.verdict == AUTHP_OK && mail_learn_user(m) != 0)
		m->out.verdict = AUTHP_TEMP;
	mail_limit_check(m);
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
	if (m->out.verdict == AUTHP_NOAUTH)
		msg_put_u8(&out, (uint8_t)hint_tell(m));
	if (m->out.verdict == AUTHP_OK) {
		msg_put_blob(&out, ticket, len);
		msg_put_str(&out, mail_user(m));
		msg_put_u8(&out, (uint8_t)m->out.kind);
		msg_put_u64(&out, m->limits.message_octets);
		msg_put_u8(&out, m->may_prioritise);
	} else if (m->out.verdict == AUTHP_LIMIT) {
		mail_limit_put(m, &out);
	} else if (m->out.verdict == AUTHP_BROWNOUT) {
		mail_brownout_put(m, &out);
	}
	ops_reply(p, &out);
}

int
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
	m.receives = h.receives != 0;
	if (len > 0) {
		m.ticket = &t;
		if (mail_open_ticket(p, blob, len, &h, &t) != 0 ||
		    h.receives || t.kind == AUTHP_KIND_RECEIVE) {
			ops_reply_verdict(p, AUTHP_MAIL, in->id, AUTHP_VOID);
			return 0;
		}
	}
	mail_judge(&m);
	mail_answer(p, in->id, &m, blob, len);
	return 0;
}
