/*
 * record.c - encoding and decoding of what is stored. Pure: no Berkeley DB, no
 * system calls. A record of a version we do not know is ERR_CORRUPT, never
 * guessed at.
 */
#include "config.h"

#include "db/record.h"

#include <string.h>

#include "db/fields.h"
#include "lib/err.h"
#include "lib/str.h"

static bool
record_credential_is_sane(const struct user_credential *c, bool first)
{
	bool keyed = c->keys != 0;

	return c->kind >= CREDENTIAL_PASSWORD &&
	    c->kind < CREDENTIAL_KIND__END &&
	    (c->scope & CREDENTIAL_SCOPE_ALL) != 0 &&
	    (c->scope & ~(CREDENTIAL_SCOPE_ALL | CREDENTIAL_NO_RELAY)) == 0 &&
	    (c->keys & ~CREDENTIAL_KEYS_ALL) == 0 &&
	    (c->label[0] != '\0' || first) && c->generation != 0 &&
	    (keyed ? c->kind == CREDENTIAL_PASSWORD &&
	    c->iterations >= RECORD_ITERATIONS_MIN &&
	    c->iterations <= RECORD_ITERATIONS_MAX : c->iterations == 0);
}

static bool
record_user_is_sane(const struct user_record *r)
{
	if ((r->flags & ~(uint32_t)USER_FLAGS_ALL) != 0 ||
	    r->salt_len > RECORD_SALT_MAX ||
	    r->secret_len > RECORD_SECRET_MAX ||
	    r->n_credentials > RECORD_CREDENTIALS_MAX ||
	    (r->hash[0] != '\0' && (r->n_credentials == 0 ||
	    r->credentials[0].label[0] != '\0')))
		return false;
	for (unsigned int i = 0; i < r->n_credentials; i++)
		if (!record_credential_is_sane(&r->credentials[i], i == 0))
			return false;
	return true;
}

static void
record_put_credential(struct fields_out *o, const struct user_credential *c)
{
	fields_put_u(o, c->kind, 1);
	fields_put_u(o, c->scope, 1);
	fields_put_u(o, c->keys, 1);
	fields_put_str(o, c->label, sizeof(c->label), 2);
	fields_put_u(o, (uint64_t)c->created_s, 8);
	fields_put_u(o, (uint64_t)c->expires_s, 8);
	fields_put_u(o, c->generation, 8);
	fields_put_u(o, c->iterations, 4);
	if (c->kind == CREDENTIAL_CERTIFICATE || (c->keys & CREDENTIAL_SHA256))
		fields_put(o, c->stored_key, sizeof(c->stored_key));
	if (c->keys & CREDENTIAL_SHA256)
		fields_put(o, c->server_key, sizeof(c->server_key));
	if (c->keys & CREDENTIAL_SHA1) {
		fields_put(o, c->stored_key1, sizeof(c->stored_key1));
		fields_put(o, c->server_key1, sizeof(c->server_key1));
	}
}

static void
record_get_credential(struct fields_in *in, struct user_credential *c)
{
	c->kind = (uint8_t)fields_get_u(in, 1);
	c->scope = (uint8_t)fields_get_u(in, 1);
	c->keys = (uint8_t)fields_get_u(in, 1);
	fields_get_str(in, c->label, sizeof(c->label), 2);
	c->created_s = (int64_t)fields_get_u(in, 8);
	c->expires_s = (int64_t)fields_get_u(in, 8);
	c->generation = fields_get_u(in, 8);
	c->iterations = (uint32_t)fields_get_u(in, 4);
	if (c->kind == CREDENTIAL_CERTIFICATE || (c->keys & CREDENTIAL_SHA256))
		fields_get(in, c->stored_key, sizeof(c->stored_key));
	if (c->keys & CREDENTIAL_SHA256)
		fields_get(in, c->server_key, sizeof(c->server_key));
	if (c->keys & CREDENTIAL_SHA1) {
		fields_get(in, c->stored_key1, sizeof(c->stored_key1));
		fields_get(in, c->server_key1, sizeof(c->server_key1));
	}
}

static void
record_put_limits(struct fields_out *o, const struct user_limits *l)
{
	fields_put_u(o, l->messages_hour, 4);
	fields_put_u(o, l->messages_day, 4);
	fields_put_u(o, l->recipients_hour, 4);
	fields_put_u(o, l->recipients_day, 4);
	fields_put_u(o, l->message_octets, 8);
}

