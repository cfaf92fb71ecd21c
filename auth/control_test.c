/*
 * control_test.c - the verb that says what a login would get, and why. On pool
 * threads of authd-core. It counts as no guess and as no login; the password is
 * checked as a login's is, and told to nobody.
 */
#include "config.h"

#include <string.h>

#include <openssl/crypto.h>

#include "auth/control_private.h"
#include "auth/grant.h"
#include "auth/guess.h"
#include "auth/mechs.h"
#include "auth/names.h"
#include "auth/scram.h"
#include "auth/seal.h"
#include "auth/verify.h"
#include "lib/str.h"

struct control_test {
	struct control_job	*j;
	struct names		 names;
	struct user_record	 rec;
	bool			 exists;
	enum conf_mech		 mech;
	struct addr		 from;
	bool			 has_from;
	struct verify_found	 found;
};

struct control_service {
	const char		*key, *why_key;
	bool			 pop;
	uint8_t			 scope;
	uint32_t		 needs, refused;
};

static const struct control_service control_services[] = {
	{ "smtp", "smtp_why", false, CREDENTIAL_SMTP, USER_MAY_SUBMIT,
	  USER_DISABLED | USER_SENDING_DISABLED },
	{ "pop", "pop_why", true, CREDENTIAL_POP, USER_MAY_POP, USER_DISABLED },
};

static bool
control_mech_is_sha1(enum conf_mech m)
{
	return m == CONF_SCRAM_SHA_1 || m == CONF_SCRAM_SHA_1_PLUS;
}

static bool
control_mech_is_scram(enum conf_mech m)
{
	return m == CONF_SCRAM_SHA_256 || m == CONF_SCRAM_SHA_256_PLUS ||
	    control_mech_is_sha1(m);
}

/* ----------------------------------------------------------- the password -- */

/* 0: it has the keys of the password. ERR_NOTFOUND: there are no such keys. */
static int
control_test_scram(struct control_test *t, const struct verify_ask *a)
{
	struct control_job *j = t->j;
	bool sha1 = control_mech_is_sha1(t->mech);
	size_t len = strlen(j->password);
	uint8_t stored[SCRAM_KEY] = { 0 }, server[SCRAM_KEY];
	struct verify_scram v;
	int r;

	if ((r = verify_scram(j->core->verify, a, sha1, &v)) != 0)
		return r;
	if (!v.real)
		return ERR_NOTFOUND;
	r = sha1 ? scram_derive1(j->password, len, v.salt, v.salt_len,
	    v.iterations, stored, server) : scram_derive(j->password, len,
	    v.salt, v.salt_len, v.iterations, stored, server);
	if (r == 0 && CRYPTO_memcmp(stored, v.stored_key, sha1 ? SCRAM_KEY1 :
	    SCRAM_KEY) != 0)
		r = ERR_DENIED;
	if (r == 0)
		t->found = v.found;
	explicit_bzero(&v, sizeof(v));
	explicit_bzero(stored, sizeof(stored));
	explicit_bzero(server, sizeof(server));
	return r;
}

static int
control_test_secret(struct control_test *t)
{
	struct control_job *j = t->j;
	char secret[SEAL_TEXT_MAX + 1];
	int n, r = ERR_DENIED;

	if (t->rec.secret_len == 0 || t->names.label[0] != '\0')
		return ERR_NOTFOUND;
	n = seal_open(j->core->keys.secret, j->user, t->rec.secret,
	    t->rec.secret_len, secret);
	if (n < 0)
		return n == ERR_CORRUPT ? ERR_NOTFOUND : n;
	if ((size_t)n == strlen(j->password) &&
	    CRYPTO_memcmp(secret, j->password, (size_t)n) == 0)
		r = 0;
	explicit_bzero(secret, sizeof(secret));
	return r;
}

/* Is it right for the service? With `now_s` 0 nothing has expired. */
static int
control_test_password(struct control_test *t, uint8_t scope, int64_t now_s)
{
	struct control_job *j = t->j;
	const struct verify_ask a = { .user = j->user, .rec = &t->rec,
	    .may = true, .label = t->names.label[0] != '\0' ?
	    t->names.label : NULL, .scope = scope, .now_s = now_s };

	if (t->mech == CONF_CRAM_MD5 || t->mech == CONF_APOP)
		return control_test_secret(t);
	if (control_mech_is_scram(t->mech))
		return control_test_scram(t, &a);
	return verify_password(j->core->verify, &a, j->password,
	    strlen(j->password), &t->found);
}

