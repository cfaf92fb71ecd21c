/*
 * mailbox.c - the Mailbox of RFC 5321 section 4.1.2 and its canonical form.
 * Pure, linked into every process. What is compared is always `canon`, made
 * here; two spellings of one address never differ there.
 */
#include "lib/mailbox.h"

#include <string.h>

#include "lib/addr.h"
#include "lib/err.h"
#include "lib/str.h"

static bool
mailbox_is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	    (c >= 'A' && c <= 'Z');
}

static bool
mailbox_is_atext(char c)
{
	return mailbox_is_alnum(c) ||
	    (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

/* The length of the Dot-string at s, or 0. */
static size_t
mailbox_dot_string(const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (mailbox_is_atext(s[i]))
			continue;
		if (s[i] != '.' || i == 0 || s[i - 1] == '.')
			break;
	}
	return i > 0 && s[i - 1] == '.' ? 0 : i;
}

/* The length of the quoted string at s, its content put into dst; or 0. */
static size_t
mailbox_quoted(const char *s, size_t len, char *dst, size_t *ret_content)
{
	size_t i, n = 0;

	for (i = 1; i < len && s[i] != '"'; i++) {
		if (s[i] == '\\' && ++i == len)
			return 0;
		/* qtextSMTP and quoted pairs: printable ASCII and the space */
		if (s[i] < ' ' || s[i] > '~' || n == MAILBOX_LOCAL_MAX)
			return 0;
		dst[n++] = s[i];
	}
	*ret_content = n;
	/* An empty one would look like "@domain". */
	return i == len || n == 0 ? 0 : i + 1;
}

/* The canonical local part: quotes and backslashes only where they are needed,
 * so that it means the same when it is read again. Returns its length; it is
 * never longer than what it was made from. */
static size_t
mailbox_local_canon(const char *content, size_t len, char *dst)
{
	size_t i, n = 0;

	if (mailbox_dot_string(content, len) == len) {
		memcpy(dst, content, len);
		return len;
	}
	dst[n++] = '"';
	for (i = 0; i < len; i++) {
		if (content[i] == '"' || content[i] == '\\')
			dst[n++] = '\\';
		dst[n++] = content[i];
	}
	dst[n++] = '"';
	return n;
}

bool
mailbox_is_domain(const char *s, size_t len)
{
	size_t i, label = 0;

	if (len == 0 || len > MAILBOX_DOMAIN_MAX)
		return false;
	for (i = 0; i < len; i++) {
		if (s[i] == '.') {
			if (label == 0 || s[i - 1] == '-')
				return false;
			label = 0;
			continue;
		}
		if (!mailbox_is_alnum(s[i]) && s[i] != '_' &&
		    (s[i] != '-' || label == 0))
			return false;
		if (++label > 63)
			return false;
	}
	return label > 0 && s[len - 1] != '-';
}

/* Two labels or more (RFC 6409 section 4.2), the last not a number: that would
 * be an IPv4 address without its brackets. */
static bool
mailbox_is_fqdn(const char *s, size_t len)
{
	const char *dot = memrchr(s, '.', len);
	uint64_t n;

	return dot != NULL && mailbox_is_domain(s, len) &&
	    str_u64_n(dot + 1, (size_t)(s + len - dot - 1), 0, UINT64_MAX,
	    &n) == ERR_FORMAT;
}

/* An address literal, put into dst in one form. */
static int
mailbox_literal(const char *s, size_t len, char dst[ADDR_STRLEN])
{
	char text[ADDR_STRLEN];
	const char *ip;
	struct addr a;
	bool v6;

	if (len < 3 || s[len - 1] != ']' ||
	    str_copy_n(text, sizeof(text), s + 1, len - 2) != 0 ||
	    strlen(text) != len - 2)
		return ERR_FORMAT;
	v6 = str_istarts(text, "IPv6:");
	ip = v6 ? text + 5 : text;
	if (v6 != (strchr(ip, ':') != NULL) || addr_parse_ip(ip, &a) != 0)
		return ERR_FORMAT;
	addr_literal(&a, dst);
	return 0;
}

static int
mailbox_domain_part(const char *s, size_t len, struct mailbox *mb)
{
	char literal[ADDR_STRLEN];

	if (len > 0 && s[0] == '[') {
		if (mailbox_literal(s, len, literal) != 0)
			return ERR_FORMAT;
		mb->literal = true;
		return str_copy(mb->canon + mb->local_len + 1,
		    sizeof(mb->canon) - mb->local_len - 1, literal);
	}
	if (len > MAILBOX_DOMAIN_MAX)
		return ERR_LIMIT;
	if (len == 0 || !mailbox_is_fqdn(s, len))
		return ERR_FORMAT;
	return str_copy_n(mb->canon + mb->local_len + 1,
	    sizeof(mb->canon) - mb->local_len - 1, s, len);
}

static int
mailbox_parse_into(const char *s, size_t len, struct mailbox *mb)
{
	char content[MAILBOX_LOCAL_MAX];
	size_t used, n = 0;
	int r;

	if (len > MAILBOX_MAX)
		return ERR_LIMIT;
	if (len == 0)
		return ERR_FORMAT;
	if (s[0] == '"') {
		used = mailbox_quoted(s, len, content, &n);
	} else {
		n = used = mailbox_dot_string(s, len);
		if (n <= MAILBOX_LOCAL_MAX)
			memcpy(content, s, n);
	}
	if (used == 0 || used == len || s[used] != '@')
		return ERR_FORMAT;
	if (used > MAILBOX_LOCAL_MAX)
		return ERR_LIMIT;
	mb->local_len = mailbox_local_canon(content, n, mb->canon);
	mb->canon[mb->local_len] = '@';
	r = mailbox_domain_part(s + used + 1, len - used - 1, mb);
	if (r != 0)
		return r;
	str_lower(mb->canon);
	return str_copy_n(mb->text, sizeof(mb->text), s, len);
}

int
mailbox_parse(const char *s, size_t len, struct mailbox *ret)
{
	int r;

	memset(ret, 0, sizeof(*ret));
	r = mailbox_parse_into(s, len, ret);
	if (r != 0)
		memset(ret, 0, sizeof(*ret));
	return r;
}

const char *
mailbox_domain(const char *canon)
{
	const char *at = strrchr(canon, '@');

	return at == NULL ? NULL : at + 1;
}

bool
mailbox_is_local(const char *s, size_t len)
{
	return len > 0 && len <= MAILBOX_LOCAL_MAX &&
	    mailbox_dot_string(s, len) == len;
}
