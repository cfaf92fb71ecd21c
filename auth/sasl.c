/*
 * sasl.c - Cyrus SASL over our own users.
 *
 * Runs in authd-core, on its loop and its pool's threads. libsasl loads two
 * plugins (plain, scram) and asks us for everything else. It must never be
 * given a password that is stored (none is), or a name of a mechanism that
 * did not come from our own list: libsasl takes "PLAIN-PLUS" for PLAIN.
 */
#include "auth/sasl.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sasl/saslplug.h>
#include <stringprep.h>

#include "auth/scram.h"
#include "auth/verify.h"
#include "lib/clock.h"
#include "lib/str.h"

#define SASLX_NAME_MAX 1024u		/* octets of a name as given */

/* libsasl keeps functions of all kinds in one type. */
#define SASLX_CB(fn) ((sasl_callback_ft)(void (*)(void))(fn))

static const char *const saslx_names[] = {
	[SASLX_SCRAM_SHA_256] = "SCRAM-SHA-256",
	[SASLX_PLAIN] = "PLAIN",
	[SASLX_LOGIN] = "LOGIN",
};
_Static_assert(sizeof(saslx_names) / sizeof(*saslx_names) ==
    SASLX_MECH__COUNT, "a name for each mechanism");

int
saslx_mech_find(const char *name)
{
	for (int i = 0; i < SASLX_MECH__COUNT; i++)
		if (str_ieq(name, saslx_names[i]))
			return i;
	return -1;
}

const char *
saslx_mech_name(enum saslx_mech mech)
{
	return saslx_names[mech];
}

/* Names */

/* Nobody has a name that begins with "!", and the same bad name always gets
 * the same one, so that its fake record is always the same. */
static void
saslx_name_nobody(const struct saslx *x, const char *in, size_t len,
    char ret[MAILBOX_SIZE])
{
	uint8_t mac[EVP_MAX_MD_SIZE] = { 0 };
	unsigned int n = 0;

	(void)HMAC(EVP_sha256(), x->core->keys.fake, CORE_KEY_SIZE,
	    (const unsigned char *)in, len, mac, &n);
	ret[0] = '!';
	str_hex(ret + 1, mac, 16);
}

/* SASLprep (RFC 4013) of a name into `dst`; false when it has none. */
static bool
saslx_name_prepare(const char *in, size_t len, char *dst, size_t size)
{
	char copy[SASLX_NAME_MAX + 1], *prepared = NULL;
	bool ok;

	if (len == 0 || len > SASLX_NAME_MAX || memchr(in, '\0', len) != NULL ||
	    !str_is_utf8(in, len))
		return false;
	memcpy(copy, in, len);
	copy[len] = '\0';
	ok = stringprep_profile(copy, &prepared, "SASLprep", 0) ==
	    STRINGPREP_OK && prepared[0] != '\0' &&
	    str_copy(dst, size, prepared) == 0;
	free(prepared);
	return ok;
}

/* The one form under which a name is looked up: a full address in lower case;
 * a bare local part gets its domain while only one local domain has it. */
static void
saslx_name_canon(struct saslx *x, const char *in, size_t len,
    char ret[MAILBOX_SIZE])
{
	char name[MAILBOX_SIZE];
	struct mailbox m;
	int r;

	if (!saslx_name_prepare(in, len, name, sizeof(name))) {
		saslx_name_nobody(x, in, len, ret);
		return;
	}
	if (strchr(name, '@') != NULL) {
		if (mailbox_parse(name, strlen(name), &m) == 0)
			str_copy(ret, MAILBOX_SIZE, m.canon);
		else
			saslx_name_nobody(x, in, len, ret);
		return;
	}
	str_lower(name);
	if (!mailbox_is_local(name, strlen(name))) {
		saslx_name_nobody(x, in, len, ret);
		return;
	}
	r = userdb_find_local(x->core->userdb, name, x->conf->default_domain,
	    &x->conf->local_domains, ret, NULL);
	if (r != 0)
		str_copy(ret, MAILBOX_SIZE, name);
	if (r != 0 && r != ERR_NOTFOUND && r != ERR_EXISTS)
		x->temp = true;
}

