/*
 * import.h - what an imported line makes of a user: keys, hash, settings.
 * On pool threads of authd-core.
 */
#ifndef SUBMITD_AUTH_IMPORT_H
#define SUBMITD_AUTH_IMPORT_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "auth/core.h"
#include "db/import_record.h"
#include "db/userdb_batch.h"

struct import_ctx {			/* of a batch */
	const struct core	*core;
	const struct conf	*conf;
	bool			 update;	/* else users who are there stay */
	bool			 check;		/* nothing will be written */
	int64_t			 now_s;
};

struct import_user {
	struct import_record	 in;
	bool			 has_password;	/* a hash or keys are given */
	bool			 same;		/* and they are what he has */
	struct user_credential	 keys;		/* .keys 0: in.rec.hash is it */
	uint8_t			 salt[RECORD_SALT_MAX];	/* of these keys */
	uint8_t			 salt_len;
	uint8_t			 import_id[RECORD_KEY];
	bool			 unverifiable;	/* why import_prepare() failed */
	bool			 secret_lost;	/* of another secret.key */
	bool			 shut_out;	/* he is disabled from now on */
	bool			 took_away;	/* a way to log in */
};

/* Reads a line and makes the keys that it needs: may take milliseconds.
 * ERR_FORMAT and others, with what is wrong but never a secret. */
int	import_prepare(const struct import_ctx *c, json_t *line,
	    struct import_user *ret, struct err *reterr);
void	import_user_clear(struct import_user *u);	/* zeroes */

/* What is to be stored: see userdb_batch_fn. Called again it gives the same. */
int	import_merge(const struct import_ctx *c, struct import_user *u,
	    const struct user_record *was, struct user_record *is,
	    struct err *reterr);

#endif
