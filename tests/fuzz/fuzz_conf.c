/*
 * fuzz_conf.c - values of every key, and what a child is sent. The first octet
 * chooses the key; a value that is taken goes to a child and comes out alike.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "lib/conf_private.h"

static void
fuzz_conf_value(size_t key, const char *value)
{
	struct conf *c = conf_new("/base", NULL);
	const char *host = "mail.example.org";

	FUZZ_CHECK(c != NULL);
	FUZZ_CHECK(conf_set(c, conf_key_find("hostname"), &host, 1, "x",
	    NULL) == 0);
	if (conf_set(c, key, &value, 1, "x", NULL) == 0 &&
	    conf_complete(c, "file", NULL) == 0) {
		struct conf *child;
		struct buf a, b;

		buf_init(&a, 1 << 24);
		buf_init(&b, 1 << 24);
		FUZZ_CHECK(conf_pack(c, CONF_WITH_PAIRS, &a, NULL) == 0);
		FUZZ_CHECK(conf_unpack(buf_data(&a), buf_len(&a), &child,
		    NULL) == 0);
		FUZZ_CHECK(conf_pack(child, CONF_WITH_PAIRS, &b, NULL) == 0);
		FUZZ_CHECK(buf_len(&a) == buf_len(&b) &&
		    memcmp(buf_data(&a), buf_data(&b), buf_len(&a)) == 0);
		buf_free(&a);
		buf_free(&b);
		conf_unref(child);
	}
	conf_unref(c);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf *c;
	char *value;

	if (conf_unpack(data, size, &c, NULL) == 0)
		conf_unref(c);
	if (size == 0)
		return 0;
	value = strndup((const char *)data + 1, size - 1);
	FUZZ_CHECK(value != NULL);
	fuzz_conf_value(data[0] % conf_key_count(), value);
	free(value);
	return 0;
}
