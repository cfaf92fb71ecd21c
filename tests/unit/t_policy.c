/*
 * t_policy.c - the rule against a table written from the design's words, over
 * every combination of its inputs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/policy.h"

enum { ANY = 0, Y = 1, N = 2 };		/* of a bool */
enum {					/* sets; 0: any */
	T_NONE = 1 << POLICY_TICKET_NONE, T_BAD = 1 << POLICY_TICKET_BAD,
	T_SASL = 1 << POLICY_TICKET_SASL, T_GRANT = 1 << POLICY_TICKET_GRANT,
	T_NET = 1 << POLICY_TICKET_NETWORK,
	G_0 = 1 << POLICY_GRANTS_NONE, G_1 = 1 << POLICY_GRANTS_ONE,
	G_N = 1 << POLICY_GRANTS_SEVERAL,
	W_NONE = 1 << POLICY_NETWORK_NONE, W_LIST = 1 << POLICY_NETWORK_SENDERS,
	W_OWNER = 1 << POLICY_NETWORK_OWNER,
};

enum want { OK_SASL, OK_GRANT_OWNER, OK_GRANT_ONLY, OK_NETWORK, FOREIGN_SASL,
	FOREIGN_GRANT, FOREIGN_NETWORK, NOAUTH, NOTSENDER, VOID };

struct rule {
	const char	*text;
	int		 tls, commit, ticket;
	int		 enabled, generation, there, unexpired;
	int		 grants, network;
	int		 null, owned, granted, net_owned, listed, log;
	int		 spent, owner_spent, only_spent;
	enum want	 want;
};

