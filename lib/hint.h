/*
 * hint.h - why a session ended before it was under TLS: which row of
 * lib/tls_alert.h it is. Shared by submitd-smtp and popd-pop; decides, and
 * neither answers nor logs.
 */
#ifndef SUBMITD_HINT_H
#define SUBMITD_HINT_H

#include "lib/conn.h"
#include "lib/tls_alert.h"

/* During a handshake the connection has ended with this word of conn_ops.gone().
 * `implicit`: TLS was to come first on this port. NULL: nobody has tried
 * anything, such as a look whether the port is open. */
const struct tls_alert *hint_of_end(const struct conn *c, const char *why,
	    bool implicit);
/* The row is about a mail program's settings for the port, not about TLS. */
bool	hint_is_wrong_mode(const struct tls_alert *a);
/* What has come in clear before any command begins a ClientHello. */
bool	hint_is_hello(struct conn *c);

#endif
