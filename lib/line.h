/*
 * line.h - takes one line of a protocol from the front of a buffer.
 *
 * Lines end with CR LF and nothing else; but where a bare LF is the last octet
 * that has come, the client waits for a reply, and the line is given out as
 * LINE_BARE at once. Pure; fuzzed.
 */
#ifndef SUBMITD_LINE_H
#define SUBMITD_LINE_H

#include <stddef.h>

#include "lib/buf.h"

enum line_result {
	LINE_OK,	/* *ret_line, *ret_len: without CR LF, NUL-terminated in
			 * place; consume *ret_used octets when done with it */
	LINE_MORE,	/* no whole line yet */
	LINE_BARE,	/* a bare CR, a bare LF or a NUL stands in it; the same
			 * outputs, the line is to be refused */
	LINE_LONG,	/* longer than max: *ret_used octets are to be thrown
			 * away; *ret_ended says whether the line's end was in
			 * them or more of it follows */
};

struct line {
	char	*text;
	size_t	 len;
	size_t	 used;
	int	 ended;
};

/* `max` counts the CR LF, as the RFCs do. When `skipping` (the rest of a line
 * that was LINE_LONG), the result is LINE_LONG again or, without data,
 * LINE_MORE. */
enum line_result line_next(struct buf *b, size_t max, int skipping,
	    struct line *ret);

#endif
