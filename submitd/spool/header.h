/*
 * header.h - the Received field that submitd-spool puts in front, and counting
 * those that are there already. Pure.
 */
#ifndef SUBMITD_SPOOL_HEADER_H
#define SUBMITD_SPOOL_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "submitd/spool/envelope.h"

#define HEADER_RECEIVED_SIZE 2048u

/* Writes the folded field with its CR LF (RFC 5321 section 4.4, RFC 8314
 * section 4.3). All of the envelope is encoded: nothing in it can end the line.
 * Returns its octets, or ERR_LIMIT. */
int	header_received(const struct envelope *e, const char *hostname,
	    char *dst, size_t size);

/* Counts the Received fields of a message that comes in pieces. */
struct header_scan {
	uint32_t received;
	uint8_t	 col;		/* octets of "received:" matched, or no match */
	bool	 other;		/* the line is another field's */
	bool	 empty;		/* nothing but CR in the line so far */
	bool	 body;		/* the header is over */
};

void	header_scan_init(struct header_scan *h);
void	header_scan_feed(struct header_scan *h, const void *p, size_t len);

#endif