static void
record_get_limits(struct fields_in *in, struct user_limits *l)
{
	l->messages_hour = (uint32_t)fields_get_u(in, 4);
	l->messages_day = (uint32_t)fields_get_u(in, 4);
	l->recipients_hour = (uint32_t)fields_get_u(in, 4);
	l->recipients_day = (uint32_t)fields_get_u(in, 4);
	l->message_octets = fields_get_u(in, 8);
}

int
record_user_encode(const struct user_record *r, uint8_t *dst, size_t size)
{
	struct fields_out o = { .p = dst, .size = size };

	if (!record_user_is_sane(r))
		return ERR_LIMIT;
	fields_put_u(&o, RECORD_USER_VERSION, 1);
	fields_put_u(&o, r->flags, 4);
	fields_put_u(&o, r->seq, 8);
	fields_put_u(&o, (uint64_t)r->created_s, 8);
	fields_put_u(&o, (uint64_t)r->changed_s, 8);
	fields_put_u(&o, r->salt_len, 1);
	fields_put(&o, r->salt, r->salt_len);
	fields_put_str(&o, r->hash, sizeof(r->hash), 2);
	fields_put(&o, r->import_id, sizeof(r->import_id));
	fields_put_u(&o, r->secret_len, 2);
	fields_put(&o, r->secret, r->secret_len);
	fields_put_u(&o, r->secret_generation, 8);
	fields_put_str(&o, r->class, sizeof(r->class), 1);
	record_put_limits(&o, &r->limits);
	fields_put_u(&o, r->quota_octets, 8);
	fields_put_str(&o, r->note, sizeof(r->note), 2);
	fields_put_str(&o, r->maildir, sizeof(r->maildir), 2);
	fields_put_u(&o, r->n_credentials, 1);
	for (unsigned int i = 0; i < r->n_credentials; i++)
		record_put_credential(&o, &r->credentials[i]);
	return fields_out_end(&o);
}

/* What the first version held: one password, and flags for submission and
 * POP3 alone. */
static void
record_get_user1(struct fields_in *in, struct user_record *ret)
{
	struct user_credential *c = &ret->credentials[0];

	ret->flags = (uint32_t)fields_get_u(in, 4);
	if ((ret->flags & ~(uint32_t)(USER_DISABLED | USER_MAY_SUBMIT |
	    USER_MAY_POP)) != 0)
		in->bad = true;
	ret->flags |= USER_MAY_OPEN_RELAY | USER_MAY_USE_RELAY;
	c->generation = fields_get_u(in, 8);
	ret->seq = fields_get_u(in, 8);
	ret->created_s = (int64_t)fields_get_u(in, 8);
	ret->changed_s = (int64_t)fields_get_u(in, 8);
	c->kind = CREDENTIAL_PASSWORD;
	c->scope = CREDENTIAL_SCOPE_ALL;
	c->keys = CREDENTIAL_SHA256;
	c->created_s = ret->created_s;
	c->iterations = (uint32_t)fields_get_u(in, 4);
	ret->salt_len = RECORD_SALT;
	fields_get(in, ret->salt, RECORD_SALT);
	fields_get(in, c->stored_key, sizeof(c->stored_key));
	fields_get(in, c->server_key, sizeof(c->server_key));
	fields_get_str(in, ret->note, sizeof(ret->note), 2);
	fields_get_str(in, ret->maildir, sizeof(ret->maildir), 2);
	ret->n_credentials = 1;
}

/* The second version knew no classes. */
static void
record_get_user(struct fields_in *in, uint64_t version,
    struct user_record *ret)
{
	ret->flags = (uint32_t)fields_get_u(in, 4);
	ret->seq = fields_get_u(in, 8);
	ret->created_s = (int64_t)fields_get_u(in, 8);
	ret->changed_s = (int64_t)fields_get_u(in, 8);
	ret->salt_len = (uint8_t)fields_get_u(in, 1);
	if (ret->salt_len <= sizeof(ret->salt))
		fields_get(in, ret->salt, ret->salt_len);
	fields_get_str(in, ret->hash, sizeof(ret->hash), 2);
	fields_get(in, ret->import_id, sizeof(ret->import_id));
	ret->secret_len = (uint16_t)fields_get_u(in, 2);
	if (ret->secret_len <= sizeof(ret->secret))
		fields_get(in, ret->secret, ret->secret_len);
	ret->secret_generation = fields_get_u(in, 8);
	if (version > 2)
		fields_get_str(in, ret->class, sizeof(ret->class), 1);
	record_get_limits(in, &ret->limits);
	ret->quota_octets = fields_get_u(in, 8);
	fields_get_str(in, ret->note, sizeof(ret->note), 2);
	fields_get_str(in, ret->maildir, sizeof(ret->maildir), 2);
	ret->n_credentials = (uint8_t)fields_get_u(in, 1);
	for (unsigned int i = 0; i < ret->n_credentials &&
	    i < RECORD_CREDENTIALS_MAX; i++)
		record_get_credential(in, &ret->credentials[i]);
}

