/*
 * hop_reply.c - replies of a next hop (RFC 5321 section 4.2).
 *
 * Runs in submitd-send. Anything that is not a reply by the letter, a bare LF
 * included, is HOP_REPLY_BAD, which the caller takes for a failure for now.
 */
#include "config.h"

#include <string.h>

#include "submitd/send/hop_reply.h"

#include "lib/line.h"

void
hop_reply_init(struct hop_reply *r)
{
	memset(r, 0, sizeof(*r));
}

static void
hop_reply_append(struct hop_reply *r, const char *s, size_t len)
{
	if (r->len + 1 < sizeof(r->text))
		r->len += outcome_print(r->text + r->len,
		    sizeof(r->text) - r->len, s, len);
}

/* Reply-code = %x32-35 %x30-35 %x30-39; we let the second digit be any. */
static int
hop_reply_code(const char *s)
{
	if (s[0] < '2' || s[0] > '5')
		return -1;
	for (int i = 1; i < 3; i++)
		if (s[i] < '0' || s[i] > '9')
			return -1;
	return (s[0] - '0') * 100 + (s[1] - '0') * 10 + (s[2] - '0');
}

static enum hop_reply_result
hop_reply_line(struct hop_reply *r, struct line *l, hop_reply_line_fn *fn,
    void *ctx)
{
	int code;

	if (l->len < 3 || (code = hop_reply_code(l->text)) < 0 ||
	    (l->len > 3 && l->text[3] != ' ' && l->text[3] != '-') ||
	    (r->lines > 0 && code != r->code) ||
	    ++r->lines > HOP_REPLY_LINES_MAX)
		return HOP_REPLY_BAD;
	if (r->lines == 1)
		hop_reply_append(r, l->text, 3);
	r->code = code;
	if (l->len > 4) {
		hop_reply_append(r, " ", 1);
		hop_reply_append(r, l->text + 4, l->len - 4);
	}
	if (fn != NULL)
		fn(ctx, r->lines, l->len > 4 ? l->text + 4 : l->text + l->len);
	return l->len > 3 && l->text[3] == '-' ? HOP_REPLY_MORE :
	    HOP_REPLY_DONE;
}

enum hop_reply_result
hop_reply_read(struct hop_reply *r, struct buf *in, hop_reply_line_fn *fn,
    void *ctx)
{
	enum hop_reply_result result;
	struct line l;

	for (;;) {
		switch (line_next(in, HOP_REPLY_LINE_MAX, 0, &l)) {
		case LINE_OK:
			break;
		case LINE_MORE:
			return HOP_REPLY_MORE;
		default:
			return HOP_REPLY_BAD;
		}
		result = hop_reply_line(r, &l, fn, ctx);
		buf_consume(in, l.used);
		if (result != HOP_REPLY_MORE)
			return result;
	}
}