/* The record of x->user, if there is one, and whether he may log in. */
static void
saslx_load(struct saslx *x)
{
	int r = userdb_get(x->core->userdb, x->user, &x->rec, NULL);

	x->real = false;
	x->known = r == 0;
	if (r != 0 && r != ERR_NOTFOUND)
		x->temp = true;
	if (r != 0)
		x->why = "nouser";
	else if (x->rec.flags & USER_DISABLED)
		x->why = "disabled";
	else if ((x->rec.flags & x->needs) != x->needs)
		x->why = "notpermitted";
	else
		x->real = true;
	if (x->real)
		x->why = "badpass";	/* until the opposite is shown */
}

struct verify_ask
saslx_ask(const struct saslx *x)
{
	return (struct verify_ask){
		.user = x->user, .rec = x->known ? &x->rec : NULL,
		.may = x->real, .now_s = clock_now_s(),
		.scope = x->needs == USER_MAY_POP ? CREDENTIAL_POP :
		    CREDENTIAL_SMTP,
	};
}

void
saslx_set_user(struct saslx *x, const char *name, size_t len)
{
	char canon[MAILBOX_SIZE];

	/* libsasl asks several times, also about what we answered. */
	if (x->named && strlen(x->user) == len &&
	    memcmp(x->user, name, len) == 0)
		return;
	saslx_name_canon(x, name, len, canon);
	if (x->named && strcmp(x->user, canon) == 0)
		return;
	str_copy(x->user, sizeof(x->user), canon);
	x->named = true;
	saslx_load(x);
}

void
saslx_set_authzid(struct saslx *x, const char *name, size_t len)
{
	if (x->named && strlen(x->user) == len &&
	    memcmp(x->user, name, len) == 0)
		str_copy(x->authzid, sizeof(x->authzid), x->user);
	else
		saslx_name_canon(x, name, len, x->authzid);
}

/* What libsasl asks of one exchange */

static int
saslx_cb_canon(sasl_conn_t *conn, void *context, const char *in,
    unsigned int in_len, unsigned int flags, const char *realm, char *out,
    unsigned int out_max, unsigned int *out_len)
{
	struct saslx *x = context;
	const char *name;

	(void)conn;
	(void)realm;
	if (flags & SASL_CU_AUTHID) {
		saslx_set_user(x, in, in_len);
		name = x->user;
	} else {
		saslx_set_authzid(x, in, in_len);
		name = x->authzid;
	}
	*out_len = (unsigned int)strlen(name);
	if (str_copy(out, out_max, name) != 0)
		return SASL_BUFOVER;
	return SASL_OK;
}

/* Nobody may act for somebody else. */
static int
saslx_cb_proxy(sasl_conn_t *conn, void *context, const char *requested,
    unsigned int requested_len, const char *auth, unsigned int auth_len,
    const char *realm, unsigned int realm_len, struct propctx *props)
{
	struct saslx *x = context;

	(void)conn;
	(void)realm;
	(void)realm_len;
	(void)props;
	if (requested_len == auth_len &&
	    memcmp(requested, auth, auth_len) == 0)
		return SASL_OK;
	x->why = "authzid";
	return SASL_NOAUTHZ;
}

/* Our own check. libsasl loses what it returns, so the result is kept in x. */
static int
saslx_cb_checkpass(sasl_conn_t *conn, void *context, const char *user,
    const char *pass, unsigned int len, struct propctx *props)
{
	struct saslx *x = context;
	struct verify_ask a = saslx_ask(x);
	int r;

	(void)conn;
	(void)user;
	(void)props;
	r = verify_password(x->core->verify, &a, pass, len, &x->found);
	if (r == 0 && x->real) {
		x->why = NULL;
		return SASL_OK;
	}
	if (r != 0 && r != ERR_DENIED)
		x->temp = true;
	return SASL_BADAUTH;
}

/* What libsasl asks of the process */

static int
saslx_cb_getopt(void *context, const char *plugin, const char *option,
    const char **result, unsigned int *len)
{
	static const char *const options[][2] = {
		{ "auxprop_plugin", "submitd" },
		{ "pwcheck_method", "none" },	/* nothing behind ours */
		{ "mech_list", "SCRAM-SHA-256 PLAIN" },
	};

	(void)context;
	(void)plugin;
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
		if (strcmp(option, options[i][0]) != 0)
			continue;
		*result = options[i][1];
		if (len != NULL)
			*len = (unsigned int)strlen(*result);
		return SASL_OK;
	}
	return SASL_FAIL;
}

