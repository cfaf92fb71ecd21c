/*
 * header.c - the Received field (RFC 5321 section 4.4), and counting others.
 *
 * Runs in submitd-spool, the only one that writes this field: client address,
 * user and TLS come from authd's word on the ticket, never from the worker.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "submitd/spool/header.h"

#include "auth/authp.h"
#include "lib/addr.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mailbox.h"

#define HEADER_PIECE 64u	/* of a token, on one line */
#define HEADER_WIDTH 76u	/* RFC 5322 section 2.1.1 recommends 78 */

enum header_name { HEADER_RECEIVED, HEADER_TLS, HEADER_DELIVERED };

struct header_out {
	char	*dst;
	size_t	 size, len, col;
	int	 error;
};

/* Adds a word, folding in front of it where the line would get long. */
static void
header_word(struct header_out *o, const char *word)
{
	size_t n = strlen(word);
	const char *gap = o->len == 0 ? "" :
	    o->col + 1 + n > HEADER_WIDTH ? "\r\n\t" : " ";

	if (o->len + strlen(gap) + n + 3 > o->size) {
		o->error = ERR_LIMIT;
		return;
	}
	o->col = gap[0] == '\r' ? 8 : o->col + strlen(gap);
	memcpy(o->dst + o->len, gap, strlen(gap));
	o->len += strlen(gap);
	memcpy(o->dst + o->len, word, n);
	o->len += n;
	o->col += n;
	o->dst[o->len] = '\0';
}

/* Goes on with the last word. */
static void
header_more(struct header_out *o, const char *s)
{
	size_t n = strlen(s);

	if (o->len + n + 3 > o->size) {
		o->error = ERR_LIMIT;
		return;
	}
	memcpy(o->dst + o->len, s, n + 1);
	o->len += n;
	o->col += n;
}

/* The content of a comment: ctext, the rest quoted (RFC 5322 section 3.2.2);
 * what is not printable ASCII becomes '?'. */
static void
header_ctext(char *dst, size_t size, const char *s)
{
	size_t n = 0;

	for (; *s != '\0' && n + 3 < size; s++) {
		if (*s == '(' || *s == ')' || *s == '\\')
			dst[n++] = '\\';
		dst[n++] = *s > ' ' && *s < 127 ? *s : '?';
	}
	dst[n] = '\0';
}

static const char *
header_helo(const char *helo)
{
	size_t n = strlen(helo);

	if (mailbox_is_domain(helo, n))
		return helo;
	if (n > 2 && n < 64 && helo[0] == '[' && helo[n - 1] == ']' &&
	    strspn(helo + 1, "0123456789abcdefABCDEFIPv:.") == n - 2)
		return helo;
	return "unknown";
}

/* Who answers for the message, whatever way it was authorised. */
static void
header_user(struct header_out *o, const struct envelope *e)
{
	static const char *const what[] = {
		[AUTHP_KIND_SASL] = "authenticated as ",
		[AUTHP_KIND_GRANT] = "relay grant of ",
		[AUTHP_KIND_NETWORK] = "trusted network, owner ",
	};
	char user[2 * AUTHP_USER_MAX + 4], text[sizeof(user) + 40];

	if (e->kind < AUTHP_KIND_SASL || e->kind > AUTHP_KIND_NETWORK)
		return;		/* received: nobody does */
	header_ctext(user, sizeof(user), e->user);
	snprintf(text, sizeof(text), "(%s%s)",
	    user[0] == '\0' ? "trusted network" : what[e->kind], user);
	header_word(o, text);
}

/* "TLSv1.3:TLS_AES_256_GCM_SHA384:X25519" as the clause of RFC 8314 section
 * 4.3: tls CIPHER [group GROUP]. */
