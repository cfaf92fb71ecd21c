/*
 * conf_scan.c - looks a configuration file over before libconfuse reads it.
 * Runs in parents and submitctl. libconfuse takes an unclosed section or
 * string at the end of a file, a key given twice, and an include it cannot
 * read, in ways an administrator would not expect: here they are errors, with
 * the right line. It also notes where each key stands, for later messages.
 */
#include "lib/conf_scan.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "lib/conf_section.h"
#include "lib/fio.h"
#include "lib/str.h"

#define CONF_FILE_MAX	(1024u * 1024)
#define CONF_DEPTH_MAX	8
#define CONF_WORD_MAX	512

enum conf_token {
	CONF_T_WORD = 1, CONF_T_END, CONF_T_STRING_OPEN, CONF_T_COMMENT_OPEN,
	/* or one of the characters = { } ( ) , and + for += */
};

struct conf_lexer {
	struct conf_scan *scan;
	const char	*file;
	const char	*p;
	unsigned int	 line;
	unsigned int	 depth;			/* of includes */
	char		 word[CONF_WORD_MAX];	/* of a CONF_T_WORD, cut */
	unsigned int	 word_line;
	/* what is open */
	const struct conf_kind *section;	/* NULL: none */
	unsigned int	 section_line;
	unsigned int	 list_line;		/* 0: none */
};

static int conf_scan_text(struct conf_scan *s, const char *file,
    const char *text, unsigned int depth, struct err *reterr);

void
conf_scan_free(struct conf_scan *s)
{
	size_t i;

	for (i = 0; i < s->n; i++) {
		free(s->places[i].name);
		free(s->places[i].origin);
	}
	free(s->places);
	memset(s, 0, sizeof(*s));
}

const char *
conf_scan_find(const struct conf_scan *s, const char *name)
{
	size_t i;

	for (i = 0; i < s->n; i++) {
		if (strcmp(s->places[i].name, name) == 0)
			return s->places[i].origin;
	}
	return NULL;
}

static int
conf_scan_note(struct conf_scan *s, const char *name, const char *file,
    unsigned int line)
{
	struct conf_place *all = reallocarray(s->places, s->n + 1,
	    sizeof(*all)), *place;

	if (all == NULL)
		return ERR_NOMEM;
	s->places = all;
	place = &all[s->n];
	if (asprintf(&place->origin, "%s:%u", file, line) < 0)
		return ERR_NOMEM;
	place->name = strdup(name);
	if (place->name == NULL) {
		free(place->origin);
		return ERR_NOMEM;
	}
	s->n++;
	return 0;
}

static int
conf_lex_error(const struct conf_lexer *x, unsigned int line,
    struct err *reterr, const char *what, const char *name)
{
	return err_set(reterr, ERR_CONFIG, "%s:%u: %s%s%s", x->file, line,
	    name, *name == '\0' ? "" : ": ", what);
}

/* White space and comments, as libconfuse has them: # and // to the end of the
 * line, and C's. False when the last is never closed. */
static bool
conf_lex_skip(struct conf_lexer *x)
{
	const char *end;

	for (;;) {
		if (*x->p == '\n')
			x->line++;
		if (*x->p != '\0' && strchr(" \t\r\n", *x->p) != NULL) {
			x->p++;
		} else if (*x->p == '#' || strncmp(x->p, "//", 2) == 0) {
			x->p += strcspn(x->p, "\n");
		} else if (strncmp(x->p, "/*", 2) == 0) {
			end = strstr(x->p + 2, "*/");
			if (end == NULL)
				return false;
			for (; x->p < end + 2; x->p++)
				x->line += *x->p == '\n';
		} else {
			return true;
		}
	}
}

static void
conf_lex_put(struct conf_lexer *x, size_t *len, char c)
{
	if (*len < sizeof(x->word) - 1)
		x->word[(*len)++] = c;
	x->word[*len] = '\0';
}

static int
conf_lex_string(struct conf_lexer *x)
{
	char quote = *x->p++;
	size_t len = 0;

	while (*x->p != quote) {
		if (*x->p == '\\' && x->p[1] != '\0')
			x->p++;
		if (*x->p == '\0')
			return CONF_T_STRING_OPEN;
		x->line += *x->p == '\n';
		conf_lex_put(x, &len, *x->p++);
	}
	x->p++;
	return CONF_T_WORD;
}

static int
conf_lex_next(struct conf_lexer *x)
{
	size_t len = 0, brace;

	if (!conf_lex_skip(x))
		return CONF_T_COMMENT_OPEN;
	x->word[0] = '\0';
	x->word_line = x->line;
	if (*x->p == '\0')
		return CONF_T_END;
	if (*x->p == '"' || *x->p == '\'')
		return conf_lex_string(x);
	if (strncmp(x->p, "+=", 2) == 0) {
		x->p += 2;
		return '+';
	}
	if (strchr("={}(),+*", *x->p) != NULL)
		return *x->p++;
	brace = strncmp(x->p, "${", 2) == 0 ? strcspn(x->p, "}") : 0;
	while (*x->p != '\0' && (len < brace ||
	    (strchr(" \t\r\n#\"'={}(),+*", *x->p) == NULL &&
	    strncmp(x->p, "//", 2) != 0 && strncmp(x->p, "/*", 2) != 0)))
		conf_lex_put(x, &len, *x->p++);
	return CONF_T_WORD;
}

