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
 * section 4.3). `origin` is "", or a token (base64) that stands in the place of
 * the client's address and EHLO name and of the user. All of the envelope is encoded: nothing in it can end the line.
 * Returns its octets, or ERR_LIMIT. */
int	header_received(const struct envelope *e, const char *hostname,
	    const char *origin, char *dst, size_t size);

/* Looks for the fields of a message, which comes in pieces, that submitd-spool
 * heeds: it counts Received, sees "TLS-Required: No" (RFC 8689 section 5), and
 * remembers to whom it was delivered before. */
#define HEADER_DELIVERED_MAX 16u
struct header_scan {
	uint32_t received;
	uint64_t delivered[HEADER_DELIVERED_MAX];	/* sums of addresses */
	uint8_t	 n_delivered;
	uint64_t sum;		/* of the one that is being read; 0: none */
	bool	 tls_optional;	/* of a field that is over */
	uint8_t	 value;		/* octets of "no" matched, of TLS-Required */
	uint8_t	 name;		/* which one may be matched */
	uint8_t	 col;		/* octets of its name that are */
	bool	 other;		/* the line is another field's */
	bool	 in_value;	/* of TLS-Required, or Delivered-To */
	bool	 empty;		/* nothing but CR in the line so far */
	bool	 body;		/* the header is over */
};

void	header_scan_init(struct header_scan *h);
void	header_scan_feed(struct header_scan *h, const void *p, size_t len);
/* It was delivered to this address already: a loop. */
bool	header_scan_was_delivered(const struct header_scan *h,
	    const char *address);
bool	header_scan_tls_optional(const struct header_scan *h);

#endif
