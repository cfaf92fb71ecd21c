/*
 * xclient_params.c - see xclient_params.h. Pure; runs in submitd-smtp on what a
 * listed peer says.
 */
#include "config.h"
#include "submitd/smtp/xclient_params.h"

#include <string.h>
#include <strings.h>

#include "lib/str.h"
#include "lib/xtext.h"

typedef int xclient_fn(struct smtp_xclient *x, const char *value, bool known);

/* "192.0.2.1", or with IPV6: in front of a colon form (RFC 5321's tag). */
static int
xclient_addr(struct smtp_xclient *x, const char *value, bool known)
{
	static const char v6[] = "IPV6:";
	uint16_t port = x->addr.port;
	bool tagged = known && strncasecmp(value, v6, sizeof(v6) - 1) == 0;

	x->has_addr = true;
	if (!known)
		return 0;
	value += tagged ? sizeof(v6) - 1 : 0;
	if ((strchr(value, ':') != NULL) != tagged ||
	    addr_parse_ip(value, &x->addr) != 0)
		return ERR_FORMAT;
	x->addr.port = port;
	return 0;
}

static int
xclient_port(struct smtp_xclient *x, const char *value, bool known)
{
	uint64_t port = 0;

	if (known && str_u64(value, 0, UINT16_MAX, &port) != 0)
		return ERR_FORMAT;
	x->addr.port = (uint16_t)port;
	return 0;
}

static int
xclient_name(struct smtp_xclient *x, const char *value, bool known)
{
	return known ? str_copy(x->name, sizeof(x->name), value) : 0;
}

static int
xclient_helo(struct smtp_xclient *x, const char *value, bool known)
{
	return known ? str_copy(x->helo, sizeof(x->helo), value) : 0;
}

static int
xclient_proto(struct smtp_xclient *x, const char *value, bool known)
{
	if (!known || (!str_ieq(value, "SMTP") && !str_ieq(value, "ESMTP")))
		return ERR_FORMAT;
	return str_copy(x->proto, sizeof(x->proto), value);
}

static const struct {
	const char	*name;
	xclient_fn	*set;		/* NULL: never believed */
} xclient_rows[] = {
	{ "ADDR", xclient_addr },
	{ "PORT", xclient_port },
	{ "NAME", xclient_name },
	{ "HELO", xclient_helo },
	{ "PROTO", xclient_proto },
	{ "LOGIN", NULL },
};
#define XCLIENT_ROWS (sizeof(xclient_rows) / sizeof(xclient_rows[0]))

/* One NAME=VALUE; `seen` are the bits of the rows before it. */
static enum smtp_reply
xclient_one(const char *word, unsigned int *seen, struct smtp_xclient *x)
{
	char value[SMTP_XCLIENT_TEXT];
	size_t len = strcspn(word, "="), i;
	bool known;

	for (i = 0; i < XCLIENT_ROWS; i++)
		if (str_ieq_n(xclient_rows[i].name, word, len))
			break;
	if (i == XCLIENT_ROWS || word[len] != '=' || (*seen & 1u << i))
		return SMTP_R_XCLIENT_SYNTAX;
	if (xclient_rows[i].set == NULL)
		return SMTP_R_XCLIENT_LOGIN;
	*seen |= 1u << i;
	if (xtext_decode(value, sizeof(value), word + len + 1,
	    strlen(word + len + 1)) <= 0)
		return SMTP_R_XCLIENT_SYNTAX;
	known = !str_ieq(value, "[UNAVAILABLE]") &&
	    !str_ieq(value, "[TEMPUNAVAIL]");
	return xclient_rows[i].set(x, value, known) == 0 ? SMTP_R_NONE :
	    SMTP_R_XCLIENT_SYNTAX;
}

enum smtp_reply
smtp_xclient_parse(char *arg, struct smtp_xclient *ret)
{
	unsigned int seen = 0;
	enum smtp_reply r = SMTP_R_NONE;
	char *save, *word;

	memset(ret, 0, sizeof(*ret));
	for (word = strtok_r(arg, " ", &save); word != NULL &&
	    r == SMTP_R_NONE; word = strtok_r(NULL, " ", &save))
		r = xclient_one(word, &seen, ret);
	return r == SMTP_R_NONE && seen == 0 ? SMTP_R_XCLIENT_SYNTAX : r;
}
