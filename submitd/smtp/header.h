/*
 * header.h - looks at the header section as it passes by and adds the Date and
 * Message-ID that are missing (RFC 6409 sections 8.2 and 8.3), at its end.
 * Nothing else is changed: signatures stay good. Pure; fuzzed.
 */
#ifndef SUBMITD_SMTP_HEADER_H
#define SUBMITD_SMTP_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SMTP_HEADER_NAME_MAX	128u	/* a longer field name is none */

enum smtp_header_state {
	SMTP_HEADER_START = 0,	/* at the start of a line: octets are held */
	SMTP_HEADER_LINE,	/* in a header line */
	SMTP_HEADER_BODY,	/* behind the header section */
};

/* Octets on their way on. */
typedef void smtp_header_fn(void *ctx, const void *p, size_t len);

struct smtp_header {			/* smtp_header_begin() fills it */
	enum smtp_header_state	 state;
	bool			 in_section;	/* a field was seen */
	bool			 has_date;
	bool			 has_message_id;
	size_t			 n_held;
	uint8_t			 held[SMTP_HEADER_NAME_MAX + 2];
	int64_t			 now_s;
	const char		*id;
	const char		*host;
	smtp_header_fn		*emit;
	void			*ctx;
};

/* `id` and `host` (borrowed) make the Message-ID, `now_s` the Date. */
void	smtp_header_begin(struct smtp_header *h, int64_t now_s, const char *id,
	    const char *host, smtp_header_fn *emit, void *ctx);
/* The message, in pieces of any size. */
void	smtp_header_put(struct smtp_header *h, const uint8_t *p, size_t len);
/* The message has ended, perhaps within its header. */
void	smtp_header_end(struct smtp_header *h);

#endif
