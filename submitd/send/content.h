/*
 * content.h - dot stuffing of a message on its way out (RFC 5321 section
 * 4.5.2). Pure; the cut into pieces may lie anywhere.
 */
#ifndef SUBMITD_SEND_CONTENT_H
#define SUBMITD_SEND_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct content {
	bool	cr;		/* the last octet was a CR */
	bool	line_start;
};

void	content_init(struct content *c);
/* `out` has room for 2 * len octets; returns how many there are. */
size_t	content_stuff(struct content *c, const uint8_t *in, size_t len,
	    uint8_t *out);
/* What ends the data: CR LF where the last line has none, dot, CR LF. */
#define CONTENT_END_SIZE 5
size_t	content_end(const struct content *c, uint8_t out[CONTENT_END_SIZE]);

#endif
