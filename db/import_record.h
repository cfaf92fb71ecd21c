/*
 * import_record.h - a user as one line of JSON: what "user export" writes and
 * "user import" takes. Pure (no Berkeley DB); fuzzed. Linked by authd-core.
 *
 * A line with "credentials" describes the user wholly: what it leaves out is
 * empty. Any other line names only what it wants: "password" or "hash", "note",
 * "aliases" and so on. submitctl(8) lists the members.
 */
#ifndef SUBMITD_DB_IMPORT_RECORD_H
#define SUBMITD_DB_IMPORT_RECORD_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "db/import.h"
#include "db/record.h"
#include "lib/err.h"
#include "lib/mailbox.h"

#define IMPORT_RECORD_VERSION	1	/* of the first line: {"submitd_users":1} */

enum {				/* import_record.given */
	IMPORT_HAS_NOTE		= 1 << 0,
	IMPORT_HAS_MAILDIR	= 1 << 1,
	IMPORT_HAS_QUOTA	= 1 << 2,
	IMPORT_HAS_LIMITS	= 1 << 3,
	IMPORT_HAS_ALIASES	= 1 << 4,
	IMPORT_HAS_ALLOW_AS	= 1 << 5,
	IMPORT_WHOLE		= 1 << 6,	/* it has "credentials" */
	IMPORT_CONTINUED	= 1 << 7,	/* the lists go on in other lines,
					 * so they are only added to */
	IMPORT_CONTINUES	= 1 << 8,	/* such a line: aliases, allow_as */
	IMPORT_HAS_CLASS	= 1 << 10,
	IMPORT_ALLOW_AS_LATER	= 1 << 9	/* allow_as comes in such a line,
					 * when all users are there */
};

/* One line, decoded. What is borrowed lives as long as the JSON. */
struct import_record {
	char			 user[MAILBOX_SIZE];
	unsigned int		 given;		/* IMPORT_ */
	uint32_t		 flags_given;	/* which of rec.flags it names */
	struct user_record	 rec;		/* rec.hash as it was given */
	const char		*password;	/* borrowed; NULL: none */
	const json_t		*aliases;	/* borrowed; canonical strings */
	const json_t		*allow_as;	/* borrowed; canonical strings */
};

/* Everything is checked: types, bounds, canonical names; an unknown member is
 * refused. ERR_FORMAT, with what is wrong but never a secret. */
int	import_record_decode(json_t *line, struct import_record *ret,
	    struct err *reterr);
void	import_record_clear(struct import_record *r);	/* zeroes */

/* A new object; NULL without memory. `aliases` and `allow_as` are stolen. */
json_t *import_record_encode(const char *user, const struct user_record *rec,
	    json_t *aliases, json_t *allow_as);

#endif
