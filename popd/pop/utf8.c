/*
 * utf8.c - UTF8 and LANG (RFC 6856). Runs in popd-pop, on the loop.
 *
 * What this server says is ASCII in both languages it knows, "en" and
 * "i-default" (RFC 2277 section 4.5), which are the same.
 */
#include "config.h"
#include "popd/pop/command.h"

#include <string.h>
#include <strings.h>

#include "lib/str.h"
#include "popd/pop/reply.h"

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
