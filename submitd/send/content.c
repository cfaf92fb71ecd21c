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

size_t
content_stuff(struct content *c, const uint8_t *in, size_t len, uint8_t *out)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (c->line_start && in[i] == '.')
			out[n++] = '.';
		out[n++] = in[i];
		c->line_start = c->cr && in[i] == '\n';
		c->cr = in[i] == '\r';
	}
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
