/*
 * rekey.c - replaces imported hashes and outdated keys.
 *
 * Runs in authd-core: starts on the loop, works on a thread of its own, so that
 * no login waits for it. Holds a password only as long as it takes, zeroes it.
 * The credential's generation stays: tickets and grants hold on.
 */
#include "auth/rekey.h"

#include <stdlib.h>
#include <string.h>

#include "auth/scram.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/str.h"

#define REKEY_QUEUE_MAX	256u

struct rekey {
	struct core	*core;
	struct pool	*pool;		/* one thread */
};

struct rekey_job {
	struct rekey		*rekey;
	char			 user[MAILBOX_SIZE];
	uint64_t		 generation;
	uint32_t		 iterations;	/* wanted */
	bool			 sha1;		/* wanted */
	char			*password;
	struct user_credential	 keys;		/* new ones, and their salt */
	uint8_t			 salt[RECORD_SALT_MAX];
	uint8_t			 salt_len;
	struct user_record	 before, after;
};

struct rekey *
rekey_new(struct core *core)
{
	struct rekey *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return NULL;
	k->core = core;
	k->pool = pool_new(core->loop, 1, REKEY_QUEUE_MAX);
	if (k->pool == NULL) {
		free(k);
		return NULL;
	}
	return k;
}

void
rekey_free(struct rekey *k)
{
	if (k == NULL)
		return;
	pool_free(k->pool);
	free(k);
}

static struct user_credential *
rekey_find(struct user_record *r, uint64_t generation)
{
	for (unsigned int i = 0; i < r->n_credentials; i++)
		if (r->credentials[i].generation == generation &&
		    r->credentials[i].kind == CREDENTIAL_PASSWORD)
			return &r->credentials[i];
	return NULL;
}

static bool
rekey_is_due(const struct user_record *r, const struct user_credential *c,
    uint32_t iterations, bool sha1)
{
	if (c->keys == 0)
		return c->label[0] == '\0' && r->hash[0] != '\0';
	return !(c->keys & CREDENTIAL_SHA256) || c->iterations < iterations ||
	    (sha1 && !(c->keys & CREDENTIAL_SHA1));
}

/* The salt of all his passwords; where nothing was made with it yet, the one
 * that everybody sees for his name. */
static int
rekey_salt(struct rekey_job *j, const struct user_record *r)
{
	bool used = false;

	for (unsigned int i = 0; i < r->n_credentials; i++)
		used = used || r->credentials[i].keys != 0;
	if (used && r->salt_len > 0) {
		j->salt_len = r->salt_len;
		memcpy(j->salt, r->salt, r->salt_len);
		return 0;
	}
	j->salt_len = SCRAM_SALT;
	return scram_salt_of(j->rekey->core->keys.fake, j->user, j->salt);
}

/* As the record is now: still that password, and still due? */
static int
rekey_edit(void *ctx, struct user_record *r)
{
	struct rekey_job *j = ctx;
	struct user_credential *c = rekey_find(r, j->generation);
	bool same = r->salt_len == j->salt_len &&
	    memcmp(r->salt, j->salt, j->salt_len) == 0;

	if (c == NULL || !rekey_is_due(r, c, j->iterations, j->sha1))
		return ERR_EXISTS;
	j->before = *r;
	for (unsigned int i = 0; i < r->n_credentials && !same; i++)
		if (r->credentials[i].keys != 0)
			return ERR_EXISTS;	/* of another salt by now */
	memcpy(r->salt, j->salt, sizeof(r->salt));
	r->salt_len = j->salt_len;
	user_credential_take_keys(c, &j->keys);
	if (c->label[0] == '\0')
		explicit_bzero(r->hash, sizeof(r->hash));
	return 0;
}

static void
rekey_text(const struct user_record *r, const struct user_credential *c,
    char dst[HASH_CLASS_SIZE])
{
	if (c->keys == 0)
		(void)hash_class(r->hash, dst);
	else
		str_format(dst, HASH_CLASS_SIZE, "SCRAM-%s/%u",
		    c->keys == CREDENTIAL_KEYS_ALL ? "SHA-256+SHA-1" :
		    c->keys == CREDENTIAL_SHA1 ? "SHA-1" : "SHA-256",
		    c->iterations);
}

static void
rekey_log(struct rekey_job *j)
{
	char from[HASH_CLASS_SIZE] = "", to[HASH_CLASS_SIZE] = "";
	const struct user_credential *c = rekey_find(&j->before,
	    j->generation);

	if (c != NULL)
		rekey_text(&j->before, c, from);
	rekey_text(&j->after, &j->keys, to);
	LOG_EV(LOG_INFO, "auth.rekey", NULL, KV_S("user", j->user),
	    KV_S("label", c != NULL && c->label[0] != '\0' ? c->label : NULL),
	    KV_A("from", from), KV_A("to", to));
}

static void
rekey_work(void *ctx)			/* on the thread */
{
	struct rekey_job *j = ctx;
	struct core *core = j->rekey->core;
	const struct user_credential *c;
	struct err e = { 0 };
	int r;

	if (!dbenv_has_space(core->dbenv) ||
	    userdb_get(core->userdb, j->user, &j->before, NULL) != 0 ||
	    (c = rekey_find(&j->before, j->generation)) == NULL ||
	    !rekey_is_due(&j->before, c, j->iterations, j->sha1))
		return;
	/* What can only go up, or stay. */
	if (c->iterations > j->iterations)
		j->iterations = c->iterations;
	j->sha1 = j->sha1 || (c->keys & CREDENTIAL_SHA1) != 0;
	if (rekey_salt(j, &j->before) != 0 ||
	    scram_set_keys(&j->keys, j->password, strlen(j->password), j->salt,
	    j->salt_len, j->iterations, j->sha1) != 0)
		return;
	r = userdb_update(core->userdb, j->user, rekey_edit, j, &j->after, &e);
	if (r == 0)
		rekey_log(j);
	else if (r != ERR_EXISTS && r != ERR_NOTFOUND)
		LOG_EV(LOG_WARNING, "auth.rekey.fail", NULL,
		    KV_S("user", j->user), KV_T("why", e.text));
}

static void
rekey_done(void *ctx)
{
	struct rekey_job *j = ctx;

	scram_free_password(j->password);
	explicit_bzero(j, sizeof(*j));
	free(j);
}

void
rekey_start(struct rekey *k, const struct conf *conf, const char *user,
    const struct user_record *rec, const struct verify_found *found,
    const char *password)
{
	uint32_t iterations = (uint32_t)conf->scram_iterations;
	bool due = false;
	struct rekey_job *j;

	for (unsigned int i = 0; i < rec->n_credentials; i++)
		if (rec->credentials[i].generation == found->generation)
			due = rekey_is_due(rec, &rec->credentials[i],
			    iterations, conf->scram_sha1);
	if (!due || (j = calloc(1, sizeof(*j))) == NULL)
		return;
	j->rekey = k;
	j->generation = found->generation;
	j->iterations = iterations;
	j->sha1 = conf->scram_sha1;
	j->password = strdup(password);
	if (j->password == NULL ||
	    str_copy(j->user, sizeof(j->user), user) != 0 ||
	    pool_submit(k->pool, rekey_work, rekey_done, j) != 0)
		rekey_done(j);
}
