/*
 * reader.h - the content behind DATA or BDAT: finds its end and takes the dot
 * stuffing out (RFC 5321 section 4.5.2), however the octets are cut into pieces.
 *
 * CR LF . CR LF and nothing else ends it. A bare CR, a bare LF or a NUL makes
 * it broken: it is read to its true end, but nothing of it may be kept, for
 * the next server could find another end in it (SMTP smuggling). Pure; fuzzed.
 */
#ifndef SUBMITD_SMTP_READER_H
#define SUBMITD_SMTP_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum smtp_reader_state {
	SMTP_READER_START = 0,	/* at the start of a line */
	SMTP_READER_TEXT,	/* in a line */
	SMTP_READER_CR,		/* in a line, behind a CR */
	SMTP_READER_DOT,	/* behind a dot that began the line */
	SMTP_READER_DOT_CR,
	SMTP_READER_END,	/* all read */
};

struct smtp_reader {			/* zeroed is the start */
	enum smtp_reader_state	 state;
	bool			 broken;
	uint64_t		 octets;	/* given out so far */
	uint64_t		 line;		/* octets of the line at hand */
	uint64_t		 longest;	/* with CR LF */
};

struct smtp_run {
	const uint8_t	*p;		/* to be kept; len may be 0 */
	size_t		 len;
};

/* Takes octets from `p` and says which of them are to be kept. Returns how
 * many were used: 1 to len; the rest is for the next call. Behind the end
 * (state SMTP_READER_END) nothing is used. */
size_t	smtp_reader_next(struct smtp_reader *r, const uint8_t *p, size_t len,
	    struct smtp_run *ret);

/* The same rules for octets that BDAT brought (RFC 3030): all of them are
 * content, dots too, and whoever counts them knows the end. */
void	smtp_reader_chunk(struct smtp_reader *r, const uint8_t *p, size_t len);
/* Behind the last chunk: whether the last line has no end yet. */
bool	smtp_reader_chunks_end(struct smtp_reader *r);

#endif
