/*
 * address.c - RCPT, DELIVER and MAILDROP: from an address, or a ticket, to a
 * user and his Maildir.
 *
 * Runs on the loop of authd-core. The path comes from the user's record and
 * never from an address.
 */
#include <string.h>

#include "auth/ops.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/mailbox.h"
#include "lib/str.h"

/* Who reads the mail to postmaster (RFC 5321 section 4.5.1). ERR_AWAY while
 * there is no user at all. */
static int
address_postmaster(struct core *core, char ret_user[MAILBOX_SIZE])
{
	int r = ERR_NOTFOUND;

	if (core->conf->postmaster != NULL)
		r = userdb_resolve(core->userdb, core->conf->postmaster,
		    ret_user, NULL);
	if (r == ERR_NOTFOUND)
		r = userdb_first(core->userdb, ret_user, NULL);
	return r == ERR_NOTFOUND ? ERR_AWAY : r;
}

int
address_find(struct core *core, const char *address,
    char ret_user[MAILBOX_SIZE])
{
	struct mailbox m;
	int r;

	if (str_ieq(address, "postmaster"))
		return address_postmaster(core, ret_user);
	if (mailbox_parse(address, strlen(address), &m) != 0 || m.literal ||
	    !conf_is_local_domain(core->conf, mailbox_domain(m.canon)))
		return ERR_NOTFOUND;
	r = userdb_resolve(core->userdb, m.canon, ret_user, NULL);
	if (r == ERR_NOTFOUND && strncmp(m.canon, "postmaster@", 11) == 0)
		r = address_postmaster(core, ret_user);
	return r;
}

static enum authp_verdict
address_verdict(int r)
{
	if (r == 0)
		return AUTHP_OK;
	return r == ERR_NOTFOUND ? AUTHP_NOUSER : AUTHP_TEMP;
}

int
address_op_rcpt(struct peer *p, struct msg_in *m, int fd)
{
	char user[MAILBOX_SIZE];
	const char *address;

	(void)fd;
	msg_get_str(m, &address, AUTHP_SENDER_MAX);
	if (msg_get_end(m) != 0)
		return ERR_FORMAT;
	ops_reply_verdict(p, AUTHP_RCPT, m->id,
	    address_verdict(address_find(p->core, address, user)));
	return 0;
}

/* DELIVER's and MAILDROP's reply. */
static void
address_reply_path(struct peer *p, uint16_t type, uint32_t id,
    enum authp_verdict v, const char *user, const struct user_record *rec)
{
	struct msg_out out;

	ops_reply_begin(&out, type, id, v);
	if (v == AUTHP_OK) {
		msg_put_str(&out, user);
		msg_put_str(&out, rec->maildir);
		if (type == AUTHP_DELIVER)
			msg_put_u64(&out, rec->quota_octets);
	}
	ops_reply(p, &out);
}

/* Mail for a disabled user is still delivered: he may be enabled again. */
int
address_op_deliver(struct peer *p, struct msg_in *m, int fd)
{
	char user[MAILBOX_SIZE] = "";
	struct user_record rec;
	const char *address;
	int r;

	(void)fd;
	msg_get_str(m, &address, AUTHP_SENDER_MAX);
	if (msg_get_end(m) != 0)
		return ERR_FORMAT;
	r = address_find(p->core, address, user);
	if (r == 0)
		r = userdb_get(p->core->userdb, user, &rec, NULL);
	address_reply_path(p, AUTHP_DELIVER, m->id, address_verdict(r), user,
	    &rec);
	if (r == 0)
		record_user_clear(&rec);
	return 0;
}

/* A ticket opens the maildrop of its user while he may be read by POP3, and who
 * logged in for it may still do so. */
static enum authp_verdict
address_check_ticket(struct core *core, const struct ticket *t,
    struct user_record *rec)
{
	int r;

	if (t->kind != AUTHP_KIND_SASL || t->service != AUTHP_POP)
		return AUTHP_VOID;
	r = userdb_get(core->userdb, t->user, rec, NULL);
	if (r != 0)
		return r == ERR_NOTFOUND ? AUTHP_VOID : AUTHP_TEMP;
	if ((rec->flags & USER_DISABLED) || !(rec->flags & USER_MAY_POP))
		return AUTHP_VOID;
	r = ops_ticket_holds(core, t, rec, USER_DISABLED, clock_now_s());
	if (r != 0)
		return r == ERR_NOTFOUND ? AUTHP_VOID : AUTHP_TEMP;
	return AUTHP_OK;
}

int
address_op_maildrop(struct peer *p, struct msg_in *m, int fd)
{
	enum authp_verdict v = AUTHP_VOID;
	struct user_record rec = { 0 };
	struct ticket t;
	const void *blob;
	size_t len;

	(void)fd;
	msg_get_blob(m, &blob, &len, AUTHP_TICKET_MAX);
	if (msg_get_end(m) != 0)
		return ERR_FORMAT;
	if (ticket_open(p->core->keys.ticket, blob, len, clock_now_s(),
	    p->core->conf->session_max_s, &t) == 0)
		v = address_check_ticket(p->core, &t, &rec);
	else
		LOG_EV(LOG_WARNING, "auth.badticket", NULL,
		    KV_A("peer", priv_role_name(p->role)));
	address_reply_path(p, AUTHP_MAILDROP, m->id, v, t.user, &rec);
	record_user_clear(&rec);
	return 0;
}
