/*
 * hop_reply.h - replies of a next hop (RFC 5321 section 4.2), read strictly and
 * with bounds, whatever comes. Pure; fuzzed.
 */
#ifndef SUBMITD_SEND_HOP_REPLY_H
#define SUBMITD_SEND_HOP_REPLY_H

#include "lib/buf.h"
#include "submitd/send/outcome.h"

#define HOP_REPLY_LINE_MAX	2048u	/* with CR LF; the RFC has 512 */
#define HOP_REPLY_LINES_MAX	100u

struct hop_reply {
	int		code;		/* 200 to 599 */
	unsigned int	lines;
	size_t		len;
	/* "550 5.1.1 no such user", the lines joined by spaces, printable */
	char		text[OUTCOME_TEXT_MAX + 1];
};

enum hop_reply_result {
	HOP_REPLY_MORE,		/* not whole yet */
	HOP_REPLY_DONE,
	HOP_REPLY_BAD,		/* no SMTP; end the connection */
};

/* Called for each line, without its code: EHLO keywords. `text` is good for
 * the call, and may hold any octet but NUL, CR and LF. */
typedef void hop_reply_line_fn(void *ctx, unsigned int line, char *text);

void	hop_reply_init(struct hop_reply *r);	/* before each reply */
/* Takes lines from `in` until a reply is whole; `fn` may be NULL. */
enum hop_reply_result hop_reply_read(struct hop_reply *r, struct buf *in,
	    hop_reply_line_fn *fn, void *ctx);

#endif
