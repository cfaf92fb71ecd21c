/*
 * import_record.c - a user as one line of JSON, both ways. Runs in authd-core,
 * on what an administrator's file says. It must never put a secret into an
 * error's text.
 */
#include "config.h"

#include "db/import_record.h"

#include <string.h>

#include "lib/str.h"

#define IMPORT_BLOB_MAX	RECORD_SECRET_MAX

struct import_member {
	const char	*key;
	int		(*take)(struct import_record *r, const json_t *v,
			    const struct import_member *m, struct err *reterr);
	size_t		 offset;	/* in the user_record */
	size_t		 size;		/* of what stands there */
	unsigned int	 given;		/* IMPORT_, or the flag of the user */
};

#define AT(m) offsetof(struct user_record, m), \
	    sizeof(((struct user_record *)NULL)->m)

static int
import_bad(const char *key, const char *wanted, struct err *reterr)
{
	return err_set(reterr, ERR_FORMAT, "\"%.40s\": %s is wanted", key,
	    wanted);
}

/* A number of 0 to 2^63-1 into an integer of `size` octets. */
static int
import_number(const json_t *v, const char *key, void *dst, size_t size,
    struct err *reterr)
{
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 0 ||
	    (size < 8 && n >= (json_int_t)1 << (8 * size)))
		return import_bad(key, "a number from 0 on", reterr);
	switch (size) {
	case 1:
		*(uint8_t *)dst = (uint8_t)n;
		break;
	case 2:
		*(uint16_t *)dst = (uint16_t)n;
		break;
	case 4:
		*(uint32_t *)dst = (uint32_t)n;
		break;
	default:
		*(uint64_t *)dst = (uint64_t)n;
	}
	return 0;
}

/* Base64 of at most `size` octets; their number, or ERR_FORMAT. */
static int
import_blob(const json_t *v, const char *key, void *dst, size_t size,
    struct err *reterr)
{
	uint8_t octets[IMPORT_BLOB_MAX];
	int n = ERR_FORMAT;

	if (json_is_string(v))
		n = str_b64_decode(octets, sizeof(octets),
		    json_string_value(v), json_string_length(v));
	if (n >= 0 && (size_t)n <= size)
		memcpy(dst, octets, (size_t)n);
	else
		n = import_bad(key, "base64 of the right length", reterr);
	explicit_bzero(octets, sizeof(octets));
	return n;
}

static int
import_take_number(struct import_record *r, const json_t *v,
    const struct import_member *m, struct err *reterr)
{
	r->given |= m->given;
	return import_number(v, m->key, (char *)&r->rec + m->offset, m->size,
	    reterr);
}

static int
import_take_flag(struct import_record *r, const json_t *v,
    const struct import_member *m, struct err *reterr)
{
	if (!json_is_boolean(v))
		return import_bad(m->key, "true or false", reterr);
	r->flags_given |= m->given;
	r->rec.flags &= ~(uint32_t)m->given;
	if (json_is_true(v))
		r->rec.flags |= m->given;
	return 0;
}

/* Text for people and paths: no controls. */
static int
import_take_text(struct import_record *r, const json_t *v,
    const struct import_member *m, struct err *reterr)
{
	const char *s = json_string_value(v);

	if (s == NULL || str_copy((char *)&r->rec + m->offset, m->size,
	    s) != 0)
		return import_bad(m->key, "a text, not too long", reterr);
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return import_bad(m->key, "a text without controls",
			    reterr);
	r->given |= m->given;
	return 0;
}

/* Below mail_root, whatever stands in it. */
static int
import_take_maildir(struct import_record *r, const json_t *v,
    const struct import_member *m, struct err *reterr)
{
	const char *p;
	size_t len;
	int code;

	if ((code = import_take_text(r, v, m, reterr)) != 0)
		return code;
	for (p = r->rec.maildir; ; p += len + 1) {
		len = strcspn(p, "/");
		if (len == 0 || (len == 1 && p[0] == '.') ||
		    (len == 2 && memcmp(p, "..", 2) == 0))
			return import_bad(m->key, "a path below mail_root, "
			    "without . and ..", reterr);
		if (p[len] == '\0')
			return 0;
	}
}

