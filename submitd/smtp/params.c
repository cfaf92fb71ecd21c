/*
 * params.c - see params.h. Pure; runs in submitd-smtp on hostile input.
 */
#include "config.h"
#include "submitd/smtp/params.h"

#include <string.h>

#include "lib/err.h"
#include "lib/str.h"
#include "lib/xtext.h"

#define PARAM_ORCPT_MAX 500u	/* RFC 3461 section 4.2 */

struct param_ctx {
	const struct smtp_params_limits *limits;	/* of MAIL */
	bool			 smtputf8;	/* of RCPT */
	struct smtp_params	*ret;
	struct smtp_rcpt_params	*rcpt;
};

typedef enum smtp_reply param_fn(struct param_ctx *c, const char *value,
    size_t len);

struct param_row {
	const char	*keyword;
	param_fn	*set;
	bool		 bare;		/* has no value */
	enum smtp_extension extension;	/* that it belongs to */
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
	switch (str_u64_n(value, len, 0, c->limits->size, &c->ret->size)) {
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

/* Of an atom (RFC 5322), which an address type is. */
static bool
param_is_atom(char c)
{
	return c > ' ' && c <= '~' && strchr("()<>[]:;@\\,.\"=+", c) == NULL;
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

static enum smtp_reply
param_smtputf8(struct param_ctx *c, const char *value, size_t len)
{
	(void)value;
	(void)len;
	c->ret->smtputf8 = true;
	return SMTP_R_NONE;
}

/* ------------------------------------------------- RFC 3461: reports -- */

static enum smtp_reply
param_ret(struct param_ctx *c, const char *value, size_t len)
{
	if (str_ieq_n("FULL", value, len))
		c->ret->ret = SPOOL_RET_FULL;
	else if (str_ieq_n("HDRS", value, len))
		c->ret->ret = SPOOL_RET_HDRS;
	else
		return SMTP_R_PARAM_VALUE;
	return SMTP_R_NONE;
}

/* Section 4.4: xtext of printable text, at most 100 octets of it. */
static enum smtp_reply
param_envid(struct param_ctx *c, const char *value, size_t len)
{
	char text[SPOOL_ENVID_MAX + 1];

	if (len == 0 || xtext_decode(text, sizeof(text), value, len) < 0 ||
	    str_copy_n(c->ret->envid, sizeof(c->ret->envid), value, len) != 0)
		return SMTP_R_PARAM_VALUE;
	return SMTP_R_NONE;
}

static unsigned int
param_notify_word(const char *s, size_t len)
{
	static const struct {
		const char	*word;
		unsigned int	 bit;
	} rows[] = {
		{ "NEVER", SPOOL_NOTIFY_NEVER },
		{ "SUCCESS", SPOOL_NOTIFY_SUCCESS },
		{ "FAILURE", SPOOL_NOTIFY_FAILURE },
		{ "DELAY", SPOOL_NOTIFY_DELAY },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (str_ieq_n(rows[i].word, s, len))
			return rows[i].bit;
	return 0;
}

/* Section 4.1: NEVER alone, or a list of the others. */
static enum smtp_reply
param_notify(struct param_ctx *c, const char *value, size_t len)
{
	unsigned int all = 0, bit;

	for (size_t i = 0; i <= len; i++) {
		const char *comma = i == len ? NULL :
		    memchr(value + i, ',', len - i);
		size_t n = (comma == NULL ? len : (size_t)(comma - value)) - i;

		if ((bit = param_notify_word(value + i, n)) == 0)
			return SMTP_R_PARAM_VALUE;
		all |= bit;
		i += n;
	}
	if ((all & SPOOL_NOTIFY_NEVER) && all != SPOOL_NOTIFY_NEVER)
		return SMTP_R_PARAM_VALUE;
	c->rcpt->notify = (uint8_t)all;
	return SMTP_R_NONE;
}

/* Section 4.2: "type;xtext"; RFC 6533 section 3 for the type utf-8. */
static enum smtp_reply
param_orcpt(struct param_ctx *c, const char *value, size_t len)
{
	const char *semi = memchr(value, ';', len);
	size_t type = semi == NULL ? len : (size_t)(semi - value);
	char text[SPOOL_ORCPT_MAX + 1], *orcpt = c->rcpt->orcpt;
	int r;

	if (semi == NULL || type == 0 || type + 1 == len ||
	    len > PARAM_ORCPT_MAX)
		return SMTP_R_PARAM_VALUE;
	for (size_t i = 0; i < type; i++)
		if (!param_is_atom(value[i]))
			return SMTP_R_PARAM_VALUE;
	if (str_ieq_n("utf-8", value, type))
		r = xtext_utf8_address(text, sizeof(text), semi + 1,
		    len - type - 1, c->smtputf8);
	else if ((r = xtext_decode(text, sizeof(text), semi + 1,
	    len - type - 1)) >= 0)
		r = str_copy_n(text, sizeof(text), semi + 1, len - type - 1);
	if (r < 0 || str_format(orcpt, sizeof(c->rcpt->orcpt), "%.*s;%s",
	    (int)type, value, text) != 0)
		return SMTP_R_PARAM_VALUE;
	return SMTP_R_NONE;
}

/* ------------------------------------------------------- extension.h -- */

static enum smtp_reply
param_holdfor(struct param_ctx *c, const char *value, size_t len)
{
	return smtp_extension_holdfor(value, len, c->limits->now_s,
	    &c->ret->wishes);
}

static enum smtp_reply
param_holduntil(struct param_ctx *c, const char *value, size_t len)
{
	return smtp_extension_holduntil(value, len, c->limits->now_s,
	    &c->ret->wishes);
}

static enum smtp_reply
param_by(struct param_ctx *c, const char *value, size_t len)
{
	return smtp_extension_by(value, len, c->limits->now_s,
	    &c->ret->wishes);
}

static enum smtp_reply
param_priority(struct param_ctx *c, const char *value, size_t len)
{
	return smtp_extension_priority(value, len, &c->ret->wishes);
}

static enum smtp_reply
param_requiretls(struct param_ctx *c, const char *value, size_t len)
{
	(void)value;
	(void)len;
	c->ret->wishes.requiretls = true;
	return SMTP_R_NONE;
}

static const struct param_row param_mail_rows[] = {
	{ "SIZE", param_size, false, SMTP_EXT_ALWAYS },
	{ "BODY", param_body, false, SMTP_EXT_ALWAYS },
	{ "AUTH", param_auth, false, SMTP_EXT_ALWAYS },
	{ "SMTPUTF8", param_smtputf8, true, SMTP_EXT_ALWAYS },
	{ "RET", param_ret, false, SMTP_EXT_ALWAYS },
	{ "ENVID", param_envid, false, SMTP_EXT_ALWAYS },
	{ "HOLDFOR", param_holdfor, false, SMTP_EXT_FUTURERELEASE },
	{ "HOLDUNTIL", param_holduntil, false, SMTP_EXT_FUTURERELEASE },
	{ "BY", param_by, false, SMTP_EXT_DELIVERBY },
	{ "MT-PRIORITY", param_priority, false, SMTP_EXT_MT_PRIORITY },
	{ "REQUIRETLS", param_requiretls, true, SMTP_EXT_REQUIRETLS },
	{ NULL, NULL, false, SMTP_EXT_ALWAYS },
};

/* What LHLO offers. */
static const struct param_row param_lmtp_rows[] = {
	{ "SIZE", param_size, false, SMTP_EXT_ALWAYS },
	{ "BODY", param_body, false, SMTP_EXT_ALWAYS },
	{ "SMTPUTF8", param_smtputf8, true, SMTP_EXT_ALWAYS },
	{ NULL, NULL, false, SMTP_EXT_ALWAYS },
};

static const struct param_row param_rcpt_rows[] = {
	{ "NOTIFY", param_notify, false, SMTP_EXT_ALWAYS },
	{ "ORCPT", param_orcpt, false, SMTP_EXT_ALWAYS },
	{ NULL, NULL, false, SMTP_EXT_ALWAYS },
};

static bool
param_is(const struct param_row *row, const struct param_ctx *c,
    const char *s, size_t len)
{
	return str_ieq_n(row->keyword, s, len) &&
	    (row->extension == SMTP_EXT_ALWAYS ||
	    (c->limits->extensions & row->extension));
}

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
		if (!param_is(&rows[i], c, s, key))
			continue;
		if (*seen & (1u << i))
			return SMTP_R_PARAM_TWICE;
		*seen |= 1u << i;
		if ((eq == NULL) != rows[i].bare)
			return SMTP_R_PARAM_VALUE;
		return eq == NULL ? rows[i].set(c, "", 0) :
		    rows[i].set(c, eq + 1, len - key - 1);
	}
	return SMTP_R_PARAM_UNKNOWN;
}

static void
param_keyword(char dst[SMTP_PARAM_NAME_SIZE], const char *s, size_t len)
{
	size_t n;

	for (n = 0; n < len && s[n] != '=' && n + 1 < SMTP_PARAM_NAME_SIZE; n++)
		dst[n] = s[n];
	dst[n] = '\0';
}

/* `bad` gets the keyword of what is wrong, cut where it is too long. */
static enum smtp_reply
param_all(const struct param_row *rows, struct param_ctx *c, const char *s,
    size_t len, char bad[SMTP_PARAM_NAME_SIZE])
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
		if ((r = param_one(rows, &seen, c, s, n)) != SMTP_R_NONE)
			param_keyword(bad, s, n);
		s += n;
		len -= n;
	}
	return r;
}

