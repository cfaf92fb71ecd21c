/*
 * greet_wait.h - a client that may begin with TLS where a greeting in clear
 * comes first, between accept and its first word.
 *
 * What reads a greeting as TLS tells people of a wrong version, which helps
 * nobody; so who comes from where that has happened is given a moment to speak.
 * Nothing is read here.
 */
#ifndef SUBMITD_GREET_WAIT_H
#define SUBMITD_GREET_WAIT_H

#include "lib/acceptor.h"
#include "lib/loop.h"

#define GREET_WAIT_MS	300

/* Once, from the loop: it has spoken or hung up, or the moment is over. The
 * descriptor is the callee's; `name` is the listener's. */
typedef void greet_wait_fn(void *ctx, int fd, const struct acceptor_client *c,
	    const char *name);

/* Takes over the non-blocking descriptor. ERR_NOMEM: it is the caller's still,
 * and nothing is called. */
int	greet_wait(struct loop *l, int fd, const struct acceptor_client *c,
	    const char *name, greet_wait_fn *fn, void *ctx);

#endif
