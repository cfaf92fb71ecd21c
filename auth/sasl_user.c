/*
 * sasl_user.c - who logs in, what his proof is compared with, and for whom he
 * may act.
 *
 * Runs in authd-core, on its loop; saslx_authorize() for PLAIN on a thread of
 * its pool. Who is not there, is disabled, or has no such credential is given
 * something to be compared with all the same: every question costs the same
 * work and gets the same answers up to the end.
 */
#include "config.h"

#include "auth/sasl.h"

#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "auth/names.h"
#include "auth/verify.h"
#include "lib/clock.h"
#include "lib/str.h"

/* The record of x->login, if there is one. */
static void
saslx_load(struct saslx *x, bool nobody)
{
	int r = nobody ? ERR_NOTFOUND :
	    userdb_get(x->core->userdb, x->login, &x->rec, NULL);

	x->named = true;
	x->real = false;
	x->known = r == 0;
	if (r != 0 && r != ERR_NOTFOUND)
		x->temp = true;
	if (r != 0)
		x->why = "nouser";
	else if (x->rec.flags & USER_DISABLED)
		x->why = "disabled";
	else
		x->real = true;
	if (x->real)
		x->why = "badpass";	/* until the opposite is shown */
}

struct verify_ask
saslx_ask(const struct saslx *x)
{
	return (struct verify_ask){
		.user = x->login, .rec = x->known ? &x->rec : NULL,
		.may = x->real, .label = x->label[0] == '\0' ? NULL : x->label,
		.scope = x->scope, .now_s = clock_now_s(),
	};
}

static void
saslx_resolve(struct saslx *x, const char *name, size_t len,
    struct names *ret)
{
	if (names_resolve(x->core->userdb, x->conf, x->core->keys.fake, name,
	    len, ret) != 0)
		x->temp = true;
}

static bool
saslx_is(const char *canon, const char *name, size_t len)
{
	return strlen(canon) == len && memcmp(canon, name, len) == 0;
}

void
saslx_set_login(struct saslx *x, const char *name, size_t len)
{
	struct names n;

	/* libsasl asks several times, also about what we answered. */
	if (x->named && saslx_is(x->login, name, len))
		return;
	saslx_resolve(x, name, len, &n);
	if (x->named && strcmp(x->login, n.user) == 0 &&
	    strcmp(x->label, n.label) == 0)
		return;
	str_copy(x->login, sizeof(x->login), n.user);
	str_copy(x->label, sizeof(x->label), n.label);
	x->genuine = false;
	saslx_load(x, n.nobody);
}

void
saslx_set_user(struct saslx *x, const char *name, size_t len)
{
	struct names n;

	if (x->named && saslx_is(x->login, name, len)) {
		str_copy(x->user, sizeof(x->user), x->login);
	} else if (!saslx_is(x->user, name, len)) {
		saslx_resolve(x, name, len, &n);
		/* Nobody may act for one who is only supposed. */
		str_copy(x->user, sizeof(x->user), n.nobody ? "!" : n.user);
	}
}

static void
saslx_take(struct saslx *x, const struct user_credential *c)
{
	x->genuine = true;
	x->found.generation = c->generation;
	str_copy(x->found.label, sizeof(x->found.label), c->label);
	x->found_scope = c->scope;
}

void
saslx_take_found(struct saslx *x)
{
	const struct user_credential *c = user_credential_find(&x->rec,
	    CREDENTIAL_PASSWORD, x->found.label);

	if (c != NULL && c->generation == x->found.generation)
		saslx_take(x, c);
}

/* Why it may not be used here and now; NULL: it may. */
static const char *
saslx_why_not(const struct saslx *x, const struct user_credential *c)
{
	if (!user_credential_is_live(c, clock_now_s()))
		return "expired";
	return (c->scope & x->scope) ? NULL : "scope";
}

void
saslx_set_certificate(struct saslx *x, const uint8_t *fingerprint)
{
	const struct user_credential *c;
	int r = ERR_NOTFOUND;

	if (fingerprint != NULL)
		r = userdb_find_certificate(x->core->userdb, fingerprint,
		    x->login, NULL);
	if (r != 0 && r != ERR_NOTFOUND)
		x->temp = true;
	if (r != 0)
		x->login[0] = '\0';	/* which nobody is called */
	saslx_load(x, false);
	if (r == ERR_NOTFOUND)
		x->why = "nocert";
	if (!x->real || r != 0)
		return;
	c = user_certificate_find(&x->rec, fingerprint);
	x->why = c == NULL ? "nocert" : saslx_why_not(x, c);
	if (x->why == NULL)
		saslx_take(x, c);
}

/* SCRAM */

static int
saslx_scram_text(const struct verify_scram *k, bool sha1, char *dst,
    size_t size)
{
	char salt[STR_B64_SIZE(RECORD_SALT_MAX)];
	char stored[STR_B64_SIZE(RECORD_KEY)], server[STR_B64_SIZE(RECORD_KEY)];
	size_t len = sha1 ? RECORD_KEY1 : RECORD_KEY;
	int r;

	str_b64_encode(salt, sizeof(salt), k->salt, k->salt_len);
	str_b64_encode(stored, sizeof(stored), k->stored_key, len);
	str_b64_encode(server, sizeof(server), k->server_key, len);
	r = str_format(dst, size, "%s$%u:%s$%s:%s",
	    conf_mech_name(sha1 ? CONF_SCRAM_SHA_1 : CONF_SCRAM_SHA_256),
	    k->iterations, salt, stored, server);
	explicit_bzero(stored, sizeof(stored));
	explicit_bzero(server, sizeof(server));
	return r;
}

