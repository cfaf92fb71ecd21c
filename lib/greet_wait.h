/*
 * greet_wait.h - the silence before a greeting in clear: who speaks first is not
 * one to be greeted.
 *
 * A mail program set to SSL/TLS sends its ClientHello at once, and tells people
 * of a wrong version when it reads a greeting instead of an answer in TLS. So
 * who is not known to wait for greetings (lib/sessions.h) gets a moment to
 * speak. The session is there and counted meanwhile.
 */
#ifndef SUBMITD_GREET_WAIT_H
#define SUBMITD_GREET_WAIT_H

#include <stdbool.h>

#include "lib/loop.h"
#include "lib/sessions.h"

/* A hello follows its client's connect by what that needs in between, however
 * far away it is: 1 to 20 ms, and 30 to 70 where the authorities' certificates
 * are read only then. */
#define GREET_WAIT_MS	100

struct greet_wait {			/* zeroed: nobody waits */
	struct timer		 timer;
	struct sessions		*table;
	const struct addr	*place;	/* the session's own */
};

/* True when the greeting is to wait: fn(ctx) then comes, once, from the loop, or
 * greet_wait_end() before. False: it is due now. `place` stays valid until then. */
bool	greet_wait_begin(struct greet_wait *w, struct loop *l,
	    struct sessions *t, const struct addr *place, loop_fn *fn,
	    void *ctx);
bool	greet_wait_on(const struct greet_wait *w);
/* Any time, `fn` included; idempotent. */
void	greet_wait_end(struct greet_wait *w);

#endif
