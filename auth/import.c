/*
 * import.c - what an imported line makes of a user. Runs in authd-core, on pool
 * threads. It must never store a password, nor set back keys that a user got
 * since his hash was imported: `import_id` in his record says what was.
 */
#include "config.h"

#include "auth/import.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "auth/hash.h"
#include "auth/scram.h"
#include "auth/seal.h"
#include "lib/clock.h"
#include "lib/str.h"

void
import_user_clear(struct import_user *u)
{
	explicit_bzero(u, sizeof(*u));
}

static int
import_digest(const void *p, size_t len, uint8_t ret[RECORD_KEY])
{
	return EVP_Digest(p, len, ret, NULL, EVP_sha256(), NULL) == 1 ? 0 :
	    ERR_NOMEM;
}

/* --------------------------------------------------------- the password -- */

/* Has he this password already, or had he it when it was imported? Its keys at
 * u->keys are those of the configured count of iterations. */
static bool
import_is_same_password(struct import_user *u, const char *password,
    const struct user_record *was)
{
	const struct user_credential *c = &was->credentials[0];
	struct user_credential k = { 0 };
	size_t len = strlen(password);
	bool same;

	if (memcmp(was->import_id, u->import_id, RECORD_KEY) == 0)
		return true;
	if (was->hash[0] != '\0')
		return hash_check(was->hash, password, len) == 0;
	if (was->n_credentials == 0 || c->kind != CREDENTIAL_PASSWORD ||
	    c->label[0] != '\0' || c->keys == 0)
		return false;
	same = scram_set_keys(&k, password, len, was->salt, was->salt_len,
	    c->iterations, (c->keys & CREDENTIAL_SHA1) != 0) == 0 &&
	    ((c->keys & CREDENTIAL_SHA256) != 0 ?
	    memcmp(k.stored_key, c->stored_key, RECORD_KEY) == 0 :
	    memcmp(k.stored_key1, c->stored_key1, RECORD_KEY1) == 0);
	explicit_bzero(&k, sizeof(k));
	return same;
}

/* The keys of a password that is given in clear. `was`: the user as he is, or
 * NULL. The salt of his keys stays, whatever the password. */
static int
import_take_password(const struct import_ctx *c, struct import_user *u,
    const char *given, const struct user_record *was, struct err *reterr)
{
	char *password;
	int r;

	r = scram_prepare(given, strlen(given), true, &password, reterr);
	if (r != 0)
		return r;
	u->has_password = true;
	if (was != NULL && was->salt_len > 0) {
		memcpy(u->salt, was->salt, was->salt_len);
		u->salt_len = was->salt_len;
	} else if (scram_salt_of(c->core->keys.fake, u->in.user,
	    u->salt) == 0) {
		u->salt_len = SCRAM_SALT;
	}
	/* A check of a new user needs no keys; one who stays needs none. */
	if ((was == NULL && c->check) || (was != NULL && !c->update)) {
		scram_free_password(password);
		return 0;
	}
	if (u->salt_len == 0 || scram_set_keys(&u->keys, password,
	    strlen(password), u->salt, u->salt_len,
	    (uint32_t)c->conf->scram_iterations, c->conf->scram_sha1) != 0 ||
	    import_digest(u->keys.stored_key, RECORD_KEY, u->import_id) != 0)
		r = err_set(reterr, ERR_NOMEM,
		    "the password could not be hashed");
	else if (was != NULL)
		u->same = import_is_same_password(u, password, was);
	scram_free_password(password);
	return r;
}

static int
import_take_scram(struct import_user *u, struct err *reterr)
{
	struct hash_scram s;
	int r;

	if ((r = hash_scram_parse(u->in.rec.hash, &s, reterr)) != 0) {
		u->unverifiable = true;
		return r;
	}
	u->keys.iterations = s.iterations;
	if (s.sha256) {
		u->keys.keys = CREDENTIAL_SHA256;
		memcpy(u->keys.stored_key, s.stored_key, RECORD_KEY);
		memcpy(u->keys.server_key, s.server_key, RECORD_KEY);
	} else {
		u->keys.keys = CREDENTIAL_SHA1;
		memcpy(u->keys.stored_key1, s.stored_key, RECORD_KEY1);
		memcpy(u->keys.server_key1, s.server_key, RECORD_KEY1);
	}
	memcpy(u->salt, s.salt, s.salt_len);
	u->salt_len = (uint8_t)s.salt_len;
	explicit_bzero(&s, sizeof(s));
	return 0;
}