static int
import_take_class(struct import_record *r, const json_t *v,
    const struct import_member *m, struct err *reterr)
{
	int code = import_take_text(r, v, m, reterr);

	if (code == 0 && r->rec.class[0] != '\0' &&
	    !user_label_is_valid(r->rec.class))
		code = import_bad(m->key, "a name of letters, digits, '.', "
		    "'_' and '-'", reterr);
	return code;
}

static int
import_take_salt(struct import_record *r, const json_t *v,
    const struct import_member *m, struct err *reterr)
{
	int n = import_blob(v, m->key, r->rec.salt, sizeof(r->rec.salt),
	    reterr);

	r->rec.salt_len = n > 0 ? (uint8_t)n : 0;
	return n < 0 ? n : 0;
}

static int
import_take_secret(struct import_record *r, const json_t *v,
    const struct import_member *m, struct err *reterr)
{
	int n = import_blob(v, m->key, r->rec.secret, sizeof(r->rec.secret),
	    reterr);

	r->rec.secret_len = n > 0 ? (uint16_t)n : 0;
	return n < 0 ? n : 0;
}

static int
import_take_import_id(struct import_record *r, const json_t *v,
    const struct import_member *m, struct err *reterr)
{
	if (import_blob(v, m->key, r->rec.import_id,
	    sizeof(r->rec.import_id), reterr) == (int)m->size)
		return 0;
	return import_bad(m->key, "base64 of 32 octets", reterr);
}

static int
import_take_password(struct import_record *r, const json_t *v,
    const struct import_member *m, struct err *reterr)
{
	if (!json_is_string(v))
		return import_bad(m->key, "a text", reterr);
	r->password = json_string_value(v);
	return 0;
}

static int
import_take_mark(struct import_record *r, const json_t *v,
    const struct import_member *m, struct err *reterr)
{
	if (!json_is_true(v))
		return import_bad(m->key, "true", reterr);
	r->given |= m->given;
	return 0;
}

/* ------------------------------------------------------------ addresses -- */

/* A canonical address; with `domains` also "@domain". */
static bool
import_is_address(const json_t *v, bool domains)
{
	const char *s = json_string_value(v);
	struct mailbox mb;
	char full[MAILBOX_SIZE];

	if (s == NULL)
		return false;
	if (domains && s[0] == '@') {
		if (str_format(full, sizeof(full), "x%s", s) != 0 ||
		    mailbox_parse(full, strlen(full), &mb) != 0)
			return false;
		return !mb.literal && strcmp(mb.canon, full) == 0;
	}
	return mailbox_parse(s, strlen(s), &mb) == 0 && !mb.literal &&
	    strcmp(mb.canon, s) == 0;
}

static int
import_addresses(const json_t *v, const char *key, bool domains,
    struct err *reterr)
{
	json_t *a;
	size_t i;

	if (!json_is_array(v))
		return import_bad(key, "a list of addresses", reterr);
	json_array_foreach(v, i, a)
		if (!import_is_address(a, domains))
			return err_set(reterr, ERR_FORMAT, "\"%s\": entry %zu "
			    "is no address in lower case", key, i + 1);
	return 0;
}

static int
import_take_aliases(struct import_record *r, const json_t *v,
    const struct import_member *m, struct err *reterr)
{
	r->aliases = v;
	r->given |= m->given;
	return import_addresses(v, m->key, true, reterr);
}

static int
import_take_allow_as(struct import_record *r, const json_t *v,
    const struct import_member *m, struct err *reterr)
{
	r->allow_as = v;
	r->given |= m->given;
	return import_addresses(v, m->key, false, reterr);
}

static int
import_take_user(struct import_record *r, const json_t *v,
    const struct import_member *m, struct err *reterr)
{
	if (!import_is_address(v, false))
		return import_bad(m->key, "an address NAME@DOMAIN in lower "
		    "case", reterr);
	return str_copy(r->user, sizeof(r->user), json_string_value(v));
}

/* --------------------------------------------------------------- limits -- */

static const struct {
	const char	*key;
	size_t		 offset, size;
} import_limits[] = {
	{ "messages_hour", AT(limits.messages_hour) },
	{ "messages_day", AT(limits.messages_day) },
	{ "recipients_hour", AT(limits.recipients_hour) },
	{ "recipients_day", AT(limits.recipients_day) },
	{ "message_octets", AT(limits.message_octets) },
};
#define IMPORT_LIMITS (sizeof(import_limits) / sizeof(import_limits[0]))

