/*
 * manifest.h - what stands in a backup of the database: its files, each with
 * size and SHA-256, in a text file that is written last.
 */
#ifndef SUBMITD_MANIFEST_H
#define SUBMITD_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define MANIFEST_FILE		"MANIFEST"
#define MANIFEST_FORMAT		4u	/* DBENV_VERSION, for who cannot see it */
#define MANIFEST_NAME_SIZE	64
#define MANIFEST_FILES_MAX	512u
#define MANIFEST_TEXT_MAX	(MANIFEST_FILES_MAX * 160)

struct manifest_file {
	char		name[MANIFEST_NAME_SIZE];
	uint64_t	octets;
	uint8_t		sha256[32];
};

struct manifest {
	int64_t			made_s;
	uint64_t		format;		/* DBENV_VERSION */
	uint64_t		users;
	size_t			n;
	struct manifest_file	v[MANIFEST_FILES_MAX];
};

/* May a file of a backup be called so? Letters, digits and "._-", neither
 * hidden nor one of our own words. */
bool	manifest_is_name(const char *name);
bool	manifest_is_database(const char *name);		/* "….db" */
bool	manifest_is_key(const char *name);		/* "….key" */

/* Copies the file open at `from` into `to` and flushes it; name in *f is set
 * before, octets and sha256 are filled in. `to` -1: reads only. */
int	manifest_copy(int from, int to, struct manifest_file *f,
	    struct err *reterr);

/* The text; it must be freed. NULL: no memory. */
char	*manifest_text(const struct manifest *m);
/* ERR_FORMAT, with what is wrong; nothing in it is taken on trust. */
int	manifest_parse(const char *text, struct manifest *ret,
	    struct err *reterr);

#endif