int
conf_scan_path(const char *file, const char *name, char *dst, size_t size)
{
	const char *slash = strrchr(file, '/');

	if (name[0] == '/' || slash == NULL)
		return str_copy(dst, size, name);
	return str_format(dst, size, "%.*s/%s", (int)(slash - file), file,
	    name);
}

static int
conf_scan_include(struct conf_lexer *x, struct err *reterr)
{
	char path[1024], *text;
	unsigned int line = x->line;
	struct err why;
	size_t len;
	int r;

	if (conf_lex_next(x) != CONF_T_WORD || conf_scan_path(x->file, x->word,
	    path, sizeof(path)) != 0 || conf_lex_next(x) != ')')
		return conf_lex_error(x, line, reterr,
		    "expected include(\"FILE\")", "include");
	if (x->depth + 1 == CONF_DEPTH_MAX)
		return conf_lex_error(x, line, reterr,
		    "files include each other too deeply", "include");
	r = conf_scan_read(path, &text, &len, &why);
	if (r != 0)
		return conf_lex_error(x, line, reterr, why.text, "include");
	r = conf_scan_text(x->scan, path, text, x->depth + 1, reterr);
	free(text);
	return r;
}

/* A section's keys are few: they are listed when none is near. */
static int
conf_scan_unknown(const struct conf_lexer *x, unsigned int line,
    const char *name, struct err *reterr)
{
	const struct conf_key *keys = x->section == NULL ? conf_keys :
	    x->section->keys, *k;
	const char *near = conf_key_nearest(keys, name);
	char what[300];
	size_t len;

	str_format(what, sizeof(what), near == NULL ? "unknown key" :
	    "unknown key; did you mean %s?", near);
	for (k = keys; near == NULL && x->section != NULL && k->name != NULL;
	    k++) {
		len = strlen(what);
		str_format(what + len, sizeof(what) - len, "%s%s", k > keys ?
		    k[1].name == NULL ? " or " : ", " : "; expected ", k->name);
	}
	return conf_lex_error(x, line, reterr, what, name);
}

/* The key that `name` is where it stands, or NULL. */
static const struct conf_key *
conf_scan_row(const struct conf_lexer *x, const char *name)
{
	const struct conf_key *k;

	for (k = x->section == NULL ? conf_keys : x->section->keys;
	    k->name != NULL; k++) {
		if (strcmp(k->name, name) == 0)
			return k;
	}
	return NULL;
}

static int
conf_scan_key(struct conf_lexer *x, const char *name, unsigned int line,
    struct err *reterr)
{
	const struct conf_key *k = conf_scan_row(x, name);
	char full[CONF_WORD_MAX * 2];
	const char *before;

	if (k == NULL)
		return conf_scan_unknown(x, line, name, reterr);
	if (k->type->parse == NULL)
		return conf_lex_error(x, line, reterr,
		    "expected a section: NAME { … }", name);
	if (x->section == NULL)
		str_copy(full, sizeof(full), name);
	else
		str_format(full, sizeof(full), "%s:%u.%s", x->file,
		    x->section_line, name);
	before = conf_scan_find(x->scan, full);
	if (before != NULL) {
		char what[CONF_WORD_MAX];

		snprintf(what, sizeof(what), "expected once, but it is set "
		    "already at %.300s", before);
		return conf_lex_error(x, line, reterr, what, name);
	}
	return conf_scan_note(x->scan, full, x->file, line) == 0 ? 0 :
	    err_set(reterr, ERR_NOMEM, "configuration: no memory");
}

/* `words` words stood before the brace, the first of them in `first`. */
static int
conf_scan_open(struct conf_lexer *x, const char *first, unsigned int words,
    unsigned int line, struct err *reterr)
{
	const struct conf_kind *kind = conf_kind_find(first);
	char what[128];

	if (x->section != NULL)
		return conf_lex_error(x, x->section_line, reterr,
		    "this section is not closed before the next one begins",
		    x->section->name);
	if (words > 0 && conf_key_find(first) == CONF_NO_KEY)
		return conf_scan_unknown(x, line, first, reterr);
	if (kind == NULL || words != 2) {
		str_format(what, sizeof(what), kind == NULL ?
		    "expected = and a value, this is no section" :
		    "expected %s %s {", first, kind == NULL ? "" : kind->title);
		return conf_lex_error(x, line, reterr, what, first);
	}
	x->section = kind;
	x->section_line = line;
	if (conf_scan_note(x->scan, first, x->file, line) != 0)
		return err_set(reterr, ERR_NOMEM, "configuration: no memory");
	return 0;
}

