/*
 * trace.c - see trace.h. Runs in authd-core. What it reads is what somebody has
 * pasted, and anybody may have written it.
 */
#include "config.h"

#include "auth/trace.h"

#include <string.h>

#include "lib/str.h"

static bool
trace_is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void
trace_skip(struct trace *t)
{
	while (trace_is_space(*t->at))
		t->at++;
}

/* A word; what has no room is cut, and then fits nothing. */
static void
trace_word(struct trace *t, char *dst, size_t size)
{
	size_t n = 0;

	while (*t->at != '\0' && !trace_is_space(*t->at) && *t->at != '(' &&
	    *t->at != ';') {
		if (n + 1 < size)
			dst[n++] = *t->at;
		t->at++;
	}
	dst[n] = '\0';
}

/* The content of a comment, without its quoting; nested ones are part of it. */
static void
trace_comment(struct trace *t, char *dst, size_t size)
{
	unsigned int depth = 0;
	size_t n = 0;

	for (; *t->at != '\0'; t->at++) {
		if (*t->at == '(' && depth++ == 0)
			continue;
		if (*t->at == ')' && --depth == 0)
			break;
		if (*t->at == '\\' && t->at[1] != '\0')
			t->at++;
		if (n + 1 < size)
			dst[n++] = *t->at;
	}
	if (*t->at == ')')
		t->at++;
	dst[n] = '\0';
}

/* What header.c of submitd-spool puts into comments. */
static void
trace_take_comment(struct trace *t)
{
	static const char *const users[] = { "authenticated as ",
		"relay grant of ", "trusted network, owner " };
	char text[2 * AUTHP_ORIGIN_MAX];
	size_t n = 0;

	trace_comment(t, text, sizeof(text));
	if (strncmp(text, "origin", 6) == 0 && trace_is_space(text[6])) {
		for (const char *p = text + 7; *p != '\0'; p++)
			if (!trace_is_space(*p) && n < AUTHP_ORIGIN_MAX)
				t->token[n++] = *p;
		t->token[n] = '\0';
	} else if (text[0] == '[' && t->address[0] == '\0') {
		const char *ip = text + (str_istarts(text, "[IPv6:") ? 6 : 1);

		(void)str_copy_n(t->address, sizeof(t->address), ip,
		    strcspn(ip, "]"));
	}
	for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++)
		if (strncmp(text, users[i], strlen(users[i])) == 0)
			(void)str_copy(t->user, sizeof(t->user),
			    text + strlen(users[i]));
}

void
trace_read(struct trace *t, const char *text)
{
	struct { const char *word; char *dst; } fields[] = {
		{ "from", t->from }, { "by", t->by }, { "id", t->id },
	};
	char word[TRACE_WORD], *dst = NULL;

	t->at = text;
	for (trace_skip(t); *t->at != '\0' && *t->at != ';'; trace_skip(t)) {
		if (*t->at == '(') {
			trace_take_comment(t);
			continue;
		}
		trace_word(t, word, sizeof(word));
		/* A client may be called "by": what a name stands for is no
		 * word of ours. */
		if (dst != NULL) {
			if (dst[0] == '\0')
				memcpy(dst, word, sizeof(word));
			dst = NULL;
			continue;
		}
		for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
			if (str_ieq(word, fields[i].word))
				dst = fields[i].dst;
	}
	if (*t->at == ';') {
		t->at++;
		trace_skip(t);
		(void)str_copy_n(t->date, sizeof(t->date), t->at,
		    strcspn(t->at, "\r\n"));
	}
}

bool
trace_is_token(const char *text, char dst[AUTHP_ORIGIN_MAX + 1])
{
	size_t n = 0;

	for (; *text != '\0'; text++) {
		if (trace_is_space(*text))
			continue;
		if (n == AUTHP_ORIGIN_MAX || strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		    "abcdefghijklmnopqrstuvwxyz0123456789+/=", *text) == NULL)
			return false;
		dst[n++] = *text;
	}
	dst[n] = '\0';
	return n > 40;		/* the shortest is longer */
}
