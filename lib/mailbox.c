/*
 * mailbox.c - the Mailbox of RFC 5321 section 4.1.2 and its canonical form.
 * Pure, linked into every process. What is compared is always `canon`, made
 * here; two spellings of one address never differ there.
 */
#include "lib/mailbox.h"

#include <stdlib.h>
#include <string.h>

#include <idn2.h>
#include <unicase.h>
#include <uninorm.h>

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

static bool
mailbox_is_high(char c)
{
	return (unsigned char)c >= 0x80;
}

static bool
mailbox_has_high(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (mailbox_is_high(s[i]))
			return true;
	return false;
}

/* Valid UTF-8 without NUL, the controls U+0080 to U+009F, and the line separators
 * U+2028 and U+2029, which some programs end a line at. */
static bool
mailbox_is_utf8(const char *s, size_t len)
{
	if (!str_is_utf8(s, len) || memchr(s, '\0', len) != NULL)
		return false;
	for (size_t i = 0; i + 1 < len; i++) {
		const unsigned char *p = (const unsigned char *)s + i;

		if (p[0] == 0xc2 && p[1] < 0xa0)
			return false;
		if (i + 2 < len && p[0] == 0xe2 && p[1] == 0x80 &&
		    (p[2] == 0xa8 || p[2] == 0xa9))
			return false;
	}
	return true;
}

/* The length of the Dot-string at s, or 0. Octets above ASCII count as atext;
 * whether they are UTF-8 is looked at elsewhere. */
static size_t
mailbox_dot_string(const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (mailbox_is_atext(s[i]) || mailbox_is_high(s[i]))
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
		bool pair = s[i] == '\\';

		if (pair && ++i == len)
			return 0;
		/* qtextSMTP and quoted pairs: printable ASCII and the space;
		 * RFC 6531 adds UTF-8 to the first, not to the second */
		if (mailbox_is_high(s[i]) ? pair : s[i] < ' ' || s[i] > '~')
			return 0;
		if (n == MAILBOX_LOCAL_MAX)
			return 0;
		dst[n++] = s[i];
	}
	*ret_content = n;
	/* An empty one would look like "@domain". */
	return i == len || n == 0 ? 0 : i + 1;
}

/* The canonical local part: quotes and backslashes only where they are needed,
 * so that it means the same when it is read again. Returns its length. */
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

/* Upper and lower case, and the two ways to write an umlaut, compare equal:
 * lower case, normalised (NFC). In place. */
static int
mailbox_fold(char content[MAILBOX_LOCAL_MAX], size_t *len)
{
	uint8_t once[MAILBOX_LOCAL_MAX], twice[MAILBOX_LOCAL_MAX];
	size_t n = sizeof(once), m = sizeof(twice);
	uint8_t *a, *b = NULL;
	int r = ERR_LIMIT;

	/* Where the array does not suffice they return another one. */
	a = u8_tolower((const uint8_t *)content, *len, NULL, UNINORM_NFC,
	    once, &n);
	if (a == once)
		b = u8_tolower(once, n, NULL, UNINORM_NFC, twice, &m);
	/* What does not come to rest cannot be compared. */
	if (b == twice)
		r = m == n && memcmp(once, twice, n) == 0 ? 0 : ERR_FORMAT;
	if (a != once)
		free(a);
	if (b != twice)
		free(b);
	if (r == 0) {
		memcpy(content, once, n);
		*len = n;
	}
	return r;
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

/* A domain with U-labels, in A-labels (RFC 5891; UTS 46 for its mapping). */
static int
mailbox_a_labels(const char *s, size_t len, char dst[MAILBOX_SIZE])
{
	char text[MAILBOX_SIZE];
	uint8_t *a = NULL;
	int r;

	if (str_copy_n(text, sizeof(text), s, len) != 0)
		return ERR_LIMIT;
	r = idn2_lookup_u8((const uint8_t *)text, &a, IDN2_NFC_INPUT |
	    IDN2_NONTRANSITIONAL);
	if (r == IDN2_OK)
		r = str_copy(dst, MAILBOX_SIZE, (const char *)a);
	else
		r = r == IDN2_MALLOC ? ERR_NOMEM : ERR_FORMAT;
	idn2_free(a);
	return r;
}

static int
mailbox_domain_part(const char *s, size_t len, struct mailbox *mb)
{
	char labels[MAILBOX_SIZE];
	int r;

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
	if (mailbox_has_high(s, len)) {
		if ((r = mailbox_a_labels(s, len, labels)) != 0)
			return r;
		s = labels;
		len = strlen(labels);
	}
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
	mb->utf8 = mailbox_has_high(s, len);
	if (len == 0 || (mb->utf8 && !mailbox_is_utf8(s, len)))
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
	mb->utf8_local = mailbox_has_high(content, n);
	if (mb->utf8_local && (r = mailbox_fold(content, &n)) != 0)
		return r;
	mb->local_len = mailbox_local_canon(content, n, mb->canon);
	if (mb->local_len > MAILBOX_LOCAL_MAX)
		return ERR_LIMIT;
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

int
mailbox_ascii(const struct mailbox *m, char dst[MAILBOX_SIZE])
{
	const char *at = strrchr(m->text, '@');

	if (m->utf8_local)
		return ERR_NOTFOUND;
	if (!m->utf8)
		return str_copy(dst, MAILBOX_SIZE, m->text);
	return str_format(dst, MAILBOX_SIZE, "%.*s@%s", (int)(at - m->text),
	    m->text, m->canon + m->local_len + 1);
}

bool
mailbox_is_local(const char *s, size_t len)
{
	return len > 0 && len <= MAILBOX_LOCAL_MAX &&
	    !mailbox_has_high(s, len) &&
	    mailbox_dot_string(s, len) == len;
}
