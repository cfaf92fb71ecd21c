/*
 * line.c - takes one line of a protocol from a buffer. Pure, runs in the
 * processes that face the network; it never reads behind the buffer's end.
 */
#include "lib/line.h"

#include <stdbool.h>
#include <string.h>

/*
 * The octets up to and with the end of the first line, or 0. Only CR LF ends a
 * line, with one exception: where a bare LF is the last octet that has come,
 * the client waits for a reply, and is told that the line is refused.
 */
static size_t
line_find_end(const uint8_t *p, size_t len)
{
	const uint8_t *lf = p, *end = p + len;

	while (lf < end &&
	    (lf = memchr(lf, '\n', (size_t)(end - lf))) != NULL) {
		if ((lf > p && lf[-1] == '\r') || lf + 1 == end)
			return (size_t)(lf + 1 - p);
		lf++;
	}
	return 0;
}

static enum line_result
line_skip(const uint8_t *p, size_t len, size_t end, struct line *ret)
{
	/* Here a bare LF ends nothing: what follows it is still this line. */
	if (end > 0 && (end < 2 || p[end - 2] != '\r'))
		end = 0;
	ret->ended = end > 0;
	ret->used = end > 0 ? end : len;
	/* The CR may be the first half of the line's end. */
	if (end == 0 && len > 0 && p[len - 1] == '\r')
		ret->used--;
	return ret->used > 0 ? LINE_LONG : LINE_MORE;
}

enum line_result
line_next(struct buf *b, size_t max, int skipping, struct line *ret)
{
	uint8_t *p = buf_data(b);
	size_t len = buf_len(b), end;
	bool bare;

	memset(ret, 0, sizeof(*ret));
	if (len == 0)
		return LINE_MORE;
	end = line_find_end(p, len);
	if (skipping || end > max || (end == 0 && len >= max))
		return line_skip(p, len, end, ret);
	if (end == 0)
		return LINE_MORE;
	bare = end < 2 || p[end - 2] != '\r';
	ret->text = (char *)p;
	ret->len = end - (bare ? 1 : 2);
	ret->used = end;
	ret->ended = 1;
	if (memchr(p, '\0', ret->len) != NULL ||
	    memchr(p, '\r', ret->len) != NULL ||
	    memchr(p, '\n', ret->len) != NULL)
		bare = true;
	p[ret->len] = '\0';
	return bare ? LINE_BARE : LINE_OK;
}
