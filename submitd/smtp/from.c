/*
 * from.c - see from.h. Pure; runs in submitd-smtp on hostile input.
 *
 * What two readers could understand in two ways is no mailbox-list here: the
 * address that is judged must be the one that people see.
 */
#include "config.h"
#include "submitd/smtp/from.h"

#include <stdint.h>
#include <string.h>

#include "lib/err.h"
#include "lib/mailbox.h"

struct from_text {
	char	s[MAILBOX_SIZE];
	size_t	len;		/* of it, or more: it did not fit */
};

struct from {
	const char	 *p, *end;
	unsigned int	  n;		/* addresses so far */
	struct from_text  local;	/* without its quotes */
	bool		  quoted;	/* some of it was in quotes */
	struct from_text  domain;
	smtp_from_fn	 *fn;
	void		 *ctx;
};

static void
from_put(struct from_text *t, char c)
{
	if (t->len < sizeof(t->s))
		t->s[t->len] = c;
	t->len++;
}

static int
from_peek(const struct from *f)
{
	return f->p < f->end ? (unsigned char)*f->p : -1;
}

static bool
from_is_atext(int c)
{
	return c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	    (c >= 'A' && c <= 'Z') ||
	    (c > 0 && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

/* A space, a tab, or the CR LF before one; how many octets, or 0. */
static size_t
from_wsp(const struct from *f)
{
	size_t left = (size_t)(f->end - f->p);

	if (left > 0 && (*f->p == ' ' || *f->p == '\t'))
		return 1;
	return left > 2 && f->p[0] == '\r' && f->p[1] == '\n' &&
	    (f->p[2] == ' ' || f->p[2] == '\t') ? 2 : 0;
}

/* An octet within quotes or a comment; *ret is -1 for the CR LF of a fold.
 * `pair`: it stood behind a backslash. */
static int
from_octet(struct from *f, int *ret, bool *ret_pair)
{
	size_t wsp = from_wsp(f);

	*ret_pair = wsp == 0 && *f->p == '\\';
	if (*ret_pair && ++f->p == f->end)
		return ERR_FORMAT;
	if (wsp == 2) {
		f->p += 2;
		*ret = -1;
		return 0;
	}
	*ret = (unsigned char)*f->p++;
	return *ret == '\t' || (*ret >= ' ' && *ret != 0x7f) ? 0 : ERR_FORMAT;
}

/* Comments nest (RFC 5322 section 3.2.2). */
static int
from_comment(struct from *f)
{
	size_t depth = 0;
	bool pair;
	int c;

	do {
		if (f->p == f->end || from_octet(f, &c, &pair) != 0)
			return ERR_FORMAT;
		if (!pair && c == '(')
			depth++;
		else if (!pair && c == ')')
			depth--;
	} while (depth > 0);
	return 0;
}

/* CFWS. */
static int
from_skip(struct from *f)
{
	size_t n;

	for (;;) {
		if ((n = from_wsp(f)) > 0)
			f->p += n;
		else if (from_peek(f) != '(')
			return 0;
		else if (from_comment(f) != 0)
			return ERR_FORMAT;
	}
}

static int
from_quoted(struct from *f, struct from_text *to)
{
	bool pair;
	int c;

	for (f->p++; f->p < f->end;) {
		if (from_octet(f, &c, &pair) != 0)
			return ERR_FORMAT;
		if (c == '"' && !pair)
			return 0;
		if (c >= 0)
			from_put(to, (char)c);
	}
	return ERR_FORMAT;
}

/* An atom or a quoted string behind what is in local already. */
static int
from_word(struct from *f)
{
	if (from_peek(f) == '"') {
		f->quoted = true;
		return from_quoted(f, &f->local);
	}
	if (!from_is_atext(from_peek(f)))
		return ERR_FORMAT;
	while (from_is_atext(from_peek(f)))
		from_put(&f->local, *f->p++);
	return 0;
}

/* An address between its brackets; white space in it is obsolete syntax. */
static int
from_literal(struct from *f)
{
	size_t n;

	from_put(&f->domain, *f->p++);
	while (from_peek(f) != ']') {
		if ((n = from_wsp(f)) > 0) {
			f->p += n;
			continue;
		}
		if (from_peek(f) >= 0x80 || (!from_is_atext(from_peek(f)) &&
		    from_peek(f) != '.' && from_peek(f) != ':'))
			return ERR_FORMAT;
		from_put(&f->domain, *f->p++);
	}
	from_put(&f->domain, *f->p++);
	return 0;
}

/* Behind the @. */
static int
from_domain(struct from *f)
{
	f->domain.len = 0;
	if (from_skip(f) != 0)
		return ERR_FORMAT;
	if (from_peek(f) == '[')
		return from_literal(f);
	for (;;) {
		if (!from_is_atext(from_peek(f)))
			return ERR_FORMAT;
		while (from_is_atext(from_peek(f)))
			from_put(&f->domain, *f->p++);
		if (from_skip(f) != 0)
			return ERR_FORMAT;
		if (from_peek(f) != '.')
			return 0;
		from_put(&f->domain, *f->p++);
		if (from_skip(f) != 0)
			return ERR_FORMAT;
	}
}

/* The address is whole: out with it. */
static int
from_give(struct from *f)
{
	struct from_text t = { .len = 0 };
	size_t i;

	if (f->local.len > sizeof(f->local.s) ||
	    f->domain.len > sizeof(f->domain.s))
		return ERR_FORMAT;
	if (f->quoted)
		from_put(&t, '"');
	for (i = 0; i < f->local.len; i++) {
		if (f->quoted && (f->local.s[i] == '"' ||
		    f->local.s[i] == '\\'))
			from_put(&t, '\\');
		from_put(&t, f->local.s[i]);
	}
	if (f->quoted)
		from_put(&t, '"');
	from_put(&t, '@');
	for (i = 0; i < f->domain.len; i++)
		from_put(&t, f->domain.s[i]);
	if (t.len >= sizeof(t.s))
		return ERR_FORMAT;
	t.s[t.len] = '\0';
	if (++f->n > SMTP_FROM_MAX)
		return ERR_LIMIT;
	return f->fn(f->ctx, t.s);
}

static void
from_clear(struct from *f)
{
	f->local.len = 0;
	f->quoted = false;
}

/* local-part "@" domain, with the white space that obsolete syntax has. */
static int
from_addr_spec(struct from *f)
{
	from_clear(f);
	for (;;) {
		if (from_skip(f) != 0 || from_word(f) != 0 ||
		    from_skip(f) != 0)
			return ERR_FORMAT;
		if (from_peek(f) != '.')
			break;
		from_put(&f->local, *f->p++);
	}
	if (from_peek(f) != '@')
		return ERR_FORMAT;
	f->p++;
	return from_domain(f);
}

static int
from_angle(struct from *f)
{
	int r;

	f->p++;
	if (from_addr_spec(f) != 0 || from_skip(f) != 0 ||
	    from_peek(f) != '>')
		return ERR_FORMAT;
	f->p++;
	if ((r = from_give(f)) != 0)
		return r;
	return from_skip(f);
}

/* A display name, in which dots may stand (section 4.1), or the address itself:
 * that shows at the @, before which it must have been a local-part. */
static int
from_name(struct from *f, bool *ret_address)
{
	bool local = true, dot = true;

	*ret_address = false;
	from_clear(f);
	for (;;) {
		int c = from_peek(f);

		if (c == '.') {
			local = local && !dot;
			dot = true;
			from_put(&f->local, *f->p++);
		} else if (c == '"' || from_is_atext(c)) {
			local = local && dot;
			dot = false;
			if (from_word(f) != 0)
				return ERR_FORMAT;
		} else if (c == '@' && local && !dot) {
			f->p++;
			*ret_address = true;
			return from_domain(f) != 0 ? ERR_FORMAT : from_skip(f);
		} else {
			return 0;
		}
		if (from_skip(f) != 0)
			return ERR_FORMAT;
	}
}

static int
from_mailbox(struct from *f)
{
	bool address;
	int r;

	if ((r = from_name(f, &address)) != 0)
		return r;
	if (address && (r = from_give(f)) != 0)
		return r;
	if (from_peek(f) == '<')
		return from_angle(f);
	return address ? 0 : ERR_FORMAT;
}

int
smtp_from_parse(const char *s, size_t len, smtp_from_fn *fn, void *ctx)
{
	struct from f = { .p = s, .end = s + len, .fn = fn, .ctx = ctx };
	int r;

	if (len > SMTP_FROM_OCTETS_MAX)
		return ERR_LIMIT;
	/* An empty element of the list is obsolete syntax (section 4.4). */
	while ((r = from_skip(&f)) == 0 && f.p < f.end) {
		if (from_peek(&f) == ',') {
			f.p++;
			continue;
		}
		if ((r = from_mailbox(&f)) != 0)
			break;
		if (f.p < f.end && from_peek(&f) != ',')
			return ERR_FORMAT;
	}
	return r == 0 && f.n == 0 ? ERR_FORMAT : r;
}

bool
smtp_from_eq(const char *a, const char *b)
{
	struct mailbox x, y;

	return strcmp(a, b) == 0 ||
	    (mailbox_parse(a, strlen(a), &x) == 0 &&
	    mailbox_parse(b, strlen(b), &y) == 0 &&
	    strcmp(x.canon, y.canon) == 0);
}
