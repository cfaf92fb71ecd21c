/*
 * core.h - what the parts of authd-core share: one struct, made by main.c.
 *
 * Everything here belongs to the loop. A job on a pool thread may use dbenv,
 * userdb, relay, places, quota, usage, guess, verify, census and keys (they lock for
 * themselves or never change); the conf it needs it references on the loop
 * before it starts (conf_ref), for a reload may swap it meanwhile.
 */
#ifndef SUBMITD_AUTH_CORE_H
#define SUBMITD_AUTH_CORE_H

#include <stdbool.h>
#include <stdint.h>

#include "auth/pace.h"
#include "db/dbenv.h"
#include "db/placesdb.h"
#include "db/quotadb.h"
#include "db/relay_cache.h"
#include "db/usagedb.h"
#include "db/userdb.h"
#include "lib/conf.h"
#include "lib/loop.h"
#include "lib/pool.h"

#define CORE_KEY_SIZE 32

struct core_keys {
	uint8_t	ticket[CORE_KEY_SIZE];	/* MAC of handles and tickets */
	uint8_t	fake[CORE_KEY_SIZE];	/* fake SCRAM records */
	uint8_t	secret[CORE_KEY_SIZE];	/* seals secrets (auth/seal.h) */
	uint8_t	guess[CORE_KEY_SIZE];	/* MAC of wrong passwords */
};

struct core_stats {			/* counted on the loop */
	uint64_t auth_ok;
	uint64_t auth_fail;
	uint64_t auth_temp;
	uint64_t auth_blocked;		/* answered without a check */
	uint64_t cache_hits;
	uint64_t grants_new;
	uint64_t grants_renewed;
	uint64_t mail_ok;
	uint64_t mail_refused;
	uint64_t peers_gone;
};

struct census;				/* auth/census.h */
struct rekey;				/* auth/rekey.h */
struct verify;				/* auth/verify.h */
struct guess;				/* auth/guess.h */
struct fair;				/* auth/fair.h */
struct origin;				/* auth/origin.h */
struct origindb;			/* db/origindb.h */
struct quota;				/* auth/quota.h */
struct ops;				/* auth/ops.h */
struct shared;				/* auth/shared.h */
struct recent;				/* auth/recent.h */
struct rate;				/* auth/recent_rate.h */

struct core {
	struct loop		*loop;
	struct conf		*conf;		/* referenced; swapped by reload */
	struct pool		*pool;		/* conf->auth_threads */
	struct pool		*upkeep;	/* one thread, for what may wait */
	struct pool		*care;		/* one thread, for what takes long */
	struct dbenv		*dbenv;
	struct userdb		*userdb;
	struct relay_cache	*relay;
	struct core_keys	 keys;
	struct census		*census;
	struct verify		*verify;
	struct rekey		*rekey;
	struct guess		*guess;
	struct fair		*fair;		/* in front of pool */
	struct pace		 pace;		/* of failures */
	struct placesdb		*places;
	struct origindb		*origindb;
	struct origin		*origin;	/* locks for itself */
	_Atomic uint64_t	 token_keep_s;
	struct quotadb		*quotadb;
	struct quota		*quota;
	struct usagedb		*usage;		/* locks for itself */
	char			 brownout[32];	/* that is on, or "" */
	struct ops		*ops;
	struct shared		*shared;
	struct recent		*recent;
	struct rate		*hints;		/* hint_tell() */
	struct core_stats	 stats;
	bool			 has_secrets;	/* some user has a sealed secret */
};

#endif
