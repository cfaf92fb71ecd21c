/*
 * tls_server.c - servers' contexts: certificates by name and kind of key, ALPN,
 * tickets. See tls.h. Runs in the processes that face the network, and where a
 * configuration is checked.
 *
 * A context of OpenSSL's holds one certificate for each kind of key. So there is
 * one for each set of pairs that a server name can lead to; the listener's own
 * is that of the first pair, and holds the table of names. The callback for the
 * server name only looks up and switches.
 */
#include "lib/tls_private.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/x509.h>

#include "lib/str.h"

#define TLS_CLIENT_CHAIN_MAX (16 * 1024)	/* octets that a client may send */
#define TLS_TICKET_KEYS	80			/* name, HMAC and AES-256 keys */
#define TLS_TICKET_LIFE_S (12 * 3600)		/* the parent's rotation */

/* AES-128 first, as its SHA-256 makes the cheapest handshake: but ChaCha20 for
 * who wants it most, being without AES in hardware. */
#define TLS_CIPHERS_13 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:" \
	"TLS_CHACHA20_POLY1305_SHA256"
/* TLS 1.2 with forward secrecy and AEAD; the 1.3 suites are all so. */
#define TLS_CIPHERS_12 "ECDHE+AESGCM+AES128:ECDHE+AESGCM:ECDHE+CHACHA20" \
	":!aNULL:!aPSK"
/* And for devices of before 2015. */
#define TLS_CIPHERS_LEGACY TLS_CIPHERS_12 \
	":ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA" \
	":ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA"

_Static_assert(TLS_PAIRS_MAX <= 64, "a set of pairs is an uint64_t");
#define PAIR_BIT(i) (UINT64_C(1) << (i))

struct sni_name {
	char		*name;		/* lower case; "*.rest" for a wildcard */
	uint64_t	 pairs;		/* that have it */
	SSL_CTX		*ctx;		/* borrowed from a group */
};

struct sni_group {
	uint64_t	 pairs;
	SSL_CTX		*ctx;		/* the first one's is the listener's */
};

struct sni {
	struct sni_name		*names;	/* sorted */
	size_t			 n_names, cap;
	struct sni_group	*groups;
	size_t			 n_groups;
};

/* While a context is made. */
struct sni_build {
	const struct tls_server_params *params;
	struct tls_loaded	 pairs[TLS_PAIRS_MAX];
	size_t			 n;
	size_t			 now;	/* the pair whose names are read */
	struct sni		*sni;
};

static void
sni_free(struct sni *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->n_names; i++)
		free(s->names[i].name);
	for (size_t i = 1; i < s->n_groups; i++)
		SSL_CTX_free(s->groups[i].ctx);
	free(s->names);
	free(s->groups);
	free(s);
}

/* ---------------------------------------------------------------- look-up -- */