/* The first that fits decides. */
static const struct rule rules[] = {
	{ "nothing without TLS", .tls = N, .want = NOAUTH },
	{ "a forged, old or strange ticket", .ticket = T_BAD, .want = VOID },

	{ "AUTH: disabled counts at both", .ticket = T_SASL, .enabled = N,
	    .want = VOID },
	{ "AUTH: password changed counts at both", .ticket = T_SASL,
	    .generation = N, .want = VOID },
	{ "AUTH: <> is always allowed", .ticket = T_SASL, .null = Y,
	    .want = OK_SASL },
	{ "AUTH: an own address", .ticket = T_SASL, .owned = Y,
	    .want = OK_SASL },
	{ "AUTH: a foreign one where that is only logged", .ticket = T_SASL,
	    .log = Y, .want = FOREIGN_SASL },
	{ "AUTH: a foreign one", .ticket = T_SASL, .want = NOTSENDER },

	{ "grant: disabled counts at both", .ticket = T_GRANT, .enabled = N,
	    .want = VOID },
	{ "grant: password changed counts at both", .ticket = T_GRANT,
	    .generation = N, .want = VOID },
	{ "grant: revoked counts at both", .ticket = T_GRANT, .there = N,
	    .want = VOID },
	{ "grant: its budget counts at both", .ticket = T_GRANT, .spent = Y,
	    .want = NOAUTH },
	{ "grant: expiry counts at MAIL", .ticket = T_GRANT, .commit = N,
	    .unexpired = N, .want = NOAUTH },
	{ "grant: an own address", .ticket = T_GRANT, .null = N, .owned = Y,
	    .want = OK_GRANT_OWNER },
	{ "grant: <> was judged at MAIL", .ticket = T_GRANT, .commit = Y,
	    .null = Y, .want = OK_GRANT_ONLY },
	{ "grant: <> only where one grant lives", .ticket = T_GRANT, .null = Y,
	    .grants = G_1, .want = OK_GRANT_ONLY },
	{ "grant: <> elsewhere", .ticket = T_GRANT, .null = Y,
	    .want = NOTSENDER },
	{ "grant: a foreign one was judged at MAIL", .ticket = T_GRANT,
	    .commit = Y, .log = Y, .want = FOREIGN_GRANT },
	{ "grant: a foreign one, logged, where one grant lives",
	    .ticket = T_GRANT, .grants = G_1, .log = Y, .want = FOREIGN_GRANT },
	{ "grant: a foreign one", .ticket = T_GRANT, .want = NOTSENDER },

	{ "network: not trusted any more", .ticket = T_NET, .network = W_NONE,
	    .want = VOID },
	{ "network: listed", .ticket = T_NET, .listed = Y, .want = OK_NETWORK },
	{ "network: <> belongs to the owner", .ticket = T_NET, .null = Y,
	    .network = W_OWNER, .want = OK_NETWORK },
	{ "network: an address of the owner's", .ticket = T_NET, .net_owned = Y,
	    .network = W_OWNER, .want = OK_NETWORK },
	{ "network: a foreign one, logged, has an owner", .ticket = T_NET,
	    .log = Y, .network = W_OWNER, .want = FOREIGN_NETWORK },
	{ "network: another", .ticket = T_NET, .want = NOTSENDER },

	{ "a commit has a ticket", .ticket = T_NONE, .commit = Y,
	    .want = VOID },
	{ "neither AUTH nor grant nor network", .ticket = T_NONE, .grants = G_0,
	    .network = W_NONE, .want = NOAUTH },
	{ "<> where one grant lives", .null = Y, .grants = G_1,
	    .only_spent = N, .want = OK_GRANT_ONLY },
	{ "<> listed", .null = Y, .listed = Y, .network = W_LIST | W_OWNER,
	    .want = OK_NETWORK },
	{ "<> from a network with an owner", .null = Y, .network = W_OWNER,
	    .want = OK_NETWORK },
	{ "<> where one grant lives, with its budget spent", .null = Y,
	    .grants = G_1, .want = NOAUTH },
	{ "<> otherwise", .null = Y, .want = NOTSENDER },
	{ "the sender picks the owner", .granted = Y, .grants = G_1 | G_N,
	    .owner_spent = N, .want = OK_GRANT_OWNER },
	{ "a sender that the network lists", .listed = Y,
	    .network = W_LIST | W_OWNER, .want = OK_NETWORK },
	{ "a sender of the network's owner", .net_owned = Y, .network = W_OWNER,
	    .want = OK_NETWORK },
	{ "the owner's budget is spent", .granted = Y, .grants = G_1 | G_N,
	    .want = NOAUTH },
	{ "a foreign one, logged, where one grant lives, spent",
	    .grants = G_1, .log = Y, .only_spent = Y, .want = NOAUTH },
	{ "a foreign one, logged, where one grant lives", .grants = G_1,
	    .log = Y, .want = FOREIGN_GRANT },
	{ "a foreign one, logged, has a network's owner", .network = W_OWNER,
	    .log = Y, .want = FOREIGN_NETWORK },
	{ "authorised, not for this sender", .want = NOTSENDER },
};

static bool
fits_bool(int want, bool have)
{
	return want == ANY || (want == Y) == have;
}

static bool
fits_set(int set, unsigned int have)
{
	return set == 0 || (set & (1 << have));
}

static const struct rule *
find_rule(const struct policy_in *in)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
		const struct rule *r = &rules[i];

		if (fits_bool(r->tls, in->tls) &&
		    fits_bool(r->commit, in->commit) &&
		    fits_set(r->ticket, in->ticket) &&
		    fits_bool(r->enabled, in->user_enabled) &&
		    fits_bool(r->generation, in->generation_equal) &&
		    fits_bool(r->there, in->grant_there) &&
		    fits_bool(r->unexpired, in->grant_unexpired) &&
		    fits_set(r->grants, in->grants) &&
		    fits_set(r->network, in->network) &&
		    fits_bool(r->null, in->null_sender) &&
		    fits_bool(r->owned, in->owned) &&
		    fits_bool(r->granted, in->owner_granted) &&
		    fits_bool(r->net_owned, in->network_owned) &&
		    fits_bool(r->listed, in->listed) &&
		    fits_bool(r->log, in->log_foreign) &&
		    fits_bool(r->spent, in->grant_spent) &&
		    fits_bool(r->owner_spent, in->owner_spent) &&
		    fits_bool(r->only_spent, in->only_spent))
			return r;
	}
	return NULL;
}

