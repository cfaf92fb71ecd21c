/*
 * header.h - the header section of a message as it passes by: what is wrong with
 * it, whose its addresses are, and the few fields that are added to it or taken
 * out (RFC 6409 section 8). All else, and the body, is passed as it is:
 * signatures stay good. Pure; fuzzed.
 *
 * Where an address is not the envelope sender somebody must be asked whose it
 * is: the machine stops at the end of the header (SMTP_HEADER_ASK) until
 * smtp_header_answer().
 */
#ifndef SUBMITD_SMTP_HEADER_H
#define SUBMITD_SMTP_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/authp.h"
#include "lib/buf.h"
#include "lib/conf.h"

#define SMTP_HEADER_NAME_MAX	128u	/* a longer field name is none */

enum smtp_header_state {
	SMTP_HEADER_START = 0,	/* at the start of a line: octets are held */
	SMTP_HEADER_LINE,	/* in a header line */
	SMTP_HEADER_ASK,	/* its end is held until the answer */
	SMTP_HEADER_BODY,	/* behind the header section */
};

enum smtp_header_fault {
	SMTP_HEADER_OK = 0,
	/* header_policy says what becomes of these */
	SMTP_HEADER_TWICE,	/* more than one field of this name */
	SMTP_HEADER_SPACE,	/* white space before the colon */
	SMTP_HEADER_NAME,	/* a name that is not printable ASCII */
	SMTP_HEADER_ADDRESS,	/* cannot be read as addresses */
	SMTP_HEADER_NO_FROM,	/* and none can be made of <> */
	/* and these are final */
	SMTP_HEADER_FOREIGN,	/* an address is not the sender's own */
	SMTP_HEADER_SIZE,
	SMTP_HEADER_COUNT,
	SMTP_HEADER_MEMORY,
	SMTP_HEADER_FAULT__COUNT
};

/* Octets on their way on. */
typedef void smtp_header_fn(void *ctx, const void *p, size_t len);

struct smtp_header_rules {	/* what they point to outlives the header */
	const struct conf	*conf;
	int64_t			 now_s;		/* for Date */
	const char		*id;		/* for Message-ID */
	const char		*sender;	/* of the envelope, "" for <> */
	const char		*user;		/* whose message it is, or "" */
};

struct smtp_header_found {		/* a fault */
	enum smtp_header_fault	 fault;
	char			 field[SMTP_HEADER_NAME_MAX + 1];
};

struct smtp_header_address {
	uint8_t	field;			/* private */
	char	text[];
};

struct smtp_header {			/* smtp_header_begin() fills it */
	enum smtp_header_state	 state;
	struct smtp_header_found found;	/* the first; nothing is passed on */
	struct smtp_header_found logged;	/* the first that is only logged */
	const char		*foreign;	/* SMTP_HEADER_FOREIGN: which */
	const char		*added;		/* sender_policy = add-sender: whose
						 * From it was taken with */
	/* The addresses to be asked about, in state ASK. */
	struct smtp_header_address **addresses;
	size_t			 n_addresses;

	/* All that follows is private. */
	struct smtp_header_rules rules;
	smtp_header_fn		*emit;
	void			*ctx;
	bool			 in_section;	/* a field was seen */
	bool			 space, odd;	/* in the name at hand */
	bool			 dropping;	/* the field at hand */
	bool			 reading;	/* it is kept in text */
	bool			 resent_over;	/* the first block of them */
	bool			 sender_bad;	/* to be replaced */
	bool			 sender_missing;	/* to be added */
	bool			 empty_line;	/* ended the section */
	uint8_t			 field;		/* at hand */
	unsigned int		 seen;		/* bits */
	unsigned int		 n_in_field;	/* addresses */
	uint64_t		 octets, fields;
	size_t			 n_held;
	uint8_t			 held[SMTP_HEADER_NAME_MAX + 2];
	struct buf		 text;		/* of a field that is read */
	struct buf		 late;		/* from Sender on, where it
						 * may have to go */
	bool			 holding;
	size_t			 sender_at, sender_len;	/* in late */
};

/* The rules are copied; smtp_header_free() in the end. */
void	smtp_header_begin(struct smtp_header *h,
	    const struct smtp_header_rules *rules, smtp_header_fn *emit,
	    void *ctx);
void	smtp_header_free(struct smtp_header *h);
/* The message, in pieces of any size. Returns how many octets were taken: all
 * but in state ASK. With a fault found nothing more need be put. */
size_t	smtp_header_put(struct smtp_header *h, const uint8_t *p, size_t len);
/* The message has ended, perhaps within its header: that may end in ASK too. */
void	smtp_header_end(struct smtp_header *h);
/* In state ASK: enum authp_owned of each address. */
void	smtp_header_answer(struct smtp_header *h, const uint8_t *owned);
/* A word for the log. */
const char *smtp_header_fault_name(enum smtp_header_fault f);

/* header_field.c, for header.c: the name in held[] has been read; the field is
 * over; the section is. */
void	smtp_header_field_begin(struct smtp_header *h);
void	smtp_header_field_end(struct smtp_header *h);
void	smtp_header_judge(struct smtp_header *h);
/* Notes a fault; `field` may be longer than a name, and is cut. */
void	smtp_header_fail(struct smtp_header *h, enum smtp_header_fault f,
	    const char *field, size_t len);
/* header.c: octets of ours, or that were held. */
void	smtp_header_out(struct smtp_header *h, const void *p, size_t len);

#endif
