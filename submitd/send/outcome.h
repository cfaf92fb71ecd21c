/*
 * outcome.h - what has become of one recipient in one attempt.
 *
 * The workers (smtp_client.c, local_client.c) fill it in, attempt.c makes it
 * durable. A text is printable ASCII of at most OUTCOME_TEXT_MAX octets; where
 * we wrote it ourselves it begins with an enhanced status code (RFC 3463).
 */
#ifndef SUBMITD_SEND_OUTCOME_H
#define SUBMITD_SEND_OUTCOME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "submitd/spool/client.h"

#define OUTCOME_TEXT_MAX 1024u	/* SPOOL_TEXT_MAX */

enum outcome {
	OUTCOME_NONE = 0,	/* not tried; to be tried again at once */
	OUTCOME_ACCEPTED,	/* taken at RCPT; the content decides */
	OUTCOME_DONE,
	OUTCOME_DEFER,
	OUTCOME_FAIL,
};

struct outcome_rcpt {
	uint32_t	 index;		/* in the message's recipients */
	const char	*address;	/* borrowed */
	struct spool_dsn dsn;		/* borrowed, too */
	enum outcome	 outcome;
	bool		 remote;	/* text is a reply of the other side */
	bool		 late;		/* DEFER, and the sender is to be told
					 * of it */
	bool		 over_ipv4;	/* smtp_client's own: refused over IPv6 */
	bool		 dsn_passed;	/* the next hop will send the reports */
	bool		 by_passed;	/* it minds the deadline (RFC 2852) */
	bool		 untried;	/* DEFER, for its time was over only */
	uint8_t		 kind;		/* enum dsn_kind, of its report */
	const char	*relay;		/* "HOST[IP]:PORT", borrowed; or NULL, "" */
	const char	*tls;		/* the same */
	char		*text;		/* owned; NULL: none */
};

/* Sets the outcome and a copy of the text; without memory for it, NULL. */
void	outcome_set(struct outcome_rcpt *r, enum outcome o, bool remote,
	    const char *text);
/* The same for all that stand at `from`. */
void	outcome_set_all(struct outcome_rcpt *r, size_t n, enum outcome from,
	    enum outcome o, bool remote, const char *text);
/* Never NULL. */
const char *outcome_text(const struct outcome_rcpt *r);

/* Copies `src`, what is not printable ASCII as \xHH, and cuts at `size` - 1 or
 * at OUTCOME_TEXT_MAX octets. Returns the length of dst. */
size_t	outcome_print(char *dst, size_t size, const char *src, size_t len);

/* Takes "5.1.1" from the front of a text or from behind its reply code; false
 * where there is none. `class` is what it has to begin with, '4' or '5'. */
#define OUTCOME_STATUS_SIZE 12
bool	outcome_status(const char *text, char class,
	    char dst[OUTCOME_STATUS_SIZE]);

#endif