/* Its words are not for our log: they hold what clients sent. */
static int
saslx_cb_log(void *context, int level, const char *message)
{
	(void)context;
	(void)level;
	(void)message;
	return SASL_OK;
}

static int
saslx_cb_verifyfile(void *context, const char *file, sasl_verify_type_t type)
{
	const char *base = strrchr(file, '/');

	(void)context;
	base = base == NULL ? file : base + 1;
	if (type != SASL_VRFY_PLUGIN)
		return SASL_OK;
	if (strncmp(base, "libplain.", 9) == 0 ||
	    strncmp(base, "libscram.", 9) == 0)
		return SASL_OK;
	return SASL_CONTINUE;
}

/* No configuration file of the system's: all options are above. */
static int
saslx_cb_getconfpath(void *context, char **path)
{
	static char *volatile folder;	/* libsasl 2.1.28 forgets to free it */

	(void)context;
	*path = folder = strdup("/nonexistent");
	return folder == NULL ? SASL_NOMEM : SASL_OK;
}

/* The auxiliary property: SCRAM's keys, as Cyrus' plugin reads them. */

static struct saslx *
saslx_of_plugin(sasl_server_params_t *sparams)
{
	sasl_callback_ft fn = NULL;
	void *context = NULL;

	/* Not by way of SASL_CB_GETOPT: there libsasl gives its own context. */
	if (sparams->utils->getcallback(sparams->utils->conn,
	    SASL_CB_SERVER_USERDB_CHECKPASS, &fn, &context) != SASL_OK)
		return NULL;
	return context;
}

static int
saslx_aux_value(struct saslx *x, char *dst, size_t size)
{
	char salt[STR_B64_SIZE(RECORD_SALT_MAX)];
	char stored[STR_B64_SIZE(RECORD_KEY)], server[STR_B64_SIZE(RECORD_KEY)];
	struct verify_ask a = saslx_ask(x);
	struct verify_scram keys;
	int r;

	if ((r = verify_scram(x->core->verify, &a, false, &keys)) != 0)
		return r;
	x->real = keys.real;
	x->found = keys.found;
	str_b64_encode(salt, sizeof(salt), keys.salt, keys.salt_len);
	str_b64_encode(stored, sizeof(stored), keys.stored_key,
	    sizeof(keys.stored_key));
	str_b64_encode(server, sizeof(server), keys.server_key,
	    sizeof(keys.server_key));
	r = str_format(dst, size, "SCRAM-SHA-256$%u:%s$%s:%s",
	    keys.iterations, salt, stored, server);
	explicit_bzero(&keys, sizeof(keys));
	explicit_bzero(stored, sizeof(stored));
	explicit_bzero(server, sizeof(server));
	return r;
}

static int
saslx_aux_lookup(void *glob, sasl_server_params_t *sparams,
    unsigned int flags, const char *user, unsigned int ulen)
{
	struct saslx *x = saslx_of_plugin(sparams);
	char value[256];

	(void)glob;
	(void)user;		/* x->user: canonical by the callback above */
	(void)ulen;
	if (x == NULL)
		return SASL_FAIL;
	if ((flags & SASL_AUXPROP_AUTHZID) || x->mech != SASLX_SCRAM_SHA_256)
		return SASL_OK;
	for (const struct propval *p = prop_get(sparams->propctx);
	    p != NULL && p->name != NULL; p++) {
		if (strcmp(p->name, "*authPassword") != 0)
			continue;
		prop_erase(sparams->propctx, p->name);
		if (saslx_aux_value(x, value, sizeof(value)) != 0)
			return SASL_FAIL;
		prop_set(sparams->propctx, p->name, value, -1);
		explicit_bzero(value, sizeof(value));
	}
	return SASL_OK;
}

static int
saslx_aux_init(const sasl_utils_t *utils, int max_version, int *out_version,
    sasl_auxprop_plug_t **plug, const char *name)
{
	static char plug_name[] = "submitd";
	static sasl_auxprop_plug_t aux = {
		.auxprop_lookup = saslx_aux_lookup, .name = plug_name,
	};

	(void)utils;
	(void)name;
	if (max_version < SASL_AUXPROP_PLUG_VERSION)
		return SASL_BADVERS;
	*out_version = SASL_AUXPROP_PLUG_VERSION;
	*plug = &aux;
	return SASL_OK;
}

