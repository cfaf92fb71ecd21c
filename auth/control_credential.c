/*
 * control_credential.c - the verbs on what a user may log in with besides his
 * main password: app passwords, certificates, a sealed secret, and the right to
 * act for others. On pool threads of authd-core. Only a password that is made up
 * here is ever answered, once.
 */
#include "config.h"

#include <string.h>

#include <openssl/rand.h>

#include "auth/control_private.h"
#include "auth/scram.h"
#include "auth/seal.h"
#include "lib/str.h"

/* Without what looks like something else; 32 of them: 5 bits each. */
static const char control_alphabet[] = "abcdefghijkmnpqrstuvwxyz23456789";
#define CONTROL_PASSWORD_OCTETS	20u	/* 100 bits */
#define CONTROL_PASSWORD_GROUP	5u
#define CONTROL_PASSWORD_SIZE	(CONTROL_PASSWORD_OCTETS + \
	CONTROL_PASSWORD_OCTETS / CONTROL_PASSWORD_GROUP)

static const struct control_scope {
	const char	*name;
	uint8_t		 bits;
} control_scopes[] = {
	{ "all", CREDENTIAL_SCOPE_ALL },
	{ "no-relay", CREDENTIAL_SCOPE_ALL | CREDENTIAL_NO_RELAY },
	{ "smtp", CREDENTIAL_SMTP },
	{ "pop", CREDENTIAL_POP },
};
#define CONTROL_SCOPES (sizeof(control_scopes) / sizeof(control_scopes[0]))

static const char *
control_scope_name(uint8_t bits)
{
	for (size_t i = 0; i < CONTROL_SCOPES; i++)
		if (control_scopes[i].bits == bits)
			return control_scopes[i].name;
	return "none";
}

/* "scope" and "expires_s" of a new credential. */
static int
control_take_credential(struct control_job *j, struct user_credential *c)
{
	const char *scope = control_arg(j->args, "scope");
	uint64_t expires_s = 0;
	size_t i = 0;

	if (control_take_number(j, "expires_s", INT64_MAX, &expires_s) != 0)
		return ERR_FORMAT;
	c->expires_s = (int64_t)expires_s;
	if (c->expires_s != 0 && c->expires_s <= j->now_s)
		return err_set(&j->err, ERR_FORMAT,
		    "expires_s: that time is over");
	while (scope != NULL && i < CONTROL_SCOPES &&
	    strcmp(control_scopes[i].name, scope) != 0)
		i++;
	if (i == CONTROL_SCOPES)
		return err_set(&j->err, ERR_FORMAT,
		    "scope: all, smtp, pop or no-relay is wanted");
	c->scope = control_scopes[i].bits;
	return 0;
}

static int
control_make_password(struct control_job *j)
{
	uint8_t random[CONTROL_PASSWORD_OCTETS];
	char text[CONTROL_PASSWORD_SIZE];
	size_t n = 0;
	int r = 0;

	if (RAND_bytes(random, sizeof(random)) != 1)
		return err_set(&j->err, ERR_NOMEM, "no randomness");
	for (size_t i = 0; i < sizeof(random); i++) {
		if (i > 0 && i % CONTROL_PASSWORD_GROUP == 0)
			text[n++] = '-';
		text[n++] = control_alphabet[random[i] % 32];
	}
	text[n] = '\0';
	if ((j->password = strdup(text)) == NULL)
		r = err_set(&j->err, ERR_NOMEM, "no memory");
	explicit_bzero(random, sizeof(random));
	explicit_bzero(text, sizeof(text));
	return r;
}

/* A label is one credential's, whatever its kind. */
static struct user_credential *
control_new_credential(struct control_job *j, struct user_record *rec,
    enum credential_kind kind)
{
	struct user_credential *c;

	if (user_credential_find(rec, CREDENTIAL_PASSWORD, j->label) != NULL ||
	    user_credential_find(rec, CREDENTIAL_CERTIFICATE,
	    j->label) != NULL) {
		err_set(&j->err, ERR_EXISTS, "%s has a credential %s already",
		    j->user, j->label);
		return NULL;
	}
	c = user_credential_add(rec, kind, j->label);
	if (c == NULL)
		err_set(&j->err, ERR_LIMIT, "%s has %u credentials already: "
		    "delete one first", j->user, RECORD_CREDENTIALS_MAX);
	return c;
}

/* What he was given is of no use where nobody is asked for it. */
static void
control_warn_unless_offered(struct control_job *j, uint32_t mechanisms,
    const char *names)
{
	uint32_t offered = 0;

	for (size_t l = 0; l < conf_listener_count(j->conf); l++)
		offered |= conf_mechanisms(j->conf, l);
	if ((offered & mechanisms) == 0)
		control_job_warn(j, "nobody can log in by it yet: put %s into "
		    "mechanisms (submitd.conf(5)) and reload", names);
}

