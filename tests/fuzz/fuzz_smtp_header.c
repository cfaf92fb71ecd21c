/*
 * fuzz_smtp_header.c - the fix-ups of a message: what comes out is what went in,
 * but for the fields that go and those that are added at the header's end; a
 * reader of the result finds one From, and the same when it is put in again.
 * (fuzz_smtp_content.c cuts it in pieces.)
 */
#include "config.h"

#include <string.h>

#include "submitd/smtp/header.h"
#include "tests/fuzz/fuzz.h"

struct kept {
	uint8_t	*p;
	size_t	 len;
	enum smtp_header_fault fault;
	bool	 sender;	/* added */
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

/* alice's are her own. */
static void
answer(struct smtp_header *h)
{
	uint8_t owned[AUTHP_FROM_MAX];

	FUZZ_CHECK(h->n_addresses > 0 && h->n_addresses <= AUTHP_FROM_MAX);
	for (size_t i = 0; i < h->n_addresses; i++)
		owned[i] = strncmp(h->addresses[i]->text, "alice", 5) == 0;
	smtp_header_answer(h, owned);
	FUZZ_CHECK(h->state == SMTP_HEADER_BODY);
}

static struct kept
mend(const uint8_t *data, size_t len, uint8_t how)
{
	static char host[] = "host.example";
	struct conf conf = {
		.hostname = host, .sender_policy = how % 3,
		.header_size_limit = 20000, .header_count_limit = 100,
		.drop_headers = { dropped, 2 },
	};
	struct smtp_header_rules rules = {
		.conf = &conf, .id = "id",
		.sender = how & 8 ? "" : "alice@example.org",
		.user = "alice@example.org",
	};
	struct kept k = { .len = 0 };
	struct smtp_header h;
	size_t used;

	smtp_header_begin(&h, &rules, keep, &k);
	used = smtp_header_put(&h, data, len);
	if (h.state == SMTP_HEADER_ASK) {
		answer(&h);
		if (h.found.fault == SMTP_HEADER_OK)
			smtp_header_put(&h, data + used, len - used);
	}
	if (h.found.fault == SMTP_HEADER_OK)
		smtp_header_end(&h);
	if (h.state == SMTP_HEADER_ASK)
		answer(&h);
	k.fault = h.found.fault;
	smtp_header_free(&h);
	return k;
}

/* Lines end with CR LF, as the reader sees to. */
static bool
is_text(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] == '\0' || (p[i] == '\r') != (i + 1 < len &&
		    p[i + 1] == '\n') || (p[i] == '\n' && (i == 0 ||
		    p[i - 1] != '\r')))
			return false;
	return len == 0 || p[len - 1] == '\n';
}

/* The body: behind the first empty line. */
static size_t
body_at(const uint8_t *p, size_t len)
{
	const uint8_t *at = memmem(p, len, "\r\n\r\n", 4);

	if (len >= 2 && memcmp(p, "\r\n", 2) == 0)
		return 2;
	return at == NULL ? len : (size_t)(at - p) + 4;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kept once, twice;
	size_t in, out;

	if (size == 0 || !is_text(data + 1, size - 1))
		return 0;
	once = mend(data + 1, size - 1, data[0]);
	if (once.fault == SMTP_HEADER_OK) {
		FUZZ_CHECK(is_text(once.p, once.len));
		in = body_at(data + 1, size - 1);
		out = body_at(once.p, once.len);
		/* All of the body is there, behind no less of the header. */
		FUZZ_CHECK(once.len - out >= size - 1 - in);
		if (size - 1 > in)
			FUZZ_CHECK(memcmp(once.p + once.len - (size - 1 - in),
			    data + 1 + in, size - 1 - in) == 0);
		/* Nothing is left to be done. */
		twice = mend(once.p, once.len, data[0]);
		if (twice.fault == SMTP_HEADER_OK) {
			FUZZ_CHECK(twice.len == once.len);
			FUZZ_CHECK(memcmp(twice.p, once.p, once.len) == 0);
		} else {
			/* What was added may go over a limit. */
			FUZZ_CHECK(twice.fault == SMTP_HEADER_SIZE ||
			    twice.fault == SMTP_HEADER_COUNT);
		}
		free(twice.p);
	}
	free(once.p);
	return 0;
}
