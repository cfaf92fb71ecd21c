/*
 * fuzz_uidl_map.c - our own file of UIDLs, which lies where others may write;
 * and, up to the first LF, a template of Dovecot's.
 */
#include "config.h"

#include "tests/fuzz/fuzz_uidl.h"

static void
fuzz_uidl_template(const uint8_t *data, size_t len)
{
	static const struct uidl_values v = { .uid = 7, .uidvalidity = 8,
		.file = "1.x", .file_len = 3, .guid = "g", .guid_len = 1 };
	char format[128], text[64];
	int n;

	if (len >= sizeof(format))
		return;
	memcpy(format, data, len);
	format[len] = '\0';
	n = uidl_template(format, &v, text, sizeof(text), NULL);
	if (n >= (int)sizeof(text) || (n < 0 && n != ERR_FORMAT &&
	    n != ERR_LIMIT))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const uint8_t *end = len > 0 ? memchr(data, '\n', len) : NULL;
	struct uidl_map *m;

	if (end != NULL)
		fuzz_uidl_template(data, (size_t)(end - data));
	if (uidl_parse(fuzz_uidl_copy(data, len), len, &m, NULL) == 0)
		fuzz_uidl_round(m);
	uidl_free(m);
	return 0;
}
