/*
 * address.c - see address.h. Pure: runs in submitd-smtp on octets that anybody
 * may have sent, and allocates nothing.
 */
#include "config.h"
#include "submitd/smtp/address.h"

#include <string.h>

#include "lib/addr.h"
#include "lib/str.h"

#define ROUTE_LITERAL_MAX 64u

/* Where the path's '>' stands, from behind '<'; quoted strings may hold one.
 * `len` when there is none. */
static size_t
path_close(const char *s, size_t len)
{
	bool quoted = false;

	for (size_t i = 0; i < len; i++) {
		if (quoted && s[i] == '\\')
			i++;
		else if (s[i] == '"')
			quoted = !quoted;
		else if (!quoted && s[i] == '>')
			return i;
	}
	return len;
}

static bool
path_literal(const char *s, size_t len)
{
	char ip[ROUTE_LITERAL_MAX];
	struct addr a;

	if (len < 3 || s[0] != '[' || s[len - 1] != ']')
		return false;
	s++;
	len -= 2;
	if (len > 5 && str_ieq_n("IPv6:", s, 5)) {
		s += 5;
		len -= 5;
		if (memchr(s, ':', len) == NULL)
			return false;
	} else if (memchr(s, ':', len) != NULL) {
		return false;
	}
	return str_copy_n(ip, sizeof(ip), s, len) == 0 &&
	    strlen(ip) == len && addr_parse_ip(ip, &a) == 0;
}

/* One "@domain" of a source route; its length, or 0 when it is none. */
static size_t
path_hop(const char *s, size_t len)
{
	size_t n = 1;

	if (len < 2 || s[0] != '@')
		return 0;
	if (s[1] == '[') {
		const char *end = memchr(s, ']', len);

		if (end == NULL)
			return 0;
		n = (size_t)(end - s) + 1;
		return path_literal(s + 1, n - 1) ? n : 0;
	}
	while (n < len && s[n] != ',' && s[n] != ':')
		n++;
	return mailbox_is_domain(s + 1, n - 1) ? n : 0;
}

/* Steps over "@a,@b:"; false when it is malformed. */
static bool
path_skip_route(const char **s, size_t *len)
{
	size_t n;

	for (;;) {
		if ((n = path_hop(*s, *len)) == 0 || n >= *len)
			return false;
		*s += n;
		*len -= n;
		(*s)++;
		(*len)--;
		if ((*s)[-1] == ':')
			return true;
		if ((*s)[-1] != ',')
			return false;
	}
}

/* Why a mailbox that mailbox_parse() refused is wrong: would a qualified
 * domain have made it right? */
static enum smtp_path_result
path_fault(const char *s, size_t len)
{
	static const char tail[] = ".invalid";
	char try[MAILBOX_SIZE];
	struct mailbox m;

	if (len + sizeof(tail) > sizeof(try) || memchr(s, '@', len) == NULL)
		return SMTP_PATH_SYNTAX;
	memcpy(try, s, len);
	memcpy(try + len, tail, sizeof(tail));
	return mailbox_parse(try, len + sizeof(tail) - 1, &m) == 0 &&
	    !m.literal ? SMTP_PATH_UNQUALIFIED : SMTP_PATH_SYNTAX;
}

enum smtp_path_result
smtp_path_parse(const char *s, size_t len, struct smtp_path *ret,
    size_t *ret_used)
{
	size_t start = 0, inner;

	memset(ret, 0, sizeof(*ret));
	while (start < len && s[start] == ' ')
		start++;
	if (start == len || s[start] != '<')
		return SMTP_PATH_SYNTAX;
	start++;
	inner = path_close(s + start, len - start);
	*ret_used = start + inner + 1;
	if (*ret_used > len || (*ret_used < len && s[*ret_used] != ' '))
		return SMTP_PATH_SYNTAX;
	s += start;
	if (inner == 0) {
		ret->null = true;
		return SMTP_PATH_OK;
	}
	if (str_ieq_n("postmaster", s, inner)) {
		ret->postmaster = true;
		return SMTP_PATH_OK;
	}
	if (s[0] == '@' && !path_skip_route(&s, &inner))
		return SMTP_PATH_SYNTAX;
	if (mailbox_parse(s, inner, &ret->mailbox) == 0)
		/* Hosts are called so, but no mail domain is (section 4.1.2). */
		return strchr(mailbox_domain(ret->mailbox.canon), '_') == NULL ?
		    SMTP_PATH_OK : SMTP_PATH_SYNTAX;
	return path_fault(s, inner);
}

bool
smtp_helo_is_name(const char *s)
{
	size_t len = strlen(s);

	return mailbox_is_domain(s, len) || path_literal(s, len);
}
