/*
 * header_field.c - see header.h: what the fields of a header mean, and what is
 * done about them at its end. Pure; runs in submitd-smtp on hostile input.
 */
#include "config.h"
#include "submitd/smtp/header.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/str.h"
#include "submitd/smtp/from.h"

enum field {
	FIELD_FROM, FIELD_SENDER, FIELD_DATE, FIELD_MESSAGE_ID, FIELD_TO,
	FIELD_CC, FIELD_SUBJECT, FIELD_RESENT_FROM, FIELD_RESENT_SENDER,
	FIELD__OTHER
};

#define ONCE 1u			/* RFC 5322 section 3.6 */
#define READ 2u			/* its body is looked at */

static const struct {
	const char	*name;
	unsigned int	 flags;
} field_rows[FIELD__OTHER] = {
	[FIELD_FROM] = { "From", ONCE | READ },
	[FIELD_SENDER] = { "Sender", ONCE | READ },
	[FIELD_DATE] = { "Date", ONCE },
	[FIELD_MESSAGE_ID] = { "Message-ID", ONCE },
	[FIELD_TO] = { "To", ONCE },
	[FIELD_CC] = { "Cc", ONCE },
	[FIELD_SUBJECT] = { "Subject", ONCE },
	[FIELD_RESENT_FROM] = { "Resent-From", READ },
	[FIELD_RESENT_SENDER] = { "Resent-Sender", READ },
};

const char *
smtp_header_fault_name(enum smtp_header_fault f)
{
	static const char *const names[] = {
		[SMTP_HEADER_OK] = "ok", [SMTP_HEADER_TWICE] = "twice",
		[SMTP_HEADER_SPACE] = "space", [SMTP_HEADER_NAME] = "name",
		[SMTP_HEADER_ADDRESS] = "address",
		[SMTP_HEADER_NO_FROM] = "missing",
		[SMTP_HEADER_FOREIGN] = "foreign", [SMTP_HEADER_SIZE] = "size",
		[SMTP_HEADER_COUNT] = "count", [SMTP_HEADER_MEMORY] = "memory",
	};
	_Static_assert(sizeof(names) / sizeof(names[0]) ==
	    SMTP_HEADER_FAULT__COUNT, "each fault has a word");

	return names[f];
}

/* What cannot be read cannot be anybody's own: taking it would leave nothing of
 * sender_policy. */
static bool
field_is_shadowed(const struct smtp_header *h, enum smtp_header_fault f)
{
	const struct conf *c = h->rules.conf;

	return f <= SMTP_HEADER_NO_FROM && c->header_policy == SHADOW_LOG &&
	    (f != SMTP_HEADER_ADDRESS || c->sender_policy == SENDER_LOG);
}

void
smtp_header_fail(struct smtp_header *h, enum smtp_header_fault f,
    const char *field, size_t len)
{
	bool logged = field_is_shadowed(h, f);
	struct smtp_header_found *to = logged ? &h->logged : &h->found;

	if (to->fault != SMTP_HEADER_OK)
		return;
	to->fault = f;
	if (len >= sizeof(to->field))
		len = sizeof(to->field) - 1;
	memcpy(to->field, field, len);
	to->field[len] = '\0';
}

static void
field_fail(struct smtp_header *h, enum smtp_header_fault f, unsigned int field)
{
	const char *name = field_rows[field].name;

	smtp_header_fail(h, f, name, strlen(name));
}

static bool
field_saw(const struct smtp_header *h, enum field f)
{
	return h->seen & (1u << f);
}

/* ------------------------------------------------------------ a field -- */

static bool
field_is_dropped(const struct smtp_header *h, const char *name, size_t len)
{
	const struct conf_list *l = &h->rules.conf->drop_headers;

	for (size_t i = 0; i < l->n; i++)
		if (str_ieq_n(l->v[i], name, len) ||
		    (str_ieq(l->v[i], "Bcc") &&
		    str_ieq_n("Resent-Bcc", name, len)))
			return true;
	return false;
}

static enum field
field_find(const char *name, size_t len)
{
	unsigned int f;

	for (f = 0; f < FIELD__OTHER; f++)
		if (str_ieq_n(field_rows[f].name, name, len))
			break;
	return (enum field)f;
}

/* Each block of Resent fields stands in front of the older ones (RFC 5322
 * section 3.6.6): only the first is by who sends now. */
