/*
 * utf8.c - UTF8 and LANG (RFC 6856). Runs in popd-pop, on the loop.
 *
 * What this server says is ASCII in both languages it knows, "en" and
 * "i-default" (RFC 2277 section 4.5), which are the same.
 */
#include "config.h"
#include "popd/pop/command.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "lib/str.h"
#include "popd/pop/reply.h"
#include "popd/pop/surrogate.h"
#include "popd/pop/transfer.h"

#define POP_HEAD_MAX		(256u * 1024)	/* of a header that is looked at */
#define POP_HEAD_READ		8192u		/* most have less */
#define POP_HEAD_OUT_MAX	(1024u * 1024)

static const struct pop_language {
	const char	*tag;
	const char	*name;
} pop_languages[] = {
	{ "en", "English" },
	{ "i-default", "Default language" },
};

#define POP_LANGUAGES (sizeof(pop_languages) / sizeof(pop_languages[0]))

void
pop_cmd_utf8(struct pop_session *s, char *arg)
{
	(void)arg;
	s->utf8 = true;
	pop_ok(s, "UTF-8 it is");
}

static void
pop_lang_list(struct pop_session *s)
{
	pop_ok(s, "Languages follow");
	for (size_t i = 0; i < POP_LANGUAGES; i++) {
		pop_write(s, pop_languages[i].tag,
		    strlen(pop_languages[i].tag));
		pop_write(s, " ", 1);
		pop_line(s, pop_languages[i].name);
	}
	pop_line(s, ".");
}

/* RFC 4647 section 3.4: subtags are taken off the range's end until it is one
 * of ours, and a single letter goes with the one behind it. */
static const struct pop_language *
pop_lang_lookup(char *range)
{
	char *dash;

	if (strcmp(range, "*") == 0)
		return &pop_languages[POP_LANGUAGES - 1];
	for (;;) {
		for (size_t i = 0; i < POP_LANGUAGES; i++)
			if (strcasecmp(range, pop_languages[i].tag) == 0)
				return &pop_languages[i];
		if ((dash = strrchr(range, '-')) == NULL)
			return NULL;
		*dash = '\0';
		if (dash - range >= 2 && dash[-2] == '-')
			dash[-2] = '\0';
	}
}

void
pop_cmd_lang(struct pop_session *s, char *arg)
{
	const struct pop_language *l;

	if (*arg == '\0') {
		pop_lang_list(s);
		return;
	}
	if ((l = pop_lang_lookup(arg)) == NULL)
		pop_err(s, POP_CODE_NONE, "There is no such language here");
	else
		pop_ok(s, "%s Language changed", l->tag);
}

/* -------------------------------------------------- headers with UTF-8 -- */

/* One loop, one thread: one for all sessions. */
static char pop_head_in[POP_HEAD_MAX];

/* Behind the empty line, if that stands in the first `len` octets; else 0. It
 * is not before `from`. */
static size_t
pop_head_end(size_t from, size_t len)
{
	/* It may be the first. */
	if (len >= 1 && pop_head_in[0] == '\n')
		return 1;
	if (len >= 2 && memcmp(pop_head_in, "\r\n", 2) == 0)
		return 2;
	for (size_t i = from; i < len; i++) {
		if (pop_head_in[i] != '\n')
			continue;
		if (i + 1 < len && pop_head_in[i + 1] == '\n')
			return i + 2;
		if (i + 2 < len && memcmp(pop_head_in + i, "\n\r\n", 3) == 0)
			return i + 3;
	}
	return 0;
}

/* The header's length, with its end; *ret_whole false: it is longer. */
static size_t
pop_head_read(int fd, bool *ret_whole)
{
	size_t len = 0, end, from;
	ssize_t n;

	*ret_whole = true;
	while (len < POP_HEAD_MAX) {
		n = pread(fd, pop_head_in + len, len + POP_HEAD_READ <=
		    POP_HEAD_MAX ? POP_HEAD_READ : POP_HEAD_MAX - len,
		    (off_t)len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return len;
		from = len < 2 ? 0 : len - 2;
		len += (size_t)n;
		if ((end = pop_head_end(from, len)) != 0)
			return end;
	}
	*ret_whole = false;
	return len;
}

void
pop_utf8_head(const struct pop_session *s, int fd, struct pop_head *ret)
{
	bool whole;
	size_t len;

	ret->replaces = 0;
	ret->ascii = false;
	buf_init(&ret->octets, POP_HEAD_OUT_MAX);
	if (s->utf8)
		return;
	len = pop_head_read(fd, &whole);
	if (!surrogate_is_needed(pop_head_in, len, whole))
		return;
	if (whole && surrogate_make(pop_head_in, len, &ret->octets) == 0) {
		ret->replaces = len;
	} else {	/* it is, or would become, too large */
		buf_free(&ret->octets);
		ret->ascii = true;
	}
}