static json_t *
control_credential_json(const struct user_credential *c)
{
	char hex[2 * RECORD_KEY + 1];
	json_t *o;

	o = json_pack("{s:s, s:s, s:I}", "label", c->label,
	    "scope", control_scope_name(c->scope),
	    "created_s", (json_int_t)c->created_s);
	if (c->expires_s != 0)
		(void)json_object_set_new(o, "expires_s",
		    json_integer(c->expires_s));
	if (c->kind == CREDENTIAL_CERTIFICATE) {
		str_hex(hex, c->stored_key, RECORD_KEY);
		(void)json_object_set_new(o, "sha256", json_string(hex));
		return o;
	}
	(void)json_object_set_new(o, "scram", json_boolean(c->keys != 0));
	if (c->keys != 0)
		(void)json_object_set_new(o, "iterations",
		    json_integer(c->iterations));
	return o;
}

/* What a credential's verb answers with. */
static void
control_credential_say(struct control_job *j, struct user_record *rec,
    enum credential_kind kind)
{
	const struct user_credential *c;

	c = user_credential_find(rec, kind, j->label);
	json_object_clear(j->last);
	if (c != NULL)
		(void)json_object_update_new(j->last,
		    control_credential_json(c));
	control_job_set(j, "user", json_string(j->user));
	control_job_set(j, "label", json_string(j->label));
}

static int
control_edit_add(void *ctx, struct user_record *rec)
{
	struct control_job *j = ctx;
	struct user_credential *c;
	int r;

	c = control_new_credential(j, rec, CREDENTIAL_PASSWORD);
	if (c == NULL)
		return j->err.code;
	if ((r = control_take_credential(j, c)) != 0)
		return r;
	return control_set_keys(j, rec, c);
}

int
control_credential_add(struct control_job *j)
{
	struct user_record rec;
	bool made = j->password == NULL;
	int r;

	if (made && (r = control_make_password(j)) != 0)
		return r;
	if ((r = control_make_keys(j)) != 0 ||
	    (r = control_edit(j, control_edit_add, false, &rec)) != 0)
		return r;
	control_credential_say(j, &rec, CREDENTIAL_PASSWORD);
	record_user_clear(&rec);
	if (made)
		control_job_set(j, "password", json_string(j->password));
	return 0;
}

static int
control_remove(struct control_job *j, struct user_record *rec,
    enum credential_kind kind)
{
	struct user_credential *c = user_credential_find(rec, kind, j->label);

	if (c == NULL)
		return err_set(&j->err, ERR_NOTFOUND, "%s has no %s %s",
		    j->user, kind == CREDENTIAL_PASSWORD ? "credential" :
		    "certificate", j->label);
	user_credential_remove(rec, c);
	rec->changed_s = j->now_s;
	return 0;
}

static int
control_edit_delete(void *ctx, struct user_record *rec)
{
	return control_remove(ctx, rec, CREDENTIAL_PASSWORD);
}

/* His grants need no look: one that hangs on what is gone does not hold. */
int
control_credential_delete(struct control_job *j)
{
	struct user_record rec;
	int r;

	j->kick = true;
	if ((r = control_edit(j, control_edit_delete, false, &rec)) != 0)
		return r;
	control_credential_say(j, &rec, CREDENTIAL_PASSWORD);
	record_user_clear(&rec);
	return 0;
}

static int
control_credentials(struct control_job *j, enum credential_kind kind)
{
	const struct user_credential *c;
	struct user_record rec;
	json_t *o;
	int r;

	r = userdb_get(j->core->userdb, j->user, &rec, &j->err);
	if (r != 0)
		return r;
	for (unsigned int i = 0; i < rec.n_credentials; i++) {
		c = &rec.credentials[i];
		if (c->kind != kind)
			continue;
		o = control_credential_json(c);
		control_put_login(j, o, c->label[0] == '\0' ? PLACESDB_MAIN :
		    c->label, c->created_s, "last_use");
		(void)json_array_append_new(j->records, o);
	}
	record_user_clear(&rec);
	return 0;
}

int
control_credential_list(struct control_job *j)
{
	return control_credentials(j, CREDENTIAL_PASSWORD);
}

/* ----------------------------------------------------------- certificates -- */

static int
control_take_sha256(struct control_job *j, uint8_t ret[RECORD_KEY])
{
	const char *hex = control_arg(j->args, "sha256");

	if (hex == NULL || str_hex_decode(ret, RECORD_KEY, hex) != 0)
		return err_set(&j->err, ERR_FORMAT, "sha256: the 64 "
		    "hexadecimal digits of the certificate's SHA-256 are "
		    "wanted");
	return 0;
}

