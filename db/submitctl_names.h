/*
 * submitctl_names.h - the names that an imported file has, with the line of
 * each: a million of them take some 60 MB.
 */
#ifndef SUBMITD_DB_SUBMITCTL_NAMES_H
#define SUBMITD_DB_SUBMITCTL_NAMES_H

#include <stddef.h>
#include <stdint.h>

struct names;

struct names *names_new(void);		/* NULL without memory */
void	names_free(struct names *n);	/* NULL is fine */

/* 0: it is new; ERR_EXISTS with the line that had it; ERR_NOMEM. */
int	names_add(struct names *n, const char *name, uint64_t line,
	    uint64_t *ret_earlier);
/* The line of the name; 0: it is not there. */
uint64_t names_line(const struct names *n, const char *name);
size_t	names_count(const struct names *n);

#endif