/* It is wrong for the service: would it be right if it had not expired, or for
 * another service? */
static int
control_test_why(struct control_test *t, const struct control_service *s,
    int r, const char **ret_why)
{
	uint8_t other = (uint8_t)(CREDENTIAL_SCOPE_ALL & ~s->scope);
	int again;

	again = control_test_password(t, s->scope, 0);
	if (again == 0)
		*ret_why = "the credential has expired";
	else if ((again = control_test_password(t, other, t->j->now_s)) == 0)
		*ret_why = "the credential is for another service";
	else if (t->mech == CONF_CRAM_MD5 || t->mech == CONF_APOP)
		*ret_why = r == ERR_NOTFOUND ? "the user has no secret for "
		    "CRAM-MD5 and APOP" : "wrong secret";
	else if (r == ERR_NOTFOUND)
		*ret_why = t->rec.hash[0] != '\0' ? "no SCRAM keys yet: a hash "
		    "was imported; a login with PLAIN makes them" :
		    "no such keys";
	else
		*ret_why = "wrong password";
	return again == 0 || again == ERR_DENIED || again == ERR_NOTFOUND ? 0 :
	    again;
}

/* ------------------------------------------------------------ the service -- */

static bool
control_test_offered(const struct control_test *t,
    const struct control_service *s)
{
	const struct conf *c = t->j->conf;

	for (size_t l = 0; l < conf_listener_count(c); l++)
		if (conf_listener_is_pop(c, l) == s->pop &&
		    mechs_may_try(c, l, t->mech))
			return true;
	return false;
}

/* NULL: the user may. */
static const char *
control_test_flaw(const struct control_test *t,
    const struct control_service *s)
{
	const struct user_record *r = &t->rec;

	if (!control_test_offered(t, s))
		return "the mechanism is not offered there";
	if (!t->exists)
		return "there is no such user";
	if (r->flags & s->refused & USER_DISABLED)
		return "the user is disabled";
	if (r->flags & s->refused)
		return "his sending is disabled";
	if ((r->flags & s->needs) != s->needs)
		return s->pop ? "may_pop is no" : "may_submit is no";
	return NULL;
}

/* Of the credential that was right. */
static uint8_t
control_test_scope(const struct control_test *t)
{
	if (t->mech == CONF_CRAM_MD5 || t->mech == CONF_APOP)
		return CREDENTIAL_SCOPE_ALL;
	for (unsigned int i = 0; i < t->rec.n_credentials; i++)
		if (t->rec.credentials[i].generation == t->found.generation)
			return t->rec.credentials[i].scope;
	return 0;
}

static bool
control_test_grants(const struct control_test *t)
{
	return grant_scope_may(control_test_scope(t)) &&
	    grant_judge(t->j->conf, t->has_from ? &t->from : NULL, &t->rec,
	    t->j->now_s) == GRANT_NEW;
}

/* What a login by this service would come to. */
static int
control_test_service(struct control_test *t, const struct control_service *s)
{
	struct control_job *j = t->j;
	const char *flaw = control_test_flaw(t, s), *why = NULL;
	bool right = false;
	int r = ERR_DENIED;

	if (t->exists) {
		r = control_test_password(t, s->scope, j->now_s);
		right = r == 0;
		if (r == ERR_DENIED || r == ERR_NOTFOUND)
			r = control_test_why(t, s, r, &why);
		if (r != 0)
			return err_set(&j->err, r, "the password could not be "
			    "checked");
	}
	if (right) {
		control_job_set(j, "password_is", json_string("right"));
		control_job_set(j, "credential", json_string(
		    t->found.label[0] != '\0' ? t->found.label :
		    "main password"));
	}
	if (t->mech == CONF_CRAM_MD5 || t->mech == CONF_APOP)
		(void)json_object_del(j->last, "credential");
	control_job_set(j, s->key, json_boolean(right && flaw == NULL));
	if (flaw != NULL || why != NULL)
		control_job_set(j, s->why_key,
		    json_string(flaw != NULL ? flaw : why));
	if (right && flaw == NULL)
		control_job_set(j, "right", json_true());
	if (s->pop)
		control_job_set(j, "grants", json_boolean(right &&
		    flaw == NULL && control_test_grants(t)));
	return 0;
}