static bool
field_is_older(struct smtp_header *h, enum field f)
{
	if (f != FIELD_RESENT_FROM && f != FIELD_RESENT_SENDER)
		return false;
	if (field_saw(h, f))
		h->resent_over = true;
	return h->resent_over;
}

void
smtp_header_field_begin(struct smtp_header *h)
{
	const char *name = (const char *)h->held;
	size_t len = h->n_held - 1;
	enum field f;

	while (len > 0 && (name[len - 1] == ' ' || name[len - 1] == '\t'))
		len--;
	if ((h->dropping = field_is_dropped(h, name, len)))
		return;
	f = field_find(name, len);
	if (f == FIELD__OTHER || field_is_older(h, f))
		return;
	if ((field_rows[f].flags & ONCE) && field_saw(h, f))
		field_fail(h, SMTP_HEADER_TWICE, f);
	h->seen |= 1u << f;
	h->field = (uint8_t)f;
	h->reading = field_rows[f].flags & READ;
	h->n_in_field = 0;
	if (f == FIELD_SENDER && !h->holding &&
	    h->rules.conf->sender_policy == SENDER_ADD) {
		h->holding = true;
		h->sender_at = buf_len(&h->late);
	}
}

static int
field_address(void *ctx, const char *address)
{
	struct smtp_header *h = ctx;
	struct smtp_header_address *a, **v;

	if (h->n_in_field++ > 0 && (h->field == FIELD_SENDER ||
	    h->field == FIELD_RESENT_SENDER))
		return ERR_FORMAT;
	if (*h->rules.sender != '\0' && smtp_from_eq(address, h->rules.sender))
		return 0;	/* MAIL was allowed with it */
	if (h->n_addresses == AUTHP_FROM_MAX)
		return ERR_LIMIT;
	v = reallocarray(h->addresses, h->n_addresses + 1, sizeof(*v));
	a = malloc(sizeof(*a) + strlen(address) + 1);
	if (v != NULL)
		h->addresses = v;
	if (v == NULL || a == NULL) {
		free(a);
		return ERR_NOMEM;
	}
	a->field = h->field;
	memcpy(a->text, address, strlen(address) + 1);
	h->addresses[h->n_addresses++] = a;
	return 0;
}

static void
field_read_addresses(struct smtp_header *h, const char *text, size_t len)
{
	int r = h->n_in_field == UINT_MAX ? ERR_LIMIT : 0;

	h->n_in_field = 0;
	if (r == 0)
		r = smtp_from_parse(text, len, field_address, h);
	if (r == ERR_NOMEM)
		smtp_header_fail(h, SMTP_HEADER_MEMORY, "", 0);
	else if (r != 0 && h->field == FIELD_SENDER &&
	    h->rules.conf->sender_policy == SENDER_ADD)
		h->sender_bad = true;
	else if (r != 0)
		field_fail(h, SMTP_HEADER_ADDRESS, h->field);
}

void
smtp_header_field_end(struct smtp_header *h)
{
	const char *text = (const char *)buf_data(&h->text);
	size_t len = buf_len(&h->text);

	if (h->reading) {
		/* Without the last line's CR LF. */
		if (len >= 2)
			len -= 2;
		field_read_addresses(h, text == NULL ? "" : text, len);
		buf_clear(&h->text);
		if (h->field == FIELD_SENDER && h->sender_len == 0)
			h->sender_len = buf_len(&h->late) - h->sender_at;
	}
	h->reading = h->dropping = false;
	h->field = FIELD__OTHER;
}

/* -------------------------------------------------------------- its end -- */

static void
end_emit_str(struct smtp_header *h, const char *s)
{
	h->emit(h->ctx, s, strlen(s));
}

static void
end_add(struct smtp_header *h, const char *name, const char *value)
{
	end_emit_str(h, name);
	end_emit_str(h, value);
	end_emit_str(h, "\r\n");
}

static void
end_add_missing(struct smtp_header *h)
{
	const struct smtp_header_rules *r = &h->rules;
	char date[CLOCK_DATE_SIZE];

	if (!field_saw(h, FIELD_FROM) && *r->sender != '\0')
		end_add(h, "From: ", r->sender);
	if (h->sender_missing)
		end_add(h, "Sender: ", *r->sender != '\0' ? r->sender :
		    r->user);
	if (!field_saw(h, FIELD_DATE)) {
		clock_date(r->now_s, date);
		end_add(h, "Date: ", date);
	}
	if (!field_saw(h, FIELD_MESSAGE_ID)) {
		end_emit_str(h, "Message-ID: <");
		end_emit_str(h, r->id);
		end_emit_str(h, "@");
		end_add(h, r->conf->hostname, ">");
	}
}

