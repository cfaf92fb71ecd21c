/*
 * policy.c - the rule who may send mail, as one pure function.
 *
 * Runs in authd-core. Asks nobody and keeps nothing: what it is not told it
 * does not assume.
 */
#include "auth/policy.h"

#include <stddef.h>

static void
policy_take(struct policy_out *out, enum authp_kind kind)
{
	out->verdict = AUTHP_OK;
	out->kind = kind;
}

/* The grant that would have given leave has nothing left: another login of its
 * owner's helps, as against one that has expired. */
static bool
policy_is_spent(const struct policy_in *in)
{
	if (in->null_sender)
		return in->grants == POLICY_GRANTS_ONE && in->only_spent;
	if (in->owner_granted && in->grants != POLICY_GRANTS_NONE)
		return in->owner_spent;
	return in->log_foreign && in->grants == POLICY_GRANTS_ONE &&
	    in->only_spent;
}

/* No ticket: a grant whose owner is the sender's comes first, then what the
 * network may send, and only then what is merely tolerated. */
static void
policy_no_ticket(const struct policy_in *in, struct policy_out *out)
{
	bool one = in->grants == POLICY_GRANTS_ONE;
	bool owner = in->network == POLICY_NETWORK_OWNER;

	if (in->commit)
		out->verdict = AUTHP_VOID;	/* commit has a ticket */
	else if (in->grants == POLICY_GRANTS_NONE &&
	    in->network == POLICY_NETWORK_NONE)
		out->verdict = AUTHP_NOAUTH;
	else if (in->null_sender ? one && !in->only_spent :
	    in->owner_granted && in->grants != POLICY_GRANTS_NONE &&
	    !in->owner_spent) {
		policy_take(out, AUTHP_KIND_GRANT);
		out->sender_owner = !in->null_sender;
	} else if (in->network != POLICY_NETWORK_NONE && in->listed)
		policy_take(out, AUTHP_KIND_NETWORK);
	else if (owner && (in->null_sender || in->network_owned))
		policy_take(out, AUTHP_KIND_NETWORK);
	else if (policy_is_spent(in))
		out->verdict = AUTHP_NOAUTH;
	else if (in->log_foreign && !in->null_sender && (one || owner)) {
		policy_take(out, one ? AUTHP_KIND_GRANT : AUTHP_KIND_NETWORK);
		out->foreign = true;
	}
}

static void
policy_sasl(const struct policy_in *in, struct policy_out *out)
{
	if (!in->user_enabled || !in->generation_equal) {
		out->verdict = AUTHP_VOID;
	} else if (in->null_sender || in->owned) {
		policy_take(out, AUTHP_KIND_SASL);
	} else if (in->log_foreign) {
		policy_take(out, AUTHP_KIND_SASL);
		out->foreign = true;
	}
}

static void
policy_grant(const struct policy_in *in, struct policy_out *out)
{
	/* At commit the senders were judged; another login from the same
	 * address must not undo that. */
	bool one = in->commit || in->grants == POLICY_GRANTS_ONE;

	if (!in->user_enabled || !in->generation_equal || !in->grant_there)
		out->verdict = AUTHP_VOID;
	else if (in->grant_spent || (!in->commit && !in->grant_unexpired))
		out->verdict = AUTHP_NOAUTH;
	else if (in->null_sender ? one : in->owned)
		policy_take(out, AUTHP_KIND_GRANT);
	else if (!in->null_sender && in->log_foreign && one) {
		policy_take(out, AUTHP_KIND_GRANT);
		out->foreign = true;
	}
}

static void
policy_network(const struct policy_in *in, struct policy_out *out)
{
	bool owner = in->network == POLICY_NETWORK_OWNER;

	if (in->network == POLICY_NETWORK_NONE)
		out->verdict = AUTHP_VOID;
	else if (in->listed ||
	    (owner && (in->null_sender || in->network_owned)))
		policy_take(out, AUTHP_KIND_NETWORK);
	else if (owner && in->log_foreign) {
		policy_take(out, AUTHP_KIND_NETWORK);
		out->foreign = true;
	}
}

void
policy_decide(const struct policy_in *in, struct policy_out *ret)
{
	*ret = (struct policy_out){ .verdict = AUTHP_NOTSENDER };
	if (!in->tls) {
		ret->verdict = AUTHP_NOAUTH;
		return;
	}
	switch (in->ticket) {
	case POLICY_TICKET_NONE:
		policy_no_ticket(in, ret);
		return;
	case POLICY_TICKET_SASL:
		policy_sasl(in, ret);
		return;
	case POLICY_TICKET_GRANT:
		policy_grant(in, ret);
		return;
	case POLICY_TICKET_NETWORK:
		policy_network(in, ret);
		return;
	case POLICY_TICKET_BAD:
	case POLICY_TICKET__COUNT:
		break;
	}
	ret->verdict = AUTHP_VOID;
}

/* Prefixes behind which anybody may sit, or nobody: a grant there would be a
 * grant to strangers. IPv4 stands mapped (lib/addr.h). */
static const struct net policy_never[] = {
	{ { 0 }, 128 },						/* :: */
	{ { [10] = 0xff, [11] = 0xff }, 104 },			/* 0.0.0.0/8 */
	{ { [10] = 0xff, [11] = 0xff, [12] = 224 }, 100 },	/* 224/4 */
	{ { [10] = 0xff, [11] = 0xff, [12] = 240 }, 100 },	/* 240/4 */
	{ { 0xff }, 8 },					/* multicast */
	{ { 0x20, 0x02 }, 16 },					/* 6to4 */
	{ { 0x20, 0x01 }, 32 },					/* Teredo */
};

bool
policy_grant_excluded(const struct conf *c, const struct addr *a)
{
	for (size_t i = 0; i < sizeof(policy_never) / sizeof(*policy_never);
	    i++)
		if (net_has(&policy_never[i], a))
			return true;
	for (size_t i = 0; i < c->grant_exclude.n; i++)
		if (net_has(&c->grant_exclude.v[i], a))
			return true;
	return false;
}
