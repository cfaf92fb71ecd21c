/*
 * mail_ticket.c - TICKET: submitd-spool asks whether a message may still come
 * in, and on whose account. Runs on the loop of authd-core.
 */
#include "auth/mail_private.h"

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
