/*
 * params.c - see params.h. Pure; runs in submitd-smtp on hostile input.
 */
#include "config.h"
#include "submitd/smtp/params.h"

#include <string.h>

#include "lib/err.h"
#include "lib/str.h"

struct param_ctx {
	uint64_t		 size_limit;
	struct smtp_params	*ret;
};

typedef enum smtp_reply param_fn(struct param_ctx *c, const char *value,
    size_t len);

struct param_row {
	const char	*keyword;
	param_fn	*set;
};

/* RFC 1870 has 20 digits at most; more of them are no smaller number. */
static bool
param_is_endless(const char *value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (value[i] < '0' || value[i] > '9')
			return false;
	return len > 20;
}

static enum smtp_reply
param_size(struct param_ctx *c, const char *value, size_t len)
{
	switch (str_u64_n(value, len, 0, c->size_limit, &c->ret->size)) {
	case 0:
		return SMTP_R_NONE;
	case ERR_LIMIT:
		return SMTP_R_TOO_BIG;
	default:
		return param_is_endless(value, len) ? SMTP_R_TOO_BIG :
		    SMTP_R_PARAM_VALUE;
	}
}

static enum smtp_reply
param_body(struct param_ctx *c, const char *value, size_t len)
{
	c->ret->eightbit = str_ieq_n("8BITMIME", value, len);
	if (c->ret->eightbit || str_ieq_n("7BIT", value, len))
		return SMTP_R_NONE;
	return SMTP_R_PARAM_VALUE;
}

static bool
param_is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F');
}

/* Taken from everybody and believed of nobody (RFC 4954 section 5): as if it
 * were AUTH=<>. The value must be xtext (RFC 3461 section 4). */
static enum smtp_reply
param_auth(struct param_ctx *c, const char *value, size_t len)
{
	(void)c;
	if (len == 0)
		return SMTP_R_PARAM_VALUE;
	for (size_t i = 0; i < len; i++) {
		if (value[i] == '=' || value[i] < '!' || value[i] > '~')
			return SMTP_R_PARAM_VALUE;
		if (value[i] != '+')
			continue;
		if (len - i < 3 || !param_is_hex(value[i + 1]) ||
		    !param_is_hex(value[i + 2]))
			return SMTP_R_PARAM_VALUE;
		i += 2;
	}
	return SMTP_R_NONE;
}

static const struct param_row param_mail_rows[] = {
	{ "SIZE", param_size },
	{ "BODY", param_body },
	{ "AUTH", param_auth },
	{ NULL, NULL },
};

static const struct param_row param_rcpt_rows[] = {
	{ NULL, NULL },
};

/* One "KEYWORD[=value]"; `len` octets without a space. */
static enum smtp_reply
param_one(const struct param_row *rows, unsigned int *seen,
    struct param_ctx *c, const char *s, size_t len)
{
	const char *eq = memchr(s, '=', len);
	size_t key = eq != NULL ? (size_t)(eq - s) : len;

	if (key == 0)
		return SMTP_R_PARAM_SYNTAX;
	for (unsigned int i = 0; i < key; i++) {
		char a = s[i] | 0x20;

		/* esmtp-keyword: letters, digits, hyphens inside */
		if (!(a >= 'a' && a <= 'z') && !(s[i] >= '0' && s[i] <= '9') &&
		    (i == 0 || s[i] != '-'))
			return SMTP_R_PARAM_SYNTAX;
	}
	for (unsigned int i = 0; rows[i].keyword != NULL; i++) {
		if (!str_ieq_n(rows[i].keyword, s, key))
			continue;
		if (*seen & (1u << i))
			return SMTP_R_PARAM_TWICE;
		*seen |= 1u << i;
		if (eq == NULL)
			return SMTP_R_PARAM_VALUE;
		return rows[i].set(c, eq + 1, len - key - 1);
	}
	return SMTP_R_PARAM_UNKNOWN;
}

static enum smtp_reply
param_all(const struct param_row *rows, struct param_ctx *c, const char *s,
    size_t len)
{
	enum smtp_reply r = SMTP_R_NONE;
	unsigned int seen = 0;
	size_t n;

	while (len > 0 && r == SMTP_R_NONE) {
		if (*s == ' ') {
			s++;
			len--;
			continue;
		}
		for (n = 0; n < len && s[n] != ' '; n++)
			;
		r = param_one(rows, &seen, c, s, n);
		s += n;
		len -= n;
	}
	return r;
}

enum smtp_reply
smtp_params_mail(const char *s, size_t len, uint64_t size_limit,
    struct smtp_params *ret)
{
	struct param_ctx c = { .size_limit = size_limit, .ret = ret };

	memset(ret, 0, sizeof(*ret));
	return param_all(param_mail_rows, &c, s, len);
}

enum smtp_reply
smtp_params_rcpt(const char *s, size_t len)
{
	return param_all(param_rcpt_rows, NULL, s, len);
}
