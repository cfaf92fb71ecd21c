/*
 * sasl.h - Cyrus SASL, as far as authd-core needs it: one exchange.
 *
 * Cyrus SASL runs the mechanisms; the users, the password check, the canonical
 * form of names, who may act for whom, and the channel binding are ours, and so
 * is the result: what libsasl returns for a failure is not looked at further.
 * Each exchange has a sasl_conn_t of its own, which belongs to one thread at a
 * time.
 */
#ifndef SUBMITD_AUTH_SASL_H
#define SUBMITD_AUTH_SASL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sasl/sasl.h>
#include <sasl/saslplug.h>

#include "auth/authp.h"
#include "auth/core.h"
#include "auth/seal.h"
#include "auth/verify.h"
#include "db/record.h"
#include "lib/mailbox.h"

/* What an exchange came to. */
enum saslx_result {
	SASLX_CONTINUE,
	SASLX_OK,
	SASLX_DENIED,		/* `why` says what the log may know */
	SASLX_MALFORMED,
	SASLX_TRANSITION,	/* SCRAM for one who has no SCRAM keys yet */
	SASLX_TEMP,
};

struct saslx {
	struct core		*core;
	struct conf		*conf;		/* referenced by the owner */
	enum conf_mech		 mech;
	const char		*service;	/* "smtp" or "pop" */
	uint32_t		 needs;		/* USER_MAY_… for this service */
	uint8_t			 scope;		/* CREDENTIAL_… likewise */

	/* Who says who he is. */
	char			 login[MAILBOX_SIZE];	/* canonical */
	char			 label[RECORD_LABEL_SIZE];	/* "": any */
	bool			 named;		/* login is set */
	bool			 known;		/* rec is his */
	bool			 real;		/* and he is not disabled */
	bool			 temp;		/* the database failed */
	bool			 transition;	/* SASLX_TRANSITION */
	struct user_record	 rec;

	/* Whose mail it is to be: "" until it is known; set at the end. */
	char			 user[MAILBOX_SIZE];	/* canonical */
	bool			 genuine;	/* what his proof is compared
						 * with is his, namely of … */
	struct verify_found	 found;		/* … this credential */
	uint8_t			 found_scope;	/* … which is good for these */
	bool			 authorized;	/* saslx_authorize() said so */

	const char		*why;		/* it failed, for the log */
	sasl_conn_t		*conn;		/* or NULL */
	sasl_callback_t		 callbacks[4];
	bool			 plus_offered;	/* its -PLUS is, so 'y' is a lie */
	sasl_channel_binding_t	 binding;	/* libsasl keeps
						 * its address */
	char			 binding_name[AUTHP_BINDING_MAX + 1];
	uint8_t			 binding_data[AUTHP_BINDING_DATA_MAX];
};

/* Once, before the doors close: loads the plugins and registers our own. */
int	saslx_setup(struct err *reterr);
void	saslx_end(void);		/* no exchange is left */
/* At the start and before a reload: all that `c` offers anywhere is there.
 * ERR_CONFIG, with the name of the first that is not. */
int	saslx_probe(const struct conf *c, struct err *reterr);

void	saslx_init(struct saslx *x, struct core *core, struct conf *conf,
	    enum conf_mech mech, bool pop);
void	saslx_clear(struct saslx *x);	/* zeroes; may be used on a zeroed one */
/* The channel binding of the client's connection, for -PLUS: "" if there is
 * none. */
void	saslx_set_binding(struct saslx *x, const char *name, const void *data,
	    size_t len);

/* Sets login and rec from a name as given. Never fails: a name that cannot be
 * anybody's gets a canonical form that is nobody's. Cheap. */
void	saslx_set_login(struct saslx *x, const char *name, size_t len);
/* As whom he wants to act, as given. */
void	saslx_set_user(struct saslx *x, const char *name, size_t len);
/* The user whose client certificate has this SHA-256 (32 octets), who has shown
 * that he holds its key; NULL: he showed none. */
void	saslx_set_certificate(struct saslx *x, const uint8_t *fingerprint);

/* What auth/verify is to be asked about him. */
struct verify_ask saslx_ask(const struct saslx *x);

/* PLAIN (and LOGIN, which becomes PLAIN): login and user are set; the
 * password is prepared. Takes milliseconds unless verify_is_cached(). */
enum saslx_result saslx_check(struct saslx *x, const char *password,
	    size_t len);

/* The others: the next message of the client, NULL to begin a mechanism in
 * which the server speaks first. Microseconds, also for SCRAM: the PBKDF2 of
 * its password is the client's to compute, we only compare. A whole login
 * by SCRAM, with its three requests, its record, ticket and log line, was
 * measured at 0.12 ms of the loop, whatever the iterations: all of it runs there.
 * CONTINUE: *ret_out is good until the next call on x. */
enum saslx_result saslx_step(struct saslx *x, const void *in, size_t len,
	    const void **ret_out, size_t *ret_len);
/* APOP: login is set. */
enum saslx_result saslx_apop(struct saslx *x, const char *challenge,
	    const uint8_t digest[AUTHP_DIGEST_SIZE]);

/* What a proof is compared with (sasl_user.c): his own, then `genuine` is set, or
 * what fits nobody, then `why` is. The caller zeroes it. SCRAM's keys as Cyrus'
 * plugin reads them; 0 or an error. */
int	saslx_scram_keys(struct saslx *x, char *dst, size_t size);
/* The secret of CRAM-MD5 and APOP; its length or an error. */
int	saslx_secret(struct saslx *x, char dst[SEAL_TEXT_MAX + 1]);
/* The password was that of x->found. */
void	saslx_take_found(struct saslx *x);
/* He has proven who he is: may he act for x->user, who may use this service?
 * Then user is set and `authorized` is. */
bool	saslx_authorize(struct saslx *x);
/* sasl.c, for sasl_setup.c: what the plugins ask for. */
int	saslx_aux_lookup(void *glob, sasl_server_params_t *sparams,
	    unsigned int flags, const char *user, unsigned int ulen);

/* "authzid NUL authcid NUL passwd" (RFC 4616) in place; ERR_FORMAT. */
struct saslx_plain {
	const char	*authzid, *user, *password;
	size_t		 authzid_len, user_len, password_len;
};
int	saslx_plain_parse(const void *p, size_t len, struct saslx_plain *ret);

#endif