/* For the log alone: nothing of it shows outside. */
static const char *
saslx_scram_why(struct saslx *x)
{
	const struct user_credential *c = user_credential_find(&x->rec,
	    CREDENTIAL_PASSWORD, x->label);
	const char *why = c == NULL ? NULL : saslx_why_not(x, c);

	return why == NULL ? "nokeys" : why;
}

int
saslx_scram_keys(struct saslx *x, char *dst, size_t size)
{
	bool sha1 = x->mech == CONF_SCRAM_SHA_1 ||
	    x->mech == CONF_SCRAM_SHA_1_PLUS;
	struct verify_ask a = saslx_ask(x);
	struct verify_scram keys;
	int r;

	if ((r = verify_scram(x->core->verify, &a, sha1, &keys)) != 0)
		return r;
	x->found = keys.found;
	if (keys.real)
		saslx_take_found(x);
	else if (x->real)
		x->why = saslx_scram_why(x);
	x->transition = keys.only_hash && x->conf->scram_transition;
	r = saslx_scram_text(&keys, sha1, dst, size);
	explicit_bzero(&keys, sizeof(keys));
	return r;
}

/* CRAM-MD5 and APOP */

static int
saslx_secret_fake(const struct saslx *x, char dst[SEAL_TEXT_MAX + 1])
{
	uint8_t in[1 + MAILBOX_SIZE] = { 'm' }, out[EVP_MAX_MD_SIZE];
	unsigned int n = 0;
	size_t len = strlen(x->login);

	memcpy(in + 1, x->login, len);
	if (HMAC(EVP_sha256(), x->core->keys.fake, CORE_KEY_SIZE, in, len + 1,
	    out, &n) == NULL)
		return ERR_NOMEM;
	str_hex(dst, out, 8);
	return 16;
}

int
saslx_secret(struct saslx *x, char dst[SEAL_TEXT_MAX + 1])
{
	int n;

	if (!x->real)
		return saslx_secret_fake(x, dst);
	if (x->rec.secret_len == 0 || x->label[0] != '\0') {
		x->why = "nosecret";
		return saslx_secret_fake(x, dst);
	}
	n = seal_open(x->core->keys.secret, x->login, x->rec.secret,
	    x->rec.secret_len, dst);
	if (n == ERR_CORRUPT) {
		x->why = "seal";	/* secret.key is another one now */
		return saslx_secret_fake(x, dst);
	}
	if (n < 0)
		return n;
	x->genuine = true;
	x->found.generation = x->rec.secret_generation;
	x->found_scope = CREDENTIAL_SCOPE_ALL;
	return n;
}

/* For whom */

static int
saslx_other_flags(struct saslx *x, uint32_t *ret_flags)
{
	struct user_record rec;
	int r;

	r = userdb_allows_as(x->core->userdb, x->login, x->user, NULL);
	if (r == 0)
		r = userdb_get(x->core->userdb, x->user, &rec, NULL);
	if (r == 0) {
		*ret_flags = rec.flags;
		record_user_clear(&rec);
	}
	return r;
}

/* The exchange may have taken minutes, a check may have waited: what he proved
 * must still be his, and he still be let in. */
static bool
saslx_is_still(struct saslx *x)
{
	int64_t created_s = x->rec.created_s;
	int r;

	record_user_clear(&x->rec);
	r = userdb_get(x->core->userdb, x->login, &x->rec, NULL);
	if (r != 0 && r != ERR_NOTFOUND)
		x->temp = true;
	x->known = r == 0;
	if (r == 0 && x->rec.created_s == created_s &&
	    !(x->rec.flags & USER_DISABLED) && user_record_holds(&x->rec,
	    x->found.generation, clock_now_s()))
		return true;
	x->real = false;
	x->why = "changed";
	return false;
}

bool
saslx_authorize(struct saslx *x)
{
	uint32_t refused = USER_DISABLED, flags;
	int r = 0;

	x->authorized = false;
	if (!x->real || !x->genuine || !saslx_is_still(x))
		return false;
	flags = x->rec.flags;
	if (x->user[0] == '\0')
		str_copy(x->user, sizeof(x->user), x->login);
	if (x->needs & USER_MAY_SUBMIT)
		refused |= USER_SENDING_DISABLED;
	if (strcmp(x->user, x->login) != 0) {
		if (x->rec.flags & refused) {
			x->why = "notpermitted";
			return false;
		}
		r = saslx_other_flags(x, &flags);
	}
	if (r == ERR_NOTFOUND)
		x->why = "authzid";
	else if (r != 0)
		x->temp = true;
	else if ((flags & refused) || (flags & x->needs) != x->needs)
		x->why = "notpermitted";
	else
		x->authorized = true;
	return x->authorized;
}
