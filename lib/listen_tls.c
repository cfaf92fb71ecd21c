/*
 * listen_tls.c - see listen_tls.h. Runs in submitd-smtp and popd-pop, on what
 * their parents read.
 */
#include "config.h"
#include "lib/listen_tls.h"

static int
listen_tls_one(const struct conf *c, size_t l, SSL_CTX **ret,
    struct err *reterr)
{
	const struct conf_listen *sec = conf_listener_section(c, l);
	bool own = sec != NULL && sec->n_tls > 0;
	const bool legacy = sec == NULL || sec->tls_legacy == CONF_INHERIT ?
	    c->tls_legacy : sec->tls_legacy == CONF_YES;
	const struct tls_server_params params = {
		.pairs = own ? sec->tls : c->tls,
		.n_pairs = own ? sec->n_tls : c->n_tls,
		/* different, so that no TLS session goes over to another */
		.context_id = conf_listener_name(c, l),
		.alpn = conf_listener_is_pop(c, l) ? "pop3" : "smtp",
		.ask_certificate = (conf_mechanisms(c, l) &
		    CONF_MECH_BIT(CONF_EXTERNAL)) != 0,
		.legacy = legacy,
		.ticket_seed = c->tls_tickets ? c->ticket_seed : NULL,
	};

	return params.n_pairs == 0 ? 0 : tls_server_ctx(&params, ret, reterr);
}

int
listen_tls_make(const struct conf *c, bool pop, struct listen_tls *ret,
    struct err *reterr)
{
	int r = 0;

	*ret = (struct listen_tls){ 0 };
	for (size_t l = 0; l < conf_listener_count(c) && r == 0; l++)
		if (conf_listener_is_pop(c, l) == pop)
			r = listen_tls_one(c, l, &ret->ctx[l], reterr);
	if (r != 0)
		listen_tls_free(ret);
	return r;
}

void
listen_tls_free(struct listen_tls *t)
{
	for (size_t l = 0; l < CONF_LISTENERS_MAX; l++)
		SSL_CTX_free(t->ctx[l]);
	*t = (struct listen_tls){ 0 };
}