/* Setting up */

static void *
saslx_mutex_alloc(void)
{
	pthread_mutex_t *m = malloc(sizeof(*m));

	if (m != NULL)
		pthread_mutex_init(m, NULL);
	return m;
}

static int
saslx_mutex_lock(void *m)
{
	return pthread_mutex_lock(m) == 0 ? 0 : -1;
}

static int
saslx_mutex_unlock(void *m)
{
	return pthread_mutex_unlock(m) == 0 ? 0 : -1;
}

static void
saslx_mutex_free(void *m)
{
	pthread_mutex_destroy(m);
	free(m);
}

/* Both plugins are there: without them libsasl starts all the same. */
static bool
saslx_plugins_are_there(void)
{
	sasl_conn_t *conn = NULL;
	const char *list = NULL;
	sasl_ssf_t ssf = 256;
	bool ok;

	ok = sasl_server_new("smtp", "localhost.localdomain", NULL, NULL, NULL,
	    NULL, 0, &conn) == SASL_OK &&
	    sasl_setprop(conn, SASL_SSF_EXTERNAL, &ssf) == SASL_OK &&
	    sasl_listmech(conn, NULL, " ", " ", " ", &list, NULL, NULL) ==
	    SASL_OK && strstr(list, " SCRAM-SHA-256 ") != NULL &&
	    strstr(list, " PLAIN ") != NULL;
	sasl_dispose(&conn);
	return ok;
}

int
saslx_setup(struct err *reterr)
{
	static const sasl_callback_t global[] = {
		{ SASL_CB_GETOPT, SASLX_CB(saslx_cb_getopt), NULL },
		{ SASL_CB_LOG, SASLX_CB(saslx_cb_log), NULL },
		{ SASL_CB_VERIFYFILE,
		    SASLX_CB(saslx_cb_verifyfile), NULL },
		{ SASL_CB_GETCONFPATH,
		    SASLX_CB(saslx_cb_getconfpath), NULL },
		{ SASL_CB_LIST_END, NULL, NULL },
	};
	int r;

	sasl_set_mutex(saslx_mutex_alloc, saslx_mutex_lock,
	    saslx_mutex_unlock, saslx_mutex_free);
	if ((r = sasl_server_init(global, "submitd")) != SASL_OK ||
	    (r = sasl_auxprop_add_plugin("submitd", saslx_aux_init)) !=
	    SASL_OK)
		return err_set(reterr, ERR_CONFIG, "Cyrus SASL: %s",
		    sasl_errstring(r, NULL, NULL));
	if (!saslx_plugins_are_there())
		return err_set(reterr, ERR_CONFIG, "Cyrus SASL: the plugins "
		    "PLAIN and SCRAM are missing (install libsasl2-modules)");
	return 0;
}

void
saslx_end(void)
{
	sasl_done();
}

/* One exchange */

void
saslx_init(struct saslx *x, struct core *core, struct conf *conf,
    enum saslx_mech mech, bool pop)
{
	memset(x, 0, sizeof(*x));
	x->core = core;
	x->conf = conf;
	x->mech = mech;
	x->service = pop ? "pop" : "smtp";
	x->needs = pop ? USER_MAY_POP : USER_MAY_SUBMIT;
	x->callbacks[0] = (sasl_callback_t){ SASL_CB_CANON_USER,
	    SASLX_CB(saslx_cb_canon), x };
	x->callbacks[1] = (sasl_callback_t){ SASL_CB_PROXY_POLICY,
	    SASLX_CB(saslx_cb_proxy), x };
	x->callbacks[2] = (sasl_callback_t){ SASL_CB_SERVER_USERDB_CHECKPASS,
	    SASLX_CB(saslx_cb_checkpass), x };
	x->callbacks[3] = (sasl_callback_t){ SASL_CB_LIST_END, NULL, NULL };
}

void
saslx_clear(struct saslx *x)
{
	if (x->conn != NULL)
		sasl_dispose(&x->conn);
	record_user_clear(&x->rec);
	explicit_bzero(x, sizeof(*x));
}