/* What was held since Sender, without it where it is to be replaced. */
static void
end_emit_late(struct smtp_header *h)
{
	const uint8_t *p = buf_data(&h->late);
	size_t len = buf_len(&h->late), at = h->sender_at;

	h->holding = false;
	if (h->sender_bad) {
		h->emit(h->ctx, p, at);
		p += at + h->sender_len;
		len -= at + h->sender_len;
	}
	if (len > 0)
		h->emit(h->ctx, p, len);
	buf_free(&h->late);
}

static void
end_finish(struct smtp_header *h)
{
	h->state = SMTP_HEADER_BODY;
	if (h->found.fault != SMTP_HEADER_OK)
		return;
	if (h->holding)
		end_emit_late(h);
	end_add_missing(h);
	/* A line that is no field must not be read as one, or as part of what
	 * was added. */
	if (!h->empty_line)
		end_emit_str(h, "\r\n");
	if (h->n_held > 0)
		h->emit(h->ctx, h->held, h->n_held);
	h->n_held = 0;
	buf_free(&h->text);
}

/* A Sender that goes must be followed by another. */
static void
end_need_sender(struct smtp_header *h)
{
	const struct smtp_header_rules *r = &h->rules;

	if (*r->sender == '\0' && *r->user == '\0')
		field_fail(h, SMTP_HEADER_FOREIGN, FIELD_SENDER);
	h->sender_missing = true;
}

void
smtp_header_judge(struct smtp_header *h)
{
	if (field_saw(h, FIELD_RESENT_FROM))
		h->sender_bad = false;
	if (!field_saw(h, FIELD_FROM) && *h->rules.sender == '\0')
		field_fail(h, SMTP_HEADER_NO_FROM, FIELD_FROM);
	if (h->sender_bad)
		end_need_sender(h);
	if (h->n_addresses > 0 && h->found.fault == SMTP_HEADER_OK)
		h->state = SMTP_HEADER_ASK;
	else
		end_finish(h);
}

/* RFC 6409 section 8.1: who really sends stands in Sender. A message that was
 * sent on has a Resent-Sender for that. */
static void
end_foreign(struct smtp_header *h, const struct smtp_header_address *a)
{
	bool resent = field_saw(h, FIELD_RESENT_FROM);
	bool add = h->rules.conf->sender_policy == SENDER_ADD;

	if (add && !resent && a->field == FIELD_FROM) {
		h->sender_missing = !field_saw(h, FIELD_SENDER) ||
		    h->sender_missing;
		if (h->added == NULL)
			h->added = a->text;
	} else if (add && !resent && a->field == FIELD_SENDER) {
		h->sender_bad = true;
	} else if (!add || a->field != FIELD_RESENT_FROM ||
	    !field_saw(h, FIELD_RESENT_SENDER)) {
		if (h->found.fault == SMTP_HEADER_OK)
			h->foreign = a->text;
		field_fail(h, SMTP_HEADER_FOREIGN, a->field);
	}
}

/* Who sends a message on that he was sent answers for its Resent fields. Its
 * author may be anybody then, but no other user here: in such a one's name nobody
 * else sends. */
static bool
end_is_foreign(const struct smtp_header *h,
    const struct smtp_header_address *a, uint8_t owned)
{
	bool author = a->field == FIELD_FROM || a->field == FIELD_SENDER;

	if (owned == AUTHP_OWNED_STRANGER)
		return author != field_saw(h, FIELD_RESENT_FROM);
	return owned == AUTHP_OWNED_NO &&
	    (author || field_saw(h, FIELD_RESENT_FROM));
}

void
smtp_header_answer(struct smtp_header *h, const uint8_t *owned)
{
	for (size_t i = 0; i < h->n_addresses; i++)
		if (end_is_foreign(h, h->addresses[i], owned[i]))
			end_foreign(h, h->addresses[i]);
	if (h->sender_bad || h->sender_missing)
		end_need_sender(h);
	end_finish(h);
}