bool
control_find_block(struct control_job *j, const char *user,
    const struct addr *a, bool known, char dst[CONTROL_BLOCK_SIZE])
{
	struct guess_block b;
	char net[ADDR_STRLEN];
	size_t pos = 0;

	for (size_t i = 0; i < j->conf->guessing_exempt.n; i++)
		if (net_has(&j->conf->guessing_exempt.v[i], a))
			return false;
	while (guess_next(j->core->guess, &pos, j->now_s, &b)) {
		if (!net_has(&b.net, a) || (b.user[0] == '\0' ? known :
		    strcmp(b.user, user) != 0))
			continue;
		(void)str_format(dst, CONTROL_BLOCK_SIZE, "%s, for %lld s after "
		    "%u failures%s", net_text(&b.net, net),
		    (long long)(b.until_s - j->now_s), b.count, known ?
		    "; he is known there: now and then he is let try" : "");
		return true;
	}
	return false;
}

/* What a block of his network, or of his there, would do. */
static void
control_test_blocked(struct control_test *t)
{
	struct control_job *j = t->j;
	char text[CONTROL_BLOCK_SIZE];
	bool known = t->exists && placesdb_is_known(j->core->places, j->user,
	    &t->from, t->rec.created_s, j->now_s);

	if (!control_find_block(j, j->user, &t->from, known, text))
		return;
	control_job_set(j, "blocked", json_string(text));
	if (known)
		return;
	control_job_set(j, "right", json_false());
	for (size_t i = 0; i < 2; i++) {
		control_job_set(j, control_services[i].key, json_false());
		control_job_set(j, control_services[i].why_key,
		    json_string("the address is blocked"));
	}
	control_job_set(j, "grants", json_false());
}

/* -------------------------------------------------------------------- verb -- */

static int
control_test_take(struct control_test *t)
{
	struct control_job *j = t->j;
	const char *name = control_arg(j->args, "user");
	const char *mech = control_arg(j->args, "mechanism");
	const char *from = control_arg(j->args, "address");
	int m = mech != NULL ? conf_mech_find(mech) : CONF_PLAIN;

	if (name == NULL)
		return err_set(&j->err, ERR_FORMAT, "user is missing");
	if (m < 0 || m == CONF_EXTERNAL)
		return err_set(&j->err, ERR_FORMAT, "mechanism: one that takes "
		    "a password is wanted, such as PLAIN or SCRAM-SHA-256");
	if (from != NULL && addr_parse_ip(from, &t->from) != 0)
		return err_set(&j->err, ERR_FORMAT,
		    "address: not an IP address");
	t->has_from = from != NULL;
	t->mech = (enum conf_mech)m;
	if (names_resolve(j->core->userdb, j->conf, j->core->keys.fake, name,
	    strlen(name), &t->names) != 0)
		return err_set(&j->err, ERR_SYSTEM, "the database failed");
	return str_copy(j->user, sizeof(j->user), t->names.user);
}

int
control_auth_test(struct control_job *j)
{
	struct control_test t = { .j = j };
	int r;

	if ((r = control_test_take(&t)) != 0)
		return r;
	r = t.names.nobody ? ERR_NOTFOUND :
	    userdb_get(j->core->userdb, j->user, &t.rec, &j->err);
	if (r != 0 && r != ERR_NOTFOUND)
		return r;
	t.exists = r == 0;
	control_job_set(j, "user", json_string(t.exists ? j->user :
	    control_arg(j->args, "user")));
	control_job_set(j, "mechanism", json_string(conf_mech_name(t.mech)));
	control_job_set(j, "right", json_false());
	control_job_set(j, "password_is", json_string("wrong"));
	if (t.names.label[0] != '\0')
		control_job_set(j, "label", json_string(t.names.label));
	r = 0;
	for (size_t i = 0; r == 0 && i < sizeof(control_services) /
	    sizeof(control_services[0]); i++)
		r = control_test_service(&t, &control_services[i]);
	if (r == 0 && t.has_from)
		control_test_blocked(&t);
	record_user_clear(&t.rec);
	return r;
}
