/*
 * mechs.c - which ways to log in are advertised. Linked into authd-core,
 * submitd-smtp and popd-pop; knows nothing of any user.
 */
#include "config.h"

#include "auth/mechs.h"

#include <string.h>

/* What a mechanism wants before it is worth naming. */
enum {
	MECHS_BINDING	= 1 << 0,
	MECHS_CERT	= 1 << 1,
	MECHS_SECRETS	= 1 << 2,
	MECHS_COMMAND	= 1 << 3,	/* no SASL mechanism at all */
};

static const unsigned int mechs_want[CONF_MECH__COUNT] = {
	[CONF_SCRAM_SHA_256_PLUS] = MECHS_BINDING,
	[CONF_SCRAM_SHA_1_PLUS] = MECHS_BINDING,
	[CONF_EXTERNAL] = MECHS_CERT,
	[CONF_CRAM_MD5] = MECHS_SECRETS,
	[CONF_APOP] = MECHS_SECRETS | MECHS_COMMAND,
};

bool
mechs_may_try(const struct conf *c, size_t l, enum conf_mech m)
{
	return (conf_mechanisms(c, l) & CONF_MECH_BIT(m)) != 0;
}

bool
mechs_is_plus(enum conf_mech m)
{
	return (mechs_want[m] & MECHS_BINDING) != 0;
}

bool
mechs_has_apop(const struct conf *c, size_t l, bool has_secrets)
{
	return has_secrets && mechs_may_try(c, l, CONF_APOP);
}

size_t
mechs_text(const struct conf *c, size_t l, bool has_secrets,
    bool channel_binding, bool client_cert, char *dst, size_t size)
{
	unsigned int have = (channel_binding ? MECHS_BINDING : 0) |
	    (client_cert ? MECHS_CERT : 0) | (has_secrets ? MECHS_SECRETS : 0);
	size_t len = 0;

	dst[0] = '\0';
	for (int m = 0; m < CONF_MECH__COUNT; m++) {
		const char *name = conf_mech_name((enum conf_mech)m);
		size_t n = strlen(name);

		if (!mechs_may_try(c, l, (enum conf_mech)m) ||
		    (mechs_want[m] & ~have) != 0 || len + 1 + n >= size)
			continue;
		if (len > 0)
			dst[len++] = ' ';
		memcpy(dst + len, name, n + 1);
		len += n;
	}
	return len;
}
