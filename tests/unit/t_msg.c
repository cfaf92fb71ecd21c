/*
 * t_msg.c - messages: what is put comes out, and nothing malformed does.
 */
#include "lib/msg.h"

#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "tests/unit/unit.h"

static struct msg_out out;

static void
put_all(void)
{
	msg_begin(&out, 0x8003, 77);
	msg_put_u8(&out, 1);
	msg_put_u16(&out, 0x0203);
	msg_put_u32(&out, 0x04050607);
	msg_put_u64(&out, 0x08090a0b0c0d0e0full);
	msg_put_str(&out, "text");
	msg_put_str(&out, NULL);
	msg_put_blob(&out, "\0\1", 2);
}

static int
get_all(const void *p, size_t len)
{
	const char *s, *empty;
	const void *blob;
	struct msg_in m;
	uint8_t u8;
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;
	size_t n;

	msg_open(&m, p, len);
	msg_get_u8(&m, &u8);
	msg_get_u16(&m, &u16);
	msg_get_u32(&m, &u32);
	msg_get_u64(&m, &u64);
	msg_get_str(&m, &s, 4);
	msg_get_str(&m, &empty, 4);
	msg_get_blob(&m, &blob, &n, 2);
	if (msg_get_end(&m) != 0)
		return m.error;
	assert_int_equal(m.type, 0x8003);
	assert_int_equal(m.id, 77);
	assert_int_equal(u8, 1);
	assert_int_equal(u16, 0x0203);
	assert_int_equal(u32, 0x04050607);
	assert_true(u64 == 0x08090a0b0c0d0e0full);
	assert_string_equal(s, "text");
	assert_string_equal(empty, "");
	assert_int_equal(n, 2);
	assert_memory_equal(blob, "\0\1", 2);
	return 0;
}

static void
test_round(void **state)
{
	(void)state;
	put_all();
	assert_int_equal(out.error, 0);
	assert_int_equal(get_all(out.data, out.len), 0);
}

/* Every shorter packet, and one octet more, is refused. */
static void
test_cut(void **state)
{
	uint8_t *copy;
	size_t len;

	(void)state;
	put_all();
	for (len = 0; len < out.len; len++) {
		copy = malloc(len + 1);	/* so that ASan sees a read too far */
		memcpy(copy, out.data, len);
		assert_int_equal(get_all(copy, len), ERR_FORMAT);
		free(copy);
	}
	out.data[out.len++] = 0;
	assert_int_equal(get_all(out.data, out.len), ERR_FORMAT);
}

static void
test_strings(void **state)
{
	static const struct {
		const char *name;
		const char *blob;
		size_t len, max;
		int r;
	} rows[] = {
		{ "good", "abc", 4, 3, 0 },
		{ "too long", "abcd", 5, 3, ERR_FORMAT },
		{ "no NUL", "abc", 3, 3, ERR_FORMAT },
		{ "NUL inside", "a\0c", 4, 3, ERR_FORMAT },
		{ "not even a NUL", "", 0, 3, ERR_FORMAT },
		{ "empty", "", 1, 0, 0 },
	};
	struct msg_in m;
	const char *s;
	size_t i;

	(void)state;
	for (i = 0; i < ROWS(rows); i++) {
		msg_begin(&out, 1, 1);
		msg_put_blob(&out, rows[i].blob, rows[i].len);
		assert_int_equal(msg_open(&m, out.data, out.len), 0);
		ROW_EQ(rows[i].name, msg_get_str(&m, &s, rows[i].max),
		    rows[i].r);
		ROW_STR(rows[i].name, s, rows[i].r == 0 ? rows[i].blob : "");
	}
}

static void
test_limits(void **state)
{
	static uint8_t big[MSG_MAX];
	struct msg_in m;
	uint32_t u;

	(void)state;
	msg_begin(&out, 1, 1);
	assert_int_equal(msg_room(&out), MSG_MAX - MSG_HEAD);
	msg_put_blob(&out, big, MSG_MAX - MSG_HEAD - 4);
	assert_int_equal(out.error, 0);
	assert_int_equal(out.len, MSG_MAX);
	msg_put_u8(&out, 1);
	assert_int_equal(out.error, ERR_LIMIT);
	assert_int_equal(msg_room(&out), 0);
	msg_begin(&out, 1, 1);
	assert_int_equal(out.error, 0);
	msg_put_blob(&out, big, SIZE_MAX);
	assert_int_equal(out.error, ERR_LIMIT);
	/* another version, and the octet that must be zero */
	assert_int_equal(msg_open(&m, "\2\0\0\1\0\0\0\1", 8), ERR_FORMAT);
	assert_int_equal(msg_open(&m, "\1\1\0\1\0\0\0\1", 8), ERR_FORMAT);
	assert_int_equal(msg_get_u32(&m, &u), ERR_FORMAT);
	assert_int_equal(u, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
