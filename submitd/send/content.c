/*
 * content.c - dot stuffing of a message on its way out.
 *
 * Runs in submitd-send. The octets themselves are never changed: signatures
 * have to survive.
 */
#include "config.h"

#include <string.h>

#include "submitd/send/content.h"

void
content_init(struct content *c)
{
	c->cr = false;
	c->line_start = true;
}

/* A line begins at in[i]. */
static bool
content_at_start(const struct content *c, const uint8_t *in, size_t i)
{
	if (i == 0)
		return c->line_start;
	return in[i - 1] == '\n' && (i == 1 ? c->cr : in[i - 2] == '\r');
}

/* Only a dot can need another one, so the rest is copied in runs. */
size_t
content_stuff(struct content *c, const uint8_t *in, size_t len, uint8_t *out)
{
	size_t i = 0, n = 0, run;
	const uint8_t *dot;

	if (len == 0)
		return 0;
	while (i < len) {
		dot = memchr(in + i, '.', len - i);
		run = dot == NULL ? len - i : (size_t)(dot - in) - i;
		memcpy(out + n, in + i, run);
		i += run;
		n += run;
		if (dot == NULL)
			break;
		if (content_at_start(c, in, i))
			out[n++] = '.';
		out[n++] = in[i++];
	}
	c->line_start = content_at_start(c, in, len);
	c->cr = in[len - 1] == '\r';
	return n;
}

size_t
content_end(const struct content *c, uint8_t out[CONTENT_END_SIZE])
{
	const char *end = c->line_start ? ".\r\n" : "\r\n.\r\n";
	size_t len = strlen(end);

	memcpy(out, end, len);
	return len;
}