static int
import_take_hash(const struct import_ctx *c, struct import_user *u,
    const struct user_record *was, struct err *reterr)
{
	static const uint8_t none[RECORD_KEY];
	char *text = u->in.rec.hash;
	const char *plain = hash_plain(text);
	int r;

	if (plain != NULL) {
		r = import_take_password(c, u, plain, was, reterr);
		explicit_bzero(text, sizeof(u->in.rec.hash));
		return r;
	}
	u->has_password = true;
	if (import_digest(text, strlen(text), u->import_id) != 0)
		return err_set(reterr, ERR_NOMEM, "no memory");
	if (was != NULL && memcmp(was->import_id, none, sizeof(none)) != 0)
		u->same = memcmp(was->import_id, u->import_id,
		    RECORD_KEY) == 0;
	if (hash_is_scram(text)) {
		r = import_take_scram(u, reterr);
		explicit_bzero(text, sizeof(u->in.rec.hash));
		return r;
	}
	r = hash_is_supported(text, reterr);
	u->unverifiable = r != 0;
	return r;
}

/* What a whole record has may need this root's keys. */
static int
import_prepare_whole(const struct import_ctx *c, struct import_user *u,
    struct err *reterr)
{
	struct user_record *r = &u->in.rec;
	char secret[SEAL_TEXT_MAX + 1];
	int code;

	if (r->hash[0] != '\0') {
		if (hash_plain(r->hash) != NULL || hash_is_scram(r->hash))
			return err_set(reterr, ERR_FORMAT, "credentials and "
			    "a hash that is keys or a password: give one");
		if ((code = hash_is_supported(r->hash, reterr)) != 0) {
			u->unverifiable = true;
			return code;
		}
	}
	if (r->secret_len == 0)
		return 0;
	code = seal_open(c->core->keys.secret, u->in.user, r->secret,
	    r->secret_len, secret);
	explicit_bzero(secret, sizeof(secret));
	if (code < 0) {
		u->secret_lost = true;
		r->secret_len = 0;
		r->secret_generation = 0;
	}
	return 0;
}

static int
import_prepare_line(const struct import_ctx *c, struct import_user *u,
    struct err *reterr)
{
	struct user_record was;
	int code, found;

	if ((u->in.given & IMPORT_WHOLE) != 0)
		return import_prepare_whole(c, u, reterr);
	found = userdb_get(c->core->userdb, u->in.user, &was, reterr);
	if (found != 0 && found != ERR_NOTFOUND)
		return found;
	code = 0;
	if (u->in.password != NULL)
		code = import_take_password(c, u, u->in.password,
		    found == 0 ? &was : NULL, reterr);
	else if (u->in.rec.hash[0] != '\0')
		code = import_take_hash(c, u, found == 0 ? &was : NULL,
		    reterr);
	if (found == 0)
		record_user_clear(&was);
	return code;
}

int
import_prepare(const struct import_ctx *c, json_t *line,
    struct import_user *ret, struct err *reterr)
{
	int r;

	memset(ret, 0, sizeof(*ret));
	if ((r = import_record_decode(line, &ret->in, reterr)) != 0)
		return r;
	r = import_prepare_line(c, ret, reterr);
	ret->in.password = NULL;
	return r;
}

/* ----------------------------------------------------------- the record -- */

static int
import_default_maildir(const struct import_ctx *c, const char *user,
    struct user_record *is, struct err *reterr)
{
	if (is->maildir[0] != '\0' || maildir_expand(c->conf->maildir, user,
	    is->maildir, sizeof(is->maildir)) == 0)
		return 0;
	return err_set(reterr, ERR_FORMAT, "the maildir template %s gives no "
	    "usable path for this name", c->conf->maildir);
}

