/*
 * sasl.c - one SASL exchange: Cyrus SASL over our own users.
 *
 * Runs in authd-core, on its loop and its pool's threads. libsasl's plugins
 * (plain, scram, crammd5) ask us for everything else. It must never be given a
 * password that is stored (none is) but the sealed secret of a user who wants
 * CRAM-MD5; nor a name of a mechanism that did not come from our own list, for
 * it takes "PLAIN-PLUS" for PLAIN.
 */
#include "config.h"

#include "auth/sasl.h"

#include <string.h>

#include "auth/apop.h"
#include "auth/mechs.h"
#include "auth/scram.h"
#include "lib/str.h"

/* libsasl keeps functions of all kinds in one type. */
#define SASLX_CB(fn) ((sasl_callback_ft)(void (*)(void))(fn))

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
		saslx_set_login(x, in, in_len);
		name = x->login;
	} else {
		saslx_set_user(x, in, in_len);
		name = x->user;
	}
	*out_len = (unsigned int)strlen(name);
	if (str_copy(out, out_max, name) != 0)
		return SASL_BUFOVER;
	return SASL_OK;
}

/* Comes last of all, before a client hears of success: SCRAM's signature goes
 * out behind it. */
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
	if (!saslx_authorize(x) || strlen(x->user) != requested_len ||
	    memcmp(x->user, requested, requested_len) != 0 ||
	    strlen(x->login) != auth_len ||
	    memcmp(x->login, auth, auth_len) != 0) {
		x->authorized = false;
		return SASL_NOAUTHZ;
	}
	return SASL_OK;
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
		saslx_take_found(x);
		return SASL_OK;
	}
	if (r != 0 && r != ERR_DENIED)
		x->temp = true;
	else if (x->found.barred != NULL && x->real)
		x->why = x->found.barred;
	return SASL_BADAUTH;
}

/* The auxiliary properties: SCRAM's keys and CRAM-MD5's secret. */

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

/* The property that the mechanism's proof is compared with; any other has no
 * value, above all no password where SCRAM looks for one. */
static const char *
saslx_aux_name(const struct saslx *x)
{
	switch (x->mech) {
	case CONF_SCRAM_SHA_256_PLUS:
	case CONF_SCRAM_SHA_1_PLUS:
	case CONF_SCRAM_SHA_256:
	case CONF_SCRAM_SHA_1:
		return "*authPassword";
	case CONF_CRAM_MD5:
		return "*userPassword";
	default:
		return NULL;
	}
}

static int
saslx_aux_value(struct saslx *x, char *dst, size_t size)
{
	int r;

	if (x->mech == CONF_CRAM_MD5)
		return saslx_secret(x, dst);
	r = saslx_scram_keys(x, dst, size);
	return r != 0 ? r : (int)strlen(dst);
}

int
saslx_aux_lookup(void *glob, sasl_server_params_t *sparams,
    unsigned int flags, const char *user, unsigned int ulen)
{
	struct saslx *x = saslx_of_plugin(sparams);
	const char *name;
	char value[512];
	int n = 0;

	(void)glob;
	(void)user;		/* x->login: canonical by the callback above */
	(void)ulen;
	_Static_assert(sizeof(value) > SEAL_TEXT_MAX, "a secret fits");
	if (x == NULL)
		return SASL_FAIL;
	name = saslx_aux_name(x);
	if ((flags & SASL_AUXPROP_AUTHZID) || name == NULL || !x->named)
		return SASL_OK;
	for (const struct propval *p = prop_get(sparams->propctx);
	    n >= 0 && p != NULL && p->name != NULL; p++) {
		if (strcmp(p->name, name) != 0)
			continue;
		prop_erase(sparams->propctx, p->name);
		n = saslx_aux_value(x, value, sizeof(value));
		if (n >= 0)
			prop_set(sparams->propctx, p->name, value, n);
		explicit_bzero(value, sizeof(value));
	}
	if (n < 0)
		x->temp = true;
	return n < 0 ? SASL_FAIL : SASL_OK;
}

/* One exchange */

void
saslx_init(struct saslx *x, struct core *core, struct conf *conf,
    enum conf_mech mech, bool pop)
{
	memset(x, 0, sizeof(*x));
	x->core = core;
	x->conf = conf;
	x->mech = mech;
	x->service = pop ? "pop" : "smtp";
	x->needs = pop ? USER_MAY_POP : USER_MAY_SUBMIT;
	x->scope = pop ? CREDENTIAL_POP : CREDENTIAL_SMTP;
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
	struct propctx *props;

	if (x->conn != NULL) {
		props = sasl_auxprop_getctx(x->conn);
		if (props != NULL && saslx_aux_name(x) != NULL)
			prop_erase(props, saslx_aux_name(x));
		sasl_dispose(&x->conn);
	}
	record_user_clear(&x->rec);
	explicit_bzero(x, sizeof(*x));
}

