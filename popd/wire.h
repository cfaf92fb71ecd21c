/*
 * wire.h - a stored message as POP3 sends it: CR LF line ends, dots stuffed
 * (RFC 1939 section 3), or only its top (section 7).
 *
 * A stored line ends with LF or CR LF; a last line without an end gets one.
 * popd-mbox counts with it and popd-pop sends with it, so that LIST, STAT and
 * RETR agree. Pure; fuzzed; the input may be cut anywhere.
 */
#ifndef SUBMITD_WIRE_H
#define SUBMITD_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire {
	uint64_t	octets;		/* so far, stuffed dots not counted */
	uint64_t	line_octets;	/* of the line that is open */
	uint64_t	body_lines;	/* of TOP that are still to come */
	uint8_t		prev;		/* the octet before */
	bool		top;
	bool		in_header;
	bool		done;		/* TOP: all is out */
};

/* What wire_put() may make of `n` octets, and room for wire_end(). */
#define WIRE_OUT_SIZE(n) (2 * (n) + 2)

void	wire_init(struct wire *w);
/* Only the header, the empty line and `lines` lines of the body. */
void	wire_init_top(struct wire *w, uint64_t lines);
/* Puts the next octets into `out` (WIRE_OUT_SIZE(len) octets) and returns how
 * many; `out` NULL only counts. */
size_t	wire_put(struct wire *w, const uint8_t *in, size_t len, uint8_t *out);
/* Ends the last line if it is open. */
size_t	wire_end(struct wire *w, uint8_t *out);

#endif