int
record_user_decode(const void *p, size_t len, struct user_record *ret)
{
	struct fields_in in = { .p = p, .left = len };
	uint64_t version = fields_get_u(&in, 1);

	memset(ret, 0, sizeof(*ret));
	if (version == 1)
		record_get_user1(&in, ret);
	else if (version >= 2 && version <= RECORD_USER_VERSION)
		record_get_user(&in, version, ret);
	else
		return ERR_CORRUPT;
	if (in.bad || in.left != 0 || !record_user_is_sane(ret)) {
		record_user_clear(ret);
		return ERR_CORRUPT;
	}
	return 0;
}

struct user_credential *
user_credential_find(struct user_record *r, enum credential_kind kind,
    const char *label)
{
	for (unsigned int i = 0; i < r->n_credentials; i++)
		if (r->credentials[i].kind == kind &&
		    strcmp(r->credentials[i].label, label) == 0)
			return &r->credentials[i];
	return NULL;
}

struct user_credential *
user_certificate_find(struct user_record *r,
    const uint8_t fingerprint[RECORD_KEY])
{
	for (unsigned int i = 0; i < r->n_credentials; i++)
		if (r->credentials[i].kind == CREDENTIAL_CERTIFICATE &&
		    memcmp(r->credentials[i].stored_key, fingerprint,
		    RECORD_KEY) == 0)
			return &r->credentials[i];
	return NULL;
}

bool
user_credential_is_live(const struct user_credential *c, int64_t now_s)
{
	return c->expires_s == 0 || c->expires_s > now_s;
}

struct user_credential *
user_credential_add(struct user_record *r, enum credential_kind kind,
    const char *label)
{
	struct user_credential *c = r->credentials;

	if (r->n_credentials >= RECORD_CREDENTIALS_MAX ||
	    strlen(label) >= RECORD_LABEL_SIZE)
		return NULL;
	if (label[0] == '\0')
		memmove(c + 1, c, r->n_credentials * sizeof(*c));
	else
		c += r->n_credentials;
	r->n_credentials++;
	*c = (struct user_credential){ .kind = (uint8_t)kind,
	    .scope = CREDENTIAL_SCOPE_ALL };
	(void)str_copy(c->label, sizeof(c->label), label);
	return c;
}

bool
user_label_is_valid(const char *label)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t len = strspn(label, alphabet);

	return len > 0 && len < RECORD_LABEL_SIZE && label[len] == '\0';
}

void
user_credential_take_keys(struct user_credential *c,
    const struct user_credential *from)
{
	c->keys = from->keys;
	c->iterations = from->iterations;
	memcpy(c->stored_key, from->stored_key, sizeof(c->stored_key));
	memcpy(c->server_key, from->server_key, sizeof(c->server_key));
	memcpy(c->stored_key1, from->stored_key1, sizeof(c->stored_key1));
	memcpy(c->server_key1, from->server_key1, sizeof(c->server_key1));
}

void
user_credential_remove(struct user_record *r, struct user_credential *c)
{
	struct user_credential *end = r->credentials + r->n_credentials;

	memmove(c, c + 1, (size_t)(end - c - 1) * sizeof(*c));
	explicit_bzero(end - 1, sizeof(*end));
	r->n_credentials--;
}

bool
user_record_holds(const struct user_record *r, uint64_t generation,
    int64_t now_s)
{
	if (r->secret_len > 0 && r->secret_generation == generation)
		return true;
	for (unsigned int i = 0; i < r->n_credentials; i++)
		if (r->credentials[i].generation == generation)
			return user_credential_is_live(&r->credentials[i],
			    now_s);
	return false;
}

static bool
record_grant_is_sane(const struct grant_record *r)
{
	return r->bits >= 1 && r->bits <= 128 &&
	    r->protocol < GRANT_PROTO__END && r->source >= GRANT_POP &&
	    r->source < GRANT_SOURCE__END && r->granted_s >= 0 &&
	    r->login_s >= 0 && r->refreshed_s >= 0 && r->expires_s >= 0 &&
	    r->first_use_s >= 0 && r->last_use_s >= 0;
}

