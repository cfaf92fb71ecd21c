/*
 * login_private.h - a SASL exchange, or APOP: what the parts of login*.c share.
 * All of it is for the loop of authd-core.
 */
#ifndef SUBMITD_AUTH_LOGIN_PRIVATE_H
#define SUBMITD_AUTH_LOGIN_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/authp.h"
#include "auth/fair.h"
#include "auth/guess.h"
#include "auth/ops.h"
#include "auth/sasl.h"
#include "auth/ticket.h"
#include "lib/loop.h"

/* States in which the client is to speak; then the others. */
enum login_state {
	LOGIN_WANT_FIRST,	/* the response that could have been initial */
	LOGIN_WANT_USER,	/* LOGIN */
	LOGIN_WANT_PASS,	/* LOGIN */
	LOGIN_WANT_NEXT,	/* SCRAM, CRAM-MD5 go on */
	LOGIN_CHECKING,
	LOGIN_DELAYED,
};

struct login {
	struct peer		*peer;		/* NULL: gone while checking */
	unsigned int		 slot;
	struct login		*same;		/* bucket of peer->sessions */
	uint32_t		 exchange;
	enum login_state	 state;
	uint16_t		 type;		/* request to be answered */
	uint32_t		 id;
	struct ticket_handle	 handle;
	bool			 is_new;	/* the worker has no handle yet */
	char			 tls[AUTHP_TLS_MAX + 1];
	struct conf		*conf;
	struct saslx		 x;
	enum saslx_result	 result;
	char			*password;	/* prepared */
	struct fair_job		 job;
	bool			 known;		/* has logged in here before */
	bool			 judged;	/* blocked is decided */
	bool			 blocked;	/* it fails, unseen */
	bool			 has_cert;	/* EXTERNAL */
	uint8_t			 cert[AUTHP_CERT_SIZE];	/* its SHA-256 */
	struct timer		 delay;
	uint32_t		 delay_ms;	/* by guesses before it */
	int64_t			 born_ms;
	int64_t			 asked_ms;	/* the last request came */
};

/* login.c: the last reply but the one of success; l is gone. */
void	login_end(struct login *l, enum authp_verdict v);
void	login_free(struct login *l);
/* CONTINUE, and what the client is to answer to. */
void	login_ask(struct login *l, enum login_state next,
	    const void *challenge, size_t len);

/* login_mech.c: the client's message; NULL: he gave no initial response. */
void	login_feed(struct login *l, const void *p, size_t len);
/* When the user is named and has shown what he knows: whether it is to fail
 * whatever it was. Asked again it is the same. */
bool	login_is_blocked(struct login *l);

/* login_end.c: by l->result; l is gone, or waits for its delay to be over. */
void	login_finish(struct login *l);
/* `why` NULL: it went well. */
void	login_log(const struct login *l, int level, const char *ev,
	    const char *why);
/* As guess.c and fair.c see him. */
struct guess_who login_who(const struct login *l);
/* A failure that waited for its delay is freed. */
void	login_undelay(void);

#endif