static int
import_take_limits(struct import_record *r, const json_t *v,
    const struct import_member *m, struct err *reterr)
{
	const json_t *n;
	size_t known = 0;
	int code;

	for (size_t i = 0; i < IMPORT_LIMITS; i++) {
		n = json_object_get(v, import_limits[i].key);
		if (n == NULL)
			continue;
		known++;
		code = import_number(n, import_limits[i].key, (char *)&r->rec +
		    import_limits[i].offset, import_limits[i].size, reterr);
		if (code != 0)
			return code;
	}
	if (!json_is_object(v) || known != json_object_size(v))
		return import_bad(m->key, "an object with messages_hour, "
		    "messages_day, recipients_hour, recipients_day, "
		    "message_octets", reterr);
	r->given |= m->given;
	return 0;
}

/* ---------------------------------------------------------- credentials -- */

#define CRED(m) offsetof(struct user_credential, m), \
	    sizeof(((struct user_credential *)NULL)->m)

static const struct {
	const char	*key;
	size_t		 offset, size;
} import_times[] = {
	{ "created_s", CRED(created_s) }, { "expires_s", CRED(expires_s) },
	{ "generation", CRED(generation) }, { "iterations", CRED(iterations) },
}, import_keys[] = {
	{ "stored_key", CRED(stored_key) }, { "server_key", CRED(server_key) },
	{ "stored_key1", CRED(stored_key1) },
	{ "server_key1", CRED(server_key1) },
};

static const struct {
	const char	*name;
	uint8_t		 scope;
} import_scopes[] = {
	{ "all", CREDENTIAL_SCOPE_ALL },
	{ "no-relay", CREDENTIAL_SCOPE_ALL | CREDENTIAL_NO_RELAY },
	{ "smtp", CREDENTIAL_SMTP }, { "pop", CREDENTIAL_POP },
};

#define IMPORT_SCOPES (sizeof(import_scopes) / sizeof(import_scopes[0]))

static int
import_credential_keys(struct user_credential *c, const json_t *v,
    size_t *known, struct err *reterr)
{
	const json_t *k;
	bool has[4];

	for (size_t i = 0; i < 4; i++) {
		k = json_object_get(v, import_keys[i].key);
		has[i] = k != NULL;
		*known += has[i];
		if (has[i] && import_blob(k, import_keys[i].key, (char *)c +
		    import_keys[i].offset, import_keys[i].size, reterr) !=
		    (int)import_keys[i].size)
			return import_bad(import_keys[i].key,
			    "base64 of a key", reterr);
	}
	if (c->kind == CREDENTIAL_CERTIFICATE)
		return has[0] && !has[1] && !has[2] && !has[3] ? 0 :
		    import_bad("stored_key", "the certificate's alone", reterr);
	if (has[0] != has[1] || has[2] != has[3])
		return import_bad("server_key", "both keys or none", reterr);
	c->keys = (uint8_t)((has[0] ? CREDENTIAL_SHA256 : 0) |
	    (has[2] ? CREDENTIAL_SHA1 : 0));
	return 0;
}

static int
import_credential_label(struct user_credential *c, const json_t *v,
    struct err *reterr)
{
	const char *s = json_string_value(v);

	if (s == NULL || (s[0] != '\0' && !user_label_is_valid(s)) ||
	    str_copy(c->label, sizeof(c->label), s) != 0)
		return import_bad("label", "at most 32 letters, digits, '.', "
		    "'_' and '-'", reterr);
	return 0;
}