static void
header_tls(struct header_out *o, const char *tls)
{
	char copy[AUTHP_TLS_MAX + 1], *cipher, *group;

	if (tls[0] == '\0' || strlen(tls) >= sizeof(copy) ||
	    tls[strspn(tls, "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:")] != '\0')
		return;
	memcpy(copy, tls, strlen(tls) + 1);
	if ((cipher = strchr(copy, ':')) == NULL || *++cipher == '\0')
		return;
	if ((group = strchr(cipher, ':')) != NULL)
		*group++ = '\0';
	header_word(o, "tls");
	header_word(o, cipher);
	if (group != NULL && *group != '\0') {
		header_word(o, "group");
		header_word(o, group);
	}
}

/* In ASCII where that is possible, so that our field alone never is what needs
 * SMTPUTF8 at the next hop. */
static void
header_for(struct header_out *o, const struct envelope *e)
{
	char ascii[MAILBOX_SIZE], text[MAILBOX_SIZE + 2];
	struct mailbox box;

	if (mailbox_parse(e->rcpts[0], strlen(e->rcpts[0]), &box) != 0)
		return;
	if (mailbox_ascii(&box, ascii) != 0) {
		if (!e->smtputf8)
			return;
		memcpy(ascii, box.text, sizeof(ascii));
	}
	snprintf(text, sizeof(text), "<%s>", ascii);
	header_word(o, "for");
	header_word(o, text);
}

/* Who the client is, in clear. */
static void
header_client(struct header_out *o, const struct envelope *e)
{
	char text[ADDR_STRLEN + 8], literal[ADDR_STRLEN];
	struct addr peer;

	header_word(o, header_helo(e->helo));
	if (addr_parse_ip(e->peer, &peer) == 0) {
		snprintf(text, sizeof(text), "(%s)",
		    addr_literal(&peer, literal));
		header_word(o, text);
	}
}

/* The same as a token, in lines of their own. */
static void
header_origin(struct header_out *o, const char *origin)
{
	char text[HEADER_PIECE + 2];
	size_t n;

	header_word(o, "unknown");
	header_word(o, "(origin");
	while (*origin != '\0') {
		n = strnlen(origin, HEADER_PIECE);
		snprintf(text, sizeof(text), "%.*s%s", (int)n, origin,
		    origin[n] == '\0' ? ")" : "");
		header_word(o, text);
		origin += n;
	}
}

int
header_received(const struct envelope *e, const char *hostname,
    const char *origin, char *dst, size_t size)
{
	struct header_out o = { .dst = dst, .size = size };
	char date[CLOCK_DATE_SIZE], priority[8];

	header_word(&o, "Received: from");
	if (origin[0] != '\0')
		header_origin(&o, origin);
	else
		header_client(&o, e);
	header_word(&o, "by");
	header_word(&o, hostname);
	/* RFC 3848: the A stands for a successful AUTH and nothing else. RFC
	 * 6531 section 4.3: UTF8SMTP where SMTPUTF8 was used. */
	if (e->kind == AUTHP_KIND_RECEIVE)
		header_word(&o, e->smtputf8 ? "with UTF8LMTP" : "with LMTP");
	else
		header_word(&o, e->smtputf8 ? "with UTF8SMTPS" : "with ESMTPS");
	if (e->kind == AUTHP_KIND_SASL)
		header_more(&o, "A");
	header_word(&o, "id");
	header_word(&o, e->id);
	if (origin[0] == '\0')
		header_user(&o, e);
	/* Only where it tells nobody of another recipient (section 7.2). */
	if (e->n_rcpts == 1)
		header_for(&o, e);
	header_tls(&o, e->tls);
	/* RFC 6710: a priority leaves its trace. */
	if (e->wishes.priority != 0) {
		snprintf(priority, sizeof(priority), "%d", e->wishes.priority);
		header_word(&o, "PRIORITY");
		header_word(&o, priority);
	}
	if (o.error == 0)
		o.dst[o.len++] = ';';
	o.col++;
	clock_date(e->arrived_s, date);
	header_word(&o, date);
	if (o.error != 0)
		return o.error;
	memcpy(dst + o.len, "\r\n", 3);
	return (int)(o.len + 2);
}

