/*
 * listen_tls.h - the TLS contexts of a program's listeners: of each its own
 * certificates, or the global ones. Made anew at each reload.
 */
#ifndef SUBMITD_LISTEN_TLS_H
#define SUBMITD_LISTEN_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/conf.h"
#include "lib/err.h"
#include "lib/tls.h"

struct listen_tls {
	SSL_CTX	*ctx[CONF_LISTENERS_MAX];	/* by a listener's number; NULL:
						 * it has no certificate */
};

/* For POP3's listeners or submission's. On failure *ret is empty. */
int	listen_tls_make(const struct conf *c, bool pop, struct listen_tls *ret,
	    struct err *reterr);
void	listen_tls_free(struct listen_tls *t);

#endif