/* What it is and where it counts. */
static int
import_credential_kind(struct user_credential *c, const json_t *v,
    size_t *known, struct err *reterr)
{
	const char *kind = json_string_value(json_object_get(v, "kind"));
	const char *scope = json_string_value(json_object_get(v, "scope"));

	*known += kind != NULL;
	*known += scope != NULL;
	if (kind != NULL && strcmp(kind, "certificate") == 0)
		c->kind = CREDENTIAL_CERTIFICATE;
	else if (kind == NULL || strcmp(kind, "password") == 0)
		c->kind = CREDENTIAL_PASSWORD;
	else
		return import_bad("kind", "password or certificate", reterr);
	c->scope = scope == NULL ? CREDENTIAL_SCOPE_ALL : 0;
	for (size_t i = 0; i < IMPORT_SCOPES && scope != NULL; i++)
		if (strcmp(import_scopes[i].name, scope) == 0)
			c->scope = import_scopes[i].scope;
	if (c->scope == 0)
		return import_bad("scope", "all, smtp, pop or no-relay",
		    reterr);
	return 0;
}

static int
import_credential(struct user_credential *c, const json_t *v,
    struct err *reterr)
{
	const json_t *m;
	size_t known = 0;
	int r;

	if ((r = import_credential_kind(c, v, &known, reterr)) != 0)
		return r;
	for (size_t i = 0; i < 4; i++) {
		m = json_object_get(v, import_times[i].key);
		if (m == NULL)
			continue;
		known++;
		if ((r = import_number(m, import_times[i].key, (char *)c +
		    import_times[i].offset, import_times[i].size,
		    reterr)) != 0)
			return r;
	}
	if ((m = json_object_get(v, "label")) != NULL) {
		known++;
		if ((r = import_credential_label(c, m, reterr)) != 0)
			return r;
	}
	if ((r = import_credential_keys(c, v, &known, reterr)) != 0)
		return r;
	return known == json_object_size(v) ? 0 : err_set(reterr, ERR_FORMAT,
	    "a credential has a member that is not known here");
}

/* Labels tell a user's passwords apart; the main one has none and is first. */
static bool
import_labels_differ(const struct user_record *r)
{
	const struct user_credential *c = r->credentials;

	for (unsigned int i = 0; i < r->n_credentials; i++) {
		if (c[i].label[0] == '\0' && (i > 0 ||
		    c[i].kind != CREDENTIAL_PASSWORD))
			return false;
		for (unsigned int k = 0; k < i; k++)
			if (c[i].kind == c[k].kind &&
			    strcmp(c[i].label, c[k].label) == 0)
				return false;
	}
	return true;
}

#define IMPORT_GENERATION_MAX	(UINT64_MAX / 4)	/* in microseconds */

/* By generations tickets and grants know what they hang on: if two had the
 * same, taking one away would not be the end of what it had opened. There must
 * be higher ones for those that are still to come. */
static bool
import_generations_differ(const struct user_record *r)
{
	const struct user_credential *c = r->credentials;

	for (unsigned int i = 0; i < r->n_credentials; i++) {
		if (c[i].generation > IMPORT_GENERATION_MAX ||
		    (r->secret_len > 0 &&
		    c[i].generation == r->secret_generation))
			return false;
		for (unsigned int k = 0; k < i; k++)
			if (c[i].generation == c[k].generation)
				return false;
	}
	return r->secret_generation <= IMPORT_GENERATION_MAX &&
	    (r->secret_len == 0 || r->secret_generation > 0);
}

static int
import_take_credentials(struct import_record *r, const json_t *v,
    const struct import_member *m, struct err *reterr)
{
	json_t *c;
	size_t i;
	int code;

	if (!json_is_array(v) || json_array_size(v) > RECORD_CREDENTIALS_MAX)
		return import_bad(m->key, "a list of at most 24", reterr);
	json_array_foreach(v, i, c) {
		if (!json_is_object(c))
			return import_bad(m->key, "a list of objects",
			    reterr);
		if ((code = import_credential(&r->rec.credentials[i], c,
		    reterr)) != 0)
			return code;
	}
	r->rec.n_credentials = (uint8_t)json_array_size(v);
	r->given |= m->given;
	return import_labels_differ(&r->rec) ? 0 :
	    import_bad(m->key, "each label once", reterr);
}

/* ------------------------------------------------------------ the table -- */

