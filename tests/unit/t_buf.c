/*
 * t_buf.c - the growable buffer against a plain model of it.
 */
#include "lib/buf.h"

#include <string.h>

#include "lib/err.h"
#include "tests/unit/unit.h"

static void
test_bounds(void **state)
{
	struct buf b;
	uint8_t *p;

	(void)state;
	buf_init(&b, 8);
	assert_null(buf_data(&b));
	assert_int_equal(buf_append(&b, "12345678", 8), 0);
	assert_int_equal(buf_append(&b, "9", 1), ERR_LIMIT);
	assert_int_equal(buf_len(&b), 8);
	buf_consume(&b, 3);
	assert_int_equal(buf_printf(&b, "%s", "abcd"), ERR_LIMIT);
	assert_int_equal(buf_printf(&b, "%s", "abc"), 0);
	assert_memory_equal(buf_data(&b), "45678abc", 8);
	assert_int_equal(buf_reserve(&b, 1, &p), ERR_LIMIT);
	assert_null(p);
	assert_int_equal(buf_reserve(&b, SIZE_MAX, &p), ERR_LIMIT);
	buf_release(&b);
	assert_non_null(b.mem);
	buf_consume(&b, 8);
	buf_release(&b);
	assert_null(b.mem);
	assert_int_equal(b.max, 8);
	buf_free(&b);
}

static void
test_model(void **state)
{
	static uint8_t model[70000];
	size_t head = 0, tail = 0, n;
	uint32_t seed = 1;
	struct buf b;
	uint8_t *p;
	int i;

	(void)state;
	buf_init(&b, sizeof(model));
	for (i = 0; i < 20000; i++) {
		seed = seed * 1664525 + 1013904223;
		n = seed >> 16 & 255;
		if ((seed >> 28 & 1) != 0 && tail + n <= sizeof(model)) {
			memset(model + tail, i, n);
			assert_int_equal(buf_reserve(&b, n + 3, &p), 0);
			memset(p, i, n);
			buf_commit(&b, n);
			tail += n;
		} else if (n <= tail - head) {
			buf_consume(&b, n);
			head += n;
		}
		assert_int_equal(buf_len(&b), tail - head);
		if (tail > head)
			assert_memory_equal(buf_data(&b), model + head,
			    tail - head);
		if (tail + 300 > sizeof(model)) {
			buf_clear(&b);
			head = tail = 0;
		}
	}
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
