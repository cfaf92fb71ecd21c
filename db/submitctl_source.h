/*
 * submitctl_source.h - the lines of what is imported: a file, standard input,
 * or a sasldb2 file read by the program that links Berkeley DB.
 */
#ifndef SUBMITD_DB_SUBMITCTL_SOURCE_H
#define SUBMITD_DB_SUBMITCTL_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "db/import.h"

struct source {
	const char		*file;		/* "-": standard input */
	const char		*name;		/* for messages */
	const char		*libexec_dir;
	enum import_format	 format;	/* never IMPORT_AUTO */
	uint64_t		 line;		/* number of the last one */
	int			 fd;
	pid_t			 reader;	/* of sasldb2; or 0 */
	char			*mem;
	size_t			 off, len;
	bool			 ended;
};

/* `file` and `libexec_dir` are borrowed. `twice`: source_rewind() will be
 * called. 0, or the exit code after a message;
 * source_close() in any case. */
int	source_open(struct source *s, const char *file, enum import_format f,
	    const char *libexec_dir, bool twice);
/* 1: a line, without its end, until the next call; 0: no more; -1: one that is
 * too long was skipped; -2: reading failed (errno). */
int	source_next(struct source *s, const char **ret, size_t *ret_len);
int	source_rewind(struct source *s);
/* 0, or the exit code after a message: the reader of sasldb2 failed. */
int	source_close(struct source *s);

#endif