static const struct import_member import_members[] = {
	{ "user", import_take_user, 0, 0, 0 },
	{ "password", import_take_password, 0, 0, 0 },
	{ "hash", import_take_text, AT(hash), 0 },
	{ "seq", import_take_number, AT(seq), 0 },
	{ "created_s", import_take_number, AT(created_s), 0 },
	{ "changed_s", import_take_number, AT(changed_s), 0 },
	{ "disabled", import_take_flag, 0, 0, USER_DISABLED },
	{ "sending_disabled", import_take_flag, 0, 0, USER_SENDING_DISABLED },
	{ "may_submit", import_take_flag, 0, 0, USER_MAY_SUBMIT },
	{ "may_pop", import_take_flag, 0, 0, USER_MAY_POP },
	{ "may_open_relay", import_take_flag, 0, 0, USER_MAY_OPEN_RELAY },
	{ "may_use_relay", import_take_flag, 0, 0, USER_MAY_USE_RELAY },
	{ "may_prioritise", import_take_flag, 0, 0, USER_MAY_PRIORITISE },
	{ "note", import_take_text, AT(note), IMPORT_HAS_NOTE },
	{ "maildir", import_take_maildir, AT(maildir), IMPORT_HAS_MAILDIR },
	{ "quota_octets", import_take_number, AT(quota_octets),
	  IMPORT_HAS_QUOTA },
	{ "class", import_take_class, AT(class), IMPORT_HAS_CLASS },
	{ "limits", import_take_limits, AT(limits), IMPORT_HAS_LIMITS },
	{ "salt", import_take_salt, AT(salt), 0 },
	{ "import_id", import_take_import_id, AT(import_id), 0 },
	{ "secret", import_take_secret, AT(secret), 0 },
	{ "secret_generation", import_take_number, AT(secret_generation), 0 },
	{ "credentials", import_take_credentials, AT(credentials),
	  IMPORT_WHOLE },
	{ "aliases", import_take_aliases, 0, 0, IMPORT_HAS_ALIASES },
	{ "allow_as", import_take_allow_as, 0, 0, IMPORT_HAS_ALLOW_AS },
	{ "continued", import_take_mark, 0, 0, IMPORT_CONTINUED },
	{ "continues", import_take_mark, 0, 0, IMPORT_CONTINUES },
	{ "allow_as_later", import_take_mark, 0, 0, IMPORT_ALLOW_AS_LATER },
};
#define IMPORT_MEMBERS (sizeof(import_members) / sizeof(import_members[0]))

static int
import_record_take(json_t *line, struct import_record *r,
    struct err *reterr)
{
	const struct import_member *m;
	const char *key;
	json_t *v;
	size_t i;
	int code;

	json_object_foreach(line, key, v) {
		for (i = 0; i < IMPORT_MEMBERS; i++)
			if (strcmp(import_members[i].key, key) == 0)
				break;
		if (i == IMPORT_MEMBERS)
			return err_set(reterr, ERR_FORMAT,
			    "\"%.40s\" is no member that is known here", key);
		m = &import_members[i];
		if ((code = m->take(r, v, m, reterr)) != 0)
			return code;
	}
	if (r->user[0] == '\0')
		return import_bad("user", "the user's address", reterr);
	if (!import_generations_differ(&r->rec))
		return import_bad("generation", "a number of its own for each "
		    "credential and the secret", reterr);
	if (r->password != NULL && r->rec.hash[0] != '\0')
		return import_bad("password", "a password or a hash", reterr);
	if (r->password != NULL && (r->given & IMPORT_WHOLE) != 0)
		return import_bad("password", "a password or credentials",
		    reterr);
	return 0;
}

int
import_record_decode(json_t *line, struct import_record *ret,
    struct err *reterr)
{
	int r;

	memset(ret, 0, sizeof(*ret));
	ret->rec.flags = USER_FLAGS_NEW;
	if (!json_is_object(line))
		return err_set(reterr, ERR_FORMAT, "no JSON object");
	if ((r = import_record_take(line, ret, reterr)) != 0)
		import_record_clear(ret);
	return r;
}

void
import_record_clear(struct import_record *r)
{
	explicit_bzero(r, sizeof(*r));
}

/* -------------------------------------------------------------- writing -- */

static void
import_put_blob(json_t *o, const char *key, const void *p, size_t len)
{
	char text[STR_B64_SIZE(IMPORT_BLOB_MAX)];

	if (str_b64_encode(text, sizeof(text), p, len) >= 0)
		(void)json_object_set_new_nocheck(o, key, json_string(text));
	explicit_bzero(text, sizeof(text));
}