static int
import_default_salt(const struct import_ctx *c, const char *user,
    struct user_record *is, struct err *reterr)
{
	if (is->salt_len > 0)
		return 0;
	if (scram_salt_of(c->core->keys.fake, user, is->salt) != 0)
		return err_set(reterr, ERR_NOMEM, "no memory");
	is->salt_len = SCRAM_SALT;
	return 0;
}

/* All other passwords of a user have keys under his one salt. */
static bool
import_salt_fits(const struct import_user *u, const struct user_record *is)
{
	if (is->salt_len == 0 || (is->salt_len == u->salt_len &&
	    memcmp(is->salt, u->salt, u->salt_len) == 0))
		return true;
	for (unsigned int i = 0; i < is->n_credentials; i++)
		if (is->credentials[i].label[0] != '\0' &&
		    is->credentials[i].keys != 0)
			return false;
	return true;
}

/* The main password becomes what the line has. */
static int
import_set_password(const struct import_ctx *c, struct import_user *u,
    struct user_record *is, struct err *reterr)
{
	struct user_credential *k;
	uint64_t now_us = (uint64_t)clock_now_us();

	if (u->keys.keys != 0 && !import_salt_fits(u, is))
		return err_set(reterr, ERR_EXISTS, "these keys have another "
		    "salt than his app passwords: delete those first");
	k = user_credential_find(is, CREDENTIAL_PASSWORD, "");
	if (k == NULL && (k = user_credential_add(is, CREDENTIAL_PASSWORD,
	    "")) == NULL)
		return err_set(reterr, ERR_LIMIT, "the user has %u credentials "
		    "already", RECORD_CREDENTIALS_MAX);
	user_credential_take_keys(k, &u->keys);
	k->created_s = c->now_s;
	k->expires_s = 0;
	k->generation = now_us > k->generation ? now_us : k->generation + 1;
	memcpy(is->import_id, u->import_id, RECORD_KEY);
	is->hash[0] = '\0';
	if (u->keys.keys == 0)
		return str_copy(is->hash, sizeof(is->hash), u->in.rec.hash);
	memcpy(is->salt, u->salt, sizeof(is->salt));
	is->salt_len = u->salt_len;
	return 0;
}

static void
import_set_settings(const struct import_user *u, struct user_record *is)
{
	const struct user_record *in = &u->in.rec;
	unsigned int given = u->in.given;

	is->flags = (is->flags & ~u->in.flags_given) |
	    (in->flags & u->in.flags_given);
	if (given & IMPORT_HAS_NOTE)
		memcpy(is->note, in->note, sizeof(is->note));
	if (given & IMPORT_HAS_MAILDIR)
		memcpy(is->maildir, in->maildir, sizeof(is->maildir));
	if (given & IMPORT_HAS_QUOTA)
		is->quota_octets = in->quota_octets;
	if (given & IMPORT_HAS_LIMITS)
		is->limits = in->limits;
	if (given & IMPORT_HAS_CLASS)
		memcpy(is->class, in->class, sizeof(is->class));
}

/* His hash became keys since it was exported: these stay. */
static void
import_keep_keys(const struct user_record *was, struct user_record *is)
{
	uint8_t id[RECORD_KEY];

	if (is->hash[0] == '\0' || was->hash[0] != '\0' ||
	    was->n_credentials == 0 || is->n_credentials == 0 ||
	    was->credentials[0].label[0] != '\0' ||
	    import_digest(is->hash, strlen(is->hash), id) != 0 ||
	    memcmp(id, was->import_id, RECORD_KEY) != 0)
		return;
	explicit_bzero(is->hash, sizeof(is->hash));
	is->credentials[0] = was->credentials[0];
	memcpy(is->salt, was->salt, sizeof(is->salt));
	is->salt_len = was->salt_len;
}

static int
import_merge_whole(const struct import_ctx *c, struct import_user *u,
    const struct user_record *was, struct user_record *is,
    struct err *reterr)
{
	int r;