static enum want
outcome(const struct policy_in *in, const struct policy_out *out)
{
	switch (out->verdict) {
	case AUTHP_OK:
		break;
	case AUTHP_NOAUTH:
		return NOAUTH;
	case AUTHP_NOTSENDER:
		return NOTSENDER;
	default:
		return VOID;
	}
	if (out->kind == AUTHP_KIND_SASL)
		return out->foreign ? FOREIGN_SASL : OK_SASL;
	if (out->kind == AUTHP_KIND_NETWORK)
		return out->foreign ? FOREIGN_NETWORK : OK_NETWORK;
	if (out->foreign)
		return FOREIGN_GRANT;
	/* With a ticket the user is its own, whatever sender_owner says. */
	if (in->ticket == POLICY_TICKET_GRANT)
		return in->null_sender ? OK_GRANT_ONLY : OK_GRANT_OWNER;
	return out->sender_owner ? OK_GRANT_OWNER : OK_GRANT_ONLY;
}

static struct policy_in
combination(unsigned int bits, unsigned int ticket, unsigned int grants,
    unsigned int network)
{
	return (struct policy_in){
		.tls = bits & 1, .commit = bits & 2,
		.user_enabled = bits & 4, .generation_equal = bits & 8,
		.grant_there = bits & 16, .grant_unexpired = bits & 32,
		.null_sender = bits & 64, .owned = bits & 128,
		.owner_granted = bits & 256, .network_owned = bits & 512,
		.listed = bits & 1024, .log_foreign = bits & 2048,
		.grant_spent = bits & 4096, .owner_spent = bits & 8192,
		.only_spent = bits & 16384,
		.ticket = (enum policy_ticket)ticket,
		.grants = (enum policy_grants)grants,
		.network = (enum policy_network)network,
	};
}

static void
check(const struct policy_in *in, bool used[])
{
	struct policy_out out;
	const struct rule *r = find_rule(in);

	policy_decide(in, &out);
	assert_non_null(r);
	used[r - rules] = true;
	if (outcome(in, &out) != r->want)
		fail_msg("%s: got %d, wanted %d (ticket %d grants %d network "
		    "%d null %d log %d commit %d)", r->text,
		    (int)outcome(in, &out), (int)r->want, in->ticket,
		    in->grants, in->network, in->null_sender, in->log_foreign,
		    in->commit);
}

static void
t_every_combination(void **state)
{
	bool used[sizeof(rules) / sizeof(*rules)] = { false };

	(void)state;
	for (unsigned int bits = 0; bits < 32768; bits++)
		for (unsigned int t = 0; t < POLICY_TICKET__COUNT; t++)
			for (unsigned int g = 0; g < POLICY_GRANTS__COUNT; g++)
				for (unsigned int n = 0;
				    n < POLICY_NETWORK__COUNT; n++) {
					struct policy_in in =
					    combination(bits, t, g, n);
					check(&in, used);
				}
	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++)
		if (!used[i])
			fail_msg("no combination came to: %s", rules[i].text);
}

static void
t_grant_excluded(void **state)
{
	static const struct {
		const char	*ip;
		bool		 excluded;
	} rows[] = {
		{ "192.0.2.1", false }, { "2001:db8::1", false },
		{ "127.0.0.1", false },		/* grant_exclude is empty */
		{ "0.0.0.0", true }, { "0.1.2.3", true }, { "::", true },
		{ "224.0.0.1", true }, { "239.1.2.3", true },
		{ "255.255.255.255", true }, { "ff02::1", true },
		{ "2002:c000:201::1", true }, { "2001::1", true },
		{ "2001:0:1::1", true }, { "2001:1::1", false },
		{ "10.1.2.3", true }, { "11.1.2.3", false },
		{ "::ffff:10.1.2.3", true },
	};
	struct net ten;
	struct conf c = { .grant_exclude = { &ten, 1 } };
	struct addr a;

	(void)state;
	assert_int_equal(net_parse("10.0.0.0/8", &ten), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_int_equal(addr_parse_ip(rows[i].ip, &a), 0);
		if (policy_grant_excluded(&c, &a) != rows[i].excluded)
			fail_msg("%s", rows[i].ip);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_every_combination),
		cmocka_unit_test(t_grant_excluded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