void
saslx_set_binding(struct saslx *x, const char *name, const void *data,
    size_t len)
{
	if (len > sizeof(x->binding_data) ||
	    str_copy(x->binding_name, sizeof(x->binding_name), name) != 0)
		return;
	if (len > 0)
		memcpy(x->binding_data, data, len);
	x->binding = (sasl_channel_binding_t){
		.name = x->binding_name, .critical = 1,
		.len = len, .data = x->binding_data,
	};
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
	if (r == SASL_OK && mechs_is_plus(x->mech))
		r = sasl_setprop(x->conn, SASL_CHANNEL_BINDING, &x->binding);
	if (r == SASL_OK && x->mech == CONF_EXTERNAL)
		r = sasl_setprop(x->conn, SASL_AUTH_EXTERNAL, x->login);
	return r;
}

static enum saslx_result
saslx_judge(struct saslx *x, int r)
{
	if (x->temp)
		return SASLX_TEMP;
	if (x->transition)
		return SASLX_TRANSITION;
	switch (r) {
	case SASL_CONTINUE:
		return SASLX_CONTINUE;
	case SASL_OK:
		/* The last word is ours. */
		if (!x->real || !x->genuine || !x->authorized)
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
	size_t az = strlen(x->user), id = strlen(x->login);
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
	memcpy(msg, x->user, az + 1);
	memcpy(msg + az + 1, x->login, id + 1);
	memcpy(msg + az + 1 + id + 1, password, len);
	if (saslx_open(x) != SASL_OK) {
		explicit_bzero(msg, sizeof(msg));
		return SASLX_TEMP;
	}
	r = sasl_server_start(x->conn, conf_mech_name(CONF_PLAIN), msg,
	    (unsigned int)total, &out, &out_len);
	explicit_bzero(msg, sizeof(msg));
	/* A refusal by our check comes back under various names. */
	if (r == SASL_OK || r == SASL_NOMEM || x->temp)
		return saslx_judge(x, r);
	return SASLX_DENIED;
}

/* The GS2 header (RFC 5802 section 6): with -PLUS the client binds by the
 * binding that we were given, without it he does not, and he does not say that
 * we could not ("y"), for then somebody took -PLUS out of the list. libsasl
 * looks at none of it. */
static enum saslx_result
saslx_check_gs2(struct saslx *x, const char *p, size_t len)
{
	size_t n = strlen(x->binding_name);

	if (!mechs_is_plus(x->mech)) {
		if (len < 2 || (p[0] != 'n' && p[0] != 'y') || p[1] != ',')
			return SASLX_MALFORMED;
		if (p[0] == 'n' || !x->plus_offered)
			return SASLX_CONTINUE;
		x->why = "downgrade";
		return SASLX_DENIED;
	}
	if (len < 2 || p[0] != 'p' || p[1] != '=' ||
	    memchr(p, ',', len) == NULL)
		return SASLX_MALFORMED;
	if (n > 0 && len > 2 + n && memcmp(p + 2, x->binding_name, n) == 0 &&
	    p[2 + n] == ',')
		return SASLX_CONTINUE;
	x->why = "binding";
	return SASLX_DENIED;
}

static bool
saslx_is_scram(const struct saslx *x)
{
	const char *name = saslx_aux_name(x);

	return name != NULL && x->mech != CONF_CRAM_MD5;
}

enum saslx_result
saslx_step(struct saslx *x, const void *in, size_t len, const void **ret_out,
    size_t *ret_len)
{
	const char *out = NULL;
	unsigned int out_len = 0;
	enum saslx_result gs2 = SASLX_CONTINUE;
	int r;

	if (x->conn == NULL) {
		if (saslx_is_scram(x))
			gs2 = saslx_check_gs2(x, in, len);
		if (gs2 != SASLX_CONTINUE)
			return gs2;
		if (saslx_open(x) != SASL_OK)
			return SASLX_TEMP;
		r = sasl_server_start(x->conn, conf_mech_name(x->mech), in,
		    (unsigned int)len, &out, &out_len);
	} else {
		r = sasl_server_step(x->conn, in, (unsigned int)len, &out,
		    &out_len);
		/* What libsasl calls this when the binding is another's. */
		if (r == SASL_BADPROT && mechs_is_plus(x->mech)) {
			x->why = "binding";
			r = SASL_BADAUTH;
		}
		/* SCRAM's last message may come minutes after his proof. */
		if (r == SASL_OK && saslx_is_scram(x) && !saslx_authorize(x))
			r = SASL_NOAUTHZ;
	}
	*ret_out = out == NULL ? "" : out;
	*ret_len = out == NULL ? 0 : out_len;
	return saslx_judge(x, r);
}

enum saslx_result
saslx_apop(struct saslx *x, const char *challenge,
    const uint8_t digest[AUTHP_DIGEST_SIZE])
{
	char secret[SEAL_TEXT_MAX + 1];
	int n = saslx_secret(x, secret), r = n;

	if (n >= 0)
		r = apop_check(challenge, secret, (size_t)n, digest);
	explicit_bzero(secret, sizeof(secret));
	if (r != 0 && r != ERR_DENIED)
		x->temp = true;
	if (r == 0)
		(void)saslx_authorize(x);
	return saslx_judge(x, r == 0 ? SASL_OK : SASL_BADAUTH);
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