static int
conf_scan_end(struct conf_lexer *x, int token, struct err *reterr)
{
	if (token == CONF_T_STRING_OPEN)
		return conf_lex_error(x, x->word_line, reterr,
		    "the string that begins here is never closed", "");
	if (token == CONF_T_COMMENT_OPEN)
		return conf_lex_error(x, x->line, reterr,
		    "the comment that begins here is never closed", "");
	if (x->list_line != 0)
		return conf_lex_error(x, x->list_line, reterr,
		    "the list that begins here is never closed", "");
	if (x->section != NULL)
		return conf_lex_error(x, x->section_line, reterr,
		    "the section that begins here is never closed",
		    x->section->name);
	return 0;
}

/* A list in braces has words and commas only. */
static int
conf_scan_list(struct conf_lexer *x, struct err *reterr)
{
	int token;

	x->list_line = x->line;
	for (;;) {
		token = conf_lex_next(x);
		if (token == '}') {
			x->list_line = 0;
			return 0;
		}
		if (token == CONF_T_STRING_OPEN ||
		    token == CONF_T_COMMENT_OPEN)
			return conf_scan_end(x, token, reterr);
		if (token != CONF_T_WORD && token != ',')
			return conf_scan_end(x, CONF_T_END, reterr);
	}
}

/* What stands behind the = of a key. */
static int
conf_scan_value(struct conf_lexer *x, const char *name, unsigned int line,
    struct err *reterr)
{
	int token, r = conf_scan_key(x, name, line, reterr);

	if (r != 0)
		return r;
	token = conf_lex_next(x);
	if (token == '{' && !conf_scan_row(x, name)->type->list)
		return conf_lex_error(x, line, reterr,
		    "expected one value, no list", name);
	if (token == '{')
		return conf_scan_list(x, reterr);
	if (token == CONF_T_STRING_OPEN || token == CONF_T_COMMENT_OPEN)
		return conf_scan_end(x, token, reterr);
	return token == CONF_T_WORD ? 0 : conf_lex_error(x, line, reterr,
	    "expected a value behind the =, in quotes where it has other "
	    "characters than letters, digits and . : / @ - _", name);
}

static int
conf_scan_close(struct conf_lexer *x, struct err *reterr)
{
	if (x->section == NULL)
		return conf_lex_error(x, x->line, reterr,
		    "a } that closes nothing", "");
	x->section = NULL;
	return 0;
}

/* One statement's words are gathered until what follows tells its kind. */
static int
conf_scan_tokens(struct conf_lexer *x, struct err *reterr)
{
	char first[CONF_WORD_MAX] = "";
	unsigned int words = 0, line = 0;
	int token, r = 0;

	while (r == 0) {
		token = conf_lex_next(x);
		if (token == CONF_T_WORD) {
			if (words++ == 0) {
				line = x->word_line;
				str_copy(first, sizeof(first), x->word);
			}
			if (words <= 2)
				continue;
		}
		if (words > 0 && token != '{' && (words > 1 ||
		    (token != '=' && token != '(')))
			return conf_lex_error(x, line, reterr,
			    "expected = and one value", first);
		if (token == '=' && words == 1)
			r = conf_scan_value(x, first, line, reterr);
		else if (token == '{')
			r = conf_scan_open(x, first, words, line, reterr);
		else if (token == '(' && strcmp(first, "include") == 0 &&
		    x->section == NULL)
			r = conf_scan_include(x, reterr);
		else if (token == '}')
			r = conf_scan_close(x, reterr);
		else if (token == CONF_T_END || token == CONF_T_STRING_OPEN ||
		    token == CONF_T_COMMENT_OPEN)
			return conf_scan_end(x, token, reterr);
		else
			r = conf_lex_error(x, x->line, reterr,
			    "expected key = value; other characters than "
			    "letters, digits and . : / @ - _ need quotes",
			    first);
		words = 0;
		first[0] = '\0';
	}
	return r;
}

static int
conf_scan_text(struct conf_scan *s, const char *file, const char *text,
    unsigned int depth, struct err *reterr)
{
	struct conf_lexer *x = calloc(1, sizeof(*x));
	int r;

	if (x == NULL)
		return err_set(reterr, ERR_NOMEM, "configuration: no memory");
	x->scan = s;
	x->file = file;
	x->p = text;
	x->line = 1;
	x->depth = depth;
	r = conf_scan_tokens(x, reterr);
	free(x);
	return r;
}

int
conf_scan(struct conf_scan *s, const char *file, const char *text,
    struct err *reterr)
{
	return conf_scan_text(s, file, text, 0, reterr);
}

int
conf_scan_read(const char *path, char **ret, size_t *ret_len,
    struct err *reterr)
{
	int r = fio_read_file(AT_FDCWD, path, CONF_FILE_MAX, ret, ret_len,
	    reterr);

	if (r == 0 && strlen(*ret) != *ret_len) {
		free(*ret);
		*ret = NULL;
		r = err_set(reterr, ERR_CONFIG, "%s: expected text, a NUL "
		    "octet stands in it", path);
	}
	return r;
}