static int
control_edit_certificate(void *ctx, struct user_record *rec)
{
	struct control_job *j = ctx;
	uint64_t generation = control_generation(rec);
	struct user_credential *c;
	int r;

	c = control_new_credential(j, rec, CREDENTIAL_CERTIFICATE);
	if (c == NULL)
		return j->err.code;
	if ((r = control_take_credential(j, c)) != 0 ||
	    (r = control_take_sha256(j, c->stored_key)) != 0)
		return r;
	c->created_s = j->now_s;
	c->generation = generation;
	rec->changed_s = j->now_s;
	return 0;
}

int
control_certificate_add(struct control_job *j)
{
	struct user_record rec;
	int r;

	r = control_edit(j, control_edit_certificate, false, &rec);
	if (r != 0)
		return r;
	control_credential_say(j, &rec, CREDENTIAL_CERTIFICATE);
	record_user_clear(&rec);
	control_warn_unless_offered(j, CONF_MECH_BIT(CONF_EXTERNAL),
	    "EXTERNAL");
	return 0;
}

static int
control_edit_no_certificate(void *ctx, struct user_record *rec)
{
	return control_remove(ctx, rec, CREDENTIAL_CERTIFICATE);
}

int
control_certificate_delete(struct control_job *j)
{
	struct user_record rec;
	int r;

	j->kick = true;
	r = control_edit(j, control_edit_no_certificate, false, &rec);
	if (r != 0)
		return r;
	control_credential_say(j, &rec, CREDENTIAL_CERTIFICATE);
	record_user_clear(&rec);
	return 0;
}

int
control_certificate_list(struct control_job *j)
{
	return control_credentials(j, CREDENTIAL_CERTIFICATE);
}

/* ---------------------------------------------------------------- secrets -- */

static int
control_edit_secret(void *ctx, struct user_record *rec)
{
	struct control_job *j = ctx;
	int n;

	n = seal_make(j->core->keys.secret, j->user, j->password,
	    strlen(j->password), rec->secret);
	if (n < 0)
		return err_set(&j->err, n, n == ERR_LIMIT ?
		    "the secret is longer than 255 octets" : "no memory");
	rec->secret_len = (uint16_t)n;
	rec->secret_generation = control_generation(rec);
	rec->changed_s = j->now_s;
	return 0;
}

int
control_secret_add(struct control_job *j)
{
	int r = control_edit(j, control_edit_secret, false, NULL);

	if (r == 0)
		control_warn_unless_offered(j, CONF_MECH_BIT(CONF_CRAM_MD5) |
		    CONF_MECH_BIT(CONF_APOP), "CRAM-MD5 or APOP");
	return r;
}

static int
control_edit_no_secret(void *ctx, struct user_record *rec)
{
	struct control_job *j = ctx;

	if (rec->secret_len == 0)
		return err_set(&j->err, ERR_NOTFOUND, "%s has no secret",
		    j->user);
	explicit_bzero(rec->secret, sizeof(rec->secret));
	rec->secret_len = 0;
	rec->changed_s = j->now_s;
	return 0;
}

int
control_secret_delete(struct control_job *j)
{
	j->kick = true;
	return control_edit(j, control_edit_no_secret, false, NULL);
}

int
control_secret_list(struct control_job *j)
{
	struct user_record rec;
	int r;

	r = userdb_get(j->core->userdb, j->user, &rec, &j->err);
	if (r != 0)
		return r;
	if (rec.secret_len > 0)
		(void)json_array_append_new(j->records, json_pack(
		    "{s:s, s:I}", "user", j->user, "set_s",
		    (json_int_t)(rec.secret_generation / 1000000)));
	record_user_clear(&rec);
	return 0;
}

/* ------------------------------------------------------ acting for others -- */

static void
control_allow_as_say(struct control_job *j)
{
	control_job_set(j, "user", json_string(j->user));
	control_job_set(j, "other", json_string(j->other));
}

int
control_allow_as_add(struct control_job *j)
{
	control_allow_as_say(j);
	return userdb_allow_as_add(j->core->userdb, j->user, j->other,
	    &j->err);
}

int
control_allow_as_delete(struct control_job *j)
{
	j->kick = true;
	control_allow_as_say(j);
	return userdb_allow_as_delete(j->core->userdb, j->user, j->other,
	    &j->err);
}

int
control_allow_as_list(struct control_job *j)
{
	char other[MAILBOX_SIZE] = "";
	struct user_record rec;
	bool more = true;
	int r;

	r = userdb_get(j->core->userdb, j->user, &rec, &j->err);
	if (r != 0)
		return r;
	record_user_clear(&rec);
	if (str_copy(other, sizeof(other), j->after) != 0)
		return err_set(&j->err, ERR_FORMAT,
		    "after: not what \"next\" said");
	while (more && (r = userdb_allow_as_next(j->core->userdb, j->user,
	    other, &j->err)) == 0)
		more = control_page_put(j, json_pack("{s:s, s:s}",
		    "user", j->user, "other", other), other);
	return r == ERR_NOTFOUND ? 0 : r;
}
