/*
 * policy.h - the rule: who may send mail, and as whom.
 *
 * A message is taken only in a session under TLS that is (a) authenticated by
 * SASL, or (b) from an address that holds an unexpired grant, or (c) from a
 * network in trusted_networks; and its sender is one that this user, this
 * grant's user, or this network may use.
 *
 * One pure function over what auth/mail.c found out; tests/unit/t_policy.c
 * tries every combination of its inputs.
 */
#ifndef SUBMITD_AUTH_POLICY_H
#define SUBMITD_AUTH_POLICY_H

#include <stdbool.h>

#include "auth/authp.h"
#include "lib/addr.h"
#include "lib/conf.h"

/* What the request came with. */
enum policy_ticket {
	POLICY_TICKET_NONE,		/* asks for a grant or a network */
	POLICY_TICKET_BAD,		/* forged, too old, of another session */
	POLICY_TICKET_SASL,
	POLICY_TICKET_GRANT,
	POLICY_TICKET_NETWORK,
	POLICY_TICKET__COUNT
};

/* How many users hold a live grant at the address: unexpired, the user there,
 * enabled, permitted to submit, his password unchanged. */
enum policy_grants {
	POLICY_GRANTS_NONE,
	POLICY_GRANTS_ONE,
	POLICY_GRANTS_SEVERAL,
	POLICY_GRANTS__COUNT
};

/* The trusted network around the address. One whose owner may not send counts
 * as NONE, and so does one with neither owner nor senders. */
enum policy_network {
	POLICY_NETWORK_NONE,
	POLICY_NETWORK_SENDERS,		/* a list of senders only */
	POLICY_NETWORK_OWNER,		/* an owner, with or without a list */
	POLICY_NETWORK__COUNT
};

struct policy_in {
	bool			 tls;
	bool			 commit;	/* else MAIL or begin */
	enum policy_ticket	 ticket;
	/* The ticket's user (false without one). */
	bool			 user_enabled;	/* there, may submit */
	bool			 generation_equal;
	/* The ticket's grant (false without one). */
	bool			 grant_there;	/* not revoked */
	bool			 grant_unexpired;
	bool			 grant_spent;	/* no budget is left */
	/* The address, now. */
	enum policy_grants	 grants;
	enum policy_network	 network;
	/* The sender. */
	bool			 null_sender;	/* "<>" */
	bool			 owned;		/* by the ticket's user */
	bool			 owner_granted;	/* its owner is among grants */
	bool			 owner_spent;	/* … with no budget left */
	bool			 only_spent;	/* grants is ONE: that one's */
	bool			 network_owned;	/* by the network's owner */
	bool			 listed;	/* in the network's senders */
	bool			 log_foreign;	/* sender_policy = log */
};

struct policy_out {
	enum authp_verdict	 verdict;
	enum authp_kind		 kind;		/* when OK */
	bool			 sender_owner;	/* kind GRANT: the sender's
						 * owner; else the only one */
	bool			 foreign;	/* taken, but to be logged */
};

void	policy_decide(const struct policy_in *in, struct policy_out *ret);

/* No grant is ever written for, or honoured at, such an address: multicast,
 * unspecified, 6to4, Teredo, or one in grant_exclude. */
bool	policy_grant_excluded(const struct conf *c, const struct addr *a);

#endif
