/*
 * notify_line.c - reads a line of a feeder's. Runs in authd-core; every octet of
 * it may be hostile. It must never read behind its end.
 */
#include "config.h"

#include "auth/notify_line.h"

#include <stdbool.h>
#include <string.h>

#include "db/record.h"

#define NOTIFY_WORDS_MAX 5u

static const struct notify_verb_row {
	const char	*name;
	enum notify_verb verb;
	size_t		 words;		/* at most */
} notify_verbs[] = {
	{ "login", NOTIFY_LOGIN, NOTIFY_WORDS_MAX },
	{ "alive", NOTIFY_ALIVE, 3 },
	{ "logout", NOTIFY_LOGOUT, 3 },
};

enum { NOTIFY_PROTO = 1 << 0, NOTIFY_TLS = 1 << 1 };

static const struct notify_option {
	const char	*word;
	unsigned int	 bit;
	uint8_t		 value;
} notify_options[] = {
	{ "proto=imap", NOTIFY_PROTO, GRANT_PROTO_IMAP },
	{ "proto=pop3", NOTIFY_PROTO, GRANT_PROTO_POP3 },
	{ "tls=yes", NOTIFY_TLS, NOTIFY_TLS_YES },
	{ "tls=no", NOTIFY_TLS, NOTIFY_TLS_NO },
};

#define NOTIFY_COUNT(v) (sizeof(v) / sizeof((v)[0]))

/* No controls: whoever passes one on lets others write lines. */
static bool
notify_line_is_text(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] < ' ' || s[i] == 0x7f)
			return false;
	return true;
}

/* The words, each with a NUL behind it; one more than there may be is enough to
 * know. `line` has room for a NUL behind its end. */
static size_t
notify_line_split(char *line, char *word[NOTIFY_WORDS_MAX + 1])
{
	char *at = line, *save = NULL;
	size_t n = 0;

	while (n <= NOTIFY_WORDS_MAX &&
	    (word[n] = strtok_r(at, " ", &save)) != NULL) {
		at = NULL;
		n++;
	}
	return n;
}

static const char *
notify_line_option(const char *word, unsigned int *seen,
    struct notify_line *ret)
{
	size_t i = 0;

	while (i < NOTIFY_COUNT(notify_options) &&
	    strcmp(word, notify_options[i].word) != 0)
		i++;
	if (i == NOTIFY_COUNT(notify_options))
		return "proto=imap, proto=pop3, tls=yes or tls=no is wanted";
	if (*seen & notify_options[i].bit)
		return "said twice";
	*seen |= notify_options[i].bit;
	if (notify_options[i].bit == NOTIFY_PROTO)
		ret->protocol = notify_options[i].value;
	else
		ret->tls = (enum notify_tls)notify_options[i].value;
	return NULL;
}

const char *
notify_line_parse(char *line, size_t len, struct notify_line *ret)
{
	char *word[NOTIFY_WORDS_MAX + 1] = { NULL };
	const char *flaw = NULL;
	unsigned int seen = 0;
	size_t i = 0, n;

	memset(ret, 0, sizeof(*ret));
	if (len > NOTIFY_LINE_MAX)
		return "too long";
	if (!notify_line_is_text(line, len))
		return "a control character";
	line[len] = '\0';
	n = notify_line_split(line, word);
	while (n > 0 && i < NOTIFY_COUNT(notify_verbs) &&
	    strcmp(word[0], notify_verbs[i].name) != 0)
		i++;
	if (n == 0 || i == NOTIFY_COUNT(notify_verbs))
		return "login, alive or logout is wanted";
	if (n < 3 || n > notify_verbs[i].words)
		return "a user and an address are wanted";
	ret->verb = notify_verbs[i].verb;
	ret->user = word[1];
	ret->user_len = strlen(word[1]);
	if (addr_parse_ip(word[2], &ret->addr) != 0)
		return "not an IP address";
	for (i = 3; i < n && flaw == NULL; i++)
		flaw = notify_line_option(word[i], &seen, ret);
	return flaw;
}