/* Of one octet more, whatever its case; FNV-1a: who makes up an address with the
 * sum of another only keeps his own message from being delivered. */
static uint64_t
header_sum(uint64_t sum, char c)
{
	if (sum == 0)
		sum = 14695981039346656037u;
	return (sum ^ (unsigned char)(c >= 'A' && c <= 'Z' ? c + 32 : c)) *
	    1099511628211u;
}

bool
header_scan_was_delivered(const struct header_scan *h, const char *address)
{
	uint64_t sum = 0;

	while (*address != '\0')
		sum = header_sum(sum, *address++);
	if (h->sum == sum)
		return sum != 0;
	for (unsigned int i = 0; i < h->n_delivered; i++)
		if (h->delivered[i] == sum)
			return true;
	return false;
}

void
header_scan_init(struct header_scan *h)
{
	memset(h, 0, sizeof(*h));
	h->empty = true;
}

/* The value of TLS-Required: "No" and nothing else; a fold is a space. */
static void
header_scan_value(struct header_scan *h, char c)
{
	static const char no[] = "no ";

	if (c == ' ' || c == '\t')
		return;
	if (h->name == HEADER_DELIVERED) {
		if (c != '<' && c != '>')
			h->sum = header_sum(h->sum, c);
		return;
	}
	h->other = (c | 0x20) != no[h->value];
	h->value = h->other ? 0 : h->value + 1;
}

bool
header_scan_tls_optional(const struct header_scan *h)
{
	return h->tls_optional || h->value == 2;
}

/* A line begins with c: a fold goes on with the value of the field above. */
static void
header_scan_line(struct header_scan *h, char c)
{
	h->empty = false;
	if (c == ' ' || c == '\t') {
		h->other |= !h->in_value;
		return;
	}
	h->tls_optional = header_scan_tls_optional(h);
	if (h->sum != 0 && h->n_delivered < HEADER_DELIVERED_MAX)
		h->delivered[h->n_delivered++] = h->sum;
	h->sum = 0;
	h->in_value = h->other = false;
	h->value = h->col = 0;
	c |= 0x20;
	h->name = c == 't' ? HEADER_TLS : c == 'd' ? HEADER_DELIVERED :
	    HEADER_RECEIVED;
}

static void
header_scan_octet(struct header_scan *h, char c)
{
	static const char *const names[] = {
		[HEADER_RECEIVED] = "received:",
		[HEADER_TLS] = "tls-required:",
		[HEADER_DELIVERED] = "delivered-to:",
	};
	const char *name;

	if (c == '\n') {
		h->body = h->empty;
		h->empty = true;
		/* A field that is not ours stays so in its folds. */
		h->other &= h->in_value;
		return;
	}
	if (c == '\r')
		return;
	if (h->empty)
		header_scan_line(h, c);
	if (h->other)
		return;
	if (h->in_value) {
		header_scan_value(h, c);
		return;
	}
	name = names[h->name];
	if ((c == ' ' || c == '\t') && name[h->col] == ':')
		return;			/* "Received :" is read by some */
	if ((c >= 'A' && c <= 'Z' ? c + 32 : c) != name[h->col]) {
		h->other = true;
		return;
	}
	if (name[++h->col] != '\0')
		return;
	h->in_value = h->name != HEADER_RECEIVED;
	h->received += h->name == HEADER_RECEIVED;
	h->other = h->name == HEADER_RECEIVED;
}

void
header_scan_feed(struct header_scan *h, const void *p, size_t len)
{
	const char *q = p, *end = q + len;

	while (q < end && !h->body) {
		/* The rest of a line that is another field's goes at once. */
		if (h->other && (q = memchr(q, '\n', (size_t)(end - q))) ==
		    NULL)
			return;
		header_scan_octet(h, *q++);
	}
}
