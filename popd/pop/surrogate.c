/*
 * surrogate.c - see surrogate.h. Runs in popd-pop. The header may be anything;
 * whatever it is, what comes out is ASCII and has the same fields.
 */
#include "config.h"
#include "popd/pop/surrogate.h"

#include <string.h>

#include "lib/str.h"

#define WORD_BEGIN	"=?utf-8?Q?"
#define WORD_TEXT_MAX	63u		/* RFC 2047 section 2: 75 in all */
#define FOLD_COLUMN	64u		/* a word that would begin behind it */

struct surrogate {
	struct buf	*out;
	int		 rc;
	size_t		 column;	/* of the line that is open */
	char		 last;		/* octet put */
	bool		 encoded;	/* the last token is an encoded-word */
	const char	*blank;		/* not put yet */
	size_t		 blank_len;
};

typedef void surrogate_fn(struct surrogate *s, const char *p, const char *end);

/* --------------------------------------------------------------- output -- */

static void
surrogate_put(struct surrogate *s, const char *p, size_t len)
{
	const char *lf = len == 0 ? NULL : memrchr(p, '\n', len);

	if (s->rc != 0 || len == 0)
		return;
	s->rc = buf_append(s->out, p, len);
	s->last = p[len - 1];
	s->column = lf == NULL ? s->column + len :
	    (size_t)(p + len - 1 - lf);
}

static void
surrogate_puts(struct surrogate *s, const char *text)
{
	surrogate_put(s, text, strlen(text));
}

/* A token as it is. */
static void
surrogate_copy(struct surrogate *s, const char *p, size_t len)
{
	if (s->encoded && s->blank_len == 0 && len > 0 && *p != ')')
		surrogate_puts(s, " ");
	surrogate_put(s, s->blank, s->blank_len);
	s->blank_len = 0;
	surrogate_put(s, p, len);
	s->encoded = false;
}

static size_t
surrogate_char(const char *p, const char *end)
{
	size_t n = 1;

	while (p + n < end && (p[n] & 0xc0) == 0x80)
		n++;
	return n;
}

/* One character in "Q" (RFC 2047 section 4.2), as it may stand in a phrase. */
static size_t
surrogate_q(const char *p, size_t len, char dst[3 * 4])
{
	static const char hex[] = "0123456789ABCDEF";
	size_t n = 0;

	for (size_t i = 0; i < len && i < 4; i++) {
		unsigned char c = (unsigned char)p[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    (c >= '0' && c <= '9')) {
			dst[n++] = (char)c;
		} else if (c == ' ' || c == '\t') {
			dst[n++] = '_';
		} else {
			dst[n++] = '=';
			dst[n++] = hex[c >> 4];
			dst[n++] = hex[c & 15];
		}
	}
	return n;
}

/* Space between encoded-words is not shown: what is to be shown stands inside. */
static void
surrogate_begin_word(struct surrogate *s)
{
	bool gap = s->encoded && s->blank_len > 0;

	if (s->column > FOLD_COLUMN && s->blank_len > 0)
		surrogate_puts(s, "\r\n ");
	else if (s->blank_len > 0)
		surrogate_put(s, s->blank, s->blank_len);
	else if (s->last != '(')
		surrogate_puts(s, " ");
	s->blank_len = 0;
	surrogate_puts(s, WORD_BEGIN);
	if (gap)
		surrogate_puts(s, "_");
}

/* Text with its folds, as one encoded-word or several. */
static void
surrogate_encode(struct surrogate *s, const char *p, const char *end)
{
	size_t used = 1, n, len;
	char q[3 * 4];

	surrogate_begin_word(s);
	for (; p < end; p += len) {
		len = surrogate_char(p, end);
		if (*p == '\r' || *p == '\n')
			continue;
		n = surrogate_q(p, len, q);
		if (used + n > WORD_TEXT_MAX) {
			surrogate_puts(s, "?=\r\n " WORD_BEGIN);
			used = 0;
		}
		surrogate_put(s, q, n);
		used += n;
	}
	surrogate_puts(s, "?=");
	s->encoded = true;
}

/* --------------------------------------------------------------- tokens -- */

static bool
surrogate_is_ascii(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)p[i] >= 0x80)
			return false;
	return true;
}

static size_t
surrogate_span_blank(const char *p, const char *end)
{
	const char *q = p;

	while (q < end && strchr(" \t\r\n", *q) != NULL && *q != '\0')
		q++;
	return (size_t)(q - p);
}

