/*
 * sasl.h - Cyrus SASL, as far as authd-core needs it: one exchange.
 *
 * Cyrus SASL runs the mechanisms; the users, the password check, the canonical
 * form of names and the proxy policy are ours, and so is the result: what
 * libsasl returns for a failure is not looked at further. Each exchange has a
 * sasl_conn_t of its own, which belongs to one thread at a time.
 */
#ifndef SUBMITD_AUTH_SASL_H
#define SUBMITD_AUTH_SASL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sasl/sasl.h>

#include "auth/core.h"
#include "auth/verify.h"
#include "db/record.h"
#include "lib/mailbox.h"

enum saslx_mech {
	SASLX_SCRAM_SHA_256,
	SASLX_PLAIN,
	SASLX_LOGIN,
	SASLX_MECH__COUNT
};

/* What an exchange came to. */
enum saslx_result {
	SASLX_CONTINUE,
	SASLX_OK,
	SASLX_DENIED,		/* `why` says what the log may know */
	SASLX_MALFORMED,
	SASLX_TEMP,
};

struct saslx {
	struct core		*core;
	struct conf		*conf;		/* referenced by the owner */
	enum saslx_mech		 mech;
	const char		*service;	/* "smtp" or "pop" */
	uint32_t		 needs;		/* USER_MAY_… for this service */

	char			 user[MAILBOX_SIZE];	/* canonical */
	char			 authzid[MAILBOX_SIZE];	/* canonical or "" */
	bool			 named;		/* user is set */
	bool			 known;		/* rec is his */
	bool			 real;		/* and he may log in */
	bool			 temp;		/* the database failed */
	struct user_record	 rec;
	struct verify_found	 found;		/* his credential that it was */
	const char		*why;		/* it failed, for the log */
	sasl_conn_t		*conn;		/* or NULL */
	sasl_callback_t		 callbacks[4];
};

/* Once, before the doors close: loads the plugins and registers our own. */
int	saslx_setup(struct err *reterr);
void	saslx_end(void);		/* no exchange is left */

/* The mechanism by that name, among ours only; -1. Any case. */
int	saslx_mech_find(const char *name);
const char *saslx_mech_name(enum saslx_mech mech);

void	saslx_init(struct saslx *x, struct core *core, struct conf *conf,
	    enum saslx_mech mech, bool pop);
void	saslx_clear(struct saslx *x);	/* zeroes; may be used on a zeroed one */

/* Sets user and rec from a name as given. Never fails: a name that cannot be
 * anybody's gets a canonical form that is nobody's. Cheap. */
void	saslx_set_user(struct saslx *x, const char *name, size_t len);
void	saslx_set_authzid(struct saslx *x, const char *name, size_t len);

/* What auth/verify is to be asked about him. */
struct verify_ask saslx_ask(const struct saslx *x);

/* PLAIN (and LOGIN, which becomes PLAIN): user and authzid are set; the
 * password is prepared. Takes milliseconds unless verify_is_cached(). */
enum saslx_result saslx_check(struct saslx *x, const char *password,
	    size_t len);

/* SCRAM: the next message of the client, microseconds. CONTINUE: *ret_out is
 * good until the next call on x. */
enum saslx_result saslx_step(struct saslx *x, const void *in, size_t len,
	    const void **ret_out, size_t *ret_len);

/* "authzid NUL authcid NUL passwd" (RFC 4616) in place; ERR_FORMAT. */
struct saslx_plain {
	const char	*authzid, *user, *password;
	size_t		 authzid_len, user_len, password_len;
};
int	saslx_plain_parse(const void *p, size_t len, struct saslx_plain *ret);

#endif