enum smtp_reply
smtp_params_mail(const char *s, size_t len,
    const struct smtp_params_limits *limits, struct smtp_params *ret)
{
	struct param_ctx c = { .limits = limits, .ret = ret };
	struct spool_wishes *w = &ret->wishes;
	enum smtp_reply r;

	memset(ret, 0, sizeof(*ret));
	r = param_all(limits->lmtp ? param_lmtp_rows : param_mail_rows, &c, s,
	    len, ret->bad);
	/* The time to deliver it in begins when it is released. */
	if (w->by_mode != SPOOL_BY_NONE && w->hold_until_s > limits->now_s)
		w->by_s += w->hold_until_s - limits->now_s;
	return r;
}

enum smtp_reply
smtp_params_rcpt(const char *s, size_t len, bool smtputf8,
    struct smtp_rcpt_params *ret)
{
	struct param_ctx c = { .smtputf8 = smtputf8, .rcpt = ret };

	memset(ret, 0, sizeof(*ret));
	return param_all(param_rcpt_rows, &c, s, len, ret->bad);
}

enum smtp_reply
smtp_params_rcpt_lmtp(const char *s, size_t len,
    char bad[SMTP_PARAM_NAME_SIZE])
{
	static const struct param_row none[] = {
		{ NULL, NULL, false, SMTP_EXT_ALWAYS },
	};
	struct param_ctx c = { 0 };

	return param_all(none, &c, s, len, bad);
}

bool
smtp_params_are_named(enum smtp_reply r)
{
	return r == SMTP_R_PARAM_SYNTAX || r == SMTP_R_PARAM_UNKNOWN ||
	    r == SMTP_R_PARAM_TWICE || r == SMTP_R_PARAM_VALUE;
}