static int
saslx_open(struct saslx *x)
{
	sasl_security_properties_t props = {
		.maxbufsize = 8192, .security_flags = SASL_SEC_NOANONYMOUS,
	};
	sasl_ssf_t ssf = 256;		/* we only come here under TLS */
	int r;

	r = sasl_server_new(x->service, x->conf->hostname, NULL, NULL, NULL,
	    x->callbacks, 0, &x->conn);
	if (r == SASL_OK)
		r = sasl_setprop(x->conn, SASL_SEC_PROPS, &props);
	if (r == SASL_OK)
		r = sasl_setprop(x->conn, SASL_SSF_EXTERNAL, &ssf);
	return r;
}

static enum saslx_result
saslx_judge(struct saslx *x, int r)
{
	if (x->temp)
		return SASLX_TEMP;
	switch (r) {
	case SASL_CONTINUE:
		return SASLX_CONTINUE;
	case SASL_OK:
		/* The last word is ours. */
		if (!x->named || !x->real)
			return SASLX_DENIED;
		x->why = NULL;
		return SASLX_OK;
	case SASL_BADPROT:
	case SASL_BADPARAM:
		return SASLX_MALFORMED;
	case SASL_FAIL:
	case SASL_NOMEM:
	case SASL_TRYAGAIN:
	case SASL_UNAVAIL:
		return SASLX_TEMP;
	default:
		return SASLX_DENIED;
	}
}

enum saslx_result
saslx_check(struct saslx *x, const char *password, size_t len)
{
	char msg[2 * MAILBOX_SIZE + 3 * SCRAM_PASSWORD_MAX];
	size_t az = strlen(x->authzid), id = strlen(x->user);
	size_t total = az + 1 + id + 1 + len;
	const char *out = NULL;
	unsigned int out_len = 0;
	int r;

	if (x->temp)
		return SASLX_TEMP;
	if (len == 0 || total > sizeof(msg)) {
		x->why = "badpass";
		return SASLX_DENIED;
	}
	memcpy(msg, x->authzid, az + 1);
	memcpy(msg + az + 1, x->user, id + 1);
	memcpy(msg + az + 1 + id + 1, password, len);
	if (saslx_open(x) != SASL_OK) {
		explicit_bzero(msg, sizeof(msg));
		return SASLX_TEMP;
	}
	r = sasl_server_start(x->conn, "PLAIN", msg, (unsigned int)total,
	    &out, &out_len);
	explicit_bzero(msg, sizeof(msg));
	/* A refusal by our check comes back under various names. */
	if (r == SASL_OK || r == SASL_NOMEM || x->temp)
		return saslx_judge(x, r);
	return SASLX_DENIED;
}

enum saslx_result
saslx_step(struct saslx *x, const void *in, size_t len, const void **ret_out,
    size_t *ret_len)
{
	const char *out = NULL;
	unsigned int out_len = 0;
	int r;

	if (x->conn == NULL) {
		if (saslx_open(x) != SASL_OK)
			return SASLX_TEMP;
		r = sasl_server_start(x->conn,
		    saslx_names[SASLX_SCRAM_SHA_256], in, (unsigned int)len,
		    &out, &out_len);
	} else {
		r = sasl_server_step(x->conn, in, (unsigned int)len, &out,
		    &out_len);
	}
	*ret_out = out == NULL ? "" : out;
	*ret_len = out == NULL ? 0 : out_len;
	return saslx_judge(x, r);
}

int
saslx_plain_parse(const void *p, size_t len, struct saslx_plain *ret)
{
	const char *s = p, *end = s + len, *a, *b;

	if ((a = memchr(s, '\0', len)) == NULL ||
	    (b = memchr(a + 1, '\0', (size_t)(end - a - 1))) == NULL ||
	    memchr(b + 1, '\0', (size_t)(end - b - 1)) != NULL)
		return ERR_FORMAT;
	*ret = (struct saslx_plain){
		.authzid = s, .authzid_len = (size_t)(a - s),
		.user = a + 1, .user_len = (size_t)(b - a - 1),
		.password = b + 1, .password_len = (size_t)(end - b - 1),
	};
	return 0;
}
