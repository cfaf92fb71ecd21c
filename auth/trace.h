/*
 * trace.h - what a Received line says (RFC 5321 section 4.4), as submitd-spool
 * writes it. Pure; fuzzed.
 */
#ifndef SUBMITD_AUTH_TRACE_H
#define SUBMITD_AUTH_TRACE_H

#include <stdbool.h>

#include "auth/authp.h"

#define TRACE_WORD	256u

/* What a Received line says. */
struct trace {
	const char	*at;			/* the reader's */
	char		 token[AUTHP_ORIGIN_MAX + 1];
	char		 from[TRACE_WORD];
	char		 by[TRACE_WORD];
	char		 id[TRACE_WORD];
	char		 address[TRACE_WORD];
	char		 user[TRACE_WORD + 32];
	char		 date[TRACE_WORD];
};

/* Each field that the text has, others "": never an error, for what is no
 * Received line has no fields. What is too long is cut, or left out. *ret begins
 * zeroed. */
void	trace_read(struct trace *ret, const char *text);

/* The text is a token and nothing else, as it stands in Received, folds and
 * all: dst is it without them. */
bool	trace_is_token(const char *text, char dst[AUTHP_ORIGIN_MAX + 1]);

#endif
