/*
 * buf.c - a growable octet buffer. Linked into every process. Whatever memory
 * it gives back is zeroed first, for it may have held a password, unless it is
 * for mail.
 */
#include "lib/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"

#define BUF_MIN 512u

void
buf_init(struct buf *b, size_t max)
{
	memset(b, 0, sizeof(*b));
	b->max = max;
}

void
buf_init_mail(struct buf *b, size_t max)
{
	buf_init(b, max);
	b->mail = true;
}

static void
buf_zero(struct buf *b)
{
	if (b->mem != NULL && !b->mail)
		explicit_bzero(b->mem, b->cap);
}

void
buf_free(struct buf *b)
{
	buf_zero(b);
	free(b->mem);
	b->mem = NULL;
	b->off = b->len = b->cap = 0;
}

void
buf_release(struct buf *b)
{
	if (b->len == 0)
		buf_free(b);
}

/* Moves the data into new memory: realloc() would leave a copy behind. */
static int
buf_grow(struct buf *b, size_t need)
{
	size_t cap = b->cap < BUF_MIN ? BUF_MIN : b->cap;
	uint8_t *mem;

	while (cap < need)
		cap = cap > SIZE_MAX / 2 ? need : cap * 2;
	if (cap > b->max)
		cap = b->max < need ? need : b->max;
	mem = malloc(cap);
	if (mem == NULL)
		return ERR_NOMEM;
	if (b->len > 0)
		memcpy(mem, b->mem + b->off, b->len);
	buf_zero(b);
	free(b->mem);
	b->mem = mem;
	b->cap = cap;
	b->off = 0;
	return 0;
}

int
buf_reserve(struct buf *b, size_t want, uint8_t **ret)
{
	int r;

	*ret = NULL;
	if (b->len > b->max || want > b->max - b->len)
		return ERR_LIMIT;
	if (b->mem == NULL || b->cap - b->off - b->len < want) {
		if (b->mem != NULL && b->cap - b->len >= want) {
			memmove(b->mem, b->mem + b->off, b->len);
			b->off = 0;
		} else if ((r = buf_grow(b, b->len + want)) != 0) {
			return r;
		}
	}
	*ret = b->mem + b->off + b->len;
	return 0;
}

void
buf_commit(struct buf *b, size_t len)
{
	b->len += len;
}

int
buf_append(struct buf *b, const void *data, size_t len)
{
	uint8_t *p;
	int r;

	if (len == 0)
		return 0;
	if ((r = buf_reserve(b, len, &p)) != 0)
		return r;
	memcpy(p, data, len);
	buf_commit(b, len);
	return 0;
}

int
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	char *text;
	int n, r;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return ERR_NOMEM;
	r = buf_append(b, text, (size_t)n);
	explicit_bzero(text, (size_t)n);
	free(text);
	return r;
}

void
buf_consume(struct buf *b, size_t len)
{
	if (len > b->len)
		len = b->len;
	b->len -= len;
	b->off = b->len == 0 ? 0 : b->off + len;
}

void
buf_clear(struct buf *b)
{
	buf_zero(b);
	b->off = b->len = 0;
}
