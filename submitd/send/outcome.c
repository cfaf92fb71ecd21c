/*
 * outcome.c - what has become of one recipient, and texts from outside.
 *
 * Runs in submitd-send. A next hop's words go into the log, the queue and
 * reports: here they become printable ASCII of bounded length, once.
 */
#include "config.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "submitd/send/outcome.h"

void
outcome_set(struct outcome_rcpt *r, enum outcome o, bool remote,
    const char *text)
{
	free(r->text);
	r->outcome = o;
	r->remote = remote;
	r->text = text == NULL ? NULL : strdup(text);
}

void
outcome_set_all(struct outcome_rcpt *r, size_t n, enum outcome from,
    enum outcome o, bool remote, const char *text)
{
	for (size_t i = 0; i < n; i++)
		if (r[i].outcome == from)
			outcome_set(&r[i], o, remote, text);
}

const char *
outcome_text(const struct outcome_rcpt *r)
{
	return r->text != NULL ? r->text : "4.3.0 out of memory";
}

size_t
outcome_print(char *dst, size_t size, const char *src, size_t len)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t n = 0, max = size - 1;

	if (max > OUTCOME_TEXT_MAX)
		max = OUTCOME_TEXT_MAX;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)src[i];

		if (c >= 0x20 && c < 0x7f) {
			if (n + 1 > max)
				break;
			dst[n++] = (char)c;
			continue;
		}
		if (n + 4 > max)
			break;
		dst[n++] = '\\';
		dst[n++] = 'x';
		dst[n++] = hex[c >> 4];
		dst[n++] = hex[c & 15];
	}
	dst[n] = '\0';
	return n;
}

/* Digits of one part of a status code: 1 to 3 of them. */
static size_t
outcome_status_part(const char *s)
{
	size_t n = 0;

	while (n < 4 && isdigit((unsigned char)s[n]))
		n++;
	return n <= 3 ? n : 0;
}

bool
outcome_status(const char *text, char class, char dst[OUTCOME_STATUS_SIZE])
{
	size_t a, b, len;

	if (outcome_status_part(text) == 3 && text[3] == ' ')
		text += 4;
	if (text[0] != class || text[1] != '.' ||
	    (a = outcome_status_part(text + 2)) == 0 || text[2 + a] != '.' ||
	    (b = outcome_status_part(text + 3 + a)) == 0)
		return false;
	len = 3 + a + b;
	if (text[len] != '\0' && text[len] != ' ')
		return false;
	memcpy(dst, text, len);
	dst[len] = '\0';
	return true;
}
