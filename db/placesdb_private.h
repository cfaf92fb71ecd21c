/*
 * placesdb_private.h - what placesdb.c (memory, look-ups) and placesdb_write.c
 * (the database) share.
 */
#ifndef SUBMITD_DB_PLACESDB_PRIVATE_H
#define SUBMITD_DB_PLACESDB_PRIVATE_H

#include <pthread.h>

#include <db.h>

#include "db/dbenv_private.h"
#include "db/placesdb.h"
#include "db/waiting.h"

#define PLACESDB_BATCH	64u	/* records in a transaction: readers wait for
				 * its pages */
#define PLACESDB_KEY_MAX (MAILBOX_SIZE + PLACESDB_LABEL_SIZE)

enum placesdb_kind { PLACESDB_LOGIN, PLACESDB_PLACE };

/* What waits, by its kind and key (placesdb_find()). */
struct placesdb_note {
	enum placesdb_kind	 kind;
	struct placesdb_login	 login;		/* a place: at_s, stranger */
};

struct placesdb {
	struct dbenv		*env;
	DB			*logins;
	DB			*places;
	DB			*guess;
	pthread_mutex_t		 lock;		/* of waiting */
	struct waiting		*waiting;	/* of struct placesdb_note */
	struct dbenv_place	 place;		/* upkeep's */
};

struct placesdb_place {
	int64_t	first_s;	/* 0: a stranger each time */
	int64_t	last_s;
};

/* "user" or "user NUL label"; "user NUL ip". The length. */
size_t	placesdb_login_key(const char *user, const char *label,
	    uint8_t dst[PLACESDB_KEY_MAX]);
size_t	placesdb_place_key(const char *user, const struct addr *a,
	    uint8_t dst[PLACESDB_KEY_MAX]);

/* With the lock held: the note of this key, or NULL. Its own key has the kind in
 * front. */
struct waiting_note *placesdb_find(const struct placesdb *p,
	    enum placesdb_kind kind, const uint8_t *key, size_t len);
struct placesdb_note *placesdb_note_of(struct waiting_note *n);

/* A place that this login was the first at. */
struct placesdb_place placesdb_place_of(const struct placesdb_login *l);
int	placesdb_place_decode(const void *p, size_t len,
	    struct placesdb_place *ret);
#define PLACESDB_PLACE_SIZE 17u
void	placesdb_place_encode(const struct placesdb_place *place,
	    uint8_t dst[PLACESDB_PLACE_SIZE]);

#endif