static int
sni_compare(const void *a, const void *b)
{
	const struct sni_name *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static struct sni_name *
sni_find(const struct sni *s, char *name)
{
	const struct sni_name key = { .name = name };

	return s->n_names == 0 ? NULL : bsearch(&key, s->names, s->n_names,
	    sizeof(*s->names), sni_compare);
}

/* The wildcard that stands for this name, or NULL: it is the whole first label
 * (RFC 6125 section 6.4.3), of a name of three at least. */
static struct sni_name *
sni_find_wild(const struct sni *s, const char *name)
{
	const char *dot = strchr(name, '.');
	char wild[TLS_NAME_SIZE];

	if (dot == NULL || dot == name || *name == '*' ||
	    strchr(dot + 1, '.') == NULL ||
	    str_format(wild, sizeof(wild), "*%s", dot) != 0)
		return NULL;
	return sni_find(s, wild);
}

static int
sni_asked(SSL *ssl, int *alert, void *ctx)
{
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	const struct sni_name *found;
	char low[TLS_NAME_SIZE];
	size_t len = name == NULL ? 0 : strlen(name);

	(void)alert;
	if (len > 0 && name[len - 1] == '.')
		len--;
	if (len == 0 || len >= sizeof(low))
		return SSL_TLSEXT_ERR_NOACK;
	for (size_t i = 0; i < len; i++)
		low[i] = name[i] >= 'A' && name[i] <= 'Z' ?
		    (char)(name[i] - 'A' + 'a') : name[i];
	low[len] = '\0';
	if ((found = sni_find(ctx, low)) == NULL)
		found = sni_find_wild(ctx, low);
	if (found == NULL)
		return SSL_TLSEXT_ERR_NOACK;
	if (found->ctx != SSL_get_SSL_CTX(ssl))
		SSL_set_SSL_CTX(ssl, found->ctx);
	return SSL_TLSEXT_ERR_OK;
}

/* ------------------------------------------------------------ one context -- */

/* In the place of OpenSSL's own check of a chain: no CA of ours has signed it. */
static int
server_take_certificate(X509_STORE_CTX *store, void *arg)
{
	(void)store;
	(void)arg;
	return 1;
}

/* `ctx` is the protocol's name. */
static int
server_choose_protocol(SSL *ssl, const unsigned char **out,
    unsigned char *outlen, const unsigned char *in, unsigned int inlen,
    void *ctx)
{
	const char *want = ctx;
	size_t len = strlen(want);

	(void)ssl;
	for (unsigned int i = 0; i < inlen; i += 1u + in[i]) {
		if (in[i] != len || inlen - i - 1 < len ||
		    memcmp(in + i + 1, want, len) != 0)
			continue;
		*out = in + i + 1;
		*outlen = in[i];
		return SSL_TLSEXT_ERR_OK;
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* Keys of this listener's own, out of the program's seed (RFC 5869). */
static bool
server_ticket_keys(const struct tls_server_params *p,
    uint8_t keys[TLS_TICKET_KEYS])
{
	EVP_PKEY_CTX *kdf = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, NULL);
	size_t len = TLS_TICKET_KEYS;
	bool ok = kdf != NULL && EVP_PKEY_derive_init(kdf) == 1 &&
	    EVP_PKEY_CTX_set_hkdf_md(kdf, EVP_sha256()) == 1 &&
	    EVP_PKEY_CTX_set1_hkdf_key(kdf, p->ticket_seed,
	    TLS_TICKET_SEED) == 1 &&
	    EVP_PKEY_CTX_add1_hkdf_info(kdf,
	    (const unsigned char *)p->context_id,
	    (int)strlen(p->context_id)) == 1 &&
	    EVP_PKEY_derive(kdf, keys, &len) == 1;

	EVP_PKEY_CTX_free(kdf);
	return ok;
}

static bool
server_set_tickets(SSL_CTX *ctx, const struct tls_server_params *p)
{
	uint8_t keys[TLS_TICKET_KEYS];
	bool ok;

	if (p->ticket_seed == NULL || p->ask_certificate)
		return SSL_CTX_set_num_tickets(ctx, 0) == 1;
	SSL_CTX_clear_options(ctx, SSL_OP_NO_TICKET);
	SSL_CTX_set_timeout(ctx, TLS_TICKET_LIFE_S);
	ok = server_ticket_keys(p, keys) &&
	    SSL_CTX_set_tlsext_ticket_keys(ctx, keys, sizeof(keys)) == 1 &&
	    SSL_CTX_set_num_tickets(ctx, 1) == 1;
	explicit_bzero(keys, sizeof(keys));
	return ok;
}

/* All but the certificates: the contexts of all groups are alike. */
static bool
server_setup(SSL_CTX *ctx, const struct tls_server_params *p)
{
	union { const char *c; void *v; } alpn = { .c = p->alpn };

	if (p->ask_certificate) {
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
		SSL_CTX_set_cert_verify_callback(ctx, server_take_certificate,
		    NULL);
		SSL_CTX_set_max_cert_list(ctx, TLS_CLIENT_CHAIN_MAX);
	}
	if (p->alpn != NULL)
		SSL_CTX_set_alpn_select_cb(ctx, server_choose_protocol, alpn.v);
	SSL_CTX_set_options(ctx, SSL_OP_PRIORITIZE_CHACHA);
	/* The chain is the file's; without this each handshake looks for one. */
	SSL_CTX_set_mode(ctx, SSL_MODE_NO_AUTO_CHAIN);
	return SSL_CTX_set_ciphersuites(ctx, TLS_CIPHERS_13) == 1 &&
	    SSL_CTX_set_cipher_list(ctx, p->legacy ? TLS_CIPHERS_LEGACY :
	    TLS_CIPHERS_12) == 1 &&
	    SSL_CTX_set_max_early_data(ctx, 0) == 1 &&
	    SSL_CTX_set_session_id_context(ctx,
	    (const unsigned char *)p->context_id,
	    (unsigned int)strnlen(p->context_id, SSL_MAX_SID_CTX_LENGTH)) ==
	    1 && server_set_tickets(ctx, p);
}

static SSL_CTX *
server_make(const struct sni_build *b, uint64_t pairs)
{
	SSL_CTX *ctx = tls_ctx_new(TLS_server_method());
	bool ok = ctx != NULL && server_setup(ctx, b->params);

	for (size_t i = 0; i < b->n && ok; i++)
		if (pairs & PAIR_BIT(i))
			ok = SSL_CTX_use_cert_and_key(ctx, b->pairs[i].cert,
			    b->pairs[i].key, b->pairs[i].chain, 1) == 1;
	if (ok)
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

/* ------------------------------------------------------------- the groups -- */

/* Adds of `from`, in their order, those whose kind of key is not there yet. */
static uint64_t
sni_add_kinds(const struct sni_build *b, uint64_t have, uint64_t from)
{
	for (size_t i = 0; i < b->n; i++) {
		bool is_new = (from & PAIR_BIT(i)) != 0;

		for (size_t k = 0; k < b->n && is_new; k++)
			is_new = !(have & PAIR_BIT(k)) ||
			    EVP_PKEY_get_base_id(b->pairs[k].key) !=
			    EVP_PKEY_get_base_id(b->pairs[i].key);
		if (is_new)
			have |= PAIR_BIT(i);
	}
	return have;
}

/* The group's context, made if need be; NULL: OpenSSL's queue tells why. */
static SSL_CTX *
sni_group(const struct sni_build *b, uint64_t pairs)
{
	struct sni *s = b->sni;
	struct sni_group *g;
	SSL_CTX *ctx;

	for (size_t i = 0; i < s->n_groups; i++)
		if (s->groups[i].pairs == pairs)
			return s->groups[i].ctx;
	if ((ctx = server_make(b, pairs)) == NULL)
		return NULL;
	g = reallocarray(s->groups, s->n_groups + 1, sizeof(*g));
	if (g == NULL) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	s->groups = g;
	s->groups[s->n_groups++] = (struct sni_group){ pairs, ctx };
	return ctx;
}

static int
sni_add_name(void *ctx, const char *name)
{
	struct sni_build *b = ctx;
	struct sni *s = b->sni;
	struct sni_name *n;

	if (s->n_names == s->cap) {
		s->cap = s->cap * 2 + 16;
		n = reallocarray(s->names, s->cap, sizeof(*n));
		if (n == NULL)
			return ERR_NOMEM;
		s->names = n;
	}
	n = &s->names[s->n_names];
	*n = (struct sni_name){ strdup(name), PAIR_BIT(b->now), NULL };
	if (n->name == NULL)
		return ERR_NOMEM;
	s->n_names++;
	return 0;
}

/* One row for each name. */
static void
sni_merge(struct sni *s)
{
	size_t kept = 0;

	if (s->n_names == 0)
		return;
	qsort(s->names, s->n_names, sizeof(*s->names), sni_compare);
	for (size_t i = 1; i < s->n_names; i++) {
		if (strcmp(s->names[kept].name, s->names[i].name) == 0) {
			s->names[kept].pairs |= s->names[i].pairs;
			free(s->names[i].name);
		} else {
			s->names[++kept] = s->names[i];
		}
	}
	s->n_names = kept + 1;
}

/* The first pair, and what shares a name with it. */
static uint64_t
sni_first_pairs(const struct sni_build *b)
{
	uint64_t all = PAIR_BIT(0);

	for (size_t i = 0; i < b->sni->n_names; i++)
		if (b->sni->names[i].pairs & PAIR_BIT(0))
			all |= b->sni->names[i].pairs;
	return sni_add_kinds(b, PAIR_BIT(0), all);
}

static bool
sni_make_groups(const struct sni_build *b)
{
	struct sni *s = b->sni;

	if (sni_group(b, sni_first_pairs(b)) == NULL)
		return false;
	for (size_t i = 0; i < s->n_names; i++) {
		const struct sni_name *wild = sni_find_wild(s, s->names[i].name);
		uint64_t pairs = sni_add_kinds(b, 0, s->names[i].pairs);

		if (wild != NULL)
			pairs = sni_add_kinds(b, pairs, wild->pairs);
		if ((s->names[i].ctx = sni_group(b, pairs)) == NULL)
			return false;
	}
	return true;
}

static int
sni_check_used(const struct sni_build *b, struct err *reterr)
{
	uint64_t used = 0;

	for (size_t i = 0; i < b->sni->n_groups; i++)
		used |= b->sni->groups[i].pairs;
	for (size_t i = 0; i < b->n; i++)
		if (!(used & PAIR_BIT(i)))
			return err_set(reterr, ERR_CONFIG,
			    "certificate %zu is never used: those before it "
			    "have its names and the same kind of key", i + 1);
	return 0;
}

static int
sni_build(struct sni_build *b, struct err *reterr)
{
	for (; b->n < b->params->n_pairs; b->n++)
		if (tls_load(&b->params->pairs[b->n], &b->pairs[b->n]) !=
		    TLS_BAD_NONE)
			return tls_fail(reterr, ERR_CONFIG, "TLS certificate");
	for (b->now = 0; b->now < b->n; b->now++)
		if (tls_each_name(b->pairs[b->now].cert, sni_add_name, b) != 0)
			return err_set(reterr, ERR_NOMEM, "no memory");
	sni_merge(b->sni);
	if (!sni_make_groups(b))
		return tls_fail(reterr, ERR_CONFIG, "TLS certificate");
	return sni_check_used(b, reterr);
}

/* The listener's own context has gone. */
static void
sni_ctx_freed(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl,
    void *argp)
{
	(void)parent;
	(void)ad;
	(void)idx;
	(void)argl;
	(void)argp;
	sni_free(ptr);
}

static int
sni_hang_on(struct sni *s, SSL_CTX **ret)
{
	static int slot = -1;
	SSL_CTX *own = s->groups[0].ctx;

	if (slot < 0)
		slot = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL,
		    sni_ctx_freed);
	if (slot < 0 || SSL_CTX_set_ex_data(own, slot, s) != 1) {
		SSL_CTX_free(own);
		sni_free(s);
		return ERR_NOMEM;
	}
	SSL_CTX_set_tlsext_servername_callback(own, sni_asked);
	SSL_CTX_set_tlsext_servername_arg(own, s);
	*ret = own;
	return 0;
}

int
tls_server_ctx(const struct tls_server_params *params, SSL_CTX **ret,
    struct err *reterr)
{
	struct sni_build b = { .params = params };
	int r;

	*ret = NULL;
	if (params->n_pairs == 0 || params->n_pairs > TLS_PAIRS_MAX)
		return err_set(reterr, ERR_CONFIG, "no certificate is set");
	if ((b.sni = calloc(1, sizeof(*b.sni))) == NULL)
		return err_set(reterr, ERR_NOMEM, "no memory");
	r = sni_build(&b, reterr);
	for (size_t i = 0; i < b.n; i++)
		tls_unload(&b.pairs[i]);
	if (r == 0) {
		r = sni_hang_on(b.sni, ret);
		return r == 0 ? 0 : err_set(reterr, r, "no memory");
	}
	if (b.sni->n_groups > 0)
		SSL_CTX_free(b.sni->groups[0].ctx);
	sni_free(b.sni);
	return r;
}
