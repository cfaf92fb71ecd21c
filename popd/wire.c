/*
 * wire.c - see wire.h. Runs in popd-mbox (counting) and popd-pop (sending).
 */
#include "config.h"
#include "popd/wire.h"

#include <string.h>

void
wire_init(struct wire *w)
{
	*w = (struct wire){ .prev = '\n' };
}

void
wire_init_top(struct wire *w, uint64_t lines)
{
	wire_init(w);
	w->top = true;
	w->in_header = true;
	w->body_lines = lines;
}

/* A line has ended: does TOP end with it? */
static void
wire_line_ended(struct wire *w)
{
	bool empty = w->line_octets == 0 ||
	    (w->line_octets == 1 && w->prev == '\r');

	w->line_octets = 0;
	if (!w->top)
		return;
	if (!w->in_header)
		w->body_lines--;
	else if (empty)
		w->in_header = false;
	w->done = !w->in_header && w->body_lines == 0;
}

/* The octets of one line, without its LF. */
static size_t
wire_put_text(struct wire *w, const uint8_t *in, size_t len, uint8_t *out)
{
	size_t n = 0;

	if (len == 0)
		return 0;
	if (w->prev == '\n' && in[0] == '.' && out != NULL)
		out[n++] = '.';
	if (out != NULL)
		memcpy(out + n, in, len);
	w->prev = in[len - 1];
	w->line_octets += len;
	w->octets += len;
	return n + len;
}

static size_t
wire_put_end(struct wire *w, uint8_t *out)
{
	size_t n = w->prev == '\r' ? 1 : 2;

	if (out != NULL)
		memcpy(out, &"\r\n"[2 - n], n);
	w->octets += n;
	wire_line_ended(w);
	w->prev = '\n';
	return n;
}

size_t
wire_put(struct wire *w, const uint8_t *in, size_t len, uint8_t *out)
{
	size_t n = 0, text;
	const uint8_t *lf;

	while (len > 0 && !w->done) {
		lf = memchr(in, '\n', len);
		text = lf == NULL ? len : (size_t)(lf - in);
		n += wire_put_text(w, in, text, out == NULL ? NULL : out + n);
		in += text;
		len -= text;
		if (lf == NULL)
			continue;
		n += wire_put_end(w, out == NULL ? NULL : out + n);
		in++;
		len--;
	}
	return n;
}

size_t
wire_end(struct wire *w, uint8_t *out)
{
	return w->done || w->line_octets == 0 ? 0 : wire_put_end(w, out);
}
