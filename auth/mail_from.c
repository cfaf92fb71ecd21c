/*
 * mail_from.c - FROM: are the addresses of a message's header ones that may be
 * sent with? Each is judged by the same rule as MAIL's sender. Runs on the loop
 * of authd-core.
 */
#include "auth/mail_private.h"
#include "lib/log.h"
#include "lib/mailbox.h"

static void
mail_from_log(const struct mail *m)
{
	char rip[ADDR_STRLEN];

	LOG_EV(LOG_NOTICE, "sender.foreign", m->sid,
	    KV_S("user", m->ticket->user),
	    KV_A("rip", addr_ip_text(&m->peer, rip)),
	    KV_S("from", m->sender), KV_A("in", "header"));
}

/* Nobody here can be taken for its owner. */
static bool
mail_from_is_strange(const struct mail *m)
{
	const char *domain = mailbox_domain(m->canon);

	return m->canon[0] != '\0' && m->owner[0] == '\0' && domain != NULL &&
	    !conf_is_local_domain(m->core->conf, domain);
}

/* One address; the verdict is OK whether it is owned or not. */
static enum authp_verdict
mail_from_judge(struct peer *p, const struct ticket *t, const char *address,
    uint8_t *ret_owned)
{
	struct mail m = {
		.core = p->core, .peer = t->peer, .sid = t->sid, .tls = t->tls,
		.ticket = t, .sender = address, .after_mail = true,
		.in_header = true,
	};

	mail_judge(&m);
	*ret_owned = m.out.verdict == AUTHP_OK ? AUTHP_OWNED_YES :
	    AUTHP_OWNED_NO;
	if (m.out.verdict != AUTHP_NOTSENDER)
		return m.out.verdict;
	if (p->core->conf->sender_policy == SENDER_LOG) {
		*ret_owned = AUTHP_OWNED_LOGGED;
		mail_from_log(&m);
	} else if (mail_from_is_strange(&m)) {
		*ret_owned = AUTHP_OWNED_STRANGER;
	}
	return AUTHP_OK;
}

int
mail_op_from(struct peer *p, struct msg_in *in, int fd)
{
	const char *addresses[AUTHP_FROM_MAX];
	uint8_t owned[AUTHP_FROM_MAX];
	enum authp_verdict v = AUTHP_OK;
	const void *blob;
	struct ticket t;
	struct msg_out out;
	size_t len;
	uint16_t n;

	(void)fd;
	msg_get_blob(in, &blob, &len, AUTHP_TICKET_MAX);
	if (msg_get_u16(in, &n) != 0 || n == 0 || n > AUTHP_FROM_MAX)
		return ERR_FORMAT;
	for (uint16_t i = 0; i < n; i++)
		if (msg_get_str(in, &addresses[i], AUTHP_SENDER_MAX) != 0 ||
		    addresses[i][0] == '\0')
			return ERR_FORMAT;
	if (msg_get_end(in) != 0)
		return ERR_FORMAT;
	if (mail_open_ticket(p, blob, len, NULL, &t) != 0)
		v = AUTHP_VOID;
	for (uint16_t i = 0; i < n && v == AUTHP_OK; i++)
		v = mail_from_judge(p, &t, addresses[i], &owned[i]);
	ops_reply_begin(&out, AUTHP_FROM, in->id, v);
	if (v == AUTHP_OK)
		msg_put_blob(&out, owned, n);
	ops_reply(p, &out);
	return 0;
}
