/*
 * conf_mech.c - the ways to log in, by listener. Linked into every process.
 */
#include "lib/conf_private.h"

#include <string.h>

#include "lib/str.h"

static const char *const conf_mech_names[] = {
	[CONF_SCRAM_SHA_256_PLUS] = "SCRAM-SHA-256-PLUS",
	[CONF_SCRAM_SHA_1_PLUS] = "SCRAM-SHA-1-PLUS",
	[CONF_SCRAM_SHA_256] = "SCRAM-SHA-256",
	[CONF_SCRAM_SHA_1] = "SCRAM-SHA-1",
	[CONF_EXTERNAL] = "EXTERNAL",
	[CONF_PLAIN] = "PLAIN",
	[CONF_CRAM_MD5] = "CRAM-MD5",
	[CONF_APOP] = "APOP",
	[CONF_LOGIN] = "LOGIN",
};
_Static_assert(sizeof(conf_mech_names) / sizeof(*conf_mech_names) ==
    CONF_MECH__COUNT, "a name for each mechanism");

const char *
conf_mech_name(enum conf_mech m)
{
	return conf_mech_names[m];
}

int
conf_mech_find(const char *name)
{
	for (int m = 0; m < CONF_MECH__COUNT; m++)
		if (str_ieq(name, conf_mech_names[m]))
			return m;
	return -1;
}

uint32_t
conf_mechanisms(const struct conf *c, enum conf_listener l)
{
	uint64_t bits = c->mechanisms_by[l] != 0 ? c->mechanisms_by[l] :
	    c->mechanisms;

	if (l == CONF_SUBMISSION || l == CONF_SUBMISSIONS)
		bits &= ~(uint64_t)CONF_MECH_BIT(CONF_APOP);
	return (uint32_t)bits;
}

/* 0.0.0.0 or [::] */
static bool
conf_is_any(const struct addr *a)
{
	static const uint8_t none[16];

	return addr_is_v4(a) ? memcmp(a->ip + 12, none, 4) == 0 :
	    memcmp(a->ip, none, 16) == 0;
}

/* True when one of them is at this port, and at this address or all. */
static bool
conf_listens(const struct conf_addrs *list, const struct addr *local)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->v[i].port == local->port &&
		    (conf_is_any(&list->v[i]) ||
		    addr_ip_eq(&list->v[i], local)))
			return true;
	return false;
}

enum conf_listener
conf_listener_of(const struct conf *c, bool pop, const struct addr *local)
{
	if (pop)
		return conf_listens(&c->listen_pop3s, local) ? CONF_POP3S :
		    CONF_POP3;
	return conf_listens(&c->listen_submissions, local) ?
	    CONF_SUBMISSIONS : CONF_SUBMISSION;
}

static int
conf_check_sha1(const char *key, struct err *reterr)
{
	return err_set(reterr, ERR_CONFIG, "%s: SCRAM-SHA-1 needs scram_sha1 = "
	    "yes, and then works for passwords set from then on", key);
}

int
conf_check_mechs(const struct conf *c, struct err *reterr)
{
	static const char *const keys[] = {
		"mechanisms_submission", "mechanisms_submissions",
		"mechanisms_pop3", "mechanisms_pop3s",
	};
	const uint32_t sha1 = CONF_MECH_BIT(CONF_SCRAM_SHA_1) |
	    CONF_MECH_BIT(CONF_SCRAM_SHA_1_PLUS);

	if (c->mechanisms == 0)
		return err_set(reterr, ERR_CONFIG,
		    "mechanisms: nobody could log in; name at least PLAIN");
	for (int l = 0; l < CONF_LISTENER__COUNT; l++) {
		if (c->mechanisms_by[l] != 0 &&
		    conf_mechanisms(c, (enum conf_listener)l) == 0)
			return err_set(reterr, ERR_CONFIG,
			    "%s: APOP is of POP3 alone", keys[l]);
		if ((c->mechanisms_by[l] & sha1) && !c->scram_sha1)
			return conf_check_sha1(keys[l], reterr);
	}
	if ((c->mechanisms & sha1) && !c->scram_sha1)
		return conf_check_sha1("mechanisms", reterr);
	return 0;
}