/* Up to a blank, or an octet of `stops`. */
static size_t
surrogate_span_word(const char *p, const char *end, const char *stops)
{
	const char *q = p;

	while (q < end && surrogate_span_blank(q, end) == 0 &&
	    (*q == '\0' || strchr(stops, *q) == NULL))
		q++;
	return (size_t)(q - p);
}

/* Behind p, which opens it, to what closes it; comments may hold others. */
static size_t
surrogate_span_until(const char *p, const char *end, char close)
{
	size_t depth = 1;
	const char *q;

	for (q = p + 1; q < end; q++) {
		if (*q == '\\' && q + 1 < end)
			q++;
		else if (*q == close && --depth == 0)
			return (size_t)(q + 1 - p);
		else if (*q == '(' && close == ')')
			depth++;
	}
	return (size_t)(end - p);
}

static void
surrogate_take_blank(struct surrogate *s, const char **p, const char *end)
{
	s->blank = *p;
	s->blank_len = surrogate_span_blank(*p, end);
	*p += s->blank_len;
}

/* A word that is not ASCII goes with those behind it that are not, either: where
 * they end. */
static const char *
surrogate_run(const char *p, const char *end, const char *stops)
{
	const char *q = p + surrogate_span_word(p, end, stops);
	size_t blank, word;

	for (;;) {
		blank = surrogate_span_blank(q, end);
		word = surrogate_span_word(q + blank, end, stops);
		if (blank == 0 || surrogate_is_ascii(q + blank, word) ||
		    (*stops != '\0' && memchr(q + blank, '@', word) != NULL))
			return q;
		q += blank + word;
	}
}

/* --------------------------------------------------------------- fields -- */

static void
surrogate_text(struct surrogate *s, const char *p, const char *end)
{
	const char *q;
	size_t n;

	while (p < end) {
		surrogate_take_blank(s, &p, end);
		n = surrogate_span_word(p, end, "");
		if (surrogate_is_ascii(p, n)) {
			surrogate_copy(s, p, n);
			p += n;
		} else {
			q = surrogate_run(p, end, "");
			surrogate_encode(s, p, q);
			p = q;
		}
	}
}

static void
surrogate_structured(struct surrogate *s, const char *p, const char *end)
{
	size_t n;

	for (; p < end; p += n) {
		n = surrogate_char(p, end);
		surrogate_put(s, (unsigned char)*p >= 0x80 ? "?" : p, 1);
	}
}

#define ADDRESS_STOPS "<>(),;:\""

static size_t
surrogate_address_token(const char *p, const char *end)
{
	size_t n;

	switch (*p) {
	case '"':
		n = surrogate_span_until(p, end, '"');
		if (p + n < end && p[n] == '@')
			n += surrogate_span_word(p + n, end, ADDRESS_STOPS);
		return n;
	case '<':
		return surrogate_span_until(p, end, '>');
	case '(':
		return surrogate_span_until(p, end, ')');
	}
	n = surrogate_span_word(p, end, ADDRESS_STOPS);
	return n == 0 ? 1 : n;
}

/* Without what opens it and, if that is there, what closes it. */
static void
surrogate_encode_inside(struct surrogate *s, const char *p, size_t n)
{
	size_t close = n > 1 && strchr(">)\"", p[n - 1]) != NULL ? 1 : 0;

	surrogate_encode(s, p + 1, p + n - close);
}

static void
surrogate_address_encode(struct surrogate *s, const char *p, size_t n)
{
	if (*p == '(') {
		surrogate_copy(s, "(", 1);
		surrogate_encode_inside(s, p, n);
		surrogate_copy(s, ")", 1);
	} else if (*p == '<' || memchr(p, '@', n) != NULL) {
		if (*p == '<')
			surrogate_encode_inside(s, p, n);
		else
			surrogate_encode(s, p, p + n);
		surrogate_puts(s, " " SURROGATE_ADDRESS);
		s->encoded = false;
	} else if (*p == '"') {
		surrogate_encode_inside(s, p, n);
	} else {
		surrogate_encode(s, p, p + n);
	}
}

