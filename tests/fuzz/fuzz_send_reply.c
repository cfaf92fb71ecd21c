/*
 * fuzz_send_reply.c - replies of a next hop: the same result however they are
 * cut, a printable text of bounded length, and never more lines than may be.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "submitd/send/hop_reply.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
fuzz_line(void *ctx, unsigned int line, char *text)
{
	size_t *octets = ctx;

	if (line > HOP_REPLY_LINES_MAX)
		abort();
	*octets += strlen(text);
}

static enum hop_reply_result
fuzz_read(struct hop_reply *r, const uint8_t *data, size_t len, size_t cut)
{
	enum hop_reply_result result;
	size_t octets = 0;
	struct buf b;

	buf_init(&b, 1 << 20);
	hop_reply_init(r);
	if (buf_append(&b, data, cut) != 0)
		abort();
	result = hop_reply_read(r, &b, fuzz_line, &octets);
	if (result == HOP_REPLY_MORE) {
		if (buf_append(&b, data + cut, len - cut) != 0)
			abort();
		result = hop_reply_read(r, &b, fuzz_line, &octets);
	}
	buf_free(&b);
	return result;
}

static void
fuzz_check(const struct hop_reply *r, enum hop_reply_result result)
{
	char status[OUTCOME_STATUS_SIZE];

	if (strlen(r->text) != r->len || r->len > OUTCOME_TEXT_MAX)
		abort();
	for (size_t i = 0; i < r->len; i++)
		if (r->text[i] < 0x20 || r->text[i] > 0x7e)
			abort();
	if (result == HOP_REPLY_DONE && (r->code < 200 || r->code > 599))
		abort();
	(void)outcome_status(r->text, '4', status);
	(void)outcome_status(r->text, '5', status);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct hop_reply whole, cut;
	enum hop_reply_result a, b;

	if (len > 1 << 19)
		return 0;
	a = fuzz_read(&whole, data, len, len);
	fuzz_check(&whole, a);
	/* Where a bare LF is the last octet there is, it counts as the end of
	 * a bad line; fed whole it may be an overlong one: bad as well. */
	b = fuzz_read(&cut, data, len, len / 2);
	fuzz_check(&cut, b);
	if (a == HOP_REPLY_DONE && b == HOP_REPLY_DONE &&
	    (whole.code != cut.code || strcmp(whole.text, cut.text) != 0))
		abort();
	return 0;
}
