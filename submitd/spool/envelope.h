/*
 * envelope.h - the octets of a queue file: header, envelope, result records.
 *
 *	offset 0	header, ENVELOPE_HEADER_SIZE octets
 *	then		the envelope: lib/msg.h packets, each behind a u32 length
 *	content_offset	the message as it is sent: Received first, CR LF lines
 *	then		result records, appended as deliveries end
 *
 * Versions 1 (before SMTPUTF8 and DSN), 2 (before struct spool_wishes) and 3
 * (before flags and holds) are read as well. All integers are big-endian; header, envelope and each record
 * carry a CRC-32. What only the message itself tells (TLS-Required) is in the
 * header, which is written last.
 * A record that is torn, and all behind it, is as if it had not been written.
 * Pure; fuzzed.
 */
#ifndef SUBMITD_SPOOL_ENVELOPE_H
#define SUBMITD_SPOOL_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/str.h"
#include "submitd/spool/client.h"
#include "submitd/spool/protocol.h"

#define ENVELOPE_HEADER_SIZE	48u
#define ENVELOPE_MAX		(32u * 1024 * 1024)

struct envelope {
	char	  id[STR_ID_SIZE];
	char	 *sender;	/* "" for <> */
	char	 *user;		/* whose message it is; "" for a bounce */
	uint8_t	  kind;		/* enum authp_kind; 0 for a bounce */
	char	 *peer;		/* client address, "" for a bounce */
	char	 *tls;
	char	 *mech;
	char	 *sid;
	char	 *helo;
	int64_t	  arrived_s;
	bool	  eightbit;
	bool	  smtputf8;
	bool	  foreign;	/* the sender is not his user's: sender_policy
				 * let it through, and only logged it */
	uint8_t	  ret;		/* enum spool_ret */
	char	 *envid;	/* xtext, "": none */
	struct spool_wishes wishes;	/* tls_optional: of the header */
	char	**rcpts;
	struct spool_dsn *dsn;	/* n_rcpts of them; NULL: nothing was asked */
	size_t	  n_rcpts;
};

struct envelope_header {
	uint32_t envelope_len;
	uint64_t content_offset;
	uint64_t content_len;
	uint32_t envelope_crc;
	bool	 tls_optional;	/* spool_wishes.tls_optional */
};

enum envelope_state {		/* of a recipient; numbers on disk */
	ENVELOPE_PENDING = 0,
	ENVELOPE_DONE = 1,
	ENVELOPE_FAILED = 2,
	ENVELOPE_DELIVERED = 3,	/* the report of it is still owed */
};

enum envelope_hold {		/* why the message is held; bits, on disk */
	ENVELOPE_HOLD_ADMIN = 1,	/* submitctl queue hold */
	ENVELOPE_HOLD_USER = 2,		/* its user is disabled */
	ENVELOPE_HOLD__ALL = 3
};

/* rcpt: a hold record. Its state are all the enum envelope_hold that count from
 * now on (0: released), its next_try_s since when, its text who said so. */
#define ENVELOPE_RCPT_HOLD	UINT32_MAX

struct envelope_result {
	uint32_t rcpt;		/* index, or ENVELOPE_RCPT_HOLD */
	uint8_t	 state;		/* enum envelope_state */
	uint32_t tries;
	int64_t	 next_try_s;
	bool	 told;		/* the sender, of the delay */
	char	 text[SPOOL_TEXT_MAX + 1];
};

#define ENVELOPE_RESULT_MAX	(32u + SPOOL_TEXT_MAX)

uint32_t envelope_crc(const void *p, size_t len);

/* *ret is malloc'ed. ERR_NOMEM, ERR_LIMIT. */
int	envelope_pack(const struct envelope *e, uint8_t **ret, size_t *ret_len);
/* Fills *ret, which is the caller's: envelope_free(). ERR_FORMAT, ERR_NOMEM:
 * *ret holds nothing then. */
int	envelope_unpack(const void *p, size_t len, struct envelope *ret);
void	envelope_free(struct envelope *e);	/* a zeroed struct is fine */

void	envelope_header_pack(const struct envelope_header *h,
	    uint8_t dst[ENVELOPE_HEADER_SIZE]);
/* ERR_FORMAT: not ours, another version, a wrong CRC or impossible numbers. */
int	envelope_header_unpack(const uint8_t src[ENVELOPE_HEADER_SIZE],
	    struct envelope_header *ret);

/* Returns the octets put into dst. Text beyond SPOOL_TEXT_MAX is cut. */
size_t	envelope_result_pack(const struct envelope_result *r,
	    uint8_t dst[ENVELOPE_RESULT_MAX]);
/* Takes one record; returns its octets, or ERR_FORMAT at a torn one. */
int	envelope_result_unpack(const uint8_t *p, size_t len,
	    struct envelope_result *ret);

#endif
