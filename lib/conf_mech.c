/*
 * conf_mech.c - the ways to log in, by listener. Linked into every process.
 */
#include "lib/conf.h"

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
conf_mechanisms(const struct conf *c, size_t l)
{
	const struct conf_listen *sec = conf_listener_section(c, l);
	uint64_t bits = sec == NULL ? 0 : sec->mechanisms;

	if (bits == 0)
		bits = c->mechanisms_by[conf_listener_service(c, l)];
	if (bits == 0)
		bits = c->mechanisms;
	if (!conf_listener_is_pop(c, l))
		bits &= ~(uint64_t)CONF_MECH_BIT(CONF_APOP);
	return (uint32_t)bits;
}