/* Words of a display name, addresses, comments, and what stands between. */
static void
surrogate_addresses(struct surrogate *s, const char *p, const char *end)
{
	size_t n;

	while (p < end) {
		surrogate_take_blank(s, &p, end);
		if (p == end) {
			surrogate_copy(s, p, 0);
			return;
		}
		n = surrogate_address_token(p, end);
		if (surrogate_is_ascii(p, n)) {
			surrogate_copy(s, p, n);
		} else {
			if (strchr(ADDRESS_STOPS, *p) == NULL &&
			    memchr(p, '@', n) == NULL)
				n = (size_t)(surrogate_run(p, end,
				    ADDRESS_STOPS) - p);
			surrogate_address_encode(s, p, n);
		}
		p += n;
	}
}

/* A field that is in neither list is text: RFC 5322 section 3.6.8 has it so. */
static const char *const surrogate_address_fields[] = {
	"From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Resent-From",
	"Resent-Sender", "Resent-Reply-To", "Resent-To", "Resent-Cc",
	"Resent-Bcc", "Mail-Followup-To", "Mail-Reply-To", "Errors-To",
	"Disposition-Notification-To", "Return-Receipt-To", "Approved", NULL
};
static const char *const surrogate_structured_fields[] = {
	"Return-Path", "Received", "Delivered-To", "X-Original-To", "Date",
	"Resent-Date", "Message-ID", "Resent-Message-ID", "In-Reply-To",
	"References", "MIME-Version", "Content-Type", "Content-ID",
	"Content-Transfer-Encoding", "Content-Disposition", "Content-Location",
	"DKIM-Signature", "ARC-Seal", "ARC-Message-Signature",
	"ARC-Authentication-Results", "Authentication-Results", "Received-SPF",
	"List-Id", "List-Post", "List-Help", "List-Unsubscribe",
	"List-Unsubscribe-Post", "List-Subscribe", "List-Owner",
	"List-Archive", "Auto-Submitted", "Original-Recipient", NULL
};

static bool
surrogate_is_one(const char *name, size_t len, const char *const *list)
{
	for (; *list != NULL; list++)
		if (str_ieq_n(*list, name, len))
			return true;
	return false;
}

/* Behind the field that begins at p, with its folds and its line's end. */
static const char *
surrogate_field_end(const char *p, const char *end)
{
	const char *lf;

	do {
		lf = memchr(p, '\n', (size_t)(end - p));
		if (lf == NULL)
			return end;
		p = lf + 1;
	} while (p < end && (*p == ' ' || *p == '\t'));
	return p;
}

static void
surrogate_field(struct surrogate *s, const char *p, const char *end)
{
	const char *colon = memchr(p, ':', (size_t)(end - p));
	const char *text_end = end;
	surrogate_fn *fn = surrogate_text;
	size_t len;

	while (text_end > p && strchr(" \t\r\n", text_end[-1]) != NULL &&
	    text_end[-1] != '\0')
		text_end--;
	if (colon == NULL || colon >= text_end ||
	    !surrogate_is_ascii(p, (size_t)(colon - p))) {
		surrogate_structured(s, p, end);
		return;
	}
	for (len = (size_t)(colon - p); len > 0 && (p[len - 1] == ' ' ||
	    p[len - 1] == '\t'); len--)
		;
	if (surrogate_is_one(p, len, surrogate_address_fields))
		fn = surrogate_addresses;
	else if (surrogate_is_one(p, len, surrogate_structured_fields))
		fn = surrogate_structured;
	surrogate_put(s, p, (size_t)(colon + 1 - p));
	s->encoded = false;
	s->blank_len = 0;
	fn(s, colon + 1, text_end);
	s->encoded = false;
	surrogate_put(s, text_end, (size_t)(end - text_end));
}

bool
surrogate_is_needed(const char *header, size_t len, bool whole)
{
	size_t cut = 0;

	/* The last character may be cut. */
	while (!whole && cut < 3 && cut < len &&
	    (unsigned char)header[len - 1 - cut] >= 0x80)
		cut++;
	return !surrogate_is_ascii(header, len) &&
	    str_is_utf8(header, len - cut);
}

int
surrogate_make(const char *header, size_t len, struct buf *out)
{
	struct surrogate s = { .out = out };
	const char *p = header, *end = header + len, *next;

	for (; p < end && s.rc == 0; p = next) {
		next = surrogate_field_end(p, end);
		if (surrogate_is_ascii(p, (size_t)(next - p)))
			surrogate_put(&s, p, (size_t)(next - p));
		else
			surrogate_field(&s, p, next);
	}
	return s.rc;
}