int
record_grant_encode(const struct grant_record *r, uint8_t *dst, size_t size)
{
	struct fields_out o = { .p = dst, .size = size };

	if (!record_grant_is_sane(r))
		return ERR_LIMIT;
	fields_put_u(&o, RECORD_GRANT_VERSION, 1);
	fields_put_u(&o, r->bits, 1);
	fields_put_u(&o, (uint64_t)r->granted_s, 8);
	fields_put_u(&o, (uint64_t)r->refreshed_s, 8);
	fields_put_u(&o, (uint64_t)r->expires_s, 8);
	fields_put_u(&o, r->generation, 8);
	fields_put_u(&o, r->uses, 8);
	fields_put_u(&o, r->protocol, 1);
	fields_put_u(&o, r->source, 1);
	fields_put_u(&o, r->tls ? 1 : 0, 1);
	fields_put_u(&o, (uint64_t)r->login_s, 8);
	fields_put_u(&o, (uint64_t)r->first_use_s, 8);
	fields_put_u(&o, (uint64_t)r->last_use_s, 8);
	fields_put_u(&o, r->messages, 8);
	fields_put_u(&o, r->recipients, 8);
	fields_put_u(&o, r->max_messages, 8);
	fields_put_u(&o, r->max_recipients, 8);
	return fields_out_end(&o);
}

/* What the second version added; of an older one nothing is known of uses. */
static void
record_get_grant2(struct fields_in *in, uint64_t version,
    struct grant_record *ret)
{
	if (version == 1) {
		ret->login_s = ret->refreshed_s;
		ret->first_use_s = ret->last_use_s = 0;
		ret->messages = ret->recipients = 0;
		ret->max_messages = ret->max_recipients = 0;
		return;
	}
	ret->login_s = (int64_t)fields_get_u(in, 8);
	ret->first_use_s = (int64_t)fields_get_u(in, 8);
	ret->last_use_s = (int64_t)fields_get_u(in, 8);
	ret->messages = fields_get_u(in, 8);
	ret->recipients = fields_get_u(in, 8);
	ret->max_messages = fields_get_u(in, 8);
	ret->max_recipients = fields_get_u(in, 8);
}

bool
record_grant_affords(const struct grant_record *r, uint64_t recipients)
{
	return (r->max_messages == 0 || r->messages < r->max_messages) &&
	    (r->max_recipients == 0 || (r->recipients < r->max_recipients &&
	    recipients <= r->max_recipients - r->recipients));
}

int
record_grant_decode(const void *p, size_t len, struct grant_record *ret)
{
	struct fields_in in = { .p = p, .left = len };
	uint64_t version = fields_get_u(&in, 1), tls;

	if (version < 1 || version > RECORD_GRANT_VERSION)
		return ERR_CORRUPT;
	ret->bits = (uint8_t)fields_get_u(&in, 1);
	ret->granted_s = (int64_t)fields_get_u(&in, 8);
	ret->refreshed_s = (int64_t)fields_get_u(&in, 8);
	ret->expires_s = (int64_t)fields_get_u(&in, 8);
	ret->generation = fields_get_u(&in, 8);
	ret->uses = fields_get_u(&in, 8);
	ret->protocol = (uint8_t)fields_get_u(&in, 1);
	ret->source = (uint8_t)fields_get_u(&in, 1);
	tls = fields_get_u(&in, 1);
	ret->tls = tls == 1;
	record_get_grant2(&in, version, ret);
	if (in.bad || in.left != 0 || tls > 1 || !record_grant_is_sane(ret))
		return ERR_CORRUPT;
	return 0;
}

int
record_grant_key_encode(const struct grant_record *r, uint8_t *dst,
    size_t size)
{
	struct fields_out o = { .p = dst, .size = size };
	size_t len = strnlen(r->user, sizeof(r->user));

	if (len == 0 || len == sizeof(r->user))
		return ERR_LIMIT;
	fields_put(&o, r->ip, sizeof(r->ip));
	fields_put(&o, r->user, len);
	return fields_out_end(&o);
}

int
record_grant_key_decode(const void *p, size_t len, struct grant_record *ret)
{
	const uint8_t *key = p;

	if (len <= sizeof(ret->ip) || len > RECORD_GRANT_KEY_MAX ||
	    memchr(key + sizeof(ret->ip), 0, len - sizeof(ret->ip)) != NULL)
		return ERR_CORRUPT;
	memcpy(ret->ip, key, sizeof(ret->ip));
	return str_copy_n(ret->user, sizeof(ret->user),
	    (const char *)key + sizeof(ret->ip), len - sizeof(ret->ip));
}

void
record_user_clear(struct user_record *r)
{
	explicit_bzero(r, sizeof(*r));
}
