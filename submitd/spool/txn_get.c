/*
 * txn_get.c - what submitd-smtp says of a message, and how much memory that may
 * take.
 *
 * Runs in submitd-spool, on the loop. The worker may have been taken over: what
 * it asks for in its sessions' names is bounded for all of them together, and
 * most of all before authd has taken a ticket for it.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "submitd/spool/txn_private.h"

#include "lib/err.h"
#include "lib/mailbox.h"
#include "lib/xtext.h"
#include "submitd/spool/protocol.h"
#include "submitd/spool/wishes.h"

/* Octets that the messages of one submitd-smtp may hold in memory, beside their
 * data's window; and those of them for which authd has not spoken yet. */
#define TXN_HELD_MAX	(64u * 1024 * 1024)
#define TXN_EARLY_MAX	(16u * 1024 * 1024)
#define TXN_RCPT_OCTETS	64u		/* of a recipient, beside its text */

/* ----------------------------------------------------------------- memory -- */

int
txn_hold(struct txn *t, size_t octets)
{
	struct txn_peer *p = t->peer;

	if (p == NULL)
		return 0;
	if (octets > TXN_HELD_MAX - p->held ||
	    (!t->ticketed && octets > TXN_EARLY_MAX - p->early))
		return ERR_LIMIT;
	t->held += octets;
	p->held += octets;
	p->early += t->ticketed ? 0 : octets;
	return 0;
}

void
txn_hold_ticketed(struct txn *t)
{
	if (t->peer != NULL && !t->ticketed)
		t->peer->early -= t->held;
	t->ticketed = true;
}

void
txn_hold_end(struct txn *t)
{
	if (t->peer == NULL)
		return;
	t->peer->held -= t->held;
	t->peer->early -= t->ticketed ? 0 : t->held;
	t->held = 0;
}

/* ---------------------------------------------------------------- packets -- */

/* What a session that follows the rules would never have taken. */
static bool
txn_address_ok(const struct txn *t, const char *s, bool rcpt)
{
	struct mailbox box;

	if (mailbox_parse(s, strlen(s), &box) == 0)
		return !box.utf8 || t->env.smtputf8;
	return rcpt ? str_ieq(s, "postmaster") : s[0] == '\0';
}

/* Room for all recipients is made when the first has asked for something. */
static int
txn_get_dsn(struct txn *t, struct msg_in *m, size_t i)
{
	struct envelope *e = &t->env;
	char text[SPOOL_ORCPT_MAX + 1];
	const char *orcpt;
	uint8_t notify;

	msg_get_u8(m, &notify);
	msg_get_str(m, &orcpt, SPOOL_ORCPT_MAX);
	if (m->error != 0 || notify > SPOOL_NOTIFY__ALL ||
	    ((notify & SPOOL_NOTIFY_NEVER) && notify != SPOOL_NOTIFY_NEVER) ||
	    xtext_decode(text, sizeof(text), orcpt, strlen(orcpt)) < 0)
		return ERR_FORMAT;
	if (notify == 0 && orcpt[0] == '\0')
		return 0;
	if (txn_hold(t, 2 * strlen(orcpt) + TXN_RCPT_OCTETS) != 0)
		return ERR_LIMIT;
	if (e->dsn == NULL &&
	    (e->dsn = calloc(t->rcpts_want, sizeof(*e->dsn))) == NULL)
		return ERR_NOMEM;
	e->dsn[i].notify = notify;
	return orcpt[0] != '\0' &&
	    (e->dsn[i].orcpt = strdup(orcpt)) == NULL ? ERR_NOMEM : 0;
}

int
txn_get_rcpts(struct txn *t, struct msg_in *m)
{
	uint16_t n;
	int r;

	if (msg_get_u16(m, &n) != 0 || n == 0 ||
	    n > t->rcpts_want - t->env.n_rcpts)
		return ERR_FORMAT;
	while (n-- > 0) {
		const char *address;
		char *copy;

		if (msg_get_str(m, &address, SPOOL_ADDRESS_MAX) != 0 ||
		    !txn_address_ok(t, address, true))
			return ERR_FORMAT;
		/* Twice: it is packed for the disk as well. */
		if ((r = txn_hold(t, 2 * strlen(address) +
		    TXN_RCPT_OCTETS)) != 0)
			return r;
		if (t->env.n_rcpts == t->rcpts_room) {
			size_t room = 2 * t->rcpts_room + 4;
			char **grown = realloc(t->env.rcpts,
			    room * sizeof(*grown));

			if (grown == NULL)
				return ERR_NOMEM;
			t->env.rcpts = grown;
			t->rcpts_room = room;
		}
		if ((copy = strdup(address)) == NULL)
			return ERR_NOMEM;
		t->env.rcpts[t->env.n_rcpts++] = copy;
		if ((r = txn_get_dsn(t, m, t->env.n_rcpts - 1)) != 0)
			return r;
	}
	return 0;
}

/* Reads BEGIN into a new txn. On failure the caller ends it. */
int
txn_get_begin(struct txn *t, struct msg_in *m)
{
	const char *sender, *helo, *envid;
	const void *ticket;
	uint32_t n_rcpts;
	uint8_t eightbit, smtputf8;
	char text[SPOOL_ENVID_MAX + 1];

	msg_get_blob(m, &ticket, &t->ticket.len, AUTHP_TICKET_MAX);
	msg_get_str(m, &sender, SPOOL_ADDRESS_MAX);
	msg_get_str(m, &helo, SPOOL_HELO_MAX);
	msg_get_u64(m, &t->announced);
	msg_get_u8(m, &eightbit);
	msg_get_u8(m, &smtputf8);
	msg_get_u8(m, &t->env.ret);
	msg_get_str(m, &envid, SPOOL_ENVID_MAX);
	if (spool_wishes_get(m, &t->env.wishes) != 0 ||
	    msg_get_u32(m, &n_rcpts) != 0 || n_rcpts == 0 ||
	    n_rcpts > SPOOL_RCPTS_MAX || eightbit > 1 || smtputf8 > 1 ||
	    t->env.ret > SPOOL_RET_HDRS ||
	    xtext_decode(text, sizeof(text), envid, strlen(envid)) < 0)
		return ERR_FORMAT;
	t->env.smtputf8 = smtputf8 != 0;
	if (!txn_address_ok(t, sender, false))
		return ERR_FORMAT;
	memcpy(t->ticket.data, ticket, t->ticket.len);
	t->env.eightbit = eightbit != 0;
	t->rcpts_want = n_rcpts;
	if (n_rcpts > t->sp->conf->recipient_limit)
		return ERR_LIMIT;
	t->env.sender = strdup(sender);
	t->env.helo = strdup(helo);
	t->env.envid = strdup(envid);
	if (t->env.sender == NULL || t->env.helo == NULL ||
	    t->env.envid == NULL)
		return ERR_NOMEM;
	return txn_get_rcpts(t, m);
}
