/*
 * fuzz_smtp_content.c - the content behind DATA: cut in pieces it must give
 * what it gives in one piece, and what is kept of an unbroken message must hold
 * whole CR LF lines only.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "submitd/smtp/header.h"
#include "submitd/smtp/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct kept {
	uint8_t	*p;
	size_t	 len;
	size_t	 used;		/* of the input */
	bool	 ended, broken;
	enum smtp_header_fault fault;
};

static char *dropped[] = { (char[]){ "Bcc" }, (char[]){ "Return-Path" } };

static void
keep(void *ctx, const void *p, size_t len)
{
	struct kept *k = ctx;

	if (len == 0)
		return;
	if ((k->p = realloc(k->p, k->len + len)) == NULL)
		abort();
	memcpy(k->p + k->len, p, len);
	k->len += len;
}

/* Every address that stands second is somebody else's. */
static void
put(struct smtp_header *h, const uint8_t *p, size_t len)
{
	uint8_t owned[AUTHP_FROM_MAX];
	size_t used = 0;

	if (h->found.fault != SMTP_HEADER_OK)
		return;
	if (len > 0)
		used = smtp_header_put(h, p, len);
	if (h->state == SMTP_HEADER_ASK) {
		if (h->n_addresses == 0 || h->n_addresses > AUTHP_FROM_MAX)
			abort();
		for (size_t i = 0; i < h->n_addresses; i++)
			owned[i] = i % 2 == 0;
		smtp_header_answer(h, owned);
		if (h->state != SMTP_HEADER_BODY)
			abort();
		if (h->found.fault == SMTP_HEADER_OK)
			used += smtp_header_put(h, p + used, len - used);
		else
			used = len;
	}
	if (used != len)
		abort();
}

static struct kept
read_in_pieces(const uint8_t *data, size_t len, size_t piece, bool headed)
{
	struct conf conf = {
		.hostname = (char[]){ "host.example" },
		.sender_policy = data[0] % 3,
		.header_policy = data[0] & 4 ? SHADOW_LOG : SHADOW_ENFORCE,
		.header_size_limit = 20000, .header_count_limit = 100,
		.drop_headers = { dropped, 2 },
	};
	struct smtp_header_rules rules = {
		.conf = &conf, .id = "id", .sender = data[0] & 8 ? "" :
		    "alice@example.org", .user = "alice@example.org",
	};
	struct smtp_reader r = { 0 };
	struct smtp_header h;
	struct kept k = { 0 };
	struct smtp_run run;

	smtp_header_begin(&h, &rules, keep, &k);
	while (k.used < len && r.state != SMTP_READER_END) {
		size_t n = len - k.used < piece ? len - k.used : piece;
		size_t used = smtp_reader_next(&r, data + k.used, n, &run);

		if (used == 0 || used > n)
			abort();
		k.used += used;
		if (headed)
			put(&h, run.p, run.len);
		else
			keep(&k, run.p, run.len);
	}
	if (headed && h.found.fault == SMTP_HEADER_OK) {
		smtp_header_end(&h);
		put(&h, data, 0);
	}
	k.fault = h.found.fault;
	smtp_header_free(&h);
	k.ended = r.state == SMTP_READER_END;
	k.broken = r.broken;
	return k;
}

static void
check_whole_lines(const struct kept *k)
{
	for (size_t i = 0; i < k->len; i++) {
		if (k->p[i] == '\0')
			abort();
		if (k->p[i] == '\n' && (i == 0 || k->p[i - 1] != '\r'))
			abort();
		if (k->p[i] == '\r' && (i + 1 == k->len || k->p[i + 1] != '\n'))
			abort();
	}
	if (k->len > 0 && k->p[k->len - 1] != '\n')
		abort();
}

static void
check_same(const struct kept *a, const struct kept *b)
{
	if (a->used != b->used || a->ended != b->ended ||
	    a->broken != b->broken)
		abort();
	if (a->broken)
		return;		/* nothing of it is kept anyway */
	if (a->fault != b->fault)
		abort();
	if (a->fault != SMTP_HEADER_OK)
		return;
	if (a->len != b->len || (a->len > 0 && memcmp(a->p, b->p, a->len) != 0))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const size_t pieces[] = { 1, 2, 3, 7 };

	if (len == 0)
		return 0;
	for (int headed = 0; headed < 2; headed++) {
		struct kept whole = read_in_pieces(data, len, len + 1, headed);

		if (whole.ended && !whole.broken &&
		    whole.fault == SMTP_HEADER_OK)
			check_whole_lines(&whole);
		for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
			struct kept cut = read_in_pieces(data, len, pieces[i],
			    headed);

			check_same(&whole, &cut);
			free(cut.p);
		}
		free(whole.p);
	}
	return 0;
}