	*is = u->in.rec;
	if (is->created_s == 0)
		is->created_s = was != NULL ? was->created_s : c->now_s;
	if (is->changed_s == 0)
		is->changed_s = c->now_s;
	if ((r = import_default_maildir(c, u->in.user, is, reterr)) != 0 ||
	    (r = import_default_salt(c, u->in.user, is, reterr)) != 0)
		return r;
	if (was == NULL)
		return 0;
	is->seq = was->seq;
	import_keep_keys(was, is);
	if (u->secret_lost) {
		memcpy(is->secret, was->secret, sizeof(is->secret));
		is->secret_len = was->secret_len;
		is->secret_generation = was->secret_generation;
	}
	return 0;
}

static int
import_merge_new(const struct import_ctx *c, struct import_user *u,
    struct user_record *is, struct err *reterr)
{
	int r;

	if (!u->has_password)
		return err_set(reterr, ERR_FORMAT, "there is no such user, and "
		    "neither a password nor a hash to add him with");
	if (u->keys.keys == 0 && u->in.rec.hash[0] == '\0' && !c->check)
		return err_set(reterr, ERR_AWAY, "he was deleted just now: "
		    "run the import again");
	is->flags = USER_FLAGS_NEW;
	is->created_s = is->changed_s = c->now_s;
	import_set_settings(u, is);
	if ((r = import_default_maildir(c, u->in.user, is, reterr)) != 0 ||
	    (r = import_set_password(c, u, is, reterr)) != 0)
		return r;
	return import_default_salt(c, u->in.user, is, reterr);
}

static bool
import_is_equal(const struct user_record *was, const struct user_record *is)
{
	uint8_t a[RECORD_MAX], b[RECORD_MAX];
	struct user_record r = *is;
	int n;
	bool equal;

	r.changed_s = was->changed_s;
	n = record_user_encode(was, a, sizeof(a));
	equal = n > 0 && record_user_encode(&r, b, sizeof(b)) == n &&
	    memcmp(a, b, (size_t)n) == 0;
	explicit_bzero(a, sizeof(a));
	explicit_bzero(b, sizeof(b));
	record_user_clear(&r);
	return equal;
}

static int
import_merge_record(const struct import_ctx *c, struct import_user *u,
    const struct user_record *was, struct user_record *is,
    struct err *reterr)
{
	if ((u->in.given & IMPORT_WHOLE) != 0)
		return import_merge_whole(c, u, was, is, reterr);
	if (was == NULL)
		return import_merge_new(c, u, is, reterr);
	import_set_settings(u, is);
	is->changed_s = c->now_s;
	return u->has_password && !u->same ?
	    import_set_password(c, u, is, reterr) : 0;
}

/* Somebody may be logged in with what he has no more. */
static bool
import_took_away(const struct import_ctx *c, const struct user_record *was,
    const struct user_record *is)
{
	for (unsigned int i = 0; i < was->n_credentials; i++)
		if (user_credential_is_live(&was->credentials[i], c->now_s) &&
		    !user_record_holds(is, was->credentials[i].generation,
		    c->now_s))
			return true;
	return was->secret_len > 0 && !user_record_holds(is,
	    was->secret_generation, c->now_s);
}

int
import_merge(const struct import_ctx *c, struct import_user *u,
    const struct user_record *was, struct user_record *is,
    struct err *reterr)
{
	int r;

	if ((u->in.given & IMPORT_CONTINUES) != 0) {
		if (was != NULL)
			return USERDB_BATCH_SAME;
		return c->check ? USERDB_BATCH_KEEP : err_set(reterr,
		    ERR_NOTFOUND, "there is no user whose line this continues");
	}
	if (was != NULL && !c->update)
		return USERDB_BATCH_KEEP;
	if ((r = import_merge_record(c, u, was, is, reterr)) != 0)
		return r;
	if (was == NULL)
		return USERDB_BATCH_PUT;
	u->shut_out = (is->flags & USER_DISABLED) != 0 &&
	    (was->flags & USER_DISABLED) == 0;
	u->took_away = import_took_away(c, was, is);
	return import_is_equal(was, is) ? USERDB_BATCH_SAME :
	    USERDB_BATCH_PUT;
}
