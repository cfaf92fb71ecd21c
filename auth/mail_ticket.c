/*
 * mail_ticket.c - TICKET: submitd-spool asks whether a message may still come
 * in, and on whose account. Runs on the loop of authd-core.
 */
#include "auth/mail_private.h"

#include "auth/origin.h"
#include "auth/usage.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/str.h"

/* What stands in Received instead of the address. 0, or TEMP is the answer:
 * the address must not get out because a key is missing. */
static int
mail_origin(const struct mail *m, char dst[AUTHP_ORIGIN_MAX + 1])
{
	const struct ticket *t = m->ticket;
	struct origin_mark mark = { .at_s = m->now_s, .peer = t->peer };
	struct err e = { 0 };
	int r;

	dst[0] = '\0';
	if (m->in.commit || t->kind == AUTHP_KIND_RECEIVE ||
	    m->core->conf->received_address != RECEIVED_TOKEN)
		return 0;
	(void)str_copy(mark.sid, sizeof(mark.sid), t->sid);
	(void)str_copy(mark.user, sizeof(mark.user), t->user);
	if ((r = origin_seal(m->core->origin, &mark, dst)) == 0)
		return 0;
	err_set(&e, r, "no token for Received: %s", err_name(r));
	LOG_EV(LOG_ERR, "mail.temp", m->sid, KV_T("why", e.text));
	return r;
}

/* The grant's budget pays for the message; what it cannot pay is not taken. A
 * record that was swept meanwhile has nothing to keep. */
static void
mail_ticket_book(struct mail *m)
{
	int r;

	if (m->ticket->kind != AUTHP_KIND_GRANT)
		return;
	r = relay_cache_book(m->core->relay, &m->peer, m->ticket->user,
	    m->ticket->granted_s, m->recipients, m->now_s, NULL);
	if (r == ERR_LIMIT)
		m->out.verdict = AUTHP_NOAUTH;
	else if (r != 0 && r != ERR_NOTFOUND && r != ERR_NOSPACE)
		m->out.verdict = AUTHP_TEMP;
}

static void
mail_take_back_limit(struct mail *m)
{
	if (mail_user(m)[0] != '\0')
		quota_take_back(m->core->quota, mail_user(m), m->recipients,
		    m->octets, clock_now_s());
}

/* What was booked is not kept after all. */
static void
mail_take_back(struct mail *m)
{
	mail_take_back_limit(m);
	if (m->ticket->kind == AUTHP_KIND_GRANT)
		(void)relay_cache_take_back(m->core->relay, &m->ticket->peer,
		    m->ticket->user, m->ticket->granted_s, m->recipients,
		    NULL);
}

/* At commit: all of those that count, or none. */
static void
mail_book(struct mail *m, const struct peer *p)
{
	mail_limit_commit(m, p);
	if (m->out.verdict != AUTHP_OK)
		return;
	mail_ticket_book(m);
	if (m->out.verdict != AUTHP_OK)
		mail_take_back_limit(m);
}

static void
mail_ticket_answer(struct peer *p, uint32_t id, const struct mail *m,
    const char *origin)
{
	const struct ticket *t = m->ticket;
	char rip[ADDR_STRLEN];
	struct msg_out out;

	ops_reply_begin(&out, AUTHP_TICKET, id, m->out.verdict);
	if (m->out.verdict == AUTHP_OK) {
		msg_put_str(&out, t->user);
		msg_put_u8(&out, t->kind);
		msg_put_str(&out, addr_ip_text(&t->peer, rip));
		msg_put_str(&out, t->tls);
		msg_put_str(&out, t->mech);
		msg_put_str(&out, t->sid);
		msg_put_str(&out, origin);
		msg_put_u32(&out, m->reservation);
		msg_put_u64(&out, m->limits.message_octets);
		msg_put_u8(&out, m->out.foreign);
	} else if (m->out.verdict == AUTHP_LIMIT) {
		mail_limit_put(m, &out);
	}
	ops_reply(p, &out);
}

/* Two of the phases are told, not asked: false for them. */
static bool
mail_ticket_asks(struct peer *p, enum authp_phase phase, struct mail *m,
    const void *blob, size_t len)
{
	struct ticket t;

	if (phase == AUTHP_ABORT) {
		quota_release(p->core->quota, m->reservation, p);
	} else if (phase == AUTHP_TAKE_BACK &&
	    mail_open_ticket(p, blob, len, NULL, &t) == 0) {
		m->ticket = &t;
		mail_take_back(m);
	}
	return phase != AUTHP_ABORT && phase != AUTHP_TAKE_BACK;
}

int
mail_op_ticket(struct peer *p, struct msg_in *in, int fd)
{
	const void *blob;
	size_t len;
	struct ticket t;
	struct mail m = { .core = p->core, .ticket = &t };
	char origin[AUTHP_ORIGIN_MAX + 1];
	uint8_t phase;

	(void)fd;
	msg_get_blob(in, &blob, &len, AUTHP_TICKET_MAX);
	msg_get_str(in, &m.sender, AUTHP_SENDER_MAX);
	msg_get_u8(in, &phase);
	msg_get_u32(in, &m.recipients);
	msg_get_u64(in, &m.octets);
	msg_get_u32(in, &m.reservation);
	if (msg_get_end(in) != 0 || phase >= AUTHP_PHASE__COUNT)
		return ERR_FORMAT;
	if (!mail_ticket_asks(p, phase, &m, blob, len))
		return 0;
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
	if (m.out.verdict == AUTHP_OK && mail_learn_user(&m) != 0)
		m.out.verdict = AUTHP_TEMP;
	if (m.out.verdict == AUTHP_OK && mail_origin(&m, origin) != 0)
		m.out.verdict = AUTHP_TEMP;
	if (phase == AUTHP_BEGIN)
		mail_limit_begin(&m, p);
	else
		mail_book(&m, p);
	if (m.out.verdict != AUTHP_OK)
		mail_log(&m);
	else if (phase != AUTHP_BEGIN)
		usage_committed(&m);
	mail_ticket_answer(p, in->id, &m, origin);
	return 0;
}