static void
import_put_number(json_t *o, const char *key, uint64_t n)
{
	if (n != 0)
		(void)json_object_set_new_nocheck(o, key,
		    json_integer((json_int_t)n));
}

static void
import_put_text(json_t *o, const char *key, const char *s)
{
	if (s[0] != '\0')
		(void)json_object_set_new(o, key, json_string(s));
}

static uint64_t
import_get_number(const void *p, size_t size)
{
	return size == 4 ? *(const uint32_t *)p : *(const uint64_t *)p;
}

static void
import_put_limits(json_t *o, const struct user_record *rec)
{
	json_t *l = json_object();

	for (size_t i = 0; i < IMPORT_LIMITS; i++)
		import_put_number(l, import_limits[i].key,
		    import_get_number((const char *)rec +
		    import_limits[i].offset, import_limits[i].size));
	if (json_object_size(l) > 0)
		(void)json_object_set(o, "limits", l);
	json_decref(l);
}

static json_t *
import_credential_json(const struct user_credential *c)
{
	json_t *o = json_object();
	bool cert = c->kind == CREDENTIAL_CERTIFICATE;
	unsigned int bit;

	if (cert)
		(void)json_object_set_new(o, "kind",
		    json_string("certificate"));
	import_put_text(o, "label", c->label);
	for (size_t i = 1; i < IMPORT_SCOPES; i++)
		if (import_scopes[i].scope == c->scope)
			(void)json_object_set_new(o, "scope",
			    json_string(import_scopes[i].name));
	for (size_t i = 0; i < 4; i++)
		import_put_number(o, import_times[i].key,
		    import_get_number((const char *)c + import_times[i].offset,
		    import_times[i].size));
	for (size_t i = 0; i < 4; i++) {
		bit = i < 2 ? CREDENTIAL_SHA256 : CREDENTIAL_SHA1;
		if (cert ? i == 0 : (c->keys & bit) != 0)
			import_put_blob(o, import_keys[i].key,
			    (const char *)c + import_keys[i].offset,
			    import_keys[i].size);
	}
	return o;
}

static void
import_put_list(json_t *o, const char *key, json_t *list)
{
	if (json_array_size(list) > 0)
		(void)json_object_set(o, key, list);
	json_decref(list);
}

json_t *
import_record_encode(const char *user, const struct user_record *rec,
    json_t *aliases, json_t *allow_as)
{
	static const uint8_t none[sizeof(rec->import_id)];
	json_t *o = json_object(), *list = json_array();
	const struct import_member *m;

	import_put_text(o, "user", user);
	import_put_number(o, "seq", rec->seq);
	import_put_number(o, "created_s", (uint64_t)rec->created_s);
	import_put_number(o, "changed_s", (uint64_t)rec->changed_s);
	for (size_t i = 0; i < IMPORT_MEMBERS; i++) {
		m = &import_members[i];
		if (m->take == import_take_flag &&
		    ((rec->flags ^ USER_FLAGS_NEW) & m->given) != 0)
			(void)json_object_set_new_nocheck(o, m->key,
			    json_boolean((rec->flags & m->given) != 0));
	}
	import_put_text(o, "note", rec->note);
	import_put_text(o, "maildir", rec->maildir);
	import_put_number(o, "quota_octets", rec->quota_octets);
	import_put_text(o, "class", rec->class);
	import_put_limits(o, rec);
	import_put_blob(o, "salt", rec->salt, rec->salt_len);
	import_put_text(o, "hash", rec->hash);
	if (memcmp(rec->import_id, none, sizeof(none)) != 0)
		import_put_blob(o, "import_id", rec->import_id,
		    sizeof(rec->import_id));
	if (rec->secret_len > 0)
		import_put_blob(o, "secret", rec->secret, rec->secret_len);
	import_put_number(o, "secret_generation", rec->secret_generation);
	for (size_t i = 0; i < rec->n_credentials; i++)
		(void)json_array_append_new(list,
		    import_credential_json(&rec->credentials[i]));
	(void)json_object_set_new(o, "credentials", list);
	import_put_list(o, "aliases", aliases);
	import_put_list(o, "allow_as", allow_as);
	return o;
}
