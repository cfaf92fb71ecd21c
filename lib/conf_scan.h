/*
 * conf_scan.h - the look at a file before libconfuse's; for conf_file.c only.
 */
#ifndef SUBMITD_CONF_SCAN_H
#define SUBMITD_CONF_SCAN_H

#include <stddef.h>

#include "lib/err.h"

struct conf_place {
	char	*name;		/* a key or kind of section; "FILE:LINE.key" of
				 * the section that begins there */
	char	*origin;	/* "FILE:LINE" */
};

struct conf_scan {		/* zeroed before the first use */
	struct conf_place *places;
	size_t		 n;
};

/* Checks the text of `file` and what it includes. ERR_CONFIG: the text says
 * FILE:LINE and what was expected. */
int	conf_scan(struct conf_scan *s, const char *file, const char *text,
	    struct err *reterr);
void	conf_scan_free(struct conf_scan *s);

/* "FILE:LINE" of the first place where the key is set, or NULL. */
const char *conf_scan_find(const struct conf_scan *s, const char *name);

/* A file of text, at most 1 MiB; *ret is the caller's. */
int	conf_scan_read(const char *path, char **ret, size_t *ret_len,
	    struct err *reterr);
/* Where include("name") in `file` looks. */
int	conf_scan_path(const char *file, const char *name, char *dst,
	    size_t size);

#endif
